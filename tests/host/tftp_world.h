/*
 * tests/host/tftp_world.h - a TFTP client's world on the host: a clock, a network that loses,
 * repeats, reorders and delays by a seeded generator, and servers of the kinds that exist.
 *
 * The client under test is net/tftp_proto.c. Its memory is supplied page by page by a requester
 * whose habits the test chooses; every byte it delivers is checked on the spot.
 */
#ifndef TFTP_WORLD_H
#define TFTP_WORLD_H

#include "net/tftp_proto.h"

#define SERVER_ADDRESS 0x0202000au /* 10.0.2.2 */
#define CLIENT_PAGE    4096u

enum server_kind {
	SERVER_WINDOWED, /* atftpd: goes back to whatever is acknowledged, at once */
	SERVER_LOCKSTEP, /* dnsmasq before 2.92: one block, deaf to repeated acknowledgements */
	SERVER_PLAIN,    /* knows no options and answers with the first block */
	SERVER_REFUSING, /* answers options with ERROR 8 */
	SERVER_QEMU,     /* port 69, any acknowledgement advances, never repeats */
};

/* What a test sets before world_run(). Rates are in 1/1000. */
struct world {
	/* the server */
	enum server_kind kind;
	uint64_t file_size;
	uint32_t max_blksize, max_window; /* what it grants; 0: as asked */
	bool without_tsize;
	int64_t lie;           /* added to the announced size */
	uint64_t silent_after; /* sends no block above this one; 0: it does */
	bool directory;        /* OACK, then an empty block */
	uint32_t vanish_above; /* the server's datagrams longer than this are lost */
	uint32_t queue;        /* datagrams the path holds at a time; 0: any number */
	const char *oack;      /* sent as it is instead of a correct one; `oack_length` */
	size_t oack_length;
	unsigned error_code;    /* instead of an answer; 0: none */
	uint64_t forget_at;     /* having sent this block, forgets the transfer, once */
	uint64_t change_at;     /* having sent this block, serves another file, once */
	bool swap;              /* every two neighbouring blocks come in the wrong order */
	unsigned deaf_requests; /* so many requests are not answered */

	/* the network */
	unsigned loss, duplicate, reorder;
	uint64_t delay; /* ns, each way; 0: 50 us */
	uint64_t seed;

	/* the requester */
	uint32_t blksize, window; /* of the request */
	bool plain;               /* a request without options */
	uint64_t ahead;           /* pages supplied beyond what has come; 0: 256 */
	uint64_t pause;           /* ns until it supplies more */

	/* results */
	struct tftp_proto client;
	uint64_t now;                      /* ns at the end */
	uint64_t blocks_sent;              /* by the server */
	uint64_t acks_sent, requests_sent; /* by the client */
	uint64_t errors_sent;              /* by the client, to the server */
	uint64_t strangers_told;           /* ERROR 5 by the client, to others */
	uint16_t last_ack;
	bool wrong_bytes, beyond_supply; /* delivered */
	char asked[512];                 /* the last request's options, "name=value " each */

	struct world_private *private;
};

/* Starts the client. */
void world_begin(struct world *world);
/* Until the client has ended, or `limit` ns have passed. True if it has ended. */
bool world_run(struct world *world, uint64_t limit);
/* Until the client has received `bytes`. */
bool world_run_to(struct world *world, uint64_t bytes, uint64_t limit);
/* What is still under way arrives. */
void world_settle(struct world *world);
/* A datagram for the client, now. */
void world_inject(struct world *world, uint32_t address, uint16_t port, const void *data,
		  size_t length);
/* The port that the server answers from at present. */
uint16_t world_server_port(const struct world *world);
void world_end(struct world *world);

/* The file's bytes; `version` tells two files of one size apart. */
uint8_t world_byte(uint64_t offset, unsigned version);

#endif
