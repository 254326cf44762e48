/*
 * kernel/sleeplock.c - mutexes and reader-writer locks.
 *
 * Both hand over: who unlocks decides who is next, writes that down, and only then wakes it. The
 * woken thread already owns the lock, so nobody overtakes it and nobody waits for ever.
 *
 * A mutex is one word: the owner, with the lowest bit set when somebody may be waiting. Without
 * waiters, locking and unlocking are one compare-and-exchange each.
 *
 *	owner    waiters.waiters
 *	NULL     empty              free
 *	T        empty              held by T
 *	T|1      W1 W2 …            held by T, W1 is next
 *	T|1      empty              held by T; the waiters have given up
 *
 * In an rwlock, a waiting writer holds back new readers, so that writers do not starve; a writer
 * that leaves lets in all the readers that wait, so that they do not starve either. Its state is one
 * word too: the number of readers, and the bits HELD (by a writer) and WAITED. While WAITED is clear
 * nobody waits, and taking and leaving it is one compare-and-exchange. Once it is set every such exchange
 * fails, so that only who has the guard changes the word; he clears it again when nobody waits.
 *
 * A waiter lives on its thread's stack. Whoever grants it the lock does so under the lock's inner
 * spinlock, and the waiter takes that spinlock once more before it leaves: after that nobody looks
 * at the waiter, or at the thread, any longer.
 */
#include "kernel/lock.h"
#include "kernel/panic.h"
#include "kernel/park.h"
#include "kernel/sched.h"

/* --- the order of sleeping locks ------------------------------------------------------------------ */

#ifdef DEBUG_LOCKS

/* Every sleeping lock that is noted: enough of it to compare. */
struct noted {
	const void *lock;
	const char *name;
	enum lock_rank rank;
};

static void sleep_check_order(struct noted wanted)
{
	const struct thread *self = current;

	assert(wanted.rank <= RANK_SLEEP_MAX);
	if (likely(self->rank_mask >> wanted.rank == 0))
		return;
	if (self->rank_mask >> (wanted.rank + 1) != 0)
		panic("lock order: %s (rank %d) wanted with ranks %#x held", wanted.name,
		      wanted.rank, self->rank_mask);
	for (uint32_t i = 0; i < self->sleep_locks; i++) {
		if (self->held_ranks[i] == wanted.rank && self->held[i] >= wanted.lock)
			panic("lock order: %s at %p wanted after its like at %p", wanted.name,
			      wanted.lock, self->held[i]);
	}
}

static void sleep_note_taken(struct noted taken)
{
	struct thread *self = current;

	assert(self->sleep_locks < SLEEP_LOCKS_MAX);
	self->held[self->sleep_locks] = taken.lock;
	self->held_ranks[self->sleep_locks] = (uint8_t)taken.rank;
	self->sleep_locks++;
	self->rank_mask |= 1u << taken.rank;
}

static void sleep_note_released(struct noted released)
{
	struct thread *self = current;
	uint32_t i = self->sleep_locks;

	while (i > 0 && self->held[i - 1] != released.lock)
		i--;
	assert(i > 0);
	self->sleep_locks--;
	for (i--; i < self->sleep_locks; i++) {
		self->held[i] = self->held[i + 1];
		self->held_ranks[i] = self->held_ranks[i + 1];
	}
	self->rank_mask = 0;
	for (i = 0; i < self->sleep_locks; i++)
		self->rank_mask |= 1u << self->held_ranks[i];
}

#define NOTED(l) ((struct noted){ .lock = (l), .name = (l)->name, .rank = (l)->rank })

#else

#define NOTED(l)               0
#define sleep_check_order(l)   ((void)(l))
#define sleep_note_taken(l)    ((void)(l))
#define sleep_note_released(l) ((void)(l))

#endif

/* --- waiting to be granted a lock ------------------------------------------------------------------ */

struct grant {
	struct waiter waiter;
	bool killable;
};

static bool grant_pending(const void *arg)
{
	const struct grant *grant = arg;

	return grant->waiter.queued && !(grant->killable && grant->waiter.thread->kill_pending);
}

/* The inner spinlock held. */
static void grant_enqueue(struct grant *grant, struct waiter_list *list)
{
	grant->waiter.thread = current;
	grant->waiter.queued = true;
	TAILQ_INSERT_TAIL(list, &grant->waiter, link);
}

/* Sleeps until it is granted or given up; the inner spinlock not held. */
static void grant_wait(struct grant *grant)
{
	while (grant_pending(grant))
		thread_park(grant_pending, grant, true);
}

/* Takes the first waiter off; the inner spinlock held. The new owner has been written down. */
static void grant_first(struct waiter_list *list)
{
	struct waiter *first = TAILQ_FIRST(list);

	TAILQ_REMOVE(list, first, link);
	first->queued = false;
	thread_unpark(first->thread);
}

/* --- mutex -------------------------------------------------------------------------------------------- */

#define WAITERS UINT64_C(1)

static struct thread *with_waiters(struct thread *thread)
{
	return (struct thread *)((uintptr_t)thread | WAITERS);
}

static struct thread *owner_of(const struct mutex *mutex)
{
	uintptr_t word = (uintptr_t)atomic_load_explicit(&mutex->owner, memory_order_relaxed);

	return (struct thread *)(word & ~WAITERS);
}

void mutex_init(struct mutex *mutex, const char *name, enum lock_rank rank)
{
	mutex->owner = NULL;
	mutex->rank = rank;
	mutex->name = name;
	waitq_init(&mutex->waiters, name);
}

static bool try_owner(struct mutex *mutex)
{
	struct thread *expected = NULL;

	return atomic_compare_exchange_strong_explicit(&mutex->owner, &expected, current,
						       memory_order_acquire, memory_order_relaxed);
}

/*
 * Takes the mutex if it has become free; otherwise marks it as waited for. Inner spinlock held: with
 * the mark set, the owner cannot unlock without it.
 */
static bool take_or_mark(struct mutex *mutex)
{
	for (;;) {
		struct thread *owner = mutex->owner;
		if (owner == NULL) {
			if (try_owner(mutex))
				return true;
			continue;
		}
		if (((uintptr_t)owner & WAITERS) ||
		    atomic_compare_exchange_strong(&mutex->owner, &owner, with_waiters(owner)))
			return false;
	}
}

static int lock_slowly(struct mutex *mutex, bool killable)
{
	struct grant grant = { .killable = killable };
	int error = 0;

	assert(owner_of(mutex) != current);
	spin_lock(&mutex->waiters.lock);
	if (take_or_mark(mutex))
		goto unlock;
	grant_enqueue(&grant, &mutex->waiters.waiters);
	spin_unlock(&mutex->waiters.lock);

	grant_wait(&grant);

	spin_lock(&mutex->waiters.lock);
	if (grant.waiter.queued) {
		TAILQ_REMOVE(&mutex->waiters.waiters, &grant.waiter, link);
		error = -EINTR;
	}
unlock:
	spin_unlock(&mutex->waiters.lock);
	return error;
}

static int lock_mutex(struct mutex *mutex, bool killable)
{
	int error = 0;

	might_sleep();
	sleep_check_order(NOTED(mutex));
	if (unlikely(!try_owner(mutex)))
		error = lock_slowly(mutex, killable);
	if (error == 0)
		sleep_note_taken(NOTED(mutex));
	return error;
}

void mutex_lock(struct mutex *mutex)
{
	(void)lock_mutex(mutex, false);
}

int mutex_lock_killable(struct mutex *mutex)
{
	return lock_mutex(mutex, true);
}

/* Somebody waits, or has waited. */
static __attribute__((noinline)) void unlock_slowly(struct mutex *mutex)
{
	struct waiter *first;

	assert(mutex_held(mutex));
	spin_lock(&mutex->waiters.lock);
	first = TAILQ_FIRST(&mutex->waiters.waiters);
	if (first == NULL) {
		mutex->owner = NULL;
	} else {
		bool more = TAILQ_NEXT(first, link) != NULL;
		mutex->owner = more ? with_waiters(first->thread) : first->thread;
		grant_first(&mutex->waiters.waiters);
	}
	spin_unlock(&mutex->waiters.lock);
}

/* Exchanging the owner for nobody asserts that it is the caller. */
void mutex_unlock(struct mutex *mutex)
{
	struct thread *self = current;

	sleep_note_released(NOTED(mutex));
	if (unlikely(!atomic_compare_exchange_strong_explicit(
		    &mutex->owner, &self, NULL, memory_order_release, memory_order_relaxed)))
		unlock_slowly(mutex);
}

bool mutex_held(const struct mutex *mutex)
{
	return owner_of(mutex) == current;
}

/* --- rwlock ------------------------------------------------------------------------------------------- */

#define HELD   (UINT32_C(1) << 31) /* by a writer */
#define WAITED (UINT32_C(1) << 30) /* the word belongs to who has the guard */

void rw_init(struct rwlock *lock, const char *name, enum lock_rank rank)
{
	lock->state = 0;
	lock->writer = NULL;
	spin_init(&lock->guard, name, RANK_WAITQ);
	waitq_init(&lock->read_waiters, name);
	waitq_init(&lock->write_waiters, name);
	lock->rank = rank;
	lock->name = name;
}

/* Takes the guard, and the word with it. */
static uint32_t own_word(struct rwlock *lock)
{
	spin_lock(&lock->guard);
	return atomic_fetch_or(&lock->state, WAITED) & ~WAITED;
}

/* Gives both up; the word stays with the guard while somebody waits. */
static void disown_word(struct rwlock *lock)
{
	if (TAILQ_EMPTY(&lock->read_waiters.waiters) && TAILQ_EMPTY(&lock->write_waiters.waiters))
		atomic_fetch_and(&lock->state, ~WAITED);
	spin_unlock(&lock->guard);
}

/* Who waits is kept under the guard, together with the rest; the queues' own locks are not used. */
static void wait_for_grant(struct rwlock *lock, struct waiter_list *list)
{
	struct grant grant = { .killable = false };

	grant_enqueue(&grant, list);
	disown_word(lock);
	grant_wait(&grant);
	spin_lock(&lock->guard);
	spin_unlock(&lock->guard);
}

static void admit_writer(struct rwlock *lock)
{
	lock->state |= HELD;
	lock->writer = TAILQ_FIRST(&lock->write_waiters.waiters)->thread;
	grant_first(&lock->write_waiters.waiters);
}

static void admit_readers(struct rwlock *lock)
{
	while (!TAILQ_EMPTY(&lock->read_waiters.waiters)) {
		lock->state++;
		grant_first(&lock->read_waiters.waiters);
	}
}

/* Changes the word in one step if nobody waits and none of `bits` is set. */
static inline bool try_change(struct rwlock *lock, uint32_t bits, uint32_t by)
{
	uint32_t state = atomic_load_explicit(&lock->state, memory_order_relaxed);

	while (likely(!(state & (WAITED | bits)))) {
		if (likely(atomic_compare_exchange_weak(&lock->state, &state, state + by)))
			return true;
	}
	return false;
}

static void read_lock_slowly(struct rwlock *lock)
{
	uint32_t state = own_word(lock);

	assert(lock->writer != current);
	if (!(state & HELD) && TAILQ_EMPTY(&lock->write_waiters.waiters)) {
		lock->state++;
		disown_word(lock);
	} else {
		wait_for_grant(lock, &lock->read_waiters.waiters);
	}
}

static void read_unlock_slowly(struct rwlock *lock)
{
	(void)own_word(lock);
	lock->state--;
	if (lock->state == WAITED && !TAILQ_EMPTY(&lock->write_waiters.waiters))
		admit_writer(lock);
	disown_word(lock);
}

static void write_lock_slowly(struct rwlock *lock)
{
	uint32_t state = own_word(lock);

	assert(lock->writer != current);
	if (state == 0) {
		lock->state |= HELD;
		lock->writer = current;
		disown_word(lock);
	} else {
		wait_for_grant(lock, &lock->write_waiters.waiters);
	}
}

static void write_unlock_slowly(struct rwlock *lock)
{
	(void)own_word(lock);
	lock->state &= ~HELD;
	if (!TAILQ_EMPTY(&lock->read_waiters.waiters))
		admit_readers(lock);
	else if (!TAILQ_EMPTY(&lock->write_waiters.waiters))
		admit_writer(lock);
	disown_word(lock);
}

void rw_read_lock(struct rwlock *lock)
{
	might_sleep();
	sleep_check_order(NOTED(lock));
	if (unlikely(!try_change(lock, HELD, 1)))
		read_lock_slowly(lock);
	sleep_note_taken(NOTED(lock));
}

void rw_read_unlock(struct rwlock *lock)
{
	sleep_note_released(NOTED(lock));
	assert(lock->state & ~(HELD | WAITED));
	if (unlikely(!try_change(lock, 0, -UINT32_C(1))))
		read_unlock_slowly(lock);
}

void rw_write_lock(struct rwlock *lock)
{
	uint32_t expected = 0;

	might_sleep();
	sleep_check_order(NOTED(lock));
	if (likely(atomic_compare_exchange_strong(&lock->state, &expected, HELD)))
		lock->writer = current;
	else
		write_lock_slowly(lock);
	sleep_note_taken(NOTED(lock));
}

void rw_write_unlock(struct rwlock *lock)
{
	uint32_t expected = HELD;

	sleep_note_released(NOTED(lock));
	assert(lock->writer == current);
	lock->writer = NULL;
	if (unlikely(!atomic_compare_exchange_strong(&lock->state, &expected, 0)))
		write_unlock_slowly(lock);
}

bool rw_write_held(const struct rwlock *lock)
{
	return lock->writer == current;
}

bool rw_held(const struct rwlock *lock)
{
	return rw_write_held(lock) || (lock->state & ~(HELD | WAITED)) != 0;
}
