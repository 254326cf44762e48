/*
 * kernel/log.c - the log: a ring of records, and the consoles that show it.
 *
 * Records lie one after the other in a ring of bytes, each a header and its text, rounded up to the
 * header's alignment. The oldest give way to the newest. A record is never split: where the end of
 * the ring is too near, the rest is skipped, and a header of no record (WRAP) says so, unless not
 * even that fits.
 *
 *	      oldest                    next
 *	        v                         v
 *	 [......[#17 text][#18 text][#19..][free...]
 *
 * Whether the oldest are in the way is asked with positions that only grow; the place in the ring
 * is the position modulo its size.
 */
#include "kernel/log.h"
#include "kernel/clock.h"
#include "kernel/lock.h"
#include "kernel/panic.h"
#include "kernel/string.h"

#define RING_SIZE    LOG_BUFFER_SIZE
#define FACILITY_MAX 23 /* RFC 5424 6.2.1: the last one */

/* "[12345.123456] ", the text, CR and LF. */
#define PRINTED_MAX (LOG_LINE_MAX + 32)

enum { WRAP = 0xff };

struct header {
	uint64_t time_ns;
	uint16_t length;  /* of the text */
	uint8_t priority; /* or WRAP: go on at the ring's start */
};

static struct {
	struct spinlock lock;
	uint64_t oldest, next;        /* lock: positions in bytes */
	uint64_t oldest_sequence;     /* lock: that of the record at `oldest` */
	uint64_t next_sequence;       /* lock */
	struct log_console *consoles; /* lock */
	int console_level;            /* lock */
} state = {
	.lock = SPINLOCK_INIT("log", RANK_LOG),
	.console_level = LOG_DEBUG,
};
/* Apart from the rest, so that it takes no room in the image. */
static uint8_t ring[RING_SIZE] __aligned(_Alignof(struct header)); /* state.lock */

static void (*_Atomic listener)(void); /* set once */

/* Once a panic has begun, whoever held the lock will not let go of it. */
static void lock(void)
{
	if (!panic_active())
		spin_lock(&state.lock);
}

static void unlock(void)
{
	if (!panic_active() && spin_held(&state.lock))
		spin_unlock(&state.lock);
}

static struct header *header_at(uint64_t position)
{
	return (struct header *)&ring[position % RING_SIZE];
}

static uint64_t room_to_end(uint64_t position)
{
	return RING_SIZE - position % RING_SIZE;
}

static uint64_t footprint(size_t length)
{
	return ALIGN_UP(sizeof(struct header) + length, _Alignof(struct header));
}

/* The position of a record from one that may be the ring's unused end. */
static uint64_t skip_wrap(uint64_t position)
{
	uint64_t room = room_to_end(position);

	if (room < sizeof(struct header) || header_at(position)->priority == WRAP)
		return position + room;
	return position;
}

static uint64_t after(uint64_t position)
{
	return position + footprint(header_at(position)->length);
}

static void drop_oldest_before(uint64_t end)
{
	while (end > RING_SIZE && state.oldest < end - RING_SIZE) {
		state.oldest = after(skip_wrap(state.oldest));
		state.oldest_sequence++;
	}
}

static void append(uint64_t time_ns, unsigned priority, const char *text, size_t length)
{
	uint64_t need = footprint(length);
	uint64_t room = room_to_end(state.next);
	uint64_t position = room < need ? state.next + room : state.next;

	drop_oldest_before(position + need);
	if (position != state.next && room >= sizeof(struct header))
		header_at(state.next)->priority = WRAP;

	struct header *header = header_at(position);
	header->time_ns = time_ns;
	header->length = (uint16_t)length;
	header->priority = (uint8_t)priority;
	memcpy(header + 1, text, length);
	state.next = position + need;
	state.next_sequence++;
}

static void write_to_consoles(const char *text, size_t length)
{
	for (struct log_console *console = state.consoles; console != NULL; console = console->next)
		console->write(text, length);
}

/* What would move the cursor is a blank: lines may be a program's. */
static size_t render(char *out, uint64_t time_ns, const char *text, size_t length)
{
	size_t end = (size_t)snprintf(out, PRINTED_MAX, "[%5llu.%06llu] %.*s",
				      (unsigned long long)(time_ns / NSEC_PER_SEC),
				      (unsigned long long)(time_ns % NSEC_PER_SEC / NSEC_PER_USEC),
				      (int)length, text);

	for (size_t i = 0; i < end; i++) {
		if ((unsigned char)out[i] < ' ')
			out[i] = ' ';
	}
	out[end++] = '\r';
	out[end++] = '\n';
	return end;
}

static void record(unsigned priority, const char *text, size_t length)
{
	void (*tell)(void) = atomic_load(&listener);
	char printed[PRINTED_MAX];

	lock();
	uint64_t now = clock_ns();
	append(now, priority, text, length);
	if ((int)(priority % LOG_LEVELS) < state.console_level)
		write_to_consoles(printed, render(printed, now, text, length));
	unlock();
	if (tell != NULL && !panic_active())
		tell();
}

void log_vprintf(enum log_level level, const char *fmt, va_list ap)
{
	char text[LOG_LINE_MAX];
	int wanted = vsnprintf(text, sizeof(text), fmt, ap);

	record(level, text, MIN((size_t)wanted, sizeof(text) - 1));
}

void log_write(unsigned priority, const char *text, size_t length)
{
	if (priority / LOG_LEVELS > FACILITY_MAX)
		priority = FACILITY_MAX * LOG_LEVELS + priority % LOG_LEVELS;
	record(priority, text, MIN(length, (size_t)LOG_LINE_MAX - 1));
}

void log_printf(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vprintf(level, fmt, ap);
	va_end(ap);
}

void log_set_console_level(int level)
{
	lock();
	state.console_level = level;
	unlock();
}

int log_console_level(void)
{
	lock();
	int level = state.console_level;
	unlock();
	return level;
}

void log_set_listener(void (*new_listener)(void))
{
	atomic_store(&listener, new_listener);
}

uint64_t log_oldest_sequence(void)
{
	lock();
	uint64_t sequence = state.oldest_sequence;
	unlock();
	return sequence;
}

uint64_t log_next_sequence(void)
{
	lock();
	uint64_t sequence = state.next_sequence;
	unlock();
	return sequence;
}

/* Finds the first record at or after `sequence`; the lock held. */
static bool find(uint64_t sequence, uint64_t *position, uint64_t *found)
{
	uint64_t at = state.oldest, number = state.oldest_sequence;

	if (sequence >= state.next_sequence || number == state.next_sequence)
		return false;
	at = skip_wrap(at);
	for (; number < sequence; number++)
		at = skip_wrap(after(at));
	*position = at;
	*found = number;
	return true;
}

bool log_read(uint64_t *sequence, struct log_record *out)
{
	uint64_t position;

	lock();
	bool found = find(*sequence, &position, &out->sequence);
	if (found) {
		const struct header *header = header_at(position);
		out->time_ns = header->time_ns;
		out->level = header->priority % LOG_LEVELS;
		out->facility = header->priority / LOG_LEVELS;
		out->length = header->length;
		memcpy(out->text, header + 1, out->length);
		out->text[out->length] = '\0';
		*sequence = out->sequence + 1;
	}
	unlock();
	return found;
}

/* The records from `sequence` on that are more urgent than `level`, to `write`; the lock held. */
static void print_from(uint64_t sequence, int level, void (*write)(const char *text, size_t length))
{
	uint64_t position;

	while (find(sequence, &position, &sequence)) {
		const struct header *header = header_at(position);
		char printed[PRINTED_MAX];
		if (header->priority % LOG_LEVELS < level)
			write(printed, render(printed, header->time_ns, (const char *)(header + 1),
					      header->length));
		sequence++;
	}
}

void log_console_add(struct log_console *console)
{
	lock();
	print_from(0, state.console_level, console->write);
	console->next = state.consoles;
	state.consoles = console;
	unlock();
}

void log_dump_tail(unsigned lines)
{
	uint64_t last = state.next_sequence;

	print_from(last > lines ? last - lines : 0, LOG_DEBUG + 1, write_to_consoles);
}

void log_emergency_write(const char *text, size_t length)
{
	write_to_consoles(text, length);
}
