/*
 * proc/identity.c - who a process is: numbers, groups, sessions.
 */
#include "fs/tty.h"
#include "kernel/syscall.h"
#include "proc/process.h"

SYSCALL0(getpid)
{
	return current_process()->pid;
}

SYSCALL0(gettid)
{
	return current->tid;
}

SYSCALL0(getppid)
{
	return current_process()->parent_pid;
}

/* The process that a number means: 0 is the caller's own. NULL: ESRCH. Family lock held. */
static struct process *named(int pid)
{
	if (pid == 0)
		return current_process();
	return pid > 0 ? family_find((uint32_t)pid) : NULL;
}

SYSCALL1(getpgid, int, pid)
{
	struct process *process;
	int64_t result;

	mutex_lock(&family_lock);
	process = named(pid);
	result = process ? (int64_t)process->pgid : -ESRCH;
	mutex_unlock(&family_lock);
	return result;
}

SYSCALL0(getpgrp)
{
	return current_process()->pgid;
}

SYSCALL1(getsid, int, pid)
{
	struct process *process;
	int64_t result;

	mutex_lock(&family_lock);
	process = named(pid);
	result = process ? (int64_t)process->sid : -ESRCH;
	mutex_unlock(&family_lock);
	return result;
}

/*
 * The session that the first process is born into, with the console, is one that it may leave once: an
 * init does, so that the shell which it starts can have the console. Family lock held.
 */
static bool leaves_first_session(const struct process *self)
{
	static bool left; /* family_lock */
	bool leaves = self->parent == NULL && !left;

	left = left || leaves;
	return leaves;
}

/* setsid(2): not while a group has the caller's number, be it its own or one that it has left. */
SYSCALL0(setsid)
{
	struct process *self = current_process();
	int64_t result = self->pid;

	mutex_lock(&family_lock);
	if (leaves_first_session(self)) {
		mutex_unlock(&family_lock);
		(void)tty_end_session(self->sid);
		return result;
	}
	for (const struct process *p = family_next(NULL); p; p = family_next((struct process *)p)) {
		if (p->pgid == self->pid)
			result = -EPERM;
	}
	if (result > 0) {
		self->sid = self->pid;
		self->pgid = self->pid;
		self->has_no_terminal = false;
	}
	mutex_unlock(&family_lock);
	return result;
}

/* What setpgid(2) says about moving `process` to the group; family lock held. */
static int check_setpgid(const struct process *process, uint32_t pgid)
{
	const struct process *self = current_process();

	if (!process || process->zombie || (process != self && process->parent != self))
		return -ESRCH;
	if (process != self && process->sid != self->sid)
		return -EPERM;
	if (process != self && process->has_execed)
		return -EACCES;
	if (process->sid == process->pid)
		return -EPERM;
	if (pgid != process->pid && !family_has_group(pgid, self->sid))
		return -EPERM;
	return 0;
}

SYSCALL2(setpgid, int, pid, int, pgid)
{
	struct process *process;
	int error;

	if (pgid == 0)
		pgid = pid != 0 ? pid : (int)current_process()->pid;
	if (pgid < 0)
		return -EINVAL;
	mutex_lock(&family_lock);
	process = named(pid);
	error = check_setpgid(process, (uint32_t)pgid);
	if (error == 0)
		process->pgid = (uint32_t)pgid;
	mutex_unlock(&family_lock);
	return error;
}
