/*
 * fs/poll.h - telling those who wait in poll(2) that a file may have become ready.
 *
 * All pollers wait in one queue and look again at their own files when anything pollable changes:
 * there are few pollers and few changes.
 */
#ifndef HAWSER_FS_POLL_H
#define HAWSER_FS_POLL_H

/* A file's ops->poll() may answer differently now. Any context. */
void poll_notify(void);

#endif
