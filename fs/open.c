/*
 * fs/open.c - open(2) and its kin, and opening for execution.
 */
#include "fs/file.h"
#include "fs/inode.h"
#include "fs/ops.h"
#include "fs/path.h"
#include "fs/walk.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/slab.h"

/* What open(2) looks at and fcntl(F_GETFL) does not show. */
#define OPEN_ONLY_FLAGS (O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC)
/* With O_PATH, open(2) ignores all others. */
#define PATH_FLAGS       (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

#define MODE_PERMISSIONS (S_ISUID | S_ISGID | S_ISVTX | S_IRWXU | S_IRWXG | S_IRWXO)
#define MODE_EXECUTE     (S_IXUSR | S_IXGRP | S_IXOTH)

static bool wants_write(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY;
}

/* An empty local file at a free place; if someone was quicker, theirs, or -EEXIST. */
static int create_at(struct place *place, uint32_t mode, bool exclusive)
{
	struct inode *inode;
	struct inode *there;
	int error = -ENOMEM;

	if (!fill_has_room())
		return -ENOSPC;
	if (current->fs != NULL) {
		mutex_lock(&current->fs->lock);
		mode &= ~current->fs->umask;
		mutex_unlock(&current->fs->lock);
	}
	inode = inode_create(S_IFREG | (mode & MODE_PERMISSIONS));
	if (inode == NULL)
		return -ENOMEM;
	inode->version = version_create_local(0);
	if (inode->version == NULL)
		goto out;
	mutex_lock(&root_lock);
	there = inode_child(place->dir, place->rest);
	if (there == NULL || there->mode == MODE_ABSENT) {
		error = inode_link(place->dir, place->rest, inode);
		there = inode;
	} else {
		error = exclusive ? -EEXIST : 0;
	}
	if (error == 0) {
		inode_get(there);
		place->inode = there;
	}
	mutex_unlock(&root_lock);
out:
	inode_put(inode);
	return error;
}

/* What is wrong with opening an inode of this kind in this way. */
static int check_kind(const struct inode *inode, const struct place *place, int flags)
{
	if (S_ISLNK(inode->mode))
		return (flags & O_DIRECTORY) != 0 ? -ENOTDIR : (flags & O_PATH) != 0 ? 0 : -ELOOP;
	if ((flags & O_DIRECTORY) != 0 && !S_ISDIR(inode->mode))
		return -ENOTDIR;
	if (S_ISDIR(inode->mode) && (flags & O_PATH) == 0 &&
	    (wants_write(flags) || (flags & O_CREAT) != 0))
		return -EISDIR;
	if (place->image && wants_write(flags))
		return -ETXTBSY;
	return 0;
}

/* Gives `file` its operations by the kind of its inode. */
static int attach(struct file *file, struct place *place, int flags, bool created)
{
	struct inode *inode = file->inode;
	struct version *version;
	int error;

	if ((flags & O_PATH) != 0) {
		/* Kept for fstat(2) and fexecve(3). */
		file->version = place->version;
		place->version = NULL;
		return path_only_open(file);
	}
	if (S_ISDIR(inode->mode))
		return directory_open(file);
	if (S_ISCHR(inode->mode))
		return inode->device->open(file);
	if (inode->is_synthetic)
		return synthetic_open(file, inode);
	if (!S_ISREG(inode->mode))
		return -ENXIO;
	if (wants_write(flags) || ((flags & O_TRUNC) != 0 && !created)) {
		/* Held by nobody else, it need not be copied. */
		if (place->version != NULL)
			version_put(place->version);
		place->version = NULL;
		error = inode_writable(inode, (flags & O_TRUNC) != 0, &version);
		if (error != 0)
			return error;
		if (!wants_write(flags))
			version_end_write(version);
		return regular_open(file, version);
	}
	version = place->version;
	place->version = NULL;
	/* Just made: whatever the tree has. */
	error = version != NULL ? 0 : inode_version(inode, FRESH_OPEN, 0, &version);
	return error != 0 ? error : regular_open(file, version);
}

static int name_of(struct inode *inode, struct place *place, struct file_name **out)
{
	char *path;
	int error;

	if (place->name != NULL) {
		file_name_get(place->name);
		*out = place->name;
		return 0;
	}
	path = kalloc(PATH_MAX);
	if (path == NULL)
		return -ENOMEM;
	error = inode_path(inode, path, PATH_MAX);
	if (error == -ENOENT || error == -ENAMETOOLONG) {
		/* No name, or none that fits: readlink(2) on it will say so. */
		(void)strlcpy(path, "(deleted)", PATH_MAX);
		error = 0;
	}
	if (error == 0) {
		*out = file_name_create(path, inode->number);
		error = *out != NULL ? 0 : -ENOMEM;
	}
	kfree(path);
	return error;
}

/* The inode to open, found or made. */
static int find_or_create(int dirfd, char *path, int flags, uint32_t mode, struct place *place,
			  bool *created)
{
	bool exclusive = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
	unsigned walk_flags = (flags & O_NOFOLLOW) != 0 || exclusive ? WALK_NOFOLLOW : 0;
	int error = walk_find(dirfd, path, walk_flags, FRESH_OPEN, place);

	*created = false;
	if (error == 0)
		return exclusive ? -EEXIST : 0;
	if (error != -ENOENT || (flags & O_CREAT) == 0 || (flags & O_PATH) != 0 ||
	    !place_is_free(place))
		return error;
	if (place->slash)
		return -EISDIR;
	error = create_at(place, mode, exclusive);
	*created = error == 0;
	return error;
}

/* `path` is a buffer of PATH_MAX bytes that is used up. */
static int open_at(int dirfd, char *path, int flags, uint32_t mode, struct file **out)
{
	struct place place;
	struct file *file = NULL;
	bool created;
	int error;

	if ((flags & __O_TMPFILE) != 0)
		return -EOPNOTSUPP;
	if ((flags & O_PATH) != 0)
		flags &= PATH_FLAGS;
	/* open(2) makes files only. */
	if ((flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY))
		return -EINVAL;
	error = find_or_create(dirfd, path, flags, mode, &place, &created);
	if (error == 0)
		error = check_kind(place.inode, &place, flags);
	if (error != 0)
		goto out;
	error = -ENOMEM;
	file = file_create(NULL, (uint32_t)(flags & ~OPEN_ONLY_FLAGS) | O_LARGEFILE);
	if (file == NULL)
		goto out;
	if (place.file != NULL && (flags & O_PATH) == 0) {
		error = place.file->ops->reopen != NULL ? place.file->ops->reopen(place.file, file)
							: -ENXIO;
		goto opened;
	}
	inode_get(place.inode);
	file->inode = place.inode;
	error = name_of(place.inode, &place, &file->name);
	if (error == 0)
		error = attach(file, &place, flags, created);
opened:
	if (error != 0)
		file_put(file);
	else
		*out = file;
out:
	place_put(&place);
	return error;
}

int file_open(const char *path, int flags, uint32_t mode, struct file **out)
{
	char *buffer;
	int error;

	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	buffer = kalloc(PATH_MAX);
	if (buffer == NULL)
		return -ENOMEM;
	(void)strlcpy(buffer, path, PATH_MAX);
	error = open_at(AT_FDCWD, buffer, flags, mode, out);
	kfree(buffer);
	return error;
}

static int64_t open_descriptor(int dirfd, vaddr_t user_path, int flags, uint32_t mode)
{
	struct file *file;
	char *path;
	int fd, error;

	error = path_from_user(user_path, &path);
	if (error != 0)
		return error;
	error = open_at(dirfd, path, flags, mode, &file);
	kfree(path);
	if (error != 0)
		return error;
	fd = files_install(current->files, file, 0, (flags & O_CLOEXEC) != 0);
	file_put(file);
	return fd;
}

SYSCALL3(open, vaddr_t, path, int, flags, uint32_t, mode)
{
	return open_descriptor(AT_FDCWD, path, flags, mode);
}

SYSCALL4(openat, int, dirfd, vaddr_t, path, int, flags, uint32_t, mode)
{
	return open_descriptor(dirfd, path, flags, mode);
}

SYSCALL2(creat, vaddr_t, path, uint32_t, mode)
{
	return open_descriptor(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* --- execution ------------------------------------------------------------------------------------- */

int path_open_exec(int dirfd, const char *path, int flags, struct version **version,
		   struct file_name **name)
{
	unsigned walk_flags = ((flags & AT_EMPTY_PATH) != 0 ? WALK_EMPTY : 0) |
			      ((flags & AT_SYMLINK_NOFOLLOW) != 0 ? WALK_NOFOLLOW : 0);
	struct place place;
	char *buffer;
	int error;

	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	buffer = kalloc(PATH_MAX);
	if (buffer == NULL)
		return -ENOMEM;
	(void)strlcpy(buffer, path, PATH_MAX);
	error = walk_find(dirfd, buffer, walk_flags, FRESH_OPEN, &place);
	if (error == -EISDIR)
		error = -EACCES;
	if (error != 0)
		goto out;
	if (S_ISLNK(place.inode->mode))
		error = -ELOOP;
	else if (place.version == NULL || (place.inode->mode & MODE_EXECUTE) == 0)
		error = -EACCES;
	else
		error = name_of(place.inode, &place, name);
	if (error == 0) {
		version_get(place.version);
		*version = place.version;
	}
out:
	place_put(&place);
	kfree(buffer);
	return error;
}
