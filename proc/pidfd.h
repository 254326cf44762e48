/*
 * proc/pidfd.h - processes as descriptors; inside proc/ only.
 */
#ifndef HAWSER_PROC_PIDFD_H
#define HAWSER_PROC_PIDFD_H

#include "proc/process.h"

/* A descriptor of the calling thread's for the process, closed on exec. `flags`: O_NONBLOCK. -EMFILE, … */
int pidfd_install(struct process *process, uint32_t flags);
/* The other way, with a reference. -EBADF: it is none. */
int pidfd_process(int fd, struct process **out, bool *nonblocking);

#endif
