/*
 * What descriptors answer where one might not expect anything: offsets of what has none, flags of single reads and
 * writes (preadv2), appending, locks of pipes and sockets, times of access, and names that are no names.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#define BASE       "/tmp/hawser-edges"
#define NOWAIT     0x08      /* RWF_NOWAIT */
#define APPEND     0x10      /* RWF_APPEND */
#define GET_BSZ    2         /* FIGETBSZ */
#define STRICTTIME (1 << 24) /* MS_STRICTATIME */

static long read_with(int fd, void *to, size_t length, long offset, int flags)
{
	struct iovec part = { to, length };

	return syscall(SYS_preadv2, fd, &part, 1L, offset, 0L, flags);
}

static long write_with(int fd, const void *from, size_t length, long offset, int flags)
{
	struct iovec part = { (void *)from, length };

	return syscall(SYS_pwritev2, fd, &part, 1L, offset, 0L, flags);
}

static void offsets(void)
{
	sigset_t none;
	char byte;

	sigemptyset(&none);
	const struct {
		const char *name;
		int fd;
	} files[] = {
		{ "epoll", epoll_create1(0) },
		{ "eventfd", eventfd(0, EFD_NONBLOCK) },
		{ "signalfd", signalfd(-1, &none, SFD_NONBLOCK) },
		{ "timerfd", timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK) },
		{ "inotify", inotify_init1(IN_NONBLOCK) },
	};
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		ok(lseek(files[i].fd, 5, SEEK_SET) == 0 && lseek(files[i].fd, 0, SEEK_END) == 0,
		   "%s: seeking goes nowhere", files[i].name);
		fails(pread(files[i].fd, &byte, 1, 0), ESPIPE,
		      "and there is no reading from anywhere");
		ok(posix_fadvise(files[i].fd, 0, 0, POSIX_FADV_NORMAL) == 0,
		   "though advice is taken");
		fails(fsync(files[i].fd), EINVAL, "and nothing to be kept");
		close(files[i].fd);
	}
}

static void waiting_or_not(void)
{
	int ends[2], pair[2], fd;
	uint64_t value = 0;
	char text[16] = "";

	pipe(ends);
	fails(read_with(ends[0], text, 1, -1, NOWAIT), EAGAIN, "a pipe is not waited for");
	write(ends[1], "abc", 3);
	ok(read_with(ends[0], text, 3, -1, NOWAIT) == 3 && memcmp(text, "abc", 3) == 0,
	   "what is in it is read");
	fails(read_with(ends[0], text, 1, 0, NOWAIT), ESPIPE, "from no offset");
	static char many[1 << 17];
	ok(write_with(ends[1], many, sizeof(many), -1, NOWAIT) > 0, "it is filled");
	fails(write_with(ends[1], many, 1, -1, NOWAIT), EAGAIN, "nor is room waited for");
	close(ends[0]);
	close(ends[1]);
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	fails(read_with(pair[0], text, 1, -1, NOWAIT), EAGAIN, "nor a socket");
	close(pair[0]);
	close(pair[1]);
	fd = eventfd(0, 0);
	fails(read_with(fd, &value, sizeof(value), -1, NOWAIT), EAGAIN, "nor a counter");
	ok((fcntl(fd, F_GETFL) & O_NONBLOCK) == 0, "which is only for this once");
	close(fd);
	fails(read_with(0, text, 1, -1, 0x4000), EOPNOTSUPP, "unknown flags are refused");
}

static void appending(void)
{
	int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0644), two[2], status;
	char text[32] = "";
	bool whole = true;
	struct stat st;

	write(fd, "0123456789", 10);
	ok(write_with(fd, "ab", 2, 3, APPEND) == 2 && pread(fd, text, sizeof(text), 0) == 12 &&
		   memcmp(text, "0123456789ab", 12) == 0,
	   "RWF_APPEND goes to the end, whatever offset is said");
	ok(lseek(fd, 0, SEEK_CUR) == 10, "which leaves the file's");
	lseek(fd, 0, SEEK_SET);
	ok(write_with(fd, "cd", 2, -1, APPEND) == 2 && lseek(fd, 0, SEEK_CUR) == 14,
	   "and otherwise moves it there");
	ok(ftruncate(fd, 0) == 0 && close(fd) == 0, "it is emptied");

	for (int i = 0; i < 2; i++) {
		two[i] = fork();
		if (two[i] != 0)
			continue;
		static char body[5000];
		memset(body, 'a' + i, sizeof(body));
		struct iovec parts[] = { { body, 1 }, { body, sizeof(body) - 2 }, { "\n", 1 } };
		fd = open("file", O_WRONLY | O_APPEND);
		for (int n = 0; n < 40; n++) {
			if (writev(fd, parts, 3) != 5000)
				_exit(1);
			if (n % 4 == 0)
				sched_yield();
		}
		_exit(0);
	}
	for (int i = 0; i < 2; i++) {
		waitpid(two[i], &status, 0);
		whole = whole && status == 0;
	}
	fd = open("file", O_RDONLY);
	static char record[5000];
	while (read(fd, record, sizeof(record)) == (ssize_t)sizeof(record)) {
		for (size_t i = 1; i + 1 < sizeof(record); i++)
			whole = whole && record[i] == record[0];
		whole = whole && record[sizeof(record) - 1] == '\n';
	}
	ok(whole && fstat(fd, &st) == 0 && st.st_size == 80 * 5000,
	   "what writev(2) appends stays together");
	close(fd);
}

static void questions(void)
{
	int fd = open("file", O_RDWR | O_TRUNC), count = -1, size = 0;

	write(fd, "0123456789", 10);
	lseek(fd, 4, SEEK_SET);
	ok(ioctl(fd, FIONREAD, &count) == 0 && count == 6, "FIONREAD is what is left of a file");
	ok(ioctl(fd, GET_BSZ, &size) == 0 && size == 4096, "FIGETBSZ is a page");
	close(fd);
	fails(readlink("", (char[8]){ 0 }, 8), ENOENT, "a link without a name is none");
	fd = open(".", O_PATH);
	fails(readlinkat(fd, "", (char[8]){ 0 }, 8), ENOENT,
	      "nor what a descriptor is no link for");
	close(fd);
	symlink("target", "link");
	fd = open("link", O_PATH | O_NOFOLLOW);
	char text[8];
	ok(readlinkat(fd, "", text, 8) == 6, "but one that is");
	close(fd);
	unlink("link");
	mkdir("d", 0755);
	fails(rmdir("d/."), EINVAL, "a dot is not removed");
	fails(rmdir("d/.."), ENOTEMPTY, "two are not empty");
	fails(rmdir("/"), EBUSY, "and the root is in use");
	fails(unlink("d/.."), EISDIR, "nothing of it is unlinked");
	rmdir("d");
}

static void locks(void)
{
	struct flock lock = { .l_type = F_WRLCK };
	int ends[2], pair[2], other;
	char path[64];

	pipe(ends);
	ok(flock(ends[0], LOCK_EX) == 0, "a pipe is locked");
	fails(flock(ends[1], LOCK_EX | LOCK_NB), EWOULDBLOCK, "both of its ends are");
	ok(flock(ends[0], LOCK_UN) == 0 && flock(ends[1], LOCK_EX | LOCK_NB) == 0, "one at a time");
	close(ends[1]);
	ok(flock(ends[0], LOCK_EX | LOCK_NB) == 0, "closing unlocks");
	close(ends[0]);
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	ok(flock(pair[0], LOCK_EX) == 0 && flock(pair[1], LOCK_EX | LOCK_NB) == 0,
	   "sockets are locked one by one");
	ok(fcntl(pair[0], F_SETLK, &lock) == 0, "in parts as well");
	close(pair[0]);
	close(pair[1]);
	pipe(ends);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
	other = open(path, O_RDONLY | O_NONBLOCK);
	ok(flock(ends[0], LOCK_EX) == 0, "a pipe that is opened again");
	fails(flock(other, LOCK_EX | LOCK_NB), EWOULDBLOCK, "is the same");
	close(other);
	close(ends[0]);
	close(ends[1]);
}

/* --- times of access ----------------------------------------------------------------------------------- */

static struct timespec accessed(const char *path)
{
	struct stat st = { 0 };

	lstat(path, &st);
	return st.st_atim;
}

static bool later(struct timespec a, struct timespec b)
{
	return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

static void set_times(const char *path, time_t access, time_t modified)
{
	struct timespec times[2] = { { access, 0 }, { modified, 0 } };

	utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

static bool reading_counts(const char *path, int flags)
{
	struct timespec before = accessed(path);
	char byte;
	int fd = open(path, O_RDONLY | flags);

	if (read(fd, &byte, 1) != 1)
		return false;
	close(fd);
	return later(accessed(path), before);
}

static void times_of_access(void)
{
	struct timespec before;
	time_t now = time(NULL);
	int fd;

	mkdir("t", 0755);
	mount("times", BASE "/t", "tmpfs", 0, NULL);
	fd = open("t/file", O_RDWR | O_CREAT, 0644);
	write(fd, "0123456789", 10);
	set_times("t/file", now - 100, now - 50);
	ok(reading_counts("t/file", 0), "reading what has changed is noted");
	usleep(10000); /* Linux's clock for this has ticks */
	fd = open("t/file", O_RDWR);
	before = accessed("t/file");
	char byte;
	ok(read(fd, &byte, 1) == 1 && !later(accessed("t/file"), before), "once");
	usleep(10000);
	write(fd, "x", 1);
	usleep(10000);
	ok(reading_counts("t/file", 0), "and again when it has changed again");
	usleep(10000);
	write(fd, "x", 1);
	usleep(10000);
	ok(!reading_counts("t/file", O_NOATIME), "not with O_NOATIME");
	void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	ok(later(accessed("t/file"), before), "mapping is noted");
	munmap(map, 4096);
	close(fd);
	mkdir("t/dir", 0755);
	symlink("file", "t/link");
	set_times("t/dir", now - 100, now - 50);
	before = accessed("t/dir");
	fd = open("t/dir", O_RDONLY | O_DIRECTORY);
	char entries[512];
	syscall(SYS_getdents64, fd, entries, sizeof(entries));
	close(fd);
	ok(later(accessed("t/dir"), before), "listing is noted");
	set_times("t/link", now - 100, now - 50);
	before = accessed("t/link");
	ok(readlink("t/link", entries, sizeof(entries)) == 4 && later(accessed("t/link"), before),
	   "reading a link is");

	mount(NULL, BASE "/t", NULL, MS_REMOUNT | STRICTTIME, NULL);
	reading_counts("t/file", 0);
	usleep(10000);
	ok(reading_counts("t/file", 0), "with MS_STRICTATIME each time is noted");
	mount(NULL, BASE "/t", NULL, MS_REMOUNT | MS_NOATIME, NULL);
	set_times("t/file", now - 100, now - 50);
	ok(!reading_counts("t/file", 0), "with MS_NOATIME none is");
	umount2(BASE "/t", 0);
	rmdir("t");
}

static void reading_is_told(void)
{
	struct inotify_event event = { 0 };
	int in = inotify_init1(IN_NONBLOCK), fd, watch;
	char byte;

	watch = inotify_add_watch(in, "file", IN_ACCESS);
	fd = open("file", O_RDONLY);
	fails(read(in, &event, sizeof(event)), EAGAIN, "opening is not reading");
	read(fd, &byte, 1);
	ok(read(in, &event, sizeof(event)) == sizeof(event) && event.mask == IN_ACCESS &&
		   event.wd == watch,
	   "reading is IN_ACCESS");
	lseek(fd, 0, SEEK_END);
	read(fd, &byte, 1);
	fails(read(in, &event, sizeof(event)), EAGAIN, "reading nothing is not");
	close(fd);
	close(in);
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	if (!on_hawser() &&
	    (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0))
		ok(false, "a name space of its own");
	mkdir(BASE, 0755);
	chdir(BASE);
	offsets();
	waiting_or_not();
	appending();
	questions();
	locks();
	times_of_access();
	reading_is_told();
	unlink("file");
	chdir("/");
	rmdir(BASE);
	return done();
}
