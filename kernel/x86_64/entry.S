/*
 * kernel/x86_64/entry.S - every way into the kernel and back out.
 *
 * All of them build a struct trapframe (trapframe.h) and call C with it. Four kinds:
 *
 *	entry_common    exceptions and interrupts, on the current kernel stack, or from user mode on
 *	                the thread's (TSS.rsp0). GS is swapped only when the frame says user mode.
 *	entry_debug     #DB, on a stack of its own, because it may hit the kernel's first instruction
 *	                after SYSCALL; from user mode the frame moves to the thread's stack at once.
 *	entry_paranoid  NMI, #DF, #MC, and #DB in the kernel: on stacks of their own, at any instruction,
 *	                whatever GS holds. With FSGSBASE a user may give GS a kernel address, so neither
 *	                CS nor the sign of the base tells whose it is. The base is put aside, taken from
 *	                the top of the stack (cpu.c puts it there), and put back.
 *	entry_syscall   SYSCALL: RSP is the user's until the third instruction, and interrupts are off.
 *
 * The state that user code can prepare is undone at each door: DF, AC (which would open user pages
 * to the kernel), NT, TF. The gates clear TF and NT, SFMASK all of them; `cld` and `clac` the rest.
 * RBP is cleared when coming from user mode, so that backtraces end there.
 */
#include "kernel/x86_64/entry.h"
#include <asm/processor-flags.h>

#define MSR_GS_BASE 0xc0000101

	/* The general registers, below vector and error code. */
	.macro push_registers
	pushq	%rdi
	pushq	%rsi
	pushq	%rdx
	pushq	%rcx
	pushq	%rax
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	.endm

	.macro pop_registers
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rax
	popq	%rcx
	popq	%rdx
	popq	%rsi
	popq	%rdi
	.endm

	.text

	/* One stub for each vector, VECTOR_STUB_SIZE apart: makes the two ends of the frame alike. */
	.globl	entry_vectors
	.balign	VECTOR_STUB_SIZE
entry_vectors:
	.set	vector, 0
	.rept	VECTORS
	.balign	VECTOR_STUB_SIZE
	/* The exceptions that push an error code (SDM 3A, table 6-1, and #CP, #VC, #SX). */
	.if	!(vector == VECTOR_DOUBLE_FAULT || (vector >= VECTOR_INVALID_TSS && \
		vector <= VECTOR_PAGE_FAULT) || vector == VECTOR_ALIGNMENT || vector == 21 || \
		vector == 29 || vector == 30)
	pushq	$0
	.endif
	pushq	$vector
	.if	vector == VECTOR_NMI || vector == VECTOR_DOUBLE_FAULT || vector == VECTOR_MACHINE_CHECK
	jmp	entry_paranoid
	.elseif	vector == VECTOR_DEBUG
	jmp	entry_debug
	.else
	jmp	entry_common
	.endif
	.set	vector, vector + 1
	.endr
	.balign	VECTOR_STUB_SIZE

	.type	entry_common, @function
entry_common:
	push_registers
	cld
	testb	$3, TF_CS(%rsp)
	jz	1f
	swapgs
	xorl	%ebp, %ebp
1:	lfence					# no speculation with the wrong GS (swapgs attack)
	user_access_end
	movq	%rsp, %rdi
	call	trap_dispatch			# interrupts off on return
	/* Falls through. */

	/* RSP: a trap frame. Interrupts off. */
	.globl	entry_return
entry_return:
	testb	$3, TF_CS(%rsp)
	jz	1f
	swapgs
1:	pop_registers
	addq	$16, %rsp			# vector, error
	iretq
	.size	entry_common, . - entry_common

	.type	entry_debug, @function
entry_debug:
	testb	$3, (TF_CS - TF_VECTOR)(%rsp)
	jz	entry_paranoid
	push_registers
	cld
	swapgs
	lfence
	movq	%rsp, %rsi
	movq	%gs:CPU_KERNEL_STACK, %rdi
	subq	$TF_SIZE, %rdi
	movq	%rdi, %rdx
	movl	$(TF_SIZE / 8), %ecx
	rep movsq
	movq	%rdx, %rsp
	user_access_end
	xorl	%ebp, %ebp
	movq	%rsp, %rdi
	call	trap_dispatch
	jmp	entry_return
	.size	entry_debug, . - entry_debug

	.type	entry_paranoid, @function
entry_paranoid:
	push_registers
	cld
	user_access_end
	movl	$MSR_GS_BASE, %ecx
	rdmsr
	movl	%eax, %ebx
	movl	%edx, %r12d			# R12D:EBX: the interrupted context's
	movl	TF_SIZE(%rsp), %eax
	movl	(TF_SIZE + 4)(%rsp), %edx
	wrmsr
	xorl	%ebp, %ebp
	movq	%rsp, %rdi
	call	trap_paranoid
	movl	$MSR_GS_BASE, %ecx
	movl	%ebx, %eax
	movl	%r12d, %edx
	wrmsr
	pop_registers
	addq	$16, %rsp
	iretq
	.size	entry_paranoid, . - entry_paranoid

	/*
	 * RCX holds the user's RIP, R11 its RFLAGS; SFMASK has cleared what must be. The error slot
	 * keeps the number of the call, since RAX becomes the result.
	 */
	.globl	entry_syscall
	.type	entry_syscall, @function
entry_syscall:
	swapgs
	movq	%rsp, %gs:CPU_USER_SP
	movq	%gs:CPU_KERNEL_STACK, %rsp
	pushq	$GDT_USER_DATA
	pushq	%gs:CPU_USER_SP
	pushq	%r11
	pushq	$GDT_USER_CODE
	pushq	%rcx
	pushq	%rax
	pushq	$TRAP_SYSCALL
	push_registers
	xorl	%ebp, %ebp
	movq	%rsp, %rdi
	sti
	call	syscall_dispatch		# interrupts off, and nothing pending, on return

	/*
	 * SYSRET takes RIP from RCX and RFLAGS from R11: right for a frame that nobody has changed. It
	 * faults *in the kernel, on the user's stack* if RIP is not canonical; the one that SYSCALL has
	 * saved is, since the last page below the limit is never mapped (mm/layout.h). It treats TF and
	 * RF in its own way: those leave by IRETQ.
	 */
	testb	%al, %al
	jz	entry_return
	testl	$(X86_EFLAGS_TF | X86_EFLAGS_RF), TF_RFLAGS(%rsp)
	jnz	entry_return
	pop_registers
	movq	(TF_RSP - TF_VECTOR)(%rsp), %rsp
	swapgs
	sysretq
	.size	entry_syscall, . - entry_syscall

	/* void entry_enter_user(struct trapframe *tf): does not return. Interrupts off. */
	.globl	entry_enter_user
	.type	entry_enter_user, @function
entry_enter_user:
	movq	%rdi, %rsp
	jmp	entry_return
	.size	entry_enter_user, . - entry_enter_user

	.section .note.GNU-stack, "", @progbits
