/*
 * fs/tty.h - the terminal, as the rooms that know processes see it.
 */
#ifndef HAWSER_FS_TTY_H
#define HAWSER_FS_TTY_H

#include "kernel/base.h"

/*
 * Sessions and process groups are proc's. Without these hooks nobody has a controlling terminal, and
 * keys like ^C only discard what has been typed.
 */
struct tty_job_hooks {
	/* The calling process's session, and its group. The terminal's lock is held. */
	uint32_t (*session)(void);
	uint32_t (*group)(void);
	/* Posts to every process of the group. Called in a thread, with no lock held. */
	void (*signal)(uint32_t group, int signal);
};
void tty_register_job_hooks(const struct tty_job_hooks *hooks);

#endif
