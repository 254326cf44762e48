/*
 * fs/context.c - what a process carries into every path: its working directory and umask; and the
 * names by which things were opened.
 */
#include "fs/inode.h"
#include "fs/path.h"
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

static struct fs_context *create(struct inode *cwd, struct inode *root, uint32_t umask)
{
	struct fs_context *context = kzalloc(sizeof(*context));

	if (context == NULL)
		return NULL;
	atomic_init(&context->refs, 1);
	mutex_init(&context->lock, "fs context", RANK_FILES);
	inode_get(cwd);
	context->cwd = cwd;
	inode_get(root);
	context->root = root;
	context->umask = umask;
	return context;
}

struct fs_context *fs_context_create(void)
{
	return create(root_inode, root_inode, UMASK_FIRST);
}

struct fs_context *fs_context_copy(struct fs_context *from)
{
	struct fs_context *copy;

	mutex_lock(&from->lock);
	copy = create(from->cwd, from->root, from->umask);
	mutex_unlock(&from->lock);
	return copy;
}

void fs_context_get(struct fs_context *context)
{
	atomic_fetch_add(&context->refs, 1);
}

void fs_context_put(struct fs_context *context)
{
	if (atomic_fetch_sub(&context->refs, 1) != 1)
		return;
	inode_put(context->cwd);
	inode_put(context->root);
	kfree(context);
}
