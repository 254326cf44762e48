/*
 * kernel/watch.h - being told that a wait queue is woken, without sleeping in it.
 *
 * A thread sleeps in one wait queue; poll(2) and epoll(7) wait for many. They put a *watch* on each
 * queue, which stays there until it is removed. When the queue is woken, its watches are told, and each
 * may name one more queue that is woken with it: the one in which the poller sleeps. That may be
 * watched in its turn (an epoll file in another one).
 *
 * All of this is under one spinlock, watch_lock: it protects every queue's list of watches, and what
 * the callbacks change. A queue that nobody watches costs its wakers one look.
 */
#ifndef HAWSER_KERNEL_WATCH_H
#define HAWSER_KERNEL_WATCH_H

#include "kernel/lock.h"

struct watch {
	LIST_ENTRY(watch) link; /* watch_lock */
	struct waitq *queue;    /* NULL: watches nothing; the owner's */
	/*
	 * The queue has been woken. Any context, watch_lock held: sets flags, moves list entries. Which
	 * queue is woken now; NULL: none.
	 */
	struct waitq *(*woken)(struct watch *watch);
};

extern struct spinlock watch_lock; /* RANK_WATCH */

/*
 * `watch` must stay until watch_remove(), and so must the queue; who wakes a queue that may be watched
 * keeps it for as long as waking takes.
 */
void watch_add(struct watch *watch, struct waitq *queue,
	       struct waitq *(*woken)(struct watch *watch));
/* Once it returns, woken() is not running and will not be called. Nothing if it watches nothing. */
void watch_remove(struct watch *watch);

/*
 * Goes up by one with each wake-up of a watched queue: a callback that is reached twice on its way knows
 * it by this. watch_lock held.
 */
extern uint64_t watch_round;

/* For kernel/wait.c: a queue with watches has been woken. */
void watch_tell(struct waitq *queue);
/* For kernel/watch.c: wakes the threads only. True if the queue is watched. (kernel/wait.c) */
bool waitq_wake_threads(struct waitq *queue);

#endif
