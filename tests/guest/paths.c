/*
 * Names: how a path is resolved, what links do, and what each mistake in one is called.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define DIR_NAME "/tmp/hawser-paths"

static void touch(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		ok(false, "%s is made", path);
	close(fd);
}

static bool contains(const char *path, const char *text)
{
	char buffer[256] = { 0 };
	int fd = open(path, O_RDONLY);
	bool same =
		fd >= 0 && read(fd, buffer, sizeof(buffer) - 1) >= 0 && strcmp(buffer, text) == 0;

	if (fd >= 0)
		close(fd);
	return same;
}

static void paths_are_resolved(void)
{
	struct stat a, b;
	char path[PATH_MAX + 8];

	ok(mkdir(DIR_NAME, 0755) == 0 && chdir(DIR_NAME) == 0, "a directory to work in");
	ok(mkdir("d", 0755) == 0 && mkdir("d/e", 0755) == 0, "and some in it");
	touch("d/e/f", "deep");
	ok(contains("d/e/f", "deep"), "a relative path");
	ok(contains("./d/.//e/../../d/e/f", "deep"), "dots and doubled slashes");
	ok(contains(DIR_NAME "/d/e/f", "deep"), "an absolute path");
	ok(stat("d/", &a) == 0 && stat("d/.", &b) == 0 && a.st_ino == b.st_ino,
	   "a slash at the end");
	fails(stat("d/e/f/", &a), ENOTDIR, "a slash behind a file");
	fails(stat("d/e/f/..", &a), ENOTDIR, "dots behind a file");
	ok(stat("/..", &a) == 0 && stat("/", &b) == 0 && a.st_ino == b.st_ino, "above / is /");
	fails(open("d/none/x", O_RDONLY), ENOENT, "a directory that is missing");
	fails(open("d/none/x", O_WRONLY | O_CREAT, 0644), ENOENT, "creating below it");
	fails(open("d/new/", O_WRONLY | O_CREAT, 0644), EISDIR, "creating with a slash at the end");
	fails(open("d", O_WRONLY | O_CREAT, 0644), EISDIR, "creating over a directory");

	memset(path, 'x', sizeof(path));
	path[NAME_MAX + 1] = '\0';
	fails(stat(path, &a), ENAMETOOLONG, "a component of 256 bytes");
	path[NAME_MAX] = '\0';
	fails(stat(path, &a), ENOENT, "one of 255 is only missing");
	memset(path, '/', sizeof(path));
	path[PATH_MAX] = '\0';
	fails(stat(path, &a), ENAMETOOLONG, "a path of 4096 bytes");
	path[PATH_MAX - 1] = '\0';
	ok(stat(path, &a) == 0 && a.st_ino == b.st_ino, "4095 slashes are /");
}

static void links_are_followed(void)
{
	struct stat st;
	char text[64], name[16], target[16];

	ok(symlink("d/e", "l") == 0 && contains("l/f", "deep"), "a link to a directory");
	ok(symlink(DIR_NAME "/d/e/f", "abs") == 0 && contains("abs", "deep"), "an absolute link");
	ok(symlink("nowhere", "dangling") == 0, "a link to nothing");
	fails(open("dangling", O_RDONLY), ENOENT, "it leads nowhere");
	ok(lstat("dangling", &st) == 0 && S_ISLNK(st.st_mode) && st.st_size == 7,
	   "lstat sees the link");
	fails(open("dangling", O_WRONLY | O_CREAT | O_EXCL, 0644), EEXIST,
	      "O_EXCL does not follow it");
	touch("dangling", "made");
	ok(contains("nowhere", "made"), "O_CREAT does");
	fails(open("abs", O_RDONLY | O_NOFOLLOW), ELOOP, "O_NOFOLLOW at a link");
	ok(readlink("l", text, sizeof(text)) == 3 && memcmp(text, "d/e", 3) == 0, "readlink");
	ok(readlink("l", text, 2) == 2 && memcmp(text, "d/", 2) == 0, "readlink cuts");
	fails(readlink("d", text, sizeof(text)), EINVAL, "readlink of a directory");
	fails(syscall(SYS_readlink, "l", text, 0), EINVAL, "readlink into nothing");
	ok(symlink("loop2", "loop1") == 0 && symlink("loop1", "loop2") == 0,
	   "two links in a circle");
	fails(stat("loop1", &st), ELOOP, "go round for ever");
	ok(symlink("d/e/f", "c0") == 0, "a chain begins");
	for (int i = 1; i <= 40; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		snprintf(target, sizeof(target), "c%d", i - 1);
		if (symlink(target, name) != 0)
			ok(false, "%s is made", name);
	}
	ok(contains("c39", "deep"), "forty links are followed");
	fails(stat("c40", &st), ELOOP, "forty-one are not");
	fails(stat("l/f/", &st), ENOTDIR, "a link's file with a slash behind it");
	fails(symlink("x", "l"), EEXIST, "a link over a link");
	fails(symlink("", "empty"), ENOENT, "a link to an empty name");
}

static void names_are_removed(void)
{
	fails(rmdir("d"), ENOTEMPTY, "rmdir of a full directory");
	fails(rmdir("abs"), ENOTDIR, "rmdir of a link");
	fails(unlink("d"), EISDIR, "unlink of a directory");
	fails(rmdir("d/."), EINVAL, "rmdir of a dot");
	fails(unlink("none"), ENOENT, "unlink of nothing");
	fails(unlink("d/e/f/"), ENOTDIR, "unlink with a slash");
	ok(unlink("l") == 0 && contains("d/e/f", "deep"), "a link goes, what it led to stays");
	fails(unlinkat(AT_FDCWD, "d", 0), EISDIR, "unlinkat of a directory");
	fails(unlinkat(AT_FDCWD, "abs", AT_REMOVEDIR), ENOTDIR, "AT_REMOVEDIR of a file");
	fails(unlinkat(AT_FDCWD, "abs", 0x40), EINVAL, "an unknown flag");
}

static void names_are_changed(void)
{
	touch("a", "A");
	touch("b", "B");
	ok(rename("a", "b") == 0 && contains("b", "A"), "rename over a file");
	fails(open("a", O_RDONLY), ENOENT, "the old name is gone");
	ok(rename("b", "b") == 0, "rename to itself");
	fails(rename("d", "d/e/x"), EINVAL, "a directory into itself");
	fails(rename("b", "d"), EISDIR, "a file over a directory");
	fails(rename("d", "b"), ENOTDIR, "a directory over a file");
	ok(mkdir("empty", 0755) == 0 && mkdir("full", 0755) == 0, "two more");
	touch("full/x", "x");
	fails(rename("d", "full"), ENOTEMPTY, "a directory over a full one");
	ok(rename("d", "empty") == 0 && contains("empty/e/f", "deep"), "over an empty one");
	ok(rename("empty", "d") == 0 && contains("d/e/f", "deep"), "and back");
	fails(rename("none", "x"), ENOENT, "nothing");
	fails(syscall(SYS_renameat2, AT_FDCWD, "b", AT_FDCWD, "full", RENAME_NOREPLACE), EEXIST,
	      "RENAME_NOREPLACE");
}

static void directories_are_open_files(void)
{
	int dir = open("d", O_RDONLY | O_DIRECTORY), fd, place;
	char buffer[16], cwd[PATH_MAX];
	struct stat st;

	ok(dir >= 0, "a directory is opened");
	fails(read(dir, buffer, 1), EISDIR, "it is not read");
	fd = openat(dir, "e/f", O_RDONLY);
	ok(fd >= 0 && read(fd, buffer, 4) == 4, "openat");
	fails(openat(fd, "x", O_RDONLY), ENOTDIR, "openat from a file");
	fails(openat(999, "x", O_RDONLY), EBADF, "openat from nothing");
	ok(openat(999, "/", O_RDONLY) >= 0, "unless the path is absolute");
	ok(fstatat(dir, "", &st, AT_EMPTY_PATH) == 0 && S_ISDIR(st.st_mode), "AT_EMPTY_PATH");
	fails(fstatat(dir, "", &st, 0), ENOENT, "an empty path without it");
	place = open("d/e/f", O_PATH);
	ok(place >= 0 && fstat(place, &st) == 0 && st.st_size == 4, "O_PATH names a file");
	fails(read(place, buffer, 1), EBADF, "and does not open it");
	ok(fchdir(dir) == 0 && getcwd(cwd, sizeof(cwd)) && strcmp(cwd, DIR_NAME "/d") == 0,
	   "fchdir");
	fails(fchdir(fd), ENOTDIR, "fchdir to a file");
	fails(syscall(SYS_getcwd, cwd, 4), ERANGE, "getcwd into too little");
	ok(chdir("..") == 0 && getcwd(cwd, sizeof(cwd)) && strcmp(cwd, DIR_NAME) == 0,
	   "chdir upwards");
	close(dir);
	close(fd);
	close(place);
}

/* Names of a directory, as a bit for each of f0 … f19, read through a buffer of `size` bytes. */
static unsigned names_seen(int dir, size_t size, long *last)
{
	char buffer[4096];
	unsigned seen = 0;
	long length;

	while ((length = syscall(SYS_getdents64, dir, buffer, size)) > 0) {
		for (long at = 0; at < length;) {
			struct dirent *entry = (void *)(buffer + at);
			if (entry->d_name[0] == 'f')
				seen |= 1u << atoi(entry->d_name + 1);
			at += entry->d_reclen;
		}
	}
	*last = length < 0 ? -errno : length;
	return seen;
}

static void listings_are_complete(void)
{
	int dir;
	char name[16];
	long last;

	mkdir("many", 0755);
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "many/f%d", i);
		touch(name, "");
	}
	dir = open("many", O_RDONLY);
	ok(names_seen(dir, 4096, &last) == 0xfffff && last == 0, "all names in one piece");
	lseek(dir, 0, SEEK_SET);
	ok(names_seen(dir, 32, &last) == 0xfffff && last == 0, "and one at a time");
	lseek(dir, 0, SEEK_SET);
	names_seen(dir, 8, &last);
	ok(last == -EINVAL, "room for none is EINVAL");
	close(dir);
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "many/f%d", i);
		unlink(name);
	}
	dir = open("many", O_RDONLY);
	ok(names_seen(dir, 4096, &last) == 0, "removed ones are not listed");
	ok(rmdir("many") == 0, "the directory goes");
	ok(names_seen(dir, 4096, &last) == 0, "and can still be read");
	fails(openat(dir, "x", O_WRONLY | O_CREAT, 0644), ENOENT, "nothing is made in it");
	close(dir);
}

static void modes_are_kept(void)
{
	struct stat st;

	umask(027);
	close(open("m", O_WRONLY | O_CREAT, 0666));
	ok(stat("m", &st) == 0 && (st.st_mode & 07777) == 0640, "the umask is applied");
	ok(umask(022) == 027, "and told");
	ok(chmod("m", 0755) == 0 && access("m", X_OK) == 0, "chmod");
	ok(chmod("m", 0600) == 0, "and back");
	fails(access("m", X_OK), EACCES, "not executable");
	ok(access("m", R_OK | W_OK) == 0, "but root reads and writes");
	fails(access("none", F_OK), ENOENT, "access to nothing");
	fails(access("m", 8), EINVAL, "an unknown mode");
}

static void clean_up(void)
{
	static const char *const names[] = { "abs", "dangling", "nowhere", "loop1", "loop2",
					     "b",   "m",        "d/e/f",   "full/x" };
	char name[16];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(names[i]);
	for (int i = 0; i <= 40; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		unlink(name);
	}
	rmdir("d/e");
	rmdir("d");
	rmdir("full");
	chdir("/");
	ok(rmdir(DIR_NAME) == 0, "nothing is left");
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	paths_are_resolved();
	links_are_followed();
	names_are_removed();
	names_are_changed();
	directories_are_open_files();
	listings_are_complete();
	modes_are_kept();
	clean_up();
	return done();
}
