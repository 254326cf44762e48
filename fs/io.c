/*
 * fs/io.c - read(2), write(2), lseek(2) and their kin: from a descriptor to a file's operation.
 *
 * Seekable files are read and written under their offset lock, so that two threads on one open file
 * never get the same bytes; nothing else is held while user memory is touched.
 */
#include "fs/ops.h"
#include "kernel/sched.h"
#include "kernel/syscall.h"
#include "mm/slab.h"
#include "mm/user.h"
#include <asm/ioctls.h>
#include <asm/poll.h>
#include <linux/uio.h>

/* The most that one call moves; Linux's MAX_RW_COUNT, read(2). */
#define TRANSFER_MAX ((size_t)INT32_MAX & ~PAGE_MASK)

enum direction { TO_USER, FROM_USER };

/* A user's buffers: one, or a vector of them. */
struct span {
	struct iovec *vectors; /* `local` or kalloc()ed */
	unsigned count;
	struct iovec local[UIO_FASTIOV];
};

static struct file *get_file(int fd, enum direction direction)
{
	return direction == TO_USER ? fd_get_readable(fd) : fd_get_writable(fd);
}

static void span_free(struct span *span)
{
	if (span->vectors != span->local)
		kfree(span->vectors);
}

static int span_single(struct span *span, vaddr_t address, size_t length)
{
	if (!user_range_ok(address, length))
		return -EFAULT;
	span->local[0] =
		(struct iovec){ .iov_base = (void *)address, .iov_len = MIN(length, TRANSFER_MAX) };
	span->vectors = span->local;
	span->count = 1;
	return 0;
}

/* readv(2): lengths that are negative, or whose sum is, are EINVAL; the sum is cut. */
static int span_from_user(struct span *span, vaddr_t user, unsigned long count)
{
	size_t total = 0;
	int error;

	if (count > UIO_MAXIOV)
		return -EINVAL;
	span->vectors = span->local;
	span->count = (unsigned)count;
	if (count > UIO_FASTIOV) {
		span->vectors = kalloc(count * sizeof(struct iovec));
		if (span->vectors == NULL)
			return -ENOMEM;
	}
	error = copy_from_user(span->vectors, user, count * sizeof(struct iovec));
	for (unsigned i = 0; i < span->count && error == 0; i++) {
		struct iovec *v = &span->vectors[i];
		if ((ssize_t)v->iov_len < 0)
			error = -EINVAL;
		else if (!user_range_ok((vaddr_t)v->iov_base, v->iov_len))
			error = -EFAULT;
		else
			v->iov_len = MIN((size_t)v->iov_len, TRANSFER_MAX - total);
		total += v->iov_len;
	}
	if (error != 0)
		span_free(span);
	return error;
}

static ssize_t move(struct file *file, const struct span *span, enum direction direction,
		    loff_t *offset)
{
	ssize_t (*operation)(struct file *, vaddr_t, size_t, loff_t *) =
		direction == TO_USER ? file->ops->read : file->ops->write;
	bool stream = file->ops->seek == NULL && file->ops->poll != NULL;
	ssize_t total = 0;

	if (operation == NULL)
		return -EINVAL;
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

/* At the file's own offset, or at one of the caller's (pread(2), pwrite(2)), and the file's stays. */
static ssize_t transfer(struct file *file, const struct span *span, enum direction direction,
			const loff_t *offset)
{
	loff_t at = offset != NULL ? *offset : 0;
	ssize_t result;

	if (offset != NULL && file->ops->seek == NULL)
		return -ESPIPE;
	if (offset != NULL || file->ops->seek == NULL)
		return move(file, span, direction, &at);
	/* Who holds it may be waiting for the wire. */
	result = mutex_lock_killable(&file->offset_lock);
	if (result != 0)
		return result;
	result = move(file, span, direction, &file->offset);
	mutex_unlock(&file->offset_lock);
	return result;
}

static int64_t transfer_single(int fd, vaddr_t buffer, size_t length, enum direction direction,
			       const loff_t *offset)
{
	struct file *file;
	struct span span;
	int64_t result;

	if (offset != NULL && *offset < 0)
		return -EINVAL;
	file = get_file(fd, direction);
	if (file == NULL)
		return -EBADF;
	result = span_single(&span, buffer, length);
	if (result == 0)
		result = transfer(file, &span, direction, offset);
	file_put(file);
	return result;
}

static int64_t transfer_vector(int fd, vaddr_t vectors, unsigned long count,
			       enum direction direction, const loff_t *offset)
{
	struct file *file;
	struct span span;
	int64_t result;

	if (offset != NULL && *offset < 0)
		return -EINVAL;
	file = get_file(fd, direction);
	if (file == NULL)
		return -EBADF;
	result = span_from_user(&span, vectors, count);
	if (result == 0) {
		result = transfer(file, &span, direction, offset);
		span_free(&span);
	}
	file_put(file);
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

SYSCALL3(lseek, int, fd, loff_t, offset, int, whence)
{
	struct file *file = fd_get(fd);
	int64_t result = -ESPIPE;

	if (file == NULL || (atomic_load(&file->flags) & O_PATH) != 0) {
		result = -EBADF;
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

SYSCALL3(ioctl, int, fd, unsigned, request, vaddr_t, argument)
{
	struct file *file = fd_get(fd);
	int64_t result = -ENOTTY;
	uint32_t flags;
	int on;

	if (file == NULL)
		return -EBADF;
	flags = atomic_load(&file->flags);
	if ((flags & O_PATH) != 0) {
		result = -EBADF;
	} else if (request == FIONBIO) {
		result = get_user(&on, argument);
		if (result == 0 && on != 0)
			atomic_fetch_or(&file->flags, O_NONBLOCK);
		else if (result == 0)
			atomic_fetch_and(&file->flags, ~(uint32_t)O_NONBLOCK);
	} else if (request == FIOCLEX || request == FIONCLEX) {
		result = files_set_cloexec(current->files, fd, request == FIOCLEX);
	} else if (file->ops->ioctl != NULL) {
		result = file->ops->ioctl(file, request, argument);
	}
	file_put(file);
	return result;
}
