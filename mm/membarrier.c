/*
 * mm/membarrier.c - membarrier(2): a memory barrier in all threads of a process, or of all, paid for by the
 * one that calls instead of by those that do not.
 *
 * A thread that does not run has passed a barrier when it was switched away. So only those that run at
 * this moment on other processors matter. While one processor runs there are none, and the caller's own
 * barrier is all.
 */
#include "kernel/sched.h"
#include "kernel/syscall.h"
#include "kernel/x86_64/cpu.h"
#include "mm/space.h"
#include <linux/membarrier.h>

#define REGISTRATIONS                                                                           \
	(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED | \
	 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE)
#define COMMANDS                                                                         \
	(MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED |                       \
	 MEMBARRIER_CMD_PRIVATE_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE | \
	 REGISTRATIONS)

/* With a second processor it takes an interrupt to each that runs one of those threads. */
static int64_t barrier_everywhere(void)
{
	assert(cpu_count == 1);
	atomic_thread_fence(memory_order_seq_cst);
	return 0;
}

/* `registration`: the caller's process has said that it would. */
static int64_t barrier_registered(uint32_t registration)
{
	return current->space->membarrier_registered & registration ? barrier_everywhere() : -EPERM;
}

SYSCALL3(membarrier, int, command, uint32_t, flags, int, cpu)
{
	if (flags != 0)
		return -EINVAL;
	switch (command) {
	case MEMBARRIER_CMD_QUERY:
		return COMMANDS;
	case MEMBARRIER_CMD_GLOBAL:
	case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
		return barrier_everywhere();
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
		return barrier_registered(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
		return barrier_registered(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE);
	case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
		atomic_fetch_or(&current->space->membarrier_registered, (uint32_t)command);
		return 0;
	default:
		return -EINVAL;
	}
}
