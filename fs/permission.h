/*
 * fs/permission.h - who may do what to which inode: path_resolution(7), capabilities(7).
 */
#ifndef HAWSER_FS_PERMISSION_H
#define HAWSER_FS_PERMISSION_H

#include "kernel/base.h"

struct group_list;
struct inode;
struct location;
struct name;

/* As access(2) counts them; no UAPI header has these. */
#define MAY_EXECUTE 1u /* of a directory: search */
#define MAY_WRITE   2u
#define MAY_READ    4u

/* 0, -EACCES or -EROFS, for the calling thread. root_lock held, or who does not care about a chmod(2) now. */
int inode_may(const struct inode *inode, unsigned wanted);
/* The same, seen through a mount: -EROFS, too, if that is read-only. */
int location_may(const struct location *at, unsigned wanted);
/* The same, of a directory on a path. */
int inode_may_search(const struct inode *dir);
/* What is wrong with making a name in the directory: 0 or -EACCES. */
int dir_may_make(const struct inode *dir);
/* What is wrong with taking the name out of its directory: 0, -EACCES, -EPERM (sticky). root_lock held. */
int name_may_go(const struct name *name);
/* True if the caller is the owner, or may do as if. */
bool inode_is_mine(const struct inode *inode);
/* 0 or -EPERM: a stranger's file gets no more names than its owner gave it (protected_hardlinks). */
int inode_may_link(const struct inode *inode);

/* Lets go of a list of groups; NULL is allowed. Any lock. */
void group_list_put(struct group_list *groups);

/*
 * Gives a new inode its owner: the caller, and the group of a directory that is set-group-ID; takes away
 * permissions that would be another group's. `dir` NULL: in none. Not yet in the tree, or root_lock held.
 */
void inode_set_owner(struct inode *inode, const struct inode *dir);
/* A file is written or gets another owner: set-user-ID is not for what it is now. Takes root_lock. */
void inode_drop_set_id(struct inode *inode);

#endif
