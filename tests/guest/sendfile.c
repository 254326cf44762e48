/*
 * sendfile, splice, tee, vmsplice, copy_file_range, preadv2: what they move, what stays, what they refuse.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <linux/fs.h> /* RWF_DSYNC */
#include <signal.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define SIZE 100000

static char bytes[SIZE], back[2 * SIZE];
static char from_path[64], to_path[64];

static int new_file(const char *path, size_t length)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (write(fd, bytes, length) != (ssize_t)length || lseek(fd, 0, SEEK_SET) != 0)
		ok(false, "%s is written", path);
	return fd;
}

/* The file's content is bytes[start, start + length). */
static bool holds(int fd, size_t start, size_t length)
{
	return pread(fd, back, sizeof(back), 0) == (ssize_t)length &&
	       memcmp(back, bytes + start, length) == 0;
}

static void sending(void)
{
	int in = new_file(from_path, SIZE), out = new_file(to_path, 0), ends[2];
	off_t offset = 1000;
	ssize_t part;
	size_t total = 0;
	pid_t child;

	ok(sendfile(out, in, NULL, SIZE + 5000) == SIZE && holds(out, 0, SIZE),
	   "sendfile copies a file");
	ok(lseek(in, 0, SEEK_CUR) == SIZE && lseek(out, 0, SEEK_CUR) == SIZE, "and moves both");
	ok(sendfile(out, in, NULL, 10) == 0, "to the end");
	lseek(out, 0, SEEK_SET);
	ftruncate(out, 0);
	ok(sendfile(out, in, &offset, 500) == 500 && offset == 1500 && holds(out, 1000, 500) &&
		   lseek(in, 0, SEEK_CUR) == SIZE,
	   "from an offset, which moves instead");
	offset = -1;
	fails(sendfile(out, in, &offset, 1), EINVAL, "a bad offset");
	fails(sendfile(in, 99, NULL, 1), EBADF, "a bad descriptor");
	close(out);
	out = open(to_path, O_RDONLY);
	fails(sendfile(out, in, NULL, 1), EBADF, "to a file that cannot be written");
	close(out);
	out = open(to_path, O_WRONLY | O_APPEND);
	fails(sendfile(out, in, NULL, 1), EINVAL, "to one that appends");
	close(out);

	pipe(ends);
	fails(sendfile(ends[1], ends[0], NULL, 1), EINVAL, "from a pipe");
	child = fork();
	if (child == 0) {
		offset = 0;
		close(ends[0]);
		while (offset < SIZE && sendfile(ends[1], in, &offset, (size_t)(SIZE - offset)) > 0)
			;
		_exit(offset == SIZE ? 0 : 1);
	}
	close(ends[1]);
	while ((part = read(ends[0], back + total, 3333)) > 0)
		total += (size_t)part;
	ok(total == SIZE && memcmp(back, bytes, SIZE) == 0, "into a pipe, which has less room");
	waitpid(child, NULL, 0);
	close(ends[0]);

	pipe2(ends, O_NONBLOCK);
	offset = 0;
	part = sendfile(ends[1], in, &offset, SIZE);
	ok(part > 0 && part <= 65536 && offset == part, "a full pipe ends it (%zd)", part);
	fails(sendfile(ends[1], in, &offset, SIZE), EAGAIN, "then there is no room");
	ok(offset == part, "and nothing is skipped");
	close(ends[0]);
	signal(SIGPIPE, SIG_IGN);
	fails(sendfile(ends[1], in, &offset, 10), EPIPE, "nor a reader in the end");
	signal(SIGPIPE, SIG_DFL);
	close(ends[1]);
	close(in);
}

static void splicing(void)
{
	int in = new_file(from_path, SIZE), out = new_file(to_path, 0), a[2], b[2];
	off_t offset = 100;
	pid_t child;
	int status = -1;

	pipe2(a, O_NONBLOCK);
	pipe2(b, O_NONBLOCK);
	ok(splice(in, &offset, a[1], NULL, 10000, 0) == 10000 && offset == 10100,
	   "splice from a file into a pipe");
	ok(splice(a[0], NULL, b[1], NULL, 4000, SPLICE_F_MOVE) == 4000, "from pipe to pipe");
	ok(splice(b[0], NULL, out, NULL, 10000, 0) == 4000 && holds(out, 100, 4000),
	   "from a pipe into a file");
	ok(read(a[0], back, SIZE) == 6000 && memcmp(back, bytes + 4100, 6000) == 0,
	   "the rest is still there");
	fails(splice(a[0], NULL, out, NULL, 10, 0), EAGAIN, "an empty pipe");
	fails(splice(a[0], &offset, out, NULL, 10, 0), ESPIPE, "a pipe has no offset");
	fails(splice(in, NULL, out, NULL, 10, 0), EINVAL, "two files");
	fails(splice(a[0], NULL, a[1], NULL, 10, 0), EINVAL, "a pipe and itself");
	fails(splice(a[0], NULL, out, NULL, 10, 0x100), EINVAL, "unknown flags");
	ok(splice(a[0], NULL, out, NULL, 0, 0) == 0, "nothing of nothing");

	write(a[1], bytes, 5000);
	ok(tee(a[0], b[1], 3000, 0) == 3000 && read(b[0], back, SIZE) == 3000 &&
		   memcmp(back, bytes, 3000) == 0 && read(a[0], back, SIZE) == 5000,
	   "tee takes nothing away");
	fails(tee(in, b[1], 10, 0), EINVAL, "tee knows pipes only");

	struct iovec vectors[] = { { bytes, 10 }, { bytes + 50, 20 } };
	struct iovec into[] = { { back, 15 }, { back + 100, 15 } };
	ok(vmsplice(a[1], vectors, 2, 0) == 30 && vmsplice(a[0], into, 2, 0) == 30 &&
		   memcmp(back, bytes, 10) == 0 && memcmp(back + 100, bytes + 55, 15) == 0,
	   "vmsplice, both ways");
	fails(vmsplice(in, vectors, 2, 0), EBADF, "vmsplice knows pipes only");

	/* A pipe that is nearly full accepts a part of what is offered, and the rest stays. */
	write(a[1], bytes, 60000);
	write(b[1], bytes, 60000);
	ok(splice(a[0], NULL, b[1], NULL, 60000, 0) > 0, "into a pipe that is nearly full");
	fails(splice(a[0], NULL, b[1], NULL, 60000, 0), EAGAIN, "until it is");
	ok(read(b[0], back, 60000) == 60000, "it is read");
	size_t got = 0;
	do {
		ssize_t part = read(b[0], back + got, SIZE);
		got += part > 0 ? (size_t)part : 0;
	} while (splice(a[0], NULL, b[1], NULL, 60000, 0) > 0);
	ok(got == 60000 && memcmp(back, bytes, 60000) == 0, "and nothing is lost (%zu)", got);
	close(a[0]);
	close(a[1]);
	close(b[0]);
	close(b[1]);

	/* Who waits in a splice gets what comes, and can be killed. */
	pipe(a);
	child = fork();
	if (child == 0) {
		close(a[1]);
		ftruncate(out, 0);
		offset = 0;
		_exit(splice(a[0], NULL, out, &offset, 10000, 0) == 700 &&
				      splice(a[0], NULL, out, &offset, 10000, 0) == 0
			      ? 0
			      : 1);
	}
	usleep(3000);
	write(a[1], bytes, 700);
	usleep(3000);
	close(a[1]);
	ok(waitpid(child, &status, 0) == child && status == 0 && holds(out, 0, 700),
	   "splice waits for its pipe");
	close(a[0]);
	pipe(a);
	child = fork();
	if (child == 0) {
		splice(a[0], NULL, out, NULL, 10, 0);
		_exit(1);
	}
	usleep(3000);
	kill(child, SIGKILL);
	ok(waitpid(child, &status, 0) == child && WIFSIGNALED(status), "and can be killed");
	close(a[0]);
	close(a[1]);
	close(in);
	close(out);
}

static void copying(void)
{
	int in = new_file(from_path, SIZE), out = new_file(to_path, 0), ends[2], dir;
	off_t from = 10, to = 0;

	ok(copy_file_range(in, &from, out, &to, 40000, 0) == 40000 && from == 40010 &&
		   to == 40000 && holds(out, 10, 40000),
	   "copy_file_range copies");
	ok(lseek(in, 0, SEEK_CUR) == 0, "at the offsets that it is given");
	ok(copy_file_range(in, NULL, out, NULL, 100, 0) == 100 && lseek(in, 0, SEEK_CUR) == 100,
	   "or at the files' own");
	from = SIZE;
	ok(copy_file_range(in, &from, out, NULL, 100, 0) == 0, "to the end");
	from = 0;
	to = 50;
	fails(copy_file_range(in, &from, in, &to, 100, 0), EINVAL, "a range into itself");
	to = SIZE;
	ok(copy_file_range(in, &from, in, &to, 100, 0) == 100, "another range of the same file");
	fails(copy_file_range(in, NULL, out, NULL, 1, 1), EINVAL, "flags");
	pipe(ends);
	fails(copy_file_range(ends[0], NULL, out, NULL, 1, 0), EINVAL, "a pipe");
	dir = open("/", O_RDONLY);
	fails(copy_file_range(dir, NULL, out, NULL, 1, 0), EISDIR, "a directory");
	close(dir);
	close(ends[0]);
	close(ends[1]);
	close(in);
	close(out);
	unlink(from_path);
}

/* musl has none of these yet. */
static ssize_t read_vectors(int fd, struct iovec *parts, int count, off_t offset, int flags)
{
	return syscall(SYS_preadv2, fd, parts, count, offset, 0, flags);
}

static ssize_t write_vectors(int fd, struct iovec *parts, int count, off_t offset, int flags)
{
	return syscall(SYS_pwritev2, fd, parts, count, offset, 0, flags);
}

static void vectors(void)
{
	int fd = new_file(to_path, 1000), ends[2];
	struct iovec parts[] = { { back, 10 }, { back + 20, 10 } };

	ok(read_vectors(fd, parts, 2, 100, 0) == 20 && memcmp(back, bytes + 100, 10) == 0 &&
		   memcmp(back + 20, bytes + 110, 10) == 0 && lseek(fd, 0, SEEK_CUR) == 0,
	   "preadv2 at an offset");
	ok(read_vectors(fd, parts, 2, -1, 0) == 20 && lseek(fd, 0, SEEK_CUR) == 20,
	   "at the file's own");
	ok(write_vectors(fd, parts, 2, 0, RWF_DSYNC) == 20, "pwritev2, which is safe at once");
	fails(read_vectors(fd, parts, 2, 0, 0x4000000), EOPNOTSUPP, "unknown flags");
	fails(preadv(fd, parts, 2, -2), EINVAL, "a negative offset");
	pipe(ends);
	fails(pread(ends[0], back, 1, 0), ESPIPE, "a pipe has no offsets");
	ok(write_vectors(ends[1], parts, 2, -1, 0) == 20 &&
		   read_vectors(ends[0], parts, 2, -1, 0) == 20,
	   "but needs none");
	close(ends[0]);
	close(ends[1]);
	close(fd);
	unlink(to_path);
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	snprintf(from_path, sizeof(from_path), "/tmp/from.%d", getpid());
	snprintf(to_path, sizeof(to_path), "/tmp/to.%d", getpid());
	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (char)(i * 7 + i / 4096);
	sending();
	splicing();
	copying();
	vectors();
	return done();
}
