/*
 * fs/path.h - from a name to what it names.
 */
#ifndef HAWSER_FS_PATH_H
#define HAWSER_FS_PATH_H

#include "kernel/base.h"
#include "kernel/lock.h"
#include <bsd/sys/queue.h>
#include <linux/limits.h> /* PATH_MAX with its NUL, NAME_MAX without */

struct inode;    /* fs/inode.h */
struct mount;    /* fs/mount.h */
struct location; /* fs/mount.h */
struct version;  /* fs/version.h */

/*
 * The name by which something was opened: counted, immutable, absolute. Regions print it in
 * /proc/self/maps; files and processes return it from readlink(/proc/self/exe).
 */
#define FILE_NAME_DELETED " (deleted)" /* as Linux ends the name of what has none */
struct file_name {
	_Atomic uint32_t refs;
	uint64_t inode_number;
	char path[];
};
struct file_name *file_name_create(const char *path, uint64_t inode_number); /* NULL: no memory */
void file_name_get(struct file_name *name);
void file_name_put(struct file_name *name); /* NULL is allowed */

/* Working directory, root and umask; shared with CLONE_FS. */
struct fs_context {
	_Atomic uint32_t refs;
	struct mutex lock;                    /* RANK_FILES */
	struct inode *cwd;                    /* held; lock */
	struct inode *root;                   /* held; lock: "/", see chroot(2) */
	struct mount *cwd_mount, *root_mount; /* what they are seen through; held; lock */
	uint32_t umask;                       /* lock */
	LIST_ENTRY(fs_context) link;          /* of all there are; root_lock */
	uint64_t moved;                       /* by the last pivot_root(2) but so many; root_lock */
};
struct fs_context *fs_context_create(void); /* cwd "/", umask 022; NULL: no memory */
struct fs_context *fs_context_copy(struct fs_context *from);
void fs_context_get(struct fs_context *context); /* CLONE_FS */
void fs_context_put(struct fs_context *context);
/* Where a process is, and its "/", with references. */
void fs_context_get_cwd(struct fs_context *context, struct location *out);
void fs_context_get_root(struct fs_context *context, struct location *out);
/* The same, of the calling thread; a kernel thread has the first root. */
void fs_context_root(struct location *out);
/* Whoever is at `from`, or has it for "/", is at `to` then. No lock is held. */
void fs_contexts_move(const struct location *from, const struct location *to);

/* What set-user-ID and set-group-ID are decided by, and who may read a running program. */
struct program_owner {
	uint32_t mode, uid, gid;
	bool readable; /* by who has started it */
};

/*
 * Opens a file for execution: looks `path` up (relative to `dirfd` or the working directory; flags
 * AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW), revalidates its origin, and returns the version to run with a
 * reference and the name it was found by. `/proc/self/exe` and an open descriptor give the version
 * they hold, and cost no packet.
 * `owner` tells whose it is.
 * -ENOENT, -ENOTDIR, -EACCES (not executable, a directory, not a regular file), -ELOOP, -ENAMETOOLONG, -EIO,
 * -ETIMEDOUT, -EHOSTUNREACH, -ENOMEM, -EINTR.
 */
int path_open_exec(int dirfd, const char *path, int flags, struct version **version,
		   struct file_name **name, struct program_owner *owner);

/*
 * Where the root comes from: tftp://HOST/PATH. Sets up the root directory, its standard empty
 * directories and /dev. Boot, once; does not touch the network.
 */
int fs_init(void);

#endif
