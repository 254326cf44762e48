/*
 * proc/user.h - what is counted for a user, whatever processes he has.
 */
#ifndef HAWSER_PROC_USER_H
#define HAWSER_PROC_USER_H

#include "kernel/base.h"
#include <bsd/sys/queue.h>

struct user {
	LIST_ENTRY(user) link;    /* users_lock */
	uint32_t uid;             /* for ever */
	_Atomic uint32_t refs;    /* of processes and of what is counted; 0 only under users_lock */
	_Atomic uint64_t signals; /* queued: RLIMIT_SIGPENDING */
};

/* The user with that number, with a reference; NULL: no memory. Never that for root. Takes users_lock. */
struct user *user_find(uint32_t uid);
void user_get(struct user *user);
void user_put(struct user *user); /* any context that may free memory; may take users_lock */

#endif
