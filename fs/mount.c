/*
 * fs/mount.c - file systems, the table of mounts, and mount(2). See the header.
 */
#include "fs/mount.h"
#include "fs/mount_options.h"
#include "fs/path.h"
#include "fs/root.h"
#include "fs/synthetic.h"
#include "fs/walk.h"
#include "kernel/cmdline.h"
#include "kernel/cred.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/slab.h"
#include "mm/user.h"
#include <linux/kdev_t.h>
#include <linux/major.h>

/* umount(2); no UAPI header has these. */
#define MNT_FORCE       1u
#define MNT_DETACH      2u
#define MNT_EXPIRE      4u
#define UMOUNT_NOFOLLOW 8u

#define PROPAGATION     (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)

static TAILQ_HEAD(, mount) mounts = TAILQ_HEAD_INITIALIZER(mounts); /* root_lock */

/* The trees that there are once, and what they are called; held for ever. */
static struct {
	const char *type;
	struct inode *root;
} trees[8];                 /* root_lock */
static unsigned tree_count; /* root_lock */

/* --- file systems ------------------------------------------------------------------------------------- */

static void release(struct object_quota *quota)
{
	kfree(container_of(quota, struct filesystem, quota));
}

static struct filesystem *filesystem_create(const char *type)
{
	static _Atomic uint32_t last_minor;
	struct filesystem *filesystem = kzalloc(sizeof(*filesystem));

	if (filesystem == NULL)
		return NULL;
	atomic_init(&filesystem->quota.refs, 1);
	filesystem->quota.release = release;
	filesystem->type = type;
	/* Linux gives file systems without a disk minors of this one. */
	filesystem->device = MKDEV(UNNAMED_MAJOR, atomic_fetch_add(&last_minor, 1) + 1);
	return filesystem;
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

uint32_t filesystem_number(const struct filesystem *filesystem)
{
	return filesystem != NULL ? MINOR(filesystem->device) : 0;
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

/* --- the way down and up ---------------------------------------------------------------------------------- */

struct inode *mount_top(struct inode *inode)
{
	while (S_ISDIR(inode->mode) && inode->covered_by != NULL)
		inode = inode->covered_by->root;
	return inode;
}

const struct inode *mount_bottom(const struct inode *dir)
{
	while (dir->root_of != NULL && dir->root_of->covered != NULL)
		dir = dir->root_of->covered;
	return dir;
}

/* --- making and ending mounts ------------------------------------------------------------------------------- */

static void mount_free(struct mount *mount)
{
	if (mount == NULL)
		return;
	inode_put(mount->root);
	inode_put(mount->covered);
	filesystem_put(mount->filesystem);
	kfree(mount->source);
	kfree(mount);
}

/* Not in the table yet. Takes the root over, also if there is no memory: NULL. */
static struct mount *mount_create(const char *type, const char *source, struct inode *root)
{
	struct mount *mount = kzalloc(sizeof(*mount));

	if (mount == NULL || root == NULL) {
		inode_put(root);
		kfree(mount);
		return NULL;
	}
	mount->root = root;
	mount->source = kstrdup(source != NULL && source[0] != '\0' ? source : "none");
	if (root->filesystem != NULL) {
		filesystem_get(root->filesystem);
		mount->filesystem = root->filesystem;
	} else {
		mount->filesystem = filesystem_create(type);
	}
	if (mount->source == NULL || mount->filesystem == NULL) {
		mount_free(mount);
		return NULL;
	}
	inode_join(root, mount->filesystem);
	return mount;
}

/* Puts it on the directory, NULL: it is the first. root_lock held. */
static void attach(struct mount *mount, struct inode *on)
{
	mount->root->root_of = mount;
	mount->covered = on;
	if (on != NULL) {
		inode_get(on);
		on->covered_by = mount;
	}
	TAILQ_INSERT_TAIL(&mounts, mount, link);
}

static void detach(struct mount *mount)
{
	TAILQ_REMOVE(&mounts, mount, link);
	mount->root->root_of = NULL;
	mount->covered->covered_by = NULL;
}

int mount_tree(const char *type, const char *source, struct inode *root, struct inode *on)
{
	struct mount *mount;

	inode_get(root); /* for ever */
	mount = mount_create(type, source, root);
	if (mount == NULL)
		return -ENOMEM;
	mutex_lock(&root_lock);
	attach(mount, on);
	if (on != NULL) {
		assert(tree_count < ARRAY_SIZE(trees));
		trees[tree_count].type = type;
		trees[tree_count++].root = root;
	}
	mutex_unlock(&root_lock);
	return 0;
}

/* --- is it in use? --------------------------------------------------------------------------------------- */

/* Who is known to hold the inode: its names, those in it, and `more`. */
static bool is_held(const struct inode *inode, uint32_t more)
{
	uint32_t known = inode->links + more;
	const struct name *name;

	if (S_ISDIR(inode->mode)) {
		if (inode->covered_by != NULL)
			return true;
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

/* True if somebody uses something of it; the caller has one reference to the root. root_lock held. */
static bool is_busy(const struct mount *mount)
{
	bool once = strcmp(mount->filesystem->type, TMPFS) != 0;
	struct name *name = TAILQ_FIRST(&mount->root->order);

	/* The mount has one, and who keeps a tree for ever. */
	if (is_held(mount->root, once ? 3 : 2))
		return true;
	for (; name != NULL; name = next_of_tree(mount->root, name)) {
		if (name->inode != NULL && is_held(name->inode, 0))
			return true;
	}
	return false;
}

/* Takes a whole tree apart; what is open stays as it is. root_lock held. */
static void dismantle(struct inode *root, struct name_list *freed)
{
	struct name *name;

	inode_purge(root, freed);
	TAILQ_FOREACH (name, freed, in_order) {
		if (name->inode != NULL && S_ISDIR(name->inode->mode) &&
		    name->inode->covered_by == NULL)
			inode_purge(name->inode, freed);
	}
}

/* --- mount(2) ---------------------------------------------------------------------------------------------- */

/* The root of a new tmpfs; NULL: no memory. */
static struct inode *create_tmpfs(const struct mount_options *options)
{
	struct filesystem *filesystem = filesystem_create(TMPFS);
	struct inode *root = inode_create(S_IFDIR | options->mode);

	if (filesystem != NULL && root != NULL) {
		atomic_store(&filesystem->flags, options->flags);
		atomic_store(&filesystem->quota.limit, options->limit);
		root->uid = options->uid;
		root->gid = options->gid;
		inode_join(root, filesystem);
	} else {
		inode_put(root);
		root = NULL;
	}
	filesystem_put(filesystem);
	return root;
}

/* The tree that there is once, with a reference; NULL: there is none of the type. */
static struct inode *find_tree(const char *type)
{
	struct inode *root = NULL;

	mutex_lock(&root_lock);
	for (unsigned i = 0; i < tree_count; i++) {
		if (strcmp(trees[i].type, type) == 0)
			root = trees[i].root;
	}
	if (root != NULL)
		inode_get(root);
	mutex_unlock(&root_lock);
	return root;
}

static int mount_new(struct inode *on, const char *type, const char *source,
		     const struct mount_options *options)
{
	bool tmpfs = strcmp(type, TMPFS) == 0;
	struct inode *root = tmpfs ? create_tmpfs(options) : find_tree(type);
	struct mount *mount;
	int error = 0;

	if (root == NULL)
		return tmpfs ? -ENOMEM : -ENODEV;
	mount = mount_create(type, source, root);
	if (mount == NULL)
		return -ENOMEM;
	mutex_lock(&root_lock);
	/* A tree that there is once, it can be in one place. Somebody may have been quicker. */
	if (root->root_of != NULL || on->covered_by != NULL)
		error = -EBUSY;
	else if (!inode_is_attached(on))
		error = -ENOENT;
	if (error == 0) {
		if (!tmpfs)
			atomic_store(&mount->filesystem->flags, options->flags);
		attach(mount, on);
	}
	mutex_unlock(&root_lock);
	if (error != 0)
		mount_free(mount);
	return error;
}

static int remount(struct inode *root, char *data, uint32_t flags)
{
	struct filesystem *filesystem = root->filesystem;
	struct mount_options options = { .flags = flags };
	int error;

	mutex_lock(&root_lock);
	error = root->root_of != NULL ? 0 : -EINVAL;
	options.limit = filesystem != NULL ? atomic_load(&filesystem->quota.limit) : 0;
	if (error == 0)
		error = mount_options_parse(data, filesystem->type, &options);
	if (error == 0 && options.limit != 0 && options.limit < filesystem->quota.pages)
		error = -EINVAL;
	if (error == 0 && (flags & MS_RDONLY) != 0 && atomic_load(&filesystem->writers) > 0)
		error = -EBUSY;
	if (error == 0) {
		atomic_store(&filesystem->flags, options.flags);
		atomic_store(&filesystem->quota.limit, options.limit);
	}
	mutex_unlock(&root_lock);
	return error;
}

/* What mount(2) is asked for, copied. */
struct mount_request {
	char *source, *type, *data; /* buffers of PATH_MAX bytes, or NULL */
	unsigned long flags;
};

static int mount_at(struct inode *on, const struct mount_request *request)
{
	struct mount_options options = {
		.flags = (uint32_t)(request->flags & MOUNT_FLAGS),
		.mode = S_ISVTX | S_IRWXU | S_IRWXG | S_IRWXO,
	};
	int error;

	if ((request->flags & MS_REMOUNT) != 0)
		return remount(on, request->data, options.flags);
	/* There is one name space: nothing is propagated, whatever is asked for. */
	if ((request->flags & PROPAGATION) != 0)
		return on->root_of != NULL ? 0 : -EINVAL;
	if ((request->flags & (MS_BIND | MS_MOVE)) != 0 || request->type == NULL)
		return -EINVAL;
	if (!S_ISDIR(on->mode))
		return -ENOTDIR;
	error = mount_options_parse(request->data, request->type, &options);
	return error != 0 ? error : mount_new(on, request->type, request->source, &options);
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
		error = capable(CAP_SYS_ADMIN) ? mount_at(place.inode, &request) : -EPERM;
	place_put(&place);
	kfree(path);
	kfree(request.source);
	kfree(request.type);
	kfree(request.data);
	return error;
}

/* --- umount(2) ---------------------------------------------------------------------------------------------- */

/* A tmpfs goes with its mount. With MNT_DETACH its names do so at once; what is open stays. */
static int unmount(struct inode *root, unsigned flags)
{
	struct name_list freed = TAILQ_HEAD_INITIALIZER(freed);
	struct mount *mount;
	int error = 0;

	mutex_lock(&root_lock);
	mount = S_ISDIR(root->mode) ? root->root_of : NULL;
	if (mount == NULL)
		error = -EINVAL;
	else if (mount->covered == NULL || ((flags & MNT_DETACH) == 0 && is_busy(mount)))
		error = -EBUSY;
	if (error == 0) {
		detach(mount);
		if (strcmp(mount->filesystem->type, TMPFS) == 0)
			dismantle(root, &freed);
	}
	mutex_unlock(&root_lock);
	names_put(&freed);
	if (error == 0)
		mount_free(mount);
	return error;
}

SYSCALL2(umount2, vaddr_t, target, unsigned, flags)
{
	unsigned walk_flags = (flags & UMOUNT_NOFOLLOW) != 0 ? WALK_NOFOLLOW : 0;
	struct place place;
	char *path;
	int error;

	if ((flags & ~(MNT_FORCE | MNT_DETACH | UMOUNT_NOFOLLOW)) != 0)
		return -EINVAL; /* MNT_EXPIRE, too: nothing is marked */
	error = path_from_user(target, &path);
	if (error != 0)
		return error;
	error = walk_find(AT_FDCWD, path, walk_flags, FRESH_STAT, &place);
	if (error == 0)
		error = capable(CAP_SYS_ADMIN) ? unmount(place.inode, flags) : -EPERM;
	place_put(&place);
	kfree(path);
	return error;
}

/* --- the table -------------------------------------------------------------------------------------------------- */

/* The first one's source is where the root comes from. */
static void put_source(struct text *text, const struct mount *mount)
{
	char root[256];

	if (mount->covered == NULL && cmdline_value("root", root, sizeof(root)))
		text_printf(text, "%s", root);
	else
		text_printf(text, "%s",
			    mount->covered == NULL ? mount->filesystem->type : mount->source);
}

static uint32_t parent_id(const struct mount *mount)
{
	const struct inode *dir = mount->covered;

	while (dir != NULL && dir->root_of == NULL)
		dir = TAILQ_FIRST(&dir->names) != NULL ? TAILQ_FIRST(&dir->names)->dir : NULL;
	return dir != NULL ? filesystem_number(dir->root_of->filesystem) : 0;
}

static void describe(struct text *text, const struct mount *mount, const char *path, bool info)
{
	const struct filesystem *filesystem = mount->filesystem;

	if (info) {
		text_printf(text, "%u %u %u:%u / %s ", filesystem_number(filesystem),
			    parent_id(mount), MAJOR(filesystem->device), MINOR(filesystem->device),
			    path);
		mount_options_describe(text, filesystem, MOUNT_SHOW_FLAGS);
		text_printf(text, " - %s ", filesystem->type);
		put_source(text, mount);
		text_append(text, " ", 1);
		mount_options_describe(text, filesystem, MOUNT_SHOW_SUPER);
		text_append(text, "\n", 1);
	} else {
		put_source(text, mount);
		text_printf(text, " %s %s ", path, filesystem->type);
		mount_options_describe(text, filesystem, MOUNT_SHOW_ALL);
		text_printf(text, " 0 0\n");
	}
}

void mounts_describe(struct text *text, bool info)
{
	char *path = kalloc(PATH_MAX);
	const struct mount *mount;

	if (path == NULL)
		text->failed = true;
	mutex_lock(&root_lock);
	TAILQ_FOREACH (mount, &mounts, link) {
		if (path != NULL && inode_path_locked(root_inode, mount->root, path, PATH_MAX) == 0)
			describe(text, mount, path, info);
	}
	mutex_unlock(&root_lock);
	kfree(path);
}
