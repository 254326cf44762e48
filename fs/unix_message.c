/*
 * fs/unix_message.c - sending on AF_UNIX sockets, and their queues.
 *
 * What is sent is copied into packets before unix_lock is taken.
 *
 * How much a socket may have on the way is the sender's SO_SNDBUF, counted at the receiver with what
 * the packets themselves take; one packet always fits. Besides, only ten datagrams wait for a receiver
 * that has not connected to their sender.
 */
#include "fs/async.h"
#include "fs/file.h"
#include "fs/signal.h"
#include "fs/unix.h"
#include "kernel/clock.h"
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

void unix_tell_of_room(struct unix_socket *us)
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
	if (us->urgent == packet)
		us->urgent = NULL;
	us->charge -= packet_charge(packet->length);
	us->count--;
}

static void enqueue(struct unix_socket *to, struct packet *packet)
{
	if (to->socket.type != SOCK_STREAM && atomic_load(&to->socket.timestamps) != 0)
		packet->time_ns = clock_wall_ns();
	TAILQ_INSERT_TAIL(&to->packets, packet, link);
	to->charge += packet_charge(packet->length);
	to->count++;
	to->arrivals++;
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
	unix_tell_of_room(us);
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

void unix_remove(struct unix_socket *us, struct packet *packet)
{
	dequeue(us, packet);
	free_packet(packet);
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
	/* An urgent byte is sent alone, as on Linux: it may be skipped, and its mark stays behind. */
	bool urgent = (message->flags & MSG_OOB) != 0;
	struct rights *rights = urgent ? NULL : message->rights;
	int error;

	mutex_lock(&unix_lock);
	error = check_target(us, to);
	if (error == 0 && room_at(us, to) == 0)
		error = -EAGAIN;
	if (error == 0 && rights != NULL)
		error = rights_take_off(rights);
	if (error == 0) {
		packet->rights = rights;
		if (rights != NULL)
			message->rights = NULL;
		enqueue(to, packet);
		/* An older one that has not been read is a byte like others now. */
		if (urgent)
			to->urgent = packet;
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

/* As many of the message's next bytes as there is room for, in a packet. How many. */
static ssize_t send_piece(struct unix_socket *us, struct unix_socket *to, struct message *message,
			  size_t length, uint64_t deadline_ns)
{
	ssize_t room = wait_for_room(us, to, 1, message->wait, deadline_ns);
	struct packet *packet;
	size_t size;
	int error;

	if (room < 0)
		return room;
	size = MIN((size_t)room, length);
	size = MIN(size, (size_t)PACKET_MAX - sizeof(struct packet));
	error = make_packet(us, message, size, &packet);
	if (error == 0)
		error = deliver_patiently(us, to, packet, message, 1, deadline_ns);
	return error != 0 ? error : (ssize_t)size;
}

/* SIGURG to whoever owns the file at the other end. No lock is held. */
static void tell_of_urgent(struct unix_socket *to)
{
	struct file *file;

	mutex_lock(&unix_lock);
	file = to->dead ? NULL : to->socket.file;
	if (file != NULL && !file_get_living(file))
		file = NULL;
	mutex_unlock(&unix_lock);
	if (file != NULL) {
		async_tell_urgent(file);
		file_put(file);
	}
}

/* With MSG_OOB the last byte is urgent, and in a packet of its own. */
static ssize_t send_stream(struct unix_socket *us, struct unix_socket *to, struct message *message)
{
	uint64_t deadline_ns = socket_deadline(&us->socket.send_ns);
	bool urgent = (message->flags & MSG_OOB) != 0;
	size_t done = 0;
	ssize_t error = urgent && message->data.left == 0 ? -EOPNOTSUPP : 0;

	message->flags &= ~(unsigned)MSG_OOB;
	while (message->data.left > 0 && error == 0) {
		bool last = urgent && message->data.left == 1;
		ssize_t part;

		if (last)
			message->flags |= MSG_OOB;
		part = send_piece(us, to, message, message->data.left - (urgent && !last),
				  deadline_ns);
		if (part > 0 && last)
			tell_of_urgent(to);
		if (part > 0)
			done += (size_t)part;
		else
			error = part;
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

	if ((message->flags & MSG_OOB) != 0 && socket->type != SOCK_STREAM)
		return -EOPNOTSUPP;
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
