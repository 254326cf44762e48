/*
 * net/net.h - the network: cards found and up, an address, and the lock around lwIP.
 *
 * One thread polls the cards, runs lwIP's timers and sleeps in between. Everything of lwIP,
 * pbuf_free() included, is called with `net_lock` held; who holds it touches no user memory and
 * does not wait for memory.
 */
#ifndef HAWSER_NET_NET_H
#define HAWSER_NET_NET_H

#include "kernel/base.h"
#include "kernel/lock.h"

extern struct mutex net_lock; /* RANK_NET */

/* IPv4 addresses are in network byte order, 0 if not known. */
struct net_config {
	char interface[8];
	uint8_t mac[6];
	uint16_t mtu;
	uint32_t address, netmask, gateway, dns[2];
	uint32_t next_server; /* DHCP siaddr, option 66, or ip='s server field */
	uint32_t syslog, ntp; /* options 7, 42 */
	char hostname[65], domain[65];
	char boot_file[129]; /* option 67 */
};

/* Finds cards, starts the network thread and configuration (ip= or DHCP). Does not wait. */
void net_init(void);

/*
 * Waits until there is an address (DHCP retries for ever and says so in the log). 0, or -ENODEV if
 * the machine has no network card that we drive, or -EINTR when killed.
 */
int net_wait_configured(void);
void net_get_config(struct net_config *out);

/* Wakes the network thread: a timer was set, or something is to be sent. Any context. */
void net_kick(void);

/* Whom the network thread has resolved: an entry of the ARP table. */
struct net_neighbour {
	uint32_t address; /* network byte order */
	uint8_t mac[6];
};
/* The first `room` of them; how many there are of those. */
unsigned net_get_neighbours(struct net_neighbour *out, unsigned room);

/* Bytes and packets of all cards, for /proc/net/dev and tests. */
struct net_stats {
	uint64_t rx_packets, rx_bytes, rx_dropped, tx_packets, tx_bytes, tx_dropped;
};
void net_get_stats(struct net_stats *out);

#endif
