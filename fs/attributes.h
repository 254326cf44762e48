/*
 * fs/attributes.h - whose attributes a system call is about.
 */
#ifndef HAWSER_FS_ATTRIBUTES_H
#define HAWSER_FS_ATTRIBUTES_H

#include "kernel/base.h"

struct inode;
struct location;

/* What a user's path names, the server included, with references. As walk_find(). */
int find_location(int dirfd, vaddr_t user_path, unsigned walk_flags, struct location *out);
int find_inode(int dirfd, vaddr_t user_path, unsigned walk_flags, struct inode **out);
/* The inode of a descriptor, with a reference. -EBADF, also of one that is O_PATH or has none. */
int find_descriptor(int fd, struct location *out);

#endif
