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
 * and what has been copied so far counts. A write of up to PIPE_BUF bytes, however many buffers it comes
 * from, counts only as a whole, so nobody's bytes come between.
 */
#include "fs/pipe.h"
#include "fs/file.h"
#include "fs/locks.h"
#include "fs/ops.h"
#include "fs/poll.h"
#include "fs/signal.h"
#include "fs/span.h"
#include "fs/stat.h"
#include "kernel/clock.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "mm/frame.h"
#include "mm/slab.h"
#include "mm/user.h"
#include <asm/ioctls.h>
#include <asm/poll.h>
#include <asm/signal.h>
#include <linux/limits.h> /* PIPE_BUF */
#include <linux/stat.h>

static _Atomic uint64_t last_number;

static const struct file_ops read_end_ops, write_end_ops, both_ends_ops;

/* --- the ring; lock held ----------------------------------------------------------------------------- */

static size_t capacity(const struct pipe *pipe)
{
	return pipe->page_count * PAGE_SIZE;
}

static size_t used(const struct pipe *pipe)
{
	return pipe->head - pipe->tail;
}

static size_t room(const struct pipe *pipe)
{
	return capacity(pipe) - used(pipe);
}

static struct frame **page_of(struct pipe *pipe, uint64_t position)
{
	return &pipe->pages[(position >> PAGE_SHIFT) % pipe->page_count];
}

/* Where the byte at `position` is, and how many follow it in its page. */
static char *at(struct pipe *pipe, uint64_t position, size_t *length)
{
	*length = PAGE_SIZE - (position & PAGE_MASK);
	return (char *)frame_data(*page_of(pipe, position)) + (position & PAGE_MASK);
}

/* The page that ends at `end` has been read; the head may have come round to it already. */
static void drop_page(struct pipe *pipe, uint64_t end)
{
	struct frame **page = page_of(pipe, end - 1);

	if (*page == NULL || pipe->head > end - PAGE_SIZE + capacity(pipe))
		return;
	frame_put(*page);
	*page = NULL;
}

/* Takes bytes out that have been copied, and lets go of the pages that only they were in. */
static void take_out(struct pipe *pipe, size_t count)
{
	uint64_t end = ALIGN_DOWN(pipe->tail, PAGE_SIZE) + PAGE_SIZE;

	pipe->tail += count;
	for (; end <= pipe->tail; end += PAGE_SIZE)
		drop_page(pipe, end);
	/* Empty, it begins at the start of a page, so that one page serves small messages. */
	if (used(pipe) == 0)
		pipe->tail = pipe->head = ALIGN_DOWN(pipe->tail, PAGE_SIZE);
}

void pipe_unlock(struct pipe *pipe)
{
	unsigned ready = 0;

	if (used(pipe) > 0 && !pipe->claimed)
		ready |= POLLIN | POLLRDNORM;
	if (room(pipe) >= PIPE_BUF)
		ready |= POLLOUT | POLLWRNORM;
	if (pipe->writers == 0)
		ready |= POLLHUP;
	if (pipe->readers == 0)
		ready |= POLLERR;
	atomic_store_explicit(&pipe->ready, ready, memory_order_relaxed);
	mutex_unlock(&pipe->lock);
}

static bool have_page(struct pipe *pipe, uint64_t position)
{
	struct frame **page = page_of(pipe, position);

	if (*page == NULL)
		*page = frame_alloc(FRAME_KERNEL, 0, 0);
	return *page != NULL;
}

/*
 * Copies up to `length` bytes behind the head, which stays. How many; fewer than there is room for if a
 * page of the user's is missing, or one of ours: `*starved`.
 */
static size_t fill(struct pipe *pipe, struct span_cursor *from, size_t length, bool *starved)
{
	size_t done = 0;

	*starved = false;
	length = MIN(length, room(pipe));
	while (done < length) {
		size_t part, copied;
		char *to;

		if (!have_page(pipe, pipe->head + done)) {
			*starved = true;
			break;
		}
		to = at(pipe, pipe->head + done, &part);
		part = MIN(part, length - done);
		copied = span_take_nofault(from, to, part);
		done += copied;
		if (copied < part)
			break;
	}
	return done;
}

/* Copies up to `length` bytes to user memory and takes them out. */
static size_t drain(struct pipe *pipe, struct span_cursor *to, size_t length)
{
	size_t done = 0;

	length = MIN(length, used(pipe));
	while (done < length) {
		size_t part, copied;
		const char *from = at(pipe, pipe->tail + done, &part);

		part = MIN(part, length - done);
		copied = span_give_nofault(to, from, part);
		done += copied;
		if (copied < part)
			break;
	}
	take_out(pipe, done);
	return done;
}

/* --- reading -------------------------------------------------------------------------------------------- */

static bool is_readable(struct pipe *pipe)
{
	mutex_lock(&pipe->lock);
	bool readable = !pipe->claimed && (used(pipe) > 0 || pipe->writers == 0);
	mutex_unlock(&pipe->lock);
	return readable;
}

ssize_t pipe_read(struct pipe *pipe, struct span_cursor *to, bool wait)
{
	size_t done = 0;
	int error;

	if (to->left == 0)
		return 0;
	for (;;) {
		size_t part = 0;
		bool more, end;

		mutex_lock(&pipe->lock);
		if (!pipe->claimed)
			part = drain(pipe, to, to->left);
		more = !pipe->claimed && used(pipe) > 0;
		end = !pipe->claimed && pipe->writers == 0;
		pipe_unlock(pipe);
		done += part;
		if (part > 0)
			waitq_wake_all(&pipe->writable);
		if (to->left == 0 || (done > 0 && !more))
			return (ssize_t)done;
		/* There is more, and no page to put it in; or nothing at all. */
		if (more)
			error = span_fault_in(to, 1, true);
		else if (end)
			return 0;
		else if (!wait)
			return -EAGAIN;
		else
			error = wait_event_signal(&pipe->readable, is_readable(pipe));
		if (error != 0)
			return done > 0 ? (ssize_t)done : error;
	}
}

static ssize_t read_pipe(struct file *file, struct span_cursor *to)
{
	return pipe_read(file->private, to, file_may_wait(file));
}

/* --- writing -------------------------------------------------------------------------------------------- */

/* Room for `needed` bytes, or nobody to read them. */
static bool is_writable(struct pipe *pipe, size_t needed)
{
	mutex_lock(&pipe->lock);
	bool writable = room(pipe) >= needed || pipe->readers == 0;
	mutex_unlock(&pipe->lock);
	return writable;
}

/* What one attempt at writing came to. */
struct attempt {
	size_t written;
	bool broken, full, starved;
};

/* `atomic`: all of it or nothing. */
static struct attempt try_write(struct pipe *pipe, struct span_cursor *from, bool atomic)
{
	struct attempt result = { 0 };
	struct span_cursor start = *from;
	size_t needed = atomic ? from->left : 1;

	mutex_lock(&pipe->lock);
	if (pipe->readers == 0) {
		result.broken = true;
	} else if (room(pipe) < needed) {
		result.full = true;
	} else {
		size_t copied = fill(pipe, from, from->left, &result.starved);
		if (!atomic || from->left == 0)
			result.written = copied;
		else
			*from = start;
		pipe->head += result.written;
	}
	pipe_unlock(pipe);
	return result;
}

/* Waits for what the attempt lacked. */
static int provide(struct pipe *pipe, const struct attempt *lack, const struct span_cursor *from,
		   bool atomic, bool wait, bool *reclaimed)
{
	size_t needed = atomic ? from->left : 1;

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
		return span_fault_in(from, needed, false);
	if (!wait)
		return -EAGAIN;
	return wait_event_signal(&pipe->writable, is_writable(pipe, needed));
}

ssize_t pipe_write(struct pipe *pipe, struct span_cursor *from, bool wait)
{
	bool atomic = from->left <= PIPE_BUF, reclaimed = false;
	size_t done = 0;
	int error = 0;

	while (from->left > 0 && error == 0) {
		struct attempt result = try_write(pipe, from, atomic);

		if (result.written > 0) {
			done += result.written;
			waitq_wake_all(&pipe->readable);
		} else {
			error = provide(pipe, &result, from, atomic, wait, &reclaimed);
		}
	}
	return done > 0 ? (ssize_t)done : error;
}

static ssize_t write_pipe(struct file *file, struct span_cursor *from)
{
	return pipe_write(file->private, from, file_may_wait(file));
}

ssize_t pipe_wait_room(struct pipe *pipe, bool wait)
{
	for (;;) {
		size_t free;
		bool broken;
		int error;

		mutex_lock(&pipe->lock);
		free = room(pipe);
		broken = pipe->readers == 0;
		mutex_unlock(&pipe->lock);
		if (broken) {
			signal_self(SIGPIPE);
			return -EPIPE;
		}
		if (free > 0)
			return (ssize_t)free;
		if (!wait)
			return -EAGAIN;
		error = wait_event_signal(&pipe->writable, is_writable(pipe, 1));
		if (error != 0)
			return error;
	}
}

/* --- for splice(2) ----------------------------------------------------------------------------------------- */

/* Copies bytes from the front, which stay; lock held. */
static void copy_front(struct pipe *pipe, char *to, size_t length)
{
	size_t done = 0, part;

	while (done < length) {
		const char *from = at(pipe, pipe->tail + done, &part);
		part = MIN(part, length - done);
		memcpy(to + done, from, part);
		done += part;
	}
}

ssize_t pipe_peek(struct pipe *pipe, void *to, size_t length, bool wait, bool claim)
{
	for (;;) {
		size_t count;
		bool end;
		int error;

		mutex_lock(&pipe->lock);
		end = pipe->writers == 0 && !pipe->claimed;
		count = pipe->claimed ? 0 : MIN(length, used(pipe));
		copy_front(pipe, to, count);
		pipe->claimed = pipe->claimed || (claim && count > 0);
		pipe_unlock(pipe);
		if (count > 0 || end || length == 0)
			return (ssize_t)count;
		if (!wait)
			return -EAGAIN;
		error = wait_event_signal(&pipe->readable, is_readable(pipe));
		if (error != 0)
			return error;
	}
}

void pipe_consume(struct pipe *pipe, size_t count)
{
	mutex_lock(&pipe->lock);
	take_out(pipe, count);
	pipe->claimed = false;
	pipe_unlock(pipe);
	waitq_wake_all(&pipe->writable);
	waitq_wake_all(&pipe->readable);
}

/* --- its size ------------------------------------------------------------------------------------------------ */

static bool has_pipe_ops(const struct file *file)
{
	return file->ops == &read_end_ops || file->ops == &write_end_ops ||
	       file->ops == &both_ends_ops;
}

struct pipe *pipe_of(struct file *file)
{
	return has_pipe_ops(file) ? file->private : NULL;
}

int64_t pipe_get_size(struct file *file)
{
	struct pipe *pipe = pipe_of(file);

	if (pipe == NULL)
		return -EBADF;
	mutex_lock(&pipe->lock);
	int64_t size = (int64_t)capacity(pipe);
	mutex_unlock(&pipe->lock);
	return size;
}

static void free_pages(struct frame **pages, unsigned count)
{
	for (unsigned i = 0; pages != NULL && i < count; i++) {
		if (pages[i] != NULL)
			frame_put(pages[i]);
	}
	kfree(pages);
}

/* Pages for a ring of `count`, of which the first hold `bytes` bytes. NULL: no memory. */
static struct frame **make_pages(unsigned count, size_t bytes)
{
	struct frame **pages = kzalloc(count * sizeof(struct frame *));

	for (unsigned i = 0; pages != NULL && i < DIV_ROUND_UP(bytes, PAGE_SIZE); i++) {
		pages[i] = frame_alloc(FRAME_KERNEL, 0, 0);
		if (pages[i] == NULL) {
			free_pages(pages, count);
			return NULL;
		}
	}
	return pages;
}

/* What is in it moves to the start of a new ring. Lock held. -EBUSY, -ENOMEM. */
static int resize(struct pipe *pipe, unsigned count)
{
	struct frame **pages, **old = pipe->pages;
	size_t bytes = used(pipe), part;

	if (bytes > count * PAGE_SIZE || pipe->claimed)
		return -EBUSY;
	pages = make_pages(count, bytes);
	if (pages == NULL)
		return -ENOMEM;
	for (size_t done = 0; done < bytes; done += part) {
		part = MIN(PAGE_SIZE, bytes - done);
		char *to = frame_data(pages[done >> PAGE_SHIFT]);
		for (size_t copied = 0, piece; copied < part; copied += piece) {
			const char *from = at(pipe, pipe->tail + done + copied, &piece);
			piece = MIN(piece, part - copied);
			memcpy(to + copied, from, piece);
		}
	}
	free_pages(old, pipe->page_count);
	pipe->pages = pages;
	pipe->page_count = count;
	pipe->tail = 0;
	pipe->head = bytes;
	return 0;
}

int64_t pipe_set_size(struct file *file, uint64_t size)
{
	struct pipe *pipe = pipe_of(file);
	unsigned count = 1;
	int error;

	if (pipe == NULL)
		return -EBADF;
	if (size > INT32_MAX)
		return -EINVAL;
	while (count * PAGE_SIZE < size)
		count *= 2;
	if (count > PIPE_PAGES_MAX)
		return -EPERM;
	mutex_lock(&pipe->lock);
	error = resize(pipe, count);
	pipe_unlock(pipe);
	waitq_wake_all(&pipe->writable);
	return error != 0 ? error : (int64_t)(count * PAGE_SIZE);
}

/* --- the rest -------------------------------------------------------------------------------------------- */

static void watch_pipe(struct pipe *pipe, uint32_t access, struct poll_table *table)
{
	if (access != O_WRONLY)
		poll_wait(table, &pipe->readable);
	if (access != O_RDONLY)
		poll_wait(table, &pipe->writable);
}

/*
 * Where nobody has written yet since a FIFO was opened (file->opened), it has not been hung up either:
 * fifo(7)'s readers that do not wait would spin in poll(2).
 */
static unsigned hang_up(struct file *file, struct pipe *pipe)
{
	mutex_lock(&pipe->lock);
	bool hung_up = pipe->writers == 0 && file->opened != pipe->write_opens;
	mutex_unlock(&pipe->lock);
	return hung_up ? POLLHUP : 0;
}

static unsigned poll_pipe(struct file *file, struct poll_table *table)
{
	struct pipe *pipe = file->private;
	uint32_t access = atomic_load(&file->flags) & O_ACCMODE;
	unsigned ready, mask;

	if (unlikely(table != NULL))
		watch_pipe(pipe, access, table);
	ready = atomic_load(&pipe->ready);
	mask = access != O_WRONLY ? POLLIN | POLLRDNORM : 0;
	if (access != O_RDONLY)
		mask |= POLLOUT | POLLWRNORM | POLLERR;
	if (likely((ready & POLLHUP) == 0 || access == O_WRONLY))
		return ready & mask;
	return (ready & mask) | hang_up(file, pipe);
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

	if (file->inode != NULL)
		return stat_inode_file(file, out);
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

static const struct file_ops read_end_ops = {
	.read_span = read_pipe,
	.stat = stat_pipe,
	.ioctl = ioctl_pipe,
	.poll = poll_pipe,
	.async = ASYNC_EACH,
	.release = pipe_release,
	.reopen = pipe_reopen,
};

static const struct file_ops write_end_ops = {
	.write_span = write_pipe,
	.stat = stat_pipe,
	.ioctl = ioctl_pipe,
	.poll = poll_pipe,
	.async = ASYNC_EACH,
	.release = pipe_release,
	.reopen = pipe_reopen,
};

static const struct file_ops both_ends_ops = {
	.read_span = read_pipe,
	.write_span = write_pipe,
	.stat = stat_pipe,
	.ioctl = ioctl_pipe,
	.poll = poll_pipe,
	.async = ASYNC_EACH,
	.release = pipe_release,
	.reopen = pipe_reopen,
};

void pipe_set_ops(struct file *file)
{
	switch (atomic_load(&file->flags) & O_ACCMODE) {
	case O_RDONLY:
		file->ops = &read_end_ops;
		break;
	case O_WRONLY:
		file->ops = &write_end_ops;
		break;
	default:
		file->ops = &both_ends_ops;
		break;
	}
}

void pipe_free(struct pipe *pipe)
{
	free_pages(pipe->pages, pipe->page_count);
	lock_set_free(atomic_load(&pipe->locks));
	kfree(pipe);
}

struct pipe *pipe_create(void)
{
	struct pipe *pipe = kzalloc(sizeof(*pipe));

	if (pipe == NULL)
		return NULL;
	pipe->page_count = PIPE_PAGES;
	pipe->pages = make_pages(PIPE_PAGES, 0);
	if (pipe->pages == NULL) {
		kfree(pipe);
		return NULL;
	}
	mutex_init(&pipe->lock, "pipe", RANK_STREAM);
	waitq_init(&pipe->readable, "pipe reader");
	waitq_init(&pipe->writable, "pipe writer");
	pipe->number = atomic_fetch_add(&last_number, 1) + 1;
	pipe->created_ns = clock_wall_ns();
	return pipe;
}
