/*
 * fs/root.h - making names from inside the kernel: the standard directories, devices, /proc.
 */
#ifndef HAWSER_FS_ROOT_H
#define HAWSER_FS_ROOT_H

#include "kernel/base.h"

struct inode;
struct device;

/*
 * Makes the directories of `path` below `base` but for its last component, which goes to `name`
 * (NAME_MAX + 1 bytes); the last directory in `*dir` with a reference. New ones are wire if the one
 * above is. -ENOMEM, -ENAMETOOLONG, -ENOTDIR, -ENOENT (one of them has been removed).
 */
int root_make_parents(struct inode *base, const char *path, char *name, struct inode **dir);

/* Makes the last component as well: the directory in `*out`, with a reference. Errors as above. */
int root_make_directories(struct inode *base, const char *path, struct inode **out);

/* A device's node in the directory. Boot. 0 or -ENOMEM. */
int root_add_device(struct inode *dir, const struct device *device);

/* A symbolic link. Boot. 0 or -ENOMEM. */
int root_add_link(struct inode *dir, const char *name, const char *target);

/* The roots of what is mounted on /proc, /dev and /dev/pts to begin with; fixed at boot. */
extern struct inode *proc_inode, *dev_inode, *pts_inode;

#endif
