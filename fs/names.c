/*
 * fs/names.c - system calls that make and remove names: directories, links, nodes.
 *
 * All of it happens in RAM. A file that came from the server leaves a whiteout where it is removed,
 * so that the server is not believed about that name any more.
 */
#include "fs/names.h"
#include "fs/dev.h"
#include "fs/inode.h"
#include "fs/inotify.h"
#include "fs/mount.h"
#include "fs/ops.h"
#include "fs/path.h"
#include "fs/permission.h"
#include "fs/root.h"
#include "fs/walk.h"
#include "kernel/clock.h"
#include "kernel/cred.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/slab.h"
#include <linux/fs.h>

#define MODE_PERMISSIONS (S_ISUID | S_ISGID | S_ISVTX | S_IRWXU | S_IRWXG | S_IRWXO)

int names_find(int dirfd, vaddr_t user_path, unsigned flags, char **path, struct place *place)
{
	int error;

	*place = (struct place){ 0 };
	*path = NULL;
	error = path_from_user(user_path, path);
	return error != 0 ? error : walk_find(dirfd, *path, flags, FRESH_STAT, place);
}

void names_done(char *path, struct place *place)
{
	place_put(place);
	kfree(path);
}

/* --- making ------------------------------------------------------------------------------------------ */

int names_enter(int dirfd, char *path, struct inode *inode, const struct mount *from)
{
	bool new = inode->filesystem == NULL;
	struct place place;
	int error = walk_find(dirfd, path, WALK_NOFOLLOW, FRESH_STAT, &place);

	if (error == 0) {
		error = -EEXIST;
	} else if (error == -ENOENT && !fill_has_room()) {
		error = -ENOSPC;
	} else if (error == -ENOENT && place_is_free(&place) &&
		   (!place.slash || S_ISDIR(inode->mode))) {
		mutex_lock(&root_lock);
		/* The last name may have gone since the inode was found: it does not come back. */
		int denied = mount_has(place.mount, MS_RDONLY) ? -EROFS : dir_may_make(place.dir);
		if (denied != -EROFS && !new &&
		    (from != place.mount || place.dir->filesystem != inode->filesystem))
			denied = -EXDEV;
		if (denied == 0 && !new)
			denied = inode_may_link(inode);
		if (denied == 0 && new)
			inode_set_owner(inode, place.dir);
		if (inode_child(place.dir, place.rest) != NULL)
			error = -EEXIST;
		else if (denied != 0)
			error = denied;
		else if (inode->links > 0 || inode->linkable)
			error = inode_link(place.dir, place.rest, inode);
		if (error == 0) {
			inode->changed_ns = clock_wall_ns();
			if (inode->links > 1)
				inotify_inode(inode, IN_ATTRIB);
			inotify_name(place.dir, place.rest, inode, IN_CREATE, 0);
		}
		mutex_unlock(&root_lock);
	}
	place_put(&place);
	return error;
}

static int enter(int dirfd, vaddr_t user_path, struct inode *inode, const struct mount *from)
{
	char *path;
	int error = path_from_user(user_path, &path);

	if (error == 0) {
		error = names_enter(dirfd, path, inode, from);
		kfree(path);
	}
	return error;
}

/* Enters a new inode. Uses up the reference. */
static int64_t make(int dirfd, vaddr_t user_path, struct inode *inode)
{
	int error;

	if (inode == NULL)
		return -ENOMEM;
	inode->linkable = true;
	error = enter(dirfd, user_path, inode, NULL);
	inode_put(inode);
	return error;
}

static uint32_t without_umask(uint32_t mode)
{
	if (current->fs != NULL) {
		mutex_lock(&current->fs->lock);
		mode &= ~current->fs->umask;
		mutex_unlock(&current->fs->lock);
	}
	return mode;
}

static int64_t make_directory(int dirfd, vaddr_t path, uint32_t mode)
{
	mode = without_umask(mode) & (S_ISVTX | S_IRWXU | S_IRWXG | S_IRWXO);
	return make(dirfd, path, inode_create(S_IFDIR | mode));
}

SYSCALL2(mkdir, vaddr_t, path, uint32_t, mode)
{
	return make_directory(AT_FDCWD, path, mode);
}

SYSCALL3(mkdirat, int, dirfd, vaddr_t, path, uint32_t, mode)
{
	return make_directory(dirfd, path, mode);
}

static int64_t make_symlink(vaddr_t user_target, int dirfd, vaddr_t path)
{
	struct inode *inode;
	char *target;
	int error = path_from_user(user_target, &target);

	if (error != 0)
		return error;
	error = -ENOENT;
	if (target[0] == '\0')
		goto out;
	error = -ENOMEM;
	inode = inode_create(S_IFLNK | S_IRWXU | S_IRWXG | S_IRWXO);
	if (inode == NULL)
		goto out;
	inode->target = kstrdup(target);
	if (inode->target == NULL) {
		inode_put(inode);
		goto out;
	}
	error = (int)make(dirfd, path, inode);
out:
	kfree(target);
	return error;
}

SYSCALL2(symlink, vaddr_t, target, vaddr_t, path)
{
	return make_symlink(target, AT_FDCWD, path);
}

SYSCALL3(symlinkat, vaddr_t, target, int, dirfd, vaddr_t, path)
{
	return make_symlink(target, dirfd, path);
}

/* mknod(2): a file, a device, or the name of a pipe or socket. */
static int64_t make_node(int dirfd, vaddr_t path, uint32_t mode, uint32_t number)
{
	struct inode *inode;

	if ((S_ISCHR(mode) || S_ISBLK(mode)) && !capable(CAP_MKNOD))
		return -EPERM;
	switch (mode & S_IFMT) {
	case 0:
		mode |= S_IFREG;
		break;
	case S_IFREG:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
	inode = inode_create((mode & S_IFMT) | (without_umask(mode) & MODE_PERMISSIONS));
	if (inode == NULL)
		return -ENOMEM;
	if (S_ISREG(mode)) {
		inode->version = version_create_local(0);
		if (inode->version == NULL) {
			inode_put(inode);
			return -ENOMEM;
		}
	} else if (S_ISCHR(mode) || S_ISBLK(mode)) {
		inode->device_number = number;
		inode->device = S_ISCHR(mode) ? dev_find(number) : NULL;
	}
	return make(dirfd, path, inode);
}

SYSCALL3(mknod, vaddr_t, path, uint32_t, mode, uint32_t, number)
{
	return make_node(AT_FDCWD, path, mode, number);
}

SYSCALL4(mknodat, int, dirfd, vaddr_t, path, uint32_t, mode, uint32_t, number)
{
	return make_node(dirfd, path, mode, number);
}

/* link(2): of what the server has, both names stand for what the server has under the first. */
static int64_t make_link(int from_fd, vaddr_t from, int to_fd, vaddr_t to, int flags)
{
	unsigned walk_flags = ((flags & AT_SYMLINK_FOLLOW) != 0 ? 0 : WALK_NOFOLLOW) |
			      ((flags & AT_EMPTY_PATH) != 0 ? WALK_EMPTY : 0);
	struct place place;
	char *path;
	int error;

	if ((flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) != 0)
		return -EINVAL;
	if ((flags & AT_EMPTY_PATH) != 0 && !capable(CAP_DAC_READ_SEARCH))
		return -ENOENT;
	error = names_find(from_fd, from, walk_flags, &path, &place);
	if (error == 0) {
		if (S_ISDIR(place.inode->mode))
			error = -EPERM;
		else if (place.inode->is_synthetic || place.file != NULL)
			error = -EXDEV;
		else
			error = enter(to_fd, to, place.inode, place.mount);
	}
	names_done(path, &place);
	return error;
}

SYSCALL2(link, vaddr_t, from, vaddr_t, to)
{
	return make_link(AT_FDCWD, from, AT_FDCWD, to, 0);
}

SYSCALL5(linkat, int, from_fd, vaddr_t, from, int, to_fd, vaddr_t, to, int, flags)
{
	return make_link(from_fd, from, to_fd, to, flags);
}

/* --- removing ----------------------------------------------------------------------------------------- */

int names_check_removal(const struct name *name)
{
	int error;

	if (name->inode->is_synthetic)
		return name->inode == proc_inode ? -EBUSY : -EPERM;
	error = name_may_go(name);
	if (error != 0)
		return error;
	if (!LIST_EMPTY(&name->inode->covers))
		return -EBUSY;
	if (S_ISDIR(name->inode->mode) && !inode_is_empty(name->inode))
		return -ENOTEMPTY;
	return 0;
}

int names_whiteout_for(const struct name *name, struct name **out)
{
	*out = NULL;
	if (!name->dir->wire)
		return 0;
	*out = name_create(name->text, NULL);
	return *out != NULL ? 0 : -ENOMEM;
}

/* What is wrong with a name that is not there any more: it may be another's by now. */
int names_lost(const struct inode *inode)
{
	if (inode_is_root(inode))
		return -EBUSY;
	/* One that nobody could name comes from a link in /proc. */
	return inode->links == 0 ? (inode->is_synthetic ? -EPERM : -ENOENT) : -EAGAIN;
}

/* One attempt; -EAGAIN: the name means something else by now. */
static int try_remove(int dirfd, vaddr_t user_path, bool directory)
{
	struct name_list freed = TAILQ_HEAD_INITIALIZER(freed);
	struct name *name, *whiteout;
	struct place place;
	char *path;
	int error = names_find(dirfd, user_path, WALK_NOFOLLOW, &path, &place);

	if (error != 0)
		goto out;
	bool is_directory = S_ISDIR(place.inode->mode);
	error = place.dotdot ? -ENOTEMPTY : -EINVAL;
	if (place.dots && directory)
		goto out;
	error = directory ? -ENOTDIR : -EISDIR;
	if (directory != is_directory)
		goto out;
	error = place_is_mounted(&place) ? -EBUSY : mount_has(place.mount, MS_RDONLY) ? -EROFS : 0;
	if (error != 0)
		goto out;

	mutex_lock(&root_lock);
	name = inode_name(place.inode, place.cookie);
	error = name != NULL ? names_check_removal(name) : names_lost(place.inode);
	if (error == 0)
		error = names_whiteout_for(name, &whiteout);
	if (error == 0) {
		struct inode *dir = name->dir;
		if (directory)
			inode_purge(place.inode, &freed);
		name_remove(name, whiteout, &freed);
		inotify_unlinked(place.inode);
		inotify_name(dir, name->text, place.inode, IN_DELETE, 0);
	}
	mutex_unlock(&root_lock);
	names_put(&freed);
out:
	names_done(path, &place);
	return error;
}

static int64_t remove(int dirfd, vaddr_t user_path, bool directory)
{
	int error;

	do {
		error = try_remove(dirfd, user_path, directory);
	} while (error == -EAGAIN);
	return error;
}

SYSCALL1(unlink, vaddr_t, path)
{
	return remove(AT_FDCWD, path, false);
}

SYSCALL1(rmdir, vaddr_t, path)
{
	return remove(AT_FDCWD, path, true);
}

SYSCALL3(unlinkat, int, dirfd, vaddr_t, path, int, flags)
{
	if ((flags & ~AT_REMOVEDIR) != 0)
		return -EINVAL;
	return remove(dirfd, path, (flags & AT_REMOVEDIR) != 0);
}
