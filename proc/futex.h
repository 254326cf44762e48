/*
 * proc/futex.h - what the kinds of futex share; inside proc/ only.
 */
#ifndef HAWSER_PROC_FUTEX_H
#define HAWSER_PROC_FUTEX_H

#include "kernel/sched.h"
#include "proc/process.h"
#include <linux/futex.h>

/*
 * What a futex is known by: the space and its address there, or, in a shared mapping, the object and the
 * byte in it. It is compared and never followed, so it holds no reference.
 */
struct futex_key {
	const void *owner; /* a struct space or a struct object */
	uint64_t offset;
};

enum futex_state {
	FUTEX_ASLEEP,
	FUTEX_WOKEN,      /* or given the lock */
	FUTEX_OWNER_GONE, /* the lock's owner has ended: look again */
};

/* One sleeping thread; on its stack. */
struct futex_waiter {
	TAILQ_ENTRY(futex_waiter) link;      /* bucket lock */
	struct futex_key key;                /* bucket lock */
	struct futex_bucket *_Atomic bucket; /* changes with both buckets' locks held */
	uint32_t bits;
	bool is_lock; /* bucket lock; FUTEX_LOCK_PI: waits for its owner, not for a change */
	bool to_lock; /* bucket lock; FUTEX_WAIT_REQUEUE_PI: to be moved to: */
	struct futex_key lock_key;
	uint32_t owner;                 /* bucket lock; of the lock, by tid */
	uint32_t tid;                   /* its own */
	struct task *task;              /* its own; of those that wait for locks, or will */
	enum futex_state _Atomic state; /* bucket lock to change; not ASLEEP: it is off the queue */
	struct waitq *sleep;

	/* proc/inherit.c's lock. */
	struct task *holder;            /* to whom it lends its priority; NULL: to nobody */
	LIST_ENTRY(futex_waiter) lends; /* among the holder's */
};

struct futex_bucket {
	struct spinlock lock;                            /* RANK_FUTEX */
	TAILQ_HEAD(futex_waiters, futex_waiter) waiters; /* lock */
};

#define FUTEX_BUCKETS 256
extern struct futex_bucket futex_buckets[FUTEX_BUCKETS];

/* The futex at an address of the current space. -EINVAL (not aligned), -EFAULT. Takes the space's lock. */
int futex_key(vaddr_t address, bool private, struct futex_key *key);
struct futex_bucket *futex_bucket(const struct futex_key *key);

static inline bool futex_same(const struct futex_key *a, const struct futex_key *b)
{
	return a->owner == b->owner && a->offset == b->offset;
}

/* Bucket lock held: off the queue, in that state, and awake. Its stack lives until it gets the lock. */
void futex_rouse(struct futex_waiter *waiter, enum futex_state state);
/* The end of a sleep: takes it off if nobody has. What has become of it. */
enum futex_state futex_dequeue(struct futex_waiter *waiter);

/*
 * Queues the waiter, whose key and bucket are set, if the word still is `expected`. -EAGAIN: it is not;
 * -EFAULT.
 */
int futex_enqueue(struct futex_waiter *waiter, vaddr_t address, uint32_t expected);

/* Two futexes of one call. */
struct futex_pair {
	vaddr_t address, address2;
	struct futex_key key, key2;
	struct futex_bucket *bucket, *bucket2;
};
void futex_lock_two(struct futex_bucket *a, struct futex_bucket *b);
void futex_unlock_two(struct futex_bucket *a, struct futex_bucket *b);

/* --- locks (proc/futex_lock.c) ------------------------------------------------------------------ */

/* FUTEX_LOCK_PI, FUTEX_LOCK_PI2, FUTEX_TRYLOCK_PI; FUTEX_UNLOCK_PI. */
int64_t futex_lock(vaddr_t address, bool private, bool try, uint64_t deadline_ns);
int64_t futex_unlock(vaddr_t address, bool private);
/* Takes a lock, or waits for it; `dead`: who has ended, and may still be in the word. 0 or an error. */
int futex_take_lock(struct futex_waiter *self, vaddr_t address, uint32_t dead, bool try,
		    uint64_t deadline_ns);
/* The calling thread may be in a queue for a lock from now on; or not any more. */
void futex_expect_lock(bool expects);
/* Bucket lock held. */
bool futex_lock_is_awaited(struct futex_bucket *bucket, const struct futex_key *key);

/* FUTEX_WAIT_REQUEUE_PI, FUTEX_CMP_REQUEUE_PI. (proc/futex_requeue.c) */
int64_t futex_wait_for_lock(vaddr_t address, bool private, uint32_t expected, uint64_t deadline_ns,
			    vaddr_t lock);
int64_t futex_requeue_to_lock(const struct futex_pair *p, int wakes, int moves, uint32_t expected);

/* --- priority inheritance (proc/inherit.c) ------------------------------------------------------- */

/* A queued waiter lends its priority to `holder`, a member of the family. -EDEADLK: that waits for it. */
int inherit_begin(struct futex_waiter *waiter, struct task *holder);
/* Whom it lends to, if it does, is another now. */
void inherit_move(struct futex_waiter *waiter, struct task *holder);
void inherit_end(struct futex_waiter *waiter);
/* A thread has left its process, or its program: nobody lends to it. */
void inherit_forget(struct task *task);

#endif
