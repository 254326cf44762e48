/*
 * proc/msg.c - System V message queues: msgget(2), msgsnd(2), msgrcv(2), msgctl(2).
 *
 * Who finds a queue full, or without what he wants, sleeps until something has changed in it, and looks again.
 */
#include "kernel/cred.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/frame.h"
#include "mm/slab.h"
#include "mm/user.h"
#include "proc/ipc.h"
#include "proc/process.h"
#include <linux/msg.h>

/*
 * Queues; bytes of a message; bytes in a queue, and in one that root has enlarged. Of all memory, all messages
 * together have at most:
 */
#define QUEUES_MAX      512
#define MESSAGE_MAX     8192
#define QUEUE_BYTES     16384
#define QUEUE_BYTES_MAX (1024 * 1024)
#define SHARE_OF_MEMORY 8

struct message {
	TAILQ_ENTRY(message) link;
	int64_t type;
	size_t length;
	char text[];
};

struct queue {
	struct ipc_object ipc; /* the table's lock, as all of it */
	uint32_t refs;         /* the table's, and those of who sleeps */
	bool removed;
	TAILQ_HEAD(, message) messages;
	uint64_t count, bytes, bytes_max;
	uint64_t sent_s, received_s;
	uint32_t last_sender, last_receiver;
	struct waitq changed;
};

static struct ipc_table queues; /* its lock guards the rest, too */
static uint64_t bytes_held;     /* by messages in all queues, with what is known about each */

void msg_init(void)
{
	ipc_table_init(&queues, "message queues", QUEUES_MAX);
}

static struct queue *find_queue(int id)
{
	struct ipc_object *object = ipc_find(&queues, id);

	return object ? container_of(object, struct queue, ipc) : NULL;
}

static uint64_t footprint(const struct message *message)
{
	return sizeof(*message) + message->length;
}

/* Out of its queue. Table locked. */
static void take_out(struct queue *queue, struct message *message)
{
	TAILQ_REMOVE(&queue->messages, message, link);
	queue->count--;
	queue->bytes -= message->length;
	bytes_held -= footprint(message);
}

/* Table locked. */
static void drop(struct queue *queue)
{
	struct message *message, *next;

	if (--queue->refs > 0)
		return;
	TAILQ_FOREACH_SAFE (message, &queue->messages, link, next) {
		take_out(queue, message);
		kfree(message);
	}
	kfree(queue);
}

SYSCALL2(msgget, int, key, int, flags)
{
	struct queue *fresh = kzalloc(sizeof(*fresh));
	struct ipc_object *found;
	int64_t result;

	if (!fresh)
		return -ENOMEM;
	fresh->refs = 1;
	fresh->bytes_max = QUEUE_BYTES;
	TAILQ_INIT(&fresh->messages);
	waitq_init(&fresh->changed, "messages");
	mutex_lock(&queues.lock);
	result = ipc_look(&queues, key, flags, &found);
	if (result == 0 && !found) {
		ipc_add(&queues, &fresh->ipc, key, flags);
		found = &fresh->ipc;
		fresh = NULL;
	}
	if (result == 0)
		result = found->id;
	mutex_unlock(&queues.lock);
	kfree(fresh);
	return result;
}

/* --- sending and receiving ----------------------------------------------------------------------------- */

/* The queue with a reference, if the caller may do that with it. -EINVAL, -EACCES. */
static int get_queue(int id, uint32_t wanted, struct queue **out)
{
	struct queue *queue;
	int error = 0;

	mutex_lock(&queues.lock);
	queue = find_queue(id);
	if (!queue)
		error = -EINVAL;
	else if (!ipc_may(&queue->ipc, wanted))
		error = -EACCES;
	else
		queue->refs++;
	mutex_unlock(&queues.lock);
	*out = queue;
	return error;
}

static void put_queue(struct queue *queue)
{
	mutex_lock(&queues.lock);
	drop(queue);
	mutex_unlock(&queues.lock);
}

/* 1: it is full. A queue takes as many messages as bytes, so that empty ones are not free. */
static int try_to_send(struct queue *queue, struct message *message)
{
	int result = 0;

	mutex_lock(&queues.lock);
	if (queue->removed) {
		result = -EIDRM;
	} else if (queue->bytes + message->length > queue->bytes_max ||
		   queue->count >= queue->bytes_max) {
		result = 1;
	} else if (bytes_held + footprint(message) > frame_total() * PAGE_SIZE / SHARE_OF_MEMORY) {
		result = -ENOMEM;
	} else {
		TAILQ_INSERT_TAIL(&queue->messages, message, link);
		queue->count++;
		queue->bytes += message->length;
		bytes_held += footprint(message);
		queue->sent_s = ipc_now_s();
		queue->last_sender = current_process()->pid;
		waitq_wake_all(&queue->changed);
	}
	mutex_unlock(&queues.lock);
	return result;
}

SYSCALL4(msgsnd, int, id, vaddr_t, from, size_t, length, int, flags)
{
	struct message *message;
	struct queue *queue;
	int64_t type;
	int result = 0, error;

	if (get_user(&type, from) != 0)
		return -EFAULT;
	if (length > MESSAGE_MAX || id < 0 || type < 1)
		return -EINVAL;
	message = kalloc(sizeof(*message) + length);
	if (!message)
		return -ENOMEM;
	message->type = type;
	message->length = length;
	error = copy_from_user(message->text, from + sizeof(type), length);
	if (error == 0)
		error = get_queue(id, 0222, &queue);
	if (error != 0) {
		kfree(message);
		return error;
	}
	if (flags & IPC_NOWAIT)
		result = try_to_send(queue, message);
	else
		error = wait_event_signal(&queue->changed,
					  (result = try_to_send(queue, message)) != 1);
	if (error != 0 || result != 0)
		kfree(message);
	put_queue(queue);
	return error != 0 ? error : result == 1 ? -EAGAIN : result;
}

/* The one that msgrcv(2)'s type means; NULL: it is not there. */
static struct message *choose(const struct queue *queue, int64_t type, int flags)
{
	/* The lowest number does not have a negative. */
	int64_t limit = type == INT64_MIN ? INT64_MAX : -type;
	struct message *message, *best = NULL;

	TAILQ_FOREACH (message, &queue->messages, link) {
		if (type == 0)
			return message;
		if (type > 0 && (message->type == type) != !!(flags & MSG_EXCEPT))
			return message;
		if (type < 0 && message->type <= limit && (!best || message->type < best->type))
			best = message;
	}
	return best;
}

/* Takes one out. 1: there is none. */
static int try_to_receive(struct queue *queue, int64_t type, size_t size, int flags,
			  struct message **out)
{
	struct message *message;
	int result = 1;

	mutex_lock(&queues.lock);
	message = queue->removed ? NULL : choose(queue, type, flags);
	if (queue->removed) {
		result = -EIDRM;
	} else if (message && message->length > size && !(flags & MSG_NOERROR)) {
		result = -E2BIG;
	} else if (message) {
		take_out(queue, message);
		queue->received_s = ipc_now_s();
		queue->last_receiver = current_process()->pid;
		waitq_wake_all(&queue->changed);
		*out = message;
		result = 0;
	}
	mutex_unlock(&queues.lock);
	return result;
}

SYSCALL5(msgrcv, int, id, vaddr_t, to, size_t, size, int64_t, type, int, flags)
{
	struct message *message = NULL;
	struct queue *queue;
	int64_t result;
	int tried = 0, error;

	if (id < 0 || size > INT64_MAX)
		return -EINVAL;
	if (flags & MSG_COPY)
		return -ENOSYS; /* as where there is no checkpointing */
	error = get_queue(id, 0444, &queue);
	if (error != 0)
		return error;
	if (flags & IPC_NOWAIT)
		tried = try_to_receive(queue, type, size, flags, &message);
	else
		error = wait_event_signal(
			&queue->changed,
			(tried = try_to_receive(queue, type, size, flags, &message)) != 1);
	put_queue(queue);
	if (error == 0 && tried != 0)
		error = tried == 1 ? -ENOMSG : tried;
	if (error != 0) {
		kfree(message);
		return error;
	}
	result = (int64_t)MIN(size, message->length);
	if (put_user(to, message->type) != 0 ||
	    copy_to_user(to + sizeof(message->type), message->text, (size_t)result) != 0)
		result = -EFAULT;
	kfree(message);
	return result;
}

/* --- msgctl(2) ----------------------------------------------------------------------------------------- */

static int64_t tell_limits(int command, vaddr_t to)
{
	struct ipc_object *object;
	struct msginfo info;
	int64_t highest;

	memset(&info, 0, sizeof(info)); /* with its padding */
	info.msgmax = MESSAGE_MAX;
	info.msgmnb = QUEUE_BYTES;
	info.msgmni = QUEUES_MAX;
	info.msgpool = QUEUES_MAX * QUEUE_BYTES / 1024;
	info.msgmap = QUEUE_BYTES;
	info.msgtql = QUEUE_BYTES;
	info.msgssz = 16;
	info.msgseg = UINT16_MAX;
	mutex_lock(&queues.lock);
	highest = MAX((int64_t)queues.count - 1, INT64_C(0));
	if (command == MSG_INFO) {
		info.msgpool = (int)queues.count;
		info.msgmap = info.msgtql = 0;
		LIST_FOREACH (object, &queues.objects, link) {
			info.msgmap += (int)container_of(object, struct queue, ipc)->count;
			info.msgtql += (int)container_of(object, struct queue, ipc)->bytes;
		}
	}
	mutex_unlock(&queues.lock);
	return put_user(to, info) != 0 ? -EFAULT : highest;
}

static int64_t tell(int id, int command, vaddr_t to)
{
	struct ipc_object *object;
	struct msqid64_ds out;
	int64_t result;

	memset(&out, 0, sizeof(out));
	mutex_lock(&queues.lock);
	result = ipc_stat(&queues, id, command == IPC_STAT, command == MSG_STAT_ANY, &object);
	if (result >= 0) {
		const struct queue *queue = container_of(object, struct queue, ipc);

		out.msg_perm = ipc_describe(object);
		out.msg_stime = (int64_t)queue->sent_s;
		out.msg_rtime = (int64_t)queue->received_s;
		out.msg_ctime = (int64_t)object->changed_s;
		out.msg_cbytes = queue->bytes;
		out.msg_qnum = queue->count;
		out.msg_qbytes = queue->bytes_max;
		out.msg_lspid = (int)queue->last_sender;
		out.msg_lrpid = (int)queue->last_receiver;
	}
	mutex_unlock(&queues.lock);
	return result >= 0 && put_user(to, out) != 0 ? -EFAULT : result;
}

/* Table locked. */
static int set(struct queue *queue, const struct msqid64_ds *to)
{
	int error;

	if (to->msg_qbytes > QUEUE_BYTES && !capable(CAP_SYS_RESOURCE))
		return -EPERM;
	if (to->msg_qbytes > QUEUE_BYTES_MAX)
		return -EINVAL;
	error = ipc_set(&queue->ipc, &to->msg_perm);
	if (error != 0)
		return error;
	queue->bytes_max = to->msg_qbytes;
	waitq_wake_all(&queue->changed);
	return 0;
}

static int64_t change(int id, const struct msqid64_ds *to)
{
	struct queue *queue;
	int64_t result = 0;

	mutex_lock(&queues.lock);
	queue = find_queue(id);
	if (!queue) {
		result = -EINVAL;
	} else if (!ipc_owns(&queue->ipc)) {
		result = -EPERM;
	} else if (to) {
		result = set(queue, to);
	} else {
		ipc_remove(&queues, &queue->ipc);
		queue->removed = true;
		waitq_wake_all(&queue->changed);
		drop(queue);
	}
	mutex_unlock(&queues.lock);
	return result;
}

SYSCALL3(msgctl, int, id, int, command, vaddr_t, buffer)
{
	struct msqid64_ds to;

	if (id < 0 || command < 0)
		return -EINVAL;
	switch (command) {
	case IPC_INFO:
	case MSG_INFO:
		return tell_limits(command, buffer);
	case IPC_STAT:
	case MSG_STAT:
	case MSG_STAT_ANY:
		return tell(id, command, buffer);
	case IPC_SET:
		if (get_user(&to, buffer) != 0)
			return -EFAULT;
		return change(id, &to);
	case IPC_RMID:
		return change(id, NULL);
	default:
		return -EINVAL;
	}
}
