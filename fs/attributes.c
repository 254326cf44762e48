/*
 * fs/attributes.c - modes, owners, times, sizes; what links say; the working directory and umask.
 */
#include "fs/inode.h"
#include "fs/ops.h"
#include "fs/path.h"
#include "fs/synthetic.h"
#include "fs/walk.h"
#include "kernel/clock.h"
#include "kernel/limits.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/slab.h"
#include "mm/user.h"
#include <linux/time_types.h>

#define MODE_PERMISSIONS (S_ISUID | S_ISGID | S_ISVTX | S_IRWXU | S_IRWXG | S_IRWXO)
#define UMASK_BITS       (S_IRWXU | S_IRWXG | S_IRWXO)

/* utimensat(2); no UAPI header has these. */
#define UTIME_NOW  ((1L << 30) - 1L)
#define UTIME_OMIT ((1L << 30) - 2L)

/* chown(2): this owner stays as it is. */
#define ID_KEEP UINT32_MAX

/* The inode of a path, or of a descriptor if the path is NULL, with a reference. */
static int find_inode(int dirfd, vaddr_t user_path, unsigned flags, struct inode **out)
{
	struct place place;
	char *path;
	int error = path_from_user(user_path, &path);

	if (error != 0)
		return error;
	error = walk_find(dirfd, path, flags, FRESH_STAT, &place);
	if (error == 0) {
		inode_get(place.inode);
		*out = place.inode;
	}
	place_put(&place);
	kfree(path);
	return error;
}

static int find_descriptor(int fd, struct inode **out)
{
	struct file *file = fd_get(fd);
	int error = 0;

	if (file == NULL)
		return -EBADF;
	if (file->inode == NULL || (atomic_load(&file->flags) & O_PATH) != 0)
		error = -EBADF;
	if (error == 0) {
		inode_get(file->inode);
		*out = file->inode;
	}
	file_put(file);
	return error;
}

/* --- modes and owners ---------------------------------------------------------------------------------- */

static int64_t change_mode(int error, struct inode *inode, uint32_t mode)
{
	if (error != 0)
		return error;
	mutex_lock(&root_lock);
	if (S_ISLNK(inode->mode)) {
		error = -EOPNOTSUPP;
	} else {
		inode->mode = (inode->mode & S_IFMT) | (mode & MODE_PERMISSIONS);
		inode->changed_ns = clock_wall_ns();
	}
	mutex_unlock(&root_lock);
	inode_put(inode);
	return error;
}

SYSCALL2(chmod, vaddr_t, path, uint32_t, mode)
{
	struct inode *inode = NULL;
	int error = find_inode(AT_FDCWD, path, 0, &inode);

	return change_mode(error, inode, mode);
}

SYSCALL2(fchmod, int, fd, uint32_t, mode)
{
	struct inode *inode = NULL;
	int error = find_descriptor(fd, &inode);

	return change_mode(error, inode, mode);
}

SYSCALL3(fchmodat, int, dirfd, vaddr_t, path, uint32_t, mode)
{
	struct inode *inode = NULL;
	int error = find_inode(dirfd, path, 0, &inode);

	return change_mode(error, inode, mode);
}

static int64_t change_owner(int error, struct inode *inode, uint32_t uid, uint32_t gid)
{
	if (error != 0)
		return error;
	mutex_lock(&root_lock);
	if (uid != ID_KEEP)
		inode->uid = uid;
	if (gid != ID_KEEP)
		inode->gid = gid;
	inode->changed_ns = clock_wall_ns();
	mutex_unlock(&root_lock);
	inode_put(inode);
	return 0;
}

SYSCALL3(chown, vaddr_t, path, uint32_t, uid, uint32_t, gid)
{
	struct inode *inode = NULL;
	int error = find_inode(AT_FDCWD, path, 0, &inode);

	return change_owner(error, inode, uid, gid);
}

SYSCALL3(lchown, vaddr_t, path, uint32_t, uid, uint32_t, gid)
{
	struct inode *inode = NULL;
	int error = find_inode(AT_FDCWD, path, WALK_NOFOLLOW, &inode);

	return change_owner(error, inode, uid, gid);
}

SYSCALL3(fchown, int, fd, uint32_t, uid, uint32_t, gid)
{
	struct inode *inode = NULL;
	int error = find_descriptor(fd, &inode);

	return change_owner(error, inode, uid, gid);
}

SYSCALL5(fchownat, int, dirfd, vaddr_t, path, uint32_t, uid, uint32_t, gid, int, flags)
{
	unsigned walk_flags = ((flags & AT_SYMLINK_NOFOLLOW) != 0 ? WALK_NOFOLLOW : 0) |
			      ((flags & AT_EMPTY_PATH) != 0 ? WALK_EMPTY : 0);
	struct inode *inode = NULL;
	int error;

	if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0)
		return -EINVAL;
	error = find_inode(dirfd, path, walk_flags, &inode);
	return change_owner(error, inode, uid, gid);
}

/* --- times ------------------------------------------------------------------------------------------------ */

/* One of utimensat(2)'s two times; `*keep` if it is to stay. */
static int read_time(const struct __kernel_timespec *ts, uint64_t now_ns, uint64_t *ns, bool *keep)
{
	*keep = ts->tv_nsec == UTIME_OMIT;
	*ns = now_ns;
	if (*keep || ts->tv_nsec == UTIME_NOW)
		return 0;
	if (ts->tv_nsec < 0 || ts->tv_nsec >= (long long)NSEC_PER_SEC)
		return -EINVAL;
	if (ts->tv_sec < 0 || (uint64_t)ts->tv_sec > UINT64_MAX / NSEC_PER_SEC - 1)
		return -EINVAL;
	*ns = (uint64_t)ts->tv_sec * NSEC_PER_SEC + (uint64_t)ts->tv_nsec;
	return 0;
}

SYSCALL4(utimensat, int, dirfd, vaddr_t, path, vaddr_t, times, int, flags)
{
	struct __kernel_timespec ts[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_NOW } };
	unsigned walk_flags = ((flags & AT_SYMLINK_NOFOLLOW) != 0 ? WALK_NOFOLLOW : 0) |
			      ((flags & AT_EMPTY_PATH) != 0 ? WALK_EMPTY : 0);
	uint64_t now_ns = clock_wall_ns(), accessed_ns, modified_ns;
	bool keep_accessed, keep_modified;
	struct inode *inode;
	int error = 0;

	if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0)
		return -EINVAL;
	if (times != 0)
		error = copy_from_user(ts, times, sizeof(ts));
	if (error == 0)
		error = read_time(&ts[0], now_ns, &accessed_ns, &keep_accessed);
	if (error == 0)
		error = read_time(&ts[1], now_ns, &modified_ns, &keep_modified);
	/* As Linux: no path means the descriptor itself (futimens(3)). */
	if (error == 0)
		error = path == 0 ? find_descriptor(dirfd, &inode)
				  : find_inode(dirfd, path, walk_flags, &inode);
	if (error != 0)
		return error;
	mutex_lock(&root_lock);
	if (!keep_accessed)
		inode->accessed_ns = accessed_ns;
	if (!keep_modified)
		inode->modified_ns = modified_ns;
	inode->changed_ns = now_ns;
	mutex_unlock(&root_lock);
	inode_put(inode);
	return 0;
}

/* --- sizes --------------------------------------------------------------------------------------------------- */

SYSCALL2(truncate, vaddr_t, path, loff_t, size)
{
	struct version *version;
	struct inode *inode;
	int error;

	if (size < 0)
		return -EINVAL;
	error = size_check_limit((uint64_t)size);
	if (error != 0)
		return error;
	error = find_inode(AT_FDCWD, path, 0, &inode);
	if (error != 0)
		return error;
	if (S_ISDIR(inode->mode)) {
		error = -EISDIR;
	} else if (!S_ISREG(inode->mode) || inode->is_synthetic) {
		error = -EINVAL;
	} else {
		error = inode_writable(inode, size == 0, &version);
		if (error == 0) {
			error = version_resize(version, (uint64_t)size);
			version_end_write(version);
			version_put(version);
			inode_touch(inode);
		}
	}
	inode_put(inode);
	return error;
}

/* --- links ------------------------------------------------------------------------------------------------------ */

static int64_t read_link(int dirfd, vaddr_t user_path, vaddr_t to, int size)
{
	struct text text = { 0 };
	struct inode *inode;
	const char *target;
	size_t length;
	int error;

	if (size <= 0)
		return -EINVAL;
	error = find_inode(dirfd, user_path, WALK_NOFOLLOW | WALK_EMPTY, &inode);
	if (error != 0)
		return error;
	error = -EINVAL;
	if (!S_ISLNK(inode->mode))
		goto out;
	error = 0;
	target = inode->target;
	if (inode->is_synthetic) {
		error = synthetic_read(inode, &text);
		target = text.data != NULL ? text.data : "";
	}
	if (error != 0)
		goto out;
	length = MIN(strlen(target), (size_t)size);
	error = copy_to_user(to, target, length);
	text_free(&text);
out:
	inode_put(inode);
	return error != 0 ? error : (int64_t)length;
}

SYSCALL3(readlink, vaddr_t, path, vaddr_t, to, int, size)
{
	return read_link(AT_FDCWD, path, to, size);
}

SYSCALL4(readlinkat, int, dirfd, vaddr_t, path, vaddr_t, to, int, size)
{
	return read_link(dirfd, path, to, size);
}

/* --- the working directory -------------------------------------------------------------------------------- */

/* Uses up the reference. */
static int64_t change_directory(int error, struct inode *inode)
{
	struct fs_context *fs = current->fs;
	struct inode *old;

	if (error != 0)
		return error;
	if (!S_ISDIR(inode->mode)) {
		inode_put(inode);
		return -ENOTDIR;
	}
	mutex_lock(&fs->lock);
	old = fs->cwd;
	fs->cwd = inode;
	mutex_unlock(&fs->lock);
	inode_put(old);
	return 0;
}

SYSCALL1(chdir, vaddr_t, path)
{
	struct inode *inode = NULL;
	int error = find_inode(AT_FDCWD, path, 0, &inode);

	return change_directory(error, inode);
}

SYSCALL1(fchdir, int, fd)
{
	struct file *file = fd_get(fd);
	struct inode *inode = NULL;
	int error = 0;

	if (file == NULL)
		return -EBADF;
	if (file->inode == NULL) {
		error = -ENOTDIR;
	} else {
		inode = file->inode;
		inode_get(inode);
	}
	file_put(file);
	return change_directory(error, inode);
}

SYSCALL2(getcwd, vaddr_t, to, size_t, size)
{
	struct fs_context *fs = current->fs;
	struct inode *cwd;
	char *path = kalloc(PATH_MAX);
	int64_t result;

	if (path == NULL)
		return -ENOMEM;
	mutex_lock(&fs->lock);
	cwd = fs->cwd;
	inode_get(cwd);
	mutex_unlock(&fs->lock);
	result = inode_path(cwd, path, PATH_MAX);
	if (result == 0) {
		size_t length = strlen(path) + 1;
		result = length > size ? -ERANGE : copy_to_user(to, path, length);
		if (result == 0)
			result = (int64_t)length;
	}
	inode_put(cwd);
	kfree(path);
	return result;
}

SYSCALL1(umask, uint32_t, mask)
{
	struct fs_context *fs = current->fs;
	uint32_t old;

	mutex_lock(&fs->lock);
	old = fs->umask;
	fs->umask = mask & UMASK_BITS;
	mutex_unlock(&fs->lock);
	return old;
}
