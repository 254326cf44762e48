/*
 * Pipes: their bytes and ends, what fills them and what breaks them, atomic writes, poll and ioctl.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define SIZE 65536

static char bytes[4 * SIZE], back[4 * SIZE];

static int status_of(pid_t child)
{
	int status = -1;

	return waitpid(child, &status, 0) == child ? status : -1;
}

static void basics(void)
{
	struct stat about;
	int ends[2], waiting;

	ok(pipe(ends) == 0 && ends[0] != ends[1], "a pipe has two ends");
	ok(fstat(ends[0], &about) == 0 && S_ISFIFO(about.st_mode), "fstat says FIFO");
	fails(lseek(ends[0], 0, SEEK_CUR), ESPIPE, "and no seeking");
	fails(read(ends[1], back, 1), EBADF, "the write end is not read");
	fails(write(ends[0], bytes, 1), EBADF, "nor the read end written");
	ok(write(ends[1], "hello ", 6) == 6 && write(ends[1], "world", 5) == 5, "two writes");
	ok(ioctl(ends[0], FIONREAD, &waiting) == 0 && waiting == 11, "FIONREAD");
	ok(read(ends[0], back, sizeof(back)) == 11 && memcmp(back, "hello world", 11) == 0,
	   "one read has both");
	ok(read(ends[0], back, 0) == 0, "nothing of nothing");
	fails(write(ends[1], (void *)8, 1), EFAULT, "from a bad address");
	write(ends[1], "x", 1);
	fails(read(ends[0], (void *)8, 1), EFAULT, "to a bad address");
	ok(read(ends[0], back, 5) == 1 && back[0] == 'x', "which loses nothing");
	close(ends[1]);
	ok(read(ends[0], back, 1) == 0, "the end");
	close(ends[0]);
	fails(pipe2(ends, 0x40), EINVAL, "unknown flags");
	fails(syscall(SYS_pipe, 8), EFAULT, "nowhere to tell of it");
	ok(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0 && fcntl(ends[0], F_GETFD) == FD_CLOEXEC &&
		   (fcntl(ends[1], F_GETFL) & O_NONBLOCK),
	   "pipe2 sets both flags");
	fails(read(ends[0], back, 1), EAGAIN, "O_NONBLOCK: nothing yet");
	close(ends[0]);
	close(ends[1]);
}

static void filling(void)
{
	int ends[2];
	ssize_t part;
	size_t total = 0;

	pipe2(ends, O_NONBLOCK);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + i / 4096);
	ok(write(ends[1], bytes, sizeof(bytes)) == SIZE, "65,536 bytes fit");
	fails(write(ends[1], bytes, 1), EAGAIN, "and not one more");
	ok(read(ends[0], back, 100) == 100, "a little out");
	fails(write(ends[1], bytes, 4096), EAGAIN, "not enough for a write that is atomic");
	while ((part = read(ends[0], back + 100 + total, 5000)) > 0)
		total += (size_t)part;
	ok(total == SIZE - 100 && memcmp(back, bytes, SIZE) == 0, "all of it comes out, in order");
	/* Around the ring, in odd pieces. */
	total = 0;
	for (int i = 0; i < 1000; i++) {
		size_t length = (size_t)(i * 37 % 3000 + 1);

		if (write(ends[1], bytes + i, length) != (ssize_t)length ||
		    read(ends[0], back, length) != (ssize_t)length ||
		    memcmp(back, bytes + i, length) != 0)
			break;
		total++;
	}
	ok(total == 1000, "a thousand messages of odd sizes");
	close(ends[0]);
	close(ends[1]);
}

static void broken(void)
{
	int ends[2], status;
	pid_t child;

	pipe(ends);
	close(ends[0]);
	signal(SIGPIPE, SIG_IGN);
	fails(write(ends[1], "x", 1), EPIPE, "nobody reads: EPIPE");
	child = fork();
	if (child == 0) {
		signal(SIGPIPE, SIG_DFL);
		write(ends[1], "x", 1);
		_exit(0);
	}
	status = status_of(child);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE, "and SIGPIPE (%#x)", status);
	signal(SIGPIPE, SIG_DFL);
	close(ends[1]);
}

/* More than the pipe holds, through a child that is slower or faster than we are. */
static void streaming(void)
{
	int ends[2], status;
	size_t got = 0;
	ssize_t part;
	pid_t child;

	pipe(ends);
	child = fork();
	if (child == 0) {
		close(ends[0]);
		_exit(write(ends[1], bytes, sizeof(bytes)) == sizeof(bytes) ? 0 : 1);
	}
	close(ends[1]);
	memset(back, 0, sizeof(back));
	while ((part = read(ends[0], back + got, 3000)) > 0)
		got += (size_t)part;
	status = status_of(child);
	ok(status == 0 && got == sizeof(bytes) && memcmp(back, bytes, got) == 0,
	   "a large write waits for its reader");
	close(ends[0]);
}

/* Four writers of 512 bytes each a time: nobody's are torn. */
static void atomic_writes(void)
{
	enum { WRITERS = 4, MESSAGES = 100, LENGTH = 512 };
	char message[LENGTH];
	int ends[2], counts[WRITERS] = { 0 };
	bool whole = true;
	size_t have = 0;
	ssize_t part;

	pipe(ends);
	for (int i = 0; i < WRITERS; i++) {
		if (fork() == 0) {
			memset(message, 'a' + i, LENGTH);
			for (int n = 0; n < MESSAGES; n++)
				write(ends[1], message, LENGTH);
			_exit(0);
		}
	}
	close(ends[1]);
	while ((part = read(ends[0], message + have, LENGTH - have)) > 0) {
		have += (size_t)part;
		if (have < LENGTH)
			continue;
		for (int i = 1; i < LENGTH; i++)
			whole = whole && message[i] == message[0];
		counts[(message[0] - 'a') & 3]++;
		have = 0;
	}
	for (int i = 0; i < WRITERS; i++)
		wait(NULL);
	ok(whole && counts[0] == MESSAGES && counts[1] == MESSAGES && counts[2] == MESSAGES &&
		   counts[3] == MESSAGES,
	   "writes of up to PIPE_BUF are whole");
	close(ends[0]);
}

/* Pages that are not there yet, on both sides. */
static void untouched_memory(void)
{
	char *from = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *to = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec vectors[2] = { { to, 1000 }, { to + 30000, 30000 } };
	int ends[2];
	size_t got = 0;
	ssize_t part;

	pipe(ends);
	ok(write(ends[1], from + 100, SIZE - 100) == SIZE - 100, "from memory never touched");
	from[5000] = 1;
	while (got < SIZE - 100 && (part = read(ends[0], to + 50 + got, SIZE - 100 - got)) > 0)
		got += (size_t)part;
	ok(got == SIZE - 100 && to[50] == 0 && to[SIZE - 60] == 0, "to memory never touched");
	ok(write(ends[1], bytes, 20000) == 20000 && readv(ends[0], vectors, 2) == 20000 &&
		   memcmp(to, bytes, 1000) == 0 && memcmp(to + 30000, bytes + 1000, 19000) == 0,
	   "readv");
	munmap(from, SIZE);
	munmap(to, SIZE);
	close(ends[0]);
	close(ends[1]);
}

static void polling(void)
{
	struct pollfd entries[2];
	int ends[2];
	pid_t child;

	pipe2(ends, O_NONBLOCK);
	entries[0] = (struct pollfd){ .fd = ends[0], .events = POLLIN };
	entries[1] = (struct pollfd){ .fd = ends[1], .events = POLLOUT };
	ok(poll(entries, 2, 0) == 1 && entries[0].revents == 0 && entries[1].revents == POLLOUT,
	   "an empty pipe can be written");
	write(ends[1], bytes, SIZE);
	ok(poll(entries, 2, 0) == 1 && entries[0].revents == POLLIN && entries[1].revents == 0,
	   "a full one can be read");
	while (read(ends[0], back, SIZE) > 0)
		;
	child = fork();
	if (child == 0) {
		usleep(20000);
		write(ends[1], "x", 1);
		_exit(0);
	}
	ok(poll(entries, 1, 5000) == 1 && entries[0].revents == POLLIN, "poll waits for a byte");
	status_of(child);
	read(ends[0], back, 1);
	close(ends[1]);
	ok(poll(entries, 1, 0) == 1 && (entries[0].revents & POLLHUP), "no writer: POLLHUP");
	close(ends[0]);
	pipe(ends);
	close(ends[0]);
	entries[0] = (struct pollfd){ .fd = ends[1], .events = POLLOUT };
	ok(poll(entries, 1, 0) == 1 && (entries[0].revents & POLLERR), "no reader: POLLERR");
	close(ends[1]);
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	basics();
	filling();
	broken();
	streaming();
	atomic_writes();
	untouched_memory();
	polling();
	return done();
}
