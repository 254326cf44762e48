/*
 * kernel/clock.c - time from the TSC, and timers in a tree per CPU.
 *
 *	clock_ns = (TSC - TSC at entry) * mult >> 32
 *
 * with a 128-bit product, so that nothing overflows for centuries and nothing has to be kept up to
 * date by a tick. Timers wait in a red-black tree by deadline; the local APIC's timer is set to the
 * first one, and only ever moved when an earlier one comes: one that is disarmed costs an
 * interrupt that finds nothing to do, but most are disarmed and armed anew for later.
 */
#include "kernel/clock.h"

#include "kernel/boot_info.h"
#include "kernel/lock.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/x86_64/apic.h"
#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/tsc.h"

#define SCALE_SHIFT    VVAR_SCALE_SHIFT
#define PORT_DELAY     0x80 /* POST codes: a write takes about a microsecond everywhere */

#define TIMER_NEVER    UINT64_MAX
#define TIMER_MIN_NS   1000 /* nothing is armed for sooner: two of these in a row are a storm */
#define TIMER_MAX_NS   (3600 * NSEC_PER_SEC) /* nor for later: a program may sleep for centuries */
#define TIMERS_AT_ONCE 64                    /* callbacks run by one interrupt */

/* Written once by clock_init(). */
static struct {
	uint64_t ns_per_tick; /* nanoseconds per TSC tick, << SCALE_SHIFT; 0: not yet calibrated */
	uint64_t tick_per_ns; /* the inverse */
	uint64_t apic_per_ns; /* counts of the APIC's timer */
	uint64_t tsc_khz;
	bool deadline_mode; /* the APIC's timer compares with the TSC */
} rates;

/* Wall time minus monotonic time. */
static _Atomic uint64_t wall_offset_ns;

/* What programs see of all this, alone on its page. */
static union {
	struct vvar vvar;
	uint8_t page[PAGE_SIZE];
} shown __aligned(PAGE_SIZE) = { .vvar.sequence = VVAR_UNUSABLE };
static struct spinlock shown_lock = SPINLOCK_INIT("vvar", RANK_TIMER); /* to change it */

RB_HEAD(timer_tree, timer);

struct timer_queue {
	struct spinlock lock;   /* RANK_TIMER */
	struct timer_tree tree; /* lock */
	struct timer *running;  /* lock to change: whose callback runs */
	uint64_t programmed_ns; /* lock: what the hardware is set to, or TIMER_NEVER */
};
static struct timer_queue queues[CPU_MAX] = {
	[0 ... CPU_MAX - 1] = { .lock = SPINLOCK_INIT("timer", RANK_TIMER),
				.programmed_ns = TIMER_NEVER },
};

static int timer_compare(const struct timer *a, const struct timer *b)
{
	if (a->deadline_ns != b->deadline_ns)
		return a->deadline_ns < b->deadline_ns ? -1 : 1;
	return a < b ? -1 : a > b;
}
RB_GENERATE_STATIC(timer_tree, timer, link, timer_compare)

static uint64_t scale(uint64_t value, uint64_t factor)
{
	return (uint64_t)((unsigned __int128)value * factor >> SCALE_SHIFT);
}

/* --- time ------------------------------------------------------------------------------------------- */

uint64_t clock_ns(void)
{
	return scale(rdtsc() - boot_info.entry_tsc, rates.ns_per_tick);
}

uint64_t clock_wall_ns(void)
{
	return clock_ns() + atomic_load_explicit(&wall_offset_ns, memory_order_relaxed);
}

static void begin_change(void)
{
	spin_lock(&shown_lock);
	atomic_fetch_or_explicit(&shown.vvar.sequence, VVAR_CHANGING, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

static void end_change(void)
{
	atomic_fetch_add_explicit(&shown.vvar.sequence, VVAR_STEP - VVAR_CHANGING,
				  memory_order_release);
	spin_unlock(&shown_lock);
}

void clock_set_wall_ns(uint64_t now_ns)
{
	uint64_t offset_ns = now_ns - clock_ns();

	atomic_store_explicit(&wall_offset_ns, offset_ns, memory_order_relaxed);
	begin_change();
	shown.vvar.wall_offset_ns = offset_ns;
	end_change();
}

struct clock_zone clock_zone(void)
{
	struct clock_zone zone;

	spin_lock(&shown_lock);
	zone = (struct clock_zone){ shown.vvar.zone_minutes_west, shown.vvar.zone_dst };
	spin_unlock(&shown_lock);
	return zone;
}

void clock_set_zone(struct clock_zone zone)
{
	begin_change();
	shown.vvar.zone_minutes_west = zone.minutes_west;
	shown.vvar.zone_dst = zone.dst;
	end_change();
}

const struct vvar *clock_vvar(void)
{
	return &shown.vvar;
}

void clock_delay_us(unsigned microseconds)
{
	uint64_t end;

	if (rates.ns_per_tick == 0) {
		while (microseconds-- > 0)
			outb(PORT_DELAY, 0);
		return;
	}
	end = clock_ns() + microseconds * NSEC_PER_USEC;
	while (clock_ns() < end)
		cpu_relax();
}

uint64_t clock_tsc_khz(void)
{
	return rates.tsc_khz;
}

/* of / per << SCALE_SHIFT. One of the two is NSEC_PER_SEC, so the remainder is below 2^30. */
static uint64_t factor(uint64_t of, uint64_t per)
{
	return (of / per << SCALE_SHIFT) + ((of % per) << SCALE_SHIFT) / per;
}

void clock_init(void)
{
	bool deadline_mode = cpu_features.tsc_deadline;
	struct tsc_rates measured;

	apic_timer_init(false);
	if (!tsc_calibrate(!deadline_mode, &measured))
		panic("no timer to calibrate the processor's clock with");
	if (deadline_mode)
		apic_timer_init(true);
	rates.deadline_mode = deadline_mode;
	rates.tsc_khz = measured.tsc_hz / 1000;
	rates.tick_per_ns = factor(measured.tsc_hz, NSEC_PER_SEC);
	rates.apic_per_ns = factor(measured.apic_hz, NSEC_PER_SEC);
	rates.ns_per_tick = factor(NSEC_PER_SEC, measured.tsc_hz);
	begin_change();
	shown.vvar.base_tsc = boot_info.entry_tsc;
	shown.vvar.ns_per_tick = rates.ns_per_tick;
	shown.vvar.cpus = cpu_count;
	atomic_fetch_and_explicit(&shown.vvar.sequence, ~VVAR_UNUSABLE, memory_order_relaxed);
	end_change();
	log_info("clock: TSC at %lu.%03lu MHz, %s%s", measured.tsc_hz / 1000000,
		 measured.tsc_hz / 1000 % 1000, measured.source,
		 deadline_mode ? ", also the timer" : "");
}

/* --- timers ----------------------------------------------------------------------------------------- */

/* Sets the hardware to the queue's first timer, unless it will fire early enough anyway. */
static void program(struct timer_queue *queue)
{
	struct timer *first = RB_MIN(timer_tree, &queue->tree);
	uint64_t now, wait_ns;

	if (!first || first->deadline_ns >= queue->programmed_ns)
		return;
	queue->programmed_ns = first->deadline_ns;
	now = clock_ns();
	wait_ns = first->deadline_ns > now ? first->deadline_ns - now : 0;
	/* What is cut fires early, finds nothing due, and goes on from there. */
	wait_ns = MIN(MAX(wait_ns, TIMER_MIN_NS), TIMER_MAX_NS);
	if (rates.deadline_mode) {
		apic_timer_set_deadline(rdtsc() + scale(wait_ns, rates.tick_per_ns) + 1);
	} else {
		uint64_t count = scale(wait_ns, rates.apic_per_ns) + 1;
		apic_timer_set_count((uint32_t)MIN(count, UINT32_MAX));
	}
}

/* Locks the queue that the timer belongs to. */
static struct timer_queue *lock_queue_of(struct timer *timer)
{
	for (;;) {
		uint32_t cpu = atomic_load(&timer->cpu);
		struct timer_queue *queue = &queues[cpu];

		spin_lock(&queue->lock);
		if (atomic_load(&timer->cpu) == cpu)
			return queue;
		spin_unlock(&queue->lock);
	}
}

static bool disarm(struct timer_queue *queue, struct timer *timer)
{
	if (!timer->armed)
		return false;
	RB_REMOVE(timer_tree, &queue->tree, timer);
	timer->armed = false;
	return true;
}

void timer_init(struct timer *timer, void (*callback)(struct timer *timer))
{
	*timer = (struct timer){ .callback = callback };
}

void timer_set(struct timer *timer, uint64_t deadline_ns)
{
	struct timer_queue *queue;
	uint32_t here;

	irq_push_off();
	here = this_cpu()->number;
	for (;;) {
		queue = lock_queue_of(timer);
		disarm(queue, timer);
		if (queue == &queues[here])
			break;
		atomic_store(&timer->cpu, here);
		spin_unlock(&queue->lock);
	}
	timer->deadline_ns = deadline_ns;
	timer->armed = true;
	RB_INSERT(timer_tree, &queue->tree, timer);
	program(queue);
	spin_unlock(&queue->lock);
	irq_pop_off();
}

bool timer_cancel(struct timer *timer)
{
	struct timer_queue *queue = lock_queue_of(timer);
	bool was_armed = disarm(queue, timer);

	/* On this CPU a running callback can only be the caller itself. */
	while (queue->running == timer && queue != &queues[this_cpu()->number]) {
		spin_unlock(&queue->lock);
		cpu_relax();
		spin_lock(&queue->lock);
	}
	spin_unlock(&queue->lock);
	return was_armed;
}

void clock_interrupt(void)
{
	struct timer_queue *queue = &queues[this_cpu()->number];
	uint64_t now = clock_ns();
	struct timer *first;

	spin_lock(&queue->lock);
	queue->programmed_ns = TIMER_NEVER;
	for (unsigned n = 0; n < TIMERS_AT_ONCE; n++) {
		first = RB_MIN(timer_tree, &queue->tree);
		if (!first || first->deadline_ns > now)
			break;
		disarm(queue, first);
		queue->running = first;
		spin_unlock(&queue->lock);
		first->callback(first); /* may free it */
		spin_lock(&queue->lock);
		queue->running = NULL;
	}
	program(queue);
	spin_unlock(&queue->lock);
}
