/*
 * fs/unix_message.c - sending and receiving on AF_UNIX sockets.
 *
 * What is sent is copied into packets before unix_lock is taken; what is received is copied out of them
 * under it without faulting, and where a page of the receiver's is missing the lock is dropped and the
 * page brought. A packet is taken out when it has been copied, so nothing is lost by a bad address.
 *
 * How much a socket may have on the way is the sender's SO_SNDBUF, counted at the receiver with what
 * the packets themselves take; one packet always fits. Besides, only ten datagrams wait for a receiver
 * that has not connected to their sender.
 */
#include "fs/file.h"
#include "fs/signal.h"
#include "fs/unix.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "mm/frame.h"
#include "mm/slab.h"
#include <asm/signal.h>

static size_t packet_charge(size_t length)
{
	return sizeof(struct packet) + length;
}

bool unix_is_full(const struct unix_socket *us)
{
	return us->count > DATAGRAMS_MAX;
}

/* --- queues; unix_lock held ---------------------------------------------------------------------- */

/* There is room again: for threads that wait, and for those that poll. */
static void tell_of_room(struct unix_socket *us)
{
	struct unix_socket *sender;

	waitq_wake_all(&us->room);
	if (unix_has_connections(us)) {
		if (us->peer != NULL)
			waitq_wake_all(&us->peer->writable);
		return;
	}
	LIST_FOREACH (sender, &us->senders, sender_link)
		waitq_wake_all(&sender->writable);
}

static void dequeue(struct unix_socket *us, struct packet *packet)
{
	TAILQ_REMOVE(&us->packets, packet, link);
	us->charge -= packet_charge(packet->length);
	us->count--;
}

static void enqueue(struct unix_socket *to, struct packet *packet)
{
	TAILQ_INSERT_TAIL(&to->packets, packet, link);
	to->charge += packet_charge(packet->length);
	to->count++;
	waitq_wake_all(&to->readable);
}

void unix_purge(struct unix_socket *us, struct packet_list *freed)
{
	struct packet *packet;

	while ((packet = TAILQ_FIRST(&us->packets)) != NULL) {
		dequeue(us, packet);
		if (packet->rights != NULL)
			rights_land(packet->rights);
		TAILQ_INSERT_TAIL(freed, packet, link);
	}
	tell_of_room(us);
}

/* --- sending ------------------------------------------------------------------------------------------ */

/* A packet with the message's next `size` bytes, in no queue. -ENOBUFS, -EFAULT, -EINTR. */
static int make_packet(struct unix_socket *us, struct message *message, size_t size,
		       struct packet **out)
{
	struct packet *packet = kalloc(sizeof(*packet) + size);
	int error;

	if (packet == NULL) {
		frame_reclaim(DIV_ROUND_UP(sizeof(*packet) + size, PAGE_SIZE));
		packet = kalloc(sizeof(*packet) + size);
	}
	if (packet == NULL)
		return -ENOBUFS;
	*packet = (struct packet){ .length = size, .credentials = message->credentials };
	error = span_take(&message->data, packet->data, size);
	if (error != 0) {
		kfree(packet);
		return error;
	}
	mutex_lock(&unix_lock);
	packet->from = us->address;
	if (packet->from != NULL)
		atomic_fetch_add(&packet->from->refs, 1);
	mutex_unlock(&unix_lock);
	*out = packet;
	return 0;
}

static void free_packet(struct packet *packet)
{
	assert(packet->rights == NULL);
	unix_address_put(packet->from);
	kfree(packet);
}

/*
 * What keeps `us` from sending to `to` for good, or 0. A stream's reset is left to who reads, as on Linux.
 * unix_lock held.
 */
static int check_target(struct unix_socket *us, const struct unix_socket *to)
{
	bool stream = us->socket.type == SOCK_STREAM;
	int error = stream && us->write_shut ? -EPIPE : unix_take_error(us);

	if (error != 0)
		return error;
	if (us->write_shut)
		return -EPIPE;
	if (to->dead)
		return unix_has_connections(us) ? -EPIPE : -ECONNREFUSED;
	if (to->peer != NULL && to->peer != us)
		return -EPERM;
	return to->read_shut ? -EPIPE : 0;
}

/* How many bytes of a message may go to `to` now; unix_lock held. */
static size_t room_at(const struct unix_socket *us, const struct unix_socket *to)
{
	if (!unix_has_connections(us) && to->peer != us && unix_is_full(to))
		return 0;
	if (to->charge == 0)
		return us->send_buffer;
	if (to->charge + packet_charge(0) >= us->send_buffer)
		return 0;
	return us->send_buffer - to->charge - packet_charge(0);
}

/* Room for `needed` bytes, or something that makes waiting for it useless. */
static bool can_send(struct unix_socket *us, struct unix_socket *to, size_t needed)
{
	mutex_lock(&unix_lock);
	bool can = us->error != 0 || us->write_shut || to->dead || to->read_shut ||
		   (to->peer != NULL && to->peer != us) || room_at(us, to) >= needed;
	mutex_unlock(&unix_lock);
	return can;
}

/* Waits until `needed` bytes may go. How many may; -EAGAIN, -EINTR, or what check_target() says. */
static ssize_t wait_for_room(struct unix_socket *us, struct unix_socket *to, size_t needed,
			     bool wait, uint64_t deadline_ns)
{
	for (;;) {
		size_t room = 0;
		int error;

		mutex_lock(&unix_lock);
		error = check_target(us, to);
		if (error == 0)
			room = room_at(us, to);
		mutex_unlock(&unix_lock);
		if (error != 0)
			return error;
		if (room >= needed)
			return (ssize_t)room;
		if (!wait)
			return -EAGAIN;
		error = wait_event_full(&to->room, can_send(us, to, needed), WAIT_SIGNAL,
					deadline_ns);
		if (error != 0)
			return error == -ETIMEDOUT ? -EAGAIN : error;
	}
}

/*
 * Puts the packet into the queue, with the message's rights. -EAGAIN: somebody else has taken the room
 * that there was, which matters where messages are counted.
 */
static int deliver(struct unix_socket *us, struct unix_socket *to, struct packet *packet,
		   struct message *message)
{
	int error;

	mutex_lock(&unix_lock);
	error = check_target(us, to);
	if (error == 0 && room_at(us, to) == 0)
		error = -EAGAIN;
	if (error == 0 && message->rights != NULL)
		error = rights_take_off(message->rights);
	if (error == 0) {
		packet->rights = message->rights;
		message->rights = NULL;
		enqueue(to, packet);
	}
	mutex_unlock(&unix_lock);
	return error;
}

/* As deliver(), until there is room. Uses up the packet. */
static int deliver_patiently(struct unix_socket *us, struct unix_socket *to, struct packet *packet,
			     struct message *message, size_t needed, uint64_t deadline_ns)
{
	bool collected = false;
	int error;

	for (;;) {
		ssize_t room;

		error = deliver(us, to, packet, message);
		if (error == -ETOOMANYREFS && !collected) {
			collected = true;
			unix_collect();
			continue;
		}
		if (error != -EAGAIN)
			break;
		room = wait_for_room(us, to, needed, message->wait, deadline_ns);
		if (room < 0) {
			error = (int)room;
			break;
		}
	}
	if (error != 0)
		free_packet(packet);
	return error;
}

/* The socket that `us` sends to without an address, with a reference. -ENOTCONN. */
static int get_peer(struct unix_socket *us, struct unix_socket **out)
{
	int error = 0;

	mutex_lock(&unix_lock);
	if (us->peer == NULL || (unix_has_connections(us) && us->state != UNIX_CONNECTED))
		error = -ENOTCONN;
	else
		unix_get(us->peer);
	*out = us->peer;
	mutex_unlock(&unix_lock);
	return error;
}

static ssize_t send_stream(struct unix_socket *us, struct unix_socket *to, struct message *message)
{
	uint64_t deadline_ns = socket_deadline(&us->socket.send_ns);
	size_t done = 0;
	int error = 0;

	while (message->data.left > 0 && error == 0) {
		struct packet *packet;
		ssize_t room = wait_for_room(us, to, 1, message->wait, deadline_ns);
		size_t size;

		if (room < 0) {
			error = (int)room;
			break;
		}
		size = MIN((size_t)room, message->data.left);
		size = MIN(size, (size_t)PACKET_MAX - sizeof(struct packet));
		error = make_packet(us, message, size, &packet);
		if (error == 0)
			error = deliver_patiently(us, to, packet, message, 1, deadline_ns);
		if (error == 0)
			done += size;
	}
	if (error == -EPIPE && done == 0 && (message->flags & MSG_NOSIGNAL) == 0)
		signal_self(SIGPIPE);
	return done > 0 ? (ssize_t)done : error;
}

static ssize_t send_whole(struct unix_socket *us, struct unix_socket *to, struct message *message)
{
	uint64_t deadline_ns = socket_deadline(&us->socket.send_ns);
	size_t size = message->data.left;
	struct packet *packet;
	ssize_t room;
	int error;

	if (packet_charge(size) > us->send_buffer)
		return -EMSGSIZE;
	room = wait_for_room(us, to, MAX(size, 1u), message->wait, deadline_ns);
	error = room < 0 ? (int)room : make_packet(us, message, size, &packet);
	if (error == 0)
		error = deliver_patiently(us, to, packet, message, MAX(size, 1u), deadline_ns);
	return error != 0 ? error : (ssize_t)size;
}

/* The peer of a datagram socket is gone: it is forgotten, and somebody else may be sent to. */
static void forget_dead_peer(struct unix_socket *us, struct unix_socket *peer)
{
	bool forgotten;

	mutex_lock(&unix_lock);
	forgotten = us->peer == peer;
	if (forgotten) {
		us->peer = NULL;
		LIST_REMOVE(us, sender_link);
	}
	mutex_unlock(&unix_lock);
	if (forgotten)
		unix_put(peer);
}

ssize_t unix_send(struct socket *socket, struct message *message)
{
	struct unix_socket *us = unix_of(socket), *to = NULL;
	bool named = message->address_length > 0;
	ssize_t result;

	if (socket->type == SOCK_DGRAM && us->pass_credentials) {
		result = unix_autobind(us);
		if (result != 0)
			return result;
	}
	if (named && socket->type == SOCK_DGRAM) {
		result = unix_find(message->address, message->address_length, SOCK_DGRAM, &to);
		if (result != 0)
			return result;
	} else {
		result = get_peer(us, &to);
		/* A stream with an address: what is wrong depends on what it is. */
		if (named && socket->type == SOCK_STREAM) {
			if (result == 0)
				unix_put(to);
			return result == 0 ? -EISCONN : -EOPNOTSUPP;
		}
		if (result != 0)
			return result;
	}
	if (socket->type == SOCK_STREAM)
		result = send_stream(us, to, message);
	else
		result = send_whole(us, to, message);
	if (result == -ECONNREFUSED && !named && socket->type == SOCK_DGRAM)
		forget_dead_peer(us, to);
	unix_put(to);
	return result;
}

/* --- receiving ---------------------------------------------------------------------------------------- */

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

/* Who has sent it: without a name there is no address. */
static void receive_sender(struct unix_socket *us, const struct packet *packet,
			   struct message *message)
{
	if (packet->from != NULL)
		unix_tell_name(packet->from, message->address, &message->address_length);
	message->credentials = packet->credentials;
	message->has_credentials = us->pass_credentials;
}

/*
 * Bytes of a stream, from as many packets as go together: one sender's, if he is told, and the last of
 * them may have rights. unix_lock held.
 */
static struct intake take_stream(struct unix_socket *us, struct message *message)
{
	bool peek = (message->flags & MSG_PEEK) != 0;
	struct packet *packet, *next;
	struct intake intake = { .any = !TAILQ_EMPTY(&us->packets) };

	for (packet = TAILQ_FIRST(&us->packets);
	     packet != NULL && message->data.left > 0 && !intake.stop; packet = next) {
		size_t part = MIN(message->data.left, packet->length - packet->offset), copied;
		bool rights = packet->rights != NULL;

		next = TAILQ_NEXT(packet, link);
		if (message->rights != NULL ||
		    (message->has_credentials && !same_sender(packet, message))) {
			intake.stop = true;
			break;
		}
		copied = span_give_nofault(&message->data, packet->data + packet->offset, part);
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
		if (packet->offset == packet->length) {
			dequeue(us, packet);
			free_packet(packet);
		}
	}
	if (intake.done > 0 && !peek)
		tell_of_room(us);
	return intake;
}

/* One message, as much of it as there is room for. unix_lock held. */
static struct intake take_whole(struct unix_socket *us, struct message *message)
{
	struct packet *packet = TAILQ_FIRST(&us->packets);
	struct intake intake = { .any = packet != NULL, .stop = true };
	size_t part;

	if (packet == NULL)
		return intake;
	part = MIN(packet->length, message->data.left);
	intake.stuck = span_give_nofault(&message->data, packet->data, part) < part;
	if (intake.stuck)
		return intake;
	if (part < packet->length)
		message->result |= MSG_TRUNC;
	intake.done = (message->flags & MSG_TRUNC) != 0 ? packet->length : part;
	receive_sender(us, packet, message);
	receive_rights(packet, message);
	if ((message->flags & MSG_PEEK) == 0) {
		dequeue(us, packet);
		free_packet(packet);
		tell_of_room(us);
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

static bool can_receive(struct unix_socket *us)
{
	mutex_lock(&unix_lock);
	bool can = !TAILQ_EMPTY(&us->packets) || us->read_shut || us->error != 0;
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

/* `*done`: bytes so far; `*result`: what to return. */
static enum next look(struct unix_socket *us, struct message *message, size_t *done,
		      ssize_t *result)
{
	bool stream = us->socket.type == SOCK_STREAM;
	bool all = stream && (message->flags & (MSG_WAITALL | MSG_PEEK)) == MSG_WAITALL;
	struct span_cursor start = message->data;
	struct intake intake = { 0 };
	int error;

	mutex_lock(&unix_lock);
	error = check_state(us);
	if (error == 0)
		intake = stream ? take_stream(us, message) : take_whole(us, message);
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
	size_t done = 0;
	ssize_t result;

	for (;;) {
		enum next next = look(us, message, &done, &result);
		int error;

		if (next == RETURN)
			return result;
		if (next == LOOK_AGAIN)
			continue;
		error = wait_event_full(&us->readable, can_receive(us), WAIT_SIGNAL, deadline_ns);
		if (error == 0)
			continue;
		if (done > 0)
			return (ssize_t)done;
		return error == -ETIMEDOUT ? -EAGAIN : error;
	}
}
