/*
 * kernel/x86_64/apic.h - the local APIC: interrupts of this CPU, and its timer (SDM 3A chapter 10).
 */
#ifndef HAWSER_KERNEL_X86_64_APIC_H
#define HAWSER_KERNEL_X86_64_APIC_H

#include "kernel/base.h"

/* Where the registers are, one page; firmware may have moved them. */
paddr_t apic_base(void);

/*
 * Turns on this CPU's local APIC, with the 8259 pair on LINT0 and NMI on LINT1. `registers` is the
 * page at apic_base(), mapped uncached; not used if firmware left the APIC in x2APIC mode. Sets
 * this_cpu()->apic_id.
 */
void apic_init(volatile void *registers);

/* The interrupt that is being handled is over. Not for the 8259 pair's. */
void apic_end(void);

/* The error status register's bits since the last call (SDM 3A 10.5.3). */
uint32_t apic_errors(void);

/*
 * The timer, interrupts at VECTOR_TIMER. In deadline mode it fires when the TSC reaches a value,
 * otherwise when a counter that starts at `count` reaches zero; either is one-shot, and setting it
 * replaces what was set.
 */
void apic_timer_init(bool deadline_mode);
void apic_timer_set_deadline(uint64_t tsc);
void apic_timer_set_count(uint32_t count);
uint32_t apic_timer_count(void);

#endif
