/*
 * kernel/ready.h - who waits for a processor, and whose turn is next. Private to kernel/sched.c, whose run
 * queue lock guards it.
 *
 * Each thread has a level (sched(7)): 1 … 99 are real-time priorities, the higher first; all others are on
 * level 0, in one queue. On each level it is first come, first served, but for those that are put at the
 * head.
 */
#ifndef HAWSER_KERNEL_READY_H
#define HAWSER_KERNEL_READY_H

#include "kernel/sched.h"

TAILQ_HEAD(thread_list, thread);

struct ready {
	struct thread_list levels[RT_PRIORITY_MAX + 1];
	uint64_t realtime[(RT_PRIORITY_MAX + 64) / 64]; /* bit n: somebody waits on level n > 0 */
	_Atomic uint32_t count; /* on all levels; may be read without the lock */
	_Atomic uint32_t realtime_count;
};

void ready_init(struct ready *ready);
void ready_add(struct ready *ready, struct thread *thread, bool first);
void ready_remove(struct ready *ready, struct thread *thread);
/*
 * The next one, taken off: `self`, or one whose registers are saved; NULL: there is none. With `rest`, those
 * on level 0 go before all others.
 */
struct thread *ready_take(struct ready *ready, const struct thread *self, bool rest);
/* The highest level on which somebody waits; 0, too, if nobody does. */
unsigned ready_highest(const struct ready *ready);

#endif
