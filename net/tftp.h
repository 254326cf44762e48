/*
 * net/tftp.h - reading files from a TFTP server, several at once (RFC 1350, 2347, 2348, 2349,
 * 7440).
 *
 * A transfer is driven by the thread that wants the bytes. It supplies pages of memory; the receive
 * callback, on the network thread, copies blocks into them and moves a watermark; the requester
 * waits for the watermark, and owns the pages below it again. While too few pages are supplied for
 * the next window, the acknowledgement is withheld and the server waits.
 *
 *	supply ►  ┌────┬────┬────┬────┬────┬────┐
 *	          │ full    │ filling  │ empty   │
 *	          └────┴────┴────┴────┴────┴────┘
 *	                    ▲ received
 *
 * The state machine is net/tftp_proto.c, which knows neither lwIP nor threads and is tested and
 * fuzzed on the host.
 */
#ifndef HAWSER_NET_TFTP_H
#define HAWSER_NET_TFTP_H

#include "kernel/base.h"

#define TFTP_PATH_MAX      500                   /* with the mode below the 512 that servers take */
#define TFTP_TRANSFERS_MAX 8                     /* at once; further ones wait their turn */
#define TFTP_SUPPLY_MAX    256                   /* pages supplied and not yet filled */
#define TFTP_REACH_MAX     (UINT64_C(64) * 1468) /* bytes of the largest window; see tftp_wait() */

struct tftp_transfer;

/*
 * Asks `server` (network byte order) for `path` (no leading slash needed, binary) and waits for the
 * first answer: an OACK or a first DATA block. Retries with back-off; a server that refuses an
 * option gets a plain request. Waits for a free transfer and for the network to be configured.
 * Sleeps, killably.
 * -ENOENT, -EACCES, -EIO (other error from the server), -ETIMEDOUT, -EHOSTUNREACH, -ENODEV,
 * -ENAMETOOLONG, -ENOMEM, -EINTR. Failures other than ENOENT are logged, with server, path, stage
 * and last block.
 */
int tftp_open(uint32_t server, const char *path, struct tftp_transfer **out);

/*
 * As tftp_open(), without options: RRQ, DATA and a last ACK are all the packets of a file of fewer
 * than 512 bytes. The server does not say the size.
 */
int tftp_open_plain(uint32_t server, const char *path, struct tftp_transfer **out);

/* The size that the server announced, or -1 if it did not say (yet). */
int64_t tftp_size(const struct tftp_transfer *transfer);

/* Appends one page (PAGE_SIZE bytes, kernel address). -ENOSPC: TFTP_SUPPLY_MAX are outstanding. */
int tftp_supply(struct tftp_transfer *transfer, void *page);

/*
 * Waits until at least `offset` bytes of the file have been received, or it is complete, or the
 * transfer stands still for want of pages: it asks the server for a window at a time, so it moves
 * as long as TFTP_REACH_MAX bytes beyond what has been received are supplied, or all of the
 * announced size. Returns 0, or the error that ended the transfer: -ETIMEDOUT, -EHOSTUNREACH, -EIO
 * (error packet, or bytes != tsize), -ENODATA (the server announced the file and then was silent,
 * request after request, sent an empty one, or could not read it: so some answer for a directory), or
 * -EINTR when the caller is being killed.
 */
int tftp_wait(struct tftp_transfer *transfer, uint64_t offset);

/* Bytes received in order, all of them in supplied pages. */
uint64_t tftp_received(const struct tftp_transfer *transfer);
/* True once the last block has come; the size is then tftp_received(). */
bool tftp_complete(const struct tftp_transfer *transfer);

/* Ends it: an ERROR packet stops a server that still sends. The pages are the caller's again. */
void tftp_close(struct tftp_transfer *transfer);

/* Once, after net_init(). */
void tftp_init(void);

#endif
