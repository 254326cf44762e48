/*
 * fs/attributes.c - modes, owners, sizes; what links say; umask.
 */
#include "fs/attributes.h"
#include "fs/inode.h"
#include "fs/inotify.h"
#include "fs/mount.h"
#include "fs/ops.h"
#include "fs/path.h"
#include "fs/permission.h"
#include "fs/synthetic.h"
#include "fs/walk.h"
#include "kernel/clock.h"
#include "kernel/cred.h"
#include "kernel/limits.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/slab.h"
#include "mm/user.h"

#define MODE_PERMISSIONS (S_ISUID | S_ISGID | S_ISVTX | S_IRWXU | S_IRWXG | S_IRWXO)
#define UMASK_BITS       (S_IRWXU | S_IRWXG | S_IRWXO)

/* chown(2): this owner stays as it is. */
#define ID_KEEP UINT32_MAX

int find_location(int dirfd, vaddr_t user_path, unsigned flags, struct location *out)
{
	struct place place;
	char *path;
	int error = path_from_user(user_path, &path);

	if (error != 0)
		return error;
	error = walk_find(dirfd, path, flags, FRESH_STAT, &place);
	if (error == 0) {
		*out = (struct location){ place.mount, place.inode };
		location_get(out);
	}
	place_put(&place);
	kfree(path);
	return error;
}

int find_inode(int dirfd, vaddr_t user_path, unsigned flags, struct inode **out)
{
	struct location at;
	int error = find_location(dirfd, user_path, flags, &at);

	if (error == 0) {
		*out = at.inode;
		mount_put(at.mount);
	}
	return error;
}

int find_descriptor(int fd, struct location *out)
{
	struct file *file = fd_get(fd);
	int error = 0;

	if (file == NULL)
		return -EBADF;
	if (file->inode == NULL || (atomic_load(&file->flags) & O_PATH) != 0)
		error = -EBADF;
	if (error == 0) {
		*out = (struct location){ file->mount, file->inode };
		location_get(out);
	}
	file_put(file);
	return error;
}

/* --- modes and owners ---------------------------------------------------------------------------------- */

static int64_t change_mode(int error, const struct location *at, uint32_t mode)
{
	struct inode *inode = at->inode;

	if (error != 0)
		return error;
	mutex_lock(&root_lock);
	if (S_ISLNK(inode->mode)) {
		error = -EOPNOTSUPP;
	} else if (mount_has(at->mount, MS_RDONLY)) {
		error = -EROFS;
	} else if (inode->is_synthetic || !inode_is_mine(inode)) {
		error = -EPERM;
	} else {
		/* Nobody makes programs run for a group that is not theirs. */
		if (!capable(CAP_FSETID) && !cred_in_group(current_cred(), inode->gid))
			mode &= ~(uint32_t)S_ISGID;
		inode->mode = (inode->mode & S_IFMT) | (mode & MODE_PERMISSIONS);
		inode->changed_ns = clock_wall_ns();
		inotify_inode(inode, IN_ATTRIB);
	}
	mutex_unlock(&root_lock);
	location_put(at);
	return error;
}

SYSCALL2(chmod, vaddr_t, path, uint32_t, mode)
{
	struct location at = { 0 };
	int error = find_location(AT_FDCWD, path, 0, &at);

	return change_mode(error, &at, mode);
}

SYSCALL2(fchmod, int, fd, uint32_t, mode)
{
	struct location at = { 0 };
	int error = find_descriptor(fd, &at);

	return change_mode(error, &at, mode);
}

SYSCALL3(fchmodat, int, dirfd, vaddr_t, path, uint32_t, mode)
{
	struct location at = { 0 };
	int error = find_location(dirfd, path, 0, &at);

	return change_mode(error, &at, mode);
}

/* chown(2): who is not privileged may give a file of his to a group of his. root_lock held. */
static int may_change_owner(const struct location *at, uint32_t uid, uint32_t gid)
{
	const struct cred *cred = current_cred();
	const struct inode *inode = at->inode;
	bool mine = inode->uid == cred->fsuid;

	if (mount_has(at->mount, MS_RDONLY))
		return -EROFS;
	if (inode->is_synthetic)
		return -EPERM;
	if (cred_has(cred, CAP_CHOWN))
		return 0;
	if (uid != ID_KEEP && (!mine || uid != inode->uid))
		return -EPERM;
	if (gid != ID_KEEP && (!mine || (gid != inode->gid && !cred_in_group(cred, gid))))
		return -EPERM;
	return 0;
}

static int64_t change_owner(int error, const struct location *at, uint32_t uid, uint32_t gid)
{
	struct inode *inode = at->inode;

	if (error != 0)
		return error;
	mutex_lock(&root_lock);
	error = may_change_owner(at, uid, gid);
	if (error == 0) {
		if (uid != ID_KEEP)
			inode->uid = uid;
		if (gid != ID_KEEP)
			inode->gid = gid;
		inode->changed_ns = clock_wall_ns();
		inotify_inode(inode, IN_ATTRIB);
	}
	mutex_unlock(&root_lock);
	if (error == 0)
		inode_drop_set_id(inode);
	location_put(at);
	return error;
}

SYSCALL3(chown, vaddr_t, path, uint32_t, uid, uint32_t, gid)
{
	struct location at = { 0 };
	int error = find_location(AT_FDCWD, path, 0, &at);

	return change_owner(error, &at, uid, gid);
}

SYSCALL3(lchown, vaddr_t, path, uint32_t, uid, uint32_t, gid)
{
	struct location at = { 0 };
	int error = find_location(AT_FDCWD, path, WALK_NOFOLLOW, &at);

	return change_owner(error, &at, uid, gid);
}

SYSCALL3(fchown, int, fd, uint32_t, uid, uint32_t, gid)
{
	struct location at = { 0 };
	int error = find_descriptor(fd, &at);

	return change_owner(error, &at, uid, gid);
}

SYSCALL5(fchownat, int, dirfd, vaddr_t, path, uint32_t, uid, uint32_t, gid, int, flags)
{
	unsigned walk_flags = ((flags & AT_SYMLINK_NOFOLLOW) != 0 ? WALK_NOFOLLOW : 0) |
			      ((flags & AT_EMPTY_PATH) != 0 ? WALK_EMPTY : 0);
	struct location at = { 0 };
	int error;

	if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0)
		return -EINVAL;
	error = find_location(dirfd, path, walk_flags, &at);
	return change_owner(error, &at, uid, gid);
}

/* --- sizes --------------------------------------------------------------------------------------------------- */

SYSCALL2(truncate, vaddr_t, path, loff_t, size)
{
	struct version *version;
	struct location at;
	struct inode *inode;
	int error;

	if (size < 0)
		return -EINVAL;
	error = size_check_limit((uint64_t)size);
	if (error != 0)
		return error;
	error = find_location(AT_FDCWD, path, 0, &at);
	if (error != 0)
		return error;
	inode = at.inode;
	if (S_ISDIR(inode->mode)) {
		error = -EISDIR;
	} else if (!S_ISREG(inode->mode) || inode->is_synthetic) {
		error = -EINVAL;
	} else {
		error = location_may(&at, MAY_WRITE);
		if (error == 0)
			error = inode_writable(inode, size == 0, &version);
		if (error == 0) {
			error = version_resize(version, (uint64_t)size);
			version_end_write(version);
			version_put(version);
			inode_touch(inode);
			if (!capable(CAP_FSETID))
				inode_drop_set_id(inode);
		}
	}
	location_put(&at);
	return error;
}

/* --- links ------------------------------------------------------------------------------------------------------ */

/* What is wrong with what is no link: an empty path was to be one, readlink(2). */
static int no_link(vaddr_t user_path)
{
	char first;
	int error = get_user(&first, user_path);

	return error != 0 ? error : first == '\0' ? -ENOENT : -EINVAL;
}

static int64_t read_link(int dirfd, vaddr_t user_path, vaddr_t to, int size)
{
	struct text text = { 0 };
	struct location at;
	const char *target;
	size_t length;
	int error;

	if (size <= 0)
		return -EINVAL;
	error = find_location(dirfd, user_path, WALK_NOFOLLOW | WALK_EMPTY, &at);
	if (error != 0)
		return error;
	error = S_ISLNK(at.inode->mode) ? 0 : no_link(user_path);
	if (error != 0)
		goto out;
	target = at.inode->target;
	if (at.inode->is_synthetic) {
		error = synthetic_read(at.inode, &text);
		target = text.data != NULL ? text.data : "";
	}
	if (error != 0)
		goto out;
	location_accessed(&at, true);
	length = MIN(strlen(target), (size_t)size);
	error = copy_to_user(to, target, length);
	text_free(&text);
out:
	location_put(&at);
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
