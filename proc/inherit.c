/*
 * proc/inherit.c - priority inheritance: who holds a lock that a more urgent thread waits for is as urgent
 * while it holds it (futex(2), "Priority-inheritance futexes").
 *
 *	H holds L1, waited for by T (20) and U (5), where T holds L2, waited for by V (40):
 *
 *	V ──waits──> T ──waits──> H        T runs on 40, and so does H
 *	            U ──waits──> H
 *
 * A waiter is on its holder's list, and a thread knows what it waits for itself. Whatever changes is carried
 * along the chain as far as it changes anything. A chain that leads back to its beginning is a deadlock, of
 * which the one that would close it is told.
 */
#include "proc/futex.h"

/* As many locks as Linux follows (kernel.max_lock_depth). */
#define CHAIN_MAX 1024

/* Lists and what is lent; taken under buckets' locks. */
static struct spinlock inherit_lock = SPINLOCK_INIT("inheritance", RANK_INHERIT);

static unsigned level_of(const struct futex_waiter *waiter)
{
	return sched_level(&waiter->task->thread);
}

static unsigned highest(const struct task *holder)
{
	const struct futex_waiter *waiter;
	unsigned level = 0;

	LIST_FOREACH (waiter, &holder->lenders, lends)
		level = MAX(level, level_of(waiter));
	return level;
}

/* What is lent to `holder` may have changed. */
static void carry(struct task *holder)
{
	for (unsigned count = 0; holder && count < CHAIN_MAX; count++) {
		unsigned level = highest(holder);

		if (level == holder->thread.lent)
			return;
		sched_lend(&holder->thread, level);
		holder = holder->waits ? holder->waits->holder : NULL;
	}
}

static bool leads_to(const struct task *holder, const struct task *end)
{
	for (unsigned count = 0; holder && count < CHAIN_MAX; count++) {
		if (holder == end)
			return true;
		holder = holder->waits ? holder->waits->holder : NULL;
	}
	return false;
}

static void attach(struct futex_waiter *waiter, struct task *holder)
{
	waiter->holder = holder;
	LIST_INSERT_HEAD(&holder->lenders, waiter, lends);
	/* Nothing is to be compared that lends nothing. */
	if (level_of(waiter) > holder->thread.lent)
		carry(holder);
}

static void detach(struct futex_waiter *waiter)
{
	struct task *holder = waiter->holder;

	if (!holder)
		return;
	waiter->holder = NULL;
	LIST_REMOVE(waiter, lends);
	if (holder->thread.lent > 0)
		carry(holder);
}

int inherit_begin(struct futex_waiter *waiter, struct task *holder)
{
	int error = 0;

	spin_lock(&inherit_lock);
	if (leads_to(holder, waiter->task)) {
		error = -EDEADLK;
	} else {
		waiter->task->waits = waiter;
		attach(waiter, holder);
	}
	spin_unlock(&inherit_lock);
	return error;
}

void inherit_move(struct futex_waiter *waiter, struct task *holder)
{
	spin_lock(&inherit_lock);
	if (waiter->holder) {
		detach(waiter);
		attach(waiter, holder);
	}
	spin_unlock(&inherit_lock);
}

void inherit_end(struct futex_waiter *waiter)
{
	spin_lock(&inherit_lock);
	detach(waiter);
	if (waiter->task->waits == waiter)
		waiter->task->waits = NULL;
	spin_unlock(&inherit_lock);
}

void inherit_changed(struct task *task)
{
	spin_lock(&inherit_lock);
	if (task->waits)
		carry(task->waits->holder);
	spin_unlock(&inherit_lock);
}

void inherit_forget(struct task *task)
{
	struct futex_waiter *waiter;

	spin_lock(&inherit_lock);
	while ((waiter = LIST_FIRST(&task->lenders))) {
		LIST_REMOVE(waiter, lends);
		waiter->holder = NULL;
	}
	carry(task);
	spin_unlock(&inherit_lock);
}
