/*
 * fs/origin.c - the served tree: its address, and its stamp. See the header.
 *
 * Reading the stamp is a transfer of one block. One thread reads at a time; a caller is satisfied by
 * any reading that was begun after the caller's own call, so a storm of calls costs two readings.
 */
#include "fs/origin.h"
#include "fs/pathname.h"
#include "kernel/clock.h"
#include "kernel/cmdline.h"
#include "kernel/lock.h"
#include "kernel/log.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "mm/frame.h"
#include "mm/slab.h"
#include "net/net.h"
#include "net/tftp.h"

#define STAMP_PATH ".hawser/stamp"
#define STAMP_MAX  512 /* one block of plain TFTP, RFC 1350 2 */
/* A tree without a stamp is asked again after this long. */
#define STAMP_ABSENT_NS (10 * NSEC_PER_SEC)

static struct {
	uint32_t server; /* network byte order; 0: the one that booted us. Fixed at boot */
	char path[TFTP_PATH_MAX + 1]; /* fixed at boot */
	uint64_t fresh_ns;            /* fixed at boot */
} root;

static struct {
	struct mutex lock;           /* RANK_INODE; held while the stamp is read */
	uint8_t bytes[STAMP_MAX];    /* lock */
	size_t length;               /* lock */
	uint64_t generations;        /* how many different ones were seen; lock */
	uint64_t absent_ns;          /* when the server last said that there is none; lock */
	_Atomic uint64_t generation; /* the last one read; 0: none */
	_Atomic uint64_t asked_ns;   /* when the reading behind `generation` was begun */
} stamp;

struct origin *origin_create(const char *path)
{
	size_t size = strlen(path) + 1;
	struct origin *origin = kalloc(sizeof(*origin) + size);

	if (origin == NULL)
		return NULL;
	atomic_init(&origin->refs, 1);
	memcpy(origin->path, path, size);
	return origin;
}

void origin_get(struct origin *origin)
{
	atomic_fetch_add(&origin->refs, 1);
}

void origin_put(struct origin *origin)
{
	if (origin != NULL && atomic_fetch_sub(&origin->refs, 1) == 1)
		kfree(origin);
}

static int open_path(const char *path,
		     int (*open)(uint32_t server, const char *path, struct tftp_transfer **out),
		     struct tftp_transfer **out)
{
	char *full;
	uint32_t server = root.server;
	int error = net_wait_configured();

	if (error != 0)
		return error;
	if (server == 0) {
		struct net_config config;
		net_get_config(&config);
		server = config.next_server;
	}
	if (server == 0)
		return -EHOSTUNREACH;
	full = kalloc(TFTP_PATH_MAX + 1);
	if (full == NULL)
		return -ENOMEM;
	error = pathname_join(full, TFTP_PATH_MAX + 1, root.path, path);
	if (error == 0)
		error = open(server, full, out);
	kfree(full);
	return error;
}

int origin_open(const struct origin *origin, struct tftp_transfer **out)
{
	return open_path(origin->path, tftp_open, out);
}

/* The stamp's bytes into `frame`; their number, cut at STAMP_MAX, or an error. */
static ssize_t fetch_stamp(struct frame *frame)
{
	struct tftp_transfer *transfer;
	ssize_t result = open_path(STAMP_PATH, tftp_open_plain, &transfer);

	if (result != 0)
		return result;
	result = tftp_supply(transfer, frame_data(frame));
	if (result == 0)
		result = tftp_wait(transfer, STAMP_MAX);
	if (result == 0)
		result = (ssize_t)MIN(tftp_received(transfer), (uint64_t)STAMP_MAX);
	tftp_close(transfer);
	return result;
}

/* Reads the stamp and settles which generation it is. Stamp lock held. 0 or -EINTR. */
static int read_stamp(void)
{
	uint64_t asked_ns = clock_ns();
	struct frame *frame;
	ssize_t length = -ENOENT;

	if (stamp.absent_ns != 0 && asked_ns - stamp.absent_ns < STAMP_ABSENT_NS) {
		atomic_store(&stamp.asked_ns, asked_ns);
		return 0;
	}
	frame = frame_alloc(FRAME_KERNEL, 0, FRAME_ZERO);
	if (frame != NULL)
		length = fetch_stamp(frame);
	if (length == -EINTR) {
		frame_put(frame);
		return -EINTR;
	}
	stamp.absent_ns = length == -ENOENT && frame != NULL ? asked_ns : 0;
	if (length <= 0) {
		atomic_store(&stamp.generation, 0);
		stamp.length = 0;
	} else if ((size_t)length != stamp.length ||
		   memcmp(stamp.bytes, frame_data(frame), stamp.length) != 0) {
		stamp.length = (size_t)length;
		memcpy(stamp.bytes, frame_data(frame), stamp.length);
		atomic_store(&stamp.generation, ++stamp.generations);
	}
	atomic_store(&stamp.asked_ns, asked_ns);
	if (frame != NULL)
		frame_put(frame);
	return 0;
}

int origin_generation(uint64_t began_ns, uint64_t *out)
{
	int error = mutex_lock_killable(&stamp.lock);

	if (error != 0)
		return error;
	if (atomic_load(&stamp.asked_ns) < began_ns)
		error = read_stamp();
	*out = atomic_load(&stamp.generation);
	mutex_unlock(&stamp.lock);
	return error;
}

uint64_t origin_fresh_ns(void)
{
	return root.fresh_ns;
}

/* "10.0.2.2" up to a slash or the end, into network byte order; false if it is not one. */
static bool parse_address(const char *s, size_t length, uint32_t *out)
{
	uint8_t bytes[4];
	size_t at = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(bytes); i++) {
		unsigned value = 0, digits = 0;
		for (; at < length && s[at] >= '0' && s[at] <= '9' && value <= UINT8_MAX;
		     at++, digits++)
			value = value * 10 + (unsigned)(s[at] - '0');
		if (digits == 0 || value > UINT8_MAX)
			return false;
		bytes[i] = (uint8_t)value;
		if (i + 1 < ARRAY_SIZE(bytes) && (at >= length || s[at++] != '.'))
			return false;
	}
	memcpy(out, bytes, sizeof(*out));
	return at == length;
}

static void parse_root(const char *url)
{
	static const char scheme[] = "tftp://";
	const char *host = url + sizeof(scheme) - 1;
	const char *path;
	size_t host_length;

	if (strncmp(url, scheme, sizeof(scheme) - 1) != 0) {
		log_err("root=%s: not a tftp:// address; using the boot server's top directory",
			url);
		return;
	}
	path = strchr(host, '/');
	host_length = path != NULL ? (size_t)(path - host) : strlen(host);
	if (host_length > 0 && !parse_address(host, host_length, &root.server))
		log_err("root=%s: the host is not an IPv4 address; using the boot server", url);
	if (path != NULL)
		(void)pathname_join(root.path, sizeof(root.path), path, "");
}

void origin_init(void)
{
	char url[TFTP_PATH_MAX + 1];
	int64_t seconds;

	mutex_init(&stamp.lock, "stamp", RANK_INODE);
	if (cmdline_value("root", url, sizeof(url)))
		parse_root(url);
	if (cmdline_number("fresh", &seconds) && seconds > 0)
		root.fresh_ns = MIN((uint64_t)seconds, UINT64_MAX / NSEC_PER_SEC) * NSEC_PER_SEC;
}
