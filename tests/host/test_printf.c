/*
 * kernel/printf.c against the host's snprintf(): same text, same length, same cut.
 */
#include <cmocka.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int kernel_snprintf(char *buf, size_t size, const char *fmt, ...);
int kernel_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
#define snprintf  kernel_snprintf
#define vsnprintf kernel_vsnprintf
#include "kernel/printf.c"
#undef snprintf
#undef vsnprintf

/* Not named snprintf, so that the compiler leaves odd formats alone. */
static int (*const libc_snprintf)(char *, size_t, const char *, ...) = snprintf;

#define SIZE 128

#define assert_same(...)                                                     \
	do {                                                                 \
		char ours_[SIZE], libcs_[SIZE];                              \
		int our_length_ = kernel_snprintf(ours_, SIZE, __VA_ARGS__); \
		int libc_length_ = libc_snprintf(libcs_, SIZE, __VA_ARGS__); \
		assert_string_equal(ours_, libcs_);                          \
		assert_int_equal(our_length_, libc_length_);                 \
	} while (0)

static void plain_text_and_percent(void **state)
{
	assert_same("");
	assert_same("nothing to convert");
	assert_same("100%% of %d%%", 7);
}

static void numbers_of_each_length(void **state)
{
	assert_same("%d %i", INT32_MIN, INT32_MAX);
	assert_same("%hhd %hhu", 300, 300);
	assert_same("%hd %hu", 70000, 70000);
	assert_same("%ld %lu", INT64_MIN, UINT64_MAX);
	assert_same("%lld %llu %llx", (long long)INT64_MIN, (unsigned long long)UINT64_MAX,
		    (unsigned long long)UINT64_MAX);
	assert_same("%zu %zd %jd %ju %td", SIZE_MAX, (ssize_t)-1, INTMAX_MIN, UINTMAX_MAX,
		    (ptrdiff_t)-5);
	assert_same("%x %X %o %u", 0xdeadbeef, 0xdeadbeef, 0777, 4000000000u);
	assert_same("%lo", UINT64_MAX);
}

static void strings_characters_pointers(void **state)
{
	char unterminated[3] = { 'a', 'b', 'c' };

	assert_same("[%s] [%10s] [%-10s] [%.2s] [%.0s] [%5.1s]", "text", "text", "text", "text",
		    "text", "text");
	assert_same("%.3s", unterminated);
	assert_same("%.*s|%*s|%-*s", 2, "abcdef", 8, "right", 8, "left");
	assert_same("%*d|%.*d", -6, 42, -1, 42);
	assert_same("[%c] [%3c] [%-3c]", 'x', 'y', 'z');
	assert_same("%p", (void *)0x1234abcd);
	assert_same("%20p|%-20p|", (void *)0x1234abcd, (void *)0x1234abcd);
}

/* Every combination of flags, with widths and precisions around the number's own length. */
static void all_flags_widths_and_precisions(void **state)
{
	static const char flags[] = "-+ #0";
	static const char *const precisions[] = { "", ".", ".0", ".1", ".4", ".12" };
	static const char *const widths[] = { "", "1", "4", "5", "16" };
	static const char conversions[] = "diouxX";
	static const long values[] = {
		0, 1, -1, 7, 8, 4095, -4096, 123456789, INT64_MAX, INT64_MIN
	};
	unsigned count = 0;

	for (unsigned set = 0; set < 1u << strlen(flags); set++) {
		for (unsigned w = 0; w < ARRAY_SIZE(widths); w++) {
			for (unsigned p = 0; p < ARRAY_SIZE(precisions); p++) {
				for (const char *c = conversions; *c; c++) {
					char fmt[32], *at = fmt;
					*at++ = '%';
					for (unsigned f = 0; flags[f]; f++) {
						if (set & 1u << f)
							*at++ = flags[f];
					}
					libc_snprintf(at, 16, "%s%sl%c", widths[w], precisions[p],
						      *c);
					for (unsigned v = 0; v < ARRAY_SIZE(values); v++) {
						assert_same(fmt, values[v]);
						count++;
					}
				}
			}
		}
	}
	assert_int_equal(count, 32 * 5 * 6 * 6 * 10);
}

static void output_is_cut_and_always_terminated(void **state)
{
	for (size_t size = 0; size < 24; size++) {
		char ours[24], libcs[24];
		memset(ours, '#', sizeof(ours));
		memset(libcs, '#', sizeof(libcs));
		int our_length = kernel_snprintf(ours, size, "%s=%05d", "twelve chars", 42);
		int libc_length = libc_snprintf(libcs, size, "%s=%05d", "twelve chars", 42);
		assert_int_equal(our_length, libc_length);
		assert_memory_equal(ours, libcs, sizeof(ours));
	}
	assert_int_equal(kernel_snprintf(NULL, 0, "%d", 12345), 5);
}

static void what_is_no_conversion_is_printed_as_it_stands(void **state)
{
	char text[SIZE];
	/* Through variables: the compiler would rightly complain. */
	const char *unknown = "a%qb%", *null = NULL;

	kernel_snprintf(text, SIZE, unknown);
	assert_string_equal(text, "a%qb%");
	kernel_snprintf(text, SIZE, "%s", null);
	assert_string_equal(text, "(null)");
	kernel_snprintf(text, SIZE, "%p", (void *)null);
	assert_string_equal(text, "0x0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_text_and_percent),
		cmocka_unit_test(numbers_of_each_length),
		cmocka_unit_test(strings_characters_pointers),
		cmocka_unit_test(all_flags_widths_and_precisions),
		cmocka_unit_test(output_is_cut_and_always_terminated),
		cmocka_unit_test(what_is_no_conversion_is_printed_as_it_stands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
