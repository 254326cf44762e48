/*
 * kernel/x86_64/cpu.h - one processor: what it is, and the data that only it touches.
 *
 * GS points at the running CPU's struct cpu in kernel mode (SWAPGS at every entry from user mode).
 * Everything in it is read and written by its own CPU with interrupts off, or by `current`-like
 * single loads, unless a comment says otherwise.
 */
#ifndef HAWSER_KERNEL_X86_64_CPU_H
#define HAWSER_KERNEL_X86_64_CPU_H

#include "kernel/base.h"
#include "kernel/x86_64/entry.h"
#include "kernel/x86_64/regs.h"

#define CPU_MAX 64

struct thread;
struct pmap;

/* SDM 3A 8.7: the 64-bit task-state segment. */
struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t io_map_base;
} __packed;

/*
 * Interrupt-stack-table slots: stacks of their own for what may come while RSP or GS is not ours
 * (between SYSCALL and the switch to the kernel stack) or is no longer good (stack overflow). Each
 * top holds a pointer to the CPU that owns the stack, below which the trap frame lies: entry.S finds
 * its struct cpu there, whatever GS holds.
 */
enum cpu_ist { IST_NONE, IST_NMI, IST_DOUBLE_FAULT, IST_MACHINE_CHECK, IST_DEBUG, IST_COUNT };
#define IST_STACK_SIZE (8 * KIB)

#define GDT_ENTRIES    7

struct cpu {
	/* The first four are known to entry.S by offset (kernel/x86_64/entry.h). */
	struct cpu *self;      /* gs:0 */
	struct thread *thread; /* gs:8: the one that runs; `current` is a macro */
	vaddr_t kernel_stack;  /* gs:16: the current thread's stack top */
	uint64_t user_sp;      /* gs:24: scratch of the SYSCALL entry */

	uint32_t number; /* 0 … CPU_MAX - 1 */
	uint32_t apic_id;
	uint32_t irq_off_depth;    /* irq_push_off() nesting */
	uint64_t flags_at_depth_0; /* RFLAGS: whether interrupts were on, and will be */
	uint32_t interrupt_depth;  /* >0: in an interrupt handler */
	bool interrupted_user;     /* there: user code, not the kernel's, was interrupted */
	uint64_t spin_ranks;       /* ranks of held spinlocks, debug */
	uint32_t spin_count;       /* held spinlocks */
	_Atomic bool need_resched;
	struct thread *idle;
	struct pmap *pmap;        /* whose table is loaded; NULL: the kernel's own */
	uint64_t pmap_generation; /* of that pmap, when the TLB was last in step with it */

	char *ist_stack[IST_COUNT]; /* IST_STACK_SIZE each; set before cpu_init(n), n > 0 */
	struct tss tss;
	uint64_t gdt[GDT_ENTRIES];
};

extern struct cpu cpus[CPU_MAX];
extern uint32_t cpu_count; /* that run */

static inline struct cpu *this_cpu(void)
{
	struct cpu *cpu;
	asm volatile("mov %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

/* Features that change what the kernel does; set by cpu_init() on the boot CPU. */
struct cpu_features {
	/* `smap` comes first: the assembler reads it (kernel/x86_64/entry.h). */
	bool smap, nx, smep, umip, fsgsbase, xsave, xsaveopt, pdpe1gb, rdrand, rdseed,
		tsc_invariant, tsc_deadline, x2apic, pat, global_pages;
	bool fxsave_leaks; /* AMD: FXSAVE keeps the last x87 pointers of whoever ran before */
	uint32_t xsave_size;
	uint64_t xsave_mask;
	char vendor[13], brand[49];
	uint32_t family, model, stepping;
	uint8_t physical_bits;
};
extern struct cpu_features cpu_features;

/* GDT, TSS, GS, control registers, FPU on this CPU. `number` 0 first, on the boot stack. */
void cpu_init(uint32_t number);

/* Loads the IDT and the SYSCALL entry on this CPU; trap_init() calls it. */
void cpu_load_vectors(void);

/* Where the next trap from user mode lands, and TSS.rsp0. Interrupts off. */
void cpu_set_kernel_stack(vaddr_t top);

/*
 * The FPU's registers (x87, SSE, AVX, AVX-512) of a thread that has user state. They are saved and
 * restored at every switch; the kernel itself never touches them. An area is fpu_area_size() bytes,
 * 64-byte aligned, and its content comes from fpu_area_init() or fpu_save(): what a user may have
 * written must have passed fpu_area_check() before it reaches fpu_restore(). Who changes the running thread's area restores it
 * at once, and who wants to copy it (fork) saves it first. Interrupts may be on: the switch that
 * comes between saves and restores the same thread's registers.
 */
size_t fpu_area_size(void);
/* A fresh program's FPU state (psABI 3.4.1: x87 and SSE defaults, everything else zero). */
void fpu_area_init(void *area);
void fpu_save(void *area);
/* As fpu_save(), with every component written out: for others to read. */
void fpu_save_whole(void *area);
void fpu_restore(const void *area);
/* The live registers become a fresh program's; the area is as it was. */
void fpu_reset(void);

/* For an area that a user may have written: true if fpu_restore() will take it. */
bool fpu_area_check(const void *area);
/* Only its first 512 bytes, FXSAVE's, are meant; all else gets its initial state. */
void fpu_area_legacy_only(void *area);

/* The pending, unmasked exceptions of the live registers: x87's, or SSE's. Bits as in FSW, MXCSR. */
#define FPU_INVALID    0x01u
#define FPU_DENORMAL   0x02u
#define FPU_DIVIDE     0x04u
#define FPU_OVERFLOW   0x08u
#define FPU_UNDERFLOW  0x10u
#define FPU_PRECISION  0x20u
#define FPU_EXCEPTIONS 0x3fu
uint32_t fpu_exceptions(bool simd);

/*
 * The user's FS and GS bases, live on this CPU while the kernel runs. The switch stores them to
 * thread->fs_base and ->gs_base and loads the next thread's; arch_prctl(2) and exec change both. The
 * setters want a canonical address, or the processor faults. Interrupts off, or for the current
 * thread.
 */
uint64_t cpu_user_fs_base(void);
uint64_t cpu_user_gs_base(void);
void cpu_set_user_fs_base(uint64_t base);
void cpu_set_user_gs_base(uint64_t base);

/* RDTSC and RDTSCP in user mode are general protection faults from now on, or no longer. Interrupts off. */
void cpu_forbid_tsc(bool forbid);

/*
 * The context switch: saves callee-saved registers, stores RSP to *save_sp, loads load_sp. A stack on
 * which nothing has run yet holds what switch.S describes.
 */
void switch_stacks(vaddr_t *save_sp, vaddr_t load_sp);

/* Ends the machine without any help from firmware: a triple fault. */
__noreturn void cpu_triple_fault(void);

#endif
