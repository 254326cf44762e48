/*
 * kernel/irq.c - from an interrupt's vector to the handlers of its devices.
 *
 * A line of the 8259 pair may be shared: its handlers are a chain, and each is asked. A chain only
 * ever grows, under `irq_lock`, and is walked without it: a new handler is complete before it is
 * linked. A message has a vector, hence a handler, of its own.
 *
 * A line that interrupts for ever without anybody's being responsible would stop the machine: after
 * IRQ_UNCLAIMED_MAX in a row it is masked.
 */
#include "kernel/irq.h"

#include "kernel/clock.h"
#include "kernel/lock.h"
#include "kernel/log.h"
#include "kernel/random.h"
#include "kernel/x86_64/apic.h"
#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/pic.h"

#define IRQ_UNCLAIMED_MAX 100000
#define IRQ_MESSAGES      (VECTOR_TIMER - VECTOR_MESSAGES)

/* SDM 3A 10.11: where a message-signalled interrupt is written to, and the destination's place. */
#define MESSAGE_ADDRESS     UINT64_C(0xfee00000)
#define MESSAGE_DESTINATION 12

struct irq_line {
	struct irq_handler *_Atomic first; /* irq_lock to change */
	uint32_t unclaimed;                /* in a row; only the CPU that takes the line */
};

static struct spinlock irq_lock = SPINLOCK_INIT("irq", RANK_IRQ);
static struct irq_line lines[IRQ_LINES];
static struct irq_handler *_Atomic messages[IRQ_MESSAGES]; /* irq_lock to change */

/* Interrupts that nothing explains; a log line at the first of each kind. */
static _Atomic uint64_t stray_count, spurious_count;
static _Atomic uint64_t timer_count;

void irq_init(volatile void *apic_registers)
{
	pic_init(VECTOR_LINES);
	apic_init(apic_registers);
}

/* --- registration --------------------------------------------------------------------------------- */

int irq_register_line(unsigned line, struct irq_handler *handler)
{
	if (line >= IRQ_LINES || line == PIC_CASCADE)
		return -EINVAL;
	spin_lock(&irq_lock);
	handler->next = atomic_load(&lines[line].first);
	atomic_store(&lines[line].first, handler);
	pic_unmask(line);
	spin_unlock(&irq_lock);
	return 0;
}

int irq_register_message(struct irq_handler *handler, struct irq_message *out)
{
	unsigned i = 0;

	spin_lock(&irq_lock);
	while (i < IRQ_MESSAGES && atomic_load(&messages[i]))
		i++;
	if (i < IRQ_MESSAGES)
		atomic_store(&messages[i], handler);
	spin_unlock(&irq_lock);
	if (i == IRQ_MESSAGES)
		return -ENOSPC;
	/* Fixed, edge-triggered, to the boot CPU: the one that runs the drivers' threads. */
	out->address = MESSAGE_ADDRESS | (uint64_t)cpus[0].apic_id << MESSAGE_DESTINATION;
	out->data = VECTOR_MESSAGES + i;
	return 0;
}

bool irq_describe(unsigned i, const char **name, int *line, uint64_t *count)
{
	struct irq_handler *found = NULL;

	spin_lock(&irq_lock);
	for (unsigned l = 0; l < IRQ_LINES && !found; l++) {
		struct irq_handler *h = atomic_load(&lines[l].first);
		for (; h && !found; h = h->next) {
			if (i-- == 0) {
				found = h;
				*line = (int)l;
			}
		}
	}
	for (unsigned m = 0; m < IRQ_MESSAGES && !found; m++) {
		if (atomic_load(&messages[m]) && i-- == 0) {
			found = atomic_load(&messages[m]);
			*line = -1;
		}
	}
	if (found) {
		*name = found->name;
		*count = atomic_load_explicit(&found->count, memory_order_relaxed);
	}
	spin_unlock(&irq_lock);
	return found;
}

uint64_t irq_timer_count(void)
{
	return atomic_load_explicit(&timer_count, memory_order_relaxed);
}

/* --- dispatch --------------------------------------------------------------------------------------- */

static bool call_handler(struct irq_handler *handler)
{
	if (!handler->handle(handler->arg))
		return false;
	atomic_fetch_add_explicit(&handler->count, 1, memory_order_relaxed);
	return true;
}

static void give_up_line(unsigned line)
{
	spin_lock(&irq_lock);
	pic_mask(line);
	spin_unlock(&irq_lock);
	log_err("irq: line %u interrupts without end and no driver wants it: masked", line);
}

static void dispatch_line(unsigned line)
{
	struct irq_line *l = &lines[line];
	struct irq_handler *handler;
	bool claimed = false;

	if (!pic_is_real(line)) {
		atomic_fetch_add_explicit(&spurious_count, 1, memory_order_relaxed);
		return;
	}
	for (handler = atomic_load(&l->first); handler; handler = handler->next)
		claimed |= call_handler(handler);
	if (claimed)
		l->unclaimed = 0;
	else if (++l->unclaimed == IRQ_UNCLAIMED_MAX)
		give_up_line(line);
	pic_end(line);
}

static void dispatch_stray(unsigned vector)
{
	if (atomic_fetch_add_explicit(&stray_count, 1, memory_order_relaxed) == 0)
		log_warn("irq: stray interrupt at vector %u (further ones are only counted)",
			 vector);
}

void irq_dispatch(unsigned vector)
{
	if (vector == VECTOR_TIMER) {
		apic_end();
		atomic_fetch_add_explicit(&timer_count, 1, memory_order_relaxed);
		clock_interrupt();
	} else if (vector >= VECTOR_LINES && vector < VECTOR_LINES + IRQ_LINES) {
		random_stir(rdtsc());
		dispatch_line(vector - VECTOR_LINES);
	} else if (vector >= VECTOR_MESSAGES && vector < VECTOR_MESSAGES + IRQ_MESSAGES) {
		struct irq_handler *handler = atomic_load(&messages[vector - VECTOR_MESSAGES]);
		random_stir(rdtsc());
		if (handler)
			call_handler(handler);
		else
			dispatch_stray(vector);
		apic_end();
	} else if (vector == VECTOR_SPURIOUS) {
		/* SDM 3A 10.9: not in service, so there is nothing to end. */
		atomic_fetch_add_explicit(&spurious_count, 1, memory_order_relaxed);
	} else if (vector == VECTOR_APIC_ERROR) {
		uint32_t errors = apic_errors();
		apic_end();
		log_warn("irq: the local APIC reports errors %#x", errors);
	} else {
		dispatch_stray(vector);
		apic_end();
	}
}
