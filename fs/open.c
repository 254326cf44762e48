/*
 * fs/open.c - open(2) and its kin, and opening for execution.
 */
#include "fs/file.h"
#include "fs/inode.h"
#include "fs/inotify.h"
#include "fs/mount.h"
#include "fs/ops.h"
#include "fs/path.h"
#include "fs/permission.h"
#include "fs/pipe.h"
#include "fs/synthetic.h"
#include "fs/walk.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/slab.h"
#include "mm/user.h"
#include <linux/openat2.h>

/* What open(2) looks at and fcntl(F_GETFL) does not show. */
#define OPEN_ONLY_FLAGS (O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC)
/* All that open(2) knows; openat2(2) refuses others. */
#define OPEN_FLAGS                                                                         \
	(O_ACCMODE | OPEN_ONLY_FLAGS | O_APPEND | O_NONBLOCK | O_SYNC | O_DSYNC | FASYNC | \
	 O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_PATH | __O_TMPFILE)
/* With O_PATH, open(2) ignores all others. */
#define PATH_FLAGS       (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

#define MODE_PERMISSIONS (S_ISUID | S_ISGID | S_ISVTX | S_IRWXU | S_IRWXG | S_IRWXO)

static bool wants_write(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY;
}

/* An empty local file without a name; NULL: no memory. */
static struct inode *create_file(uint32_t mode)
{
	struct inode *inode;

	if (current->fs != NULL) {
		mutex_lock(&current->fs->lock);
		mode &= ~current->fs->umask;
		mutex_unlock(&current->fs->lock);
	}
	inode = inode_create(S_IFREG | (mode & MODE_PERMISSIONS));
	if (inode == NULL)
		return NULL;
	inode->version = version_create_local(0);
	if (inode->version == NULL) {
		inode_put(inode);
		return NULL;
	}
	inode_set_owner(inode, NULL);
	return inode;
}

/* An empty local file at a free place; if someone was quicker, theirs, or -EEXIST. */
static int create_at(struct place *place, uint32_t mode, bool exclusive)
{
	struct inode *inode;
	struct inode *there;
	int error;

	if (mount_has(place->mount, MS_RDONLY))
		return -EROFS;
	if (!fill_has_room())
		return -ENOSPC;
	inode = create_file(mode);
	if (inode == NULL)
		return -ENOMEM;
	mutex_lock(&root_lock);
	there = inode_child(place->dir, place->rest);
	if (there == NULL) {
		error = dir_may_make(place->dir);
		if (error == 0) {
			inode_set_owner(inode, place->dir);
			error = inode_link(place->dir, place->rest, inode);
		}
		if (error == 0)
			inotify_name(place->dir, place->rest, inode, IN_CREATE, 0);
		there = inode;
	} else {
		error = exclusive ? -EEXIST : 0;
	}
	if (error == 0) {
		inode_get(there);
		place->inode = there;
	}
	mutex_unlock(&root_lock);
	inode_put(inode);
	return error;
}

/*
 * O_TMPFILE: a file without a name takes the place of the directory, and is called as Linux calls it.
 * Without O_EXCL it may get a name later, by linkat(2).
 */
static int create_nameless(struct place *place, int flags, uint32_t mode)
{
	struct inode *inode;
	char *path;
	int error;

	if (!S_ISDIR(place->inode->mode))
		return -ENOTDIR;
	if (place->inode->is_synthetic)
		return -EOPNOTSUPP;
	error = mount_has(place->mount, MS_RDONLY) ? -EROFS : dir_may_make(place->inode);
	if (error != 0)
		return error;
	if (!fill_has_room())
		return -ENOSPC;
	path = kalloc(PATH_MAX);
	inode = create_file(mode);
	error = path != NULL && inode != NULL
			? location_path(&(struct location){ place->mount, place->inode }, path,
					PATH_MAX)
			: -ENOMEM;
	if (error == 0) {
		size_t length = strlen(path);

		inode_set_owner(inode, place->inode);
		inode_join(inode, place->inode->filesystem);
		inode->linkable = (flags & O_EXCL) == 0;
		(void)snprintf(path + length, PATH_MAX - length, "%s#%lu",
			       path[length - 1] == '/' ? "" : "/", inode->number);
		place->name = file_name_create(path, inode->number);
		error = place->name != NULL ? 0 : -ENOMEM;
	}
	if (error == 0) {
		inode_get(inode);
		inode_put(place->inode);
		place->inode = inode;
	}
	inode_put(inode);
	kfree(path);
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

static int open_device(struct file *file, const struct device *device, int flags)
{
	int error = 0;

	file->ops = device->ops;
	if (device->ops == NULL)
		error = device->open(file);

	if (error == 0 && (flags & O_NOCTTY) == 0 && device->offer != NULL)
		device->offer(file);
	return error;
}

/* Whether the caller may open an inode, which it has not just made, in this way. */
static int check_permission(const struct place *place, int flags)
{
	struct location at = { place->mount, place->inode };
	unsigned wanted = 0;
	int error;

	if ((flags & O_PATH) != 0)
		return 0;
	if ((flags & O_ACCMODE) != O_WRONLY)
		wanted |= MAY_READ;
	if (wants_write(flags) || (flags & O_TRUNC) != 0)
		wanted |= MAY_WRITE;
	error = location_may(&at, wanted);
	if (error == 0 && (flags & O_NOATIME) != 0 && !inode_is_mine(at.inode))
		error = -EPERM;
	return error;
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
	if ((S_ISCHR(inode->mode) || S_ISBLK(inode->mode)) && mount_has(place->mount, MS_NODEV))
		return -EACCES;
	if (S_ISCHR(inode->mode) && inode->device != NULL)
		return open_device(file, inode->device, flags);
	if (inode->is_synthetic)
		return synthetic_open(file, inode);
	if (S_ISFIFO(inode->mode))
		return fifo_open(file);
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

static int name_of(const struct place *place, struct file_name **out)
{
	struct location at = { place->mount, place->inode };
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
	error = location_path(&at, path, PATH_MAX);
	if (error == -ENOENT || error == -ENAMETOOLONG) {
		/* No name, or none that fits: readlink(2) on it will say so. */
		(void)strlcpy(path, "(deleted)", PATH_MAX);
		error = 0;
	}
	if (error == 0) {
		*out = file_name_create(path, at.inode->number);
		error = *out != NULL ? 0 : -ENOMEM;
	}
	kfree(path);
	return error;
}

/* The inode to open, found or made. */
static int find_or_create(int dirfd, char *path, int flags, uint32_t mode, unsigned walk_flags,
			  struct place *place, bool *created)
{
	bool exclusive = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
	int error;

	if ((flags & O_NOFOLLOW) != 0 || exclusive)
		walk_flags |= WALK_NOFOLLOW;
	error = walk_find(dirfd, path, walk_flags, FRESH_OPEN, place);
	*created = false;
	if (error == 0 && (flags & __O_TMPFILE) != 0) {
		error = create_nameless(place, flags, mode);
		*created = error == 0;
		return error;
	}
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

/* What is wrong with the flags of open(2) by themselves. */
static int check_flags(int flags)
{
	if ((flags & __O_TMPFILE) != 0 &&
	    ((flags & (O_TMPFILE | O_CREAT)) != O_TMPFILE || !wants_write(flags)))
		return -EINVAL;
	/* open(2) makes files only. */
	return (flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY) ? -EINVAL : 0;
}

/* `path` is a buffer of PATH_MAX bytes that is used up. */
static int open_at(int dirfd, char *path, int flags, uint32_t mode, unsigned walk_flags,
		   struct file **out)
{
	struct place place;
	struct file *file = NULL;
	bool created;
	int error;

	if ((flags & O_PATH) != 0)
		flags &= PATH_FLAGS;
	error = check_flags(flags);
	if (error != 0)
		return error;
	error = find_or_create(dirfd, path, flags, mode, walk_flags, &place, &created);
	if (error == 0 && (flags & __O_TMPFILE) == 0)
		error = check_kind(place.inode, &place, flags);
	if (error == 0 && !created && place.file == NULL)
		error = check_permission(&place, flags);
	if (error != 0)
		goto out;
	file = file_create(NULL, (uint32_t)(flags & OPEN_FLAGS & ~OPEN_ONLY_FLAGS) | O_LARGEFILE);
	if (file == NULL) {
		error = file_create_error();
		goto out;
	}
	if (place.file != NULL && (flags & O_PATH) == 0) {
		error = place.file->ops->reopen != NULL ? place.file->ops->reopen(place.file, file)
							: -ENXIO;
		goto opened;
	}
	file_set_inode(file, place.inode);
	mount_get(place.mount);
	file->mount = place.mount;
	error = name_of(&place, &file->name);
	if (error == 0)
		error = attach(file, &place, flags, created);
opened:
	if (error != 0)
		file_put(file);
	else
		*out = file;
	if (error == 0 && (flags & O_PATH) == 0)
		inotify_file(file, IN_OPEN);
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
	error = open_at(AT_FDCWD, buffer, flags, mode, 0, out);
	kfree(buffer);
	return error;
}

static int64_t open_descriptor(int dirfd, vaddr_t user_path, int flags, uint32_t mode,
			       unsigned walk_flags)
{
	struct file *file;
	char *path;
	int fd, error;

	error = path_from_user(user_path, &path);
	if (error != 0)
		return error;
	error = open_at(dirfd, path, flags, mode, walk_flags, &file);
	kfree(path);
	if (error != 0)
		return error;
	fd = files_install(current->files, file, 0, (flags & O_CLOEXEC) != 0);
	file_put(file);
	return fd;
}

SYSCALL3(open, vaddr_t, path, int, flags, uint32_t, mode)
{
	return open_descriptor(AT_FDCWD, path, flags, mode, 0);
}

SYSCALL4(openat, int, dirfd, vaddr_t, path, int, flags, uint32_t, mode)
{
	return open_descriptor(dirfd, path, flags, mode, 0);
}

SYSCALL2(creat, vaddr_t, path, uint32_t, mode)
{
	return open_descriptor(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode, 0);
}

/* openat2(2) is strict where open(2) ignores what it does not know. */
static int check_how(const struct open_how *how)
{
	const uint64_t resolve = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS |
				 RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_CACHED;
	const uint64_t scopes = RESOLVE_BENEATH | RESOLVE_IN_ROOT;

	if ((how->flags & ~(uint64_t)OPEN_FLAGS) != 0 || (how->resolve & ~resolve) != 0 ||
	    (how->resolve & scopes) == scopes || (how->mode & ~(uint64_t)MODE_PERMISSIONS) != 0)
		return -EINVAL;
	if (how->mode != 0 && (how->flags & (O_CREAT | __O_TMPFILE)) == 0)
		return -EINVAL;
	if ((how->flags & O_PATH) != 0 && (how->flags & ~(uint64_t)PATH_FLAGS) != 0)
		return -EINVAL;
	/* Whether the server would have to be asked is known only afterwards: it may say so at once. */
	return (how->resolve & RESOLVE_CACHED) != 0 ? -EAGAIN : 0;
}

static unsigned resolve_to_walk(uint64_t resolve)
{
	unsigned flags = 0;

	if ((resolve & RESOLVE_NO_SYMLINKS) != 0)
		flags |= WALK_NO_LINKS;
	if ((resolve & RESOLVE_NO_MAGICLINKS) != 0)
		flags |= WALK_NO_THINGS;
	if ((resolve & RESOLVE_NO_XDEV) != 0)
		flags |= WALK_NO_XDEV;
	if ((resolve & RESOLVE_BENEATH) != 0)
		flags |= WALK_BENEATH;
	if ((resolve & RESOLVE_IN_ROOT) != 0)
		flags |= WALK_IN_ROOT;
	return flags;
}

SYSCALL4(openat2, int, dirfd, vaddr_t, path, vaddr_t, from, size_t, size)
{
	struct open_how how = { 0 };
	int error;

	if (size < sizeof(how))
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	error = copy_from_user(&how, from, sizeof(how));
	/* A later version's structure: what we do not know must be zero. */
	for (size_t at = sizeof(how); error == 0 && at < size; at++) {
		uint8_t byte;

		error = get_user(&byte, from + at);
		if (error == 0 && byte != 0)
			error = -E2BIG;
	}
	if (error == 0)
		error = check_how(&how);
	return error != 0 ? error
			  : open_descriptor(dirfd, path, (int)how.flags, (uint32_t)how.mode,
					    resolve_to_walk(how.resolve));
}

/* --- execution ------------------------------------------------------------------------------------- */

int path_open_exec(int dirfd, const char *path, int flags, struct version **version,
		   struct file_name **name, struct program_owner *owner)
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
	else if (place.version == NULL || mount_has(place.mount, MS_NOEXEC))
		error = -EACCES;
	else
		error = inode_may(place.inode, MAY_EXECUTE);
	if (error == 0)
		error = name_of(&place, name);
	if (error == 0) {
		version_get(place.version);
		*version = place.version;
		mutex_lock(&root_lock);
		*owner = (struct program_owner){
			.mode = place.inode->mode,
			.uid = place.inode->uid,
			.gid = place.inode->gid,
			.readable = inode_may(place.inode, MAY_READ) == 0,
		};
		if (mount_has(place.mount, MS_NOSUID))
			owner->mode &= ~(uint32_t)(S_ISUID | S_ISGID);
		mutex_unlock(&root_lock);
	}
out:
	place_put(&place);
	kfree(buffer);
	return error;
}
