/*
 * fs/signal.h - what fs asks of signals, which are proc's: hooks, registered once.
 */
#ifndef HAWSER_FS_SIGNAL_H
#define HAWSER_FS_SIGNAL_H

#include "kernel/base.h"

struct signal_hooks {
	void (*post_self)(int signal);
	void (*begin_mask)(uint64_t mask);
	void (*end_mask)(void);
	uint32_t (*process_number)(void);
};
void signal_register_hooks(const struct signal_hooks *hooks);

/* The calling process's number; 0: a kernel thread. */
uint32_t process_number(void);

/* Posts to the calling process (SIGPIPE). No spinlock held. */
void signal_self(int signal);

/* The calling thread's signal mask until signal_end_mask(), or until a signal is delivered. */
void signal_begin_mask(uint64_t mask);
void signal_end_mask(void);

#endif
