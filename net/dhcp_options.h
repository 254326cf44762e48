/*
 * net/dhcp_options.h - what a DHCP server has told us (RFC 2131, 2132).
 *
 * Pure: takes options one by one, as lwIP's hook shows them, or a whole message with its overloaded
 * fields. No length is believed: a value of the wrong size is as good as absent, and a string is cut
 * at what is printable.
 */
#ifndef HAWSER_NET_DHCP_OPTIONS_H
#define HAWSER_NET_DHCP_OPTIONS_H

#include "kernel/base.h"

#define DHCP_NAME_MAX 64
#define DHCP_PATH_MAX 128

/* Their numbers. */
enum dhcp_option {
	DHCP_OPTION_PAD = 0,
	DHCP_OPTION_NETMASK = 1,
	DHCP_OPTION_ROUTER = 3,
	DHCP_OPTION_DNS = 6,
	DHCP_OPTION_LOG_SERVER = 7,
	DHCP_OPTION_HOSTNAME = 12,
	DHCP_OPTION_DOMAIN = 15,
	DHCP_OPTION_ROOT_PATH = 17,
	DHCP_OPTION_MTU = 26,
	DHCP_OPTION_NTP = 42,
	DHCP_OPTION_OVERLOAD = 52,
	DHCP_OPTION_TFTP_SERVER = 66,
	DHCP_OPTION_BOOT_FILE = 67,
	DHCP_OPTION_END = 255,
};

/* Those of the above that we want to be told: the list for option 55. */
#define DHCP_OPTIONS_WANTED                                                                        \
	{                                                                                          \
		DHCP_OPTION_NETMASK, DHCP_OPTION_ROUTER, DHCP_OPTION_DNS, DHCP_OPTION_LOG_SERVER,  \
		DHCP_OPTION_HOSTNAME, DHCP_OPTION_DOMAIN, DHCP_OPTION_ROOT_PATH, DHCP_OPTION_MTU,  \
		DHCP_OPTION_NTP, DHCP_OPTION_TFTP_SERVER, DHCP_OPTION_BOOT_FILE                    \
	}

/* Addresses are in network byte order; 0 and "" stand for what was not told. */
struct dhcp_options {
	uint32_t netmask, router;
	uint32_t dns[2];
	uint32_t log_server, ntp;
	uint32_t next_server; /* a whole message's siaddr */
	uint16_t mtu;         /* at least 68 (RFC 2132 5.1) */
	char hostname[DHCP_NAME_MAX + 1], domain[DHCP_NAME_MAX + 1];
	char tftp_server[DHCP_NAME_MAX + 1]; /* a name or a dotted quad */
	char boot_file[DHCP_PATH_MAX + 1];
	char root_path[DHCP_PATH_MAX + 1];
};

/* Takes one option; one that we do not know changes nothing. The last of a kind counts. */
void dhcp_options_take(struct dhcp_options *options, uint8_t code, const void *value, size_t length);

/*
 * Takes all of a BOOTP message (from its `op` byte on): the options, the fields `file` and `sname`
 * where option 52 says that they hold options, and otherwise as boot file and server name if no
 * option gave them. False if it is no reply with DHCP's cookie; nothing has changed then.
 */
bool dhcp_options_parse(struct dhcp_options *options, const void *message, size_t length);

#endif
