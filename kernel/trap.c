/*
 * kernel/trap.c - exceptions and interrupts, sorted: whose they are, and what becomes of them.
 *
 *	                    from user mode                      from the kernel
 *	page fault          hooks->page_fault, then retry       in a user copy: the same, or its fixup;
 *	                    or a signal                         anything else is a panic
 *	other exception     hooks->user_exception: a signal     a panic
 *	interrupt           irq_dispatch()                      irq_dispatch()
 *	NMI, #MC, #DF       trap_paranoid(), on stacks of their own
 *
 * Signals and codes are Linux's (arch/x86/kernel/traps.c there), because programs see them.
 *
 * A user copy is an instruction listed in the exception table, together with where to go on if it
 * cannot be completed (the `on_fault` macro of kernel/x86_64/entry.h).
 */
#include "kernel/trap.h"

#include "kernel/irq.h"
#include "kernel/log.h"
#include "kernel/log_reader.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/x86_64/cpu.h"
#include <asm/siginfo.h>
#include <asm/signal.h>

/* The page-fault error code (SDM 3A 4.7). */
#define PAGE_FAULT_PRESENT  0x01u
#define PAGE_FAULT_WRITE    0x02u
#define PAGE_FAULT_RESERVED 0x08u
#define PAGE_FAULT_FETCH    0x10u

/* The user half of the address space ends where addresses stop being canonical. */
#define USER_HALF_BITS 47

/* System control port B: what a PC reports by NMI. */
#define PORT_B          0x61
#define PORT_B_SERR     0x80
#define PORT_B_IO_CHECK 0x40

struct fixup {
	int32_t fault, fixup; /* addresses, relative to the fields themselves */
};
extern const struct fixup __ex_table_start[], __ex_table_end[];

/* Set once, before the first program. */
static const struct trap_hooks *hooks;

/* An NMI that nothing explains is told by the next interrupt, because an NMI may not touch the log. */
static _Atomic enum { NMI_NONE, NMI_SEEN, NMI_TOLD } unknown_nmi;

/* entry.S */
__noreturn void entry_enter_user(struct trapframe *tf);
void trap_dispatch(struct trapframe *tf);
void trap_paranoid(struct trapframe *tf);

void trap_register_hooks(const struct trap_hooks *new_hooks)
{
	hooks = new_hooks;
}

void trap_init(void)
{
	cpu_load_vectors();
}

static bool in_user_half(vaddr_t address)
{
	return address >> USER_HALF_BITS == 0;
}

/* --- the exception table ------------------------------------------------------------------------------ */

/* Where to go on after a failed user access at `rip`; 0 if there is none. */
static vaddr_t find_fixup(vaddr_t rip)
{
	for (const struct fixup *f = __ex_table_start; f < __ex_table_end; f++) {
		if ((uintptr_t)&f->fault + f->fault == rip)
			return (uintptr_t)&f->fixup + f->fixup;
	}
	return 0;
}

/* --- page faults ---------------------------------------------------------------------------------------- */

static void user_exception(struct trapframe *tf, int signal, int code, vaddr_t address)
{
	irq_enable();
	hooks->user_exception(tf, signal, code, address);
}

/*
 * Of the kernel's half a user does not even learn what is mapped; and the PTE cannot tell PROT_NONE
 * from nothing at all.
 */
static int segv_code(const struct trapframe *tf, vaddr_t address)
{
	return in_user_half(address) && (tf->error & PAGE_FAULT_PRESENT) ? SEGV_ACCERR
									 : SEGV_MAPERR;
}

static void user_page_fault(struct trapframe *tf, vaddr_t address, unsigned access)
{
	int error = -EFAULT;

	irq_enable();
	if (in_user_half(address))
		error = hooks->page_fault(address, access | FAULT_USER);
	switch (error) {
	case 0:
	case -EINTR: /* the end is pending: trap_return_user() sees to it */
		break;
	case -EIO:
		user_exception(tf, SIGBUS, BUS_ADRERR, address);
		break;
	case -ENOMEM:
		user_exception(tf, SIGKILL, SI_KERNEL, address);
		break;
	default:
		user_exception(tf, SIGSEGV, segv_code(tf, address), address);
	}
}

static void kernel_page_fault(struct trapframe *tf, vaddr_t address, unsigned access)
{
	vaddr_t fixup = in_user_half(address) ? find_fixup(tf->rip) : 0;
	struct thread *thread = this_cpu()->thread;
	int error = -EFAULT;

	if (!fixup || !thread)
		panic_trap(tf, "page fault on %s%s of %#lx",
			   access & FAULT_EXEC    ? "execution"
			   : access & FAULT_WRITE ? "write"
						  : "read",
			   tf->error & PAGE_FAULT_PRESENT ? " (no right)" : "", address);
	if (thread->nofault == 0 && hooks) {
		if (!(tf->rflags & X86_EFLAGS_IF))
			panic_trap(tf, "a user copy that may fault, with interrupts off");
		irq_enable();
		error = hooks->page_fault(address, access);
		irq_disable();
	}
	if (error != 0)
		tf->rip = fixup;
}

static void page_fault(struct trapframe *tf)
{
	vaddr_t address = read_cr2();
	unsigned access = (tf->error & PAGE_FAULT_WRITE ? FAULT_WRITE : FAULT_READ) |
			  (tf->error & PAGE_FAULT_FETCH ? FAULT_EXEC : 0);

	if (tf->error & PAGE_FAULT_RESERVED)
		panic_trap(tf, "page table entry with reserved bits set, at %#lx", address);
	if (trapframe_is_user(tf))
		user_page_fault(tf, address, access);
	else
		kernel_page_fault(tf, address, access);
}

/* --- other exceptions ------------------------------------------------------------------------------------- */

static const char *exception_name(uint64_t vector)
{
	static const char *const names[] = {
		[VECTOR_DIVIDE] = "divide error",
		[VECTOR_DEBUG] = "debug exception",
		[VECTOR_BREAKPOINT] = "breakpoint",
		[VECTOR_OVERFLOW] = "overflow",
		[VECTOR_UNDEFINED] = "undefined instruction",
		[VECTOR_INVALID_TSS] = "invalid TSS",
		[VECTOR_NOT_PRESENT] = "segment not present",
		[VECTOR_STACK] = "stack segment fault",
		[VECTOR_PROTECTION] = "general protection fault",
		[VECTOR_X87] = "x87 exception",
		[VECTOR_ALIGNMENT] = "alignment check",
		[VECTOR_SIMD] = "SIMD exception",
	};

	return vector < ARRAY_SIZE(names) && names[vector] ? names[vector] : "exception";
}

static int fpu_signal_code(bool simd)
{
	uint32_t pending = fpu_exceptions(simd);

	if (pending & FPU_INVALID)
		return FPE_FLTINV;
	if (pending & FPU_DIVIDE)
		return FPE_FLTDIV;
	if (pending & FPU_OVERFLOW)
		return FPE_FLTOVF;
	if (pending & (FPU_UNDERFLOW | FPU_DENORMAL))
		return FPE_FLTUND;
	if (pending & FPU_PRECISION)
		return FPE_FLTRES;
	return SI_KERNEL;
}

static int debug_signal_code(void)
{
	uint64_t why = read_dr6();

	write_dr6(DR6_CLEAR);
	if (why & DR6_STEP)
		return TRAP_TRACE;
	return why & DR6_BREAKPOINTS ? TRAP_HWBKPT : TRAP_BRKPT;
}

static void user_trap(struct trapframe *tf)
{
	switch (tf->vector) {
	case VECTOR_DIVIDE:
		user_exception(tf, SIGFPE, FPE_INTDIV, tf->rip);
		break;
	case VECTOR_DEBUG:
		user_exception(tf, SIGTRAP, debug_signal_code(), tf->rip);
		break;
	case VECTOR_BREAKPOINT:
		user_exception(tf, SIGTRAP, SI_KERNEL, 0);
		break;
	case VECTOR_UNDEFINED:
		user_exception(tf, SIGILL, ILL_ILLOPN, tf->rip);
		break;
	case VECTOR_NOT_PRESENT:
	case VECTOR_STACK:
		user_exception(tf, SIGBUS, SI_KERNEL, 0);
		break;
	case VECTOR_X87:
	case VECTOR_SIMD:
		user_exception(tf, SIGFPE, fpu_signal_code(tf->vector == VECTOR_SIMD), tf->rip);
		break;
	case VECTOR_ALIGNMENT:
		user_exception(tf, SIGBUS, BUS_ADRALN, 0);
		break;
	default:
		user_exception(tf, SIGSEGV, SI_KERNEL, 0);
	}
}

/*
 * User copies are no exception: their user addresses are canonical, so that a #GP there is about a
 * pointer of the kernel's own.
 */
static __noreturn void kernel_trap(struct trapframe *tf)
{
	panic_trap(tf, "%s in the kernel, error code %#lx", exception_name(tf->vector), tf->error);
}

/* --- what may come at any instruction --------------------------------------------------------------------- */

static __noreturn void double_fault(const struct trapframe *tf)
{
	const struct thread *thread = this_cpu()->thread;
	vaddr_t address = read_cr2();

	/* The push that did not work hit the guard page below the stack. */
	if (thread && address < thread->stack_base && thread->stack_base - address <= PAGE_SIZE)
		panic_trap(tf, "kernel stack overflow in thread %s", thread->name);
	panic_trap(tf, "double fault (last page fault at %#lx)", address);
}

/* Tells of the first bank that has something to say: no log here, its lock may be held. */
static __noreturn void machine_check(const struct trapframe *tf)
{
	unsigned banks = rdmsr(MSR_MCG_CAP) & MCG_CAP_BANKS, bank = 0;
	uint64_t status = 0, address = 0;

	for (; bank < banks; bank++) {
		status = rdmsr(MSR_MC0_STATUS + 4 * bank);
		if (status & MC_STATUS_VALID)
			break;
	}
	if (bank < banks && (status & MC_STATUS_ADDRESS))
		address = rdmsr(MSR_MC0_ADDR + 4 * bank);
	panic_trap(tf, "machine check: the hardware has failed: bank %u status %#lx address %#lx",
		   bank, status, address);
}

static void nmi(const struct trapframe *tf)
{
	uint8_t reason = inb(PORT_B);

	if (reason & (PORT_B_SERR | PORT_B_IO_CHECK))
		panic_trap(tf, "NMI: the hardware reports %s",
			   reason & PORT_B_SERR ? "a bus or memory error (SERR)" : "an I/O check");
	if (unknown_nmi == NMI_NONE)
		unknown_nmi = NMI_SEEN;
}

static void tell_of_nmi(void)
{
	unknown_nmi = NMI_TOLD;
	log_warn("trap: an NMI for no known reason (further ones are passed over)");
}

/*
 * A debug exception in the kernel: no breakpoint is ever set, so the processor has let a user's TF
 * through to the kernel's first instruction. Going on without it is all there is to do.
 */
static void kernel_debug(struct trapframe *tf)
{
	write_dr6(DR6_CLEAR);
	tf->rflags &= ~X86_EFLAGS_TF;
}

void trap_paranoid(struct trapframe *tf)
{
	switch (tf->vector) {
	case VECTOR_NMI:
		nmi(tf);
		break;
	case VECTOR_DEBUG:
		kernel_debug(tf);
		break;
	case VECTOR_MACHINE_CHECK:
		machine_check(tf);
	default:
		double_fault(tf);
	}
}

/* --- in and out --------------------------------------------------------------------------------------------- */

void trap_return_user(struct trapframe *tf)
{
	for (;;) {
		const struct thread *thread;
		const struct cpu *cpu;

		irq_disable();
		cpu = this_cpu();
		thread = cpu->thread;
		if (unlikely(cpu->need_resched)) {
			irq_enable();
			sched_yield();
		} else if (unlikely(thread->kill_pending || thread->signal_pending)) {
			irq_enable();
			hooks->user_return(tf);
		} else if (unlikely(!in_user_half(tf->rip))) {
			/* IRETQ would fault, in the kernel with the user's GS. */
			user_exception(tf, SIGSEGV, SI_KERNEL, tf->rip);
		} else {
			return;
		}
	}
}

void trap_dispatch(struct trapframe *tf)
{
	struct cpu *cpu = this_cpu();
	bool user = trapframe_is_user(tf);

	if (tf->vector >= VECTOR_EXCEPTIONS) {
		cpu->interrupt_depth++;
		cpu->interrupted_user = user;
		irq_dispatch((unsigned)tf->vector);
		if (unlikely(unknown_nmi == NMI_SEEN))
			tell_of_nmi();
		log_tell_late();
		cpu->interrupt_depth--;
	} else if (tf->vector == VECTOR_PAGE_FAULT) {
		page_fault(tf);
	} else if (user) {
		user_trap(tf);
	} else {
		kernel_trap(tf);
	}
	if (user)
		trap_return_user(tf);
}

void trap_enter_user(struct trapframe *tf)
{
	struct thread *thread = current;

	assert(tf->cs == GDT_USER_CODE && tf->ss == GDT_USER_DATA);
	assert((tf->rflags & (X86_EFLAGS_IF | X86_EFLAGS_IOPL)) == X86_EFLAGS_IF);
	thread->trapframe = (struct trapframe *)thread->stack_top - 1;
	trap_return_user(tf);
	/* For a thread that was the kernel's until now, no switch has loaded these. */
	fpu_restore(thread->fpu);
	cpu_set_user_fs_base(thread->fs_base);
	cpu_set_user_gs_base(thread->gs_base);
	entry_enter_user(tf);
}
