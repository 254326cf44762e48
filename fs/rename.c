/*
 * fs/rename.c - rename(2) and its kin.
 *
 * A name moves under root_lock, at once: its inode gets a new name, the old one goes. Where the server may
 * have the old name, a whiteout stays.
 */
#include "fs/inode.h"
#include "fs/inotify.h"
#include "fs/mount.h"
#include "fs/names.h"
#include "fs/permission.h"
#include "kernel/cred.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include <linux/fs.h>

/* A name that moves: where it is, and where it goes. */
struct move {
	struct name *from, *to; /* `to` NULL: a free place */
	struct inode *dir;      /* where it goes */
	const char *text;       /* and as what */
	unsigned flags;
};

/* What is wrong with moving an inode out of its place into a directory. */
static int check_mover(struct inode *inode, const struct inode *dir)
{
	if (inode->is_synthetic)
		return -EPERM;
	if (inode->filesystem != dir->filesystem)
		return -EXDEV;
	if (!LIST_EMPTY(&inode->covers))
		return -EBUSY;
	/* Names below it that only the server knows would not come along: mv(1) copies instead. */
	if (S_ISDIR(inode->mode) && inode->wire)
		return -EXDEV;
	return inode_is_above(inode, dir) ? -EINVAL : 0;
}

/* The other one moves, too. */
static int check_exchange(const struct move *move)
{
	int error = check_mover(move->to->inode, move->from->dir);

	if (error == 0)
		error = name_may_go(move->to);
	if (error == 0 && S_ISDIR(move->to->inode->mode) && move->dir != move->from->dir)
		error = inode_may(move->to->inode, MAY_WRITE);
	return error;
}

static int check(const struct move *move)
{
	struct inode *from = move->from->inode;
	int error = check_mover(from, move->dir);

	if (error == 0)
		error = name_may_go(move->from);
	if (error == 0)
		error = dir_may_make(move->dir);
	/* A directory that moves has another ".." afterwards. */
	if (error == 0 && S_ISDIR(from->mode) && move->dir != move->from->dir)
		error = inode_may(from, MAY_WRITE);
	if (error != 0)
		return error;
	if ((move->flags & RENAME_EXCHANGE) != 0)
		return move->to == NULL ? -ENOENT : check_exchange(move);
	if (move->to == NULL)
		return 0;
	if ((move->flags & RENAME_NOREPLACE) != 0)
		return -EEXIST;
	/* One above the other holds it, and is not empty. */
	if (inode_is_above(move->to->inode, move->from->dir))
		return -ENOTEMPTY;
	if (S_ISDIR(from->mode) != S_ISDIR(move->to->inode->mode))
		return S_ISDIR(move->to->inode->mode) ? -EISDIR : -ENOTDIR;
	return names_check_removal(move->to);
}

/* What stays in the old place: nothing, a name that hides the server's, or RENAME_WHITEOUT's device. */
static int leave_behind(const struct move *move, struct name **out)
{
	struct inode *inode;

	if ((move->flags & RENAME_WHITEOUT) == 0)
		return names_whiteout_for(move->from, out);
	if (!capable(CAP_MKNOD))
		return -EPERM;
	inode = inode_create(S_IFCHR);
	if (inode == NULL)
		return -ENOMEM;
	inode_set_owner(inode, move->from->dir);
	*out = name_create(move->from->text, inode);
	inode_put(inode);
	return *out != NULL ? 0 : -ENOMEM;
}

/* root_lock held. */
static void tell_moved(struct inode *from, const char *old, struct inode *to, const char *text,
		       struct inode *inode)
{
	uint32_t cookie = inotify_new_cookie();

	inotify_name(from, old, inode, IN_MOVED_FROM, cookie);
	inotify_name(to, text, inode, IN_MOVED_TO, cookie);
	inotify_self(inode, IN_MOVE_SELF);
}

/* root_lock held. What is to be put afterwards goes to `freed`. */
static int perform(const struct move *move, struct name_list *freed)
{
	struct inode *from_dir, *replaced = NULL;
	struct name *name, *behind;
	int error = check(move);

	if (error != 0)
		return error;
	if ((move->flags & RENAME_EXCHANGE) != 0) {
		names_exchange(move->from, move->to);
		tell_moved(move->from->dir, move->from->text, move->to->dir, move->to->text,
			   move->to->inode);
		tell_moved(move->to->dir, move->to->text, move->from->dir, move->from->text,
			   move->from->inode);
		return 0;
	}
	error = leave_behind(move, &behind);
	if (error != 0)
		return error;
	name = name_create(move->text, move->from->inode);
	if (name == NULL) {
		if (behind != NULL)
			TAILQ_INSERT_TAIL(freed, behind, in_order);
		return -ENOMEM;
	}
	/* Nothing fails from here on. */
	if (move->to != NULL) {
		if (S_ISDIR(move->to->inode->mode))
			inode_purge(move->to->inode, freed);
		replaced = move->to->inode;
		name_remove(move->to, NULL, freed);
	}
	from_dir = move->from->dir;
	name_remove(move->from, behind, freed);
	name_enter(move->dir, name);
	tell_moved(from_dir, move->from->text, move->dir, name->text, name->inode);
	if (replaced != NULL)
		inotify_unlinked(replaced);
	return 0;
}

/* What is wrong with moving anything from one mount to another, and with moving one. root_lock held. */
static int check_mounts(const struct place *from, const struct place *to)
{
	if (place_above(from) != place_above(to))
		return -EXDEV;
	if (place_is_mounted(from) || (to->inode != NULL && place_is_mounted(to)))
		return -EBUSY;
	return mount_has(from->mount, MS_RDONLY) ? -EROFS : 0;
}

/* Both ends are known; root_lock held. -EAGAIN: a name means something else by now. */
static int rename_locked(const struct place *from, const struct place *to, unsigned flags,
			 struct name_list *freed)
{
	struct move move = { .flags = flags };
	int error = check_mounts(from, to);

	if (error != 0)
		return error;
	move.from = inode_name(from->inode, from->cookie);
	if (move.from == NULL)
		return names_lost(from->inode);
	if (to->inode != NULL) {
		move.to = inode_name(to->inode, to->cookie);
		if (move.to == NULL)
			return names_lost(to->inode);
		move.dir = move.to->dir;
		move.text = move.to->text;
	} else {
		move.dir = to->dir;
		move.text = to->rest;
		if (inode_child(to->dir, to->rest) != NULL)
			return -EAGAIN;
		if (!inode_is_attached(to->dir))
			return -ENOENT;
	}
	/* Two names of one inode, or twice the same, are left as they are. */
	if (to->inode == from->inode)
		return (flags & RENAME_NOREPLACE) != 0 ? -EEXIST : 0;
	return perform(&move, freed);
}

static int try_rename(int from_fd, vaddr_t from_path, int to_fd, vaddr_t to_path, unsigned flags)
{
	struct name_list freed = TAILQ_HEAD_INITIALIZER(freed);
	struct place from, to;
	char *path, *new_path;
	int error = names_find(from_fd, from_path, WALK_NOFOLLOW, &path, &from);

	if (error != 0) {
		names_done(path, &from);
		return error;
	}
	error = names_find(to_fd, to_path, WALK_NOFOLLOW, &new_path, &to);
	if (from.dots || to.dots)
		error = (flags & RENAME_NOREPLACE) != 0 && to.dots ? -EEXIST : -EBUSY;
	if (error == -ENOENT && place_is_free(&to))
		error = to.slash && !S_ISDIR(from.inode->mode) ? -ENOTDIR : 0;
	if (error == 0) {
		mutex_lock(&root_lock);
		error = rename_locked(&from, &to, flags, &freed);
		mutex_unlock(&root_lock);
	}
	names_put(&freed);
	names_done(new_path, &to);
	names_done(path, &from);
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
	if ((flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) != 0)
		return -EINVAL;
	if ((flags & RENAME_EXCHANGE) != 0 && (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)) != 0)
		return -EINVAL;
	return rename_at(from_fd, from, to_fd, to, flags);
}
