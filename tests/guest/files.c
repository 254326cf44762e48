/*
 * Files in /tmp: reading, writing, seeking, duplicating, redirecting, and the errors of each.
 */
#include "tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#define PATH "/tmp/hawser-files"

static void reads_back_what_it_wrote(void)
{
	char buffer[64] = { 0 };
	struct stat stat;
	int fd = open(PATH, O_RDWR | O_CREAT | O_TRUNC, 0644);

	ok(fd >= 3, "a file is created");
	ok(write(fd, "hello, world", 12) == 12, "twelve bytes are written");
	ok(lseek(fd, 0, SEEK_CUR) == 12, "the offset has moved");
	ok(lseek(fd, 7, SEEK_SET) == 7 && read(fd, buffer, 64) == 5 &&
		   memcmp(buffer, "world", 5) == 0,
	   "the rest is read");
	ok(read(fd, buffer, 64) == 0, "the end is 0");
	ok(lseek(fd, -5, SEEK_END) == 7, "seeking from the end");
	ok(pread(fd, buffer, 5, 0) == 5 && memcmp(buffer, "hello", 5) == 0 &&
		   lseek(fd, 0, SEEK_CUR) == 7,
	   "pread does not move the offset");
	ok(fstat(fd, &stat) == 0 && stat.st_size == 12 && S_ISREG(stat.st_mode), "fstat");
	ok(stat.st_nlink == 1, "one link");
	fails(lseek(fd, -1, SEEK_SET), EINVAL, "seeking before the start is EINVAL");
	fails(lseek(fd, 0, 99), EINVAL, "an unknown whence is EINVAL");
	ok(close(fd) == 0, "closed");
	fails(close(fd), EBADF, "closed twice is EBADF");
	fails(read(fd, buffer, 1), EBADF, "reading it is EBADF");
}

static void a_hole_reads_as_zeroes(void)
{
	static char buffer[20000];
	int fd = open(PATH, O_RDWR | O_TRUNC);
	bool zeroes = true;

	ok(lseek(fd, 19999, SEEK_SET) == 19999 && write(fd, "x", 1) == 1, "a byte far out");
	ok(pread(fd, buffer, sizeof(buffer), 0) == sizeof(buffer), "all of it is read");
	for (int i = 0; i < 19999; i++)
		zeroes = zeroes && buffer[i] == 0;
	ok(zeroes && buffer[19999] == 'x', "the hole is zeroes");
	ok(ftruncate(fd, 5) == 0 && lseek(fd, 0, SEEK_END) == 5, "it can be cut");
	ok(ftruncate(fd, 100) == 0 && pread(fd, buffer, 200, 0) == 100, "and grow");
	close(fd);
}

static void flags_are_obeyed(void)
{
	char buffer[8];
	int fd = open(PATH, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	fails(read(fd, buffer, 1), EBADF, "a write-only file is not read");
	close(fd);
	fd = open(PATH, O_RDONLY);
	fails(write(fd, "x", 1), EBADF, "a read-only file is not written");
	close(fd);
	fails(open(PATH, O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST, "O_EXCL on an existing file");
	fails(open("/tmp/hawser-none", O_RDONLY), ENOENT, "a missing file");
	fails(open(PATH "/below", O_RDONLY), ENOTDIR, "below a file");
	fails(open("/tmp", O_RDWR), EISDIR, "writing a directory");
	fails(open(PATH, O_RDONLY | O_DIRECTORY), ENOTDIR, "O_DIRECTORY on a file");
	fails(open("", O_RDONLY), ENOENT, "an empty name");
	fd = open(PATH, O_RDWR | O_APPEND);
	ok(write(fd, "ab", 2) == 2 && lseek(fd, 0, SEEK_SET) == 0 && write(fd, "cd", 2) == 2 &&
		   pread(fd, buffer, 8, 0) == 4 && memcmp(buffer, "abcd", 4) == 0,
	   "O_APPEND appends");
	close(fd);
}

static void descriptors_are_duplicated(void)
{
	char buffer[8] = { 0 };
	int fd = open(PATH, O_RDWR | O_TRUNC), other, saved;

	other = dup(fd);
	ok(other > fd, "dup gives the lowest free number");
	ok(write(fd, "abc", 3) == 3 && lseek(other, 0, SEEK_CUR) == 3, "the offset is shared");
	ok(dup2(fd, 77) == 77 && lseek(77, 0, SEEK_CUR) == 3, "dup2 to a number");
	ok(dup2(fd, fd) == fd, "dup2 to itself");
	fails(dup2(fd, -1), EBADF, "dup2 to -1 is EBADF");
	fails(dup2(99, 5), EBADF, "dup2 of a free number is EBADF");
	ok(fcntl(fd, F_GETFD) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
		   fcntl(fd, F_GETFD) == FD_CLOEXEC,
	   "FD_CLOEXEC is kept");
	ok(fcntl(other, F_GETFD) == 0, "and belongs to one descriptor");
	ok((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR, "F_GETFL tells the access mode");
	saved = fcntl(fd, F_DUPFD, 50);
	ok(saved >= 50, "F_DUPFD starts at its argument");
	close(saved);
	close(77);
	close(other);

	/* As a shell redirects. */
	fflush(stdout);
	saved = dup(1);
	dup2(fd, 1);
	lseek(fd, 0, SEEK_SET);
	printf("into");
	fflush(stdout);
	dup2(saved, 1);
	close(saved);
	ok(pread(fd, buffer, 8, 0) == 4 && memcmp(buffer, "into", 4) == 0,
	   "standard output is redirected and back");
	close(fd);
}

static void directories_and_names(void)
{
	char here[256], link[64];
	struct stat stat_buffer;
	struct dirent *entry;
	bool found = false;
	DIR *directory;

	ok(chdir("/tmp") == 0 && getcwd(here, sizeof(here)) && strcmp(here, "/tmp") == 0,
	   "chdir and getcwd");
	ok(stat("hawser-files", &stat_buffer) == 0, "a relative name");
	ok(mkdir("/tmp/hawser-dir", 0755) == 0, "mkdir");
	fails(mkdir("/tmp/hawser-dir", 0755), EEXIST, "mkdir twice is EEXIST");
	ok(rename(PATH, "/tmp/hawser-dir/moved") == 0, "rename into it");
	fails(stat(PATH, &stat_buffer), ENOENT, "the old name is gone");
	fails(rmdir("/tmp/hawser-dir"), ENOTEMPTY, "rmdir of a full one is ENOTEMPTY");
	directory = opendir("/tmp/hawser-dir");
	while (directory && (entry = readdir(directory)) != NULL)
		found = found || strcmp(entry->d_name, "moved") == 0;
	ok(found, "readdir shows it");
	if (directory)
		closedir(directory);
	ok(symlink("moved", "/tmp/hawser-dir/link") == 0 &&
		   readlink("/tmp/hawser-dir/link", link, sizeof(link)) == 5,
	   "a symbolic link");
	ok(stat("/tmp/hawser-dir/link", &stat_buffer) == 0 && S_ISREG(stat_buffer.st_mode),
	   "is followed");
	ok(unlink("/tmp/hawser-dir/link") == 0 && unlink("/tmp/hawser-dir/moved") == 0 &&
		   rmdir("/tmp/hawser-dir") == 0,
	   "all is removed");
	ok(chdir("/") == 0, "back to the root");
}

static void an_unlinked_file_lives_on(void)
{
	char buffer[4] = { 0 };
	int fd = open(PATH, O_RDWR | O_CREAT | O_TRUNC, 0600);

	ok(write(fd, "abc", 3) == 3 && unlink(PATH) == 0, "written and unlinked");
	ok(pread(fd, buffer, 3, 0) == 3 && memcmp(buffer, "abc", 3) == 0, "it is still read");
	close(fd);
}

static void devices_are_there(void)
{
	char buffer[64];
	int fd = open("/dev/null", O_RDWR);

	ok(write(fd, "x", 1) == 1 && read(fd, buffer, 1) == 0, "/dev/null");
	close(fd);
	memset(buffer, 1, sizeof(buffer));
	fd = open("/dev/zero", O_RDONLY);
	ok(read(fd, buffer, 64) == 64 && buffer[0] == 0 && buffer[63] == 0, "/dev/zero");
	close(fd);
	fd = open("/dev/urandom", O_RDONLY);
	ok(read(fd, buffer, 64) == 64 && memcmp(buffer, buffer + 32, 32) != 0, "/dev/urandom");
	close(fd);
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	reads_back_what_it_wrote();
	a_hole_reads_as_zeroes();
	flags_are_obeyed();
	descriptors_are_duplicated();
	directories_and_names();
	an_unlinked_file_lives_on();
	devices_are_there();
	return done();
}
