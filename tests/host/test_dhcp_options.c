/*
 * tests/host/test_dhcp_options.c - what is believed of a DHCP message, and what is not.
 */
#include "net/dhcp_options.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SNAME_AT   44
#define FILE_AT    108
#define COOKIE_AT  236
#define OPTIONS_AT 240

/* A reply whose options are `options`, on the heap so that overruns are seen. */
static uint8_t *reply(const void *options, size_t length)
{
	uint8_t *message = calloc(1, OPTIONS_AT + length);

	message[0] = 2;
	memcpy(message + COOKIE_AT, "\x63\x82\x53\x63", 4);
	memcpy(message + OPTIONS_AT, options, length);
	return message;
}

static void test_all_that_we_ask_for_is_read(void **state)
{
	static const char text[] = "\x35\x01\x05"                         /* message type */
				   "\x01\x04\xff\xff\xff\x00"
				   "\x03\x08\x0a\x00\x02\x01\x0a\x00\x02\x09"
				   "\x06\x0c\x01\x01\x01\x01\x02\x02\x02\x02\x03\x03\x03\x03"
				   "\x07\x04\x0a\x00\x02\x07"
				   "\x00\x00"
				   "\x0c\x05node7"
				   "\x0f\x0b" "example.org"
				   "\x11\x06/srv/x"
				   "\x1a\x02\x05\x78"
				   "\x2a\x04\x0a\x00\x02\x2a"
				   "\x42\x08" "10.0.2.2"
				   "\x43\x09" "boot.ipxe"
				   "\xaf\x03\x01\x02\x03"
				   "\xff";
	uint8_t *message = reply(text, sizeof(text) - 1);
	struct dhcp_options options = {0};

	memcpy(message + 20, "\x0a\x00\x02\x05", 4);
	assert_true(dhcp_options_parse(&options, message, OPTIONS_AT + sizeof(text) - 1));
	free(message);
	assert_int_equal(options.netmask, inet_addr("255.255.255.0"));
	assert_int_equal(options.router, inet_addr("10.0.2.1"));
	assert_int_equal(options.dns[0], inet_addr("1.1.1.1"));
	assert_int_equal(options.dns[1], inet_addr("2.2.2.2"));
	assert_int_equal(options.log_server, inet_addr("10.0.2.7"));
	assert_int_equal(options.ntp, inet_addr("10.0.2.42"));
	assert_int_equal(options.next_server, inet_addr("10.0.2.5"));
	assert_int_equal(options.mtu, 1400);
	assert_string_equal(options.hostname, "node7");
	assert_string_equal(options.domain, "example.org");
	assert_string_equal(options.root_path, "/srv/x");
	assert_string_equal(options.tftp_server, "10.0.2.2");
	assert_string_equal(options.boot_file, "boot.ipxe");
}

static void test_overloaded_fields_hold_options(void **state)
{
	static const char text[] = "\x34\x01\x03\xff";
	uint8_t *message = reply(text, sizeof(text) - 1);
	struct dhcp_options options = {0};

	memcpy(message + FILE_AT, "\x0c\x03" "abc\xff", 6);
	memcpy(message + SNAME_AT, "\x03\x04\x0a\x00\x00\x01\xff", 7);
	assert_true(dhcp_options_parse(&options, message, OPTIONS_AT + sizeof(text) - 1));
	free(message);
	assert_string_equal(options.hostname, "abc");
	assert_int_equal(options.router, inet_addr("10.0.0.1"));
	assert_string_equal(options.boot_file, "");
	assert_string_equal(options.tftp_server, "");
}

static void test_the_old_fields_serve_where_no_option_does(void **state)
{
	uint8_t *message = reply("\xff", 1);
	struct dhcp_options options = {0};

	memset(message + FILE_AT, 'f', 128); /* without an end of its own */
	memcpy(message + SNAME_AT, "10.9.9.9", 8);
	assert_true(dhcp_options_parse(&options, message, OPTIONS_AT + 1));
	free(message);
	assert_int_equal(strlen(options.boot_file), 128);
	assert_string_equal(options.tftp_server, "10.9.9.9");
}

static void test_wrong_lengths_are_as_good_as_absent(void **state)
{
	struct dhcp_options options = {0}, none = {0};
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

	dhcp_options_take(&options, DHCP_OPTION_NETMASK, bytes, 8);
	dhcp_options_take(&options, DHCP_OPTION_MTU, "\x00\x20", 2); /* 32: no link is that small */
	dhcp_options_take(&options, DHCP_OPTION_HOSTNAME, "a\x1b[2J", 5);
	dhcp_options_take(&options, DHCP_OPTION_HOSTNAME, "", 1);
	assert_memory_equal(&options, &none, sizeof(options));
}

static void test_names_end_at_a_nul(void **state)
{
	struct dhcp_options options = {0};

	dhcp_options_take(&options, DHCP_OPTION_HOSTNAME, "node\0\0\0", 7);
	assert_string_equal(options.hostname, "node");
}

/* Every prefix of a message, and every message with one length byte wrong, is survived. */
static void test_cut_and_lying_messages_are_survived(void **state)
{
	static const char text[] = "\x34\x01\x03\x0c\x05node7\x03\x04\x0a\x00\x02\x01\x43\x04" "boot";
	size_t cut, at;

	for (cut = 0; cut <= OPTIONS_AT + sizeof(text) - 1; cut++) {
		uint8_t *whole = reply(text, sizeof(text) - 1), *part = malloc(cut + 1);
		struct dhcp_options options = {0};

		memcpy(part, whole, cut);
		part = realloc(part, cut ? cut : 1);
		assert_int_equal(dhcp_options_parse(&options, part, cut), cut >= OPTIONS_AT);
		free(part);
		free(whole);
	}
	for (at = 0; at < sizeof(text) - 1; at++) {
		uint8_t *message = reply(text, sizeof(text) - 1);
		struct dhcp_options options = {0};

		message[OPTIONS_AT + at] = 0xfe;
		assert_true(dhcp_options_parse(&options, message, OPTIONS_AT + sizeof(text) - 1));
		free(message);
	}
}

static void test_what_is_no_reply_changes_nothing(void **state)
{
	uint8_t *message = reply("\x0c\x01x\xff", 4);
	struct dhcp_options options = {0};

	message[0] = 1;
	assert_false(dhcp_options_parse(&options, message, OPTIONS_AT + 4));
	message[0] = 2;
	message[COOKIE_AT] = 0;
	assert_false(dhcp_options_parse(&options, message, OPTIONS_AT + 4));
	assert_string_equal(options.hostname, "");
	free(message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_that_we_ask_for_is_read),
		cmocka_unit_test(test_overloaded_fields_hold_options),
		cmocka_unit_test(test_the_old_fields_serve_where_no_option_does),
		cmocka_unit_test(test_wrong_lengths_are_as_good_as_absent),
		cmocka_unit_test(test_names_end_at_a_nul),
		cmocka_unit_test(test_cut_and_lying_messages_are_survived),
		cmocka_unit_test(test_what_is_no_reply_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
