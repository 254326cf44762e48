/*
 * FIFOs: how each end is opened, who waits for whom, what is left when all have closed.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

static char path[64];

static int status_of(pid_t child)
{
	int status = -1;

	return waitpid(child, &status, 0) == child ? status : -1;
}

static unsigned events(int fd, unsigned wanted)
{
	struct pollfd entry = { .fd = fd, .events = (short)wanted };

	return poll(&entry, 1, 0) >= 0 ? (unsigned)entry.revents : ~0u;
}

static void making(void)
{
	struct stat about;

	snprintf(path, sizeof(path), "/tmp/fifo.%d", getpid());
	umask(022);
	ok(mkfifo(path, 0666) == 0, "mkfifo");
	ok(stat(path, &about) == 0 && S_ISFIFO(about.st_mode) && (about.st_mode & 0777) == 0644 &&
		   about.st_size == 0,
	   "its mode is less the umask");
	fails(mkfifo(path, 0666), EEXIST, "twice");
	fails(mkfifo("/tmp/no such directory/x", 0666), ENOENT, "nowhere");
	fails(mknod("/tmp/x", S_IFDIR | 0777, 0), EPERM, "mknod makes no directories");
	fails(open(path, O_RDONLY | O_DIRECTORY), ENOTDIR, "it is no directory");
}

static void without_waiting(void)
{
	char buffer[8];
	int reader, writer, both;

	fails(open(path, O_WRONLY | O_NONBLOCK), ENXIO,
	      "a writer that does not wait needs a reader");
	reader = open(path, O_RDONLY | O_NONBLOCK);
	ok(reader >= 0, "a reader needs no writer");
	ok(read(reader, buffer, 8) == 0, "and reads an end of file");
	ok(events(reader, POLLIN) == 0, "though nothing has hung up yet, says poll");
	writer = open(path, O_WRONLY | O_NONBLOCK);
	ok(writer >= 0, "now there is a reader");
	fails(read(reader, buffer, 8), EAGAIN, "there is a writer, and nothing to read");
	ok(write(writer, "hello", 5) == 5 && events(reader, POLLIN) == POLLIN &&
		   read(reader, buffer, 8) == 5,
	   "bytes go through");
	close(writer);
	ok(events(reader, POLLIN) == POLLHUP && read(reader, buffer, 8) == 0,
	   "the writer hangs up");
	writer = open(path, O_WRONLY | O_NONBLOCK);
	ok(writer >= 0 && events(reader, POLLIN) == 0, "and another one comes");
	write(writer, "kept", 4);
	close(writer);
	ok(read(reader, buffer, 8) == 4, "what was written stays for the reader");
	close(reader);

	both = open(path, O_RDWR);
	ok(both >= 0 && write(both, "abc", 3) == 3 && read(both, buffer, 8) == 3,
	   "both ends at once wait for nobody");
	ok(events(both, POLLIN | POLLOUT) == POLLOUT, "and can be polled for both");
	write(both, "gone", 4);
	close(both);
	reader = open(path, O_RDONLY | O_NONBLOCK);
	ok(read(reader, buffer, 8) == 0, "closed by all, it is empty");
	close(reader);
}

static void nothing(int signal)
{
	(void)signal;
}

static void with_waiting(void)
{
	struct sigaction action = { .sa_handler = nothing };
	char buffer[8];
	int fd;
	pid_t child;

	child = fork();
	if (child == 0) {
		usleep(5000);
		fd = open(path, O_WRONLY);
		_exit(write(fd, "x", 1) == 1 ? 0 : 1);
	}
	fd = open(path, O_RDONLY);
	ok(fd >= 0 && read(fd, buffer, 8) == 1 && read(fd, buffer, 8) == 0 && status_of(child) == 0,
	   "a reader waits for a writer");
	close(fd);

	child = fork();
	if (child == 0) {
		usleep(5000);
		fd = open(path, O_RDONLY);
		_exit(read(fd, buffer, 8) == 2 ? 0 : 1);
	}
	fd = open(path, O_WRONLY);
	ok(fd >= 0 && write(fd, "xy", 2) == 2 && status_of(child) == 0,
	   "and a writer for a reader");
	close(fd);

	/* The other end may be closed again before we have noticed it. */
	child = fork();
	if (child == 0) {
		usleep(5000);
		close(open(path, O_WRONLY));
		_exit(0);
	}
	fd = open(path, O_RDONLY);
	ok(fd >= 0 && read(fd, buffer, 8) == 0 && status_of(child) == 0,
	   "a writer that comes and goes is enough");
	close(fd);

	sigaction(SIGUSR1, &action, NULL);
	child = fork();
	if (child == 0) {
		usleep(5000);
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	fails(open(path, O_RDONLY), EINTR, "a signal ends the wait");
	status_of(child);
	fails(open(path, O_WRONLY | O_NONBLOCK), ENXIO, "which leaves no reader");
	child = fork();
	if (child == 0) {
		open(path, O_WRONLY);
		_exit(0);
	}
	usleep(5000);
	kill(child, SIGKILL);
	ok(WIFSIGNALED(status_of(child)), "who waits can be killed");
}

/* A name that is removed while it is open; another FIFO of the same name is another one. */
static void removed(void)
{
	char buffer[8];
	int reader = open(path, O_RDONLY | O_NONBLOCK), writer = open(path, O_WRONLY), other;

	ok(unlink(path) == 0 && mkfifo(path, 0600) == 0, "removed and made anew");
	other = open(path, O_RDONLY | O_NONBLOCK);
	write(writer, "old", 3);
	ok(read(other, buffer, 8) == 0 && read(reader, buffer, 8) == 3, "they are two");
	close(reader);
	close(writer);
	close(other);
	ok(unlink(path) == 0, "removed");
	fails(open(path, O_RDONLY), ENOENT, "and gone");
	ok(mknod(path, S_IFREG | 0600, 0) == 0 && (other = open(path, O_RDWR)) >= 0 &&
		   write(other, "x", 1) == 1,
	   "mknod makes files, too");
	close(other);
	unlink(path);
}

/* Children that die with their ends open, over and over. */
static void killed(void)
{
	long before = 0, after = 0;

	for (int round = 0; round < 3; round++) {
		before = after;
		mkfifo(path, 0600);
		for (int i = 0; i < 10; i++) {
			pid_t child = fork();

			if (child == 0) {
				int both = open(path, O_RDWR);
				static char much[60000];

				write(both, much, sizeof(much));
				pause();
				_exit(0);
			}
			usleep(1000);
			kill(child, SIGKILL);
			status_of(child);
		}
		unlink(path);
		after = tap_proc_number("/proc/census", "nr_free_frames");
	}
	ok(before == after, "nothing is left over (%ld, %ld)", before, after);
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	making();
	without_waiting();
	with_waiting();
	removed();
	killed();
	return done();
}
