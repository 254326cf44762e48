/*
 * kernel/limits.h - a process's resource limits (getrlimit(2)), where every room can ask.
 */
#ifndef HAWSER_KERNEL_LIMITS_H
#define HAWSER_KERNEL_LIMITS_H

#include "kernel/base.h"
#include "kernel/lock.h"
#include <linux/resource.h>

#define LIMIT_INFINITY UINT64_MAX

struct limits {
	struct spinlock lock;                /* RANK_SIGNAL */
	struct rlimit64 limit[RLIM_NLIMITS]; /* lock */
};

/* The current thread's soft limit; LIMIT_INFINITY in a kernel thread. */
uint64_t limit_get(unsigned resource);
/* Linux's defaults for the first process. */
void limits_init(struct limits *limits);

#endif
