/*
 * fs/root.c - the root as a machine finds it at boot: standard directories, /dev.
 */
#include "fs/root.h"
#include "fs/dev.h"
#include "fs/inode.h"
#include "fs/mount.h"
#include "fs/origin.h"
#include "fs/path.h"
#include "fs/pathname.h"
#include "fs/timerfd.h"
#include "kernel/string.h"
#include "mm/slab.h"
#include "mm/space.h"

struct inode *proc_inode;

#define MODE_DIRECTORY (S_IFDIR | S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH)
#define MODE_PRIVATE   (S_IFDIR | S_IRWXU)
#define MODE_SHARED    (S_IFDIR | S_ISVTX | S_IRWXU | S_IRWXG | S_IRWXO)

/* Parents before children. What is not wire is never asked of the server. */
static const struct {
	const char *path;
	uint32_t mode;
	bool wire;
	const char *mounted; /* what is mounted on it; NULL: nothing */
} directories[] = {
	{ "bin", MODE_DIRECTORY, true },
	{ "dev", MODE_DIRECTORY, false, "devtmpfs" },
	{ "dev/pts", MODE_DIRECTORY, false },
	{ "dev/shm", MODE_SHARED, false },
	{ "etc", MODE_DIRECTORY, true },
	{ "home", MODE_DIRECTORY, true },
	{ "lib", MODE_DIRECTORY, true },
	{ "lib64", MODE_DIRECTORY, true },
	{ "proc", MODE_DIRECTORY, false, "proc" },
	{ "root", MODE_PRIVATE, true },
	{ "run", MODE_DIRECTORY, false },
	{ "sbin", MODE_DIRECTORY, true },
	{ "tmp", MODE_SHARED, false },
	{ "usr", MODE_DIRECTORY, true },
	{ "usr/bin", MODE_DIRECTORY, true },
	{ "usr/lib", MODE_DIRECTORY, true },
	{ "usr/sbin", MODE_DIRECTORY, true },
	{ "usr/share", MODE_DIRECTORY, true },
	{ "var", MODE_DIRECTORY, true },
	{ "var/tmp", MODE_SHARED, false },
};

/* The child directory, made if it is not there, with a reference; root_lock held. */
static int make_directory(struct inode *dir, const char *name, uint32_t mode, bool wire,
			  struct inode **out)
{
	struct name *found = name_find(dir, name);
	struct inode *child = found != NULL ? found->inode : NULL;
	int error;

	if (found != NULL && child == NULL)
		return -ENOENT;
	if (child != NULL && !S_ISDIR(child->mode))
		return -ENOTDIR;
	if (child != NULL) {
		child = mount_top(child);
		inode_get(child);
		*out = child;
		return 0;
	}
	child = inode_create(mode);
	if (child == NULL)
		return -ENOMEM;
	child->wire = wire;
	child->is_synthetic = dir->is_synthetic;
	error = inode_link(dir, name, child);
	if (error != 0)
		inode_put(child);
	else
		*out = child;
	return error;
}

int root_make_parents(struct inode *base, const char *path, char *name, struct inode **dir)
{
	struct inode *here = base;
	const char *cursor = path;
	struct component c;
	int error = 0;

	inode_get(here);
	while (error == 0 && pathname_next(&cursor, &c)) {
		struct inode *next;

		if (c.length > NAME_MAX) {
			error = -ENAMETOOLONG;
			break;
		}
		memcpy(name, c.start, c.length);
		name[c.length] = '\0';
		if (pathname_at_end(cursor))
			break;
		mutex_lock(&root_lock);
		error = make_directory(here, name, MODE_DIRECTORY, here->wire, &next);
		mutex_unlock(&root_lock);
		if (error == 0) {
			inode_put(here);
			here = next;
		}
	}
	if (error != 0)
		inode_put(here);
	else
		*dir = here;
	return error;
}

int root_make_directories(struct inode *base, const char *path, struct inode **out)
{
	char name[NAME_MAX + 1];
	struct inode *dir;
	int error = root_make_parents(base, path, name, &dir);

	if (error != 0)
		return error;
	mutex_lock(&root_lock);
	error = make_directory(dir, name, MODE_DIRECTORY, dir->wire, out);
	mutex_unlock(&root_lock);
	inode_put(dir);
	return error;
}

int root_add_device(const struct device *device)
{
	uint32_t permissions = device->permissions != 0
				       ? device->permissions
				       : S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH;
	struct inode *inode = inode_create(S_IFCHR | permissions);
	int error;

	if (inode == NULL)
		return -ENOMEM;
	inode->device = device;
	inode->device_number = device->number;
	mutex_lock(&root_lock);
	error = inode_link(mount_top(inode_child(root_inode, "dev")), device->name, inode);
	mutex_unlock(&root_lock);
	inode_put(inode);
	return error;
}

int root_add_link(const char *path, const char *target)
{
	struct inode *dir, *inode = inode_create(S_IFLNK | S_IRWXU | S_IRWXG | S_IRWXO);
	char name[NAME_MAX + 1];
	int error = -ENOMEM;

	if (inode == NULL)
		return error;
	inode->target = kstrdup(target);
	if (inode->target != NULL)
		error = root_make_parents(root_inode, path, name, &dir);
	if (error == 0) {
		mutex_lock(&root_lock);
		error = inode_link(dir, name, inode);
		mutex_unlock(&root_lock);
		inode_put(dir);
	}
	inode_put(inode);
	return error;
}

/* An empty tree, to be filled, is mounted on the directory. */
static int mount_empty(const char *type, struct inode *on)
{
	struct inode *root = inode_create(MODE_DIRECTORY);

	return root != NULL ? mount_tree(type, type, root, on) : -ENOMEM;
}

static int make_directories(void)
{
	int error = 0;

	for (size_t i = 0; i < ARRAY_SIZE(directories) && error == 0; i++) {
		struct inode *dir, *inode;
		char name[NAME_MAX + 1];

		error = root_make_parents(root_inode, directories[i].path, name, &dir);
		if (error != 0)
			break;
		mutex_lock(&root_lock);
		error = make_directory(dir, name, directories[i].mode, directories[i].wire, &inode);
		mutex_unlock(&root_lock);
		inode_put(dir);
		if (error == 0 && directories[i].mounted != NULL)
			error = mount_empty(directories[i].mounted, inode);
		if (error == 0)
			inode_put(inode); /* the tree has it */
	}
	if (error == 0) {
		mutex_lock(&root_lock);
		proc_inode = mount_top(inode_child(root_inode, "proc"));
		proc_inode->is_synthetic = true;
		mutex_unlock(&root_lock);
	}
	return error;
}

static const struct space_name_ops name_ops = {
	.get = file_name_get,
	.put = file_name_put,
};

int fs_init(void)
{
	int error;

	space_register_name_ops(&name_ops);
	origin_init();
	cache_init();
	timerfd_init();
	error = inode_init();
	if (error == 0)
		error = make_directories();
	if (error == 0)
		error = dev_init();
	return error;
}
