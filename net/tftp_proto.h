/*
 * net/tftp_proto.h - the TFTP client as a pure state machine: no memory, clock or network of its
 * own.
 *
 * Events go in through the functions below; datagrams and file data come out through `ops`; the
 * owner calls tftp_proto_timer() when `deadline` has passed and looks at `state`, `received` and
 * `status` after each event. One owner at a time: the functions lock nothing and sleep on nothing.
 *
 *	ASKING ── OACK, or DATA 1 ──► RECEIVING ── last block ──► DONE
 *	  ▲ │                          │   │
 *	  │ └── ERROR, silence ──► FAILED ◄┘   (tftp_proto_stop() leads to FAILED from anywhere)
 *	  └──────── a new request ─────┘       (smaller blocks, or a transfer taken up again)
 *
 * What arrives within a window is kept in any order, at its place in the supplied memory:
 *
 *	  good                                    horizon
 *	──────┬─────────┬──────┬──────────────────┬──────
 *	 in   │ missing │ have │ missing          │ not asked for
 *	 order│         │      │                  │
 *	──────┴─────────┴──────┴──────────────────┴──────
 *
 * The horizon is `window` blocks past the last acknowledgement: a server sends that far and stops.
 * At the horizon the window is acknowledged, if memory for the next one has been supplied; if not,
 * the acknowledgement is owed and the server waits. A hole is acknowledged early, with the block
 * before it: the server goes back to there (RFC 7440 4), and what we have already only needs to be
 * passed.
 *
 * The window itself stays as negotiated. To acknowledge in mid-window in order to shrink it would
 * make a server that has sent the window already send the rest of it twice. It is adapted between
 * requests: the owner asks with what the last transfers from that server could use, and a request
 * that takes up a transfer again asks for half.
 *
 * A server that has fallen silent gets a new request, and what has been received already is passed
 * over: only if size, block size and a digest of all those bytes are the same does the transfer go
 * on; otherwise the file has changed, and mixing two is an error.
 *
 * Servers that answer from port 69 itself, and know no windows, are QEMU's: one transfer for each
 * client port, never look at an acknowledgement's number, never repeat a block. There an
 * acknowledgement means "send one more". It is never repeated; TFTP_AHEAD of them are under way at
 * a time instead of one, which saves a round trip per block; and what is lost takes a new request.
 */
#ifndef HAWSER_NET_TFTP_PROTO_H
#define HAWSER_NET_TFTP_PROTO_H

#include "kernel/base.h"
#include "net/tftp_packet.h"

#define TFTP_WINDOW_MAX  64 /* blocks: one bit each in tftp_proto.have */
#define TFTP_AHEAD       8  /* acknowledgements under way to a server of the kind above */
#define TFTP_NO_DEADLINE UINT64_MAX

struct tftp_ops {
	/*
	 * Sends one datagram from the transfer's port. 0, or a negative errno: a datagram that
	 * cannot be sent counts as lost, and the last error becomes the transfer's if it is never
	 * answered.
	 */
	int (*send)(void *context, uint32_t address, uint16_t port, const void *data,
		    size_t length);
	/* From now on sends from and listens on a new random port. */
	void (*rebind)(void *context);
	/* Stores bytes at `offset` of the file; all of them below the limit supplied. */
	void (*deliver)(void *context, uint64_t offset, const void *data, size_t length);
};

enum tftp_state { TFTP_ASKING, TFTP_RECEIVING, TFTP_DONE, TFTP_FAILED };

/* Why a transfer failed. */
enum tftp_reason {
	TFTP_OK,
	TFTP_TIMED_OUT,  /* silence */
	TFTP_GIVEN_UP,   /* one request after the other without getting further */
	TFTP_REFUSED,    /* an ERROR packet */
	TFTP_SILENT,     /* announced a file and sent nothing of it */
	TFTP_WRONG_SIZE, /* not the size announced */
	TFTP_CHANGED,    /* taken up again, it was another file */
	TFTP_MALFORMED,  /* blocks that contradict each other */
	TFTP_PATH_TOO_LONG,
	TFTP_STOPPED, /* by us */
};

struct tftp_request {
	uint32_t server;  /* opaque here */
	const char *path; /* must outlive the transfer */
	uint32_t blksize; /* what fits into a packet */
	uint32_t window;  /* blocks, 1..TFTP_WINDOW_MAX */
	uint64_t seed;    /* of the jitter */
	bool plain;       /* ask without options: the first answer is the first block */
};

/* The owner reads; only the functions below write. */
struct tftp_proto {
	enum tftp_state state;
	int status;        /* FAILED: a negative errno */
	uint64_t received; /* bytes in order, delivered */
	int64_t size;      /* as announced, or known since the last block came; otherwise -1 */
	uint64_t deadline; /* ns: when to call tftp_proto_timer(), or TFTP_NO_DEADLINE */
	unsigned tries;    /* time-outs since the server was last heard */

	/* For what is remembered of a server. */
	uint32_t blksize; /* agreed */
	uint32_t window;  /* agreed */
	uint64_t windows; /* acknowledged whole */
	uint64_t holes;   /* acknowledged early or after a time-out: losses */

	/* Private. */
	const struct tftp_ops *ops;
	void *context;
	uint32_t server;
	const char *path;
	uint16_t peer_port;        /* the server's TID; 0 until it has answered */
	struct tftp_options asked; /* in the last request */
	bool without_options;      /* the server does not want any */
	int64_t announced;         /* the size that the server gave; -1: none */
	uint64_t limit;            /* bytes of memory supplied, from the start of the file */
	uint64_t jitter;           /* state of a small generator */
	int send_error;            /* of the last datagram */

	uint64_t good;                    /* last block received in order */
	uint64_t horizon;                 /* last block asked for */
	uint64_t acked;                   /* last block acknowledged */
	uint64_t acked_at;                /* ns */
	uint64_t highest;                 /* highest block seen */
	uint64_t last;                    /* the file's last block; 0: not known */
	uint64_t have;                    /* bit i: block good + 1 + i is here */
	uint64_t hashes[TFTP_WINDOW_MAX]; /* of the blocks in `have` */
	uint64_t digest;                  /* of all blocks to `good` */
	uint32_t ahead;                   /* blocks asked for at a time, one by one; 0: by window */
	unsigned strikes; /* blocks seen beyond the hole that the server should fill */
	unsigned rewinds; /* times it was asked to, since `good` last moved */
	bool settled;     /* no blocks from before the last ACK are under way */
	bool nudged;      /* acknowledged after a pause: not a try yet */
	bool owed;        /* an acknowledgement is withheld for want of memory */

	uint64_t resume_block;  /* taken up again: known to here, */
	uint64_t resume_digest; /* with this digest */
	unsigned restarts;      /* since `received` last moved */

	uint64_t timed_block; /* its arrival ends a measurement; 0: none under way */
	uint64_t timed_at;    /* ns */
	uint64_t round_trip;  /* ns, smoothed */

	enum tftp_reason reason;
	uint64_t wrong_size;  /* where the file ended, or went on: */
	uint64_t wrong_block; /* with this block */
	unsigned error_code;
	char error_text[64];
	uint16_t early_length; /* DATA 1 came before any memory did: kept here */
	bool early;
	uint8_t early_block[TFTP_BLOCK_PLAIN];
};

/* Begins: sends the first request. */
void tftp_proto_start(struct tftp_proto *proto, const struct tftp_ops *ops, void *context,
		      const struct tftp_request *request, uint64_t now);

/* A datagram has come to the transfer's port. `data` may hold anything. */
void tftp_proto_packet(struct tftp_proto *proto, uint32_t address, uint16_t port, const void *data,
		       size_t length, uint64_t now);

/* Time has passed; does nothing before the deadline. */
void tftp_proto_timer(struct tftp_proto *proto, uint64_t now);

/* There is memory for bytes [0, limit) of the file. Never shrinks. */
void tftp_proto_supply(struct tftp_proto *proto, uint64_t limit, uint64_t now);

/* Ends it, telling a server that might still send. The context is not used again. */
void tftp_proto_stop(struct tftp_proto *proto);

/* Writes why it failed, for the log: "timed out after 5 tries, last block 17". */
void tftp_proto_explain(const struct tftp_proto *proto, char *out, size_t size);

#endif
