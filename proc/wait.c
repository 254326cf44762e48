/*
 * proc/wait.c - wait4(2) and waitid(2): what has become of a child.
 *
 * A waiter looks through its children under the family's lock and sleeps until one of them has told it
 * that there is something new (family_tell_parent()).
 */
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/user.h"
#include "proc/cred.h"
#include "proc/pidfd.h"
#include "proc/process.h"
#include "proc/usage.h"
#include <asm-generic/siginfo.h>
#include <asm/signal.h>
#include <linux/resource.h>
#include <linux/wait.h>

#define WAIT4_OPTIONS (WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL)
#define WAITID_OPTIONS \
	(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL)

/* In a wait(2) status: stopped, by the signal above; continued. */
#define WAIT_STOPPED   0x7f
#define WAIT_CONTINUED 0xffff

/* What waitid(2) writes of a siginfo_t, whatever lies behind it. */
#define INFO_LENGTH (offsetof(siginfo_t, si_status) + sizeof(int))

struct wait {
	/* Which children, and what of them. */
	int type; /* P_PID, P_PGID, P_ALL, P_PIDFD */
	uint32_t id;
	struct process *process; /* P_PIDFD; held */
	uint32_t options;

	/* What was found. */
	struct process *reaped; /* with the family's reference, to be dropped */
	uint32_t pid;
	uint32_t uid;
	int status;                 /* as wait4(2) has it */
	int code;                   /* CLD_* */
	struct process_times times; /* of the child and those that it has waited for */
	struct process_counts counts;
};

static bool is_meant(const struct wait *wait, const struct process *child)
{
	bool is_clone = child->exit_signal != SIGCHLD;

	if (!(wait->options & __WALL) && is_clone != !!(wait->options & __WCLONE))
		return false;
	if ((wait->options & __WNOTHREAD) && child->parent_tid != current->tid)
		return false;
	switch (wait->type) {
	case P_PID:
		return child->pid == wait->id;
	case P_PGID:
		return child->pgid == wait->id;
	case P_PIDFD:
		return child == wait->process;
	default:
		return true;
	}
}

/* Who it is, and what it has used. Family lock held. */
static void describe(struct wait *wait, const struct process *child)
{
	wait->pid = child->pid;
	wait->uid = child->cred->uid;
	wait->times = process_cpu_times(child);
	wait->counts = process_counts(child);
	process_add_times(&wait->times, &child->children_times);
	process_add_counts(&wait->counts, &child->children_counts);
}

static void take_zombie(struct wait *wait, struct process *child)
{
	int signal = child->exit_status & 0x7f;

	describe(wait, child);
	wait->status = child->exit_status;
	wait->code = !signal                               ? CLD_EXITED
		     : child->exit_status & PROCESS_DUMPED ? CLD_DUMPED
							   : CLD_KILLED;
	if (!(wait->options & WNOWAIT)) {
		family_remove(child);
		wait->reaped = child;
	}
}

/* Stopped or continued, and not yet told of. */
static bool take_report(struct wait *wait, struct process *child)
{
	bool keep = wait->options & WNOWAIT;

	wait->code = 0;
	spin_lock(&child->signal_lock);
	if ((wait->options & WSTOPPED) && child->stop_report != 0) {
		wait->code = CLD_STOPPED;
		wait->status = child->stop_report << 8 | WAIT_STOPPED;
		if (!keep)
			child->stop_report = 0;
	} else if ((wait->options & WCONTINUED) && child->continue_report) {
		wait->code = CLD_CONTINUED;
		wait->status = WAIT_CONTINUED;
		if (!keep)
			child->continue_report = false;
	}
	spin_unlock(&child->signal_lock);
	if (wait->code != 0)
		describe(wait, child);
	return wait->code != 0;
}

/* What waitid(2) calls the status. */
static int plain_status(const struct wait *wait)
{
	switch (wait->code) {
	case CLD_EXITED:
	case CLD_STOPPED:
		return wait->status >> 8;
	case CLD_CONTINUED:
		return SIGCONT;
	default:
		return wait->status & 0x7f;
	}
}

/* 1: found; 0: nothing yet; -ECHILD. */
static int look(struct wait *wait)
{
	struct process *self = current_process(), *child, *next;
	int result = -ECHILD;

	mutex_lock(&family_lock);
	for (child = TAILQ_FIRST(&self->children); child && result != 1; child = next) {
		next = TAILQ_NEXT(child, sibling);
		/* A zombie neither stops nor continues any more: who waits for that has nobody. */
		if (!is_meant(wait, child) || (child->zombie && !(wait->options & WEXITED)))
			continue;
		result = 0;
		if (child->zombie) {
			take_zombie(wait, child);
			result = 1;
		} else if (take_report(wait, child)) {
			result = 1;
		}
	}
	mutex_unlock(&family_lock);
	return result;
}

/* As look(), but sleeps until there is something, unless WNOHANG; -EINTR. */
static int await(struct wait *wait)
{
	int result = 0, error = 0;

	if (wait->options & WNOHANG)
		result = look(wait);
	else
		error = wait_event_signal(&current_process()->child_events,
					  (result = look(wait)) != 0);
	if (wait->reaped)
		process_put(wait->reaped);
	return error != 0 ? error : result;
}

SYSCALL4(wait4, int, pid, vaddr_t, status, uint32_t, options, vaddr_t, usage)
{
	struct wait wait = { .options = options | WEXITED };
	int result;

	if (options & ~(uint32_t)WAIT4_OPTIONS)
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	wait.type = pid == -1 ? P_ALL : pid > 0 ? P_PID : P_PGID;
	wait.id = pid > 0 ? (uint32_t)pid : pid == 0 ? current_process()->pgid : (uint32_t)-pid;
	result = await(&wait);
	if (result <= 0)
		return result;
	if (status != 0 && put_user(status, wait.status) != 0)
		return -EFAULT;
	if (usage != 0 && put_user(usage, usage_of(&wait.times, &wait.counts)) != 0)
		return -EFAULT;
	return wait.pid;
}

/* Whom waitid(2)'s first two arguments mean; -EINVAL, -EBADF. A pidfd's process is held. */
static int choose(struct wait *wait, int type, int id, bool *nonblocking)
{
	wait->type = type;
	wait->id = (uint32_t)id;
	switch (type) {
	case P_ALL:
		return 0;
	case P_PID:
		return id <= 0 ? -EINVAL : 0;
	case P_PGID:
		if (id == 0)
			wait->id = current_process()->pgid;
		return id < 0 ? -EINVAL : 0;
	case P_PIDFD:
		if (id < 0)
			return -EINVAL;
		return pidfd_process(id, &wait->process, nonblocking);
	default:
		return -EINVAL;
	}
}

/* await(), for who may have a pidfd that does not wait: -EAGAIN. */
static int await_chosen(struct wait *wait, bool nonblocking)
{
	bool waits = !(wait->options & WNOHANG);
	int result;

	if (nonblocking)
		wait->options |= WNOHANG;
	result = await(wait);
	return result == 0 && nonblocking && waits ? -EAGAIN : result;
}

SYSCALL5(waitid, int, type, int, id, vaddr_t, info, uint32_t, options, vaddr_t, usage)
{
	struct wait wait = { .options = options };
	bool nonblocking = false;
	siginfo_t found;
	int result;

	if ((options & ~(uint32_t)WAITID_OPTIONS) || !(options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	result = choose(&wait, type, id, &nonblocking);
	if (result != 0)
		return result;
	result = await_chosen(&wait, nonblocking);
	if (wait.process)
		process_put(wait.process);
	if (result < 0)
		return result;

	/* Nothing yet: all zero, which is no process. */
	memset(&found, 0, sizeof(found));
	if (result > 0) {
		found.si_signo = SIGCHLD;
		found.si_code = wait.code;
		found.si_pid = (int)wait.pid;
		found.si_uid = wait.uid;
		found.si_status = plain_status(&wait);
	}
	if (info != 0 && copy_to_user(info, &found, INFO_LENGTH) != 0)
		return -EFAULT;
	if (usage != 0 && result > 0 && put_user(usage, usage_of(&wait.times, &wait.counts)) != 0)
		return -EFAULT;
	return 0;
}
