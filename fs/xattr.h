/*
 * fs/xattr.h - extended attributes, as inodes see them.
 */
#ifndef HAWSER_FS_XATTR_H
#define HAWSER_FS_XATTR_H

struct inode;

/* The inode is going away. */
void xattrs_free(struct inode *inode);

#endif
