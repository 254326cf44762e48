/*
 * How much execve(2) takes: strings of 128 KiB, a quarter of the stack's limit in all, and E2BIG
 * for one byte more. And a program without any argument.
 */
#include "tap.h"

#include <sys/resource.h>

#define STRING_MAX (32 * 4096) /* with its NUL */

static char *string_of(size_t length)
{
	char *string = malloc(length + 1);

	memset(string, 's', length);
	string[length] = '\0';
	return string;
}

/* Whether execve takes these. It must not succeed, so the program does not exist. */
static int refused_with(char **arguments, char **environment)
{
	execve("/proc/self/exe", arguments, environment);
	return errno;
}

static void too_much_is_refused(void)
{
	char *too_long[] = { "x", string_of(STRING_MAX), NULL };
	char *nothing[] = { NULL };
	struct rlimit limit;
	char **many;
	size_t count;

	ok(refused_with(too_long, nothing) == E2BIG, "a string of 128 KiB and its NUL");
	ok(refused_with(nothing, too_long) == E2BIG, "the same in the environment");

	getrlimit(RLIMIT_STACK, &limit);
	limit.rlim_cur = 8 << 20;
	setrlimit(RLIMIT_STACK, &limit);
	count = (2 << 20) / (100001 + sizeof(char *)) + 1;
	many = calloc(count + 1, sizeof(*many));
	for (size_t i = 0; i < count; i++)
		many[i] = i == 0 ? string_of(100000) : many[0];
	ok(refused_with(many, nothing) == E2BIG, "strings of more than 2 MiB in all");
	free(many);

	count = (2 << 20) / (1 + sizeof(char *)) + 1000;
	many = calloc(count + 1, sizeof(*many));
	for (size_t i = 0; i < count; i++)
		many[i] = "";
	ok(refused_with(many, nothing) == E2BIG, "%zu empty strings", count);
	free(many);
}

/* Stage 1: a string of the greatest length, and a thousand more. */
static int second(int argc, char **argv)
{
	bool right = true;

	ok(argc == 1003, "%d arguments arrive", argc);
	ok(strlen(argv[2]) == STRING_MAX - 1, "the longest string arrives");
	for (int i = 3; i < argc; i++)
		right = right && strlen(argv[i]) == 1500 && argv[i][0] == (char)('a' + i % 26) &&
			argv[i][1499] == argv[i][0];
	ok(right, "1.5 MB of strings arrive");
	ok(argv[argc] == NULL, "and end");
	return done();
}

int main(int argc, char **argv)
{
	char *many[1004] = { "arguments", "second", string_of(STRING_MAX - 1) };

	tap_begin(argv);
	if (argc > 1 && strcmp(argv[1], "second") == 0)
		return second(argc, argv);
	too_much_is_refused();
	for (int i = 3; i < 1003; i++) {
		many[i] = string_of(1500);
		memset(many[i], 'a' + i % 26, 1500);
	}
	return tap_exec("/proc/self/exe", many);
}
