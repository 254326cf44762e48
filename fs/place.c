/*
 * fs/place.c - where a process is: its working directory and its root.
 */
#include "fs/attributes.h"
#include "fs/inode.h"
#include "fs/mount.h"
#include "fs/ops.h"
#include "fs/path.h"
#include "fs/permission.h"
#include "kernel/cred.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/slab.h"
#include "mm/user.h"

/* The working directory, or "/", becomes the location. Uses up the references. */
static int64_t change_directory(int error, const struct location *to, bool root)
{
	struct fs_context *fs = current->fs;
	struct location old;

	if (error != 0)
		return error;
	error = S_ISDIR(to->inode->mode) ? inode_may_search(to->inode) : -ENOTDIR;
	if (error != 0) {
		location_put(to);
		return error;
	}
	mutex_lock(&fs->lock);
	old = root ? (struct location){ fs->root_mount, fs->root }
		   : (struct location){ fs->cwd_mount, fs->cwd };
	*(root ? &fs->root : &fs->cwd) = to->inode;
	*(root ? &fs->root_mount : &fs->cwd_mount) = to->mount;
	mutex_unlock(&fs->lock);
	location_put(&old);
	return 0;
}

SYSCALL1(chdir, vaddr_t, path)
{
	struct location to = { 0 };
	int error = find_location(AT_FDCWD, path, 0, &to);

	return change_directory(error, &to, false);
}

SYSCALL1(fchdir, int, fd)
{
	struct file *file = fd_get(fd);
	struct location to;
	int error = 0;

	if (file == NULL)
		return -EBADF;
	to = (struct location){ file->mount, file->inode };
	if (file->inode == NULL)
		error = -ENOTDIR;
	else
		location_get(&to);
	file_put(file);
	return change_directory(error, &to, false);
}

/* The working directory stays where it is: chroot(2). */
SYSCALL1(chroot, vaddr_t, path)
{
	struct location to = { 0 };
	int error = find_location(AT_FDCWD, path, 0, &to);

	if (error == 0 && !capable(CAP_SYS_CHROOT)) {
		location_put(&to);
		error = -EPERM;
	}
	return change_directory(error, &to, true);
}

SYSCALL2(getcwd, vaddr_t, to, size_t, size)
{
	char *path = kalloc(PATH_MAX);
	struct location cwd;
	int64_t result;

	if (path == NULL)
		return -ENOMEM;
	fs_context_get_cwd(current->fs, &cwd);
	result = location_path(&cwd, path, PATH_MAX);
	if (result == 0) {
		size_t length = strlen(path) + 1;
		result = length > size ? -ERANGE : copy_to_user(to, path, length);
		if (result == 0)
			result = (int64_t)length;
	}
	location_put(&cwd);
	kfree(path);
	return result;
}
