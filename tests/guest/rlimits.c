/*
 * Limits on CPU time, and that nobody says he has left a core file who has not: getrlimit(2). Other limits
 * are tested where they are felt: files (pipes, poll), processes (fork), sizes (file_maps), memory
 * (vm_limits), signals (thread_signals).
 */
#define _GNU_SOURCE
#include "crew.h"

#include <sys/resource.h>

static volatile sig_atomic_t warnings;
static struct rlimit seen;

/* The soft limit has been reached; from now on, so has the hard one. */
static void warned(int signal)
{
	struct rlimit limit = { 1, 1 };

	(void)signal;
	warnings++;
	getrlimit(RLIMIT_CPU, &seen);
	if (setrlimit(RLIMIT_CPU, &limit) != 0)
		_exit(2);
}

static void spin(long ms)
{
	struct timespec now;

	do
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	while (now.tv_sec * 1000 + now.tv_nsec / 1000000 < ms);
}

static void test_cpu(void)
{
	struct rlimit limit = { 1, 3 };
	struct rusage usage;
	int ends[2], status;
	char byte[2];
	pid_t child;
	long ms;

	if (pipe(ends) != 0)
		return;
	fflush(stdout);
	child = fork();
	if (child == 0) {
		signal(SIGXCPU, warned);
		setrlimit(RLIMIT_CPU, &limit);
		while (!warnings)
			spin(1);
		byte[0] = (char)warnings;
		byte[1] = (char)seen.rlim_cur;
		if (write(ends[1], byte, 2) != 2)
			_exit(3);
		spin(3000);
		_exit(4);
	}
	close(ends[1]);
	ok(read(ends[0], byte, 2) == 2 && byte[0] == 1, "at the soft limit there is SIGXCPU");
	ok(byte[1] == 2, "and the next a second later");
	ok(wait4(child, &status, 0, &usage) == child && WIFSIGNALED(status) &&
		   WTERMSIG(status) == SIGKILL,
	   "at the hard one SIGKILL");
	ms = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
	     (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
	/* Linux compares what it has sampled by ticks with the limit, and tells what it has measured. */
	ok(ms >= (on_hawser() ? 950 : 500) && ms < 1500, "neither early nor late: %ld ms", ms);
	close(ends[0]);
}

static int abort_here(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	abort();
}

static void test_core(void)
{
	struct rlimit limit;
	pid_t child;
	int status;

	ok(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur <= limit.rlim_max, "RLIMIT_CORE");
	fflush(stdout);
	child = fork();
	if (child == 0)
		_exit(abort_here());
	ok(waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
		   WTERMSIG(status) == SIGABRT && !WCOREDUMP(status),
	   "without a core file, nobody is told of one");
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	test_cpu();
	test_core();
	return done();
}
