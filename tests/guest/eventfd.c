/*
 * eventfd: counting, semaphores, waiting on both sides, poll.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static unsigned events(int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN | POLLOUT };

	return poll(&entry, 1, 0) >= 0 ? (unsigned)entry.revents : ~0u;
}

int main(int argc, char **argv)
{
	uint64_t value = 5, large = UINT64_MAX - 1, buffer[2];
	int fd, status;
	pid_t child;

	(void)argc;
	tap_begin(argv);
	fails(eventfd(0, 0x100), EINVAL, "unknown flags");
	fd = eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC);
	ok(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC && (fcntl(fd, F_GETFL) & O_NONBLOCK),
	   "an event counter");
	ok(events(fd) == (POLLIN | POLLOUT), "that is not zero");
	fails(read(fd, buffer, 4), EINVAL, "four bytes are too few");
	fails(write(fd, buffer, 4), EINVAL, "either way");
	ok(write(fd, &value, 8) == 8 && read(fd, buffer, 16) == 8 && buffer[0] == 8, "3 + 5");
	fails(read(fd, buffer, 8), EAGAIN, "zero: nothing to read");
	ok(events(fd) == POLLOUT, "says poll");
	value = UINT64_MAX;
	fails(write(fd, &value, 8), EINVAL, "too much");
	ok(write(fd, &large, 8) == 8 && events(fd) == POLLIN, "full");
	value = 1;
	fails(write(fd, &value, 8), EAGAIN, "no room for one more");
	fails(write(fd, (void *)8, 8), EFAULT, "a bad address");
	close(fd);

	fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
	ok(read(fd, buffer, 8) == 8 && buffer[0] == 1 && read(fd, buffer, 8) == 8 && buffer[0] == 1,
	   "a semaphore goes down by one");
	fails(read(fd, buffer, 8), EAGAIN, "to zero");
	close(fd);

	fd = (int)syscall(SYS_eventfd, 0);
	child = fork();
	if (child == 0) {
		usleep(5000);
		value = 7;
		write(fd, &value, 8);
		/* Waits until the parent has taken that. */
		large = UINT64_MAX - 1;
		_exit(write(fd, &large, 8) == 8 ? 0 : 1);
	}
	ok(read(fd, buffer, 8) == 8 && buffer[0] == 7, "a reader waits");
	ok(waitpid(child, &status, 0) == child && status == 0, "and a writer");
	child = fork();
	if (child == 0) {
		value = 1;
		write(fd, &value, 8);
		_exit(1);
	}
	usleep(2000);
	kill(child, SIGKILL);
	ok(waitpid(child, &status, 0) == child && WIFSIGNALED(status), "who waits can be killed");
	close(fd);
	return done();
}
