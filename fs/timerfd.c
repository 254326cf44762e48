/*
 * fs/timerfd.c - timers as files: timerfd_create(2).
 *
 * Reading takes what the alarm has counted; the file is readable while there is something to take.
 * One that is set with TFD_TIMER_CANCEL_ON_SET remembers how often the wall clock had been set by then,
 * and says ECANCELED once when that has changed; those are on a list, to be woken by a change.
 */
#include "fs/timerfd.h"
#include "fs/ops.h"
#include "fs/poll.h"
#include "fs/stat.h"
#include "kernel/alarm.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/timespec.h"
#include "mm/slab.h"
#include "mm/user.h"
#include <asm/poll.h>
#include <asm/stat.h>
#include <linux/stat.h>
#include <linux/time.h>
#include <linux/timerfd.h>

struct timerfd {
	struct alarm alarm;
	int clock;
	struct waitq readers;
	LIST_ENTRY(timerfd) link; /* list_lock, while `cancels` */
	bool cancels;             /* list_lock */
	uint64_t wall_changes;    /* list_lock: as it was when the alarm was set */
};

static struct spinlock list_lock = SPINLOCK_INIT("timerfd", RANK_ALARM);
static LIST_HEAD(, timerfd) cancelled_by_setting = LIST_HEAD_INITIALIZER(cancelled_by_setting);

static void tell(struct timerfd *timer)
{
	waitq_wake_all(&timer->readers);
}

static void expired(struct alarm *alarm)
{
	tell(container_of(alarm, struct timerfd, alarm));
}

static void wall_clock_was_set(void)
{
	struct timerfd *timer;

	spin_lock(&list_lock);
	LIST_FOREACH (timer, &cancelled_by_setting, link)
		tell(timer);
	spin_unlock(&list_lock);
}

/* Alarms about the wall clock's being set begin or end here. */
static void set_cancels(struct timerfd *timer, bool cancels)
{
	spin_lock(&list_lock);
	if (cancels && !timer->cancels)
		LIST_INSERT_HEAD(&cancelled_by_setting, timer, link);
	else if (!cancels && timer->cancels)
		LIST_REMOVE(timer, link);
	timer->cancels = cancels;
	timer->wall_changes = wall_clock_changes();
	spin_unlock(&list_lock);
}

/* True if the wall clock has been set; with `tell_once`, only the first time. */
static bool is_cancelled(struct timerfd *timer, bool once)
{
	uint64_t changes = wall_clock_changes();
	bool cancelled;

	spin_lock(&list_lock);
	cancelled = timer->cancels && timer->wall_changes != changes;
	if (once)
		timer->wall_changes = changes;
	spin_unlock(&list_lock);
	return cancelled;
}

/* --- the file --------------------------------------------------------------------------------------- */

static bool is_ready(struct timerfd *timer)
{
	return alarm_has_fired(&timer->alarm) || is_cancelled(timer, false);
}

static ssize_t read_timer(struct file *file, vaddr_t to, size_t length, loff_t *offset)
{
	struct timerfd *timer = file->private;
	uint64_t count;
	int error;

	if (length < sizeof(count))
		return -EINVAL;
	for (;;) {
		if (is_cancelled(timer, true))
			return -ECANCELED;
		count = alarm_take(&timer->alarm);
		if (count != 0)
			break;
		if (!file_may_wait(file))
			return -EAGAIN;
		error = wait_event_signal(&timer->readers, is_ready(timer));
		if (error != 0)
			return error;
	}
	error = put_user(to, count);
	return error != 0 ? error : (ssize_t)sizeof(count);
}

static unsigned poll_timer(struct file *file, struct poll_table *table)
{
	struct timerfd *timer = file->private;

	poll_wait(table, &timer->readers);
	return is_ready(timer) ? POLLIN | POLLRDNORM : 0;
}

static int stat_timer(struct file *file, struct stat *out)
{
	*out = (struct stat){ .st_mode = S_IRUSR | S_IWUSR,
			      .st_nlink = 1,
			      .st_blksize = PAGE_SIZE };
	return 0;
}

static void release_timer(struct file *file)
{
	struct timerfd *timer = file->private;

	set_cancels(timer, false);
	alarm_stop(&timer->alarm);
	kfree(timer);
}

static const struct file_ops timer_ops = {
	.seeks_nowhere = true,
	.kind = "[timerfd]",
	.read = read_timer,
	.stat = stat_timer,
	.poll = poll_timer,
	.release = release_timer,
};

void timerfd_init(void)
{
	wall_clock_register_hook(wall_clock_was_set);
}

/* --- system calls ----------------------------------------------------------------------------------- */

static bool is_wall(int clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM;
}

static int open_timer(int clock, uint32_t flags, struct file **out)
{
	struct timerfd *timer = kzalloc(sizeof(*timer));
	struct file *file = file_create(&timer_ops, O_RDWR | flags);

	if (!timer || !file) {
		kfree(timer);
		/* Its release would want a timer. */
		if (file) {
			file->ops = NULL;
			file_put(file);
		}
		return file_create_error();
	}
	timer->clock = clock;
	alarm_init(&timer->alarm, expired);
	waitq_init(&timer->readers, "timerfd");
	file->private = timer;
	*out = file;
	return 0;
}

SYSCALL2(timerfd_create, int, clock, int, flags)
{
	struct file *file = NULL;
	int fd;

	if (flags & ~(TFD_CLOEXEC | TFD_NONBLOCK))
		return -EINVAL;
	if (!is_wall(clock) && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME &&
	    clock != CLOCK_BOOTTIME_ALARM)
		return -EINVAL;
	fd = open_timer(clock, flags & TFD_NONBLOCK, &file);
	if (fd != 0)
		return fd;
	fd = files_install(current->files, file, 0, flags & TFD_CLOEXEC);
	file_put(file);
	return fd;
}

/* The descriptor's timer, its file with a reference. -EBADF, -EINVAL. */
static int find_timer(int fd, struct file **file, struct timerfd **out)
{
	*file = fd_get(fd);
	if (!*file)
		return -EBADF;
	if ((*file)->ops != &timer_ops) {
		file_put(*file);
		return -EINVAL;
	}
	*out = (*file)->private;
	return 0;
}

static struct __kernel_itimerspec get_setting(struct timerfd *timer)
{
	uint64_t left_ns, interval_ns;

	alarm_get(&timer->alarm, &left_ns, &interval_ns);
	return (struct __kernel_itimerspec){
		.it_value = timespec_of_ns(left_ns),
		.it_interval = timespec_of_ns(interval_ns),
	};
}

static void set(struct timerfd *timer, int flags, uint64_t ns, uint64_t interval_ns)
{
	bool absolute = flags & TFD_TIMER_ABSTIME;
	struct alarm_setting setting = {
		.clock = absolute && is_wall(timer->clock) ? ALARM_WALL : ALARM_MONOTONIC,
		.expires_ns = ns,
		.interval_ns = interval_ns,
	};

	if (!absolute && ns != 0 && __builtin_add_overflow(ns, clock_ns(), &setting.expires_ns))
		setting.expires_ns = NO_DEADLINE;
	set_cancels(timer, absolute && is_wall(timer->clock) && (flags & TFD_TIMER_CANCEL_ON_SET));
	alarm_set(&timer->alarm, &setting);
}

SYSCALL4(timerfd_settime, int, fd, int, flags, vaddr_t, in, vaddr_t, old)
{
	struct __kernel_itimerspec value, before;
	struct timerfd *timer;
	struct file *file;
	uint64_t ns, interval_ns;
	int error;

	if (get_user(&value, in) != 0)
		return -EFAULT;
	if (flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET))
		return -EINVAL;
	error = timespec_to_ns(&value.it_value, &ns);
	if (error == 0)
		error = timespec_to_ns(&value.it_interval, &interval_ns);
	if (error == 0)
		error = find_timer(fd, &file, &timer);
	if (error != 0)
		return error;
	before = get_setting(timer);
	set(timer, flags, ns, interval_ns);
	file_put(file);
	return old != 0 ? put_user(old, before) : 0;
}

SYSCALL2(timerfd_gettime, int, fd, vaddr_t, out)
{
	struct __kernel_itimerspec value;
	struct timerfd *timer;
	struct file *file;
	int error = find_timer(fd, &file, &timer);

	if (error != 0)
		return error;
	value = get_setting(timer);
	file_put(file);
	return put_user(out, value);
}
