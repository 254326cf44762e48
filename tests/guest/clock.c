/*
 * Time: it goes forward, sleeping takes as long as it says, and the clocks agree.
 */
#include "tap.h"

#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
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
	fails(getrusage(77, &usage), EINVAL, "getrusage of whom?");
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	time_goes_forward();
	sleeping_takes_its_time();
	the_clocks_agree();
	work_is_counted();
	return done();
}
