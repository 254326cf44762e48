/*
 * `#!` lines: what Linux makes of each of these (fs/binfmt_script.c).
 */
#include <cmocka.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/string.h"
#include "loader/script.h"

static struct script_line line;

static int parse(const char *text)
{
	return script_parse(text, strlen(text), &line);
}

static void reads(const char *text, const char *interpreter, const char *argument)
{
	assert_int_equal(parse(text), 0);
	assert_string_equal(line.interpreter, interpreter);
	assert_int_equal(line.has_argument, argument != NULL);
	if (argument)
		assert_string_equal(line.argument, argument);
}

static void an_interpreter_and_its_argument_are_found(void **state)
{
	reads("#!/bin/sh\n", "/bin/sh", NULL);
	reads("#! /bin/sh -e\necho\n", "/bin/sh", "-e");
	reads("#!\t /bin/sh\t -e \t\n", "/bin/sh", "-e");
	reads("#!/bin/sh", "/bin/sh", NULL);
	reads("#!/bin/sh   \n", "/bin/sh", NULL);
}

static void the_rest_of_the_line_is_one_argument(void **state)
{
	reads("#!/usr/bin/env -S sh -e -x\n", "/usr/bin/env", "-S sh -e -x");
}

static void a_line_without_an_interpreter_is_refused(void **state)
{
	assert_int_equal(parse("#!\n"), -ENOEXEC);
	assert_int_equal(parse("#!  \t \n/bin/sh\n"), -ENOEXEC);
	assert_int_equal(parse("#"), -ENOEXEC);
	assert_int_equal(parse("!#/bin/sh\n"), -ENOEXEC);
	assert_int_equal(parse(""), -ENOEXEC);
}

static void a_name_that_is_cut_short_is_refused(void **state)
{
	char text[2 * SCRIPT_LINE_SIZE];

	memset(text, 'x', sizeof(text));
	memcpy(text, "#!/", 3);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(parse(text), -ENOEXEC);

	memset(text + 2, ' ', sizeof(text) - 3);
	assert_int_equal(parse(text), -ENOEXEC);
}

static void an_argument_that_is_cut_short_is_taken(void **state)
{
	char text[2 * SCRIPT_LINE_SIZE];

	memset(text, 'x', sizeof(text));
	memcpy(text, "#!/a ", 5);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(parse(text), 0);
	assert_string_equal(line.interpreter, "/a");
	assert_int_equal(strlen(line.argument), SCRIPT_LINE_SIZE - 1 - 5);
}

static void the_longest_line_fits(void **state)
{
	char text[SCRIPT_LINE_SIZE + 1];

	memset(text, 'x', sizeof(text));
	memcpy(text, "#!/", 3);
	text[SCRIPT_LINE_SIZE - 1] = '\n';
	text[SCRIPT_LINE_SIZE] = '\0';
	assert_int_equal(parse(text), 0);
	assert_int_equal(strlen(line.interpreter), SCRIPT_LINE_SIZE - 3);
}

static void a_nul_ends_the_line(void **state)
{
	static const char text[] = "#!/bin/sh\0-e\n";

	assert_int_equal(script_parse(text, sizeof(text) - 1, &line), 0);
	assert_string_equal(line.interpreter, "/bin/sh");
	assert_false(line.has_argument);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_interpreter_and_its_argument_are_found),
		cmocka_unit_test(the_rest_of_the_line_is_one_argument),
		cmocka_unit_test(a_line_without_an_interpreter_is_refused),
		cmocka_unit_test(a_name_that_is_cut_short_is_refused),
		cmocka_unit_test(an_argument_that_is_cut_short_is_taken),
		cmocka_unit_test(the_longest_line_fits),
		cmocka_unit_test(a_nul_ends_the_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
