/*
 * kernel/x86_64/tsc.h - how fast the time-stamp counter and the local APIC's timer count.
 */
#ifndef HAWSER_KERNEL_X86_64_TSC_H
#define HAWSER_KERNEL_X86_64_TSC_H

#include "kernel/base.h"

struct tsc_rates {
	uint64_t tsc_hz;
	uint64_t apic_hz;   /* as divided by apic_timer_init(); 0 if not measured and not needed */
	const char *source; /* for the log */
};

/*
 * Asks the processor or the hypervisor, and otherwise measures against the PIT for 5 ms, the
 * APIC's timer in the same window; failing that, without need_apic, takes what is printed on the
 * processor. `need_apic`: the timer's rate is wanted; apic_timer_init(false) has been called, and the
 * timer is left stopped. Interrupts off. False if nothing tells.
 */
bool tsc_calibrate(bool need_apic, struct tsc_rates *out);

#endif
