/*
 * fs/sync.c - what there is to say about a disk where there is none, and about labels that nothing has.
 *
 * All that is written is as safe as it gets, and what is read is in memory, or on its way from the server
 * as soon as it is asked for. Extended attributes are as on a tmpfs without them.
 */
#include "fs/attributes.h"
#include "fs/inode.h"
#include "fs/ops.h"
#include "fs/pipe.h"
#include "fs/walk.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/user.h"
#include <linux/fadvise.h>
#include <linux/xattr.h>

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

/* --- extended attributes ------------------------------------------------------------------------------ */

/* The name space is known and nothing is in it, or it is not known. */
static int no_attribute(vaddr_t user_name)
{
	char name[XATTR_NAME_MAX + 1];
	ssize_t length = copy_string_from_user(name, user_name, sizeof(name));

	if (length == -ENAMETOOLONG || length == 0)
		return -ERANGE;
	if (length < 0)
		return (int)length;
	if (strncmp(name, XATTR_SECURITY_PREFIX, XATTR_SECURITY_PREFIX_LEN) == 0 ||
	    strncmp(name, XATTR_TRUSTED_PREFIX, XATTR_TRUSTED_PREFIX_LEN) == 0)
		return -ENODATA;
	return -EOPNOTSUPP;
}

static int64_t of_path(vaddr_t path, unsigned walk_flags, vaddr_t name, bool list)
{
	struct inode *inode;
	int error = find_inode(AT_FDCWD, path, walk_flags, &inode);

	if (error == 0)
		inode_put(inode);
	if (error == 0 && !list)
		error = no_attribute(name);
	return error;
}

static int64_t of_descriptor(int fd, vaddr_t name, bool list)
{
	struct file *file;
	int error = get_file(fd, &file);

	if (error == 0)
		file_put(file);
	if (error == 0 && !list)
		error = no_attribute(name);
	return error;
}

/* Nothing can be set, though root might on Linux in some name spaces. */
static int64_t refuse(int64_t error)
{
	return error == -ENODATA ? -EOPNOTSUPP : error;
}

SYSCALL4(getxattr, vaddr_t, path, vaddr_t, name, vaddr_t, value, size_t, size)
{
	return of_path(path, 0, name, false);
}

SYSCALL4(lgetxattr, vaddr_t, path, vaddr_t, name, vaddr_t, value, size_t, size)
{
	return of_path(path, WALK_NOFOLLOW, name, false);
}

SYSCALL4(fgetxattr, int, fd, vaddr_t, name, vaddr_t, value, size_t, size)
{
	return of_descriptor(fd, name, false);
}

SYSCALL3(listxattr, vaddr_t, path, vaddr_t, list, size_t, size)
{
	return of_path(path, 0, 0, true);
}

SYSCALL3(llistxattr, vaddr_t, path, vaddr_t, list, size_t, size)
{
	return of_path(path, WALK_NOFOLLOW, 0, true);
}

SYSCALL3(flistxattr, int, fd, vaddr_t, list, size_t, size)
{
	return of_descriptor(fd, 0, true);
}

SYSCALL5(setxattr, vaddr_t, path, vaddr_t, name, vaddr_t, value, size_t, size, int, flags)
{
	return refuse(of_path(path, 0, name, false));
}

SYSCALL5(lsetxattr, vaddr_t, path, vaddr_t, name, vaddr_t, value, size_t, size, int, flags)
{
	return refuse(of_path(path, WALK_NOFOLLOW, name, false));
}

SYSCALL5(fsetxattr, int, fd, vaddr_t, name, vaddr_t, value, size_t, size, int, flags)
{
	return refuse(of_descriptor(fd, name, false));
}

SYSCALL2(removexattr, vaddr_t, path, vaddr_t, name)
{
	return of_path(path, 0, name, false);
}

SYSCALL2(lremovexattr, vaddr_t, path, vaddr_t, name)
{
	return of_path(path, WALK_NOFOLLOW, name, false);
}

SYSCALL2(fremovexattr, int, fd, vaddr_t, name)
{
	return of_descriptor(fd, name, false);
}
