/*
 * fs/pipe.c - pipes, pipe(7): bytes that go in at one end and come out at the other.
 *
 *	        tail               head
 *	  ┌──────┬──────┬──────┬──────┐
 *	  │    xx│xxxxxx│xxxxxx│xx    │        free-running positions in a ring of pages
 *	  └──────┴──────┴──────┴──────┘
 *	   read                  write
 *
 * A page is there as long as bytes are in it; an empty pipe keeps its first one. User memory is copied
 * under the lock without faulting; where a page is missing the lock is dropped, the page is brought,
 * and what has been copied so far counts. A write of up to PIPE_BUF bytes counts only as a whole, so
 * nobody's bytes come between.
 */
#include "fs/file.h"
#include "fs/ops.h"
#include "fs/poll.h"
#include "fs/signal.h"
#include "fs/stat.h"
#include "kernel/clock.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/frame.h"
#include "mm/slab.h"
#include "mm/user.h"
#include <asm/ioctls.h>
#include <asm/poll.h>
#include <asm/signal.h>
#include <linux/limits.h> /* PIPE_BUF */
#include <linux/stat.h>

#define PIPE_PAGES 16 /* pipe(7): 65,536 bytes */
#define PIPE_SIZE  (PIPE_PAGES * PAGE_SIZE)

struct pipe {
	struct mutex lock;               /* RANK_STREAM */
	struct frame *pages[PIPE_PAGES]; /* lock */
	uint64_t tail, head;             /* lock */
	unsigned reader, writer;         /* open files of that end; lock */
	struct waitq readable, writable;
	uint64_t number, created_ns; /* for fstat(2) */
};

static _Atomic uint64_t last_number;

/* --- the ring; lock held ----------------------------------------------------------------------------- */

static size_t used(const struct pipe *pipe)
{
	return pipe->head - pipe->tail;
}

static struct frame **page_of(struct pipe *pipe, uint64_t position)
{
	return &pipe->pages[(position >> PAGE_SHIFT) % PIPE_PAGES];
}

/* Where the byte at `position` is, and how many follow it in its page. */
static char *at(struct pipe *pipe, uint64_t position, size_t *length)
{
	*length = PAGE_SIZE - (position & PAGE_MASK);
	return (char *)frame_data(*page_of(pipe, position)) + (position & PAGE_MASK);
}

static void drop_page(struct pipe *pipe, uint64_t position)
{
	struct frame **page = page_of(pipe, position);

	if (*page != NULL)
		frame_put(*page);
	*page = NULL;
}

/*
 * Copies up to `length` bytes from user memory behind the head, which stays. How many; fewer than there
 * is room for if a page of the user's is missing, or one of ours: `*starved`.
 */
static size_t fill(struct pipe *pipe, vaddr_t from, size_t length, bool *starved)
{
	size_t done = 0;

	*starved = false;
	length = MIN(length, PIPE_SIZE - used(pipe));
	while (done < length) {
		struct frame **page = page_of(pipe, pipe->head + done);
		size_t part, copied;
		char *to;

		if (*page == NULL)
			*page = frame_alloc(FRAME_KERNEL, 0, 0);
		if (*page == NULL) {
			*starved = true;
			break;
		}
		to = at(pipe, pipe->head + done, &part);
		part = MIN(part, length - done);
		copied = copy_from_user_nofault(to, from + done, part);
		done += copied;
		if (copied < part)
			break;
	}
	return done;
}

/* Copies up to `length` bytes to user memory and takes them out. */
static size_t drain(struct pipe *pipe, vaddr_t to, size_t length)
{
	size_t done = 0;

	length = MIN(length, used(pipe));
	while (done < length) {
		size_t part, copied;
		const char *from = at(pipe, pipe->tail, &part);
		bool whole = part <= length - done;

		part = MIN(part, length - done);
		copied = copy_to_user_nofault(to + done, from, part);
		done += copied;
		pipe->tail += copied;
		if (copied < part)
			break;
		if (whole)
			drop_page(pipe, pipe->tail - 1);
	}
	/* Empty: begin at the start of a page, so that one page serves small messages. */
	if (used(pipe) == 0)
		pipe->tail = pipe->head = ALIGN_DOWN(pipe->tail, PAGE_SIZE);
	return done;
}

/* --- reading -------------------------------------------------------------------------------------------- */

static bool is_readable(struct pipe *pipe)
{
	mutex_lock(&pipe->lock);
	bool readable = used(pipe) > 0 || !pipe->writer;
	mutex_unlock(&pipe->lock);
	return readable;
}

static ssize_t read_pipe(struct file *file, vaddr_t to, size_t length, loff_t *offset)
{
	struct pipe *pipe = file->private;
	int error;

	if (length == 0)
		return 0;
	for (;;) {
		size_t done = 0;
		bool any, end;

		mutex_lock(&pipe->lock);
		any = used(pipe) > 0;
		end = !pipe->writer;
		if (any)
			done = drain(pipe, to, length);
		mutex_unlock(&pipe->lock);
		if (done > 0) {
			waitq_wake_all(&pipe->writable);
			return (ssize_t)done;
		}
		if (any)
			error = user_fault_in(to, 1, true);
		else if (end)
			return 0;
		else if ((atomic_load(&file->flags) & O_NONBLOCK) != 0)
			return -EAGAIN;
		else
			error = wait_event_signal(&pipe->readable, is_readable(pipe));
		if (error != 0)
			return error;
	}
}

/* --- writing -------------------------------------------------------------------------------------------- */

/* Room for `needed` bytes, or nobody to read them. */
static bool is_writable(struct pipe *pipe, size_t needed)
{
	mutex_lock(&pipe->lock);
	bool writable = PIPE_SIZE - used(pipe) >= needed || !pipe->reader;
	mutex_unlock(&pipe->lock);
	return writable;
}

/* What one attempt at writing came to. */
struct attempt {
	size_t written;
	bool broken, full, starved;
};

/* `atomic`: all of it or nothing. */
static struct attempt try_write(struct pipe *pipe, vaddr_t from, size_t length, bool atomic)
{
	struct attempt result = { 0 };
	size_t needed = atomic ? length : 1;

	mutex_lock(&pipe->lock);
	if (!pipe->reader) {
		result.broken = true;
	} else if (PIPE_SIZE - used(pipe) < needed) {
		result.full = true;
	} else {
		size_t copied = fill(pipe, from, length, &result.starved);
		if (!atomic || copied == length)
			result.written = copied;
		pipe->head += result.written;
	}
	mutex_unlock(&pipe->lock);
	return result;
}

/* Waits for what the attempt lacked. */
static int provide(struct file *file, const struct attempt *lack, vaddr_t from, size_t length,
		   bool atomic, bool *reclaimed)
{
	struct pipe *pipe = file->private;

	if (lack->broken) {
		signal_self(SIGPIPE);
		return -EPIPE;
	}
	if (lack->starved) {
		if (*reclaimed)
			return -ENOMEM;
		*reclaimed = true;
		frame_reclaim(1);
		return 0;
	}
	if (!lack->full)
		return user_fault_in(from, atomic ? length : 1, false);
	if ((atomic_load(&file->flags) & O_NONBLOCK) != 0)
		return -EAGAIN;
	return wait_event_signal(&pipe->writable, is_writable(pipe, atomic ? length : 1));
}

static ssize_t write_pipe(struct file *file, vaddr_t from, size_t length, loff_t *offset)
{
	struct pipe *pipe = file->private;
	bool atomic = length <= PIPE_BUF, reclaimed = false;
	size_t done = 0;
	int error = 0;

	while (done < length && error == 0) {
		struct attempt result = try_write(pipe, from + done, length - done, atomic);

		if (result.written > 0) {
			done += result.written;
			waitq_wake_all(&pipe->readable);
		} else {
			error = provide(file, &result, from + done, length - done, atomic,
					&reclaimed);
		}
	}
	return done > 0 ? (ssize_t)done : error;
}

/* --- the rest -------------------------------------------------------------------------------------------- */

static unsigned poll_read_end(struct file *file, struct poll_table *table)
{
	struct pipe *pipe = file->private;
	unsigned events = 0;

	poll_wait(table, &pipe->readable);
	mutex_lock(&pipe->lock);
	if (used(pipe) > 0)
		events |= POLLIN | POLLRDNORM;
	if (!pipe->writer)
		events |= POLLHUP;
	mutex_unlock(&pipe->lock);
	return events;
}

static unsigned poll_write_end(struct file *file, struct poll_table *table)
{
	struct pipe *pipe = file->private;
	unsigned events = 0;

	poll_wait(table, &pipe->writable);
	mutex_lock(&pipe->lock);
	if (PIPE_SIZE - used(pipe) >= PIPE_BUF)
		events |= POLLOUT | POLLWRNORM;
	if (!pipe->reader)
		events |= POLLERR;
	mutex_unlock(&pipe->lock);
	return events;
}

static int ioctl_pipe(struct file *file, unsigned request, vaddr_t argument)
{
	struct pipe *pipe = file->private;
	int count;

	if (request != FIONREAD)
		return -ENOTTY;
	mutex_lock(&pipe->lock);
	count = (int)used(pipe);
	mutex_unlock(&pipe->lock);
	return put_user(argument, count);
}

static int stat_pipe(struct file *file, struct stat *out)
{
	const struct pipe *pipe = file->private;

	*out = (struct stat){
		.st_ino = pipe->number,
		.st_mode = S_IFIFO | S_IRUSR | S_IWUSR,
		.st_nlink = 1,
		.st_blksize = PAGE_SIZE,
		.st_atime = pipe->created_ns / NSEC_PER_SEC,
		.st_mtime = pipe->created_ns / NSEC_PER_SEC,
		.st_ctime = pipe->created_ns / NSEC_PER_SEC,
	};
	return 0;
}

static void pipe_free(struct pipe *pipe)
{
	for (unsigned i = 0; i < PIPE_PAGES; i++) {
		if (pipe->pages[i] != NULL)
			frame_put(pipe->pages[i]);
	}
	kfree(pipe);
}

/* An end is closed: the other learns of it, or all is freed. */
static void close_end(struct pipe *pipe, unsigned *end)
{
	bool last;

	mutex_lock(&pipe->lock);
	(*end)--;
	last = pipe->reader == 0 && pipe->writer == 0;
	if (!last && *end == 0) {
		/* Under the lock: the other end may be closed next. */
		waitq_wake_all(&pipe->readable);
		waitq_wake_all(&pipe->writable);
	}
	mutex_unlock(&pipe->lock);
	if (last)
		pipe_free(pipe);
}

static void release_read_end(struct file *file)
{
	struct pipe *pipe = file->private;

	close_end(pipe, &pipe->reader);
}

static void release_write_end(struct file *file)
{
	struct pipe *pipe = file->private;

	close_end(pipe, &pipe->writer);
}

static int reopen_pipe(struct file *old, struct file *file);

static const struct file_ops read_end_ops = {
	.read = read_pipe,
	.stat = stat_pipe,
	.ioctl = ioctl_pipe,
	.poll = poll_read_end,
	.reopen = reopen_pipe,
	.release = release_read_end,
};

static const struct file_ops write_end_ops = {
	.write = write_pipe,
	.stat = stat_pipe,
	.ioctl = ioctl_pipe,
	.poll = poll_write_end,
	.reopen = reopen_pipe,
	.release = release_write_end,
};

/* Another file of either end, through /proc/PID/fd; as on Linux it does not wait for the other. */
static int reopen_pipe(struct file *old, struct file *file)
{
	uint32_t access = atomic_load(&file->flags) & O_ACCMODE;
	struct pipe *pipe = old->private;

	if (access == O_RDWR)
		return -EINVAL;
	mutex_lock(&pipe->lock);
	if (access == O_RDONLY)
		pipe->reader++;
	else
		pipe->writer++;
	mutex_unlock(&pipe->lock);
	file->ops = access == O_RDONLY ? &read_end_ops : &write_end_ops;
	file->private = pipe;
	return 0;
}

static struct pipe *pipe_create(void)
{
	struct pipe *pipe = kzalloc(sizeof(*pipe));

	if (pipe == NULL)
		return NULL;
	mutex_init(&pipe->lock, "pipe", RANK_STREAM);
	waitq_init(&pipe->readable, "pipe reader");
	waitq_init(&pipe->writable, "pipe writer");
	pipe->reader = pipe->writer = 1;
	pipe->number = atomic_fetch_add(&last_number, 1) + 1;
	pipe->created_ns = clock_wall_ns();
	return pipe;
}

/* Both ends as open files with a reference each. */
static int pipe_open(uint32_t flags, struct file *ends[2])
{
	struct pipe *pipe = pipe_create();

	if (pipe == NULL)
		return -ENOMEM;
	ends[0] = file_create(&read_end_ops, O_RDONLY | flags);
	ends[1] = file_create(&write_end_ops, O_WRONLY | flags);
	if (ends[0] != NULL && ends[1] != NULL) {
		ends[0]->private = ends[1]->private = pipe;
		return 0;
	}
	for (unsigned i = 0; i < 2; i++) {
		if (ends[i] != NULL) {
			ends[i]->ops = NULL; /* nothing to release yet */
			file_put(ends[i]);
		}
	}
	pipe_free(pipe);
	return file_create_error();
}

static int64_t make_pipe(vaddr_t to, uint32_t flags)
{
	bool close_on_exec = (flags & O_CLOEXEC) != 0;
	struct file *ends[2];
	int fds[2], error;

	if ((flags & ~(uint32_t)(O_CLOEXEC | O_NONBLOCK)) != 0)
		return -EINVAL;
	error = pipe_open(flags & O_NONBLOCK, ends);
	if (error != 0)
		return error;
	fds[0] = files_install(current->files, ends[0], 0, close_on_exec);
	fds[1] = fds[0] < 0 ? fds[0] : files_install(current->files, ends[1], 0, close_on_exec);
	error = fds[1] < 0 ? fds[1] : copy_to_user(to, fds, sizeof(fds));
	for (unsigned i = 0; i < 2; i++) {
		struct file *mine =
			error != 0 && fds[i] >= 0 ? files_remove(current->files, fds[i]) : NULL;
		if (mine != NULL)
			file_put(mine);
		file_put(ends[i]);
	}
	return error;
}

SYSCALL1(pipe, vaddr_t, to)
{
	return make_pipe(to, 0);
}

SYSCALL2(pipe2, vaddr_t, to, uint32_t, flags)
{
	return make_pipe(to, flags);
}
