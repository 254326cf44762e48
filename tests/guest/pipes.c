/*
 * Pipes: their bytes and ends, what fills them and what breaks them, atomic writes, poll and ioctl.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
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

/* writev counts as one write, however many buffers it has. */
static void atomic_vectors(void)
{
	enum { WRITERS = 3, MESSAGES = 60, PARTS = 8, LENGTH = 4096 };
	static char message[LENGTH], got[LENGTH];
	struct iovec vectors[PARTS];
	int ends[2], counts[WRITERS] = { 0 };
	bool whole = true;
	size_t have = 0;
	ssize_t part;

	pipe(ends);
	for (int i = 0; i < WRITERS; i++) {
		if (fork() == 0) {
			memset(message, 'a' + i, LENGTH);
			for (int n = 0; n < PARTS; n++)
				vectors[n] = (struct iovec){ message + n * (LENGTH / PARTS),
							     LENGTH / PARTS };
			for (int n = 0; n < MESSAGES; n++)
				writev(ends[1], vectors, PARTS);
			_exit(0);
		}
	}
	close(ends[1]);
	while ((part = read(ends[0], got + have, LENGTH - have)) > 0) {
		have += (size_t)part;
		if (have < LENGTH)
			continue;
		for (int i = 1; i < LENGTH; i++)
			whole = whole && got[i] == got[0];
		counts[(got[0] - 'a') % WRITERS]++;
		have = 0;
	}
	for (int i = 0; i < WRITERS; i++)
		wait(NULL);
	ok(whole && counts[0] == MESSAGES && counts[1] == MESSAGES && counts[2] == MESSAGES,
	   "writev of PIPE_BUF bytes is whole");
	close(ends[0]);
}

/* A full pipe that is read a little, filled again, and read to the end: round the ring's seam. */
static void seam(void)
{
	int ends[2];
	size_t total = 0;
	ssize_t first, part;
	bool same = true;

	pipe2(ends, O_NONBLOCK);
	write(ends[1], bytes, SIZE);
	read(ends[0], back, 5000);
	first = write(ends[1], bytes + SIZE, 5000);
	ok(first > 0, "a full pipe takes more once it is read (%zd)", first);
	while ((part = read(ends[0], back, 777)) > 0) {
		same = same && memcmp(back, bytes + 5000 + total, (size_t)part) == 0;
		total += (size_t)part;
	}
	ok(same && total == SIZE - 5000 + (size_t)first, "and keeps it all");
	close(ends[0]);
	close(ends[1]);
}

static void sizes(void)
{
	int ends[2], waiting;

	pipe2(ends, O_NONBLOCK);
	ok(fcntl(ends[0], F_GETPIPE_SZ) == SIZE, "a pipe has 65,536 bytes");
	ok(fcntl(ends[1], F_SETPIPE_SZ, 5000) == 8192 && fcntl(ends[0], F_GETPIPE_SZ) == 8192,
	   "whole pages, a power of two");
	ok(write(ends[1], bytes, SIZE) == 8192, "are what fits then");
	fails(fcntl(ends[1], F_SETPIPE_SZ, 4096), EBUSY, "not less than is in it");
	ok(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) == 1 << 20, "a megabyte");
	ok(write(ends[1], bytes + 8192, SIZE) == SIZE && ioctl(ends[0], FIONREAD, &waiting) == 0 &&
		   waiting == SIZE + 8192,
	   "has room behind what was there");
	ok(read(ends[0], back, sizeof(back)) == SIZE + 8192 &&
		   memcmp(back, bytes, SIZE + 8192) == 0,
	   "which is unharmed");
	fails(fcntl(ends[1], F_SETPIPE_SZ, -1), EINVAL, "a size that is none");
	close(ends[0]);
	close(ends[1]);
	fails(fcntl(0, F_GETPIPE_SZ + 100), EINVAL, "an unknown command");
	ends[0] = open("/proc/self/stat", O_RDONLY);
	fails(fcntl(ends[0], F_GETPIPE_SZ), EBADF, "a file has no such size");
	close(ends[0]);
}

/* Many writers and readers of one pipe; some are killed in the middle of it. */
static void packets(void)
{
	int ends[2], count = 0;
	ssize_t size;

	ok(pipe2(ends, O_DIRECT | O_NONBLOCK) == 0 && (fcntl(ends[1], F_GETFL) & O_DIRECT) != 0,
	   "a pipe of packets");
	write(ends[1], "first", 5);
	write(ends[1], "second", 6);
	ok(ioctl(ends[0], FIONREAD, &count) == 0 && count == 11, "has two of them");
	ok(read(ends[0], back, 100) == 5 && memcmp(back, "first", 5) == 0, "one is read at a time");
	ok(read(ends[0], back, 3) == 3 && memcmp(back, "sec", 3) == 0, "or its beginning");
	fails(read(ends[0], back, 100), EAGAIN, "and the rest is gone");
	ok(write(ends[1], bytes, PIPE_BUF + 10) == PIPE_BUF + 10 &&
		   read(ends[0], back, SIZE) == PIPE_BUF && read(ends[0], back, SIZE) == 10,
	   "long ones are cut");
	write(ends[1], "packet", 6);
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	write(ends[1], "plain", 5);
	write(ends[1], "bytes", 5);
	fcntl(ends[1], F_SETFL, O_NONBLOCK | O_DIRECT);
	ok(read(ends[0], back, 100) == 6 && read(ends[0], back, 100) == 10,
	   "bytes behind one are bytes like any");
	write(ends[1], "next", 4);
	ok(fcntl(ends[0], F_SETPIPE_SZ, 4 * 4096) == 4 * 4096 && read(ends[0], back, 100) == 4,
	   "they outlive a change of size");
	for (count = 0; (size = write(ends[1], "x", 1)) == 1; count++)
		;
	ok(size == -1 && errno == EAGAIN && count == 4, "there are as many as pages (%d)", count);
	struct iovec two[2] = { { back, 1 }, { back + 1, 100 } };
	ok(readv(ends[0], two, 2) == 1, "a vector is one read");
	close(ends[0]);
	close(ends[1]);
	int fd = open("/dev/null", O_RDWR);
	fails(fcntl(fd, F_SETFL, O_DIRECT), EINVAL, "O_DIRECT is not for everything");
	close(fd);
}

static void crowd(void)
{
	enum { WRITERS = 6, READERS = 3 };
	pid_t writers[WRITERS], readers[READERS];
	int ends[2], left = 0;

	pipe(ends);
	for (int i = 0; i < WRITERS; i++) {
		writers[i] = fork();
		if (writers[i] == 0) {
			close(ends[0]);
			signal(SIGPIPE, SIG_DFL);
			for (;;)
				write(ends[1], bytes, 10000);
		}
	}
	for (int i = 0; i < READERS; i++) {
		readers[i] = fork();
		if (readers[i] == 0) {
			close(ends[1]);
			for (int n = 0; n < 200; n++)
				read(ends[0], back, 7000);
			_exit(0);
		}
	}
	close(ends[0]);
	close(ends[1]);
	usleep(3000);
	kill(writers[0], SIGKILL);
	kill(readers[0], SIGKILL);
	for (int i = 0; i < READERS; i++)
		status_of(readers[i]);
	for (int i = 0; i < WRITERS; i++) {
		int status = status_of(writers[i]);
		left += !(WIFSIGNALED(status) &&
			  (WTERMSIG(status) == SIGPIPE || (i == 0 && WTERMSIG(status) == SIGKILL)));
	}
	ok(left == 0, "when the last reader goes, all writers do");
}

/* No descriptors, or no room for the second: neither is left. */
static void no_descriptors(void)
{
	struct rlimit old, low;
	int ends[2] = { -1, -1 }, first = dup(0);

	close(first);
	getrlimit(RLIMIT_NOFILE, &old);
	low = old;
	low.rlim_cur = (rlim_t)first + 1;
	setrlimit(RLIMIT_NOFILE, &low);
	fails(pipe(ends), EMFILE, "a pipe needs two descriptors");
	setrlimit(RLIMIT_NOFILE, &old);
	ok(dup(0) == first && ends[0] == -1, "and takes none if there is one");
	close(first);
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
	atomic_vectors();
	seam();
	sizes();
	packets();
	crowd();
	no_descriptors();
	return done();
}
