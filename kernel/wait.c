/*
 * kernel/wait.c - wait queues: sleeping until somebody says that something has changed.
 *
 * A waiter is on the queue before its condition is looked at. A wake-up takes it off; so a waiter
 * that is still on when it is about to sleep has missed nothing (thread_park() looks once more,
 * kernel/park.h). The wake-up reaches the thread through the queue's lock, which the waiter takes
 * once more in waitq_finish(): after that nobody looks at waiter or thread any longer, and both may
 * go away.
 *
 *	sleeper				waker
 *	prepare: on the queue
 *	condition? no			change
 *	commit: still on? sleep		off the queue, unpark
 *	prepare: on again
 *	condition? yes
 *	finish
 */
#include "kernel/clock.h"
#include "kernel/park.h"
#include "kernel/sched.h"
#include "kernel/watch.h"

/* What ends a sleep before a wake-up does. On the sleeper's stack. */
struct sleep {
	const struct waiter *waiter; /* NULL: nobody wakes, only time passes */
	struct thread *thread;
	enum wait_mode mode;
	struct timer timer;
	_Atomic bool timed_out;
};

void waitq_init(struct waitq *queue, const char *name)
{
	spin_init(&queue->lock, name, RANK_WAITQ);
	TAILQ_INIT(&queue->waiters);
	LIST_INIT(&queue->watches);
}

void waitq_prepare(struct waitq *queue, struct waiter *waiter)
{
	might_sleep();
	spin_lock(&queue->lock);
	if (!waiter->queued) {
		waiter->thread = current;
		waiter->queued = true;
		TAILQ_INSERT_TAIL(&queue->waiters, waiter, link);
	}
	spin_unlock(&queue->lock);
}

void waitq_finish(struct waitq *queue, struct waiter *waiter)
{
	spin_lock(&queue->lock);
	if (waiter->queued) {
		TAILQ_REMOVE(&queue->waiters, waiter, link);
		waiter->queued = false;
	}
	spin_unlock(&queue->lock);
}

static void wake(struct waitq *queue, struct waiter *waiter)
{
	struct thread *thread = waiter->thread;

	TAILQ_REMOVE(&queue->waiters, waiter, link);
	waiter->queued = false;
	thread_unpark(thread);
}

/*
 * Once the lock is let go an unwatched queue may be gone, with the waiter that it was for: what is to be
 * known of it is read before. A watched one stays (kernel/watch.h).
 */
void waitq_wake_one(struct waitq *queue)
{
	bool watched;

	spin_lock(&queue->lock);
	if (!TAILQ_EMPTY(&queue->waiters))
		wake(queue, TAILQ_FIRST(&queue->waiters));
	watched = !LIST_EMPTY(&queue->watches);
	spin_unlock(&queue->lock);
	if (watched)
		watch_tell(queue);
}

bool waitq_wake_threads(struct waitq *queue)
{
	bool watched;

	spin_lock(&queue->lock);
	while (!TAILQ_EMPTY(&queue->waiters))
		wake(queue, TAILQ_FIRST(&queue->waiters));
	watched = !LIST_EMPTY(&queue->watches);
	spin_unlock(&queue->lock);
	return watched;
}

void waitq_wake_all(struct waitq *queue)
{
	if (waitq_wake_threads(queue))
		watch_tell(queue);
}

static bool interrupted(const struct sleep *sleep)
{
	switch (sleep->mode) {
	case WAIT_UNINTERRUPTIBLE:
		return false;
	case WAIT_KILLABLE:
	case WAIT_STOPPED:
		return sleep->thread->kill_pending;
	case WAIT_SIGNAL:
		return sleep->thread->kill_pending || sleep->thread->signal_pending;
	}
	return false;
}

static bool stay_asleep(const void *arg)
{
	const struct sleep *sleep = arg;

	return (sleep->waiter == NULL || sleep->waiter->queued) && !sleep->timed_out &&
	       !interrupted(sleep);
}

static void time_out(struct timer *timer)
{
	struct sleep *sleep = container_of(timer, struct sleep, timer);

	sleep->timed_out = true;
	thread_unpark(sleep->thread);
}

static bool blocks(enum wait_mode mode)
{
	return mode == WAIT_UNINTERRUPTIBLE || mode == WAIT_KILLABLE;
}

/* timer_cancel() waits for a callback that runs, so `sleep` and the thread outlive it. */
static int sleep_until_woken(struct sleep *sleep, uint64_t deadline_ns)
{
	sleep->thread = current;
	if (deadline_ns != NO_DEADLINE) {
		if (clock_ns() >= deadline_ns)
			sleep->timed_out = true;
		timer_init(&sleep->timer, time_out);
		if (stay_asleep(sleep)) {
			timer_set(&sleep->timer, deadline_ns);
			thread_park(stay_asleep, sleep, blocks(sleep->mode));
			timer_cancel(&sleep->timer);
		}
	} else {
		thread_park(stay_asleep, sleep, blocks(sleep->mode));
	}
	if (interrupted(sleep))
		return -EINTR;
	return sleep->timed_out ? -ETIMEDOUT : 0;
}

int waitq_commit(struct waiter *waiter, enum wait_mode mode, uint64_t deadline_ns)
{
	struct sleep sleep = { .waiter = waiter, .mode = mode };

	return sleep_until_woken(&sleep, deadline_ns);
}

int sleep_until(uint64_t deadline_ns, enum wait_mode mode)
{
	for (;;) {
		struct sleep sleep = { .waiter = NULL, .mode = mode };
		int error = sleep_until_woken(&sleep, deadline_ns);
		if (error != 0)
			return error == -ETIMEDOUT ? 0 : error;
	}
}

uint64_t sleep_deadline(uint64_t ns)
{
	uint64_t deadline_ns = current->restart_deadline_ns;

	current->restart_deadline_ns = 0;
	if (deadline_ns == 0 && __builtin_add_overflow(clock_ns(), ns, &deadline_ns))
		deadline_ns = NO_DEADLINE;
	return deadline_ns;
}

void sleep_cut_short(uint64_t deadline_ns)
{
	current->restart_deadline_ns = deadline_ns;
}

void thread_kill(struct thread *thread)
{
	thread->kill_pending = true;
	thread_unpark(thread);
}

void thread_signal(struct thread *thread)
{
	thread->signal_pending = true;
	thread_unpark(thread);
}
