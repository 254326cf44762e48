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
	bool is_lock;                   /* FUTEX_LOCK_PI: waits for its owner, not for a change */
	uint32_t owner;                 /* bucket lock; of the lock, by tid */
	uint32_t tid;                   /* its own */
	enum futex_state _Atomic state; /* bucket lock to change; not ASLEEP: it is off the queue */
	struct waitq sleep;
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

/* FUTEX_LOCK_PI, FUTEX_LOCK_PI2, FUTEX_TRYLOCK_PI; FUTEX_UNLOCK_PI. (proc/futex_lock.c) */
int64_t futex_lock(vaddr_t address, bool private, bool try, uint64_t deadline_ns);
int64_t futex_unlock(vaddr_t address, bool private);

#endif
