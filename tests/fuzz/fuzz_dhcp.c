/*
 * tests/fuzz/fuzz_dhcp.c - any message that claims to be DHCP's, and any single option.
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dhcp_options options = {0};

	(void)dhcp_options_parse(&options, data, size);
	if (size > 0)
		dhcp_options_take(&options, data[0], data + 1, size - 1);
	check(options.hostname, sizeof(options.hostname));
	check(options.domain, sizeof(options.domain));
	check(options.root_path, sizeof(options.root_path));
	check(options.tftp_server, sizeof(options.tftp_server));
	check(options.boot_file, sizeof(options.boot_file));
	if (options.mtu != 0 && options.mtu < 68)
		abort();
	return 0;
}
