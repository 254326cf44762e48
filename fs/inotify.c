/*
 * fs/inotify.c - inotify(7): being told what happens to files and in directories.
 *
 *	inode ── watches ──> watch <── watches ── instance ── events ──> read(2)
 *
 * A watch connects an inode with an instance; root_lock protects both of its lists, since what is told
 * happens under it. Events wait in the instance's queue, which has its own lock. A watch whose inode has
 * lost its last name is *over*: it is told (IN_IGNORED), and freed when its instance is used next, because
 * the inode cannot be put under root_lock.
 *
 * What is seen is what happens on this machine: a change on the server is none until it is fetched.
 */
#include "fs/inotify.h"
#include "fs/file.h"
#include "fs/inode.h"
#include "fs/names.h"
#include "fs/ops.h"
#include "fs/poll.h"
#include "fs/span.h"
#include "fs/stat.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/slab.h"
#include "mm/user.h"
#include <asm/ioctls.h>
#include <asm/poll.h>

#define ADD_FLAGS                                                                                 \
	(IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_CREATE | IN_MASK_ADD | IN_ISDIR | \
	 IN_ONESHOT)

struct queued_event {
	TAILQ_ENTRY(queued_event) link;
	struct inotify_event event; /* with the name behind it, padded */
};

struct inotify {
	struct mutex lock;                           /* RANK_STREAM */
	TAILQ_HEAD(event_list, queued_event) events; /* lock */
	unsigned count;                              /* lock */
	size_t bytes;                                /* lock */
	struct waitq readable;
	TAILQ_HEAD(watch_list, inotify_watch) watches; /* root_lock */
	int last_number;                               /* root_lock */
};

struct inotify_watch {
	LIST_ENTRY(inotify_watch) of_inode;     /* root_lock, unless it is over */
	TAILQ_ENTRY(inotify_watch) of_instance; /* root_lock */
	struct inotify *instance;               /* fixed */
	struct inode *inode;                    /* held; fixed */
	int number;                             /* fixed */
	uint32_t mask;                          /* root_lock */
	bool over;                              /* root_lock */
};

_Atomic uint32_t inotify_watch_count;
static _Atomic uint32_t instance_count;
static uint32_t last_cookie; /* root_lock */

/* --- the queue ------------------------------------------------------------------------------------- */

/* The name with its NUL, filled up to a multiple of the event itself. */
static size_t padded(const char *text)
{
	return text != NULL ? ALIGN_UP(strlen(text) + 1, sizeof(struct inotify_event)) : 0;
}

static bool same_event(const struct queued_event *last, const struct inotify_event *event,
		       const char *text)
{
	return last != NULL && last->event.wd == event->wd && last->event.mask == event->mask &&
	       last->event.cookie == event->cookie && last->event.len == event->len &&
	       (text == NULL || strcmp(last->event.name, text) == 0);
}

/* NULL: no memory. */
static struct queued_event *make_event(const struct inotify_event *event, const char *text)
{
	struct queued_event *queued = kzalloc(sizeof(*queued) + event->len);

	if (queued == NULL)
		return NULL;
	queued->event = *event;
	if (text != NULL)
		memcpy(queued->event.name, text, strlen(text));
	return queued;
}

/* What cannot be kept, for number or for lack of memory, is told of as an overflow. */
static void tell(struct inotify *in, int number, uint32_t mask, uint32_t cookie, const char *text)
{
	struct inotify_event event = {
		.wd = number, .mask = mask, .cookie = cookie, .len = (uint32_t)padded(text)
	};
	struct queued_event *queued = NULL;

	mutex_lock(&in->lock);
	if (same_event(TAILQ_LAST(&in->events, event_list), &event, text)) {
		mutex_unlock(&in->lock);
		return;
	}
	if (in->count < INOTIFY_EVENTS_MAX)
		queued = make_event(&event, text);
	if (queued == NULL && in->count <= INOTIFY_EVENTS_MAX) {
		event = (struct inotify_event){ .wd = -1, .mask = IN_Q_OVERFLOW };
		if (!same_event(TAILQ_LAST(&in->events, event_list), &event, NULL))
			queued = make_event(&event, NULL);
	}
	if (queued != NULL) {
		TAILQ_INSERT_TAIL(&in->events, queued, link);
		in->count++;
		in->bytes += sizeof(queued->event) + queued->event.len;
	}
	mutex_unlock(&in->lock);
	waitq_wake_all(&in->readable);
}

/* --- watches; root_lock held --------------------------------------------------------------------- */

/* It tells no more. Whoever uses the instance next frees it. */
static void end_watch(struct inotify_watch *watch)
{
	LIST_REMOVE(watch, of_inode);
	watch->over = true;
	tell(watch->instance, watch->number, IN_IGNORED, 0, NULL);
}

static void tell_watches(struct inode *inode, uint32_t mask, uint32_t cookie, const char *text)
{
	struct inotify_watch *watch, *next;

	for (watch = LIST_FIRST(&inode->watches); watch != NULL; watch = next) {
		next = LIST_NEXT(watch, of_inode);
		if ((watch->mask & mask & IN_ALL_EVENTS) == 0)
			continue;
		tell(watch->instance, watch->number, mask, cookie, text);
		if ((watch->mask & IN_ONESHOT) != 0)
			end_watch(watch);
	}
}

static uint32_t with_kind(const struct inode *inode, uint32_t mask)
{
	return S_ISDIR(inode->mode) ? mask | IN_ISDIR : mask;
}

void inotify_name(struct inode *dir, const char *text, const struct inode *child, uint32_t mask,
		  uint32_t cookie)
{
	if (inotify_is_used())
		tell_watches(dir, with_kind(child, mask), cookie, text);
}

void inotify_inode(struct inode *inode, uint32_t mask)
{
	struct name *name;

	if (!inotify_is_used())
		return;
	TAILQ_FOREACH (name, &inode->names, of_inode)
		tell_watches(name->dir, with_kind(inode, mask), 0, name->text);
	tell_watches(inode, with_kind(inode, mask), 0, NULL);
}

void inotify_self(struct inode *inode, uint32_t mask)
{
	if (inotify_is_used())
		tell_watches(inode, mask, 0, NULL);
}

static void end_with_last(struct inode *inode)
{
	struct inotify_watch *watch;

	if (inode->links > 0 || atomic_load(&inode->opens) > 0)
		return;
	tell_watches(inode, IN_DELETE_SELF, 0, NULL);
	while ((watch = LIST_FIRST(&inode->watches)) != NULL)
		end_watch(watch);
}

void inotify_unlinked(struct inode *inode)
{
	if (!inotify_is_used())
		return;
	if (!S_ISDIR(inode->mode))
		tell_watches(inode, IN_ATTRIB, 0, NULL);
	end_with_last(inode);
}

void inotify_closed(struct inode *inode)
{
	mutex_lock(&root_lock);
	end_with_last(inode);
	mutex_unlock(&root_lock);
}

void inotify_unmounted(struct inode *inode)
{
	struct inotify_watch *watch;

	while ((watch = LIST_FIRST(&inode->watches)) != NULL) {
		tell(watch->instance, watch->number, IN_UNMOUNT, 0, NULL);
		end_watch(watch);
	}
}

uint32_t inotify_count(const struct inode *inode)
{
	const struct inotify_watch *watch;
	uint32_t count = 0;

	LIST_FOREACH (watch, &inode->watches, of_inode)
		count++;
	return count;
}

uint32_t inotify_new_cookie(void)
{
	return ++last_cookie;
}

void inotify_file(struct file *file, uint32_t mask)
{
	if (!inotify_is_used() || file->inode == NULL)
		return;
	mutex_lock(&root_lock);
	inotify_inode(file->inode, mask);
	mutex_unlock(&root_lock);
}

/* Takes those that are over, or all, out of the instance, to be freed without the lock. */
static void collect(struct inotify *in, bool all, struct watch_list *freed)
{
	struct inotify_watch *watch, *next;

	for (watch = TAILQ_FIRST(&in->watches); watch != NULL; watch = next) {
		next = TAILQ_NEXT(watch, of_instance);
		if (all && !watch->over)
			LIST_REMOVE(watch, of_inode);
		if (!all && !watch->over)
			continue;
		TAILQ_REMOVE(&in->watches, watch, of_instance);
		TAILQ_INSERT_TAIL(freed, watch, of_instance);
	}
}

/* No lock held. */
static void free_watches(struct inotify *in, bool all)
{
	struct watch_list freed = TAILQ_HEAD_INITIALIZER(freed);
	struct inotify_watch *watch;

	mutex_lock(&root_lock);
	collect(in, all, &freed);
	mutex_unlock(&root_lock);
	while ((watch = TAILQ_FIRST(&freed)) != NULL) {
		TAILQ_REMOVE(&freed, watch, of_instance);
		inode_put(watch->inode);
		kfree(watch);
		atomic_fetch_sub(&inotify_watch_count, 1);
	}
}

/* --- the file --------------------------------------------------------------------------------------- */

static bool is_readable(struct inotify *in)
{
	mutex_lock(&in->lock);
	bool readable = !TAILQ_EMPTY(&in->events);
	mutex_unlock(&in->lock);
	return readable;
}

/* The first event, if it fits; `*any`: there is one. */
static struct queued_event *take_event(struct inotify *in, size_t room, bool *any)
{
	struct queued_event *queued;
	size_t size = 0;

	mutex_lock(&in->lock);
	queued = TAILQ_FIRST(&in->events);
	*any = queued != NULL;
	if (queued != NULL)
		size = sizeof(queued->event) + queued->event.len;
	if (queued != NULL && size <= room) {
		TAILQ_REMOVE(&in->events, queued, link);
		in->count--;
		in->bytes -= size;
	} else {
		queued = NULL;
	}
	mutex_unlock(&in->lock);
	return queued;
}

static ssize_t read_inotify(struct file *file, struct span_cursor *to)
{
	struct inotify *in = file->private;
	size_t done = 0;
	int error = 0;

	free_watches(in, false);
	for (;;) {
		bool any;
		struct queued_event *queued = take_event(in, to->left, &any);

		if (queued != NULL) {
			size_t size = sizeof(queued->event) + queued->event.len;
			error = span_give(to, &queued->event, size);
			kfree(queued);
			if (error != 0)
				break;
			done += size;
			continue;
		}
		if (any && done == 0)
			return -EINVAL;
		if (done > 0)
			break;
		if (!file_may_wait(file))
			return -EAGAIN;
		error = wait_event_signal(&in->readable, is_readable(in));
		if (error != 0)
			break;
	}
	return done > 0 ? (ssize_t)done : error;
}

static unsigned poll_inotify(struct file *file, struct poll_table *table)
{
	struct inotify *in = file->private;

	poll_wait(table, &in->readable);
	return is_readable(in) ? POLLIN | POLLRDNORM : 0;
}

static int ioctl_inotify(struct file *file, unsigned request, vaddr_t argument)
{
	struct inotify *in = file->private;

	if (request != FIONREAD)
		return -ENOTTY;
	mutex_lock(&in->lock);
	int bytes = (int)in->bytes;
	mutex_unlock(&in->lock);
	return put_user(argument, bytes);
}

static void release_inotify(struct file *file)
{
	struct inotify *in = file->private;
	struct queued_event *queued;

	free_watches(in, true);
	while ((queued = TAILQ_FIRST(&in->events)) != NULL) {
		TAILQ_REMOVE(&in->events, queued, link);
		kfree(queued);
	}
	kfree(in);
	atomic_fetch_sub(&instance_count, 1);
}

static const struct file_ops inotify_ops = {
	.seeks_nowhere = true,
	.read_span = read_inotify,
	.stat = stat_anonymous,
	.ioctl = ioctl_inotify,
	.poll = poll_inotify,
	.async = ASYNC_EACH,
	.release = release_inotify,
	.kind = "inotify",
};

static int64_t create(int flags)
{
	struct inotify *in;
	struct file *file;
	int fd;

	if ((flags & ~(O_CLOEXEC | O_NONBLOCK)) != 0)
		return -EINVAL;
	if (atomic_fetch_add(&instance_count, 1) >= INOTIFY_INSTANCES_MAX) {
		atomic_fetch_sub(&instance_count, 1);
		return -EMFILE;
	}
	in = kzalloc(sizeof(*in));
	file = in != NULL ? file_create(&inotify_ops, (uint32_t)(flags & O_NONBLOCK)) : NULL;
	if (file == NULL) {
		kfree(in);
		atomic_fetch_sub(&instance_count, 1);
		return file_create_error();
	}
	mutex_init(&in->lock, "inotify", RANK_STREAM);
	TAILQ_INIT(&in->events);
	TAILQ_INIT(&in->watches);
	waitq_init(&in->readable, "inotify");
	file->private = in;
	fd = files_install(current->files, file, 0, (flags & O_CLOEXEC) != 0);
	file_put(file);
	return fd;
}

SYSCALL0(inotify_init)
{
	return create(0);
}

SYSCALL1(inotify_init1, int, flags)
{
	return create(flags);
}

/* --- adding and removing -------------------------------------------------------------------------- */

/* The instance of a descriptor, with its file. -EBADF, -EINVAL. */
static int get_instance(int fd, struct file **file, struct inotify **out)
{
	*file = fd_get(fd);
	if (*file == NULL)
		return -EBADF;
	if ((*file)->ops != &inotify_ops) {
		file_put(*file);
		return -EINVAL;
	}
	*out = (*file)->private;
	return 0;
}

/* Changes the instance's watch of the inode, or enters `fresh`, which is NULL then. root_lock held. */
static int64_t enter_watch(struct inotify *in, struct inode *inode, uint32_t mask,
			   struct inotify_watch **fresh)
{
	struct inotify_watch *watch;

	LIST_FOREACH (watch, &inode->watches, of_inode) {
		if (watch->instance != in)
			continue;
		if ((mask & IN_MASK_CREATE) != 0)
			return -EEXIST;
		watch->mask = (mask & IN_MASK_ADD) != 0 ? watch->mask | mask : mask;
		return watch->number;
	}
	watch = *fresh;
	*fresh = NULL;
	inode_get(inode);
	*watch = (struct inotify_watch){
		.instance = in, .inode = inode, .number = ++in->last_number, .mask = mask
	};
	LIST_INSERT_HEAD(&inode->watches, watch, of_inode);
	TAILQ_INSERT_TAIL(&in->watches, watch, of_instance);
	return watch->number;
}

static int64_t add_watch(struct inotify *in, struct inode *inode, uint32_t mask)
{
	struct inotify_watch *fresh;
	int64_t result;

	if (atomic_fetch_add(&inotify_watch_count, 1) >= INOTIFY_WATCHES_MAX) {
		atomic_fetch_sub(&inotify_watch_count, 1);
		return -ENOSPC;
	}
	fresh = kalloc(sizeof(*fresh));
	if (fresh == NULL) {
		atomic_fetch_sub(&inotify_watch_count, 1);
		return -ENOMEM;
	}
	mutex_lock(&root_lock);
	result = enter_watch(in, inode, mask, &fresh);
	mutex_unlock(&root_lock);
	if (fresh != NULL) {
		kfree(fresh);
		atomic_fetch_sub(&inotify_watch_count, 1);
	}
	return result;
}

SYSCALL3(inotify_add_watch, int, fd, vaddr_t, user_path, uint32_t, mask)
{
	unsigned walk_flags = (mask & IN_DONT_FOLLOW) != 0 ? WALK_NOFOLLOW : 0;
	struct inotify *in;
	struct file *file;
	struct place place;
	char *path;
	int64_t result;

	if ((mask & IN_ALL_EVENTS) == 0 || (mask & ~(uint32_t)(IN_ALL_EVENTS | ADD_FLAGS)) != 0 ||
	    (mask & (IN_MASK_ADD | IN_MASK_CREATE)) == (IN_MASK_ADD | IN_MASK_CREATE))
		return -EINVAL;
	result = get_instance(fd, &file, &in);
	if (result != 0)
		return result;
	result = names_find(AT_FDCWD, user_path, walk_flags, &path, &place);
	if (result == 0 && (mask & IN_ONLYDIR) != 0 && !S_ISDIR(place.inode->mode))
		result = -ENOTDIR;
	if (result == 0)
		result = add_watch(in, place.inode, mask);
	names_done(path, &place);
	free_watches(in, false);
	file_put(file);
	return result;
}

SYSCALL2(inotify_rm_watch, int, fd, int, number)
{
	struct inotify_watch *watch;
	struct inotify *in;
	struct file *file;
	int64_t result = get_instance(fd, &file, &in);

	if (result != 0)
		return result;
	result = -EINVAL;
	mutex_lock(&root_lock);
	TAILQ_FOREACH (watch, &in->watches, of_instance) {
		if (watch->number == number && !watch->over) {
			end_watch(watch);
			result = 0;
			break;
		}
	}
	mutex_unlock(&root_lock);
	free_watches(in, false);
	file_put(file);
	return result;
}
