/*
 * fs/tty_core.h - terminals, inside fs/: what the console and the pseudo-terminals have in common.
 *
 *	keys ──> discipline_input() ──> ring ──> read(2)            fs/tty.c
 *	              │ echo
 *	screen <── driver <── discipline_output() <── write(2)      fs/tty.c
 *
 *	ioctl(2): fs/tty_ioctl.c    sessions and groups: fs/tty_jobs.c
 *	the console: fs/console.c   pseudo-terminals: fs/pty.c
 *
 * Everybody who waits, in either direction, waits in one queue for `changes` to move on, and looks again.
 */
#ifndef HAWSER_FS_TTY_CORE_H
#define HAWSER_FS_TTY_CORE_H

#include "fs/discipline.h"
#include "kernel/base.h"
#include "kernel/lock.h"
#include "kernel/sched.h"
#include <asm/termios.h>

struct file;
struct file_ops;
struct poll_table;
struct tty;

/* Where output goes. One of `put` and `send` is there. */
struct tty_driver {
	/* One more file at the program's end. 0 or a negative errno. */
	int (*open)(struct tty *tty, struct file *file);
	/* What put() can take now. The terminal's lock is held. */
	size_t (*room)(struct tty *tty);
	void (*put)(struct tty *tty, const uint8_t *bytes, size_t length);
	/* Sleeps until all is taken: 0, or -EINTR when killed. Only `writing` is held. */
	int (*send)(struct tty *tty, const uint8_t *bytes, size_t length);
	/* Sleeps until all that was sent is out; NULL: it is at once. No lock is held. */
	void (*drain)(struct tty *tty);
	/* Forgets output that nobody has seen yet, where that can be done; NULL. The lock is held. */
	void (*discard)(struct tty *tty);
	/* TIOCPKT_*: what has happened, for whoever is at the other end; NULL: nobody. The lock is held. */
	void (*tell)(struct tty *tty, uint8_t what);
	/* The last reference is gone. NULL: there always is one. May sleep. */
	void (*destroy)(struct tty *tty);
};

struct tty {
	_Atomic uint32_t refs;
	const struct tty_driver *driver; /* fixed */
	uint32_t number;                 /* of the device, MKDEV; fixed */
	struct mutex writing; /* RANK_STREAM, before `lock`: a piece is not mixed with others */
	struct mutex lock;    /* RANK_STREAM; with neither of them the job lock is taken */
	struct discipline discipline; /* lock */
	struct winsize size;          /* lock */
	bool exclusive;               /* TIOCEXCL; lock */
	_Atomic uint32_t hangups;     /* files that were opened before the last are dead */
	_Atomic bool gone;            /* for good: it is nobody's controlling terminal any more */
	_Atomic uint32_t changes;     /* counts what readers and writers may wait for */
	struct waitq changed;
	/* Whom it controls, and who is in the foreground. The session holds a reference. */
	uint32_t session, group; /* job lock */
	TAILQ_ENTRY(tty) link;   /* of terminals that have a session; job lock */
};

/* A file's `private`. */
struct tty_file {
	struct tty *tty; /* held */
	bool permanent;  /* it does not hang up: /dev/console */
	uint32_t hangups;
};

void tty_setup(struct tty *tty, const struct tty_driver *driver, uint32_t number); /* refs = 1 */
void tty_get(struct tty *tty);
void tty_put(struct tty *tty); /* may sleep */

/* Makes `file` one of the terminal, with `ops`. 0, -ENOMEM, -EBUSY (TIOCEXCL). */
int tty_attach(struct file *file, struct tty *tty, const struct file_ops *ops);
/* Undoes it: the ops' release, or part of it. */
void tty_detach(struct file *file);
struct tty *tty_of(const struct file *file);
/* True if the terminal has hung up since the file was opened. */
bool tty_is_hung_up(const struct file *file);

/* The operations of whoever sits at the program's end, for file_ops. */
ssize_t tty_read(struct file *file, vaddr_t to, size_t length, loff_t *offset);
ssize_t tty_write(struct file *file, vaddr_t from, size_t length, loff_t *offset);
unsigned tty_poll(struct file *file, struct poll_table *table);
int tty_ioctl(struct file *file, unsigned request, vaddr_t argument); /* fs/tty_ioctl.c */

/* The terminal's lock is held: what has happened goes to the other end; `held`: output was, before. */
void tty_tell(struct tty *tty, uint8_t what);
void tty_tell_flow(struct tty *tty, bool held);

/* Somebody may have to look again. Any lock may be held. */
void tty_announce(struct tty *tty);
/*
 * Keys that were pressed, up to the first one that has to wait for room, or makes a signal: how many
 * were taken. Echo goes into `echo`. The signal, or 0, is to be posted with tty_signal_foreground().
 * The terminal's lock is held.
 */
size_t tty_take_keys(struct tty *tty, const uint8_t *keys, size_t length, struct sink *echo,
		     int *signal);
/*
 * Presses as many keys as are taken: how many. Their echo goes where output goes, their signals to the foreground.
 * No lock is held.
 */
size_t tty_press(struct tty *tty, const uint8_t *keys, size_t length);
/* All open files are dead, and those who wait in them come back. No lock is held. */
void tty_hang_up(struct tty *tty);

/* ioctl(2)s that mean the same to both ends of a pseudo-terminal; -ENOTTY: not one of them. */
int tty_ioctl_settings(struct tty *tty, unsigned request, vaddr_t argument);

/* --- sessions and groups (fs/tty_jobs.c). No lock is held --------------------------------------- */

void tty_jobs_init(void);

/* 0 in the foreground, or where it controls somebody else; otherwise what `signal` makes of the call. */
int tty_check_foreground(struct tty *tty, int signal);
void tty_signal_foreground(struct tty *tty, int signal);
/* It has hung up: the session's leader is told. */
void tty_signal_leader(struct tty *tty);
/* Its session has it no more. */
void tty_disown(struct tty *tty);
/* The caller's controlling terminal with a reference, or NULL. */
struct tty *tty_controlling(void);
/* What open(2) without O_NOCTTY does for a session's leader who has no terminal. */
void tty_offer_control(struct tty *tty);
/*
 * TIOCSCTTY, TIOCNOTTY, TIOCGPGRP, TIOCGSID, TIOCSPGRP; `beyond` if the caller is at the other end, and
 * it need not be its own terminal. -ENOTTY: none of them.
 */
int tty_ioctl_jobs(struct tty *tty, unsigned request, vaddr_t argument, bool beyond);

#endif
