/*
 * fs/signal.h - telling the calling process, which fs does not know, that it has got a signal.
 */
#ifndef HAWSER_FS_SIGNAL_H
#define HAWSER_FS_SIGNAL_H

/* Posts to the calling process (SIGPIPE). No spinlock held; nothing in a kernel thread. */
void signal_self(int signal);

/* By proc, once, before the first process. */
void signal_register_self(void (*post)(int signal));

#endif
