/*
 * fs/inode.c - the tree of names in RAM. See the header; what files contain is fs/cache.c's.
 */
#include "fs/inode.h"
#include "fs/inotify.h"
#include "fs/locks.h"
#include "fs/mount.h"
#include "fs/mount_options.h"
#include "fs/stat.h"
#include "fs/synthetic.h"
#include "fs/xattr.h"
#include "kernel/clock.h"
#include "kernel/string.h"
#include "mm/slab.h"
#include <linux/kdev_t.h>
#include <linux/major.h>

/* stat(2): st_blocks counts these, whatever st_blksize says. */
#define STAT_BLOCK 512

/* Of what has no file system: minor 0 is nobody's. */
#define NO_DEVICE MKDEV(UNNAMED_MAJOR, 0)

struct mutex root_lock;
struct inode *root_inode;

static struct slab_cache inodes;
static _Atomic uint64_t last_number;
static uint64_t last_cookie; /* root_lock */

static int compare_names(struct name *a, struct name *b)
{
	return strcmp(a->text, b->text);
}

RB_GENERATE_STATIC(name_tree, name, by_text, compare_names)

struct inode *inode_create(uint32_t mode)
{
	struct inode *inode = slab_zalloc(&inodes);

	if (inode == NULL)
		return NULL;
	atomic_init(&inode->refs, 1);
	inode->number = atomic_fetch_add(&last_number, 1) + 1;
	inode->mode = mode;
	inode->created_ns = clock_wall_ns();
	inode->accessed_ns = inode->modified_ns = inode->changed_ns = inode->created_ns;
	TAILQ_INIT(&inode->names);
	if (S_ISDIR(mode)) {
		RB_INIT(&inode->by_text);
		TAILQ_INIT(&inode->order);
	}
	return inode;
}

void inode_get(struct inode *inode)
{
	atomic_fetch_add(&inode->refs, 1);
}

/* A directory has no children any more when it gets here: each of them would hold it. */
static void inode_free(struct inode *inode)
{
	assert(inode->links == 0);
	if (S_ISREG(inode->mode) && !inode->is_synthetic) {
		inode_uncache(inode);
		if (inode->version != NULL)
			version_put(inode->version);
	} else if (S_ISLNK(inode->mode) && !inode->is_synthetic) {
		kfree(inode->target);
	}
	lock_set_free(atomic_load(&inode->locks));
	xattrs_free(inode);
	filesystem_put(inode->filesystem);
	slab_free(&inodes, inode);
}

void inode_put(struct inode *inode)
{
	if (inode != NULL && atomic_fetch_sub(&inode->refs, 1) == 1)
		inode_free(inode);
}

/* --- the tree ------------------------------------------------------------------------------------ */

struct name *name_find(struct inode *dir, const char *text)
{
	union {
		struct name name;
		char room[sizeof(struct name) + NAME_MAX + 1];
	} key;

	assert(mutex_held(&root_lock));
	(void)strlcpy(key.name.text, text, NAME_MAX + 1);
	return RB_FIND(name_tree, &dir->by_text, &key.name);
}

struct name *name_after(struct inode *dir, uint64_t cookie)
{
	struct name *name;

	assert(mutex_held(&root_lock));
	TAILQ_FOREACH (name, &dir->order, in_order) {
		if (name->cookie > cookie)
			break;
	}
	return name;
}

struct inode *inode_child(struct inode *dir, const char *text)
{
	struct name *name = name_find(dir, text);

	return name != NULL ? name->inode : NULL;
}

struct name *inode_name(const struct inode *inode, uint64_t cookie)
{
	struct name *name;

	assert(mutex_held(&root_lock));
	TAILQ_FOREACH (name, &inode->names, of_inode) {
		if (name->cookie == cookie)
			break;
	}
	return name;
}

uint64_t inode_cookie(const struct inode *inode)
{
	const struct name *name = TAILQ_FIRST(&inode->names);

	return name != NULL ? name->cookie : 0;
}

struct inode *inode_parent(const struct inode *dir)
{
	const struct name *name = TAILQ_FIRST(&dir->names);

	return name != NULL ? name->dir : NULL;
}

bool inode_is_attached(const struct inode *dir)
{
	return inode_is_root(dir) || dir->links > 0;
}

struct name *name_create(const char *text, struct inode *inode)
{
	size_t size = strlen(text) + 1;
	struct name *name = kzalloc(sizeof(*name) + size);

	assert(size <= NAME_MAX + 1);
	if (name == NULL)
		return NULL;
	memcpy(name->text, text, size);
	name->inode = inode;
	if (inode != NULL)
		inode_get(inode);
	return name;
}

void name_free(struct name *name)
{
	assert(name == NULL || (name->dir == NULL && name->inode == NULL));
	kfree(name);
}

/* The inode's side of a name. */
static void give_name(struct name *name, struct inode *inode)
{
	name->inode = inode;
	if (inode == NULL)
		return;
	TAILQ_INSERT_TAIL(&inode->names, name, of_inode);
	inode->links++;
	inode->linkable = false;
	if (S_ISDIR(inode->mode))
		name->dir->directories++;
}

static void take_name(struct name *name)
{
	struct inode *inode = name->inode;

	if (inode == NULL)
		return;
	TAILQ_REMOVE(&inode->names, name, of_inode);
	inode->links--;
	if (S_ISDIR(inode->mode))
		name->dir->directories--;
}

static void detach(struct name *name)
{
	struct inode *dir = name->dir;

	take_name(name);
	RB_REMOVE(name_tree, &dir->by_text, name);
	TAILQ_REMOVE(&dir->order, name, in_order);
	name->dir = NULL;
	name->cookie = 0;
	/* Never the last reference: a directory that has names in it has one itself, or is the root. */
	uint32_t refs = atomic_fetch_sub(&dir->refs, 1);
	assert(refs > 1);
}

void name_enter(struct inode *dir, struct name *name)
{
	struct name *clash;

	assert(mutex_held(&root_lock));
	clash = RB_FIND(name_tree, &dir->by_text, name);
	if (clash != NULL) {
		assert(clash->inode == NULL);
		detach(clash);
	}
	RB_INSERT(name_tree, &dir->by_text, name);
	kfree(clash);
	name->cookie = ++last_cookie;
	TAILQ_INSERT_TAIL(&dir->order, name, in_order);
	name->dir = dir;
	inode_get(dir);
	if (name->inode != NULL)
		inode_join(name->inode, dir->filesystem);
	give_name(name, name->inode);
	if (name->inode != NULL)
		dir->modified_ns = dir->changed_ns = clock_wall_ns();
}

void name_remove(struct name *name, struct name *whiteout, struct name_list *freed)
{
	struct inode *dir = name->dir;

	assert(mutex_held(&root_lock) && dir != NULL);
	detach(name);
	TAILQ_INSERT_TAIL(freed, name, in_order);
	if (name->inode != NULL)
		name->inode->changed_ns = clock_wall_ns();
	dir->modified_ns = dir->changed_ns = clock_wall_ns();
	if (whiteout != NULL)
		name_enter(dir, whiteout);
}

void names_put(struct name_list *freed)
{
	struct name *name;

	while ((name = TAILQ_FIRST(freed)) != NULL) {
		TAILQ_REMOVE(freed, name, in_order);
		inode_put(name->inode);
		kfree(name);
	}
}

void names_exchange(struct name *a, struct name *b)
{
	struct inode *of_a = a->inode, *of_b = b->inode;

	assert(mutex_held(&root_lock));
	take_name(a);
	take_name(b);
	give_name(a, of_b);
	give_name(b, of_a);
	of_a->changed_ns = of_b->changed_ns = clock_wall_ns();
	a->dir->modified_ns = a->dir->changed_ns = of_a->changed_ns;
	b->dir->modified_ns = b->dir->changed_ns = of_a->changed_ns;
}

int inode_link(struct inode *dir, const char *text, struct inode *inode)
{
	struct name *name;

	if (!inode_is_attached(dir))
		return -ENOENT;
	name = name_create(text, inode);
	if (name == NULL)
		return -ENOMEM;
	name_enter(dir, name);
	return 0;
}

bool inode_is_empty(struct inode *dir)
{
	struct name *name;

	TAILQ_FOREACH (name, &dir->order, in_order) {
		if (name->inode != NULL)
			return false;
	}
	return true;
}

void inode_purge(struct inode *dir, struct name_list *freed)
{
	struct name *name;

	while ((name = TAILQ_FIRST(&dir->order)) != NULL)
		name_remove(name, NULL, freed);
}

bool inode_is_above(const struct inode *dir, const struct inode *inode)
{
	while (inode != NULL && inode != dir)
		inode = inode_parent(inode);
	return inode != NULL;
}

/* --- what inodes say of themselves ------------------------------------------------------------------ */

int inode_path(struct inode *inode, char *out, size_t size)
{
	mutex_lock(&root_lock);
	int error = inode_path_locked(inode, out, size);
	mutex_unlock(&root_lock);
	return error;
}

/* A file system is the root of itself, seen through no mount. */
int inode_path_locked(const struct inode *inode, char *out, size_t size)
{
	const struct filesystem *filesystem = inode->filesystem;
	struct location root = { NULL, filesystem != NULL ? filesystem->root : NULL };
	struct location at = { NULL, (struct inode *)inode };

	return location_path_locked(&root, &at, out, size);
}

void inode_touch(struct inode *inode)
{
	mutex_lock(&root_lock);
	inode->modified_ns = inode->changed_ns = clock_wall_ns();
	inotify_inode(inode, IN_MODIFY);
	mutex_unlock(&root_lock);
}

int inode_stat(struct inode *inode, struct version *version, struct stat *out)
{
	uint64_t size = 0, pages = 0;
	uint32_t uid = 0, gid = 0;

	if (inode->is_synthetic)
		synthetic_owner(inode, &uid, &gid);
	if (version != NULL) {
		int error = version_size(version, &size);
		if (error != 0)
			return error;
		mutex_lock(&version->object.lock);
		pages = version->object.pages;
		mutex_unlock(&version->object.lock);
		/* What is still on the server takes up its place too, to whoever looks for holes. */
		if (!atomic_load(&version->local))
			pages = DIV_ROUND_UP(size, PAGE_SIZE);
	}
	memset(out, 0, sizeof(*out));
	mutex_lock(&root_lock);
	out->st_dev = inode->filesystem != NULL ? inode->filesystem->device : NO_DEVICE;
	out->st_ino = inode->number;
	out->st_mode = inode->mode;
	out->st_nlink = S_ISDIR(inode->mode) ? 2 + inode->directories : inode->links;
	if (inode->entries != NULL)
		out->st_nlink = S_ISDIR(inode->mode) ? 2 : 1;
	out->st_uid = inode->is_synthetic ? uid : inode->uid;
	out->st_gid = inode->is_synthetic ? gid : inode->gid;
	if (S_ISCHR(inode->mode) || S_ISBLK(inode->mode))
		out->st_rdev = inode->device_number;
	if (S_ISLNK(inode->mode) && !inode->is_synthetic)
		size = strlen(inode->target);
	out->st_size = (__kernel_long_t)size;
	out->st_blksize = PAGE_SIZE;
	out->st_blocks = (__kernel_long_t)(pages * (PAGE_SIZE / STAT_BLOCK));
	out->st_atime = inode->accessed_ns / NSEC_PER_SEC;
	out->st_atime_nsec = inode->accessed_ns % NSEC_PER_SEC;
	out->st_mtime = inode->modified_ns / NSEC_PER_SEC;
	out->st_mtime_nsec = inode->modified_ns % NSEC_PER_SEC;
	out->st_ctime = inode->changed_ns / NSEC_PER_SEC;
	out->st_ctime_nsec = inode->changed_ns % NSEC_PER_SEC;
	mutex_unlock(&root_lock);
	return 0;
}

int inode_init(void)
{
	mutex_init(&root_lock, "root", RANK_INODE);
	slab_cache_init(&inodes, "inode", sizeof(struct inode), sizeof(uint64_t));
	root_inode = inode_create(S_IFDIR | S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH);
	if (root_inode == NULL)
		return -ENOMEM;
	root_inode->wire = true;
	return mount_tree(WIRE, WIRE, root_inode, NULL);
}
