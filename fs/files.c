/*
 * fs/files.c - descriptor tables: small numbers for open files.
 *
 * A table is an array of pointers that doubles when it is full, up to RLIMIT_NOFILE, and a bit per
 * descriptor for close-on-exec. Files are put outside the lock, because the last put may sleep for
 * the wire.
 */
#include "fs/file.h"
#include "fs/locks.h"
#include "fs/ops.h"
#include "kernel/limits.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "mm/slab.h"
#include "mm/user.h"

#define FILES_FIRST 32 /* slots of a new table */

struct slot {
	struct file *file; /* held; NULL: free */
	bool close_on_exec;
};

struct files {
	_Atomic uint32_t refs;
	struct mutex lock;   /* RANK_FILES */
	struct slot *slots;  /* lock */
	uint32_t count;      /* slots; lock */
	uint32_t first_free; /* none below it is free; lock */
};

_Static_assert(FILES_MAX * sizeof(struct slot) <= 4 * MIB, "a table fits in memory");

static struct files *create(uint32_t count)
{
	struct files *files = kzalloc(sizeof(*files));

	if (files == NULL)
		return NULL;
	files->slots = kzalloc(count * sizeof(*files->slots));
	if (files->slots == NULL) {
		kfree(files);
		return NULL;
	}
	files->count = count;
	atomic_init(&files->refs, 1);
	mutex_init(&files->lock, "descriptors", RANK_FILES);
	return files;
}

struct files *files_create(void)
{
	return create(FILES_FIRST);
}

struct files *files_copy(struct files *from)
{
	struct files *copy = NULL;

	/* The table may grow while memory is asked for without the lock: ask again. */
	for (;;) {
		mutex_lock(&from->lock);
		uint32_t count = from->count;
		if (copy != NULL && copy->count >= count)
			break;
		mutex_unlock(&from->lock);
		if (copy != NULL)
			files_put(copy);
		copy = create(count);
		if (copy == NULL)
			return NULL;
	}
	for (uint32_t fd = 0; fd < from->count; fd++) {
		copy->slots[fd] = from->slots[fd];
		if (copy->slots[fd].file != NULL)
			file_get(copy->slots[fd].file);
	}
	copy->first_free = from->first_free;
	mutex_unlock(&from->lock);
	return copy;
}

void files_get(struct files *files)
{
	atomic_fetch_add(&files->refs, 1);
}

void files_put(struct files *files)
{
	if (atomic_fetch_sub(&files->refs, 1) != 1)
		return;
	for (uint32_t fd = 0; fd < files->count; fd++) {
		struct file *file = files->slots[fd].file;

		if (file == NULL)
			continue;
		locks_descriptor_closed(files, file);
		file_put(file);
	}
	kfree(files->slots);
	kfree(files);
}

bool files_shared(const struct files *files)
{
	return atomic_load(&files->refs) > 1;
}

/* Empties a slot; lock held. */
static struct file *clear_slot(struct files *files, uint32_t fd)
{
	struct file *file = files->slots[fd].file;

	files->slots[fd] = (struct slot){ 0 };
	if (file != NULL)
		files->first_free = MIN(files->first_free, fd);
	return file;
}

/*
 * Closes the open descriptors of [first, last], or only those that are marked, one at a time, since
 * a file is put without the lock.
 */
static void close_some(struct files *files, uint32_t first, uint32_t last, bool marked_only)
{
	for (uint32_t fd = first;;) {
		struct file *file = NULL;

		mutex_lock(&files->lock);
		for (; fd < files->count && fd <= last && file == NULL; fd++) {
			if (!marked_only || files->slots[fd].close_on_exec)
				file = clear_slot(files, fd);
		}
		mutex_unlock(&files->lock);
		if (file == NULL)
			return;
		locks_descriptor_closed(files, file);
		file_put(file);
	}
}

void files_close_on_exec(struct files *files)
{
	close_some(files, 0, UINT32_MAX, true);
}

void files_close_range(struct files *files, uint32_t first, uint32_t last, bool mark)
{
	if (!mark) {
		close_some(files, first, last, false);
		return;
	}
	mutex_lock(&files->lock);
	for (uint32_t fd = first; fd < files->count && fd <= last; fd++)
		files->slots[fd].close_on_exec = files->slots[fd].file != NULL;
	mutex_unlock(&files->lock);
}

uint32_t files_count(struct files *files)
{
	mutex_lock(&files->lock);
	uint32_t count = files->count;
	mutex_unlock(&files->lock);
	return count;
}

struct file *files_lookup(struct files *files, int fd)
{
	struct file *file = NULL;

	if (files == NULL)
		return NULL;
	mutex_lock(&files->lock);
	if (fd >= 0 && (uint32_t)fd < files->count)
		file = files->slots[fd].file;
	if (file != NULL)
		file_get(file);
	mutex_unlock(&files->lock);
	return file;
}

int files_next(struct files *files, uint32_t from)
{
	int result = -EBADF;

	mutex_lock(&files->lock);
	for (uint32_t fd = from; fd < files->count && result < 0; fd++) {
		if (files->slots[fd].file != NULL)
			result = (int)fd;
	}
	mutex_unlock(&files->lock);
	return result;
}

uint32_t files_size(struct files *files)
{
	mutex_lock(&files->lock);
	uint32_t count = files->count;
	mutex_unlock(&files->lock);
	return count;
}

/* Makes slot `fd` exist; lock held. -EMFILE, -ENOMEM. */
static int extend(struct files *files, uint32_t fd)
{
	uint32_t count = files->count;
	struct slot *slots;

	if (fd < count)
		return 0;
	if (fd >= FILES_MAX)
		return -EMFILE;
	while (count <= fd)
		count *= 2;
	slots = kzalloc(count * sizeof(*slots));
	if (slots == NULL)
		return -ENOMEM;
	memcpy(slots, files->slots, files->count * sizeof(*slots));
	kfree(files->slots);
	files->slots = slots;
	files->count = count;
	return 0;
}

int files_install(struct files *files, struct file *file, int from, bool close_on_exec)
{
	uint64_t limit = limit_get(RLIMIT_NOFILE);
	uint32_t fd;
	int error;

	if (files == NULL || from < 0)
		return -EBADF;
	mutex_lock(&files->lock);
	fd = MAX((uint32_t)from, files->first_free);
	while (fd < files->count && files->slots[fd].file != NULL)
		fd++;
	error = fd >= limit ? -EMFILE : extend(files, fd);
	if (error == 0) {
		file_get(file);
		files->slots[fd] = (struct slot){ .file = file, .close_on_exec = close_on_exec };
		if ((uint32_t)from <= files->first_free)
			files->first_free = fd + 1;
	}
	mutex_unlock(&files->lock);
	return error == 0 ? (int)fd : error;
}

struct file *files_remove(struct files *files, int fd)
{
	struct file *file = NULL;

	if (files == NULL)
		return NULL;
	mutex_lock(&files->lock);
	if (fd >= 0 && (uint32_t)fd < files->count)
		file = clear_slot(files, (uint32_t)fd);
	mutex_unlock(&files->lock);
	if (file != NULL)
		locks_descriptor_closed(files, file);
	return file;
}

int files_replace(struct files *files, int fd, struct file *file, bool close_on_exec)
{
	struct file *old = NULL;
	int error;

	if (files == NULL || fd < 0 || (uint64_t)fd >= limit_get(RLIMIT_NOFILE))
		return -EBADF;
	mutex_lock(&files->lock);
	error = extend(files, (uint32_t)fd);
	if (error == 0) {
		old = files->slots[fd].file;
		file_get(file);
		files->slots[fd] = (struct slot){ .file = file, .close_on_exec = close_on_exec };
	}
	mutex_unlock(&files->lock);
	if (old != NULL) {
		locks_descriptor_closed(files, old);
		file_put(old);
	}
	return error == 0 ? fd : error;
}

int files_get_cloexec(struct files *files, int fd)
{
	int result = -EBADF;

	if (files == NULL)
		return result;
	mutex_lock(&files->lock);
	if (fd >= 0 && (uint32_t)fd < files->count && files->slots[fd].file != NULL)
		result = files->slots[fd].close_on_exec;
	mutex_unlock(&files->lock);
	return result;
}

int files_set_cloexec(struct files *files, int fd, bool close_on_exec)
{
	int result = -EBADF;

	if (files == NULL)
		return result;
	mutex_lock(&files->lock);
	if (fd >= 0 && (uint32_t)fd < files->count && files->slots[fd].file != NULL) {
		files->slots[fd].close_on_exec = close_on_exec;
		result = 0;
	}
	mutex_unlock(&files->lock);
	return result;
}

/* --- the calling thread's --------------------------------------------------------------------------- */

struct file *fd_get(int fd)
{
	return files_lookup(current->files, fd);
}

struct file *files_peek(const struct files *files, int fd)
{
	return fd >= 0 && (uint32_t)fd < files->count ? files->slots[fd].file : NULL;
}

struct file *fd_borrow(int fd, bool *held)
{
	const struct files *files = current->files;

	*held = files == NULL || files_shared(files);
	return *held ? fd_get(fd) : files_peek(files, fd);
}

/* The fourth access mode allows neither: open(2). */
static bool allows(const struct file *file, uint32_t unwanted)
{
	uint32_t flags = atomic_load(&file->flags);

	return (flags & O_PATH) == 0 && (flags & O_ACCMODE) != unwanted &&
	       (flags & O_ACCMODE) != O_ACCMODE;
}

static struct file *fd_borrow_mode(int fd, uint32_t unwanted, bool *held)
{
	struct file *file = fd_borrow(fd, held);

	if (file == NULL || allows(file, unwanted))
		return file;
	fd_return(file, *held);
	return NULL;
}

struct file *fd_borrow_readable(int fd, bool *held)
{
	return fd_borrow_mode(fd, O_WRONLY, held);
}

struct file *fd_borrow_writable(int fd, bool *held)
{
	return fd_borrow_mode(fd, O_RDONLY, held);
}

static struct file *fd_get_mode(int fd, uint32_t unwanted)
{
	struct file *file = fd_get(fd);

	if (file == NULL || allows(file, unwanted))
		return file;
	file_put(file);
	return NULL;
}

struct file *fd_get_readable(int fd)
{
	return fd_get_mode(fd, O_WRONLY);
}

struct file *fd_get_writable(int fd)
{
	return fd_get_mode(fd, O_RDONLY);
}

int64_t fd_install_pair(struct file *const pair[2], vaddr_t to, bool close_on_exec)
{
	int fds[2], error;

	fds[0] = files_install(current->files, pair[0], 0, close_on_exec);
	fds[1] = fds[0] < 0 ? fds[0] : files_install(current->files, pair[1], 0, close_on_exec);
	error = fds[1] < 0 ? fds[1] : copy_to_user(to, fds, sizeof(fds));
	for (unsigned i = 0; i < 2 && error != 0; i++) {
		struct file *mine = fds[i] >= 0 ? files_remove(current->files, fds[i]) : NULL;
		if (mine != NULL)
			file_put(mine);
	}
	return error;
}
