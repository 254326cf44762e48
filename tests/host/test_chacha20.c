/*
 * The ChaCha20 block function against the vectors of RFC 8439.
 */
#include <cmocka.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/chacha20.h"

/* RFC 8439 2.1.1 */
static void the_quarter_round_is_the_rfcs(void **state)
{
	uint32_t a = 0x11111111, b = 0x01020304, c = 0x9b8d6f43, d = 0x01234567;

	chacha20_quarter(&a, &b, &c, &d);
	assert_int_equal(a, 0xea2a92f4);
	assert_int_equal(b, 0xcb1cf8ce);
	assert_int_equal(c, 0x4581472e);
	assert_int_equal(d, 0x5881c4bb);
}

/* RFC 8439 2.3.2 */
static void the_block_is_the_rfcs(void **state)
{
	uint8_t key_bytes[32];
	uint32_t key[CHACHA20_KEY_WORDS], out[CHACHA20_BLOCK_WORDS];
	const uint32_t nonce[CHACHA20_NONCE_WORDS] = { 0x09000000, 0x4a000000, 0x00000000 };
	static const uint32_t expected[CHACHA20_BLOCK_WORDS] = {
		0xe4e7f110, 0x15593bd1, 0x1fdd0f50, 0xc47120a3, 0xc7f4d1c7, 0x0368c033,
		0x9aaa2204, 0x4e6cd4c3, 0x466482d2, 0x09aa9f07, 0x05d7c214, 0xa2028bd9,
		0xd19c12b5, 0xb94e16de, 0xe883d0cb, 0x4e3c50a2,
	};

	for (unsigned i = 0; i < sizeof(key_bytes); i++)
		key_bytes[i] = (uint8_t)i;
	for (unsigned i = 0; i < CHACHA20_KEY_WORDS; i++)
		key[i] = (uint32_t)key_bytes[4 * i] | (uint32_t)key_bytes[4 * i + 1] << 8 |
			 (uint32_t)key_bytes[4 * i + 2] << 16 |
			 (uint32_t)key_bytes[4 * i + 3] << 24;
	chacha20_block(out, key, 1, nonce);
	assert_memory_equal(out, expected, sizeof(expected));
}

/* RFC 8439 A.1, test vector 1: key, counter and nonce all zero. */
static void the_block_of_zeros_is_the_rfcs(void **state)
{
	const uint32_t key[CHACHA20_KEY_WORDS] = { 0 }, nonce[CHACHA20_NONCE_WORDS] = { 0 };
	static const uint32_t expected[CHACHA20_BLOCK_WORDS] = {
		0xade0b876, 0x903df1a0, 0xe56a5d40, 0x28bd8653, 0xb819d2bd, 0x1aed8da0,
		0xccef36a8, 0xc70d778b, 0x7c5941da, 0x8d485751, 0x3fe02477, 0x374ad8b8,
		0xf4b8436a, 0x1ca11815, 0x69b687c3, 0x8665eeb2,
	};
	uint32_t out[CHACHA20_BLOCK_WORDS];

	chacha20_block(out, key, 0, nonce);
	assert_memory_equal(out, expected, sizeof(expected));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_quarter_round_is_the_rfcs),
		cmocka_unit_test(the_block_is_the_rfcs),
		cmocka_unit_test(the_block_of_zeros_is_the_rfcs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
