/*
 * proc/itimers.c - the three interval timers of a process (setitimer(2)), and alarm(2).
 *
 * ITIMER_REAL is armed anew when its SIGALRM is taken, so that a short interval cannot keep the machine
 * busy with a process that has not yet run. The other two run on CPU time, which is looked at by a tick.
 */
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/timespec.h"
#include "mm/user.h"
#include "proc/clocks.h"
#include "proc/process.h"
#include "proc/signal.h"
#include <asm/signal.h>
#include <linux/time.h>

static void real_expired(struct alarm *alarm)
{
	process_post_signal(container_of(alarm, struct process, timers.real), SIGALRM);
}

static void virtual_expired(struct cpu_timer *timer)
{
	process_post_signal(timer->process, SIGVTALRM);
}

static void profiled_expired(struct cpu_timer *timer)
{
	process_post_signal(timer->process, SIGPROF);
}

void timers_init(struct process *process)
{
	struct process_timers *timers = &process->timers;

	alarm_init(&timers->real, real_expired);
	cpu_timer_init(&timers->virtual, process, CPU_CLOCK_USER, 0, virtual_expired);
	cpu_timer_init(&timers->profiled, process, CPU_CLOCK_ALL, 0, profiled_expired);
	timers->virtual.repeats = timers->profiled.repeats = true;
	LIST_INIT(&timers->cpu_armed);
	LIST_INIT(&timers->made);
	mutex_init(&timers->lock, "timers", RANK_STREAM);
}

void timers_end(struct process *process)
{
	posix_timers_delete(process);
	alarm_stop(&process->timers.real);
	cpu_timer_stop(&process->timers.virtual);
	cpu_timer_stop(&process->timers.profiled);
}

void timers_exec(struct process *process)
{
	posix_timers_delete(process);
}

void timers_signal_taken(siginfo_t *info)
{
	if (signal_is_of_timer(info))
		posix_timer_taken(info);
	else if (info->si_signo == SIGALRM)
		alarm_take(&current_process()->timers.real);
}

/* --- system calls ------------------------------------------------------------------------------------- */

struct setting {
	uint64_t left_ns, interval_ns;
};

static struct cpu_timer *cpu_timer_of(int which)
{
	struct process_timers *timers = &current_process()->timers;

	return which == ITIMER_VIRTUAL ? &timers->virtual : &timers->profiled;
}

static struct setting get_timer(int which)
{
	struct setting setting;

	if (which == ITIMER_REAL)
		alarm_get(&current_process()->timers.real, &setting.left_ns, &setting.interval_ns);
	else
		cpu_timer_get(cpu_timer_of(which), &setting.left_ns, &setting.interval_ns);
	return setting;
}

static void set_timer(int which, const struct setting *setting)
{
	struct cpu_timer *timer;
	uint64_t now;

	if (which == ITIMER_REAL) {
		struct alarm_setting real = { 0 };

		if (setting->left_ns != 0)
			real = clock_alarm_setting(CLOCK_MONOTONIC, false, setting->left_ns,
						   setting->interval_ns);
		alarm_set(&current_process()->timers.real, &real);
		return;
	}
	timer = cpu_timer_of(which);
	now = cpu_timer_now(timer);
	if (setting->left_ns == 0)
		cpu_timer_stop(timer);
	else
		cpu_timer_set(timer,
			      setting->left_ns < NO_DEADLINE - now ? now + setting->left_ns
								   : NO_DEADLINE,
			      setting->interval_ns);
}

/* Microseconds, rounded up: what is armed must not look as if it were not. */
static struct __kernel_old_itimerval to_itimerval(const struct setting *setting)
{
	return (struct __kernel_old_itimerval){
		.it_interval = timeval_of_ns(setting->interval_ns),
		.it_value = timeval_of_ns(
			setting->left_ns == 0 ? 0 : MAX(setting->left_ns, NSEC_PER_USEC)),
	};
}

static bool is_itimer(int which)
{
	return which == ITIMER_REAL || which == ITIMER_VIRTUAL || which == ITIMER_PROF;
}

SYSCALL2(getitimer, int, which, vaddr_t, out)
{
	struct setting setting;

	if (!is_itimer(which))
		return -EINVAL;
	setting = get_timer(which);
	return put_user(out, to_itimerval(&setting));
}

SYSCALL3(setitimer, int, which, vaddr_t, in, vaddr_t, old)
{
	struct __kernel_old_itimerval value;
	struct setting before, setting = { 0 };
	int error = 0;

	/* As Linux: no value at all disarms. */
	memset(&value, 0, sizeof(value));
	if (in != 0 && get_user(&value, in) != 0)
		return -EFAULT;
	error = timeval_to_ns(&value.it_value, &setting.left_ns);
	if (error == 0)
		error = timeval_to_ns(&value.it_interval, &setting.interval_ns);
	if (error != 0 || !is_itimer(which))
		return -EINVAL;
	before = get_timer(which);
	set_timer(which, &setting);
	return old != 0 ? put_user(old, to_itimerval(&before)) : 0;
}

/* alarm(2): whole seconds, of which the rest that was left is never 0. */
SYSCALL1(alarm, uint32_t, seconds)
{
	struct setting before = get_timer(ITIMER_REAL);
	struct setting setting = { .left_ns = seconds * NSEC_PER_SEC };
	uint64_t left = before.left_ns / NSEC_PER_SEC;

	set_timer(ITIMER_REAL, &setting);
	if (before.left_ns % NSEC_PER_SEC >= NSEC_PER_SEC / 2 || (left == 0 && before.left_ns != 0))
		left++;
	return (int64_t)left;
}
