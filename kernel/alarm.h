/*
 * kernel/alarm.h - alarms: what timerfd, setitimer, timer_settime and sleeping by the wall clock have in
 * common.
 *
 *	                 set                    its time               taken
 *	  disarmed ─────────────────> armed ─────────────────> fired ─────────> disarmed, once
 *	      ▲                         ▲                         └───────────> armed, with an interval
 *	      └──── set to 0, stopped   └─ wall time is set: moves
 *
 * An alarm that has fired is armed anew only when somebody takes note of that, with the number of
 * intervals that have passed: however short an interval a program asks for, nothing happens more often
 * than it looks.
 */
#ifndef HAWSER_KERNEL_ALARM_H
#define HAWSER_KERNEL_ALARM_H

#include "kernel/base.h"
#include "kernel/clock.h"
#include <bsd/sys/queue.h>

enum alarm_clock { ALARM_MONOTONIC, ALARM_WALL };

struct alarm {
	struct timer timer;
	LIST_ENTRY(alarm) by_wall;            /* while armed by wall time; alarm lock */
	void (*expired)(struct alarm *alarm); /* interrupt context, no lock held */
	enum alarm_clock clock;               /* the rest: alarm lock */
	bool armed, fired;
	uint64_t expires_ns;  /* on its clock; meaningful if armed or fired */
	uint64_t interval_ns; /* 0: once */
};

struct alarm_setting {
	enum alarm_clock clock;
	uint64_t expires_ns; /* on that clock; 0: disarm */
	uint64_t interval_ns;
};

void alarm_init(struct alarm *alarm, void (*expired)(struct alarm *alarm));
/* What it was set to is forgotten, with what has fired and not been taken. */
void alarm_set(struct alarm *alarm, const struct alarm_setting *setting);
/* Disarms, and waits for `expired` where it runs: the memory may be freed. */
void alarm_stop(struct alarm *alarm);
/* How often it has fired since it was last taken, or set. Any context. */
uint64_t alarm_take(struct alarm *alarm);
bool alarm_has_fired(struct alarm *alarm);
/* The time until it fires next, at least 1, or 0 if it is disarmed; its interval. */
void alarm_get(struct alarm *alarm, uint64_t *left_ns, uint64_t *interval_ns);

/* Sets the wall clock; alarms by it move, and the hook is called. A thread. */
void wall_clock_set(uint64_t now_ns);
void wall_clock_register_hook(void (*was_set)(void)); /* once */
/* So often has it been set. */
uint64_t wall_clock_changes(void);

/*
 * Sleeps until the wall clock shows deadline_ns, however often it is set. 0, or -EINTR (killed or
 * signalled).
 */
int sleep_until_wall(uint64_t deadline_ns);

#endif
