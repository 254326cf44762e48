/*
 * fs/context.c - what a process carries into every path: its working directory and umask; and the
 * names by which things were opened.
 */
#include "fs/inode.h"
#include "fs/mount.h"
#include "fs/path.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "mm/slab.h"

#define UMASK_FIRST (S_IWGRP | S_IWOTH)

struct file_name *file_name_create(const char *path, uint64_t inode_number)
{
	size_t size = strlen(path) + 1;
	struct file_name *name = kalloc(sizeof(*name) + size);

	if (name == NULL)
		return NULL;
	atomic_init(&name->refs, 1);
	name->inode_number = inode_number;
	memcpy(name->path, path, size);
	return name;
}

void file_name_get(struct file_name *name)
{
	atomic_fetch_add(&name->refs, 1);
}

void file_name_put(struct file_name *name)
{
	if (name != NULL && atomic_fetch_sub(&name->refs, 1) == 1)
		kfree(name);
}

static LIST_HEAD(, fs_context) contexts = LIST_HEAD_INITIALIZER(contexts); /* root_lock */
static uint64_t moves;                                                     /* root_lock */

/* Takes the references over. */
static struct fs_context *create(const struct location *cwd, const struct location *root,
				 uint32_t umask)
{
	struct fs_context *context = kzalloc(sizeof(*context));

	if (context == NULL) {
		location_put(cwd);
		location_put(root);
		return NULL;
	}
	atomic_init(&context->refs, 1);
	mutex_init(&context->lock, "fs context", RANK_FILES);
	context->cwd = cwd->inode;
	context->cwd_mount = cwd->mount;
	context->root = root->inode;
	context->root_mount = root->mount;
	context->umask = umask;
	mutex_lock(&root_lock);
	context->moved = moves;
	LIST_INSERT_HEAD(&contexts, context, link);
	mutex_unlock(&root_lock);
	return context;
}

struct fs_context *fs_context_create(void)
{
	struct location root;

	mutex_lock(&root_lock);
	root = (struct location){ root_mount, root_mount->root };
	location_get(&root);
	location_get(&root);
	mutex_unlock(&root_lock);
	return create(&root, &root, UMASK_FIRST);
}

struct fs_context *fs_context_copy(struct fs_context *from)
{
	struct location cwd, root;
	uint32_t umask;

	mutex_lock(&from->lock);
	cwd = (struct location){ from->cwd_mount, from->cwd };
	root = (struct location){ from->root_mount, from->root };
	location_get(&cwd);
	location_get(&root);
	umask = from->umask;
	mutex_unlock(&from->lock);
	return create(&cwd, &root, umask);
}

void fs_context_get(struct fs_context *context)
{
	atomic_fetch_add(&context->refs, 1);
}

void fs_context_put(struct fs_context *context)
{
	if (atomic_fetch_sub(&context->refs, 1) != 1)
		return;
	mutex_lock(&root_lock);
	LIST_REMOVE(context, link);
	mutex_unlock(&root_lock);
	inode_put(context->cwd);
	inode_put(context->root);
	mount_put(context->cwd_mount);
	mount_put(context->root_mount);
	kfree(context);
}

void fs_context_get_cwd(struct fs_context *context, struct location *out)
{
	mutex_lock(&context->lock);
	*out = (struct location){ context->cwd_mount, context->cwd };
	location_get(out);
	mutex_unlock(&context->lock);
}

void fs_context_get_root(struct fs_context *context, struct location *out)
{
	mutex_lock(&context->lock);
	*out = (struct location){ context->root_mount, context->root };
	location_get(out);
	mutex_unlock(&context->lock);
}

void fs_context_root(struct location *out)
{
	if (current->fs != NULL) {
		fs_context_get_root(current->fs, out);
		return;
	}
	mutex_lock(&root_lock);
	*out = (struct location){ root_mount, root_mount->root };
	location_get(out);
	mutex_unlock(&root_lock);
}

/* The next one that has not been moved by this move, with a reference, or NULL. */
static struct fs_context *next_to_move(uint64_t move)
{
	struct fs_context *context;

	mutex_lock(&root_lock);
	LIST_FOREACH (context, &contexts, link) {
		uint32_t refs = atomic_load(&context->refs);

		/* One without references is on its way out. */
		while (context->moved < move && refs != 0 &&
		       !atomic_compare_exchange_weak(&context->refs, &refs, refs + 1))
			;
		if (context->moved < move && refs != 0)
			break;
	}
	if (context != NULL)
		context->moved = move;
	mutex_unlock(&root_lock);
	return context;
}

/* `*inode` and `*mount` go to `to` if they are at `from`. True: the old ones are to be put. */
static bool move(struct inode **inode, struct mount **mount, const struct location *from,
		 const struct location *to)
{
	if (*inode != from->inode || *mount != from->mount)
		return false;
	location_get(to);
	*inode = to->inode;
	*mount = to->mount;
	return true;
}

void fs_contexts_move(const struct location *from, const struct location *to)
{
	struct fs_context *context;
	uint64_t number;

	mutex_lock(&root_lock);
	number = ++moves;
	mutex_unlock(&root_lock);
	while ((context = next_to_move(number)) != NULL) {
		mutex_lock(&context->lock);
		bool cwd = move(&context->cwd, &context->cwd_mount, from, to);
		bool root = move(&context->root, &context->root_mount, from, to);
		mutex_unlock(&context->lock);
		if (cwd)
			location_put(from);
		if (root)
			location_put(from);
		fs_context_put(context);
	}
}
