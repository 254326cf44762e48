/*
 * test_path.c - paths as strings: components, links spliced in, and the rest that a walk collects.
 */
#include "fs/pathname.h"
#include "kernel/string.h"
#include <linux/limits.h>

#include <cmocka.h>

/* The components of a path, with '|' between them. */
static const char *split(const char *path)
{
	static char out[256];
	const char *cursor = path;
	struct component c;
	size_t length = 0;

	while (pathname_next(&cursor, &c)) {
		if (length > 0)
			out[length++] = '|';
		memcpy(out + length, c.start, c.length);
		length += c.length;
	}
	out[length] = '\0';
	return out;
}

static void slashes_separate_and_say_nothing_else(void **state)
{
	assert_string_equal(split("/usr//share/./x"), "usr|share|.|x");
	assert_string_equal(split("a"), "a");
	assert_string_equal(split("///"), "");
	assert_string_equal(split(""), "");
	assert_string_equal(split("a/"), "a");
	assert_true(pathname_at_end("//"));
	assert_true(pathname_at_end(""));
	assert_false(pathname_at_end("/a"));
}

static void dots_are_told_from_names_that_begin_with_them(void **state)
{
	const struct component dot = { ".", 1 }, dots = { "..", 2 }, hidden = { ".x", 2 },
			       three = { "...", 3 };

	assert_true(component_is_dot(&dot) && !component_is_dotdot(&dot));
	assert_true(component_is_dotdot(&dots) && !component_is_dot(&dots));
	assert_false(component_is_dot(&hidden) || component_is_dotdot(&hidden));
	assert_false(component_is_dot(&three) || component_is_dotdot(&three));
}

/* Walks a path in a directory of which nothing is known, in place, as fs/walk.c does. */
static const char *collect(char *path)
{
	const char *cursor = path;
	struct component c;
	size_t rest = 0;

	while (pathname_next(&cursor, &c)) {
		if (component_is_dotdot(&c))
			rest = rest > 0 ? pathname_pop(path, rest) : 0;
		else if (!component_is_dot(&c))
			rest = pathname_push(path, rest, &c);
	}
	path[rest] = '\0';
	return path;
}

static void the_rest_grows_in_what_has_been_eaten(void **state)
{
	char a[] = "share/./x/../terminfo//v/";
	char b[] = "a/b/c", c[] = "/a", d[] = "../../a/../b", e[] = "a/..", f[] = "./././x",
	     g[] = "";

	assert_string_equal(collect(a), "share/terminfo/v");
	assert_string_equal(collect(b), "a/b/c");
	assert_string_equal(collect(c), "a");
	assert_string_equal(collect(d), "b");
	assert_string_equal(collect(e), "");
	assert_string_equal(collect(f), "x");
	assert_string_equal(collect(g), "");
}

static void a_link_takes_the_place_of_what_was_read(void **state)
{
	char path[32] = "/bin/sh/x";

	assert_int_equal(pathname_splice(path, sizeof(path), path + 4, "usr/bin"), 0);
	assert_string_equal(path, "usr/bin/sh/x");
	assert_int_equal(pathname_splice(path, sizeof(path), path + 12, "/b"), 0);
	assert_string_equal(path, "/b");
	assert_int_equal(pathname_splice(path, sizeof(path), path, ""), -ENOENT);
}

static void a_link_that_does_not_fit_changes_nothing(void **state)
{
	char path[8] = "a/b";

	assert_int_equal(pathname_splice(path, sizeof(path), path + 1, "123456"), -ENAMETOOLONG);
	assert_string_equal(path, "a/b");
	assert_int_equal(pathname_splice(path, sizeof(path), path + 1, "12345"), 0);
	assert_string_equal(path, "12345/b");
}

static void names_are_joined_without_doubled_or_leading_slashes(void **state)
{
	char out[16];

	assert_int_equal(pathname_join(out, sizeof(out), "/srv/x/", "/bin/sh"), 0);
	assert_string_equal(out, "srv/x/bin/sh");
	assert_int_equal(pathname_join(out, sizeof(out), "/", "a"), 0);
	assert_string_equal(out, "a");
	assert_int_equal(pathname_join(out, sizeof(out), "", "a"), 0);
	assert_string_equal(out, "a");
	assert_int_equal(pathname_join(out, sizeof(out), "a/", ""), 0);
	assert_string_equal(out, "a");
	assert_int_equal(pathname_join(out, sizeof(out), "1234567", "12345678"), -ENAMETOOLONG);
	assert_int_equal(pathname_join(out, sizeof(out), "1234567", "1234567"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slashes_separate_and_say_nothing_else),
		cmocka_unit_test(dots_are_told_from_names_that_begin_with_them),
		cmocka_unit_test(the_rest_grows_in_what_has_been_eaten),
		cmocka_unit_test(a_link_takes_the_place_of_what_was_read),
		cmocka_unit_test(a_link_that_does_not_fit_changes_nothing),
		cmocka_unit_test(names_are_joined_without_doubled_or_leading_slashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
