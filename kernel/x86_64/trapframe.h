/*
 * kernel/x86_64/trapframe.h - the registers of an interrupted context.
 *
 * Laid out by entry.S, for exceptions, interrupts and SYSCALL alike, at the top of the kernel
 * stack when it came from user mode. The order of the tail is the CPU's (SDM 3A, 6.14.2).
 */
#ifndef HAWSER_KERNEL_X86_64_TRAPFRAME_H
#define HAWSER_KERNEL_X86_64_TRAPFRAME_H

#define TRAP_SYSCALL 0x100 /* trapframe.vector of a system call */

/* trapframe.error, where the vector is TRAP_SYSCALL: another program's or a handler's registers. */
#define TRAP_NO_SYSCALL UINT64_MAX

#ifndef __ASSEMBLER__

#include <stdbool.h>
#include <stdint.h>

struct trapframe {
	uint64_t r15, r14, r13, r12, rbp, rbx;
	uint64_t r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t vector; /* exception or interrupt vector; TRAP_SYSCALL */
	uint64_t error;  /* the CPU's error code; orig_rax for a system call */
	uint64_t rip, cs, rflags, rsp, ss;
};
_Static_assert(sizeof(struct trapframe) == 22 * 8, "entry.S knows this layout");

static inline bool trapframe_is_user(const struct trapframe *tf)
{
	return (tf->cs & 3) == 3;
}

#endif /* __ASSEMBLER__ */

#endif
