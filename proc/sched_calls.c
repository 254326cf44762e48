/*
 * proc/sched_calls.c - how threads take turns, as programs set it: sched(7), nice(2), ioprio_set(2).
 *
 * The scheduler (kernel/sched.c) makes shares out of nice values, and lets real-time threads go before
 * all others.
 * SCHED_DEADLINE is EINVAL. Priorities of disk access are remembered, there being no disk.
 */
#include "kernel/cred.h"
#include "kernel/limits.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/timespec.h"
#include "kernel/x86_64/cpu.h"
#include "mm/user.h"
#include "proc/process.h"
#include <linux/ioprio.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/sched/types.h>

/* The thread that a number means, 0 being the caller. NULL: ESRCH. Family lock held. */
static struct thread *named(int pid)
{
	struct task *task = pid == 0 ? current_task() : family_find_task((uint32_t)pid);

	return task ? &task->thread : NULL;
}

/* --- who may ---------------------------------------------------------------------------------------------- */

/* True if the caller may change how the thread is scheduled: its user, or CAP_SYS_NICE. Family lock held. */
static bool may_schedule(const struct thread *thread)
{
	const struct cred *mine = current_cred(), *its = thread->process->cred;

	return capable(CAP_SYS_NICE) || mine->euid == its->euid || mine->euid == its->uid;
}

/* True if the caller may go from one nice value to another: down to what RLIMIT_NICE allows. */
static bool may_be_nice(int from, int to)
{
	return to >= from || capable(CAP_SYS_NICE) ||
	       (uint64_t)(NICE_MAX + 1 - to) <= limit_get(RLIMIT_NICE);
}

/* The same of real-time priorities: up to RLIMIT_RTPRIO. */
static bool may_be_urgent(int from, int to)
{
	return to <= from || capable(CAP_SYS_NICE) || (uint64_t)to <= limit_get(RLIMIT_RTPRIO);
}

/* --- policies ------------------------------------------------------------------------------------------- */

static bool is_realtime(int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

static bool is_policy(int policy)
{
	return is_realtime(policy) || policy == SCHED_NORMAL || policy == SCHED_BATCH ||
	       policy == SCHED_IDLE;
}

static int read_params(int pid, struct sched_params *params)
{
	struct thread *thread;

	if (pid < 0)
		return -EINVAL;
	mutex_lock(&family_lock);
	thread = named(pid);
	if (thread)
		*params = sched_get_params(thread);
	mutex_unlock(&family_lock);
	return thread ? 0 : -ESRCH;
}

/* What is wanted of a thread; -1: as it is. */
struct change {
	int policy, rt_priority, nice;
	bool reset_on_fork;
};

/* 0 if the caller may make that of the thread, as sched(7) says. Family lock held. */
static int check_change(const struct thread *thread, const struct sched_params *from,
			const struct sched_params *to)
{
	if (is_realtime(to->policy) != (to->rt_priority != 0))
		return -EINVAL;
	return may_schedule(thread) && may_be_nice(from->nice, to->nice) &&
			       may_be_urgent(from->rt_priority, to->rt_priority) &&
			       (to->reset_on_fork || !from->reset_on_fork || capable(CAP_SYS_NICE))
		       ? 0
		       : -EPERM;
}

static int apply(int pid, const struct change *change)
{
	struct sched_params params, before;
	struct thread *thread;
	int error = -ESRCH;

	if (change->rt_priority < 0 || change->rt_priority > RT_PRIORITY_MAX ||
	    (change->policy >= 0 && !is_policy(change->policy)))
		error = -EINVAL;
	mutex_lock(&family_lock);
	thread = named(pid);
	if (thread && error != -EINVAL) {
		params = before = sched_get_params(thread);
		if (change->policy >= 0) {
			params.policy = (uint8_t)change->policy;
			params.reset_on_fork = change->reset_on_fork;
		}
		params.rt_priority = (uint8_t)change->rt_priority;
		if (change->nice >= NICE_MIN && change->nice <= NICE_MAX)
			params.nice = (int8_t)change->nice;
		error = check_change(thread, &before, &params);
		if (error == 0) {
			sched_set_params(thread, &params);
			inherit_changed(container_of(thread, struct task, thread));
		}
	}
	mutex_unlock(&family_lock);
	return thread ? error : -ESRCH;
}

#define NICE_AS_IT_IS (NICE_MAX + 1)

SYSCALL3(sched_setscheduler, int, pid, int, policy, vaddr_t, in)
{
	struct sched_param param;
	struct change change = {
		.policy = policy & ~SCHED_RESET_ON_FORK,
		.nice = NICE_AS_IT_IS,
		.reset_on_fork = policy & SCHED_RESET_ON_FORK,
	};

	if (policy < 0 || pid < 0 || in == 0)
		return -EINVAL;
	if (get_user(&param, in) != 0)
		return -EFAULT;
	change.rt_priority = param.sched_priority;
	return apply(pid, &change);
}

SYSCALL2(sched_setparam, int, pid, vaddr_t, in)
{
	struct sched_param param;
	struct change change = { .policy = -1, .nice = NICE_AS_IT_IS };

	if (pid < 0 || in == 0)
		return -EINVAL;
	if (get_user(&param, in) != 0)
		return -EFAULT;
	change.rt_priority = param.sched_priority;
	return apply(pid, &change);
}

SYSCALL1(sched_getscheduler, int, pid)
{
	struct sched_params params;
	int error = read_params(pid, &params);

	if (error != 0)
		return error;
	return params.policy | (params.reset_on_fork ? SCHED_RESET_ON_FORK : 0);
}

SYSCALL2(sched_getparam, int, pid, vaddr_t, out)
{
	struct sched_params params;
	struct sched_param param;
	int error = out == 0 ? -EINVAL : read_params(pid, &params);

	if (error != 0)
		return error;
	param.sched_priority = params.rt_priority;
	return put_user(out, param);
}

SYSCALL1(sched_get_priority_max, int, policy)
{
	if (!is_policy(policy) && policy != SCHED_DEADLINE)
		return -EINVAL;
	return is_realtime(policy) ? RT_PRIORITY_MAX : 0;
}

SYSCALL1(sched_get_priority_min, int, policy)
{
	if (!is_policy(policy) && policy != SCHED_DEADLINE)
		return -EINVAL;
	return is_realtime(policy) ? 1 : 0;
}

SYSCALL2(sched_rr_get_interval, int, pid, vaddr_t, out)
{
	struct sched_params params;
	int error = read_params(pid, &params);

	if (error != 0)
		return error;
	return put_user(out,
			timespec_of_ns(params.policy == SCHED_FIFO ? 0 : sched_slice_ns(&params)));
}

/* sched_setattr(2): a longer structure is known by its tail of zeroes; which length is known it is told. */
static int get_attr(struct sched_attr *attr, vaddr_t in)
{
	uint32_t size;
	uint8_t byte;
	int error = get_user(&size, in);

	if (error != 0)
		return error;
	if (size == 0)
		size = SCHED_ATTR_SIZE_VER0;
	if (size < SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE)
		return -E2BIG;
	memset(attr, 0, sizeof(*attr));
	error = copy_from_user(attr, in, MIN(size, (uint32_t)sizeof(*attr)));
	for (size_t at = sizeof(*attr); error == 0 && at < size; at++) {
		error = get_user(&byte, in + at);
		if (error == 0 && byte != 0)
			error = -E2BIG;
	}
	return error;
}

SYSCALL3(sched_setattr, int, pid, vaddr_t, in, uint32_t, flags)
{
	struct sched_attr attr;
	struct change change;
	int error;

	if (in == 0 || pid < 0 || flags != 0)
		return -EINVAL;
	error = get_attr(&attr, in);
	if (error != 0)
		return error;
	if (attr.sched_policy > INT32_MAX || attr.sched_priority > RT_PRIORITY_MAX ||
	    (attr.sched_flags & ~(uint64_t)SCHED_FLAG_RESET_ON_FORK))
		return -EINVAL;
	change = (struct change){
		.policy = (int)attr.sched_policy,
		.rt_priority = (int)attr.sched_priority,
		.nice = MIN(MAX(attr.sched_nice, NICE_MIN), NICE_MAX),
		.reset_on_fork = attr.sched_flags & SCHED_FLAG_RESET_ON_FORK,
	};
	return apply(pid, &change);
}

SYSCALL4(sched_getattr, int, pid, vaddr_t, out, uint32_t, size, uint32_t, flags)
{
	struct sched_params params;
	struct sched_attr attr;
	int error;

	if (out == 0 || pid < 0 || size < SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE || flags != 0)
		return -EINVAL;
	error = read_params(pid, &params);
	if (error != 0)
		return error;
	attr = (struct sched_attr){
		.size = MIN(size, (uint32_t)sizeof(attr)),
		.sched_policy = params.policy,
		.sched_flags = params.reset_on_fork ? SCHED_FLAG_RESET_ON_FORK : 0,
		.sched_nice = is_realtime(params.policy) ? 0 : params.nice,
		.sched_priority = params.rt_priority,
		.sched_util_max = 1024, /* SCHED_CAPACITY_SCALE: it may have all of a processor */
	};
	return copy_to_user(out, &attr, attr.size);
}

/* --- processors ----------------------------------------------------------------------------------------- */

static uint64_t running_cpus(void)
{
	return cpu_count >= 64 ? UINT64_MAX : (UINT64_C(1) << cpu_count) - 1;
}

SYSCALL3(sched_setaffinity, int, pid, uint32_t, length, vaddr_t, in)
{
	struct sched_params params;
	struct thread *thread;
	uint64_t mask = 0;
	int error = copy_from_user(&mask, in, MIN(length, (uint32_t)sizeof(mask)));

	if (error != 0)
		return error;
	mutex_lock(&family_lock);
	thread = named(pid);
	if (!thread) {
		error = -ESRCH;
	} else if (!may_schedule(thread)) {
		error = -EPERM;
	} else if (!(mask & running_cpus())) {
		error = -EINVAL;
	} else {
		params = sched_get_params(thread);
		params.cpus = mask;
		sched_set_params(thread, &params);
	}
	mutex_unlock(&family_lock);
	return error;
}

/* The CPUs that run and that it may run on, as a bit mask in whole words. */
SYSCALL3(sched_getaffinity, int, pid, uint32_t, length, vaddr_t, out)
{
	struct sched_params params;
	uint64_t mask;
	int error;

	if (length < sizeof(mask) || !IS_ALIGNED(length, (uint32_t)sizeof(mask)))
		return -EINVAL;
	error = read_params(pid, &params);
	if (error == -EINVAL)
		error = -ESRCH;
	if (error != 0)
		return error;
	mask = params.cpus & running_cpus();
	error = put_user(out, mask);
	return error != 0 ? error : (int64_t)sizeof(mask);
}

/* --- nice, and what is like it: of a thread, a group, or everybody --------------------------------------- */

enum whom { WHOM_THREAD, WHOM_GROUP, WHOM_USER };

static bool is_meant(const struct process *process, enum whom whom, uint32_t who)
{
	return whom == WHOM_GROUP ? process->pgid == who : process->cred->uid == who;
}

/*
 * Calls `what` for all threads that are meant, 0 being the caller's. False: there is none. Takes the family
 * lock.
 */
static bool for_each(enum whom whom, int who, void (*what)(struct task *task, void *arg), void *arg)
{
	uint32_t number = who != 0             ? (uint32_t)who
			  : whom == WHOM_GROUP ? (uint32_t)current_process()->pgid
					       : current_cred()->uid;
	bool any = false;

	mutex_lock(&family_lock);
	if (whom == WHOM_THREAD) {
		struct thread *thread = named(who);

		any = thread;
		if (thread)
			what(container_of(thread, struct task, thread), arg);
	}
	for (struct process *p = whom == WHOM_THREAD ? NULL : family_next(NULL); p;
	     p = family_next(p)) {
		struct task *task;

		if (!is_meant(p, whom, number))
			continue;
		TAILQ_FOREACH (task, &p->tasks, sibling) {
			what(task, arg);
			any = true;
		}
	}
	mutex_unlock(&family_lock);
	return any;
}

static void find_least_nice(struct task *task, void *arg)
{
	int *least = arg;

	*least = MIN(*least, (int)sched_get_params(&task->thread).nice);
}

/* What is to be set for each of several threads, and the error of one that it may not be. */
struct setting {
	int value;
	int error;
};

static void set_nice(struct task *task, void *arg)
{
	struct sched_params params = sched_get_params(&task->thread);
	struct setting *setting = arg;

	if (!may_schedule(&task->thread)) {
		setting->error = -EPERM;
	} else if (!may_be_nice(params.nice, setting->value)) {
		setting->error = -EACCES;
	} else {
		params.nice = (int8_t)setting->value;
		sched_set_params(&task->thread, &params);
	}
}

static int whom_of_priority(int which)
{
	switch (which) {
	case PRIO_PROCESS:
		return WHOM_THREAD;
	case PRIO_PGRP:
		return WHOM_GROUP;
	case PRIO_USER:
		return WHOM_USER;
	default:
		return -EINVAL;
	}
}

/* As the system call has it: 20 - nice, so that it is never negative. */
SYSCALL2(getpriority, int, which, int, who)
{
	int whom = whom_of_priority(which), nice = NICE_MAX;

	if (whom < 0)
		return whom;
	return for_each((enum whom)whom, who, find_least_nice, &nice) ? NICE_MAX + 1 - nice
								      : -ESRCH;
}

SYSCALL3(setpriority, int, which, int, who, int, nice)
{
	int whom = whom_of_priority(which);
	struct setting setting = { .value = MIN(MAX(nice, NICE_MIN), NICE_MAX) };

	if (whom < 0)
		return whom;
	return for_each((enum whom)whom, who, set_nice, &setting) ? setting.error : -ESRCH;
}

static void find_io_priority(struct task *task, void *arg)
{
	uint32_t *found = arg;

	/* One that has not been set goes by nice: ioprio_set(2). */
	*found = task->io_priority != 0
			 ? task->io_priority
			 : IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE,
					     (sched_get_params(&task->thread).nice - NICE_MIN) / 5);
}

static void set_io_priority(struct task *task, void *arg)
{
	struct setting *setting = arg;

	if (may_schedule(&task->thread))
		task->io_priority = (uint16_t)setting->value;
	else
		setting->error = -EPERM;
}

static int whom_of_io(int which)
{
	switch (which) {
	case IOPRIO_WHO_PROCESS:
		return WHOM_THREAD;
	case IOPRIO_WHO_PGRP:
		return WHOM_GROUP;
	case IOPRIO_WHO_USER:
		return WHOM_USER;
	default:
		return -EINVAL;
	}
}

SYSCALL2(ioprio_get, int, which, int, who)
{
	int whom = whom_of_io(which);
	uint32_t found = 0;

	if (whom < 0)
		return whom;
	return for_each((enum whom)whom, who, find_io_priority, &found) ? (int64_t)found : -ESRCH;
}

SYSCALL3(ioprio_set, int, which, int, who, int, value)
{
	struct setting setting = { .value = value & UINT16_MAX };
	uint32_t priority = (uint32_t)setting.value;
	int whom = whom_of_io(which);
	bool good;

	switch (priority >> IOPRIO_CLASS_SHIFT) {
	case IOPRIO_CLASS_RT:
	case IOPRIO_CLASS_BE:
		good = IOPRIO_PRIO_DATA(priority) < IOPRIO_NR_LEVELS;
		break;
	case IOPRIO_CLASS_IDLE:
		good = true;
		break;
	case IOPRIO_CLASS_NONE:
		good = IOPRIO_PRIO_DATA(priority) == 0;
		break;
	default:
		good = false;
	}
	if (!good || whom < 0)
		return -EINVAL;
	if (priority >> IOPRIO_CLASS_SHIFT == IOPRIO_CLASS_RT && !capable(CAP_SYS_NICE) &&
	    !capable(CAP_SYS_ADMIN))
		return -EPERM;
	return for_each((enum whom)whom, who, set_io_priority, &setting) ? setting.error : -ESRCH;
}
