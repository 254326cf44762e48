/*
 * fs/names.h - what the system calls that change names share (fs/names.c, fs/rename.c).
 *
 * What has been found by a path may have got another name before root_lock is held: the caller asks
 * inode_name() with the place's cookie, and looks again if that name is gone.
 */
#ifndef HAWSER_FS_NAMES_H
#define HAWSER_FS_NAMES_H

#include "fs/walk.h"

struct inode;
struct name;

/*
 * Finds what a user's path names, the server included; as walk_find(). names_done() is due whatever the
 * result.
 */
int names_find(int dirfd, vaddr_t user_path, unsigned flags, char **path, struct place *place);
void names_done(char *path, struct place *place);

/*
 * Gives an inode that may be linked the name of the path, which must not name anything. `path` is a
 * buffer of PATH_MAX bytes that is used up. -EEXIST, -ENOSPC, and the errors of a walk.
 */
int names_enter(int dirfd, char *path, struct inode *inode, const struct mount *from);

/* --- root_lock held ------------------------------------------------------------------------------ */

/* What is wrong with taking the name away, or 0. */
int names_check_removal(const struct name *name);
/* What is wrong if an inode has lost the name that it was found by. -EAGAIN: look again. */
int names_lost(const struct inode *inode);
/* A whiteout for where the name is, if the server may have it; `*out` NULL if not. 0 or -ENOMEM. */
int names_whiteout_for(const struct name *name, struct name **out);

#endif
