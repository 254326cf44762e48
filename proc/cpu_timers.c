/*
 * proc/cpu_timers.c - timers that run on CPU time, and RLIMIT_CPU.
 *
 * Nothing can be programmed to fire when a process will have used so much. The scheduler's tick, which
 * runs while user threads do, compares: a timer fires up to a tick late, as on Linux.
 */
#include "kernel/alarm.h"
#include "kernel/limits.h"
#include "kernel/sched.h"
#include "proc/clocks.h"
#include "proc/process.h"
#include <asm/signal.h>

static struct spinlock cpu_timer_lock = SPINLOCK_INIT("cpu timers", RANK_ALARM);

/* --- what is measured --------------------------------------------------------------------------------- */

/* On the tick's thread or the caller's: a timer on one thread is due only while that runs. */
static uint64_t clock_of(const struct cpu_timer *timer, const struct thread *thread)
{
	uint64_t user, system;

	if (timer->tid == 0) {
		user = timer->process->usage.user_ns;
		system = timer->process->usage.system_ns;
	} else {
		user = thread->tid == timer->tid ? thread->user_ns : 0;
		system = thread->tid == timer->tid ? thread->system_ns : 0;
	}
	return timer->kind == CPU_CLOCK_USER ? user : user + system;
}

uint64_t cpu_timer_now(const struct cpu_timer *timer)
{
	sched_charge();
	return clock_of(timer, current);
}

/* --- timers -------------------------------------------------------------------------------------------- */

void cpu_timer_init(struct cpu_timer *timer, struct process *process, enum cpu_clock_kind kind,
		    uint32_t tid, void (*expired)(struct cpu_timer *timer))
{
	*timer = (struct cpu_timer){
		.process = process,
		.kind = kind,
		.tid = tid,
		.expired = expired,
	};
}

/* CPU timer lock held. */
static void arm(struct cpu_timer *timer)
{
	timer->armed = true;
	LIST_INSERT_HEAD(&timer->process->timers.cpu_armed, timer, link);
}

static void disarm(struct cpu_timer *timer)
{
	if (timer->armed)
		LIST_REMOVE(timer, link);
	timer->armed = false;
}

void cpu_timer_set(struct cpu_timer *timer, uint64_t expires_ns, uint64_t interval_ns)
{
	spin_lock(&cpu_timer_lock);
	disarm(timer);
	timer->fired = false;
	timer->expires_ns = expires_ns;
	timer->interval_ns = interval_ns;
	if (expires_ns != 0)
		arm(timer);
	spin_unlock(&cpu_timer_lock);
}

void cpu_timer_stop(struct cpu_timer *timer)
{
	cpu_timer_set(timer, 0, 0);
}

/* Moves it behind `now`; so many intervals. */
static uint64_t forward(struct cpu_timer *timer, uint64_t now)
{
	uint64_t count = 1;

	if (now > timer->expires_ns)
		count += (now - timer->expires_ns) / timer->interval_ns;
	if (__builtin_add_overflow(timer->expires_ns, count * timer->interval_ns,
				   &timer->expires_ns))
		timer->expires_ns = NO_DEADLINE;
	return count;
}

uint64_t cpu_timer_take(struct cpu_timer *timer)
{
	uint64_t count = 0, now = cpu_timer_now(timer);

	spin_lock(&cpu_timer_lock);
	if (timer->fired) {
		timer->fired = false;
		count = 1;
		if (timer->interval_ns != 0) {
			count = forward(timer, now);
			arm(timer);
		}
	}
	spin_unlock(&cpu_timer_lock);
	return count;
}

bool cpu_timer_has_fired(struct cpu_timer *timer)
{
	bool fired;

	spin_lock(&cpu_timer_lock);
	fired = timer->fired;
	spin_unlock(&cpu_timer_lock);
	return fired;
}

void cpu_timer_get(struct cpu_timer *timer, uint64_t *left_ns, uint64_t *interval_ns)
{
	uint64_t now = cpu_timer_now(timer);

	spin_lock(&cpu_timer_lock);
	*interval_ns = timer->interval_ns;
	if (!timer->armed && !(timer->fired && timer->interval_ns != 0))
		*left_ns = 0;
	else if (timer->expires_ns > now)
		*left_ns = timer->expires_ns - now;
	else if (timer->interval_ns != 0)
		*left_ns = timer->interval_ns - (now - timer->expires_ns) % timer->interval_ns;
	else
		*left_ns = 1; /* the next tick sees to it */
	spin_unlock(&cpu_timer_lock);
}

/* --- the tick ----------------------------------------------------------------------------------------- */

static void fire_due(struct process *process, const struct thread *thread)
{
	struct cpu_timer *timer, *next;
	uint64_t now;

	spin_lock(&cpu_timer_lock);
	for (timer = LIST_FIRST(&process->timers.cpu_armed); timer; timer = next) {
		next = LIST_NEXT(timer, link);
		now = clock_of(timer, thread);
		if (now < timer->expires_ns)
			continue;
		if (timer->repeats && timer->interval_ns != 0) {
			forward(timer, now);
		} else {
			disarm(timer);
			timer->fired = true;
		}
		timer->expired(timer);
	}
	spin_unlock(&cpu_timer_lock);
}

/* getrlimit(2): SIGXCPU each second from the soft limit on, the end at the hard one. */
static void check_limit(struct process *process)
{
	uint64_t seconds = (process->usage.user_ns + process->usage.system_ns) / NSEC_PER_SEC;
	struct rlimit64 *limit = &process->limits.limit[RLIMIT_CPU];
	int signal = 0;

	spin_lock(&process->limits.lock);
	if (seconds >= MAX(limit->rlim_max, UINT64_C(1))) {
		signal = SIGKILL;
	} else if (seconds >= MAX(limit->rlim_cur, UINT64_C(1))) {
		signal = SIGXCPU;
		limit->rlim_cur = seconds + 1; /* as Linux: that is when it is told again */
	}
	spin_unlock(&process->limits.lock);
	if (signal != 0)
		process_post_signal(process, signal);
}

/* The same of a real-time thread that does not sleep: RLIMIT_RTTIME, in microseconds. */
static void check_realtime_limit(struct thread *thread)
{
	struct process *process = thread->process;
	struct rlimit64 *limit = &process->limits.limit[RLIMIT_RTTIME];
	uint64_t us = thread->urgent_ns / NSEC_PER_USEC;
	int signal = 0;

	spin_lock(&process->limits.lock);
	if (us >= limit->rlim_max) {
		signal = SIGKILL;
	} else if (us >= limit->rlim_cur) {
		signal = SIGXCPU;
		limit->rlim_cur += NSEC_PER_SEC / NSEC_PER_USEC;
	}
	spin_unlock(&process->limits.lock);
	if (signal != 0)
		process_post_signal(process, signal);
}

static void tick(struct thread *thread)
{
	struct process *process = thread->process;

	/* Looked at without the lock: one that is armed at this moment has the next tick. */
	if (!LIST_EMPTY(&process->timers.cpu_armed))
		fire_due(process, thread);
	if (process->limits.limit[RLIMIT_CPU].rlim_cur != LIMIT_INFINITY)
		check_limit(process);
	if (thread->urgent_ns > 0 &&
	    process->limits.limit[RLIMIT_RTTIME].rlim_cur != LIMIT_INFINITY)
		check_realtime_limit(thread);
}

void cpu_timers_init(void)
{
	sched_register_tick(tick);
}
