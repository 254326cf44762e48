/*
 * fs/poll.h - what a file's poll operation does, and those who ask it: poll(2), select(2), epoll(7).
 *
 *	static unsigned poll_thing(struct file *file, struct poll_table *table)
 *	{
 *		struct thing *thing = file->private;
 *
 *		poll_wait(table, &thing->changed);
 *		... look, under whatever lock it takes ...
 *		return readable ? POLLIN | POLLRDNORM : 0;
 *	}
 *
 * The queue is an ordinary one, in which readers and writers may sleep; waking it (waitq_wake_all())
 * makes pollers look again. So the operation names its queues first and looks second.
 */
#ifndef HAWSER_FS_POLL_H
#define HAWSER_FS_POLL_H

#include "kernel/base.h"
#include "kernel/lock.h"
#include "kernel/watch.h"

struct file;

/* A file has at most so many queues: say, one for readers and one for writers. */
#define POLL_QUEUES 2

/* Who asks. Its watches are put on by poll_wait(), and taken off by poll_forget(). */
struct poll_table {
	/* As struct watch's: one of the queues has been woken. Under watch_lock. */
	struct waitq *(*woken)(struct poll_table *table);
	unsigned events; /* that are asked for: POLLIN … */
	unsigned used;
	struct poll_watch {
		struct watch watch;
		struct poll_table *table;
	} watches[POLL_QUEUES];
};

/* For poll operations. The table may be NULL: who asks does not wait. */
void poll_wait(struct poll_table *table, struct waitq *queue);
/*
 * For those with a queue per direction: false if the table has no use for a queue that is woken for these
 * events only. Errors and hang-ups are of use to all.
 */
bool poll_wants(const struct poll_table *table, unsigned events);

/* For who asks. */
void poll_table_init(struct poll_table *table, struct waitq *(*woken)(struct poll_table *table),
		     unsigned events);
void poll_forget(struct poll_table *table);

/* The events that a file has now, which are not yet limited to those asked for. */
unsigned poll_file(struct file *file, struct poll_table *table);

/* --- for calls that wait, like ppoll(2) -------------------------------------------------------- */

/* The deadline that a user's struct timespec means; NO_DEADLINE if `user` is 0. -EINVAL, -EFAULT. */
int poll_deadline(vaddr_t user, uint64_t *deadline_ns);
/* The signal mask while waiting is the user's, if `user` is not 0. -EINVAL, -EFAULT. */
int poll_begin_mask(vaddr_t user, size_t size);
/*
 * The end of it. Cut short, the mask stays until the signal is delivered, which must not be blocked again
 * before. Returns `result`.
 */
int64_t poll_end_mask(vaddr_t user, int64_t result);

#endif
