/*
 * proc/futex_lock.c - FUTEX_LOCK_PI and FUTEX_UNLOCK_PI: locks whose owner the kernel knows.
 *
 * The word holds the owner's thread number. Who finds it taken sets FUTEX_WAITERS, queues, and lends its
 * priority to the owner (proc/inherit.c); the owner then comes here to unlock, and hands over to the most
 * urgent of those that wait, among equals to who has waited longest. The lock is not lost when its owner
 * ends, or execs, which ends its program:
 *
 *	owner ends: its number is nobody's any more, then futex_owner_ended() rouses who waits for it.
 *	They look again; the first takes over, with FUTEX_OWNER_DIED in the word, as on Linux.
 *
 * A waiter queues first and then looks whether the owner is there, so that it is either roused or has
 * seen that nobody will.
 */
#include "mm/user.h"
#include "proc/futex.h"

static _Atomic uint32_t lock_waiters; /* queued anywhere */

/* The first that waits for the lock, after `from`; bucket lock held. */
static struct futex_waiter *next_waiter(struct futex_bucket *bucket, const struct futex_key *key,
					struct futex_waiter *from)
{
	struct futex_waiter *waiter = from ? TAILQ_NEXT(from, link) : TAILQ_FIRST(&bucket->waiters);

	while (waiter && !(waiter->is_lock && futex_same(&waiter->key, key)))
		waiter = TAILQ_NEXT(waiter, link);
	return waiter;
}

bool futex_lock_is_awaited(struct futex_bucket *bucket, const struct futex_key *key)
{
	return next_waiter(bucket, key, NULL) != NULL;
}

enum outcome { TAKEN, QUEUED, FAULTED, CHANGED, BUSY, DEADLOCK };

/*
 * Takes the lock if it is free, or was `dead`'s, who has ended; queues otherwise, unless it only tries.
 * Bucket lock held.
 */
static enum outcome attempt(struct futex_waiter *self, vaddr_t address, uint32_t dead, bool try)
{
	struct futex_bucket *bucket = self->bucket;
	uint32_t word, seen, wanted, owner;
	bool takes;

	if (copy_from_user_nofault(&word, address, sizeof(word)) != sizeof(word))
		return FAULTED;
	owner = word & FUTEX_TID_MASK;
	if (owner == self->tid)
		return DEADLOCK;
	takes = owner == 0 || owner == dead;
	if (!takes && try)
		return BUSY;
	wanted = word | FUTEX_WAITERS;
	if (takes)
		wanted = self->tid | (word & FUTEX_OWNER_DIED) |
			 (owner != 0 ? FUTEX_OWNER_DIED : 0) |
			 (futex_lock_is_awaited(bucket, &self->key) ? FUTEX_WAITERS : 0);
	seen = word;
	if (!user_exchange_nofault(address, &seen, wanted))
		return FAULTED;
	if (seen != word)
		return CHANGED;
	if (takes)
		return TAKEN;
	self->state = FUTEX_ASLEEP;
	self->owner = owner;
	TAILQ_INSERT_TAIL(&bucket->waiters, self, link);
	return QUEUED;
}

/* The same until it is decided: 0 (TAKEN), 1 (QUEUED), or an error. */
static int take_or_queue(struct futex_waiter *self, vaddr_t address, uint32_t dead, bool try)
{
	for (;;) {
		enum outcome outcome;
		int error;

		spin_lock(&self->bucket->lock);
		outcome = attempt(self, address, dead, try);
		spin_unlock(&self->bucket->lock);
		switch (outcome) {
		case TAKEN:
			return 0;
		case QUEUED:
			return 1;
		case BUSY:
			return -EAGAIN;
		case DEADLOCK:
			return -EDEADLK;
		case FAULTED:
			error = user_fault_in(address, sizeof(uint32_t), true);
			if (error != 0)
				return error;
			break;
		case CHANGED:
			if (current->kill_pending)
				return -EINTR;
			break;
		}
	}
}

/* Queued: the owner is told how urgent it is. -ESRCH: there is none; -EDEADLK: it waits for us. */
static int lend(struct futex_waiter *self)
{
	struct task *owner;
	int error = 0;

	mutex_lock(&family_lock);
	spin_lock(&self->bucket->lock);
	if (self->state == FUTEX_ASLEEP) {
		owner = family_find_task(self->owner);
		error = owner ? inherit_begin(self, owner) : -ESRCH;
	}
	spin_unlock(&self->bucket->lock);
	mutex_unlock(&family_lock);
	return error;
}

/* Queued: until the lock is ours (0), its owner is gone (1), or there is an error. */
static int await(struct futex_waiter *self, uint64_t deadline_ns)
{
	enum futex_state state;
	int error = lend(self);

	if (error == 0)
		error = wait_event_full(self->sleep, self->state != FUTEX_ASLEEP, WAIT_SIGNAL,
					deadline_ns);
	state = futex_dequeue(self);
	inherit_end(self);
	return state == FUTEX_WOKEN ? 0 : state == FUTEX_OWNER_GONE ? 1 : error;
}

int futex_take_lock(struct futex_waiter *self, vaddr_t address, uint32_t dead, bool try,
		    uint64_t deadline_ns)
{
	int result;

	while ((result = take_or_queue(self, address, dead, try)) == 1) {
		result = await(self, deadline_ns);
		if (result != 1)
			break;
		dead = self->owner;
	}
	return result;
}

void futex_expect_lock(bool expects)
{
	lock_waiters += expects ? 1 : UINT32_MAX;
}

int64_t futex_lock(vaddr_t address, bool private, bool try, uint64_t deadline_ns)
{
	struct waitq sleep;
	struct futex_waiter self = {
		.is_lock = true,
		.bits = FUTEX_BITSET_MATCH_ANY,
		.tid = current->tid,
		.task = current_task(),
		.sleep = &sleep,
	};
	int result = futex_key(address, private, &self.key);

	if (result != 0)
		return result;
	self.bucket = futex_bucket(&self.key);
	waitq_init(&sleep, "futex lock");
	futex_expect_lock(true);
	result = futex_take_lock(&self, address, 0, try, deadline_ns);
	futex_expect_lock(false);
	return result;
}

/* --- handing over ---------------------------------------------------------------------------------- */

/* The most urgent of those that wait; bucket lock held. `*others`: it is not the only one. */
static struct futex_waiter *choose_heir(struct futex_bucket *bucket, const struct futex_key *key,
					bool *others)
{
	struct futex_waiter *waiter = next_waiter(bucket, key, NULL), *heir = waiter;

	*others = false;
	while (waiter && (waiter = next_waiter(bucket, key, waiter))) {
		*others = true;
		if (sched_level(&waiter->task->thread) > sched_level(&heir->task->thread))
			heir = waiter;
	}
	return heir;
}

/* The word says that it is the heir's now: so do all that wait. Bucket lock held. */
static void hand_over(struct futex_bucket *bucket, const struct futex_key *key,
		      struct futex_waiter *heir)
{
	struct futex_waiter *waiter = next_waiter(bucket, key, NULL);

	inherit_end(heir);
	for (; waiter; waiter = next_waiter(bucket, key, waiter)) {
		if (waiter == heir)
			continue;
		waiter->owner = heir->tid;
		inherit_move(waiter, heir->task);
	}
	futex_rouse(heir, FUTEX_WOKEN);
}

int64_t futex_unlock(vaddr_t address, bool private)
{
	struct futex_key key;
	struct futex_bucket *bucket;
	int error = futex_key(address, private, &key);

	if (error != 0)
		return error;
	bucket = futex_bucket(&key);
	while (error == 0) {
		struct futex_waiter *heir;
		uint32_t word, seen, wanted;
		bool there, others, done = false;

		spin_lock(&bucket->lock);
		there = copy_from_user_nofault(&word, address, sizeof(word)) == sizeof(word);
		if (there && (word & FUTEX_TID_MASK) != current->tid) {
			spin_unlock(&bucket->lock);
			return -EPERM;
		}
		heir = choose_heir(bucket, &key, &others);
		wanted = heir ? heir->tid | (others ? FUTEX_WAITERS : 0) : 0;
		seen = word;
		there = there && user_exchange_nofault(address, &seen, wanted);
		if (there && seen == word) {
			done = true;
			if (heir)
				hand_over(bucket, &key, heir);
		}
		spin_unlock(&bucket->lock);
		if (done)
			return 0;
		if (!there)
			error = user_fault_in(address, sizeof(word), true);
		else if (current->kill_pending)
			error = -EINTR;
	}
	return error;
}

void futex_owner_ended(uint32_t tid)
{
	if (lock_waiters == 0)
		return;
	inherit_forget(current_task());
	for (unsigned i = 0; i < FUTEX_BUCKETS; i++) {
		struct futex_bucket *bucket = &futex_buckets[i];
		struct futex_waiter *waiter, *next;

		spin_lock(&bucket->lock);
		for (waiter = TAILQ_FIRST(&bucket->waiters); waiter; waiter = next) {
			next = TAILQ_NEXT(waiter, link);
			if (waiter->is_lock && waiter->owner == tid)
				futex_rouse(waiter, FUTEX_OWNER_GONE);
		}
		spin_unlock(&bucket->lock);
	}
}
