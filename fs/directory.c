/*
 * fs/directory.c - open directories, and getdents(2).
 *
 * A directory's offset is 0 at ".", 1 at "..", and two more than the cookie of the child before
 * otherwise: children keep their order and their cookies, so a listing survives changes.
 */
#include "fs/inode.h"
#include "fs/inotify.h"
#include "fs/ops.h"
#include "fs/root.h"
#include "fs/stat.h"
#include "fs/synthetic.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/slab.h"
#include "mm/user.h"

/* getdents64(2); no UAPI header has it. */
struct linux_dirent64 {
	uint64_t d_ino;
	int64_t d_off;
	uint16_t d_reclen;
	uint8_t d_type;
	char d_name[];
};
_Static_assert(offsetof(struct linux_dirent64, d_name) == 19, "the layout of getdents64(2)");

/* getdents(2): the type is the last byte of the entry; no UAPI header has it either. */
struct linux_dirent {
	uint64_t d_ino;
	int64_t d_off;
	uint16_t d_reclen;
	char d_name[];
};
_Static_assert(offsetof(struct linux_dirent, d_name) == 18, "the layout of getdents(2)");

/* DT_* of <dirent.h> is the type of the mode, shifted: readdir(3). */
#define MODE_TO_TYPE(mode) (((mode)&S_IFMT) >> 12)

/* A listing is made in the kernel, under a lock, and copied afterwards. */
#define LISTING_MAX (4 * PAGE_SIZE)

struct dirent_sink {
	char *buffer;
	size_t size, used;
	bool old; /* struct linux_dirent is wanted */
};

bool dirent_emit(struct dirent_sink *sink, uint64_t number, uint64_t next_offset, uint32_t mode,
		 const char *name)
{
	size_t name_size = strlen(name) + 1;
	size_t head = sink->old ? offsetof(struct linux_dirent, d_name)
				: offsetof(struct linux_dirent64, d_name);
	size_t length = ALIGN_UP(head + name_size + sink->old, sizeof(uint64_t));
	char *at = sink->buffer + sink->used;
	struct linux_dirent64 *entry = (void *)at;

	if (sink->size - sink->used < length)
		return false;
	memset(at, 0, length);
	entry->d_ino = number;
	entry->d_off = (int64_t)next_offset;
	entry->d_reclen = (uint16_t)length;
	memcpy(at + head, name, name_size);
	if (sink->old)
		at[length - 1] = (char)MODE_TO_TYPE(mode);
	else
		entry->d_type = MODE_TO_TYPE(mode);
	sink->used += length;
	return true;
}

/* Both dots, as far as they are still to come; false: no room. root_lock held. */
static bool emit_dots(struct inode *dir, struct dirent_sink *sink, loff_t *offset)
{
	/* Of the root of a file system it is itself, as on Linux, whatever is above where it is mounted. */
	struct inode *parent = inode_parent(dir) ?: dir;

	if (*offset == 0) {
		if (!dirent_emit(sink, dir->number, 1, S_IFDIR, "."))
			return false;
		*offset = 1;
	}
	if (*offset == 1) {
		if (!dirent_emit(sink, parent->number, DOT_OFFSETS, S_IFDIR, ".."))
			return false;
		*offset = DOT_OFFSETS;
	}
	return true;
}

static int readdir_directory(struct file *file, struct dirent_sink *sink)
{
	struct inode *dir = file->inode;
	struct name *name;
	loff_t offset = file->offset;

	mutex_lock(&root_lock);
	if (emit_dots(dir, sink, &offset) && dir->entries == NULL) {
		name = name_after(dir, (uint64_t)offset - DOT_OFFSETS);
		for (; name != NULL; name = TAILQ_NEXT(name, in_order)) {
			uint64_t next = name->cookie + DOT_OFFSETS;
			if (name->inode != NULL && !dirent_emit(sink, name->inode->number, next,
								name->inode->mode, name->text))
				break;
			offset = (loff_t)next;
		}
	}
	mutex_unlock(&root_lock);
	/* Whose entries they are is asked of rooms whose locks come before the offset's. */
	if (dir->entries != NULL && offset >= DOT_OFFSETS) {
		mutex_unlock(&file->offset_lock);
		synthetic_list_entries(dir, sink, &offset);
		mutex_lock(&file->offset_lock);
	}
	file->offset = offset;
	return 0;
}

static ssize_t read_directory(struct file *file, vaddr_t to, size_t length, loff_t *offset)
{
	return -EISDIR;
}

static loff_t seek_directory(struct file *file, loff_t offset, int whence)
{
	return whence == SEEK_END ? -EINVAL : seek_in(file, offset, whence, 0);
}

static const struct file_ops directory_ops = {
	.read = read_directory,
	.seek = seek_directory,
	.stat = stat_inode_file,
	.readdir = readdir_directory,
};

int directory_open(struct file *file)
{
	if (file->inode->numbers != NULL)
		synthetic_look_for_all(file->inode);
	file->ops = &directory_ops;
	return 0;
}

static int64_t list(int fd, vaddr_t to, size_t count, bool old)
{
	struct file *file = fd_get_readable(fd);
	struct dirent_sink sink = { .old = old };
	loff_t before;
	int64_t result;

	if (file == NULL)
		return -EBADF;
	result = -ENOTDIR;
	if (file->ops->readdir == NULL)
		goto out_file;
	sink.size = MIN(count, LISTING_MAX);
	result = -ENOMEM;
	sink.buffer = kalloc(MAX(sink.size, sizeof(uint64_t)));
	if (sink.buffer == NULL)
		goto out_file;

	mutex_lock(&file->offset_lock);
	before = file->offset;
	result = file->ops->readdir(file, &sink);
	if (result == 0 && sink.used == 0) {
		/* Nothing fitted, or no name was left: a second try with room for one tells. */
		struct dirent_sink one = {
			.buffer = kalloc(PAGE_SIZE),
			.size = PAGE_SIZE,
			.old = old,
		};
		result = -ENOMEM;
		if (one.buffer != NULL) {
			result = file->ops->readdir(file, &one);
			file->offset = before;
			kfree(one.buffer);
			if (result == 0 && one.used > 0)
				result = -EINVAL;
		}
	}
	if (result == 0 && sink.used > 0) {
		result = copy_to_user(to, sink.buffer, sink.used);
		if (result != 0)
			file->offset = before;
	}
	mutex_unlock(&file->offset_lock);
	file_accessed(file, true);
	inotify_file(file, IN_ACCESS);
	if (result == 0)
		result = (int64_t)sink.used;
	kfree(sink.buffer);
out_file:
	file_put(file);
	return result;
}

SYSCALL3(getdents64, int, fd, vaddr_t, to, unsigned, count)
{
	return list(fd, to, count, false);
}

SYSCALL3(getdents, int, fd, vaddr_t, to, unsigned, count)
{
	return list(fd, to, count, true);
}
