/*
 * net/virtio_pci.c - finding, resetting and setting up virtio devices behind PCI.
 *
 * Section numbers are virtio 1.1's. All registers are little-endian, as is the processor.
 */
#include "net/virtio_pci.h"

#include "kernel/clock.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "kernel/x86_64/regs.h"
#include "mm/frame.h"
#include "mm/slab.h"

/* MSI-X vectors as we use them. */
enum { VECTOR_CONFIG, VECTOR_QUEUE, VECTORS };

/* A reset that takes longer will not end. */
#define RESET_TIMEOUT_MS 1000
/* A configuration that changes at each look is no configuration. */
#define CONFIG_TRIES 16

/* --- registers that both dialects have ---------------------------------------------------- */

static uint8_t status_read(const struct virtio_device *device)
{
	return device->modern ? device->common->device_status
			      : inb(device->port + VIRTIO_PCI_STATUS);
}

static void status_write(struct virtio_device *device, uint8_t status)
{
	if (device->modern)
		device->common->device_status = status;
	else
		outb(device->port + VIRTIO_PCI_STATUS, status);
}

static void status_add(struct virtio_device *device, uint8_t bits)
{
	status_write(device, status_read(device) | bits);
}

/* 4.1.4.3.2: the reset is over when the status reads zero. */
static int reset(struct virtio_device *device)
{
	status_write(device, 0);
	for (unsigned i = 0; status_read(device) != 0; i++) {
		if (i == RESET_TIMEOUT_MS)
			return -ETIMEDOUT;
		clock_delay_us(NSEC_PER_MSEC / NSEC_PER_USEC);
	}
	return 0;
}

uint8_t virtio_interrupt_status(const struct virtio_device *device)
{
	return device->modern ? *device->isr : inb(device->port + VIRTIO_PCI_ISR);
}

void virtio_config_read(const struct virtio_device *device, unsigned offset, void *out,
			unsigned length)
{
	uint8_t *bytes = out;

	if (!device->modern) {
		uint16_t at = device->port + VIRTIO_PCI_CONFIG_OFF(device->msix) + offset;
		for (unsigned i = 0; i < length; i++)
			bytes[i] = inb(at + i);
		return;
	}
	/* 4.1.4.3.1: the generation is the same before and after a consistent read. */
	uint8_t generation;
	unsigned tries = 0;
	do {
		generation = device->common->config_generation;
		for (unsigned i = 0; i < length; i++)
			bytes[i] =
				offset + i < device->config_length ? device->config[offset + i] : 0;
	} while (device->common->config_generation != generation && ++tries < CONFIG_TRIES);
}

/* --- opening ------------------------------------------------------------------------------ */

/*
 * Maps the structure of the given type; the device may offer several, in order of its preference
 * (4.1.4), and one may lie in a BAR that is not there.
 */
static int map_structure(struct virtio_device *device, uint8_t type, uint32_t least, void **out,
			 uint32_t *length, unsigned *capability)
{
	const struct pci_device *pci = device->pci;

	for (unsigned at = 0; (at = pci_capability(pci, at, PCI_CAP_ID_VNDR)) != 0;) {
		if (pci_read8(pci, at + VIRTIO_PCI_CAP_CFG_TYPE) != type)
			continue;
		uint32_t size = pci_read32(pci, at + VIRTIO_PCI_CAP_LENGTH);
		if (size < least)
			continue;
		/* Nothing of ours is larger than a page times the queues that we use. */
		size = MIN(size, (uint32_t)(64 * KIB));
		int error = pci_map(device->pci, pci_read8(pci, at + VIRTIO_PCI_CAP_BAR),
				    pci_read32(pci, at + VIRTIO_PCI_CAP_OFFSET), size, out);
		if (error == -ENOMEM)
			return error;
		if (error != 0)
			continue;
		*length = size;
		*capability = at;
		return 0;
	}
	return -ENODEV;
}

static int open_modern(struct virtio_device *device)
{
	void *common, *isr, *notify, *config = NULL;
	uint32_t length;
	unsigned at;

	/* A device of version 1.0 has no queue_notify_data and what follows it. */
	int error = map_structure(device, VIRTIO_PCI_CAP_COMMON_CFG,
				  sizeof(struct virtio_pci_common_cfg), &common, &length, &at);
	if (error != 0)
		return error;
	error = map_structure(device, VIRTIO_PCI_CAP_ISR_CFG, sizeof(uint8_t), &isr, &length, &at);
	if (error != 0)
		return error;
	error = map_structure(device, VIRTIO_PCI_CAP_DEVICE_CFG, sizeof(uint8_t), &config,
			      &device->config_length, &at);
	if (error != 0)
		return error;
	error = map_structure(device, VIRTIO_PCI_CAP_NOTIFY_CFG, sizeof(uint16_t), &notify,
			      &device->notify_length, &at);
	if (error != 0)
		return error;
	device->notify_multiplier = pci_read32(device->pci, at + VIRTIO_PCI_NOTIFY_CAP_MULT);
	device->common = common;
	device->isr = isr;
	device->config = config;
	device->notify = notify;
	device->modern = true;
	return 0;
}

static int open_legacy(struct virtio_device *device)
{
	struct pci_bar bar;
	int error = pci_bar(device->pci, 0, &bar);
	if (error != 0)
		return error;
	if (!bar.io || device->pci->revision != VIRTIO_PCI_ABI_VERSION)
		return -ENODEV;
	device->port = bar.address;
	device->modern = false;
	return 0;
}

int virtio_open(struct virtio_device *device, struct pci_device *pci)
{
	*device = (struct virtio_device){ .pci = pci };
	pci_enable(pci, true);
	pci_msix_enable(pci, false);

	int error = open_modern(device);
	if (error == -ENODEV)
		error = open_legacy(device);
	if (error == 0)
		error = reset(device);
	if (error != 0) {
		pci_enable(pci, false);
		return error;
	}
	status_write(device, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	status_add(device, VIRTIO_CONFIG_S_DRIVER);
	return 0;
}

int virtio_negotiate(struct virtio_device *device, uint64_t wanted)
{
	if (!device->modern) {
		device->features = inl(device->port + VIRTIO_PCI_HOST_FEATURES) & wanted;
		outl(device->port + VIRTIO_PCI_GUEST_FEATURES, (uint32_t)device->features);
		return 0;
	}

	uint64_t offered = 0;
	for (uint32_t half = 0; half < 2; half++) {
		device->common->device_feature_select = half;
		offered |= (uint64_t)device->common->device_feature << 32 * half;
	}
	if (!(offered & VIRTIO_FEATURE(VIRTIO_F_VERSION_1)))
		return -EIO;
	device->features = offered & (wanted | VIRTIO_FEATURE(VIRTIO_F_VERSION_1));
	for (uint32_t half = 0; half < 2; half++) {
		device->common->guest_feature_select = half;
		device->common->guest_feature = (uint32_t)(device->features >> 32 * half);
	}
	status_add(device, VIRTIO_CONFIG_S_FEATURES_OK);
	return status_read(device) & VIRTIO_CONFIG_S_FEATURES_OK ? 0 : -EIO;
}

/* --- interrupts --------------------------------------------------------------------------- */

/* The device answers a vector that it cannot have with NO_VECTOR (4.1.5.1.2). */
static bool set_config_vector(struct virtio_device *device, uint16_t vector)
{
	if (device->modern) {
		device->common->msix_config = vector;
		return device->common->msix_config == vector;
	}
	outw(device->port + VIRTIO_MSI_CONFIG_VECTOR, vector);
	return inw(device->port + VIRTIO_MSI_CONFIG_VECTOR) == vector;
}

int virtio_interrupts(struct virtio_device *device, struct irq_handler *queue,
		      struct irq_handler *config)
{
	if (pci_msix_count(device->pci) >= VECTORS &&
	    pci_msix_attach(device->pci, VECTOR_CONFIG, config) == 0 &&
	    pci_msix_attach(device->pci, VECTOR_QUEUE, queue) == 0) {
		pci_msix_enable(device->pci, true);
		device->msix = true;
		if (set_config_vector(device, VECTOR_CONFIG))
			return 0;
		pci_msix_enable(device->pci, false);
		device->msix = false;
	}
	return pci_line_attach(device->pci, queue);
}

/* --- queues ------------------------------------------------------------------------------- */

static unsigned order_of(size_t bytes)
{
	unsigned order = 0;
	while ((PAGE_SIZE << order) < bytes)
		order++;
	return order;
}

static int queue_start_modern(struct virtio_device *device, struct virtio_queue *queue,
			      uint16_t vector)
{
	volatile struct virtio_pci_common_cfg *common = device->common;
	const struct vring *ring = &queue->ring.ring;
	uint64_t desc = virt_to_phys(ring->desc), avail = virt_to_phys(ring->avail),
		 used = virt_to_phys(ring->used);

	uint64_t doorbell = (uint64_t)common->queue_notify_off * device->notify_multiplier;
	if (doorbell + sizeof(uint16_t) > device->notify_length)
		return -EIO;
	queue->doorbell = (volatile void *)(device->notify + doorbell);

	common->queue_size = ring->num;
	common->queue_desc_lo = (uint32_t)desc;
	common->queue_desc_hi = (uint32_t)(desc >> 32);
	common->queue_avail_lo = (uint32_t)avail;
	common->queue_avail_hi = (uint32_t)(avail >> 32);
	common->queue_used_lo = (uint32_t)used;
	common->queue_used_hi = (uint32_t)(used >> 32);
	if (device->msix) {
		common->queue_msix_vector = vector;
		if (common->queue_msix_vector != vector)
			return -EIO;
	}
	common->queue_enable = 1;
	return 0;
}

static int queue_start_legacy(struct virtio_device *device, struct virtio_queue *queue,
			      uint16_t vector)
{
	queue->doorbell_port = device->port + VIRTIO_PCI_QUEUE_NOTIFY;
	outl(device->port + VIRTIO_PCI_QUEUE_PFN,
	     (uint32_t)(frame_paddr(queue->memory) >> VIRTIO_PCI_QUEUE_ADDR_SHIFT));
	if (device->msix) {
		outw(device->port + VIRTIO_MSI_QUEUE_VECTOR, vector);
		if (inw(device->port + VIRTIO_MSI_QUEUE_VECTOR) != vector)
			return -EIO;
	}
	return 0;
}

int virtio_queue_create(struct virtio_device *device, unsigned index, unsigned size,
			bool interrupting, struct virtio_queue *queue)
{
	uint16_t most;
	if (device->modern) {
		device->common->queue_select = index;
		most = device->common->queue_size;
	} else {
		outw(device->port + VIRTIO_PCI_QUEUE_SEL, index);
		most = inw(device->port + VIRTIO_PCI_QUEUE_NUM);
	}
	if (most == 0)
		return -ENOENT;
	if ((most & (most - 1)) != 0 || most > 32768)
		return -EIO;
	size = device->modern ? MIN(size, most) : most;

	*queue = (struct virtio_queue){ .index = index };
	struct virtqueue_slot *slots = kzalloc(size * sizeof(*slots));
	queue->memory = frame_alloc(FRAME_NET, order_of(virtqueue_ring_bytes(size)), FRAME_ZERO);
	if (slots == NULL || queue->memory == NULL) {
		kfree(slots);
		if (queue->memory != NULL)
			frame_put(queue->memory);
		queue->memory = NULL;
		return -ENOMEM;
	}
	virtqueue_init(&queue->ring, size, frame_data(queue->memory), slots);

	uint16_t vector = interrupting ? VECTOR_QUEUE : VIRTIO_MSI_NO_VECTOR;
	return device->modern ? queue_start_modern(device, queue, vector)
			      : queue_start_legacy(device, queue, vector);
}

void virtio_queue_destroy(struct virtio_queue *queue)
{
	if (queue->memory == NULL)
		return;
	kfree(queue->ring.slots);
	frame_put(queue->memory);
	queue->memory = NULL;
}

void virtio_start(struct virtio_device *device)
{
	status_add(device, VIRTIO_CONFIG_S_DRIVER_OK);
}

void virtio_close(struct virtio_device *device)
{
	if (reset(device) != 0)
		log_err("virtio: device %04x does not come out of reset", device->pci->device);
	pci_msix_enable(device->pci, false);
	pci_enable(device->pci, false);
	device->msix = false;
}

void virtio_notify(const struct virtio_queue *queue)
{
	if (queue->doorbell != NULL)
		*queue->doorbell = queue->index;
	else
		outw(queue->doorbell_port, queue->index);
}
