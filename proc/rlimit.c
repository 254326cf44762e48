/*
 * proc/rlimit.c - getrlimit(2), setrlimit(2) and prlimit(2).
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

static void tell_space(struct space *space, unsigned resource, uint64_t soft)
{
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
	case RLIMIT_MEMLOCK:
		space->limits.memlock = soft;
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
	return raised && !may_raise ? -EPERM : 0;
}

/* Whose limits the caller may see and set: all its ids are the caller's. Family lock held. */
static bool may_limit(const struct process *process)
{
	const struct cred *mine = current_cred(), *its = process->cred;

	return capable(CAP_SYS_RESOURCE) ||
	       (its->uid == mine->uid && its->euid == mine->uid && its->suid == mine->uid &&
		its->gid == mine->gid && its->egid == mine->gid && its->sgid == mine->gid);
}

/*
 * The process that is meant (0: the caller's own), and its space unless it has none any more, each with
 * a reference. -ESRCH, -EPERM.
 */
static int find_target(uint32_t pid, struct process **process, struct space **space)
{
	int error = 0;

	*space = NULL;
	mutex_lock(&family_lock);
	*process = pid != 0 ? family_find(pid) : current_process();
	if (!*process)
		error = -ESRCH;
	else if (*process != current_process() && !may_limit(*process))
		error = -EPERM;
	if (!error) {
		process_get(*process);
		*space = process_space(*process);
	}
	mutex_unlock(&family_lock);
	return error;
}

SYSCALL4(prlimit64, int, pid, unsigned, resource, vaddr_t, new, vaddr_t, old)
{
	struct rlimit64 to, from;
	struct process *process;
	struct space *space;
	int error;

	if (resource >= RLIM_NLIMITS)
		return -EINVAL;
	if (new != 0 && get_user(&to, new) != 0)
		return -EFAULT;
	error = find_target((uint32_t)pid, &process, &space);
	if (error != 0)
		return error;
	from = read_limit(&process->limits, resource);
	if (new != 0)
		error = write_limit(&process->limits, resource, &to);
	if (new != 0 && error == 0 && space)
		tell_space(space, resource, to.rlim_cur);
	if (space)
		space_put(space);
	process_put(process);
	return error == 0 && old != 0 ? put_user(old, from) : error;
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
	int error;

	if (get_user(&limit, in) != 0)
		return -EFAULT;
	if (resource >= RLIM_NLIMITS)
		return -EINVAL;
	error = write_limit(current->limits, resource, &limit);
	if (error == 0)
		tell_space(current->space, resource, limit.rlim_cur);
	return error;
}
