/*
 * net/ip_param.c - reading `ip=`; see the header.
 */
#include "net/ip_param.h"

#include "kernel/string.h"

/* The fields in their order. */
enum field {
	FIELD_CLIENT,
	FIELD_SERVER,
	FIELD_GATEWAY,
	FIELD_NETMASK,
	FIELD_HOSTNAME,
	FIELD_DEVICE,
	FIELD_AUTOCONF,
	FIELD_DNS0,
	FIELD_DNS1,
	FIELD_NTP,
	FIELD_COUNT
};

static const struct method_name {
	const char *name;
	enum ip_param_method method;
} method_names[] = {
	{ "off", IP_PARAM_OFF }, { "none", IP_PARAM_OFF }, { "dhcp", IP_PARAM_DHCP },
	{ "on", IP_PARAM_DHCP }, { "any", IP_PARAM_DHCP }, { "both", IP_PARAM_DHCP },
};

bool ip_address_parse(const char *text, size_t length, uint32_t *out)
{
	uint8_t bytes[sizeof(*out)];
	size_t at = 0, i;

	for (i = 0; i < sizeof(bytes); i++) {
		unsigned value = 0;
		size_t start = at;

		while (at < length && text[at] >= '0' && text[at] <= '9' && value <= UINT8_MAX)
			value = value * 10 + (unsigned)(text[at++] - '0');
		if (at == start || value > UINT8_MAX || (text[start] == '0' && at - start > 1))
			return false;
		bytes[i] = (uint8_t)value;
		if (i + 1 < sizeof(bytes) && (at == length || text[at++] != '.'))
			return false;
	}
	if (at != length)
		return false;
	memcpy(out, bytes, sizeof(bytes));
	return true;
}

/* Whether the text is a method's name. */
static bool parse_method(const char *text, size_t length, enum ip_param_method *out)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(method_names); i++) {
		if (strlen(method_names[i].name) == length &&
		    strncmp(method_names[i].name, text, length) == 0) {
			*out = method_names[i].method;
			return true;
		}
	}
	return false;
}

static bool copy_name(char *out, size_t size, const char *text, size_t length)
{
	if (length >= size)
		return false;
	memcpy(out, text, length);
	out[length] = '\0';
	return true;
}

static bool parse_hostname(struct ip_param *out, const char *text, size_t length)
{
	const char *dot = memchr(text, '.', length);
	size_t host = dot != NULL ? (size_t)(dot - text) : length;

	if (!copy_name(out->hostname, sizeof(out->hostname), text, host))
		return false;
	return dot == NULL ||
	       copy_name(out->domain, sizeof(out->domain), dot + 1, length - host - 1);
}

/* One field that is not empty. */
static bool parse_field(struct ip_param *out, enum field field, const char *text, size_t length,
			bool *method_given)
{
	switch (field) {
	case FIELD_CLIENT:
		return ip_address_parse(text, length, &out->client);
	case FIELD_SERVER:
		return ip_address_parse(text, length, &out->server);
	case FIELD_GATEWAY:
		return ip_address_parse(text, length, &out->gateway);
	case FIELD_NETMASK:
		return ip_address_parse(text, length, &out->netmask);
	case FIELD_HOSTNAME:
		return parse_hostname(out, text, length);
	case FIELD_DEVICE:
		return copy_name(out->device, sizeof(out->device), text, length);
	case FIELD_AUTOCONF:
		*method_given = true;
		return parse_method(text, length, &out->method);
	case FIELD_DNS0:
		return ip_address_parse(text, length, &out->dns[0]);
	case FIELD_DNS1:
		return ip_address_parse(text, length, &out->dns[1]);
	case FIELD_NTP:
		return ip_address_parse(text, length, &out->ntp);
	case FIELD_COUNT:
		break;
	}
	return false;
}

static uint32_t from_host(uint32_t address)
{
	return __builtin_bswap32(address);
}

/* The mask of the address's class (RFC 791 3.2): A, B, everything else as C. */
static uint32_t class_mask(uint32_t address)
{
	uint32_t host = from_host(address);

	if ((host & UINT32_C(0x80000000)) == 0)
		return from_host(UINT32_C(0xff000000));
	if ((host & UINT32_C(0xc0000000)) == UINT32_C(0x80000000))
		return from_host(UINT32_C(0xffff0000));
	return from_host(UINT32_C(0xffffff00));
}

/* Ones and then zeroes. */
static bool is_mask(uint32_t mask)
{
	uint32_t holes = ~from_host(mask);

	return (holes & (holes + 1)) == 0;
}

int ip_param_parse(const char *value, struct ip_param *out)
{
	bool method_given = false;
	size_t length;
	int field;

	*out = (struct ip_param){ .method = IP_PARAM_DHCP };
	if (parse_method(value, strlen(value), &out->method))
		return 0;

	for (field = 0;; field++, value += length + 1) {
		const char *colon = strchr(value, ':');

		length = colon != NULL ? (size_t)(colon - value) : strlen(value);
		if (field == FIELD_COUNT)
			return -EINVAL;
		if (length > 0 &&
		    !parse_field(out, (enum field)field, value, length, &method_given))
			return -EINVAL;
		if (colon == NULL)
			break;
	}

	if (!is_mask(out->netmask))
		return -EINVAL;
	/* "off" beside an address means: no DHCP, but this address. */
	if (out->client != 0 && (!method_given || out->method == IP_PARAM_OFF))
		out->method = IP_PARAM_STATIC;
	if (out->client != 0 && out->netmask == 0)
		out->netmask = class_mask(out->client);
	return 0;
}
