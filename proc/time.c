/*
 * proc/time.c - sleeping, and the time that a process has used.
 */
#include "kernel/clock.h"
#include "kernel/sched.h"
#include "kernel/syscall.h"
#include "kernel/timespec.h"
#include "mm/space.h"
#include "mm/user.h"
#include "proc/clocks.h"
#include "proc/process.h"
#include "proc/usage.h"
#include <asm/param.h>
#include <linux/resource.h>
#include <linux/time.h>
#include <linux/times.h>

/* --- sleeping --------------------------------------------------------------------------------- */

/* Sleeps to a monotonic deadline; cut short, it tells a relative sleeper what remains. */
static int64_t sleep_to(uint64_t deadline_ns, vaddr_t remaining)
{
	int error = sleep_until(deadline_ns, WAIT_SIGNAL);

	if (error == -EINTR)
		sleep_cut_short(deadline_ns);
	if (error == -EINTR && remaining != 0) {
		uint64_t now = clock_ns();
		uint64_t left = deadline_ns > now ? deadline_ns - now : 0;

		if (put_user(remaining, timespec_of_ns(left)) != 0)
			return -EFAULT;
	}
	return error;
}

struct cpu_sleep {
	struct cpu_timer timer;
	struct waitq queue;
};

static void wake_cpu_sleeper(struct cpu_timer *timer)
{
	waitq_wake_all(&container_of(timer, struct cpu_sleep, timer)->queue);
}

/* Until the process has used so much, by its other threads: this one sleeps. */
static int64_t sleep_by_cpu_time(bool absolute, uint64_t ns, vaddr_t remaining)
{
	struct cpu_sleep sleep;
	uint64_t left_ns, interval_ns, now;
	int error;

	waitq_init(&sleep.queue, "CPU clock");
	cpu_timer_init(&sleep.timer, current_process(), CPU_CLOCK_SCHED, 0, wake_cpu_sleeper);
	now = cpu_timer_now(&sleep.timer);
	if (!absolute)
		ns = ns < NO_DEADLINE - now ? now + ns : NO_DEADLINE;
	if (now >= ns)
		return 0;
	cpu_timer_set(&sleep.timer, ns, 0);
	error = wait_event_signal(&sleep.queue, cpu_timer_has_fired(&sleep.timer));
	cpu_timer_get(&sleep.timer, &left_ns, &interval_ns);
	cpu_timer_stop(&sleep.timer);
	if (error == -EINTR && !absolute && remaining != 0 &&
	    put_user(remaining, timespec_of_ns(left_ns)) != 0)
		return -EFAULT;
	return error;
}

static int64_t do_nanosleep(int clock, bool absolute, vaddr_t request, vaddr_t remaining)
{
	struct __kernel_timespec time;
	uint64_t ns;
	int error;

	/* What clocks can be slept on: clock_nanosleep(2). */
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_TAI:
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_BOOTTIME_ALARM:
	case CLOCK_PROCESS_CPUTIME_ID:
		break;
	case CLOCK_THREAD_CPUTIME_ID:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_MONOTONIC_COARSE:
		return -EOPNOTSUPP;
	default:
		return -EINVAL;
	}
	if (get_user(&time, request) != 0)
		return -EFAULT;
	error = timespec_to_ns(&time, &ns);
	if (error != 0)
		return error;
	if (clock == CLOCK_PROCESS_CPUTIME_ID)
		return sleep_by_cpu_time(absolute, ns, remaining);
	if (!absolute)
		return sleep_to(sleep_deadline(ns), remaining);
	if (clock_is_wall(clock))
		return sleep_until_wall(ns);
	return sleep_until(ns, WAIT_SIGNAL);
}

SYSCALL2(nanosleep, vaddr_t, request, vaddr_t, remaining)
{
	return do_nanosleep(CLOCK_MONOTONIC, false, request, remaining);
}

SYSCALL4(clock_nanosleep, int, clock, int, flags, vaddr_t, request, vaddr_t, remaining)
{
	return do_nanosleep(clock, flags & TIMER_ABSTIME, request, remaining);
}

/* --- time used -------------------------------------------------------------------------------- */

static int64_t to_ticks(uint64_t ns)
{
	return (int64_t)(ns / (NSEC_PER_SEC / HZ));
}

struct rusage usage_of(const struct process_times *times, const struct process_counts *counts)
{
	return (struct rusage){
		.ru_utime = timeval_of_ns(times->user_ns),
		.ru_stime = timeval_of_ns(times->system_ns),
		.ru_maxrss = (int64_t)(counts->peak_resident * PAGE_SIZE / KIB),
		.ru_minflt = (int64_t)(counts->faults - counts->faults_io),
		.ru_majflt = (int64_t)counts->faults_io,
		.ru_nvcsw = (int64_t)counts->voluntary,
		.ru_nivcsw = (int64_t)counts->involuntary,
	};
}

SYSCALL1(times, vaddr_t, out)
{
	struct process_times own, children;
	struct tms times;
	int error;

	sched_charge();
	mutex_lock(&family_lock);
	own = process_cpu_times(current_process());
	children = current_process()->children_times;
	mutex_unlock(&family_lock);
	times = (struct tms){
		.tms_utime = to_ticks(own.user_ns),
		.tms_stime = to_ticks(own.system_ns),
		.tms_cutime = to_ticks(children.user_ns),
		.tms_cstime = to_ticks(children.system_ns),
	};
	error = out != 0 ? put_user(out, times) : 0;
	return error != 0 ? error : to_ticks(clock_ns());
}

/* The calling thread's own; memory is its process's. */
static struct process_counts thread_counts(void)
{
	struct process_counts counts = process_counts(current_process());

	return (struct process_counts){
		.voluntary = current->voluntary,
		.involuntary = current->involuntary,
		.faults = current->faults,
		.faults_io = current->faults_io,
		.peak_resident = counts.peak_resident,
	};
}

SYSCALL2(getrusage, int, who, vaddr_t, out)
{
	const struct process *self = current_process();
	struct process_counts counts;
	struct process_times times;

	sched_charge();
	mutex_lock(&family_lock);
	switch (who) {
	case RUSAGE_SELF:
		times = process_cpu_times(self);
		counts = process_counts(self);
		break;
	case RUSAGE_THREAD:
		times = (struct process_times){ current->user_ns, current->system_ns };
		counts = thread_counts();
		break;
	case RUSAGE_CHILDREN:
		times = self->children_times;
		counts = self->children_counts;
		break;
	default:
		mutex_unlock(&family_lock);
		return -EINVAL;
	}
	mutex_unlock(&family_lock);
	return put_user(out, usage_of(&times, &counts));
}
