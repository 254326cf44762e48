/*
 * kernel/park.h - putting one thread to sleep and waking it: what wait queues, mutexes and rwlocks
 * are made of. Private to kernel/.
 *
 * A sleeper must not miss a wake-up that comes between its last look and its falling asleep. So the
 * last look is taken by thread_park() itself, under the run queue's lock: whoever changes what
 * `stay` looks at and calls thread_unpark() afterwards either comes early enough for `stay` to see
 * it, or finds the thread asleep.
 */
#ifndef HAWSER_KERNEL_PARK_H
#define HAWSER_KERNEL_PARK_H

#include "kernel/sched.h"

/*
 * Sleeps if stay(arg) still says so; returns after the next thread_unpark(), which need not have
 * been meant for this sleep: the caller looks again. `stay` only reads flags. `blocked`: see struct thread.
 */
void thread_park(bool (*stay)(const void *arg), const void *arg, bool blocked);

/*
 * Makes a parked thread runnable; nothing if it is not parked. Any context; any lock of lower rank
 * than RANK_TIMER. The thread must not go away meanwhile.
 */
void thread_unpark(struct thread *thread);

/* True once sched_idle() runs: from then on the rules of might_sleep() hold. */
bool sched_started(void);

#endif
