/*
 * proc/signal_frame.c - the way into a handler and back, rt_sigreturn(2).
 *
 * What the program did is kept on its own stack, byte for byte as Linux keeps it, since libcs and
 * debuggers read it:
 *
 *	│ what it was doing        │
 *	│ 128 bytes red zone       │ psABI 3.2.2 (not on another stack)
 *	├──────────────────────────┤ 64-byte aligned
 *	│ FPU state, XSAVE's form  │ ◄ uc_mcontext.fpstate
 *	│ siginfo                  │ ◄ RSI
 *	│ ucontext: registers,     │ ◄ RDX
 *	│ mask, stack              │
 *	│ address of the restorer  │ ◄ RSP: as if the handler had been called from there
 *	└──────────────────────────┘
 *
 * The restorer, libc's, calls rt_sigreturn, which believes nothing of what it finds: selectors and
 * privileged flags are the kernel's, and the FPU state is checked before the processor loads it.
 */
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/x86_64/cpu.h"
#include "mm/user.h"
#include "proc/signal.h"
#include <asm/processor-flags.h>
#include <asm/sigcontext.h>
#include <asm/ucontext.h>

#define RED_ZONE  128
#define FPU_ALIGN 64

/* RFLAGS that a program may set: Linux's FIX_EFLAGS. */
#define USER_FLAGS                                                                       \
	(X86_EFLAGS_AC | X86_EFLAGS_OF | X86_EFLAGS_DF | X86_EFLAGS_TF | X86_EFLAGS_SF | \
	 X86_EFLAGS_ZF | X86_EFLAGS_AF | X86_EFLAGS_PF | X86_EFLAGS_CF | X86_EFLAGS_RF)

/* Linux's struct rt_sigframe. */
struct frame {
	uint64_t restorer;
	struct ucontext context;
	siginfo_t info;
};
_Static_assert(offsetof(struct frame, context) == sizeof(uint64_t) &&
		       offsetof(struct frame, info) == 312 && sizeof(struct frame) == 440,
	       "Linux's layout");
_Static_assert(offsetof(struct _fpstate_64, sw_reserved) == 464,
	       "the processor leaves these alone");

/* --- the stack that handlers run on ------------------------------------------------------------------- */

static bool is_on(const struct alternate_stack *stack, vaddr_t sp)
{
	return sp > stack->base && sp - stack->base <= stack->size;
}

int signal_stack_flags(vaddr_t sp)
{
	const struct alternate_stack *stack = &current_task()->alternate_stack;

	if (stack->size == 0)
		return SS_DISABLE;
	/* One that disarms itself is free again: whatever runs on it has left it. */
	return !(stack->flags & SS_AUTODISARM) && is_on(stack, sp) ? SS_ONSTACK : 0;
}

/* Where the frame's stack begins, and how low it may reach. */
static vaddr_t choose_stack(const struct trapframe *tf, const struct delivery *d, vaddr_t *lowest)
{
	const struct alternate_stack *stack = &current_task()->alternate_stack;
	int flags = signal_stack_flags(tf->rsp);

	*lowest = flags == SS_ONSTACK ? stack->base : 0;
	if (!(d->action.flags & SA_ONSTACK) || flags != 0)
		return tf->rsp - MIN(tf->rsp, (vaddr_t)RED_ZONE);
	*lowest = stack->base;
	return stack->base + stack->size;
}

/* --- the FPU ---------------------------------------------------------------------------------------------- */

/* Bytes of it on the stack: XSAVE's form is followed by a magic number. */
static size_t fpu_frame_size(void)
{
	return fpu_area_size() + (cpu_features.xsave ? FP_XSTATE_MAGIC2_SIZE : 0);
}

/* The marks by which XSAVE's form is told from FXSAVE's. */
static int push_marks(vaddr_t to)
{
	const uint32_t magic2 = FP_XSTATE_MAGIC2;
	struct _fpx_sw_bytes software = {
		.magic1 = FP_XSTATE_MAGIC1,
		.extended_size = (uint32_t)fpu_frame_size(),
		.xfeatures = cpu_features.xsave_mask,
		.xstate_size = (uint32_t)fpu_area_size(),
	};
	int error = put_user(to + offsetof(struct _fpstate_64, sw_reserved), software);

	return error != 0 ? error : put_user(to + fpu_area_size(), magic2);
}

static int push_fpu(vaddr_t to)
{
	int error = save_fpu_to_user(to);

	return error == 0 && cpu_features.xsave ? push_marks(to) : error;
}

/* True if what is at `from` has XSAVE's form, as push_fpu() leaves it. */
static bool is_extended(vaddr_t from)
{
	struct _fpx_sw_bytes software;
	uint32_t magic2;

	return cpu_features.xsave &&
	       get_user(&software, from + offsetof(struct _fpstate_64, sw_reserved)) == 0 &&
	       software.magic1 == FP_XSTATE_MAGIC1 && software.xstate_size == fpu_area_size() &&
	       software.extended_size >= fpu_frame_size() &&
	       get_user(&magic2, from + fpu_area_size()) == 0 && magic2 == FP_XSTATE_MAGIC2;
}

/* The thread's area is that of the live registers again. Interrupts off. */
static void take_back(void *area)
{
	fpu_area_init(area);
	fpu_save_whole(area);
}

/*
 * Brings what is at `from` into the thread's area, which a switch to another thread would overwrite: with
 * interrupts off, and they stay off.
 */
static int read_fpu(void *area, vaddr_t from, size_t length)
{
	for (;;) {
		int error;

		irq_disable();
		if (copy_from_user_nofault(area, from, length) == length)
			return 0;
		take_back(area);
		irq_enable();
		error = user_fault_in(from, length, false);
		if (error != 0)
			return error;
	}
}

/* Loads what a user says was the FPU's state; 0: that of a fresh program. -EFAULT, -EINTR, -EINVAL. */
static int pop_fpu(vaddr_t from)
{
	void *area = current->fpu;
	bool extended, good;
	int error;

	if (from == 0) {
		fpu_reset();
		return 0;
	}
	extended = is_extended(from);
	error = read_fpu(area, from, extended ? fpu_area_size() : sizeof(struct _fpstate_64));
	if (error != 0)
		return error;
	if (!extended && cpu_features.xsave)
		fpu_area_legacy_only(area);
	good = fpu_area_check(area);
	if (good)
		fpu_restore(area);
	else
		take_back(area);
	irq_enable();
	return good ? 0 : -EINVAL;
}

/* --- in ------------------------------------------------------------------------------------------------------ */

static void save_registers(struct sigcontext_64 *to, const struct trapframe *tf)
{
	to->r8 = tf->r8;
	to->r9 = tf->r9;
	to->r10 = tf->r10;
	to->r11 = tf->r11;
	to->r12 = tf->r12;
	to->r13 = tf->r13;
	to->r14 = tf->r14;
	to->r15 = tf->r15;
	to->di = tf->rdi;
	to->si = tf->rsi;
	to->bp = tf->rbp;
	to->bx = tf->rbx;
	to->dx = tf->rdx;
	to->ax = tf->rax;
	to->cx = tf->rcx;
	to->sp = tf->rsp;
	to->ip = tf->rip;
	to->flags = tf->rflags;
	to->cs = (uint16_t)tf->cs;
	to->gs = 0;
	to->fs = 0;
	to->ss = (uint16_t)tf->ss;
	to->err = tf->vector == TRAP_SYSCALL ? 0 : tf->error;
	to->trapno = tf->vector == TRAP_SYSCALL ? 0 : tf->vector;
}

_Static_assert(sizeof(struct sigcontext_64) == sizeof(struct sigcontext), "two names of one thing");

bool signal_push_frame(struct trapframe *tf, const struct delivery *d)
{
	struct frame frame; /* but for the siginfo, which goes where it belongs at once */
	struct sigcontext_64 *registers = (void *)&frame.context.uc_mcontext;
	vaddr_t lowest, sp = choose_stack(tf, d, &lowest), fpu;
	size_t needed = fpu_frame_size() + FPU_ALIGN + sizeof(frame) + 2 * sizeof(uint64_t);

	if (!(d->action.flags & SA_RESTORER) || sp < lowest + needed || sp >= USER_MAX)
		return false;
	fpu = ALIGN_DOWN(sp - fpu_frame_size(), FPU_ALIGN);
	/* As after a call: the return address, and 16-byte alignment above it. */
	sp = ALIGN_DOWN(fpu - sizeof(frame), 16) - sizeof(uint64_t);

	frame.restorer = d->action.restorer;
	frame.context.uc_flags =
		(cpu_features.xsave ? UC_FP_XSTATE : 0) | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	frame.context.uc_link = NULL;
	signal_stack(&frame.context.uc_stack, tf->rsp);
	frame.context.uc_sigmask = d->mask;
	save_registers(registers, tf);
	registers->fpstate = fpu;
	registers->oldmask = d->mask;
	registers->cr2 = tf->vector == VECTOR_PAGE_FAULT ? (uint64_t)d->info.si_addr : 0;
	__builtin_memset(registers->reserved1, 0, sizeof(registers->reserved1));
	if (push_fpu(fpu) != 0 || copy_to_user(sp, &frame, offsetof(struct frame, info)) != 0 ||
	    copy_to_user(sp + offsetof(struct frame, info), &d->info, sizeof(d->info)) != 0)
		return false;

	tf->rdi = (uint64_t)d->signal;
	tf->rsi = sp + offsetof(struct frame, info);
	tf->rdx = sp + offsetof(struct frame, context);
	tf->rax = 0; /* a handler without a prototype may look for vector arguments */
	tf->rsp = sp;
	tf->rip = d->action.handler;
	tf->cs = GDT_USER_CODE;
	tf->ss = GDT_USER_DATA;
	tf->rflags &= ~(uint64_t)(X86_EFLAGS_DF | X86_EFLAGS_RF | X86_EFLAGS_TF);
	if (tf->vector == TRAP_SYSCALL)
		tf->error = TRAP_NO_SYSCALL;
	fpu_reset();
	return true;
}

/* --- and back -------------------------------------------------------------------------------------------------- */

static void restore_registers(struct trapframe *tf, const struct sigcontext_64 *from)
{
	*tf = (struct trapframe){
		.r8 = from->r8,
		.r9 = from->r9,
		.r10 = from->r10,
		.r11 = from->r11,
		.r12 = from->r12,
		.r13 = from->r13,
		.r14 = from->r14,
		.r15 = from->r15,
		.rdi = from->di,
		.rsi = from->si,
		.rbp = from->bp,
		.rbx = from->bx,
		.rdx = from->dx,
		.rax = from->ax,
		.rcx = from->cx,
		.rsp = from->sp,
		.rip = from->ip,
		.rflags = (from->flags & USER_FLAGS) | X86_EFLAGS_IF | X86_EFLAGS_FIXED,
		.cs = GDT_USER_CODE,
		.ss = GDT_USER_DATA,
		.vector = TRAP_SYSCALL,
		.error = TRAP_NO_SYSCALL, /* what it was doing is not interrupted once more */
	};
}

static int64_t bad_frame(void)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = SIGSEGV;
	info.si_code = SI_KERNEL;
	signal_force(&info, false);
	return -EFAULT;
}

SYSCALL0(rt_sigreturn)
{
	struct trapframe *tf = current->trapframe;
	const struct sigcontext_64 *registers;
	struct ucontext context;

	/* The handler's return has taken the restorer's address off. */
	if (get_user(&context, tf->rsp) != 0)
		return bad_frame();
	registers = (const void *)&context.uc_mcontext;
	if (pop_fpu(registers->fpstate) != 0)
		return bad_frame();
	signal_set_mask(context.uc_sigmask);
	signal_restore_stack(&context.uc_stack, registers->sp);
	restore_registers(tf, registers);
	return (int64_t)tf->rax;
}
