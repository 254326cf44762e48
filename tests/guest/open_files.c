/*
 * How many files may be open: for a process EMFILE, for all together ENFILE, from whatever makes one, and
 * root may go on. Linux's own limit is too far away to be reached here: there, only EMFILE is.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#define EACH        3000 /* descriptors of one process */
#define HOLDERS_MAX 16

static int pipes[2];

/* Opens as many as it may, tells what stopped it, and keeps them. */
static pid_t hold(void)
{
	pid_t child = fork();
	int error;

	if (child != 0)
		return child;
	while (open("/dev/null", O_RDONLY) >= 0)
		;
	error = errno;
	(void)!write(pipes[1], &error, sizeof(error));
	for (;;)
		pause();
}

static long all_together(void)
{
	FILE *file = fopen("/proc/sys/fs/file-max", "r");
	long most = -1;

	if (file && fscanf(file, "%ld", &most) != 1)
		most = -1;
	if (file)
		fclose(file);
	return most;
}

/* With the machine's files used up; the descriptors that it needs are open. */
static void nothing_more_for_a_user(void)
{
	int ends[2];
	sigset_t set;

	sigemptyset(&set);
	fails(open("/dev/null", O_RDONLY), ENFILE, "no file");
	fails(pipe(ends), ENFILE, "no pipe");
	fails(socket(AF_UNIX, SOCK_STREAM, 0), ENFILE, "no socket");
	fails(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), ENFILE, "no pair of sockets");
	fails(eventfd(0, 0), ENFILE, "no eventfd");
	fails(epoll_create1(0), ENFILE, "no epoll");
	fails(timerfd_create(CLOCK_MONOTONIC, 0), ENFILE, "no timerfd");
	fails(signalfd(-1, &set, 0), ENFILE, "no signalfd");
	fails(inotify_init1(0), ENFILE, "no inotify");
	fails(memfd_create("m", 0), ENFILE, "no memfd");
}

static void as_a_user(int holders)
{
	pid_t held[HOLDERS_MAX];
	int error, stopped = 0, last = 0;

	for (int i = 0; i < holders; i++)
		held[i] = hold();
	for (int i = 0; i < holders; i++) {
		if (read(pipes[0], &error, sizeof(error)) == sizeof(error))
			stopped += error == EMFILE || error == ENFILE;
		last |= error == ENFILE;
	}
	ok(stopped == holders, "each of %d is stopped at last", holders);
	if (on_hawser()) {
		ok(last, "one of them because all together have too many");
		nothing_more_for_a_user();
	}
	for (int i = 0; i < holders; i++) {
		kill(held[i], SIGKILL);
		waitpid(held[i], NULL, 0);
	}
	error = open("/dev/null", O_RDONLY);
	ok(error >= 0, "what the dead had open may be opened again");
	close(error);
}

int main(int argc, char **argv)
{
	const struct rlimit limit = { EACH, EACH };
	long most = all_together();
	int holders = on_hawser() ? (int)(most / (EACH - 10)) + 1 : 2;
	int status;
	pid_t child;

	(void)argc;
	tap_begin(argv);
	ok(most > 0, "/proc/sys/fs/file-max");
	ok(holders <= HOLDERS_MAX && pipe(pipes) == 0, "it can be reached");
	fflush(stdout);
	child = fork();
	if (child == 0) {
		if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || setgid(1000) != 0 || setuid(1000) != 0)
			_exit(99);
		as_a_user(holders);
		fflush(stdout);
		_exit(tap_failures);
	}
	waitpid(child, &status, 0);
	tap_tests += on_hawser() ? 13 : 2;
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "all of that for a user");
	close(pipes[0]);
	close(pipes[1]);
	return done();
}
