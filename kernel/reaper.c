/*
 * kernel/reaper.c - releasing threads that have exited.
 *
 * A thread cannot free the stack it stands on. The thread after it hands it over (reaper_take()), and the
 * reaper, a thread that holds no lock of anybody's, calls its `release`, which may sleep.
 */
#include "kernel/reaper.h"
#include "kernel/x86_64/stack_guard.h"

static struct spinlock lock = SPINLOCK_INIT("reaper", RANK_REAPER);
static TAILQ_HEAD(, thread) dead = TAILQ_HEAD_INITIALIZER(dead); /* lock; by run_link */
static uint64_t exited, released; /* lock: how many so far, in order */

static struct thread reaper;
static GUARDED_STACK(reaper_stack, KSTACK_SIZE);
static struct waitq work = WAITQ_INIT(work, "reaper");
static struct waitq done = WAITQ_INIT(done, "reaped");

void reaper_take(struct thread *thread)
{
	spin_lock(&lock);
	TAILQ_INSERT_TAIL(&dead, thread, run_link);
	exited++;
	spin_unlock(&lock);
	waitq_wake_one(&work);
}

static struct thread *take_dead(void)
{
	spin_lock(&lock);
	struct thread *thread = TAILQ_FIRST(&dead);
	if (thread != NULL)
		TAILQ_REMOVE(&dead, thread, run_link);
	spin_unlock(&lock);
	return thread;
}

static void reap(void *arg)
{
	for (;;) {
		struct thread *thread = NULL;
		wait_event(&work, (thread = take_dead()) != NULL);
		if (thread->release != NULL)
			thread->release(thread);
		spin_lock(&lock);
		released++;
		spin_unlock(&lock);
		waitq_wake_all(&done);
	}
}

uint64_t reaper_released(void)
{
	spin_lock(&lock);
	uint64_t count = released;
	spin_unlock(&lock);
	return count;
}

void sched_reap(void)
{
	spin_lock(&lock);
	uint64_t goal = exited;
	spin_unlock(&lock);
	wait_event(&done, reaper_released() >= goal);
}

void reaper_init(void)
{
	thread_init(&reaper, "reaper", (vaddr_t)reaper_stack.stack, reap, NULL, NULL);
	thread_start(&reaper);
}
