/*
 * fs/console.c - the machine's terminal: keys from the console, through the line discipline, to programs.
 *
 *	console ring ──> thread ──> discipline ──> read(2)
 *	console_write() <── echo ─────┘  ^
 *	      └────────────────────── write(2)
 *
 * Keys are taken in a thread, not in the interrupt, so that ^C acts though nobody reads. When the
 * discipline is full of lines that nobody reads, the thread stops taking, and the ring's owner makes the
 * sender wait.
 *
 * Unlike on Linux, a session that has /dev/console for its terminal keeps to its foreground there, too, and
 * when it ends, those who have it open keep it.
 */
#include "dev/console.h"
#include "fs/dev.h"
#include "fs/inode.h"
#include "fs/ops.h"
#include "fs/tty_core.h"
#include "mm/kmap.h"
#include <linux/kdev_t.h>
#include <linux/major.h>

#define PIECE          64 /* keys that are taken at a time */
#define CONSOLE_NUMBER MKDEV(TTYAUX_MAJOR, 1)
#define ROWS_DEFAULT   24
#define COLS_DEFAULT   80

static struct tty console;
static struct thread reader;

static int send(struct tty *tty, const uint8_t *bytes, size_t length)
{
	return console_write(bytes, length);
}

static void drain(struct tty *tty)
{
	console_drain();
}

static const struct file_ops console_ops = {
	.read = tty_read,
	.write = tty_write,
	.stat = stat_inode_file,
	.ioctl = tty_ioctl,
	.poll = tty_poll,
	.async = ASYNC_EDGES,
	.release = tty_detach,
};

static int open_file(struct tty *tty, struct file *file)
{
	return tty_attach(file, tty, &console_ops);
}

static const struct tty_driver driver = {
	.open = open_file,
	.send = send,
	.drain = drain,
};

static void flush_echo(struct sink *sink)
{
	/* Only a kill ends it early, and nobody kills this thread. */
	(void)console_write(sink->bytes, sink->used);
	sink->used = 0;
}

static bool is_full(void)
{
	mutex_lock(&console.lock);
	bool full = discipline_full(&console.discipline);
	mutex_unlock(&console.lock);
	return full;
}

/* One key after the other, so that a full ring's rest stays where it is. */
static void read_keys(void *unused)
{
	struct sink echo = { .flush = flush_echo };
	uint8_t key;
	int signal;

	for (;;) {
		wait_event(&console.changed, !is_full());
		if (console_read(&key, 1) == 0) {
			if (echo.used > 0)
				echo.flush(&echo);
			tty_announce(&console);
			wait_event(&console_input, console_input_ready());
			continue;
		}
		mutex_lock(&console.lock);
		(void)tty_take_keys(&console, &key, 1, &echo, &signal);
		mutex_unlock(&console.lock);
		tty_signal_foreground(&console, signal);
		if (is_full())
			tty_announce(&console);
	}
}

/* As on Linux, what has the machine's console open keeps it, whoever hangs up the line. */
int console_open(struct file *file)
{
	int error = open_file(&console, file);

	if (error == 0)
		((struct tty_file *)file->private)->permanent =
			file->inode->device_number == CONSOLE_NUMBER;
	return error;
}

void tty_offer(struct file *file)
{
	tty_offer_control(tty_of(file));
}

int tty_open_controlling(struct file *file)
{
	struct tty *tty = tty_controlling();
	int error = -ENXIO;

	if (tty != NULL) {
		error = tty->driver->open(tty, file);
		tty_put(tty);
	}
	return error;
}

int console_terminal_init(void)
{
	vaddr_t stack = kstack_alloc();

	if (stack == 0)
		return -ENOMEM;
	tty_setup(&console, &driver, CONSOLE_NUMBER);
	console.discipline.termios.c_cflag =
		(console.discipline.termios.c_cflag & ~(tcflag_t)CBAUD) | B115200;
	console.discipline.termios.c_ispeed = console.discipline.termios.c_ospeed = 115200;
	console.size = (struct winsize){ .ws_row = ROWS_DEFAULT, .ws_col = COLS_DEFAULT };
	thread_init(&reader, "tty", stack, read_keys, NULL, NULL);
	thread_start(&reader);
	return 0;
}
