/*
 * fs/kmsg.c - /dev/kmsg: the log, a record a read, and a record a write; Documentation/ABI/testing/dev-kmsg.
 */
#include "fs/dev.h"
#include "fs/ops.h"
#include "fs/poll.h"
#include "kernel/clock.h"
#include "kernel/log.h"
#include "kernel/log_reader.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "mm/slab.h"
#include "mm/user.h"
#include <asm/poll.h>

/* "priority,sequence,microseconds,flag;text\n", in which a byte of the text may take four. */
#define ESCAPED_SIZE  4
#define KMSG_LINE_MAX (ESCAPED_SIZE * LOG_LINE_MAX + 64)
/* Linux refuses longer ones; those that are longer than a record are cut. */
#define WRITE_MAX 1024

/* What a program logs is a user's (RFC 5424 6.2.1), and a warning, if it does not say otherwise. */
#define FACILITY_USER 1

struct kmsg {
	_Atomic uint64_t sequence; /* of the next record; the file's offset lock to change */
	struct log_record record;  /* the same */
	char line[KMSG_LINE_MAX];
};

static bool is_plain(char c)
{
	return c >= ' ' && c < 0x7f && c != '\\';
}

/* The record as it is read: how long. */
static size_t format(const struct log_record *record, char *out, size_t size)
{
	size_t length = (size_t)snprintf(out, size, "%u,%lu,%lu,-;", log_priority(record),
					 record->sequence, record->time_ns / NSEC_PER_USEC);

	for (size_t i = 0; i < record->length; i++) {
		char c = record->text[i];

		if (is_plain(c))
			out[length++] = c;
		else
			length += (size_t)snprintf(out + length, size - length, "\\x%02x",
						   (unsigned char)c);
	}
	out[length++] = '\n';
	return length;
}

/* 0 with the next record, -EPIPE if the one that was to come has been overwritten, -EAGAIN: there is none. */
static int take(struct kmsg *kmsg)
{
	uint64_t sequence = kmsg->sequence;

	if (!log_read(&sequence, &kmsg->record))
		return -EAGAIN;
	if (kmsg->record.sequence == kmsg->sequence)
		return 0;
	kmsg->sequence = kmsg->record.sequence;
	return -EPIPE;
}

/* Until there is a record. Meanwhile others may want to know the file's offset (/proc/PID/fdinfo), or to seek. */
static int wait_for_record(struct file *file, const struct kmsg *kmsg, bool locked)
{
	int error;

	if (locked)
		mutex_unlock(&file->offset_lock);
	error = wait_event_signal(&log_changed, log_next_sequence() > kmsg->sequence);
	if (locked)
		mutex_lock(&file->offset_lock);
	return error;
}

static ssize_t read_kmsg(struct file *file, vaddr_t to, size_t length, loff_t *offset)
{
	struct kmsg *kmsg = file->private;
	bool locked = offset == &file->offset;
	size_t size;
	int error;

	/* Another reader may have been quicker. */
	while ((error = take(kmsg)) == -EAGAIN && file_may_wait(file)) {
		error = wait_for_record(file, kmsg, locked);
		if (error != 0)
			return error;
	}
	if (error != 0)
		return error;
	/* One that is asked for with too little room is passed over, as on Linux. */
	kmsg->sequence++;
	size = format(&kmsg->record, kmsg->line, sizeof(kmsg->line));
	if (size > length)
		return -EINVAL;
	error = copy_to_user(to, kmsg->line, size);
	return error != 0 ? error : (ssize_t)size;
}

/* "<12>" at the beginning is the priority: `*text` and `*length` are what follows. */
static unsigned parse_priority(const char **text, size_t *length)
{
	unsigned priority = 0;
	size_t at = 1;

	if (*length > 0 && **text == '<') {
		while (at < *length && at < 8 && (*text)[at] >= '0' && (*text)[at] <= '9')
			priority = priority * 10 + (unsigned)((*text)[at++] - '0');
		if (at > 1 && at < *length && (*text)[at] == '>') {
			*text += at + 1;
			*length -= at + 1;
			return priority >= LOG_LEVELS ? priority
						      : FACILITY_USER * LOG_LEVELS + priority;
		}
	}
	return FACILITY_USER * LOG_LEVELS + LOG_WARNING;
}

static ssize_t write_kmsg(struct file *file, vaddr_t from, size_t length, loff_t *offset)
{
	char line[LOG_LINE_MAX];
	size_t part = MIN(length, sizeof(line));
	const char *text = line;
	unsigned priority;
	int error;

	if (length > WRITE_MAX)
		return -EINVAL;
	error = copy_from_user(line, from, part);
	if (error != 0)
		return error;
	while (part > 0 && line[part - 1] == '\n')
		part--;
	priority = parse_priority(&text, &part);
	log_write(priority, text, part);
	return (ssize_t)length;
}

/* To the beginning, to what nobody has called old (SEEK_DATA), or behind what there is now (SEEK_END). */
static loff_t seek_kmsg(struct file *file, loff_t offset, int whence)
{
	struct kmsg *kmsg = file->private;
	uint64_t sequence = whence == SEEK_DATA  ? log_cleared()
			    : whence == SEEK_END ? log_next_sequence()
						 : 0;

	if (offset != 0)
		return -ESPIPE;
	if (whence != SEEK_SET && whence != SEEK_DATA && whence != SEEK_END)
		return -EINVAL;
	kmsg->sequence = MAX(sequence, log_oldest_sequence());
	return 0;
}

static unsigned poll_kmsg(struct file *file, struct poll_table *table)
{
	struct kmsg *kmsg = file->private;
	unsigned events = POLLOUT | POLLWRNORM;

	poll_wait(table, &log_changed);
	if (log_next_sequence() > kmsg->sequence)
		events |= POLLIN | POLLRDNORM;
	if (log_oldest_sequence() > kmsg->sequence)
		events |= POLLERR | POLLPRI;
	return events;
}

static void release_kmsg(struct file *file)
{
	kfree(file->private);
}

static const struct file_ops kmsg_ops = {
	.read = read_kmsg,
	.write = write_kmsg,
	.seek = seek_kmsg,
	.stat = stat_inode_file,
	.poll = poll_kmsg,
	.release = release_kmsg,
};

int kmsg_open(struct file *file)
{
	struct kmsg *kmsg = kzalloc(sizeof(*kmsg));

	if (kmsg == NULL)
		return -ENOMEM;
	kmsg->sequence = log_oldest_sequence();
	file->private = kmsg;
	file->ops = &kmsg_ops;
	return 0;
}
