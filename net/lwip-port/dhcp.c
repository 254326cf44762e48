/*
 * net/lwip-port/dhcp.c - what lwIP's DHCP client lacks.
 */
#include "net/lwip-port/dhcp.h"

#include "kernel/string.h"
#include "net/lwip-port/lwip_hooks.h"

static const struct dhcp_client *client; /* set once, at boot */

void dhcp_client_register(const struct dhcp_client *c)
{
	client = c;
}

/* Replaces the parameter request list that lwIP has written by ours. */
static void replace_request_list(u8_t *options, u16_t *length)
{
	for (u16_t at = 0; at < *length; at += 2 + options[at + 1]) {
		if (options[at] != DHCP_OPTION_PARAMETER_REQUEST_LIST)
			continue;
		u8_t *list = options + at + 2;
		u8_t old = options[at + 1];
		u16_t behind = *length - (at + 2 + old);
		if (*length - old + client->wanted_count >= (u16_t)DHCP_OPTIONS_LEN)
			return; /* a hostname as long as that: lwIP's own list will have to do */
		memmove(list + client->wanted_count, list + old, behind);
		memcpy(list, client->wanted, client->wanted_count);
		options[at + 1] = client->wanted_count;
		*length += client->wanted_count - old;
		return;
	}
}

void dhcp_hook_append(struct netif *netif, u8_t *options, u8_t message_type, u16_t *length)
{
	if (message_type != DHCP_DISCOVER && message_type != DHCP_REQUEST)
		return;
	replace_request_list(options, length);
	client->asking(netif);
}

void dhcp_hook_parse(struct netif *netif, u8_t message_type, u8_t option, u8_t length,
		     struct pbuf *packet, u16_t offset)
{
	u8_t value[UINT8_MAX];

	if (message_type == DHCP_ACK && pbuf_copy_partial(packet, value, length, offset) == length)
		client->told(netif, option, value, length);
}

/*
 * lwIP has INIT-REBOOT for a link that comes back. So: a client that waits for its link, the address
 * put where one remembers an earlier lease, and then the link.
 */
err_t dhcp_start_with(struct netif *netif, const ip4_addr_t *address)
{
	bool link = netif_is_link_up(netif);

	netif_set_link_down(netif);
	err_t error = dhcp_start(netif);
	if (error == ERR_OK) {
		struct dhcp *dhcp = netif_dhcp_data(netif);
		ip4_addr_copy(dhcp->offered_ip_addr, *address);
		dhcp->state = DHCP_STATE_REBOOTING;
	}
	if (link)
		netif_set_link_up(netif);
	return error;
}
