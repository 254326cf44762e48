/*
 * kernel/reaper.h - what becomes of threads that have exited. Private to kernel/sched.c, but for sched_reap().
 */
#ifndef HAWSER_KERNEL_REAPER_H
#define HAWSER_KERNEL_REAPER_H

#include "kernel/sched.h"

/* Starts the reaper; once. */
void reaper_init(void);
/* A dead thread that no CPU runs, whose stack nobody stands on. Interrupts off, no lock. */
void reaper_take(struct thread *thread);
/* How many have been released so far; may be read with any lock but spinlocks held. */
uint64_t reaper_released(void);

#endif
