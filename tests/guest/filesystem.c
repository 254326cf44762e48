/*
 * The file system where it is used hard: names that change under their users, directories that are
 * gone, listings in pieces, odd access modes and lengths, deep trees, and a file that takes all the
 * room there is.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define BASE      "/tmp/hawser-filesystem"
#define DEPTH     400
#define ROOM_MAX  (96 << 20) /* what is written at most: a real disk is not filled */
#define NAMES_MAX 30000
#define PIECE     (64 << 10)
#define NOREPLACE 1u /* RENAME_NOREPLACE */

static int make_file(const char *path)
{
	return open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
}

static void nothing_is_made_in_a_directory_that_is_gone(void)
{
	struct stat status;
	char here[64];

	close(make_file("file"));
	ok(mkdir("gone", 0755) == 0 && chdir("gone") == 0 && rmdir("../gone") == 0,
	   "the working directory is removed");
	fails(rename(BASE "/file", "file"), ENOENT, "nothing is renamed into it");
	ok(stat(BASE "/file", &status) == 0, "and keeps its name");
	fails(open("new", O_WRONLY | O_CREAT, 0644), ENOENT, "no file is created in it");
	fails(mkdir("new", 0755), ENOENT, "no directory either");
	fails(syscall(SYS_getcwd, here, sizeof(here)), ENOENT, "it has no name");
	ok(chdir(BASE) == 0 && unlink("file") == 0, "back again");
}

static void a_name_is_not_replaced_by_itself(void)
{
	close(make_file("same"));
	ok(rename("same", "same") == 0, "renamed to its own name");
	fails(syscall(SYS_renameat2, AT_FDCWD, "same", AT_FDCWD, "same", NOREPLACE), EEXIST,
	      "but not with RENAME_NOREPLACE");
	unlink("same");
}

/* On Hawser what is removed where the server has names leaves something behind. */
static void a_listing_in_pieces_is_complete(void)
{
	const char *base = on_hawser() ? "/home" : BASE;
	char name[64], piece[48];
	int seen = 0, fd;
	long size;

	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "%s/listed-%02d", base, i);
		close(make_file(name));
		if (i < 10)
			unlink(name);
	}
	fd = open(base, O_RDONLY | O_DIRECTORY);
	while ((size = syscall(SYS_getdents64, fd, piece, sizeof(piece))) > 0)
		for (long at = 0; at < size; at += *(unsigned short *)(piece + at + 16))
			seen += strncmp(piece + at + 19, "listed-", 7) == 0;
	ok(size == 0 && seen == 10, "in the smallest pieces: %d names", seen);
	lseek(fd, 0, SEEK_SET);
	do {
		errno = 0;
		size = syscall(SYS_getdents64, fd, piece, 24);
	} while (size > 0);
	ok(size == -1 && errno == EINVAL, "a piece too small for a name is EINVAL");
	/* What was read to its end goes on with what comes later. */
	while (on_hawser() && syscall(SYS_getdents64, fd, piece, sizeof(piece)) > 0)
		;
	if (on_hawser()) {
		snprintf(name, sizeof(name), "%s/listed-11", base);
		unlink(name);
		snprintf(name, sizeof(name), "%s/listed-20", base);
		close(make_file(name));
		fails(syscall(SYS_getdents64, fd, piece, 24), EINVAL, "nor is it the end");
		unlink(name);
	}
	close(fd);
	fd = open(base, O_PATH);
	fails(syscall(SYS_getdents64, fd, piece, sizeof(piece)), EBADF,
	      "an O_PATH one is not listed");
	close(fd);
	for (int i = 10; i < 20; i++) {
		snprintf(name, sizeof(name), "%s/listed-%02d", base, i);
		unlink(name);
	}
}

static void what_is_asked_for_is_checked_in_linuxs_order(void)
{
	char *nowhere = (char *)1, buffer[8];
	struct iovec bad = { nowhere, 1 };
	int fd = open("modes", 3 | O_CREAT, 0644);

	ok(fd >= 0, "the fourth access mode is opened");
	fails(read(fd, buffer, 1), EBADF, "not to be read");
	fails(write(fd, buffer, 1), EBADF, "nor written");
	fails(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0, EACCES,
	      "nor mapped");
	close(fd);
	fails(read(fd, nowhere, 1), EBADF, "a closed descriptor is told before a bad pointer");
	fails(readv(fd, &bad, 1), EBADF, "for vectors too");
	fd = open("modes", O_RDWR);
	fails(syscall(SYS_read, fd, buffer, SIZE_MAX), EFAULT, "all of memory is no buffer");
	fails(syscall(SYS_write, fd, buffer, (size_t)SSIZE_MAX), EFAULT, "nor half of it");
	fails(pread(fd, nowhere, 1, -1), EINVAL, "an offset below zero is told first");
	close(fd);
	unlink("modes");
	fails(open("nothing", O_RDWR | O_CREAT | O_DIRECTORY, 0755), EINVAL,
	      "open makes no directory");
	fails(open("nothing", O_RDONLY), ENOENT, "and no file instead");
	close(make_file("modes"));
	fails(rename("modes", "nothing/"), ENOTDIR, "a file is not renamed to a directory's name");
	fd = open("modes", O_PATH);
	fails(fsync(fd), EBADF, "an O_PATH one is not synchronised");
	close(fd);
	unlink("modes");
}

static void names_longer_than_a_server_takes_are_absent(void)
{
	static char path[PATH_MAX];
	struct stat status;
	size_t at = 0;

	while (at + 10 < 1000)
		at += (size_t)sprintf(path + at, "/absent-%d", (int)at % 10);
	fails(lstat(path, &status), ENOENT, "a name of %zu bytes is not there", at);
}

static void trees_may_be_deep(void)
{
	static char path[2 * PATH_MAX];
	int made = 0, removed = 0;

	while (made < DEPTH && mkdir("deeper-and-deeper", 0755) == 0 &&
	       chdir("deeper-and-deeper") == 0)
		made++;
	ok(made == DEPTH, "%d directories in each other", made);
	fails(syscall(SYS_getcwd, path, sizeof(path)), ENAMETOOLONG,
	      "the name is too long to be told");
	ok(chdir("../../..") == 0 && mkdir("beside", 0755) == 0 && rmdir("beside") == 0,
	   "but all works down there");
	fails(rename(BASE "/deeper-and-deeper", "inside"), EINVAL, "none moves into itself");
	while (chdir("deeper-and-deeper") == 0)
		;
	while (removed < DEPTH && chdir("..") == 0 && rmdir("deeper-and-deeper") == 0)
		removed++;
	ok(removed == DEPTH && chdir(BASE) == 0, "all are removed");
}

static void a_full_file_system_can_be_tidied_up(void)
{
	static char piece[PIECE];
	size_t written = 0;
	ssize_t size;
	char *memory;
	struct stat status;
	int fd = make_file("big"), other;

	memset(piece, 'f', sizeof(piece));
	while (written < ROOM_MAX && (size = write(fd, piece, sizeof(piece))) > 0)
		written += (size_t)size;
	if (written < ROOM_MAX)
		ok(size < 0 && errno == ENOSPC, "no room after %zu KiB", written >> 10);
	ok(fstat(fd, &status) == 0 && (size_t)status.st_size == written,
	   "what was written is there");
	memory = mmap(NULL, 64 << 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ok(memory != MAP_FAILED, "memory is mapped");
	memset(memory, 'm', 64 << 10);
	ok(memory[12345] == 'm', "and touched");
	munmap(memory, 64 << 10);
	ok((other = open("big", O_RDONLY)) >= 0 && close(other) == 0, "a file is opened");
	ok(ftruncate(fd, 0) == 0 && write(fd, piece, 100) == 100, "emptied, it takes bytes again");
	other = make_file("other");
	for (written = 0; written < 4 << 20; written += (size_t)size)
		if ((size = write(other, piece, sizeof(piece))) <= 0)
			break;
	ok(written == 4 << 20, "and another has room");
	close(other);
	close(fd);
	ok(unlink("big") == 0 && unlink("other") == 0, "both are removed");
}

/* Names take room too; what is left must do to remove them again. */
static void many_names_can_be_removed(void)
{
	int made = 0, removed = 0, fd;
	char name[32];

	for (; made < NAMES_MAX; made++) {
		snprintf(name, sizeof(name), "name-%d", made);
		if ((fd = make_file(name)) < 0)
			break;
		close(fd);
	}
	if (made < NAMES_MAX)
		ok(errno == ENOSPC, "no room after %d files", made);
	while (removed < made) {
		snprintf(name, sizeof(name), "name-%d", removed);
		if (unlink(name) != 0)
			break;
		removed++;
	}
	ok(removed == made, "all files are removed");
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	ok(mkdir(BASE, 0755) == 0 && chdir(BASE) == 0, "a directory to work in");
	nothing_is_made_in_a_directory_that_is_gone();
	a_name_is_not_replaced_by_itself();
	a_listing_in_pieces_is_complete();
	what_is_asked_for_is_checked_in_linuxs_order();
	names_longer_than_a_server_takes_are_absent();
	trees_may_be_deep();
	a_full_file_system_can_be_tidied_up();
	many_names_can_be_removed();
	ok(chdir("/") == 0 && rmdir(BASE) == 0, "all is removed");
	return done();
}
