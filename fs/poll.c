/*
 * fs/poll.c - poll(2) and select(2): waiting for one of several files.
 *
 * Both come down to the same thing: an array of descriptors with wanted events. Each look at it takes
 * the files by their descriptors anew, so a file that is closed meanwhile is POLLNVAL, not a
 * dangling pointer.
 */
#include "fs/poll.h"
#include "fs/ops.h"
#include "fs/signal.h"
#include "kernel/clock.h"
#include "kernel/limits.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/slab.h"
#include "mm/user.h"
#include <asm/poll.h>
#include <linux/posix_types.h>
#include <linux/time_types.h>

/* What a file without a poll operation always is. */
#define ALWAYS_READY (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM)
/* Reported whether or not they were asked for. */
#define ALWAYS_WANTED (POLLERR | POLLHUP | POLLNVAL)

/* select(2): a bit set of so many descriptors. */
#define SET_BITS  __FD_SETSIZE
#define WORD_BITS (8 * sizeof(unsigned long))

static struct waitq pollers = WAITQ_INIT(pollers, "poll");
static _Atomic uint64_t changes; /* so many times something may have become ready */

void poll_notify(void)
{
	atomic_fetch_add(&changes, 1);
	waitq_wake_all(&pollers);
}

static unsigned events_of(const struct pollfd *entry)
{
	struct file *file;
	unsigned events;

	if (entry->fd < 0)
		return 0;
	file = fd_get(entry->fd);
	if (file == NULL)
		return POLLNVAL;
	if ((atomic_load(&file->flags) & O_PATH) != 0)
		events = POLLNVAL;
	else if (file->ops->poll != NULL)
		events = file->ops->poll(file);
	else
		events = ALWAYS_READY;
	file_put(file);
	return events & ((unsigned)(uint16_t)entry->events | ALWAYS_WANTED);
}

/* Fills in the events of all; how many have any. */
static unsigned look(struct pollfd *entries, unsigned count)
{
	unsigned ready = 0;

	for (unsigned i = 0; i < count; i++) {
		entries[i].revents = (short)events_of(&entries[i]);
		ready += entries[i].revents != 0;
	}
	return ready;
}

/* Until one is ready, the deadline is past (0), or a signal comes (-EINTR). */
static int64_t wait_ready(struct pollfd *entries, unsigned count, uint64_t deadline_ns)
{
	int error = 0;

	for (;;) {
		uint64_t seen = atomic_load(&changes);
		unsigned ready = look(entries, count);

		if (ready > 0)
			return ready;
		if (error == -EINTR)
			sleep_cut_short(deadline_ns);
		if (error != 0)
			return error == -ETIMEDOUT ? 0 : error;
		error = wait_event_full(&pollers, atomic_load(&changes) != seen, WAIT_SIGNAL,
					deadline_ns);
	}
}

static int deadline_from_timespec(vaddr_t user, uint64_t *deadline_ns)
{
	struct __kernel_timespec ts;
	uint64_t wait_ns;
	int error;

	*deadline_ns = NO_DEADLINE;
	if (user == 0)
		return 0;
	error = get_user(&ts, user);
	if (error != 0)
		return error;
	if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= (long long)NSEC_PER_SEC)
		return -EINVAL;
	if (__builtin_mul_overflow((uint64_t)ts.tv_sec, NSEC_PER_SEC, &wait_ns) ||
	    __builtin_add_overflow(wait_ns, (uint64_t)ts.tv_nsec, &wait_ns))
		wait_ns = NO_DEADLINE;
	*deadline_ns = sleep_deadline(wait_ns);
	return 0;
}

/* --- a signal mask while waiting: ppoll(2) --------------------------------------------------------- */

static int begin_mask(vaddr_t user, size_t size)
{
	uint64_t mask;

	if (user == 0)
		return 0;
	if (size != sizeof(mask))
		return -EINVAL;
	if (get_user(&mask, user) != 0)
		return -EFAULT;
	signal_begin_mask(mask);
	return 0;
}

/* Cut short, it stays until the signal is delivered, which must not be blocked again before. */
static int64_t end_mask(vaddr_t user, int64_t result)
{
	if (user != 0 && result != -EINTR)
		signal_end_mask();
	return result;
}

/* --- poll ------------------------------------------------------------------------------------------- */

static int64_t poll(vaddr_t user, unsigned count, uint64_t deadline_ns)
{
	size_t size = (size_t)count * sizeof(struct pollfd);
	struct pollfd *entries;
	int64_t result;
	int error;

	if (count > limit_get(RLIMIT_NOFILE))
		return -EINVAL;
	entries = kalloc(MAX(size, sizeof(struct pollfd)));
	if (entries == NULL)
		return -ENOMEM;
	result = copy_from_user(entries, user, size);
	if (result == 0)
		result = wait_ready(entries, count, deadline_ns);
	if (result >= 0) {
		error = copy_to_user(user, entries, size);
		if (error != 0)
			result = error;
	}
	kfree(entries);
	return result;
}

SYSCALL3(poll, vaddr_t, entries, unsigned, count, int, timeout_ms)
{
	uint64_t deadline_ns = NO_DEADLINE;

	if (timeout_ms >= 0)
		deadline_ns = sleep_deadline((uint64_t)timeout_ms * NSEC_PER_MSEC);
	return poll(entries, count, deadline_ns);
}

SYSCALL5(ppoll, vaddr_t, entries, unsigned, count, vaddr_t, timeout, vaddr_t, mask, size_t,
	 mask_size)
{
	uint64_t deadline_ns;
	int64_t result = deadline_from_timespec(timeout, &deadline_ns);

	if (result == 0)
		result = begin_mask(mask, mask_size);
	if (result == 0)
		result = end_mask(mask, poll(entries, count, deadline_ns));
	return result;
}

/* --- select ------------------------------------------------------------------------------------------ */

/* The three sets of select(2), as its events. */
static const struct {
	uint16_t wanted, meant;
} sets[] = {
	{ POLLIN | POLLRDNORM, POLLIN | POLLRDNORM | POLLHUP | POLLERR },
	{ POLLOUT | POLLWRNORM, POLLOUT | POLLWRNORM | POLLERR },
	{ POLLPRI, POLLPRI },
};

static bool set_has(const unsigned long *set, unsigned fd)
{
	return (set[fd / WORD_BITS] >> (fd % WORD_BITS) & 1) != 0;
}

/* Entries for every descriptor that is in a set. */
static unsigned entries_from_sets(__kernel_fd_set bits[], unsigned limit, struct pollfd *entries)
{
	unsigned count = 0;

	for (unsigned fd = 0; fd < limit; fd++) {
		uint16_t wanted = 0;
		for (unsigned i = 0; i < ARRAY_SIZE(sets); i++) {
			if (set_has(bits[i].fds_bits, fd))
				wanted |= sets[i].wanted;
		}
		if (wanted != 0)
			entries[count++] =
				(struct pollfd){ .fd = (int)fd, .events = (short)wanted };
	}
	return count;
}

/* The other way: the sets keep what is ready; the number of bits, or -EBADF. */
static int64_t sets_from_entries(__kernel_fd_set bits[], const struct pollfd *entries,
				 unsigned count)
{
	int64_t total = 0;
	__kernel_fd_set old;

	for (unsigned i = 0; i < ARRAY_SIZE(sets); i++) {
		old = bits[i];
		memset(&bits[i], 0, sizeof(bits[i]));
		for (unsigned j = 0; j < count; j++) {
			unsigned fd = (unsigned)entries[j].fd;
			if ((entries[j].revents & POLLNVAL) != 0)
				return -EBADF;
			if (!set_has(old.fds_bits, fd) || (entries[j].revents & sets[i].meant) == 0)
				continue;
			bits[i].fds_bits[fd / WORD_BITS] |= 1UL << (fd % WORD_BITS);
			total++;
		}
	}
	return total;
}

static int64_t select(int limit, const vaddr_t users[], uint64_t deadline_ns)
{
	__kernel_fd_set bits[ARRAY_SIZE(sets)] = { 0 };
	struct pollfd *entries;
	unsigned fds = (unsigned)MIN(limit, SET_BITS);
	unsigned count;
	size_t size = DIV_ROUND_UP(fds, WORD_BITS) * sizeof(unsigned long);
	int64_t result = 0;

	if (limit < 0)
		return -EINVAL;
	for (unsigned i = 0; i < ARRAY_SIZE(sets) && result == 0; i++) {
		if (users[i] != 0)
			result = copy_from_user(&bits[i], users[i], size);
	}
	if (result != 0)
		return result;
	entries = kalloc((fds + 1) * sizeof(*entries));
	if (entries == NULL)
		return -ENOMEM;
	count = entries_from_sets(bits, fds, entries);
	result = wait_ready(entries, count, deadline_ns);
	if (result >= 0)
		result = sets_from_entries(bits, entries, count);
	for (unsigned i = 0; i < ARRAY_SIZE(sets) && result >= 0; i++) {
		int error = users[i] != 0 ? copy_to_user(users[i], &bits[i], size) : 0;
		if (error != 0)
			result = error;
	}
	kfree(entries);
	return result;
}

SYSCALL5(select, int, limit, vaddr_t, in, vaddr_t, out, vaddr_t, except, vaddr_t, timeout)
{
	const vaddr_t users[] = { in, out, except };
	uint64_t deadline_ns = NO_DEADLINE;
	struct __kernel_old_timeval tv;
	uint64_t wait_ns;
	int error;

	if (timeout != 0) {
		error = get_user(&tv, timeout);
		if (error != 0)
			return error;
		if (tv.tv_sec < 0 || tv.tv_usec < 0)
			return -EINVAL;
		if (!__builtin_mul_overflow((uint64_t)tv.tv_sec, NSEC_PER_SEC, &wait_ns) &&
		    wait_ns < NO_DEADLINE / 4 && (uint64_t)tv.tv_usec < NSEC_PER_SEC)
			deadline_ns =
				sleep_deadline(wait_ns + (uint64_t)tv.tv_usec * NSEC_PER_USEC);
	}
	return select(limit, users, deadline_ns);
}

SYSCALL6(pselect6, int, limit, vaddr_t, in, vaddr_t, out, vaddr_t, except, vaddr_t, timeout,
	 vaddr_t, mask)
{
	const vaddr_t users[] = { in, out, except };
	struct {
		vaddr_t mask;
		size_t size;
	} argument = { 0 };
	uint64_t deadline_ns;
	int64_t result = deadline_from_timespec(timeout, &deadline_ns);

	if (result == 0 && mask != 0)
		result = get_user(&argument, mask);
	if (result == 0)
		result = begin_mask(argument.mask, argument.size);
	if (result == 0)
		result = end_mask(argument.mask, select(limit, users, deadline_ns));
	return result;
}
