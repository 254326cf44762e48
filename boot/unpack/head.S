/*
 * boot/unpack/head.S - the first instructions of the protected-mode half, at whatever physical
 * address it was loaded to.
 *
 *	startup_32  offset 0      32-bit protected mode, paging off, ESI = boot_params (setup.S, GRUB)
 *	startup_64  offset 0x200  long mode, identity-mapped, RSI = boot_params (EFI, kexec)
 *
 * Both meet in `common`, in long mode with physical addresses: startup_32 makes page tables that map the
 * low 4 GiB one to one. unpack() then puts the kernel behind all this, and it is entered (boot/head.S).
 */
#include <asm/processor-flags.h>

#define rva(symbol) ((symbol) - startup_32)

#define MSR_EFER        0xc0000080
#define EFER_LME        0x00000100
#define EFER_NXE        0x00000800
#define PTE_PRESENT_RW  0x003
#define PDE_LARGE_RW    0x083
#define BP_SCRATCH_END  0x1e8		/* boot_params.scratch: a stack of one word */
#define CPUID_LONG_MODE (1 << 29)
#define CPUID_NX        (1 << 20)
#define VGA_TEXT        0xb8000
#define VGA_RED         0x4f

	.section .head, "ax"
	.code32
	.globl startup_32
startup_32:
	cld
	cli
	leal	BP_SCRATCH_END(%esi), %esp
	call	1f
1:	popl	%ebp
	subl	$rva(1b), %ebp			# EBP: where the image is

	rdtsc
	movl	%eax, %ebx			# EBX:EDI: time zero
	pushl	%edx
	popl	%edi

	leal	rva(gdt)(%ebp), %eax
	movl	%eax, rva(gdt_pointer + 2)(%ebp)
	lgdtl	rva(gdt_pointer)(%ebp)
	movl	$0x10, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	movl	%eax, %ss

	/* The stack and the tables: nobody promises that they are zero. */
	pushl	%edi
	leal	rva(__bss_start)(%ebp), %edi
	leal	rva(__bss_end)(%ebp), %ecx
	subl	%edi, %ecx
	shrl	$2, %ecx
	xorl	%eax, %eax
	rep stosl
	popl	%edi
	leal	rva(stack_top)(%ebp), %esp
	pushl	%ebx				# cpuid overwrites it

	movl	$0x80000000, %eax
	cpuid
	cmpl	$0x80000001, %eax
	jb	no_long_mode
	movl	$0x80000001, %eax
	cpuid
	testl	$CPUID_LONG_MODE, %edx
	jz	no_long_mode
	movl	$X86_CR4_PAE, %eax
	movl	%eax, %cr4
	movl	$EFER_LME, %eax
	testl	$CPUID_NX, %edx
	jz	1f
	orl	$EFER_NXE, %eax
1:	xorl	%edx, %edx
	movl	$MSR_EFER, %ecx
	wrmsr

	/* One to one for 4 GiB: pml4 -> pdpt -> pd[4], 2 MiB pages. */
	leal	rva(pdpt)(%ebp), %eax
	orl	$PTE_PRESENT_RW, %eax
	movl	%eax, rva(pml4)(%ebp)
	leal	rva(pd)(%ebp), %eax
	orl	$PTE_PRESENT_RW, %eax
	leal	rva(pdpt)(%ebp), %edx
	movl	$4, %ecx
1:	movl	%eax, (%edx)
	addl	$0x1000, %eax
	addl	$8, %edx
	loop	1b
	leal	rva(pd)(%ebp), %edx
	movl	$PDE_LARGE_RW, %eax
	movl	$(4 * 512), %ecx
1:	movl	%eax, (%edx)
	addl	$0x200000, %eax
	addl	$8, %edx
	loop	1b

	leal	rva(pml4)(%ebp), %eax
	movl	%eax, %cr3
	popl	%ebx
	leal	rva(long_mode)(%ebp), %eax
	pushl	$0x18				# the 64-bit code segment
	pushl	%eax
	movl	$(X86_CR0_PG | X86_CR0_WP | X86_CR0_PE), %eax
	movl	%eax, %cr0
	lretl

	/* Says why on the screen and stops: there is nothing else that could be done. */
no_long_mode:
	leal	rva(no_long_mode_text)(%ebp), %esi
	movl	$VGA_TEXT, %edi
	movb	$VGA_RED, %ah
1:	lodsb
	testb	%al, %al
	jz	2f
	stosw
	jmp	1b
2:	hlt
	jmp	2b
no_long_mode_text:
	.asciz	"Hawser needs a 64-bit (x86-64) processor. "

	.org	0x200
	.code64
	.globl startup_64
startup_64:
	cld
	cli
	rdtsc
	shlq	$32, %rdx
	orq	%rax, %rdx
	movq	%rdx, %r12
	leaq	__bss_start(%rip), %rdi
	leaq	__bss_end(%rip), %rcx
	subq	%rdi, %rcx
	shrq	$3, %rcx
	xorl	%eax, %eax
	rep stosq
	lgdt	gdt_empty(%rip)			# replaced by cpu_init(); the loader's may be anywhere
	jmp	common

long_mode:
	movl	%esi, %esi
	movl	%ebx, %r12d
	shlq	$32, %rdi
	orq	%rdi, %r12
common:
	leaq	stack_top(%rip), %rsp
	xorl	%ebp, %ebp
	movq	%rsi, %r13
	leaq	__payload_start(%rip), %rdi
	leaq	__payload_end(%rip), %rsi
	leaq	__kernel_start(%rip), %rdx
	leaq	__kernel_end(%rip), %rcx
	call	unpack
	movq	%r13, %rdi			# boot_params
	movq	%r12, %rsi			# time zero
	leaq	__kernel_start(%rip), %rax
	jmp	*%rax

	.balign 8
gdt:
	.quad	0
	.quad	0x00cf9b000000ffff	# 0x08: 32-bit code
	.quad	0x00cf93000000ffff	# 0x10: data
	.quad	0x00af9b000000ffff	# 0x18: 64-bit code
gdt_pointer:
	.word	. - gdt - 1
	.long	0
gdt_empty:
	.word	0
	.quad	0

	/* Until the kernel has its own. */
	.section .bss
	.balign	4096
pml4:	.skip	4096
pdpt:	.skip	4096
pd:	.skip	4 * 4096
	.skip	4096
stack_top:

	/* The kernel, as tools/mkimage's caller has packed it. */
	.section .payload, "a"
	.incbin	PAYLOAD_FILE

	.section .note.GNU-stack, "", @progbits
