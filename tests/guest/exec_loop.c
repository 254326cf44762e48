/*
 * One program after another in the same process, N times: on Hawser the free frames at the end are
 * those at the start, to the frame. Descriptors that are closed on exec are closed, others stay.
 *
 *	exec_loop [N]		1000, or 100 on Linux, where only the descriptors are looked at
 */
#include "tap.h"

#include <fcntl.h>

#define WARM_UP 4 /* rounds before the first census: caches find their size */

static long read_number(const char *name)
{
	const char *value = getenv(name);

	return value ? atol(value) : 0;
}

static void write_number(const char *name, long value)
{
	char text[32];

	/* Always as many bytes: the stack of each round is laid out alike. */
	snprintf(text, sizeof(text), "%012ld", value);
	setenv(name, text, 1);
}

/* Something to leave behind: touched memory, open files, a mapping. */
static void litter(void)
{
	char *memory = malloc(1 << 20);

	memset(memory, 'l', 1 << 20);
	open("/dev/null", O_RDONLY | O_CLOEXEC);
	open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
}

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? atol(argv[1]) : on_hawser() ? 1000 : 100;
	long round = read_number("LOOP_ROUND");
	char *arguments[] = { argv[0], argc > 1 ? argv[1] : NULL, NULL };
	int lowest;
	long after;

	if (round == 0) {
		lowest = open("/dev/null", O_RDONLY);
		write_number("LOOP_LOWEST", lowest);
		close(lowest);
	}
	if (round == WARM_UP)
		write_number("LOOP_FREE", tap_free_frames());
	if (round < rounds + WARM_UP) {
		litter();
		write_number("LOOP_ROUND", round + 1);
		write_number("LOOP_FREE", read_number("LOOP_FREE"));
		execv("/proc/self/exe", arguments);
	}

	/* Before anything else: the first reading was, too. */
	after = tap_free_frames();
	tap_begin(argv);
	ok(round == rounds + WARM_UP, "%ld rounds", round);
	lowest = open("/dev/null", O_RDONLY);
	ok(lowest == read_number("LOOP_LOWEST"), "no descriptor is left over: the next one is %d",
	   lowest);
	close(lowest);
	if (on_hawser()) {
		long before = read_number("LOOP_FREE");

		ok(before > 0 && before == after, "no frame is lost: %ld free before, %ld after",
		   before, after);
	}
	unsetenv("LOOP_ROUND");
	unsetenv("LOOP_FREE");
	unsetenv("LOOP_LOWEST");
	return done();
}
