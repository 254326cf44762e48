/*
 * Mounts: a tmpfs with its options and its size, what it hides and what it is busy with, read-only and back,
 * and what /proc/mounts says. On Linux in a name space of its own.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define BASE "/tmp/hawser-mounts"

/* openat2(2) */
struct how {
	uint64_t flags, mode, resolve;
};
#define NO_XDEV 1

static char table[65536];

/* The line of a mount in /proc/mounts, or NULL. */
static const char *line_of(const char *path)
{
	static char line[1024];
	char word[128];
	FILE *file = fopen("/proc/mounts", "r");
	bool found = false;

	snprintf(word, sizeof(word), " %s ", path);
	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, word) != NULL;
	if (file)
		fclose(file);
	return found ? line : NULL;
}

static bool has(const char *path, const char *part)
{
	const char *line = line_of(path);

	return line && strstr(line, part);
}

static void make(const char *path, const char *content)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, content, strlen(content)) < 0)
		ok(false, "%s is made", path);
	close(fd);
}

static ino_t inode_of(const char *path)
{
	struct stat status = { .st_ino = 0 };

	stat(path, &status);
	return status.st_ino;
}

static void a_tmpfs(void)
{
	struct stat status, above;
	char here[128];

	mkdir("m", 0755);
	make("m/hidden", "x");
	ok(mount("source", BASE "/m", "tmpfs", 0, "size=64k,mode=750,uid=3,gid=4") == 0,
	   "a tmpfs is mounted");
	ok(access("m/hidden", F_OK) == -1, "what was there is hidden");
	ok(stat("m", &status) == 0 && (status.st_mode & 07777) == 0750 && status.st_uid == 3 &&
		   status.st_gid == 4,
	   "its root is as the options say");
	ok(stat(".", &above) == 0 && above.st_dev != status.st_dev, "it is another device");
	ok(has(BASE "/m", "source ") && has(BASE "/m", " tmpfs rw,") && has(BASE "/m", "size=64k"),
	   "/proc/mounts tells of it");
	make("m/file", "content");
	ok(mkdir("m/dir", 0755) == 0 && inode_of("m/dir/../..") == inode_of("."),
	   "up from its root is where it is mounted");
	ok(chdir("m/dir") == 0 && getcwd(here, sizeof(here)) && strcmp(here, BASE "/m/dir") == 0 &&
		   chdir("../..") == 0,
	   "paths lead through it");
	fails(rename("m/file", "file"), EXDEV, "nothing is renamed out of it");
	fails(link("m/file", "file"), EXDEV, "or linked");
	fails(rmdir("m"), EBUSY, "its place is busy");
	fails(rename("m", "n"), EBUSY, "and stays where it is");
	fails(rename("m/dir", "m"), EXDEV, "nothing takes it");
}

static void walking_over_the_border(void)
{
	struct how how = { .flags = O_RDONLY, .resolve = NO_XDEV };
	int fd = open(".", O_PATH);

	fails(syscall(SYS_openat2, fd, "m/file", &how, sizeof(how)), EXDEV,
	      "RESOLVE_NO_XDEV does not go in");
	close(fd);
	fd = open("m", O_PATH);
	ok(close((int)syscall(SYS_openat2, fd, "dir/../file", &how, sizeof(how))) == 0,
	   "stays inside");
	fails(syscall(SYS_openat2, fd, "../m", &how, sizeof(how)), EXDEV, "and does not go out");
	close(fd);
}

static void its_size(void)
{
	static char piece[4096];
	struct statfs fs;
	int fd = open("m/big", O_RDWR | O_CREAT, 0644), other;
	ssize_t total = 0, size;
	char *map;

	ok(statfs("m", &fs) == 0 && fs.f_type == 0x01021994 && fs.f_blocks == 16,
	   "statfs(2) knows its size");
	memset(piece, 'x', sizeof(piece));
	while ((size = write(fd, piece, sizeof(piece))) > 0)
		total += size;
	ok(size == -1 && errno == ENOSPC && total == 15 * 4096, "full is ENOSPC: %zd", total);
	ok(statfs("m", &fs) == 0 && fs.f_bfree == 0, "nothing is free");
	other = open("m/other", O_RDWR | O_CREAT, 0644);
	fails(write(other, piece, 1), ENOSPC, "for no file");
	ok(ftruncate(fd, 4096) == 0 && write(other, piece, sizeof(piece)) == sizeof(piece),
	   "what is cut off is room again");
	ok(unlink("m/big") == 0 && close(fd) == 0 && statfs("m", &fs) == 0 && fs.f_bfree == 14,
	   "and what is removed");
	fails(mount(NULL, BASE "/m", NULL, MS_REMOUNT, "size=4k"), EINVAL,
	      "it is not made smaller than what is in it");
	ok(mount(NULL, BASE "/m", NULL, MS_REMOUNT, "size=1m") == 0 && statfs("m", &fs) == 0 &&
		   fs.f_blocks == 256,
	   "but larger");
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0);
	ok(map != MAP_FAILED && close(other) == 0, "a file is mapped and closed");
	fails(umount2(BASE "/m", 0), EBUSY, "a mapping keeps it busy");
	munmap(map, 4096);
	unlink("m/other");
}

static void read_only(void)
{
	int fd = open("m/file", O_WRONLY);

	fails(mount(NULL, BASE "/m", NULL, MS_REMOUNT | MS_RDONLY, NULL), EBUSY,
	      "with a file open for writing it does not become read-only");
	close(fd);
	ok(mount(NULL, BASE "/m", NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0 &&
		   has(BASE "/m", " tmpfs ro,"),
	   "otherwise it does");
	fails(open("m/file", O_WRONLY), EROFS, "no file is opened for writing");
	fails(open("m/new", O_WRONLY | O_CREAT, 0644), EROFS, "or made");
	fails(mkdir("m/new", 0755), EROFS, "no directory");
	fails(unlink("m/file"), EROFS, "nothing is removed");
	fails(rename("m/file", "m/other"), EROFS, "or renamed");
	fails(chmod("m/file", 0600), EROFS, "or changed");
	fails(chown("m/file", 1, 1), EROFS, "in any way");
	fails(utimensat(AT_FDCWD, "m/file", NULL, 0), EROFS, "time included");
	fails(truncate("m/file", 0), EROFS, "or length");
	fails(access("m/file", W_OK), EROFS, "as access(2) says");
	ok(close(open("m/file", O_RDONLY)) == 0, "reading is good");
	ok(mount(NULL, BASE "/m", NULL, MS_REMOUNT | MS_NOEXEC | MS_NODEV, NULL) == 0 &&
		   has(BASE "/m", "noexec") && has(BASE "/m", "nodev"),
	   "and back, with other flags");
	mknod("m/null", S_IFCHR | 0666, 0x103);
	fails(open("m/null", O_RDWR), EACCES, "with MS_NODEV devices are not opened");
	chmod("m/file", 0755);
	fails(execl("m/file", "file", NULL), EACCES, "with MS_NOEXEC nothing is run");
}

static void busy(void)
{
	int fd = open("m/dir", O_RDONLY | O_DIRECTORY);

	fails(umount2(BASE "/m", 0), EBUSY, "an open directory keeps it busy");
	close(fd);
	chdir("m");
	fails(umount2(BASE "/m", 0), EBUSY, "so does somebody's being there");
	chdir(BASE);
	mount("second", BASE "/m/dir", "tmpfs", 0, NULL);
	fails(umount2(BASE "/m", 0), EBUSY, "and another mount in it");
	ok(umount2(BASE "/m/dir", 0) == 0 && umount2(BASE "/m", 0) == 0,
	   "one after the other they go");
	ok(access("m/hidden", F_OK) == 0 && !line_of(BASE "/m"), "what was hidden is there again");
	fails(umount2(BASE "/m", 0), EINVAL, "nothing is mounted any more");
	mount("one", BASE "/m", "tmpfs", 0, NULL);
	make("m/one", "1");
	mount("two", BASE "/m", "tmpfs", 0, NULL);
	ok(access("m/one", F_OK) == -1, "one mount hides another");
	ok(umount2(BASE "/m", 0) == 0 && access("m/one", F_OK) == 0 && umount2(BASE "/m", 0) == 0,
	   "and they go in turn");
	mount("lazy", BASE "/m", "tmpfs", 0, NULL);
	make("m/file", "content");
	fd = open("m/file", O_RDONLY);
	ok(umount2(BASE "/m", MNT_DETACH) == 0 && access("m/file", F_OK) == -1,
	   "MNT_DETACH takes away what is busy");
	char bytes[8] = "";
	ok(read(fd, bytes, 7) == 7 && strcmp(bytes, "content") == 0, "and leaves what is open");
	close(fd);
}

static void bad_arguments(void)
{
	make("file", "");
	fails(mount("x", BASE "/file", "tmpfs", 0, NULL), ENOTDIR, "not on a file");
	fails(mount("x", BASE "/nowhere", "tmpfs", 0, NULL), ENOENT, "not nowhere");
	fails(mount("x", BASE "/m", "no-such-fs", 0, NULL), ENODEV, "not of an unknown kind");
	fails(mount("x", BASE "/m", "tmpfs", 0, "size=many"), EINVAL, "not of a senseless size");
	fails(mount("x", BASE "/m", "tmpfs", 0, "colour=blue"), EINVAL, "or with unknown options");
	fails(mount(NULL, BASE "/m", NULL, MS_REMOUNT, NULL), EINVAL,
	      "what is not mounted is not remounted");
	fails(umount2(BASE "/m", 0x100), EINVAL, "umount2(2) of unknown flags");
	unlink("file");
}

static void the_tables(void)
{
	FILE *file = fopen("/proc/self/mountinfo", "r");
	size_t size = fread(table, 1, sizeof(table) - 1, file);

	fclose(file);
	table[size] = '\0';
	ok(strstr(table, " / / ") && strstr(table, " - proc proc rw"),
	   "mountinfo has the root and /proc");
	ok(line_of("/") && has("/proc", " proc rw"), "and so have mounts");
}

static int everything(void)
{
	int status = -1;

	mkdir(BASE, 0755);
	if (chdir(BASE) != 0)
		return 1;
	a_tmpfs();
	walking_over_the_border();
	its_size();
	read_only();
	busy();
	bad_arguments();
	the_tables();
	fflush(stdout);
	if (fork() == 0) {
		if (setuid(1000) != 0)
			_exit(9);
		_exit(mount("x", BASE "/m", "tmpfs", 0, NULL) == -1 && errno == EPERM &&
				      umount2("/proc", 0) == -1 && errno == EPERM
			      ? 0
			      : 1);
	}
	wait(&status);
	ok(status == 0, "only root mounts");
	unlink("m/hidden");
	rmdir("m");
	chdir("/");
	rmdir(BASE);
	return 0;
}

int main(int argc __attribute__((unused)), char **argv)
{
	tap_begin(argv);
	if (!on_hawser() &&
	    (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0))
		ok(false, "a name space of its own");
	everything();
	return done();
}
