/*
 * proc/thread.c - what a thread tells the kernel about itself, mostly at a libc's start.
 */
#include "kernel/sched.h"
#include "kernel/syscall.h"
#include "kernel/x86_64/cpu.h"
#include "mm/layout.h"
#include "mm/user.h"
#include <asm/prctl.h>

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

/* Restartable sequences are not there; glibc asks at every start and does without. */
SYSCALL4(rseq, vaddr_t, area, uint32_t, length, int, flags, uint32_t, signature)
{
	return -ENOSYS;
}

SYSCALL0(sched_yield)
{
	sched_end_turn();
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
