/*
 * fs/inotify.h - what changes files and names tells inotify(7). Nothing is done while nobody watches.
 */
#ifndef HAWSER_FS_INOTIFY_H
#define HAWSER_FS_INOTIFY_H

#include "kernel/base.h"
#include <linux/inotify.h>

struct file;
struct inode;

/* inotify(7): max_queued_events and max_user_instances as on Linux, and max_user_watches. */
#define INOTIFY_EVENTS_MAX    16384
#define INOTIFY_INSTANCES_MAX 128
#define INOTIFY_WATCHES_MAX   8192

extern _Atomic uint32_t inotify_watch_count;

static inline bool inotify_is_used(void)
{
	return atomic_load_explicit(&inotify_watch_count, memory_order_relaxed) != 0;
}

/* --- root_lock held ------------------------------------------------------------------------------ */

/* To who watches the directory: IN_CREATE, IN_DELETE, IN_MOVED_FROM, IN_MOVED_TO. */
void inotify_name(struct inode *dir, const char *text, const struct inode *child, uint32_t mask,
		  uint32_t cookie);
/* To who watches the inode, or a directory that it has a name in: IN_MODIFY, IN_ATTRIB … */
void inotify_inode(struct inode *inode, uint32_t mask);
/* To who watches the inode itself: IN_MOVE_SELF. */
void inotify_self(struct inode *inode, uint32_t mask);
/* It has lost a name. With its last one, and when nobody has it open any more, the watches on it end. */
void inotify_unlinked(struct inode *inode);
/* Its file system is mounted nowhere any more: the watches on it end. */
void inotify_unmounted(struct inode *inode);
/* How many watches there are on it. */
uint32_t inotify_count(const struct inode *inode);
/* What IN_MOVED_FROM and IN_MOVED_TO of one move have in common. */
uint32_t inotify_new_cookie(void);

/* --- no lock held -------------------------------------------------------------------------------- */

/* Nobody has it open any more. */
void inotify_closed(struct inode *inode);
/* As inotify_inode() of an open file's inode, if it has one: IN_OPEN, IN_CLOSE_WRITE … */
void inotify_file(struct file *file, uint32_t mask);

#endif
