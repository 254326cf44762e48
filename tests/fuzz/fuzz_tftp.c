/*
 * tests/fuzz/fuzz_tftp.c - anything may come from the wire, at any time, with any memory supplied.
 *
 * The input is a script: each step is a byte that says what happens, and what that takes. The wire
 * is believed to be able to name the right port and block, since a fuzzer would not guess them.
 */
#include "net/tftp_proto.h"

#include <stdlib.h>
#include <string.h>

#define SERVER    0x0202000au
#define LIMIT_MAX (UINT64_C(1) << 17)
#define MS        UINT64_C(1000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct client {
	struct tftp_proto proto;
	uint64_t limit, received;
	uint8_t *memory; /* exactly `limit` bytes: a block beyond is an overrun */
	unsigned sent;
};

struct input {
	const uint8_t *at, *end;
};

static uint64_t take(struct input *input, size_t bytes)
{
	uint64_t value = 0;

	while (bytes-- > 0)
		value = value << 8 | (input->at < input->end ? *input->at++ : 0);
	return value;
}

static int send_datagram(void *context, uint32_t address, uint16_t port, const void *data,
			 size_t length)
{
	struct client *client = context;

	if (length < TFTP_HEADER_SIZE || length > TFTP_REQUEST_MAX)
		abort();
	client->sent++;
	return 0;
}

static void rebind(void *context)
{
}

static void deliver(void *context, uint64_t offset, const void *data, size_t length)
{
	struct client *client = context;

	if (offset + length > client->limit)
		abort();
	memcpy(client->memory + offset, data, length);
}

static const struct tftp_ops ops = { send_datagram, rebind, deliver };

/* What must hold after every event. */
static void check(struct client *client, uint64_t now)
{
	const struct tftp_proto *proto = &client->proto;
	char why[160];

	if (proto->received < client->received || proto->received > client->limit)
		abort();
	client->received = proto->received;
	if (proto->state == TFTP_DONE && (int64_t)proto->received != proto->size)
		abort();
	if (proto->state == TFTP_FAILED && (proto->status >= 0 || proto->reason == TFTP_OK))
		abort();
	if (proto->state == TFTP_ASKING && proto->deadline == TFTP_NO_DEADLINE)
		abort();
	/* It waits for the server, or for memory; never for nothing. */
	if (proto->state == TFTP_RECEIVING && proto->deadline == TFTP_NO_DEADLINE && !proto->owed &&
	    !proto->early)
		abort();
	if (proto->horizon > proto->good + TFTP_WINDOW_MAX)
		abort();
	tftp_proto_explain(proto, why, sizeof(why));
}

/* A datagram of the wire's: its first bytes from the input, and as many more as it says. */
static void datagram(struct client *client, struct input *input, unsigned kind, uint64_t now)
{
	uint16_t port = client->proto.peer_port != 0 ? client->proto.peer_port : 1069;
	uint16_t block = (uint16_t)(client->proto.good + (int8_t)take(input, 1));
	size_t length = 0, more;
	uint8_t *exact, bytes[1600] = { 0 };

	switch (kind) {
	case 0: /* DATA near where it is */
		bytes[1] = TFTP_DATA;
		bytes[2] = (uint8_t)(block >> 8);
		bytes[3] = (uint8_t)block;
		more = take(input, 1) & 1 ? client->proto.blksize : take(input, 2) % 1500;
		memset(bytes + 4, (int)block, sizeof(bytes) - 4);
		length = MIN(4 + more, sizeof(bytes));
		break;
	case 1: /* OACK, its text from the input */
	case 2: /* ERROR */
		bytes[1] = kind == 1 ? TFTP_OACK : TFTP_ERROR;
		length = 2;
		break;
	case 3: /* a stranger's */
		port = (uint16_t)take(input, 2);
		break;
	case 4: /* from QEMU's port */
		port = TFTP_PORT;
		bytes[1] = TFTP_OACK;
		length = 2;
		break;
	}
	if (kind != 0) {
		more = MIN(take(input, 1), (uint64_t)(input->end - input->at));
		memcpy(bytes + length, input->at, more);
		input->at += more;
		length += more;
	}
	exact = malloc(length + 1); /* as long as it says, for the sanitizer */
	memcpy(exact, bytes, length);
	exact = realloc(exact, length ? length : 1);
	tftp_proto_packet(&client->proto, SERVER, port, exact, length, now);
	free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, data + size };
	struct client client = { .memory = NULL };
	struct tftp_request request = { .server = SERVER, .path = "bin/x" };
	uint64_t now = 1;

	request.blksize = MAX((uint32_t)take(&input, 2), (uint32_t)TFTP_BLOCK_MIN);
	request.window = (uint32_t)take(&input, 1) % TFTP_WINDOW_MAX + 1;
	tftp_proto_start(&client.proto, &ops, &client, &request, now);
	check(&client, now);
	while (input.at < input.end) {
		unsigned what = (unsigned)take(&input, 1);

		now += (what >> 4) * 20 * MS;
		switch (what & 7) {
		case 5:
			now = client.proto.deadline != TFTP_NO_DEADLINE ? client.proto.deadline
									: now;
			tftp_proto_timer(&client.proto, now);
			break;
		case 6: {
			uint64_t limit = MIN(client.limit + (take(&input, 1) + 1) * 512, LIMIT_MAX);
			uint8_t *larger = realloc(client.memory, limit);

			client.memory = larger;
			client.limit = limit;
			tftp_proto_supply(&client.proto, limit, now);
			break;
		}
		case 7:
			tftp_proto_timer(&client.proto, now);
			break;
		default:
			datagram(&client, &input, what & 7, now);
			break;
		}
		check(&client, now);
	}
	tftp_proto_stop(&client.proto);
	free(client.memory);
	return 0;
}
