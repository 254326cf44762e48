/*
 * fs/unix_receive.c - receiving on AF_UNIX sockets.
 *
 * Packets are copied to the user under unix_lock without faulting; where a page of his is missing the lock is
 * dropped and the page brought. A packet is taken out when it has been copied, so nothing is lost by a bad
 * address.
 *
 * An urgent byte (MSG_OOB) is a packet of a stream. When it has been read apart from the others, an empty packet
 * stays in its place as a mark; reads do not go over either, and begin behind it.
 */
#include "fs/file.h"
#include "fs/unix.h"
#include "kernel/clock.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "mm/slab.h"

/* What one look at the queue came to. */
struct intake {
	size_t done; /* bytes */
	bool stuck;  /* a page of the user's is missing */
	bool stop;   /* what follows is for another call */
	bool any;    /* there was something */
};

/* Another reference to each file, for MSG_PEEK. NULL: no memory, and the peek has none. */
static struct rights *copy_rights(const struct rights *rights)
{
	size_t size = sizeof(*rights) + rights->count * sizeof(struct file *);
	struct rights *copy = kalloc(size);

	if (copy == NULL)
		return NULL;
	memcpy(copy, rights, size);
	for (unsigned i = 0; i < copy->count; i++)
		file_get(copy->files[i]);
	return copy;
}

static void receive_rights(struct packet *packet, struct message *message)
{
	if (packet->rights == NULL)
		return;
	if ((message->flags & MSG_PEEK) != 0) {
		message->rights = copy_rights(packet->rights);
		return;
	}
	message->rights = packet->rights;
	packet->rights = NULL;
	rights_land(message->rights);
}

static bool same_sender(const struct packet *packet, const struct message *message)
{
	return memcmp(&packet->credentials, &message->credentials, sizeof(packet->credentials)) ==
	       0;
}

/* SO_PEEK_OFF: the next peek goes on behind this one, and what has been read is in front no more. unix_lock held. */
static void move_peek_offset(struct unix_socket *us, size_t done, bool peek)
{
	int offset = atomic_load(&us->socket.peek_offset);

	if (offset < 0)
		return;
	atomic_store(&us->socket.peek_offset,
		     peek ? offset + (int)done : MAX(offset - (int)done, 0));
}

/* Where an urgent byte was, that has been read. */
static bool is_mark(const struct packet *packet)
{
	return packet->length > 0 && packet->offset == packet->length;
}

/* Who has sent it: without a name there is no address. */
static void receive_sender(struct unix_socket *us, const struct packet *packet,
			   struct message *message)
{
	if (packet->from != NULL)
		unix_tell_name(packet->from, message->address, &message->address_length);
	message->time_ns = packet->time_ns;
	message->credentials = packet->credentials;
	message->has_credentials = us->pass_credentials;
}

bool unix_at_mark(const struct unix_socket *us)
{
	const struct packet *packet = TAILQ_FIRST(&us->packets);

	return packet != NULL && (packet == us->urgent || (us->urgent == NULL && is_mark(packet)));
}

/*
 * Where a stream's read goes on: at the packet, or behind it if that is a mark, or urgent and not to be read with the
 * others (SO_OOBINLINE); such a one is forgotten. NULL: it ends here, since a read does not go over the
 * mark. unix_lock held.
 */
static struct packet *pass_mark(struct unix_socket *us, struct packet *packet, bool peek,
				bool got_some)
{
	bool in_line = socket_has(&us->socket, SO_OOBINLINE);
	struct packet *next;

	while (packet != NULL && (is_mark(packet) || packet == us->urgent)) {
		if (got_some && (packet == us->urgent || us->urgent == NULL))
			return NULL;
		if (packet == us->urgent && in_line) {
			if (!peek)
				us->urgent = NULL;
			return packet;
		}
		next = TAILQ_NEXT(packet, link);
		if (!peek)
			unix_remove(us, packet);
		packet = next;
	}
	return packet;
}

/*
 * Bytes of a stream, from as many packets as go together: one sender's, if he is told, and the last of
 * them may have rights. `got_some`: by an earlier look. unix_lock held.
 */
static struct intake take_stream(struct unix_socket *us, struct message *message, bool got_some)
{
	bool peek = (message->flags & MSG_PEEK) != 0;
	size_t skip = peek ? (size_t)MAX(atomic_load(&us->socket.peek_offset), 0) : 0;
	struct packet *packet, *next;
	struct intake intake = { 0 };
	size_t charge = us->charge;

	for (packet = TAILQ_FIRST(&us->packets); message->data.left > 0 && !intake.stop;
	     packet = next) {
		size_t part, copied;
		bool rights;

		packet = pass_mark(us, packet, peek, got_some || intake.done > 0);
		/* At a mark even who wants all of it (MSG_WAITALL) gets what there is. */
		intake.stop = packet == NULL && !TAILQ_EMPTY(&us->packets);
		if (packet == NULL)
			break;
		next = TAILQ_NEXT(packet, link);
		part = packet->length - packet->offset;
		if (skip >= part) {
			skip -= part;
			continue;
		}
		intake.any = true;
		rights = packet->rights != NULL;
		part = MIN(part - skip, message->data.left);
		if (message->rights != NULL ||
		    (message->has_credentials && !same_sender(packet, message))) {
			intake.stop = true;
			break;
		}
		copied = span_give_nofault(&message->data, packet->data + packet->offset + skip,
					   part);
		skip = 0;
		intake.done += copied;
		intake.stuck = copied < part;
		if (copied == 0)
			break;
		receive_sender(us, packet, message);
		receive_rights(packet, message);
		intake.stop = rights || intake.stuck;
		if (peek)
			continue;
		packet->offset += copied;
		if (packet->offset == packet->length)
			unix_remove(us, packet);
	}
	/* A read with no room is one of something, if there is something. */
	intake.any = intake.any || (message->data.left == 0 && !TAILQ_EMPTY(&us->packets)) ||
		     (intake.done == 0 && got_some && !TAILQ_EMPTY(&us->packets));
	move_peek_offset(us, intake.done, peek);
	if (us->charge != charge)
		unix_tell_of_room(us);
	return intake;
}

/* MSG_OOB: the urgent byte, which leaves a mark. unix_lock held. */
static ssize_t take_urgent(struct unix_socket *us, struct message *message, bool *stuck)
{
	struct packet *packet = us->urgent;

	*stuck = false;
	if (us->socket.type != SOCK_STREAM)
		return -EOPNOTSUPP;
	if (packet == NULL || socket_has(&us->socket, SO_OOBINLINE))
		return -EINVAL;
	message->result |= MSG_OOB;
	if (message->data.left > 0 &&
	    span_give_nofault(&message->data, packet->data + packet->offset, 1) == 0) {
		*stuck = true;
		return 0;
	}
	if ((message->flags & MSG_PEEK) == 0) {
		packet->offset = packet->length;
		us->urgent = NULL;
	}
	return 1;
}

static ssize_t receive_urgent(struct unix_socket *us, struct message *message)
{
	ssize_t result;
	bool stuck;

	do {
		mutex_lock(&unix_lock);
		result = take_urgent(us, message, &stuck);
		mutex_unlock(&unix_lock);
		if (stuck)
			result = span_fault_in(&message->data, 1, true);
	} while (stuck && result == 0);
	return result;
}

/* Of whole messages the one that a peek begins in, and where. unix_lock held. */
static struct packet *find_whole(struct unix_socket *us, bool peek, size_t *skip)
{
	struct packet *packet = TAILQ_FIRST(&us->packets);

	*skip = peek ? (size_t)MAX(atomic_load(&us->socket.peek_offset), 0) : 0;
	while (packet != NULL && *skip > 0 && *skip >= packet->length) {
		*skip -= packet->length;
		packet = TAILQ_NEXT(packet, link);
	}
	return packet;
}

/* One message, as much of it as there is room for. unix_lock held. */
static struct intake take_whole(struct unix_socket *us, struct message *message)
{
	bool peek = (message->flags & MSG_PEEK) != 0;
	size_t skip, part, length;
	struct packet *packet = find_whole(us, peek, &skip);
	struct intake intake = { .any = packet != NULL, .stop = true };

	if (packet == NULL)
		return intake;
	length = packet->length - skip;
	part = MIN(length, message->data.left);
	intake.stuck = span_give_nofault(&message->data, packet->data + skip, part) < part;
	if (intake.stuck)
		return intake;
	if (part < length)
		message->result |= MSG_TRUNC;
	intake.done = (message->flags & MSG_TRUNC) != 0 ? length : part;
	receive_sender(us, packet, message);
	if (message->time_ns == 0)
		message->time_ns = clock_wall_ns();
	receive_rights(packet, message);
	move_peek_offset(us, peek ? part : packet->length, peek);
	if (!peek) {
		unix_remove(us, packet);
		unix_tell_of_room(us);
	}
	return intake;
}

/*
 * Where nothing is to be had: why there never will be (0: the end), or -EAGAIN. An error is told by the call
 * that has got nothing before. unix_lock held.
 */
static int why_empty(struct unix_socket *us, bool wait, bool got_some)
{
	int error;

	if (got_some)
		return us->error != 0 || us->read_shut ? 0 : -EAGAIN;
	error = unix_take_error(us);
	if (error != 0)
		return error;
	if (us->read_shut && (wait || unix_has_connections(us)))
		return 0;
	return -EAGAIN;
}

/*
 * Something has come since `seen`, or nothing will any more. What was there then is not enough: marks, and what a
 * peek passes over.
 */
static bool can_receive(struct unix_socket *us, uint64_t seen)
{
	mutex_lock(&unix_lock);
	bool can = us->arrivals != seen || us->read_shut || us->error != 0;
	mutex_unlock(&unix_lock);
	return can;
}

static int check_state(const struct unix_socket *us)
{
	if (us->state == UNIX_CONNECTED || !unix_has_connections(us))
		return 0;
	return us->socket.type == SOCK_STREAM ? -EINVAL : -ENOTCONN;
}

/* What follows a look at the queue. */
enum next { LOOK_AGAIN, WAIT_FOR_MORE, RETURN };

/*
 * Brings the page that was missing at the cursor. Of a message, and of what has only been seen, nothing has
 * been got then: the next look begins anew at `start`.
 */
static enum next bring_page(struct unix_socket *us, struct message *message,
			    struct span_cursor start, size_t *done, ssize_t *result)
{
	int error = span_fault_in(&message->data, 1, true);

	if (us->socket.type != SOCK_STREAM || (message->flags & MSG_PEEK) != 0) {
		rights_put(message->rights);
		message->rights = NULL;
		message->has_credentials = false;
		message->data = start;
		*done = 0;
	}
	*result = *done > 0 ? (ssize_t)*done : error;
	return error != 0 || message->rights != NULL ? RETURN : LOOK_AGAIN;
}

/* `*done`: bytes so far; `*result`: what to return; `*seen`: the packets that had come. */
static enum next look(struct unix_socket *us, struct message *message, size_t *done,
		      ssize_t *result, uint64_t *seen)
{
	bool stream = us->socket.type == SOCK_STREAM;
	bool all = stream && (message->flags & (MSG_WAITALL | MSG_PEEK)) == MSG_WAITALL;
	struct span_cursor start = message->data;
	struct intake intake = { 0 };
	int error;

	mutex_lock(&unix_lock);
	*seen = us->arrivals;
	error = check_state(us);
	if (error == 0)
		intake = stream ? take_stream(us, message, *done > 0) : take_whole(us, message);
	*done += intake.done;
	/* What has been got comes first; why there is no more is told by the next call. */
	if (error == 0 && !intake.any)
		error = why_empty(us, message->wait, *done > 0);
	mutex_unlock(&unix_lock);

	if (intake.stuck)
		return bring_page(us, message, start, done, result);
	*result = *done > 0 ? (ssize_t)*done : error;
	if (intake.any)
		return all && message->data.left > 0 && !intake.stop && message->wait ? LOOK_AGAIN
										      : RETURN;
	return error == -EAGAIN && message->wait ? WAIT_FOR_MORE : RETURN;
}

ssize_t unix_receive(struct socket *socket, struct message *message)
{
	struct unix_socket *us = unix_of(socket);
	uint64_t deadline_ns = socket_deadline(&socket->receive_ns);
	uint64_t seen;
	size_t done = 0;
	ssize_t result;

	if ((message->flags & MSG_OOB) != 0)
		return receive_urgent(us, message);
	for (;;) {
		enum next next = look(us, message, &done, &result, &seen);
		int error;

		if (next == RETURN)
			return result;
		if (next == LOOK_AGAIN)
			continue;
		error = wait_event_full(&us->readable, can_receive(us, seen), WAIT_SIGNAL,
					deadline_ns);
		if (error == 0)
			continue;
		if (done > 0)
			return (ssize_t)done;
		return error == -ETIMEDOUT ? -EAGAIN : error;
	}
}
