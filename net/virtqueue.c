/*
 * net/virtqueue.c - a split virtqueue, the driver's side.
 *
 * Ordering (virtio 1.1, 2.6.13 and 2.6.14): a chain is written before the index that shows it
 * (release), an entry is read after the index that promises it (acquire), and where one side stores
 * its word and then loads the other's (index and flags, both ways), a full fence stands between, for
 * otherwise both could miss each other's store.
 */
#include "net/virtqueue.h"

#include "kernel/string.h"

size_t virtqueue_ring_bytes(unsigned size)
{
	return vring_size(size, VIRTQUEUE_ALIGN);
}

void virtqueue_init(struct virtqueue *queue, unsigned size, void *memory,
		    struct virtqueue_slot *slots)
{
	assert(size > 0 && size <= 32768 && (size & (size - 1)) == 0);
	assert(IS_ALIGNED((uintptr_t)memory, VIRTQUEUE_ALIGN));

	*queue = (struct virtqueue){ .slots = slots, .free_count = size };
	vring_init(&queue->ring, size, memory, VIRTQUEUE_ALIGN);
	for (unsigned i = 0; i < size; i++)
		slots[i] = (struct virtqueue_slot){ .next = i + 1 };
	virtqueue_set_interrupts(queue, false);
}

int virtqueue_add(struct virtqueue *queue, const struct virtqueue_segment *segments,
		  unsigned to_device, unsigned from_device, uint16_t token)
{
	unsigned count = to_device + from_device;
	assert(count > 0);
	if (queue->free_count < count)
		return -ENOSPC;

	uint16_t head = queue->free_head, at = head;
	uint32_t capacity = 0;
	for (unsigned i = 0; i < count; i++) {
		bool last = i + 1 == count, writes = i >= to_device;
		queue->ring.desc[at] = (struct vring_desc){
			.addr = segments[i].address,
			.len = segments[i].length,
			.flags = (last ? 0 : VRING_DESC_F_NEXT) | (writes ? VRING_DESC_F_WRITE : 0),
			.next = last ? 0 : queue->slots[at].next,
		};
		if (writes)
			capacity += segments[i].length;
		if (last)
			queue->free_head = queue->slots[at].next;
		at = queue->slots[at].next;
	}
	queue->free_count -= count;
	queue->slots[head].token = token;
	queue->slots[head].capacity = capacity;
	queue->slots[head].count = count;

	queue->ring.avail->ring[queue->avail_index % queue->ring.num] = head;
	queue->avail_index++;
	queue->outstanding++;
	return 0;
}

bool virtqueue_publish(struct virtqueue *queue)
{
	if (queue->avail_index == queue->kicked_index)
		return false;
	__atomic_store_n(&queue->ring.avail->idx, queue->avail_index, __ATOMIC_RELEASE);
	queue->kicked_index = queue->avail_index;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	uint16_t flags = __atomic_load_n(&queue->ring.used->flags, __ATOMIC_RELAXED);
	return !(flags & VRING_USED_F_NO_NOTIFY);
}

/* Gives the chain's descriptors back to the free list. */
static void chain_free(struct virtqueue *queue, uint16_t head)
{
	uint16_t count = queue->slots[head].count, last = head;
	for (unsigned i = 1; i < count; i++)
		last = queue->slots[last].next;
	queue->slots[last].next = queue->free_head;
	queue->slots[head].count = 0;
	queue->free_head = head;
	queue->free_count += count;
	queue->outstanding--;
}

bool virtqueue_take(struct virtqueue *queue, uint16_t *token, uint32_t *length)
{
	for (;;) {
		uint16_t index = __atomic_load_n(&queue->ring.used->idx, __ATOMIC_ACQUIRE);
		uint16_t done = index - queue->used_index;
		if (done == 0 || queue->broken)
			return false;
		if (done > queue->outstanding) {
			queue->broken = true;
			return false;
		}

		/* Volatile: the device may change it between two looks. */
		volatile struct vring_used_elem *used =
			&queue->ring.used->ring[queue->used_index % queue->ring.num];
		uint32_t head = used->id, written = used->len;
		__atomic_store_n(&queue->used_index, queue->used_index + 1, __ATOMIC_RELAXED);
		if (head >= queue->ring.num || queue->slots[head].count == 0) {
			queue->bad++;
			continue;
		}
		if (written > queue->slots[head].capacity) {
			queue->bad++;
			written = 0;
		}
		*token = queue->slots[head].token;
		*length = written;
		chain_free(queue, head);
		return true;
	}
}

bool virtqueue_pending(const struct virtqueue *queue)
{
	return __atomic_load_n(&queue->ring.used->idx, __ATOMIC_ACQUIRE) !=
		       __atomic_load_n(&queue->used_index, __ATOMIC_RELAXED) &&
	       !queue->broken;
}

void virtqueue_set_interrupts(struct virtqueue *queue, bool on)
{
	__atomic_store_n(&queue->ring.avail->flags, on ? 0 : VRING_AVAIL_F_NO_INTERRUPT,
			 __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}
