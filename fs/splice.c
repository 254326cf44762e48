/*
 * fs/splice.c - sendfile(2), splice(2), tee(2), vmsplice(2), copy_file_range(2): data from one file to
 * another without a trip to user memory.
 *
 * It goes through a buffer of the kernel's, a piece at a time. What a pipe holds is claimed and not taken
 * out until the other side has accepted it, and a seekable file is read at an offset that moves as far as
 * the other side has accepted; so nothing is lost where a write stops short. What is read from a socket
 * or a terminal cannot be put back: room is waited for first.
 */
#include "fs/inode.h"
#include "fs/io.h"
#include "fs/ops.h"
#include "fs/pipe.h"
#include "fs/span.h"
#include "kernel/sched.h"
#include "kernel/syscall.h"
#include "mm/slab.h"
#include "mm/user.h"

/* What is moved at a time. */
#define PIECE (16 * KIB)

/* splice(2)'s flags; no UAPI header has them. */
#define SPLICE_F_MOVE     1
#define SPLICE_F_NONBLOCK 2
#define SPLICE_F_MORE     4
#define SPLICE_F_GIFT     8
#define SPLICE_FLAGS      (SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)

/* One side of a transfer. */
struct end {
	struct file *file;
	struct pipe *pipe; /* NULL: it is none */
	loff_t *offset;    /* where in it; NULL: the file's own, or none */
};

static bool waits(const struct end *end, unsigned flags)
{
	return (flags & SPLICE_F_NONBLOCK) == 0 &&
	       (atomic_load(&end->file->flags) & O_NONBLOCK) == 0;
}

static bool is_interrupted(void)
{
	return atomic_load(&current->signal_pending) || atomic_load(&current->kill_pending);
}

static ssize_t write_end(const struct end *out, const void *from, size_t length, bool wait)
{
	struct span span;
	struct span_cursor cursor;
	ssize_t result;

	if (out->pipe == NULL)
		return file_write_kernel(out->file, from, length, out->offset);
	user_window_open((void *)from, length);
	span_window(&span, (vaddr_t)from, length);
	cursor = span_begin(&span);
	result = pipe_write(out->pipe, &cursor, wait, false);
	user_window_close();
	return result;
}

/* One piece out of a pipe. */
static ssize_t from_pipe(const struct end *in, const struct end *out, char *buffer, size_t length,
			 unsigned flags)
{
	ssize_t count = pipe_peek(in->pipe, buffer, length, waits(in, flags), true);
	ssize_t done;

	if (count <= 0)
		return count;
	done = write_end(out, buffer, (size_t)count, waits(out, flags));
	pipe_consume(in->pipe, done > 0 ? (size_t)done : 0);
	return done;
}

/* One piece out of a file that can be asked again. */
static ssize_t from_seekable(const struct end *in, const struct end *out, char *buffer,
			     size_t length, unsigned flags)
{
	loff_t offset = *in->offset;
	ssize_t count = file_read_kernel(in->file, buffer, length, &offset);

	if (count > 0)
		count = write_end(out, buffer, (size_t)count, waits(out, flags));
	if (count > 0)
		*in->offset += count;
	return count;
}

/* One piece out of something else, into a pipe. */
static ssize_t from_stream(const struct end *in, const struct end *out, char *buffer, size_t length,
			   unsigned flags)
{
	ssize_t count = pipe_wait_room(out->pipe, waits(out, flags));

	if (count > 0)
		count = file_read_kernel(in->file, buffer, MIN(length, (size_t)count), NULL);
	if (count > 0)
		count = write_end(out, buffer, (size_t)count, true);
	return count;
}

/* How much went over; an errno if nothing did. */
static ssize_t move(const struct end *in, const struct end *out, size_t length, unsigned flags)
{
	char *buffer = kalloc(MIN(MAX(length, 1u), PIECE));
	size_t done = 0;
	ssize_t count = 0;

	if (buffer == NULL)
		return -ENOMEM;
	length = MIN(length, SPAN_MAX);
	while (done < length) {
		size_t part = MIN(length - done, PIECE);

		if (in->pipe != NULL)
			count = from_pipe(in, out, buffer, part, flags);
		else if (in->offset != NULL)
			count = from_seekable(in, out, buffer, part, flags);
		else
			count = from_stream(in, out, buffer, part, flags);
		if (count <= 0)
			break;
		done += (size_t)count;
		/* Who has got something is not kept waiting for more. */
		if ((in->pipe != NULL || in->offset == NULL) && (size_t)count < part)
			break;
		if (is_interrupted())
			break;
		if (sched_needs_resched())
			sched_yield();
	}
	kfree(buffer);
	return done > 0 ? (ssize_t)done : count;
}

/* --- offsets -------------------------------------------------------------------------------------------- */

/*
 * The offset of a seekable file: the caller's, if `user` is not 0, or the file's own as it is now. One
 * that cannot seek has none: -ESPIPE if it is given one.
 */
static int begin_offset(struct end *end, vaddr_t user, loff_t *storage)
{
	int error = 0;

	if (end->pipe != NULL || end->file->ops->seek == NULL)
		return user != 0 ? -ESPIPE : 0;
	if (user != 0) {
		error = get_user(storage, user);
	} else {
		error = mutex_lock_killable(&end->file->offset_lock);
		if (error != 0)
			return error;
		*storage = end->file->offset;
		mutex_unlock(&end->file->offset_lock);
	}
	if (error == 0 && *storage < 0)
		error = -EINVAL;
	end->offset = storage;
	return error;
}

static int64_t end_offset(const struct end *end, vaddr_t user, int64_t result)
{
	int error;

	if (end->offset == NULL || result < 0)
		return result;
	if (user != 0) {
		error = put_user(user, *end->offset);
		return error != 0 ? error : result;
	}
	mutex_lock(&end->file->offset_lock);
	end->file->offset = *end->offset;
	mutex_unlock(&end->file->offset_lock);
	return result;
}

/* Both files, open for it; -EBADF. */
static int get_ends(int fd_in, int fd_out, struct end *in, struct end *out)
{
	*in = (struct end){ .file = fd_get_readable(fd_in) };
	*out = (struct end){ .file = fd_get_writable(fd_out) };
	if (in->file == NULL || out->file == NULL)
		return -EBADF;
	in->pipe = pipe_of(in->file);
	out->pipe = pipe_of(out->file);
	return 0;
}

static void put_ends(const struct end *in, const struct end *out)
{
	if (out->file != NULL)
		file_put(out->file);
	if (in->file != NULL)
		file_put(in->file);
}

static bool appends(const struct file *file)
{
	return file->ops->seek != NULL && (atomic_load(&file->flags) & O_APPEND) != 0;
}

/* --- the calls --------------------------------------------------------------------------------------------- */

SYSCALL4(sendfile, int, fd_out, int, fd_in, vaddr_t, user_offset, size_t, length)
{
	loff_t offset;
	struct end in, out;
	int64_t result = get_ends(fd_in, fd_out, &in, &out);

	if (result == 0 &&
	    (in.file->ops->seek == NULL || in.file->ops->read == NULL || appends(out.file)))
		result = -EINVAL;
	if (result == 0)
		result = begin_offset(&in, user_offset, &offset);
	if (result == 0)
		result = end_offset(&in, user_offset, move(&in, &out, length, 0));
	put_ends(&in, &out);
	return result;
}

SYSCALL6(splice, int, fd_in, vaddr_t, user_in, int, fd_out, vaddr_t, user_out, size_t, length,
	 unsigned, flags)
{
	loff_t offset_in, offset_out;
	struct end in, out;
	int64_t result;

	if ((flags & ~(unsigned)SPLICE_FLAGS) != 0)
		return -EINVAL;
	if (length == 0)
		return 0;
	result = get_ends(fd_in, fd_out, &in, &out);
	if (result == 0 &&
	    ((in.pipe == NULL && out.pipe == NULL) || in.pipe == out.pipe || appends(out.file)))
		result = -EINVAL;
	if (result == 0)
		result = begin_offset(&in, user_in, &offset_in);
	if (result == 0)
		result = begin_offset(&out, user_out, &offset_out);
	if (result == 0) {
		result = move(&in, &out, length, flags);
		result = end_offset(&in, user_in, result);
		result = end_offset(&out, user_out, result);
	}
	put_ends(&in, &out);
	return result;
}

/* At most a piece at a time: tee(2) may return less than was asked for. */
SYSCALL4(tee, int, fd_in, int, fd_out, size_t, length, unsigned, flags)
{
	struct end in, out;
	char *buffer = NULL;
	int64_t result;

	if ((flags & ~(unsigned)SPLICE_FLAGS) != 0)
		return -EINVAL;
	if (length == 0)
		return 0;
	result = get_ends(fd_in, fd_out, &in, &out);
	if (result == 0 && (in.pipe == NULL || out.pipe == NULL || in.pipe == out.pipe))
		result = -EINVAL;
	if (result == 0) {
		length = MIN(length, PIECE);
		buffer = kalloc(length);
		result = buffer != NULL ? 0 : -ENOMEM;
	}
	if (result == 0)
		result = pipe_peek(in.pipe, buffer, length, waits(&in, flags), false);
	if (result > 0)
		result = write_end(&out, buffer, (size_t)result, waits(&out, flags));
	kfree(buffer);
	put_ends(&in, &out);
	return result;
}

/* The user's pages are copied, whatever SPLICE_F_GIFT offers. */
SYSCALL4(vmsplice, int, fd, vaddr_t, vectors, unsigned long, count, unsigned, flags)
{
	struct file *file;
	struct end end;
	struct span span;
	struct span_cursor cursor;
	int64_t result = -EBADF;
	bool wait;

	if ((flags & ~(unsigned)SPLICE_FLAGS) != 0)
		return -EINVAL;
	file = fd_get(fd);
	if (file == NULL)
		return -EBADF;
	end = (struct end){ .file = file, .pipe = pipe_of(file) };
	wait = waits(&end, flags);
	if (end.pipe != NULL)
		result = span_from_user(&span, vectors, count);
	if (result == 0) {
		cursor = span_begin(&span);
		if ((atomic_load(&file->flags) & O_ACCMODE) == O_RDONLY)
			result = pipe_read(end.pipe, &cursor, wait);
		else
			result = pipe_write(end.pipe, &cursor, wait, false);
		span_free(&span);
	}
	file_put(file);
	return result;
}

/* True if the two ranges of one file overlap. */
static bool overlap(const struct end *in, const struct end *out, size_t length)
{
	uint64_t a = (uint64_t)*in->offset, b = (uint64_t)*out->offset;

	return in->file->inode == out->file->inode && a < b + length && b < a + length;
}

/* What is wrong with copying between these kinds of files. */
static int check_copy(const struct end *in, const struct end *out)
{
	if (in->file->ops->readdir != NULL || out->file->ops->readdir != NULL)
		return -EISDIR;
	if (in->file->version == NULL || out->file->version == NULL)
		return -EINVAL; /* regular files only */
	return appends(out->file) ? -EBADF : 0;
}

SYSCALL6(copy_file_range, int, fd_in, vaddr_t, user_in, int, fd_out, vaddr_t, user_out, size_t,
	 length, unsigned, flags)
{
	loff_t offset_in, offset_out;
	struct end in, out;
	int64_t result;

	if (flags != 0)
		return -EINVAL;
	length = MIN(length, SPAN_MAX);
	result = get_ends(fd_in, fd_out, &in, &out);
	if (result == 0)
		result = check_copy(&in, &out);
	if (result == 0)
		result = begin_offset(&in, user_in, &offset_in);
	if (result == 0)
		result = begin_offset(&out, user_out, &offset_out);
	if (result == 0 && overlap(&in, &out, length))
		result = -EINVAL;
	if (result == 0) {
		result = move(&in, &out, length, 0);
		result = end_offset(&in, user_in, result);
		result = end_offset(&out, user_out, result);
	}
	put_ends(&in, &out);
	return result;
}
