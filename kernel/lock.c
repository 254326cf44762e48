/*
 * kernel/lock.c - spinlocks, interrupts off by count, and the order of locks.
 *
 * A spinlock is one word: zero, or the number of the CPU that holds it plus one. While a CPU holds
 * any, its interrupts are off; so a lock is never taken twice by an interrupt handler that came in
 * between, and "held by this CPU" means "held by this thread".
 *
 * Deadlock needs a circle, and a circle needs somebody to go against the order. The checks look at
 * each lock as it is taken: everything that is held must come before it, by rank, or by address
 * among locks of one rank. What is held is noted per CPU for spinlocks, and per thread for the
 * sleeping locks (kernel/sleeplock.c). Only -DDEBUG_LOCKS (make DEBUG=1) has the checks: an uncontended
 * lock is two dozen instructions without them and two hundred with them. The interface and the layout
 * of the structures are the same.
 */
#include "kernel/lock.h"
#include "kernel/panic.h"
#include "kernel/park.h"
#include "kernel/sched.h"
#include "kernel/x86_64/cpu.h"

/* --- interrupts off by count -------------------------------------------------------------------- */

static inline struct cpu *push_off(void)
{
	uint64_t flags = read_flags();
	struct cpu *cpu;

	irq_disable();
	cpu = this_cpu();
	if (cpu->irq_off_depth++ == 0)
		cpu->flags_at_depth_0 = flags;
	return cpu;
}

static inline void pop_off(struct cpu *cpu)
{
	assert(cpu->irq_off_depth > 0);
	if (--cpu->irq_off_depth == 0 && (cpu->flags_at_depth_0 & X86_EFLAGS_IF))
		irq_enable();
}

void irq_push_off(void)
{
	(void)push_off();
}

void irq_pop_off(void)
{
	pop_off(this_cpu());
}

/* --- the order of spinlocks ----------------------------------------------------------------------- */

#ifdef DEBUG_LOCKS

/* Deeper nesting than this has never been needed, and would be a reason to think. */
#define SPIN_DEPTH_MAX 12

/* The spinlocks that a CPU holds, in the order taken; the first cpu->spin_count. That CPU only. */
static const struct spinlock *spin_stack[CPU_MAX][SPIN_DEPTH_MAX];

static __noreturn void order_broken(const struct spinlock *held, const struct spinlock *wanted)
{
	panic("lock order: %s (rank %d) wanted while %s (rank %d) is held", wanted->name,
	      wanted->rank, held->name, held->rank);
}

static void spin_check_order(const struct spinlock *lock)
{
	const struct cpu *cpu = this_cpu();

	if (likely(cpu->spin_ranks >> lock->rank == 0))
		return;
	for (uint32_t i = 0; i < cpu->spin_count; i++) {
		const struct spinlock *held = spin_stack[cpu->number][i];
		if (held->rank > lock->rank || (held->rank == lock->rank && held >= lock))
			order_broken(held, lock);
	}
}

static void spin_note_taken(const struct spinlock *lock)
{
	struct cpu *cpu = this_cpu();

	assert(cpu->spin_count < SPIN_DEPTH_MAX);
	spin_stack[cpu->number][cpu->spin_count++] = lock;
	cpu->spin_ranks |= UINT64_C(1) << lock->rank;
}

static void spin_note_released(const struct spinlock *lock)
{
	struct cpu *cpu = this_cpu();
	const struct spinlock **stack = spin_stack[cpu->number];
	uint32_t i = cpu->spin_count;

	while (i > 0 && stack[i - 1] != lock)
		i--;
	assert(i > 0);
	cpu->spin_count--;
	for (i--; i < cpu->spin_count; i++)
		stack[i] = stack[i + 1];

	uint64_t ranks = 0;
	for (i = 0; i < cpu->spin_count; i++)
		ranks |= UINT64_C(1) << stack[i]->rank;
	cpu->spin_ranks = ranks;
}

void might_sleep(void)
{
	if (!sched_started())
		return;
	const struct cpu *cpu = this_cpu();
	assert(cpu->spin_count == 0);
	assert(cpu->interrupt_depth == 0);
	assert(cpu->irq_off_depth == 0 && irq_enabled());
	assert(cpu->thread != cpu->idle);
}

#else

static void spin_check_order(const struct spinlock *lock)
{
}

static void spin_note_taken(const struct spinlock *lock)
{
}

static void spin_note_released(const struct spinlock *lock)
{
}

#endif

/* --- spinlocks --------------------------------------------------------------------------------------- */

void spin_init(struct spinlock *lock, const char *name, enum lock_rank rank)
{
	*lock = (struct spinlock)SPINLOCK_INIT(name, rank);
}

static inline bool spin_try_word(struct spinlock *lock, uint32_t word)
{
	uint32_t expected = 0;

	return atomic_compare_exchange_strong_explicit(&lock->word, &expected, word,
						       memory_order_acquire, memory_order_relaxed);
}

void spin_lock(struct spinlock *lock)
{
	uint32_t word = push_off()->number + 1;

	spin_check_order(lock);
	while (unlikely(!spin_try_word(lock, word))) {
		while (atomic_load_explicit(&lock->word, memory_order_relaxed) != 0)
			cpu_relax();
	}
	spin_note_taken(lock);
}

void spin_unlock(struct spinlock *lock)
{
	struct cpu *cpu = this_cpu();

	assert(atomic_load_explicit(&lock->word, memory_order_relaxed) == cpu->number + 1);
	spin_note_released(lock);
	/* The last touch: whoever takes it next may free what the lock lies in. */
	atomic_store_explicit(&lock->word, 0, memory_order_release);
	pop_off(cpu);
}

bool spin_held(const struct spinlock *lock)
{
	uint32_t word = atomic_load_explicit(&lock->word, memory_order_relaxed);

	return word != 0 && word == this_cpu()->number + 1;
}
