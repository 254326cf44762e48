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
_Static_assert(offsetof(struct frame, info) == 312 && sizeof(struct frame) == 440,
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

static int push_fpu(vaddr_t to)
{
	struct _fpx_sw_bytes software = { 0 };
	const uint32_t magic2 = FP_XSTATE_MAGIC2;
	int error;

	if (cpu_features.xsave)
		software = (struct _fpx_sw_bytes){
			.magic1 = FP_XSTATE_MAGIC1,
			.extended_size = (uint32_t)fpu_frame_size(),
			.xfeatures = cpu_features.xsave_mask,
			.xstate_size = (uint32_t)fpu_area_size(),
		};
	fpu_save_whole(current->fpu);
	error = copy_to_user(to, current->fpu, fpu_area_size());
	if (error == 0)
		error = put_user(to + offsetof(struct _fpstate_64, sw_reserved), software);
	if (error == 0 && cpu_features.xsave)
		error = put_user(to + fpu_area_size(), magic2);
	return error;
}

/* True if what is at `from` has XSAVE's form, as push_fpu() leaves it. */
static bool is_extended(vaddr_t from, const struct _fpstate_64 *state)
{
	const struct _fpx_sw_bytes *software = &state->sw_reserved;
	uint32_t magic2;

	return cpu_features.xsave && software->magic1 == FP_XSTATE_MAGIC1 &&
	       software->xstate_size == fpu_area_size() &&
	       software->extended_size >= fpu_frame_size() &&
	       get_user(&magic2, from + fpu_area_size()) == 0 && magic2 == FP_XSTATE_MAGIC2;
}

/* Loads what a user says was the FPU's state; 0: that of a fresh program. -EFAULT, -EINVAL, -ENOMEM. */
static int pop_fpu(vaddr_t from)
{
	void *area = fpu_area_alloc(); /* initialised */
	void *old = current->fpu;
	int error;

	if (!area)
		return -ENOMEM;
	error = from != 0 ? copy_from_user(area, from, sizeof(struct _fpstate_64)) : 0;
	if (error == 0 && from != 0 && is_extended(from, area))
		error = copy_from_user(area, from, fpu_area_size());
	else if (error == 0 && from != 0)
		fpu_area_legacy_only(area);
	if (error == 0 && !fpu_area_check(area))
		error = -EINVAL;
	if (error == 0) {
		current->fpu = area;
		fpu_restore(area);
	}
	fpu_area_free(error == 0 ? old : area);
	return error;
}

/* --- in ------------------------------------------------------------------------------------------------------ */

static void save_registers(struct sigcontext_64 *to, const struct trapframe *tf)
{
	*to = (struct sigcontext_64){
		.r8 = tf->r8,
		.r9 = tf->r9,
		.r10 = tf->r10,
		.r11 = tf->r11,
		.r12 = tf->r12,
		.r13 = tf->r13,
		.r14 = tf->r14,
		.r15 = tf->r15,
		.di = tf->rdi,
		.si = tf->rsi,
		.bp = tf->rbp,
		.bx = tf->rbx,
		.dx = tf->rdx,
		.ax = tf->rax,
		.cx = tf->rcx,
		.sp = tf->rsp,
		.ip = tf->rip,
		.flags = tf->rflags,
		.cs = (uint16_t)tf->cs,
		.ss = (uint16_t)tf->ss,
		.err = tf->vector == TRAP_SYSCALL ? 0 : tf->error,
		.trapno = tf->vector == TRAP_SYSCALL ? 0 : tf->vector,
	};
}

_Static_assert(sizeof(struct sigcontext_64) == sizeof(struct sigcontext), "two names of one thing");

bool signal_push_frame(struct trapframe *tf, const struct delivery *d)
{
	struct frame frame;
	struct sigcontext_64 *registers = (void *)&frame.context.uc_mcontext;
	vaddr_t lowest, sp = choose_stack(tf, d, &lowest), fpu;
	size_t needed = fpu_frame_size() + FPU_ALIGN + sizeof(frame) + 2 * sizeof(uint64_t);

	if (!(d->action.flags & SA_RESTORER) || sp < lowest + needed || sp >= USER_MAX)
		return false;
	fpu = ALIGN_DOWN(sp - fpu_frame_size(), FPU_ALIGN);
	/* As after a call: the return address, and 16-byte alignment above it. */
	sp = ALIGN_DOWN(fpu - sizeof(frame), 16) - sizeof(uint64_t);

	memset(&frame, 0, sizeof(frame));
	frame.restorer = d->action.restorer;
	frame.context.uc_flags =
		(cpu_features.xsave ? UC_FP_XSTATE : 0) | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	frame.context.uc_stack = signal_stack(tf->rsp);
	frame.context.uc_sigmask = d->mask;
	save_registers(registers, tf);
	registers->fpstate = fpu;
	registers->oldmask = d->mask;
	if (tf->vector == VECTOR_PAGE_FAULT)
		registers->cr2 = (uint64_t)d->info.si_addr;
	frame.info = d->info;
	if (push_fpu(fpu) != 0 || put_user(sp, frame) != 0)
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
	fpu_area_init(current->fpu);
	fpu_restore(current->fpu);
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

SYSCALL0(rt_sigreturn)
{
	struct trapframe *tf = current->trapframe;
	struct frame frame;
	const struct sigcontext_64 *registers = (const void *)&frame.context.uc_mcontext;
	siginfo_t info;

	/* The handler's return has taken the restorer's address off. */
	if (get_user(&frame, tf->rsp - sizeof(uint64_t)) != 0 || pop_fpu(registers->fpstate) != 0) {
		memset(&info, 0, sizeof(info));
		info.si_signo = SIGSEGV;
		info.si_code = SI_KERNEL;
		signal_force(&info, false);
		return -EFAULT;
	}
	signal_set_mask(frame.context.uc_sigmask);
	signal_restore_stack(&frame.context.uc_stack, registers->sp);
	restore_registers(tf, registers);
	return (int64_t)tf->rax;
}
