/*
 * fs/io.c - read(2), write(2), lseek(2) and their kin: from a descriptor to a file's operation.
 *
 * Seekable files are read and written under their offset lock, so that two threads on one open file
 * never get the same bytes; nothing else is held while user memory is touched.
 */
#include "fs/io.h"
#include "fs/async.h"
#include "fs/inotify.h"
#include "fs/ops.h"
#include "fs/span.h"
#include "kernel/sched.h"
#include "kernel/syscall.h"
#include "mm/user.h"
#include <asm/ioctls.h>
#include <asm/poll.h>
#include <linux/fs.h>

/* preadv2(2): all but two of them ask for nothing which is not so anyway, there being no disk. */
#define KNOWN_FLAGS (RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND)

enum direction { TO_USER, FROM_USER };

static struct file *borrow_file(int fd, enum direction direction, bool *held)
{
	return direction == TO_USER ? fd_borrow_readable(fd, held) : fd_borrow_writable(fd, held);
}

static ssize_t (*span_operation(const struct file *file,
				enum direction direction))(struct file *, struct span_cursor *)
{
	return direction == TO_USER ? file->ops->read_span : file->ops->write_span;
}

static bool appends(const struct file *file)
{
	return (atomic_load(&file->flags) & O_APPEND) != 0 || (current->io_flags & RWF_APPEND) != 0;
}

static ssize_t move(struct file *file, const struct span *span, enum direction direction,
		    loff_t *offset)
{
	ssize_t (*operation)(struct file *, vaddr_t, size_t, loff_t *) =
		direction == TO_USER ? file->ops->read : file->ops->write;
	bool stream = file->ops->seek == NULL && file->ops->poll != NULL;
	ssize_t total = 0;

	if (span_operation(file, direction) != NULL) {
		struct span_cursor cursor = span_begin(span);
		return span_operation(file, direction)(file, &cursor);
	}
	if (operation == NULL)
		return -EINVAL;
	if (direction == FROM_USER && file->ops->append != NULL && appends(file))
		return file->ops->append(file, span, offset);
	for (unsigned i = 0; i < span->count; i++) {
		const struct iovec *v = &span->vectors[i];
		ssize_t done;

		/* An empty buffer among others says nothing; a lone one asks for the errors. */
		if (v->iov_len == 0 && span->count > 1)
			continue;
		/* Who has got something is not kept waiting for more. */
		if (total > 0 && direction == TO_USER && stream &&
		    (file->ops->poll(file, NULL) & POLLIN) == 0)
			break;
		done = operation(file, (vaddr_t)v->iov_base, v->iov_len, offset);
		if (done < 0)
			return total > 0 ? total : done;
		total += done;
		if ((size_t)done < v->iov_len)
			break;
	}
	return total;
}

/*
 * At the file's own offset, or at `offset`, which advances, and the file's stays (pread(2), pwrite(2)).
 */
static ssize_t transfer_at(struct file *file, const struct span *span, enum direction direction,
			   loff_t *offset)
{
	loff_t nowhere = 0;
	ssize_t result;

	if (offset != NULL && file->ops->seek == NULL)
		return -ESPIPE;
	if (offset != NULL || file->ops->seek == NULL)
		return move(file, span, direction, offset != NULL ? offset : &nowhere);
	/* Who holds it may be waiting for the wire. */
	result = mutex_lock_killable(&file->offset_lock);
	if (result != 0)
		return result;
	result = move(file, span, direction, &file->offset);
	mutex_unlock(&file->offset_lock);
	return result;
}

/* Regular files tell of being written themselves. */
static void tell_watchers(struct file *file, enum direction direction)
{
	if (direction == TO_USER)
		inotify_file(file, IN_ACCESS);
	else if (!regular_is(file))
		inotify_file(file, IN_MODIFY);
}

static ssize_t transfer(struct file *file, const struct span *span, enum direction direction,
			const loff_t *offset)
{
	loff_t here = offset != NULL ? *offset : 0;
	ssize_t result = transfer_at(file, span, direction, offset != NULL ? &here : NULL);

	if (direction == TO_USER)
		io_count_read(result);
	else
		io_count_write(result);
	if (unlikely(inotify_is_used()) && result > 0)
		tell_watchers(file, direction);
	return result;
}

static int64_t transfer_single(int fd, vaddr_t buffer, size_t length, enum direction direction,
			       const loff_t *offset)
{
	struct file *file;
	struct span span;
	int64_t result;
	bool held;

	if (offset != NULL && *offset < 0)
		return -EINVAL;
	file = borrow_file(fd, direction, &held);
	if (file == NULL)
		return -EBADF;
	result = span_single(&span, buffer, length);
	if (result == 0)
		result = transfer(file, &span, direction, offset);
	fd_return(file, held);
	return result;
}

static int64_t transfer_vector(int fd, vaddr_t vectors, unsigned long count,
			       enum direction direction, const loff_t *offset)
{
	struct file *file;
	struct span span;
	int64_t result;
	bool held;

	if (offset != NULL && *offset < 0)
		return -EINVAL;
	file = borrow_file(fd, direction, &held);
	if (file == NULL)
		return -EBADF;
	result = span_from_user(&span, vectors, count);
	if (result == 0) {
		result = transfer(file, &span, direction, offset);
		span_free(&span);
	}
	fd_return(file, held);
	return result;
}

SYSCALL3(read, int, fd, vaddr_t, buffer, size_t, length)
{
	return transfer_single(fd, buffer, length, TO_USER, NULL);
}

SYSCALL3(write, int, fd, vaddr_t, buffer, size_t, length)
{
	return transfer_single(fd, buffer, length, FROM_USER, NULL);
}

SYSCALL4(pread64, int, fd, vaddr_t, buffer, size_t, length, loff_t, offset)
{
	return transfer_single(fd, buffer, length, TO_USER, &offset);
}

SYSCALL4(pwrite64, int, fd, vaddr_t, buffer, size_t, length, loff_t, offset)
{
	return transfer_single(fd, buffer, length, FROM_USER, &offset);
}

SYSCALL3(readv, int, fd, vaddr_t, vectors, unsigned long, count)
{
	return transfer_vector(fd, vectors, count, TO_USER, NULL);
}

SYSCALL3(writev, int, fd, vaddr_t, vectors, unsigned long, count)
{
	return transfer_vector(fd, vectors, count, FROM_USER, NULL);
}

/* The fifth argument is the high half of the offset where registers have 32 bits. */
SYSCALL4(preadv, int, fd, vaddr_t, vectors, unsigned long, count, loff_t, offset)
{
	return transfer_vector(fd, vectors, count, TO_USER, &offset);
}

SYSCALL4(pwritev, int, fd, vaddr_t, vectors, unsigned long, count, loff_t, offset)
{
	return transfer_vector(fd, vectors, count, FROM_USER, &offset);
}

/* preadv2(2) and pwritev2(2): an offset of -1 is the file's own. */
static int64_t transfer_flags(int fd, vaddr_t vectors, unsigned long count,
			      enum direction direction, loff_t offset, int flags)
{
	int64_t result;

	if ((flags & ~KNOWN_FLAGS) != 0)
		return -EOPNOTSUPP;
	current->io_flags = (uint32_t)flags;
	result = transfer_vector(fd, vectors, count, direction, offset == -1 ? NULL : &offset);
	current->io_flags = 0;
	return result;
}

SYSCALL6(preadv2, int, fd, vaddr_t, vectors, unsigned long, count, loff_t, offset, unsigned long,
	 high, int, flags)
{
	return transfer_flags(fd, vectors, count, TO_USER, offset, flags);
}

SYSCALL6(pwritev2, int, fd, vaddr_t, vectors, unsigned long, count, loff_t, offset, unsigned long,
	 high, int, flags)
{
	return transfer_flags(fd, vectors, count, FROM_USER, offset, flags);
}

ssize_t file_read_kernel(struct file *file, void *to, size_t length, loff_t *offset)
{
	struct span span;
	ssize_t result;

	user_window_open(to, length);
	span_window(&span, (vaddr_t)to, length);
	result = transfer_at(file, &span, TO_USER, offset);
	user_window_close();
	return result;
}

ssize_t file_write_kernel(struct file *file, const void *from, size_t length, loff_t *offset)
{
	struct span span;
	ssize_t result;

	user_window_open((void *)from, length);
	span_window(&span, (vaddr_t)from, length);
	result = transfer_at(file, &span, FROM_USER, offset);
	user_window_close();
	return result;
}

SYSCALL3(lseek, int, fd, loff_t, offset, int, whence)
{
	struct file *file = fd_get(fd);
	int64_t result = -ESPIPE;

	if (file == NULL || (atomic_load(&file->flags) & O_PATH) != 0) {
		result = -EBADF;
	} else if (file->ops->seeks_nowhere) {
		result = 0;
	} else if (file->ops->seek != NULL) {
		result = mutex_lock_killable(&file->offset_lock);
		if (result == 0) {
			result = file->ops->seek(file, offset, whence);
			mutex_unlock(&file->offset_lock);
		}
	}
	if (file != NULL)
		file_put(file);
	return result;
}

SYSCALL2(ftruncate, int, fd, loff_t, size)
{
	struct file *file;
	int64_t result = -EINVAL;

	if (size < 0)
		return -EINVAL;
	file = fd_get(fd);
	if (file == NULL)
		return -EBADF;
	if ((atomic_load(&file->flags) & O_PATH) != 0)
		result = -EBADF;
	else if (file->ops->truncate != NULL)
		result = file->ops->truncate(file, (uint64_t)size);
	file_put(file);
	return result;
}

/* A flag of the file's, by an ioctl's int: what is to be set, or taken away. */
static int set_flag(struct file *file, uint32_t flag, bool on)
{
	if (on)
		atomic_fetch_or(&file->flags, flag);
	else
		atomic_fetch_and(&file->flags, ~flag);
	return 0;
}

/* FIONBIO and FIOASYNC, which all files know. */
static int64_t set_mode(struct file *file, int fd, unsigned request, vaddr_t argument)
{
	int on, error = get_user(&on, argument);

	if (error != 0)
		return error;
	if (request == FIONBIO)
		return set_flag(file, O_NONBLOCK, on != 0);
	if ((on != 0) == ((atomic_load(&file->flags) & FASYNC) != 0))
		return 0;
	error = async_set(file, fd, on != 0);
	return error != 0 ? error : set_flag(file, FASYNC, on != 0);
}

SYSCALL3(ioctl, int, fd, unsigned, request, vaddr_t, argument)
{
	struct file *file = fd_get(fd);
	int64_t result = -ENOTTY;

	if (file == NULL)
		return -EBADF;
	if ((atomic_load(&file->flags) & O_PATH) != 0)
		result = -EBADF;
	else if (request == FIONBIO || request == FIOASYNC)
		result = set_mode(file, fd, request, argument);
	else if (request == FIOCLEX || request == FIONCLEX)
		result = files_set_cloexec(current->files, fd, request == FIOCLEX);
	else if (file->ops->ioctl != NULL)
		result = file->ops->ioctl(file, request, argument);
	file_put(file);
	return result;
}
