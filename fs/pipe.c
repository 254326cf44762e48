/*
 * fs/pipe.c - pipes, pipe(7): bytes that go in at one end and come out at the other.
 *
 *	        tail               head
 *	  ┌──────┬──────┬──────┬──────┐
 *	  │    xx│xxxxxx│xxxxxx│xx    │        free-running positions in a ring of pages
 *	  └──────┴──────┴──────┴──────┘
 *	   read                  write
 *
 * A page is there as long as bytes are in it; an empty pipe keeps its first one. User memory is copied
 * under the lock without faulting; where a page is missing the lock is dropped, the page is brought,
 * and what has been copied so far counts. A write of up to PIPE_BUF bytes, however many buffers it comes
 * from, counts only as a whole, so nobody's bytes come between.
 *
 * What is written with O_DIRECT is cut into packets of up to PIPE_BUF bytes, whose places in the ring are kept: a read
 * ends with a packet, and what it had no room for of that is dropped.
 */
#include "fs/pipe.h"
#include "fs/locks.h"
#include "fs/signal.h"
#include "fs/span.h"
#include "kernel/clock.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "mm/frame.h"
#include "mm/slab.h"
#include <asm/poll.h>
#include <asm/signal.h>
#include <linux/limits.h> /* PIPE_BUF */

static _Atomic uint64_t last_number;

/* --- the ring; lock held ----------------------------------------------------------------------------- */

static size_t capacity(const struct pipe *pipe)
{
	return pipe->page_count * PAGE_SIZE;
}

static size_t used(const struct pipe *pipe)
{
	return pipe->head - pipe->tail;
}

static size_t room(const struct pipe *pipe)
{
	return capacity(pipe) - used(pipe);
}

static struct frame **page_of(struct pipe *pipe, uint64_t position)
{
	return &pipe->pages[(position >> PAGE_SHIFT) % pipe->page_count];
}

/* Where the byte at `position` is, and how many follow it in its page. */
static char *at(struct pipe *pipe, uint64_t position, size_t *length)
{
	*length = PAGE_SIZE - (position & PAGE_MASK);
	return (char *)frame_data(*page_of(pipe, position)) + (position & PAGE_MASK);
}

/* The page that ends at `end` has been read; the head may have come round to it already. */
static void drop_page(struct pipe *pipe, uint64_t end)
{
	struct frame **page = page_of(pipe, end - 1);

	if (*page == NULL || pipe->head > end - PAGE_SIZE + capacity(pipe))
		return;
	frame_put(*page);
	*page = NULL;
}

/* The first packet of those that are in it, or NULL. */
static struct packet_place *first_packet(struct pipe *pipe)
{
	struct pipe_packets *packets = pipe->packets;

	return packets != NULL && packets->count > 0 ? &packets->places[packets->first] : NULL;
}

static void forget_packet(struct pipe *pipe)
{
	pipe->packets->first = (pipe->packets->first + 1) % PIPE_PAGES_MAX;
	pipe->packets->count--;
}

static void remember_packet(struct pipe *pipe, uint64_t start, uint64_t end)
{
	struct pipe_packets *packets = pipe->packets;
	unsigned last = (packets->first + packets->count++) % PIPE_PAGES_MAX;

	packets->places[last] = (struct packet_place){ start, end };
}

/* Bytes that one read may have. */
static size_t readable(struct pipe *pipe)
{
	const struct packet_place *packet = first_packet(pipe);

	return packet != NULL ? packet->end - pipe->tail : used(pipe);
}

/* Takes bytes out that have been copied, and lets go of the pages that only they were in. */
static void take_out(struct pipe *pipe, size_t count)
{
	uint64_t end = ALIGN_DOWN(pipe->tail, PAGE_SIZE) + PAGE_SIZE;

	pipe->tail += count;
	for (; end <= pipe->tail; end += PAGE_SIZE)
		drop_page(pipe, end);
	/* Empty, it begins at the start of a page, so that one page serves small messages. */
	if (used(pipe) == 0)
		pipe->tail = pipe->head = ALIGN_DOWN(pipe->tail, PAGE_SIZE);
}

void pipe_unlock(struct pipe *pipe)
{
	unsigned ready = 0;

	if (used(pipe) > 0 && !pipe->claimed)
		ready |= POLLIN | POLLRDNORM;
	if (room(pipe) >= PIPE_BUF &&
	    (pipe->packets == NULL || pipe->packets->count < pipe->page_count))
		ready |= POLLOUT | POLLWRNORM;
	if (pipe->writers == 0)
		ready |= POLLHUP;
	if (pipe->readers == 0)
		ready |= POLLERR;
	atomic_store_explicit(&pipe->ready, ready, memory_order_relaxed);
	mutex_unlock(&pipe->lock);
}

static bool have_page(struct pipe *pipe, uint64_t position)
{
	struct frame **page = page_of(pipe, position);

	if (*page == NULL)
		*page = frame_alloc(FRAME_KERNEL, 0, 0);
	return *page != NULL;
}

/*
 * Copies up to `length` bytes behind the head, which stays. How many; fewer than there is room for if a
 * page of the user's is missing, or one of ours: `*starved`.
 */
static size_t fill(struct pipe *pipe, struct span_cursor *from, size_t length, bool *starved)
{
	size_t done = 0;

	*starved = false;
	length = MIN(length, room(pipe));
	while (done < length) {
		size_t part, copied;
		char *to;

		if (!have_page(pipe, pipe->head + done)) {
			*starved = true;
			break;
		}
		to = at(pipe, pipe->head + done, &part);
		part = MIN(part, length - done);
		copied = span_take_nofault(from, to, part);
		done += copied;
		if (copied < part)
			break;
	}
	return done;
}

/*
 * `count` bytes are read, and more of a packet that has not been wanted is dropped if that is all that there was
 * room for. True: a packet ends here.
 */
static bool end_read(struct pipe *pipe, size_t count, bool full)
{
	const struct packet_place *packet = first_packet(pipe);
	uint64_t now = pipe->tail + count;
	bool ends = packet != NULL && (now == packet->end || (full && now > packet->start));

	if (ends) {
		count = packet->end - pipe->tail;
		forget_packet(pipe);
	}
	take_out(pipe, count);
	return ends;
}

/* Copies up to `length` bytes to user memory and takes them out. `*ends`: with them a packet does. */
static size_t drain(struct pipe *pipe, struct span_cursor *to, size_t length, bool *ends)
{
	size_t done = 0;

	length = MIN(length, readable(pipe));
	while (done < length) {
		size_t part, copied;
		const char *from = at(pipe, pipe->tail + done, &part);

		part = MIN(part, length - done);
		copied = span_give_nofault(to, from, part);
		done += copied;
		if (copied < part)
			break;
	}
	*ends = end_read(pipe, done, to->left == 0);
	return done;
}

/* --- reading -------------------------------------------------------------------------------------------- */

static bool is_readable(struct pipe *pipe)
{
	mutex_lock(&pipe->lock);
	bool readable = !pipe->claimed && (used(pipe) > 0 || pipe->writers == 0);
	mutex_unlock(&pipe->lock);
	return readable;
}

ssize_t pipe_read(struct pipe *pipe, struct span_cursor *to, bool wait)
{
	size_t done = 0;
	int error;

	if (to->left == 0)
		return 0;
	for (;;) {
		size_t part = 0;
		bool more, end, packet = false;

		mutex_lock(&pipe->lock);
		if (!pipe->claimed)
			part = drain(pipe, to, to->left, &packet);
		more = !pipe->claimed && used(pipe) > 0;
		end = !pipe->claimed && pipe->writers == 0;
		pipe_unlock(pipe);
		done += part;
		if (part > 0)
			waitq_wake_all(&pipe->writable);
		if (to->left == 0 || packet || (done > 0 && !more))
			return (ssize_t)done;
		/* There is more, and no page to put it in; or nothing at all. */
		if (more)
			error = span_fault_in(to, 1, true);
		else if (end)
			return 0;
		else if (!wait)
			return -EAGAIN;
		else
			error = wait_event_signal(&pipe->readable, is_readable(pipe));
		if (error != 0)
			return done > 0 ? (ssize_t)done : error;
	}
}

/* --- writing -------------------------------------------------------------------------------------------- */

/* How a write is to be done. */
struct manner {
	bool wait;
	bool atomic; /* all of it or nothing */
	bool packet; /* so, and what is read together */
};

/* How much of it is written at a time. */
static size_t piece_of(const struct span_cursor *from, const struct manner *how)
{
	return how->packet ? MIN(from->left, (size_t)PIPE_BUF) : from->left;
}

/* Room for `needed` bytes; there are as many packets as pages at most, as on Linux. Lock held. */
static bool has_room(struct pipe *pipe, size_t needed, bool packet)
{
	return room(pipe) >= needed && !(packet && pipe->packets->count >= pipe->page_count);
}

/* Room for `needed` bytes, or nobody to read them. */
static bool is_writable(struct pipe *pipe, size_t needed, bool packet)
{
	mutex_lock(&pipe->lock);
	bool writable = has_room(pipe, needed, packet) || pipe->readers == 0;
	mutex_unlock(&pipe->lock);
	return writable;
}

/* What one attempt at writing came to. */
struct attempt {
	size_t written;
	bool broken, full, starved;
};

static struct attempt try_write(struct pipe *pipe, struct span_cursor *from,
				const struct manner *how)
{
	struct attempt result = { 0 };
	struct span_cursor start = *from;
	size_t length = piece_of(from, how), needed = how->atomic ? length : 1;

	mutex_lock(&pipe->lock);
	if (pipe->readers == 0) {
		result.broken = true;
	} else if (!has_room(pipe, needed, how->packet)) {
		result.full = true;
	} else {
		size_t copied = fill(pipe, from, length, &result.starved);
		if (!how->atomic || copied == length)
			result.written = copied;
		else
			*from = start;
		if (how->packet && result.written > 0)
			remember_packet(pipe, pipe->head, pipe->head + result.written);
		pipe->head += result.written;
	}
	pipe_unlock(pipe);
	return result;
}

/* Waits for what the attempt lacked. */
static int provide(struct pipe *pipe, const struct attempt *lack, const struct span_cursor *from,
		   const struct manner *how, bool *reclaimed)
{
	size_t needed = how->atomic ? piece_of(from, how) : 1;

	if (lack->broken) {
		signal_self(SIGPIPE);
		return -EPIPE;
	}
	if (lack->starved) {
		if (*reclaimed)
			return -ENOMEM;
		*reclaimed = true;
		frame_reclaim(1);
		return 0;
	}
	if (!lack->full)
		return span_fault_in(from, needed, false);
	if (!how->wait)
		return -EAGAIN;
	return wait_event_signal(&pipe->writable, is_writable(pipe, needed, how->packet));
}

/* Where packets are is remembered from the first one on. */
static int expect_packets(struct pipe *pipe)
{
	struct pipe_packets *packets = kzalloc(sizeof(*packets));

	mutex_lock(&pipe->lock);
	if (pipe->packets == NULL) {
		pipe->packets = packets;
		packets = NULL;
	}
	bool have = pipe->packets != NULL;
	mutex_unlock(&pipe->lock);
	kfree(packets);
	return have ? 0 : -ENOMEM;
}

ssize_t pipe_write(struct pipe *pipe, struct span_cursor *from, bool wait, bool packets)
{
	struct manner how = { wait, packets || from->left <= PIPE_BUF, packets };
	bool reclaimed = false;
	size_t done = 0;
	int error = packets ? expect_packets(pipe) : 0;

	while (from->left > 0 && error == 0) {
		struct attempt result = try_write(pipe, from, &how);

		if (result.written > 0) {
			done += result.written;
			waitq_wake_all(&pipe->readable);
		} else {
			error = provide(pipe, &result, from, &how, &reclaimed);
		}
	}
	return done > 0 ? (ssize_t)done : error;
}

ssize_t pipe_wait_room(struct pipe *pipe, bool wait)
{
	for (;;) {
		size_t free;
		bool broken;
		int error;

		mutex_lock(&pipe->lock);
		free = room(pipe);
		broken = pipe->readers == 0;
		mutex_unlock(&pipe->lock);
		if (broken) {
			signal_self(SIGPIPE);
			return -EPIPE;
		}
		if (free > 0)
			return (ssize_t)free;
		if (!wait)
			return -EAGAIN;
		error = wait_event_signal(&pipe->writable, is_writable(pipe, 1, false));
		if (error != 0)
			return error;
	}
}

/* --- for splice(2) ----------------------------------------------------------------------------------------- */

/* Copies bytes from the front, which stay; lock held. */
static void copy_front(struct pipe *pipe, char *to, size_t length)
{
	size_t done = 0, part;

	while (done < length) {
		const char *from = at(pipe, pipe->tail + done, &part);
		part = MIN(part, length - done);
		memcpy(to + done, from, part);
		done += part;
	}
}

ssize_t pipe_peek(struct pipe *pipe, void *to, size_t length, bool wait, bool claim)
{
	for (;;) {
		size_t count;
		bool end;
		int error;

		mutex_lock(&pipe->lock);
		end = pipe->writers == 0 && !pipe->claimed;
		count = pipe->claimed ? 0 : MIN(length, readable(pipe));
		copy_front(pipe, to, count);
		pipe->claimed = pipe->claimed || (claim && count > 0);
		pipe_unlock(pipe);
		if (count > 0 || end || length == 0)
			return (ssize_t)count;
		if (!wait)
			return -EAGAIN;
		error = wait_event_signal(&pipe->readable, is_readable(pipe));
		if (error != 0)
			return error;
	}
}

void pipe_consume(struct pipe *pipe, size_t count)
{
	mutex_lock(&pipe->lock);
	(void)end_read(pipe, count, false);
	pipe->claimed = false;
	pipe_unlock(pipe);
	waitq_wake_all(&pipe->writable);
	waitq_wake_all(&pipe->readable);
}

/* --- its life and size -------------------------------------------------------------------------------- */

static void free_pages(struct frame **pages, unsigned count)
{
	for (unsigned i = 0; pages != NULL && i < count; i++) {
		if (pages[i] != NULL)
			frame_put(pages[i]);
	}
	kfree(pages);
}

/* Pages for a ring of `count`, of which the first hold `bytes` bytes. NULL: no memory. */
static struct frame **make_pages(unsigned count, size_t bytes)
{
	struct frame **pages = kzalloc(count * sizeof(struct frame *));

	for (unsigned i = 0; pages != NULL && i < DIV_ROUND_UP(bytes, PAGE_SIZE); i++) {
		pages[i] = frame_alloc(FRAME_KERNEL, 0, 0);
		if (pages[i] == NULL) {
			free_pages(pages, count);
			return NULL;
		}
	}
	return pages;
}

/* What is in it moves to the start of a new ring. Lock held. -EBUSY, -ENOMEM. */
static int resize(struct pipe *pipe, unsigned count)
{
	struct frame **pages, **old = pipe->pages;
	size_t bytes = used(pipe), part;

	if (bytes > count * PAGE_SIZE || pipe->claimed)
		return -EBUSY;
	pages = make_pages(count, bytes);
	if (pages == NULL)
		return -ENOMEM;
	for (size_t done = 0; done < bytes; done += part) {
		part = MIN(PAGE_SIZE, bytes - done);
		char *to = frame_data(pages[done >> PAGE_SHIFT]);
		for (size_t copied = 0, piece; copied < part; copied += piece) {
			const char *from = at(pipe, pipe->tail + done + copied, &piece);
			piece = MIN(piece, part - copied);
			memcpy(to + copied, from, piece);
		}
	}
	free_pages(old, pipe->page_count);
	pipe->pages = pages;
	pipe->page_count = count;
	for (unsigned i = 0; pipe->packets != NULL && i < pipe->packets->count; i++) {
		struct packet_place *place =
			&pipe->packets->places[(pipe->packets->first + i) % PIPE_PAGES_MAX];

		place->start -= MIN(place->start, pipe->tail);
		place->end -= pipe->tail;
	}
	pipe->tail = 0;
	pipe->head = bytes;
	return 0;
}

int pipe_resize(struct pipe *pipe, unsigned count)
{
	int error;

	mutex_lock(&pipe->lock);
	error = resize(pipe, count);
	pipe_unlock(pipe);
	waitq_wake_all(&pipe->writable);
	return error;
}

void pipe_free(struct pipe *pipe)
{
	free_pages(pipe->pages, pipe->page_count);
	lock_set_free(atomic_load(&pipe->locks));
	kfree(pipe->packets);
	kfree(pipe);
}

struct pipe *pipe_create(void)
{
	struct pipe *pipe = kzalloc(sizeof(*pipe));

	if (pipe == NULL)
		return NULL;
	pipe->page_count = PIPE_PAGES;
	pipe->pages = make_pages(PIPE_PAGES, 0);
	if (pipe->pages == NULL) {
		kfree(pipe);
		return NULL;
	}
	mutex_init(&pipe->lock, "pipe", RANK_STREAM);
	waitq_init(&pipe->readable, "pipe reader");
	waitq_init(&pipe->writable, "pipe writer");
	pipe->number = atomic_fetch_add(&last_number, 1) + 1;
	pipe->created_ns = clock_wall_ns();
	return pipe;
}
