/*
 * proc/rlimit.c - getrlimit(2) and setrlimit(2).
 *
 * Limits on memory are also the space's business, which has a copy under its own lock.
 */
#include "kernel/cred.h"
#include "kernel/limits.h"
#include "kernel/syscall.h"
#include "mm/space.h"
#include "mm/user.h"
#include "proc/process.h"

static struct rlimit64 read_limit(struct limits *limits, unsigned resource)
{
	struct rlimit64 limit;

	spin_lock(&limits->lock);
	limit = limits->limit[resource];
	spin_unlock(&limits->lock);
	return limit;
}

static void tell_space(unsigned resource, uint64_t soft)
{
	struct space *space = current->space;

	rw_write_lock(&space->lock);
	switch (resource) {
	case RLIMIT_AS:
		space->limits.as = soft;
		break;
	case RLIMIT_DATA:
		space->limits.data = soft;
		break;
	case RLIMIT_STACK:
		space->limits.stack = soft;
		break;
	default:
		break;
	}
	rw_write_unlock(&space->lock);
}

static int write_limit(struct limits *limits, unsigned resource, const struct rlimit64 *limit)
{
	bool may_raise = capable(CAP_SYS_RESOURCE);
	bool raised;

	if (limit->rlim_cur > limit->rlim_max)
		return -EINVAL;
	spin_lock(&limits->lock);
	raised = limit->rlim_max > limits->limit[resource].rlim_max;
	if (!raised || may_raise)
		limits->limit[resource] = *limit;
	spin_unlock(&limits->lock);
	if (raised && !may_raise)
		return -EPERM;
	tell_space(resource, limit->rlim_cur);
	return 0;
}

SYSCALL4(prlimit64, int, pid, unsigned, resource, vaddr_t, new, vaddr_t, old)
{
	struct limits *limits = current->limits;
	struct rlimit64 to, from;
	int error = 0;

	if (pid != 0 && (uint32_t)pid != current_process()->pid)
		return -ESRCH;
	if (resource >= RLIM_NLIMITS)
		return -EINVAL;
	if (new != 0)
		error = get_user(&to, new);
	from = read_limit(limits, resource);
	if (error == 0 && new != 0)
		error = write_limit(limits, resource, &to);
	if (error == 0 && old != 0)
		error = put_user(old, from);
	return error;
}

SYSCALL2(getrlimit, unsigned, resource, vaddr_t, out)
{
	struct rlimit64 limit;

	if (resource >= RLIM_NLIMITS)
		return -EINVAL;
	limit = read_limit(current->limits, resource);
	return put_user(out, limit);
}

SYSCALL2(setrlimit, unsigned, resource, vaddr_t, in)
{
	struct rlimit64 limit;

	if (get_user(&limit, in) != 0)
		return -EFAULT;
	if (resource >= RLIM_NLIMITS)
		return -EINVAL;
	return write_limit(current->limits, resource, &limit);
}
