/*
 * fs/path.h - from a name to what it names.
 */
#ifndef HAWSER_FS_PATH_H
#define HAWSER_FS_PATH_H

#include "kernel/base.h"
#include "kernel/lock.h"
#include <linux/limits.h> /* PATH_MAX with its NUL, NAME_MAX without */

struct inode;   /* fs/inode.h */
struct version; /* fs/version.h */

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
	struct mutex lock;  /* RANK_FILES */
	struct inode *cwd;  /* held; lock. inode_path() names it */
	struct inode *root; /* held; lock: "/", see chroot(2) */
	uint32_t umask;     /* lock */
};
struct fs_context *fs_context_create(void); /* cwd "/", umask 022; NULL: no memory */
struct fs_context *fs_context_copy(struct fs_context *from);
void fs_context_get(struct fs_context *context); /* CLONE_FS */
void fs_context_put(struct fs_context *context);

/* What set-user-ID and set-group-ID are decided by. */
struct program_owner {
	uint32_t mode, uid, gid;
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
