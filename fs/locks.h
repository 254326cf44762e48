/*
 * fs/locks.h - locks on files: flock(2)'s, and fcntl(2)'s on ranges of bytes.
 *
 * They are advisory: nothing but other locks minds them. An inode that was ever locked has a set of them.
 *
 *	            whose           on what          goes with
 *	flock       an open file    the file         its last descriptor
 *	OFD         an open file    ranges           its last descriptor
 *	POSIX       a descriptor    ranges           any descriptor of the table for the inode
 *	            table
 */
#ifndef HAWSER_FS_LOCKS_H
#define HAWSER_FS_LOCKS_H

#include "kernel/base.h"

struct file;
struct files;
struct inode;
struct lock_set;
struct text;

/* fcntl(2)'s F_GETLK, F_SETLK, F_SETLKW and their F_OFD_ forms, on the file of descriptor `fd`. */
int locks_control(struct file *file, int fd, int command, vaddr_t user);

/* A descriptor of the table for the file has been closed: POSIX locks go. */
void locks_descriptor_closed(struct files *files, struct file *file);
/* The last descriptor of the open file has: its others go. */
void locks_file_closed(struct file *file);
/* Those that are held, as lines of /proc/locks. */
void locks_describe(struct text *text);
/* With the inode; nobody has it open. NULL is allowed. */
void lock_set_free(struct lock_set *set);

#endif
