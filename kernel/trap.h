/*
 * kernel/trap.h - from an exception to whoever deals with it.
 *
 * The assembler stubs (kernel/x86_64/entry.S) call trap_dispatch() with interrupts off. Rooms to
 * the left register what they do about users' mistakes.
 */
#ifndef HAWSER_KERNEL_TRAP_H
#define HAWSER_KERNEL_TRAP_H

#include "kernel/base.h"
#include "kernel/x86_64/trapframe.h"

/* Access that faulted; bits. */
#define FAULT_READ  0x0u
#define FAULT_WRITE 0x1u
#define FAULT_EXEC  0x2u
#define FAULT_USER  0x4u /* by user code, not by a user copy */

struct trap_hooks {
	/*
	 * A page fault on a user address, from user code or from a faulting user copy. Interrupts on;
	 * may sleep. 0: retry the instruction. -EFAULT: no region or no right (SIGSEGV); -EIO: beyond
	 * the object or its fill failed (SIGBUS); -ENOMEM; -EINTR: being killed. (mm/fault.c)
	 */
	int (*page_fault)(vaddr_t address, unsigned access);
	/*
	 * User code did what it may not: becomes a signal or the process's end. `signal` and `code` as
	 * in siginfo_t; SIGKILL when there is no memory to go on with. Interrupts on; may not return to
	 * the same instruction unless it has arranged for something else. (proc)
	 */
	void (*user_exception)(struct trapframe *tf, int signal, int code, vaddr_t address);
	/*
	 * On every return to user mode with kill_pending or signal_pending set, until neither is: it
	 * clears signal_pending when there is nothing (more) to do. Interrupts on; may sleep. (proc)
	 */
	void (*user_return)(struct trapframe *tf);
};
void trap_register_hooks(const struct trap_hooks *hooks);

/* Sets up IDT and SYSCALL entry on this CPU. */
void trap_init(void);

/*
 * Enters user mode with these registers, from a thread that will not return. Loads the thread's FPU
 * area (which it must have), FS and GS bases, and sets thread->trapframe to where the frame of every
 * later entry will be, at the top of its kernel stack. `tf` may be anywhere in kernel memory: it is
 * read once. Its selectors are the user's, IF is set, IOPL is not.
 */
__noreturn void trap_enter_user(struct trapframe *tf);

/*
 * The last thing before every return to user mode: yields, ends or signals the thread as long as
 * there is a reason. Returns with interrupts off and nothing pending. For entry.S and system calls.
 */
void trap_return_user(struct trapframe *tf);

#endif
