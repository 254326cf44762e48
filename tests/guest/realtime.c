/*
 * Real-time threads (sched(7)): who goes before whom, who starves whom, and what keeps a machine alive
 * nevertheless. All on one processor.
 */
#define _GNU_SOURCE
#include "crew.h"

#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>

static int64_t now_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void spin(long ms)
{
	int64_t end = now_ns(CLOCK_THREAD_CPUTIME_ID) + ms * 1000000;

	while (now_ns(CLOCK_THREAD_CPUTIME_ID) < end)
		;
}

static long be(int policy, int priority)
{
	struct kernel_param {
		int priority;
	} param = { priority };

	return syscall(SYS_sched_setscheduler, 0, policy, &param);
}

static void stay_on_one(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

/* --- starving ----------------------------------------------------------------------------------------------- */

static atomic_long *shared; /* between processes: [0] counts, [64] tells */

static pid_t counter(void)
{
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		for (;;)
			shared[0]++;
	}
	soon(shared[0] > 0);
	return child;
}

/* How often the counter comes to its turn within 40 ms of one with that policy. */
static long counted_beside(int policy, int priority)
{
	pid_t child = counter();
	long before;

	if (be(policy, priority) != 0)
		return -1;
	before = shared[0];
	spin(30);
	before = shared[0] - before;
	be(SCHED_OTHER, 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	shared[0] = 0;
	return before;
}

static int others_starve(void)
{
	stay_on_one();
	want(counted_beside(SCHED_FIFO, 10) == 0);
	want(counted_beside(SCHED_RR, 10) == 0);
	want(counted_beside(SCHED_OTHER, 0) > 0);
	return 0;
}

static int but_not_for_ever(void)
{
	int64_t end = now_ns(CLOCK_MONOTONIC) + 4000000000;
	pid_t child;
	long before;

	stay_on_one();
	child = counter();
	want(be(SCHED_FIFO, 99) == 0);
	before = shared[0];
	while (shared[0] == before && now_ns(CLOCK_MONOTONIC) < end)
		;
	want(shared[0] != before);
	/* And it gets its turn back. */
	be(SCHED_OTHER, 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return 0;
}

/* --- who is first ---------------------------------------------------------------------------------------------- */

#define RUNNERS 3

static atomic_int gate, ready, finished;
static int order[64], steps;

struct runner {
	int policy, priority, number, rounds; /* or milliseconds */
	bool yields;
};

static void note(int number)
{
	if (steps < 64)
		order[steps++] = number;
}

static void *run(void *argument)
{
	struct runner *runner = argument;

	if (be(runner->policy, runner->priority) != 0)
		return argument;
	ready++;
	syscall(SYS_futex, &gate, FUTEX_WAIT, 0, NULL, NULL, 0);
	for (int i = 0; i < runner->rounds; i++) {
		note(runner->number);
		if (runner->yields)
			sched_yield();
	}
	finished++;
	return NULL;
}

/* All wait, and are let go at once by one that goes before them. */
static void race(struct runner *runners, int count)
{
	pthread_t threads[RUNNERS];

	gate = ready = finished = steps = 0;
	for (int i = 0; i < count; i++) {
		threads[i] = start(run, &runners[i]);
		soon(ready == i + 1);
		nap(2);
	}
	be(SCHED_FIFO, 90);
	gate = 1;
	syscall(SYS_futex, &gate, FUTEX_WAKE, count, NULL, NULL, 0);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	be(SCHED_OTHER, 0);
}

static int by_priority(void)
{
	struct runner runners[] = { { SCHED_FIFO, 10, 1, 2, false },
				    { SCHED_RR, 30, 3, 2, false },
				    { SCHED_FIFO, 20, 2, 2, false } };

	stay_on_one();
	race(runners, 3);
	want(steps == 6);
	want(order[0] == 3 && order[1] == 3 && order[2] == 2 && order[3] == 2 && order[4] == 1);
	return 0;
}

static int one_after_the_other(void)
{
	struct runner runners[] = { { SCHED_FIFO, 10, 1, 3, false },
				    { SCHED_FIFO, 10, 2, 3, false } };

	stay_on_one();
	race(runners, 2);
	want(steps == 6 && order[0] == 1 && order[2] == 1 && order[3] == 2 && order[5] == 2);
	runners[0].yields = runners[1].yields = true;
	race(runners, 2);
	want(steps == 6);
	for (int i = 0; i < 6; i++)
		want(order[i] == i % 2 + 1);
	/* Nor does it give way to who is less urgent. */
	runners[1].priority = 5;
	race(runners, 2);
	want(steps == 6 && order[2] == 1 && order[3] == 2);
	return 0;
}

static void *spin_in_turns(void *argument)
{
	struct runner *runner = argument;

	be(runner->policy, runner->priority);
	ready++;
	syscall(SYS_futex, &gate, FUTEX_WAIT, 0, NULL, NULL, 0);
	note(runner->number);
	spin(runner->rounds);
	note(runner->number);
	return NULL;
}

static int take_turns(int policy, int ms)
{
	struct runner runners[] = { { policy, 10, 1, ms, false }, { policy, 10, 2, ms, false } };
	pthread_t threads[2];

	gate = ready = steps = 0;
	for (int i = 0; i < 2; i++) {
		threads[i] = start(spin_in_turns, &runners[i]);
		soon(ready == i + 1);
		nap(2);
	}
	be(SCHED_FIFO, 90);
	gate = 1;
	syscall(SYS_futex, &gate, FUTEX_WAKE, 2, NULL, NULL, 0);
	join_all(threads, 2);
	be(SCHED_OTHER, 0);
	return order[1];
}

static int round_robin(void)
{
	stay_on_one();
	want(take_turns(SCHED_RR, 110) == 2);
	want(take_turns(SCHED_FIFO, 20) == 1);
	return 0;
}

/* --- waking ----------------------------------------------------------------------------------------------------- */

static void *wait_to_run(void *argument)
{
	struct runner *runner = argument;

	be(runner->policy, runner->priority);
	ready++;
	syscall(SYS_futex, &gate, FUTEX_WAIT, 0, NULL, NULL, 0);
	finished = 1;
	return NULL;
}

static int at_once(void)
{
	struct runner runner = { SCHED_FIFO, 1, 0, 0, false };
	pthread_t thread;
	int seen;

	stay_on_one();
	gate = ready = finished = 0;
	thread = start(wait_to_run, &runner);
	soon(ready == 1);
	nap(2);
	gate = 1;
	syscall(SYS_futex, &gate, FUTEX_WAKE, 1, NULL, NULL, 0);
	seen = finished;
	pthread_join(thread, NULL);
	want(seen == 1);
	return 0;
}

/* --- RLIMIT_RTTIME ------------------------------------------------------------------------------------------------ */

/* Far apart: a machine that its host stops for a while takes that time for its own. */
static const struct rlimit far_apart = { 250000, 800000 };

static void told(int signal)
{
	(void)signal;
	shared[64] = now_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000000;
}

static int limited(void)
{
	stay_on_one();
	shared[64] = 0;
	signal(SIGXCPU, told);
	want(setrlimit(RLIMIT_RTTIME, &far_apart) == 0);
	spin(260);
	want(shared[64] == 0); /* nobody else is meant */
	want(be(SCHED_FIFO, 10) == 0);
	spin(2000);
	return 0;
}

static int not_while_it_sleeps(void)
{
	stay_on_one();
	want(setrlimit(RLIMIT_RTTIME, &far_apart) == 0 && be(SCHED_FIFO, 10) == 0);
	for (int i = 0; i < 3; i++) {
		spin(100);
		nap(1);
	}
	return 0;
}

int main(int argc, char **argv)
{
	int result;

	(void)argc;
	tap_begin(argv);
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ok(in_child(others_starve) == 0, "a real-time thread leaves nothing to others");
	ok(in_child(but_not_for_ever) == 0, "but a rest of each second");
	ok(in_child(by_priority) == 0, "the most urgent is first");
	ok(in_child(one_after_the_other) == 0, "those of one priority keep their order");
	ok(in_child(round_robin) == 0, "SCHED_RR takes turns, SCHED_FIFO does not");
	ok(in_child(at_once) == 0, "who is woken and urgent runs at once");
	result = in_child(limited);
	ok(result == 1000 + SIGKILL && shared[64] >= 510 && shared[64] < 1000,
	   "RLIMIT_RTTIME: SIGXCPU after %ld ms, then the end", (long)shared[64]);
	ok(in_child(not_while_it_sleeps) == 0, "sleeping begins it anew");
	return done();
}
