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
	/* True if the calling process leads its session. */
	bool (*leads)(void);
	/* True if a process of the calling process's session is in the group. No lock is held. */
	bool (*has_group)(uint32_t group);
	/* Posts to every process of the group. Called in a thread, with no lock held. */
	void (*signal)(uint32_t group, int signal);
	/*
	 * The calling process uses the terminal from the background: SIGTTIN or SIGTTOU to its group and
	 * -EINTR, so that the call is made again when it is continued. -EIO if nobody could continue it;
	 * where it ignores or blocks the signal, SIGTTIN is -EIO and SIGTTOU is 0: termios(3). No lock is
	 * held.
	 */
	int (*background)(int signal);
};
void tty_register_job_hooks(const struct tty_job_hooks *hooks);

/*
 * The session has lost its leader, and the terminal its session, if it was that one's: the group that was
 * in the foreground then, or 0.
 */
uint32_t tty_end_session(uint32_t session);

#endif
