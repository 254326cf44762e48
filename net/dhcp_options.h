/*
 * net/dhcp_options.h - what a DHCP server has told us (RFC 2132), beyond what lwIP's client keeps
 * itself: that takes a message apart, overloaded fields included, and adopts mask, router and DNS
 * servers.
 *
 * Pure. No length is believed: a value of the wrong size, or a string that holds what has no place
 * in a name, is as good as absent.
 */
#ifndef HAWSER_NET_DHCP_OPTIONS_H
#define HAWSER_NET_DHCP_OPTIONS_H

#include "kernel/base.h"

#define DHCP_NAME_MAX 64
#define DHCP_PATH_MAX 128

/* Their numbers. */
enum dhcp_option {
	DHCP_OPTION_NETMASK = 1,
	DHCP_OPTION_ROUTER = 3,
	DHCP_OPTION_DNS = 6,
	DHCP_OPTION_LOG_SERVER = 7,
	DHCP_OPTION_HOSTNAME = 12,
	DHCP_OPTION_DOMAIN = 15,
	DHCP_OPTION_ROOT_PATH = 17,
	DHCP_OPTION_MTU = 26,
	DHCP_OPTION_NTP = 42,
	DHCP_OPTION_TFTP_SERVER = 66,
	DHCP_OPTION_BOOT_FILE = 67,
};

/* All of the above: the list for option 55. */
#define DHCP_OPTIONS_WANTED                                                                       \
	{                                                                                         \
		DHCP_OPTION_NETMASK, DHCP_OPTION_ROUTER, DHCP_OPTION_DNS, DHCP_OPTION_LOG_SERVER, \
			DHCP_OPTION_HOSTNAME, DHCP_OPTION_DOMAIN, DHCP_OPTION_ROOT_PATH,          \
			DHCP_OPTION_MTU, DHCP_OPTION_NTP, DHCP_OPTION_TFTP_SERVER,                \
			DHCP_OPTION_BOOT_FILE                                                     \
	}

/* Addresses are in network byte order; 0 and "" stand for what was not told. */
struct dhcp_options {
	uint32_t log_server, ntp;
	uint16_t mtu; /* at least 68 (RFC 2132 5.1) */
	char hostname[DHCP_NAME_MAX + 1], domain[DHCP_NAME_MAX + 1];
	char tftp_server[DHCP_NAME_MAX + 1]; /* a name or a dotted quad */
	char boot_file[DHCP_PATH_MAX + 1];
	char root_path[DHCP_PATH_MAX + 1];
};

/* Takes one option; one that we do not know changes nothing. The last of a kind counts. */
void dhcp_options_take(struct dhcp_options *options, uint8_t code, const void *value,
		       size_t length);

#endif
