/* See the header. */
#include "tests/host/tftp_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MS         UINT64_C(1000000)
#define DELAY      UINT64_C(50000) /* ns */
#define FIRST_PORT 50000
#define MAX_BYTES  (UINT64_C(1) << 26) /* larger files are checked but not kept */
#define SERIALISE  UINT64_C(12000)     /* ns per datagram: 1 Gb/s */

struct datagram {
	uint64_t due, order;
	bool to_client;
	uint32_t address;
	uint16_t port; /* the client's port */
	uint16_t server_port;
	size_t length;
	uint8_t data[];
};

/* One transfer as the server sees it. */
struct session {
	bool active;
	uint16_t client_port, port;
	uint64_t base, sent; /* acknowledged, sent */
	uint32_t blksize, window;
	bool oack_pending;
	uint8_t oack[512];
	size_t oack_length;
	uint64_t deadline;
	unsigned repeats;
};

#define SESSIONS 32

struct world_private {
	uint64_t random;
	struct datagram **heap;
	size_t count, room;
	uint64_t order;
	uint64_t link_free[2];
	struct session sessions[SESSIONS];
	uint16_t next_port, client_port;
	unsigned version;
	uint64_t supplied, supply_at;
	uint8_t *kept; /* one for each byte of the file that has come */
	bool changed, forgotten;
};

uint8_t world_byte(uint64_t offset, unsigned version)
{
	uint64_t x =
		(offset / 8 + 1) * UINT64_C(0x9e3779b97f4a7c15) + (offset > 100000 ? version : 0);

	return (uint8_t)(x >> (8 * (offset % 8)));
}

static uint64_t draw(struct world *world)
{
	uint64_t *x = &world->private->random;

	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x >> 11;
}

static bool chance(struct world *world, unsigned thousandths)
{
	return thousandths != 0 && draw(world) % 1000 < thousandths;
}

/* --- the network ---------------------------------------------------------------------------- */

static bool before(const struct datagram *a, const struct datagram *b)
{
	return a->due < b->due || (a->due == b->due && a->order < b->order);
}

static void push(struct world_private *p, struct datagram *datagram)
{
	size_t i = p->count++;

	if (p->count > p->room) {
		p->room = p->room ? 2 * p->room : 256;
		p->heap = realloc(p->heap, p->room * sizeof(*p->heap));
	}
	datagram->order = p->order++;
	for (; i > 0 && before(datagram, p->heap[(i - 1) / 2]); i = (i - 1) / 2)
		p->heap[i] = p->heap[(i - 1) / 2];
	p->heap[i] = datagram;
}

static struct datagram *pop(struct world_private *p)
{
	struct datagram *top = p->heap[0], *last = p->heap[--p->count];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < p->count) {
		if (child + 1 < p->count && before(p->heap[child + 1], p->heap[child]))
			child++;
		if (!before(p->heap[child], last))
			break;
		p->heap[i] = p->heap[child];
		i = child;
	}
	if (p->count > 0)
		p->heap[i] = last;
	return top;
}

static void post(struct world *world, bool to_client, uint16_t client_port, uint16_t server_port,
		 const void *data, size_t length)
{
	struct world_private *p = world->private;
	unsigned copies = 1 + chance(world, world->duplicate);
	uint64_t start =
		p->link_free[to_client] > world->now ? p->link_free[to_client] : world->now;

	if (world->vanish_above != 0 && to_client && length > world->vanish_above)
		return;
	if (world->queue != 0 && to_client && start - world->now > world->queue * SERIALISE)
		return;
	p->link_free[to_client] = start + SERIALISE;
	if (chance(world, world->loss))
		return;
	while (copies-- > 0) {
		struct datagram *datagram = malloc(sizeof(*datagram) + length);

		*datagram = (struct datagram){ .due = start + SERIALISE + world->delay,
					       .to_client = to_client,
					       .address = SERVER_ADDRESS,
					       .port = client_port,
					       .server_port = server_port,
					       .length = length };
		if (chance(world, world->reorder))
			datagram->due += draw(world) % (10 * SERIALISE);
		memcpy(datagram->data, data, length);
		push(p, datagram);
	}
}

/* --- the server ------------------------------------------------------------------------------ */

static struct session *find_session(struct world *world, uint16_t client_port, uint16_t port)
{
	size_t i;

	for (i = 0; i < SESSIONS; i++) {
		struct session *session = &world->private->sessions[i];
		if (session->active && session->client_port == client_port && session->port == port)
			return session;
	}
	return NULL;
}

static void reply(struct world *world, struct session *session, const void *data, size_t length)
{
	session->deadline = world->now + 2000 * MS;
	post(world, true, session->client_port, session->port, data, length);
}

static void send_block(struct world *world, struct session *session, uint64_t block)
{
	uint64_t offset = (block - 1) * session->blksize;
	size_t length = 0, i;
	uint8_t *data = malloc(4 + session->blksize);

	if (offset < world->file_size && !world->directory)
		length = world->file_size - offset < session->blksize ? world->file_size - offset
								      : session->blksize;
	data[0] = 0;
	data[1] = TFTP_DATA;
	data[2] = (uint8_t)(block >> 8);
	data[3] = (uint8_t)block;
	for (i = 0; i < length; i++)
		data[4 + i] = world_byte(offset + i, world->private->version);
	world->blocks_sent++;
	reply(world, session, data, 4 + length);
	free(data);
	if (block == world->change_at && !world->private->changed) {
		world->private->changed = true;
		world->private->version++;
	}
}

static uint64_t last_block(const struct world *world, const struct session *session)
{
	return world->directory ? 1 : world->file_size / session->blksize + 1;
}

static void send_window(struct world *world, struct session *session)
{
	uint64_t block, last = last_block(world, session);

	session->sent = session->base;
	for (block = session->base + 1; block <= session->base + session->window && block <= last;
	     block++) {
		if (world->silent_after != 0 && block > world->silent_after)
			break;
		send_block(world, session, world->swap ? MIN(((block - 1) ^ 1) + 1, last) : block);
		session->sent = block;
	}
	if (world->forget_at != 0 && session->sent >= world->forget_at &&
	    !world->private->forgotten) {
		world->private->forgotten = true;
		session->active = false;
	}
}

static void send_error(struct world *world, uint16_t client_port, uint16_t port, unsigned code)
{
	uint8_t packet[64];
	size_t length = tftp_compose_error(packet, code, "no\n");

	post(world, true, client_port, port, packet, length);
}

static void add_option(uint8_t *out, size_t *at, const char *name, uint64_t value)
{
	*at += (size_t)sprintf((char *)out + *at, "%s", name) + 1;
	*at += (size_t)sprintf((char *)out + *at, "%llu", (unsigned long long)value) + 1;
}

static void take_request(struct world *world, uint16_t client_port, const uint8_t *data,
			 size_t length)
{
	struct world_private *p = world->private;
	struct session *session = NULL;
	const char *at = (const char *)data + 2, *end = (const char *)data + length;
	size_t i, n = 2;
	bool options = false;

	world->requests_sent++;
	world->asked[0] = '\0';
	at += strlen(at) + 1; /* name */
	at += strlen(at) + 1; /* mode */
	for (const char *o = at; o < end; o += strlen(o) + 1) {
		const char *value = o + strlen(o) + 1;
		sprintf(world->asked + strlen(world->asked), "%s=%s ", o, value);
		o = value;
	}
	if (world->deaf_requests > 0) {
		world->deaf_requests--;
		return;
	}
	if (world->kind == SERVER_QEMU)
		session = find_session(world, client_port, TFTP_PORT);
	for (i = 0; session == NULL && i < SESSIONS; i++) {
		if (!p->sessions[i].active)
			session = &p->sessions[i];
	}
	if (session == NULL)
		return; /* full: silent, as they are */
	*session =
		(struct session){ .active = true,
				  .client_port = client_port,
				  .port = world->kind == SERVER_QEMU ? TFTP_PORT : p->next_port++,
				  .blksize = 512,
				  .window = 1 };
	if (world->error_code != 0) {
		send_error(world, client_port, session->port, world->error_code);
		session->active = false;
		return;
	}
	session->oack[1] = TFTP_OACK;
	for (; at < end && world->kind != SERVER_PLAIN; at += strlen(at) + 1) {
		const char *name = at;
		uint64_t value;

		at += strlen(at) + 1;
		value = strtoull(at, NULL, 10);
		if (strcmp(name, "blksize") == 0) {
			if (world->max_blksize != 0 && value > world->max_blksize)
				value = world->max_blksize;
			if (world->kind == SERVER_QEMU && value > 1428)
				value = 1428;
			session->blksize = (uint32_t)value;
		} else if (strcmp(name, "windowsize") == 0 && world->kind == SERVER_WINDOWED) {
			if (world->max_window != 0 && value > world->max_window)
				value = world->max_window;
			session->window = (uint32_t)value;
		} else if (strcmp(name, "tsize") == 0 && !world->without_tsize) {
			value = (uint64_t)((int64_t)(world->directory ? 4096 : world->file_size) +
					   world->lie);
		} else if (strcmp(name, "timeout") != 0 || world->kind != SERVER_WINDOWED) {
			continue;
		}
		options = true;
		add_option(session->oack, &n, name, value);
	}
	if (options && world->kind == SERVER_REFUSING) {
		send_error(world, client_port, session->port, TFTP_ERROR_OPTION);
		session->active = false;
		return;
	}
	if (!options) {
		send_window(world, session);
		return;
	}
	session->oack_length = n;
	if (world->oack != NULL) {
		memcpy(session->oack + 2, world->oack, world->oack_length);
		session->oack_length = 2 + world->oack_length;
	}
	session->oack_pending = true;
	reply(world, session, session->oack, session->oack_length);
}

static void take_ack(struct world *world, struct session *session, uint16_t number)
{
	uint64_t block = session->base + (uint16_t)(number - (uint16_t)session->base);

	if (world->kind == SERVER_QEMU) {
		block = session->sent;
		session->oack_pending = false;
	} else if (session->oack_pending) {
		if (number != 0)
			return;
		session->oack_pending = false;
		block = 0;
	} else if (block > session->sent) {
		return;
	} else if (block == session->base && world->kind != SERVER_WINDOWED) {
		return;
	}
	session->base = block;
	session->repeats = 0;
	if (block >= last_block(world, session))
		session->active = false;
	else
		send_window(world, session);
}

static void server_take(struct world *world, const struct datagram *d)
{
	struct session *session = find_session(world, d->port, d->server_port);
	unsigned opcode = d->length >= 4 ? tftp_get16(d->data) : 0;

	if (opcode == TFTP_RRQ && d->server_port == TFTP_PORT)
		take_request(world, d->port, d->data, d->length);
	else if (session != NULL && opcode == TFTP_ACK)
		take_ack(world, session, tftp_get16(d->data + 2));
	else if (session != NULL && opcode == TFTP_ERROR)
		session->active = false;
	else if (session == NULL && opcode == TFTP_ACK && world->private->forgotten)
		send_error(world, d->port, d->server_port, TFTP_ERROR_UNKNOWN_TID);
}

static void server_timer(struct world *world, struct session *session)
{
	if (++session->repeats > 5) {
		session->active = false;
		return;
	}
	if (session->oack_pending)
		reply(world, session, session->oack, session->oack_length);
	else
		send_window(world, session);
	session->deadline = world->now + 2000 * MS;
}

/* --- the client's side ------------------------------------------------------------------------ */

static int client_send(void *context, uint32_t address, uint16_t port, const void *data,
		       size_t length)
{
	struct world *world = context;
	unsigned opcode = tftp_get16(data);

	if (opcode == TFTP_ERROR &&
	    tftp_get16((const uint8_t *)data + 2) == TFTP_ERROR_UNKNOWN_TID) {
		world->strangers_told++;
		return 0;
	}
	if (opcode == TFTP_ACK) {
		world->acks_sent++;
		world->last_ack = tftp_get16((const uint8_t *)data + 2);
	}
	if (opcode == TFTP_ERROR)
		world->errors_sent++;
	post(world, false, world->private->client_port, port, data, length);
	return 0;
}

static void client_rebind(void *context)
{
	struct world *world = context;

	world->private->client_port++;
}

static void client_deliver(void *context, uint64_t offset, const void *data, size_t length)
{
	struct world *world = context;
	const uint8_t *bytes = data;
	size_t i;

	if (offset + length > world->private->supplied * CLIENT_PAGE)
		world->beyond_supply = true;
	for (i = 0; i < length; i++) {
		if (bytes[i] != world_byte(offset + i, world->private->version))
			world->wrong_bytes = true;
	}
	if (offset < MAX_BYTES)
		memset(world->private->kept + offset, 1, MIN(length, MAX_BYTES - offset));
}

static const struct tftp_ops client_ops = {
	.send = client_send,
	.rebind = client_rebind,
	.deliver = client_deliver,
};

/* The requester: supplies up to `ahead` pages beyond what it has, or what the file takes. */
static void supply(struct world *world)
{
	uint64_t ahead = world->ahead != 0 ? world->ahead : 256;
	uint64_t wanted = world->client.received / CLIENT_PAGE + ahead;

	if (wanted <= world->private->supplied)
		return;
	world->private->supplied = wanted;
	tftp_proto_supply(&world->client, wanted * CLIENT_PAGE, world->now);
}

void world_begin(struct world *world)
{
	struct tftp_request request = {
		.server = SERVER_ADDRESS,
		.path = "bin/x",
		.blksize = world->blksize,
		.window = world->window != 0 ? world->window : 1,
		.seed = world->seed,
		.plain = world->plain,
	};

	if (world->delay == 0)
		world->delay = DELAY;
	world->private = calloc(1, sizeof(*world->private));
	world->private->random = (world->seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
	world->private->next_port = 3000;
	world->private->client_port = FIRST_PORT;
	world->private->kept = calloc(1, MIN(world->file_size + 1, MAX_BYTES));
	world->now = 1;
	tftp_proto_start(&world->client, &client_ops, world, &request, world->now);
}

static bool ended(const struct world *world)
{
	return world->client.state == TFTP_DONE || world->client.state == TFTP_FAILED;
}

/* One event; false if there is none before `limit`. */
static bool step(struct world *world, uint64_t limit)
{
	struct world_private *p = world->private;
	uint64_t due = limit;
	struct session *late = NULL;
	size_t i;
	enum { NOTHING, ARRIVAL, CLIENT_TIMER, SERVER_TIMER, SUPPLY } what = NOTHING;

	if (p->count > 0 && p->heap[0]->due <= due) {
		due = p->heap[0]->due;
		what = ARRIVAL;
	}
	if (world->client.deadline < due) {
		due = world->client.deadline;
		what = CLIENT_TIMER;
	}
	for (i = 0; i < SESSIONS; i++) {
		if (p->sessions[i].active && world->kind != SERVER_QEMU &&
		    p->sessions[i].deadline < due) {
			due = p->sessions[i].deadline;
			late = &p->sessions[i];
			what = SERVER_TIMER;
		}
	}
	if (p->supply_at != 0 && p->supply_at < due) {
		due = p->supply_at;
		what = SUPPLY;
	}
	if (what == NOTHING)
		return false;
	world->now = due > world->now ? due : world->now;

	if (what == ARRIVAL) {
		struct datagram *d = pop(p);
		if (!d->to_client)
			server_take(world, d);
		else if (d->port == p->client_port)
			tftp_proto_packet(&world->client, d->address, d->server_port, d->data,
					  d->length, world->now);
		free(d);
	} else if (what == CLIENT_TIMER) {
		tftp_proto_timer(&world->client, world->now);
	} else if (what == SERVER_TIMER) {
		server_timer(world, late);
	} else {
		p->supply_at = 0;
		supply(world);
	}
	if (world->client.state == TFTP_RECEIVING && p->supply_at == 0) {
		if (world->pause == 0)
			supply(world);
		else
			p->supply_at = world->now + world->pause;
	}
	return true;
}

bool world_run(struct world *world, uint64_t limit)
{
	return world_run_to(world, UINT64_MAX, limit);
}

bool world_run_to(struct world *world, uint64_t bytes, uint64_t limit)
{
	while (!ended(world) && world->client.received < bytes) {
		if (!step(world, limit))
			return false;
	}
	return true;
}

void world_settle(struct world *world)
{
	while (world->private->count > 0)
		step(world, UINT64_MAX);
}

void world_inject(struct world *world, uint32_t address, uint16_t port, const void *data,
		  size_t length)
{
	tftp_proto_packet(&world->client, address, port, data, length, world->now);
}

uint16_t world_server_port(const struct world *world)
{
	size_t i;

	for (i = 0; i < SESSIONS; i++) {
		if (world->private->sessions[i].active &&
		    world->private->sessions[i].client_port == world->private->client_port)
			return world->private->sessions[i].port;
	}
	return 0;
}

/* Checks that every byte has come, and frees. */
void world_end(struct world *world)
{
	struct world_private *p = world->private;

	if (world->client.state == TFTP_DONE) {
		uint64_t i, checked = MIN(world->file_size, MAX_BYTES);
		for (i = 0; i < checked && !world->directory; i++)
			world->wrong_bytes |= !p->kept[i];
	}
	while (p->count > 0)
		free(pop(p));
	free(p->heap);
	free(p->kept);
	free(p);
	world->private = NULL;
}
