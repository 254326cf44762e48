/*
 * proc/clocks.c - reading and setting the clocks that clock_gettime(2) lists.
 *
 * There are three sources: the time since the kernel's entry, the same plus an offset that can be set
 * (wall time, which TAI is equal to as long as nobody tells the leap seconds), and CPU time. Whoever
 * asks for a coarse clock gets a precise one. The machine never sleeps, so BOOTTIME is MONOTONIC.
 */
#include "proc/clocks.h"

#include "kernel/clock.h"
#include "kernel/cred.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/timespec.h"
#include "mm/user.h"
#include "proc/process.h"
#include <asm/param.h>
#include <linux/time.h>
#include <linux/timex.h>

/*
 * Clocks of other processes and threads: getcpuclockid(3) makes their numbers, in a form that no UAPI
 * header has: ~id << 3, a bit for threads, two for what is measured.
 */
#define CPU_CLOCK_ID_SHIFT 3
#define CPU_CLOCK_THREAD   4
#define CPU_CLOCK_KIND     3
#define CPU_CLOCK_FD       3 /* in place of the kind: a clock that is a file */

/* adjtimex(2) of a clock that nobody disciplines: Linux's NTP_PHASE_LIMIT, MAXFREQ. */
#define ERROR_MAX_US  16000000
#define TOLERANCE_PPM (INT64_C(500) << 16)

/* --- CPU time ------------------------------------------------------------------------------------- */

bool cpu_clock_decode(int clock, struct cpu_clock *out)
{
	if (clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID) {
		*out = (struct cpu_clock){ .kind = CPU_CLOCK_SCHED,
					   .of_thread = clock == CLOCK_THREAD_CPUTIME_ID };
		return true;
	}
	if (clock >= 0 || (clock & CPU_CLOCK_KIND) == CPU_CLOCK_FD)
		return false;
	*out = (struct cpu_clock){
		.kind = clock & CPU_CLOCK_KIND,
		.of_thread = clock & CPU_CLOCK_THREAD,
		.id = ~(uint32_t)clock >> CPU_CLOCK_ID_SHIFT,
	};
	return true;
}

static uint64_t of_kind(enum cpu_clock_kind kind, uint64_t user_ns, uint64_t system_ns)
{
	return kind == CPU_CLOCK_USER ? user_ns : user_ns + system_ns;
}

/* Another's times are as of its last switch or tick. */
static int read_cpu_clock(const struct cpu_clock *clock, uint64_t *ns)
{
	const struct process *process = current_process();
	const struct task *task = current_task();
	int error = 0;

	sched_charge();
	mutex_lock(&family_lock);
	if (clock->of_thread && clock->id != 0)
		task = family_find_task(clock->id);
	else if (clock->id != 0)
		process = family_find(clock->id);
	/* Of threads, only one's own process's: clock_getcpuclockid(3). */
	if (!process || (clock->of_thread && (!task || task->thread.process != process)))
		error = -EINVAL;
	else if (clock->of_thread)
		*ns = of_kind(clock->kind, task->thread.user_ns, task->thread.system_ns);
	else
		*ns = of_kind(clock->kind, process->usage.user_ns, process->usage.system_ns);
	mutex_unlock(&family_lock);
	return error;
}

/* --- reading ---------------------------------------------------------------------------------------- */

int clock_read(int clock, uint64_t *ns)
{
	struct cpu_clock cpu;

	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_TAI:
		*ns = clock_wall_ns();
		return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		*ns = clock_ns();
		return 0;
	default:
		return cpu_clock_decode(clock, &cpu) ? read_cpu_clock(&cpu, ns) : -EINVAL;
	}
}

struct alarm_setting clock_alarm_setting(int clock, bool absolute, uint64_t ns,
					 uint64_t interval_ns)
{
	struct alarm_setting setting = {
		.clock = clock_is_wall(clock) && absolute ? ALARM_WALL : ALARM_MONOTONIC,
		.expires_ns = ns,
		.interval_ns = interval_ns,
	};

	/* A span of time is the same by any clock, and does not change when one is set. */
	if (!absolute && __builtin_add_overflow(ns, clock_ns(), &setting.expires_ns))
		setting.expires_ns = NO_DEADLINE;
	return setting;
}

SYSCALL2(clock_gettime, int, clock, vaddr_t, out)
{
	uint64_t ns;
	int error = clock_read(clock, &ns);

	return error != 0 ? error : put_user(out, timespec_of_ns(ns));
}

SYSCALL2(clock_getres, int, clock, vaddr_t, out)
{
	uint64_t ns;
	int error = clock_read(clock, &ns);

	if (error != 0 || out == 0)
		return error;
	return put_user(out, timespec_of_ns(1));
}

SYSCALL2(gettimeofday, vaddr_t, out, vaddr_t, zone)
{
	const struct clock_zone kept = clock_zone();
	const struct timezone tz = { .tz_minuteswest = kept.minutes_west, .tz_dsttime = kept.dst };
	int error = 0;

	if (out != 0)
		error = put_user(out, timeval_of_ns(clock_wall_ns()));
	if (error == 0 && zone != 0)
		error = put_user(zone, tz);
	return error;
}

SYSCALL1(time, vaddr_t, out)
{
	int64_t seconds = (int64_t)(clock_wall_ns() / NSEC_PER_SEC);
	int error = out != 0 ? put_user(out, seconds) : 0;

	return error != 0 ? error : seconds;
}

/* --- setting ---------------------------------------------------------------------------------------- */

static int set_wall_clock(uint64_t ns)
{
	if (!capable(CAP_SYS_TIME))
		return -EPERM;
	/* A time that cannot be told in signed nanoseconds; one before the machine started. */
	if (ns > INT64_MAX || ns < clock_ns())
		return -EINVAL;
	wall_clock_set(ns);
	return 0;
}

SYSCALL2(clock_settime, int, clock, vaddr_t, in)
{
	struct __kernel_timespec time;
	uint64_t ns;
	int error;

	if (clock != CLOCK_REALTIME)
		return -EINVAL;
	error = get_user(&time, in);
	if (error == 0)
		error = timespec_to_ns(&time, &ns);
	return error != 0 ? error : set_wall_clock(ns);
}

SYSCALL2(settimeofday, vaddr_t, in, vaddr_t, zone)
{
	struct __kernel_old_timeval time;
	struct timezone tz;
	uint64_t ns = 0;
	int error = 0;

	if (in != 0) {
		error = get_user(&time, in);
		if (error == 0)
			error = timeval_to_ns(&time, &ns);
	}
	if (error == 0 && zone != 0)
		error = get_user(&tz, zone);
	if (error != 0)
		return error;
	if (zone != 0) {
		/* Linux: farther from Greenwich than 15 hours is nowhere. */
		if (tz.tz_minuteswest > 15 * 60 || tz.tz_minuteswest < -15 * 60)
			return -EINVAL;
		if (!capable(CAP_SYS_TIME))
			return -EPERM;
		clock_set_zone((struct clock_zone){ tz.tz_minuteswest, tz.tz_dsttime });
	}
	return in != 0 ? set_wall_clock(ns) : 0;
}

/* The clock is read and never disciplined: whoever wants to is told EPERM. */
static int64_t adjust(vaddr_t at)
{
	struct __kernel_timex timex;
	uint64_t now = clock_wall_ns();
	unsigned modes;

	if (get_user(&timex, at) != 0)
		return -EFAULT;
	modes = timex.modes;
	if (modes != 0 && modes != ADJ_OFFSET_SS_READ)
		return -EPERM;
	memset(&timex, 0, sizeof(timex));
	timex.modes = modes;
	timex.status = STA_UNSYNC;
	timex.maxerror = timex.esterror = ERROR_MAX_US;
	timex.tolerance = TOLERANCE_PPM;
	timex.precision = 1;
	timex.tick = USEC_PER_SEC / HZ;
	timex.time.tv_sec = (int64_t)(now / NSEC_PER_SEC);
	timex.time.tv_usec = (int64_t)(now % NSEC_PER_SEC / NSEC_PER_USEC);
	return put_user(at, timex) != 0 ? -EFAULT : TIME_ERROR;
}

SYSCALL1(adjtimex, vaddr_t, timex)
{
	return adjust(timex);
}

SYSCALL2(clock_adjtime, int, clock, vaddr_t, timex)
{
	uint64_t ns;

	if (clock == CLOCK_REALTIME)
		return adjust(timex);
	return clock_read(clock, &ns) == 0 ? -EOPNOTSUPP : -EINVAL;
}
