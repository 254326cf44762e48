/*
 * proc/futex_waitv.c - futex_waitv(2): waiting for the first of several words to be said to have changed.
 *
 * There is a waiter for each, and all wake one sleep. Which of them was woken is the answer; those that were
 * woken, too, have been in vain, as they may be anywhere.
 */
#include "kernel/syscall.h"
#include "kernel/timespec.h"
#include "mm/slab.h"
#include "mm/user.h"
#include "proc/futex.h"
#include <linux/time.h>
#include <linux/time_types.h>

struct item {
	struct futex_waiter waiter;
	vaddr_t address;
	uint32_t expected;
};

/* What one has to wait for, read and checked. */
static int read_item(vaddr_t from, struct item *item, struct waitq *sleep)
{
	struct futex_waitv entry;
	int error;

	if (get_user(&entry, from) != 0)
		return -EFAULT;
	if ((entry.flags & ~(uint32_t)(FUTEX_32 | FUTEX_PRIVATE_FLAG)) ||
	    !(entry.flags & FUTEX_32) || entry.__reserved != 0)
		return -EINVAL;
	*item = (struct item){
		.waiter = { .bits = FUTEX_BITSET_MATCH_ANY, .sleep = sleep },
		.address = entry.uaddr,
		.expected = (uint32_t)entry.val,
	};
	error = futex_key(item->address, entry.flags & FUTEX_PRIVATE_FLAG, &item->waiter.key);
	item->waiter.bucket = futex_bucket(&item->waiter.key);
	return error;
}

/* Takes the first `count` off again; the last of those that were woken, or -1. */
static int dequeue(struct item *items, unsigned count)
{
	int woken = -1;

	for (unsigned i = 0; i < count; i++) {
		if (futex_dequeue(&items[i].waiter) == FUTEX_WOKEN)
			woken = (int)i;
	}
	return woken;
}

static bool any_woken(const struct item *items, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (items[i].waiter.state != FUTEX_ASLEEP)
			return true;
	}
	return false;
}

static int64_t wait_for_first(vaddr_t from, unsigned count, struct item *items,
			      uint64_t deadline_ns)
{
	unsigned queued = 0;
	struct waitq sleep;
	int error = 0, woken;

	waitq_init(&sleep, "futexes");
	/* All are looked at before the first is waited for. */
	for (unsigned i = 0; error == 0 && i < count; i++)
		error = read_item(from + i * sizeof(struct futex_waitv), &items[i], &sleep);
	while (error == 0 && queued < count) {
		error = futex_enqueue(&items[queued].waiter, items[queued].address,
				      items[queued].expected);
		queued += error == 0;
	}
	if (error == 0)
		error = wait_event_full(&sleep, any_woken(items, count), WAIT_SIGNAL, deadline_ns);
	woken = dequeue(items, queued);
	if (woken >= 0)
		return woken;
	if (error == -EINTR && deadline_ns != NO_DEADLINE)
		sleep_cut_short(deadline_ns);
	return error;
}

/* The time is absolute. */
static int read_deadline(vaddr_t timeout, int clock, uint64_t *deadline_ns)
{
	uint64_t ns, now = clock == CLOCK_REALTIME ? clock_wall_ns() : clock_ns();
	struct __kernel_timespec time;
	int error;

	*deadline_ns = NO_DEADLINE;
	if (timeout == 0)
		return 0;
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
		return -EINVAL;
	if (get_user(&time, timeout) != 0)
		return -EFAULT;
	error = timespec_to_ns(&time, &ns);
	if (error == 0)
		*deadline_ns = sleep_deadline(ns > now ? ns - now : 0);
	return error;
}

SYSCALL5(futex_waitv, vaddr_t, from, uint32_t, count, uint32_t, flags, vaddr_t, timeout, int, clock)
{
	struct item *items;
	uint64_t deadline_ns;
	int64_t result;

	if (flags != 0 || count == 0 || count > FUTEX_WAITV_MAX || from == 0)
		return -EINVAL;
	result = read_deadline(timeout, clock, &deadline_ns);
	if (result != 0)
		return result;
	items = kalloc(count * sizeof(*items));
	if (!items)
		return -ENOMEM;
	result = wait_for_first(from, count, items, deadline_ns);
	kfree(items);
	return result;
}
