/*
 * fs/tty.c - the terminal on the machine's console.
 *
 *	keys ──> serial interrupt ──> ring ──> [tty thread] ──> discipline ──> read(2)
 *	                                            └── echo ──> console
 *
 * A thread of its own takes what the interrupt put into the console's ring and runs the line
 * discipline, so that what is typed appears, and ^C works, while no program reads. When the
 * discipline is full of lines that nobody reads the thread leaves the rest in the ring, and the
 * ring's owner makes the sender wait.
 *
 * The terminal's lock is not held while bytes go to the console or to user memory.
 */
#include "fs/tty.h"
#include "dev/console.h"
#include "fs/dev.h"
#include "fs/discipline.h"
#include "fs/ops.h"
#include "fs/poll.h"
#include "kernel/clock.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "mm/kmap.h"
#include "mm/user.h"
#include <asm/poll.h>
#include <asm/signal.h>
#include <asm/termios.h>

#define PIECE        256 /* bytes that are moved at a time, on the stack */
#define ROWS_DEFAULT 24
#define COLS_DEFAULT 80

/* termios(3): VTIME counts these. */
#define VTIME_NS (NSEC_PER_SEC / 10)

static struct {
	struct mutex writing; /* RANK_STREAM, before `lock`: a piece is not mixed with others */
	struct mutex lock;    /* RANK_STREAM */
	struct discipline discipline; /* lock */
	struct winsize size;          /* lock */
	uint32_t session, group;      /* that it controls, and in its foreground; lock */
	_Atomic uint32_t changes;     /* counts what readers and writers may wait for */
	struct waitq changed;
	struct thread thread;
} tty;

static const struct tty_job_hooks *_Atomic hooks; /* set once, at boot */

void tty_register_job_hooks(const struct tty_job_hooks *job_hooks)
{
	atomic_store(&hooks, job_hooks);
}

static void post_signal(uint32_t group, int signal)
{
	const struct tty_job_hooks *h = atomic_load(&hooks);

	if (h != NULL && group != 0)
		h->signal(group, signal);
}

/* Someone may have to look again. */
static void announce(void)
{
	atomic_fetch_add(&tty.changes, 1);
	waitq_wake_all(&tty.changed);
}

static void flush_to_console(struct sink *sink)
{
	/* Only a kill ends it early, and then the text does not matter any more. */
	(void)console_write(sink->bytes, sink->used);
	sink->used = 0;
}

/* --- the thread that reads the keys ---------------------------------------------------------------- */

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

static bool is_full(void)
{
	mutex_lock(&tty.lock);
	bool full = discipline_full(&tty.discipline);
	mutex_unlock(&tty.lock);
	return full;
}

/* One byte through the discipline, its echo to the console, its signal to the foreground. */
static void take_key(uint8_t byte, struct sink *echo)
{
	int signal;
	uint32_t group;

	mutex_lock(&tty.lock);
	signal = signal_number(discipline_input(&tty.discipline, byte, echo));
	group = tty.group;
	mutex_unlock(&tty.lock);
	if (signal != 0)
		post_signal(group, signal);
}

static void read_keys(void *unused)
{
	struct sink echo = { .flush = flush_to_console };
	uint8_t byte;

	for (;;) {
		wait_event(&tty.changed, !is_full());
		if (console_read(&byte, 1) == 0) {
			if (echo.used > 0)
				echo.flush(&echo);
			announce();
			wait_event(&console_input, console_input_ready());
			continue;
		}
		take_key(byte, &echo);
		if (is_full())
			announce();
	}
}

/* --- reading --------------------------------------------------------------------------------------------- */

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

	if ((d->termios.c_lflag & ICANON) != 0)
		return (struct patience){ true, 1, NO_DEADLINE, NO_DEADLINE };
	if (minimum == 0)
		return (struct patience){ false, 1, time, time };
	return (struct patience){ false, MIN(minimum, length), NO_DEADLINE,
				  time > 0 ? time : NO_DEADLINE };
}

/*
 * Waits until a read can return. 0: with what there is, which is enough if `*ready`, or the time is
 * over; -EAGAIN: there is nothing, and no waiting; -EINTR.
 */
static int wait_for_input(size_t length, bool nonblocking, bool *ready)
{
	size_t seen_bytes = SIZE_MAX;
	uint64_t deadline_ns = NO_DEADLINE;

	for (;;) {
		struct patience p;
		uint32_t seen;
		size_t bytes;
		int error;

		mutex_lock(&tty.lock);
		seen = atomic_load(&tty.changes);
		p = patience_of(&tty.discipline, length);
		bytes = discipline_readable(&tty.discipline);
		*ready = p.canonical ? discipline_ready(&tty.discipline) : bytes >= p.minimum;
		mutex_unlock(&tty.lock);
		if (*ready || p.first_ns == 0)
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
		error = wait_event_full(&tty.changed, atomic_load(&tty.changes) != seen,
					WAIT_SIGNAL, deadline_ns);
		if (error == -ETIMEDOUT)
			return 0;
		if (error != 0)
			return error;
	}
}

/* Whether it is the caller's controlling terminal; the lock held. */
static bool controls_caller(void)
{
	const struct tty_job_hooks *h = atomic_load(&hooks);

	return h != NULL && tty.session != 0 && tty.session == h->session();
}

/* Job control: 0 in the foreground; otherwise what becomes of a call that `signal` forbids. */
static int check_foreground(int signal)
{
	const struct tty_job_hooks *h = atomic_load(&hooks);
	bool background;

	mutex_lock(&tty.lock);
	background = controls_caller() && tty.group != h->group();
	mutex_unlock(&tty.lock);
	return background ? h->background(signal) : 0;
}

/* What there is, in canonical mode of one line; `*end` if that is complete. */
static ssize_t take_input(vaddr_t to, size_t length, bool *end)
{
	uint8_t piece[PIECE];
	size_t done = 0;

	*end = false;
	while (done < length && !*end) {
		mutex_lock(&tty.lock);
		size_t count = discipline_read(&tty.discipline, piece,
					       MIN(sizeof(piece), length - done), end);
		mutex_unlock(&tty.lock);
		if (count == 0)
			break;
		int error = copy_to_user(to + done, piece, count);
		if (error != 0)
			return done > 0 ? (ssize_t)done : error;
		done += count;
	}
	return (ssize_t)done;
}

static ssize_t read_tty(struct file *file, vaddr_t to, size_t length, loff_t *offset)
{
	bool nonblocking = (atomic_load(&file->flags) & O_NONBLOCK) != 0;
	bool end, ready;
	ssize_t done;

	if (length == 0)
		return 0;
	do {
		int error = check_foreground(SIGTTIN);
		if (error == 0)
			error = wait_for_input(length, nonblocking, &ready);
		if (error != 0)
			return error;
		done = take_input(to, length, &end);
	} while (done == 0 && ready &&
		 !end); /* another reader was quicker: that is no end of file */
	announce();     /* there is room again */
	return done;
}

/* --- writing ------------------------------------------------------------------------------------------------- */

static bool is_stopped(void)
{
	mutex_lock(&tty.lock);
	bool stopped = tty.discipline.stopped;
	mutex_unlock(&tty.lock);
	return stopped;
}

/* TOSTOP: only the foreground may write. */
static bool wants_foreground_output(void)
{
	mutex_lock(&tty.lock);
	bool wants = (tty.discipline.termios.c_lflag & TOSTOP) != 0;
	mutex_unlock(&tty.lock);
	return wants;
}

/* What output processing makes of a piece is kept until the lock is let go. */
struct output {
	struct sink sink; /* first: flushed into `bytes` */
	size_t used;
	uint8_t bytes[PIECE * 8]; /* a tab may become eight blanks */
};

static void collect(struct sink *sink)
{
	struct output *out = container_of(sink, struct output, sink);

	memcpy(out->bytes + out->used, sink->bytes, sink->used);
	out->used += sink->used;
	sink->used = 0;
}

/* A piece through the discipline to the console, in the order of the column count. 0 or -EINTR. */
static int write_piece(const uint8_t *piece, size_t length)
{
	struct output out = { .sink.flush = collect };
	int error = mutex_lock_killable(&tty.writing);

	if (error != 0)
		return error;
	mutex_lock(&tty.lock);
	for (size_t i = 0; i < length; i++)
		discipline_output(&tty.discipline, piece[i], &out.sink);
	collect(&out.sink);
	mutex_unlock(&tty.lock);
	error = console_write(out.bytes, out.used);
	mutex_unlock(&tty.writing);
	return error;
}

static ssize_t write_tty(struct file *file, vaddr_t from, size_t length, loff_t *offset)
{
	uint8_t piece[PIECE];
	size_t done = 0;
	int error = wants_foreground_output() ? check_foreground(SIGTTOU) : 0;

	while (error == 0 && done < length) {
		size_t part = MIN(sizeof(piece), length - done);

		if (is_stopped() && (atomic_load(&file->flags) & O_NONBLOCK) != 0)
			error = -EAGAIN;
		else
			error = wait_event_signal(&tty.changed, !is_stopped());
		if (error == 0)
			error = copy_from_user(piece, from + done, part);
		if (error == 0)
			error = write_piece(piece, part);
		if (error != 0)
			break;
		done += part;
	}
	return done > 0 ? (ssize_t)done : error;
}

static unsigned poll_tty(struct file *file, struct poll_table *table)
{
	unsigned events = 0;

	poll_wait(table, &tty.changed);
	mutex_lock(&tty.lock);
	if (discipline_ready(&tty.discipline))
		events |= POLLIN | POLLRDNORM;
	if (!tty.discipline.stopped)
		events |= POLLOUT | POLLWRNORM;
	mutex_unlock(&tty.lock);
	return events;
}

/* --- ioctl: tty_ioctl(4) ----------------------------------------------------------------------------------- */

static int set_termios(vaddr_t argument, bool drain, bool flush)
{
	struct termios termios;
	int error = get_user(&termios, argument);

	if (error == 0)
		error = check_foreground(SIGTTOU);
	if (error != 0)
		return error;
	if (drain)
		console_drain();
	mutex_lock(&tty.lock);
	if (flush)
		discipline_flush(&tty.discipline);
	discipline_set(&tty.discipline, &termios);
	mutex_unlock(&tty.lock);
	announce();
	return 0;
}

static int get_termios(vaddr_t argument)
{
	struct termios termios;

	mutex_lock(&tty.lock);
	termios = tty.discipline.termios;
	mutex_unlock(&tty.lock);
	return put_user(argument, termios);
}

static int set_size(vaddr_t argument)
{
	struct winsize size;
	uint32_t group;
	bool changed;
	int error = get_user(&size, argument);

	if (error != 0)
		return error;
	mutex_lock(&tty.lock);
	changed = memcmp(&size, &tty.size, sizeof(size)) != 0;
	tty.size = size;
	group = tty.group;
	mutex_unlock(&tty.lock);
	if (changed)
		post_signal(group, SIGWINCH);
	return 0;
}

static int get_size(vaddr_t argument)
{
	struct winsize size;

	mutex_lock(&tty.lock);
	size = tty.size;
	mutex_unlock(&tty.lock);
	return put_user(argument, size);
}

/* TIOCSCTTY: the caller's session gets it, if no other has it or `steal` is asked for. */
static int take_control(bool steal)
{
	const struct tty_job_hooks *h = atomic_load(&hooks);
	uint32_t session = h != NULL && h->leads() ? h->session() : 0;
	int error = 0;

	if (session == 0)
		return -EPERM;
	mutex_lock(&tty.lock);
	if (tty.session != 0 && tty.session != session && !steal) {
		error = -EPERM;
	} else if (tty.session != session) {
		tty.session = session;
		tty.group = h->group();
	}
	mutex_unlock(&tty.lock);
	return error;
}

/* TIOCGPGRP and TIOCGSID. */
static int get_owner(vaddr_t argument, const uint32_t *owner)
{
	int32_t value = 0;
	bool ours;

	mutex_lock(&tty.lock);
	ours = controls_caller();
	value = (int32_t)*owner;
	mutex_unlock(&tty.lock);
	return ours ? put_user(argument, value) : -ENOTTY;
}

static int set_group(vaddr_t argument)
{
	const struct tty_job_hooks *h = atomic_load(&hooks);
	bool known;
	int32_t group;
	int error = get_user(&group, argument);

	if (error != 0)
		return error;
	if (group < 0)
		return -EINVAL;
	error = check_foreground(SIGTTOU);
	if (error != 0)
		return error;
	known = h != NULL && h->has_group((uint32_t)group);
	mutex_lock(&tty.lock);
	if (!controls_caller())
		error = -ENOTTY;
	else if (!known)
		error = -EPERM;
	else
		tty.group = (uint32_t)group;
	mutex_unlock(&tty.lock);
	return error;
}

uint32_t tty_end_session(uint32_t session)
{
	uint32_t group = 0;

	mutex_lock(&tty.lock);
	if (session != 0 && tty.session == session) {
		group = tty.group;
		tty.session = tty.group = 0;
	}
	mutex_unlock(&tty.lock);
	return group;
}

static int give_up_control(void)
{
	int error = 0;

	mutex_lock(&tty.lock);
	if (controls_caller())
		tty.session = tty.group = 0;
	else
		error = -ENOTTY;
	mutex_unlock(&tty.lock);
	return error;
}

static int flush(vaddr_t queue)
{
	if (queue != TCIFLUSH && queue != TCOFLUSH && queue != TCIOFLUSH)
		return -EINVAL;
	/* Output that has been accepted is on its way and cannot be called back. */
	if (queue != TCOFLUSH) {
		mutex_lock(&tty.lock);
		discipline_flush(&tty.discipline);
		mutex_unlock(&tty.lock);
		announce();
	}
	return 0;
}

static int flow(vaddr_t action)
{
	if (action != TCOOFF && action != TCOON)
		return action == TCIOFF || action == TCION ? 0 : -EINVAL;
	mutex_lock(&tty.lock);
	tty.discipline.stopped = action == TCOOFF;
	mutex_unlock(&tty.lock);
	announce();
	return 0;
}

static int get_readable(vaddr_t argument)
{
	mutex_lock(&tty.lock);
	int count = (int)discipline_readable(&tty.discipline);
	mutex_unlock(&tty.lock);
	return put_user(argument, count);
}

static int ioctl_tty(struct file *file, unsigned request, vaddr_t argument)
{
	switch (request) {
	case TCGETS:
		return get_termios(argument);
	case TCSETS:
		return set_termios(argument, false, false);
	case TCSETSW:
		return set_termios(argument, true, false);
	case TCSETSF:
		return set_termios(argument, true, true);
	case TIOCGWINSZ:
		return get_size(argument);
	case TIOCSWINSZ:
		return set_size(argument);
	case TIOCSCTTY:
		return take_control(argument == 1);
	case TIOCNOTTY:
		return give_up_control();
	case TIOCGPGRP:
		return get_owner(argument, &tty.group);
	case TIOCGSID:
		return get_owner(argument, &tty.session);
	case TIOCSPGRP:
		return set_group(argument);
	case FIONREAD:
		return get_readable(argument);
	case TIOCOUTQ:
		return put_user(argument, (int)0);
	case TCFLSH:
		return flush(argument);
	case TCXONC:
		return flow(argument);
	case TCSBRK:
		/* tcdrain(3) is TCSBRK with an argument; a break is nothing that we can send. */
		console_drain();
		return 0;
	default:
		return -ENOTTY;
	}
}

static const struct file_ops tty_ops = {
	.read = read_tty,
	.write = write_tty,
	.stat = stat_inode_file,
	.ioctl = ioctl_tty,
	.poll = poll_tty,
};

int tty_open(struct file *file)
{
	file->ops = &tty_ops;
	return 0;
}

int tty_open_controlling(struct file *file)
{
	mutex_lock(&tty.lock);
	bool ours = controls_caller();
	mutex_unlock(&tty.lock);
	return ours ? tty_open(file) : -ENXIO;
}

int tty_init(void)
{
	vaddr_t stack = kstack_alloc();

	if (stack == 0)
		return -ENOMEM;
	mutex_init(&tty.writing, "tty output", RANK_STREAM);
	mutex_init(&tty.lock, "tty", RANK_STREAM);
	waitq_init(&tty.changed, "tty");
	discipline_init(&tty.discipline);
	tty.size = (struct winsize){ .ws_row = ROWS_DEFAULT, .ws_col = COLS_DEFAULT };
	thread_init(&tty.thread, "tty", stack, read_keys, NULL, NULL);
	thread_start(&tty.thread);
	return 0;
}
