/*
 * fs/mount.h - file systems, and where they are mounted.
 *
 *	root_inode ── "mnt" ── covered ┄┄ mount ┄┄ root ── "file"
 *	                     (hidden while the mount is there)
 *
 * Walks go from a covered directory to what is mounted on it, and up again the same way. Every inode knows its
 * file system, which ends when the mount and all of its inodes and versions have.
 *
 * A tmpfs is new each time. /proc, /dev and their like are trees that there are once: each can be in one
 * place at a time. All of it is protected by root_lock.
 */
#ifndef HAWSER_FS_MOUNT_H
#define HAWSER_FS_MOUNT_H

#include "fs/inode.h"
#include "kernel/base.h"
#include "mm/object.h"
#include <linux/mount.h>

struct text;

struct filesystem {
	const char *type;          /* fixed */
	uint32_t device;           /* st_dev; fixed */
	_Atomic uint32_t flags;    /* MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC */
	struct object_quota quota; /* its references are the file system's; tmpfs: size= */
	_Atomic uint32_t writers;  /* regular files that are open for writing */
};

struct mount {
	TAILQ_ENTRY(mount) link;
	struct filesystem *filesystem; /* held */
	struct inode *root;            /* held */
	struct inode *covered;         /* held; NULL: the first one */
	char *source;
};

/* What of a mount can be chosen. */
struct mount_options {
	uint32_t flags;
	uint64_t limit; /* pages; 0: none */
	uint32_t mode, uid, gid;
};

void filesystem_get(struct filesystem *filesystem);
void filesystem_put(struct filesystem *filesystem); /* NULL is allowed; any lock but spinlocks */

/* What mounts are called by number, in mountinfo and statx(2); 0: NULL. */
uint32_t filesystem_number(const struct filesystem *filesystem);
/* Makes a new inode, and a regular one's empty version, part of a file system. NULL: of none yet. */
void inode_join(struct inode *inode, struct filesystem *filesystem);
/* True if the inode's file system has one of the flags. */
static inline bool inode_mounted_with(const struct inode *inode, uint32_t flags)
{
	return inode->filesystem != NULL && (atomic_load(&inode->filesystem->flags) & flags) != 0;
}

/* What is to be seen where the directory is: what is mounted on it, or itself. root_lock held. */
struct inode *mount_top(struct inode *inode);
/* The directory below all that it is the root of. root_lock held. */
const struct inode *mount_bottom(const struct inode *dir);

/*
 * Boot: mounts a tree that there is once (`root`, whose reference is taken over) on the directory, or at
 * the root with NULL. 0 or -ENOMEM.
 */
int mount_tree(const char *type, const char *source, struct inode *root, struct inode *on);

/* The mounts, in the order in which they were made, as /proc/mounts and mountinfo have them. */
void mounts_describe(struct text *text, bool info);

#endif
