/*
 * kernel/string.c against the host's libc: all small lengths, alignments and overlaps.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <cmocka.h>

/* The functions under test, beside the host's of the same names. */
#define memcpy     kernel_memcpy
#define memmove    kernel_memmove
#define memset     kernel_memset
#define memcmp     kernel_memcmp
#define memchr     kernel_memchr
#define strlen     kernel_strlen
#define strnlen    kernel_strnlen
#define strcmp     kernel_strcmp
#define strncmp    kernel_strncmp
#define strcasecmp kernel_strcasecmp
#define strchr     kernel_strchr
#define strrchr    kernel_strrchr
#define strlcpy    kernel_strlcpy
void *memcpy(void *restrict dst, const void *restrict src, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
int strncmp(const char *a, const char *b, size_t n);
#include "kernel/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef memchr
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strcasecmp
#undef strchr
#undef strrchr
#undef strlcpy

#define LENGTHS 300 /* past REP_MIN, with every remainder */
#define MARGIN  16

static void fill(uint8_t *p, size_t n, uint8_t first)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(first + i * 7);
}

static void copies_are_exact_and_stay_within_bounds(void **state)
{
	uint8_t from[LENGTHS + 2 * MARGIN], ours[sizeof(from)], libcs[sizeof(from)];

	fill(from, sizeof(from), 1);
	for (size_t n = 0; n < LENGTHS; n++) {
		for (size_t shift = 0; shift < 8; shift++) {
			memset(ours, 0xee, sizeof(ours));
			memset(libcs, 0xee, sizeof(libcs));
			assert_ptr_equal(kernel_memcpy(ours + MARGIN, from + shift, n), ours + MARGIN);
			memcpy(libcs + MARGIN, from + shift, n);
			assert_memory_equal(ours, libcs, sizeof(ours));
		}
	}
}

static void moves_survive_every_overlap(void **state)
{
	uint8_t ours[LENGTHS + 2 * 80], libcs[sizeof(ours)];

	for (size_t n = 0; n < LENGTHS; n++) {
		for (int distance = -72; distance <= 72; distance++) {
			fill(ours, sizeof(ours), 3);
			fill(libcs, sizeof(libcs), 3);
			kernel_memmove(ours + 80 + distance, ours + 80, n);
			memmove(libcs + 80 + distance, libcs + 80, n);
			assert_memory_equal(ours, libcs, sizeof(ours));
		}
	}
}

static void fills_are_exact_and_stay_within_bounds(void **state)
{
	uint8_t ours[LENGTHS + 2 * MARGIN], libcs[sizeof(ours)];

	for (size_t n = 0; n < LENGTHS; n++) {
		for (size_t shift = 0; shift < 8; shift++) {
			fill(ours, sizeof(ours), 9);
			fill(libcs, sizeof(libcs), 9);
			assert_ptr_equal(kernel_memset(ours + shift, 0x1a5, n), ours + shift);
			memset(libcs + shift, 0x1a5, n);
			assert_memory_equal(ours, libcs, sizeof(ours));
		}
	}
}

static int sign(int x)
{
	return (x > 0) - (x < 0);
}

static void comparisons_have_libcs_sign(void **state)
{
	uint8_t a[40], b[40];

	for (size_t n = 0; n <= sizeof(a); n++) {
		fill(a, sizeof(a), 5);
		fill(b, sizeof(b), 5);
		assert_int_equal(kernel_memcmp(a, b, n), 0);
		for (size_t i = 0; i < n; i++) {
			b[i] ^= 0x80;
			assert_int_equal(sign(kernel_memcmp(a, b, n)), sign(memcmp(a, b, n)));
			assert_int_equal(sign(kernel_memcmp(b, a, n)), sign(memcmp(b, a, n)));
			b[i] ^= 0x80;
		}
	}
}

static void string_functions_agree_with_libc(void **state)
{
	static const char *const words[] = {"",	   "a",	      "ab",	 "b",	       "abc",
					    "abd", "ABC",     "abcabc",	 "cab",	       "\xff",
					    "aab", "a\xff""b", "ababac", "long enough text"};

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		const char *x = words[i];
		assert_int_equal(kernel_strlen(x), strlen(x));
		assert_int_equal(kernel_strnlen(x, 2), strnlen(x, 2));
		for (const char *c = "abcA\xff"; *c; c++) {
			assert_ptr_equal(kernel_strchr(x, *c), strchr(x, *c));
			assert_ptr_equal(kernel_strrchr(x, *c), strrchr(x, *c));
			assert_ptr_equal(kernel_memchr(x, *c, strlen(x)), memchr(x, *c, strlen(x)));
		}
		assert_ptr_equal(kernel_strchr(x, '\0'), strchr(x, '\0'));
		assert_ptr_equal(kernel_strrchr(x, '\0'), strrchr(x, '\0'));
		for (unsigned j = 0; j < ARRAY_SIZE(words); j++) {
			const char *y = words[j];
			assert_int_equal(sign(kernel_strcmp(x, y)), sign(strcmp(x, y)));
			assert_int_equal(sign(kernel_strcasecmp(x, y)), sign(strcasecmp(x, y)));
			for (size_t n = 0; n < 8; n++)
				assert_int_equal(sign(kernel_strncmp(x, y, n)), sign(strncmp(x, y, n)));
		}
	}
}

static void strlcpy_cuts_terminates_and_tells_the_length(void **state)
{
	char out[8];

	assert_int_equal(kernel_strlcpy(out, "short", sizeof(out)), 5);
	assert_string_equal(out, "short");
	assert_int_equal(kernel_strlcpy(out, "much too long", sizeof(out)), 13);
	assert_string_equal(out, "much to");
	out[0] = '#';
	assert_int_equal(kernel_strlcpy(out, "x", 0), 1);
	assert_int_equal(out[0], '#');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_are_exact_and_stay_within_bounds),
		cmocka_unit_test(moves_survive_every_overlap),
		cmocka_unit_test(fills_are_exact_and_stay_within_bounds),
		cmocka_unit_test(comparisons_have_libcs_sign),
		cmocka_unit_test(string_functions_agree_with_libc),
		cmocka_unit_test(strlcpy_cuts_terminates_and_tells_the_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
