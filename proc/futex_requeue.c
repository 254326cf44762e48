/*
 * proc/futex_requeue.c - FUTEX_WAIT_REQUEUE_PI and FUTEX_CMP_REQUEUE_PI: waiting for a change, and then for a
 * lock, as a condition variable with a PI mutex wants it.
 *
 *	waiter: asleep at the condition ──────────────> asleep at the lock ──────> has it
 *	                                  moved by who signals            by who unlocks, or ends
 *
 * Who signals takes the lock for the most urgent waiter if it is free, and lets all others, or all, wait for
 * it. So nobody wakes only to find it taken.
 */
#include "mm/user.h"
#include "proc/futex.h"

int64_t futex_wait_for_lock(vaddr_t address, bool private, uint32_t expected, uint64_t deadline_ns,
			    vaddr_t lock)
{
	struct waitq sleep;
	struct futex_waiter self = {
		.to_lock = true,
		.bits = FUTEX_BITSET_MATCH_ANY,
		.tid = current->tid,
		.task = current_task(),
		.sleep = &sleep,
	};
	enum futex_state state;
	int error = futex_key(address, private, &self.key);

	if (error == 0)
		error = futex_key(lock, private, &self.lock_key);
	if (error != 0)
		return error;
	if (futex_same(&self.key, &self.lock_key))
		return -EINVAL;
	self.bucket = futex_bucket(&self.key);
	waitq_init(&sleep, "futex condition");
	futex_expect_lock(true);
	error = futex_enqueue(&self, address, expected);
	if (error == 0) {
		error = wait_event_full(&sleep, self.state != FUTEX_ASLEEP, WAIT_SIGNAL,
					deadline_ns);
		state = futex_dequeue(&self);
		inherit_end(&self);
		if (state == FUTEX_WOKEN)
			error = 0;
		else if (state == FUTEX_OWNER_GONE)
			error = futex_take_lock(&self, lock, self.owner, false, deadline_ns);
		else if (error == -EINTR && self.is_lock)
			error = -EAGAIN; /* the word has changed: it cannot be made again */
	}
	futex_expect_lock(false);
	return error;
}

/* --- moving them ------------------------------------------------------------------------------------- */

enum outcome { DONE, READ_FAULTED, WRITE_FAULTED, CHANGED };

/* The next that waits at the condition after `from`; locks held. */
static struct futex_waiter *next_waiter(const struct futex_pair *p, struct futex_waiter *from)
{
	struct futex_waiter *waiter =
		from ? TAILQ_NEXT(from, link) : TAILQ_FIRST(&p->bucket->waiters);

	while (waiter && !futex_same(&waiter->key, &p->key))
		waiter = TAILQ_NEXT(waiter, link);
	return waiter;
}

static struct futex_waiter *most_urgent(const struct futex_pair *p)
{
	struct futex_waiter *waiter = next_waiter(p, NULL), *best = waiter;

	while (waiter && (waiter = next_waiter(p, waiter))) {
		if (waiter->task && best->task &&
		    sched_level(&waiter->task->thread) > sched_level(&best->task->thread))
			best = waiter;
	}
	return best;
}

static bool fits(const struct futex_pair *p, const struct futex_waiter *waiter)
{
	return waiter->to_lock && futex_same(&waiter->lock_key, &p->key2);
}

/* It waits for the lock from now on, and lends to `owner`. */
static void move(const struct futex_pair *p, struct futex_waiter *waiter, struct task *owner)
{
	TAILQ_REMOVE(&p->bucket->waiters, waiter, link);
	waiter->key = p->key2;
	waiter->bucket = p->bucket2;
	waiter->to_lock = false;
	waiter->is_lock = true;
	waiter->owner = owner->thread.tid;
	TAILQ_INSERT_TAIL(&p->bucket2->waiters, waiter, link);
	/* Of a deadlock nobody is told, as nobody waits for an answer. */
	(void)inherit_begin(waiter, owner);
}

/* All whose turn it is, the most urgent first; how many, or -EINVAL: somebody waits for something else. */
static int64_t move_all(const struct futex_pair *p, struct futex_waiter *first, struct task *owner,
			int64_t limit)
{
	struct futex_waiter *waiter, *next;
	int64_t moved = 0;

	if (first && limit > 0) {
		move(p, first, owner);
		moved++;
	}
	for (waiter = next_waiter(p, NULL); waiter && moved < limit; waiter = next) {
		next = next_waiter(p, waiter);
		if (!fits(p, waiter))
			return -EINVAL;
		move(p, waiter, owner);
		moved++;
	}
	return moved;
}

/* Both buckets' locks and the family's held: the owner stays what it is. */
static enum outcome attempt(const struct futex_pair *p, int moves, uint32_t expected,
			    int64_t *result)
{
	struct futex_waiter *top = most_urgent(p);
	uint32_t value, word, seen, wanted;
	struct task *owner;
	bool takes;

	if (copy_from_user_nofault(&value, p->address, sizeof(value)) != sizeof(value))
		return READ_FAULTED;
	if (copy_from_user_nofault(&word, p->address2, sizeof(word)) != sizeof(word))
		return WRITE_FAULTED;
	*result = value != expected ? -EAGAIN : top && !fits(p, top) ? -EINVAL : 0;
	if (*result != 0 || !top)
		return DONE;
	takes = (word & FUTEX_TID_MASK) == 0;
	owner = takes ? top->task : family_find_task(word & FUTEX_TID_MASK);
	if (!owner || (!takes && owner == top->task)) {
		*result = owner ? -EDEADLK : -ESRCH;
		return DONE;
	}
	wanted = word | FUTEX_WAITERS;
	if (takes)
		wanted = top->tid | (word & FUTEX_OWNER_DIED) |
			 (moves > 0 || futex_lock_is_awaited(p->bucket2, &p->key2) ? FUTEX_WAITERS
										   : 0);
	seen = word;
	if (!user_exchange_nofault(p->address2, &seen, wanted))
		return WRITE_FAULTED;
	if (seen != word)
		return CHANGED;
	if (takes)
		futex_rouse(top, FUTEX_WOKEN);
	*result = move_all(p, takes ? NULL : top, owner, takes ? moves : (int64_t)moves + 1);
	if (takes && *result >= 0)
		++*result;
	return DONE;
}

int64_t futex_requeue_to_lock(const struct futex_pair *p, int wakes, int moves, uint32_t expected)
{
	int64_t result = 0;
	int error = 0;

	if (wakes != 1 || moves < 0 || futex_same(&p->key, &p->key2))
		return -EINVAL;
	while (error == 0) {
		enum outcome outcome;

		mutex_lock(&family_lock);
		futex_lock_two(p->bucket, p->bucket2);
		outcome = attempt(p, moves, expected, &result);
		futex_unlock_two(p->bucket, p->bucket2);
		mutex_unlock(&family_lock);
		switch (outcome) {
		case DONE:
			return result;
		case READ_FAULTED:
			error = user_fault_in(p->address, sizeof(uint32_t), false);
			break;
		case WRITE_FAULTED:
			error = user_fault_in(p->address2, sizeof(uint32_t), true);
			break;
		case CHANGED:
			error = current->kill_pending ? -EINTR : 0;
			break;
		}
	}
	return error;
}
