/*
 * fs/async.c - being told by a signal that a file is ready. See the header.
 *
 *	queue is woken ── watch ──> list ──> thread: asks the file what it is ready for, posts the signal
 *
 * A file with O_ASYNC watches its own queues, as an epoll item would. Signals are not posted where a queue is
 * woken, since that may be anywhere; a thread does it, so a signal may come a moment after the data, and there may be
 * one for two pieces of data that come together. That there is room again is told where it can be told from
 * what the program does itself.
 *
 * One mutex protects what files know about this; the list is under watch_lock.
 */
#include "fs/async.h"
#include "fs/file.h"
#include "fs/ops.h"
#include "fs/poll.h"
#include "fs/signal.h"
#include "kernel/cred.h"
#include "kernel/sched.h"
#include "mm/kmap.h"
#include "mm/slab.h"
#include <asm/poll.h>
#include <asm/siginfo.h>
#include <asm/signal.h>

#define SIGNAL_MAX 64 /* signal(7); no UAPI header has it */

struct file_async {
	struct file *file;       /* fixed; its last close ends this */
	struct io_owner owner;   /* async_lock */
	int signal;              /* async_lock; F_SETSIG */
	int fd;                  /* async_lock; by which O_ASYNC was set */
	bool on;                 /* async_lock */
	unsigned events;         /* async_lock; when it was asked the last time */
	struct poll_table table; /* while it is on */
	bool woken;              /* watch_lock; it is on the list: */
	TAILQ_ENTRY(file_async) link;
};

static struct mutex async_lock;                                        /* RANK_EPOLL */
static TAILQ_HEAD(, file_async) woken = TAILQ_HEAD_INITIALIZER(woken); /* watch_lock */
static struct waitq work = WAITQ_INIT(work, "signals of files");
static struct thread sender;

/* --- when a queue is woken --------------------------------------------------------------------------- */

static struct waitq *note(struct poll_table *table)
{
	struct file_async *async = container_of(table, struct file_async, table);

	if (async->woken)
		return NULL;
	async->woken = true;
	TAILQ_INSERT_TAIL(&woken, async, link);
	return &work;
}

static bool has_work(void)
{
	spin_lock(&watch_lock);
	bool has = !TAILQ_EMPTY(&woken);
	spin_unlock(&watch_lock);
	return has;
}

/* async_lock held. */
static struct file_async *take_woken(void)
{
	struct file_async *async;

	spin_lock(&watch_lock);
	async = TAILQ_FIRST(&woken);
	if (async != NULL) {
		TAILQ_REMOVE(&woken, async, link);
		async->woken = false;
	}
	spin_unlock(&watch_lock);
	return async;
}

/* POLL_IN and so on: what of it is worth a signal; 0: nothing. async_lock held. */
static int reason(struct file_async *async)
{
	unsigned before = async->events;
	unsigned events = async->file->ops->poll(async->file, NULL);
	bool edges = async->file->ops->async == ASYNC_EDGES;

	async->events = events;
	if ((events & POLLPRI) != 0)
		return POLL_PRI;
	if ((events & POLLIN) != 0)
		return POLL_IN;
	if ((events & POLLHUP) != 0)
		return POLL_HUP;
	if ((events & POLLERR) != 0)
		return POLL_ERR;
	return (events & POLLOUT) != 0 && !(edges && (before & POLLOUT) != 0) ? POLL_OUT : 0;
}

static void send_signals(void *unused)
{
	struct file_async *async;
	struct io_signal signal;

	for (;;) {
		wait_event(&work, has_work());
		signal.code = 0;
		mutex_lock(&async_lock);
		async = take_woken();
		if (async != NULL && async->on && async->owner.number != 0)
			signal = (struct io_signal){
				.owner = async->owner,
				.signal = async->signal,
				.code = reason(async),
				.fd = async->fd,
			};
		mutex_unlock(&async_lock);
		if (signal.code != 0)
			signal_io(&signal);
	}
}

int async_init(void)
{
	vaddr_t stack = kstack_alloc();

	if (stack == 0)
		return -ENOMEM;
	mutex_init(&async_lock, "signals of files", RANK_EPOLL);
	thread_init(&sender, "sigio", stack, send_signals, NULL, NULL);
	thread_start(&sender);
	return 0;
}

/* --- what files know ------------------------------------------------------------------------------------ */

/* Made when it is first needed; NULL: no memory. async_lock held. */
static struct file_async *async_of(struct file *file)
{
	struct file_async *async = atomic_load(&file->async);

	if (async == NULL) {
		async = kzalloc(sizeof(*async));
		if (async == NULL)
			return NULL;
		async->file = file;
		async->owner.type = F_OWNER_PID;
		atomic_store(&file->async, async);
	}
	return async;
}

static void turn_on(struct file_async *async)
{
	async->on = true;
	poll_table_init(&async->table, note, ~0u);
	async->events = async->file->ops->poll(async->file, &async->table);
}

static void turn_off(struct file_async *async)
{
	if (!async->on)
		return;
	async->on = false;
	poll_forget(&async->table);
	spin_lock(&watch_lock);
	if (async->woken)
		TAILQ_REMOVE(&woken, async, link);
	async->woken = false;
	spin_unlock(&watch_lock);
}

int async_set(struct file *file, int fd, bool on)
{
	struct file_async *async;
	int error = 0;

	if (file->ops->async == ASYNC_NONE || file->ops->poll == NULL)
		return -ENOTTY;
	mutex_lock(&async_lock);
	async = on ? async_of(file) : atomic_load(&file->async);
	if (async == NULL) {
		error = on ? -ENOMEM : 0;
	} else if (on) {
		async->fd = fd;
		if (!async->on)
			turn_on(async);
	} else {
		turn_off(async);
	}
	mutex_unlock(&async_lock);
	return error;
}

void async_forget(struct file *file)
{
	struct file_async *async = atomic_load(&file->async);

	if (async == NULL)
		return;
	mutex_lock(&async_lock);
	turn_off(async);
	mutex_unlock(&async_lock);
	kfree(async);
}

int async_set_owner(struct file *file, const struct f_owner_ex *owner)
{
	const struct cred *cred = current_cred();
	struct file_async *async;
	struct io_owner io = {
		.type = owner->type,
		.number = (uint32_t)owner->pid,
		.uid = cred->uid,
		.euid = cred->euid,
	};

	if (owner->type != F_OWNER_TID && owner->type != F_OWNER_PID && owner->type != F_OWNER_PGRP)
		return -EINVAL;
	if (owner->pid != 0 && !signal_io_owner_exists(&io))
		return -ESRCH;
	mutex_lock(&async_lock);
	async = async_of(file);
	if (async != NULL)
		async->owner = io;
	mutex_unlock(&async_lock);
	return async != NULL ? 0 : -ENOMEM;
}

void async_get_owner(struct file *file, struct f_owner_ex *owner)
{
	const struct file_async *async;

	mutex_lock(&async_lock);
	async = atomic_load(&file->async);
	*owner = (struct f_owner_ex){ .type = F_OWNER_TID };
	if (async != NULL)
		*owner = (struct f_owner_ex){ async->owner.type, (int)async->owner.number };
	mutex_unlock(&async_lock);
}

int async_set_owner_number(struct file *file, int number)
{
	struct f_owner_ex owner = { F_OWNER_PID, number };

	if (number == INT32_MIN)
		return -EINVAL;
	if (number < 0)
		owner = (struct f_owner_ex){ F_OWNER_PGRP, -number };
	return async_set_owner(file, &owner);
}

int async_owner_number(struct file *file)
{
	struct f_owner_ex owner;

	async_get_owner(file, &owner);
	return owner.type == F_OWNER_PGRP ? -owner.pid : owner.pid;
}

int async_set_signal(struct file *file, uint64_t signal)
{
	struct file_async *async;

	if (signal > SIGNAL_MAX)
		return -EINVAL;
	mutex_lock(&async_lock);
	async = async_of(file);
	if (async != NULL)
		async->signal = (int)signal;
	mutex_unlock(&async_lock);
	return async != NULL ? 0 : -ENOMEM;
}

int async_get_signal(struct file *file)
{
	const struct file_async *async;

	mutex_lock(&async_lock);
	async = atomic_load(&file->async);
	int signal = async != NULL ? async->signal : 0;
	mutex_unlock(&async_lock);
	return signal;
}

void async_tell_urgent(struct file *file)
{
	struct io_signal signal = { .signal = 0, .urgent = true };
	const struct file_async *async;

	mutex_lock(&async_lock);
	async = atomic_load(&file->async);
	if (async != NULL)
		signal.owner = async->owner;
	mutex_unlock(&async_lock);
	if (signal.owner.number != 0)
		signal_io(&signal);
}
