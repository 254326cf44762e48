/*
 * proc/identity.c - who a process is: numbers, groups, sessions, users.
 *
 * Every process is root's; there are no other users on a machine without a disk. Groups and
 * sessions have one process to hold so far, and setpgid(2) and setsid(2) answer accordingly.
 */
#include "kernel/syscall.h"
#include "mm/user.h"
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
	struct process *process = current_process();
	int64_t result;

	mutex_lock(&family_lock);
	result = process->parent ? process->parent->pid : 0;
	mutex_unlock(&family_lock);
	return result;
}

SYSCALL0(getuid)
{
	return 0;
}

SYSCALL0(geteuid)
{
	return 0;
}

SYSCALL0(getgid)
{
	return 0;
}

SYSCALL0(getegid)
{
	return 0;
}

static int64_t put_three_roots(vaddr_t real, vaddr_t effective, vaddr_t saved)
{
	uint32_t root = 0;
	int error = put_user(real, root);

	if (error == 0)
		error = put_user(effective, root);
	if (error == 0)
		error = put_user(saved, root);
	return error;
}

SYSCALL3(getresuid, vaddr_t, real, vaddr_t, effective, vaddr_t, saved)
{
	return put_three_roots(real, effective, saved);
}

SYSCALL3(getresgid, vaddr_t, real, vaddr_t, effective, vaddr_t, saved)
{
	return put_three_roots(real, effective, saved);
}

/* No supplementary groups. */
SYSCALL2(getgroups, int, size, vaddr_t, list)
{
	return size < 0 ? -EINVAL : 0;
}

/* The process that getpgid(2) and its like mean, or NULL: there is one. */
static struct process *named(int pid)
{
	struct process *process = current_process();

	return pid == 0 || pid == (int)process->pid ? process : NULL;
}

SYSCALL1(getpgid, int, pid)
{
	struct process *process = named(pid);

	return process ? (int64_t)process->pgid : -ESRCH;
}

SYSCALL0(getpgrp)
{
	return body_getpgid(0);
}

SYSCALL1(getsid, int, pid)
{
	struct process *process = named(pid);

	return process ? (int64_t)process->sid : -ESRCH;
}

/* The first process leads its group from the start, which setsid(2) forbids a leader. */
SYSCALL0(setsid)
{
	struct process *process = current_process();
	int64_t result = -EPERM;

	mutex_lock(&family_lock);
	if (process->pgid != process->pid) {
		process->sid = process->pid;
		process->pgid = process->pid;
		result = process->pid;
	}
	mutex_unlock(&family_lock);
	return result;
}

SYSCALL2(setpgid, int, pid, int, pgid)
{
	struct process *process = named(pid);
	int64_t result = 0;

	if (pgid == 0)
		pgid = pid != 0 ? pid : (int)current_process()->pid;
	if (pgid < 0)
		return -EINVAL;
	if (!process)
		return -ESRCH;
	mutex_lock(&family_lock);
	/* A session leader stays where it is; there is no other group to go to. */
	if (process->sid == process->pid || (uint32_t)pgid != process->pid)
		result = -EPERM;
	else
		process->pgid = process->pid;
	mutex_unlock(&family_lock);
	return result;
}
