/*
 * fs/walk.h - from a path to an inode: first in RAM, then, for names it does not know, on the wire.
 */
#ifndef HAWSER_FS_WALK_H
#define HAWSER_FS_WALK_H

#include "fs/fill.h"
#include "fs/path.h"
#include "kernel/base.h"
#include <linux/fcntl.h>

struct inode;
struct mount;
struct version;
struct file_name;
struct file;

/* Linux's MAXSYMLINKS: more are -ELOOP. */
#define WALK_LINKS_MAX 40

#define WALK_NOFOLLOW  0x1u /* a symbolic link at the end is what is meant */
#define WALK_EMPTY     0x2u /* AT_EMPTY_PATH: an empty path is `dirfd` itself */

/* openat2(2)'s RESOLVE_*. */
#define WALK_NO_LINKS  0x4u  /* -ELOOP instead of following a symbolic link */
#define WALK_NO_THINGS 0x8u  /* or one of /proc that leads to a thing (a magic link) */
#define WALK_BENEATH   0x10u /* -EXDEV instead of leaving what is below the beginning */
#define WALK_IN_ROOT   0x20u /* the beginning is taken for the root */

#define WALK_NO_XDEV   0x40u /* -EXDEV instead of leaving the mount */

/* Where a walk in RAM ended. */
struct place {
	struct mount *mount;        /* held: what inode or dir are seen through; NULL: in none */
	struct inode *inode;        /* held: what the path names; or NULL, and then dir and rest: */
	uint64_t cookie;            /* the inode's at that moment: another now is another name */
	struct inode *dir;          /* held: the last directory that RAM knows, */
	char *rest;                 /* and the components below it, in the path's buffer */
	bool absent;                /* the server need not be asked */
	bool slash;                 /* a slash at the end: only a directory will do */
	bool dots, dotdot;          /* the last component was "." or ".."; ".." */
	struct version *version;    /* held, or NULL: the version to use, whatever the inode's is */
	bool image;                 /* the inode only stands for that version: /proc/self/exe, */
	struct program_owner owner; /* whose it was when it was started */
	struct file *file;      /* held, or NULL: the open file that the inode only stands for */
	struct file_name *name; /* held, or NULL: the name to use (a link like /proc/self/exe) */
};

/*
 * Walks in RAM. `path` is a buffer of PATH_MAX bytes that the walk uses up. No packet is
 * sent, but for the server's list of links, which is to be newer than `since_ns` (0: it need not be).
 * -ENOENT, -ENOTDIR, -ELOOP, -ENAMETOOLONG, -EBADF, -ENOMEM, and errors of synthetic links.
 */
int walk(int dirfd, char *path, unsigned flags, uint64_t since_ns, struct place *out);

/*
 * As walk(), and if RAM does not know the name the server is asked for it: what it answers becomes an
 * inode. Regular files get their version, as fresh as asked for. The place has an inode, or this is
 * -ENOENT with `dir` and `rest` saying where a file could be created; other errors leave no place.
 */
int walk_find(int dirfd, char *path, unsigned flags, enum freshness freshness, struct place *out);

/* True if a file or directory can be made at the place: one component below a directory. */
bool place_is_free(const struct place *place);

/* What the name of the place is seen through: not what is mounted on it. root_lock held. */
const struct mount *place_above(const struct place *place);
/* True if something is mounted there. */
bool place_is_mounted(const struct place *place);

void place_put(struct place *place);

/*
 * Copies a path from user memory into a new buffer of PATH_MAX bytes, to be kfree()d. -EFAULT,
 * -ENAMETOOLONG, -ENOMEM, -EINTR.
 */
int path_from_user(vaddr_t user, char **out);

#endif
