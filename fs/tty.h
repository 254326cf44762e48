/*
 * fs/tty.h - terminals, as the rooms that know processes see them.
 */
#ifndef HAWSER_FS_TTY_H
#define HAWSER_FS_TTY_H

#include "kernel/base.h"

/*
 * Sessions and process groups are proc's. Without these hooks nobody has a controlling terminal, and
 * keys like ^C only discard what has been typed.
 */
struct tty_job_hooks {
	/*
	 * The session whose terminal is the calling process's, 0 if it has given that up, and its group. The
	 * job lock may be held.
	 */
	uint32_t (*session)(void);
	uint32_t (*group)(void);
	/* It gives that up, and so its children have none (TIOCNOTTY by a process that leads no session). */
	void (*give_up)(void);
	/* True if the calling process leads its session. */
	bool (*leads)(void);
	/* 0 if a process of the calling process's session is in the group; -EPERM, -ESRCH. No lock is held. */
	int (*check_group)(uint32_t group);
	/* Posts to every process of the group, or to the one. Called in a thread, with no lock held. */
	void (*signal)(uint32_t group, int signal);
	void (*signal_one)(uint32_t pid, int signal);
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
 * The session has lost its leader, and its terminal, if it had one, the session: the group that was in the
 * foreground then, or 0. No lock is held.
 */
uint32_t tty_end_session(uint32_t session);

/* For /proc: the session's terminal as a device number and its foreground group; 0: none. */
uint32_t tty_session_device(uint32_t session, uint32_t *group);

#endif
