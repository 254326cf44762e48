/*
 * Moving bytes: vectors, limits, polling, mapped files, and who may write what runs.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#define PATH "/tmp/hawser-transfers"
#define PAGE 4096

static void vectors_are_scattered_and_gathered(void)
{
	char a[4] = { 0 }, b[8] = { 0 };
	struct iovec out[] = { { "one", 3 }, { "", 0 }, { "two", 3 }, { "three", 5 } };
	struct iovec in[] = { { a, 4 }, { NULL, 0 }, { b, 7 } };
	struct iovec many[1025];
	int fd = open(PATH, O_RDWR | O_CREAT | O_TRUNC, 0644);

	ok(writev(fd, out, 4) == 11, "writev");
	lseek(fd, 0, SEEK_SET);
	ok(readv(fd, in, 3) == 11 && memcmp(a, "onet", 4) == 0 && memcmp(b, "wothree", 7) == 0,
	   "readv");
	ok(readv(fd, in, 3) == 0, "readv at the end");
	ok(pwritev(fd, out, 1, 100) == 3 && lseek(fd, 0, SEEK_CUR) == 11,
	   "pwritev leaves the offset");
	ok(preadv(fd, in, 1, 99) == 4 && memcmp(a, "\0one", 4) == 0, "preadv");
	fails(preadv(fd, in, 1, -1), EINVAL, "a negative offset");
	in[0].iov_len = (size_t)-1;
	fails(readv(fd, in, 3), EINVAL, "a negative length");
	for (int i = 0; i < 1025; i++)
		many[i] = (struct iovec){ "x", 1 };
	fails(writev(fd, many, 1025), EINVAL, "too many");
	ok(writev(fd, many, 1024) == 1024, "as many as may be");
	ok(writev(fd, NULL, 0) == 0, "none at all");
	close(fd);
}

static void limits_are_obeyed(void)
{
	struct rlimit old, limit;
	int fd = open(PATH, O_RDWR | O_TRUNC), last;

	getrlimit(RLIMIT_NOFILE, &old);
	limit = (struct rlimit){ 10, old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &limit);
	while ((last = dup(fd)) >= 0)
		if (last >= 10)
			break;
	ok(last == -1 && errno == EMFILE, "RLIMIT_NOFILE");
	fails(fcntl(fd, F_DUPFD, 10), EINVAL, "F_DUPFD from beyond it");
	fails(dup2(fd, 10), EBADF, "dup2 to beyond it");
	for (int i = fd + 1; i < 10; i++)
		close(i);
	setrlimit(RLIMIT_NOFILE, &old);
	ok(dup2(fd, 700) == 700 && close(700) == 0, "a high descriptor");
	ok(syscall(SYS_close_range, 100, ~0u, 0) == 0, "close_range");
	fails(syscall(SYS_close_range, 2, 1, 0), EINVAL, "a backward range");
	close(fd);
}

static void readiness_is_told(void)
{
	int fd = open(PATH, O_RDONLY);
	struct pollfd polls[] = { { fd, POLLIN | POLLOUT, 0 },
				  { -1, POLLIN, 7 },
				  { 99, POLLIN, 0 } };
	struct timespec before, after;
	struct timeval timeout = { 0, 0 };
	fd_set set;
	long ms;

	ok(poll(polls, 1, -1) == 1 && polls[0].revents == (POLLIN | POLLOUT),
	   "a file is always ready");
	ok(poll(polls, 3, 0) == 2 && polls[1].revents == 0 && polls[2].revents == POLLNVAL,
	   "a negative descriptor is passed over, a bad one is told");
	clock_gettime(CLOCK_MONOTONIC, &before);
	ok(poll(NULL, 0, 50) == 0, "poll of nothing times out");
	clock_gettime(CLOCK_MONOTONIC, &after);
	ms = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
	ok(ms >= 49 && ms < 1000, "after as long as it was told");
	FD_ZERO(&set);
	FD_SET(fd, &set);
	ok(select(fd + 1, &set, NULL, NULL, &timeout) == 1 && FD_ISSET(fd, &set), "select");
	FD_ZERO(&set);
	ok(select(fd + 1, &set, NULL, NULL, &timeout) == 0, "select of nothing");
	FD_SET(99, &set);
	fails(select(100, &set, NULL, NULL, &timeout), EBADF, "select of a bad descriptor");
	fails(poll(polls, 1u << 30, 0), EINVAL, "more than there can be");
	close(fd);
}

static void descriptors_say_what_they_are(void)
{
	int fd = open(PATH, O_RDWR | O_APPEND | O_CLOEXEC), other = open("/dev/null", O_WRONLY),
	    on = 1;

	ok((fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND)) == (O_RDWR | O_APPEND), "F_GETFL");
	ok(fcntl(fd, F_SETFL, O_NONBLOCK) == 0 &&
		   (fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK)) ==
			   (O_RDWR | O_NONBLOCK),
	   "F_SETFL changes what may be changed");
	ok(fcntl(fd, F_GETFD) == FD_CLOEXEC, "O_CLOEXEC");
	ok(ioctl(fd, FIONCLEX) == 0 && fcntl(fd, F_GETFD) == 0, "FIONCLEX");
	ok(ioctl(other, FIONBIO, &on) == 0 && (fcntl(other, F_GETFL) & O_NONBLOCK), "FIONBIO");
	fails(fcntl(fd, 12345), EINVAL, "an unknown command");
	fails(dup3(fd, fd, 0), EINVAL, "dup3 to itself");
	ok(dup3(fd, 20, O_CLOEXEC) == 20 && fcntl(20, F_GETFD) == FD_CLOEXEC,
	   "dup3 with O_CLOEXEC");
	close(20);
	close(other);
	close(fd);
}

static void files_are_mapped(void)
{
	char text[16] = { 0 }, *shared, *private, *again;
	int fd = open(PATH, O_RDWR | O_TRUNC), reader = open(PATH, O_RDONLY), writer;

	write(fd, "0123456789", 10);
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	again = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, reader, 0);
	ok(shared != MAP_FAILED && private != MAP_FAILED && again != MAP_FAILED, "three mappings");
	ok(memcmp(shared, "0123456789\0", 11) == 0, "the file is seen, and zeroes behind it");
	shared[0] = 'S';
	ok(again[0] == 'S' && private[0] == 'S', "a shared write is seen by all");
	private[1] = 'P';
	ok(shared[1] == '1' && again[1] == '1', "a private one by nobody");
	ok(pread(reader, text, 10, 0) == 10 && memcmp(text, "S123456789", 10) == 0, "read sees it");
	ok(pwrite(fd, "W", 1, 2) == 1 && shared[2] == 'W' && again[2] == 'W', "write is seen");
	close(fd);
	shared[3] = 'C';
	ok(pread(reader, text, 10, 0) == 10 && text[3] == 'C', "after close too");
	fails(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, reader, 0), EACCES,
	      "a shared mapping to write needs O_RDWR");
	fails(mprotect(again, PAGE, PROT_READ | PROT_WRITE), EACCES, "mprotect does not give it");
	ok(mprotect(private, PAGE, PROT_READ) == 0, "it takes");
	writer = open(PATH, O_WRONLY);
	fails(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, writer, 0), EACCES, "a write-only file");
	fails(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, writer, 0x7ffffffffffff000), EOVERFLOW,
	      "beyond all files");
	close(writer);
	writer = open("/tmp", O_RDONLY);
	fails(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, writer, 0), ENODEV, "a directory");
	close(writer);
	munmap(shared, PAGE);
	munmap(private, PAGE);
	munmap(again, PAGE);
	close(reader);
	fd = open("/dev/zero", O_RDWR);
	private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ok(private != MAP_FAILED && private[100] == 0 && (private[100] = 1), "/dev/zero is mapped");
	munmap(private, PAGE);
	close(fd);
}

static void truncation_reaches_mappings(void)
{
	int fd = open(PATH, O_RDWR | O_TRUNC);
	char *map;

	ftruncate(fd, 3 * PAGE);
	map = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	memset(map, 'x', 3 * PAGE);
	ok(ftruncate(fd, 100) == 0 && ftruncate(fd, 3 * PAGE) == 0, "cut and grown again");
	ok(map[99] == 'x' && map[100] == 0 && map[PAGE] == 0 && map[2 * PAGE] == 0,
	   "what was cut off is zeroes");
	fails(ftruncate(fd, -1), EINVAL, "a negative size");
	fails(truncate("/tmp", 0), EISDIR, "truncating a directory");
	ok(truncate(PATH, 5) == 0 && lseek(fd, 0, SEEK_END) == 5, "truncate by name");
	munmap(map, 3 * PAGE);
	close(fd);
	fd = open(PATH, O_RDONLY);
	fails(ftruncate(fd, 0), EINVAL, "truncating what is open for reading");
	close(fd);
}

static void what_runs_is_not_written(void)
{
	char name[256] = { 0 }, magic[4];
	struct stat a, b;
	int fd;

	ok(readlink("/proc/self/exe", name, sizeof(name) - 1) > 0, "this program has a name");
	fails(open(name, O_WRONLY), ETXTBSY, "writing it is ETXTBSY");
	fails(open("/proc/self/exe", O_RDWR), ETXTBSY, "by its other name too");
	fd = open("/proc/self/exe", O_RDONLY);
	ok(fd >= 0 && read(fd, magic, 4) == 4 && memcmp(magic, "\177ELF", 4) == 0,
	   "it can be read");
	ok(fstat(fd, &a) == 0 && stat(name, &b) == 0 && a.st_ino == b.st_ino &&
		   a.st_size == b.st_size,
	   "and is the same file");
	close(fd);
}

static void devices_do_what_they_should(void)
{
	char a[64] = "x", b[64];
	int fd = open("/dev/full", O_RDWR);
	struct stat st;

	fails(write(fd, "x", 1), ENOSPC, "/dev/full is full");
	ok(read(fd, a, 1) == 1 && a[0] == 0, "and reads as zeroes");
	ok(fstat(fd, &st) == 0 && S_ISCHR(st.st_mode), "a character device");
	close(fd);
	fd = open("/dev/null", O_RDWR);
	ok(write(fd, a, 64) == 64 && read(fd, a, 64) == 0, "/dev/null");
	fails(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0), ENODEV, "it is not mapped");
	close(fd);
	ok(syscall(SYS_getrandom, a, 64, 0) == 64 && syscall(SYS_getrandom, b, 64, 0) == 64 &&
		   memcmp(a, b, 64) != 0,
	   "getrandom");
	fails(syscall(SYS_getrandom, a, 64, 0x80), EINVAL, "with an unknown flag");
	fails(open("/dev/none", O_RDONLY), ENOENT, "no such device");
	fails(open("/proc/none", O_RDONLY), ENOENT, "nor such a file of /proc");
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	vectors_are_scattered_and_gathered();
	limits_are_obeyed();
	readiness_is_told();
	descriptors_say_what_they_are();
	files_are_mapped();
	truncation_reaches_mappings();
	what_runs_is_not_written();
	devices_do_what_they_should();
	unlink(PATH);
	return done();
}
