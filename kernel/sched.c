/*
 * kernel/sched.c - threads and the run queue.
 *
 *	        thread_start           picked               thread_exit
 *	   NEW ─────────────> RUNNABLE ──────> RUNNING ─────────────────> DEAD ──> released
 *	                       ^    ^            │  │
 *	                       │    └────────────┘  │ thread_park
 *	                       │  yield, preempted  v
 *	                       └────────────── SLEEPING
 *	                         thread_unpark
 *
 * Runnable threads wait their turn in one queue. What a CPU runs is its own business: its struct
 * local holds what it needs for that, and only the queue is shared. While nobody waits, there is no
 * slice and no timer; when somebody does, the running thread has a slice from when it began, after
 * which need_resched makes it yield at its next return to user mode. Slices are as long as nice(2)
 * wants shares to be large. A thread that an interrupt wakes has waited for the outside world: unless
 * it is nicer than what runs, it goes to the head of the queue, and what runs gives way at once.
 *
 * Real-time threads go before all others, by priority, and run until they sleep, give way, or one of a
 * higher priority wakes (sched(7)). But in each second they have 950 ms together while others wait, as on
 * Linux, so that nobody can take the machine away from them: what has a priority then rests.
 *
 * The switch. The queue's lock is not held across it. A thread that has been put to sleep, and even
 * one that has been woken again, cannot be picked by another CPU before its registers are saved:
 * on_cpu says so until the next thread, already on its own stack, clears it in finish_switch().
 *
 * The end. A thread cannot free the stack it stands on. The thread after it puts it on the list of
 * the dead (kernel/reaper.c).
 */
#include "kernel/sched.h"
#include "kernel/clock.h"
#include "kernel/panic.h"
#include "kernel/park.h"
#include "kernel/ready.h"
#include "kernel/reaper.h"
#include "kernel/string.h"
#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/stack_guard.h"
#include <linux/sched.h>

#define SLICE_NS     (10 * NSEC_PER_MSEC) /* of nice 0 */
#define SLICE_MIN_NS (1 * NSEC_PER_MSEC)
#define SLICE_MAX_NS (100 * NSEC_PER_MSEC) /* also the real-time policies' */
#define TICK_NS      (4 * NSEC_PER_MSEC)   /* Linux's at 250 Hz */

/* Linux's sched_rt_period_us and sched_rt_runtime_us. */
#define REALTIME_PERIOD_NS NSEC_PER_SEC
#define REALTIME_SHARE_NS  (950 * NSEC_PER_MSEC)

/* Known to switch_stacks() and the entry code, which get at a thread by these. */
_Static_assert(offsetof(struct thread, kernel_sp) == 0, "kernel/x86_64/switch.S knows it");
_Static_assert(offsetof(struct thread, stack_top) == 8, "kernel/x86_64/switch.S knows it");

static struct runqueue {
	struct spinlock lock;
	struct ready ready;        /* lock */
	uint64_t started;          /* lock: threads so far */
	uint32_t running, blocked; /* lock: on CPUs, but for idle threads; asleep in that state */
	struct load load;          /* lock */
	_Atomic uint64_t switches, idle_ns;
} runqueue = {
	.lock = SPINLOCK_INIT("runqueue", RANK_RUNQUEUE),
};

/* What a CPU needs for its own scheduling; that CPU with interrupts off. */
static struct local {
	struct thread *previous; /* between switch_stacks() and finish_switch() */
	struct timer slice, tick;
	bool previous_dead;
	bool tick_armed;
	uint64_t slice_at_ns;      /* when the slice's timer fires; NO_DEADLINE: it does not */
	uint64_t period_ns;        /* when the present period of real-time threads began */
	uint64_t realtime_used_ns; /* in it */
	uint64_t user_ns, nice_ns, system_ns; /* read by anyone */
} locals[CPU_MAX];

static struct thread boot_idle;

static void (*switch_space_hook)(struct thread *prev, struct thread *next);
static void (*tick_hook)(struct thread *thread);
static bool started;

static struct local *local(void)
{
	return &locals[this_cpu()->number];
}

bool sched_started(void)
{
	return started;
}

void sched_register_switch_space(void (*switch_space)(struct thread *prev, struct thread *next))
{
	switch_space_hook = switch_space;
}

void sched_register_tick(void (*tick)(struct thread *thread))
{
	tick_hook = tick;
}

void sched_get_stats(struct sched_stats *out)
{
	*out = (struct sched_stats){ .switches = runqueue.switches };
	sched_charge();
	uint64_t released = reaper_released();
	spin_lock(&runqueue.lock);
	load_fold(&runqueue.load, clock_ns());
	memcpy(out->load, runqueue.load.averages, sizeof(out->load));
	out->threads = (uint32_t)(runqueue.started - released);
	out->runnable = runqueue.ready.count + runqueue.running;
	out->blocked = runqueue.blocked;
	spin_unlock(&runqueue.lock);
	out->idle_ns = runqueue.idle_ns;
	for (uint32_t i = 0; i < cpu_count; i++) {
		out->user_ns += locals[i].user_ns;
		out->nice_ns += locals[i].nice_ns;
		out->system_ns += locals[i].system_ns;
	}
}

/* --- policies ------------------------------------------------------------------------------------------- */

/* Linux's weights: each step of nice is a quarter more or less; nice 0 is WEIGHT_NORMAL. */
#define WEIGHT_NORMAL 1024
#define WEIGHT_IDLE   3
static const uint32_t weights[NICE_MAX - NICE_MIN + 1] = {
	88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
	9548,  7620,  6100,  4904,  3906,  3121,  2501,  1991,  1586,  1277,
	1024,  820,   655,   526,   423,   335,   272,   215,   172,   137,
	110,   87,    70,    56,    45,    36,    29,    23,    18,    15,
};

static bool is_realtime(const struct sched_params *params)
{
	return params->policy == SCHED_FIFO || params->policy == SCHED_RR;
}

static uint32_t weight_of(const struct sched_params *params)
{
	return params->policy == SCHED_IDLE ? WEIGHT_IDLE : weights[params->nice - NICE_MIN];
}

uint64_t sched_slice_ns(const struct sched_params *params)
{
	uint64_t ns = SLICE_NS * weight_of(params) / WEIGHT_NORMAL;

	return is_realtime(params) ? SLICE_MAX_NS : MIN(MAX(ns, SLICE_MIN_NS), SLICE_MAX_NS);
}

/* True if real-time threads have had their share, and rest while others wait. That CPU, interrupts off. */
static bool realtime_rests(uint64_t now)
{
	struct local *here = local();

	if (now - here->period_ns >= REALTIME_PERIOD_NS) {
		here->period_ns = now;
		here->realtime_used_ns = 0;
	}
	return here->realtime_used_ns >= REALTIME_SHARE_NS;
}

/* True if a thread that wakes goes before all that wait, and what runs gives way. */
static bool goes_first(const struct thread *woken, const struct thread *running, bool in_interrupt)
{
	if (unlikely(woken->level > 0 || running->level > 0))
		return woken->level > running->level && !realtime_rests(clock_ns());
	if (running->group == NULL)
		return in_interrupt;
	return in_interrupt && weight_of(&woken->sched) >= weight_of(&running->sched);
}

static uint8_t own_level(const struct sched_params *params)
{
	return is_realtime(params) ? params->rt_priority : 0;
}

/* What it has of its own and what is lent to it may have changed. Run queue lock held. */
static void set_level(struct thread *thread)
{
	uint8_t level = MAX(own_level(&thread->sched), thread->lent);
	bool waits = thread->state == THREAD_RUNNABLE && level != thread->level, lowered;

	lowered = level < thread->level;
	if (waits)
		ready_remove(&runqueue.ready, thread);
	thread->level = level;
	if (waits)
		ready_add(&runqueue.ready, thread, lowered);
	if (ready_highest(&runqueue.ready) > this_cpu()->thread->level)
		this_cpu()->need_resched = true;
}

/* --- slices --------------------------------------------------------------------------------------------- */

/* When a thread that begins now has to give way to its like. */
static uint64_t turn_end(const struct thread *thread, uint64_t now)
{
	return thread->sched.policy == SCHED_FIFO ? NO_DEADLINE
						  : now + sched_slice_ns(&thread->sched);
}

/* Sees to it that a running thread is asked to yield when others wait. Interrupts off, no queue lock. */
static void slice_arm(struct thread *running)
{
	struct local *here = local();

	if (here->slice_at_ns <= running->slice_end_ns || runqueue.ready.count == 0 ||
	    running == this_cpu()->idle)
		return;
	here->slice_at_ns = running->slice_end_ns;
	timer_set(&here->slice, running->slice_end_ns);
}

static void slice_over(struct timer *timer)
{
	struct thread *running = current;

	local()->slice_at_ns = NO_DEADLINE;
	if (runqueue.ready.count > 0 && clock_ns() >= running->slice_end_ns)
		this_cpu()->need_resched = true;
	else
		slice_arm(running);
}

struct sched_params sched_get_params(struct thread *thread)
{
	struct sched_params params;

	spin_lock(&runqueue.lock);
	params = thread->sched;
	spin_unlock(&runqueue.lock);
	return params;
}

void sched_set_params(struct thread *thread, const struct sched_params *params)
{
	irq_push_off();
	spin_lock(&runqueue.lock);
	thread->sched = *params;
	set_level(thread);
	if (thread->state == THREAD_RUNNING)
		thread->slice_end_ns = turn_end(thread, clock_ns());
	spin_unlock(&runqueue.lock);
	if (thread == this_cpu()->thread)
		slice_arm(thread);
	irq_pop_off();
}

void sched_lend(struct thread *thread, unsigned level)
{
	spin_lock(&runqueue.lock);
	thread->lent = (uint8_t)level;
	set_level(thread);
	spin_unlock(&runqueue.lock);
}

unsigned sched_level(const struct thread *thread)
{
	return thread->level;
}

void sched_inherit(struct thread *child)
{
	struct sched_params params = sched_get_params(current);

	if (params.reset_on_fork) {
		params.reset_on_fork = false;
		params.nice = is_realtime(&params) ? 0 : MAX(params.nice, (int8_t)0);
		params.policy = is_realtime(&params) ? SCHED_NORMAL : params.policy;
		params.rt_priority = 0;
	}
	child->sched = params;
	child->level = own_level(&params);
}

bool sched_needs_resched(void)
{
	return this_cpu()->need_resched;
}

bool sched_contended(void)
{
	return runqueue.ready.count > 0;
}

static void enqueue(struct thread *thread, bool first)
{
	assert(spin_held(&runqueue.lock));
	thread->state = THREAD_RUNNABLE;
	ready_add(&runqueue.ready, thread, first);
}

/* --- the switch ------------------------------------------------------------------------------------------ */

/* The time since the last charge was spent by `thread`, which runs here. Interrupts off. */
static void charge(struct thread *thread, uint64_t now)
{
	uint64_t spent = now - thread->account_ns;

	thread->account_ns = now;
	if (unlikely(thread->level > 0)) {
		thread->urgent_ns += spent;
		local()->realtime_used_ns += spent;
	}
	if (thread->group == NULL) {
		if (thread == this_cpu()->idle) {
			runqueue.idle_ns += spent;
		} else {
			thread->system_ns += spent;
			local()->system_ns += spent;
		}
	} else if (thread->in_system) {
		thread->system_ns += spent;
		thread->group->system_ns += spent;
		local()->system_ns += spent;
	} else {
		thread->user_ns += spent;
		thread->group->user_ns += spent;
		*(thread->sched.nice > 0 ? &local()->nice_ns : &local()->user_ns) += spent;
	}
}

void sched_charge(void)
{
	irq_push_off();
	charge(current, clock_ns());
	irq_pop_off();
}

/* It sleeps, or has to give way: its state says which. Interrupts off. */
static void count_switch(struct thread *thread)
{
	if (thread->group == NULL)
		return;
	if (thread->state == THREAD_RUNNABLE) {
		thread->involuntary++;
		thread->group->involuntary++;
	} else {
		thread->voluntary++;
		thread->group->voluntary++;
	}
}

/* Only user threads are sampled: an idle machine has no tick. Interrupts off. */
static void tick_arm(const struct thread *running, uint64_t now)
{
	struct local *here = local();

	if (here->tick_armed || running->group == NULL)
		return;
	here->tick_armed = true;
	timer_set(&here->tick, now + TICK_NS);
}

/* True if a real-time thread has to rest, or may go on, so that what runs gives way. */
static bool is_others_turn(const struct thread *running, uint64_t now)
{
	bool rests = realtime_rests(now);
	uint32_t urgent = runqueue.ready.realtime_count;

	return running->level > 0 ? rests && runqueue.ready.count > urgent : !rests && urgent > 0;
}

static void tick(struct timer *timer)
{
	struct thread *running = current;
	uint64_t now = clock_ns();

	local()->tick_armed = false;
	if (running->group == NULL)
		return;
	running->in_system = !this_cpu()->interrupted_user;
	charge(running, now);
	tick_arm(running, now);
	if (unlikely(running->level > 0 || runqueue.ready.realtime_count > 0) &&
	    is_others_turn(running, now))
		this_cpu()->need_resched = true;
	if (tick_hook != NULL)
		tick_hook(running);
}

static void save_user_state(struct thread *thread)
{
	if (thread->fpu == NULL)
		return;
	fpu_save(thread->fpu);
	thread->fs_base = cpu_user_fs_base();
	thread->gs_base = cpu_user_gs_base();
}

static void restore_user_state(struct thread *thread)
{
	if (thread->fpu == NULL)
		return;
	fpu_restore(thread->fpu);
	cpu_set_user_fs_base(thread->fs_base);
	cpu_set_user_gs_base(thread->gs_base);
}

/* First thing on the stack of the thread that comes in. Interrupts off, no lock. */
static void finish_switch(void)
{
	struct local *here = local();
	struct thread *previous = here->previous;

	if (!here->previous_dead) {
		/* From here on another CPU may run it, and end it. */
		atomic_store_explicit(&previous->on_cpu, false, memory_order_release);
		return;
	}
	previous->on_cpu = false;
	reaper_take(previous);
}

/*
 * Leaves the current thread, whose state has been set, for the next in the queue. The queue's lock
 * is held on entry, on top of one irq_push_off(), and released. Returns when the thread is picked
 * again, perhaps on another CPU, with interrupts off.
 */
static void switch_away(void)
{
	struct cpu *cpu = this_cpu();
	struct local *here = local();
	struct thread *previous = cpu->thread;
	bool rest = unlikely(runqueue.ready.realtime_count > 0) && realtime_rests(clock_ns());
	struct thread *next = ready_take(&runqueue.ready, previous, rest);

	if (next == NULL)
		next = cpu->idle;
	if (next == previous) {
		/* Nobody else's turn, or whoever waits is still being put aside by another CPU. */
		previous->state = THREAD_RUNNING;
		previous->slice_end_ns = turn_end(previous, clock_ns());
		cpu->need_resched = false;
		spin_unlock(&runqueue.lock);
		slice_arm(previous);
		return;
	}
	uint64_t now = clock_ns();
	load_fold(&runqueue.load, now);
	runqueue.running += (next != cpu->idle) - (previous != cpu->idle);
	runqueue.load.active = runqueue.ready.count + runqueue.running + runqueue.blocked;
	next->state = THREAD_RUNNING;
	next->cpu = cpu;
	next->on_cpu = true;
	here->previous = previous;
	here->previous_dead = previous->state == THREAD_DEAD;
	cpu->need_resched = false;
	spin_unlock(&runqueue.lock);
	assert(cpu->irq_off_depth == 1 && cpu->spin_count == 0);

	charge(previous, now);
	count_switch(previous);
	next->account_ns = now;
	next->slice_end_ns = turn_end(next, now);
	runqueue.switches++;
	slice_arm(next);
	tick_arm(next, now);

	uint64_t flags = cpu->flags_at_depth_0;
	save_user_state(previous);
	if (switch_space_hook != NULL)
		switch_space_hook(previous, next);
	restore_user_state(next);
	if (unlikely(previous->no_tsc != next->no_tsc))
		cpu_forbid_tsc(next->no_tsc);
	cpu->thread = next;
	cpu_set_kernel_stack(next->stack_top);
	switch_stacks(&previous->kernel_sp, next->kernel_sp);

	finish_switch();
	this_cpu()->flags_at_depth_0 = flags;
}

void sched_yield(void)
{
	struct thread *self = current;

	irq_push_off();
	spin_lock(&runqueue.lock);
	struct cpu *cpu = this_cpu();
	if (runqueue.ready.count == 0) {
		cpu->need_resched = false;
		spin_unlock(&runqueue.lock);
	} else {
		if (self == cpu->idle)
			self->state = THREAD_RUNNABLE;
		else /* who is urgent and has not had his turn keeps his place */
			enqueue(self, self->level > 0 && clock_ns() < self->slice_end_ns);
		switch_away();
	}
	irq_pop_off();
}

void sched_end_turn(void)
{
	struct thread *self = current;

	if (self->level > 0)
		self->slice_end_ns = 0;
	sched_yield();
	if (self->slice_end_ns == 0)
		self->slice_end_ns = turn_end(self, clock_ns());
}

void thread_park(bool (*stay)(const void *arg), const void *arg, bool blocked)
{
	might_sleep();
	irq_push_off();
	spin_lock(&runqueue.lock);
	if (stay(arg)) {
		assert(current != this_cpu()->idle);
		current->state = THREAD_SLEEPING;
		current->blocked = blocked && current->group != NULL;
		runqueue.blocked += current->blocked;
		current->urgent_ns = 0;
		switch_away();
	} else {
		spin_unlock(&runqueue.lock);
	}
	irq_pop_off();
}

void thread_unpark(struct thread *thread)
{
	bool woken = false, first = false;

	/* Who runs here does not sleep: nothing comes between its last look and the switch. */
	if (thread == current)
		return;
	irq_push_off();
	struct cpu *cpu = this_cpu();
	bool in_interrupt = cpu->interrupt_depth > 0;

	spin_lock(&runqueue.lock);
	if (thread->state == THREAD_SLEEPING) {
		runqueue.blocked -= thread->blocked;
		thread->blocked = false;
		first = goes_first(thread, cpu->thread, in_interrupt);
		enqueue(thread, first && thread->level == 0);
		woken = true;
	}
	spin_unlock(&runqueue.lock);

	if (woken && first)
		cpu->need_resched = true;
	else if (woken)
		slice_arm(cpu->thread);
	irq_pop_off();
}

/* --- threads --------------------------------------------------------------------------------------------- */

/* Where a new thread's first switch_stacks() returns to. */
static __noreturn void thread_begin(void)
{
	struct thread *self = current;

	finish_switch();
	this_cpu()->flags_at_depth_0 = X86_EFLAGS_IF;
	irq_pop_off();
	self->entry(self->arg);
	thread_exit();
}

/* What switch_stacks() pops: the callee-saved registers, then where to return. */
struct first_frame {
	uint64_t callee_saved[6];
	uint64_t return_address;
	uint64_t caller; /* of thread_begin(): none; it also aligns the stack as a call would */
};

void thread_init(struct thread *thread, const char *name, vaddr_t stack_base,
		 void (*entry)(void *arg), void *arg, void (*release)(struct thread *thread))
{
	memset(thread, 0, sizeof(*thread));
	strlcpy(thread->name, name, sizeof(thread->name));
	thread->state = THREAD_NEW;
	thread->stack_base = stack_base;
	thread->stack_top = stack_base + KSTACK_SIZE;
	thread->entry = entry;
	thread->arg = arg;
	thread->release = release;
	thread->sched.cpus = UINT64_MAX;

	struct first_frame *frame = (struct first_frame *)thread->stack_top - 1;
	*frame = (struct first_frame){ .return_address = (uint64_t)thread_begin };
	thread->kernel_sp = (vaddr_t)frame;
}

void thread_start(struct thread *thread)
{
	irq_push_off();
	spin_lock(&runqueue.lock);
	assert(thread->state == THREAD_NEW);
	runqueue.started++;
	enqueue(thread, false);
	if (unlikely(thread->level > current->level))
		this_cpu()->need_resched = true;
	spin_unlock(&runqueue.lock);
	slice_arm(current);
	irq_pop_off();
}

void thread_exit(void)
{
	struct thread *self = current;

	might_sleep();
	assert(self->sleep_locks == 0);
	irq_push_off();
	spin_lock(&runqueue.lock);
	self->state = THREAD_DEAD;
	switch_away();
	panic("the dead thread %s has run", self->name);
}

/* --- the beginning, and idling --------------------------------------------------------------------------- */

void sched_init(void)
{
	struct cpu *cpu = this_cpu();

	strlcpy(boot_idle.name, "idle", sizeof(boot_idle.name));
	boot_idle.stack_base = (vaddr_t)boot_stack;
	boot_idle.stack_top = (vaddr_t)boot_stack_top;
	boot_idle.state = THREAD_RUNNING;
	boot_idle.cpu = cpu;
	boot_idle.on_cpu = true;
	boot_idle.account_ns = clock_ns();
	cpu->idle = &boot_idle;
	cpu->thread = &boot_idle;
	ready_init(&runqueue.ready);
	local()->slice_at_ns = NO_DEADLINE;
	timer_init(&local()->slice, slice_over);
	timer_init(&local()->tick, tick);
	reaper_init();
}

void sched_idle(void)
{
	assert(current == this_cpu()->idle);
	started = true;
	for (;;) {
		irq_disable();
		if (runqueue.ready.count > 0) {
			sched_yield();
			irq_enable();
		} else {
			cpu_halt_until_interrupt();
		}
	}
}
