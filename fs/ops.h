/*
 * fs/ops.h - how each kind of inode becomes an open file, and what their operations share.
 */
#ifndef HAWSER_FS_OPS_H
#define HAWSER_FS_OPS_H

#include "fs/file.h"
#include "kernel/base.h"
#include "kernel/sched.h"
#include <linux/fcntl.h>
#include <linux/fs.h> /* SEEK_* */

struct inode;
struct location;
struct version;

/* lseek(2) within something of `size` bytes; file->offset is the result. -EINVAL, -ENXIO. */
loff_t seek_in(struct file *file, loff_t offset, int whence, loff_t size);

/* The stat operation of files that have an inode and, regular ones, a version. */
int stat_inode_file(struct file *file, struct stat *out);
/* That of files that are nowhere and have no data of their own: eventfd(2), epoll(7). */
int stat_anonymous(struct file *file, struct stat *out);

/*
 * Make `file`, which holds its inode and has its flags, a file of that kind: set file->ops and
 * what belongs to them. An error leaves no ops.
 */
int regular_open(struct file *file, struct version *version); /* takes the reference over */
/* The same of a new local version that has no name, and of which nobody claims to be its writer. */
int regular_open_anonymous(struct file *file, struct version *version);
int directory_open(struct file *file);
int synthetic_open(struct file *file, struct inode *inode);
int path_only_open(struct file *file); /* O_PATH */

/* The new file is one of the inode; takes a reference. */
void file_set_inode(struct file *file, struct inode *inode);

/* False with O_NONBLOCK, or if the call is not to wait (RWF_NOWAIT). */
static inline bool file_may_wait(const struct file *file)
{
	return (atomic_load(&file->flags) & O_NONBLOCK) == 0 &&
	       (current->io_flags & RWF_NOWAIT) == 0;
}

/*
 * It has been read: that is a time of access, if its mount keeps those and the descriptor does not forbid it
 * (O_NOATIME). The second one is of a directory's listing, or of a link. `first`: not only the rest of it has been
 * read, so that it is worth a look at the clock. No lock is held. (fs/times.c)
 */
void file_accessed(const struct file *file, bool first);
void location_accessed(const struct location *at, bool first);

/* True if the file is open, and regular. */
bool regular_is(const struct file *file);
/* 0, or -EFBIG with SIGXFSZ on its way, if a file may not become so large (RLIMIT_FSIZE). */
int size_check_limit(uint64_t size);

/* Offsets in a directory below this are "." and "..". */
#define DOT_OFFSETS 2
/* What readdir gives its entries to; false: no room, stop before this one. (fs/directory.c) */
bool dirent_emit(struct dirent_sink *sink, uint64_t number, uint64_t next_offset, uint32_t mode,
		 const char *name);

/* fcntl(2)'s F_ADD_SEALS and F_GET_SEALS. (fs/allocate.c) */
int64_t file_seals(struct file *file, int command, uint64_t argument);

/* The descriptor's file with a reference, if it is open for that; NULL: EBADF. */
struct file *fd_get(int fd);
struct file *fd_get_readable(int fd);
struct file *fd_get_writable(int fd);
/*
 * The same for the length of one call, without a reference where the table is the calling thread's alone:
 * then nobody can take the file out of it meanwhile. fd_return() ends it.
 */
struct file *fd_borrow(int fd, bool *held);
struct file *fd_borrow_readable(int fd, bool *held);
struct file *fd_borrow_writable(int fd, bool *held);
/* For many of one table that is known to be the calling thread's alone: !files_shared(). */
struct file *files_peek(const struct files *files, int fd);
static inline void fd_return(struct file *file, bool held)
{
	if (held)
		file_put(file);
}
/*
 * Two descriptors for two new files, told to the user as int[2]; 0, or an errno and no descriptor. The
 * caller's references stay the caller's.
 */
int64_t fd_install_pair(struct file *const pair[2], vaddr_t to, bool close_on_exec);

/* Takes descriptor `fd` out of the table; the caller drops the reference. NULL: EBADF. */
struct file *files_remove(struct files *files, int fd);
/* dup2(2): `file` becomes `fd`, whatever was there is closed. -EBADF, -EMFILE, -ENOMEM. */
int files_replace(struct files *files, int fd, struct file *file, bool close_on_exec);
/* close_range(2): closes the open ones among [first, last], or marks them. */
void files_close_range(struct files *files, uint32_t first, uint32_t last, bool mark);
/* FD_CLOEXEC of a descriptor. -EBADF. */
int files_get_cloexec(struct files *files, int fd);
int files_set_cloexec(struct files *files, int fd, bool close_on_exec);

#endif
