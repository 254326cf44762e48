/*
 * poll, ppoll, select, pselect: many descriptors, what each event means, the time that is left, signals.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define MANY 100

static void nothing(int signal)
{
	(void)signal;
}

/* A child that writes a byte after a while. */
static pid_t writes_later(int fd, int ms)
{
	pid_t child = fork();

	if (child == 0) {
		usleep((useconds_t)ms * 1000);
		write(fd, "x", 1);
		_exit(0);
	}
	return child;
}

static void many(void)
{
	int ends[MANY][2];
	struct pollfd entries[MANY];
	char byte;
	pid_t child;
	bool right;

	for (int i = 0; i < MANY; i++) {
		pipe(ends[i]);
		entries[i] = (struct pollfd){ .fd = ends[i][0], .events = POLLIN };
	}
	ok(poll(entries, MANY, 0) == 0, "of a hundred pipes none is ready");
	child = writes_later(ends[77][1], 10);
	ok(poll(entries, MANY, 5000) == 1 && entries[77].revents == POLLIN, "then one of them is");
	waitpid(child, NULL, 0);
	read(ends[77][0], &byte, 1);
	for (int i = 0; i < MANY; i += 3)
		write(ends[i][1], "x", 1);
	right = poll(entries, MANY, -1) == (MANY + 2) / 3;
	for (int i = 0; i < MANY; i++)
		right = right && entries[i].revents == (i % 3 == 0 ? POLLIN : 0);
	ok(right, "then every third");
	entries[0].fd = -1;
	entries[1].fd = ends[1][1];
	entries[1].events = POLLIN | POLLOUT;
	entries[2].fd = 999;
	right = poll(entries, 3, 0) == 2 && entries[0].revents == 0 &&
		entries[1].revents == POLLOUT && entries[2].revents == POLLNVAL;
	ok(right, "a negative one says nothing, a closed one POLLNVAL");
	for (int i = 0; i < MANY; i++) {
		close(ends[i][0]);
		close(ends[i][1]);
	}
}

static void kinds(void)
{
	int file = open("/proc/self/stat", O_RDONLY), path = open("/", O_PATH);
	struct pollfd entries[] = { { .fd = file, .events = POLLIN | POLLOUT | POLLRDNORM },
				    { .fd = path, .events = POLLIN } };

	ok(poll(entries, 1, -1) == 1 && entries[0].revents == (POLLIN | POLLOUT | POLLRDNORM),
	   "a file is always ready");
	ok(poll(entries + 1, 1, -1) == 1 && entries[1].revents == POLLNVAL, "O_PATH: POLLNVAL");
	close(file);
	close(path);
	fails(poll((void *)8, 1, 0), EFAULT, "a bad address");
	ok(poll(NULL, 0, 0) == 0, "none at all");
}

static void limits(void)
{
	struct rlimit old, low;
	static struct pollfd entries[64];

	getrlimit(RLIMIT_NOFILE, &old);
	low = old;
	low.rlim_cur = 32;
	setrlimit(RLIMIT_NOFILE, &low);
	memset(entries, -1, sizeof(entries));
	fails(poll(entries, 33, 0), EINVAL, "more entries than RLIMIT_NOFILE");
	ok(poll(entries, 32, 0) == 0, "as many are good");
	setrlimit(RLIMIT_NOFILE, &old);
}

static void timeouts(void)
{
	struct timespec ts = { 5, 0 };
	struct timeval tv = { 5, 0 };
	struct sigaction action = { .sa_handler = nothing };
	struct pollfd entry;
	sigset_t none, alarm_set;
	fd_set set;
	int ends[2];
	pid_t child;

	pipe(ends);
	entry = (struct pollfd){ .fd = ends[0], .events = POLLIN };
	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	child = writes_later(ends[1], 20);
	ok(syscall(SYS_select, ends[0] + 1, &set, NULL, NULL, &tv) == 1 && FD_ISSET(ends[0], &set),
	   "select finds the byte");
	ok(tv.tv_sec == 4 && tv.tv_usec > 0, "and says how much time is left (%ld.%06ld)",
	   (long)tv.tv_sec, (long)tv.tv_usec);
	waitpid(child, NULL, 0);
	ok(syscall(SYS_ppoll, &entry, 1, &ts, NULL, 8) == 1 &&
		   (ts.tv_sec == 4 || (ts.tv_sec == 5 && ts.tv_nsec == 0)),
	   "ppoll does, too");
	tv = (struct timeval){ 0, 1000 };
	FD_ZERO(&set);
	FD_SET(ends[1] + 1, &set);
	fails(select(ends[1] + 2, &set, NULL, NULL, &tv), EBADF, "select of a closed one: EBADF");
	fails(select(-1, &set, NULL, NULL, &tv), EINVAL, "less than none: EINVAL");
	tv = (struct timeval){ -1, 0 };
	fails(select(0, NULL, NULL, NULL, &tv), EINVAL, "less than no time: EINVAL");
	ts = (struct timespec){ 0, 1000000000 };
	fails(syscall(SYS_ppoll, &entry, 1, &ts, NULL, 8), EINVAL,
	      "a second of nanoseconds: EINVAL");
	tv = (struct timeval){ 0, 2000 };
	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	read(ends[0], (char[1]){ 0 }, 1);
	ok(syscall(SYS_select, ends[0] + 1, &set, NULL, NULL, &tv) == 0 &&
		   !FD_ISSET(ends[0], &set) && tv.tv_sec == 0 && tv.tv_usec == 0,
	   "nothing came: no bits, no time");

	/* A signal that is blocked but for the wait. */
	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&none);
	sigemptyset(&alarm_set);
	sigaddset(&alarm_set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &alarm_set, NULL);
	raise(SIGUSR1);
	fails(ppoll(&entry, 1, NULL, &none), EINTR, "ppoll's mask lets a signal in");
	raise(SIGUSR1);
	FD_ZERO(&set);
	fails(pselect(0, NULL, NULL, NULL, NULL, &none), EINTR, "and pselect's");
	sigprocmask(SIG_UNBLOCK, &alarm_set, NULL);
	close(ends[0]);
	close(ends[1]);
}

/* Descriptors beyond FD_SETSIZE are select's, too, if there is room for their bits. */
static void large_sets(void)
{
	struct rlimit old, high;
	unsigned long bits[2048 / 64] = { 0 };
	struct timeval none = { 0, 0 };
	int ends[2], fd;

	getrlimit(RLIMIT_NOFILE, &old);
	high = old;
	high.rlim_cur = 2048;
	if (high.rlim_max < 2048)
		high.rlim_max = 2048;
	setrlimit(RLIMIT_NOFILE, &high);
	pipe(ends);
	fd = fcntl(ends[1], F_DUPFD, 2000);
	bits[2000 / 64] = 1UL << (2000 % 64);
	ok(fd == 2000 && syscall(SYS_select, 2001, NULL, bits, NULL, &none) == 1 &&
		   bits[2000 / 64] == 1UL << (2000 % 64),
	   "select knows descriptor 2000");
	close(fd);
	close(ends[0]);
	close(ends[1]);
	setrlimit(RLIMIT_NOFILE, &old);
}

/* The other end goes away while we wait. */
static void hang_up(void)
{
	struct pollfd entry;
	int ends[2];
	pid_t child;

	pipe(ends);
	child = fork();
	if (child == 0) {
		usleep(10000);
		_exit(0);
	}
	close(ends[1]);
	entry = (struct pollfd){ .fd = ends[0] };
	ok(poll(&entry, 1, 5000) == 1 && entry.revents == POLLHUP,
	   "a hang-up wakes who asks for nothing");
	waitpid(child, NULL, 0);
	close(ends[0]);
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	many();
	kinds();
	limits();
	timeouts();
	large_sets();
	hang_up();
	return done();
}
