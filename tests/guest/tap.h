/*
 * tests/guest/tap.h - what every guest test needs: TAP on standard output, and the next test.
 *
 *	int main(int argc, char **argv)
 *	{
 *		tap_begin(argv);
 *		ok(getpid() > 0, "a process has a number");
 *		return done();
 *	}
 *
 * The tests of one boot run one after the other in one process, so that each begins with what the one
 * before has left: with HAWSER_LIST naming a file of command lines, done() execs the next of them, and the last one
 * ends with the number of failures so far. Without it, a test is a program of its own.
 */
#ifndef HAWSER_TESTS_GUEST_TAP_H
#define HAWSER_TESTS_GUEST_TAP_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define TAP_LINE  1024
#define TAP_WORDS 32

static int tap_tests, tap_failures;

static inline void tap_begin(char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("# %s\n", argv[0]);
}

__attribute__((format(printf, 2, 3))) static inline bool ok(bool good, const char *name, ...)
{
	int error = errno;
	va_list ap;

	tap_tests++;
	tap_failures += !good;
	printf("%sok %d - ", good ? "" : "not ", tap_tests);
	va_start(ap, name);
	vprintf(name, ap);
	va_end(ap);
	printf("\n");
	if (!good)
		printf("# errno %d (%s)\n", error, strerror(error));
	errno = error;
	return good;
}

/* The expression fails with that errno. */
#define fails(expression, expected, ...)                                     \
	({                                                                   \
		errno = 0;                                                   \
		long fails_result_ = (long)(expression);                     \
		ok(fails_result_ == -1 && errno == (expected), __VA_ARGS__); \
	})

/* True on Hawser, false on Linux. */
static inline bool on_hawser(void)
{
	struct utsname name;

	return uname(&name) == 0 && strstr(name.version, "Hawser");
}

static inline int tap_variable(const char *name)
{
	const char *value = getenv(name);

	return value ? atoi(value) : 0;
}

static inline void tap_set_variable(const char *name, int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", value);
	setenv(name, text, 1);
}

/* Line `index` of the list into `line`; false after the last one. */
static inline bool tap_list_line(const char *list, int index, char *line)
{
	FILE *file = fopen(list, "r");
	bool found = false;

	if (!file) {
		printf("# %s: %s\n", list, strerror(errno));
		return false;
	}
	while (!found && fgets(line, TAP_LINE, file))
		found = index-- == 0;
	fclose(file);
	return found;
}

/*
 * Runs the command on line HAWSER_INDEX of HAWSER_LIST. Returns the exit status of the whole if
 * there is none left.
 */
static inline int tap_next(void)
{
	int failures = tap_variable("HAWSER_FAILURES");

	for (;;) {
		int index = tap_variable("HAWSER_INDEX");
		char line[TAP_LINE], *words[TAP_WORDS + 1];
		int count = 0;

		if (!tap_list_line(getenv("HAWSER_LIST"), index, line))
			break;
		for (char *word = strtok(line, " \n"); word && count < TAP_WORDS;
		     word = strtok(NULL, " \n"))
			words[count++] = word;
		words[count] = NULL;
		tap_set_variable("HAWSER_INDEX", index + 1);
		tap_set_variable("HAWSER_FAILURES", failures);
		if (count == 0)
			continue;
		execv(words[0], words);
		printf("1..1\nnot ok 1 - %s starts\n# %s\n", words[0], strerror(errno));
		failures++;
	}
	printf("# all tests done, %d failed\n", failures);
	return failures > 100 ? 100 : failures;
}

/* One number of /proc/vmstat or /proc/census; -1 where it is not (Linux). */
static inline long tap_proc_number(const char *path, const char *name)
{
	FILE *file = fopen(path, "r");
	char line[128];
	size_t length = strlen(name);
	long value = -1;

	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, name, length) == 0 && line[length] == ' ')
			value = atol(line + length + 1);
	}
	if (file)
		fclose(file);
	return value;
}

/*
 * The frames that are free once everything that may be dropped has been, and the program's own page
 * tables and private pages, which are more or fewer as it happens to lie; -1 on Linux.
 */
static inline long tap_free_frames(void)
{
	FILE *file = fopen("/proc/census", "r");
	char line[128];
	long value, sum = 0;
	int found = 0;

	/* Both from one reading: the second could take a table more. */
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "nr_free_frames %ld", &value) == 1 ||
		    sscanf(line, "nr_own_frames %ld", &value) == 1) {
			sum += value;
			found++;
		}
	}
	if (file)
		fclose(file);
	return found == 2 ? sum : -1;
}

/*
 * The plan so far; failures go into the environment, for whatever runs next. On Hawser the kernel is
 * asked for its own opinion of the address space that the test has left behind.
 */
static inline void tap_end(void)
{
	long space_good = tap_proc_number("/proc/census", "space_check");

	if (space_good >= 0)
		ok(space_good == 1, "the address space keeps its invariants");
	printf("1..%d\n", tap_tests);
	tap_set_variable("HAWSER_FAILURES", tap_variable("HAWSER_FAILURES") + tap_failures);
	tap_tests = tap_failures = 0;
}

/* The end of a test; the value is main()'s. */
static inline int done(void)
{
	tap_end();
	return getenv("HAWSER_LIST") ? tap_next() : tap_variable("HAWSER_FAILURES") > 0;
}

/* The end of one stage of a test: the next is another exec. Comes back only if that fails. */
static inline int tap_exec(const char *path, char *const *arguments)
{
	extern char **environ;

	tap_end();
	execve(path, arguments, environ);
	ok(false, "%s starts", path);
	return done();
}

#endif
