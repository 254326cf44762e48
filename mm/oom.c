/*
 * mm/oom.c - waiting for memory that somebody's end brings. See the header.
 */
#include "mm/oom.h"

#include "kernel/clock.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/trap.h"
#include "mm/frame.h"
#include "mm/kmap.h"
#include "mm/space.h"

/* A fault needs a page and at most three tables; what is there beyond that, others may take. */
#define ENOUGH_FRAMES 16
/* How long a fault waits at most, how often it looks, and for how long whoever ends has time to. */
#define WAIT_NS (10 * NSEC_PER_SEC)
#define LOOK_NS (20 * NSEC_PER_MSEC)
#define END_NS  (2 * NSEC_PER_SEC)

static struct {
	enum oom_pick (*pick)(void); /* set once, at start */
	struct thread thread;
	struct waitq work;         /* `asked` has changed */
	struct waitq relief;       /* `returned` or `refused` has changed */
	_Atomic uint64_t asked;    /* the number of the last request */
	_Atomic uint64_t refused;  /* the last that there is nobody for */
	_Atomic uint64_t returned; /* counts those that have given their memory back */
	_Atomic uint64_t ended;    /* counts those that were told to */
} oom = {
	.work = WAITQ_INIT(oom.work, "oom"),
	.relief = WAITQ_INIT(oom.relief, "memory"),
};

static bool is_enough(void)
{
	return frame_free_count() >= ENOUGH_FRAMES;
}

/* Requests that come while somebody ends are served by that. */
static void serve(void *unused)
{
	uint64_t served = 0;

	(void)unused;
	for (;;) {
		enum oom_pick picked;
		uint64_t returned;

		wait_event(&oom.work, atomic_load(&oom.asked) != served);
		served = atomic_load(&oom.asked);
		if (is_enough())
			continue;
		returned = atomic_load(&oom.returned);
		picked = oom.pick();
		if (picked == OOM_NOBODY) {
			atomic_store(&oom.refused, served);
			waitq_wake_all(&oom.relief);
		} else {
			atomic_fetch_add(&oom.ended, picked == OOM_PICKED);
			(void)wait_event_timeout(&oom.relief,
						 atomic_load(&oom.returned) != returned,
						 clock_ns() + END_NS);
		}
	}
}

void oom_start(enum oom_pick (*pick)(void))
{
	vaddr_t stack = kstack_alloc();

	if (stack == 0)
		panic("no memory for the oom thread's stack");
	oom.pick = pick;
	thread_init(&oom.thread, "oom", stack, serve, NULL, NULL);
	thread_start(&oom.thread);
}

void oom_memory_returned(void)
{
	atomic_fetch_add(&oom.returned, 1);
	waitq_wake_all(&oom.relief);
}

uint64_t oom_count(void)
{
	return atomic_load(&oom.ended);
}

int oom_relieve(void)
{
	uint64_t deadline = clock_ns() + WAIT_NS;

	if (frame_reclaim(ENOUGH_FRAMES) > 0 && is_enough())
		return 0;
	/* Asked again and again: what others' memory was enough for may have gone to others yet. */
	while (clock_ns() < deadline) {
		uint64_t ticket = atomic_fetch_add(&oom.asked, 1) + 1;

		waitq_wake_all(&oom.work);
		(void)wait_event_timeout(&oom.relief,
					 is_enough() || atomic_load(&oom.refused) >= ticket,
					 clock_ns() + LOOK_NS);
		if (current->kill_pending)
			return -EINTR;
		if (is_enough())
			return 0;
		if (atomic_load(&oom.refused) >= ticket)
			return -ENOMEM;
	}
	return -ENOMEM;
}

int space_fault_current(vaddr_t address, unsigned access)
{
	struct space *space = current->space;
	int error;

	if (!space)
		return -EFAULT;
	do {
		error = space_fault(space, address, access);
	} while (error == -ENOMEM && (error = oom_relieve()) == 0);
	if (!(access & FAULT_USER))
		current->starved = error == -ENOMEM;
	return error;
}
