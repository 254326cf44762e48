/*
 * net/net.c - net_lock, and the thread that keeps the network going.
 *
 * The thread polls. It sleeps only when nothing has come for a while, and only then do the cards
 * interrupt. What "a while" is good for: a TFTP transfer in lock-step waits a round trip for each
 * block, and an interrupt, a wake-up and a switch would be added to each. So after a packet the
 * thread watches the cards' rings for a moment, as long as nobody else wants the processor; if
 * somebody does, it sleeps at once, and the card's interrupt brings it back before any user code.
 *
 *	      ┌──────────────── packets ────────────────┐
 *	      v                                         │
 *	   serve ── nothing came ──> watch (SPIN_NS) ───┤
 *	      ^                        │ over, or others │
 *	      │                        v   are waiting   │
 *	      └── interrupt, kick,  sleep ───────────────┘
 *	          timer             (interrupts on)
 */
#include "net/net.h"

#include "dev/pci.h"
#include "kernel/clock.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/x86_64/regs.h"
#include "lwip/init.h"
#include "lwip/timeouts.h"
#include "mm/kmap.h"
#include "net/internal.h"

/* Frames of each card for one hold of net_lock. */
#define BUDGET 64
/* A round trip in a local network, and the server's time to read a block. */
#define SPIN_NS (500 * NSEC_PER_USEC)
/* However much comes, the others get the processor after this long. */
#define BURST_NS (5 * NSEC_PER_MSEC)

struct mutex net_lock;

static struct thread net_thread;
static struct waitq wake = WAITQ_INIT(wake, "network");
static _Atomic bool kicked; /* somebody wants the thread to look */

void net_kick(void)
{
	atomic_store(&kicked, true);
	waitq_wake_all(&wake);
}

/* Works through what there is. True if anything came; *deadline_ns is when the next timer is due. */
static bool serve(uint64_t *deadline_ns)
{
	mutex_lock(&net_lock);
	unsigned count = nics_serve(BUDGET, sys_check_timeouts);
	u32_t sleep_ms = sys_timeouts_sleeptime();
	mutex_unlock(&net_lock);
	*deadline_ns = sleep_ms == SYS_TIMEOUTS_SLEEPTIME_INFINITE
			       ? NO_DEADLINE
			       : clock_ns() + sleep_ms * NSEC_PER_MSEC;
	return count > 0;
}

static bool something_to_do(void)
{
	return kicked || nics_pending();
}

/* Watches the cards until there is something to do (true), the time is over, or others wait. */
static bool watch(uint64_t until_ns)
{
	while (!something_to_do()) {
		if (sched_contended() || clock_ns() >= until_ns)
			return false;
		cpu_relax();
	}
	return true;
}

static void net_main(void *arg)
{
	uint64_t burst_end = clock_ns() + BURST_NS, deadline, spin_end = 0;

	for (;;) {
		atomic_store(&kicked, false);
		bool came = serve(&deadline);
		uint64_t now = clock_ns();
		if (came) {
			spin_end = now + SPIN_NS;
			if (now >= burst_end) {
				sched_yield();
				burst_end = clock_ns() + BURST_NS;
			}
		}
		if (watch(MIN(spin_end, deadline)))
			continue;

		nics_set_interrupts(true);
		wait_event_full(&wake, something_to_do(), WAIT_UNINTERRUPTIBLE, deadline);
		nics_set_interrupts(false);
		burst_end = clock_ns() + BURST_NS;
	}
}

/* Says what there is, to whoever wonders why the network does not come up. */
static void no_card(void)
{
	char seen[LOG_LINE_MAX - 64] = "";
	size_t length = 0;

	for (struct pci_device *d = NULL; (d = pci_find(d, NULL)) != NULL;) {
		int more = snprintf(seen + length, sizeof(seen) - length, " %04x:%04x", d->vendor,
				    d->device);
		if (more < 0 || length + more >= sizeof(seen))
			break;
		length += more;
	}
	log_err("net: no network card that this kernel drives; PCI has%s",
		length > 0 ? seen : " nothing");
}

void net_init(void)
{
	mutex_init(&net_lock, "net", RANK_NET);
	mutex_lock(&net_lock);
	lwip_init();
	mutex_unlock(&net_lock);

	pci_init();
	virtio_net_probe();
	if (nic_first() == NULL) {
		no_card();
		return;
	}

	mutex_lock(&net_lock);
	configure_start();
	mutex_unlock(&net_lock);

	vaddr_t stack = kstack_alloc();
	if (stack == 0)
		panic("no memory for the network thread's stack");
	thread_init(&net_thread, "network", stack, net_main, NULL, NULL);
	thread_start(&net_thread);
}
