/*
 * proc/syslog.c - syslog(2), which is klogctl(3) to programs such as dmesg and klogd.
 *
 * Reading all shows what is newer than the last clearing and takes nothing away; reading alone is for one reader of
 * the machine, which gets each byte once, and waits for more.
 */
#include "kernel/clock.h"
#include "kernel/cred.h"
#include "kernel/lock.h"
#include "kernel/log.h"
#include "kernel/log_reader.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/slab.h"
#include "mm/user.h"

/* syslog(2); no UAPI header has these. */
enum {
	SYSLOG_CLOSE,
	SYSLOG_OPEN,
	SYSLOG_READ,
	SYSLOG_READ_ALL,
	SYSLOG_READ_CLEAR,
	SYSLOG_CLEAR,
	SYSLOG_CONSOLE_OFF,
	SYSLOG_CONSOLE_ON,
	SYSLOG_CONSOLE_LEVEL,
	SYSLOG_SIZE_UNREAD,
	SYSLOG_SIZE_BUFFER,
};

#define SYSLOG_LINE_MAX (LOG_LINE_MAX + 32) /* with level and time */

/* A record and what it looks like. */
struct entry {
	struct log_record record;
	char line[SYSLOG_LINE_MAX];
};

static struct {
	struct mutex lock; /* RANK_OFFSET */
	uint64_t sequence; /* of the record that is read next; lock */
	size_t taken;      /* bytes of it that have been read; lock */
	int saved_level;   /* of the console before it was turned off; 0: it is on; lock */
} reader = {
	.lock = {
		.waiters = WAITQ_INIT(reader.lock.waiters, "syslog"),
		.rank = RANK_OFFSET,
		.name = "syslog",
	},
};

static size_t format_record(struct entry *entry)
{
	const struct log_record *record = &entry->record;
	uint64_t microseconds = record->time_ns / NSEC_PER_USEC;
	int length = snprintf(entry->line, sizeof(entry->line), "<%u>[%5lu.%06lu] %.*s\n",
			      log_priority(record), microseconds / 1000000, microseconds % 1000000,
			      (int)record->length, record->text);

	return MIN((size_t)length, sizeof(entry->line) - 1);
}

/* Copies the newest records that fit, oldest first. */
static int64_t read_all(struct entry *entry, vaddr_t to, size_t size)
{
	uint64_t sequence = log_cleared(), total = 0;
	size_t copied = 0;
	int error = 0;

	while (log_read(&sequence, &entry->record))
		total += format_record(entry);
	sequence = log_cleared();
	while (error == 0 && log_read(&sequence, &entry->record)) {
		size_t length = format_record(entry);

		/* Skip the oldest until the rest fits; lines that came since then are left out. */
		if (total > size) {
			total -= MIN(total, length);
			continue;
		}
		if (length > size - copied)
			break;
		error = copy_to_user(to + copied, entry->line, length);
		copied += length;
	}
	return error != 0 ? error : (int64_t)copied;
}

/* The line to go on with: how much of it has not been read, 0: there is none. reader.lock held. */
static size_t next_line(struct entry *entry)
{
	uint64_t sequence = reader.sequence;
	size_t length;

	if (!log_read(&sequence, &entry->record))
		return 0;
	if (entry->record.sequence != reader.sequence)
		reader.taken = 0; /* the rest of that one is lost */
	reader.sequence = entry->record.sequence;
	length = format_record(entry);
	return length - MIN(reader.taken, length);
}

/* What is there, as much as fits. reader.lock held. */
static int64_t read_lines(struct entry *entry, vaddr_t to, size_t size)
{
	size_t done = 0, left;
	int error = 0;

	while (done < size && (left = next_line(entry)) > 0) {
		size_t part = MIN(left, size - done);

		/* The rest of a line is read only if nothing else is. */
		if (part < left && done > 0)
			break;
		error = copy_to_user(to + done, entry->line + reader.taken, part);
		if (error != 0)
			break;
		done += part;
		reader.taken += part;
		if (part == left) {
			reader.sequence++;
			reader.taken = 0;
		}
	}
	return done > 0 ? (int64_t)done : error;
}

static bool has_unread(void)
{
	mutex_lock(&reader.lock);
	bool has = log_next_sequence() > reader.sequence;
	mutex_unlock(&reader.lock);
	return has;
}

static int64_t read_and_wait(struct entry *entry, vaddr_t to, size_t size)
{
	int64_t result = 0;

	while (result == 0 && size > 0) {
		result = wait_event_signal(&log_changed, has_unread());
		if (result == 0)
			result = mutex_lock_killable(&reader.lock);
		if (result != 0)
			break;
		result = read_lines(entry, to, size);
		mutex_unlock(&reader.lock);
	}
	return result;
}

static int64_t size_unread(struct entry *entry)
{
	int64_t total;
	uint64_t sequence;

	mutex_lock(&reader.lock);
	total = (int64_t)next_line(entry);
	sequence = reader.sequence + 1;
	while (total > 0 && log_read(&sequence, &entry->record))
		total += (int64_t)format_record(entry);
	mutex_unlock(&reader.lock);
	return total;
}

static int64_t read_log(int type, vaddr_t to, int size)
{
	struct entry *entry;
	int64_t result;

	if (type != SYSLOG_SIZE_UNREAD && (to == 0 || size < 0))
		return -EINVAL;
	entry = kalloc(sizeof(*entry));
	if (entry == NULL)
		return -ENOMEM;
	if (type == SYSLOG_SIZE_UNREAD)
		result = size_unread(entry);
	else if (type == SYSLOG_READ)
		result = read_and_wait(entry, to, (size_t)size);
	else
		result = size == 0 ? 0 : read_all(entry, to, (size_t)size);
	if (type == SYSLOG_READ_CLEAR && result >= 0)
		log_clear();
	kfree(entry);
	return result;
}

/* Off is as little as there can be, until it is on again or a level is set. */
static void switch_console(bool on)
{
	mutex_lock(&reader.lock);
	if (!on && reader.saved_level == 0)
		reader.saved_level = log_console_level();
	if (!on)
		log_set_console_level(LOG_ALERT);
	else if (reader.saved_level != 0)
		log_set_console_level(reader.saved_level);
	if (on)
		reader.saved_level = 0;
	mutex_unlock(&reader.lock);
}

static int64_t set_console_level(int level)
{
	if (level < LOG_ALERT || level > LOG_LEVELS)
		return -EINVAL;
	mutex_lock(&reader.lock);
	log_set_console_level(level);
	reader.saved_level = 0;
	mutex_unlock(&reader.lock);
	return 0;
}

SYSCALL3(syslog, int, type, vaddr_t, buffer, int, length)
{
	if (type != SYSLOG_READ_ALL && type != SYSLOG_SIZE_BUFFER && !capable(CAP_SYSLOG) &&
	    !capable(CAP_SYS_ADMIN))
		return -EPERM;
	switch (type) {
	case SYSLOG_CLOSE:
	case SYSLOG_OPEN:
		return 0;
	case SYSLOG_READ:
	case SYSLOG_READ_ALL:
	case SYSLOG_READ_CLEAR:
	case SYSLOG_SIZE_UNREAD:
		return read_log(type, buffer, length);
	case SYSLOG_CLEAR:
		log_clear();
		return 0;
	case SYSLOG_CONSOLE_OFF:
	case SYSLOG_CONSOLE_ON:
		switch_console(type == SYSLOG_CONSOLE_ON);
		return 0;
	case SYSLOG_CONSOLE_LEVEL:
		return set_console_level(length);
	case SYSLOG_SIZE_BUFFER:
		return LOG_BUFFER_SIZE;
	default:
		return -EINVAL;
	}
}
