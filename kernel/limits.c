/*
 * kernel/limits.c - resource limits: what the first process begins with, and asking for one.
 *
 * The values are Linux's (INIT_RLIMITS), except that the number of processes, which Linux derives
 * from the size of memory, is half of its default range of process numbers.
 */
#include "kernel/limits.h"
#include "kernel/sched.h"

#define PROCESSES_DEFAULT     16384
#define FILES_DEFAULT         1024
#define FILES_MAX             4096
#define MESSAGE_QUEUE_DEFAULT 819200

uint64_t limit_get(unsigned resource)
{
	struct limits *limits = current->limits;

	assert(resource < RLIM_NLIMITS);
	if (limits == NULL)
		return LIMIT_INFINITY;
	spin_lock(&limits->lock);
	uint64_t value = limits->limit[resource].rlim_cur;
	spin_unlock(&limits->lock);
	return value;
}

static void set(struct limits *limits, unsigned resource, uint64_t soft, uint64_t hard)
{
	limits->limit[resource] = (struct rlimit64){ .rlim_cur = soft, .rlim_max = hard };
}

void limits_init(struct limits *limits)
{
	spin_init(&limits->lock, "limits", RANK_SIGNAL);
	for (unsigned resource = 0; resource < RLIM_NLIMITS; resource++)
		set(limits, resource, LIMIT_INFINITY, LIMIT_INFINITY);
	set(limits, RLIMIT_STACK, _STK_LIM, LIMIT_INFINITY);
	set(limits, RLIMIT_CORE, 0, LIMIT_INFINITY);
	set(limits, RLIMIT_NPROC, PROCESSES_DEFAULT, PROCESSES_DEFAULT);
	set(limits, RLIMIT_NOFILE, FILES_DEFAULT, FILES_MAX);
	set(limits, RLIMIT_MEMLOCK, MLOCK_LIMIT, MLOCK_LIMIT);
	set(limits, RLIMIT_SIGPENDING, PROCESSES_DEFAULT, PROCESSES_DEFAULT);
	set(limits, RLIMIT_MSGQUEUE, MESSAGE_QUEUE_DEFAULT, MESSAGE_QUEUE_DEFAULT);
	set(limits, RLIMIT_NICE, 0, 0);
	set(limits, RLIMIT_RTPRIO, 0, 0);
}
