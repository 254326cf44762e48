/*
 * fs/allocate.c - files' room: fallocate(2), and files that are nothing but that: memfd_create(2).
 *
 * A file's room is the frames of its version. A hole has none, and reads as zeroes; what is punched out
 * gives its frames back.
 */
#include "fs/fill.h"
#include "fs/inode.h"
#include "fs/ops.h"
#include "fs/path.h"
#include "fs/permission.h"
#include "kernel/limits.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/slab.h"
#include "mm/user.h"
#include <linux/falloc.h>
#include <linux/memfd.h>

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)

/* As /proc shows a memfd's name. */
#define MEMFD_NAME     "/memfd:%s" FILE_NAME_DELETED
#define MEMFD_NAME_MAX (NAME_MAX - (sizeof("memfd:") - 1))

/* fallocate(2): what is asked for is one of these, and a hole leaves the size alone. */
static int check_mode(int mode)
{
	if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0)
		return -EOPNOTSUPP;
	if ((mode & FALLOC_FL_PUNCH_HOLE) != 0 &&
	    mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	return 0;
}

static int check_file(const struct file *file)
{
	if (file->ops->seek == NULL)
		return -ESPIPE;
	if (file->ops->readdir != NULL)
		return -EISDIR;
	return regular_is(file) ? 0 : -ENODEV;
}

static int allocate(struct file *file, int mode, uint64_t offset, uint64_t length)
{
	uint64_t end;
	int error = check_file(file);

	if (error == 0 && (__builtin_add_overflow(offset, length, &end) || end > INT64_MAX))
		error = -EFBIG;
	if (error == 0)
		error = version_allocate(file->version, mode, offset, length,
					 limit_get(RLIMIT_FSIZE));
	if (error == -EFBIG && end <= INT64_MAX)
		error = size_check_limit(end);
	if (error == 0)
		inode_touch(file->inode);
	return error;
}

SYSCALL4(fallocate, int, fd, int, mode, loff_t, offset, loff_t, length)
{
	struct file *file;
	int error;

	if (offset < 0 || length <= 0)
		return -EINVAL;
	error = check_mode(mode);
	if (error != 0)
		return error;
	file = fd_get_writable(fd);
	if (file == NULL)
		return -EBADF;
	error = allocate(file, mode, (uint64_t)offset, (uint64_t)length);
	file_put(file);
	return error;
}

/* --- memfd_create(2) ------------------------------------------------------------------------------ */

/* Completes a file that has nothing yet; file_put() undoes what has been done. */
static int make_memfd(struct file *file, const char *name, unsigned flags)
{
	char text[NAME_MAX + sizeof(MEMFD_NAME)];
	struct version *version;
	struct inode *inode;

	inode = inode_create(S_IFREG | S_IRWXU | S_IRWXG | S_IRWXO);
	if (inode == NULL)
		return -ENOMEM;
	inode_set_owner(inode, NULL);
	file_set_inode(file, inode);
	inode_put(inode); /* the file has its own */
	(void)snprintf(text, sizeof(text), MEMFD_NAME, name);
	file->name = file_name_create(text, file->inode->number);
	if (file->name == NULL)
		return -ENOMEM;
	version = version_create_local(0);
	if (version == NULL)
		return -ENOMEM;
	if ((flags & MFD_ALLOW_SEALING) == 0)
		version->seals = F_SEAL_SEAL;
	version_get(version);
	file->inode->version = version;
	return regular_open_anonymous(file, version);
}

static int create_memfd(const char *name, unsigned flags)
{
	struct file *file = file_create(NULL, O_RDWR | O_LARGEFILE);
	int result;

	if (file == NULL)
		return file_create_error();
	result = make_memfd(file, name, flags);
	if (result == 0)
		result = files_install(current->files, file, 0, (flags & MFD_CLOEXEC) != 0);
	file_put(file);
	return result;
}

SYSCALL2(memfd_create, vaddr_t, user_name, unsigned, flags)
{
	char *name;
	ssize_t length;
	int64_t result;

	/* Without huge pages in files, a kernel that knows MFD_HUGETLB has nothing to make one of. */
	if ((flags & MFD_HUGETLB) != 0)
		return -ENOSYS;
	if ((flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING)) != 0)
		return -EINVAL;
	name = kalloc(MEMFD_NAME_MAX + 1);
	if (name == NULL)
		return -ENOMEM;
	length = copy_string_from_user(name, user_name, MEMFD_NAME_MAX + 1);
	if (length == -ENAMETOOLONG)
		result = -EINVAL;
	else
		result = length < 0 ? length : create_memfd(name, flags);
	kfree(name);
	return result;
}

/* --- seals ---------------------------------------------------------------------------------------- */

int64_t file_seals(struct file *file, int command, uint64_t argument)
{
	if (!regular_is(file))
		return -EINVAL;
	/* Nothing but a memfd that was made for it can be sealed. */
	if (!file->version->anonymous)
		return command == F_GET_SEALS ? F_SEAL_SEAL : -EPERM;
	if (command == F_GET_SEALS)
		return version_seals(file->version);
	if ((atomic_load(&file->flags) & O_ACCMODE) == O_RDONLY)
		return -EPERM;
	if ((argument & ~(uint64_t)SEALS) != 0)
		return -EINVAL;
	return version_seal(file->version, (uint32_t)argument);
}
