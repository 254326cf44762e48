/*
 * fs/xattr.c - extended attributes, xattr(7): those that a tmpfs of Linux has, trusted.* and security.*.
 *
 * An inode in RAM has a list of them, under root_lock. Capabilities of files are the exception: nobody would
 * honour them, so they cannot be set.
 */
#include "fs/xattr.h"
#include "fs/attributes.h"
#include "fs/inode.h"
#include "fs/inotify.h"
#include "fs/mount.h"
#include "fs/ops.h"
#include "fs/permission.h"
#include "fs/walk.h"
#include "kernel/clock.h"
#include "kernel/cred.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/slab.h"
#include "mm/user.h"
#include <linux/limits.h> /* XATTR_* */
#include <linux/xattr.h>

struct xattr {
	LIST_ENTRY(xattr) link; /* root_lock */
	size_t size;
	char name[XATTR_NAME_MAX + 1];
	uint8_t value[];
};

void xattrs_free(struct inode *inode)
{
	struct xattr *attribute;

	while ((attribute = LIST_FIRST(&inode->attributes)) != NULL) {
		LIST_REMOVE(attribute, link);
		kfree(attribute);
	}
}

/* --- names ------------------------------------------------------------------------------------------- */

static bool is_trusted(const char *name)
{
	return strncmp(name, XATTR_TRUSTED_PREFIX, XATTR_TRUSTED_PREFIX_LEN) == 0;
}

/* `out` has XATTR_NAME_MAX + 1 bytes. */
static int name_from_user(vaddr_t user, char *out)
{
	ssize_t length = copy_string_from_user(out, user, XATTR_NAME_MAX + 1);

	if (length == -ENAMETOOLONG || length == 0)
		return -ERANGE;
	return length < 0 ? (int)length : 0;
}

/* What is wrong with reading, or with changing, an attribute of that name at all. */
static int check_name(const struct location *at, const char *name, bool change)
{
	bool trusted = is_trusted(name);
	bool security = strncmp(name, XATTR_SECURITY_PREFIX, XATTR_SECURITY_PREFIX_LEN) == 0;

	if (change && mount_has(at->mount, MS_RDONLY))
		return -EROFS;
	if (trusted && !capable(CAP_SYS_ADMIN))
		return change ? -EPERM : -ENODATA;
	if ((!trusted && !security) || at->inode == NULL || at->inode->is_synthetic)
		return -EOPNOTSUPP;
	if (change && strcmp(name, XATTR_NAME_CAPS) == 0)
		return -EOPNOTSUPP;
	return change && security && !capable(CAP_SYS_ADMIN) ? -EPERM : 0;
}

/* root_lock held. */
static struct xattr *find(const struct inode *inode, const char *name)
{
	struct xattr *attribute;

	LIST_FOREACH (attribute, &inode->attributes, link) {
		if (strcmp(attribute->name, name) == 0)
			break;
	}
	return attribute;
}

/* --- reading -------------------------------------------------------------------------------------------- */

/* Uses the references up, as all below do. */
static int64_t get(int error, const struct location *at, vaddr_t user_name, vaddr_t to, size_t size)
{
	char name[XATTR_NAME_MAX + 1];
	const struct xattr *attribute;
	uint8_t *copy = NULL;
	size_t length = 0;

	if (error != 0)
		return error;
	error = name_from_user(user_name, name);
	if (error == 0)
		error = check_name(at, name, false);
	if (error == 0 && size > 0) {
		copy = kalloc(MIN(size, (size_t)XATTR_SIZE_MAX));
		error = copy != NULL ? 0 : -ENOMEM;
	}
	if (error == 0) {
		mutex_lock(&root_lock);
		attribute = find(at->inode, name);
		length = attribute != NULL ? attribute->size : 0;
		if (attribute == NULL)
			error = -ENODATA;
		else if (size > 0 && length > size)
			error = -ERANGE;
		else if (size > 0)
			memcpy(copy, attribute->value, length);
		mutex_unlock(&root_lock);
	}
	if (error == 0 && size > 0)
		error = copy_to_user(to, copy, length);
	kfree(copy);
	location_put(at);
	return error != 0 ? error : (int64_t)length;
}

/* Names, each with its NUL, into `out`, which may be NULL: how many bytes. root_lock held. */
static size_t collect(const struct inode *inode, char *out)
{
	const struct xattr *attribute;
	size_t length = 0;

	LIST_FOREACH (attribute, &inode->attributes, link) {
		size_t size = strlen(attribute->name) + 1;

		if (is_trusted(attribute->name) && !capable(CAP_SYS_ADMIN))
			continue;
		if (out != NULL)
			memcpy(out + length, attribute->name, size);
		length += size;
	}
	return length;
}

static int64_t list(int error, const struct location *at, vaddr_t to, size_t size)
{
	const struct inode *inode;
	size_t length = 0;
	char *copy = NULL;

	if (error != 0)
		return error;
	inode = at->inode;
	size = MIN(size, (size_t)XATTR_LIST_MAX);
	if (size > 0) {
		copy = kalloc(size);
		error = copy != NULL ? 0 : -ENOMEM;
	}
	if (error == 0 && inode != NULL) {
		mutex_lock(&root_lock);
		length = collect(inode, NULL);
		if (size > 0 && length > size)
			error = -ERANGE;
		else if (size > 0)
			(void)collect(inode, copy);
		mutex_unlock(&root_lock);
	}
	if (error == 0 && size > 0)
		error = copy_to_user(to, copy, length);
	kfree(copy);
	location_put(at);
	return error != 0 ? error : (int64_t)length;
}

/* --- changing ------------------------------------------------------------------------------------------- */

/* `new` takes the place of one of the name; NULL: none does. What is to be freed, or an errno. */
static int exchange(const struct location *at, const char *name, struct xattr *new, int flags,
		    struct xattr **freed)
{
	struct inode *inode = at->inode;
	struct xattr *old;
	int error = 0;

	mutex_lock(&root_lock);
	old = find(inode, name);
	if (old != NULL && (flags & XATTR_CREATE) != 0)
		error = -EEXIST;
	else if (old == NULL && (new == NULL || (flags & XATTR_REPLACE) != 0))
		error = -ENODATA;
	if (error == 0) {
		if (old != NULL)
			LIST_REMOVE(old, link);
		if (new != NULL)
			LIST_INSERT_HEAD(&inode->attributes, new, link);
		inode->changed_ns = clock_wall_ns();
		inotify_inode(inode, IN_ATTRIB);
	}
	mutex_unlock(&root_lock);
	*freed = error == 0 ? old : new;
	return error;
}

/* A copy of what the user has given. */
static int make(const char *name, vaddr_t value, size_t size, struct xattr **out)
{
	struct xattr *new;
	int error;

	if (size > XATTR_SIZE_MAX)
		return -E2BIG;
	if (!fill_has_room())
		return -ENOSPC;
	new = kalloc(sizeof(*new) + size);
	if (new == NULL)
		return -ENOMEM;
	(void)strlcpy(new->name, name, sizeof(new->name));
	new->size = size;
	error = copy_from_user(new->value, value, size);
	if (error != 0)
		kfree(new);
	else
		*out = new;
	return error;
}

static int64_t set(int error, const struct location *at, vaddr_t user_name, vaddr_t value,
		   size_t size, int flags)
{
	char name[XATTR_NAME_MAX + 1];
	struct xattr *new = NULL, *freed = NULL;

	if (error != 0)
		return error;
	if ((flags & ~(XATTR_CREATE | XATTR_REPLACE)) != 0)
		error = -EINVAL;
	if (error == 0)
		error = name_from_user(user_name, name);
	if (error == 0)
		error = check_name(at, name, true);
	if (error == 0)
		error = make(name, value, size, &new);
	if (error == 0)
		error = exchange(at, name, new, flags, &freed);
	kfree(freed);
	location_put(at);
	return error;
}

static int64_t take_away(int error, const struct location *at, vaddr_t user_name)
{
	char name[XATTR_NAME_MAX + 1];
	struct xattr *freed = NULL;

	if (error != 0)
		return error;
	error = name_from_user(user_name, name);
	if (error == 0)
		error = check_name(at, name, true);
	if (error == 0)
		error = exchange(at, name, NULL, 0, &freed);
	kfree(freed);
	location_put(at);
	return error;
}

/* --- calls ------------------------------------------------------------------------------------------------ */

static int by_path(vaddr_t path, unsigned walk_flags, struct location *out)
{
	return find_location(AT_FDCWD, path, walk_flags, out);
}

/* Pipes and the like have none, but can be asked. */
static int by_descriptor(int fd, struct location *out)
{
	struct file *file = fd_get(fd);
	int error = 0;

	if (file == NULL)
		return -EBADF;
	*out = (struct location){ file->mount, file->inode };
	if ((atomic_load(&file->flags) & O_PATH) != 0)
		error = -EBADF;
	else if (file->inode != NULL)
		location_get(out);
	file_put(file);
	return error;
}

SYSCALL4(getxattr, vaddr_t, path, vaddr_t, name, vaddr_t, value, size_t, size)
{
	struct location at;

	return get(by_path(path, 0, &at), &at, name, value, size);
}

SYSCALL4(lgetxattr, vaddr_t, path, vaddr_t, name, vaddr_t, value, size_t, size)
{
	struct location at;

	return get(by_path(path, WALK_NOFOLLOW, &at), &at, name, value, size);
}

SYSCALL4(fgetxattr, int, fd, vaddr_t, name, vaddr_t, value, size_t, size)
{
	struct location at;

	return get(by_descriptor(fd, &at), &at, name, value, size);
}

SYSCALL3(listxattr, vaddr_t, path, vaddr_t, to, size_t, size)
{
	struct location at;

	return list(by_path(path, 0, &at), &at, to, size);
}

SYSCALL3(llistxattr, vaddr_t, path, vaddr_t, to, size_t, size)
{
	struct location at;

	return list(by_path(path, WALK_NOFOLLOW, &at), &at, to, size);
}

SYSCALL3(flistxattr, int, fd, vaddr_t, to, size_t, size)
{
	struct location at;

	return list(by_descriptor(fd, &at), &at, to, size);
}

SYSCALL5(setxattr, vaddr_t, path, vaddr_t, name, vaddr_t, value, size_t, size, int, flags)
{
	struct location at;

	return set(by_path(path, 0, &at), &at, name, value, size, flags);
}

SYSCALL5(lsetxattr, vaddr_t, path, vaddr_t, name, vaddr_t, value, size_t, size, int, flags)
{
	struct location at;

	return set(by_path(path, WALK_NOFOLLOW, &at), &at, name, value, size, flags);
}

SYSCALL5(fsetxattr, int, fd, vaddr_t, name, vaddr_t, value, size_t, size, int, flags)
{
	struct location at;

	return set(by_descriptor(fd, &at), &at, name, value, size, flags);
}

SYSCALL2(removexattr, vaddr_t, path, vaddr_t, name)
{
	struct location at;

	return take_away(by_path(path, 0, &at), &at, name);
}

SYSCALL2(lremovexattr, vaddr_t, path, vaddr_t, name)
{
	struct location at;

	return take_away(by_path(path, WALK_NOFOLLOW, &at), &at, name);
}

SYSCALL2(fremovexattr, int, fd, vaddr_t, name)
{
	struct location at;

	return take_away(by_descriptor(fd, &at), &at, name);
}
