/*
 * mm/oom.h - what a page fault does when there is no memory, and none can be reclaimed.
 *
 * Somebody has to end. Who is decided by the room that knows processes, in a thread of its own: the one
 * that faults may be in the middle of a system call, with locks that come after the process family's.
 *
 *	fault: no memory ── oom_relieve() ──> asks, and waits ──────────────> tries again
 *	                                        │                  ▲
 *	                      the oom thread: pick() ends one ─────┘ its memory comes back
 */
#ifndef HAWSER_MM_OOM_H
#define HAWSER_MM_OOM_H

#include "kernel/base.h"

enum oom_pick {
	OOM_PICKED, /* somebody is ending now */
	OOM_WAITED, /* somebody already was */
	OOM_NOBODY, /* there is nobody who could be ended */
};

/*
 * Starts the thread that calls `pick` when memory has run out: it ends the process that uses the most,
 * unless one that is to end has not yet. Called with no lock held. Once, at start.
 */
void oom_start(enum oom_pick (*pick)(void));

/*
 * After an allocation for a user's page has failed: reclaims, or has somebody ended and waits for the
 * memory. 0: try again. -EINTR: it is the caller that has to end. -ENOMEM: nobody could be ended, or
 * it did not help. Sleeps, for a bounded time; no lock of mm's is held.
 */
int oom_relieve(void);

/* A process has given its memory back. Any context. */
void oom_memory_returned(void);

/* How many processes have been ended for memory. */
uint64_t oom_count(void);

#endif
