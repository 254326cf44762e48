/*
 * proc/futex.c - futex(2): sleeping until a word of user memory is said to have changed.
 *
 * A waiter compares the word and queues itself under its bucket's lock; a waker takes the same lock,
 * so that no wake-up falls between the two. A futex is named by its space and address: memory that
 * two spaces share is not told apart by FUTEX_PRIVATE_FLAG yet, there being one space.
 */
#include "kernel/clock.h"
#include "kernel/sched.h"
#include "kernel/syscall.h"
#include "mm/user.h"
#include "proc/process.h"
#include <linux/futex.h>
#include <linux/time_types.h>

#define BUCKETS 64

/* One sleeping thread; on its stack. */
struct futex_waiter {
	TAILQ_ENTRY(futex_waiter) link; /* bucket lock */
	const struct space *space;
	vaddr_t address;
	uint32_t bits;
	_Atomic bool woken; /* set under the bucket lock: it is off the queue */
	struct waitq sleep;
};

static struct bucket {
	struct spinlock lock; /* RANK_FUTEX */
	TAILQ_HEAD(, futex_waiter) waiters;
} buckets[BUCKETS];

void futex_init(void)
{
	for (unsigned i = 0; i < BUCKETS; i++) {
		spin_init(&buckets[i].lock, "futex", RANK_FUTEX);
		TAILQ_INIT(&buckets[i].waiters);
	}
}

static struct bucket *bucket_of(const struct space *space, vaddr_t address)
{
	return &buckets[((uintptr_t)space / 64 + address / sizeof(uint32_t)) % BUCKETS];
}

/*
 * Queues the waiter if the word still is `expected`. -EAGAIN if it is not. The word is read under the
 * lock without faulting; if its page is not there, it is fetched and the attempt repeated.
 */
static int enqueue(struct bucket *bucket, struct futex_waiter *waiter, uint32_t expected)
{
	for (;;) {
		uint32_t value;
		bool read;
		int error = 0;

		spin_lock(&bucket->lock);
		read = copy_from_user_nofault(&value, waiter->address, sizeof(value)) ==
		       sizeof(value);
		if (read && value == expected)
			TAILQ_INSERT_TAIL(&bucket->waiters, waiter, link);
		else if (read)
			error = -EAGAIN;
		spin_unlock(&bucket->lock);
		if (read)
			return error;
		error = user_fault_in(waiter->address, sizeof(value), false);
		if (error != 0)
			return error;
	}
}

static int64_t futex_wait(vaddr_t address, uint32_t expected, uint32_t bits, uint64_t deadline_ns)
{
	struct bucket *bucket = bucket_of(current->space, address);
	struct futex_waiter waiter = {
		.space = current->space,
		.address = address,
		.bits = bits,
	};
	int error;

	waitq_init(&waiter.sleep, "futex");
	error = enqueue(bucket, &waiter, expected);
	if (error != 0)
		return error;
	error = wait_event_full(&waiter.sleep, waiter.woken, WAIT_SIGNAL, deadline_ns);

	/* Woken in the last moment counts as woken: the waker has counted us. */
	spin_lock(&bucket->lock);
	if (waiter.woken)
		error = 0;
	else
		TAILQ_REMOVE(&bucket->waiters, &waiter, link);
	spin_unlock(&bucket->lock);
	return error;
}

static int64_t futex_wake(vaddr_t address, int limit, uint32_t bits)
{
	struct bucket *bucket = bucket_of(current->space, address);
	struct futex_waiter *waiter, *next;
	int64_t woken = 0;

	spin_lock(&bucket->lock);
	for (waiter = TAILQ_FIRST(&bucket->waiters); waiter && woken < limit; waiter = next) {
		next = TAILQ_NEXT(waiter, link);
		if (waiter->space != current->space || waiter->address != address ||
		    !(waiter->bits & bits))
			continue;
		TAILQ_REMOVE(&bucket->waiters, waiter, link);
		/* Its stack lives until it gets the bucket's lock, which we hold. */
		waiter->woken = true;
		waitq_wake_all(&waiter->sleep);
		woken++;
	}
	spin_unlock(&bucket->lock);
	return woken;
}

void futex_wake_one(vaddr_t address)
{
	if (IS_ALIGNED(address, sizeof(uint32_t)))
		(void)futex_wake(address, 1, FUTEX_BITSET_MATCH_ANY);
}

/* When to stop waiting: FUTEX_WAIT's time is relative, FUTEX_WAIT_BITSET's absolute. */
static int read_deadline(vaddr_t timeout, int operation, uint64_t *deadline_ns)
{
	bool absolute = (operation & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
	uint64_t now = (operation & FUTEX_CLOCK_REALTIME) ? clock_wall_ns() : clock_ns();
	struct __kernel_timespec time;
	uint64_t ns;

	*deadline_ns = NO_DEADLINE;
	if (timeout == 0)
		return 0;
	if (get_user(&time, timeout) != 0)
		return -EFAULT;
	if (time.tv_sec < 0 || time.tv_nsec < 0 || (uint64_t)time.tv_nsec >= NSEC_PER_SEC)
		return -EINVAL;
	if (__builtin_mul_overflow((uint64_t)time.tv_sec, NSEC_PER_SEC, &ns) ||
	    __builtin_add_overflow(ns, (uint64_t)time.tv_nsec, &ns))
		return 0;
	if (absolute)
		ns = ns > now ? ns - now : 0;
	if (__builtin_add_overflow(clock_ns(), ns, deadline_ns))
		*deadline_ns = NO_DEADLINE;
	return 0;
}

static bool answered(int command)
{
	return command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET || command == FUTEX_WAKE ||
	       command == FUTEX_WAKE_BITSET;
}

SYSCALL6(futex, vaddr_t, address, int, operation, uint32_t, value, vaddr_t, timeout, vaddr_t,
	 address2, uint32_t, value3)
{
	int command = operation & FUTEX_CMD_MASK;
	uint32_t bits = FUTEX_BITSET_MATCH_ANY;
	uint64_t deadline_ns;
	int error;

	if (!answered(command) ||
	    ((operation & FUTEX_CLOCK_REALTIME) && command != FUTEX_WAIT_BITSET))
		return -ENOSYS;
	if (!IS_ALIGNED(address, sizeof(uint32_t)))
		return -EINVAL;
	if (!user_range_ok(address, sizeof(uint32_t)))
		return -EFAULT;
	if (command == FUTEX_WAIT_BITSET || command == FUTEX_WAKE_BITSET)
		bits = value3;
	if (bits == 0)
		return -EINVAL;

	if (command == FUTEX_WAKE || command == FUTEX_WAKE_BITSET)
		return futex_wake(address, (int)value, bits);
	error = read_deadline(timeout, operation, &deadline_ns);
	return error != 0 ? error : futex_wait(address, value, bits, deadline_ns);
}
