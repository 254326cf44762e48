/*
 * fs/epoll.c - epoll(7): a set of files that is kept, and a list of those that may be ready.
 *
 *	epoll ── items, by file and descriptor ──> item ── watches ──> the file's wait queues
 *	   └──── ready list ─────────────────────────┘
 *
 * An item whose file changes puts itself on the ready list. Who waits takes items off that list, asks
 * their files what is ready now, and puts those back that are level-triggered: the next wait asks them
 * again.
 *
 * One mutex, epoll_lock, protects the items of all epoll files and how these are nested, so that an
 * epoll file inside another one is asked under the lock that its asker holds. The ready lists are under
 * watch_lock, since wake-ups come from anywhere.
 *
 * An item does not hold its file: the file's last put takes it out of every set that it is in.
 */
#include "fs/epoll.h"
#include "fs/ops.h"
#include "fs/poll.h"
#include "fs/stat.h"
#include "kernel/clock.h"
#include "kernel/sched.h"
#include "kernel/syscall.h"
#include "kernel/watch.h"
#include "mm/frame.h"
#include "mm/slab.h"
#include "mm/user.h"
#include <asm/poll.h>
#include <bsd/sys/tree.h>
#include <linux/eventpoll.h>

/* epoll_ctl(2): so deep may epoll files be nested; more, and circles, are ELOOP. */
#define LEVELS_MAX 5
/* Reported whether or not they were asked for. */
#define ALWAYS_WANTED (EPOLLERR | EPOLLHUP)
/* What is not an event but says how events are told. */
#define MODE_BITS (EPOLLET | EPOLLONESHOT | EPOLLWAKEUP | EPOLLEXCLUSIVE)
/* EPOLLEXCLUSIVE goes with these only. */
#define EXCLUSIVE_BITS                                                                       \
	(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE | \
	 EPOLLRDNORM | EPOLLWRNORM)
/* As Linux's max_user_watches: items take up to this part of memory (1/25). */
#define ITEMS_SHARE 25
#define MAX_EVENTS  ((int)(INT32_MAX / sizeof(struct epoll_event)))

struct epoll_item {
	RB_ENTRY(epoll_item) link;          /* epoll_lock */
	LIST_ENTRY(epoll_item) of_file;     /* epoll_lock */
	struct epoll *epoll;                /* fixed */
	struct file *file;                  /* not held; fixed */
	int fd;                             /* fixed */
	uint64_t data;                      /* epoll_lock */
	uint32_t events;                    /* epoll_lock, and watch_lock to change */
	struct poll_table table;            /* epoll_lock */
	TAILQ_ENTRY(epoll_item) ready_link; /* watch_lock */
	bool ready;                         /* on the list; watch_lock */
	uint64_t round;                     /* of the last wake-up; watch_lock */
};

TAILQ_HEAD(ready_list, epoll_item);

struct epoll {
	RB_HEAD(epoll_items, epoll_item) items; /* epoll_lock */
	struct ready_list ready;                /* watch_lock */
	struct waitq waiting;                   /* threads in epoll_wait(2), and who polls it */
	struct file *file;                      /* itself; fixed */
	uint64_t visit;                         /* marks it in one search; epoll_lock */
	int levels;                             /* found by that search; epoll_lock */
};

static struct mutex epoll_lock = { .waiters = WAITQ_INIT(epoll_lock.waiters, "epoll"),
				   .rank = RANK_EPOLL,
				   .name = "epoll" };
static uint64_t item_count; /* epoll_lock */
static uint64_t last_visit; /* epoll_lock */

static const struct file_ops epoll_ops;

static int compare_items(struct epoll_item *a, struct epoll_item *b)
{
	if (a->file != b->file)
		return a->file < b->file ? -1 : 1;
	return a->fd < b->fd ? -1 : a->fd > b->fd;
}

RB_GENERATE_STATIC(epoll_items, epoll_item, link, compare_items)

static bool is_epoll(const struct file *file)
{
	return file->ops == &epoll_ops;
}

/* --- the ready list -------------------------------------------------------------------------------- */

/* watch_lock held. */
static void set_ready(struct epoll_item *item)
{
	if (!item->ready)
		TAILQ_INSERT_TAIL(&item->epoll->ready, item, ready_link);
	item->ready = true;
}

static void clear_ready(struct epoll_item *item)
{
	if (item->ready)
		TAILQ_REMOVE(&item->epoll->ready, item, ready_link);
	item->ready = false;
}

/* A queue of the item's file has been woken; watch_lock held. Reached twice in one round, it stops. */
static struct waitq *item_woken(struct poll_table *table)
{
	struct epoll_item *item = container_of(table, struct epoll_item, table);

	if (item->round == watch_round || (item->events & ~MODE_BITS) == 0)
		return NULL;
	item->round = watch_round;
	set_ready(item);
	return &item->epoll->waiting;
}

static void make_ready(struct epoll_item *item)
{
	spin_lock(&watch_lock);
	set_ready(item);
	spin_unlock(&watch_lock);
}

/* Takes the first item off, if there is one. */
static struct epoll_item *take_ready(struct epoll *epoll)
{
	struct epoll_item *item;

	spin_lock(&watch_lock);
	item = TAILQ_FIRST(&epoll->ready);
	if (item != NULL)
		clear_ready(item);
	spin_unlock(&watch_lock);
	return item;
}

static bool has_candidates(struct epoll *epoll)
{
	spin_lock(&watch_lock);
	bool any = !TAILQ_EMPTY(&epoll->ready);
	spin_unlock(&watch_lock);
	return any;
}

/* What the item has to tell now; epoll_lock held. */
static uint32_t events_now(const struct epoll_item *item)
{
	return poll_file(item->file, NULL) & item->events & ~MODE_BITS;
}

/*
 * For who polls the epoll file: whether there is something to be had. Items that turn out not to be
 * ready leave the list, so none is asked in vain twice.
 */
static bool has_events(struct epoll *epoll)
{
	struct epoll_item *item;

	while ((item = take_ready(epoll)) != NULL) {
		if (events_now(item) != 0) {
			make_ready(item);
			return true;
		}
	}
	return false;
}

/* --- items; epoll_lock held ---------------------------------------------------------------------- */

static struct epoll_item *find(struct epoll *epoll, struct file *file, int fd)
{
	struct epoll_item key = { .file = file, .fd = fd };

	return RB_FIND(epoll_items, &epoll->items, &key);
}

/* Watches the file for the item's events; on the ready list if there are some already. */
static void start_watching(struct epoll_item *item)
{
	poll_table_init(&item->table, item_woken, item->events);
	if ((poll_file(item->file, &item->table) & item->events & ~MODE_BITS) == 0)
		return;
	make_ready(item);
	waitq_wake_all(&item->epoll->waiting);
}

/* It is in nothing any more, and goes to `removed`, for free_items(). */
static void remove_item(struct epoll_item *item, struct ready_list *removed)
{
	poll_forget(&item->table);
	spin_lock(&watch_lock);
	clear_ready(item);
	spin_unlock(&watch_lock);
	RB_REMOVE(epoll_items, &item->epoll->items, item);
	LIST_REMOVE(item, of_file);
	TAILQ_INSERT_TAIL(removed, item, ready_link);
	item_count--;
}

static void free_items(struct ready_list *removed)
{
	struct epoll_item *item;

	while ((item = TAILQ_FIRST(removed)) != NULL) {
		TAILQ_REMOVE(removed, item, ready_link);
		kfree(item);
	}
}

/* How many levels of epoll files there are from this one down; circles do not exist. */
static int levels_below(struct epoll *epoll)
{
	struct epoll_item *item;

	if (epoll->visit == last_visit)
		return epoll->levels;
	epoll->visit = last_visit;
	epoll->levels = 1;
	RB_FOREACH (item, epoll_items, &epoll->items) {
		if (is_epoll(item->file)) {
			int below = levels_below(item->file->private);
			epoll->levels = MAX(epoll->levels, below + 1);
		}
	}
	return epoll->levels;
}

/* And from this one up. */
static int levels_above(struct epoll *epoll)
{
	struct epoll_item *item;

	if (epoll->visit == last_visit)
		return epoll->levels;
	epoll->visit = last_visit;
	epoll->levels = 1;
	LIST_FOREACH (item, &epoll->file->epoll_items, of_file) {
		int above = levels_above(item->epoll);
		epoll->levels = MAX(epoll->levels, above + 1);
	}
	return epoll->levels;
}

/* 0 if `inner` may go into `outer`; -ELOOP. */
static int check_nesting(struct epoll *outer, struct epoll *inner)
{
	int below, above;

	last_visit++;
	below = levels_below(inner);
	if (outer->visit == last_visit)
		return -ELOOP; /* found below the one that is to be below it */
	last_visit++;
	above = levels_above(outer);
	return above + below > LEVELS_MAX ? -ELOOP : 0;
}

static int add(struct epoll *epoll, struct file *file, int fd, const struct epoll_event *event)
{
	struct epoll_item *item;

	if (find(epoll, file, fd) != NULL)
		return -EEXIST;
	if (is_epoll(file)) {
		int error = check_nesting(epoll, file->private);
		if (error != 0)
			return error;
	}
	if (item_count >= frame_total() * PAGE_SIZE / ITEMS_SHARE / sizeof(*item))
		return -ENOSPC;
	item = kzalloc(sizeof(*item));
	if (item == NULL)
		return -ENOMEM;
	item->epoll = epoll;
	item->file = file;
	item->fd = fd;
	item->data = event->data;
	item->events = event->events | ALWAYS_WANTED;
	RB_INSERT(epoll_items, &epoll->items, item);
	LIST_INSERT_HEAD(&file->epoll_items, item, of_file);
	atomic_store(&file->in_epoll, true);
	item_count++;
	start_watching(item);
	return 0;
}

static int modify(struct epoll_item *item, const struct epoll_event *event)
{
	if (((event->events | item->events) & EPOLLEXCLUSIVE) != 0)
		return -EINVAL;
	poll_forget(&item->table);
	spin_lock(&watch_lock);
	item->events = event->events | ALWAYS_WANTED;
	spin_unlock(&watch_lock);
	item->data = event->data;
	start_watching(item);
	return 0;
}

static int control(struct epoll *epoll, int operation, struct file *file, int fd,
		   const struct epoll_event *event)
{
	struct ready_list removed = TAILQ_HEAD_INITIALIZER(removed);
	struct epoll_item *item = find(epoll, file, fd);

	switch (operation) {
	case EPOLL_CTL_ADD:
		if ((event->events & EPOLLEXCLUSIVE) != 0 &&
		    (is_epoll(file) || (event->events & ~EXCLUSIVE_BITS) != 0))
			return -EINVAL;
		return add(epoll, file, fd, event);
	case EPOLL_CTL_MOD:
		return item != NULL ? modify(item, event) : -ENOENT;
	case EPOLL_CTL_DEL:
		if (item == NULL)
			return -ENOENT;
		remove_item(item, &removed);
		free_items(&removed);
		return 0;
	default:
		return -EINVAL;
	}
}

void epoll_forget_file(struct file *file)
{
	struct ready_list removed = TAILQ_HEAD_INITIALIZER(removed);
	struct epoll_item *item;

	mutex_lock(&epoll_lock);
	while ((item = LIST_FIRST(&file->epoll_items)) != NULL)
		remove_item(item, &removed);
	mutex_unlock(&epoll_lock);
	free_items(&removed);
}

/* --- waiting ------------------------------------------------------------------------------------------ */

/* True if the user has got the item's event; `*stuck`: the user's memory is not there. */
static bool give(const struct epoll_item *item, vaddr_t to, bool *stuck)
{
	struct epoll_event event = { .events = events_now(item), .data = item->data };

	if (event.events == 0)
		return false;
	*stuck = copy_to_user_nofault(to, &event, sizeof(event)) != sizeof(event);
	return !*stuck;
}

/* What becomes of an item whose event has been given; watch_lock held. */
static void given(struct epoll_item *item, struct ready_list *again)
{
	if ((item->events & EPOLLONESHOT) != 0) {
		item->events &= MODE_BITS;
	} else if ((item->events & EPOLLET) == 0 && !item->ready) {
		/* Asked again next time, but not in this round. */
		TAILQ_INSERT_TAIL(again, item, ready_link);
		item->ready = true;
	}
}

/*
 * Gives up to `limit` events to the user; how many. `*stuck`: the user's memory is not there.
 *
 * While the lock is held nobody removes an item; one that is on `again` counts as ready, and nobody
 * moves it but us.
 */
static int collect(struct epoll *epoll, vaddr_t events, int limit, bool *stuck)
{
	struct ready_list again = TAILQ_HEAD_INITIALIZER(again);
	struct epoll_item *item;
	int count = 0;

	*stuck = false;
	mutex_lock(&epoll_lock);
	spin_lock(&watch_lock);
	while (count < limit && !*stuck && (item = TAILQ_FIRST(&epoll->ready)) != NULL) {
		bool has_got;

		clear_ready(item);
		spin_unlock(&watch_lock);
		has_got = give(item, events + (size_t)count * sizeof(struct epoll_event), stuck);
		spin_lock(&watch_lock);
		if (has_got)
			given(item, &again);
		else if (*stuck)
			set_ready(item);
		count += has_got;
	}
	TAILQ_CONCAT(&epoll->ready, &again, ready_link);
	spin_unlock(&watch_lock);
	mutex_unlock(&epoll_lock);
	return count;
}

static int64_t wait_events(struct epoll *epoll, vaddr_t events, int limit, uint64_t deadline_ns)
{
	int error = 0;

	for (;;) {
		bool stuck;
		int count = collect(epoll, events, limit, &stuck);

		if (count > 0)
			return count;
		if (error == -EINTR)
			sleep_cut_short(deadline_ns);
		if (error != 0)
			return error == -ETIMEDOUT ? 0 : error;
		if (stuck)
			error = user_fault_in(events, sizeof(struct epoll_event), true);
		else
			error = wait_event_full(&epoll->waiting, has_candidates(epoll), WAIT_SIGNAL,
						deadline_ns);
	}
}

/* --- the file ------------------------------------------------------------------------------------------ */

static unsigned poll_epoll(struct file *file, struct poll_table *table)
{
	struct epoll *epoll = file->private;
	bool nested = mutex_held(&epoll_lock);
	bool any;

	poll_wait(table, &epoll->waiting);
	if (!nested)
		mutex_lock(&epoll_lock);
	any = has_events(epoll);
	if (!nested)
		mutex_unlock(&epoll_lock);
	return any ? POLLIN | POLLRDNORM : 0;
}

static void release_epoll(struct file *file)
{
	struct epoll *epoll = file->private;
	struct ready_list removed = TAILQ_HEAD_INITIALIZER(removed);
	struct epoll_item *item;

	mutex_lock(&epoll_lock);
	while ((item = RB_MIN(epoll_items, &epoll->items)) != NULL)
		remove_item(item, &removed);
	mutex_unlock(&epoll_lock);
	free_items(&removed);
	kfree(epoll);
}

static const struct file_ops epoll_ops = {
	.seeks_nowhere = true,
	.stat = stat_anonymous,
	.poll = poll_epoll,
	.release = release_epoll,
	.kind = "[eventpoll]",
};

static int64_t create(bool close_on_exec)
{
	struct epoll *epoll = kzalloc(sizeof(*epoll));
	int fd;

	if (epoll == NULL)
		return -ENOMEM;
	epoll->file = file_create(&epoll_ops, O_RDWR);
	if (epoll->file == NULL) {
		kfree(epoll);
		return file_create_error();
	}
	RB_INIT(&epoll->items);
	TAILQ_INIT(&epoll->ready);
	waitq_init(&epoll->waiting, "epoll");
	epoll->file->private = epoll;
	fd = files_install(current->files, epoll->file, 0, close_on_exec);
	file_put(epoll->file);
	return fd;
}

SYSCALL1(epoll_create, int, size)
{
	return size <= 0 ? -EINVAL : create(false);
}

SYSCALL1(epoll_create1, int, flags)
{
	return (flags & ~EPOLL_CLOEXEC) != 0 ? -EINVAL : create((flags & EPOLL_CLOEXEC) != 0);
}

SYSCALL4(epoll_ctl, int, epfd, int, operation, int, fd, vaddr_t, user_event)
{
	struct epoll_event event = { 0 };
	struct file *file, *target;
	int64_t result = 0;

	if (operation != EPOLL_CTL_DEL)
		result = get_user(&event, user_event);
	if (result != 0)
		return result;
	file = fd_get(epfd);
	target = fd_get(fd);
	if (file == NULL || target == NULL) {
		result = -EBADF;
	} else if (target->ops->poll == NULL) {
		result = -EPERM;
	} else if (file == target || !is_epoll(file)) {
		result = -EINVAL;
	} else {
		mutex_lock(&epoll_lock);
		result = control(file->private, operation, target, fd, &event);
		mutex_unlock(&epoll_lock);
	}
	if (target != NULL)
		file_put(target);
	if (file != NULL)
		file_put(file);
	return result;
}

static int64_t wait_for(int epfd, vaddr_t events, int limit, uint64_t deadline_ns)
{
	struct file *file;
	int64_t result = -EINVAL;
	bool held;

	if (limit <= 0 || limit > MAX_EVENTS)
		return -EINVAL;
	if (!user_range_ok(events, (size_t)limit * sizeof(struct epoll_event)))
		return -EFAULT;
	file = fd_borrow(epfd, &held);
	if (file == NULL)
		return -EBADF;
	if (is_epoll(file))
		result = wait_events(file->private, events, limit, deadline_ns);
	fd_return(file, held);
	return result;
}

static uint64_t deadline_from_ms(int timeout_ms)
{
	return timeout_ms < 0 ? NO_DEADLINE : sleep_deadline((uint64_t)timeout_ms * NSEC_PER_MSEC);
}

SYSCALL4(epoll_wait, int, epfd, vaddr_t, events, int, limit, int, timeout_ms)
{
	return wait_for(epfd, events, limit, deadline_from_ms(timeout_ms));
}

SYSCALL6(epoll_pwait, int, epfd, vaddr_t, events, int, limit, int, timeout_ms, vaddr_t, mask,
	 size_t, mask_size)
{
	uint64_t deadline_ns = deadline_from_ms(timeout_ms);
	int64_t result;

	if (mask == 0)
		return wait_for(epfd, events, limit, deadline_ns);
	result = poll_begin_mask(mask, mask_size);
	if (result == 0)
		result = poll_end_mask(mask, wait_for(epfd, events, limit, deadline_ns));
	return result;
}

SYSCALL6(epoll_pwait2, int, epfd, vaddr_t, events, int, limit, vaddr_t, timeout, vaddr_t, mask,
	 size_t, mask_size)
{
	uint64_t deadline_ns;
	int64_t result = poll_deadline(timeout, &deadline_ns);

	if (result == 0)
		result = poll_begin_mask(mask, mask_size);
	if (result == 0)
		result = poll_end_mask(mask, wait_for(epfd, events, limit, deadline_ns));
	return result;
}
