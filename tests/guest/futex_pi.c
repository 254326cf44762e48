/*
 * futex(2)'s locks with owners: priorities that are inherited, along chains, too; who is next; deadlocks;
 * waiting at a condition for such a lock. And futex_waitv(2).
 */
#define _GNU_SOURCE
#include "crew.h"

#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

static _Atomic uint32_t lock_a, lock_b, condition, gate;
static atomic_int ready, waiting;
static int order[16],
	steps; /* changed by one at a time: all run on one processor, or hold a lock */

static long futex(_Atomic uint32_t *word, int operation, uint32_t value, const void *timeout,
		  _Atomic uint32_t *word2, uint32_t value3)
{
	return syscall(SYS_futex, word, operation, value, timeout, word2, value3);
}

static long lock(_Atomic uint32_t *word)
{
	uint32_t free = 0;

	if (atomic_compare_exchange_strong(word, &free, (uint32_t)tid_here()))
		return 0;
	return futex(word, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
}

static long unlock(_Atomic uint32_t *word)
{
	uint32_t own = (uint32_t)tid_here();

	if (atomic_compare_exchange_strong(word, &own, 0))
		return 0;
	return futex(word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
}

static void note(int number)
{
	if (steps < 16)
		order[steps++] = number;
}

static void begin(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	lock_a = lock_b = condition = gate = 0;
	ready = waiting = steps = 0;
}

static long be(int policy, int priority)
{
	struct kernel_param {
		int priority;
	} param = { priority };

	return syscall(SYS_sched_setscheduler, 0, policy, &param);
}

static void wait_at_gate(void)
{
	ready++;
	futex(&gate, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void open_gate(void)
{
	gate = 1;
	futex(&gate, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void spin(long ms)
{
	struct timespec now;
	long end;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	end = now.tv_sec * 1000 + now.tv_nsec / 1000000 + ms;
	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	while (now.tv_sec * 1000 + now.tv_nsec / 1000000 < end);
}

/* --- inheritance --------------------------------------------------------------------------------------------- */

/* Holds A and would have to wait for who is more urgent. */
static void *low(void *unused)
{
	be(SCHED_FIFO, 10);
	lock(&lock_a);
	wait_at_gate();
	spin(5);
	unlock(&lock_a);
	note('l');
	return unused;
}

/* Holds B, and wants A. */
static void *between(void *unused)
{
	be(SCHED_FIFO, 15);
	lock(&lock_b);
	wait_at_gate();
	lock(&lock_a);
	unlock(&lock_a);
	unlock(&lock_b);
	note('b');
	return unused;
}

/* Wants nothing but the processor. */
static void *middle(void *unused)
{
	be(SCHED_FIFO, 20);
	wait_at_gate();
	/* Whoever is more urgent sleeps until it has what it wants. */
	spin(30);
	note('m');
	return unused;
}

static void *high(void *word)
{
	be(SCHED_FIFO, 30);
	wait_at_gate();
	nap(1);
	lock(word);
	note('h');
	unlock(word);
	return NULL;
}

static void run_all(void *(*const bodies[])(void *), int count, void *wanted)
{
	pthread_t threads[4];

	for (int i = 0; i < count; i++) {
		threads[i] = start(bodies[i], wanted);
		soon(ready == i + 1);
		nap(2);
	}
	be(SCHED_FIFO, 90);
	open_gate();
	join_all(threads, count);
	be(SCHED_OTHER, 0);
}

static int inherited(void)
{
	void *(*const bodies[])(void *) = { low, middle, high };

	begin();
	run_all(bodies, 3, (void *)&lock_a);
	want(steps == 3 && order[0] == 'h' && order[1] == 'm' && order[2] == 'l');
	return 0;
}

static int along_a_chain(void)
{
	void *(*const bodies[])(void *) = { low, between, middle, high };

	begin();
	run_all(bodies, 4, (void *)&lock_b);
	want(steps == 4 && order[0] == 'h' && order[1] == 'm');
	return 0;
}

/* --- who is next ------------------------------------------------------------------------------------------------ */

static void *lock_and_note(void *priority)
{
	be(SCHED_FIFO, (int)(long)priority);
	waiting++;
	lock(&lock_a);
	note((int)(long)priority);
	unlock(&lock_a);
	return NULL;
}

static int most_urgent_first(void)
{
	static const long priorities[] = { 10, 30, 20, 30 };
	pthread_t threads[4];

	begin();
	lock(&lock_a);
	for (int i = 0; i < 4; i++) {
		threads[i] = start(lock_and_note, (void *)priorities[i]);
		soon(waiting == i + 1);
		nap(2);
	}
	unlock(&lock_a);
	join_all(threads, 4);
	want(steps == 4 && order[0] == 30 && order[1] == 30 && order[2] == 20 && order[3] == 10);
	return 0;
}

static long refused;

static void *cross(void *unused)
{
	lock(&lock_b);
	ready = 1;
	refused = lock(&lock_a);
	if (refused == 0)
		unlock(&lock_a);
	unlock(&lock_b);
	return unused;
}

static int deadlock(void)
{
	pthread_t thread;
	long result;

	begin();
	lock(&lock_a);
	thread = start(cross, NULL);
	soon(ready == 1);
	nap(5);
	result = lock(&lock_b);
	want(result == -1 && errno == EDEADLK);
	unlock(&lock_a);
	pthread_join(thread, NULL);
	want(refused == 0);
	return 0;
}

static void nothing(int signal)
{
	(void)signal;
}

static void *lock_patiently(void *unused)
{
	waiting = tid_here();
	refused = lock(&lock_a);
	unlock(&lock_a);
	return unused;
}

/* A handler without SA_RESTART: libc's mutexes know of no EINTR. */
static int patience(void)
{
	struct sigaction action = { .sa_handler = nothing };
	pthread_t thread;

	begin();
	sigaction(SIGUSR1, &action, NULL);
	lock(&lock_a);
	thread = start(lock_patiently, NULL);
	soon(waiting != 0);
	nap(3);
	for (int i = 0; i < 3; i++) {
		syscall(SYS_tgkill, getpid(), waiting, SIGUSR1);
		nap(1);
	}
	unlock(&lock_a);
	pthread_join(thread, NULL);
	want(refused == 0);
	return 0;
}

/* --- at a condition ------------------------------------------------------------------------------------------------ */

static atomic_int had, failed;

static void *wait_for_lock(void *unused)
{
	waiting++;
	if (futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &lock_a, 0) != 0 ||
	    (lock_a & FUTEX_TID_MASK) != (uint32_t)tid_here()) {
		failed++;
		return unused;
	}
	had++;
	nap(1);
	unlock(&lock_a);
	return unused;
}

static long requeue(int wakes, long moves, uint32_t expected)
{
	return futex(&condition, FUTEX_CMP_REQUEUE_PI, (uint32_t)wakes, (void *)moves, &lock_a,
		     expected);
}

static void gather(pthread_t *threads, int count)
{
	waiting = had = failed = 0;
	for (int i = 0; i < count; i++)
		threads[i] = start(wait_for_lock, NULL);
	soon(waiting == count);
	nap(5);
}

static int requeued(void)
{
	pthread_t threads[4];

	begin();
	gather(threads, 4);
	want(requeue(2, 1, 0) == -1 && errno == EINVAL);
	want(requeue(1, 1, 7) == -1 && errno == EAGAIN);
	want(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)1L, &condition, 0) == -1 &&
	     errno == EINVAL);
	want(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)1L, &lock_b, 0) == -1 &&
	     errno == EINVAL);
	want(futex(&condition, FUTEX_WAKE, 1, NULL, NULL, 0) == -1 && errno == EINVAL);
	/* The lock is free: one has it, the others wait for it, and get it in turn. */
	want(requeue(1, INT_MAX, 0) == 4);
	join_all(threads, 4);
	want(had == 4 && failed == 0 && lock_a == 0);
	want(requeue(1, INT_MAX, 0) == 0);
	/* It is taken: all wait. */
	gather(threads, 3);
	lock(&lock_a);
	want(requeue(1, 0, 0) == 1);
	nap(5);
	want(had == 0);
	want(requeue(1, INT_MAX, 0) == 2);
	unlock(&lock_a);
	join_all(threads, 3);
	want(had == 3 && failed == 0 && lock_a == 0);
	return 0;
}

static void *wait_a_moment(void *unused)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += 20000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	waiting++;
	refused = futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, &until, &lock_a, 0);
	ready = errno;
	return unused;
}

static int in_vain(void)
{
	pthread_t thread;

	begin();
	want(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 5, NULL, &lock_a, 0) == -1 &&
	     errno == EAGAIN);
	want(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &condition, 0) == -1 &&
	     errno == EINVAL);
	/* Before it is moved, and afterwards. */
	thread = start(wait_a_moment, NULL);
	pthread_join(thread, NULL);
	want(refused == -1 && ready == ETIMEDOUT);
	lock(&lock_a);
	waiting = 0;
	thread = start(wait_a_moment, NULL);
	soon(waiting == 1);
	nap(3);
	want(requeue(1, 0, 0) == 1);
	pthread_join(thread, NULL);
	want(refused == -1 && ready == ETIMEDOUT);
	unlock(&lock_a);
	want(lock_a == 0);
	return 0;
}

static void *lock_and_end(void *unused)
{
	lock(&lock_a);
	ready = 1;
	soon(gate == 1);
	return unused;
}

/* Who holds the lock ends without giving it back. */
static int orphaned(void)
{
	pthread_t thread, waiter;

	begin();
	thread = start(lock_and_end, NULL);
	soon(ready == 1);
	gather(&waiter, 1);
	want(requeue(1, 0, 0) == 1);
	gate = 1;
	pthread_join(thread, NULL);
	pthread_join(waiter, NULL);
	want(had == 1 && failed == 0);
	return 0;
}

static char *self; /* argv[0] */
static _Atomic uint32_t *shared;

static void *lock_and_exec(void *unused)
{
	lock(shared);
	nap(30);
	execl(self, self, "stay", NULL);
	_exit(1);
	return unused;
}

/* Who holds the lock has become another program. */
static int lost_to_exec(bool by_thread)
{
	struct timespec until;
	pid_t child;
	long result;

	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	want(shared != MAP_FAILED);
	child = fork();
	if (child == 0) {
		if (by_thread)
			pthread_join(start(lock_and_exec, NULL), NULL);
		lock_and_exec(NULL);
	}
	soon(*shared != 0);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 1;
	result = futex(shared, FUTEX_LOCK_PI, 0, &until, NULL, 0);
	want(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
	want(result == 0 &&
	     (*shared & ~FUTEX_WAITERS) == ((uint32_t)tid_here() | FUTEX_OWNER_DIED));
	return 0;
}

static int exec_of_leader(void)
{
	return lost_to_exec(false);
}

static int exec_of_thread(void)
{
	return lost_to_exec(true);
}

/* --- as libc has it ---------------------------------------------------------------------------------------------- */

static pthread_mutex_t mutex;
static pthread_cond_t signalled;
static int tokens;

static void *take_token(void *unused)
{
	pthread_mutex_lock(&mutex);
	waiting++;
	while (tokens == 0)
		pthread_cond_wait(&signalled, &mutex);
	tokens--;
	pthread_mutex_unlock(&mutex);
	return unused;
}

static int in_libc(void)
{
	pthread_mutexattr_t attributes;
	pthread_t threads[6];

	begin();
	pthread_mutexattr_init(&attributes);
	want(pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT) == 0);
	want(pthread_mutex_init(&mutex, &attributes) == 0);
	pthread_cond_init(&signalled, NULL);
	for (int i = 0; i < 6; i++)
		threads[i] = start(take_token, NULL);
	soon(waiting == 6);
	for (int i = 0; i < 3; i++) {
		pthread_mutex_lock(&mutex);
		tokens++;
		pthread_cond_signal(&signalled);
		pthread_mutex_unlock(&mutex);
	}
	pthread_mutex_lock(&mutex);
	tokens += 3;
	pthread_cond_broadcast(&signalled);
	pthread_mutex_unlock(&mutex);
	join_all(threads, 6);
	want(tokens == 0);
	return 0;
}

/* --- several at once ------------------------------------------------------------------------------------------------ */

struct entry { /* struct futex_waitv */
	uint64_t value, address;
	uint32_t flags, reserved;
};

#define SIZE_32 2 /* FUTEX_32 */

static _Atomic uint32_t words[130];

static long wait_for(struct entry *entries, unsigned count, unsigned flags,
		     const struct timespec *until, clockid_t clock)
{
	return syscall(SYS_futex_waitv, entries, count, flags, until, clock);
}

static void fill(struct entry *entries, int count)
{
	for (int i = 0; i < count; i++) {
		words[i] = 0;
		entries[i] = (struct entry){ 0, (uintptr_t)&words[i], SIZE_32, 0 };
	}
}

static void *wake_one_of(void *index)
{
	nap(10);
	words[(long)index] = 1;
	futex(&words[(long)index], FUTEX_WAKE, 1, NULL, NULL, 0);
	return NULL;
}

static int several(void)
{
	struct entry entries[130];
	struct timespec past = { 1, 0 };
	pthread_t thread;

	fill(entries, 130);
	thread = start(wake_one_of, (void *)7);
	want(wait_for(entries, 128, 0, NULL, CLOCK_MONOTONIC) == 7);
	pthread_join(thread, NULL);
	want(wait_for(entries, 128, 0, NULL, CLOCK_MONOTONIC) == -1 && errno == EAGAIN);
	words[7] = 0;
	want(wait_for(entries, 8, 0, &past, CLOCK_MONOTONIC) == -1 && errno == ETIMEDOUT);
	want(wait_for(entries, 8, 0, &past, CLOCK_REALTIME) == -1 && errno == ETIMEDOUT);
	want(wait_for(entries, 8, 0, &past, CLOCK_BOOTTIME) == -1 && errno == EINVAL);
	want(wait_for(entries, 129, 0, NULL, CLOCK_MONOTONIC) == -1 && errno == EINVAL);
	want(wait_for(entries, 0, 0, NULL, CLOCK_MONOTONIC) == -1 && errno == EINVAL);
	want(wait_for(entries, 1, 1, NULL, CLOCK_MONOTONIC) == -1 && errno == EINVAL);
	want(wait_for(NULL, 1, 0, NULL, CLOCK_MONOTONIC) == -1 && errno == EINVAL);
	want(wait_for((void *)8, 1, 0, NULL, CLOCK_MONOTONIC) == -1 && errno == EFAULT);
	entries[1].flags = 0;
	want(wait_for(entries, 2, 0, &past, CLOCK_MONOTONIC) == -1 && errno == EINVAL);
	entries[1].flags = SIZE_32 | FUTEX_PRIVATE_FLAG;
	entries[1].reserved = 1;
	want(wait_for(entries, 2, 0, &past, CLOCK_MONOTONIC) == -1 && errno == EINVAL);
	entries[1].reserved = 0;
	entries[1].address += 2;
	want(wait_for(entries, 2, 0, &past, CLOCK_MONOTONIC) == -1 && errno == EINVAL);
	entries[1].address = 16;
	want(wait_for(entries, 2, 0, &past, CLOCK_MONOTONIC) == -1 && errno == EFAULT);
	/* The same word twice, and nobody is left behind. */
	entries[1] = entries[0];
	thread = start(wake_one_of, (void *)0);
	want(wait_for(entries, 2, 0, NULL, CLOCK_MONOTONIC) >= 0);
	pthread_join(thread, NULL);
	want(futex(&words[0], FUTEX_WAKE, 9, NULL, NULL, 0) == 0);
	return 0;
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc > 1)
		return pause();
	tap_begin(argv);
	ok(in_child(inherited) == 0, "the owner is as urgent as who waits");
	ok(in_child(along_a_chain) == 0, "and so is who it waits for");
	ok(in_child(most_urgent_first) == 0, "the most urgent is next");
	ok(in_child(deadlock) == 0, "who would wait for himself is told");
	ok(in_child(patience) == 0, "a handler does not end the waiting for a lock");
	ok(in_child(requeued) == 0, "FUTEX_CMP_REQUEUE_PI");
	ok(in_child(in_vain) == 0, "FUTEX_WAIT_REQUEUE_PI in vain");
	ok(in_child(orphaned) == 0, "a lock whose owner has ended reaches them, too");
	ok(in_child(exec_of_leader) == 0, "so does one whose owner has become another program");
	ok(in_child(exec_of_thread) == 0, "be it from a thread");
	ok(in_child(in_libc) == 0, "a condition variable with a PI mutex");
	ok(in_child(several) == 0, "futex_waitv");
	return done();
}
