/*
 * kernel/log_reader.h - following the log: waiting for records, and what somebody has called old.
 */
#ifndef HAWSER_KERNEL_LOG_READER_H
#define HAWSER_KERNEL_LOG_READER_H

#include "kernel/base.h"
#include "kernel/lock.h"

/*
 * Woken when there is a new record. What is logged with interrupts off, as under a spinlock, is told with the
 * next interrupt, or the next record.
 */
extern struct waitq log_changed;

/* At the end of each interrupt. */
void log_tell_late(void);

/* SYSLOG_ACTION_CLEAR: records below this are old. */
uint64_t log_cleared(void);
void log_clear(void);

/* Boot: from now on records are told of. */
void log_reader_init(void);

#endif
