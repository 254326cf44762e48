/*
 * tests/fuzz/fuzz_dhcp.c - DHCP's options with any values.
 */
#include "net/dhcp_options.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text, size_t size)
{
	const char *at;

	if (memchr(text, '\0', size) == NULL)
		abort();
	for (at = text; *at != '\0'; at++) {
		if (*at <= ' ' || *at > '~')
			abort();
	}
}

/* The input is a list of options as they stand in a message, each shown in memory of its own. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dhcp_options options = { 0 };

	while (size >= 2) {
		size_t length = data[1] < size - 2 ? data[1] : size - 2;
		uint8_t *value = malloc(length);

		memcpy(value, data + 2, length);
		dhcp_options_take(&options, data[0], value, length);
		free(value);
		data += 2 + length;
		size -= 2 + length;
	}
	check(options.hostname, sizeof(options.hostname));
	check(options.domain, sizeof(options.domain));
	check(options.root_path, sizeof(options.root_path));
	check(options.tftp_server, sizeof(options.tftp_server));
	check(options.boot_file, sizeof(options.boot_file));
	if (options.mtu != 0 && options.mtu < 68)
		abort();
	return 0;
}
