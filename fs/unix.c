/*
 * fs/unix.c - AF_UNIX sockets, unix(7): their life, and who is connected with whom.
 *
 *	stream, seqpacket        a ⇄ b          each holds the other, until one of them is closed
 *	datagram                 a ──> b        a's messages go to b by default; b may not know of it
 *
 * connect(2) makes the other end itself and puts it on the listener's list; the two can talk before
 * accept(2) gives it a file. See fs/unix.h for the parts and their lock.
 */
#include "fs/unix.h"
#include "fs/file.h"
#include "fs/inode.h"
#include "fs/permission.h"
#include "fs/poll.h"
#include "fs/synthetic.h"
#include "kernel/clock.h"
#include "kernel/cred.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "mm/slab.h"
#include <asm/poll.h>
#include <linux/net.h>

/* getsockopt(2), SO_PEERCRED of one that has no peer. */
#define NOBODY UINT32_MAX

struct mutex unix_lock = { .waiters = WAITQ_INIT(unix_lock.waiters, "AF_UNIX"),
			   .rank = RANK_STREAM,
			   .name = "AF_UNIX" };

static const struct socket_ops unix_ops;

/* For /proc/net/unix. */
static LIST_HEAD(, unix_socket) sockets = LIST_HEAD_INITIALIZER(sockets); /* list_lock */
static struct spinlock list_lock = SPINLOCK_INIT("AF_UNIX sockets", RANK_DEVICE);

void unix_get(struct unix_socket *us)
{
	atomic_fetch_add(&us->refs, 1);
}

void unix_put(struct unix_socket *us)
{
	if (atomic_fetch_sub(&us->refs, 1) != 1)
		return;
	assert(us->dead && us->peer == NULL && TAILQ_EMPTY(&us->packets) &&
	       TAILQ_EMPTY(&us->pending) && us->in_flight == 0);
	spin_lock(&list_lock);
	LIST_REMOVE(us, all);
	spin_unlock(&list_lock);
	unix_address_put(us->address);
	group_list_put(us->own.groups);
	group_list_put(us->other.groups);
	kfree(us);
}

struct unix_socket *unix_alloc(int type)
{
	struct unix_socket *us = kzalloc(sizeof(*us));

	if (us == NULL)
		return NULL;
	socket_init(&us->socket, &unix_ops, AF_UNIX, type, 0);
	atomic_init(&us->refs, 1);
	us->send_buffer = us->receive_buffer = BUFFER_DEFAULT;
	us->other.credentials = (struct ucred){ .uid = NOBODY, .gid = NOBODY };
	LIST_INIT(&us->senders);
	TAILQ_INIT(&us->packets);
	TAILQ_INIT(&us->pending);
	waitq_init(&us->readable, "socket readers");
	waitq_init(&us->writable, "socket writers");
	waitq_init(&us->room, "socket senders");
	spin_lock(&list_lock);
	LIST_INSERT_HEAD(&sockets, us, all);
	spin_unlock(&list_lock);
	return us;
}

void unix_wake(struct unix_socket *us)
{
	waitq_wake_all(&us->readable);
	waitq_wake_all(&us->writable);
	waitq_wake_all(&us->room);
}

int unix_take_error(struct unix_socket *us)
{
	int error = us->error;

	us->error = 0;
	return error;
}

/* --- making and closing -------------------------------------------------------------------------------- */

static int create_unix(int type, int protocol, struct socket **out)
{
	struct unix_socket *us;

	if (protocol != 0 && protocol != AF_UNIX)
		return -EPROTONOSUPPORT;
	if (type == SOCK_RAW)
		type = SOCK_DGRAM; /* as on Linux, which has it from BSD */
	if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
		return -ESOCKTNOSUPPORT;
	us = unix_alloc(type);
	if (us == NULL)
		return -ENOMEM;
	*out = &us->socket;
	return 0;
}

/* Makes `peer` the one that `us` sends to; unix_lock held. */
static void set_peer(struct unix_socket *us, struct unix_socket *peer)
{
	assert(us->peer == NULL);
	unix_get(peer);
	us->peer = peer;
	if (!unix_has_connections(us))
		LIST_INSERT_HEAD(&peer->senders, us, sender_link);
}

/* The caller puts what is returned, once it has let go of the lock. */
static struct unix_socket *forget_peer(struct unix_socket *us)
{
	struct unix_socket *peer = us->peer;

	us->peer = NULL;
	if (peer != NULL && !unix_has_connections(us))
		LIST_REMOVE(us, sender_link);
	return peer;
}

static void join(struct unix_socket *a, struct unix_socket *b)
{
	set_peer(a, b);
	set_peer(b, a);
	if (unix_has_connections(a))
		a->state = b->state = UNIX_CONNECTED;
}

/* Lists of groups are kalloc()ed: they can be let go of under unix_lock, which is held. */
static void copy_identity(struct unix_identity *to, const struct unix_identity *from)
{
	struct group_list *old = to->groups;

	*to = *from;
	(void)group_list_get(to->groups);
	group_list_put(old);
}

static void identify_caller(struct unix_identity *out)
{
	struct unix_identity caller = { .groups = current_cred()->groups };

	socket_caller(&caller.credentials);
	copy_identity(out, &caller);
}

static int pair_unix(struct socket *first, struct socket *second)
{
	struct unix_socket *a = unix_of(first), *b = unix_of(second);

	mutex_lock(&unix_lock);
	join(a, b);
	identify_caller(&a->own);
	copy_identity(&b->own, &a->own);
	copy_identity(&a->other, &a->own);
	copy_identity(&b->other, &a->own);
	mutex_unlock(&unix_lock);
	return 0;
}

/* What is done under the lock when one is closed. What is to be dropped afterwards goes to `packets`. */
static struct unix_socket *close_locked(struct unix_socket *us, struct packet_list *packets)
{
	bool unread = !TAILQ_EMPTY(&us->packets) || us->socket.file == NULL;
	struct unix_socket *peer, *sender;

	us->dead = true;
	us->read_shut = us->write_shut = true;
	unix_purge(us, packets);
	LIST_FOREACH (sender, &us->senders, sender_link)
		waitq_wake_all(&sender->writable);
	peer = forget_peer(us);
	if (peer != NULL && unix_has_connections(us)) {
		/* The other one keeps its reference to us, and learns from us that we are dead. */
		peer->read_shut = peer->write_shut = true;
		if (unread)
			peer->error = -ECONNRESET;
		unix_wake(peer);
	}
	unix_wake(us);
	return peer;
}

/* Nobody has it open any more. Uses up a reference. */
static void close_socket(struct unix_socket *us)
{
	struct packet_list packets = TAILQ_HEAD_INITIALIZER(packets);
	struct unix_socket *peer, *child;
	struct inode *inode;

	mutex_lock(&unix_lock);
	peer = close_locked(us, &packets);
	inode = unix_unbind(us);
	mutex_unlock(&unix_lock);
	if (peer != NULL)
		unix_put(peer);
	inode_put(inode);
	/* Nobody connects to the dead: the list of those who have only becomes shorter. */
	for (;;) {
		mutex_lock(&unix_lock);
		child = TAILQ_FIRST(&us->pending);
		if (child != NULL)
			TAILQ_REMOVE(&us->pending, child, pending_link);
		mutex_unlock(&unix_lock);
		if (child == NULL)
			break;
		close_socket(child);
	}
	unix_drop(&packets);
	unix_put(us);
}

static void release_unix(struct socket *socket)
{
	close_socket(unix_of(socket));
	unix_collect();
}

/* --- listening and connecting ------------------------------------------------------------------------ */

static int listen_unix(struct socket *socket, int backlog)
{
	struct unix_socket *us = unix_of(socket);
	int error = 0;

	if (!unix_has_connections(us))
		return -EOPNOTSUPP;
	mutex_lock(&unix_lock);
	if (us->address == NULL || us->state == UNIX_CONNECTED) {
		error = -EINVAL;
	} else {
		us->state = UNIX_LISTENING;
		us->backlog = (unsigned)backlog;
		identify_caller(&us->own);
		/* There may be room for more now. */
		waitq_wake_all(&us->room);
	}
	mutex_unlock(&unix_lock);
	return error;
}

/* A connection, an end, or a mistake: accept(2) need not wait. */
static bool can_accept(struct unix_socket *us)
{
	mutex_lock(&unix_lock);
	bool can = !TAILQ_EMPTY(&us->pending) || us->state != UNIX_LISTENING || us->read_shut;
	mutex_unlock(&unix_lock);
	return can;
}

static int accept_unix(struct socket *socket, bool wait, struct socket **out)
{
	struct unix_socket *us = unix_of(socket), *child = NULL;
	uint64_t deadline_ns = socket_deadline(&socket->receive_ns);
	int error;

	if (!unix_has_connections(us))
		return -EOPNOTSUPP;
	for (;;) {
		mutex_lock(&unix_lock);
		error = us->state != UNIX_LISTENING || us->read_shut ? -EINVAL : 0;
		if (error == 0)
			child = TAILQ_FIRST(&us->pending);
		if (child != NULL) {
			TAILQ_REMOVE(&us->pending, child, pending_link);
			us->pending_count--;
			waitq_wake_all(&us->room);
		}
		mutex_unlock(&unix_lock);
		if (child != NULL || error != 0)
			break;
		if (!wait)
			return -EAGAIN;
		error = wait_event_full(&us->readable, can_accept(us), WAIT_SIGNAL, deadline_ns);
		if (error != 0)
			return error == -ETIMEDOUT ? -EAGAIN : error;
	}
	if (child != NULL)
		*out = &child->socket;
	return error;
}

/* Whether the listener has room, or does not listen any more. */
static bool can_connect(struct unix_socket *listener)
{
	mutex_lock(&unix_lock);
	bool can = listener->dead || listener->state != UNIX_LISTENING ||
		   listener->pending_count <= listener->backlog;
	mutex_unlock(&unix_lock);
	return can;
}

/* Connects `us` with `child`, a new socket that the listener will be given. unix_lock held. */
static int connect_locked(struct unix_socket *us, struct unix_socket *listener,
			  struct unix_socket *child)
{
	if (listener->dead || listener->state != UNIX_LISTENING || listener->read_shut)
		return -ECONNREFUSED;
	if (us->state == UNIX_CONNECTED)
		return -EISCONN;
	if (us->state == UNIX_LISTENING)
		return -EINVAL;
	if (listener->pending_count > listener->backlog)
		return -EAGAIN;
	join(us, child);
	identify_caller(&us->own);
	copy_identity(&us->other, &listener->own);
	copy_identity(&child->other, &us->own);
	copy_identity(&child->own, &listener->own);
	child->pass_credentials = listener->pass_credentials;
	child->address = listener->address;
	atomic_fetch_add(&child->address->refs, 1);
	TAILQ_INSERT_TAIL(&listener->pending, child, pending_link);
	listener->pending_count++;
	waitq_wake_all(&listener->readable);
	waitq_wake_all(&us->writable);
	return 0;
}

static int connect_stream(struct unix_socket *us, struct unix_socket *listener, bool wait)
{
	uint64_t deadline_ns = socket_deadline(&us->socket.send_ns);
	struct unix_socket *child = unix_alloc(us->socket.type);
	int error;

	if (child == NULL)
		return -ENOMEM;
	for (;;) {
		mutex_lock(&unix_lock);
		error = connect_locked(us, listener, child);
		mutex_unlock(&unix_lock);
		if (error != -EAGAIN || !wait)
			break;
		error = wait_event_full(&listener->room, can_connect(listener), WAIT_SIGNAL,
					deadline_ns);
		if (error == -ETIMEDOUT)
			error = -EAGAIN;
		if (error != 0)
			break;
	}
	if (error != 0) {
		child->dead = true;
		unix_put(child);
	}
	return error;
}

/* Datagrams go to `peer` from now on; NULL: to nobody. */
static int connect_datagram(struct unix_socket *us, struct unix_socket *peer)
{
	struct packet_list packets = TAILQ_HEAD_INITIALIZER(packets);
	struct unix_socket *old = NULL;
	int error = 0;

	mutex_lock(&unix_lock);
	if (peer != NULL && peer->dead) {
		error = -ECONNREFUSED;
	} else if (peer != NULL && peer->peer != NULL && peer->peer != us) {
		error = -EPERM; /* it hears somebody else only */
	} else {
		old = forget_peer(us);
		if (peer != NULL) {
			set_peer(us, peer);
			copy_identity(&us->other, &peer->own);
		}
		/* What strangers have sent before is not from the peer. */
		if (old != NULL && old != peer)
			unix_purge(us, &packets);
		unix_wake(us);
	}
	mutex_unlock(&unix_lock);
	unix_drop(&packets);
	if (old != NULL)
		unix_put(old);
	return error;
}

static int connect_unix(struct socket *socket, const uint8_t *address, size_t length, bool wait)
{
	struct unix_socket *us = unix_of(socket), *other = NULL;
	__kernel_sa_family_t family;
	int error = 0;

	if (length < sizeof(family))
		return -EINVAL;
	memcpy(&family, address, sizeof(family));
	if (!unix_has_connections(us) && family == AF_UNSPEC)
		return connect_datagram(us, NULL);
	if (us->pass_credentials)
		error = unix_autobind(us);
	if (error == 0)
		error = unix_find(address, length, socket->type, &other);
	if (error == 0 && unix_has_connections(us))
		error = connect_stream(us, other, wait);
	else if (error == 0)
		error = connect_datagram(us, other);
	if (other != NULL)
		unix_put(other);
	return error;
}

static int shutdown_unix(struct socket *socket, int how)
{
	struct unix_socket *us = unix_of(socket), *peer;
	bool reading = how != SHUT_WR, writing = how != SHUT_RD;

	mutex_lock(&unix_lock);
	us->read_shut |= reading;
	us->write_shut |= writing;
	peer = us->peer;
	if (peer != NULL && unix_has_connections(us)) {
		peer->write_shut |= reading;
		peer->read_shut |= writing;
	}
	if (peer != NULL)
		unix_wake(peer);
	unix_wake(us);
	mutex_unlock(&unix_lock);
	return 0;
}

/* --- what it says of itself --------------------------------------------------------------------------- */

static int name_unix(struct socket *socket, bool peer, uint8_t *address, size_t *length)
{
	struct unix_socket *us = unix_of(socket);
	int error = 0;

	mutex_lock(&unix_lock);
	if (peer && (us->peer == NULL || (unix_has_connections(us) && us->state != UNIX_CONNECTED)))
		error = -ENOTCONN;
	else
		unix_tell_name((peer ? us->peer : us)->address, address, length);
	mutex_unlock(&unix_lock);
	return error;
}

/* Linux calls it writable while three quarters of the buffer are free. unix_lock held. */
static bool has_room(const struct unix_socket *us)
{
	const struct unix_socket *peer = us->peer;

	if (peer == NULL || peer->dead)
		return true;
	if (!unix_has_connections(us) && peer->peer != us && unix_is_full(peer))
		return false;
	return peer->charge * 4 <= us->send_buffer;
}

static unsigned poll_unix(struct socket *socket, struct poll_table *table)
{
	struct unix_socket *us = unix_of(socket);
	bool writes = poll_wants(table, POLLOUT | POLLWRNORM | POLLWRBAND);
	unsigned events = 0;

	/* Hang-ups and errors wake both queues. */
	if (table != NULL && (!writes || poll_wants(table, POLLIN | POLLRDNORM | POLLRDHUP)))
		poll_wait(table, &us->readable);
	if (writes)
		poll_wait(table, &us->writable);
	mutex_lock(&unix_lock);
	if (us->error != 0)
		events |= POLLERR;
	if (us->read_shut && us->write_shut)
		events |= POLLHUP;
	if (us->read_shut)
		events |= POLLRDHUP | POLLIN | POLLRDNORM;
	if (!TAILQ_EMPTY(&us->packets) || !TAILQ_EMPTY(&us->pending))
		events |= POLLIN | POLLRDNORM;
	if (us->urgent != NULL)
		events |= POLLPRI;
	if (unix_has_connections(us) && us->state == UNIX_IDLE)
		events |= POLLHUP;
	if (us->state != UNIX_LISTENING && has_room(us))
		events |= POLLOUT | POLLWRNORM | POLLWRBAND;
	mutex_unlock(&unix_lock);
	return events;
}

static const struct socket_ops unix_ops = {
	.bind = unix_bind,
	.listen = listen_unix,
	.accept = accept_unix,
	.connect = connect_unix,
	.name = name_unix,
	.send = unix_send,
	.receive = unix_receive,
	.shutdown = shutdown_unix,
	.get_option = unix_get_option,
	.set_option = unix_set_option,
	.get_groups = unix_get_groups,
	.ioctl = unix_ioctl,
	.poll = poll_unix,
	.release = release_unix,
};

const struct socket_family unix_family = {
	.domain = AF_UNIX,
	.create = create_unix,
	.pair = pair_unix,
};

/* --- /proc/net/unix -------------------------------------------------------------------------------------- */

/* An abstract name is told with @ in the place of its NULs. */
static void describe_name(struct text *text, const struct unix_address *address)
{
	size_t length;

	if (address == NULL || address->length <= offsetof(struct sockaddr_un, sun_path))
		return;
	length = address->length - offsetof(struct sockaddr_un, sun_path);
	if (address->un.sun_path[0] != '\0')
		length--;
	text_append(text, " ", 1);
	for (size_t i = 0; i < length; i++)
		text_append(text, address->un.sun_path[i] != '\0' ? &address->un.sun_path[i] : "@",
			    1);
}

static unsigned state_of(const struct unix_socket *us)
{
	bool connected = unix_has_connections(us) ? us->state == UNIX_CONNECTED : us->peer != NULL;

	return connected ? SS_CONNECTED : SS_UNCONNECTED;
}

void unix_describe(struct text *text)
{
	const struct unix_socket *us;

	text_printf(text, "Num       RefCount Protocol Flags    Type St Inode Path\n");
	mutex_lock(&unix_lock);
	spin_lock(&list_lock);
	LIST_FOREACH (us, &sockets, all) {
		text_printf(text, "%016lx: %08X %08X %08X %04X %02X %5lu", 0ul, us->refs, 0,
			    us->state == UNIX_LISTENING ? __SO_ACCEPTCON : 0, us->socket.type,
			    state_of(us), us->socket.number);
		describe_name(text, us->address);
		text_append(text, "\n", 1);
	}
	spin_unlock(&list_lock);
	mutex_unlock(&unix_lock);
}
