/*
 * fs/stat.c - stat(2), statx(2), access(2), statfs(2): what files say of themselves.
 */
#include "fs/stat.h"
#include "fs/inode.h"
#include "fs/mount.h"
#include "fs/ops.h"
#include "fs/permission.h"
#include "fs/synthetic.h"
#include "fs/walk.h"
#include "kernel/clock.h"
#include "kernel/cred.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/frame.h"
#include "mm/slab.h"
#include "mm/user.h"
#include <asm/statfs.h>
#include <linux/kdev_t.h>
#include <linux/magic.h>

#define STAT_FLAGS (AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)

/* A file in the descriptor table that has no inode tells of itself: pipes and the like. */
static int stat_file(struct file *file, struct stat *out)
{
	return file->ops->stat != NULL ? file->ops->stat(file, out) : -EBADF;
}

/* What statx(2) tells besides. */
struct about {
	uint64_t created_ns; /* 0: not known */
	uint32_t mount;
	bool is_mounted; /* it is the root of that */
};

static struct about about(const struct mount *mount, const struct inode *inode)
{
	return (struct about){
		.created_ns = inode != NULL ? inode->created_ns : 0,
		.mount = mount_number(mount),
		.is_mounted = mount != NULL && mount->root == inode,
	};
}

static int stat_descriptor(int fd, struct stat *out, struct about *besides)
{
	struct file *file = fd_get(fd);
	int error;

	if (file == NULL)
		return -EBADF;
	error = stat_file(file, out);
	*besides = about(file->mount, file->inode);
	file_put(file);
	return error;
}

static int stat_path(int dirfd, vaddr_t user_path, int flags, struct stat *out,
		     struct about *besides)
{
	unsigned walk_flags = (flags & AT_SYMLINK_NOFOLLOW) != 0 ? WALK_NOFOLLOW : 0;
	struct place place;
	char *path;
	int error = path_from_user(user_path, &path);

	if (error != 0)
		return error;
	if (path[0] == '\0' && (flags & AT_EMPTY_PATH) != 0 && dirfd != AT_FDCWD) {
		error = stat_descriptor(dirfd, out, besides);
	} else {
		if ((flags & AT_EMPTY_PATH) != 0)
			walk_flags |= WALK_EMPTY;
		error = walk_find(dirfd, path, walk_flags, FRESH_STAT, &place);
		if (error == 0)
			error = place.file != NULL ? stat_file(place.file, out)
						   : inode_stat(place.inode, place.version, out);
		if (error == 0)
			*besides = about(place.mount, place.inode);
		place_put(&place);
	}
	kfree(path);
	return error;
}

static int64_t give_stat(int error, const struct stat *st, vaddr_t to)
{
	return error != 0 ? error : copy_to_user(to, st, sizeof(*st));
}

SYSCALL2(stat, vaddr_t, path, vaddr_t, to)
{
	struct about besides;
	struct stat st;
	int error = stat_path(AT_FDCWD, path, 0, &st, &besides);

	return give_stat(error, &st, to);
}

SYSCALL2(lstat, vaddr_t, path, vaddr_t, to)
{
	struct about besides;
	struct stat st;
	int error = stat_path(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, &st, &besides);

	return give_stat(error, &st, to);
}

SYSCALL2(fstat, int, fd, vaddr_t, to)
{
	struct about besides;
	struct stat st;
	int error = stat_descriptor(fd, &st, &besides);

	return give_stat(error, &st, to);
}

SYSCALL4(newfstatat, int, dirfd, vaddr_t, path, vaddr_t, to, int, flags)
{
	struct about besides;
	struct stat st;
	int error;

	if ((flags & ~STAT_FLAGS) != 0)
		return -EINVAL;
	error = stat_path(dirfd, path, flags, &st, &besides);
	return give_stat(error, &st, to);
}

SYSCALL5(statx, int, dirfd, vaddr_t, path, int, flags, unsigned, mask, vaddr_t, to)
{
	struct about besides;
	struct stat st;
	struct statx x;
	int error;

	if ((flags & ~(STAT_FLAGS | AT_STATX_SYNC_TYPE)) != 0 || (mask & STATX__RESERVED) != 0 ||
	    (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
		return -EINVAL;
	error = stat_path(dirfd, path, flags, &st, &besides);
	if (error != 0)
		return error;
	memset(&x, 0, sizeof(x));
	x.stx_mask = STATX_BASIC_STATS | STATX_MNT_ID | (besides.created_ns != 0 ? STATX_BTIME : 0);
	x.stx_btime.tv_sec = (int64_t)(besides.created_ns / NSEC_PER_SEC);
	x.stx_btime.tv_nsec = (uint32_t)(besides.created_ns % NSEC_PER_SEC);
	x.stx_blksize = (uint32_t)st.st_blksize;
	x.stx_nlink = (uint32_t)st.st_nlink;
	x.stx_uid = st.st_uid;
	x.stx_gid = st.st_gid;
	x.stx_mode = (uint16_t)st.st_mode;
	x.stx_ino = st.st_ino;
	x.stx_size = (uint64_t)st.st_size;
	x.stx_blocks = (uint64_t)st.st_blocks;
	x.stx_atime.tv_sec = (int64_t)st.st_atime;
	x.stx_atime.tv_nsec = (uint32_t)st.st_atime_nsec;
	x.stx_mtime.tv_sec = (int64_t)st.st_mtime;
	x.stx_mtime.tv_nsec = (uint32_t)st.st_mtime_nsec;
	x.stx_ctime.tv_sec = (int64_t)st.st_ctime;
	x.stx_ctime.tv_nsec = (uint32_t)st.st_ctime_nsec;
	x.stx_rdev_major = (uint32_t)MAJOR(st.st_rdev);
	x.stx_rdev_minor = (uint32_t)MINOR(st.st_rdev);
	x.stx_dev_major = (uint32_t)MAJOR(st.st_dev);
	x.stx_dev_minor = (uint32_t)MINOR(st.st_dev);
	x.stx_mnt_id = besides.mount;
	x.stx_attributes_mask = STATX_ATTR_MOUNT_ROOT;
	x.stx_attributes = besides.is_mounted ? STATX_ATTR_MOUNT_ROOT : 0;
	return copy_to_user(to, &x, sizeof(x));
}

/* What access(2) says of the file, to whoever the thread is for now. */
static int check_access(int dirfd, vaddr_t user_path, unsigned wanted, int flags)
{
	unsigned walk_flags = ((flags & AT_SYMLINK_NOFOLLOW) != 0 ? WALK_NOFOLLOW : 0) |
			      ((flags & AT_EMPTY_PATH) != 0 ? WALK_EMPTY : 0);
	struct place place;
	char *path;
	int error = path_from_user(user_path, &path);

	if (error != 0)
		return error;
	error = walk_find(dirfd, path, walk_flags, FRESH_STAT, &place);
	if (error == 0 && wanted != 0 && place.file == NULL)
		error = location_may(&(struct location){ place.mount, place.inode }, wanted);
	place_put(&place);
	kfree(path);
	return error;
}

/* The question is about the real user, whatever the effective one may: access(2). */
static int64_t access_path(int dirfd, vaddr_t path, int mode, int flags)
{
	struct cred *mine = current->cred;
	struct cred real;
	int error;

	if ((mode & ~(int)(MAY_READ | MAY_WRITE | MAY_EXECUTE)) != 0 ||
	    (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0)
		return -EINVAL;
	if ((flags & AT_EACCESS) == 0) {
		real = *mine;
		real.fsuid = mine->uid;
		real.fsgid = mine->gid;
		real.effective = mine->uid == ROOT_ID ? mine->permitted : 0;
		current->cred = &real; /* others look at the process's */
	}
	error = check_access(dirfd, path, (unsigned)mode, flags);
	current->cred = mine;
	return error;
}

SYSCALL2(access, vaddr_t, path, int, mode)
{
	return access_path(AT_FDCWD, path, mode, 0);
}

SYSCALL3(faccessat, int, dirfd, vaddr_t, path, int, mode)
{
	return access_path(dirfd, path, mode, 0);
}

SYSCALL4(faccessat2, int, dirfd, vaddr_t, path, int, mode, int, flags)
{
	return access_path(dirfd, path, mode, flags);
}

/* statfs(2), f_flags; no UAPI header has these. The first four are mount(2)'s. */
#define ST_VALID      0x0020
#define ST_NOATIME    0x0400
#define ST_NODIRATIME 0x0800
#define ST_RELATIME   0x1000

/* --- statfs(2): the root's size is the machine's memory ----------------------------------------------- */

static uint32_t magic_of(const struct filesystem *filesystem)
{
	if (strcmp(filesystem->type, "proc") == 0)
		return PROC_SUPER_MAGIC;
	return strcmp(filesystem->type, "devpts") == 0 ? DEVPTS_SUPER_MAGIC : TMPFS_MAGIC;
}

/* A size of its own, or what the machine has. */
static void fill_sizes(const struct filesystem *filesystem, struct statfs *fs)
{
	uint64_t limit = atomic_load(&filesystem->quota.limit);
	uint64_t used = atomic_load(&filesystem->quota.pages);
	struct frame_census census;

	if (limit != 0) {
		fs->f_blocks = (__kernel_long_t)limit;
		fs->f_bfree = fs->f_bavail = (__kernel_long_t)(limit - MIN(limit, used));
		return;
	}
	frame_census(&census);
	fs->f_blocks = (__kernel_long_t)census.total;
	fs->f_bfree = (__kernel_long_t)census.count[FRAME_FREE];
	fs->f_bavail = fs->f_bfree - MIN(fs->f_bfree, (__kernel_long_t)fill_reserve());
}

static uint32_t flags_of(const struct mount *mount)
{
	uint32_t flags = mount != NULL ? atomic_load(&mount->flags) : 0;

	return ST_VALID | (flags & (MS_NOSUID | MS_NODEV | MS_NOEXEC)) |
	       (mount_has(mount, MS_RDONLY) ? MS_RDONLY : 0) |
	       ((flags & MS_NOATIME) != 0 ? ST_NOATIME : 0) |
	       ((flags & MS_NODIRATIME) != 0 ? ST_NODIRATIME : 0) |
	       ((flags & MS_RELATIME) != 0 ? ST_RELATIME : 0);
}

/* `inode` NULL: of what is in no file system, as a pipe. */
static int64_t give_statfs(const struct mount *mount, const struct inode *inode, vaddr_t to)
{
	const struct filesystem *filesystem = inode != NULL ? inode->filesystem : NULL;
	struct statfs fs;

	memset(&fs, 0, sizeof(fs));
	fs.f_type = filesystem != NULL ? magic_of(filesystem) : TMPFS_MAGIC;
	fs.f_bsize = fs.f_frsize = PAGE_SIZE;
	fs.f_namelen = NAME_MAX;
	if (filesystem != NULL) {
		fs.f_flags = flags_of(mount);
		fs.f_fsid.val[0] = (int)filesystem->device;
		if (fs.f_type != PROC_SUPER_MAGIC && fs.f_type != DEVPTS_SUPER_MAGIC)
			fill_sizes(filesystem, &fs);
	}
	return copy_to_user(to, &fs, sizeof(fs));
}

SYSCALL2(statfs, vaddr_t, user_path, vaddr_t, to)
{
	struct place place;
	char *path;
	int64_t error = path_from_user(user_path, &path);

	if (error != 0)
		return error;
	error = walk_find(AT_FDCWD, path, 0, FRESH_STAT, &place);
	if (error == 0)
		error = give_statfs(place.mount, place.inode, to);
	place_put(&place);
	kfree(path);
	return error;
}

SYSCALL2(fstatfs, int, fd, vaddr_t, to)
{
	struct file *file = fd_get(fd);
	int64_t error;

	if (file == NULL)
		return -EBADF;
	error = give_statfs(file->mount, file->inode, to);
	file_put(file);
	return error;
}
