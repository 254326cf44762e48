/*
 * futex(2): each operation by itself, between threads and between processes; and what libc builds from
 * it: condition variables, barriers, reader-writer locks, robust mutexes, PI mutexes, cancellation.
 */
#define _GNU_SOURCE
#include "crew.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

#define CROWD 16

static long futex(void *word, int operation, uint32_t value, const void *timeout, void *word2,
		  uint32_t value3)
{
	return syscall(SYS_futex, word, operation, value, timeout, word2, value3);
}

static long futex_counts(void *word, int operation, uint32_t value, long value2, void *word2,
			 uint32_t value3)
{
	return syscall(SYS_futex, word, operation, value, value2, word2, value3);
}

/* --- waiting and waking ------------------------------------------------------------------------------ */

static _Atomic uint32_t word, word2;
static atomic_int waiting, woken;

static void *wait_here(void *bits)
{
	waiting++;
	if (futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, (uint32_t)(long)bits) == 0)
		woken++;
	return NULL;
}

/* So many have reached the futex: nobody can be seen to sleep in it, so ask it to wake none of them. */
static void begin(pthread_t *threads, int count, uint32_t bits)
{
	waiting = woken = 0;
	for (int i = 0; i < count; i++)
		threads[i] = start(wait_here, (void *)(long)bits);
	soon(waiting == count);
	nap(5);
}

static void test_wait(void)
{
	struct timespec short_time = { 0, 3000000 }, bad = { 0, 1000000000 }, past = { 1, 0 };
	pthread_t threads[4];

	word = 5;
	fails(futex(&word, FUTEX_WAIT, 4, NULL, NULL, 0), EAGAIN,
	      "a word that has changed already");
	fails(futex(&word, FUTEX_WAIT, 5, &short_time, NULL, 0), ETIMEDOUT, "a relative timeout");
	fails(futex(&word, FUTEX_WAIT_BITSET, 5, &past, NULL, 1), ETIMEDOUT, "an absolute one");
	fails(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 5, &past, NULL, 1), ETIMEDOUT,
	      "on the other clock");
	fails(futex(&word, FUTEX_WAIT, 5, &bad, NULL, 0), EINVAL, "no such time");
	fails(futex((char *)&word + 1, FUTEX_WAIT, 5, NULL, NULL, 0), EINVAL, "not aligned");
	fails(futex((void *)16, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT, "not there");
	fails(futex(&word, FUTEX_WAIT_BITSET, 5, NULL, NULL, 0), EINVAL, "no bits");
	fails(futex(&word, 99, 0, NULL, NULL, 0), ENOSYS, "no such operation");
	ok(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0) == 0, "nobody to wake");

	word = 0;
	begin(threads, 4, 2);
	ok(futex(&word, FUTEX_WAKE_BITSET, 4, NULL, NULL, 1) == 0, "other bits wake nobody");
	ok(futex(&word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 3) == 1, "one of four");
	ok(futex(&word, FUTEX_WAKE, 4, NULL, NULL, 0) == 3, "the other three");
	join_all(threads, 4);
	ok(woken == 4, "all of them have been woken");
}

static void test_requeue(void)
{
	pthread_t threads[4];

	word = 0;
	begin(threads, 4, 1);
	fails(futex_counts(&word, FUTEX_CMP_REQUEUE, 1, 4, &word2, 7), EAGAIN,
	      "requeue looks at the word");
	fails(futex_counts(&word, FUTEX_REQUEUE, (uint32_t)-1, 4, &word2, 0), EINVAL,
	      "a negative count");
	ok(futex_counts(&word, FUTEX_CMP_REQUEUE, 1, 2, &word2, 0) == 3, "one woken, two moved");
	ok(soon(woken == 1), "one of them is awake");
	ok(futex(&word2, FUTEX_WAKE, 9, NULL, NULL, 0) == 2, "two are at the other word");
	ok(futex_counts(&word, FUTEX_REQUEUE, 0, 9, &word, 0) == 1, "one is moved to where it is");
	ok(futex(&word, FUTEX_WAKE, 9, NULL, NULL, 0) == 1, "and found there");
	join_all(threads, 4);
}

static void test_wake_op(void)
{
	pthread_t threads[2];

	word = 0;
	word2 = 10;
	begin(threads, 2, 1);
	ok(futex_counts(&word2, FUTEX_WAKE_OP, 1, 1, &word,
			(uint32_t)FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_GT, 0)) == 0 &&
		   word == 3,
	   "the second word is changed; nobody is woken for what it was");
	ok(futex_counts(&word2, FUTEX_WAKE_OP, 1, 1, &word,
			(uint32_t)FUTEX_OP(FUTEX_OP_ANDN, 1, FUTEX_OP_CMP_EQ, 3)) == 1 &&
		   word == 2,
	   "one is, if it was as expected");
	ok(futex_counts(&word, FUTEX_WAKE_OP, 5, 5, &word2,
			(uint32_t)FUTEX_OP((FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT), 2, FUTEX_OP_CMP_LT,
					   -1)) == 1 &&
		   word2 == 14,
	   "the first word's waiters in any case; an argument that is shifted");
	fails(futex_counts(&word, FUTEX_WAKE_OP, 1, 1, &word2, 7u << 28), ENOSYS, "no such change");
	fails(futex_counts(&word, FUTEX_WAKE_OP, 1, 1, (void *)16, 0), EFAULT, "not there");
	join_all(threads, 2);
}

/* The same page at two addresses, in two processes. */
static void test_shared(void)
{
	_Atomic uint32_t *page =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		page[1] = 1;
		_exit(futex(&page[0], FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ? 7 : 1);
	}
	soon(page[1] == 1);
	ok(futex(&page[0], FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0) == 0,
	   "a private wake does not reach another process");
	ok(soon(futex(&page[0], FUTEX_WAKE, 1, NULL, NULL, 0) == 1), "a shared one does");
	ok(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7, "it was woken");

	child = fork();
	if (child == 0) {
		word = 0;
		_exit(futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ? 7 : 1);
	}
	nap(5);
	ok(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0) == 0,
	   "a private page has waiters of its own in each process");
	kill(child, SIGKILL);
	ok(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGKILL,
	   "a waiter can be killed");
	munmap((void *)page, 4096);
}

static void on_signal(int signal)
{
	(void)signal;
}

static void test_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct timespec long_time = { 10, 0 };
	pid_t child;
	int status;

	sigaction(SIGALRM, &action, NULL);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		word = 0;
		if (futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0) != -1 || errno != EINTR)
			_exit(1);
		action.sa_flags = SA_RESTART;
		sigaction(SIGALRM, &action, NULL);
		if (futex(&word, FUTEX_WAIT, 0, &long_time, NULL, 0) != -1 || errno != EINTR)
			_exit(2);
		_exit(5);
	}
	while (waitpid(child, &status, WNOHANG) == 0) {
		kill(child, SIGALRM);
		nap(2);
	}
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 5, "a signal ends a wait: EINTR");
}

/* --- PI ------------------------------------------------------------------------------------------------ */

static void *lock_and_unlock(void *unused)
{
	waiting++;
	if (futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0) != 0)
		return (void *)1;
	if ((word & FUTEX_TID_MASK) != (uint32_t)tid_here())
		return (void *)2;
	woken++;
	return futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) == 0 ? unused : (void *)3;
}

static void *lock_and_end(void *how)
{
	futex(&word, how ? FUTEX_LOCK_PI : FUTEX_LOCK_PI2, 0, NULL, NULL, 0);
	soon(waiting == 3);
	nap(5);
	return NULL;
}

static void test_pi(void)
{
	struct timespec past = { 1, 0 };
	pthread_t threads[3], owner;
	void *result;
	bool good = true;

	word = 0;
	ok(futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0) == 0 && word == (uint32_t)tid_here(),
	   "a free lock is the caller's");
	fails(futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), EDEADLK, "not twice");
	fails(futex(&word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), EDEADLK, "nor by trying");
	waiting = woken = 0;
	for (int i = 0; i < 3; i++)
		threads[i] = start(lock_and_unlock, NULL);
	ok(soon(word & FUTEX_WAITERS), "who waits says so in the word");
	soon(waiting == 3);
	nap(5);
	ok(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) == 0, "its owner unlocks");
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], &result);
		good = good && result == NULL;
	}
	ok(good && woken == 3 && (word & FUTEX_TID_MASK) == 0, "it goes from one to the next");
	fails(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), EPERM, "it is not ours to unlock");

	word = 0x3ffffff0;
	fails(futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), ESRCH, "an owner that is not there");

	/* Its owner ends: one of those who wait has it, and is told so. */
	word = 0;
	waiting = woken = 0;
	owner = start(lock_and_end, (void *)1);
	soon(word != 0);
	for (int i = 0; i < 3; i++)
		threads[i] = start(lock_and_unlock, NULL);
	pthread_join(owner, NULL);
	good = true;
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], &result);
		good = good && result == NULL;
	}
	ok(good && woken == 3, "an owner's end passes the lock on");

	word = 0;
	waiting = 0;
	owner = start(lock_and_end, NULL);
	if (soon(word != 0)) {
		fails(futex(&word, FUTEX_LOCK_PI2, 0, &past, NULL, 0), ETIMEDOUT,
		      "waiting for a lock ends in time");
		fails(futex(&word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), EAGAIN,
		      "trying does not wait");
	}
	waiting = 3;
	pthread_join(owner, NULL);
}

/* --- robust lists, as they are and as they should not be ------------------------------------------------- */

struct lock {
	struct robust_list list;
	_Atomic uint32_t word;
};

static struct robust_list_head head;
static struct lock locks[3];

static long set_list(struct robust_list_head *list)
{
	return syscall(SYS_set_robust_list, list, sizeof(*list));
}

static void *end_with_locks(void *unused)
{
	head.list.next = &locks[0].list;
	head.futex_offset = offsetof(struct lock, word);
	head.list_op_pending = &locks[2].list;
	locks[0] = (struct lock){ { &locks[1].list }, tid_here() };
	locks[1] = (struct lock){ { &head.list }, tid_here() | FUTEX_WAITERS };
	locks[2] = (struct lock){ { NULL }, tid_here() };
	set_list(&head);
	syscall(SYS_exit, 0);
	return unused;
}

static void *end_with_endless_list(void *unused)
{
	head.list.next = &locks[0].list;
	head.list_op_pending = NULL;
	locks[0] = (struct lock){ { &locks[0].list }, tid_here() };
	set_list(&head);
	syscall(SYS_exit, 0);
	return unused;
}

static void *end_with_wild_list(void *address)
{
	head.list.next = address;
	head.list_op_pending = (void *)~15ul;
	set_list(&head);
	syscall(SYS_exit, 0);
	return NULL;
}

static void *end_with_wild_head(void *address)
{
	set_list(address);
	syscall(SYS_exit, 0);
	return NULL;
}

/* In a child: libc would wait for ever for threads that have left without it. */
static int robust_child(void)
{
	_Atomic uint32_t *w0 = &locks[0].word, *w1 = &locks[1].word, *w2 = &locks[2].word;
	void *wild[] = { (void *)8, (void *)0x800000000000, (void *)~7ul, (void *)3 };

	start(end_with_locks, NULL);
	if (!soon(*w0 == FUTEX_OWNER_DIED && *w1 == (FUTEX_OWNER_DIED | FUTEX_WAITERS) &&
		  *w2 == FUTEX_OWNER_DIED))
		return 1;
	start(end_with_endless_list, NULL);
	if (!soon(*w0 == FUTEX_OWNER_DIED))
		return 2;
	for (unsigned i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		start(end_with_wild_list, wild[i]);
		start(end_with_wild_head, wild[i]);
		nap(2);
	}
	return 0;
}

static int ask_of_another(void)
{
	struct robust_list_head *found;
	size_t size;

	if (setuid(1000) != 0)
		return 2;
	return syscall(SYS_get_robust_list, getppid(), &found, &size) == -1 && errno == EPERM ? 0
											      : 1;
}

static void test_robust(void)
{
	struct robust_list_head *found;
	size_t size = 0;
	int status;
	pid_t child;

	fails(syscall(SYS_set_robust_list, &head, sizeof(head) - 1), EINVAL, "a list of that size");
	ok(syscall(SYS_get_robust_list, 0, &found, &size) == 0 && size == sizeof(head),
	   "the list can be asked for");
	fails(syscall(SYS_get_robust_list, 0x3ffffff0, &found, &size), ESRCH,
	      "of a thread that is");
	ok(in_child(ask_of_another) == 0, "and by who may look into it");
	fflush(stdout);
	child = fork();
	if (child == 0)
		_exit(robust_child());
	ok(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0,
	   "a thread's end marks the locks of its list, wherever that leads (status %x)", status);
}

/* --- what libc makes of it --------------------------------------------------------------------------------- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn;

static void *take_turns(void *number)
{
	for (int round = 0; round < 20; round++) {
		pthread_mutex_lock(&mutex);
		while (turn % CROWD != (int)(long)number)
			pthread_cond_wait(&changed, &mutex);
		turn++;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static void test_condition(void)
{
	struct timespec time;
	pthread_t threads[CROWD];

	for (long i = 0; i < CROWD; i++)
		threads[i] = start(take_turns, (void *)i);
	join_all(threads, CROWD);
	ok(turn == 20 * CROWD, "threads take turns by a condition variable");
	clock_gettime(CLOCK_REALTIME, &time);
	pthread_mutex_lock(&mutex);
	ok(pthread_cond_timedwait(&changed, &mutex, &time) == ETIMEDOUT, "which has an end");
	pthread_mutex_unlock(&mutex);
}

static pthread_barrier_t barrier;
static atomic_int arrived, serial, wrong;

static void *meet(void *unused)
{
	for (int round = 1; round <= 10; round++) {
		arrived++;
		if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
			serial++;
		if (arrived < round * CROWD)
			wrong++;
		pthread_barrier_wait(&barrier);
	}
	return unused;
}

static void test_barrier(void)
{
	pthread_t threads[CROWD];

	pthread_barrier_init(&barrier, NULL, CROWD);
	for (int i = 0; i < CROWD; i++)
		threads[i] = start(meet, NULL);
	join_all(threads, CROWD);
	ok(wrong == 0 && serial == 10, "a barrier lets nobody through before all are there");
	pthread_barrier_destroy(&barrier);
}

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static atomic_int readers, writers, bad;

static void *read_and_write(void *number)
{
	for (int i = 0; i < 30; i++) {
		if ((i + (int)(long)number) % 5 == 0) {
			pthread_rwlock_wrlock(&rwlock);
			bad += writers++ != 0 || readers != 0;
			if (i % 2)
				sched_yield();
			writers--;
		} else {
			pthread_rwlock_rdlock(&rwlock);
			readers++;
			bad += writers != 0;
			if (i % 2)
				sched_yield();
			readers--;
		}
		pthread_rwlock_unlock(&rwlock);
	}
	return NULL;
}

static void test_rwlock(void)
{
	pthread_t threads[CROWD];

	for (long i = 0; i < CROWD; i++)
		threads[i] = start(read_and_write, (void *)i);
	join_all(threads, CROWD);
	ok(bad == 0, "writers are alone under a reader-writer lock");
}

static pthread_mutex_t special;
static atomic_int held;

static void *die_with_lock(void *unused)
{
	pthread_mutex_lock(&special);
	return unused;
}

static void *wait_for_special(void *unused)
{
	waiting++;
	if (pthread_mutex_lock(&special) != EOWNERDEAD)
		return (void *)1;
	pthread_mutex_consistent(&special);
	pthread_mutex_unlock(&special);
	return unused;
}

static void *hold_then_die(void *unused)
{
	pthread_mutex_lock(&special);
	held = 1;
	soon(waiting == 1);
	nap(5);
	return unused;
}

static void test_robust_mutex(bool pi)
{
	const char *kind = pi ? "PI and robust" : "robust";
	pthread_mutexattr_t attributes;
	pthread_t waiter;
	void *result;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	if (pi)
		pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&special, &attributes);
	pthread_join(start(die_with_lock, NULL), NULL);
	ok(pthread_mutex_lock(&special) == EOWNERDEAD, "%s: the owner has died", kind);
	pthread_mutex_consistent(&special);
	pthread_mutex_unlock(&special);
	ok(pthread_mutex_lock(&special) == 0 && pthread_mutex_unlock(&special) == 0,
	   "%s: it is as good as new", kind);

	waiting = held = 0;
	start(hold_then_die, NULL);
	soon(held);
	waiter = start(wait_for_special, NULL);
	pthread_join(waiter, &result);
	ok(result == NULL, "%s: who waits for it is told", kind);
	pthread_mutex_destroy(&special);
	pthread_mutexattr_destroy(&attributes);
}

static long sum;

static void *add(void *unused)
{
	for (int i = 0; i < 50; i++) {
		pthread_mutex_lock(&special);
		long before = sum;

		if (i % 8 == 0)
			sched_yield();
		sum = before + 1;
		pthread_mutex_unlock(&special);
	}
	return unused;
}

static void test_pi_mutex(void)
{
	pthread_mutexattr_t attributes;
	pthread_t threads[CROWD];

	pthread_mutexattr_init(&attributes);
	ok(pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT) == 0,
	   "there are PI mutexes");
	pthread_mutex_init(&special, &attributes);
	for (int i = 0; i < CROWD; i++)
		threads[i] = start(add, NULL);
	join_all(threads, CROWD);
	ok(sum == CROWD * 50, "a PI mutex excludes");
	pthread_mutex_destroy(&special);
}

/* A mutex in memory that two processes share. */
static void test_shared_mutex(void)
{
	struct {
		pthread_mutex_t mutex;
		long sum;
	} *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t attributes;
	pid_t children[4];
	int status;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&shared->mutex, &attributes);
	fflush(stdout);
	for (int i = 0; i < 4; i++) {
		children[i] = fork();
		if (children[i] != 0)
			continue;
		for (int round = 0; round < 100; round++) {
			pthread_mutex_lock(&shared->mutex);
			long before = shared->sum;

			if (round % 8 == 0)
				sched_yield();
			shared->sum = before + 1;
			pthread_mutex_unlock(&shared->mutex);
		}
		_exit(0);
	}
	for (int i = 0; i < 4; i++)
		waitpid(children[i], &status, 0);
	ok(shared->sum == 400, "a mutex in shared memory excludes processes");
	munmap(shared, 4096);
}

static atomic_int cleaned;

static void clean(void *unused)
{
	cleaned = unused == NULL;
}

static void *sleep_long(void *unused)
{
	pthread_cleanup_push(clean, unused);
	waiting = 1;
	for (;;)
		pause();
	pthread_cleanup_pop(0);
	return unused;
}

static void test_cancellation(void)
{
	pthread_t thread;
	void *result;

	waiting = 0;
	thread = start(sleep_long, NULL);
	soon(waiting == 1);
	pthread_cancel(thread);
	pthread_join(thread, &result);
	ok(result == PTHREAD_CANCELED && cleaned, "a thread that sleeps can be cancelled");
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	test_wait();
	test_requeue();
	test_wake_op();
	test_shared();
	test_signals();
	test_pi();
	test_robust();
	test_condition();
	test_barrier();
	test_rwlock();
	test_robust_mutex(false);
	test_pi_mutex();
	test_robust_mutex(true);
	test_shared_mutex();
	test_cancellation();
	return done();
}
