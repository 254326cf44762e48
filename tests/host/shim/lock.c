/*
 * Locks that never wait, and assert what the kernel's would in debug builds. Having to wait is a
 * deadlock; taking a lock of a rank below a held one, or of the same rank at a lower address, breaks the
 * order of kernel/lock.h; sleeping under a spinlock is refused.
 */
#include "kernel/lock.h"
#include "kernel/sched.h"
#include "kernel/x86_64/cpu.h"
#include "shim.h"

/* More of one rank at a time than anybody takes. */
#define SAME_RANK_MAX 2

/* Locks held, by rank, in the order of their addresses, which is that in which they were taken. */
static const void *held[SHIM_THREADS][RANK_COUNT][SAME_RANK_MAX];
static unsigned held_count[SHIM_THREADS][RANK_COUNT];

static void take(enum lock_rank rank, const void *lock)
{
	unsigned *count = held_count[shim_running()];
	const void **same = held[shim_running()][rank];

	assert(rank > 0 && rank < RANK_COUNT);
	for (unsigned higher = rank + 1; higher < RANK_COUNT; higher++)
		assert(count[higher] == 0);
	assert(count[rank] < SAME_RANK_MAX);
	assert(count[rank] == 0 || same[count[rank] - 1] < lock);
	same[count[rank]++] = lock;
}

static void give(enum lock_rank rank, const void *lock)
{
	unsigned *count = &held_count[shim_running()][rank];
	const void **same = held[shim_running()][rank];
	unsigned i = 0;

	while (i < *count && same[i] != lock)
		i++;
	assert(i < *count);
	for (--*count; i < *count; i++)
		same[i] = same[i + 1];
}

void might_sleep(void)
{
	assert(this_cpu()->spin_count == 0);
	assert(this_cpu()->irq_off_depth == 0);
}

void spin_init(struct spinlock *lock, const char *name, enum lock_rank rank)
{
	assert(rank > RANK_SLEEP_MAX);
	*lock = (struct spinlock)SPINLOCK_INIT(name, rank);
}

void spin_lock(struct spinlock *lock)
{
	assert(lock->word == 0);
	take(lock->rank, lock);
	irq_push_off();
	this_cpu()->spin_count++;
	lock->word = 1;
}

void spin_unlock(struct spinlock *lock)
{
	assert(lock->word == 1);
	lock->word = 0;
	this_cpu()->spin_count--;
	irq_pop_off();
	give(lock->rank, lock);
}

bool spin_held(const struct spinlock *lock)
{
	return lock->word == 1;
}

void mutex_init(struct mutex *mutex, const char *name, enum lock_rank rank)
{
	assert(rank > 0 && rank <= RANK_SLEEP_MAX);
	*mutex = (struct mutex){ .rank = rank, .name = name };
}

void mutex_lock(struct mutex *mutex)
{
	might_sleep();
	assert(mutex->owner == NULL);
	take(mutex->rank, mutex);
	mutex->owner = current;
}

int mutex_lock_killable(struct mutex *mutex)
{
	mutex_lock(mutex);
	return 0;
}

void mutex_unlock(struct mutex *mutex)
{
	assert(mutex->owner == current);
	mutex->owner = NULL;
	give(mutex->rank, mutex);
}

bool mutex_held(const struct mutex *mutex)
{
	return mutex->owner == current;
}

void rw_init(struct rwlock *lock, const char *name, enum lock_rank rank)
{
	assert(rank > 0 && rank <= RANK_SLEEP_MAX);
	*lock = (struct rwlock){ .rank = rank, .name = name };
}

void rw_read_lock(struct rwlock *lock)
{
	might_sleep();
	assert(lock->writer == NULL);
	take(lock->rank, lock);
	lock->state++;
}

void rw_read_unlock(struct rwlock *lock)
{
	assert(lock->state > 0);
	lock->state--;
	give(lock->rank, lock);
}

void rw_write_lock(struct rwlock *lock)
{
	might_sleep();
	assert(lock->writer == NULL && lock->state == 0);
	take(lock->rank, lock);
	lock->writer = current;
}

void rw_write_unlock(struct rwlock *lock)
{
	assert(lock->writer == current);
	lock->writer = NULL;
	give(lock->rank, lock);
}

bool rw_write_held(const struct rwlock *lock)
{
	return lock->writer == current;
}

bool rw_held(const struct rwlock *lock)
{
	return lock->writer == current || lock->state > 0;
}
