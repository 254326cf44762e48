/*
 * kernel/watch.c - telling those who watch a wait queue. See the header.
 *
 * A waker changes something and then looks whether the queue is watched; a watcher puts its watch on
 * and then looks at what may have changed. The queue's own spinlock, which both take in between, keeps
 * the two from missing each other.
 */
#include "kernel/watch.h"

struct spinlock watch_lock = SPINLOCK_INIT("watches", RANK_WATCH);
uint64_t watch_round; /* watch_lock */

void watch_add(struct watch *watch, struct waitq *queue,
	       struct waitq *(*woken)(struct watch *watch))
{
	assert(watch->queue == NULL);
	watch->queue = queue;
	watch->woken = woken;
	spin_lock(&watch_lock);
	spin_lock(&queue->lock);
	LIST_INSERT_HEAD(&queue->watches, watch, link);
	spin_unlock(&queue->lock);
	spin_unlock(&watch_lock);
}

void watch_remove(struct watch *watch)
{
	if (watch->queue == NULL)
		return;
	spin_lock(&watch_lock);
	spin_lock(&watch->queue->lock);
	LIST_REMOVE(watch, link);
	spin_unlock(&watch->queue->lock);
	spin_unlock(&watch_lock);
	watch->queue = NULL;
}

/* watch_lock held. As deep as epoll files are nested, which fs/epoll.c limits. */
static void tell(struct waitq *queue)
{
	struct watch *watch;

	LIST_FOREACH (watch, &queue->watches, link) {
		struct waitq *next = watch->woken(watch);

		if (next != NULL && waitq_wake_threads(next))
			tell(next);
	}
}

void watch_tell(struct waitq *queue)
{
	spin_lock(&watch_lock);
	watch_round++;
	tell(queue);
	spin_unlock(&watch_lock);
}
