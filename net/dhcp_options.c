/*
 * net/dhcp_options.c - reading DHCP's options; see the header.
 */
#include "net/dhcp_options.h"

#include "kernel/string.h"

#define BOOTREPLY 2
#define MTU_MIN   68 /* RFC 791: what every link carries */

/* A BOOTP message (RFC 2131 2); the options begin behind it. */
struct bootp {
	uint8_t op, htype, hlen, hops;
	uint8_t xid[4], secs[2], flags[2];
	uint8_t ciaddr[4], yiaddr[4], siaddr[4], giaddr[4];
	uint8_t chaddr[16];
	uint8_t sname[64];
	uint8_t file[128];
	uint8_t cookie[4];
};
_Static_assert(sizeof(struct bootp) == 240, "RFC 2131 2");

static const uint8_t dhcp_cookie[4] = { 99, 130, 83, 99 }; /* RFC 2131 3 */

/* Option 52: which fields hold options. */
#define OVERLOAD_FILE  0x1
#define OVERLOAD_SNAME 0x2

/* The n-th address of a list, if the value is one and has so many. */
static void take_address(uint32_t *out, const uint8_t *value, size_t length, size_t n)
{
	if (length % sizeof(*out) == 0 && (n + 1) * sizeof(*out) <= length)
		memcpy(out, value + n * sizeof(*out), sizeof(*out));
}

/* Text up to a NUL, refused as a whole if it holds a byte that has no place in a name. */
static void take_text(char *out, size_t size, const uint8_t *value, size_t length)
{
	size_t i;

	length = strnlen((const char *)value, length);
	if (length == 0 || length >= size)
		return;
	for (i = 0; i < length; i++) {
		if (value[i] <= ' ' || value[i] > '~')
			return;
	}
	memcpy(out, value, length);
	out[length] = '\0';
}

static void take_mtu(uint16_t *out, const uint8_t *value, size_t length)
{
	uint16_t mtu;

	if (length != sizeof(mtu))
		return;
	mtu = (uint16_t)(value[0] << 8 | value[1]);
	if (mtu >= MTU_MIN)
		*out = mtu;
}

void dhcp_options_take(struct dhcp_options *options, uint8_t code, const void *value, size_t length)
{
	switch (code) {
	case DHCP_OPTION_NETMASK:
		if (length == sizeof(options->netmask))
			take_address(&options->netmask, value, length, 0);
		break;
	case DHCP_OPTION_ROUTER:
		take_address(&options->router, value, length, 0);
		break;
	case DHCP_OPTION_DNS:
		take_address(&options->dns[0], value, length, 0);
		take_address(&options->dns[1], value, length, 1);
		break;
	case DHCP_OPTION_LOG_SERVER:
		take_address(&options->log_server, value, length, 0);
		break;
	case DHCP_OPTION_NTP:
		take_address(&options->ntp, value, length, 0);
		break;
	case DHCP_OPTION_MTU:
		take_mtu(&options->mtu, value, length);
		break;
	case DHCP_OPTION_HOSTNAME:
		take_text(options->hostname, sizeof(options->hostname), value, length);
		break;
	case DHCP_OPTION_DOMAIN:
		take_text(options->domain, sizeof(options->domain), value, length);
		break;
	case DHCP_OPTION_ROOT_PATH:
		take_text(options->root_path, sizeof(options->root_path), value, length);
		break;
	case DHCP_OPTION_TFTP_SERVER:
		take_text(options->tftp_server, sizeof(options->tftp_server), value, length);
		break;
	case DHCP_OPTION_BOOT_FILE:
		take_text(options->boot_file, sizeof(options->boot_file), value, length);
		break;
	default:
		break;
	}
}

/* Takes a field of options, up to its end; returns the last value of option 52 in it, or 0. */
static unsigned take_field(struct dhcp_options *options, const uint8_t *at, size_t length)
{
	unsigned overload = 0;

	while (length > 0 && *at != DHCP_OPTION_END) {
		size_t value_length;

		if (*at == DHCP_OPTION_PAD) {
			at++;
			length--;
			continue;
		}
		if (length < 2 || at[1] > length - 2)
			break;
		value_length = at[1];
		if (at[0] == DHCP_OPTION_OVERLOAD && value_length == 1)
			overload = at[2];
		dhcp_options_take(options, at[0], at + 2, value_length);
		at += 2 + value_length;
		length -= 2 + value_length;
	}
	return overload;
}

bool dhcp_options_parse(struct dhcp_options *options, const void *message, size_t length)
{
	const struct bootp *bootp = message;
	unsigned overload;

	if (length < sizeof(*bootp) || bootp->op != BOOTREPLY ||
	    memcmp(bootp->cookie, dhcp_cookie, sizeof(dhcp_cookie)) != 0)
		return false;
	take_address(&options->next_server, bootp->siaddr, sizeof(bootp->siaddr), 0);
	overload = take_field(options, (const uint8_t *)message + sizeof(*bootp),
			      length - sizeof(*bootp));

	/* In this order (RFC 2131 4.1); what the fields hold as options may not overload again. */
	if (overload & OVERLOAD_FILE)
		(void)take_field(options, bootp->file, sizeof(bootp->file));
	if (overload & OVERLOAD_SNAME)
		(void)take_field(options, bootp->sname, sizeof(bootp->sname));
	if (!(overload & OVERLOAD_FILE) && options->boot_file[0] == '\0')
		take_text(options->boot_file, sizeof(options->boot_file), bootp->file,
			  sizeof(bootp->file));
	if (!(overload & OVERLOAD_SNAME) && options->tftp_server[0] == '\0')
		take_text(options->tftp_server, sizeof(options->tftp_server), bootp->sname,
			  sizeof(bootp->sname));
	return true;
}
