/*
 * kernel/x86_64/entry.h - what the assembler and C must both know: selectors, vectors, offsets.
 */
#ifndef HAWSER_KERNEL_X86_64_ENTRY_H
#define HAWSER_KERNEL_X86_64_ENTRY_H

#include "kernel/x86_64/trapframe.h"

/*
 * Segment selectors. SYSRET takes the user's pair from STAR as base + 8 (data) and base + 16 (code),
 * SYSCALL the kernel's as base (code) and base + 8 (data): hence the order. There is no 32-bit code
 * segment, so nothing that depends on compatibility mode can be reached from user mode.
 */
#define GDT_KERNEL_CODE 0x08
#define GDT_KERNEL_DATA 0x10
#define GDT_USER_DATA   0x1b
#define GDT_USER_CODE   0x23
#define GDT_TSS         0x28

/* Exceptions (SDM 3A, table 6-1). */
#define VECTOR_DIVIDE        0
#define VECTOR_DEBUG         1
#define VECTOR_NMI           2
#define VECTOR_BREAKPOINT    3
#define VECTOR_OVERFLOW      4
#define VECTOR_UNDEFINED     6
#define VECTOR_DOUBLE_FAULT  8
#define VECTOR_INVALID_TSS   10
#define VECTOR_NOT_PRESENT   11
#define VECTOR_STACK         12
#define VECTOR_PROTECTION    13
#define VECTOR_PAGE_FAULT    14
#define VECTOR_X87           16
#define VECTOR_ALIGNMENT     17
#define VECTOR_MACHINE_CHECK 18
#define VECTOR_SIMD          19
#define VECTOR_EXCEPTIONS    32 /* the first that is no exception */

/* Interrupts. */
#define VECTOR_LINES      0x30 /* sixteen lines of the 8259 pair */
#define VECTOR_MESSAGES   0x40 /* message-signalled */
#define VECTOR_TIMER      0xe0 /* the local APIC's timer */
#define VECTOR_APIC_ERROR 0xfe
#define VECTOR_SPURIOUS   0xff /* the local APIC's */
#define VECTORS           256

#define VECTOR_STUB_SIZE  16 /* bytes from one stub of entry_vectors to the next */

/* Offsets that entry.S, mm/x86_64/user_copy.S and `current` use; kernel/x86_64/cpu.c checks them. */
#define CPU_THREAD        8
#define CPU_KERNEL_STACK  16
#define CPU_USER_SP       24
#define CPU_FEATURES_SMAP 0
#define TF_R11            48
#define TF_RCX            88
#define TF_VECTOR         120
#define TF_RIP            136
#define TF_CS             144
#define TF_RFLAGS         152
#define TF_RSP            160
#define TF_SS             168
#define TF_SIZE           176

/* Where XSAVE's header lies in its area, and its size; kernel/x86_64/fpu.c checks them. */
#define XSAVE_HEADER      512
#define XSAVE_HEADER_SIZE 64

#ifdef __ASSEMBLER__
/* clang-format off */
	/* Supervisor access to user pages, on and off, where the processor guards it. */
	.macro user_access_begin
	cmpb	$0, (cpu_features + CPU_FEATURES_SMAP)(%rip)
	je	.Lbegin\@
	stac
.Lbegin\@:
	.endm

	.macro user_access_end
	cmpb	$0, (cpu_features + CPU_FEATURES_SMAP)(%rip)
	je	.Lend\@
	clac
.Lend\@:
	.endm

	/* If the instruction at `fault` faults for good, go on at `fixup` (kernel/trap.c). */
	.macro on_fault fault, fixup
	.pushsection .ex_table, "a"
	.balign	4
	.long	\fault - .
	.long	\fixup - .
	.popsection
	.endm
/* clang-format on */
#endif

#endif
