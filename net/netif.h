/*
 * net/netif.h - between a driver of network cards and the rest: what each owes the other.
 *
 * A driver finds its cards in its probe function, fills in a struct nic for each and hands it to
 * nic_register(). From then on the network thread calls the driver's operations, all with net_lock
 * held except where they say otherwise. A driver's interrupt handler calls nic_interrupt() or
 * nic_link_changed() and does nothing else.
 *
 * Received frames are handed up in the card's own buffers: the driver makes each a pbuf with
 * pbuf_alloced_custom(), and gets it back by that pbuf's custom_free_function, with net_lock held,
 * perhaps much later. On the way of a packet a driver allocates nothing.
 *
 * docs/drivers.md tells how to write one.
 */
#ifndef HAWSER_NET_NETIF_H
#define HAWSER_NET_NETIF_H

#include "kernel/base.h"
#include "lwip/dhcp.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "net/dhcp_options.h"
#include "net/net.h"

struct nic;

struct nic_ops {
	/*
	 * Passes up to `budget` received frames to nic_input(), and says how many. Also the time to
	 * reclaim what has been sent.
	 */
	unsigned (*poll)(struct nic *nic, unsigned budget);
	/*
	 * Queues one frame, without padding or checksum (FCS). The pbuf stays the caller's: the driver
	 * copies it, or takes a reference until it is sent. -ENOBUFS if the card has no room now, -EMSGSIZE.
	 */
	int (*send)(struct nic *nic, struct pbuf *frame);
	/* Tells the card of everything queued since the last time. */
	void (*flush)(struct nic *nic);
	/* Whether poll() would find something. No lock; cheap, called in a loop. */
	bool (*pending)(const struct nic *nic);
	/*
	 * Lets the card interrupt when it has received, or asks it not to. After turning it on, what
	 * came just before must show in pending(). No lock.
	 */
	void (*set_interrupts)(struct nic *nic, bool on);
	bool (*link_up)(struct nic *nic);
};

struct nic {
	/* Filled in by the driver before nic_register(). */
	const struct nic_ops *ops;
	char driver[32]; /* for people: "virtio-net (modern, MSI-X)" */
	uint8_t mac[6];
	uint16_t mtu;
	bool fills_checksums; /* the card fills in UDP and TCP checksums: they come as zero */

	/* From nic_register() on; net_lock. */
	struct nic *next;
	char name[8]; /* "eth0" */
	struct netif lwip;
	struct net_stats stats;
	bool flush_wanted;
	_Atomic bool link_changed;
	struct dhcp dhcp;
	struct dhcp_options told; /* by the DHCP server */
};

/* Makes the card known. At boot, before the network thread runs; `nic` stays for ever. */
void nic_register(struct nic *nic);

/*
 * A received frame, which the callee owns from now on. `checked` if the card vouches for its UDP or
 * TCP checksum. net_lock.
 */
void nic_input(struct nic *nic, struct pbuf *frame, bool checked);
/* A frame was received that could not be used. net_lock. */
void nic_dropped(struct nic *nic);

/* From interrupt handlers: something was received; the state of the link may have changed. */
void nic_interrupt(struct nic *nic);
void nic_link_changed(struct nic *nic);

/* The drivers that there are; each finds its cards and registers them. */
void virtio_net_probe(void);

#endif
