/*
 * proc/posix_timers.c - timers that a process makes: timer_create(2) and its family.
 *
 * A timer has at most one signal pending. While that waits, expirations are only counted; when it is
 * taken, the timer is armed anew, and the count of those that were missed goes with the signal
 * (si_overrun, timer_getoverrun(2)). So nothing ticks for a signal that is ignored: it has been dropped, and
 * when it is not ignored any more, the timer is armed for the next of its times (posix_timers_heed()).
 */
#include "kernel/limits.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/timespec.h"
#include "mm/slab.h"
#include "mm/user.h"
#include "proc/clocks.h"
#include "proc/process.h"
#include "proc/signal.h"
#include <linux/time.h>

struct posix_timer {
	LIST_ENTRY(posix_timer) link; /* the process's timer lock */
	struct process *process;      /* the rest but `overrun` never changes */
	int id;
	int clock;
	bool on_cpu_time; /* which of the two is used: */
	struct alarm alarm;
	struct cpu_timer cpu;
	int notify; /* SIGEV_* */
	int signal;
	uint32_t tid; /* with SIGEV_THREAD_ID: whose */
	sigval_t value;
	int overrun;      /* of the signal that was taken last; the process's timer lock */
	uint64_t ignored; /* expirations whose signal was; the process's timer lock */
};

/* --- expiration: in an interrupt ---------------------------------------------------------------------- */

static void notify(const struct posix_timer *timer)
{
	siginfo_t info;

	if (timer->notify == SIGEV_NONE)
		return;
	memset(&info, 0, sizeof(info));
	info.si_signo = timer->signal;
	info.si_code = SI_TIMER;
	info.si_tid = timer->id;
	info.si_sys_private = 1; /* signal_is_of_timer() */
	info.si_value = timer->value;
	if (timer->notify & SIGEV_THREAD_ID)
		(void)signal_post_tid(timer->process, timer->tid, &info);
	else
		(void)signal_post(timer->process, &info);
}

static void alarm_expired(struct alarm *alarm)
{
	notify(container_of(alarm, struct posix_timer, alarm));
}

static void cpu_expired(struct cpu_timer *cpu)
{
	notify(container_of(cpu, struct posix_timer, cpu));
}

/* --- the process's list; its timer lock held ----------------------------------------------------------- */

static struct posix_timer *find(int id)
{
	struct posix_timer *timer;

	LIST_FOREACH (timer, &current_process()->timers.made, link) {
		if (timer->id == id)
			return timer;
	}
	return NULL;
}

static int free_id(struct process_timers *timers)
{
	int id;

	do {
		id = timers->next_id;
		timers->next_id = id == INT32_MAX ? 0 : id + 1;
	} while (find(id));
	return id;
}

/* Out of the list, stopped, and freed. */
static void delete (struct posix_timer *timer)
{
	LIST_REMOVE(timer, link);
	timer->process->timers.count--;
	if (timer->on_cpu_time)
		cpu_timer_stop(&timer->cpu);
	else
		alarm_stop(&timer->alarm);
	kfree(timer);
}

void posix_timers_delete(struct process *process)
{
	struct posix_timer *timer, *next;

	mutex_lock(&process->timers.lock);
	LIST_FOREACH_SAFE (timer, &process->timers.made, link, next)
		delete (timer);
	mutex_unlock(&process->timers.lock);
}

static uint64_t take(struct posix_timer *timer)
{
	return timer->on_cpu_time ? cpu_timer_take(&timer->cpu) : alarm_take(&timer->alarm);
}

void posix_timer_taken(siginfo_t *info)
{
	struct process_timers *timers = &current_process()->timers;
	struct posix_timer *timer;
	uint64_t count;

	info->si_sys_private = 0; /* for us */
	mutex_lock(&timers->lock);
	timer = find(info->si_tid);
	if (timer) {
		count = take(timer);
		if (count > 0) {
			timer->overrun = (int)MIN(count - 1 + timer->ignored, (uint64_t)INT32_MAX);
			timer->ignored = 0;
		}
		info->si_overrun = timer->overrun;
	}
	mutex_unlock(&timers->lock);
}

void posix_timers_heed(int signal)
{
	struct process_timers *timers = &current_process()->timers;
	struct posix_timer *timer;

	if (timers->count == 0)
		return;
	mutex_lock(&timers->lock);
	LIST_FOREACH (timer, &timers->made, link) {
		if (timer->signal == signal && timer->notify != SIGEV_NONE &&
		    !signal_timer_is_pending(timer->process, timer->id))
			timer->ignored += take(timer);
	}
	mutex_unlock(&timers->lock);
}

/* --- making one ---------------------------------------------------------------------------------------- */

static bool is_own_thread(uint32_t tid)
{
	const struct task *task;
	bool own;

	mutex_lock(&family_lock);
	task = family_find_task(tid);
	own = task && task->thread.process == current_process();
	mutex_unlock(&family_lock);
	return own;
}

/* What is to happen, checked; without a sigevent, SIGALRM with the timer's number as its value. */
static int read_event(vaddr_t from, struct posix_timer *timer)
{
	struct sigevent event;

	if (from == 0) {
		timer->notify = SIGEV_SIGNAL;
		timer->signal = SIGALRM;
		return 0;
	}
	if (get_user(&event, from) != 0)
		return -EFAULT;
	timer->notify = event.sigev_notify;
	timer->signal = event.sigev_signo;
	timer->value = event.sigev_value;
	switch (timer->notify) {
	case SIGEV_NONE:
		return 0;
	case SIGEV_SIGNAL | SIGEV_THREAD_ID:
		timer->tid = (uint32_t)event._sigev_un._tid;
		if (!is_own_thread(timer->tid))
			return -EINVAL;
		break;
	case SIGEV_SIGNAL:
	case SIGEV_THREAD:
		break;
	default:
		return -EINVAL;
	}
	return timer->signal > 0 && timer->signal <= NSIG_KERNEL ? 0 : -EINVAL;
}

static int choose_clock(int clock, struct posix_timer *timer)
{
	struct cpu_clock cpu;
	uint64_t ns;

	timer->clock = clock;
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
	case CLOCK_TAI:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_BOOTTIME_ALARM:
		alarm_init(&timer->alarm, alarm_expired);
		return 0;
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_MONOTONIC_COARSE:
		return -EOPNOTSUPP;
	default:
		break;
	}
	/* CPU time: the caller's own only. */
	if (!cpu_clock_decode(clock, &cpu) || clock_read(clock, &ns) != 0)
		return -EINVAL;
	if (cpu.id != 0 && cpu.id != (cpu.of_thread ? current->tid : timer->process->pid))
		return -EINVAL;
	timer->on_cpu_time = true;
	cpu_timer_init(&timer->cpu, timer->process, cpu.kind, cpu.of_thread ? current->tid : 0,
		       cpu_expired);
	return 0;
}

SYSCALL3(timer_create, int, clock, vaddr_t, event, vaddr_t, out)
{
	struct process_timers *timers = &current_process()->timers;
	struct posix_timer *timer = kzalloc(sizeof(*timer));
	int error, id;

	if (!timer)
		return -EAGAIN;
	timer->process = current_process();
	error = choose_clock(clock, timer);
	if (error == 0)
		error = read_event(event, timer);
	if (error != 0) {
		kfree(timer);
		return error;
	}
	mutex_lock(&timers->lock);
	/* Each may have a signal pending. */
	if (timers->count >= limit_get(RLIMIT_SIGPENDING)) {
		mutex_unlock(&timers->lock);
		kfree(timer);
		return -EAGAIN;
	}
	id = timer->id = free_id(timers);
	if (event == 0)
		timer->value.sival_int = id;
	LIST_INSERT_HEAD(&timers->made, timer, link);
	timers->count++;
	mutex_unlock(&timers->lock);

	error = put_user(out, id);
	if (error != 0) {
		mutex_lock(&timers->lock);
		timer = find(id);
		if (timer)
			delete (timer);
		mutex_unlock(&timers->lock);
	}
	return error;
}

/* --- using one ----------------------------------------------------------------------------------------- */

static void get_setting(struct posix_timer *timer, struct __kernel_itimerspec *out)
{
	uint64_t left_ns, interval_ns;

	if (timer->on_cpu_time)
		cpu_timer_get(&timer->cpu, &left_ns, &interval_ns);
	else
		alarm_get(&timer->alarm, &left_ns, &interval_ns);
	out->it_value = timespec_of_ns(left_ns);
	out->it_interval = timespec_of_ns(interval_ns);
}

static void set(struct posix_timer *timer, bool absolute, uint64_t ns, uint64_t interval_ns)
{
	if (timer->on_cpu_time) {
		uint64_t now = cpu_timer_now(&timer->cpu);

		if (ns != 0 && !absolute)
			ns = ns < NO_DEADLINE - now ? now + ns : NO_DEADLINE;
		cpu_timer_set(&timer->cpu, ns, interval_ns);
	} else {
		struct alarm_setting setting = { 0 };

		if (ns != 0)
			setting = clock_alarm_setting(timer->clock, absolute, ns, interval_ns);
		alarm_set(&timer->alarm, &setting);
	}
	timer->overrun = 0;
	timer->ignored = 0;
}

SYSCALL4(timer_settime, int, id, int, flags, vaddr_t, in, vaddr_t, old)
{
	struct process_timers *timers = &current_process()->timers;
	struct __kernel_itimerspec value, before;
	struct posix_timer *timer;
	uint64_t ns, interval_ns;
	int error;

	if (in == 0)
		return -EINVAL;
	error = get_user(&value, in);
	if (error == 0)
		error = timespec_to_ns(&value.it_value, &ns);
	if (error == 0)
		error = timespec_to_ns(&value.it_interval, &interval_ns);
	if (error != 0)
		return error;
	mutex_lock(&timers->lock);
	timer = find(id);
	if (timer) {
		get_setting(timer, &before);
		set(timer, flags & TIMER_ABSTIME, ns, interval_ns);
	}
	mutex_unlock(&timers->lock);
	if (!timer)
		return -EINVAL;
	return old != 0 ? put_user(old, before) : 0;
}

SYSCALL2(timer_gettime, int, id, vaddr_t, out)
{
	struct process_timers *timers = &current_process()->timers;
	struct __kernel_itimerspec value;
	struct posix_timer *timer;

	mutex_lock(&timers->lock);
	timer = find(id);
	if (timer)
		get_setting(timer, &value);
	mutex_unlock(&timers->lock);
	return timer ? put_user(out, value) : -EINVAL;
}

SYSCALL1(timer_getoverrun, int, id)
{
	struct process_timers *timers = &current_process()->timers;
	const struct posix_timer *timer;
	int64_t result = -EINVAL;

	mutex_lock(&timers->lock);
	timer = find(id);
	if (timer)
		result = timer->overrun;
	mutex_unlock(&timers->lock);
	return result;
}

SYSCALL1(timer_delete, int, id)
{
	struct process_timers *timers = &current_process()->timers;
	struct posix_timer *timer;

	mutex_lock(&timers->lock);
	timer = find(id);
	if (timer)
		delete (timer);
	mutex_unlock(&timers->lock);
	return timer ? 0 : -EINVAL;
}
