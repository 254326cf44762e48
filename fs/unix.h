/*
 * fs/unix.h - AF_UNIX sockets, unix(7): what their parts share. Private to fs/unix*.c.
 *
 *	unix.c          life, listening, connecting, shutting down, poll, options
 *	unix_names.c    who has which name
 *	unix_message.c  sending, and the queues
 *	unix_receive.c  receiving
 *	unix_options.c  what they say of themselves
 *	unix_rights.c   descriptors in flight, and the circles that they can make
 *
 * One mutex, unix_lock, protects all of them: every operation is about two sockets, and short. User
 * memory is copied under it without faulting, or without it.
 */
#ifndef HAWSER_FS_UNIX_H
#define HAWSER_FS_UNIX_H

#include "fs/socket.h"
#include "kernel/lock.h"
#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <linux/un.h>

struct group_list;
struct inode;

extern struct mutex unix_lock; /* RANK_STREAM */

/* The bytes that a socket may have on the way to its peer, as Linux's wmem_default and _max. */
#define BUFFER_DEFAULT 212992
#define BUFFER_MAX     425984
#define BUFFER_MIN     4608
/* Datagrams that wait for a receiver who has not connected to the sender: max_dgram_qlen. */
#define DATAGRAMS_MAX 10
/* A stream's bytes are kept in pieces of up to this, with their header. */
#define PACKET_MAX (16 * KIB)

/* A name, counted; struct sockaddr_un without its end. */
struct unix_address {
	_Atomic uint32_t refs;
	size_t length; /* of struct sockaddr_un */
	struct sockaddr_un un;
};

/* Bytes on their way: a message, or a piece of a stream. */
struct packet {
	TAILQ_ENTRY(packet) link;  /* unix_lock */
	struct unix_address *from; /* held, or NULL */
	struct rights *rights;     /* or NULL; unix_lock */
	struct ucred credentials;  /* of the sender */
	uint64_t time_ns;          /* when it came, wall time; 0: nobody wanted to know */
	size_t length, offset;     /* of `data`, and how much of it has been read; unix_lock */
	char data[];
};
TAILQ_HEAD(packet_list, packet);

/* Who somebody was: SO_PEERCRED, SO_PEERGROUPS. */
struct unix_identity {
	struct ucred credentials;
	struct group_list *groups; /* held, or NULL */
};

enum unix_state { UNIX_IDLE, UNIX_LISTENING, UNIX_CONNECTED };

struct unix_socket {
	struct socket socket;
	_Atomic uint32_t refs; /* the file's, or the listener's; peers'; who waits for it */
	bool dead;             /* nobody has it open any more; unix_lock, and so is all below */
	enum unix_state state; /* streams and sequenced packets */
	bool read_shut, write_shut;
	bool pass_credentials;              /* SO_PASSCRED */
	int error;                          /* told once: SO_ERROR, or by the next call */
	size_t send_buffer, receive_buffer; /* SO_SNDBUF, SO_RCVBUF */
	struct unix_identity own, other;    /* and the peer's, as of listen or connect */
	struct unix_socket *peer;           /* held: at the other end, or where datagrams go */
	LIST_HEAD(, unix_socket) senders;   /* datagram sockets whose peer it is */
	LIST_ENTRY(unix_socket) sender_link;

	struct packet_list packets;        /* received */
	size_t charge;                     /* their memory */
	unsigned count;                    /* how many */
	uint64_t arrivals;                 /* how many have ever come */
	struct packet *urgent;             /* among them: one byte, MSG_OOB, not read yet */
	TAILQ_HEAD(, unix_socket) pending; /* connections to be accepted; held */
	TAILQ_ENTRY(unix_socket) pending_link;
	unsigned pending_count, backlog;

	struct unix_address *address; /* held, or NULL; set once */
	struct inode *inode;          /* held: of a name in the root */
	RB_ENTRY(unix_socket) by_name;

	LIST_ENTRY(unix_socket) all;         /* the list's lock (fs/unix.c) */
	unsigned in_flight;                  /* references to its file in packets */
	LIST_ENTRY(unix_socket) flight_link; /* if in_flight > 0 */
	/* While circles are looked for (fs/unix_rights.c): */
	bool candidate;   /* only packets hold its file */
	unsigned outside; /* of those, at sockets that are no candidates */
	TAILQ_ENTRY(unix_socket) work_link;

	struct waitq readable; /* something to receive or accept, or an end of that */
	struct waitq writable; /* room at the peer, or an end of that */
	struct waitq room;     /* room here, for who sends or connects to it */
};

static inline struct unix_socket *unix_of(struct socket *socket)
{
	return container_of(socket, struct unix_socket, socket);
}

void unix_get(struct unix_socket *us);
void unix_put(struct unix_socket *us); /* not under unix_lock */

/* True of those that are connected before they send. */
static inline bool unix_has_connections(const struct unix_socket *us)
{
	return us->socket.type != SOCK_DGRAM;
}

/* A socket of that type that nobody knows, refs 1; NULL: no memory. (fs/unix.c) */
struct unix_socket *unix_alloc(int type);
/* Wakes all that may wait for something about it. unix_lock held. */
void unix_wake(struct unix_socket *us);
/* What has happened to it, which is told once. unix_lock held. */
int unix_take_error(struct unix_socket *us);

/* --- names: fs/unix_names.c ------------------------------------------------------------------- */

int unix_bind(struct socket *socket, const uint8_t *address, size_t length);
/* A name of its own, if it has none. -ENOMEM, -ENOSPC. */
int unix_autobind(struct unix_socket *us);
/*
 * The socket of that name with a reference. -EINVAL, -ECONNREFUSED: nobody has it; -ENOENT and the
 * other errors of a path; -EPROTOTYPE: of another type.
 */
int unix_find(const uint8_t *address, size_t length, int type, struct unix_socket **out);
/* It has no name any more; unix_lock held. The inode to put later, or NULL. */
struct inode *unix_unbind(struct unix_socket *us);
void unix_address_put(struct unix_address *address); /* NULL is allowed */
/* Writes the name, or an empty one. */
void unix_tell_name(const struct unix_address *from, uint8_t *address, size_t *length);

/* --- messages: fs/unix_message.c --------------------------------------------------------------- */

ssize_t unix_send(struct socket *socket, struct message *message);
/* unix_lock held: takes a packet off that has been read, and frees it. */
void unix_remove(struct unix_socket *us, struct packet *packet);
/* unix_lock held: there is room again, for threads that wait, and for those that poll. */
void unix_tell_of_room(struct unix_socket *us);
/* fs/unix_receive.c. */
ssize_t unix_receive(struct socket *socket, struct message *message);
/* SIOCATMARK: the next byte is the urgent one, or that has been read. unix_lock held. */
bool unix_at_mark(const struct unix_socket *us);
/* unix_lock held: takes every packet off, to be freed by unix_drop() without the lock. */
void unix_purge(struct unix_socket *us, struct packet_list *freed);
/* Whether datagrams to it must wait, whoever sends them; unix_lock held. */
bool unix_is_full(const struct unix_socket *us);

/* --- struct socket_ops's of the same names: fs/unix_options.c ---------------------------------- */

int unix_get_option(struct socket *socket, int option, void *value, size_t *length);
int unix_set_option(struct socket *socket, int option, const void *value, size_t length);
int unix_get_groups(struct socket *socket, struct group_list **out);
int unix_ioctl(struct socket *socket, unsigned request, vaddr_t argument);

/* --- descriptors: fs/unix_rights.c ------------------------------------------------------------- */

/* Rights enter or leave a receiver's queue; unix_lock held. -ETOOMANYREFS: too many in flight. */
int rights_take_off(const struct rights *rights);
void rights_land(const struct rights *rights);
/* Breaks circles of sockets that only packets of each other hold. No lock held. */
void unix_collect(void);
/* Frees packets and all that they hold, one after the other however deep it goes. No lock held. */
void unix_drop(struct packet_list *packets);

#endif
