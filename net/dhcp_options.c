/*
 * net/dhcp_options.c - reading DHCP's options; see the header.
 */
#include "net/dhcp_options.h"

#include "kernel/string.h"

#define MTU_MIN 68 /* RFC 791: what every link carries */

/* The first address of a list, if the value is one. */
static void take_address(uint32_t *out, const uint8_t *value, size_t length)
{
	if (length != 0 && length % sizeof(*out) == 0)
		memcpy(out, value, sizeof(*out));
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
	case DHCP_OPTION_LOG_SERVER:
		take_address(&options->log_server, value, length);
		break;
	case DHCP_OPTION_NTP:
		take_address(&options->ntp, value, length);
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
