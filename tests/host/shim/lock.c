/*
 * Locks that never wait, and assert what the kernel's would in debug builds. Having to wait is a
 * deadlock; taking a lock of a rank at or below a held one breaks the order of kernel/lock.h;
 * sleeping under a spinlock is refused.
 */
#include "kernel/lock.h"
#include "kernel/sched.h"
#include "kernel/x86_64/cpu.h"
#include "shim.h"

static unsigned held[SHIM_THREADS][RANK_COUNT]; /* locks held, by rank */

static void take(enum lock_rank rank)
{
	assert(rank > 0 && rank < RANK_COUNT);
	for (unsigned higher = rank; higher < RANK_COUNT; higher++)
		assert(held[shim_running()][higher] == 0);
	held[shim_running()][rank]++;
}

static void give(enum lock_rank rank)
{
	assert(held[shim_running()][rank] > 0);
	held[shim_running()][rank]--;
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
	take(lock->rank);
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
	give(lock->rank);
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
	take(mutex->rank);
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
	give(mutex->rank);
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
	take(lock->rank);
	lock->readers++;
}

void rw_read_unlock(struct rwlock *lock)
{
	assert(lock->readers > 0);
	lock->readers--;
	give(lock->rank);
}

void rw_write_lock(struct rwlock *lock)
{
	might_sleep();
	assert(lock->writer == NULL && lock->readers == 0);
	take(lock->rank);
	lock->writer = current;
}

void rw_write_unlock(struct rwlock *lock)
{
	assert(lock->writer == current);
	lock->writer = NULL;
	give(lock->rank);
}

bool rw_write_held(const struct rwlock *lock)
{
	return lock->writer == current;
}

bool rw_held(const struct rwlock *lock)
{
	return lock->writer == current || lock->readers > 0;
}
