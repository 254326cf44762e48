/*
 * kernel/syscall.c - from the number in RAX to the function in the table, and back to user mode.
 */
#include "kernel/syscall.h"

#include "kernel/log.h"
#include "kernel/sched.h"
#include "kernel/trap.h"
#include "kernel/x86_64/cpu.h"

#define LOGGED_CALLS 1024 /* numbers that are told apart; those above share the last bit */
#define WORD_BITS    64

/* One bit for each number that somebody has been told about. */
static _Atomic uint64_t logged[LOGGED_CALLS / WORD_BITS];

static int64_t unknown_call(uint32_t number)
{
	uint32_t bit = MIN(number, (uint32_t)LOGGED_CALLS - 1);
	uint64_t mask = UINT64_C(1) << bit % WORD_BITS;
	const char *name = number < syscall_count ? syscall_table[number].name : NULL;

	if (!(atomic_fetch_or(&logged[bit / WORD_BITS], mask) & mask))
		log_notice("%s: system call %u (%s) is not implemented", current->name, number,
			   name ? name : "no such number on Linux");
	return -ENOSYS;
}

/*
 * `index` if it is below `count`, otherwise 0, also where the processor runs ahead of a branch that
 * it will not take (Spectre, variant 1).
 */
static inline uint32_t clamp_index(uint32_t index, uint32_t count)
{
	uint32_t mask;

	asm("cmp %2, %1\n\tsbb %0, %0" : "=r"(mask) : "r"(index), "rm"(count) : "cc");
	return index & mask;
}

/* Nobody has put other registers there: exec, a handler, its return, a call that is to be made again. */
static bool is_as_called(const struct trapframe *tf)
{
	return tf->error != TRAP_NO_SYSCALL && tf->rip == tf->rcx;
}

bool syscall_dispatch(struct trapframe *tf)
{
	uint32_t number = (uint32_t)tf->error; /* Linux looks at EAX only */
	const struct thread *thread;
	const struct cpu *cpu;
	syscall_fn *fn = NULL;

	if (likely(number < syscall_count))
		fn = syscall_table[clamp_index(number, syscall_count)].fn;
	tf->rax = (uint64_t)(likely(fn) ? fn(tf->rdi, tf->rsi, tf->rdx, tf->r10, tf->r8, tf->r9)
					: unknown_call(number));

	/* What follows must not be overtaken by an interrupt that brings work. */
	irq_disable();
	cpu = this_cpu();
	thread = cpu->thread;
	if (likely(!(cpu->need_resched | thread->kill_pending | thread->signal_pending) &&
		   is_as_called(tf)))
		return true;
	trap_return_user(tf);
	return is_as_called(tf);
}
