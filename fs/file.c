/*
 * fs/file.c - open files: their life, and what the kinds share.
 */
#include "fs/file.h"
#include "fs/async.h"
#include "fs/epoll.h"
#include "fs/inode.h"
#include "fs/inotify.h"
#include "fs/locks.h"
#include "fs/mount.h"
#include "fs/ops.h"
#include "fs/path.h"
#include "fs/stat.h"
#include "kernel/cred.h"
#include "kernel/sched.h"
#include "mm/frame.h"
#include "mm/slab.h"

/* Linux's rule: a tenth of memory for them, at a KiB each, and at least so many. */
#define FILE_MAX_LEAST 8192

static _Atomic uint64_t open_files;

uint64_t file_count(void)
{
	return atomic_load(&open_files);
}

uint64_t file_max(void)
{
	struct frame_census census;

	frame_census(&census);
	return MAX(census.total * (PAGE_SIZE / KIB) / 10, (uint64_t)FILE_MAX_LEAST);
}

static bool is_full(void)
{
	return file_count() >= FILE_MAX_LEAST && file_count() >= file_max() &&
	       !capable(CAP_SYS_ADMIN);
}

int file_create_error(void)
{
	return is_full() ? -ENFILE : -ENOMEM;
}

struct file *file_create(const struct file_ops *ops, uint32_t flags)
{
	struct file *file = is_full() ? NULL : kzalloc(sizeof(*file));

	if (file == NULL)
		return NULL;
	atomic_fetch_add(&open_files, 1);
	atomic_init(&file->refs, 1);
	atomic_init(&file->flags, flags);
	file->ops = ops;
	mutex_init(&file->offset_lock, "file offset", RANK_OFFSET);
	return file;
}

void file_get(struct file *file)
{
	atomic_fetch_add(&file->refs, 1);
}

bool file_get_living(struct file *file)
{
	uint32_t refs = atomic_load(&file->refs);

	while (refs != 0 && !atomic_compare_exchange_weak(&file->refs, &refs, refs + 1))
		;
	return refs != 0;
}

void file_put(struct file *file)
{
	if (atomic_fetch_sub(&file->refs, 1) != 1)
		return;
	if (atomic_load(&file->in_epoll))
		epoll_forget_file(file);
	locks_file_closed(file);
	async_forget(file);
	if (inotify_is_used() && file->ops != NULL && (atomic_load(&file->flags) & O_PATH) == 0)
		inotify_file(file, (atomic_load(&file->flags) & O_ACCMODE) != O_RDONLY
					   ? IN_CLOSE_WRITE
					   : IN_CLOSE_NOWRITE);
	if (file->ops != NULL && file->ops->release != NULL)
		file->ops->release(file);
	if (file->version != NULL)
		version_put(file->version);
	file_name_put(file->name);
	lock_set_free(atomic_load(&file->locks));
	if (file->inode != NULL && atomic_fetch_sub(&file->inode->opens, 1) == 1 &&
	    inotify_is_used())
		inotify_closed(file->inode);
	inode_put(file->inode);
	mount_put(file->mount);
	atomic_fetch_sub(&open_files, 1);
	kfree(file);
}

void file_set_inode(struct file *file, struct inode *inode)
{
	inode_get(inode);
	atomic_fetch_add(&inode->opens, 1);
	file->inode = inode;
}

loff_t seek_in(struct file *file, loff_t offset, int whence, loff_t size)
{
	loff_t base;

	switch (whence) {
	case SEEK_SET:
		base = 0;
		break;
	case SEEK_CUR:
		base = file->offset;
		break;
	case SEEK_END:
		base = size;
		break;
	case SEEK_DATA:
	case SEEK_HOLE:
		/* Without holes: all of it is data, and its end a hole. */
		if (offset < 0 || offset >= size)
			return -ENXIO;
		base = whence == SEEK_DATA ? 0 : size - offset;
		break;
	default:
		return -EINVAL;
	}
	if (__builtin_add_overflow(base, offset, &offset))
		return -EOVERFLOW;
	if (offset < 0)
		return -EINVAL;
	file->offset = offset;
	return offset;
}

int stat_inode_file(struct file *file, struct stat *out)
{
	return inode_stat(file->inode, file->version, out);
}

int stat_anonymous(struct file *file, struct stat *out)
{
	*out = (struct stat){
		.st_ino = 1,
		.st_mode = S_IRUSR | S_IWUSR,
		.st_nlink = 1,
		.st_blksize = PAGE_SIZE,
	};
	return 0;
}

/* --- O_PATH: a place in the tree, and nothing that can be done with it --------------------------- */

static const struct file_ops path_only_ops = {
	.stat = stat_inode_file,
};

int path_only_open(struct file *file)
{
	file->ops = &path_only_ops;
	return 0;
}
