/*
 * fs/root.c - the root as a machine finds it at boot: standard directories, /dev.
 */
#include "fs/root.h"
#include "fs/async.h"
#include "fs/dev.h"
#include "fs/inode.h"
#include "fs/mount.h"
#include "fs/mount_options.h"
#include "fs/origin.h"
#include "fs/path.h"
#include "fs/pathname.h"
#include "fs/timerfd.h"
#include "kernel/string.h"
#include "mm/slab.h"
#include "mm/space.h"

struct inode *proc_inode, *dev_inode, *pts_inode;

#define MODE_DIRECTORY (S_IFDIR | S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH)
#define MODE_PRIVATE   (S_IFDIR | S_IRWXU)
#define MODE_SHARED    (S_IFDIR | S_ISVTX | S_IRWXU | S_IRWXG | S_IRWXO)

/* What is not wire is never asked of the server. */
struct standard_directory {
	const char *path;
	uint32_t mode;
	bool wire;
	const char *mounted; /* what is mounted on it; NULL: nothing, */
	struct inode **tree; /* and what becomes of that */
};

/* Parents before children. */
static const struct standard_directory directories[] = {
	{ "bin", MODE_DIRECTORY, true },
	{ "dev", MODE_DIRECTORY, false, DEVTMPFS, &dev_inode },
	{ "etc", MODE_DIRECTORY, true },
	{ "home", MODE_DIRECTORY, true },
	{ "lib", MODE_DIRECTORY, true },
	{ "lib64", MODE_DIRECTORY, true },
	{ "proc", MODE_DIRECTORY, false, "proc", &proc_inode },
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

/* Of /dev. */
static const struct standard_directory dev_directories[] = {
	{ "pts", MODE_DIRECTORY, false, DEVPTS, &pts_inode },
	{ "shm", MODE_SHARED, false },
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

int root_add_device(struct inode *dir, const struct device *device)
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
	error = inode_link(dir, device->name, inode);
	mutex_unlock(&root_lock);
	inode_put(inode);
	return error;
}

int root_add_link(struct inode *dir, const char *name, const char *target)
{
	struct inode *inode = inode_create(S_IFLNK | S_IRWXU | S_IRWXG | S_IRWXO);
	int error = -ENOMEM;

	if (inode == NULL)
		return error;
	inode->target = kstrdup(target);
	if (inode->target != NULL) {
		mutex_lock(&root_lock);
		error = inode_link(dir, name, inode);
		mutex_unlock(&root_lock);
	}
	inode_put(inode);
	return error;
}

/* An empty tree, to be filled, is mounted on the directory. */
static int mount_empty(const struct standard_directory *standard, struct inode *on)
{
	struct inode *root = inode_create(MODE_DIRECTORY);

	if (root == NULL)
		return -ENOMEM;
	*standard->tree = root;
	return mount_tree(standard->mounted, standard->mounted, root, on);
}

static int make_directories(struct inode *base, const struct standard_directory *standard,
			    size_t count)
{
	int error = 0;

	for (size_t i = 0; i < count && error == 0; i++) {
		struct inode *dir, *inode;
		char name[NAME_MAX + 1];

		error = root_make_parents(base, standard[i].path, name, &dir);
		if (error != 0)
			break;
		mutex_lock(&root_lock);
		error = make_directory(dir, name, standard[i].mode, standard[i].wire, &inode);
		mutex_unlock(&root_lock);
		inode_put(dir);
		if (error == 0 && standard[i].mounted != NULL)
			error = mount_empty(&standard[i], inode);
		if (error == 0)
			inode_put(inode); /* the tree has it */
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
	error = async_init();
	if (error == 0)
		error = inode_init();
	if (error == 0)
		error = make_directories(root_inode, directories, ARRAY_SIZE(directories));
	if (error == 0) {
		proc_inode->is_synthetic = true;
		error = make_directories(dev_inode, dev_directories, ARRAY_SIZE(dev_directories));
	}
	if (error == 0)
		error = dev_init();
	return error;
}
