/*
 * tests/host/test_ip_param.c - `ip=` in all the ways it is written.
 */
#include "net/ip_param.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct ip_param parsed(const char *text)
{
	struct ip_param param;

	assert_int_equal(ip_param_parse(text, &param), 0);
	return param;
}

static void test_every_field_is_read(void **state)
{
	struct ip_param param = parsed("10.0.2.15:10.0.2.2:10.0.2.1:255.255.255.0:lab7.example.org:"
				       "eth0:none:10.0.2.3:10.0.2.4:10.0.2.5");

	assert_int_equal(param.method, IP_PARAM_STATIC);
	assert_int_equal(param.client, inet_addr("10.0.2.15"));
	assert_int_equal(param.server, inet_addr("10.0.2.2"));
	assert_int_equal(param.gateway, inet_addr("10.0.2.1"));
	assert_int_equal(param.netmask, inet_addr("255.255.255.0"));
	assert_string_equal(param.hostname, "lab7");
	assert_string_equal(param.domain, "example.org");
	assert_string_equal(param.device, "eth0");
	assert_int_equal(param.dns[0], inet_addr("10.0.2.3"));
	assert_int_equal(param.dns[1], inet_addr("10.0.2.4"));
	assert_int_equal(param.ntp, inet_addr("10.0.2.5"));
}

static void test_what_ipxe_hands_over_is_read(void **state)
{
	struct ip_param param = parsed("10.0.2.15:10.0.2.2:10.0.2.2:255.255.255.0:::none:10.0.2.3");

	assert_int_equal(param.method, IP_PARAM_STATIC);
	assert_int_equal(param.server, inet_addr("10.0.2.2"));
	assert_int_equal(param.dns[0], inet_addr("10.0.2.3"));
	assert_string_equal(param.hostname, "");

	param = parsed("10.0.2.15:10.0.2.2::255.255.255.0:::none:");
	assert_int_equal(param.method, IP_PARAM_STATIC);
	assert_int_equal(param.gateway, 0);
}

static void test_single_words_are_methods(void **state)
{
	assert_int_equal(parsed("dhcp").method, IP_PARAM_DHCP);
	assert_int_equal(parsed("on").method, IP_PARAM_DHCP);
	assert_int_equal(parsed("any").method, IP_PARAM_DHCP);
	assert_int_equal(parsed("both").method, IP_PARAM_DHCP);
	assert_int_equal(parsed("off").method, IP_PARAM_OFF);
	assert_int_equal(parsed("none").method, IP_PARAM_OFF);
	assert_int_equal(parsed("").method, IP_PARAM_DHCP);
}

static void test_fields_may_be_missing(void **state)
{
	struct ip_param param = parsed(":::::eth1:dhcp");

	assert_int_equal(param.method, IP_PARAM_DHCP);
	assert_string_equal(param.device, "eth1");
	assert_int_equal(param.client, 0);

	param = parsed("192.168.7.9");
	assert_int_equal(param.method, IP_PARAM_STATIC);

	param = parsed("192.168.7.9::::::dhcp");
	assert_int_equal(param.method, IP_PARAM_DHCP);
	assert_int_equal(param.client, inet_addr("192.168.7.9"));

	param = parsed(":10.0.0.1");
	assert_int_equal(param.method, IP_PARAM_DHCP);
	assert_int_equal(param.server, inet_addr("10.0.0.1"));

	assert_int_equal(parsed("::::::off").method, IP_PARAM_OFF);
}

static void test_a_missing_netmask_is_the_class_s(void **state)
{
	assert_int_equal(parsed("10.1.2.3").netmask, inet_addr("255.0.0.0"));
	assert_int_equal(parsed("172.16.2.3").netmask, inet_addr("255.255.0.0"));
	assert_int_equal(parsed("192.168.2.3").netmask, inet_addr("255.255.255.0"));
	assert_int_equal(parsed("10.1.2.3:::255.255.255.128").netmask,
			 inet_addr("255.255.255.128"));
}

static void test_nonsense_is_refused(void **state)
{
	static const char *const bad[] = {
		"10.0.2",
		"10.0.2.256",
		"10.0.2.15.",
		"10.0.2.15.1",
		"10.0.2.015",
		"10.0.2.-1",
		"x",
		" 10.0.2.15",
		"10.0.2.15 ",
		"0x0a.0.0.1",
		"10..2.1",
		"99999999999.0.0.1",
		"dhcpx",
		"10.0.2.15:::255.0.255.0",
		"10.0.2.15::::::rarp",
		"::::::bootp",
		":::::::::::",
		":::::a-device-name-beyond-sixteen",
		"::::a234567890123456789012345678901234567890123456789012345678901234x",
	};
	struct ip_param param;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (ip_param_parse(bad[i], &param) != -EINVAL)
			fail_msg("accepted \"%s\"", bad[i]);
	}
}

static void test_addresses_end_where_they_are_said_to(void **state)
{
	uint32_t address = 0;

	assert_true(ip_address_parse("10.0.2.2/path", 8, &address));
	assert_int_equal(address, inet_addr("10.0.2.2"));
	assert_false(ip_address_parse("10.0.2.2/path", 9, &address));
	assert_false(ip_address_parse("10.0.2.2", 7, &address));
	assert_false(ip_address_parse("", 0, &address));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_field_is_read),
		cmocka_unit_test(test_what_ipxe_hands_over_is_read),
		cmocka_unit_test(test_single_words_are_methods),
		cmocka_unit_test(test_fields_may_be_missing),
		cmocka_unit_test(test_a_missing_netmask_is_the_class_s),
		cmocka_unit_test(test_nonsense_is_refused),
		cmocka_unit_test(test_addresses_end_where_they_are_said_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
