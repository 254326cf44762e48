/*
 * dev/console.c - which devices are the console, and moving bytes to and from all of them.
 *
 * `console=` may be given several times, as on Linux; here all of them take the programs' output
 * as well as the log, and every serial one gives input. The screen needs memory mappings, so it
 * joins in console_start(), and is shown from the log's ring what it has missed.
 */
#include "dev/console.h"

#include "dev/serial.h"
#include "dev/vga.h"
#include "kernel/cmdline.h"
#include "kernel/log.h"
#include "kernel/sched.h"
#include "kernel/string.h"

#define WORD_MAX 64

/* As Linux's CONSOLE_LOGLEVEL_QUIET: errors and worse, which no healthy run has. */
#define LEVEL_QUIET   LOG_WARNING
#define LEVEL_DEFAULT LOG_DEBUG

struct waitq console_input = WAITQ_INIT(console_input, "console input");

/* All set by console_init() and console_start(), before there is a second thread. */
static struct serial *serials[SERIAL_PORTS]; /* those in use, in the order named */
static unsigned serial_count;
static bool screen_wanted, screen_shown;

static _Atomic uint64_t overruns_told;

/* --- what the command line says ----------------------------------------------------------------------- */

static bool take_prefix(const char **text, const char *prefix)
{
	size_t length = strlen(prefix);

	if (strncmp(*text, prefix, length) != 0)
		return false;
	*text += length;
	return true;
}

/* "115200n8": the rate; what follows cannot be chosen. The default if there is no number. */
static unsigned parse_baud(const char *text)
{
	unsigned baud = 0;

	for (; *text >= '0' && *text <= '9' && baud <= SERIAL_BAUD_DEFAULT; text++)
		baud = baud * 10 + (unsigned)(*text - '0');
	return baud > 0 && baud <= SERIAL_BAUD_DEFAULT ? baud : SERIAL_BAUD_DEFAULT;
}

static void add_serial(const char *name)
{
	unsigned index = (unsigned)(name[0] - '0');

	if (index >= SERIAL_PORTS || (name[1] != '\0' && name[1] != ','))
		return;
	struct serial *port = serial_open(index, parse_baud(name[1] == ',' ? name + 2 : ""));
	if (port == NULL)
		return;
	for (unsigned i = 0; i < serial_count; i++) {
		if (serials[i] == port)
			return;
	}
	serials[serial_count++] = port;
}

static void add_console(const char *name)
{
	if (take_prefix(&name, "ttyS"))
		add_serial(name);
	else if (take_prefix(&name, "tty"))
		screen_wanted = true;
}

static void read_command_line(void)
{
	const char *position = cmdline_get();
	char word[WORD_MAX];
	bool any = false;
	int64_t level;

	while (cmdline_next(&position, word, sizeof(word)) && strcmp(word, "--") != 0) {
		const char *value = word;
		if (!take_prefix(&value, "console="))
			continue;
		any = true;
		add_console(value);
	}
	if (!any) {
		add_console("ttyS0");
		add_console("tty0");
	}
	if (cmdline_number("loglevel", &level) && level >= 0 && level <= LOG_DEBUG + 1)
		log_set_console_level((int)level);
	else
		log_set_console_level(cmdline_flag("quiet") ? LEVEL_QUIET : LEVEL_DEFAULT);
}

/* --- the log's consoles --------------------------------------------------------------------------------- */

static void log_to_serials(const char *text, size_t length)
{
	for (unsigned i = 0; i < serial_count; i++)
		serial_write_polled(serials[i], text, length);
}

static struct log_console serial_log = { .name = "ttyS", .write = log_to_serials };
static struct log_console screen_log = { .name = "tty0", .write = vga_write };

void console_init(void)
{
	read_command_line();
	if (serial_count > 0)
		log_console_add(&serial_log);
}

static void input_arrived(void)
{
	waitq_wake_all(&console_input);
}

void console_start(void)
{
	if (screen_wanted && vga_start()) {
		screen_shown = true;
		log_console_add(&screen_log);
	}
	for (unsigned i = 0; i < serial_count; i++) {
		int error = serial_start(serials[i], input_arrived);
		if (error < 0)
			log_err("console: no interrupt for a serial port (error %d): no input",
				-error);
	}
}

/* --- the programs' bytes ------------------------------------------------------------------------------- */

static int write_to_serial(struct serial *port, const char *data, size_t length)
{
	for (;;) {
		size_t n = serial_write(port, data, length);
		data += n;
		length -= n;
		if (length == 0)
			return 0;
		int error = serial_wait_room(port);
		if (error < 0)
			return error;
	}
}

int console_write(const void *data, size_t length)
{
	if (screen_shown)
		vga_write(data, length);
	for (unsigned i = 0; i < serial_count; i++) {
		int error = write_to_serial(serials[i], data, length);
		if (error < 0)
			return error;
	}
	return 0;
}

void console_drain(void)
{
	for (unsigned i = 0; i < serial_count; i++) {
		if (serial_wait_empty(serials[i]) == 0)
			serial_flush(serials[i]);
	}
}

void console_flush(void)
{
	for (unsigned i = 0; i < serial_count; i++)
		serial_flush(serials[i]);
}

/* Lost input is told where it is missed: by the reader, in a thread, and not by the interrupt. */
static void tell_overruns(void)
{
	uint64_t lost = 0;

	for (unsigned i = 0; i < serial_count; i++)
		lost += serial_overruns(serials[i]);
	uint64_t told = atomic_exchange(&overruns_told, lost);
	if (lost > told)
		log_warn("console: input lost %lu times", lost - told);
}

size_t console_read(void *out, size_t size)
{
	size_t n = 0;

	for (unsigned i = 0; i < serial_count && n < size; i++)
		n += serial_read(serials[i], (char *)out + n, size - n);
	tell_overruns();
	return n;
}

bool console_input_ready(void)
{
	for (unsigned i = 0; i < serial_count; i++) {
		if (serial_readable(serials[i]))
			return true;
	}
	return false;
}
