/*
 * fs/epoll.h - what an open file knows of the epoll sets that it is in.
 */
#ifndef HAWSER_FS_EPOLL_H
#define HAWSER_FS_EPOLL_H

struct file;

/* The file, which has been in a set, is being freed: takes it out of all. Before its release. */
void epoll_forget_file(struct file *file);

#endif
