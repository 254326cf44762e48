/*
 * fs/place.c - where a process is: its working directory and its root.
 */
#include "fs/attributes.h"
#include "fs/inode.h"
#include "fs/ops.h"
#include "fs/path.h"
#include "fs/permission.h"
#include "kernel/cred.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/slab.h"
#include "mm/user.h"

/* `*which` of the context becomes the directory. Uses up the reference. */
static int64_t change_directory(int error, struct inode *inode, struct inode **which)
{
	struct fs_context *fs = current->fs;
	struct inode *old;

	if (error != 0)
		return error;
	error = S_ISDIR(inode->mode) ? inode_may_search(inode) : -ENOTDIR;
	if (error != 0) {
		inode_put(inode);
		return error;
	}
	mutex_lock(&fs->lock);
	old = *which;
	*which = inode;
	mutex_unlock(&fs->lock);
	inode_put(old);
	return 0;
}

SYSCALL1(chdir, vaddr_t, path)
{
	struct inode *inode = NULL;
	int error = find_inode(AT_FDCWD, path, 0, &inode);

	return change_directory(error, inode, &current->fs->cwd);
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
	return change_directory(error, inode, &current->fs->cwd);
}

/* The working directory stays where it is: chroot(2). */
SYSCALL1(chroot, vaddr_t, path)
{
	struct inode *inode = NULL;
	int error = find_inode(AT_FDCWD, path, 0, &inode);

	if (error == 0 && !capable(CAP_SYS_CHROOT)) {
		inode_put(inode);
		error = -EPERM;
	}
	return change_directory(error, inode, &current->fs->root);
}

SYSCALL2(getcwd, vaddr_t, to, size_t, size)
{
	struct fs_context *fs = current->fs;
	struct inode *cwd, *root;
	char *path = kalloc(PATH_MAX);
	int64_t result;

	if (path == NULL)
		return -ENOMEM;
	mutex_lock(&fs->lock);
	cwd = fs->cwd;
	inode_get(cwd);
	root = fs->root;
	inode_get(root);
	mutex_unlock(&fs->lock);
	result = inode_path_below(root, cwd, path, PATH_MAX);
	if (result == 0) {
		size_t length = strlen(path) + 1;
		result = length > size ? -ERANGE : copy_to_user(to, path, length);
		if (result == 0)
			result = (int64_t)length;
	}
	inode_put(cwd);
	inode_put(root);
	kfree(path);
	return result;
}
