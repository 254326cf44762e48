/*
 * fs/sync.c - what there is to say about a disk where there is none.
 *
 * All that is written is as safe as it gets, and what is read is in memory, or on its way from the server
 * as soon as it is asked for.
 */
#include "fs/inode.h"
#include "fs/ops.h"
#include "fs/pipe.h"
#include "kernel/syscall.h"
#include <linux/fadvise.h>

/* The descriptor's file, with a reference, if it is one that can be read or written. */
static int get_file(int fd, struct file **out)
{
	*out = fd_get(fd);
	if (*out == NULL)
		return -EBADF;
	if ((atomic_load(&(*out)->flags) & O_PATH) != 0) {
		file_put(*out);
		return -EBADF;
	}
	return 0;
}

SYSCALL0(sync)
{
	return 0;
}

SYSCALL1(syncfs, int, fd)
{
	struct file *file;
	int error = get_file(fd, &file);

	if (error == 0)
		file_put(file);
	return error;
}

/* fsync(2) and kin, of what has an inode and could be on a disk. */
static int sync_file(int fd)
{
	struct file *file;
	int error = get_file(fd, &file);

	if (error != 0)
		return error;
	if (file->inode == NULL || file->ops->seek == NULL)
		error = -EINVAL;
	file_put(file);
	return error;
}

SYSCALL1(fsync, int, fd)
{
	return sync_file(fd);
}

SYSCALL1(fdatasync, int, fd)
{
	return sync_file(fd);
}

SYSCALL4(sync_file_range, int, fd, loff_t, offset, loff_t, length, unsigned, flags)
{
	const unsigned known =
		SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
	loff_t end;
	struct file *file;
	int error = get_file(fd, &file);

	if (error != 0)
		return error;
	if ((flags & ~known) != 0 || offset < 0 || length < 0 ||
	    __builtin_add_overflow(offset, length, &end))
		error = -EINVAL;
	else if (file->ops->seek == NULL)
		error = -ESPIPE;
	file_put(file);
	return error;
}

SYSCALL4(fadvise64, int, fd, loff_t, offset, loff_t, length, int, advice)
{
	struct file *file;
	int error = get_file(fd, &file);

	if (error != 0)
		return error;
	if (pipe_of(file) != NULL)
		error = -ESPIPE;
	else if (length < 0 || advice < POSIX_FADV_NORMAL || advice > POSIX_FADV_NOREUSE)
		error = -EINVAL;
	file_put(file);
	return error;
}

SYSCALL3(readahead, int, fd, loff_t, offset, size_t, count)
{
	struct file *file = fd_get_readable(fd);
	int error = 0;

	if (file == NULL)
		return -EBADF;
	if (file->inode == NULL || !S_ISREG(file->inode->mode) || file->inode->is_synthetic)
		error = -EINVAL;
	file_put(file);
	return error;
}
