/*
 * net/lwip-port/lwip_hooks.h - where lwIP's DHCP client calls us.
 *
 * It asks for and reads a handful of options only. The hooks replace the list of what is asked for,
 * and show every option that it does not read itself.
 */
#ifndef HAWSER_LWIP_HOOKS_H
#define HAWSER_LWIP_HOOKS_H

#include "lwip/dhcp.h"
#include "lwip/prot/dhcp.h"

/* A message is about to be sent with the first `*length` bytes of `options`. (dhcp.c) */
void dhcp_hook_append(struct netif *netif, u8_t *options, u8_t message_type, u16_t *length);
#define LWIP_HOOK_DHCP_APPEND_OPTIONS(netif, dhcp, state, msg, msg_type, options_len_ptr) \
	dhcp_hook_append(netif, (msg)->options, msg_type, options_len_ptr)

/*
 * An option of a received message: its value is `length` bytes at `offset` of `packet`, if the packet
 * has that many. `message_type` is 0 until the option that tells it has come. (dhcp.c)
 */
void dhcp_hook_parse(struct netif *netif, u8_t message_type, u8_t option, u8_t length,
		     struct pbuf *packet, u16_t offset);
#define LWIP_HOOK_DHCP_PARSE_OPTION(netif, dhcp, state, msg, msg_type, option, len, pbuf, offset) \
	do {                                                                                      \
		LWIP_UNUSED_ARG(msg);                                                             \
		dhcp_hook_parse(netif, msg_type, option, len, pbuf, offset);                      \
	} while (0)

#endif
