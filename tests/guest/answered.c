/*
 * Every number that Linux has: those that docs/syscalls.md calls answered are, and the others are ENOSYS.
 *
 * Each is called in a child, with arguments that no call can do anything with. One that does not come
 * back has been answered, too: it has ended or waits. On Linux only those are called that are answered
 * here.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

static const struct {
	long number;
	const char *name;
	bool answered;
} calls[] = {
#include "syscall_list.h"
};

#define COUNT (sizeof(calls) / sizeof(calls[0]))

static volatile long *results;

static void call(size_t i)
{
	struct itimerval soon = { .it_value.tv_usec = 50000 };
	long result;

	(void)setsid(); /* vhangup(2) is not to be about our own terminal */
	/* Its default is the end. */
	setitimer(ITIMER_REAL, &soon, NULL);
	result = syscall(calls[i].number, -1L, -1L, -1L, -1L, -1L, -1L);
	/* Some say ENOSYS of an operation or flag that they do not know. */
	if (result == -1 && errno == ENOSYS)
		result = syscall(calls[i].number, 0L, 0L, 0L, 0L, 0L, 0L);
	if (result == -1)
		results[i] = errno;
	_exit(0);
}

static bool is_answered(size_t i)
{
	pid_t child;

	results[i] = 0;
	child = fork();
	if (child == 0)
		call(i);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return results[i] != ENOSYS;
}

/* What a developer would wait for. */
static bool is_harmless(long number)
{
	return on_hawser() || number != SYS_sync;
}

int main(int argc, char **argv)
{
	int wrong = 0, asked = 0;

	(void)argc;
	tap_begin(argv);
	results = mmap(NULL, COUNT * sizeof(*results), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (size_t i = 0; i < COUNT; i++) {
		if (!is_harmless(calls[i].number) || (!on_hawser() && !calls[i].answered))
			continue;
		asked++;
		if (is_answered(i) != calls[i].answered) {
			printf("# %s is %s\n", calls[i].name,
			       calls[i].answered ? "ENOSYS" : "answered");
			wrong++;
		}
	}
	/* Forks have been among them, and whose parents have gone are the first process's, which this may be. */
	while (wait(NULL) > 0)
		;
	ok(wrong == 0 && asked > 0, "%d system calls are what docs/syscalls.md says", asked);
	return done();
}
