/*
 * epoll: level, edge and one shot; files that close; sets in sets, circles; masks and times; threads of
 * processes that share a set; and nothing left afterwards.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

static struct epoll_event got[64];

static int add(int set, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	return epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
}

static int modify(int set, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	return epoll_ctl(set, EPOLL_CTL_MOD, fd, &event);
}

static int now(int set)
{
	return epoll_wait(set, got, 64, 0);
}

static bool readable(int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };

	return poll(&entry, 1, 0) == 1 && entry.revents == POLLIN;
}

static void drain(int fd)
{
	char buffer[256];

	(void)!read(fd, buffer, sizeof(buffer));
}

static void arguments(void)
{
	int set = epoll_create1(EPOLL_CLOEXEC), ends[2], file = open("/tmp", O_RDONLY);
	struct epoll_event event = { 0 };

	pipe(ends);
	ok(set >= 0 && fcntl(set, F_GETFD) == FD_CLOEXEC, "a set");
	fails(syscall(SYS_epoll_create, 0), EINVAL, "of no size");
	fails(epoll_create1(1), EINVAL, "with unknown flags");
	fails(epoll_ctl(set, EPOLL_CTL_ADD, 999, &event), EBADF, "a closed file");
	fails(epoll_ctl(999, EPOLL_CTL_ADD, ends[0], &event), EBADF, "a closed set");
	fails(epoll_ctl(ends[1], EPOLL_CTL_ADD, ends[0], &event), EINVAL, "a set that is none");
	fails(epoll_ctl(set, EPOLL_CTL_ADD, set, &event), EINVAL, "a set in itself");
	fails(add(set, file, EPOLLIN), EPERM, "a file that is always ready");
	fails(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], (void *)8), EFAULT, "a bad address");
	fails(epoll_ctl(set, 99, ends[0], &event), EINVAL, "an unknown operation");
	fails(modify(set, ends[0], EPOLLIN), ENOENT, "changing what is not there");
	fails(epoll_ctl(set, EPOLL_CTL_DEL, ends[0], NULL), ENOENT, "removing it");
	ok(add(set, ends[0], EPOLLIN) == 0, "adding");
	fails(add(set, ends[0], EPOLLIN), EEXIST, "twice");
	fails(epoll_wait(set, got, 0, 0), EINVAL, "no room for events");
	fails(epoll_wait(ends[0], got, 1, 0), EINVAL, "waiting for what is no set");
	write(ends[1], "x", 1);
	fails(epoll_wait(set, (void *)8, 1, 0), EFAULT, "events to a bad address");
	ok(now(set) == 1 && got[0].data.fd == ends[0], "are not lost");
	fails(add(set, ends[1], EPOLLEXCLUSIVE | EPOLLONESHOT), EINVAL, "exclusive with one shot");
	ok(add(set, ends[1], EPOLLEXCLUSIVE | EPOLLOUT) == 0, "exclusive");
	fails(modify(set, ends[1], EPOLLOUT), EINVAL, "which cannot be changed");
	close(file);
	close(ends[0]);
	close(ends[1]);
	close(set);
}

static void modes(void)
{
	int set = epoll_create1(0), ends[2];

	pipe2(ends, O_NONBLOCK);
	add(set, ends[0], EPOLLIN);
	ok(now(set) == 0, "level: nothing yet");
	write(ends[1], "x", 1);
	ok(now(set) == 1 && got[0].events == EPOLLIN && now(set) == 1,
	   "it is told again and again");
	drain(ends[0]);
	ok(now(set) == 0, "until it is read");

	modify(set, ends[0], EPOLLIN | EPOLLET);
	write(ends[1], "x", 1);
	ok(now(set) == 1 && now(set) == 0, "edge: once");
	write(ends[1], "x", 1);
	ok(now(set) == 1 && now(set) == 0, "and once more with more of it");
	modify(set, ends[0], EPOLLIN | EPOLLET);
	ok(now(set) == 1 && now(set) == 0, "changing it asks anew");
	drain(ends[0]);

	modify(set, ends[0], EPOLLIN | EPOLLONESHOT);
	write(ends[1], "x", 1);
	ok(now(set) == 1 && now(set) == 0, "one shot: once");
	write(ends[1], "x", 1);
	ok(now(set) == 0, "and then not");
	modify(set, ends[0], EPOLLIN | EPOLLONESHOT);
	ok(now(set) == 1, "until it is armed again");
	drain(ends[0]);

	modify(set, ends[0], 0);
	close(ends[1]);
	ok(now(set) == 1 && got[0].events == EPOLLHUP, "a hang-up needs not be asked for");
	close(ends[0]);
	ok(now(set) == 0, "a closed file has left the set");
	close(set);
}

/* The set knows open files, not descriptors. */
static void duplicates(void)
{
	int set = epoll_create1(0), ends[2], other;

	pipe(ends);
	other = dup(ends[0]);
	ok(add(set, ends[0], EPOLLIN) == 0 && add(set, other, EPOLLIN) == 0,
	   "one file by two descriptors");
	write(ends[1], "x", 1);
	ok(now(set) == 2, "is two entries");
	close(other);
	ok(now(set) == 2, "which stay as long as the file is open");
	close(ends[0]);
	ok(now(set) == 0, "and no longer");
	close(ends[1]);
	close(set);
}

static void many(void)
{
	enum { COUNT = 100 };
	int set = epoll_create1(0), fds[COUNT], seen[COUNT] = { 0 }, total = 0, part;
	uint64_t one = 1;
	bool fair = true;

	for (int i = 0; i < COUNT; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u32 = (uint32_t)i };

		fds[i] = eventfd(0, 0);
		epoll_ctl(set, EPOLL_CTL_ADD, fds[i], &event);
	}
	ok(now(set) == 0, "a hundred files");
	for (int i = 0; i < COUNT; i++)
		write(fds[i], &one, sizeof(one));
	/* Level-triggered, ten at a time: all get their turn. */
	for (int round = 0; round < 10; round++) {
		part = epoll_wait(set, got, 10, 0);
		for (int i = 0; i < part; i++)
			seen[got[i].data.u32]++;
		total += part;
	}
	for (int i = 0; i < COUNT; i++)
		fair = fair && seen[i] == 1;
	ok(total == COUNT && fair, "each has its turn");
	for (int i = 0; i < COUNT; i++)
		close(fds[i]);
	ok(now(set) == 0, "none is left");
	close(set);
}

static void nested(void)
{
	int sets[7], event = eventfd(0, 0), depth = 0, a, b;
	uint64_t one = 1;

	for (int i = 0; i < 7; i++)
		sets[i] = epoll_create1(0);
	add(sets[0], event, EPOLLIN);
	for (int i = 1; i < 7 && add(sets[i], sets[i - 1], EPOLLIN) == 0; i++)
		depth = i;
	ok(depth == 4 && errno == ELOOP, "sets in sets, five deep (%d)", depth + 1);
	ok(!readable(sets[depth]) && now(sets[depth]) == 0, "the outermost has nothing");
	write(event, &one, sizeof(one));
	ok(readable(sets[depth]) && now(sets[depth]) == 1 && got[0].data.fd == sets[depth - 1],
	   "until the innermost file has");
	ok(now(sets[0]) == 1 && readable(sets[0]), "which the innermost set still tells");
	read(event, &one, sizeof(one));
	ok(!readable(sets[0]) && !readable(sets[depth]), "until it is read");
	fails(add(sets[0], sets[3], EPOLLIN), ELOOP, "a circle");
	fails(add(sets[0], sets[1], EPOLLIN), ELOOP, "a small one");
	for (int i = 0; i < 7; i++)
		close(sets[i]);
	close(event);

	a = epoll_create1(0);
	b = epoll_create1(0);
	event = eventfd(0, 0);
	add(b, a, EPOLLIN | EPOLLET);
	add(a, event, EPOLLIN);
	one = 1;
	write(event, &one, sizeof(one));
	ok(now(b) == 1 && now(b) == 0, "a set watched for edges");
	write(event, &one, sizeof(one));
	ok(now(b) == 1, "has a second one");
	close(a);
	ok(now(b) == 0, "a closed set leaves the other");
	close(b);
	close(event);
}

static void handler(int signal)
{
	(void)signal;
}

static void waiting(void)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
	struct timespec soon = { 0, 3000000 }, bad = { 0, -1 };
	int set = epoll_create1(0), event = eventfd(0, 0);
	sigset_t none, usr1;
	uint64_t one = 1;
	pid_t child;

	add(set, event, EPOLLIN);
	ok(epoll_wait(set, got, 1, 5) == 0, "nothing comes within a time");
	ok(syscall(SYS_epoll_pwait2, set, got, 1, &soon, NULL, 8) == 0, "a time in nanoseconds");
	fails(syscall(SYS_epoll_pwait2, set, got, 1, &bad, NULL, 8), EINVAL, "a bad time");
	child = fork();
	if (child == 0) {
		usleep(10000);
		write(event, &one, sizeof(one));
		_exit(0);
	}
	ok(epoll_wait(set, got, 1, 5000) == 1, "another process ends the wait");
	waitpid(child, NULL, 0);
	read(event, &one, sizeof(one));
	sigaction(SIGUSR1, &action, NULL);
	child = fork();
	if (child == 0) {
		usleep(10000);
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	fails(epoll_wait(set, got, 1, 5000), EINTR, "so does a signal, even with SA_RESTART");
	waitpid(child, NULL, 0);
	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	raise(SIGUSR1);
	fails(epoll_pwait(set, got, 1, 5000, &none), EINTR, "which a mask lets in");
	sigprocmask(SIG_UNBLOCK, &usr1, NULL);
	/* Shared with a child, which adds to it. */
	child = fork();
	if (child == 0) {
		usleep(5000);
		one = 1;
		write(event, &one, sizeof(one));
		_exit(epoll_wait(set, got, 1, 5000) == 1 ? 0 : 1);
	}
	int status = -1;
	ok(epoll_wait(set, got, 1, 5000) == 1 && waitpid(child, &status, 0) == child && status == 0,
	   "two processes wait with one set");
	close(event);
	close(set);
}

/* Children that are killed in their waits leave nothing behind. */
static void killed(void)
{
	long before, after;
	bool alive = true;

	for (int round = 0; round < 2; round++) {
		before = tap_proc_number("/proc/census", "nr_free_frames");
		for (int i = 0; i < 20; i++) {
			pid_t child = fork();

			if (child == 0) {
				int set = epoll_create1(0), outer = epoll_create1(0), ends[2];

				pipe(ends);
				for (int n = 0; n < 50; n++)
					add(set, eventfd(0, 0), EPOLLIN | EPOLLET);
				add(set, ends[0], EPOLLIN);
				add(outer, set, EPOLLIN);
				epoll_wait(outer, got, 64, -1);
				_exit(1);
			}
			usleep(1000);
			kill(child, SIGKILL);
			alive = alive && waitpid(child, NULL, 0) == child;
		}
		after = tap_proc_number("/proc/census", "nr_free_frames");
	}
	ok(alive && before == after, "sets of the killed are gone (%ld, %ld)", before, after);
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	arguments();
	modes();
	duplicates();
	many();
	nested();
	waiting();
	killed();
	return done();
}
