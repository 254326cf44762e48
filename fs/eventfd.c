/*
 * fs/eventfd.c - eventfd(2): a counter to be waited for.
 */
#include "fs/ops.h"
#include "fs/poll.h"
#include "fs/stat.h"
#include "kernel/sched.h"
#include "kernel/syscall.h"
#include "mm/slab.h"
#include "mm/user.h"
#include <asm/poll.h>
#include <linux/fcntl.h>

/* eventfd(2)'s flags, which no UAPI header of this age has: the first is this, the others are O_*. */
#define EFD_SEMAPHORE 1

struct eventfd {
	struct mutex lock; /* RANK_STREAM */
	uint64_t count;    /* lock; at most UINT64_MAX - 1 */
	bool semaphore;    /* fixed */
	struct waitq readable, writable;
};

static bool is_readable(struct eventfd *e)
{
	mutex_lock(&e->lock);
	bool readable = e->count > 0;
	mutex_unlock(&e->lock);
	return readable;
}

/* Room for `value` more. */
static bool is_writable(struct eventfd *e, uint64_t value)
{
	mutex_lock(&e->lock);
	bool writable = UINT64_MAX - e->count > value;
	mutex_unlock(&e->lock);
	return writable;
}

/* What a read takes; 0: nothing yet. */
static uint64_t take(struct eventfd *e)
{
	uint64_t value;

	mutex_lock(&e->lock);
	value = e->semaphore && e->count > 0 ? 1 : e->count;
	e->count -= value;
	mutex_unlock(&e->lock);
	return value;
}

static bool give(struct eventfd *e, uint64_t value)
{
	bool room;

	mutex_lock(&e->lock);
	room = UINT64_MAX - e->count > value;
	if (room)
		e->count += value;
	mutex_unlock(&e->lock);
	return room;
}

static ssize_t read_eventfd(struct file *file, vaddr_t to, size_t length, loff_t *offset)
{
	struct eventfd *e = file->private;
	uint64_t value;
	int error;

	if (length < sizeof(value))
		return -EINVAL;
	while ((value = take(e)) == 0) {
		if (!file_may_wait(file))
			return -EAGAIN;
		error = wait_event_signal(&e->readable, is_readable(e));
		if (error != 0)
			return error;
	}
	waitq_wake_all(&e->writable);
	error = put_user(to, value);
	return error != 0 ? error : (ssize_t)sizeof(value);
}

static ssize_t write_eventfd(struct file *file, vaddr_t from, size_t length, loff_t *offset)
{
	struct eventfd *e = file->private;
	uint64_t value;
	int error;

	if (length < sizeof(value))
		return -EINVAL;
	error = get_user(&value, from);
	if (error != 0)
		return error;
	if (value == UINT64_MAX)
		return -EINVAL;
	while (!give(e, value)) {
		if (!file_may_wait(file))
			return -EAGAIN;
		error = wait_event_signal(&e->writable, is_writable(e, value));
		if (error != 0)
			return error;
	}
	waitq_wake_all(&e->readable);
	return (ssize_t)sizeof(value);
}

static unsigned poll_eventfd(struct file *file, struct poll_table *table)
{
	struct eventfd *e = file->private;
	unsigned events = 0;

	if (poll_wants(table, POLLIN | POLLRDNORM))
		poll_wait(table, &e->readable);
	if (poll_wants(table, POLLOUT | POLLWRNORM))
		poll_wait(table, &e->writable);
	if (is_readable(e))
		events |= POLLIN | POLLRDNORM;
	if (is_writable(e, 1))
		events |= POLLOUT | POLLWRNORM;
	return events;
}

static void release_eventfd(struct file *file)
{
	kfree(file->private);
}

static const struct file_ops eventfd_ops = {
	.seeks_nowhere = true,
	.read = read_eventfd,
	.write = write_eventfd,
	.stat = stat_anonymous,
	.poll = poll_eventfd,
	.release = release_eventfd,
	.kind = "[eventfd]",
};

static int64_t create(unsigned count, int flags)
{
	struct eventfd *e;
	struct file *file;
	int fd;

	if ((flags & ~(EFD_SEMAPHORE | O_CLOEXEC | O_NONBLOCK)) != 0)
		return -EINVAL;
	e = kzalloc(sizeof(*e));
	if (e == NULL)
		return -ENOMEM;
	mutex_init(&e->lock, "eventfd", RANK_STREAM);
	waitq_init(&e->readable, "eventfd readers");
	waitq_init(&e->writable, "eventfd writers");
	e->count = count;
	e->semaphore = (flags & EFD_SEMAPHORE) != 0;
	file = file_create(&eventfd_ops, O_RDWR | (uint32_t)(flags & O_NONBLOCK));
	if (file == NULL) {
		kfree(e);
		return file_create_error();
	}
	file->private = e;
	fd = files_install(current->files, file, 0, (flags & O_CLOEXEC) != 0);
	file_put(file);
	return fd;
}

SYSCALL1(eventfd, unsigned, count)
{
	return create(count, 0);
}

SYSCALL2(eventfd2, unsigned, count, int, flags)
{
	return create(count, flags);
}
