/*
 * fs/pipe_file.c - the ends of pipes as open files.
 */
#include "fs/file.h"
#include "fs/locks.h"
#include "fs/ops.h"
#include "fs/pipe.h"
#include "fs/poll.h"
#include "fs/stat.h"
#include "kernel/clock.h"
#include "mm/user.h"
#include <asm/ioctls.h>
#include <asm/poll.h>
#include <linux/stat.h>

static const struct file_ops read_end_ops, write_end_ops, both_ends_ops;

static ssize_t read_pipe(struct file *file, struct span_cursor *to)
{
	return pipe_read(file->private, to, file_may_wait(file));
}

static ssize_t write_pipe(struct file *file, struct span_cursor *from)
{
	bool packets = (atomic_load(&file->flags) & O_DIRECT) != 0;

	return pipe_write(file->private, from, file_may_wait(file), packets);
}

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
	count = (int)(pipe->head - pipe->tail);
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

/* --- fcntl(2) ------------------------------------------------------------------------------------- */

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
	int64_t size = (int64_t)(pipe->page_count * PAGE_SIZE);
	mutex_unlock(&pipe->lock);
	return size;
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
	error = pipe_resize(pipe, count);
	return error != 0 ? error : (int64_t)(count * PAGE_SIZE);
}
