/*
 * The command line: words, quotes, values and numbers as Linux reads them.
 */
#include <cmocka.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/cmdline.h"
#include "kernel/string.h"

static void value_is(const char *name, const char *expected)
{
	char out[64];

	if (expected == NULL) {
		assert_false(cmdline_value(name, out, sizeof(out)));
		return;
	}
	assert_true(cmdline_value(name, out, sizeof(out)));
	assert_string_equal(out, expected);
}

static void number_is(const char *line, int64_t expected)
{
	int64_t number = -99;

	cmdline_set(line);
	assert_true(cmdline_number("n", &number));
	assert_int_equal(number, expected);
}

static void no_number(const char *line)
{
	int64_t number = -99;

	cmdline_set(line);
	assert_false(cmdline_number("n", &number));
	assert_int_equal(number, -99);
}

static void values_are_found_by_their_whole_name(void **state)
{
	cmdline_set("ip=10.0.2.15 zip=no root=tftp://10.0.2.2/a=b quiet ip2=x");
	value_is("ip", "10.0.2.15");
	value_is("zip", "no");
	value_is("root", "tftp://10.0.2.2/a=b");
	value_is("i", NULL);
	value_is("quiet", NULL);
	assert_true(cmdline_flag("quiet"));
	assert_false(cmdline_flag("qui"));
	assert_false(cmdline_flag("ip"));
	assert_string_equal(cmdline_get(),
			    "ip=10.0.2.15 zip=no root=tftp://10.0.2.2/a=b quiet ip2=x");
}

static void the_last_of_several_counts(void **state)
{
	cmdline_set("init=/a init=/b init=/c");
	value_is("init", "/c");
	cmdline_set("init=/a init=");
	value_is("init", "");
}

static void quotes_hold_blanks_together_and_come_off(void **state)
{
	cmdline_set("a=1 init=\"/bin/sh -x\" b=2");
	value_is("init", "/bin/sh -x");
	value_is("b", "2");
	cmdline_set("\"init=/bin/sh -x\" b=2");
	value_is("init", "/bin/sh -x");
	value_is("b", "2");
	cmdline_set("a=\"b\"c d=x\"y z\"");
	value_is("a", "b\"c");
	value_is("d", "x\"y z\"");
	cmdline_set("init=\"unclosed to the end");
	value_is("init", "unclosed to the end");
	cmdline_set("a=\"\" b=\"");
	value_is("a", "");
	value_is("b", "");
}

static void what_follows_two_dashes_is_inits(void **state)
{
	cmdline_set("a=1 -- b=2 quiet");
	value_is("a", "1");
	value_is("b", NULL);
	assert_false(cmdline_flag("quiet"));
}

static void a_value_that_does_not_fit_is_absent(void **state)
{
	char out[4] = "old";

	cmdline_set("a=123 b=1234");
	assert_true(cmdline_value("a", out, sizeof(out)));
	assert_string_equal(out, "123");
	assert_false(cmdline_value("b", out, sizeof(out)));
	assert_string_equal(out, "123");
}

static void numbers_have_bases_signs_and_suffixes(void **state)
{
	number_is("n=0", 0);
	number_is("n=42", 42);
	number_is("n=-1", -1);
	number_is("n=0x1F", 31);
	number_is("n=0xe9", 0xe9);
	number_is("n=017", 15);
	number_is("n=64M", 64 << 20);
	number_is("n=8k", 8192);
	number_is("n=1G", 1 << 30);
	number_is("n=0x10M", 16 << 20);
	number_is("n=9223372036854775807", INT64_MAX);
	no_number("n=");
	no_number("n");
	no_number("n=x");
	no_number("n=-");
	no_number("n=0x");
	no_number("n=08");
	no_number("n=12z");
	no_number("n=12MM");
	no_number("n=9223372036854775808");
	no_number("n=9223372036854775807K");
	no_number("n=00000000000000000000000000000000000000001");
}

static void words_are_walked_in_order_and_long_ones_skipped(void **state)
{
	const char *position;
	char out[16];

	cmdline_set("  console=ttyS0\tthis_word_is_too_long \"a b\" c=\"d e\" -- x ");
	position = cmdline_get();
	static const char *const expected[] = { "console=ttyS0", "a b", "c=d e", "--", "x" };
	for (unsigned i = 0; i < ARRAY_SIZE(expected); i++) {
		assert_true(cmdline_next(&position, out, sizeof(out)));
		assert_string_equal(out, expected[i]);
	}
	assert_false(cmdline_next(&position, out, sizeof(out)));
	assert_false(cmdline_next(&position, out, sizeof(out)));
}

static void a_line_that_is_too_long_is_cut(void **state)
{
	static char line[CMDLINE_MAX + 100];

	memset(line, 'x', sizeof(line) - 1);
	memcpy(line, "a=1 ", 4);
	cmdline_set(line);
	assert_int_equal(strlen(cmdline_get()), CMDLINE_MAX - 1);
	value_is("a", "1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_found_by_their_whole_name),
		cmocka_unit_test(the_last_of_several_counts),
		cmocka_unit_test(quotes_hold_blanks_together_and_come_off),
		cmocka_unit_test(what_follows_two_dashes_is_inits),
		cmocka_unit_test(a_value_that_does_not_fit_is_absent),
		cmocka_unit_test(numbers_have_bases_signs_and_suffixes),
		cmocka_unit_test(words_are_walked_in_order_and_long_ones_skipped),
		cmocka_unit_test(a_line_that_is_too_long_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
