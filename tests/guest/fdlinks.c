/*
 * Descriptors as names: /proc/self/fd, fdinfo, /dev/fd and the standard streams below /dev. The links say
 * what they lead to, and lead there whatever has become of its name.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define BASE "/tmp/hawser-fdlinks"

/* What the link of a descriptor says. */
static const char *link_text(int fd)
{
	static char text[PATH_MAX];
	char path[64];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = readlink(path, text, sizeof(text) - 1);
	text[length > 0 ? length : 0] = '\0';
	return text;
}

/* Opens it once more. */
static int reopen(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/fd/%d", fd);
	return open(path, flags);
}

static void a_files_link(void)
{
	int fd = open(BASE "/file", O_RDWR | O_CREAT | O_TRUNC, 0644), again;
	char bytes[8] = "";

	ok(strcmp(link_text(fd), BASE "/file") == 0, "an open file's link is its path");
	rename(BASE "/file", BASE "/other");
	ok(strcmp(link_text(fd), BASE "/other") == 0, "the one that it has now");
	ok(write(fd, "abcdef", 6) == 6, "something is written");
	again = reopen(fd, O_RDONLY);
	ok(again >= 0 && read(again, bytes, 3) == 3 && memcmp(bytes, "abc", 3) == 0,
	   "opened again it begins at its beginning");
	close(again);
	unlink(BASE "/other");
	ok(strstr(link_text(fd), " (deleted)"), "of a file without a name it says so: %s",
	   link_text(fd));
	again = reopen(fd, O_RDWR);
	ok(again >= 0 && pwrite(again, "X", 1, 0) == 1 && pread(fd, bytes, 6, 0) == 6 &&
		   memcmp(bytes, "Xbcdef", 6) == 0,
	   "and it can still be opened, and is the same file");
	close(again);
	again = reopen(fd, O_RDWR | O_TRUNC);
	ok(again >= 0 && lseek(fd, 0, SEEK_END) == 0, "and be emptied");
	close(again);
	close(fd);
	fails(reopen(fd, O_RDONLY), ENOENT, "a descriptor that is not open has no link");
}

static void a_pipes_link(void)
{
	char expected[64], bytes[8] = "";
	struct stat status, by_name;
	int ends[2], reader, writer;

	ok(pipe(ends) == 0 && fstat(ends[0], &status) == 0, "a pipe");
	snprintf(expected, sizeof(expected), "pipe:[%lu]", (unsigned long)status.st_ino);
	ok(strcmp(link_text(ends[0]), expected) == 0 && strcmp(link_text(ends[1]), expected) == 0,
	   "both ends are %s", expected);
	snprintf(expected, sizeof(expected), "/proc/self/fd/%d", ends[0]);
	ok(stat(expected, &by_name) == 0 && S_ISFIFO(by_name.st_mode) &&
		   by_name.st_ino == status.st_ino,
	   "stat(2) follows the link to the pipe");
	ok(lstat(expected, &by_name) == 0 && S_ISLNK(by_name.st_mode) &&
		   (by_name.st_mode & 0777) == 0500,
	   "lstat(2) does not, and its mode is that of the reading end");

	/* Either end gives both. */
	reader = reopen(ends[1], O_RDONLY);
	writer = reopen(ends[0], O_WRONLY);
	ok(reader >= 0 && writer >= 0, "both ends are opened again, each from the other");
	close(ends[1]);
	ok(write(writer, "pipe", 4) == 4 && read(reader, bytes, 8) == 4 &&
		   memcmp(bytes, "pipe", 4) == 0,
	   "bytes go through");
	close(writer);
	ok(read(ends[0], bytes, 8) == 0 && read(reader, bytes, 8) == 0,
	   "the end comes when the last writer is closed");
	close(ends[0]);
	close(reader);
}

/* What a shell does for `cat <(echo)`. */
static void process_substitution(void)
{
	char path[64], bytes[8] = "";
	int ends[2], fd, status;

	if (pipe(ends) != 0 || dup2(ends[0], 63) != 63)
		ok(false, "a pipe as descriptor 63");
	close(ends[0]);
	fflush(stdout);
	if (fork() == 0) {
		(void)!write(ends[1], "word", 4);
		_exit(0);
	}
	close(ends[1]);
	snprintf(path, sizeof(path), "/dev/fd/%d", 63);
	fd = open(path, O_RDONLY);
	ok(fd >= 0 && read(fd, bytes, 8) == 4 && memcmp(bytes, "word", 4) == 0 &&
		   read(fd, bytes, 8) == 0,
	   "another's output is read by the name /dev/fd/63");
	wait(&status);
	close(fd);
	close(63);
}

static void a_directorys_link(void)
{
	int fd = open(BASE, O_RDONLY | O_DIRECTORY), file;
	char path[64], here[PATH_MAX];
	struct stat status;

	close(open(BASE "/inside", O_WRONLY | O_CREAT, 0644));
	snprintf(path, sizeof(path), "/proc/self/fd/%d/inside", fd);
	file = open(path, O_RDONLY);
	ok(file >= 0 && strcmp(link_text(file), BASE "/inside") == 0,
	   "a path goes on behind a directory's link");
	close(file);
	snprintf(path, sizeof(path), "/proc/self/fd/%d/..", fd);
	ok(stat(path, &status) == 0 && S_ISDIR(status.st_mode), "and up from there");
	snprintf(path, sizeof(path), "/proc/self/fd/%d/inside/x", fd);
	fails(open(path, O_RDONLY), ENOTDIR, "a file is no directory");
	snprintf(path, sizeof(path), "/proc/self/fd/%d/new", fd);
	ok(close(open(path, O_WRONLY | O_CREAT, 0644)) == 0 && unlink(BASE "/new") == 0,
	   "a file can be made there");
	ok(chdir(BASE) == 0 && realpath("/proc/self/cwd/inside", here) &&
		   strcmp(here, BASE "/inside") == 0,
	   "/proc/self/cwd is the working directory");
	ok(readlink("/proc/self/cwd", here, sizeof(here)) == sizeof(BASE) - 1 &&
		   memcmp(here, BASE, sizeof(BASE) - 1) == 0,
	   "and says which");
	ok(readlink("/proc/self/root", here, sizeof(here)) == 1 && here[0] == '/',
	   "/proc/self/root is the root");
	chdir("/");
	unlink(BASE "/inside");
	close(fd);
}

static void the_listing(void)
{
	int fd = fcntl(0, F_DUPFD, 40), seen = 0, others = 0;
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		int number = atoi(entry->d_name);

		if (entry->d_name[0] == '.')
			continue;
		seen += number == fd || number == dirfd(dir) || number == 1;
		others += entry->d_type != DT_LNK || fcntl(number, F_GETFD) < 0;
	}
	ok(seen == 3 && others == 0, "/proc/self/fd lists what is open");
	if (dir)
		closedir(dir);
	close(fd);
	fails(open("/proc/self/fd/new", O_WRONLY | O_CREAT, 0644), ENOENT, "nothing is made in it");
	ok(unlink("/proc/self/fd/0") == -1, "or removed");
	fails(stat("/proc/self/fd/00", &(struct stat){ 0 }), ENOENT, "00 is no descriptor");
}

static long info(int fd, const char *name, int base)
{
	char path[64], line[128];
	long value = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, name, strlen(name)) == 0)
			value = strtol(line + strlen(name), NULL, base);
	}
	if (file)
		fclose(file);
	return value;
}

static void what_fdinfo_says(void)
{
	int fd = open(BASE "/info", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

	(void)!write(fd, "12345", 5);
	ok(info(fd, "pos:", 10) == 5, "the offset");
	ok((info(fd, "flags:", 8) & (O_ACCMODE | O_APPEND | O_CLOEXEC)) ==
		   (O_RDWR | O_APPEND | O_CLOEXEC),
	   "the flags, close-on-exec among them");
	unlink(BASE "/info");
	close(fd);
}

static void the_standard_streams(void)
{
	struct stat by_name, status;
	int ends[2], saved = dup(0);
	char byte = 0;
	int fd;

	ok(stat("/dev/stdout", &by_name) == 0 && fstat(1, &status) == 0 &&
		   by_name.st_ino == status.st_ino && by_name.st_mode == status.st_mode,
	   "/dev/stdout is standard output");
	if (pipe(ends) != 0 || dup2(ends[0], 0) != 0)
		ok(false, "standard input is a pipe");
	(void)!write(ends[1], "i", 1);
	fd = open("/dev/stdin", O_RDONLY);
	ok(fd >= 0 && read(fd, &byte, 1) == 1 && byte == 'i', "/dev/stdin is standard input");
	close(fd);
	dup2(saved, 0);
	close(saved);
	close(ends[0]);
	close(ends[1]);
	fd = open("/dev/null", O_RDWR);
	ok(strcmp(link_text(fd), "/dev/null") == 0 && close(reopen(fd, O_WRONLY)) == 0,
	   "a device's link is its name, and opens it again");
	close(fd);
}

static void anothers_descriptors(void)
{
	int ends[2], gate[2], fd, status;
	char path[64], byte = 0;
	pid_t child;

	if (pipe(ends) != 0 || pipe(gate) != 0)
		ok(false, "two pipes");
	fflush(stdout);
	child = fork();
	if (child == 0) {
		close(gate[1]);
		(void)!read(gate[0], &byte, 1);
		_exit(0);
	}
	close(ends[0]);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", child, ends[0]);
	fd = open(path, O_RDONLY);
	ok(fd >= 0 && write(ends[1], "x", 1) == 1 && read(fd, &byte, 1) == 1 && byte == 'x',
	   "a child's end of a pipe is opened through /proc");
	close(gate[1]);
	waitpid(child, &status, 0);
	fails(open(path, O_RDONLY), ENOENT, "and not when the child is gone");
	close(gate[0]);
	close(ends[1]);
	close(fd);
}

int main(int argc __attribute__((unused)), char **argv)
{
	tap_begin(argv);
	mkdir(BASE, 0755);
	a_files_link();
	a_pipes_link();
	process_substitution();
	a_directorys_link();
	the_listing();
	what_fdinfo_says();
	the_standard_streams();
	anothers_descriptors();
	rmdir(BASE);
	return done();
}
