/*
 * fs/signal.h - what fs asks of signals, which are proc's: hooks, registered once.
 */
#ifndef HAWSER_FS_SIGNAL_H
#define HAWSER_FS_SIGNAL_H

#include "kernel/base.h"

/* Whom a file's signals go to, and as whom: fcntl(2), F_SETOWN. */
struct io_owner {
	int type;        /* F_OWNER_TID, F_OWNER_PID or F_OWNER_PGRP */
	uint32_t number; /* 0: nobody */
	uint32_t uid, euid;
};

/* What is to be told. */
struct io_signal {
	struct io_owner owner;
	bool urgent; /* SIGURG; otherwise: */
	int signal;  /* F_SETSIG; 0: SIGIO, without saying why */
	int code;    /* POLL_IN … */
	int fd;
};

struct signal_hooks {
	void (*post_self)(int signal);
	void (*begin_mask)(uint64_t mask);
	void (*end_mask)(void);
	uint32_t (*process_number)(void);
	void (*post_io)(const struct io_signal *signal);
	bool (*io_owner_exists)(const struct io_owner *owner);
};
void signal_register_hooks(const struct signal_hooks *hooks);

/* The calling process's number; 0: a kernel thread. */
uint32_t process_number(void);

/* Posts to the calling process (SIGPIPE). No spinlock held. */
void signal_self(int signal);

/* Tells a file's owner. No lock is held. */
void signal_io(const struct io_signal *signal);
/* True if there is such a thread, process or group. No lock is held. */
bool signal_io_owner_exists(const struct io_owner *owner);

/* The calling thread's signal mask until signal_end_mask(), or until a signal is delivered. */
void signal_begin_mask(uint64_t mask);
void signal_end_mask(void);

#endif
