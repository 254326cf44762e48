/*
 * fs/times.c - when files say that they were read and written: utimensat(2) and its forerunners.
 */
#include "fs/attributes.h"
#include "fs/inode.h"
#include "fs/inotify.h"
#include "fs/mount.h"
#include "fs/ops.h"
#include "fs/permission.h"
#include "fs/walk.h"
#include "kernel/clock.h"
#include "kernel/syscall.h"
#include "mm/user.h"
#include <linux/time_types.h>

/* utimensat(2); no UAPI header has these. */
#define UTIME_NOW  ((1L << 30) - 1L)
#define UTIME_OMIT ((1L << 30) - 2L)

/* MS_RELATIME: a time of access is good for so long, if nothing has changed since. */
#define RELATIVE_NS (24 * 60 * 60 * NSEC_PER_SEC)

/* A look without the lock: who reads at the same moment sees one time or the other. */
static bool is_outdated(const struct inode *inode, uint32_t flags)
{
	return (flags & MS_RELATIME) == 0 || inode->accessed_ns <= inode->modified_ns ||
	       inode->accessed_ns <= inode->changed_ns;
}

void location_accessed(const struct location *at, bool first)
{
	uint32_t flags = at->mount != NULL ? atomic_load(&at->mount->flags) : MS_NOATIME;
	struct inode *inode = at->inode;

	if ((flags & (MS_NOATIME | MS_RDONLY)) != 0 || inode->is_synthetic ||
	    ((flags & MS_NODIRATIME) != 0 && S_ISDIR(inode->mode)) ||
	    mount_has(at->mount, MS_RDONLY))
		return;
	if (!is_outdated(inode, flags) &&
	    (!first || clock_wall_ns() - inode->accessed_ns < RELATIVE_NS))
		return;
	mutex_lock(&root_lock);
	inode->accessed_ns = clock_wall_ns();
	mutex_unlock(&root_lock);
}

void file_accessed(const struct file *file, bool first)
{
	struct location at = { file->mount, file->inode };

	if ((atomic_load(&file->flags) & O_NOATIME) == 0)
		location_accessed(&at, first);
}

/* One of utimensat(2)'s two times; `*keep` if it is to stay. */
static int read_time(const struct __kernel_timespec *ts, uint64_t now_ns, uint64_t *ns, bool *keep)
{
	*keep = ts->tv_nsec == UTIME_OMIT;
	*ns = now_ns;
	if (*keep || ts->tv_nsec == UTIME_NOW)
		return 0;
	if (ts->tv_nsec < 0 || ts->tv_nsec >= (long long)NSEC_PER_SEC)
		return -EINVAL;
	if (ts->tv_sec < 0 || (uint64_t)ts->tv_sec > UINT64_MAX / NSEC_PER_SEC - 1)
		return -EINVAL;
	*ns = (uint64_t)ts->tv_sec * NSEC_PER_SEC + (uint64_t)ts->tv_nsec;
	return 0;
}

/* Both of a file's times. No path means the descriptor itself, as on Linux (futimens(3)). */
static int64_t set_times(int dirfd, vaddr_t path, const struct __kernel_timespec ts[2], int flags)
{
	unsigned walk_flags = ((flags & AT_SYMLINK_NOFOLLOW) != 0 ? WALK_NOFOLLOW : 0) |
			      ((flags & AT_EMPTY_PATH) != 0 ? WALK_EMPTY : 0);
	uint64_t now_ns = clock_wall_ns(), accessed_ns, modified_ns;
	bool keep_accessed, keep_modified;
	struct location at;
	struct inode *inode;
	int error;

	if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0)
		return -EINVAL;
	error = read_time(&ts[0], now_ns, &accessed_ns, &keep_accessed);
	if (error == 0)
		error = read_time(&ts[1], now_ns, &modified_ns, &keep_modified);
	/* Nothing is to be done, and it is not even asked of what. */
	if (error != 0 || (keep_accessed && keep_modified))
		return error;
	if (path == 0 && dirfd == AT_FDCWD)
		return -EFAULT;
	error = path == 0 ? find_descriptor(dirfd, &at)
			  : find_location(dirfd, path, walk_flags, &at);
	if (error != 0)
		return error;
	inode = at.inode;
	mutex_lock(&root_lock);
	/* Who may write may say that he has just done so. */
	if (mount_has(at.mount, MS_RDONLY))
		error = -EROFS;
	else if (inode->is_synthetic)
		error = -EPERM;
	else if (!inode_is_mine(inode))
		error = ts[0].tv_nsec == UTIME_NOW && ts[1].tv_nsec == UTIME_NOW
				? inode_may(inode, MAY_WRITE)
				: -EPERM;
	if (error != 0)
		goto out;
	if (!keep_accessed)
		inode->accessed_ns = accessed_ns;
	if (!keep_modified)
		inode->modified_ns = modified_ns;
	inode->changed_ns = now_ns;
	inotify_inode(inode, IN_ATTRIB);
out:
	mutex_unlock(&root_lock);
	location_put(&at);
	return error;
}

SYSCALL4(utimensat, int, dirfd, vaddr_t, path, vaddr_t, times, int, flags)
{
	struct __kernel_timespec ts[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_NOW } };
	int error = times != 0 ? copy_from_user(ts, times, sizeof(ts)) : 0;

	return error != 0 ? error : set_times(dirfd, path, ts, flags);
}

/* The older calls count microseconds, or seconds. */
static int64_t set_times_us(int dirfd, vaddr_t path, vaddr_t times)
{
	struct __kernel_timespec ts[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_NOW } };
	struct __kernel_old_timeval tv[2];
	int error = times != 0 ? copy_from_user(tv, times, sizeof(tv)) : 0;

	for (unsigned i = 0; error == 0 && times != 0 && i < 2; i++) {
		if (tv[i].tv_usec < 0 || tv[i].tv_usec >= (long)(NSEC_PER_SEC / NSEC_PER_USEC))
			error = -EINVAL;
		ts[i].tv_sec = tv[i].tv_sec;
		ts[i].tv_nsec = tv[i].tv_usec * (long)NSEC_PER_USEC;
	}
	return error != 0 ? error : set_times(dirfd, path, ts, 0);
}

SYSCALL3(futimesat, int, dirfd, vaddr_t, path, vaddr_t, times)
{
	return set_times_us(dirfd, path, times);
}

SYSCALL2(utimes, vaddr_t, path, vaddr_t, times)
{
	return set_times_us(AT_FDCWD, path, times);
}

SYSCALL2(utime, vaddr_t, path, vaddr_t, times)
{
	struct __kernel_timespec ts[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_NOW } };
	__kernel_old_time_t seconds[2]; /* struct utimbuf: accessed, modified */
	int error = times != 0 ? copy_from_user(seconds, times, sizeof(seconds)) : 0;

	for (unsigned i = 0; error == 0 && times != 0 && i < 2; i++)
		ts[i] = (struct __kernel_timespec){ .tv_sec = seconds[i] };
	return error != 0 ? error : set_times(AT_FDCWD, path, ts, 0);
}
