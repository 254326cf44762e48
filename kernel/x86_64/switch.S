/*
 * kernel/x86_64/switch.S - from one kernel stack to another.
 *
 * A thread that does not run has on its stack, from its saved RSP up:
 *
 *	r15 r14 r13 r12 rbx rbp  return address
 *
 * which is all that a C function may expect to survive a call. thread_init() (kernel/sched.c) writes
 * the same for a stack on which nothing has run yet.
 */
	.text

	/* void switch_stacks(vaddr_t *save_sp, vaddr_t load_sp) */
	.globl	switch_stacks
	.type	switch_stacks, @function
switch_stacks:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	.size	switch_stacks, . - switch_stacks

	.section .note.GNU-stack, "", @progbits
