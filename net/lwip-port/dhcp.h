/*
 * net/lwip-port/dhcp.h - what lwIP's DHCP client lacks: options of our choice, and beginning with an
 * address that somebody else has been given. All with net_lock held.
 */
#ifndef HAWSER_LWIP_DHCP_H
#define HAWSER_LWIP_DHCP_H

#include "lwip/dhcp.h"

struct dhcp_client {
	/* The options to ask for (RFC 2132, 9.8). */
	const u8_t *wanted;
	u8_t wanted_count;
	/* A request is about to be sent: what earlier answers said is void. */
	void (*asking)(struct netif *netif);
	/* The server has told this, in the message that gives the address. */
	void (*told)(struct netif *netif, u8_t option, const u8_t *value, u8_t length);
};
/* Once, before dhcp_start(). */
void dhcp_client_register(const struct dhcp_client *client);

/*
 * As dhcp_start(), but asks whether `address`, which the interface has already, may be kept (RFC
 * 2131, 3.2, INIT-REBOOT). If nobody answers, lwIP asks for any address after DHCP_REBOOT_MS.
 */
#define DHCP_REBOOT_MS 3000
err_t dhcp_start_with(struct netif *netif, const ip4_addr_t *address);

#endif
