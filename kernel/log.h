/*
 * kernel/log.h - the log: a ring of records with a level and a time stamp.
 *
 * Callable from every context, under any lock (rank RANK_LOG is the innermost), from interrupts
 * and before anything else is set up. A record is one line, without a newline, at most
 * LOG_LINE_MAX bytes; longer ones are cut. Records at or below `loglevel` also go to the
 * registered consoles. Levels are syslog's (RFC 5424 6.2.1).
 */
#ifndef HAWSER_KERNEL_LOG_H
#define HAWSER_KERNEL_LOG_H

#include "kernel/base.h"

#define LOG_LINE_MAX 256

enum log_level {
	LOG_EMERG,
	LOG_ALERT,
	LOG_CRIT,
	LOG_ERR,
	LOG_WARNING,
	LOG_NOTICE,
	LOG_INFO,
	LOG_DEBUG
};
#define LOG_LEVELS 8

/* Bytes that the ring has for records. */
#define LOG_BUFFER_SIZE (32 * KIB)

void log_printf(enum log_level level, const char *fmt, ...) __printf(2, 3);
void log_vprintf(enum log_level level, const char *fmt, va_list ap) __printf(2, 0);

/* A program's own record: a priority is a facility times LOG_LEVELS and a level. */
void log_write(unsigned priority, const char *text, size_t length);

#define log_err(...)    log_printf(LOG_ERR, __VA_ARGS__)
#define log_warn(...)   log_printf(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_printf(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)   log_printf(LOG_INFO, __VA_ARGS__)
#define log_debug(...)  log_printf(LOG_DEBUG, __VA_ARGS__)

/*
 * A console is somewhere that log lines (and panics) are printed. `write` must work with
 * interrupts off, under any lock, and may not sleep.
 */
struct log_console {
	const char *name;
	void (*write)(const char *text, size_t length);
	struct log_console *next;
};

/* Adds a console and prints to it what the ring already holds. Never removed. */
void log_console_add(struct log_console *console);

/* Records with a level below `level` (more urgent) are printed; `loglevel=`, `quiet`. */
void log_set_console_level(int level);
int log_console_level(void);

/* One record of the ring, for /dev/kmsg and the syslog sender. */
struct log_record {
	uint64_t sequence;
	uint64_t time_ns;
	enum log_level level;
	unsigned facility; /* 0: the kernel's */
	size_t length;
	char text[LOG_LINE_MAX];
};

/*
 * Copies the first record whose sequence number is at least `*sequence`, and sets `*sequence` to
 * the one after it. False when there is none yet.
 */
bool log_read(uint64_t *sequence, struct log_record *out);
/* That of the oldest record there is, and of the next one that there will be. */
uint64_t log_oldest_sequence(void);
uint64_t log_next_sequence(void);
static inline unsigned log_priority(const struct log_record *record)
{
	return record->facility * LOG_LEVELS + record->level;
}

/* `listener` is called after each record, in whatever context it was logged. Set once. */
void log_set_listener(void (*listener)(void));

/* Prints the last `lines` records to every console, whatever their level (panic only). */
void log_dump_tail(unsigned lines);

/* Writes raw text to every console without recording it, taking no lock (panic only). */
void log_emergency_write(const char *text, size_t length);

#endif
