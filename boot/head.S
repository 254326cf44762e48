/*
 * boot/head.S - the kernel's first instructions, at whatever physical address it has been put.
 *
 * boot/unpack/head.S comes here in long mode, memory mapped one to one, interrupts off:
 *
 *	RDI  boot_params
 *	RSI  the time-stamp counter at the image's first instruction
 *
 * boot_relocate() makes page tables with the kernel's high mapping, beside one to one for the low 4 GiB,
 * and relocates the image; then it goes on there, in boot_main().
 */
	.section .head, "ax"
	.code64
	.globl	startup
startup:
	movq	%rdi, %r13
	movq	%rsi, %r12

	/* BSS and the boot tables: nobody promises that they are zero. */
	leaq	__bss_start(%rip), %rdi
	leaq	__image_end(%rip), %rcx
	subq	%rdi, %rcx
	shrq	$3, %rcx
	xorl	%eax, %eax
	rep stosq

	leaq	boot_stack_top(%rip), %rsp
	xorl	%ebp, %ebp
	movq	%r13, %rdi
	leaq	startup(%rip), %rsi
	call	boot_relocate			# RAX: what to add to get to the high mapping
	leaq	boot_pml4(%rip), %rcx
	movq	%rcx, %cr3
	leaq	1f(%rip), %rcx
	addq	%rax, %rcx
	addq	%rax, %rsp
	jmp	*%rcx
1:	movq	%r13, %rdi
	movq	%r12, %rsi
	leaq	startup(%rip), %rdx
	subq	%rax, %rdx			# the physical base
	call	boot_main
	ud2

	/* Used until the kernel has page tables of its own, then given to the frame allocator. */
	.section .boot_scratch, "aw", @nobits
	.balign	4096
	.globl boot_pml4, boot_pdpt, boot_pd, boot_high_pdpt, boot_high_pd, boot_high_pt
boot_pml4:	.skip 4096
boot_pdpt:	.skip 4096
boot_pd:	.skip 4 * 4096
boot_high_pdpt:	.skip 4096
boot_high_pd:	.skip 4096
boot_high_pt:	.skip 4 * 4096

	/* Stays in use: it becomes the first CPU's idle stack. As kernel/x86_64/stack_guard.h has it. */
	.section .bss
	.balign	4096
	.globl boot_stack, boot_stack_top
boot_stack_guard: .skip 4096
boot_stack:	.skip 16384
boot_stack_top:
	.section .stack_guards, "aw"
	.balign	8
	.quad	boot_stack_guard

	.section .note.GNU-stack, "", @progbits
