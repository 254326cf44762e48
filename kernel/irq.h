/*
 * kernel/irq.h - interrupts: vectors, the lines of the 8259 pair, message-signalled interrupts.
 *
 * A handler runs in interrupt context: interrupts off, no sleeping, no user memory; it fills
 * rings and wakes. Legacy lines (serial, PCI INTx) arrive through the 8259 pair in virtual-wire
 * mode, since routing them through an I/O APIC takes an AML interpreter; MSI and MSI-X go to the
 * local APIC directly.
 */
#ifndef HAWSER_KERNEL_IRQ_H
#define HAWSER_KERNEL_IRQ_H

#include "kernel/base.h"

/* One registered handler; the caller's memory. Returns true if the device had interrupted. */
struct irq_handler {
	bool (*handle)(void *arg);
	void *arg;
	const char *name;
	struct irq_handler *next;
	_Atomic uint64_t count;
};

#define IRQ_LINES 16

/*
 * The 8259 pair with every line masked, and this CPU's local APIC on: the boot CPU, before anything
 * registers. `apic_registers` is the page at apic_base() (kernel/x86_64/apic.h), mapped.
 */
void irq_init(volatile void *apic_registers);

/* Handles one interrupt; called by trap_dispatch() with interrupts off. */
void irq_dispatch(unsigned vector);

/* Shares line `line` (0..15) for good, and unmasks it. -EINVAL. */
int irq_register_line(unsigned line, struct irq_handler *handler);

/* Takes a free vector for a message-signalled interrupt: what to write where. -ENOSPC. */
struct irq_message {
	uint64_t address;
	uint32_t data;
};
int irq_register_message(struct irq_handler *handler, struct irq_message *out);

/* For /proc/interrupts: the i-th registered handler, false at the end; *line is -1 for messages. */
bool irq_describe(unsigned i, const char **name, int *line, uint64_t *count);

/* The local APIC's timer has interrupted so often. */
uint64_t irq_timer_count(void);

#endif
