/*
 * net/virtqueue.h - a split virtqueue (virtio 1.1, 2.6), the driver's side.
 *
 *	descriptors  size x {address, length, flags, next}   written by the driver
 *	available    {flags, index, ring[size]}              written by the driver
 *	used         {flags, index, ring[size]}              written by the device
 *
 * The device is believed in nothing. What the driver must remember of a chain (its token, its
 * length, which descriptor follows) is kept beside the ring, where the device cannot write, and what
 * the device says is compared with it.
 *
 * A queue has one user at a time: the caller's lock is around everything but virtqueue_pending() and
 * virtqueue_set_interrupts(), which may be called from anywhere. Nothing allocates or sleeps. The
 * file needs no device and no kernel, and is tested on the host.
 */
#ifndef HAWSER_NET_VIRTQUEUE_H
#define HAWSER_NET_VIRTQUEUE_H

#include "kernel/base.h"
#include <linux/virtio_ring.h>

/* Where a legacy device expects the used ring: at the next page (virtio 1.1, 2.6.2). */
#define VIRTQUEUE_ALIGN 4096

/* What the driver remembers of one descriptor. */
struct virtqueue_slot {
	uint32_t capacity; /* of a chain's first: bytes that the device may write */
	uint16_t next;     /* the chain's next descriptor, or the next free one */
	uint16_t token;    /* of a chain's first: the caller's */
	uint16_t count;    /* of a chain's first: descriptors in it; 0 if no chain begins here */
};

struct virtqueue {
	struct vring ring;
	struct virtqueue_slot *slots; /* ring.num of them */
	uint16_t free_head, free_count;
	uint16_t avail_index;  /* what has been made available, published or not */
	uint16_t kicked_index; /* avail_index when the device was last told of it */
	uint16_t used_index;   /* what has been taken of the used ring */
	uint16_t outstanding;  /* chains that the device has */
	bool broken;           /* the device's ring makes no sense; nothing more is taken from it */
	uint64_t bad;          /* used entries that named no chain, or wrote more than there was */
};

/* Bytes of ring memory for `size` descriptors; the memory is aligned to VIRTQUEUE_ALIGN. */
size_t virtqueue_ring_bytes(unsigned size);

/* `size` is a power of two to 32768; `memory` is zeroed; `slots` holds `size` elements. */
void virtqueue_init(struct virtqueue *queue, unsigned size, void *memory,
		    struct virtqueue_slot *slots);

/* One piece of memory of a chain, as the device sees it. */
struct virtqueue_segment {
	uint64_t address;
	uint32_t length;
};

/*
 * Puts a chain into the queue: first `to_device` segments that the device reads, then `from_device`
 * that it writes. The device sees it after virtqueue_publish(). -ENOSPC.
 */
int virtqueue_add(struct virtqueue *queue, const struct virtqueue_segment *segments,
		  unsigned to_device, unsigned from_device, uint16_t token);

/* Shows the device what was added; true if it wants to be notified of it. */
bool virtqueue_publish(struct virtqueue *queue);

/*
 * Takes the next chain that the device is done with: true, its token, and how many bytes the device
 * says to have written, which is 0 if it claims more than there was room for. False if there is
 * none. Entries that name no chain are counted and passed over.
 */
bool virtqueue_take(struct virtqueue *queue, uint16_t *token, uint32_t *length);

/* Whether the device is done with something. Reads one word. */
bool virtqueue_pending(const struct virtqueue *queue);

/*
 * Asks the device to interrupt when it is done with something, or not to (it still may). After
 * turning them on, what came just before shows in virtqueue_pending().
 */
void virtqueue_set_interrupts(struct virtqueue *queue, bool on);

#endif
