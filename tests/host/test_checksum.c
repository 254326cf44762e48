/*
 * test_checksum.c - lwIP's checksum as we compute it, against RFC 1071 word for word.
 */
#include <cmocka.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/lwip-port/arch/cc.h"

static uint16_t by_definition(const uint8_t *data, int length)
{
	uint32_t sum = 0;

	for (int i = 0; i < length; i += 2) {
		sum += data[i] | (i + 1 < length ? data[i + 1] : 0) << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

static void every_length_at_every_alignment(void **state)
{
	for (int length = 0; length < 200; length++) {
		for (unsigned shift = 0; shift < 8; shift++) {
			uint8_t *data = malloc(length + shift + 1);
			for (int i = 0; i < length; i++)
				data[shift + i] = rand();
			assert_int_equal(lwip_checksum(data + shift, length),
					 by_definition(data + shift, length));
			free(data);
		}
	}
}

static void carries_of_the_largest_packet_are_kept(void **state)
{
	uint8_t *data = malloc(65535);

	memset(data, 0xff, 65535);
	assert_int_equal(lwip_checksum(data, 65535), by_definition(data, 65535));
	assert_int_equal(lwip_checksum(data, 65534), 0xffff);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length_at_every_alignment),
		cmocka_unit_test(carries_of_the_largest_packet_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
