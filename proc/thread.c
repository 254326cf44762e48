/*
 * proc/thread.c - what a thread tells the kernel about itself, mostly at a libc's start.
 */
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/x86_64/cpu.h"
#include "mm/layout.h"
#include "mm/user.h"
#include "proc/cred.h"
#include "proc/process.h"
#include <asm/prctl.h>
#include <linux/prctl.h>

SYSCALL2(arch_prctl, int, code, uint64_t, argument)
{
	switch (code) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		/* Anything in the user half is canonical, which the registers insist on. */
		if (argument >= USER_MAX)
			return -EPERM;
		if (code == ARCH_SET_FS)
			cpu_set_user_fs_base(argument);
		else
			cpu_set_user_gs_base(argument);
		return 0;
	case ARCH_GET_FS:
		return put_user(argument, cpu_user_fs_base());
	case ARCH_GET_GS:
		return put_user(argument, cpu_user_gs_base());
	default:
		return -EINVAL;
	}
}

static int64_t set_name(vaddr_t from)
{
	struct process *process = current_process();
	char name[sizeof(process->command)] = { 0 };
	ssize_t length = copy_string_from_user(name, from, sizeof(name));

	/* A longer name is cut, not refused. */
	if (length < 0 && length != -ENAMETOOLONG)
		return length;
	name[sizeof(name) - 1] = '\0';
	mutex_lock(&family_lock);
	if (current->tid == process->pid)
		strlcpy(process->command, name, sizeof(process->command));
	strlcpy(current->name, name, sizeof(current->name));
	mutex_unlock(&family_lock);
	return 0;
}

static int64_t get_name(vaddr_t to)
{
	char name[sizeof(current->name)] = { 0 };

	mutex_lock(&family_lock);
	strlcpy(name, current->name, sizeof(name));
	mutex_unlock(&family_lock);
	return copy_to_user(to, name, sizeof(name));
}

static int64_t set_death_signal(uint64_t signal)
{
	if (signal > NSIG_KERNEL)
		return -EINVAL;
	mutex_lock(&family_lock);
	current_task()->death_signal = (int)signal;
	mutex_unlock(&family_lock);
	return 0;
}

static int64_t set_subreaper(bool is_one)
{
	mutex_lock(&family_lock);
	current_process()->is_subreaper = is_one;
	mutex_unlock(&family_lock);
	return 0;
}

SYSCALL5(prctl, int, option, uint64_t, argument, uint64_t, third, uint64_t, fourth, uint64_t, fifth)
{
	switch (option) {
	case PR_SET_PDEATHSIG:
		return set_death_signal(argument);
	case PR_GET_PDEATHSIG:
		return put_user(argument, current_task()->death_signal);
	case PR_SET_CHILD_SUBREAPER:
		return set_subreaper(argument != 0);
	case PR_GET_CHILD_SUBREAPER:
		return put_user(argument, (int)current_process()->is_subreaper);
	case PR_SET_NAME:
		return set_name(argument);
	case PR_GET_NAME:
		return get_name(argument);
	case PR_GET_NO_NEW_PRIVS:
	case PR_SET_NO_NEW_PRIVS:
		return cred_prctl(option, argument, third | fourth | fifth);
	case PR_GET_KEEPCAPS:
	case PR_SET_KEEPCAPS:
	case PR_GET_SECUREBITS:
	case PR_CAPBSET_READ:
	case PR_CAPBSET_DROP:
	case PR_CAP_AMBIENT:
		return cred_prctl(option, argument, third);
	default:
		return process_control(option, argument);
	}
}

/* Restartable sequences are not there; glibc asks at every start and does without. */
SYSCALL4(rseq, vaddr_t, area, uint32_t, length, int, flags, uint32_t, signature)
{
	return -ENOSYS;
}

SYSCALL0(sched_yield)
{
	sched_yield();
	return 0;
}

SYSCALL3(getcpu, vaddr_t, cpu, vaddr_t, node, vaddr_t, unused)
{
	uint32_t number = this_cpu()->number, first_node = 0;
	int error = 0;

	if (cpu != 0)
		error = put_user(cpu, number);
	if (error == 0 && node != 0)
		error = put_user(node, first_node);
	return error;
}
