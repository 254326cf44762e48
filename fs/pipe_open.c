/*
 * fs/pipe_open.c - pipe(2), and how FIFOs are opened: who waits for whom.
 *
 * Whoever opens one end of a FIFO waits until the other has been opened, though it may be closed again
 * by then: so openings are counted, and not only the ends that are open now. A FIFO's pipe is there as
 * long as the FIFO is open; root_lock protects inode->pipe.
 */
#include "fs/file.h"
#include "fs/inode.h"
#include "fs/ops.h"
#include "fs/pipe.h"
#include "kernel/sched.h"
#include "kernel/syscall.h"
#include "mm/user.h"

static bool opens_reader(const struct file *file)
{
	return (atomic_load(&file->flags) & O_ACCMODE) != O_WRONLY;
}

static bool opens_writer(const struct file *file)
{
	return (atomic_load(&file->flags) & O_ACCMODE) != O_RDONLY;
}

/* The other side may be waiting to open, to read, or to write. */
static void wake_all(struct pipe *pipe)
{
	waitq_wake_all(&pipe->readable);
	waitq_wake_all(&pipe->writable);
}

/* `file`, with a reference counted, becomes what it opens. */
static void attach(struct file *file, struct pipe *pipe)
{
	file->private = pipe;
	mutex_lock(&pipe->lock);
	if (opens_reader(file)) {
		pipe->readers++;
		pipe->read_opens++;
	}
	if (opens_writer(file)) {
		pipe->writers++;
		pipe->write_opens++;
	}
	pipe_unlock(pipe);
	pipe_set_ops(file);
	wake_all(pipe);
}

void pipe_release(struct file *file)
{
	struct pipe *pipe = file->private;
	bool last;

	mutex_lock(&pipe->lock);
	pipe->readers -= opens_reader(file);
	pipe->writers -= opens_writer(file);
	pipe_unlock(pipe);
	wake_all(pipe);
	if (file->inode == NULL) {
		last = atomic_fetch_sub(&pipe->refs, 1) == 1;
	} else {
		mutex_lock(&root_lock);
		last = atomic_fetch_sub(&pipe->refs, 1) == 1;
		if (last)
			file->inode->pipe = NULL;
		mutex_unlock(&root_lock);
	}
	if (last)
		pipe_free(pipe);
}

/* Another file of either end, through /proc/PID/fd; as on Linux it does not wait for the other. */
int pipe_reopen(struct file *old, struct file *file)
{
	struct pipe *pipe = old->private;

	atomic_fetch_add(&pipe->refs, 1);
	attach(file, pipe);
	return 0;
}

/* --- FIFOs ---------------------------------------------------------------------------------------------- */

/* The inode's pipe with a reference counted, made if it is not open. NULL: no memory. */
static struct pipe *pipe_of_inode(struct inode *inode)
{
	struct pipe *pipe;

	mutex_lock(&root_lock);
	pipe = inode->pipe;
	if (pipe == NULL)
		pipe = inode->pipe = pipe_create();
	if (pipe != NULL)
		atomic_fetch_add(&pipe->refs, 1);
	mutex_unlock(&root_lock);
	return pipe;
}

static bool has_been_opened(struct pipe *pipe, const uint64_t *opens, uint64_t seen)
{
	mutex_lock(&pipe->lock);
	bool opened = *opens != seen;
	mutex_unlock(&pipe->lock);
	return opened;
}

int fifo_open(struct file *file)
{
	struct pipe *pipe = pipe_of_inode(file->inode);
	bool reads = opens_reader(file), writes = opens_writer(file);
	bool nonblocking = (atomic_load(&file->flags) & O_NONBLOCK) != 0;
	bool alone;
	uint64_t seen;

	if (pipe == NULL)
		return -ENOMEM;
	attach(file, pipe);
	mutex_lock(&pipe->lock);
	alone = pipe->readers == 0 || pipe->writers == 0;
	seen = reads ? pipe->write_opens : pipe->read_opens;
	file->opened = reads && alone ? seen : UINT64_MAX;
	mutex_unlock(&pipe->lock);
	/* An error leaves it to the file's release to undo this. */
	if (!alone || (nonblocking && reads))
		return 0;
	if (nonblocking)
		return -ENXIO;
	if (writes)
		return wait_event_signal(&pipe->writable,
					 has_been_opened(pipe, &pipe->read_opens, seen));
	return wait_event_signal(&pipe->readable, has_been_opened(pipe, &pipe->write_opens, seen));
}

/* --- pipe(2) -------------------------------------------------------------------------------------------- */

/* Both ends as open files with a reference each. */
static int open_both(uint32_t flags, struct file *ends[2])
{
	struct pipe *pipe = pipe_create();

	if (pipe == NULL)
		return -ENOMEM;
	ends[0] = file_create(NULL, O_RDONLY | flags);
	ends[1] = file_create(NULL, O_WRONLY | flags);
	if (ends[0] != NULL && ends[1] != NULL) {
		atomic_store(&pipe->refs, 2);
		attach(ends[0], pipe);
		attach(ends[1], pipe);
		return 0;
	}
	for (unsigned i = 0; i < 2; i++) {
		if (ends[i] != NULL)
			file_put(ends[i]);
	}
	pipe_free(pipe);
	return file_create_error();
}

static int64_t make_pipe(vaddr_t to, uint32_t flags)
{
	struct file *ends[2];
	int64_t result;

	if ((flags & ~(uint32_t)(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) != 0)
		return -EINVAL;
	result = open_both(flags & (O_NONBLOCK | O_DIRECT), ends);
	if (result != 0)
		return result;
	result = fd_install_pair(ends, to, (flags & O_CLOEXEC) != 0);
	file_put(ends[0]);
	file_put(ends[1]);
	return result;
}

SYSCALL1(pipe, vaddr_t, to)
{
	return make_pipe(to, 0);
}

SYSCALL2(pipe2, vaddr_t, to, uint32_t, flags)
{
	return make_pipe(to, flags);
}
