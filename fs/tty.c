/*
 * fs/tty.c - terminals as files: reading, writing and polling them. See fs/tty_core.h.
 *
 * A read in canonical mode is one line; otherwise VMIN and VTIME say when it ends. A write goes through
 * output processing piece by piece, in the order of the column count. The terminal's lock is not held
 * while user memory is copied, nor while bytes go to the console.
 */
#include "fs/ops.h"
#include "fs/poll.h"
#include "fs/tty_core.h"
#include "kernel/clock.h"
#include "kernel/cred.h"
#include "kernel/string.h"
#include "mm/slab.h"
#include "mm/user.h"
#include <asm/poll.h>
#include <asm/signal.h>
#include <linux/capability.h>

#define PIECE       256 /* bytes that are moved at a time, on the stack */
#define PIECE_GROWS 8   /* a tab may become so many blanks */

/* termios(3): VTIME counts these. */
#define VTIME_NS (NSEC_PER_SEC / 10)

/* --- their life ------------------------------------------------------------------------------------ */

void tty_setup(struct tty *tty, const struct tty_driver *driver, uint32_t number)
{
	atomic_init(&tty->refs, 1);
	tty->driver = driver;
	tty->number = number;
	mutex_init(&tty->writing, "tty output", RANK_STREAM);
	mutex_init(&tty->lock, "tty", RANK_STREAM);
	waitq_init(&tty->changed, "tty");
	discipline_init(&tty->discipline);
}

void tty_get(struct tty *tty)
{
	atomic_fetch_add(&tty->refs, 1);
}

void tty_put(struct tty *tty)
{
	if (atomic_fetch_sub(&tty->refs, 1) == 1)
		tty->driver->destroy(tty);
}

int tty_attach(struct file *file, struct tty *tty, const struct file_ops *ops)
{
	struct tty_file *own;
	bool refused;

	mutex_lock(&tty->lock);
	refused = tty->exclusive && !capable(CAP_SYS_ADMIN);
	mutex_unlock(&tty->lock);
	if (refused)
		return -EBUSY;
	own = kalloc(sizeof(*own));
	if (own == NULL)
		return -ENOMEM;
	tty_get(tty);
	own->tty = tty;
	own->permanent = false;
	own->hangups = atomic_load(&tty->hangups);
	file->private = own;
	file->ops = ops;
	return 0;
}

void tty_detach(struct file *file)
{
	struct tty_file *own = file->private;

	tty_put(own->tty);
	kfree(own);
}

struct tty *tty_of(const struct file *file)
{
	return ((const struct tty_file *)file->private)->tty;
}

bool tty_is_hung_up(const struct file *file)
{
	const struct tty_file *own = file->private;

	return !own->permanent && atomic_load(&own->tty->hangups) != own->hangups;
}

void tty_announce(struct tty *tty)
{
	atomic_fetch_add(&tty->changes, 1);
	waitq_wake_all(&tty->changed);
}

void tty_hang_up(struct tty *tty)
{
	mutex_lock(&tty->lock);
	atomic_fetch_add(&tty->hangups, 1);
	discipline_flush(&tty->discipline);
	tty->discipline.stopped = tty->discipline.held = false;
	mutex_unlock(&tty->lock);
	tty_announce(tty);
}

/* --- keys --------------------------------------------------------------------------------------------- */

static int signal_number(enum key_signal key)
{
	switch (key) {
	case KEY_INTERRUPT:
		return SIGINT;
	case KEY_QUIT:
		return SIGQUIT;
	case KEY_SUSPEND:
		return SIGTSTP;
	case KEY_NONE:
		break;
	}
	return 0;
}

void tty_tell(struct tty *tty, uint8_t what)
{
	if (tty->driver->tell != NULL)
		tty->driver->tell(tty, what);
}

void tty_tell_flow(struct tty *tty, bool held)
{
	bool holds = discipline_holds_output(&tty->discipline);

	if (holds != held)
		tty_tell(tty, holds ? TIOCPKT_STOP : TIOCPKT_START);
}

size_t tty_take_keys(struct tty *tty, const uint8_t *keys, size_t length, struct sink *echo,
		     int *signal)
{
	struct discipline *d = &tty->discipline;
	bool held = discipline_holds_output(d);
	size_t done = 0;

	*signal = 0;
	while (done < length && *signal == 0 && !discipline_full(d)) {
		bool discards = tty->driver->discard != NULL && (d->termios.c_lflag & NOFLSH) == 0;

		if (discards && echo->used > 0)
			echo->flush(echo);
		*signal = signal_number(discipline_input(d, keys[done++], echo));
		/* What was to be seen before such a key is not; its own echo is. */
		if (*signal != 0 && discards) {
			tty->driver->discard(tty);
			tty_tell(tty, TIOCPKT_FLUSHREAD | TIOCPKT_FLUSHWRITE);
		}
	}
	tty_tell_flow(tty, held);
	return done;
}

/* Where keys' echo goes; the terminal's lock is held when it does. */
struct echo {
	struct sink sink;
	struct tty *tty;
};

static void flush_echo(struct sink *sink)
{
	struct tty *tty = container_of(sink, struct echo, sink)->tty;

	if (tty->driver->put != NULL)
		tty->driver->put(tty, sink->bytes, sink->used);
	else
		(void)tty->driver->send(tty, sink->bytes,
					sink->used); /* only a kill ends it early */
	sink->used = 0;
}

size_t tty_press(struct tty *tty, const uint8_t *keys, size_t length)
{
	struct echo echo = { .sink.flush = flush_echo, .tty = tty };
	size_t done = 0, part;
	int signal;

	do {
		mutex_lock(&tty->lock);
		part = tty_take_keys(tty, keys + done, length - done, &echo.sink, &signal);
		flush_echo(&echo.sink);
		mutex_unlock(&tty->lock);
		tty_signal_foreground(tty, signal);
		done += part;
	} while (part > 0 && done < length);
	return done;
}

/* --- reading -------------------------------------------------------------------------------------------- */

/* How a read waits, from the settings at this moment. */
struct patience {
	bool canonical;
	size_t minimum;    /* bytes that end it */
	uint64_t first_ns; /* for the first byte; NO_DEADLINE: for ever */
	uint64_t next_ns;  /* between bytes */
};

static struct patience patience_of(const struct discipline *d, size_t length)
{
	uint64_t time = d->termios.c_cc[VTIME] * VTIME_NS;
	size_t minimum = d->termios.c_cc[VMIN];

	if ((d->termios.c_lflag & ICANON) != 0) /* also with EXTPROC: any byte will do then */
		return (struct patience){ true, 1, NO_DEADLINE, NO_DEADLINE };
	if (minimum == 0)
		return (struct patience){ false, 1, time, time };
	return (struct patience){ false, MIN(minimum, length), NO_DEADLINE,
				  time > 0 ? time : NO_DEADLINE };
}

/*
 * Waits until a read can return. 0: with what there is, which is enough if `*ready`, or the time is
 * over, or the terminal has hung up; -EAGAIN: there is nothing, and no waiting; -EINTR.
 */
static int wait_for_input(struct file *file, size_t length, bool *ready)
{
	bool nonblocking = !file_may_wait(file);
	struct tty *tty = tty_of(file);
	size_t seen_bytes = SIZE_MAX;
	uint64_t deadline_ns = NO_DEADLINE;

	for (;;) {
		struct patience p;
		uint32_t seen;
		size_t bytes;
		int error;

		mutex_lock(&tty->lock);
		seen = atomic_load(&tty->changes);
		p = patience_of(&tty->discipline, length);
		bytes = discipline_readable(&tty->discipline);
		*ready = p.canonical ? discipline_ready(&tty->discipline) : bytes >= p.minimum;
		mutex_unlock(&tty->lock);
		if (*ready || p.first_ns == 0 || tty_is_hung_up(file))
			return 0;
		if (nonblocking && !p.canonical && bytes > 0) {
			*ready = true;
			return 0;
		}
		if (nonblocking)
			return -EAGAIN;
		if (bytes != seen_bytes) {
			uint64_t wait_ns = bytes == 0 ? p.first_ns : p.next_ns;
			deadline_ns = wait_ns == NO_DEADLINE ? NO_DEADLINE : clock_ns() + wait_ns;
			seen_bytes = bytes;
		}
		error = wait_event_full(&tty->changed, atomic_load(&tty->changes) != seen,
					WAIT_SIGNAL, deadline_ns);
		if (error == -ETIMEDOUT)
			return 0;
		if (error != 0)
			return error;
	}
}

/* What there is, in canonical mode of one line; `*end` if that is complete. */
static ssize_t take_input(struct tty *tty, vaddr_t to, size_t length, bool *end)
{
	uint8_t piece[PIECE];
	size_t done = 0;

	*end = false;
	while (done < length && !*end) {
		mutex_lock(&tty->lock);
		size_t count = discipline_read(&tty->discipline, piece,
					       MIN(sizeof(piece), length - done), end);
		mutex_unlock(&tty->lock);
		if (count == 0)
			break;
		int error = copy_to_user(to + done, piece, count);
		if (error != 0)
			return done > 0 ? (ssize_t)done : error;
		done += count;
	}
	return (ssize_t)done;
}

ssize_t tty_read(struct file *file, vaddr_t to, size_t length, loff_t *offset)
{
	struct tty *tty = tty_of(file);
	bool end, ready;
	ssize_t done;

	if (length == 0 || tty_is_hung_up(file))
		return 0;
	do {
		int error = tty_check_foreground(tty, SIGTTIN);
		if (error == 0)
			error = wait_for_input(file, length, &ready);
		if (error != 0)
			return error;
		done = take_input(tty, to, length, &end);
	} while (done == 0 && ready && !end &&
		 !tty_is_hung_up(file)); /* another reader was quicker: that is no end of file */
	tty_announce(tty);               /* there is room again */
	return done;
}

/* --- writing ------------------------------------------------------------------------------------------------- */

/* What output processing makes of a piece. */
struct output {
	struct sink sink;
	size_t used;
	uint8_t bytes[PIECE * PIECE_GROWS];
};

static void collect(struct sink *sink)
{
	struct output *out = container_of(sink, struct output, sink);

	memcpy(out->bytes + out->used, sink->bytes, sink->used);
	out->used += sink->used;
	sink->used = 0;
}

/* Bytes of a program's that can be taken now; the terminal's lock is held. */
static size_t room_for(struct tty *tty)
{
	if (discipline_holds_output(&tty->discipline))
		return 0;
	return tty->driver->room != NULL ? tty->driver->room(tty) / PIECE_GROWS : PIECE;
}

static bool has_room(struct tty *tty)
{
	mutex_lock(&tty->lock);
	bool has = room_for(tty) > 0;
	mutex_unlock(&tty->lock);
	return has;
}

/* As much of a piece as there is room for goes out: how much, or -EINTR. */
static ssize_t write_piece(struct tty *tty, const uint8_t *piece, size_t length)
{
	struct output out = { .sink.flush = collect };
	int error = mutex_lock_killable(&tty->writing);

	if (error != 0)
		return error;
	mutex_lock(&tty->lock);
	length = MIN(length, room_for(tty));
	for (size_t i = 0; i < length; i++)
		discipline_output(&tty->discipline, piece[i], &out.sink);
	collect(&out.sink);
	if (tty->driver->put != NULL)
		tty->driver->put(tty, out.bytes, out.used);
	mutex_unlock(&tty->lock);
	if (tty->driver->send != NULL)
		error = tty->driver->send(tty, out.bytes, out.used);
	mutex_unlock(&tty->writing);
	return error != 0 ? error : (ssize_t)length;
}

/* TOSTOP: only the foreground may write. */
static bool wants_foreground_output(struct tty *tty)
{
	mutex_lock(&tty->lock);
	bool wants = (tty->discipline.termios.c_lflag & TOSTOP) != 0;
	mutex_unlock(&tty->lock);
	return wants;
}

ssize_t tty_write(struct file *file, vaddr_t from, size_t length, loff_t *offset)
{
	struct tty *tty = tty_of(file);
	uint8_t piece[PIECE];
	size_t done = 0;
	int error = wants_foreground_output(tty) ? tty_check_foreground(tty, SIGTTOU) : 0;

	while (error == 0 && done < length) {
		size_t part = MIN(sizeof(piece), length - done);
		ssize_t written = 0;

		if (!has_room(tty) && !file_may_wait(file))
			error = -EAGAIN;
		else
			error = wait_event_signal(&tty->changed,
						  tty_is_hung_up(file) || has_room(tty));
		if (error == 0 && tty_is_hung_up(file))
			error = -EIO;
		if (error == 0)
			error = copy_from_user(piece, from + done, part);
		if (error == 0)
			written = write_piece(tty, piece, part);
		if (written < 0)
			error = (int)written;
		if (error != 0)
			break;
		if (tty->driver->put != NULL)
			tty_announce(tty); /* the other end reads it */
		done += (size_t)written;
	}
	if (error == 0 && length == 0 && tty_is_hung_up(file))
		error = -EIO;
	return done > 0 ? (ssize_t)done : error;
}

/* --- polling -------------------------------------------------------------------------------------------------- */

unsigned tty_poll(struct file *file, struct poll_table *table)
{
	struct tty *tty = tty_of(file);
	unsigned events = 0;

	poll_wait(table, &tty->changed);
	if (tty_is_hung_up(file))
		return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLERR | POLLHUP;
	mutex_lock(&tty->lock);
	if (discipline_pollable(&tty->discipline))
		events |= POLLIN | POLLRDNORM;
	if (room_for(tty) > 0)
		events |= POLLOUT | POLLWRNORM;
	mutex_unlock(&tty->lock);
	return events;
}
