/*
 * fs/inode.c - the tree of names in RAM. See the header; what files contain is fs/cache.c's.
 */
#include "fs/inode.h"
#include "fs/stat.h"
#include "kernel/clock.h"
#include "kernel/string.h"
#include "mm/slab.h"
#include <linux/kdev_t.h>
#include <linux/major.h>

/* stat(2): st_blocks counts these, whatever st_blksize says. */
#define STAT_BLOCK 512

/* The device of everything here; Linux gives file systems without a disk minors of this one. */
#define ROOT_DEVICE MKDEV(UNNAMED_MAJOR, 1)

struct mutex root_lock;
struct inode *root_inode;

static struct slab_cache inodes;
static _Atomic uint64_t last_number;
static uint64_t last_cookie; /* root_lock */

static int compare_names(struct inode *a, struct inode *b)
{
	return strcmp(a->name, b->name);
}

RB_GENERATE_STATIC(inode_names, inode, by_name, compare_names)

struct inode *inode_create(uint32_t mode)
{
	struct inode *inode = slab_zalloc(&inodes);

	if (inode == NULL)
		return NULL;
	atomic_init(&inode->refs, 1);
	inode->number = atomic_fetch_add(&last_number, 1) + 1;
	inode->mode = mode;
	inode->accessed_ns = inode->modified_ns = inode->changed_ns = clock_wall_ns();
	if (S_ISDIR(mode)) {
		RB_INIT(&inode->names);
		TAILQ_INIT(&inode->order);
	}
	return inode;
}

struct inode *inode_create_whiteout(const char *name)
{
	struct inode *inode = inode_create(MODE_ABSENT);

	if (inode == NULL)
		return NULL;
	inode->name = kstrdup(name);
	if (inode->name == NULL) {
		slab_free(&inodes, inode);
		return NULL;
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
	assert(inode->parent == NULL);
	if (S_ISREG(inode->mode) && !inode->is_synthetic) {
		inode_uncache(inode);
		if (inode->version != NULL)
			version_put(inode->version);
	} else if (S_ISLNK(inode->mode) && !inode->is_synthetic) {
		kfree(inode->target);
	}
	kfree(inode->name);
	slab_free(&inodes, inode);
}

void inode_put(struct inode *inode)
{
	if (inode != NULL && atomic_fetch_sub(&inode->refs, 1) == 1)
		inode_free(inode);
}

/* --- the tree ------------------------------------------------------------------------------------ */

struct inode *inode_child(struct inode *dir, const char *name)
{
	struct inode key;

	assert(mutex_held(&root_lock));
	key.name = (char *)name;
	return RB_FIND(inode_names, &dir->names, &key);
}

struct inode *inode_child_after(struct inode *dir, uint64_t cookie)
{
	struct inode *child;

	assert(mutex_held(&root_lock));
	TAILQ_FOREACH (child, &dir->order, in_order) {
		if (child->cookie > cookie)
			break;
	}
	return child;
}

static void attach(struct inode *dir, struct inode *inode)
{
	struct inode *clash = RB_INSERT(inode_names, &dir->names, inode);

	assert(clash == NULL);
	inode->cookie = ++last_cookie;
	TAILQ_INSERT_TAIL(&dir->order, inode, in_order);
	if (S_ISDIR(inode->mode))
		dir->directories++;
	inode->parent = dir;
	inode_get(dir);
	if (inode->mode != MODE_ABSENT)
		dir->modified_ns = dir->changed_ns = clock_wall_ns();
}

static void detach(struct inode *inode)
{
	struct inode *dir = inode->parent;

	RB_REMOVE(inode_names, &dir->names, inode);
	TAILQ_REMOVE(&dir->order, inode, in_order);
	if (S_ISDIR(inode->mode))
		dir->directories--;
	inode->parent = NULL;
	inode->cookie = 0;
	/* Never the last reference: a directory that has children has a name, or is the root. */
	uint32_t refs = atomic_fetch_sub(&dir->refs, 1);
	assert(refs > 1);
}

/* Frees the whiteout of that name, if there is one. */
static void clear_place(struct inode *dir, const char *name)
{
	struct inode *old = inode_child(dir, name);

	if (old == NULL)
		return;
	assert(old->mode == MODE_ABSENT);
	detach(old);
	inode_put(old); /* a whiteout takes no lock to free */
}

int inode_link(struct inode *dir, const char *name, struct inode *inode)
{
	char *copy;

	assert(mutex_held(&root_lock));
	if (dir != root_inode && dir->parent == NULL)
		return -ENOENT;
	copy = kstrdup(name);
	if (copy == NULL)
		return -ENOMEM;
	clear_place(dir, name);
	kfree(inode->name);
	inode->name = copy;
	inode_get(inode);
	attach(dir, inode);
	return 0;
}

void inode_unlink(struct inode *inode, struct inode *whiteout)
{
	struct inode *dir = inode->parent;

	assert(mutex_held(&root_lock) && dir != NULL);
	detach(inode);
	inode->changed_ns = dir->modified_ns = dir->changed_ns = clock_wall_ns();
	if (whiteout != NULL)
		attach(dir, whiteout);
}

void inode_move(struct inode *inode, struct inode *whiteout, struct inode *dir, char *name)
{
	inode_unlink(inode, whiteout);
	clear_place(dir, name);
	kfree(inode->name);
	inode->name = name;
	attach(dir, inode);
}

bool inode_is_empty(struct inode *dir)
{
	struct inode *child;

	TAILQ_FOREACH (child, &dir->order, in_order) {
		if (child->mode != MODE_ABSENT)
			return false;
	}
	return true;
}

void inode_purge(struct inode *dir, struct inode_order *freed)
{
	struct inode *child;

	while ((child = TAILQ_FIRST(&dir->order)) != NULL) {
		assert(child->mode == MODE_ABSENT);
		detach(child);
		TAILQ_INSERT_TAIL(freed, child, in_order);
	}
}

bool inode_is_above(const struct inode *dir, const struct inode *inode)
{
	while (inode != NULL && inode != dir)
		inode = inode->parent;
	return inode != NULL;
}

/* --- what inodes say of themselves ------------------------------------------------------------------ */

int inode_path(struct inode *inode, char *out, size_t size)
{
	size_t at = size;
	int error = 0;

	/* Written from the end of the buffer towards its beginning, then moved. */
	mutex_lock(&root_lock);
	out[--at] = '\0';
	for (const struct inode *i = inode; i != root_inode; i = i->parent) {
		if (i->parent == NULL) {
			error = -ENOENT;
			break;
		}
		size_t length = strlen(i->name);
		if (length + 1 > at) {
			error = -ENAMETOOLONG;
			break;
		}
		at -= length;
		memcpy(out + at, i->name, length);
		out[--at] = '/';
	}
	mutex_unlock(&root_lock);
	if (error != 0)
		return error;
	if (at == size - 1)
		out[--at] = '/';
	memmove(out, out + at, size - at);
	return 0;
}

void inode_touch(struct inode *inode)
{
	mutex_lock(&root_lock);
	inode->modified_ns = inode->changed_ns = clock_wall_ns();
	mutex_unlock(&root_lock);
}

int inode_stat(struct inode *inode, struct version *version, struct stat *out)
{
	uint64_t size = 0, pages = 0;

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
	out->st_dev = ROOT_DEVICE;
	out->st_ino = inode->number;
	out->st_mode = inode->mode;
	out->st_nlink = S_ISDIR(inode->mode)                           ? 2 + inode->directories
			: inode->parent != NULL || inode->is_synthetic ? 1
								       : 0;
	out->st_uid = inode->uid;
	out->st_gid = inode->gid;
	if (S_ISCHR(inode->mode))
		out->st_rdev = inode->device->number;
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
	return 0;
}
