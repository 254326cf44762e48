/*
 * fs/poll.c - poll(2) and select(2): waiting for one of several files.
 *
 * Both come down to the same thing: an array of descriptors with wanted events. The first look at it asks
 * each file by its descriptor, and mostly finds what was waited for. If not, every file is held and its
 * queues are watched until one of them is woken.
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

#define USEC_PER_SEC  (NSEC_PER_SEC / NSEC_PER_USEC)

/* select(2): bits in a word of its sets. */
#define WORD_BITS (8 * sizeof(unsigned long))

/* A thread that sleeps until a watched queue is woken. */
struct poller {
	struct waitq queue;
	_Atomic bool woken;
};

/* A file that it waits for. */
struct awaited {
	struct file *file; /* held; NULL: nothing to wait for */
	struct poller *poller;
	struct poll_table table;
};

/* So many at a time, because there may be more than one piece of memory takes. */
#define GROUP_SIZE 32
struct group {
	struct group *next;
	struct awaited awaited[GROUP_SIZE];
};

void poll_table_init(struct poll_table *table, struct waitq *(*woken)(struct poll_table *table),
		     unsigned events)
{
	*table = (struct poll_table){ .woken = woken, .events = events };
}

static struct waitq *pass_on(struct watch *watch)
{
	struct poll_table *table = container_of(watch, struct poll_watch, watch)->table;

	return table->woken(table);
}

void poll_wait(struct poll_table *table, struct waitq *queue)
{
	if (table == NULL)
		return;
	assert(table->used < POLL_QUEUES);
	table->watches[table->used].table = table;
	watch_add(&table->watches[table->used].watch, queue, pass_on);
	table->used++;
}

bool poll_wants(const struct poll_table *table, unsigned events)
{
	return table != NULL && (table->events & events) != 0;
}

void poll_forget(struct poll_table *table)
{
	while (table->used > 0)
		watch_remove(&table->watches[--table->used].watch);
}

unsigned poll_file(struct file *file, struct poll_table *table)
{
	if ((atomic_load(&file->flags) & O_PATH) != 0)
		return POLLNVAL;
	return file->ops->poll != NULL ? file->ops->poll(file, table) : ALWAYS_READY;
}

static unsigned wanted(const struct pollfd *entry)
{
	return (unsigned)(uint16_t)entry->events | ALWAYS_WANTED;
}

/* --- looking, without waiting -------------------------------------------------------------------- */

/* A descriptor's events now. `files` is the caller's table if nobody else has it, or NULL. */
static inline unsigned events_of(const struct files *files, int fd)
{
	struct file *file = files != NULL ? files_peek(files, fd) : fd_get(fd);
	unsigned events;

	if (file == NULL)
		return POLLNVAL;
	events = poll_file(file, NULL);
	if (files == NULL)
		file_put(file);
	return events;
}

static const struct files *own_files(void)
{
	return current->files != NULL && !files_shared(current->files) ? current->files : NULL;
}

/* Fills in the events of all; how many have any. */
static unsigned look(struct pollfd *entries, unsigned count)
{
	const struct files *files = own_files();
	unsigned ready = 0;

	for (struct pollfd *entry = entries; entry < entries + count; entry++) {
		unsigned events = entry->fd >= 0 ? events_of(files, entry->fd) : 0;

		entry->revents = (short)(events & wanted(entry));
		ready += entry->revents != 0;
	}
	return ready;
}

/* --- waiting --------------------------------------------------------------------------------------- */

static struct waitq *wake_poller(struct poll_table *table)
{
	struct poller *poller = container_of(table, struct awaited, table)->poller;

	atomic_store(&poller->woken, true);
	return &poller->queue;
}

static void forget_all(struct group *groups)
{
	while (groups != NULL) {
		struct group *next = groups->next;
		for (unsigned i = 0; i < GROUP_SIZE; i++) {
			if (groups->awaited[i].file == NULL)
				continue;
			poll_forget(&groups->awaited[i].table);
			file_put(groups->awaited[i].file);
		}
		kfree(groups);
		groups = next;
	}
}

/* Room for all entries; NULL: no memory. */
static struct group *make_groups(unsigned count)
{
	struct group *groups = NULL;

	for (unsigned made = 0; made < count || groups == NULL; made += GROUP_SIZE) {
		struct group *group = kzalloc(sizeof(*group));
		if (group == NULL) {
			forget_all(groups);
			return NULL;
		}
		group->next = groups;
		groups = group;
	}
	return groups;
}

/*
 * Fills in the events of all, from the files that are watched; the first time, watches them. How many
 * have any.
 */
static unsigned look_watched(struct pollfd *entries, unsigned count, struct group *group,
			     struct poller *poller, bool first)
{
	unsigned ready = 0;

	for (unsigned i = 0; i < count; i++) {
		struct awaited *a = &group->awaited[i % GROUP_SIZE];
		unsigned events = 0;

		if (first && entries[i].fd >= 0) {
			a->file = fd_get(entries[i].fd);
			a->poller = poller;
			poll_table_init(&a->table, wake_poller, wanted(&entries[i]));
			events = a->file != NULL ? poll_file(a->file, &a->table) : POLLNVAL;
		} else if (a->file != NULL) {
			events = poll_file(a->file, NULL);
		}
		entries[i].revents = (short)(events & wanted(&entries[i]));
		ready += entries[i].revents != 0;
		if (i % GROUP_SIZE == GROUP_SIZE - 1)
			group = group->next;
	}
	return ready;
}

static int64_t wait_watched(struct pollfd *entries, unsigned count, uint64_t deadline_ns)
{
	struct poller poller = { .queue = WAITQ_INIT(poller.queue, "poll") };
	struct group *groups = make_groups(count);
	unsigned ready;
	int error = 0;

	if (groups == NULL)
		return -ENOMEM;
	ready = look_watched(entries, count, groups, &poller, true);
	while (ready == 0 && error == 0) {
		error = wait_event_full(&poller.queue, atomic_load(&poller.woken), WAIT_SIGNAL,
					deadline_ns);
		/* Before the look: what changes during it wakes us again. */
		atomic_store(&poller.woken, false);
		ready = look_watched(entries, count, groups, &poller, false);
	}
	forget_all(groups);
	if (ready > 0)
		return ready;
	if (error == -EINTR)
		sleep_cut_short(deadline_ns);
	return error == -ETIMEDOUT ? 0 : error;
}

/* Until one is ready, the deadline is past (0), or a signal comes (-EINTR). */
static int64_t wait_ready(struct pollfd *entries, unsigned count, uint64_t deadline_ns)
{
	unsigned ready = look(entries, count);

	if (ready > 0)
		return ready;
	if (deadline_ns != NO_DEADLINE && clock_ns() >= deadline_ns)
		return 0;
	return wait_watched(entries, count, deadline_ns);
}

/* --- timeouts ------------------------------------------------------------------------------------- */

/* Of a time that has been checked; NO_DEADLINE if it is beyond counting. */
static uint64_t deadline_after(uint64_t seconds, uint64_t ns)
{
	uint64_t wait_ns;

	if (__builtin_mul_overflow(seconds, NSEC_PER_SEC, &wait_ns) ||
	    __builtin_add_overflow(wait_ns, ns, &wait_ns))
		wait_ns = NO_DEADLINE;
	return sleep_deadline(wait_ns);
}

int poll_deadline(vaddr_t user, uint64_t *deadline_ns)
{
	struct __kernel_timespec ts;
	int error;

	*deadline_ns = NO_DEADLINE;
	if (user == 0)
		return 0;
	error = get_user(&ts, user);
	if (error != 0)
		return error;
	if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= (long long)NSEC_PER_SEC)
		return -EINVAL;
	*deadline_ns = deadline_after((uint64_t)ts.tv_sec, (uint64_t)ts.tv_nsec);
	return 0;
}

static int deadline_from_timeval(vaddr_t user, uint64_t *deadline_ns)
{
	struct __kernel_old_timeval tv;
	int error;

	*deadline_ns = NO_DEADLINE;
	if (user == 0)
		return 0;
	error = get_user(&tv, user);
	if (error != 0)
		return error;
	if (tv.tv_sec < 0 || tv.tv_usec < 0)
		return -EINVAL;
	/* Linux takes microseconds beyond a second as what they are. */
	*deadline_ns = deadline_after((uint64_t)tv.tv_sec + (uint64_t)tv.tv_usec / USEC_PER_SEC,
				      (uint64_t)tv.tv_usec % USEC_PER_SEC * NSEC_PER_USEC);
	return 0;
}

static uint64_t time_left(uint64_t deadline_ns)
{
	uint64_t now = clock_ns();

	return deadline_ns > now ? deadline_ns - now : 0;
}

/*
 * The time that is left goes back to the caller; where it cannot be written it is not, which is no
 * error (select(2)).
 */
static void give_timespec(vaddr_t user, uint64_t deadline_ns)
{
	uint64_t left = time_left(deadline_ns);
	struct __kernel_timespec ts = { (long long)(left / NSEC_PER_SEC),
					(long long)(left % NSEC_PER_SEC) };

	if (user != 0 && deadline_ns != NO_DEADLINE && put_user(user, ts) != 0)
		return;
}

static void give_timeval(vaddr_t user, uint64_t deadline_ns)
{
	uint64_t left = time_left(deadline_ns);
	struct __kernel_old_timeval tv = { (long)(left / NSEC_PER_SEC),
					   (long)(left % NSEC_PER_SEC / NSEC_PER_USEC) };

	if (user != 0 && deadline_ns != NO_DEADLINE && put_user(user, tv) != 0)
		return;
}

/* --- a signal mask while waiting: ppoll(2) --------------------------------------------------------- */

int poll_begin_mask(vaddr_t user, size_t size)
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

int64_t poll_end_mask(vaddr_t user, int64_t result)
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
	int64_t result = poll_deadline(timeout, &deadline_ns);

	if (result == 0)
		result = poll_begin_mask(mask, mask_size);
	if (result == 0) {
		result = poll_end_mask(mask, poll(entries, count, deadline_ns));
		give_timespec(timeout, deadline_ns);
	}
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

/* What makes a descriptor ready in any of them, or not a descriptor. */
#define ANY_SET \
	(POLLIN | POLLRDNORM | POLLHUP | POLLERR | POLLOUT | POLLWRNORM | POLLPRI | POLLNVAL)

static bool set_has(const unsigned long *set, unsigned fd)
{
	return (set[fd / WORD_BITS] >> (fd % WORD_BITS) & 1) != 0;
}

/* The three sets, what of them is ready, and the entries that they mean. */
struct selection {
	unsigned limit; /* descriptors are below it */
	size_t words;   /* of a set */
	unsigned long *bits[ARRAY_SIZE(sets)];
	unsigned long *ready[ARRAY_SIZE(sets)];
	unsigned count;
	struct pollfd *entries;
};

/* The descriptors of one word that are in any set. */
static unsigned long any_bits(const struct selection *s, size_t word)
{
	unsigned long bits = s->bits[0][word] | s->bits[1][word] | s->bits[2][word];
	size_t first = word * WORD_BITS;

	return s->limit - first < WORD_BITS ? bits & ((1UL << (s->limit - first)) - 1) : bits;
}

/* Notes a descriptor's events; how many sets it is ready in, or -EBADF. */
static int note_events(struct selection *s, unsigned fd, unsigned events)
{
	unsigned long bit = 1UL << (fd % WORD_BITS);
	int count = 0;

	if ((events & POLLNVAL) != 0)
		return -EBADF;
	for (unsigned i = 0; i < ARRAY_SIZE(sets); i++) {
		if ((s->bits[i][fd / WORD_BITS] & bit) == 0 || (events & sets[i].meant) == 0)
			continue;
		s->ready[i][fd / WORD_BITS] |= bit;
		count++;
	}
	return count;
}

/* Looks at all of them, without waiting; how many are ready, or -EBADF. */
static int64_t look_at_sets(struct selection *s)
{
	const struct files *files = own_files();
	int64_t total = 0;

	for (size_t word = 0; word < s->words; word++) {
		for (unsigned long bits = any_bits(s, word); bits != 0; bits &= bits - 1) {
			unsigned fd = (unsigned)(word * WORD_BITS + (size_t)__builtin_ctzl(bits));
			unsigned events = events_of(files, (int)fd);
			int count = (events & ANY_SET) != 0 ? note_events(s, fd, events) : 0;

			if (count < 0)
				return count;
			total += count;
			s->count++;
		}
	}
	return total;
}

/* Waits for one of them to be ready; as look_at_sets(), or what wait_watched() says. */
static int64_t wait_for_sets(struct selection *s, uint64_t deadline_ns)
{
	struct pollfd *entries = kalloc(MAX(s->count, 1u) * sizeof(*entries));
	unsigned count = 0;
	int64_t result, total = 0;

	if (entries == NULL)
		return -ENOMEM;
	for (size_t word = 0; word < s->words; word++) {
		for (unsigned long bits = any_bits(s, word); bits != 0; bits &= bits - 1) {
			unsigned fd = (unsigned)(word * WORD_BITS + (size_t)__builtin_ctzl(bits));
			uint16_t events = 0;
			for (unsigned i = 0; i < ARRAY_SIZE(sets); i++) {
				if (set_has(s->bits[i], fd))
					events |= sets[i].wanted;
			}
			entries[count++] =
				(struct pollfd){ .fd = (int)fd, .events = (short)events };
		}
	}
	result = wait_watched(entries, count, deadline_ns);
	for (unsigned i = 0; i < count && result > 0 && total >= 0; i++) {
		int more = note_events(s, (unsigned)entries[i].fd,
				       (unsigned)(uint16_t)entries[i].revents);
		total = more < 0 ? more : total + more;
	}
	kfree(entries);
	return result > 0 ? total : result;
}

/* Descriptors that the table has no place for are not looked at: select(2), as Linux does it. */
static unsigned clip(int limit)
{
	return MIN((unsigned)limit, (unsigned)ALIGN_UP(files_count(current->files), WORD_BITS));
}

static int64_t select(int limit, const vaddr_t users[], uint64_t deadline_ns)
{
	struct selection s = { 0 };
	int64_t result = 0;
	size_t size;

	if (limit < 0)
		return -EINVAL;
	s.limit = clip(limit);
	s.words = DIV_ROUND_UP(s.limit, WORD_BITS);
	size = s.words * sizeof(unsigned long);
	s.bits[0] = kzalloc(MAX(2 * ARRAY_SIZE(sets) * size, sizeof(unsigned long)));
	if (s.bits[0] == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < ARRAY_SIZE(sets) && result == 0; i++) {
		s.bits[i] = s.bits[0] + i * s.words;
		s.ready[i] = s.bits[i] + ARRAY_SIZE(sets) * s.words;
		if (users[i] != 0)
			result = copy_from_user(s.bits[i], users[i], size);
	}
	if (result == 0)
		result = look_at_sets(&s);
	if (result == 0 && (deadline_ns == NO_DEADLINE || clock_ns() < deadline_ns))
		result = wait_for_sets(&s, deadline_ns);
	for (unsigned i = 0; i < ARRAY_SIZE(sets) && result >= 0; i++) {
		int error = users[i] != 0 ? copy_to_user(users[i], s.ready[i], size) : 0;
		if (error != 0)
			result = error;
	}
	kfree(s.bits[0]);
	return result;
}

SYSCALL5(select, int, limit, vaddr_t, in, vaddr_t, out, vaddr_t, except, vaddr_t, timeout)
{
	const vaddr_t users[] = { in, out, except };
	uint64_t deadline_ns;
	int64_t result = deadline_from_timeval(timeout, &deadline_ns);

	if (result == 0) {
		result = select(limit, users, deadline_ns);
		give_timeval(timeout, deadline_ns);
	}
	return result;
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
	int64_t result = poll_deadline(timeout, &deadline_ns);

	if (result == 0 && mask != 0)
		result = get_user(&argument, mask);
	if (result == 0)
		result = poll_begin_mask(argument.mask, argument.size);
	if (result == 0) {
		result = poll_end_mask(argument.mask, select(limit, users, deadline_ns));
		give_timespec(timeout, deadline_ns);
	}
	return result;
}
