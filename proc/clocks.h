/*
 * proc/clocks.h - the clocks that programs know by number, and timers that run on CPU time.
 */
#ifndef HAWSER_PROC_CLOCKS_H
#define HAWSER_PROC_CLOCKS_H

#include "kernel/alarm.h"
#include "kernel/base.h"
#include "proc/timers.h"
#include <linux/time.h>

struct process;

/* CPU time that is measured by a clock. */
struct cpu_clock {
	enum cpu_clock_kind kind;
	bool of_thread; /* `id` is a thread's; otherwise a process's */
	uint32_t id;    /* 0: the caller's own */
};

/* True if the number means CPU time, which is described in `*out`. */
bool cpu_clock_decode(int clock, struct cpu_clock *out);

/* The time by any clock. -EINVAL: there is no such clock, or nobody it could belong to. May sleep. */
int clock_read(int clock, uint64_t *ns);

/* True for a clock that is set, and false for one that only runs. Not for CPU clocks. */
static inline bool clock_is_wall(int clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_TAI || clock == CLOCK_REALTIME_ALARM;
}

/* What a relative or absolute time on REALTIME … BOOTTIME_ALARM means to an alarm; ns > 0. */
struct alarm_setting clock_alarm_setting(int clock, bool absolute, uint64_t ns,
					 uint64_t interval_ns);

/* --- timers on CPU time (proc/cpu_timers.c) -------------------------------------------------------- */

/* On the whole process, or on one of its threads (`tid`, not 0). `expired`: see proc/timers.h. */
void cpu_timer_init(struct cpu_timer *timer, struct process *process, enum cpu_clock_kind kind,
		    uint32_t tid, void (*expired)(struct cpu_timer *timer));
/* As alarm_set(); `expires_ns` on its clock, 0: disarm. */
void cpu_timer_set(struct cpu_timer *timer, uint64_t expires_ns, uint64_t interval_ns);
void cpu_timer_stop(struct cpu_timer *timer);
uint64_t cpu_timer_take(struct cpu_timer *timer);
bool cpu_timer_has_fired(struct cpu_timer *timer);
void cpu_timer_get(struct cpu_timer *timer, uint64_t *left_ns, uint64_t *interval_ns);
/* What its clock shows, brought up to now. */
uint64_t cpu_timer_now(const struct cpu_timer *timer);

/* Once, before the first process: lets the scheduler's tick look after them and RLIMIT_CPU. */
void cpu_timers_init(void);

#endif
