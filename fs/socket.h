/*
 * fs/socket.h - sockets: an open file in front, a protocol family behind.
 *
 *	system calls ─> socket.c, socket_message.c ─> struct socket_ops ─> unix*.c
 *
 * The front knows descriptors, user memory, addresses as bytes and control messages; a family knows
 * who is connected with whom and where the bytes are.
 */
#ifndef HAWSER_FS_SOCKET_H
#define HAWSER_FS_SOCKET_H

#include "fs/socket_abi.h"
#include "fs/span.h"
#include "kernel/base.h"

struct file;
struct group_list;
struct poll_table;
struct socket;
struct text;

/* Linux's struct sockaddr_storage. */
#define ADDRESS_MAX 128

/* Open files on their way in a message. */
struct rights {
	unsigned count;
	struct file *files[]; /* held */
};

/* What is sent, or received: data, and what goes with it. */
struct message {
	struct span_cursor data;
	unsigned flags;               /* of the call: MSG_PEEK … */
	bool wait;                    /* neither MSG_DONTWAIT nor O_NONBLOCK */
	uint8_t address[ADDRESS_MAX]; /* where to; where from */
	size_t address_length;        /* 0: none */
	struct rights *rights;        /* kalloc()ed, or NULL; what is taken is set to NULL */
	struct ucred credentials;     /* of the sender */
	int stamp;                    /* received: how times are told: SO_TIMESTAMP …, or 0 */
	uint64_t time_ns;             /* received: when it came, wall time; 0: that is not known */
	bool has_credentials;         /* received: they are to be told */
	unsigned result;              /* received: MSG_TRUNC, MSG_OOB */
};

struct socket_ops {
	int (*bind)(struct socket *socket, const uint8_t *address, size_t length);
	int (*listen)(struct socket *socket, int backlog);
	/* The next connection, as a socket without a file. */
	int (*accept)(struct socket *socket, bool wait, struct socket **out);
	int (*connect)(struct socket *socket, const uint8_t *address, size_t length, bool wait);
	/* Its own name or its peer's; `length` of ADDRESS_MAX bytes. */
	int (*name)(struct socket *socket, bool peer, uint8_t *address, size_t *length);
	/* Bytes, or a negative errno. SIGPIPE is theirs. User memory is touched with no lock held. */
	ssize_t (*send)(struct socket *socket, struct message *message);
	ssize_t (*receive)(struct socket *socket, struct message *message);
	int (*shutdown)(struct socket *socket, int how);
	/* SOL_SOCKET's, that the front does not know; `*length` in: room, out: bytes. -ENOPROTOOPT. */
	int (*get_option)(struct socket *socket, int option, void *value, size_t *length);
	int (*set_option)(struct socket *socket, int option, const void *value, size_t length);
	/* SO_PEERGROUPS: those of the peer, held, or NULL: it has none. -ENODATA: there is no peer. */
	int (*get_groups)(struct socket *socket, struct group_list **out);
	int (*ioctl)(struct socket *socket, unsigned request, vaddr_t argument);
	unsigned (*poll)(struct socket *socket, struct poll_table *table);
	/* Its file is gone; or it never got one. May sleep. */
	void (*release)(struct socket *socket);
};

struct socket {
	const struct socket_ops *ops; /* fixed */
	int domain, type, protocol;   /* fixed */
	struct file *file;            /* not held: its face; set once; NULL: not accepted yet */
	uint64_t number;              /* for fstat(2); fixed */
	_Atomic uint32_t options;     /* SO_REUSEADDR and the like, by number: kept, and told */
	_Atomic int
		timestamps; /* SO_TIMESTAMP or SO_TIMESTAMPNS: times are told so; 0: they are not */
	_Atomic int peek_offset; /* SO_PEEK_OFF: where MSG_PEEK begins; -1: always at the front */
	_Atomic uint64_t receive_ns, send_ns; /* SO_RCVTIMEO, SO_SNDTIMEO; NO_DEADLINE: for ever */
};

struct socket_family {
	int domain;
	/* -EPROTONOSUPPORT, -ESOCKTNOSUPPORT, -ENOMEM. `type` without flags. */
	int (*create)(int type, int protocol, struct socket **out);
	/* Connects two new sockets with each other; NULL: -EOPNOTSUPP. */
	int (*pair)(struct socket *a, struct socket *b);
};
extern const struct socket_family unix_family; /* fs/unix.c */
/* Those that there are, as lines of /proc/net/unix. */
void unix_describe(struct text *text);

/* For families: the beginning of a new socket. */
void socket_init(struct socket *socket, const struct socket_ops *ops, int domain, int type,
		 int protocol);
/* For families: until when a call waits that begins now. */
uint64_t socket_deadline(const _Atomic uint64_t *timeout_ns);

/* The socket that an open file is the face of, or NULL. */
struct socket *socket_of(struct file *file);
/* The descriptor's socket and its file, with a reference. -EBADF, -ENOTSOCK. */
int socket_get(int fd, struct file **file, struct socket **out);
/* Who the caller is: as whom he acts (SO_PEERCRED), or whose he is (SCM_CREDENTIALS). */
void socket_caller(struct ucred *out);
void socket_sender(struct ucred *out);
/* True if one of the options that are kept by number is set: SO_OOBINLINE. */
static inline bool socket_has(const struct socket *socket, int option)
{
	return (atomic_load(&socket->options) & 1u << option) != 0;
}

/* Drops the files; kfree()s. NULL is allowed. May sleep. */
void rights_put(struct rights *rights);

/* struct file_ops of sockets; for socket_of(). (fs/socket_message.c: reading and writing) */
ssize_t socket_read(struct file *file, struct span_cursor *to);
ssize_t socket_write(struct file *file, struct span_cursor *from);

/* An address from the user, and to him, cut to his room. -EINVAL, -EFAULT. */
int address_from_user(vaddr_t user, int length, uint8_t *address);
int address_to_user(vaddr_t user, vaddr_t user_length, const uint8_t *address, size_t length);

#endif
