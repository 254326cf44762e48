/*
 * tests/host/test_dhcp_options.c - what is believed of DHCP's options, and what is not.
 */
#include "net/dhcp_options.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define TAKE(options, code, text) dhcp_options_take((options), (code), (text), sizeof(text) - 1)

static void test_what_lwip_does_not_keep_is_kept(void **state)
{
	struct dhcp_options options = { 0 };

	TAKE(&options, DHCP_OPTION_LOG_SERVER, "\x0a\x00\x02\x07\x0a\x00\x02\x08");
	TAKE(&options, DHCP_OPTION_NTP, "\x0a\x00\x02\x2a");
	TAKE(&options, DHCP_OPTION_MTU, "\x05\x78");
	TAKE(&options, DHCP_OPTION_HOSTNAME, "node7");
	TAKE(&options, DHCP_OPTION_DOMAIN, "example.org");
	TAKE(&options, DHCP_OPTION_ROOT_PATH, "/srv/x");
	TAKE(&options, DHCP_OPTION_TFTP_SERVER, "10.0.2.2");
	TAKE(&options, DHCP_OPTION_BOOT_FILE, "boot.ipxe");
	assert_int_equal(options.log_server, inet_addr("10.0.2.7"));
	assert_int_equal(options.ntp, inet_addr("10.0.2.42"));
	assert_int_equal(options.mtu, 1400);
	assert_string_equal(options.hostname, "node7");
	assert_string_equal(options.domain, "example.org");
	assert_string_equal(options.root_path, "/srv/x");
	assert_string_equal(options.tftp_server, "10.0.2.2");
	assert_string_equal(options.boot_file, "boot.ipxe");
}

static void test_the_last_of_a_kind_counts(void **state)
{
	struct dhcp_options options = { 0 };

	TAKE(&options, DHCP_OPTION_HOSTNAME, "one");
	TAKE(&options, DHCP_OPTION_HOSTNAME, "two");
	TAKE(&options, DHCP_OPTION_HOSTNAME, "\x07");
	assert_string_equal(options.hostname, "two");
}

static void test_wrong_lengths_are_as_good_as_absent(void **state)
{
	struct dhcp_options options = { 0 }, none = { 0 };
	uint8_t bytes[255];
	unsigned code;

	memset(bytes, 'x', sizeof(bytes));
	for (code = 0; code < 256; code++) {
		dhcp_options_take(&options, (uint8_t)code, bytes, 0);
		dhcp_options_take(&options, (uint8_t)code, bytes, 255);
		if (code != DHCP_OPTION_HOSTNAME && code != DHCP_OPTION_DOMAIN && code < 64 &&
		    code != DHCP_OPTION_ROOT_PATH)
			dhcp_options_take(&options, (uint8_t)code, bytes, 3);
	}
	assert_memory_equal(&options, &none, sizeof(options));

	dhcp_options_take(&options, DHCP_OPTION_MTU, "\x00\x20", 2); /* 32: no link is that small */
	dhcp_options_take(&options, DHCP_OPTION_HOSTNAME, "a\x1b[2J", 5);
	dhcp_options_take(&options, DHCP_OPTION_HOSTNAME, "", 1);
	assert_memory_equal(&options, &none, sizeof(options));
}

static void test_names_end_at_a_nul(void **state)
{
	struct dhcp_options options = { 0 };

	dhcp_options_take(&options, DHCP_OPTION_HOSTNAME, "node\0\0\0", 7);
	assert_string_equal(options.hostname, "node");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_lwip_does_not_keep_is_kept),
		cmocka_unit_test(test_the_last_of_a_kind_counts),
		cmocka_unit_test(test_wrong_lengths_are_as_good_as_absent),
		cmocka_unit_test(test_names_end_at_a_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
