/*
 * kernel/alarm.c - see kernel/alarm.h.
 *
 * One lock for all alarms: it is held for a few instructions, and timers are set under it. An
 * alarm by wall time is a timer at the monotonic time that the wall clock's present offset gives; when
 * the offset changes, those that are armed are set anew.
 */
#include "kernel/alarm.h"

#include "kernel/lock.h"
#include "kernel/sched.h"

static struct spinlock alarm_lock = SPINLOCK_INIT("alarm", RANK_ALARM);
static LIST_HEAD(, alarm) by_wall = LIST_HEAD_INITIALIZER(by_wall); /* alarm_lock */
static _Atomic uint64_t wall_changes;
static void (*wall_hook)(void); /* set once, before the first program */

static uint64_t now_of(const struct alarm *alarm)
{
	return alarm->clock == ALARM_WALL ? clock_wall_ns() : clock_ns();
}

/* Alarm lock held. */
static void set_timer(struct alarm *alarm)
{
	uint64_t deadline_ns = alarm->expires_ns;

	if (alarm->clock == ALARM_WALL && deadline_ns != NO_DEADLINE) {
		uint64_t offset_ns = clock_wall_ns() - clock_ns();

		deadline_ns = deadline_ns > offset_ns ? deadline_ns - offset_ns : 0;
	}
	timer_set(&alarm->timer, deadline_ns);
}

static void arm(struct alarm *alarm)
{
	alarm->armed = true;
	if (alarm->clock == ALARM_WALL)
		LIST_INSERT_HEAD(&by_wall, alarm, by_wall);
	set_timer(alarm);
}

static void disarm(struct alarm *alarm)
{
	if (alarm->armed && alarm->clock == ALARM_WALL)
		LIST_REMOVE(alarm, by_wall);
	alarm->armed = false;
}

static void timer_fired(struct timer *timer)
{
	struct alarm *alarm = container_of(timer, struct alarm, timer);
	bool fires;

	spin_lock(&alarm_lock);
	/* It may have been disarmed or moved since the interrupt. */
	fires = alarm->armed && now_of(alarm) >= alarm->expires_ns;
	if (fires) {
		disarm(alarm);
		alarm->fired = true;
	} else if (alarm->armed) {
		set_timer(alarm);
	}
	spin_unlock(&alarm_lock);
	if (fires)
		alarm->expired(alarm);
}

void alarm_init(struct alarm *alarm, void (*expired)(struct alarm *alarm))
{
	*alarm = (struct alarm){ .expired = expired };
	timer_init(&alarm->timer, timer_fired);
}

void alarm_set(struct alarm *alarm, const struct alarm_setting *setting)
{
	spin_lock(&alarm_lock);
	disarm(alarm);
	alarm->fired = false;
	alarm->clock = setting->clock;
	alarm->expires_ns = setting->expires_ns;
	alarm->interval_ns = setting->interval_ns;
	/* A timer that is left over finds nothing armed: cancelling it here might wait for our lock. */
	if (setting->expires_ns != 0)
		arm(alarm);
	spin_unlock(&alarm_lock);
}

void alarm_stop(struct alarm *alarm)
{
	spin_lock(&alarm_lock);
	disarm(alarm);
	alarm->fired = false;
	spin_unlock(&alarm_lock);
	/* Without the lock, which a callback that is waited for may want. */
	timer_cancel(&alarm->timer);
}

uint64_t alarm_take(struct alarm *alarm)
{
	uint64_t count = 0, now, passed;

	spin_lock(&alarm_lock);
	if (alarm->fired) {
		alarm->fired = false;
		count = 1;
		now = now_of(alarm);
		if (alarm->interval_ns != 0) {
			passed = now > alarm->expires_ns
					 ? (now - alarm->expires_ns) / alarm->interval_ns
					 : 0;
			count += passed;
			if (__builtin_add_overflow(alarm->expires_ns, count * alarm->interval_ns,
						   &alarm->expires_ns))
				alarm->expires_ns = NO_DEADLINE;
			arm(alarm);
		}
	}
	spin_unlock(&alarm_lock);
	return count;
}

bool alarm_has_fired(struct alarm *alarm)
{
	bool fired;

	spin_lock(&alarm_lock);
	fired = alarm->fired;
	spin_unlock(&alarm_lock);
	return fired;
}

void alarm_get(struct alarm *alarm, uint64_t *left_ns, uint64_t *interval_ns)
{
	uint64_t now;

	spin_lock(&alarm_lock);
	*left_ns = 0;
	*interval_ns = alarm->interval_ns;
	now = now_of(alarm);
	if (!alarm->armed && !(alarm->fired && alarm->interval_ns != 0))
		*left_ns = 0;
	else if (alarm->expires_ns > now)
		*left_ns = alarm->expires_ns - now;
	else if (alarm->interval_ns != 0)
		*left_ns = alarm->interval_ns - (now - alarm->expires_ns) % alarm->interval_ns;
	else
		*left_ns = 1; /* due, and 0 would say that it is disarmed */
	spin_unlock(&alarm_lock);
}

/* --- the wall clock ------------------------------------------------------------------------------ */

void wall_clock_register_hook(void (*was_set)(void))
{
	wall_hook = was_set;
}

uint64_t wall_clock_changes(void)
{
	return atomic_load(&wall_changes);
}

void wall_clock_set(uint64_t now_ns)
{
	struct alarm *alarm;

	spin_lock(&alarm_lock);
	clock_set_wall_ns(now_ns);
	atomic_fetch_add(&wall_changes, 1);
	LIST_FOREACH (alarm, &by_wall, by_wall)
		set_timer(alarm);
	spin_unlock(&alarm_lock);
	if (wall_hook)
		wall_hook();
}

struct wall_sleep {
	struct alarm alarm;
	struct waitq queue;
};

static void wake_sleeper(struct alarm *alarm)
{
	waitq_wake_all(&container_of(alarm, struct wall_sleep, alarm)->queue);
}

int sleep_until_wall(uint64_t deadline_ns)
{
	struct wall_sleep sleep;
	int error;

	waitq_init(&sleep.queue, "wall clock");
	alarm_init(&sleep.alarm, wake_sleeper);
	/* 0 would disarm it, and is long past. */
	alarm_set(&sleep.alarm,
		  &(struct alarm_setting){ .clock = ALARM_WALL,
					   .expires_ns = MAX(deadline_ns, UINT64_C(1)) });
	error = wait_event_signal(&sleep.queue, alarm_has_fired(&sleep.alarm));
	alarm_stop(&sleep.alarm);
	return error;
}
