/*
 * net/tftp.c - TFTP transfers for threads: the state machine of net/tftp_proto.c between lwIP,
 * which brings datagrams on the network thread, and a requester that supplies pages and waits.
 *
 * Everything of a transfer is under net_lock, except what the requester looks at while it waits:
 * `phase`, `received` and `size` are written under the lock and read without it. `wanted` is what
 * the requester waits for; a block that does not reach it wakes nobody, so a transfer costs a
 * context switch per wait and not per block.
 *
 * Transfers live in a fixed array: a ninth waits. One timer of lwIP's serves them all: it is set to
 * the earliest deadline when that comes nearer, and left alone when it moves away, as it does with
 * every block.
 */
#include "net/tftp.h"

#include "kernel/clock.h"
#include "kernel/log.h"
#include "kernel/random.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "net/net.h"
#include "net/tftp_proto.h"

#include "lwip/pbuf.h"
#include "lwip/timeouts.h"
#include "lwip/udp.h"

#define MTU_DEFAULT  1500
#define OVERHEAD     (20 + 8 + TFTP_HEADER_SIZE) /* IPv4 and UDP headers, TFTP's */
#define BLKSIZE_MAX  (9000 - OVERHEAD)           /* jumbo frames */

#define PORT_FIRST   49152 /* RFC 6335 6: dynamic ports */
#define PORT_COUNT   16384
#define PORT_TRIES   16

#define WANT_NOTHING UINT64_MAX

enum phase {
	PHASE_ASKING, /* no answer yet */
	PHASE_RUNNING,
	PHASE_STALLED, /* until more pages are supplied */
	PHASE_COMPLETE,
	PHASE_FAILED,
};

struct tftp_transfer {
	struct tftp_proto proto; /* net_lock */
	struct udp_pcb *pcb;     /* net_lock; NULL: not in use */
	uint32_t server;
	char path[TFTP_PATH_MAX + 1];
	uint8_t *pages[TFTP_SUPPLY_MAX]; /* page i of the file in slot i % …; net_lock */
	uint64_t supplied;               /* pages; net_lock */
	bool waiting_told;               /* it is in the log that the server is silent; net_lock */
	bool failure_told;               /* requester */

	_Atomic enum phase phase;
	_Atomic uint64_t received;
	_Atomic int64_t size;
	_Atomic uint64_t wanted; /* wake at so many bytes */
	struct waitq changed;
};

static struct tftp_transfer transfers[TFTP_TRANSFERS_MAX];
static _Atomic uint32_t claimed; /* bit i: transfers[i] has an owner */
static struct waitq unclaimed = WAITQ_INIT(unclaimed, "TFTP transfers");
static uint64_t timer_ns = TFTP_NO_DEADLINE; /* when lwIP's timer is set to; net_lock */

/* --- what is remembered of servers ----------------------------------------------------------- */

#define SERVERS_MAX   8
#define REMEMBERED_NS (600 * NSEC_PER_SEC)
#define WINDOW_MIN    16 /* a path that does not bear that is not helped by less */
#define WINDOWS_CLEAN 4  /* acknowledged without a loss before a larger one is tried */

static struct server {
	uint32_t address;
	uint32_t blksize;
	uint32_t window;
	uint64_t until_ns;
} servers[SERVERS_MAX]; /* net_lock */

static struct server *find_server(uint32_t address, uint64_t now)
{
	size_t i;

	for (i = 0; i < SERVERS_MAX; i++) {
		if (servers[i].address == address && now < servers[i].until_ns)
			return &servers[i];
	}
	return NULL;
}

/* What to ask `address` for, where the network's packets would take `blksize`. */
static void recall_server(uint32_t address, uint32_t blksize, uint64_t now,
			  struct tftp_request *request)
{
	const struct server *server = find_server(address, now);
	uint32_t fits;

	request->blksize = blksize;
	request->window = TFTP_WINDOW_MAX;
	if (server != NULL) {
		request->blksize = MIN(blksize, server->blksize);
		request->window = server->window;
	}
	fits = (uint32_t)(TFTP_REACH_MAX / request->blksize);
	request->window = MIN(request->window, fits);
}

/* Learns from a transfer that has ended: losses halve the window, their absence doubles it. */
static void learn_server(uint32_t address, const struct tftp_proto *proto, uint64_t now)
{
	struct server *server = find_server(address, now);
	uint32_t window;
	size_t i;

	if (proto->received == 0 || proto->asked.blksize == 0)
		return;
	window = server != NULL ? server->window : TFTP_WINDOW_MAX;
	if (proto->window > 1 && proto->holes > 0 && proto->holes * 4 >= proto->windows)
		window = MAX(proto->window / 2, (uint32_t)WINDOW_MIN);
	else if (proto->holes == 0 && proto->windows >= WINDOWS_CLEAN)
		window = MIN(window * 2, (uint32_t)TFTP_WINDOW_MAX);

	if (server == NULL) {
		server = &servers[0];
		for (i = 1; i < SERVERS_MAX; i++) {
			if (servers[i].until_ns < server->until_ns)
				server = &servers[i];
		}
		server->until_ns = now + REMEMBERED_NS;
	}
	server->address = address;
	server->window = window;
	server->blksize = proto->asked.blksize;
}

/* --- towards the requester ------------------------------------------------------------------- */

static enum phase phase_of(const struct tftp_transfer *transfer)
{
	const struct tftp_proto *proto = &transfer->proto;

	switch (proto->state) {
	case TFTP_ASKING:
		/* A transfer that is taken up again asks too, but has been opened. */
		return atomic_load(&transfer->phase) == PHASE_ASKING ? PHASE_ASKING : PHASE_RUNNING;
	case TFTP_RECEIVING:
		return proto->owed || proto->early ? PHASE_STALLED : PHASE_RUNNING;
	case TFTP_DONE:
		return PHASE_COMPLETE;
	case TFTP_FAILED:
		break;
	}
	return PHASE_FAILED;
}

/* Shows the requester how far it is, and wakes it if that is what it waits for. net_lock held. */
static void publish(struct tftp_transfer *transfer)
{
	enum phase phase = phase_of(transfer);
	bool wake = phase != atomic_load_explicit(&transfer->phase, memory_order_relaxed);

	atomic_store_explicit(&transfer->size, transfer->proto.size, memory_order_relaxed);
	atomic_store(&transfer->received, transfer->proto.received);
	if (wake)
		atomic_store(&transfer->phase, phase);
	if (wake || transfer->proto.received >= atomic_load(&transfer->wanted)) {
		atomic_store(&transfer->wanted, WANT_NOTHING);
		waitq_wake_all(&transfer->changed);
	}
}

static int url_print(const struct tftp_transfer *transfer, char *out, size_t size)
{
	const uint8_t *address = (const uint8_t *)&transfer->server;
	const char *path = transfer->path;

	while (*path == '/')
		path++;
	/* Cut, so that the line has room for what happened. */
	return snprintf(out, size, "tftp://%u.%u.%u.%u/%.128s", address[0], address[1], address[2],
			address[3], path);
}

static void tell_failure(struct tftp_transfer *transfer)
{
	char url[160], why[128];

	if (transfer->failure_told || transfer->proto.status == -ENOENT)
		return;
	transfer->failure_told = true;
	url_print(transfer, url, sizeof(url));
	tftp_proto_explain(&transfer->proto, why, sizeof(why));
	log_warn("%s: %s", url, why);
}

static void tell_waiting(struct tftp_transfer *transfer)
{
	char url[160];

	/* Two requests, or a few acknowledgements, which are repeated sooner. */
	if (transfer->proto.tries < (transfer->proto.state == TFTP_ASKING ? 2u : 3u) ||
	    transfer->waiting_told)
		return;
	transfer->waiting_told = true;
	url_print(transfer, url, sizeof(url));
	log_notice("%s: no answer, trying again", url);
}

/* --- timer ----------------------------------------------------------------------------------- */

static void tick(void *unused);

/* Sees to it that the timer goes off by the transfer's deadline. net_lock held. */
static void schedule(const struct tftp_transfer *transfer, uint64_t now)
{
	uint64_t deadline = transfer->proto.deadline, wait;

	if (deadline >= timer_ns)
		return;
	wait = deadline > now ? DIV_ROUND_UP(deadline - now, NSEC_PER_MSEC) : 0;
	sys_untimeout(tick, NULL);
	sys_timeout((u32_t)wait, tick, NULL);
	timer_ns = deadline;
}

static void tick(void *unused)
{
	uint64_t now = clock_ns();
	size_t i;

	timer_ns = TFTP_NO_DEADLINE;
	for (i = 0; i < TFTP_TRANSFERS_MAX; i++) {
		struct tftp_transfer *transfer = &transfers[i];

		if (transfer->pcb == NULL)
			continue;
		tftp_proto_timer(&transfer->proto, now);
		tell_waiting(transfer);
		publish(transfer);
		schedule(transfer, now);
	}
}

/* --- between lwIP and the state machine ------------------------------------------------------ */

/* Binds to a random port, which a stranger has to guess. Keeps the old one if none is free. */
static int bind_port(struct udp_pcb *pcb)
{
	unsigned try;

	for (try = 0; try < PORT_TRIES; try++) {
		u16_t port = (u16_t)(PORT_FIRST + random_below(PORT_COUNT));

		if (udp_bind(pcb, IP4_ADDR_ANY, port) == ERR_OK)
			return 0;
	}
	return -EADDRINUSE;
}

static void rebind(void *context)
{
	struct tftp_transfer *transfer = context;

	(void)bind_port(transfer->pcb);
}

static int send_datagram(void *context, uint32_t address, uint16_t port, const void *data,
			 size_t length)
{
	struct tftp_transfer *transfer = context;
	ip_addr_t to = IPADDR4_INIT(address);
	struct pbuf *packet = pbuf_alloc(PBUF_TRANSPORT, (u16_t)length, PBUF_RAM);
	err_t error;

	if (packet == NULL)
		return 0; /* lost: a time-out repeats it */
	memcpy(packet->payload, data, length);
	error = udp_sendto(transfer->pcb, packet, &to, port);
	pbuf_free(packet);
	return error == ERR_RTE ? -EHOSTUNREACH : 0;
}

/* Into the supplied pages; blocks lie across their borders. */
static void deliver(void *context, uint64_t offset, const void *data, size_t length)
{
	struct tftp_transfer *transfer = context;
	const uint8_t *from = data;

	while (length > 0) {
		size_t within = offset & PAGE_MASK;
		size_t chunk = MIN(length, (size_t)(PAGE_SIZE - within));

		memcpy(transfer->pages[(offset >> PAGE_SHIFT) % TFTP_SUPPLY_MAX] + within, from,
		       chunk);
		offset += chunk;
		from += chunk;
		length -= chunk;
	}
}

static const struct tftp_ops tftp_ops = {
	.send = send_datagram,
	.rebind = rebind,
	.deliver = deliver,
};

/* The card's buffers hold a packet in one piece unless it is a large one, or came in fragments. */
static void receive(void *arg, struct udp_pcb *pcb, struct pbuf *packet, const ip_addr_t *from,
		    u16_t port)
{
	static uint8_t gathered[TFTP_HEADER_SIZE + BLKSIZE_MAX]; /* net_lock */
	struct tftp_transfer *transfer = arg;
	const void *data = packet->payload;
	uint64_t now = clock_ns();

	if (packet->len != packet->tot_len) {
		if (packet->tot_len > sizeof(gathered))
			goto out;
		(void)pbuf_copy_partial(packet, gathered, packet->tot_len, 0);
		data = gathered;
	}
	tftp_proto_packet(&transfer->proto, ip_2_ip4(from)->addr, port, data, packet->tot_len, now);
	publish(transfer);
	schedule(transfer, now);
out:
	pbuf_free(packet);
}

/* --- transfers ------------------------------------------------------------------------------- */

/* A transfer of the array that is now the caller's, or NULL. */
static struct tftp_transfer *claim(void)
{
	uint32_t taken = atomic_load(&claimed);

	while (taken != (UINT32_C(1) << TFTP_TRANSFERS_MAX) - 1) {
		unsigned i = (unsigned)__builtin_ctz(~taken);

		if (atomic_compare_exchange_weak(&claimed, &taken, taken | UINT32_C(1) << i))
			return &transfers[i];
	}
	return NULL;
}

static void unclaim(struct tftp_transfer *transfer)
{
	atomic_fetch_and(&claimed, ~(UINT32_C(1) << (transfer - transfers)));
	waitq_wake_one(&unclaimed);
}

/* Sends the first request. */
static int begin(struct tftp_transfer *transfer, bool plain)
{
	struct tftp_request request = {
		.server = transfer->server,
		.path = transfer->path,
		.seed = random_u64(),
		.plain = plain,
	};
	struct net_config config;
	uint64_t now = clock_ns();
	uint32_t mtu;
	int error = -ENOMEM;

	net_get_config(&config);
	mtu = config.mtu > TFTP_BLOCK_PLAIN + OVERHEAD ? config.mtu : MTU_DEFAULT;

	mutex_lock(&net_lock);
	transfer->pcb = udp_new();
	if (transfer->pcb == NULL)
		goto out;
	error = bind_port(transfer->pcb);
	if (error != 0) {
		udp_remove(transfer->pcb);
		transfer->pcb = NULL;
		goto out;
	}
	udp_recv(transfer->pcb, receive, transfer);
	recall_server(transfer->server, MIN(mtu - OVERHEAD, (uint32_t)BLKSIZE_MAX), now, &request);
	tftp_proto_start(&transfer->proto, &tftp_ops, transfer, &request, now);
	publish(transfer);
	schedule(transfer, now);
out:
	mutex_unlock(&net_lock);
	net_kick();
	return error;
}

static int open_transfer(uint32_t server, const char *path, bool plain, struct tftp_transfer **out)
{
	struct tftp_transfer *transfer = NULL;
	size_t length = strnlen(path, TFTP_PATH_MAX + 1);
	int error;

	if (length > TFTP_PATH_MAX)
		return -ENAMETOOLONG;
	error = net_wait_configured();
	if (error != 0)
		return error;
	error = wait_event_killable(&unclaimed, (transfer = claim()) != NULL);
	if (error != 0)
		return error;

	transfer->server = server;
	memcpy(transfer->path, path, length + 1);
	transfer->supplied = 0;
	transfer->waiting_told = transfer->failure_told = false;
	atomic_store(&transfer->phase, PHASE_ASKING);
	atomic_store(&transfer->received, 0);
	atomic_store(&transfer->size, -1);
	atomic_store(&transfer->wanted, WANT_NOTHING);

	error = begin(transfer, plain);
	if (error != 0)
		goto fail_begin;
	error = wait_event_killable(&transfer->changed,
				    atomic_load(&transfer->phase) != PHASE_ASKING);
	if (error == 0 && atomic_load(&transfer->phase) == PHASE_FAILED) {
		error = transfer->proto.status;
		tell_failure(transfer);
	}
	if (error != 0)
		goto fail_open;
	*out = transfer;
	return 0;

fail_open:
	tftp_close(transfer);
	return error;
fail_begin:
	unclaim(transfer);
	return error;
}

int tftp_open(uint32_t server, const char *path, struct tftp_transfer **out)
{
	return open_transfer(server, path, false, out);
}

int tftp_open_plain(uint32_t server, const char *path, struct tftp_transfer **out)
{
	return open_transfer(server, path, true, out);
}

int64_t tftp_size(const struct tftp_transfer *transfer)
{
	return atomic_load(&transfer->size);
}

int tftp_supply(struct tftp_transfer *transfer, void *page)
{
	uint64_t now = clock_ns();
	int error = -ENOSPC;

	mutex_lock(&net_lock);
	if (transfer->supplied - (transfer->proto.received >> PAGE_SHIFT) < TFTP_SUPPLY_MAX) {
		transfer->pages[transfer->supplied % TFTP_SUPPLY_MAX] = page;
		transfer->supplied++;
		tftp_proto_supply(&transfer->proto, transfer->supplied << PAGE_SHIFT, now);
		publish(transfer);
		if (transfer->proto.deadline < timer_ns) {
			schedule(transfer, now);
			net_kick();
		}
		error = 0;
	}
	mutex_unlock(&net_lock);
	return error;
}

/* Whether waiting for `offset` is over. */
static bool arrived(struct tftp_transfer *transfer, uint64_t offset)
{
	return atomic_load(&transfer->received) >= offset ||
	       atomic_load(&transfer->phase) != PHASE_RUNNING;
}

int tftp_wait(struct tftp_transfer *transfer, uint64_t offset)
{
	int error;

	atomic_store(&transfer->wanted, offset);
	error = wait_event_killable(&transfer->changed, arrived(transfer, offset));
	if (error != 0)
		return error;
	if (atomic_load(&transfer->phase) == PHASE_FAILED &&
	    atomic_load(&transfer->received) < offset) {
		tell_failure(transfer);
		return transfer->proto.status;
	}
	return 0;
}

uint64_t tftp_received(const struct tftp_transfer *transfer)
{
	return atomic_load(&transfer->received);
}

bool tftp_complete(const struct tftp_transfer *transfer)
{
	return atomic_load(&transfer->phase) == PHASE_COMPLETE;
}

void tftp_close(struct tftp_transfer *transfer)
{
	mutex_lock(&net_lock);
	learn_server(transfer->server, &transfer->proto, clock_ns());
	tftp_proto_stop(&transfer->proto);
	udp_remove(transfer->pcb);
	transfer->pcb = NULL;
	mutex_unlock(&net_lock);
	unclaim(transfer);
}

void tftp_init(void)
{
	size_t i;

	for (i = 0; i < TFTP_TRANSFERS_MAX; i++)
		waitq_init(&transfers[i].changed, "TFTP transfer");
}
