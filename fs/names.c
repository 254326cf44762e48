/*
 * fs/names.c - system calls that change names: directories and links made, removed, renamed.
 *
 * All of it happens in RAM. A file that came from the server leaves a whiteout where it is removed,
 * so that the server is not believed about that name any more.
 */
#include "fs/inode.h"
#include "fs/ops.h"
#include "fs/path.h"
#include "fs/root.h"
#include "fs/walk.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/slab.h"
#include <linux/fs.h>

#define MODE_PERMISSIONS (S_ISUID | S_ISGID | S_ISVTX | S_IRWXU | S_IRWXG | S_IRWXO)

/*
 * Finds what a user's path names, the server included. done() is due whatever the result. What has
 * been found may have got another name before root_lock is held: see still_named().
 */
static int find(int dirfd, vaddr_t user_path, unsigned flags, char **path, struct place *place)
{
	int error;

	*place = (struct place){ 0 };
	*path = NULL;
	error = path_from_user(user_path, path);
	return error != 0 ? error : walk_find(dirfd, *path, flags, FRESH_STAT, place);
}

static void done(char *path, struct place *place)
{
	place_put(place);
	kfree(path);
}

/* False if the inode has lost the name by which it was found: look again. root_lock held. */
static bool still_named(const struct place *place)
{
	return place->inode == NULL || place->inode->cookie == place->cookie;
}

/* --- making ------------------------------------------------------------------------------------------ */

/* Enters a new inode at the path, which must not name anything. Uses up the reference. */
static int64_t make(int dirfd, vaddr_t user_path, struct inode *inode)
{
	struct place place;
	char *path;
	int error;

	if (inode == NULL)
		return -ENOMEM;
	error = find(dirfd, user_path, WALK_NOFOLLOW, &path, &place);
	if (error == 0) {
		error = -EEXIST;
	} else if (error == -ENOENT && !fill_has_room()) {
		error = -ENOSPC;
	} else if (error == -ENOENT && place_is_free(&place) &&
		   (!place.slash || S_ISDIR(inode->mode))) {
		mutex_lock(&root_lock);
		struct inode *there = inode_child(place.dir, place.rest);
		error = there != NULL && there->mode != MODE_ABSENT
				? -EEXIST
				: inode_link(place.dir, place.rest, inode);
		mutex_unlock(&root_lock);
	}
	done(path, &place);
	inode_put(inode);
	return error;
}

static int64_t make_directory(int dirfd, vaddr_t path, uint32_t mode)
{
	if (current->fs != NULL) {
		mutex_lock(&current->fs->lock);
		mode &= ~current->fs->umask;
		mutex_unlock(&current->fs->lock);
	}
	return make(dirfd, path, inode_create(S_IFDIR | (mode & (MODE_PERMISSIONS & ~S_ISUID))));
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

/* --- removing ----------------------------------------------------------------------------------------- */

/* What is wrong with taking the inode's name away; root_lock held. */
static int check_removal(struct inode *inode)
{
	if (inode->is_synthetic)
		return inode == proc_inode ? -EBUSY : -EPERM;
	if (inode->parent == NULL)
		return inode == root_inode ? -EBUSY : -ENOENT;
	if (S_ISDIR(inode->mode) && !inode_is_empty(inode))
		return -ENOTEMPTY;
	return 0;
}

/* Hides the inode's name from the server, where it may have it; `*out` NULL if not. Ditto. */
static int whiteout_for(struct inode *inode, struct inode **out)
{
	*out = NULL;
	if (!inode->parent->wire)
		return 0;
	*out = inode_create_whiteout(inode->name);
	return *out != NULL ? 0 : -ENOMEM;
}

static void put_all(struct inode_order *freed)
{
	struct inode *inode;

	while ((inode = TAILQ_FIRST(freed)) != NULL) {
		TAILQ_REMOVE(freed, inode, in_order);
		inode_put(inode);
	}
}

/* One attempt; -EAGAIN: the name means something else by now. */
static int try_remove(int dirfd, vaddr_t user_path, bool directory)
{
	struct inode_order freed = TAILQ_HEAD_INITIALIZER(freed);
	struct inode *whiteout;
	struct place place;
	char *path;
	int error = find(dirfd, user_path, WALK_NOFOLLOW, &path, &place);

	if (error != 0)
		goto out;
	bool is_directory = S_ISDIR(place.inode->mode);
	error = -EINVAL;
	if (place.dots && directory)
		goto out;
	error = directory ? -ENOTDIR : -EISDIR;
	if (directory != is_directory)
		goto out;

	mutex_lock(&root_lock);
	error = still_named(&place) ? check_removal(place.inode) : -EAGAIN;
	if (error == 0)
		error = whiteout_for(place.inode, &whiteout);
	if (error == 0) {
		if (directory)
			inode_purge(place.inode, &freed);
		inode_unlink(place.inode, whiteout);
	}
	mutex_unlock(&root_lock);
	if (error == 0)
		inode_put(place.inode); /* the tree's */
	put_all(&freed);
out:
	done(path, &place);
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

/* --- renaming ------------------------------------------------------------------------------------------ */

/* What is wrong with `from` taking the place of `to` (or a free place) in `dir`; root_lock held. */
static int check_rename(struct inode *from, struct inode *to, struct inode *dir, unsigned flags)
{
	if (from->parent == NULL)
		return from == root_inode ? -EBUSY : -ENOENT;
	if (from->is_synthetic)
		return -EPERM;
	/* Names below it that only the server knows would not come along: mv(1) copies instead. */
	if (S_ISDIR(from->mode) && from->wire)
		return -EXDEV;
	if (inode_is_above(from, dir))
		return -EINVAL;
	if (to == NULL)
		return 0;
	if ((flags & RENAME_NOREPLACE) != 0)
		return -EEXIST;
	if (S_ISDIR(from->mode) != S_ISDIR(to->mode))
		return S_ISDIR(to->mode) ? -EISDIR : -ENOTDIR;
	return check_removal(to);
}

/* Both ends are known; root_lock held. What is to be put afterwards goes to `freed`. */
static int rename_locked(const struct place *source, const struct place *to, unsigned flags,
			 struct inode_order *freed)
{
	struct inode *from = source->inode;
	struct inode *victim = to->inode;
	struct inode *dir = victim != NULL ? victim->parent : to->dir;
	struct inode *whiteout;
	char *name;
	int error;

	if (!still_named(source) || !still_named(to))
		return -EAGAIN;
	if (victim == from)
		return (flags & RENAME_NOREPLACE) != 0 ? -EEXIST : 0;
	if (victim == NULL) {
		struct inode *there = inode_child(dir, to->rest);
		if (there != NULL && there->mode != MODE_ABSENT)
			return -EAGAIN;
		if (dir != root_inode && dir->parent == NULL)
			return -ENOENT;
	} else if (dir == NULL) {
		return victim == root_inode ? -EBUSY : -ENOENT;
	}
	error = check_rename(from, victim, dir, flags);
	if (error != 0)
		return error;
	name = kstrdup(victim != NULL ? victim->name : to->rest);
	if (name == NULL)
		return -ENOMEM;
	error = whiteout_for(from, &whiteout);
	if (error != 0) {
		kfree(name);
		return error;
	}
	/* Nothing fails from here on. */
	if (victim != NULL) {
		if (S_ISDIR(victim->mode))
			inode_purge(victim, freed);
		inode_unlink(victim, NULL);
		TAILQ_INSERT_TAIL(freed, victim, in_order);
	}
	inode_move(from, whiteout, dir, name);
	return 0;
}

/* One attempt; -EAGAIN: a name means something else by now. */
static int try_rename(int from_fd, vaddr_t from_path, int to_fd, vaddr_t to_path, unsigned flags)
{
	struct inode_order freed = TAILQ_HEAD_INITIALIZER(freed);
	struct place from, to;
	char *path, *new_path;
	int error = find(from_fd, from_path, WALK_NOFOLLOW, &path, &from);

	if (error != 0) {
		done(path, &from);
		return error;
	}
	error = find(to_fd, to_path, WALK_NOFOLLOW, &new_path, &to);
	if (from.dots || to.dots)
		error = -EBUSY;
	if (error == -ENOENT && place_is_free(&to))
		error = to.slash && !S_ISDIR(from.inode->mode) ? -ENOTDIR : 0;
	if (error == 0) {
		mutex_lock(&root_lock);
		error = rename_locked(&from, &to, flags, &freed);
		mutex_unlock(&root_lock);
	}
	put_all(&freed);
	done(new_path, &to);
	done(path, &from);
	return error;
}

static int64_t rename_at(int from_fd, vaddr_t from_path, int to_fd, vaddr_t to_path, unsigned flags)
{
	int error;

	do {
		error = try_rename(from_fd, from_path, to_fd, to_path, flags);
	} while (error == -EAGAIN);
	return error;
}

SYSCALL2(rename, vaddr_t, from, vaddr_t, to)
{
	return rename_at(AT_FDCWD, from, AT_FDCWD, to, 0);
}

SYSCALL4(renameat, int, from_fd, vaddr_t, from, int, to_fd, vaddr_t, to)
{
	return rename_at(from_fd, from, to_fd, to, 0);
}

SYSCALL5(renameat2, int, from_fd, vaddr_t, from, int, to_fd, vaddr_t, to, unsigned, flags)
{
	if ((flags & ~(unsigned)RENAME_NOREPLACE) != 0)
		return -EINVAL;
	return rename_at(from_fd, from, to_fd, to, flags);
}
