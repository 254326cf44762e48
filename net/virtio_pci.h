/*
 * net/virtio_pci.h - a virtio device behind PCI, in both of its dialects (virtio 1.1, 4.1).
 *
 * A modern device describes registers in memory by vendor capabilities; a legacy one has a fixed
 * block of I/O ports in BAR 0; a transitional one has both, and is driven as a modern one. A device
 * is brought up in this order, which the specification demands (3.1.1):
 *
 *	virtio_open()         reset, "I have seen you, I can drive you"
 *	virtio_negotiate()    features
 *	virtio_interrupts()   MSI-X or the line
 *	virtio_queue_create() for each queue
 *	virtio_start()        "go"
 *
 * and taken down by virtio_close(), from any of these steps. One thread does this; afterwards
 * virtio_notify(), virtio_config_read() and virtio_interrupt_status() may be called from anywhere.
 */
#ifndef HAWSER_NET_VIRTIO_PCI_H
#define HAWSER_NET_VIRTIO_PCI_H

#include "dev/pci.h"
#include "kernel/base.h"
#include "net/virtqueue.h"
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>

#define VIRTIO_FEATURE(bit) (UINT64_C(1) << (bit))

struct virtio_device {
	struct pci_device *pci;
	bool modern;
	bool msix;
	uint64_t features; /* agreed upon */
	/* Modern: what the capabilities point at. */
	volatile struct virtio_pci_common_cfg *common;
	volatile uint8_t *isr;
	volatile uint8_t *config;
	volatile uint8_t *notify;
	uint32_t config_length, notify_length, notify_multiplier;
	/* Legacy. */
	uint16_t port;
};

struct virtio_queue {
	struct virtqueue ring;
	uint16_t index;
	volatile uint16_t *doorbell; /* modern */
	uint16_t doorbell_port;      /* legacy */
	struct frame *memory;
};

/* Finds the device's registers and resets it. -ENXIO, -ENODEV (no dialect that we speak), -ENOMEM,
 * -ETIMEDOUT (does not come out of reset). */
int virtio_open(struct virtio_device *device, struct pci_device *pci);

/* Agrees on what both the device and `wanted` have. -EIO if the device does not like the choice. */
int virtio_negotiate(struct virtio_device *device, uint64_t wanted);
static inline bool virtio_has(const struct virtio_device *device, unsigned bit)
{
	return device->features & VIRTIO_FEATURE(bit);
}

/* Copies from the device's own configuration; what lies beyond its end reads as zeroes. */
void virtio_config_read(const struct virtio_device *device, unsigned offset, void *out,
			unsigned length);

/*
 * With MSI-X, `queue` is called for the queues and `config` for changes of configuration; without,
 * `queue` for both, and for other devices on the same line: virtio_interrupt_status() tells, and
 * must be read to end the interrupt. 0, or what irq_register_line() says.
 */
int virtio_interrupts(struct virtio_device *device, struct irq_handler *queue,
		      struct irq_handler *config);
/* What happened since last read: 0 if nothing, else VIRTIO_PCI_ISR_CONFIG and the queue bit. */
uint8_t virtio_interrupt_status(const struct virtio_device *device);

/*
 * Sets up queue `index`, with at most `size` descriptors if the device lets us choose (a legacy one
 * does not). If `interrupting`, with the queue interrupt. -ENOENT if there is no such queue, -ENOMEM,
 * -EIO.
 */
int virtio_queue_create(struct virtio_device *device, unsigned index, unsigned size,
			bool interrupting, struct virtio_queue *queue);
/* Frees its memory; the device has been reset. A zeroed queue is allowed. */
void virtio_queue_destroy(struct virtio_queue *queue);

void virtio_start(struct virtio_device *device);
/* Resets the device for good; it touches memory no more. */
void virtio_close(struct virtio_device *device);

/* Rings the doorbell: an exit to the hypervisor, the most expensive thing here. */
void virtio_notify(const struct virtio_queue *queue);

#endif
