/*
 * fs/mount_calls.c - mount(2), umount(2) and pivot_root(2): what is asked for, checked, and done to the tree.
 */
#include "fs/mount.h"
#include "fs/mount_options.h"
#include "fs/path.h"
#include "fs/permission.h"
#include "fs/walk.h"
#include "kernel/cred.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/slab.h"
#include "mm/user.h"

/* umount(2); no UAPI header has these. */
#define MNT_FORCE       1u
#define MNT_DETACH      2u
#define MNT_EXPIRE      4u
#define UMOUNT_NOFOLLOW 8u

#define PROPAGATION     (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)
#define ATIME_FLAGS     (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME)

/* What mount(2) is asked for, copied. */
struct mount_request {
	char *source, *type, *data; /* buffers of PATH_MAX bytes, or NULL */
	unsigned long flags;
};

/* The flags that a mount has then: times of access are kept as MS_RELATIME has it, unless something else is said. */
static uint32_t flags_of(const struct mount_request *request)
{
	uint32_t flags = (uint32_t)request->flags & MOUNT_FLAGS;

	if ((flags & MS_NOATIME) == 0)
		flags |= MS_RELATIME;
	if ((request->flags & MS_STRICTATIME) != 0)
		flags &= ~(uint32_t)(MS_RELATIME | MS_NOATIME);
	return flags;
}

static struct location location_of(const struct place *place)
{
	return (struct location){ place->mount, place->inode };
}

/*
 * Puts a new mount on what is seen at the place now; `once` if its file system may not hide itself. Takes the
 * reference over. root_lock held.
 */
static int attach_at(struct mount *mount, const struct place *place, bool once)
{
	struct location on = location_of(place);

	location_descend(&on);
	if (on.mount == NULL)
		return -ENOENT;
	if (!on.mount->attached)
		return -EINVAL;
	if (!mounts_have_room(1))
		return -ENOSPC;
	if (S_ISDIR(mount->root->mode) != S_ISDIR(on.inode->mode))
		return -ENOTDIR;
	if (!inode_is_root(on.inode) && on.inode->links == 0)
		return -ENOENT;
	if (once && location_is_mounted(&on) && on.mount->filesystem == mount->filesystem)
		return -EBUSY;
	mount_attach(mount, &on);
	return 0;
}

/* --- new ones ------------------------------------------------------------------------------------------------- */

/* What there is of the type already, as it is; or a new tmpfs, as it is asked for. -ENODEV, -ENOMEM, -EINVAL. */
static int find_filesystem(const struct mount_request *request, struct filesystem **out,
			   struct mount_options *options)
{
	bool tmpfs = strcmp(request->type, TMPFS) == 0;
	int error;

	*options = mount_options_default;
	options->flags = flags_of(request);
	*out = tmpfs ? NULL : filesystem_find(request->type);
	if (!tmpfs && *out == NULL)
		return -ENODEV;
	if (!tmpfs) {
		mutex_lock(&root_lock);
		*options = (*out)->options;
		mutex_unlock(&root_lock);
		/* Read-only is this mount, and no other that shows the same. */
		options->flags = atomic_load(&(*out)->flags);
	}
	error = mount_options_parse(request->data, request->type, options);
	if (error == 0 && tmpfs) {
		*out = filesystem_create_tmpfs(options);
		error = *out != NULL ? 0 : -ENOMEM;
	}
	if (error != 0)
		filesystem_put(*out);
	return error;
}

static int mount_new(const struct place *place, const struct mount_request *request)
{
	bool tmpfs = strcmp(request->type, TMPFS) == 0;
	struct filesystem *filesystem;
	struct mount_options options;
	struct mount *mount;
	int error = find_filesystem(request, &filesystem, &options);

	if (error != 0)
		return error;
	mutex_lock(&root_lock);
	mount = mount_create(filesystem, filesystem->root, request->source, flags_of(request));
	error = mount != NULL ? attach_at(mount, place, strcmp(request->type, DEVTMPFS) == 0)
			      : -ENOMEM;
	if (error == 0 && !tmpfs)
		mount_options_apply(filesystem, &options);
	mutex_unlock(&root_lock);
	if (error != 0)
		mount_put(mount);
	/* It and its root hold each other; the last mount would have parted them. */
	if (mount == NULL && tmpfs)
		inode_put(filesystem->root);
	filesystem_put(filesystem);
	return error;
}

static int find_source(const struct mount_request *request, struct place *source)
{
	*source = (struct place){ 0 };
	if (request->source == NULL || request->source[0] == '\0')
		return -EINVAL;
	return walk_find(AT_FDCWD, request->source, 0, FRESH_STAT, source);
}

static bool is_to_be_copied(const struct location *from, const struct mount *m)
{
	if (m->copy != NULL || m->parent == NULL || m->parent->copy == NULL ||
	    (atomic_load(&m->flags) & MS_UNBINDABLE) != 0)
		return false;
	return m->parent != from->mount || inode_is_above(from->inode, m->covered);
}

/*
 * A mount that shows the location, and copies of what is mounted in that, in a list, parents first. -ENOMEM;
 * -ENOSPC: there is no room for so many. root_lock held.
 */
static int copy_tree(const struct location *from, bool all, struct mount_list *copies)
{
	struct mount *first = from->mount;
	uint32_t count = 1;
	bool more;

	first->copy = mount_create(first->filesystem, from->inode, first->source,
				   atomic_load(&first->flags) & ~(uint32_t)MS_UNBINDABLE);
	if (first->copy == NULL)
		return -ENOMEM;
	TAILQ_INSERT_TAIL(copies, first->copy, link);
	if (!all)
		return 0;
	/* One that was moved may come before the one that it is in. */
	do {
		more = false;
		for (struct mount *m = mount_next(NULL); m != NULL; m = mount_next(m)) {
			if (!is_to_be_copied(from, m))
				continue;
			if (!mounts_have_room(++count))
				return -ENOSPC;
			m->copy = mount_create(m->filesystem, m->root, m->source,
					       atomic_load(&m->flags));
			if (m->copy == NULL)
				return -ENOMEM;
			/* Where it will be; attached when nothing can fail any more. */
			m->copy->parent = m->parent->copy;
			m->copy->covered = m->covered;
			TAILQ_INSERT_TAIL(copies, m->copy, link);
			more = true;
		}
	} while (more);
	return 0;
}

/* The same, if it may be done. */
static int copy(const struct location *from, bool all, struct mount_list *copies)
{
	struct mount *first = from->mount;
	int error;

	if (first == NULL || !first->attached || (atomic_load(&first->flags) & MS_UNBINDABLE) != 0)
		return -EINVAL;
	error = copy_tree(from, all, copies);
	first->copy = NULL;
	for (struct mount *m = all ? mount_next(NULL) : NULL; m != NULL; m = mount_next(m))
		m->copy = NULL;
	return error;
}

static int mount_bind(const struct place *place, const struct mount_request *request)
{
	struct mount_list copies = TAILQ_HEAD_INITIALIZER(copies);
	struct location from;
	struct mount *mount;
	struct place source;
	int error = find_source(request, &source);

	if (error != 0)
		goto out;
	mutex_lock(&root_lock);
	from = location_of(&source);
	error = copy(&from, (request->flags & MS_REC) != 0, &copies);
	if (error == 0) {
		mount = TAILQ_FIRST(&copies);
		TAILQ_REMOVE(&copies, mount, link);
		error = attach_at(mount, place, false);
		if (error != 0)
			TAILQ_INSERT_HEAD(&copies, mount, link);
	}
	while (error == 0 && (mount = TAILQ_FIRST(&copies)) != NULL) {
		struct location on = { mount->parent, mount->covered };

		TAILQ_REMOVE(&copies, mount, link);
		mount_attach(mount, &on);
	}
	TAILQ_FOREACH (mount, &copies, link)
		mount->covered = NULL; /* it never had a reference */
	mutex_unlock(&root_lock);
	mounts_put(&copies);
out:
	place_put(&source);
	return error;
}

/* --- changing ----------------------------------------------------------------------------------------------- */

static int mount_move(const struct place *place, const struct mount_request *request)
{
	struct location on = location_of(place), covered = { 0 };
	struct mount *mount;
	struct place source;
	int error = find_source(request, &source);

	if (error != 0)
		goto out;
	mutex_lock(&root_lock);
	location_descend(&on);
	mount = source.mount;
	if (mount == NULL || source.inode != mount->root || mount->parent == NULL ||
	    on.mount == NULL || !on.mount->attached)
		error = -EINVAL;
	else if (!inode_is_root(on.inode) && on.inode->links == 0)
		error = -ENOENT;
	else if (S_ISDIR(on.inode->mode) != S_ISDIR(mount->root->mode))
		error = -EINVAL;
	else if (mount_is_below(on.mount, mount))
		error = -ELOOP;
	if (error == 0) {
		mount_take(mount, &covered);
		mount_attach(mount, &on);
	}
	mutex_unlock(&root_lock);
	inode_put(covered.inode);
out:
	place_put(&source);
	return error;
}

/* Whether the mount, or with it its whole file system, can become so. root_lock held. */
static int check_remount(const struct mount *mount, const struct mount_options *options, bool bind)
{
	const struct filesystem *filesystem = mount->filesystem;

	if (!bind && options->limit != 0 && options->limit < filesystem->quota.pages)
		return -EINVAL;
	if ((options->flags & MS_RDONLY) != 0 &&
	    (bind ? atomic_load(&mount->writers) : atomic_load(&filesystem->writers)) > 0)
		return -EBUSY;
	return 0;
}

static int remount(const struct place *place, const struct mount_request *request)
{
	bool bind = (request->flags & MS_BIND) != 0;
	struct mount *mount = place->mount;
	struct mount_options options;
	int error = 0;

	if (mount == NULL || place->inode != mount->root)
		return -EINVAL;
	mutex_lock(&root_lock);
	options = mount->filesystem->options;
	options.flags = flags_of(request);
	options.limit = atomic_load(&mount->filesystem->quota.limit);
	/* Times of access stay as they are if nothing is said. */
	if ((request->flags & ATIME_FLAGS) == 0)
		options.flags = (options.flags & ~(uint32_t)ATIME_FLAGS) |
				(atomic_load(&mount->flags) & ATIME_FLAGS);
	if (!bind)
		error = mount_options_parse(request->data, mount->filesystem->type, &options);
	if (error == 0)
		error = check_remount(mount, &options, bind);
	if (error == 0) {
		atomic_store(&mount->flags,
			     options.flags | (atomic_load(&mount->flags) & MS_UNBINDABLE));
		if (!bind)
			mount_options_apply(mount->filesystem, &options);
	}
	mutex_unlock(&root_lock);
	return error;
}

/*
 * There is one name space, and what is mounted in one place does not appear in another: all mounts are private,
 * and that is all that they can be made, but for what is never bound.
 */
static int set_propagation(const struct place *place, const struct mount_request *request)
{
	uint32_t kind = (uint32_t)request->flags & PROPAGATION;
	struct mount *mount = place->mount;
	uint64_t search;

	if ((request->flags & ~(unsigned long)(PROPAGATION | MS_REC | MS_SILENT)) != 0 ||
	    (kind & (kind - 1)) != 0 || kind == MS_SHARED)
		return -EINVAL;
	if (mount == NULL || place->inode != mount->root)
		return -EINVAL;
	mutex_lock(&root_lock);
	search = mount_search_begin();
	for (struct mount *m = mount_next(NULL); m != NULL; m = mount_next(m)) {
		if (m != mount &&
		    ((request->flags & MS_REC) == 0 || !mount_is_found(m, mount, search)))
			continue;
		if (kind == MS_UNBINDABLE)
			atomic_fetch_or(&m->flags, MS_UNBINDABLE);
		else
			atomic_fetch_and(&m->flags, ~(uint32_t)MS_UNBINDABLE);
	}
	mutex_unlock(&root_lock);
	return 0;
}

/* --- mount(2) ---------------------------------------------------------------------------------------------- */

static int mount_at(const struct place *place, const struct mount_request *request)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if ((request->flags & MS_REMOUNT) != 0)
		return remount(place, request);
	if ((request->flags & MS_BIND) != 0)
		return mount_bind(place, request);
	if ((request->flags & PROPAGATION) != 0)
		return set_propagation(place, request);
	if ((request->flags & MS_MOVE) != 0)
		return mount_move(place, request);
	if (request->type == NULL)
		return -EINVAL;
	return mount_new(place, request);
}

/* An optional string. */
static int get_string(vaddr_t from, char **out)
{
	*out = NULL;
	return from == 0 ? 0 : path_from_user(from, out);
}

SYSCALL5(mount, vaddr_t, source, vaddr_t, target, vaddr_t, type, unsigned long, flags, vaddr_t,
	 data)
{
	struct mount_request request = { .flags = flags };
	struct place place = { 0 };
	char *path = NULL;
	int error;

	/* Before Linux 2.4 the upper half had to be this; mount(2) ignores it. */
	if ((flags & MS_MGC_MSK) == MS_MGC_VAL)
		request.flags &= ~(unsigned long)MS_MGC_MSK;
	error = path_from_user(target, &path);
	if (error == 0)
		error = get_string(source, &request.source);
	if (error == 0)
		error = get_string(type, &request.type);
	if (error == 0)
		error = get_string(data, &request.data);
	if (error == 0)
		error = walk_find(AT_FDCWD, path, 0, FRESH_STAT, &place);
	if (error == 0)
		error = mount_at(&place, &request);
	place_put(&place);
	kfree(path);
	kfree(request.source);
	kfree(request.type);
	kfree(request.data);
	return error;
}

/* --- umount(2) ---------------------------------------------------------------------------------------------- */

/* MNT_EXPIRE: what nobody has used since it was asked the last time; -EAGAIN: this was the first. root_lock held. */
static int expire(struct mount *mount)
{
	if (mount_is_busy(mount))
		return -EBUSY;
	return atomic_exchange(&mount->expiring, true) ? 0 : -EAGAIN;
}

static int unmount(const struct place *place, unsigned flags)
{
	struct mount_list gone = TAILQ_HEAD_INITIALIZER(gone);
	struct mount *mount = place->mount;
	int error = 0;

	mutex_lock(&root_lock);
	if (mount == NULL || place->inode != mount->root || !mount->attached)
		error = -EINVAL;
	else if ((flags & MNT_EXPIRE) != 0)
		error = expire(mount);
	else if ((flags & MNT_DETACH) == 0 && mount_is_busy(mount))
		error = -EBUSY;
	if (error == 0 && mount->parent == NULL)
		error = -EINVAL; /* the first one stays, as Linux's rootfs */
	if (error == 0)
		mount_detach(mount, &gone);
	mutex_unlock(&root_lock);
	mounts_put(&gone);
	return error;
}

SYSCALL2(umount2, vaddr_t, target, unsigned, flags)
{
	unsigned walk_flags = (flags & UMOUNT_NOFOLLOW) != 0 ? WALK_NOFOLLOW : 0;
	struct mount *mount;
	struct place place;
	char *path;
	int error;

	if ((flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW)) != 0)
		return -EINVAL;
	if ((flags & MNT_EXPIRE) != 0 && (flags & (MNT_FORCE | MNT_DETACH)) != 0)
		return -EINVAL;
	error = path_from_user(target, &path);
	if (error != 0)
		return error;
	error = walk_find(AT_FDCWD, path, walk_flags, FRESH_STAT, &place);
	if (error == 0)
		error = capable(CAP_SYS_ADMIN) ? unmount(&place, flags) : -EPERM;
	mount = place.mount;
	place.mount = NULL;
	place_put(&place);
	mount_leave(mount); /* asking is no use */
	kfree(path);
	return error;
}

/* --- pivot_root(2) ------------------------------------------------------------------------------------------ */

/*
 * `new` becomes the root of the tree, and what was it until now is mounted on `old`, which is in it. What was
 * covered is in `let_go`. root_lock held.
 */
static int pivot(const struct place *new_place, const struct place *old_place,
		 const struct location *root, struct location let_go[2])
{
	struct mount *new = new_place->mount, *top = root->mount;
	struct location old = location_of(old_place), above;

	location_descend(&old);
	if (new == top || old.mount == top)
		return -EBUSY;
	if (new == NULL || new_place->inode != new->root || !new->attached || new->parent == NULL ||
	    !location_is_mounted(root) || !top->attached)
		return -EINVAL;
	if (!mount_is_below(old.mount, new) || !mount_is_below(new, top))
		return -EINVAL;
	mount_take(new, &let_go[0]);
	mount_take(top, &let_go[1]);
	above = let_go[1];
	mount_attach(new, above.mount != NULL ? &above : NULL);
	mount_attach(top, &old);
	return 0;
}

SYSCALL2(pivot_root, vaddr_t, new_path, vaddr_t, old_path)
{
	struct place new = { 0 }, old = { 0 };
	struct location root, let_go[2] = { 0 }, to;
	char *path = NULL;
	int error;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	fs_context_root(&root);
	error = path_from_user(new_path, &path);
	if (error == 0)
		error = walk_find(AT_FDCWD, path, 0, FRESH_STAT, &new);
	kfree(path);
	path = NULL;
	if (error == 0)
		error = path_from_user(old_path, &path);
	if (error == 0)
		error = walk_find(AT_FDCWD, path, 0, FRESH_STAT, &old);
	if (error == 0 && (!S_ISDIR(new.inode->mode) || !S_ISDIR(old.inode->mode)))
		error = -ENOTDIR;
	if (error == 0) {
		mutex_lock(&root_lock);
		error = pivot(&new, &old, &root, let_go);
		mutex_unlock(&root_lock);
	}
	if (error == 0) {
		to = location_of(&new);
		fs_contexts_move(&root, &to);
	}
	inode_put(let_go[0].inode);
	inode_put(let_go[1].inode);
	place_put(&new);
	place_put(&old);
	kfree(path);
	location_put(&root);
	return error;
}
