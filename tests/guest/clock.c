/*
 * Time: it goes forward, sleeping takes as long as it says, and the clocks agree.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>

static int64_t now(clockid_t clock)
{
	struct timespec time;

	if (clock_gettime(clock, &time) != 0)
		return -1;
	return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void time_goes_forward(void)
{
	int64_t before = now(CLOCK_MONOTONIC), last = before;
	bool forward = before > 0;

	for (int i = 0; i < 10000; i++) {
		int64_t next = now(CLOCK_MONOTONIC);

		forward = forward && next >= last;
		last = next;
	}
	ok(forward && last > before, "ten thousand readings never go back");
}

static void sleeping_takes_its_time(void)
{
	struct timespec request = { .tv_nsec = 50000000 }, deadline;
	int64_t before = now(CLOCK_MONOTONIC), after;

	ok(nanosleep(&request, NULL) == 0, "nanosleep");
	after = now(CLOCK_MONOTONIC);
	ok(after - before >= 50000000 && after - before < INT64_C(5000000000), "50 ms take %lld us",
	   (long long)(after - before) / 1000);
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_nsec += 20000000;
	if (deadline.tv_nsec >= 1000000000) {
		deadline.tv_nsec -= 1000000000;
		deadline.tv_sec++;
	}
	ok(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL) == 0,
	   "clock_nanosleep to a time");
	after = now(CLOCK_MONOTONIC);
	ok(after >= deadline.tv_sec * INT64_C(1000000000) + deadline.tv_nsec, "not before it");
	deadline = (struct timespec){ .tv_nsec = 1 };
	ok(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL) == 0,
	   "a time that is past");
	request.tv_nsec = 1000000000;
	fails(nanosleep(&request, NULL), EINVAL, "too many nanoseconds are EINVAL");
	request.tv_nsec = -1;
	fails(nanosleep(&request, NULL), EINVAL, "so are negative ones");
	request.tv_nsec = 1;
	fails(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &request, NULL), EOPNOTSUPP,
	      "nobody sleeps by a thread's own time");
}

static void the_clocks_agree(void)
{
	struct timeval day;
	struct timespec resolution;
	int64_t wall = now(CLOCK_REALTIME);

	ok(gettimeofday(&day, NULL) == 0 &&
		   llabs((long long)day.tv_sec * 1000000 + day.tv_usec - wall / 1000) < 2000000,
	   "gettimeofday and CLOCK_REALTIME");
	ok(llabs((long long)time(NULL) - wall / 1000000000) <= 2, "time");
	ok(wall > INT64_C(1577836800) * 1000000000, "it is after 2020");
	ok(clock_getres(CLOCK_MONOTONIC, &resolution) == 0 && resolution.tv_sec == 0 &&
		   resolution.tv_nsec >= 1,
	   "clock_getres");
	ok(now(CLOCK_BOOTTIME) > 0 && now(CLOCK_MONOTONIC_RAW) > 0 &&
		   now(CLOCK_MONOTONIC_COARSE) > 0 && now(CLOCK_REALTIME_COARSE) > 0,
	   "the other clocks");
	fails(syscall(SYS_clock_gettime, 99, &resolution), EINVAL, "an unknown clock is EINVAL");
	fails(clock_settime(CLOCK_MONOTONIC, &(struct timespec){ .tv_sec = 1 }), EINVAL,
	      "monotonic time is not set");
	fails(clock_settime(CLOCK_REALTIME, &(struct timespec){ .tv_sec = INT64_MAX }), EINVAL,
	      "nor a year that nobody can count");
}

static void every_clock_is_there(void)
{
	static const clockid_t clocks[] = {
		CLOCK_REALTIME,
		CLOCK_MONOTONIC,
		CLOCK_MONOTONIC_RAW,
		CLOCK_REALTIME_COARSE,
		CLOCK_MONOTONIC_COARSE,
		CLOCK_BOOTTIME,
		CLOCK_TAI,
		CLOCK_PROCESS_CPUTIME_ID,
		CLOCK_THREAD_CPUTIME_ID,
	};
	struct timespec resolution;
	bool good = true;

	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		good = good && syscall(SYS_clock_getres, clocks[i], &resolution) == 0 &&
		       resolution.tv_sec == 0 && resolution.tv_nsec >= 1 && now(clocks[i]) > 0;
	}
	ok(good, "nine clocks run and have a resolution");
	ok(syscall(SYS_clock_getres, CLOCK_MONOTONIC, NULL) == 0, "clock_getres to nowhere");
}

static void cpu_clocks_of_others(void)
{
	clockid_t clock;
	pid_t child;
	int64_t used = 0, end = now(CLOCK_MONOTONIC) + INT64_C(20000000000);

	ok(clock_getcpuclockid(0, &clock) == 0 && now(clock) > 0, "one's own");
	ok(clock_getcpuclockid(getpid(), &clock) == 0 && now(clock) > 0, "by number");
	child = fork();
	if (child == 0)
		for (;;)
			;
	ok(clock_getcpuclockid(child, &clock) == 0, "a child's clock");
	while ((used = now(clock)) < 10000000 && now(CLOCK_MONOTONIC) < end)
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	ok(used >= 10000000, "runs while it does (%lld us)", (long long)used / 1000);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	ok(clock_getcpuclockid(child, &clock) != 0, "and is gone with it");
}

/* A signal without a handler, or with one, in the middle of a sleep. */
static void on_signal(int signal)
{
	(void)signal;
}

static pid_t disturber(int signal)
{
	pid_t parent = getpid(), child = fork();

	if (child == 0) {
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
		kill(parent, signal);
		_exit(0);
	}
	return child;
}

static void sleep_is_disturbed(void)
{
	struct timespec request = { .tv_nsec = 300000000 }, left = { .tv_sec = 77 }, end;
	int64_t start = now(CLOCK_MONOTONIC);
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	pid_t child = disturber(SIGWINCH);

	ok(nanosleep(&request, NULL) == 0 && now(CLOCK_MONOTONIC) - start >= 300000000,
	   "an ignored signal does not end a sleep");
	waitpid(child, NULL, 0);

	sigaction(SIGUSR1, &action, NULL);
	start = now(CLOCK_MONOTONIC);
	request = (struct timespec){ .tv_sec = 20 };
	child = disturber(SIGUSR1);
	fails(nanosleep(&request, &left), EINTR, "one that is handled does");
	ok(left.tv_sec < 20 && left.tv_sec > 0, "and tells what was left");
	waitpid(child, NULL, 0);

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 20;
	left = (struct timespec){ .tv_sec = 77 };
	child = disturber(SIGUSR1);
	ok(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &end, &left) == EINTR &&
		   left.tv_sec == 77,
	   "a sleep to a time, too, which tells nothing");
	waitpid(child, NULL, 0);
	child = disturber(SIGUSR1);
	ok(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &request, NULL) == EINTR,
	   "who sleeps by the CPU time of a process that sleeps waits for a signal");
	waitpid(child, NULL, 0);
	signal(SIGUSR1, SIG_DFL);
}

/* What an idle machine with a tick of some milliseconds could not do. */
static void sleeping_is_precise(void)
{
	int64_t best = INT64_MAX;

	for (int i = 0; i < 50; i++) {
		struct timespec request = { .tv_nsec = 200000 };
		int64_t start = now(CLOCK_MONOTONIC), took;

		nanosleep(&request, NULL);
		took = now(CLOCK_MONOTONIC) - start;
		if (took < best)
			best = took;
	}
	ok(best >= 200000 && best < 1000000, "0.2 ms take %lld us", (long long)best / 1000);
}

static void the_clock_is_adjusted_by_nobody(void)
{
	struct timex timex = { 0 };

	ok(adjtimex(&timex) >= 0 && timex.tick > 9000 && timex.tick < 11000, "adjtimex");
	ok(llabs((long long)timex.time.tv_sec - now(CLOCK_REALTIME) / 1000000000) <= 2,
	   "and the time");
	fails(syscall(SYS_clock_adjtime, 99, &timex), EINVAL, "of an unknown clock");
	fails(syscall(SYS_adjtimex, 8L), EFAULT, "to nowhere");
}

static void work_is_counted(void)
{
	int64_t start = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
	struct rusage usage;
	struct tms times_used;
	volatile unsigned work = 0;

	while (now(CLOCK_MONOTONIC) - start < 50000000)
		work++;
	cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	ok(cpu > 0 && cpu <= now(CLOCK_MONOTONIC) - start, "50 ms of work are %lld us of CPU",
	   (long long)cpu / 1000);
	ok(getrusage(RUSAGE_SELF, &usage) == 0 &&
		   usage.ru_utime.tv_sec + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec > 0,
	   "getrusage");
	ok(times(&times_used) > 0, "times");
	ok(usage.ru_maxrss > 0 && usage.ru_minflt > 0, "memory and faults");
	{
		long before;

		getrusage(RUSAGE_SELF, &usage);
		before = usage.ru_nvcsw;
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
		getrusage(RUSAGE_SELF, &usage);
		ok(usage.ru_nvcsw > before, "sleeping is giving way");
	}
	fails(getrusage(77, &usage), EINVAL, "getrusage of whom?");
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	time_goes_forward();
	sleeping_takes_its_time();
	the_clocks_agree();
	every_clock_is_there();
	cpu_clocks_of_others();
	sleep_is_disturbed();
	sleeping_is_precise();
	the_clock_is_adjusted_by_nobody();
	work_is_counted();
	return done();
}
