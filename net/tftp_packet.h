/*
 * net/tftp_packet.h - what TFTP's packets look like (RFC 1350 5, RFC 2347, 2348, 2349, 7440).
 *
 *	RRQ    01 | name 0 | "octet" 0 | option 0 | value 0 | …
 *	DATA   03 | block | up to blksize bytes; fewer end the file
 *	ACK    04 | block
 *	ERROR  05 | code  | text 0
 *	OACK   06 | option 0 | value 0 | …
 *
 * Numbers are 16 bits, big-endian; option names are ASCII in any case, values are decimal.
 */
#ifndef HAWSER_NET_TFTP_PACKET_H
#define HAWSER_NET_TFTP_PACKET_H

#include "kernel/base.h"

#define TFTP_PORT        69
#define TFTP_HEADER_SIZE 4     /* opcode and block number or code */
#define TFTP_BLOCK_PLAIN 512   /* without the option blksize */
#define TFTP_BLOCK_MIN   8     /* RFC 2348 */
#define TFTP_BLOCK_MAX   65464 /* RFC 2348 */
#define TFTP_REQUEST_MAX 512   /* RFC 2347: a request's packet */
#define TFTP_ERROR_MAX   64    /* of the errors that we send */

enum tftp_opcode {
	TFTP_RRQ = 1,
	TFTP_DATA = 3,
	TFTP_ACK = 4,
	TFTP_ERROR = 5,
	TFTP_OACK = 6,
};

enum tftp_error {
	TFTP_ERROR_UNDEFINED = 0,
	TFTP_ERROR_NOT_FOUND = 1,
	TFTP_ERROR_ACCESS = 2,
	TFTP_ERROR_ILLEGAL = 4,
	TFTP_ERROR_UNKNOWN_TID = 5,
	TFTP_ERROR_NO_USER = 7,
	TFTP_ERROR_OPTION = 8,
};

/* Options as asked for or agreed on; 0 (-1 for the size) where there is none. */
struct tftp_options {
	uint32_t blksize;    /* bytes */
	uint32_t windowsize; /* blocks */
	uint32_t timeout;    /* seconds */
	int64_t size;        /* bytes; asked for with 0 */
};

static inline uint16_t tftp_get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/*
 * Writes a read request for `path` in mode octet into `out` (TFTP_REQUEST_MAX bytes) and returns
 * its length, or 0 if the path does not fit. Options that no longer fit are left out and cleared
 * in `asked`, the dearest first to be kept.
 */
size_t tftp_compose_request(uint8_t *out, const char *path, struct tftp_options *asked);

/* Writes an acknowledgement (TFTP_HEADER_SIZE bytes) and returns its length. */
size_t tftp_compose_ack(uint8_t *out, uint16_t block);

/* Writes an error packet (TFTP_ERROR_MAX bytes at most; longer text is cut); returns its length. */
size_t tftp_compose_error(uint8_t *out, enum tftp_error code, const char *text);

/*
 * Reads an OACK (with its opcode) into `agreed`. False if it is malformed or gives what was not
 * asked for or more than was asked for (RFC 2347): the caller answers with TFTP_ERROR_OPTION.
 */
bool tftp_parse_oack(const uint8_t *packet, size_t length, const struct tftp_options *asked,
		     struct tftp_options *agreed);

/*
 * Copies the text of an ERROR packet (with its opcode) into `out`, cut to `size`, what is not
 * printable ASCII replaced by dots: it goes into the log.
 */
void tftp_error_text(const uint8_t *packet, size_t length, char *out, size_t size);

#endif
