/*
 * kernel/log_reader.c - following the log. See the header.
 */
#include "kernel/log_reader.h"
#include "kernel/log.h"
#include "kernel/sched.h"
#include "kernel/x86_64/regs.h"

struct waitq log_changed = WAITQ_INIT(log_changed, "log");

static _Atomic bool untold;
static _Atomic uint64_t cleared;

/* Whoever logs may hold any spinlock, but then interrupts are off. */
static void tell(void)
{
	if (irq_enabled())
		waitq_wake_all(&log_changed);
	else
		atomic_store(&untold, true);
}

void log_tell_late(void)
{
	if (unlikely(atomic_load_explicit(&untold, memory_order_relaxed)) &&
	    atomic_exchange(&untold, false))
		waitq_wake_all(&log_changed);
}

uint64_t log_cleared(void)
{
	return atomic_load(&cleared);
}

void log_clear(void)
{
	atomic_store(&cleared, log_next_sequence());
}

void log_reader_init(void)
{
	log_set_listener(tell);
}
