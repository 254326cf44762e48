/*
 * Names and inodes: hard links, symbolic links that lead in circles, the flags of renameat2(2), files that
 * have no name yet, nodes, openat2(2)'s ways to walk, and times.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <utime.h>

#define BASE "/tmp/hawser-links"

/* renameat2(2) */
#define NOREPLACE 1u
#define EXCHANGE  2u
#define WHITEOUT  4u

static struct stat of(const char *path)
{
	struct stat status = { .st_mode = 0 };

	lstat(path, &status);
	return status;
}

static int make_file(const char *path, const char *content)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, content, strlen(content)) < 0)
		return -1;
	return close(fd);
}

static bool contains(const char *path, const char *content)
{
	char bytes[64] = "";
	int fd = open(path, O_RDONLY);
	bool same = fd >= 0 && read(fd, bytes, sizeof(bytes) - 1) == (ssize_t)strlen(content) &&
		    strcmp(bytes, content) == 0;

	close(fd);
	return same;
}

static void two_names_of_a_file(void)
{
	make_file("a", "content");
	mkdir("dir", 0755);
	ok(link("a", "dir/b") == 0, "a file gets a second name");
	ok(of("a").st_nlink == 2 && of("dir/b").st_nlink == 2 &&
		   of("a").st_ino == of("dir/b").st_ino,
	   "both are the same inode, with two links");
	make_file("dir/b", "changed");
	ok(contains("a", "changed"), "what is written under one name is read under the other");
	chmod("a", 0600);
	ok((of("dir/b").st_mode & 0777) == 0600, "so are the permissions");
	fails(link("a", "dir/b"), EEXIST, "a name is not taken twice");
	fails(link("dir", "dir2"), EPERM, "a directory has one name");
	fails(link("missing", "c"), ENOENT, "what is not there has none");
	fails(link("a", "a/b"), ENOTDIR, "nothing is made below a file");
	ok(unlink("a") == 0 && of("dir/b").st_nlink == 1 && contains("dir/b", "changed"),
	   "without the first name it lives on under the second");
	ok(rename("dir/b", "a") == 0 && contains("a", "changed"), "which can be changed");
	link("a", "b");
	ok(rename("a", "b") == 0 && of("a").st_nlink == 2 && of("b").st_nlink == 2,
	   "renaming one onto the other does nothing");
	make_file("c", "other");
	ok(rename("c", "b") == 0 && of("a").st_nlink == 1 && contains("b", "other") &&
		   contains("a", "changed"),
	   "replacing one leaves the other");
	unlink("a");
	unlink("b");
	rmdir("dir");
}

static void links_of_links(void)
{
	make_file("target", "x");
	symlink("target", "soft");
	ok(link("soft", "hard") == 0 && S_ISLNK(of("hard").st_mode) &&
		   of("hard").st_ino == of("soft").st_ino,
	   "link(2) does not follow a symbolic link");
	ok(linkat(AT_FDCWD, "soft", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW) == 0 &&
		   of("followed").st_ino == of("target").st_ino,
	   "AT_SYMLINK_FOLLOW does");
	fails(linkat(AT_FDCWD, "soft", AT_FDCWD, "x", 0x4000), EINVAL, "other flags are EINVAL");
	unlink("target");
	unlink("soft");
	unlink("hard");
	unlink("followed");
}

static void circles(void)
{
	char name[16], next[16];
	struct stat status;

	symlink("loop", "loop");
	fails(open("loop", O_RDONLY), ELOOP, "a link to itself is ELOOP");
	fails(stat("loop/x", &status), ELOOP, "also on the way");
	ok(S_ISLNK(of("loop").st_mode), "lstat(2) sees the link");
	fails(open("loop", O_RDONLY | O_NOFOLLOW), ELOOP,
	      "so does O_NOFOLLOW, which cannot open it");
	unlink("loop");
	make_file("link40", "end");
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "link%d", i);
		snprintf(next, sizeof(next), "link%d", i + 1);
		symlink(next, name);
	}
	ok(stat("link0", &status) == 0, "forty links are followed");
	symlink("link0", "more");
	fails(stat("more", &status), ELOOP, "one more is ELOOP");
	unlink("more");
	for (int i = 0; i <= 40; i++) {
		snprintf(name, sizeof(name), "link%d", i);
		unlink(name);
	}
}

static int rename2(const char *from, const char *to, unsigned flags)
{
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void renaming_with_flags(void)
{
	make_file("one", "1");
	make_file("two", "2");
	mkdir("dir", 0755);
	make_file("dir/in", "in");
	fails(rename2("one", "two", NOREPLACE), EEXIST, "RENAME_NOREPLACE replaces nothing");
	ok(rename2("one", "three", NOREPLACE) == 0 && rename2("three", "one", NOREPLACE) == 0,
	   "and takes free names");
	ok(rename2("one", "two", EXCHANGE) == 0 && contains("one", "2") && contains("two", "1"),
	   "RENAME_EXCHANGE exchanges two files");
	ok(rename2("one", "dir", EXCHANGE) == 0 && contains("one/in", "in") && contains("dir", "2"),
	   "a file and a directory");
	ok(rename2("one", "dir", EXCHANGE) == 0 && contains("dir/in", "in"), "and back");
	mkdir("other", 0755);
	ok(rename2("dir", "other/file", EXCHANGE) == -1 && errno == ENOENT,
	   "both have to be there");
	make_file("other/file", "f");
	ok(rename2("dir", "other/file", EXCHANGE) == 0 && contains("other/file/in", "in") &&
		   of(".").st_nlink == 3 && of("other").st_nlink == 3,
	   "across directories the link counts follow");
	ok(contains("other/file/../file/in", "in"), "and so does the way up");
	fails(rename2("other", "other/file", EXCHANGE), EINVAL, "nothing gets into itself");
	fails(rename2("other/file", "other", EXCHANGE), EINVAL, "from either side");
	fails(rename2("one", "two", EXCHANGE | NOREPLACE), EINVAL, "the two exclude each other");
	fails(rename2("one", "two", 8), EINVAL, "other flags are EINVAL");
	ok(rename2("one", "moved", WHITEOUT) == 0 && contains("moved", "2") &&
		   S_ISCHR(of("one").st_mode) && of("one").st_rdev == 0,
	   "RENAME_WHITEOUT leaves a device with number 0");
	unlink("one");
	unlink("two");
	unlink("moved");
	unlink("dir");
	unlink("other/file/in");
	rmdir("other/file");
	rmdir("other");
}

static void files_without_a_name(void)
{
	int fd = open(BASE, O_TMPFILE | O_RDWR, 0640), again;
	struct stat status;
	char path[64];

	ok(fd >= 0 && fstat(fd, &status) == 0 && status.st_nlink == 0 &&
		   (status.st_mode & 07777) == 0640,
	   "O_TMPFILE makes a file without a name");
	ok(write(fd, "nameless", 8) == 8, "it is written to");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ok(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0 &&
		   contains("named", "nameless") && fstat(fd, &status) == 0 && status.st_nlink == 1,
	   "and gets one through /proc/self/fd");
	ok(linkat(fd, "", AT_FDCWD, "twice", AT_EMPTY_PATH) == 0 && of("named").st_nlink == 2,
	   "and another with AT_EMPTY_PATH");
	unlink("named");
	unlink("twice");
	fails(linkat(AT_FDCWD, path, AT_FDCWD, "back", AT_SYMLINK_FOLLOW), ENOENT,
	      "a file that has lost its names gets none any more");
	again = open(BASE, O_TMPFILE | O_WRONLY | O_EXCL, 0600);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", again);
	fails(linkat(AT_FDCWD, path, AT_FDCWD, "never", AT_SYMLINK_FOLLOW), ENOENT,
	      "with O_EXCL it never gets one");
	close(again);
	close(fd);
	fails(open(BASE, O_TMPFILE | O_RDONLY, 0600), EINVAL, "it has to be writable");
	fails(open("/dev/null", O_TMPFILE | O_RDWR, 0600), ENOTDIR, "and be made in a directory");
}

static void nodes(void)
{
	struct stat status;
	char byte = 'x';
	int fd;

	ok(mknod("null", S_IFCHR | 0666, makedev(1, 3)) == 0 && stat("null", &status) == 0 &&
		   S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3),
	   "mknod(2) makes a device");
	fd = open("null", O_RDWR);
	ok(fd >= 0 && write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 0, "which is /dev/null");
	close(fd);
	mknod("unknown", S_IFCHR | 0666, makedev(250, 77));
	fails(open("unknown", O_RDONLY), ENXIO, "one that nobody knows cannot be opened");
	ok(mknod("plain", S_IFREG | 0600, 0) == 0 && S_ISREG(of("plain").st_mode) &&
		   mknod("plain2", 0600, 0) == 0 && S_ISREG(of("plain2").st_mode),
	   "or a regular file");
	fails(mknod("plain", S_IFREG | 0600, 0), EEXIST, "not twice");
	fails(mknod("d", S_IFDIR | 0600, 0), EPERM, "but no directory");
	ok(mknod("socket", S_IFSOCK | 0600, 0) == 0 && S_ISSOCK(of("socket").st_mode),
	   "or a socket's name");
	fails(open("socket", O_RDWR), ENXIO, "that cannot be opened");
	unlink("null");
	unlink("unknown");
	unlink("plain");
	unlink("plain2");
	unlink("socket");
}

static int open2(const char *path, int flags, uint64_t resolve)
{
	static int base = -1;
	struct open_how how = { .flags = (uint64_t)flags, .resolve = resolve };

	if (base < 0)
		base = open(BASE, O_PATH | O_DIRECTORY);
	return (int)syscall(SYS_openat2, base, path, &how, sizeof(how));
}

static void ways_to_walk(void)
{
	struct open_how how = { .flags = O_RDONLY, .mode = 0600 };
	struct {
		struct open_how how;
		uint64_t more;
	} longer = { .how = { .flags = O_RDONLY } };
	char path[64];

	mkdir("dir", 0755);
	make_file("file", "f");
	symlink("../file", "dir/up");
	symlink("/file", "root");
	symlink("/tmp", "out");
	ok(close(open2("dir/up", O_RDONLY, 0)) == 0, "openat2(2) opens");
	fails(open2("dir/up", O_RDONLY, RESOLVE_NO_SYMLINKS), ELOOP,
	      "RESOLVE_NO_SYMLINKS: links are ELOOP");
	ok(close(open2("dir/../file", O_RDONLY, RESOLVE_BENEATH)) == 0,
	   "RESOLVE_BENEATH: up and down inside is good");
	ok(close(open2("dir/up", O_RDONLY, RESOLVE_BENEATH)) == 0, "through links, too");
	fails(open2("../hawser-links/file", O_RDONLY, RESOLVE_BENEATH), EXDEV, "out is EXDEV");
	fails(open2("/tmp", O_RDONLY, RESOLVE_BENEATH), EXDEV, "so is an absolute path");
	fails(open2("out", O_RDONLY, RESOLVE_BENEATH), EXDEV, "and an absolute link");
	ok(close(open2("root", O_RDONLY, RESOLVE_IN_ROOT)) == 0 &&
		   close(open2("/../../file", O_RDONLY, RESOLVE_IN_ROOT)) == 0,
	   "RESOLVE_IN_ROOT: absolute is from there, and up ends there");
	fails(open2("out", O_RDONLY, RESOLVE_IN_ROOT), ENOENT, "and what is outside is not there");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", 1);
	fails(open2(path, O_RDONLY, RESOLVE_NO_MAGICLINKS), ELOOP,
	      "RESOLVE_NO_MAGICLINKS: a descriptor's link is ELOOP");
	fails(open2("file", O_RDONLY, UINT64_C(1) << 40), EINVAL, "unknown flags are EINVAL");
	fails(open2("file", 1 << 30, 0), EINVAL, "of either kind");
	fails(syscall(SYS_openat2, AT_FDCWD, "file", &how, sizeof(how)), EINVAL,
	      "a mode for a file that is not made");
	fails(syscall(SYS_openat2, AT_FDCWD, "file", &how, 8), EINVAL, "a structure too short");
	ok(close((int)syscall(SYS_openat2, AT_FDCWD, "file", &longer, sizeof(longer))) == 0,
	   "a longer one with zeroes is good");
	longer.more = 1;
	fails(syscall(SYS_openat2, AT_FDCWD, "file", &longer, sizeof(longer)), E2BIG,
	      "with anything else it is E2BIG");
	unlink("dir/up");
	unlink("root");
	unlink("out");
	unlink("file");
	rmdir("dir");
}

static void times(void)
{
	struct timespec ts[2] = { { 1000, 5 }, { 2000, 6 } };
	struct timeval tv[2] = { { 3000, 7 }, { 4000, 8 } };
	struct utimbuf seconds = { 5000, 6000 };
	struct stat status;
	struct statx x;

	make_file("timed", "");
	ok(utimensat(AT_FDCWD, "timed", ts, 0) == 0 && stat("timed", &status) == 0 &&
		   status.st_atim.tv_sec == 1000 && status.st_atim.tv_nsec == 5 &&
		   status.st_mtim.tv_sec == 2000 && status.st_mtim.tv_nsec == 6,
	   "utimensat(2) sets both times");
	ts[0].tv_nsec = UTIME_OMIT;
	ts[1].tv_nsec = UTIME_NOW;
	ok(utimensat(AT_FDCWD, "timed", ts, 0) == 0 && stat("timed", &status) == 0 &&
		   status.st_atim.tv_sec == 1000 && status.st_mtim.tv_sec > 100000,
	   "one stays, one is now");
	ts[1].tv_nsec = UTIME_OMIT;
	ok(utimensat(AT_FDCWD, "missing", ts, 0) == 0, "both stay: nobody looks");
	ts[1].tv_nsec = 1000000000;
	fails(utimensat(AT_FDCWD, "timed", ts, 0), EINVAL, "too many nanoseconds");
	ok(syscall(SYS_utimes, "timed", tv) == 0 && stat("timed", &status) == 0 &&
		   status.st_atim.tv_nsec == 7000 && status.st_mtim.tv_sec == 4000,
	   "utimes(2)");
	ok(syscall(SYS_utime, "timed", &seconds) == 0 && stat("timed", &status) == 0 &&
		   status.st_atim.tv_sec == 5000 && status.st_mtim.tv_sec == 6000,
	   "utime(2)");
	ok(syscall(SYS_statx, AT_FDCWD, "timed", 0, STATX_BASIC_STATS | STATX_BTIME, &x) == 0 &&
		   (x.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS &&
		   x.stx_mtime.tv_sec == 6000 && x.stx_nlink == 1,
	   "statx(2) tells them");
	ok((x.stx_mask & STATX_BTIME) != 0 && x.stx_btime.tv_sec > 100000,
	   "and when the file was made");
	unlink("timed");
}

/* struct linux_dirent ends with the type. */
static void the_old_listing(void)
{
	char buffer[1024];
	int fd = open(BASE, O_RDONLY | O_DIRECTORY), files = 0, directories = 0;
	long size;

	make_file("f", "");
	size = syscall(SYS_getdents, fd, buffer, sizeof(buffer));
	for (long at = 0; at < size;) {
		unsigned short length;

		memcpy(&length, buffer + at + 16, sizeof(length));
		files += buffer[at + length - 1] == DT_REG && strcmp(buffer + at + 18, "f") == 0;
		directories += buffer[at + length - 1] == DT_DIR;
		at += length;
	}
	ok(files == 1 && directories == 2, "getdents(2) lists with types at the end");
	close(fd);
	unlink("f");
}

static void what_there_is_no_disk_for(void)
{
	int fd = open("/dev/shm/hawser-links", O_RDWR | O_CREAT, 0644), ends[2];
	char value[16];

	ok(fsync(fd) == 0 && fdatasync(fd) == 0 && syncfs(fd) == 0 &&
		   sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE) == 0,
	   "everything is synchronised");
	fails(sync_file_range(fd, 0, 0, 64), EINVAL, "with flags that there are");
	ok(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL) == 0 &&
		   posix_fadvise(fd, 0, 0, 99) == EINVAL,
	   "advice is taken");
	if (pipe(ends) == 0) {
		fails(fsync(ends[0]), EINVAL, "a pipe is not synchronised");
		ok(posix_fadvise(ends[0], 0, 0, POSIX_FADV_NORMAL) == ESPIPE, "or advised");
		fails(readahead(ends[0], 0, 1), EINVAL, "or read ahead");
		close(ends[0]);
		close(ends[1]);
	}
	ok(readahead(fd, 0, 4096) == 0, "a file is");
	fails(fgetxattr(fd, "security.capability", value, sizeof(value)), ENODATA,
	      "there are no attributes");
	fails(getxattr("/dev/shm/hawser-links", "nonsense", value, sizeof(value)), EOPNOTSUPP,
	      "in no name space");
	fails(getxattr("missing", "trusted.a", value, sizeof(value)), ENOENT,
	      "of what is not there");
	ok(llistxattr("/dev/shm/hawser-links", value, sizeof(value)) <= 0, "the list is empty");
	unlink("/dev/shm/hawser-links");
	close(fd);
}

int main(int argc __attribute__((unused)), char **argv)
{
	tap_begin(argv);
	umask(022);
	if (mkdir(BASE, 0755) != 0 || chdir(BASE) != 0)
		ok(false, "a directory to work in");
	two_names_of_a_file();
	links_of_links();
	circles();
	renaming_with_flags();
	files_without_a_name();
	nodes();
	ways_to_walk();
	times();
	the_old_listing();
	what_there_is_no_disk_for();
	chdir("/");
	rmdir(BASE);
	return done();
}
