/*
 * fs/tty_ioctl.c - ioctl(2) on terminals: termios(3) and tty_ioctl(4).
 */
#include "fs/ops.h"
#include "fs/tty_core.h"
#include "kernel/cred.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/user.h"
#include <asm/signal.h>
#include <linux/capability.h>
#include <linux/tty.h>

#define CONTROL_MASK 0x1f /* ^S is an S without the other bits */

/* --- speeds: means nothing here, but is kept as it was set ------------------------------------------- */

static const struct {
	tcflag_t code;
	speed_t baud;
} speeds[] = {
	{ B0, 0 },
	{ B50, 50 },
	{ B75, 75 },
	{ B110, 110 },
	{ B134, 134 },
	{ B150, 150 },
	{ B200, 200 },
	{ B300, 300 },
	{ B600, 600 },
	{ B1200, 1200 },
	{ B1800, 1800 },
	{ B2400, 2400 },
	{ B4800, 4800 },
	{ B9600, 9600 },
	{ B19200, 19200 },
	{ B38400, 38400 },
	{ B57600, 57600 },
	{ B115200, 115200 },
	{ B230400, 230400 },
	{ B460800, 460800 },
	{ B500000, 500000 },
	{ B576000, 576000 },
	{ B921600, 921600 },
	{ B1000000, 1000000 },
	{ B1152000, 1152000 },
	{ B1500000, 1500000 },
	{ B2000000, 2000000 },
	{ B2500000, 2500000 },
	{ B3000000, 3000000 },
	{ B3500000, 3500000 },
	{ B4000000, 4000000 },
};

/* The rate of a code, or `other` if there is none such (BOTHER). */
static speed_t baud_of(tcflag_t code, speed_t other)
{
	for (size_t i = 0; i < ARRAY_SIZE(speeds); i++) {
		if (speeds[i].code == code)
			return speeds[i].baud;
	}
	return other;
}

/* The rates that the flags name; input is as output where it is not said (B0). */
static void settle_speeds(struct termios2 *termios)
{
	tcflag_t input = (termios->c_cflag & CIBAUD) >> IBSHIFT;

	termios->c_ospeed = baud_of(termios->c_cflag & CBAUD, termios->c_ospeed);
	termios->c_ispeed = input == B0 ? termios->c_ospeed : baud_of(input, termios->c_ispeed);
}

/* --- termios ------------------------------------------------------------------------------------------ */

/* struct termios is how struct termios2 begins. */
_Static_assert(offsetof(struct termios2, c_ispeed) == sizeof(struct termios), "termios2 has more");

static int get_termios(struct tty *tty, vaddr_t argument, size_t size)
{
	struct termios2 termios;

	mutex_lock(&tty->lock);
	termios = tty->discipline.termios;
	mutex_unlock(&tty->lock);
	return copy_to_user(argument, &termios, size);
}

/* What the settings make of ^S and ^Q: whether who is at the other end may act on them itself. */
static bool stops_by_keys(const struct termios2 *termios)
{
	return (termios->c_iflag & IXON) != 0 && termios->c_cc[VSTOP] == ('S' & CONTROL_MASK) &&
	       termios->c_cc[VSTART] == ('Q' & CONTROL_MASK);
}

/* The terminal's lock is held. */
static void tell_settings(struct tty *tty, const struct termios2 *old)
{
	const struct termios2 *new = &tty->discipline.termios;

	if (((old->c_lflag | new->c_lflag) & EXTPROC) != 0)
		tty_tell(tty, TIOCPKT_IOCTL);
	if (stops_by_keys(old) != stops_by_keys(new))
		tty_tell(tty, stops_by_keys(new) ? TIOCPKT_DOSTOP : TIOCPKT_NOSTOP);
}

static int set_termios(struct tty *tty, vaddr_t argument, size_t size, bool drain, bool flush)
{
	struct termios2 termios = { 0 }, old;
	bool held;
	int error = copy_from_user(&termios, argument, size);

	if (error != 0)
		return error;
	settle_speeds(&termios);
	if ((drain || flush) && tty->driver->drain != NULL)
		tty->driver->drain(tty);
	mutex_lock(&tty->lock);
	if (flush) {
		discipline_flush(&tty->discipline);
		tty_tell(tty, TIOCPKT_FLUSHREAD);
	}
	old = tty->discipline.termios;
	held = discipline_holds_output(&tty->discipline);
	discipline_set(&tty->discipline, &termios);
	tell_settings(tty, &old);
	tty_tell_flow(tty, held);
	mutex_unlock(&tty->lock);
	tty_announce(tty);
	return 0;
}

/* --- the window's size ---------------------------------------------------------------------------------- */

static int get_size(struct tty *tty, vaddr_t argument)
{
	struct winsize size;

	mutex_lock(&tty->lock);
	size = tty->size;
	mutex_unlock(&tty->lock);
	return put_user(argument, size);
}

static int set_size(struct tty *tty, vaddr_t argument)
{
	struct winsize size;
	bool changed;
	int error = get_user(&size, argument);

	if (error != 0)
		return error;
	mutex_lock(&tty->lock);
	changed = memcmp(&size, &tty->size, sizeof(size)) != 0;
	tty->size = size;
	mutex_unlock(&tty->lock);
	if (changed)
		tty_signal_foreground(tty, SIGWINCH);
	return 0;
}

/* --- the rest of what both ends may ask ----------------------------------------------------------------- */

static int set_exclusive(struct tty *tty, bool exclusive)
{
	mutex_lock(&tty->lock);
	tty->exclusive = exclusive;
	mutex_unlock(&tty->lock);
	return 0;
}

static int get_exclusive(struct tty *tty, vaddr_t argument)
{
	mutex_lock(&tty->lock);
	int exclusive = tty->exclusive;
	mutex_unlock(&tty->lock);
	return put_user(argument, exclusive);
}

/* There is one line discipline. */
static int set_discipline(vaddr_t argument)
{
	int number;
	int error = get_user(&number, argument);

	return error != 0 ? error : number == N_TTY ? 0 : -EINVAL;
}

int tty_ioctl_settings(struct tty *tty, unsigned request, vaddr_t argument)
{
	switch (request) {
	case TCGETS:
		return get_termios(tty, argument, sizeof(struct termios));
	case TCGETS2:
		return get_termios(tty, argument, sizeof(struct termios2));
	case TCSETS:
		return set_termios(tty, argument, sizeof(struct termios), false, false);
	case TCSETSW:
		return set_termios(tty, argument, sizeof(struct termios), true, false);
	case TCSETSF:
		return set_termios(tty, argument, sizeof(struct termios), true, true);
	case TCSETS2:
		return set_termios(tty, argument, sizeof(struct termios2), false, false);
	case TCSETSW2:
		return set_termios(tty, argument, sizeof(struct termios2), true, false);
	case TCSETSF2:
		return set_termios(tty, argument, sizeof(struct termios2), true, true);
	case TIOCGWINSZ:
		return get_size(tty, argument);
	case TIOCSWINSZ:
		return set_size(tty, argument);
	case TIOCEXCL:
	case TIOCNXCL:
		return set_exclusive(tty, request == TIOCEXCL);
	case TIOCGEXCL:
		return get_exclusive(tty, argument);
	case TIOCGETD:
		return put_user(argument, (int)N_TTY);
	case TIOCSETD:
		return set_discipline(argument);
	case TIOCGDEV:
		return put_user(argument, tty->number);
	default:
		return -ENOTTY;
	}
}

/* --- queues; at the program's end only -------------------------------------------------------------------- */

static int flush(struct tty *tty, vaddr_t queue)
{
	if (queue != TCIFLUSH && queue != TCOFLUSH && queue != TCIOFLUSH)
		return -EINVAL;
	mutex_lock(&tty->lock);
	if (queue != TCOFLUSH) {
		discipline_flush(&tty->discipline);
		tty_tell(tty, TIOCPKT_FLUSHREAD);
	}
	if (queue != TCIFLUSH && tty->driver->discard != NULL) {
		tty->driver->discard(tty);
		tty_tell(tty, TIOCPKT_FLUSHWRITE);
	}
	mutex_unlock(&tty->lock);
	tty_announce(tty);
	return 0;
}

/* A byte to the other end, as if the terminal had sent it of itself. */
static int send_byte(struct tty *tty, unsigned key)
{
	int error = mutex_lock_killable(&tty->writing);
	uint8_t byte;

	if (error != 0)
		return error;
	mutex_lock(&tty->lock);
	byte = tty->discipline.termios.c_cc[key];
	if (byte != 0 && tty->driver->put != NULL)
		tty->driver->put(tty, &byte, 1);
	mutex_unlock(&tty->lock);
	if (byte != 0 && tty->driver->send != NULL)
		error = tty->driver->send(tty, &byte, 1);
	mutex_unlock(&tty->writing);
	tty_announce(tty);
	return error;
}

static int flow(struct tty *tty, vaddr_t action)
{
	bool held;

	switch (action) {
	case TCOOFF:
	case TCOON:
		mutex_lock(&tty->lock);
		held = discipline_holds_output(&tty->discipline);
		tty->discipline.held = action == TCOOFF;
		if (action == TCOON)
			tty->discipline.stopped = false;
		tty_tell_flow(tty, held);
		mutex_unlock(&tty->lock);
		tty_announce(tty);
		return 0;
	case TCIOFF:
		return send_byte(tty, VSTOP);
	case TCION:
		return send_byte(tty, VSTART);
	default:
		return -EINVAL;
	}
}

static int get_readable(struct tty *tty, vaddr_t argument)
{
	mutex_lock(&tty->lock);
	int count = (int)discipline_readable(&tty->discipline);
	mutex_unlock(&tty->lock);
	return put_user(argument, count);
}

/* tcdrain(3) is TCSBRK with an argument; a break itself is nothing that we can send. */
static int drain(struct tty *tty)
{
	if (tty->driver->drain != NULL)
		tty->driver->drain(tty);
	return 0;
}

/* TIOCSTI: putting words into somebody's mouth is for the privileged only, as on Linux today. */
static int press_key(struct tty *tty, vaddr_t argument)
{
	uint8_t key;
	int error = capable(CAP_SYS_ADMIN) ? get_user(&key, argument) : -EIO;

	if (error != 0)
		return error;
	(void)tty_press(tty, &key, 1);
	tty_announce(tty);
	return 0;
}

/* Of whoever has it open and whoever it controls. */
static int end_use(struct tty *tty)
{
	tty_hang_up(tty);
	tty_signal_leader(tty);
	tty_disown(tty);
	return 0;
}

SYSCALL0(vhangup)
{
	struct tty *tty;

	if (!capable(CAP_SYS_TTY_CONFIG))
		return -EPERM;
	tty = tty_controlling();
	if (tty != NULL) {
		(void)end_use(tty);
		tty_put(tty);
	}
	return 0;
}

static int control_queues(struct tty *tty, unsigned request, vaddr_t argument)
{
	switch (request) {
	case FIONREAD:
		return get_readable(tty, argument);
	case TIOCOUTQ:
		return put_user(argument, (int)0);
	case TCFLSH:
		return flush(tty, argument);
	case TCXONC:
		return flow(tty, argument);
	case TCSBRK:
	case TCSBRKP:
		return drain(tty);
	case TIOCSTI:
		return press_key(tty, argument);
	case TIOCVHANGUP:
		return capable(CAP_SYS_ADMIN) ? end_use(tty) : -EPERM;
	default:
		return -ENOTTY;
	}
}

/* What only the foreground may do, if SIGTTOU is not ignored. */
static bool changes_terminal(unsigned request)
{
	switch (request) {
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
	case TCSETS2:
	case TCSETSW2:
	case TCSETSF2:
	case TIOCSETD:
	case TCFLSH:
	case TCXONC:
	case TCSBRK:
	case TCSBRKP:
		return true;
	default:
		return false;
	}
}

int tty_ioctl(struct file *file, unsigned request, vaddr_t argument)
{
	struct tty *tty = tty_of(file);
	int result;

	if (tty_is_hung_up(file))
		return request == TIOCSPGRP ? -ENOTTY : -EIO;
	result = changes_terminal(request) ? tty_check_foreground(tty, SIGTTOU) : 0;
	if (result != 0)
		return result;
	result = tty_ioctl_settings(tty, request, argument);
	if (result == -ENOTTY)
		result = control_queues(tty, request, argument);
	if (result == -ENOTTY)
		result = tty_ioctl_jobs(tty, request, argument, false);
	return result;
}
