/*
 * proc/time.c - clocks, sleeping, and the time that a process has used.
 */
#include "kernel/clock.h"
#include "kernel/cred.h"
#include "kernel/sched.h"
#include "kernel/syscall.h"
#include "mm/space.h"
#include "mm/user.h"
#include "proc/process.h"
#include "proc/usage.h"
#include <asm/param.h>
#include <linux/resource.h>
#include <linux/time.h>
#include <linux/time_types.h>
#include <linux/times.h>

/* --- clocks ----------------------------------------------------------------------------------- */

static struct __kernel_timespec to_timespec(uint64_t ns)
{
	return (struct __kernel_timespec){
		.tv_sec = (int64_t)(ns / NSEC_PER_SEC),
		.tv_nsec = (int64_t)(ns % NSEC_PER_SEC),
	};
}

static struct __kernel_old_timeval to_timeval(uint64_t ns)
{
	return (struct __kernel_old_timeval){
		.tv_sec = (int64_t)(ns / NSEC_PER_SEC),
		.tv_usec = (int64_t)(ns % NSEC_PER_SEC / NSEC_PER_USEC),
	};
}

/* Nanoseconds, saturated; -EINVAL for a negative or denormal time. */
static int from_timespec(const struct __kernel_timespec *time, uint64_t *ns)
{
	if (time->tv_sec < 0 || time->tv_nsec < 0 || (uint64_t)time->tv_nsec >= NSEC_PER_SEC)
		return -EINVAL;
	if (__builtin_mul_overflow((uint64_t)time->tv_sec, NSEC_PER_SEC, ns) ||
	    __builtin_add_overflow(*ns, (uint64_t)time->tv_nsec, ns))
		*ns = NO_DEADLINE;
	return 0;
}

/* Of the calling thread, or of all that its process has had. */
static struct process_times cpu_times(bool whole)
{
	struct process_times times;

	sched_charge();
	times = (struct process_times){ current->user_ns, current->system_ns };
	if (whole) {
		mutex_lock(&family_lock);
		times = process_cpu_times(current_process());
		mutex_unlock(&family_lock);
	}
	return times;
}

static int read_clock(int clock, uint64_t *ns)
{
	struct process_times times;

	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_TAI:
		*ns = clock_wall_ns();
		return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
		*ns = clock_ns();
		return 0;
	case CLOCK_PROCESS_CPUTIME_ID:
	case CLOCK_THREAD_CPUTIME_ID:
		times = cpu_times(clock == CLOCK_PROCESS_CPUTIME_ID);
		*ns = times.user_ns + times.system_ns;
		return 0;
	default:
		return -EINVAL;
	}
}

SYSCALL2(clock_gettime, int, clock, vaddr_t, out)
{
	uint64_t ns;
	int error = read_clock(clock, &ns);

	return error != 0 ? error : put_user(out, to_timespec(ns));
}

SYSCALL2(clock_getres, int, clock, vaddr_t, out)
{
	uint64_t ns;
	int error = read_clock(clock, &ns);

	if (error != 0 || out == 0)
		return error;
	return put_user(out, to_timespec(1));
}

SYSCALL2(clock_settime, int, clock, vaddr_t, in)
{
	struct __kernel_timespec time;
	uint64_t ns;
	int error;

	if (clock != CLOCK_REALTIME)
		return -EINVAL;
	error = get_user(&time, in);
	if (error == 0 && !capable(CAP_SYS_TIME))
		error = -EPERM;
	if (error == 0)
		error = from_timespec(&time, &ns);
	if (error != 0)
		return error;
	/* A time that cannot be told in signed nanoseconds; one before the machine started. */
	if (ns > INT64_MAX || ns < clock_ns())
		return -EINVAL;
	clock_set_wall_ns(ns);
	return 0;
}

SYSCALL2(gettimeofday, vaddr_t, out, vaddr_t, zone)
{
	struct timezone utc = { 0 };
	int error = 0;

	if (out != 0)
		error = put_user(out, to_timeval(clock_wall_ns()));
	if (error == 0 && zone != 0)
		error = put_user(zone, utc);
	return error;
}

SYSCALL1(time, vaddr_t, out)
{
	int64_t seconds = (int64_t)(clock_wall_ns() / NSEC_PER_SEC);
	int error = out != 0 ? put_user(out, seconds) : 0;

	return error != 0 ? error : seconds;
}

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

		if (put_user(remaining, to_timespec(left)) != 0)
			return -EFAULT;
	}
	return error;
}

static int64_t do_nanosleep(int clock, bool absolute, vaddr_t request, vaddr_t remaining)
{
	struct __kernel_timespec time;
	uint64_t ns, now;
	int error;

	/* What clocks can be slept on: clock_nanosleep(2). */
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_TAI:
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
		break;
	case CLOCK_PROCESS_CPUTIME_ID:
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
	error = from_timespec(&time, &ns);
	if (error == 0)
		error = read_clock(clock, &now);
	if (error != 0)
		return error;
	if (absolute) {
		ns = ns > now ? ns - now : 0;
		remaining = 0;
	}
	return sleep_to(sleep_deadline(ns), remaining);
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

struct rusage usage_of_times(const struct process_times *times)
{
	return (struct rusage){
		.ru_utime = to_timeval(times->user_ns),
		.ru_stime = to_timeval(times->system_ns),
	};
}

/* Of the children that have been waited for, and of theirs. */
static struct process_times children_times(void)
{
	struct process_times times;

	mutex_lock(&family_lock);
	times = current_process()->children_times;
	mutex_unlock(&family_lock);
	return times;
}

SYSCALL1(times, vaddr_t, out)
{
	struct process_times children = children_times(), own = cpu_times(true);
	struct tms times = {
		.tms_utime = to_ticks(own.user_ns),
		.tms_stime = to_ticks(own.system_ns),
		.tms_cutime = to_ticks(children.user_ns),
		.tms_cstime = to_ticks(children.system_ns),
	};
	int error = out != 0 ? put_user(out, times) : 0;

	return error != 0 ? error : to_ticks(clock_ns());
}

SYSCALL2(getrusage, int, who, vaddr_t, out)
{
	struct process_times times;
	struct rusage usage;

	switch (who) {
	case RUSAGE_SELF:
	case RUSAGE_THREAD:
		times = cpu_times(who == RUSAGE_SELF);
		usage = usage_of_times(&times);
		usage.ru_minflt = (int64_t)current->space->stats.faults;
		usage.ru_majflt = (int64_t)current->space->stats.faults_io;
		usage.ru_maxrss = (int64_t)(current->space->stats.peak_resident * PAGE_SIZE / KIB);
		break;
	case RUSAGE_CHILDREN:
		times = children_times();
		usage = usage_of_times(&times);
		break;
	default:
		return -EINVAL;
	}
	return put_user(out, usage);
}
