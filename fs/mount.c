/*
 * fs/mount.c - file systems, mounts and the tree of them. See the header.
 */
#include "fs/mount.h"
#include "fs/inotify.h"
#include "fs/mount_options.h"
#include "fs/path.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "mm/slab.h"
#include <linux/kdev_t.h>
#include <linux/major.h>

struct mount *root_mount;

static struct mount_list mounts = TAILQ_HEAD_INITIALIZER(mounts); /* root_lock */
static uint32_t mount_count;                                      /* of those; root_lock */

/* The file systems that there are once; mounted for ever, somewhere or nowhere. */
static struct filesystem *kinds[8]; /* root_lock */
static unsigned kind_count;         /* root_lock */

/* --- file systems ------------------------------------------------------------------------------------- */

static void release(struct object_quota *quota)
{
	kfree(container_of(quota, struct filesystem, quota));
}

/* Takes the root over. NULL: no memory, or there is no root. */
static struct filesystem *filesystem_create(const char *type, struct inode *root)
{
	static _Atomic uint32_t last_minor;
	struct filesystem *filesystem = kzalloc(sizeof(*filesystem));

	if (filesystem == NULL || root == NULL) {
		inode_put(root);
		kfree(filesystem);
		return NULL;
	}
	atomic_init(&filesystem->quota.refs, 1);
	filesystem->quota.release = release;
	filesystem->type = type;
	/* Linux gives file systems without a disk minors of this one. */
	filesystem->device = MKDEV(UNNAMED_MAJOR, atomic_fetch_add(&last_minor, 1) + 1);
	filesystem->root = root;
	inode_join(root, filesystem);
	return filesystem;
}

struct filesystem *filesystem_create_tmpfs(const struct mount_options *options)
{
	struct inode *root = inode_create(S_IFDIR | options->mode);
	struct filesystem *filesystem = filesystem_create(TMPFS, root);

	if (filesystem == NULL)
		return NULL;
	atomic_store(&filesystem->flags, options->flags & MS_RDONLY);
	atomic_store(&filesystem->quota.limit, options->limit);
	filesystem->options = *options;
	root->uid = options->uid;
	root->gid = options->gid;
	return filesystem;
}

struct filesystem *filesystem_find(const char *type)
{
	for (unsigned i = 0; i < kind_count; i++) {
		if (strcmp(kinds[i]->type, type) == 0) {
			filesystem_get(kinds[i]);
			return kinds[i];
		}
	}
	return NULL;
}

struct mount *filesystem_mount(const struct filesystem *filesystem)
{
	struct mount *mount;

	mutex_lock(&root_lock);
	TAILQ_FOREACH (mount, &mounts, link) {
		if (mount->filesystem == filesystem)
			break;
	}
	mount_get(mount);
	mutex_unlock(&root_lock);
	return mount;
}

void filesystem_get(struct filesystem *filesystem)
{
	atomic_fetch_add(&filesystem->quota.refs, 1);
}

void filesystem_put(struct filesystem *filesystem)
{
	if (filesystem != NULL)
		object_quota_put(&filesystem->quota);
}

void inode_join(struct inode *inode, struct filesystem *filesystem)
{
	if (inode->filesystem != NULL || filesystem == NULL)
		return;
	filesystem_get(filesystem);
	inode->filesystem = filesystem;
	if (S_ISREG(inode->mode) && !inode->is_synthetic && inode->version != NULL &&
	    inode->version->object.quota == NULL && inode->origin == NULL) {
		filesystem_get(filesystem);
		inode->version->object.quota = &filesystem->quota;
	}
}

bool inode_is_root(const struct inode *inode)
{
	return inode->filesystem != NULL && inode->filesystem->root == inode;
}

/* Takes a whole tree apart; what is open stays as it is. root_lock held. */
static void dismantle(struct inode *root, struct name_list *freed)
{
	struct name *name;

	inotify_unmounted(root);
	inode_purge(root, freed);
	TAILQ_FOREACH (name, freed, in_order) {
		if (name->inode == NULL)
			continue;
		inotify_unmounted(name->inode);
		if (S_ISDIR(name->inode->mode))
			inode_purge(name->inode, freed);
	}
}

/* One mount less; with the last one its names go. */
static void leave_filesystem(struct filesystem *filesystem)
{
	struct name_list freed = TAILQ_HEAD_INITIALIZER(freed);
	struct inode *root = NULL;

	mutex_lock(&root_lock);
	if (--filesystem->mounts == 0) {
		root = filesystem->root;
		filesystem->root = NULL;
		dismantle(root, &freed);
	}
	mutex_unlock(&root_lock);
	names_put(&freed);
	inode_put(root);
}

/* --- mounts ---------------------------------------------------------------------------------------------- */

struct mount *mount_create(struct filesystem *filesystem, struct inode *root, const char *source,
			   uint32_t flags)
{
	static _Atomic uint32_t last_id;
	struct mount *mount = kzalloc(sizeof(*mount));

	assert(mutex_held(&root_lock));
	if (mount != NULL)
		mount->source = kstrdup(source != NULL && source[0] != '\0' ? source : "none");
	if (mount == NULL || mount->source == NULL) {
		kfree(mount);
		return NULL;
	}
	atomic_init(&mount->refs, 1);
	mount->id = atomic_fetch_add(&last_id, 1) + 1;
	filesystem_get(filesystem);
	mount->filesystem = filesystem;
	filesystem->mounts++;
	inode_get(root);
	mount->root = root;
	atomic_store(&mount->flags, flags);
	return mount;
}

static void mount_destroy(struct mount *mount)
{
	leave_filesystem(mount->filesystem);
	inode_put(mount->root);
	filesystem_put(mount->filesystem);
	kfree(mount->source);
	kfree(mount);
}

void mount_get(struct mount *mount)
{
	if (mount != NULL)
		atomic_fetch_add(&mount->refs, 1);
}

void mount_leave(struct mount *mount)
{
	if (mount != NULL && atomic_fetch_sub(&mount->refs, 1) == 1)
		mount_destroy(mount);
}

void mount_put(struct mount *mount)
{
	if (mount != NULL && atomic_load_explicit(&mount->expiring, memory_order_relaxed))
		atomic_store(&mount->expiring, false);
	mount_leave(mount);
}

uint32_t mount_number(const struct mount *mount)
{
	return mount != NULL ? mount->id : 0;
}

/* --- locations ---------------------------------------------------------------------------------------------- */

void location_get(const struct location *location)
{
	mount_get(location->mount);
	inode_get(location->inode);
}

void location_put(const struct location *location)
{
	inode_put(location->inode);
	mount_put(location->mount);
}

static struct mount *mounted_on(const struct location *at)
{
	struct mount *mount;

	LIST_FOREACH (mount, &at->inode->covers, of_covered) {
		if (mount->parent == at->mount)
			break;
	}
	return mount;
}

void location_descend(struct location *at)
{
	struct mount *mount;

	while ((mount = mounted_on(at)) != NULL)
		*at = (struct location){ mount, mount->root };
}

bool location_ascend(struct location *at)
{
	if (!location_is_mounted(at) || at->mount->parent == NULL)
		return false;
	*at = (struct location){ at->mount->parent, at->mount->covered };
	return true;
}

/* "/name" before what is written at `*at`. */
static int prepend(char *out, size_t *at, const char *name)
{
	size_t length = strlen(name);

	if (length + 1 > *at)
		return -ENAMETOOLONG;
	*at -= length;
	memcpy(out + *at, name, length);
	out[--*at] = '/';
	return 0;
}

int location_path_locked(const struct location *root, const struct location *at, char *out,
			 size_t size)
{
	struct location here = *at;
	size_t start = size;
	int error = 0;

	/* Written from the end of the buffer towards its beginning, then moved. */
	out[--start] = '\0';
	while (error == 0 && !location_is(&here, root)) {
		const struct name *name = TAILQ_FIRST(&here.inode->names);

		if (location_is_mounted(&here)) {
			if (!location_ascend(&here))
				return -ENOENT;
		} else if (name == NULL) {
			return -ENOENT;
		} else {
			error = prepend(out, &start, name->text);
			here.inode = name->dir;
		}
	}
	if (error == 0 && start == size - 1)
		out[--start] = '/';
	if (error == 0)
		memmove(out, out + start, size - start);
	return error;
}

int location_path(const struct location *at, char *out, size_t size)
{
	struct location root;
	int error;

	fs_context_root(&root);
	mutex_lock(&root_lock);
	error = location_path_locked(&root, at, out, size);
	mutex_unlock(&root_lock);
	location_put(&root);
	return error;
}

/* --- the tree ----------------------------------------------------------------------------------------------- */

bool mounts_have_room(uint32_t more)
{
	return more <= MOUNTS_MAX && mount_count <= MOUNTS_MAX - more;
}

void mount_attach(struct mount *mount, const struct location *on)
{
	mount->attached = true;
	TAILQ_INSERT_TAIL(&mounts, mount, link);
	mount_count++;
	if (on == NULL) {
		root_mount = mount;
		return;
	}
	inode_get(on->inode);
	mount->parent = on->mount;
	mount->covered = on->inode;
	LIST_INSERT_HEAD(&on->inode->covers, mount, of_covered);
}

void mount_take(struct mount *mount, struct location *covered)
{
	*covered = (struct location){ mount->parent, mount->covered };
	if (mount->parent != NULL)
		LIST_REMOVE(mount, of_covered);
	TAILQ_REMOVE(&mounts, mount, link);
	mount_count--;
	mount->attached = false;
	mount->parent = NULL;
	mount->covered = NULL;
}

bool mount_is_below(const struct mount *mount, const struct mount *above)
{
	while (mount != NULL && mount != above)
		mount = mount->parent;
	return mount != NULL;
}

uint64_t mount_search_begin(void)
{
	static uint64_t searches; /* root_lock */

	return ++searches;
}

bool mount_is_found(struct mount *mount, const struct mount *above, uint64_t search)
{
	struct mount *known = mount;
	bool found;

	while (known != NULL && known != above && known->search != search)
		known = known->parent;
	found = known != NULL && (known == above || known->found);
	for (; mount != known; mount = mount->parent) {
		mount->search = search;
		mount->found = found;
	}
	return found;
}

struct mount *mount_next(struct mount *mount)
{
	return mount != NULL ? TAILQ_NEXT(mount, link) : TAILQ_FIRST(&mounts);
}

void mount_detach(struct mount *mount, struct mount_list *gone)
{
	uint64_t search = mount_search_begin();
	struct mount *m, *next;

	for (m = TAILQ_FIRST(&mounts); m != NULL; m = next) {
		next = TAILQ_NEXT(m, link);
		if (!mount_is_found(m, mount, search))
			continue;
		TAILQ_REMOVE(&mounts, m, link);
		mount_count--;
		TAILQ_INSERT_TAIL(gone, m, link);
	}
	TAILQ_FOREACH (m, gone, link) {
		LIST_REMOVE(m, of_covered);
		m->attached = false;
		m->parent = NULL; /* what it covered is let go of in mounts_put() */
	}
}

void mounts_uncover(struct inode *inode, struct mount_list *gone)
{
	struct mount *mount;

	while ((mount = LIST_FIRST(&inode->covers)) != NULL) {
		struct mount_list some = TAILQ_HEAD_INITIALIZER(some);

		mount_detach(mount, &some);
		TAILQ_CONCAT(gone, &some, link);
	}
}

void mounts_put(struct mount_list *gone)
{
	struct mount *mount;

	while ((mount = TAILQ_FIRST(gone)) != NULL) {
		TAILQ_REMOVE(gone, mount, link);
		inode_put(mount->covered);
		mount->covered = NULL;
		mount_put(mount);
	}
}

int mount_tree(const char *type, const char *source, struct inode *root, struct inode *on)
{
	struct filesystem *filesystem;
	struct location at = { .inode = on };
	struct mount *mount;

	inode_get(root); /* for ever */
	filesystem = filesystem_create(type, root);
	if (filesystem == NULL)
		return -ENOMEM;
	mutex_lock(&root_lock);
	filesystem->mounts = 1; /* for ever */
	assert(kind_count < ARRAY_SIZE(kinds));
	kinds[kind_count++] = filesystem;
	mount = mount_create(filesystem, root, source, MS_RELATIME);
	if (mount != NULL && on != NULL) {
		do {
			at.mount = mount_next(at.mount);
		} while (at.mount->filesystem != on->filesystem);
	}
	if (mount != NULL)
		mount_attach(mount, on != NULL ? &at : NULL);
	mutex_unlock(&root_lock);
	return mount != NULL ? 0 : -ENOMEM;
}

/* --- is it in use? --------------------------------------------------------------------------------------- */

/* Who is known to hold the inode: its names, those in it, who watches it, and `more`. */
static bool is_held(const struct inode *inode, uint32_t more)
{
	uint32_t known = inode->links + more + inotify_count(inode);
	const struct name *name;

	if (S_ISDIR(inode->mode)) {
		TAILQ_FOREACH (name, &inode->order, in_order)
			known++;
	} else if (S_ISREG(inode->mode) && !inode->is_synthetic && inode->version != NULL &&
		   atomic_load(&inode->version->object.refs) > 1) {
		return true; /* mapped, or run */
	}
	return atomic_load(&inode->refs) > known;
}

/* The name that a walk through a whole tree, parents first, comes to after `name`; NULL: the end. */
static struct name *next_of_tree(const struct inode *root, struct name *name)
{
	if (name->inode != NULL && S_ISDIR(name->inode->mode) && !TAILQ_EMPTY(&name->inode->order))
		return TAILQ_FIRST(&name->inode->order);
	while (TAILQ_NEXT(name, in_order) == NULL) {
		if (name->dir == root)
			return NULL;
		name = TAILQ_FIRST(&name->dir->names);
	}
	return TAILQ_NEXT(name, in_order);
}

/* True if anything of a tmpfs is used by who is in no mount: mapped, run, or a bound socket's name. */
static bool is_used(const struct filesystem *filesystem)
{
	struct name *name = TAILQ_FIRST(&filesystem->root->order);

	/* The file system has its root, and so have its mount and the caller. */
	if (is_held(filesystem->root, 3))
		return true;
	for (; name != NULL; name = next_of_tree(filesystem->root, name)) {
		if (name->inode != NULL && is_held(name->inode, 0))
			return true;
	}
	return false;
}

bool mount_is_busy(const struct mount *mount)
{
	const struct mount *m;

	if (atomic_load(&mount->refs) > 2)
		return true;
	TAILQ_FOREACH (m, &mounts, link) {
		if (m->parent == mount)
			return true;
	}
	/* Through which of several mounts it is used is not known. */
	return strcmp(mount->filesystem->type, TMPFS) == 0 && mount->filesystem->mounts == 1 &&
	       mount->root == mount->filesystem->root && is_used(mount->filesystem);
}
