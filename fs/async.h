/*
 * fs/async.h - being told by a signal that a file is ready: fcntl(2)'s O_ASYNC, F_SETOWN and F_SETSIG.
 */
#ifndef HAWSER_FS_ASYNC_H
#define HAWSER_FS_ASYNC_H

#include "kernel/base.h"

struct file;
struct f_owner_ex;

/* Boot: starts the thread that sends the signals. 0 or -ENOMEM. */
int async_init(void);

/* O_ASYNC by way of descriptor `fd`. 0, -ENOMEM; -ENOTTY: such files send nothing. */
int async_set(struct file *file, int fd, bool on);
/* The file is being closed. */
void async_forget(struct file *file);

/* Whom signals are sent to: nobody with number 0. -ESRCH, -EINVAL, -ENOMEM. */
int async_set_owner(struct file *file, const struct f_owner_ex *owner);
void async_get_owner(struct file *file, struct f_owner_ex *owner);
/* The same with groups as negative numbers: F_SETOWN, FIOSETOWN. */
int async_set_owner_number(struct file *file, int number);
int async_owner_number(struct file *file);
/* F_SETSIG and F_GETSIG; 0: SIGIO, and nothing said of why. -EINVAL, -ENOMEM. */
int async_set_signal(struct file *file, uint64_t signal);
int async_get_signal(struct file *file);

/* SIGURG to the owner, whether or not O_ASYNC is set. No lock is held. */
void async_tell_urgent(struct file *file);

#endif
