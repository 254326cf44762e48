/*
 * net/tftp_proto.c - the TFTP client's state machine; its picture is in the header.
 *
 * An acknowledgement is sent again only after a time-out of our own, never because a block came
 * twice (the "sorcerer's apprentice" of RFC 1123 4.2.3.1); the one exception is the last block,
 * whose acknowledgement nobody would send otherwise.
 */
#include "net/tftp_proto.h"

#include "kernel/clock.h"
#include "kernel/string.h"

#define TRIES_MAX          5 /* time-outs in a row, requests and acknowledgements together */
#define ACK_TRIES          3 /* of them answered with an acknowledgement; then with a new request */
#define RESTARTS_MAX       2 /* new requests in a row that did not get us further */
#define AHEAD_RESTARTS_MAX 5 /* the same, of a server where every loss takes one */

/*
 * How long to wait, at first and at most. Short at first, since a lost acknowledgement costs the
 * wait; four times as long each time, so that the last is more patient than servers that repeat a
 * block after two seconds, and on no account earlier. A server that never repeats one is given
 * time, for nothing is lost on the way to it but everything has to be asked for again.
 */
#define REQUEST_WAIT   (1 * NSEC_PER_SEC)    /* for the first answer; doubles */
#define FIRST_WAIT     (500 * NSEC_PER_MSEC) /* for the first block: the server opens the file */
#define BLOCK_WAIT     (50 * NSEC_PER_MSEC)
#define AHEAD_WAIT     (1 * NSEC_PER_SEC)
#define PAUSE_WAIT     (5 * NSEC_PER_MSEC) /* for the rest of a window that has begun to come */
#define WAIT_MAX       (4 * NSEC_PER_SEC)

#define SERVER_TIMEOUT 3 /* seconds: what the server is asked to wait before it repeats itself */

#define STRIKES        3 /* blocks beyond a hole before it is taken for a loss */
#define REWINDS_MAX    3 /* acknowledgements of one block without a time-out in between */

/* Block sizes to fall back to where larger ones vanish; see lower_blksize(). */
static const uint32_t blksize_steps[] = { 1428, TFTP_BLOCK_PLAIN };

/* --- time ------------------------------------------------------------------------------------- */

/* xorshift64: enough to keep a room full of machines from asking in step. */
static uint64_t next_random(struct tftp_proto *proto)
{
	uint64_t x = proto->jitter;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return proto->jitter = x;
}

/* Sets the deadline `wait` from now, or up to a quarter later. */
static void arm_jittered(struct tftp_proto *proto, uint64_t wait, uint64_t now)
{
	proto->deadline = now + wait + next_random(proto) % (wait / 4 + 1);
}

/* A window has begun to come: its blocks follow each other closely, and a pause is a loss. */
static bool in_window(const struct tftp_proto *proto)
{
	return proto->ahead == 0 && (proto->good > proto->acked || proto->have != 0);
}

/* Sets the deadline for the next block. */
static void arm(struct tftp_proto *proto, uint64_t now)
{
	uint64_t wait = proto->ahead != 0 ? AHEAD_WAIT : BLOCK_WAIT;

	if (proto->good == 0)
		wait = FIRST_WAIT;
	if (proto->tries > 0) {
		wait = (wait << (2 * proto->tries)) + 4 * proto->round_trip;
		arm_jittered(proto, MIN(wait, WAIT_MAX), now);
		return;
	}
	if (in_window(proto) && !proto->nudged)
		wait = PAUSE_WAIT;
	proto->deadline = now + MIN(wait + 4 * proto->round_trip, WAIT_MAX);
}

static void measure_begin(struct tftp_proto *proto, uint64_t block, uint64_t now)
{
	proto->timed_block = block;
	proto->timed_at = now;
}

static void measure_end(struct tftp_proto *proto, uint64_t now)
{
	uint64_t sample = now - proto->timed_at;

	proto->timed_block = 0;
	if (proto->round_trip == 0)
		proto->round_trip = sample;
	else
		proto->round_trip += sample / 8 - proto->round_trip / 8;
}

/* --- sending ---------------------------------------------------------------------------------- */

static void transmit(struct tftp_proto *proto, const void *data, size_t length)
{
	uint16_t port = proto->peer_port != 0 ? proto->peer_port : TFTP_PORT;

	proto->send_error = proto->ops->send(proto->context, proto->server, port, data, length);
}

static void send_error(struct tftp_proto *proto, uint32_t address, uint16_t port,
		       enum tftp_error code, const char *text)
{
	uint8_t packet[TFTP_ERROR_MAX];
	size_t length = tftp_compose_error(packet, code, text);

	(void)proto->ops->send(proto->context, address, port, packet, length);
}

static void transmit_ack(struct tftp_proto *proto, uint64_t block)
{
	uint8_t packet[TFTP_HEADER_SIZE];

	transmit(proto, packet, tftp_compose_ack(packet, (uint16_t)block));
}

/* --- ends ------------------------------------------------------------------------------------- */

static void fail(struct tftp_proto *proto, enum tftp_reason reason, int status)
{
	proto->state = TFTP_FAILED;
	proto->reason = reason;
	proto->status = status;
	proto->deadline = TFTP_NO_DEADLINE;
}

/* True if the server has announced a file, and what it has sent of it is silence or an empty file. */
static bool sent_nothing(const struct tftp_proto *proto, enum tftp_reason reason)
{
	return reason == TFTP_SILENT || (reason == TFTP_WRONG_SIZE && proto->wrong_size == 0);
}

/* Fails a transfer whose server must be told. */
static void abandon(struct tftp_proto *proto, enum tftp_reason reason, const char *text)
{
	send_error(proto, proto->server, proto->peer_port, TFTP_ERROR_UNDEFINED, text);
	fail(proto, reason, sent_nothing(proto, reason) ? -ENODATA : -EIO);
}

static void fail_timed_out(struct tftp_proto *proto)
{
	fail(proto, TFTP_TIMED_OUT, proto->send_error != 0 ? proto->send_error : -ETIMEDOUT);
}

static void finish(struct tftp_proto *proto)
{
	transmit_ack(proto, proto->last);
	proto->state = TFTP_DONE;
	proto->deadline = TFTP_NO_DEADLINE;
}

/* --- requests --------------------------------------------------------------------------------- */

static void send_request(struct tftp_proto *proto, uint64_t now)
{
	uint8_t packet[TFTP_REQUEST_MAX];
	size_t length = tftp_compose_request(packet, proto->path, &proto->asked);

	if (length == 0) {
		fail(proto, TFTP_PATH_TOO_LONG, -ENAMETOOLONG);
		return;
	}
	transmit(proto, packet, length);
	arm_jittered(proto, MIN(REQUEST_WAIT << proto->tries, WAIT_MAX), now);
}

/* Asks from the beginning of the file, as a new client: from another port. */
static void ask_anew(struct tftp_proto *proto, uint64_t now)
{
	proto->ops->rebind(proto->context);
	proto->state = TFTP_ASKING;
	proto->peer_port = 0;
	proto->good = proto->horizon = proto->acked = proto->highest = proto->last = 0;
	proto->have = proto->digest = 0;
	proto->owed = proto->early = false;
	proto->rewinds = 0;
	proto->nudged = false;
	proto->timed_block = 0;
	send_request(proto, now);
}

static void ask_without_options(struct tftp_proto *proto, uint64_t now)
{
	proto->without_options = true;
	proto->asked = (struct tftp_options){ .size = -1 };
	ask_anew(proto, now);
}

/*
 * The transfer has come to a stop and cannot be set going by an acknowledgement: takes it up again
 * with a new request, which repeats what was agreed so that the blocks are the same.
 */
static void restart(struct tftp_proto *proto, uint64_t now)
{
	if (proto->good > proto->resume_block) {
		proto->resume_block = proto->good;
		proto->resume_digest = proto->digest;
		proto->restarts = 0;
	}
	if (proto->restarts++ == (proto->ahead != 0 ? AHEAD_RESTARTS_MAX : RESTARTS_MAX)) {
		abandon(proto, TFTP_GIVEN_UP, "giving up");
		return;
	}
	send_error(proto, proto->server, proto->peer_port, TFTP_ERROR_UNDEFINED, "starting again");
	if (proto->asked.windowsize > 1)
		proto->asked.windowsize = MAX(proto->window / 2, 1u);
	if (proto->asked.blksize != 0)
		proto->asked.blksize = proto->blksize;
	proto->holes++;
	ask_anew(proto, now);
}

/* The first block does not come: perhaps because it is too large for the path. */
static void lower_blksize(struct tftp_proto *proto, uint64_t now)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(blksize_steps); i++) {
		if (blksize_steps[i] >= proto->blksize)
			continue;
		send_error(proto, proto->server, proto->peer_port, TFTP_ERROR_UNDEFINED,
			   "trying smaller blocks");
		proto->asked.blksize = blksize_steps[i];
		ask_anew(proto, now);
		return;
	}
	abandon(proto, TFTP_SILENT, "nothing came");
}

/* --- acknowledging ---------------------------------------------------------------------------- */

/* The first byte beyond block `block`. */
static uint64_t block_end(const struct tftp_proto *proto, uint64_t block)
{
	uint64_t end = block * proto->blksize;

	return proto->size >= 0 ? MIN(end, (uint64_t)proto->size) : end;
}

/* How far the server may be asked to send when `from` is acknowledged and `count` may follow. */
static uint64_t horizon_from(const struct tftp_proto *proto, uint64_t from, uint64_t count)
{
	return proto->last != 0 ? MIN(from + count, proto->last) : from + count;
}

/* One more block for every block received, asked for before it is due. */
static void acknowledge_ahead(struct tftp_proto *proto, uint64_t now)
{
	uint64_t target = horizon_from(proto, proto->good, proto->ahead);

	proto->owed = false;
	while (proto->horizon < target) {
		if (block_end(proto, proto->horizon + 1) > proto->limit) {
			proto->owed = true;
			break;
		}
		transmit_ack(proto, proto->horizon);
		proto->horizon++;
		if (proto->timed_block == 0)
			measure_begin(proto, proto->horizon, now);
	}
	if (proto->horizon > proto->good)
		arm(proto, now);
	else
		proto->deadline = TFTP_NO_DEADLINE;
}

/* Acknowledges what is in order, which asks for the next window; or owes it. */
static void acknowledge(struct tftp_proto *proto, uint64_t now)
{
	uint64_t horizon = horizon_from(proto, proto->good, proto->window);
	bool again = proto->acked == proto->good && proto->horizon != 0;

	if (proto->ahead != 0) {
		acknowledge_ahead(proto, now);
		return;
	}
	proto->owed = block_end(proto, horizon) > proto->limit;
	if (proto->owed) {
		proto->deadline = TFTP_NO_DEADLINE;
		return;
	}
	proto->acked = proto->good;
	proto->horizon = horizon;
	proto->acked_at = now;
	proto->settled = proto->highest <= proto->good;
	proto->strikes = 0;
	transmit_ack(proto, proto->good);
	if (again)
		proto->timed_block = 0; /* whose answer would it be? (Karn) */
	else
		measure_begin(proto, proto->good + 1, now);
	arm(proto, now);
}

/* A block is lost: has the server go back to it, or starts again where the server cannot. */
static void go_back(struct tftp_proto *proto, uint64_t now)
{
	if (proto->ahead != 0) {
		restart(proto, now);
		return;
	}
	proto->rewinds++;
	proto->holes++;
	acknowledge(proto, now);
}

/*
 * Block `block` came while one before it is missing. Does the server not know, or has it not come
 * to the missing one yet? What it sent before it saw our last acknowledgement is no proof. That
 * part is over once a number just beyond the hole comes a second time, a round trip later. Without
 * this care every duplicate would cost a window; without a limit, a block that never gets through
 * would be asked for as fast as the network can.
 */
static bool is_lost(struct tftp_proto *proto, uint64_t block, uint64_t now)
{
	if (block <= proto->highest && block <= proto->good + 2 * STRIKES &&
	    now - proto->acked_at >= proto->round_trip / 2)
		proto->settled = true;
	if (proto->settled)
		proto->strikes++;
	return proto->rewinds < REWINDS_MAX &&
	       (proto->strikes >= STRIKES || block == proto->horizon);
}

/* --- blocks ----------------------------------------------------------------------------------- */

#define HASH_FACTOR UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / golden ratio, odd: a bijection */

static inline uint64_t load64(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/*
 * A hash of one block, to tell one file from another: not against an attacker, who could forge the
 * blocks themselves. Four lanes, so that the multiplications overlap.
 */
static uint64_t hash_block(const uint8_t *data, size_t length)
{
	uint64_t a = length, b = 1, c = 2, d = 3, rest = 0;

	for (; length >= 32; data += 32, length -= 32) {
		a = (a ^ load64(data)) * HASH_FACTOR;
		b = (b ^ load64(data + 8)) * HASH_FACTOR;
		c = (c ^ load64(data + 16)) * HASH_FACTOR;
		d = (d ^ load64(data + 24)) * HASH_FACTOR;
	}
	for (; length >= 8; data += 8, length -= 8)
		a = (a ^ load64(data)) * HASH_FACTOR;
	memcpy(&rest, data, length);
	a = (a ^ rest) * HASH_FACTOR;
	b = (b ^ (a >> 32) ^ a) * HASH_FACTOR;
	c = (c ^ (b >> 32) ^ b) * HASH_FACTOR;
	return (d ^ (c >> 32) ^ c) * HASH_FACTOR;
}

/* Moves `good` over what is here in order. False if a resumed file turns out to be another one. */
static bool advance(struct tftp_proto *proto)
{
	while (proto->have & 1) {
		proto->rewinds = 0;
		proto->good++;
		proto->have >>= 1;
		proto->digest ^= proto->hashes[proto->good % TFTP_WINDOW_MAX];
		proto->digest = (proto->digest ^ (proto->digest >> 32)) * HASH_FACTOR;
		if (proto->good == proto->resume_block && proto->digest != proto->resume_digest)
			return false;
	}
	return true;
}

/* Sets the size once the last block is known; false if it contradicts what is here already. */
static bool note_last(struct tftp_proto *proto, uint64_t block, uint64_t end)
{
	if (proto->last != 0)
		return block == proto->last && (int64_t)end == proto->size;
	if (proto->highest > block || proto->resume_block > block)
		return false;
	proto->last = block;
	proto->horizon = block;
	proto->size = (int64_t)end;
	return true;
}

/*
 * Checks a block against what is known of the file. True if it is plausible; otherwise the transfer
 * has failed.
 */
static bool check_block(struct tftp_proto *proto, uint64_t block, uint64_t end, size_t length)
{
	bool short_block = length < proto->blksize;

	if (length > proto->blksize) {
		abandon(proto, TFTP_MALFORMED, "block does not fit");
		return false;
	}
	if (proto->announced >= 0 &&
	    (short_block ? end != (uint64_t)proto->announced : end > (uint64_t)proto->announced)) {
		proto->wrong_size = end;
		proto->wrong_block = block;
		abandon(proto, TFTP_WRONG_SIZE, "size is not what was announced");
		return false;
	}
	if (short_block ? !note_last(proto, block, end) : block == proto->last) {
		abandon(proto, block < proto->resume_block ? TFTP_CHANGED : TFTP_MALFORMED,
			"ends where it should not");
		return false;
	}
	return true;
}

/* What happens next, now that block `block` is here; `moved`: it let `good` advance. */
static void proceed(struct tftp_proto *proto, uint64_t block, bool moved, uint64_t now)
{
	if (moved) {
		proto->settled = true;
		proto->strikes = 0;
	}
	if (proto->good == proto->last && proto->last != 0) {
		finish(proto);
	} else if (proto->have != 0) {
		if (is_lost(proto, block, now))
			go_back(proto, now);
		else
			arm(proto, now);
	} else if (proto->ahead != 0) {
		acknowledge_ahead(proto, now);
	} else if (proto->good >= proto->horizon) {
		proto->windows++;
		acknowledge(proto, now);
	} else {
		arm(proto, now);
	}
}

static void take_block(struct tftp_proto *proto, uint16_t number, const uint8_t *data,
		       size_t length, uint64_t now)
{
	uint64_t distance = (uint16_t)(number - (uint16_t)proto->good);
	uint64_t block = proto->good + distance;
	uint64_t offset = (block - 1) * proto->blksize, end = offset + length;
	uint64_t bit;

	/* A duplicate, or what nobody asked for. */
	if (distance == 0 || block > proto->horizon)
		return;
	bit = UINT64_C(1) << (distance - 1);
	if (proto->have & bit) {
		if (is_lost(proto, block, now))
			go_back(proto, now);
		return;
	}
	if (!check_block(proto, block, end, length))
		return;
	if (end > proto->limit) {
		/* Without options the first block is the first answer, before there is memory. */
		if (block == 1 && length <= sizeof(proto->early_block)) {
			memcpy(proto->early_block, data, length);
			proto->early_length = (uint16_t)length;
			proto->early = true;
			proto->deadline = TFTP_NO_DEADLINE;
		}
		return;
	}

	proto->hashes[block % TFTP_WINDOW_MAX] = hash_block(data, length);
	if (block > proto->resume_block && length > 0)
		proto->ops->deliver(proto->context, offset, data, length);
	proto->have |= bit;
	proto->tries = 0;
	proto->nudged = false;
	if (block == proto->timed_block)
		measure_end(proto, now);
	if (!advance(proto)) {
		abandon(proto, TFTP_CHANGED, "file has changed");
		return;
	}
	proto->received = MAX(proto->received, block_end(proto, proto->good));
	proceed(proto, block, distance == 1, now);
	proto->highest = MAX(proto->highest, block);
}

/* --- the first answer ------------------------------------------------------------------------- */

/* Pins the server's port and adopts what was agreed. */
static void begin(struct tftp_proto *proto, uint16_t port, const struct tftp_options *agreed,
		  uint64_t now)
{
	uint32_t blksize = agreed->blksize != 0 ? agreed->blksize : TFTP_BLOCK_PLAIN;

	proto->peer_port = port;
	if (proto->resume_block != 0 &&
	    (blksize != proto->blksize || agreed->size != proto->announced)) {
		abandon(proto, TFTP_CHANGED, "file has changed");
		return;
	}
	proto->state = TFTP_RECEIVING;
	proto->blksize = blksize;
	proto->window = agreed->windowsize != 0 ? agreed->windowsize : 1;
	proto->size = proto->announced = agreed->size;
	proto->last = agreed->size >= 0 ? (uint64_t)agreed->size / blksize + 1 : 0;
	proto->ahead = 0;
	if (port == TFTP_PORT && proto->window == 1)
		proto->ahead = proto->restarts == 0 && proto->last != 0 ? TFTP_AHEAD : 1;
	proto->settled = true;
	if (proto->tries == 0 && proto->timed_block != 0)
		measure_end(proto, now);
	proto->timed_block = 0;
	proto->tries = 0;
	proto->deadline = TFTP_NO_DEADLINE;
}

static void take_oack(struct tftp_proto *proto, uint16_t port, const uint8_t *packet, size_t length,
		      uint64_t now)
{
	struct tftp_options agreed;

	if (tftp_parse_oack(packet, length, &proto->asked, &agreed)) {
		begin(proto, port, &agreed, now);
		if (proto->state == TFTP_RECEIVING)
			acknowledge(proto, now);
		return;
	}
	send_error(proto, proto->server, port, TFTP_ERROR_OPTION, "not what was asked for");
	if (proto->without_options || proto->resume_block != 0)
		fail(proto, TFTP_MALFORMED, -EIO);
	else
		ask_without_options(proto, now);
}

/* A server that knows no options answers with the first block. */
static void take_first_block(struct tftp_proto *proto, uint16_t port, const uint8_t *packet,
			     size_t length, uint64_t now)
{
	const struct tftp_options none = { .size = -1 };

	if (tftp_get16(packet + 2) != 1)
		return;
	begin(proto, port, &none, now);
	if (proto->state != TFTP_RECEIVING)
		return;
	proto->horizon = 1;
	take_block(proto, 1, packet + TFTP_HEADER_SIZE, length - TFTP_HEADER_SIZE, now);
}

static int refusal(const struct tftp_proto *proto, unsigned code)
{
	if (proto->received > 0)
		return -EIO;
	switch (code) {
	case TFTP_ERROR_UNDEFINED:
		/* Announced, and then not read: how dnsmasq and tftpd-hpa speak of a directory. */
		return proto->announced > 0 ? -ENODATA : -EIO;
	case TFTP_ERROR_NOT_FOUND:
		return -ENOENT;
	case TFTP_ERROR_ACCESS:
	case TFTP_ERROR_NO_USER:
		return -EACCES;
	default:
		return -EIO;
	}
}

static void take_error(struct tftp_proto *proto, const uint8_t *packet, size_t length, uint64_t now)
{
	unsigned code = tftp_get16(packet + 2);

	if (proto->state == TFTP_ASKING && code == TFTP_ERROR_OPTION && !proto->without_options &&
	    proto->resume_block == 0) {
		ask_without_options(proto, now);
		return;
	}
	if (proto->state == TFTP_RECEIVING && code == TFTP_ERROR_UNKNOWN_TID) {
		restart(proto, now); /* it has forgotten us */
		return;
	}
	proto->error_code = code;
	tftp_error_text(packet, length, proto->error_text, sizeof(proto->error_text));
	fail(proto, TFTP_REFUSED, refusal(proto, code));
}

/* --- events ----------------------------------------------------------------------------------- */

void tftp_proto_start(struct tftp_proto *proto, const struct tftp_ops *ops, void *context,
		      const struct tftp_request *request, uint64_t now)
{
	*proto = (struct tftp_proto){
		.state = TFTP_ASKING,
		.ops = ops,
		.context = context,
		.server = request->server,
		.path = request->path,
		.size = -1,
		.announced = -1,
		.blksize = TFTP_BLOCK_PLAIN,
		.window = 1,
		.asked = {
			.blksize = MIN(request->blksize, (uint32_t)TFTP_BLOCK_MAX),
			.windowsize = MIN(request->window, (uint32_t)TFTP_WINDOW_MAX),
			.timeout = SERVER_TIMEOUT,
		},
		.jitter = request->seed | 1,
	};
	if (request->plain) {
		proto->without_options = true;
		proto->asked = (struct tftp_options){ .size = -1 };
	}
	measure_begin(proto, 1, now);
	send_request(proto, now);
}

void tftp_proto_packet(struct tftp_proto *proto, uint32_t address, uint16_t port, const void *data,
		       size_t length, uint64_t now)
{
	const uint8_t *packet = data;
	uint16_t opcode;

	if (length < TFTP_HEADER_SIZE || proto->state == TFTP_FAILED)
		return;
	opcode = tftp_get16(packet);
	if (address != proto->server || (proto->peer_port != 0 && port != proto->peer_port)) {
		if (opcode != TFTP_ERROR)
			send_error(proto, address, port, TFTP_ERROR_UNKNOWN_TID,
				   "unknown transfer");
		return;
	}

	switch (proto->state) {
	case TFTP_ASKING:
		if (opcode == TFTP_OACK)
			take_oack(proto, port, packet, length, now);
		else if (opcode == TFTP_DATA)
			take_first_block(proto, port, packet, length, now);
		else if (opcode == TFTP_ERROR)
			take_error(proto, packet, length, now);
		break;
	case TFTP_RECEIVING:
		if (opcode == TFTP_DATA)
			take_block(proto, tftp_get16(packet + 2), packet + TFTP_HEADER_SIZE,
				   length - TFTP_HEADER_SIZE, now);
		else if (opcode == TFTP_ERROR)
			take_error(proto, packet, length, now);
		break;
	case TFTP_DONE:
		/* Our last acknowledgement was lost: there is no time-out of ours to repeat it. */
		if (opcode == TFTP_DATA && tftp_get16(packet + 2) == (uint16_t)proto->last &&
		    proto->ahead == 0)
			transmit_ack(proto, proto->last);
		break;
	case TFTP_FAILED:
		break;
	}
}

void tftp_proto_timer(struct tftp_proto *proto, uint64_t now)
{
	if (now < proto->deadline)
		return;
	if (proto->state == TFTP_RECEIVING && in_window(proto) && !proto->nudged) {
		proto->nudged = true;
		go_back(proto, now);
		return;
	}
	if (++proto->tries == TRIES_MAX) {
		fail_timed_out(proto);
	} else if (proto->state == TFTP_ASKING) {
		send_request(proto, now);
	} else if (proto->good == 0 && (proto->ahead != 0 || proto->tries > 1)) {
		if (proto->resume_block != 0)
			restart(proto, now);
		else
			lower_blksize(proto, now);
	} else if (proto->ahead != 0 || proto->tries > ACK_TRIES) {
		restart(proto, now);
	} else {
		go_back(proto, now);
	}
}

void tftp_proto_supply(struct tftp_proto *proto, uint64_t limit, uint64_t now)
{
	proto->limit = MAX(proto->limit, limit);
	if (proto->state != TFTP_RECEIVING)
		return;
	if (proto->early && proto->early_length <= proto->limit) {
		proto->early = false;
		take_block(proto, 1, proto->early_block, proto->early_length, now);
	} else if (proto->owed) {
		acknowledge(proto, now);
	}
}

void tftp_proto_stop(struct tftp_proto *proto)
{
	if (proto->state == TFTP_RECEIVING)
		send_error(proto, proto->server, proto->peer_port, TFTP_ERROR_UNDEFINED, "stopped");
	if (proto->state != TFTP_FAILED)
		fail(proto, TFTP_STOPPED, -EINTR);
}
