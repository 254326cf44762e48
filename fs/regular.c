/*
 * fs/regular.c - open regular files: a version, read and written at an offset.
 *
 * A file opened for reading keeps the version that its name had then. A local version is shared by
 * all who open the name, so readers of a file that is written here see what is written.
 */
#include "fs/fill.h"
#include "fs/inode.h"
#include "fs/mount.h"
#include "fs/ops.h"
#include "fs/permission.h"
#include "fs/signal.h"
#include "fs/span.h"
#include "fs/stat.h"
#include "fs/version.h"
#include "kernel/cred.h"
#include "kernel/limits.h"
#include "kernel/sched.h"
#include "mm/user.h"
#include <asm/ioctls.h>
#include <asm/signal.h>
#include <linux/mman.h>

static bool is_writable(const struct file *file)
{
	return (atomic_load(&file->flags) & O_ACCMODE) != O_RDONLY;
}

static ssize_t read_regular(struct file *file, vaddr_t to, size_t length, loff_t *offset)
{
	ssize_t done;

	if (unlikely((current->io_flags & RWF_NOWAIT) != 0) &&
	    !version_holds(file->version, (uint64_t)*offset + length))
		return -EAGAIN;
	done = version_read_user(file->version, (uint64_t)*offset, to, length);
	if (length > 0)
		file_accessed(file, *offset == 0);
	if (done > 0)
		*offset += done;
	return done;
}

/* `done` bytes, or a negative errno, have been written at `start`. */
static ssize_t end_writing(struct file *file, ssize_t done, uint64_t start, uint64_t limit,
			   loff_t *offset)
{
	if (done == -EFBIG && start >= limit)
		signal_self(SIGXFSZ);
	if (done > 0) {
		*offset = (loff_t)start + done;
		inode_touch(file->inode);
		if (!capable(CAP_FSETID))
			inode_drop_set_id(file->inode);
	}
	return done;
}

static ssize_t write_regular(struct file *file, vaddr_t from, size_t length, loff_t *offset)
{
	uint64_t limit = limit_get(RLIMIT_FSIZE);
	uint64_t start = (uint64_t)*offset;
	ssize_t done;

	if (length == 0)
		return 0;
	done = version_write_user(file->version, start, from, length, limit);
	return end_writing(file, done, start, limit, offset);
}

static ssize_t append_regular(struct file *file, const struct span *span, loff_t *offset)
{
	uint64_t limit = limit_get(RLIMIT_FSIZE);
	uint64_t start = (uint64_t)*offset;
	ssize_t done;

	if (span->length == 0)
		return 0;
	done = version_append_user(file->version, span->vectors, span->count, limit, &start);
	return end_writing(file, done, start, limit, offset);
}

/* FIONREAD, FIGETBSZ and FIOQSIZE. */
static int ioctl_regular(struct file *file, unsigned request, vaddr_t argument)
{
	uint64_t size = 0;
	int error;

	if (request == FIGETBSZ)
		return put_user(argument, (int)PAGE_SIZE);
	if (request != FIONREAD && request != FIOQSIZE)
		return -ENOTTY;
	error = version_size(file->version, &size);
	if (error != 0)
		return error;
	if (request == FIOQSIZE)
		return put_user(argument, (loff_t)ALIGN_UP(size, PAGE_SIZE));
	error = mutex_lock_killable(&file->offset_lock);
	if (error != 0)
		return error;
	int left = (int)((loff_t)size - file->offset);
	mutex_unlock(&file->offset_lock);
	return put_user(argument, left);
}

static loff_t seek_regular(struct file *file, loff_t offset, int whence)
{
	uint64_t size = 0;

	if ((whence == SEEK_DATA || whence == SEEK_HOLE) && offset >= 0) {
		offset = whence == SEEK_DATA ? version_find_data(file->version, (uint64_t)offset)
					     : version_find_hole(file->version, (uint64_t)offset);
		if (offset < 0)
			return offset;
		whence = SEEK_SET;
	}
	/* Only the end needs the size, and the size may need the wire. */
	if (whence != SEEK_SET && whence != SEEK_CUR) {
		int error = version_size(file->version, &size);
		if (error != 0)
			return error;
	}
	return seek_in(file, offset, whence, (loff_t)size);
}

int size_check_limit(uint64_t size)
{
	if (size <= limit_get(RLIMIT_FSIZE))
		return 0;
	signal_self(SIGXFSZ);
	return -EFBIG;
}

static int truncate_regular(struct file *file, uint64_t size)
{
	int error;

	if (!is_writable(file))
		return -EINVAL;
	error = size_check_limit(size);
	if (error == 0)
		error = version_resize(file->version, size);
	if (error == 0)
		inode_touch(file->inode);
	return error;
}

/* A shared mapping may write if the descriptor may, and no seal is against it. */
static int claim_mapping(struct file *file, struct map_request *request)
{
	int error = is_writable(file) ? version_claim_mapping(file->version) : -EPERM;

	request->claimed = error == 0;
	if (error == -EPERM && (request->prot & PROT_WRITE) == 0) {
		request->max_prot &= ~(uint32_t)PROT_WRITE;
		error = 0;
	}
	return error;
}

static int mmap_regular(struct file *file, struct map_request *request)
{
	uint64_t size;
	/* Faults are told the end of the file from the beginning of it: it has to be known. */
	int error = version_size(file->version, &size);

	if (error == 0 && (request->flags & REGION_SHARED) != 0)
		error = claim_mapping(file, request);
	if (error == 0)
		request->object = version_object(file->version);
	file_accessed(file, true);
	return error;
}

static void release_regular(struct file *file)
{
	if (is_writable(file)) {
		version_end_write(file->version);
		if (file->mount != NULL) {
			atomic_fetch_sub(&file->mount->writers, 1);
			atomic_fetch_sub(&file->mount->filesystem->writers, 1);
		}
	}
	/* What nobody reads is not kept waiting on the server: the inode has a reference, and we. */
	if (atomic_load(&file->version->object.refs) <= 2)
		fill_stop(file->version);
}

static const struct file_ops regular_ops = {
	.read = read_regular,
	.write = write_regular,
	.append = append_regular,
	.seek = seek_regular,
	.stat = stat_inode_file,
	.ioctl = ioctl_regular,
	.truncate = truncate_regular,
	.mmap = mmap_regular,
	.release = release_regular,
};

/* Without a claim to write that would keep it from being executed. */
static const struct file_ops anonymous_ops = {
	.read = read_regular,
	.write = write_regular,
	.append = append_regular,
	.seek = seek_regular,
	.stat = stat_inode_file,
	.ioctl = ioctl_regular,
	.truncate = truncate_regular,
	.mmap = mmap_regular,
};

int regular_open_anonymous(struct file *file, struct version *version)
{
	version->anonymous = true;
	file->version = version;
	file->ops = &anonymous_ops;
	return 0;
}

bool regular_is(const struct file *file)
{
	return file->ops == &regular_ops || file->ops == &anonymous_ops;
}

int regular_open(struct file *file, struct version *version)
{
	file->version = version;
	file->ops = &regular_ops;
	if (is_writable(file) && file->mount != NULL) {
		atomic_fetch_add(&file->mount->writers, 1);
		atomic_fetch_add(&file->mount->filesystem->writers, 1);
	}
	return 0;
}
