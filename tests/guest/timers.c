/*
 * Timers that send signals: alarm(2), setitimer(2) on real time and on CPU time, timer_create(2) and its
 * family, and the limit on CPU time.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#define MS    INT64_C(1000000)
#define SEC   INT64_C(1000000000)
#define BOUND (20 * SEC) /* nothing here takes longer, however slow the machine */

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id __sev_fields.sigev_notify_thread_id
#endif

static volatile sig_atomic_t seen;
static volatile int seen_code, seen_overrun, seen_timer;
static volatile intptr_t seen_value;

static void on_signal(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)context;
	seen_code = info->si_code;
	seen_overrun = info->si_overrun;
	seen_timer = info->si_timerid;
	seen_value = (intptr_t)info->si_value.sival_ptr;
	seen++;
}

/* The main program may not get a turn in between: the handler puts an end to it. */
static void on_busy_signal(int signal)
{
	(void)signal;
	if (++seen == 100)
		setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
}

static void handle(int signal)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	sigaction(signal, &action, NULL);
	seen = 0;
}

static int64_t now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec * SEC + time.tv_nsec;
}

static struct timeval tv(int64_t ns)
{
	return (struct timeval){ .tv_sec = ns / SEC, .tv_usec = ns % SEC / 1000 };
}

static struct timespec ts(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / SEC, .tv_nsec = ns % SEC };
}

/* Sleeps until `count` signals have come. */
static bool wait_for(int signal, int count)
{
	int64_t end = now(CLOCK_MONOTONIC) + BOUND;
	sigset_t block, old;

	sigemptyset(&block);
	sigaddset(&block, signal);
	sigprocmask(SIG_BLOCK, &block, &old);
	while (seen < count && now(CLOCK_MONOTONIC) < end)
		sigsuspend(&old);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return seen >= count;
}

/* Works until `count` signals have come. */
static bool work_for(int count)
{
	int64_t end = now(CLOCK_MONOTONIC) + BOUND;

	while (seen < count && now(CLOCK_MONOTONIC) < end)
		;
	return seen >= count;
}

static void alarms(void)
{
	int64_t start;

	handle(SIGALRM);
	ok(alarm(100) == 0, "no alarm was set");
	ok(alarm(50) == 100, "the one before had 100 seconds left");
	ok(alarm(0) == 50 && alarm(0) == 0, "an alarm is taken back");
	start = now(CLOCK_MONOTONIC);
	alarm(1);
	ok(wait_for(SIGALRM, 1) && now(CLOCK_MONOTONIC) - start >= SEC, "an alarm in a second");
	ok(seen_code == SI_KERNEL, "sent by the kernel");
}

static void real_timer(void)
{
	struct itimerval value = { .it_value = tv(20 * MS) }, left;
	int64_t start = now(CLOCK_MONOTONIC);

	handle(SIGALRM);
	ok(setitimer(ITIMER_REAL, &value, NULL) == 0, "a timer for 20 ms");
	getitimer(ITIMER_REAL, &left);
	ok(left.it_value.tv_sec == 0 && left.it_value.tv_usec > 0 &&
		   left.it_value.tv_usec <= 20000 && left.it_interval.tv_usec == 0,
	   "not more than that is left");
	ok(wait_for(SIGALRM, 1) && now(CLOCK_MONOTONIC) - start >= 20 * MS, "it comes, not before");
	getitimer(ITIMER_REAL, &left);
	ok(left.it_value.tv_sec == 0 && left.it_value.tv_usec == 0, "once");

	handle(SIGALRM);
	start = now(CLOCK_MONOTONIC);
	value.it_value = value.it_interval = tv(5 * MS);
	setitimer(ITIMER_REAL, &value, NULL);
	ok(wait_for(SIGALRM, 5) && now(CLOCK_MONOTONIC) - start >= 25 * MS, "five times each 5 ms");
	value.it_value = value.it_interval = tv(0);
	ok(setitimer(ITIMER_REAL, &value, &left) == 0 && left.it_interval.tv_usec == 5000,
	   "what it was set to before");

	/* Shorter than anything can be done in. */
	seen = 0;
	signal(SIGALRM, on_busy_signal);
	value.it_value = value.it_interval = (struct timeval){ .tv_usec = 1 };
	setitimer(ITIMER_REAL, &value, NULL);
	ok(work_for(100), "a hundred times each microsecond");
	getitimer(ITIMER_REAL, &value);
	ok(value.it_interval.tv_usec == 0, "and then no more");

	fails(setitimer(77, &value, NULL), EINVAL, "no such timer");
	value.it_value.tv_usec = 1000000;
	fails(setitimer(ITIMER_REAL, &value, NULL), EINVAL, "too many microseconds");
	fails(getitimer(-1, &value), EINVAL, "getitimer of which?");
	fails(syscall(SYS_getitimer, ITIMER_REAL, 8L), EFAULT, "nowhere to put it");
}

static void timers_are_not_inherited(void)
{
	struct itimerval value = { .it_value = tv(1000 * SEC) }, left;
	int status;
	pid_t child;

	setitimer(ITIMER_REAL, &value, NULL);
	child = fork();
	if (child == 0) {
		getitimer(ITIMER_REAL, &left);
		_exit(left.it_value.tv_sec != 0);
	}
	waitpid(child, &status, 0);
	ok(status == 0, "a child has no timer of its parent's");
	getitimer(ITIMER_REAL, &left);
	ok(left.it_value.tv_sec >= 990, "which goes on in the parent");
	value.it_value = tv(0);
	setitimer(ITIMER_REAL, &value, NULL);
}

static void cpu_time_timers(void)
{
	struct itimerval value = { .it_value = tv(30 * MS), .it_interval = tv(10 * MS) }, left;
	int64_t start = now(CLOCK_PROCESS_CPUTIME_ID);

	handle(SIGPROF);
	setitimer(ITIMER_PROF, &value, NULL);
	ok(work_for(3), "ITIMER_PROF comes while there is work");
	ok(now(CLOCK_PROCESS_CPUTIME_ID) - start >= 30 * MS, "as much as was asked for");
	memset(&value, 0, sizeof(value));
	ok(setitimer(ITIMER_PROF, &value, &left) == 0 && left.it_interval.tv_usec >= 10000,
	   "its interval is remembered");

	handle(SIGVTALRM);
	value.it_value = tv(20 * MS);
	setitimer(ITIMER_VIRTUAL, &value, NULL);
	ok(work_for(1), "ITIMER_VIRTUAL, too");
	getitimer(ITIMER_VIRTUAL, &left);
	ok(left.it_value.tv_sec == 0 && left.it_value.tv_usec == 0, "once");

	handle(SIGPROF);
	value.it_value = tv(20 * MS);
	setitimer(ITIMER_PROF, &value, NULL);
	nanosleep(&(struct timespec){ .tv_nsec = 60 * MS }, NULL);
	ok(seen == 0, "sleeping is no work");
	value.it_value = tv(0);
	setitimer(ITIMER_PROF, &value, NULL);
}

static void cpu_limit(void)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		struct rlimit limit = { .rlim_cur = 1, .rlim_max = 2 };

		signal(SIGXCPU, SIG_DFL);
		setrlimit(RLIMIT_CPU, &limit);
		for (;;)
			;
	}
	waitpid(child, &status, 0);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU, "a second is all the time it had");
}

/* --- timer_create ------------------------------------------------------------------------------------- */

static struct sigevent by_signal(int signal, intptr_t value)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = signal };

	event.sigev_value.sival_ptr = (void *)value;
	return event;
}

static bool arm(timer_t timer, int flags, int64_t value, int64_t interval)
{
	struct itimerspec setting = { .it_value = ts(value), .it_interval = ts(interval) };

	return timer_settime(timer, flags, &setting, NULL) == 0;
}

static void posix_timer(clockid_t clock, const char *name)
{
	struct sigevent event = by_signal(SIGRTMIN + 3, 4711);
	struct itimerspec left;
	int64_t start;
	timer_t timer;

	handle(SIGRTMIN + 3);
	ok(timer_create(clock, &event, &timer) == 0, "a timer on %s", name);
	timer_gettime(timer, &left);
	ok(left.it_value.tv_sec == 0 && left.it_value.tv_nsec == 0, "is not armed");
	start = now(CLOCK_MONOTONIC);
	ok(arm(timer, 0, 10 * MS, 0), "until it is set");
	timer_gettime(timer, &left);
	ok(left.it_value.tv_nsec <= 10 * MS, "to 10 ms");
	ok(wait_for(SIGRTMIN + 3, 1) && now(CLOCK_MONOTONIC) - start >= 10 * MS, "it comes");
	ok(seen_code == SI_TIMER && seen_value == 4711, "with its value");
	ok(seen_overrun == 0 && timer_getoverrun(timer) == 0, "none was missed");
	seen = 0;
	ok(arm(timer, TIMER_ABSTIME, now(clock) + 5 * MS, 0) && wait_for(SIGRTMIN + 3, 1),
	   "at a time");
	seen = 0;
	ok(arm(timer, TIMER_ABSTIME, 1, 0) && wait_for(SIGRTMIN + 3, 1), "at one that is past");
	seen = 0;
	arm(timer, 0, 5 * MS, 0);
	arm(timer, 0, 0, 0);
	nanosleep(&(struct timespec){ .tv_nsec = 20 * MS }, NULL);
	ok(seen == 0, "a disarmed one does not come");
	ok(timer_delete(timer) == 0, "it is deleted");
	ok(timer_delete(timer) != 0, "once");
}

static void overruns(void)
{
	struct sigevent event = by_signal(SIGRTMIN + 1, 0);
	sigset_t set;
	siginfo_t info;
	timer_t timer;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	arm(timer, 0, 1 * MS, 1 * MS);
	nanosleep(&(struct timespec){ .tv_nsec = 50 * MS }, NULL);
	ok(sigwaitinfo(&set, &info) == SIGRTMIN + 1 && info.si_code == SI_TIMER &&
		   info.si_overrun >= 40,
	   "a signal that waits stands for %d more", info.si_overrun);
	ok(timer_getoverrun(timer) == info.si_overrun, "timer_getoverrun says the same");
	ok(sigwaitinfo(&set, &info) == SIGRTMIN + 1, "and it goes on");
	timer_delete(timer);
	while (sigtimedwait(&set, &info, &(struct timespec){ 0 }) > 0)
		;
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* While its signal is ignored nobody notices; afterwards it goes on, and what was missed is told. */
static void ignored(void)
{
	struct sigevent event = by_signal(SIGRTMIN + 4, 0);
	siginfo_t info = { 0 };
	struct itimerspec left;
	sigset_t set;
	timer_t timer;

	signal(SIGRTMIN + 4, SIG_IGN);
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	arm(timer, 0, 2 * MS, 2 * MS);
	nanosleep(&(struct timespec){ .tv_nsec = 30 * MS }, NULL);
	timer_gettime(timer, &left);
	ok(left.it_value.tv_nsec > 0 && left.it_value.tv_nsec <= 2 * MS,
	   "a timer whose signal is ignored runs");
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 4);
	sigprocmask(SIG_BLOCK, &set, NULL);
	handle(SIGRTMIN + 4);
	sigtimedwait(&set, &info, &(struct timespec){ .tv_sec = 2 });
	ok(info.si_signo == SIGRTMIN + 4 && info.si_overrun >= 8,
	   "its signal comes when it is not ignored any more, for %d that were", info.si_overrun);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	ok(wait_for(SIGRTMIN + 4, 3), "again and again");
	timer_delete(timer);
}

/* Two timers with the same standard signal: neither's is lost. */
static void shared_signal(void)
{
	struct sigevent first = by_signal(SIGUSR1, 1), second = by_signal(SIGUSR1, 2);
	timer_t timers[2];
	sigset_t set;
	siginfo_t info;
	intptr_t values = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	timer_create(CLOCK_MONOTONIC, &first, &timers[0]);
	timer_create(CLOCK_MONOTONIC, &second, &timers[1]);
	arm(timers[0], 0, 1 * MS, 0);
	arm(timers[1], 0, 2 * MS, 0);
	for (int i = 0; i < 2; i++) {
		if (sigtimedwait(&set, &info, &(struct timespec){ .tv_sec = 20 }) == SIGUSR1)
			values += (intptr_t)info.si_value.sival_ptr;
		if (i == 0)
			nanosleep(&(struct timespec){ .tv_nsec = 10 * MS }, NULL);
	}
	ok(values == 3, "two timers with one signal");
	timer_delete(timers[0]);
	timer_delete(timers[1]);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void silent_and_addressed(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_NONE };
	struct itimerspec left;
	timer_t timer;

	handle(SIGUSR2);
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	arm(timer, 0, 1 * MS, 0);
	nanosleep(&(struct timespec){ .tv_nsec = 5 * MS }, NULL);
	timer_gettime(timer, &left);
	ok(left.it_value.tv_sec == 0 && left.it_value.tv_nsec == 0, "SIGEV_NONE only runs");
	arm(timer, 0, 1000 * SEC, 0);
	timer_gettime(timer, &left);
	ok(left.it_value.tv_sec >= 990, "and can be asked");
	timer_delete(timer);

	event = by_signal(SIGUSR2, 0);
	event.sigev_notify = SIGEV_THREAD_ID;
	event.sigev_notify_thread_id = (int)syscall(SYS_gettid);
	ok(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) == 0, "one for a thread");
	{
		struct itimerspec soon = { .it_value = { .tv_nsec = 1 * MS } };

		ok(syscall(SYS_timer_settime, (long)(int)(intptr_t)timer, 0, &soon, NULL) == 0 &&
			   wait_for(SIGUSR2, 1),
		   "tells it");
		syscall(SYS_timer_delete, (long)(int)(intptr_t)timer);
	}
	event.sigev_notify_thread_id = 1 << 30;
	fails(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer), EINVAL, "whose thread?");
}

static void cpu_time_posix_timer(clockid_t clock, const char *name)
{
	struct sigevent event = by_signal(SIGUSR1, 0);
	int64_t start = now(clock);
	timer_t timer;

	handle(SIGUSR1);
	ok(timer_create(clock, &event, &timer) == 0 && arm(timer, 0, 20 * MS, 0), "a timer on %s",
	   name);
	ok(work_for(1) && now(clock) - start >= 20 * MS, "comes after so much work");
	timer_delete(timer);
}

static void mistakes(void)
{
	struct sigevent event = by_signal(99, 0);
	struct itimerspec bad = { .it_value.tv_nsec = SEC };
	int id;

	fails(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id), EINVAL, "signal 99");
	event.sigev_signo = SIGUSR1;
	event.sigev_notify = 77;
	fails(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id), EINVAL, "notify how?");
	fails(syscall(SYS_timer_create, CLOCK_MONOTONIC_RAW, NULL, &id), EOPNOTSUPP, "a raw clock");
	fails(syscall(SYS_timer_create, 99, NULL, &id), EINVAL, "no such clock");
	fails(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, 8L), EFAULT, "nowhere to put it");
	fails(syscall(SYS_timer_settime, 12345, 0, &bad, NULL), EINVAL, "bad nanoseconds");
	fails(syscall(SYS_timer_gettime, 12345, &bad), EINVAL, "no such timer");
	fails(syscall(SYS_timer_getoverrun, 12345), EINVAL, "nor an overrun of it");
	ok(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id) == 0,
	   "SIGALRM where nothing is said");
	syscall(SYS_timer_delete, id);
}

/* Signals pending are limited, and so are timers that may have one. */
static void limited(void)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		struct rlimit limit = { .rlim_cur = 20, .rlim_max = 20 };
		int id, made = 0;

		setrlimit(RLIMIT_SIGPENDING, &limit);
		while (made < 100 && syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id) == 0)
			made++;
		_exit(made <= 20 && errno == EAGAIN ? 0 : 1);
	}
	waitpid(child, &status, 0);
	ok(status == 0, "timers are limited");
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	alarms();
	real_timer();
	timers_are_not_inherited();
	cpu_time_timers();
	cpu_limit();
	posix_timer(CLOCK_MONOTONIC, "CLOCK_MONOTONIC");
	posix_timer(CLOCK_REALTIME, "CLOCK_REALTIME");
	posix_timer(CLOCK_BOOTTIME, "CLOCK_BOOTTIME");
	overruns();
	ignored();
	shared_signal();
	silent_and_addressed();
	cpu_time_posix_timer(CLOCK_PROCESS_CPUTIME_ID, "CLOCK_PROCESS_CPUTIME_ID");
	cpu_time_posix_timer(CLOCK_THREAD_CPUTIME_ID, "CLOCK_THREAD_CPUTIME_ID");
	mistakes();
	limited();
	return done();
}
