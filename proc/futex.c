/*
 * proc/futex.c - futex(2): sleeping until a word of user memory is said to have changed.
 *
 * A waiter compares the word and queues itself under its bucket's lock; a waker takes the same lock,
 * so that no wake-up falls between the two. User memory is read and changed there without faulting; if a
 * page is missing, the locks are dropped, it is brought, and all begins anew.
 *
 * Locks whose owner is known to the kernel are in futex_lock.c, moving waiters to such a lock in
 * futex_requeue.c, waiting for several words in futex_waitv.c, and what happens to locks whose owner ends in
 * robust.c.
 */
#include "proc/futex.h"

#include "kernel/clock.h"
#include "kernel/syscall.h"
#include "mm/space.h"
#include "mm/user.h"
#include <linux/time_types.h>

struct futex_bucket futex_buckets[FUTEX_BUCKETS];

void futex_init(void)
{
	for (unsigned i = 0; i < FUTEX_BUCKETS; i++) {
		spin_init(&futex_buckets[i].lock, "futex", RANK_FUTEX);
		TAILQ_INIT(&futex_buckets[i].waiters);
	}
}

/* --- keys and buckets --------------------------------------------------------------------------- */

/* Memory that others may share is known by its object, wherever it is mapped. */
static int shared_key(vaddr_t address, struct futex_key *key)
{
	struct space *space = current->space;
	const struct region *region;
	int error = 0;

	rw_read_lock(&space->lock);
	region = space_find(space, address);
	if (!region) {
		error = -EFAULT;
	} else if (region->object && (region->flags & REGION_SHARED)) {
		key->owner = region->object;
		key->offset = region->offset + (address - region->start);
	}
	rw_read_unlock(&space->lock);
	return error;
}

int futex_key(vaddr_t address, bool private, struct futex_key *key)
{
	if (!IS_ALIGNED(address, sizeof(uint32_t)))
		return -EINVAL;
	if (!user_range_ok(address, sizeof(uint32_t)))
		return -EFAULT;
	*key = (struct futex_key){ .owner = current->space, .offset = address };
	return private ? 0 : shared_key(address, key);
}

struct futex_bucket *futex_bucket(const struct futex_key *key)
{
	uint64_t word = (uintptr_t)key->owner / 64 + key->offset / sizeof(uint32_t);

	return &futex_buckets[(word ^ word >> 8) % FUTEX_BUCKETS];
}

void futex_lock_two(struct futex_bucket *a, struct futex_bucket *b)
{
	spin_lock(a < b ? &a->lock : &b->lock);
	if (a != b)
		spin_lock(a < b ? &b->lock : &a->lock);
}

void futex_unlock_two(struct futex_bucket *a, struct futex_bucket *b)
{
	spin_unlock(&a->lock);
	if (a != b)
		spin_unlock(&b->lock);
}

/* --- waiting ------------------------------------------------------------------------------------ */

void futex_rouse(struct futex_waiter *waiter, enum futex_state state)
{
	TAILQ_REMOVE(&waiter->bucket->waiters, waiter, link);
	waiter->state = state;
	waitq_wake_all(waiter->sleep);
}

enum futex_state futex_dequeue(struct futex_waiter *waiter)
{
	struct futex_bucket *bucket = waiter->bucket;

	spin_lock(&bucket->lock);
	while (bucket != waiter->bucket) {
		spin_unlock(&bucket->lock);
		bucket = waiter->bucket;
		spin_lock(&bucket->lock);
	}
	if (waiter->state == FUTEX_ASLEEP)
		TAILQ_REMOVE(&bucket->waiters, waiter, link);
	spin_unlock(&bucket->lock);
	return waiter->state;
}

int futex_enqueue(struct futex_waiter *waiter, vaddr_t address, uint32_t expected)
{
	struct futex_bucket *bucket = waiter->bucket;

	for (;;) {
		uint32_t value;
		bool read;
		int error = 0;

		spin_lock(&bucket->lock);
		read = copy_from_user_nofault(&value, address, sizeof(value)) == sizeof(value);
		if (read && value == expected)
			TAILQ_INSERT_TAIL(&bucket->waiters, waiter, link);
		else if (read)
			error = -EAGAIN;
		spin_unlock(&bucket->lock);
		if (read)
			return error;
		error = user_fault_in(address, sizeof(value), false);
		if (error != 0)
			return error;
	}
}

static int64_t wait(vaddr_t address, bool private, uint32_t expected, uint32_t bits,
		    uint64_t deadline_ns)
{
	struct waitq sleep;
	struct futex_waiter waiter = { .bits = bits, .sleep = &sleep };
	int error = futex_key(address, private, &waiter.key);

	if (error != 0)
		return error;
	waiter.bucket = futex_bucket(&waiter.key);
	waitq_init(&sleep, "futex");
	error = futex_enqueue(&waiter, address, expected);
	if (error != 0)
		return error;
	error = wait_event_full(&sleep, waiter.state != FUTEX_ASLEEP, WAIT_SIGNAL, deadline_ns);
	/* Woken in the last moment counts as woken: the waker has counted us. */
	if (futex_dequeue(&waiter) == FUTEX_WOKEN)
		error = 0;
	if (error == -EINTR && deadline_ns != NO_DEADLINE)
		sleep_cut_short(deadline_ns);
	return error;
}

/* --- waking ------------------------------------------------------------------------------------- */

/* Bucket lock held. How many; -EINVAL: somebody takes it for a lock. */
static int64_t wake(struct futex_bucket *bucket, const struct futex_key *key, int limit,
		    uint32_t bits)
{
	struct futex_waiter *waiter, *next;
	int64_t woken = 0;

	limit = MAX(limit, 1); /* who asks for none gets one, as on Linux */
	for (waiter = TAILQ_FIRST(&bucket->waiters); waiter && woken < limit; waiter = next) {
		next = TAILQ_NEXT(waiter, link);
		if (!futex_same(&waiter->key, key))
			continue;
		if (waiter->is_lock || waiter->to_lock)
			return -EINVAL;
		if (!(waiter->bits & bits))
			continue;
		futex_rouse(waiter, FUTEX_WOKEN);
		woken++;
	}
	return woken;
}

static int64_t wake_at(vaddr_t address, bool private, int limit, uint32_t bits)
{
	struct futex_bucket *bucket;
	struct futex_key key;
	int64_t result = futex_key(address, private, &key);

	if (result != 0)
		return result;
	bucket = futex_bucket(&key);
	spin_lock(&bucket->lock);
	result = wake(bucket, &key, limit, bits);
	spin_unlock(&bucket->lock);
	return result;
}

void futex_wake_one(vaddr_t address)
{
	(void)wake_at(address, false, 1, FUTEX_BITSET_MATCH_ANY);
}

/* --- two futexes ---------------------------------------------------------------------------------- */

static int get_pair(struct futex_pair *p, vaddr_t address, vaddr_t address2, bool private)
{
	int error = futex_key(address, private, &p->key);

	if (error == 0)
		error = futex_key(address2, private, &p->key2);
	if (error != 0)
		return error;
	p->address = address;
	p->address2 = address2;
	p->bucket = futex_bucket(&p->key);
	p->bucket2 = futex_bucket(&p->key2);
	return 0;
}

/* Wakes some, and lets others wait at the second futex from now on. Both locks held. */
static int64_t move(struct futex_pair *p, int wakes, int moves)
{
	struct futex_waiter *last = TAILQ_LAST(&p->bucket->waiters, futex_waiters);
	struct futex_waiter *waiter, *next = TAILQ_FIRST(&p->bucket->waiters);
	int64_t woken = 0, moved = 0;

	/* Not beyond who was there at the beginning: the two may be in one bucket. */
	for (waiter = NULL; waiter != last && woken + moved < (int64_t)wakes + moves;) {
		waiter = next;
		next = TAILQ_NEXT(waiter, link);
		if (!futex_same(&waiter->key, &p->key))
			continue;
		if (waiter->is_lock || waiter->to_lock)
			return -EINVAL;
		if (woken < wakes) {
			futex_rouse(waiter, FUTEX_WOKEN);
			woken++;
			continue;
		}
		TAILQ_REMOVE(&p->bucket->waiters, waiter, link);
		waiter->key = p->key2;
		waiter->bucket = p->bucket2;
		TAILQ_INSERT_TAIL(&p->bucket2->waiters, waiter, link);
		moved++;
	}
	return woken + moved;
}

/* `expected`: what the first word must be, or NULL. */
static int64_t requeue(vaddr_t address, vaddr_t address2, bool private, int wakes, int moves,
		       const uint32_t *expected)
{
	struct futex_pair p;
	int64_t result = get_pair(&p, address, address2, private);

	if (wakes < 0 || moves < 0)
		return -EINVAL;
	while (result == 0) {
		uint32_t value = 0;
		bool read = true;

		futex_lock_two(p.bucket, p.bucket2);
		if (expected)
			read = copy_from_user_nofault(&value, address, sizeof(value)) ==
			       sizeof(value);
		if (read && expected && value != *expected)
			result = -EAGAIN;
		else if (read)
			result = move(&p, wakes, moves);
		futex_unlock_two(p.bucket, p.bucket2);
		if (read)
			return result;
		result = user_fault_in(address, sizeof(value), false);
	}
	return result;
}

/* --- FUTEX_WAKE_OP ---------------------------------------------------------------------------------- */

/* The packed fields of its last argument: futex(2). */
struct operation {
	unsigned what, compare;
	int32_t argument, compared;
};

static int32_t sign_extend_12(uint32_t field)
{
	return (int32_t)(field << 20) >> 20;
}

/* -ENOSYS: there is no such operation. */
static int decode(uint32_t packed, struct operation *op)
{
	op->what = packed >> 28 & 7;
	op->compare = packed >> 24 & 15;
	op->argument = sign_extend_12(packed >> 12);
	op->compared = sign_extend_12(packed);
	if (packed >> 28 & FUTEX_OP_OPARG_SHIFT)
		op->argument = (int32_t)(UINT32_C(1) << (op->argument & 31));
	return op->what > FUTEX_OP_XOR || op->compare > FUTEX_OP_CMP_GE ? -ENOSYS : 0;
}

static uint32_t apply(const struct operation *op, uint32_t value)
{
	uint32_t argument = (uint32_t)op->argument;

	switch (op->what) {
	case FUTEX_OP_SET:
		return argument;
	case FUTEX_OP_ADD:
		return value + argument;
	case FUTEX_OP_OR:
		return value | argument;
	case FUTEX_OP_ANDN:
		return value & ~argument;
	default:
		return value ^ argument;
	}
}

static bool compares(const struct operation *op, int32_t value)
{
	switch (op->compare) {
	case FUTEX_OP_CMP_EQ:
		return value == op->compared;
	case FUTEX_OP_CMP_NE:
		return value != op->compared;
	case FUTEX_OP_CMP_LT:
		return value < op->compared;
	case FUTEX_OP_CMP_LE:
		return value <= op->compared;
	case FUTEX_OP_CMP_GT:
		return value > op->compared;
	default:
		return value >= op->compared;
	}
}

/*
 * Changes the second word; what it was in `*old`. -EFAULT: its page is missing. -EAGAIN: others have
 * changed it in between, who would wait for our locks.
 */
static int change(const struct operation *op, vaddr_t address, uint32_t *old)
{
	uint32_t value;

	if (copy_from_user_nofault(&value, address, sizeof(value)) != sizeof(value))
		return -EFAULT;
	*old = value;
	if (!user_exchange_nofault(address, old, apply(op, value)))
		return -EFAULT;
	return *old == value ? 0 : -EAGAIN;
}

static int64_t wake_op(vaddr_t address, vaddr_t address2, bool private, int limit, int limit2,
		       uint32_t packed)
{
	struct operation op;
	struct futex_pair p;
	int64_t result = get_pair(&p, address, address2, private);

	if (result == 0)
		result = decode(packed, &op);
	while (result == 0) {
		int64_t woken2 = 0;
		uint32_t old;
		int error;

		futex_lock_two(p.bucket, p.bucket2);
		error = change(&op, address2, &old);
		if (error == 0) {
			result = wake(p.bucket, &p.key, limit, FUTEX_BITSET_MATCH_ANY);
			if (result >= 0 && compares(&op, (int32_t)old))
				woken2 = wake(p.bucket2, &p.key2, limit2, FUTEX_BITSET_MATCH_ANY);
		}
		futex_unlock_two(p.bucket, p.bucket2);
		if (error == 0)
			return result < 0 || woken2 < 0 ? MIN(result, woken2) : result + woken2;
		if (error == -EFAULT)
			result = user_fault_in(address2, sizeof(old), true);
		else if (current->kill_pending)
			result = -EINTR;
	}
	return result;
}

/* --- the system call -------------------------------------------------------------------------------- */

/* When to stop waiting: FUTEX_WAIT's time is relative, all others' absolute. */
static int read_deadline(vaddr_t timeout, int command, bool wall_clock, uint64_t *deadline_ns)
{
	uint64_t now = wall_clock ? clock_wall_ns() : clock_ns();
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
	if (command != FUTEX_WAIT)
		ns = ns > now ? ns - now : 0;
	*deadline_ns = sleep_deadline(ns);
	return 0;
}

static int64_t requeue_to_lock(vaddr_t address, vaddr_t address2, bool private, int wakes,
			       int moves, uint32_t expected)
{
	struct futex_pair p;
	int error = get_pair(&p, address, address2, private);

	return error != 0 ? error : futex_requeue_to_lock(&p, wakes, moves, expected);
}

static bool has_timeout(int command)
{
	return command == FUTEX_WAIT || command == FUTEX_WAIT_REQUEUE_PI ||
	       command == FUTEX_WAIT_BITSET || command == FUTEX_LOCK_PI ||
	       command == FUTEX_LOCK_PI2;
}

SYSCALL6(futex, vaddr_t, address, int, operation, uint32_t, value, uint64_t, timeout, vaddr_t,
	 address2, uint32_t, value3)
{
	int command = operation & FUTEX_CMD_MASK, count2 = (int)timeout;
	bool private = operation & FUTEX_PRIVATE_FLAG;
	bool wall_clock = operation & FUTEX_CLOCK_REALTIME;
	uint64_t deadline_ns = NO_DEADLINE;
	int error = 0;

	if (wall_clock && command != FUTEX_WAIT_BITSET && command != FUTEX_LOCK_PI2 &&
	    command != FUTEX_WAIT_REQUEUE_PI)
		return -ENOSYS;
	if (has_timeout(command))
		error = read_deadline(timeout, command, wall_clock || command == FUTEX_LOCK_PI,
				      &deadline_ns);
	if (error != 0)
		return error;
	switch (command) {
	case FUTEX_WAIT:
		value3 = FUTEX_BITSET_MATCH_ANY;
		/* fallthrough */
	case FUTEX_WAIT_BITSET:
		return value3 == 0 ? -EINVAL : wait(address, private, value, value3, deadline_ns);
	case FUTEX_WAKE:
		value3 = FUTEX_BITSET_MATCH_ANY;
		/* fallthrough */
	case FUTEX_WAKE_BITSET:
		return value3 == 0 ? -EINVAL : wake_at(address, private, (int)value, value3);
	case FUTEX_REQUEUE:
		return requeue(address, address2, private, (int)value, count2, NULL);
	case FUTEX_CMP_REQUEUE:
		return requeue(address, address2, private, (int)value, count2, &value3);
	case FUTEX_WAKE_OP:
		return wake_op(address, address2, private, (int)value, count2, value3);
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		return futex_lock(address, private, false, deadline_ns);
	case FUTEX_TRYLOCK_PI:
		return futex_lock(address, private, true, deadline_ns);
	case FUTEX_UNLOCK_PI:
		return futex_unlock(address, private);
	case FUTEX_WAIT_REQUEUE_PI:
		return futex_wait_for_lock(address, private, value, deadline_ns, address2);
	case FUTEX_CMP_REQUEUE_PI:
		return requeue_to_lock(address, address2, private, (int)value, count2, value3);
	default:
		return -ENOSYS;
	}
}
