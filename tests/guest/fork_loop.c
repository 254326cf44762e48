/*
 * fork, exec, exit and wait, N times: on Hawser the free frames at the end are those at the start, to
 * the frame, and so is each kind. Then the same with vfork, and with a pipe between two children.
 *
 *	fork_loop [N]		1000, or 100 on Linux
 */
#include "tap.h"

#include <fcntl.h>
#include <sys/wait.h>

#define CENSUS  "/proc/census"
#define WARM_UP 4 /* rounds before the first census: caches find their size */

static const char *const kinds[] = { "nr_free_frames", "nr_kind_anon",  "nr_kind_object",
				     "nr_kind_ptable", "nr_kind_stack", "nr_kind_slab",
				     "nr_kind_kernel" };
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static char *self;

static int ended_well(pid_t child)
{
	int status;

	return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 5;
}

static int fork_and_exec(void)
{
	pid_t child = fork();

	if (child == 0) {
		execl("/proc/self/exe", self, "exit", NULL);
		_exit(127);
	}
	return ended_well(child);
}

static int vfork_and_exec(void)
{
	pid_t child = vfork();

	if (child == 0) {
		execl("/proc/self/exe", self, "exit", NULL);
		_exit(127);
	}
	return ended_well(child);
}

/* Two children and a pipe; one of them leaves memory, descriptors and a full pipe behind. */
static int pipeline(void)
{
	static char bytes[10000];
	int ends[2];
	pid_t writer, reader;
	ssize_t got = 0, part;

	if (pipe(ends) != 0)
		return 0;
	writer = fork();
	if (writer == 0) {
		char *memory = malloc(1 << 18);

		memset(memory, 'l', 1 << 18);
		open("/dev/null", O_RDONLY);
		_exit(write(ends[1], bytes, sizeof(bytes)) == sizeof(bytes) ? 5 : 6);
	}
	close(ends[1]);
	reader = fork();
	if (reader == 0) {
		while ((part = read(ends[0], bytes, sizeof(bytes))) > 0)
			got += part;
		_exit(got == sizeof(bytes) ? 5 : 7);
	}
	close(ends[0]);
	return ended_well(writer) & ended_well(reader);
}

static void loop(const char *name, int (*round)(void), long rounds)
{
	long before[KINDS], good = 0;

	for (long i = 0; i < WARM_UP; i++) {
		round();
		tap_proc_number(CENSUS, kinds[0]); /* reading takes memory, too, the first time */
	}
	for (unsigned i = 0; i < KINDS; i++)
		before[i] = tap_proc_number(CENSUS, kinds[i]);
	for (long i = 0; i < rounds; i++)
		good += round();
	ok(good == rounds, "%s: %ld rounds, %ld good", name, rounds, good);
	for (unsigned i = 0; i < KINDS && on_hawser(); i++) {
		long after = tap_proc_number(CENSUS, kinds[i]);

		ok(before[i] == after, "%s: %s %ld, %ld before", name, kinds[i], after, before[i]);
	}
}

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? atol(argv[1]) : on_hawser() ? 1000 : 100;

	if (argc == 2 && strcmp(argv[1], "exit") == 0)
		return 5;
	self = argv[0];
	tap_begin(argv);
	loop("fork and exec", fork_and_exec, rounds);
	loop("vfork and exec", vfork_and_exec, rounds / 4);
	loop("a pipeline", pipeline, rounds / 4);
	return done();
}
