/*
 * net/virtio_net.c - the virtio network card (virtio 1.1, 5.1), modern and legacy.
 *
 * Memory of a card, all of it taken when it is found:
 *
 *	frame of 4 KiB   ┌─────────────────────────┬─────────────────────────┐
 *	                 │ buffer                  │ buffer                  │
 *	                 └─────────────────────────┴─────────────────────────┘
 *	receive buffer   struct rx_buffer │ virtio header │ Ethernet frame … │
 *	send buffer                          virtio header │ Ethernet frame … │
 *
 * Receiving copies nothing: the card writes header and frame behind a struct rx_buffer, whose pbuf
 * is handed to lwIP, and when lwIP frees the pbuf the buffer is the card's again. Where the device
 * can merge buffers, a frame larger than one arrives in several and becomes a chain of pbufs.
 *
 * Sending copies: frames are small (acknowledgements, requests), lwIP's heap lies outside of the
 * direct map, and a copy needs no bookkeeping of who still holds what. Sent buffers are reclaimed
 * when the next frame is sent or the card is polled; the device is never asked to interrupt for it.
 *
 * Interrupts are on only while the network thread sleeps.
 */
#include "dev/pci.h"
#include "kernel/log.h"
#include "kernel/random.h"
#include "kernel/string.h"
#include "lwip/def.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/tcp.h"
#include "lwip/prot/udp.h"
#include "mm/frame.h"
#include "mm/slab.h"
#include "net/netif.h"
#include "net/virtio_pci.h"
#include <linux/virtio_net.h>

/* 4.1.2.1: the vendor, and what is added to the type of a device that is not transitional. */
#define VIRTIO_VENDOR      0x1af4
#define VIRTIO_MODERN_BASE 0x1040

enum { QUEUE_RX, QUEUE_TX }; /* 5.1.2 */

#define FEATURES                                                                      \
	(VIRTIO_FEATURE(VIRTIO_F_ANY_LAYOUT) | VIRTIO_FEATURE(VIRTIO_NET_F_CSUM) |    \
	 VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_CSUM) | VIRTIO_FEATURE(VIRTIO_NET_F_MAC) | \
	 VIRTIO_FEATURE(VIRTIO_NET_F_MRG_RXBUF) | VIRTIO_FEATURE(VIRTIO_NET_F_MTU) |  \
	 VIRTIO_FEATURE(VIRTIO_NET_F_STATUS))

#define BUFFER_SIZE       2048
#define BUFFERS_PER_FRAME (PAGE_SIZE / BUFFER_SIZE)
#define MTU_DEFAULT       1500
#define MTU_MAX           9000 /* what people call jumbo frames */

/* How many buffers, where memory is scarce and where it is not. */
#define SCARCE_BELOW   (12 * MIB)
#define RX_BUFFERS     256
#define RX_BUFFERS_MIN 64
#define TX_BUFFERS     64
#define TX_BUFFERS_MIN 16

/* The most receive buffers that one frame takes. */
#define MERGE_MAX 8

struct rx_buffer {
	struct pbuf_custom pbuf; /* first: lwIP gives us back its address */
	struct virtio_nic *card;
	uint16_t index;
	uint8_t data[];
};
#define RX_ROOM   (BUFFER_SIZE - offsetof(struct rx_buffer, data))
#define FRAME_MAX (MTU_MAX + SIZEOF_ETH_HDR + sizeof(struct virtio_net_hdr_v1))
_Static_assert(FRAME_MAX <= MERGE_MAX * RX_ROOM, "a jumbo frame fits");

struct virtio_nic {
	struct nic nic;
	struct virtio_device device;
	struct virtio_queue rx, tx; /* net_lock */
	struct irq_handler queue_irq, config_irq;
	unsigned header_size; /* of struct virtio_net_hdr_v1 that there is */
	bool header_apart;    /* an old device wants it in a descriptor of its own */
	bool polling;         /* net_lock: buffers are given back all at once */
	bool broken;          /* net_lock: said so already */
	unsigned rx_count, tx_count;
	unsigned tx_order; /* a send buffer's frames; 0: two buffers to a frame */
	struct rx_buffer *rx_buffer[RX_BUFFERS];
	uint8_t *tx_buffer[TX_BUFFERS];
	uint16_t tx_free[TX_BUFFERS]; /* net_lock: a stack of buffers not in use */
	unsigned tx_free_count;       /* net_lock */
};

static struct virtio_nic *card_of(struct nic *nic)
{
	return container_of(nic, struct virtio_nic, nic);
}

/*
 * Cuts [data, data + length), which lies in one frame, into the segments of a chain: one, or two if
 * the header must stand alone. The number of segments.
 */
static unsigned cut(const struct virtio_nic *card, const void *data, uint32_t length,
		    struct virtqueue_segment *segments)
{
	uint64_t address = virt_to_phys(data);
	if (!card->header_apart) {
		segments[0] = (struct virtqueue_segment){ address, length };
		return 1;
	}
	segments[0] = (struct virtqueue_segment){ address, card->header_size };
	segments[1] = (struct virtqueue_segment){ address + card->header_size,
						  length - card->header_size };
	return 2;
}

static void publish(struct virtio_queue *queue)
{
	if (virtqueue_publish(&queue->ring))
		virtio_notify(queue);
}

/* --- receiving ---------------------------------------------------------------------------- */

/* Gives a buffer to the device; there is room for all of them in the ring. */
static void rx_give(struct virtio_nic *card, struct rx_buffer *buffer)
{
	struct virtqueue_segment segments[2];
	unsigned count = cut(card, buffer->data, RX_ROOM, segments);
	int error = virtqueue_add(&card->rx.ring, segments, 0, count, buffer->index);
	assert(error == 0);
}

/* lwIP is done with a received pbuf: its custom_free_function. */
static void rx_free(struct pbuf *pbuf)
{
	struct rx_buffer *buffer = container_of(pbuf, struct rx_buffer, pbuf.pbuf);
	struct virtio_nic *card = buffer->card;
	rx_give(card, buffer);
	if (!card->polling)
		publish(&card->rx);
}

/* The next received buffer, and how many bytes are in it; NULL if there is none. */
static struct rx_buffer *rx_take(struct virtio_nic *card, uint32_t *length)
{
	uint16_t index;
	if (!virtqueue_take(&card->rx.ring, &index, length))
		return NULL;
	return card->rx_buffer[index];
}

/* A pbuf of `length` bytes of the buffer from `offset`. */
static struct pbuf *rx_pbuf(struct rx_buffer *buffer, uint32_t offset, uint32_t length)
{
	buffer->pbuf.custom_free_function = rx_free;
	return pbuf_alloced_custom(PBUF_RAW, length, PBUF_REF, &buffer->pbuf, buffer->data + offset,
				   RX_ROOM - offset);
}

/*
 * Takes one frame off the ring. False if the ring is empty. A frame that makes no sense goes no
 * further, its buffers back to the device: too short, or of more buffers than are there.
 */
static bool rx_frame(struct virtio_nic *card)
{
	uint32_t length;
	struct rx_buffer *buffer = rx_take(card, &length);
	if (buffer == NULL)
		return false;

	/* Volatile: the device may change it between two looks. */
	const volatile struct virtio_net_hdr_v1 *header = (const volatile void *)buffer->data;
	bool good = length >= card->header_size + SIZEOF_ETH_HDR;
	unsigned buffers = 1;
	uint8_t flags = 0;
	if (good) {
		flags = header->flags;
		if (virtio_has(&card->device, VIRTIO_NET_F_MRG_RXBUF))
			buffers = header->num_buffers;
		good = buffers >= 1 && buffers <= MERGE_MAX;
	}

	uint32_t offset = good ? card->header_size : 0;
	struct pbuf *frame = rx_pbuf(buffer, offset, good ? length - offset : 0);
	for (unsigned i = 1; good && i < buffers; i++) {
		/* The device makes all buffers of a frame used at once (5.1.6.4). */
		struct rx_buffer *more = rx_take(card, &length);
		if (more == NULL) {
			good = false;
			break;
		}
		pbuf_cat(frame, rx_pbuf(more, 0, length));
		good = length > 0;
	}
	if (!good) {
		nic_dropped(&card->nic);
		pbuf_free(frame);
		return true;
	}
	nic_input(&card->nic, frame,
		  flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID));
	return true;
}

static unsigned poll(struct nic *nic, unsigned budget)
{
	struct virtio_nic *card = card_of(nic);
	unsigned count = 0;

	card->polling = true;
	while (count < budget && rx_frame(card))
		count++;
	card->polling = false;
	publish(&card->rx);

	if (card->rx.ring.broken && !card->broken) {
		card->broken = true;
		log_err("%s: the device's ring makes no sense; it is no longer used", nic->driver);
	}
	return count;
}

/* --- sending ------------------------------------------------------------------------------ */

/* Takes back the buffers of what has been sent. */
static void tx_reclaim(struct virtio_nic *card)
{
	uint16_t index;
	uint32_t ignored;
	while (virtqueue_take(&card->tx.ring, &index, &ignored))
		card->tx_free[card->tx_free_count++] = index;
}

/*
 * Asks the device for the UDP or TCP checksum of an unfragmented IPv4 packet: it sums from
 * csum_start to the end, beginning with what stands in the field, the sum of the pseudo-header
 * (RFC 768). `frame` is the whole frame, or as much of it as the first buffer holds.
 */
static void tx_checksum(struct virtio_net_hdr_v1 *header, uint8_t *frame, size_t length)
{
	struct eth_hdr *ethernet = (void *)frame;
	struct ip_hdr *ip = (void *)(frame + SIZEOF_ETH_HDR);
	if (length < SIZEOF_ETH_HDR + IP_HLEN || ethernet->type != PP_HTONS(ETHTYPE_IP) ||
	    (IPH_OFFSET(ip) & PP_HTONS(IP_OFFMASK | IP_MF)) != 0)
		return;

	size_t start = SIZEOF_ETH_HDR + IPH_HL_BYTES(ip), field;
	switch (IPH_PROTO(ip)) {
	case IP_PROTO_UDP:
		field = offsetof(struct udp_hdr, chksum);
		break;
	case IP_PROTO_TCP:
		field = offsetof(struct tcp_hdr, chksum);
		break;
	default:
		return;
	}
	if (start + field + sizeof(uint16_t) > length || lwip_ntohs(IPH_LEN(ip)) < IPH_HL_BYTES(ip))
		return;

	struct {
		ip4_addr_p_t source, destination;
		uint8_t zero, protocol;
		uint16_t length;
	} __packed pseudo = {
		ip->src,
		ip->dest,
		0,
		IPH_PROTO(ip),
		lwip_htons(lwip_ntohs(IPH_LEN(ip)) - IPH_HL_BYTES(ip)),
	};
	uint16_t sum = lwip_checksum(&pseudo, sizeof(pseudo));
	memcpy(frame + start + field, &sum, sizeof(sum));
	header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	header->csum_start = start;
	header->csum_offset = field;
}

static int send(struct nic *nic, struct pbuf *frame)
{
	struct virtio_nic *card = card_of(nic);
	size_t room = (card->tx_order == 0 ? BUFFER_SIZE : PAGE_SIZE << card->tx_order) -
		      card->header_size;
	if (frame->tot_len > room)
		return -EMSGSIZE;
	tx_reclaim(card);
	if (card->tx_free_count == 0)
		return -ENOBUFS;

	uint16_t index = card->tx_free[card->tx_free_count - 1];
	uint8_t *buffer = card->tx_buffer[index], *data = buffer + card->header_size;
	struct virtio_net_hdr_v1 header = { .gso_type = VIRTIO_NET_HDR_GSO_NONE };
	pbuf_copy_partial(frame, data, frame->tot_len, 0);
	if (nic->fills_checksums)
		tx_checksum(&header, data, frame->tot_len);
	memcpy(buffer, &header, card->header_size);

	struct virtqueue_segment segments[2];
	unsigned count = cut(card, buffer, card->header_size + frame->tot_len, segments);
	if (virtqueue_add(&card->tx.ring, segments, count, 0, index) != 0)
		return -ENOBUFS;
	card->tx_free_count--;
	return 0;
}

static void flush(struct nic *nic)
{
	publish(&card_of(nic)->tx);
}

/* --- interrupts and the link -------------------------------------------------------------- */

static bool pending(const struct nic *nic)
{
	return virtqueue_pending(&container_of(nic, struct virtio_nic, nic)->rx.ring);
}

static void set_interrupts(struct nic *nic, bool on)
{
	virtqueue_set_interrupts(&card_of(nic)->rx.ring, on);
}

static bool link_up(struct nic *nic)
{
	struct virtio_nic *card = card_of(nic);
	uint16_t status = VIRTIO_NET_S_LINK_UP;
	if (virtio_has(&card->device, VIRTIO_NET_F_STATUS))
		virtio_config_read(&card->device, offsetof(struct virtio_net_config, status),
				   &status, sizeof(status));
	return status & VIRTIO_NET_S_LINK_UP;
}

static bool config_interrupt(void *arg)
{
	struct virtio_nic *card = arg;
	nic_link_changed(&card->nic);
	return true;
}

static bool queue_interrupt(void *arg)
{
	struct virtio_nic *card = arg;
	if (!card->device.msix) {
		uint8_t status = virtio_interrupt_status(&card->device);
		if (status == 0)
			return false;
		if (status & VIRTIO_PCI_ISR_CONFIG)
			nic_link_changed(&card->nic);
	}
	/* The network thread polls now, and turns them on before it sleeps. */
	set_interrupts(&card->nic, false);
	nic_interrupt(&card->nic);
	return true;
}

static const struct nic_ops ops = {
	.poll = poll,
	.send = send,
	.flush = flush,
	.pending = pending,
	.set_interrupts = set_interrupts,
	.link_up = link_up,
};

/* --- finding and starting ----------------------------------------------------------------- */

/* Reads what the device says of itself, once features are agreed upon. */
static void read_config(struct virtio_nic *card)
{
	struct virtio_device *device = &card->device;
	struct nic *nic = &card->nic;

	if (virtio_has(device, VIRTIO_NET_F_MAC)) {
		virtio_config_read(device, offsetof(struct virtio_net_config, mac), nic->mac,
				   sizeof(nic->mac));
	} else {
		/* IEEE 802: locally administered, not a group. */
		random_bytes(nic->mac, sizeof(nic->mac));
		nic->mac[0] = (nic->mac[0] | 0x02) & ~0x01;
	}

	bool merges = virtio_has(device, VIRTIO_NET_F_MRG_RXBUF);
	bool modern = virtio_has(device, VIRTIO_F_VERSION_1);
	card->header_size =
		merges || modern ? sizeof(struct virtio_net_hdr_v1) : sizeof(struct virtio_net_hdr);
	card->header_apart = !modern && !virtio_has(device, VIRTIO_F_ANY_LAYOUT);
	nic->fills_checksums = virtio_has(device, VIRTIO_NET_F_CSUM);

	nic->mtu = MTU_DEFAULT;
	if (virtio_has(device, VIRTIO_NET_F_MTU)) {
		uint16_t mtu;
		virtio_config_read(device, offsetof(struct virtio_net_config, mtu), &mtu,
				   sizeof(mtu));
		/* RFC 791: 68 is the least. */
		if (mtu >= 68)
			nic->mtu = MIN(mtu, (uint16_t)MTU_MAX);
	}
	if (!merges)
		nic->mtu = MIN(nic->mtu, (uint16_t)(RX_ROOM - card->header_size - SIZEOF_ETH_HDR -
						    SIZEOF_VLAN_HDR));
}

static void free_buffers(struct virtio_nic *card)
{
	for (unsigned i = 0; i < RX_BUFFERS; i += BUFFERS_PER_FRAME) {
		if (card->rx_buffer[i] != NULL)
			frame_put(frame_of(virt_to_phys(card->rx_buffer[i])));
	}
	unsigned step = card->tx_order == 0 ? BUFFERS_PER_FRAME : 1;
	for (unsigned i = 0; i < TX_BUFFERS; i += step) {
		if (card->tx_buffer[i] != NULL)
			frame_put(frame_of(virt_to_phys(card->tx_buffer[i])));
	}
}

static int alloc_buffers(struct virtio_nic *card)
{
	bool scarce = frame_free_count() < SCARCE_BELOW / PAGE_SIZE;
	unsigned per_buffer = card->header_apart ? 2 : 1;
	card->rx_count = MIN((unsigned)(scarce ? RX_BUFFERS_MIN : RX_BUFFERS),
			     ALIGN_DOWN(card->rx.ring.ring.num / per_buffer, BUFFERS_PER_FRAME));
	card->tx_count = MIN((unsigned)(scarce ? TX_BUFFERS_MIN : TX_BUFFERS),
			     ALIGN_DOWN(card->tx.ring.ring.num / per_buffer, BUFFERS_PER_FRAME));

	for (unsigned i = 0; i < card->rx_count; i++) {
		if (i % BUFFERS_PER_FRAME == 0) {
			struct frame *frame = frame_alloc(FRAME_NET, 0, 0);
			if (frame == NULL)
				return -ENOMEM;
			card->rx_buffer[i] = frame_data(frame);
		} else {
			card->rx_buffer[i] =
				(void *)((uint8_t *)card->rx_buffer[i - 1] + BUFFER_SIZE);
		}
		card->rx_buffer[i]->card = card;
		card->rx_buffer[i]->index = i;
		card->rx_buffer[i]->pbuf.custom_free_function = rx_free;
	}

	size_t largest = card->header_size + SIZEOF_ETH_HDR + SIZEOF_VLAN_HDR + card->nic.mtu;
	while (largest > BUFFER_SIZE && PAGE_SIZE << card->tx_order < largest)
		card->tx_order++;
	for (unsigned i = 0; i < card->tx_count; i++) {
		if (card->tx_order == 0 && i % BUFFERS_PER_FRAME != 0) {
			card->tx_buffer[i] = card->tx_buffer[i - 1] + BUFFER_SIZE;
		} else {
			struct frame *frame = frame_alloc(FRAME_NET, card->tx_order, 0);
			if (frame == NULL)
				return -ENOMEM;
			card->tx_buffer[i] = frame_data(frame);
		}
		card->tx_free[card->tx_free_count++] = i;
	}
	return 0;
}

static int start(struct virtio_nic *card, struct pci_device *pci)
{
	struct virtio_device *device = &card->device;
	int error = virtio_open(device, pci);
	if (error != 0)
		return error;

	error = virtio_negotiate(device, FEATURES);
	if (error != 0)
		goto close;
	card->queue_irq = (struct irq_handler){ queue_interrupt, card, "virtio-net" };
	card->config_irq = (struct irq_handler){ config_interrupt, card, "virtio-net config" };
	error = virtio_interrupts(device, &card->queue_irq, &card->config_irq);
	if (error != 0)
		goto close;
	/* After that, for MSI-X moves a legacy device's configuration. */
	read_config(card);

	error = virtio_queue_create(device, QUEUE_RX, RX_BUFFERS, true, &card->rx);
	if (error != 0)
		goto close;
	error = virtio_queue_create(device, QUEUE_TX, TX_BUFFERS, false, &card->tx);
	if (error != 0)
		goto close;
	error = alloc_buffers(card);
	if (error != 0)
		goto close;

	card->nic.ops = &ops;
	snprintf(card->nic.driver, sizeof(card->nic.driver), "virtio-net (%s, %s)",
		 device->modern ? "modern" : "legacy", device->msix ? "MSI-X" : "INTx");
	virtio_start(device);
	for (unsigned i = 0; i < card->rx_count; i++)
		rx_give(card, card->rx_buffer[i]);
	publish(&card->rx);
	return 0;

close:
	virtio_close(device);
	free_buffers(card);
	virtio_queue_destroy(&card->tx);
	virtio_queue_destroy(&card->rx);
	return error;
}

void virtio_net_probe(void)
{
	static const struct pci_id ids[] = {
		{ VIRTIO_VENDOR, VIRTIO_TRANS_ID_NET },
		{ VIRTIO_VENDOR, VIRTIO_MODERN_BASE + VIRTIO_ID_NET },
		{ 0, 0 },
	};

	for (struct pci_device *pci = NULL; (pci = pci_find(pci, ids)) != NULL;) {
		struct virtio_nic *card = kzalloc(sizeof(*card));
		int error = card != NULL ? start(card, pci) : -ENOMEM;
		if (error == 0) {
			nic_register(&card->nic);
			continue;
		}
		log_err("virtio-net at %02x:%02x.%x: cannot be started: error %d", pci->bus,
			pci->slot, pci->function, -error);
		/* A line's handler cannot be taken back; the card stays, unused. */
	}
}
