/*
 * kernel/clock.h - what time it is, and being called at a time.
 *
 * Monotonic time is nanoseconds since the kernel's entry, from the TSC; wall time is monotonic
 * time plus an offset set once from the RTC. Timers are one-shot, kept in a tree per CPU, and
 * driven by the local APIC's timer in one-shot mode: an idle machine takes no ticks.
 */
#ifndef HAWSER_KERNEL_CLOCK_H
#define HAWSER_KERNEL_CLOCK_H

#include "kernel/base.h"
#include "kernel/vvar.h"
#include <bsd/sys/tree.h>

#define NSEC_PER_SEC  UINT64_C(1000000000)
#define NSEC_PER_MSEC UINT64_C(1000000)
#define NSEC_PER_USEC UINT64_C(1000)

uint64_t clock_tsc_khz(void); /* how fast the TSC counts */
uint64_t clock_ns(void);      /* monotonic; any context; 0 until clock_init() */
uint64_t clock_wall_ns(void); /* since 1970-01-01 UTC */
void clock_set_wall_ns(uint64_t now_ns);

/* settimeofday(2)'s time zone, which is only kept. */
struct clock_zone {
	int32_t minutes_west, dst;
};
struct clock_zone clock_zone(void);
void clock_set_zone(struct clock_zone zone);

/* The page of the kernel's image that programs read clocks from: it holds nothing else. */
const struct vvar *clock_vvar(void);

/* Calibrates TSC and LAPIC timer (a few ms). Interrupts off; once, after irq_init(). */
void clock_init(void);

/* The local APIC's timer has fired: runs what is due. irq_dispatch() only. */
void clock_interrupt(void);

/* Busy-waits; for hardware that wants microseconds, any context. */
void clock_delay_us(unsigned microseconds);

struct timer {
	RB_ENTRY(timer) link;                  /* timer lock */
	uint64_t deadline_ns;                  /* timer lock */
	void (*callback)(struct timer *timer); /* interrupt context, no lock held */
	bool armed;                            /* timer lock */
	_Atomic uint32_t cpu; /* whose tree and lock: changed under that lock, while not armed */
};

void timer_init(struct timer *timer, void (*callback)(struct timer *timer));
/* Arms or re-arms. The callback runs once, at or after the deadline, on this CPU. */
void timer_set(struct timer *timer, uint64_t deadline_ns);
/* Disarms, and waits for a callback that is running on another CPU. True if it was armed. */
bool timer_cancel(struct timer *timer);

#endif
