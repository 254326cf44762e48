/*
 * proc/user.h - what is counted for a user, whatever processes he has.
 */
#ifndef HAWSER_PROC_USER_H
#define HAWSER_PROC_USER_H

#include "kernel/base.h"
#include <bsd/sys/queue.h>

/* There is one for each number that a process has as its real user's, and while signals of his are queued. */
struct user {
	LIST_ENTRY(user) link; /* users_lock */
	uint32_t uid;          /* for ever */
	/* Processes in the upper half, queued signals (RLIMIT_SIGPENDING) in the lower; 0 only under users_lock. */
	_Atomic uint64_t uses;
};

#define USER_PROCESS (UINT64_C(1) << 32)
#define USER_SIGNAL  UINT64_C(1)

/* The user with that number, for one process more; NULL: no memory. Never that for root. */
struct user *user_find(uint32_t uid);

/* One USER_PROCESS or USER_SIGNAL more, of one that has some. */
static inline void user_add(struct user *user, uint64_t unit)
{
	atomic_fetch_add_explicit(&user->uses, unit, memory_order_relaxed);
}

/* One less. Any context that may free memory; may take users_lock. */
void user_remove(struct user *user, uint64_t unit);

static inline uint32_t user_signals(const struct user *user)
{
	return (uint32_t)user->uses;
}

#endif
