/*
 * Files in memory: shared and private mappings of them, what read(2) and write(2) see of those, and what
 * truncation, fallocate(2), seals and limits do to them.
 *
 * With an argument, a file that has an origin (or any other) is mapped, too: it is written.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PAGE      4096L
#define FILE_PATH "/tmp/hawser-maps"
#define PROGRAM   "/tmp/hawser-program"

static sigjmp_buf escape;
static siginfo_t caught;

static void on_signal(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	caught = *info;
	siglongjmp(escape, 1);
}

/* What an access brings: 0, or the signal, with its siginfo in `caught`. */
static int touch(volatile char *at, bool write)
{
	memset(&caught, 0, sizeof(caught));
	if (sigsetjmp(escape, 1) == 0) {
		if (write)
			*at = 'x';
		else
			(void)*at;
		return 0;
	}
	return caught.si_signo;
}

static bool is_bus_error(volatile char *at, bool write)
{
	return touch(at, write) == SIGBUS && caught.si_code == BUS_ADRERR &&
	       caught.si_addr == (void *)at;
}

static bool all_are(const volatile char *memory, long length, char value)
{
	for (long i = 0; i < length; i++) {
		if (memory[i] != value)
			return false;
	}
	return true;
}

static char *map_file(int fd, long pages, int prot, int flags)
{
	return mmap(NULL, (size_t)(pages * PAGE), prot, flags, fd, 0);
}

/* A file of pages of 'a', 'b', 'c' … */
static int make_file(long pages)
{
	int fd = open(FILE_PATH, O_RDWR | O_CREAT | O_TRUNC, 0600);
	char page[PAGE];

	for (long i = 0; i < pages; i++) {
		memset(page, 'a' + (int)i, PAGE);
		if (write(fd, page, PAGE) != PAGE)
			ok(false, "page %ld is written", i);
	}
	return fd;
}

static long blocks_of(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 ? (long)status.st_blocks : -1;
}

static void shared_mappings_are_the_file(void)
{
	int fd = make_file(4);
	char *one = map_file(fd, 4, PROT_READ | PROT_WRITE, MAP_SHARED);
	char *two = map_file(fd, 4, PROT_READ, MAP_SHARED);
	char bytes[8] = "";
	int status;
	pid_t child;

	ok(one != MAP_FAILED && two != MAP_FAILED, "a file is mapped twice, shared");
	ok(one[0] == 'a' && two[3 * PAGE] == 'd', "both have its bytes");
	one[PAGE] = 'X';
	ok(two[PAGE] == 'X', "what one writes the other reads");
	ok(pread(fd, bytes, 1, PAGE) == 1 && bytes[0] == 'X', "and so does read(2)");
	ok(pwrite(fd, "YZ", 2, 2 * PAGE - 1) == 2 && one[2 * PAGE - 1] == 'Y' &&
		   two[2 * PAGE] == 'Z',
	   "what write(2) writes, both read");
	ok(pwrite(fd, one + 3 * PAGE, PAGE, 0) == PAGE && all_are(two, PAGE, 'd'),
	   "write(2) from a mapping of the file itself");
	child = fork();
	if (child == 0) {
		one[0] = 'C';
		_exit(two[0] == 'C' ? 0 : 1);
	}
	waitpid(child, &status, 0);
	ok(status == 0 && one[0] == 'C' && pread(fd, bytes, 1, 0) == 1 && bytes[0] == 'C',
	   "a child's writes reach its parent and the file");
	ok(close(fd) == 0 && (one[1] = 'E') && two[1] == 'E', "without the descriptor it goes on");
	munmap(one, 4 * PAGE);
	munmap(two, 4 * PAGE);
	fd = open(FILE_PATH, O_RDONLY);
	ok(read(fd, bytes, 2) == 2 && bytes[0] == 'C' && bytes[1] == 'E', "it is all in the file");
	fails(map_file(fd, 1, PROT_WRITE, MAP_SHARED), EACCES,
	      "a descriptor that cannot write gives no shared mapping that can");
	one = map_file(fd, 1, PROT_READ, MAP_SHARED);
	fails(mprotect(one, PAGE, PROT_READ | PROT_WRITE), EACCES, "nor does mprotect(2)");
	munmap(one, PAGE);
	close(fd);
}

static void private_mappings_keep_their_writes(void)
{
	int fd = make_file(3);
	char *map = map_file(fd, 3, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	char *self, byte;
	int exe;

	ok(map[0] == 'a' && map[PAGE] == 'b', "a private mapping has the file's bytes");
	map[0] = 'P';
	ok(pread(fd, &byte, 1, 0) == 1 && byte == 'a', "its writes do not reach the file");
	ok(pwrite(fd, "QQ", 2, 0) == 2 && map[0] == 'P' && map[1] == 'a',
	   "nor those of others it, where it has written");
	munmap(map, 3 * PAGE);
	map = map_file(fd, 3, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	close(fd);
	fd = open(FILE_PATH, O_RDWR);
	ok(map[0] == 'Q' && ftruncate(fd, PAGE) == 0 && is_bus_error(map + PAGE, true),
	   "beyond the end it has no pages to copy");
	munmap(map, 3 * PAGE);
	close(fd);

	exe = open("/proc/self/exe", O_RDONLY);
	self = map_file(exe, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	ok(self != MAP_FAILED && memcmp(self, "\177ELF", 4) == 0, "a program's file is mapped");
	self[0] = 'P';
	ok(pread(exe, &byte, 1, 0) == 1 && byte == '\177', "and written privately");
	munmap(self, PAGE);
	close(exe);
}

static void truncation_is_seen_by_every_mapping(void)
{
	int fd = make_file(4);
	char *shared = map_file(fd, 4, PROT_READ | PROT_WRITE, MAP_SHARED);
	char *copied = map_file(fd, 4, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	touch(shared + 3 * PAGE, true);
	touch(copied + 3 * PAGE, true);
	ok(ftruncate(fd, PAGE + 100) == 0, "a file of four pages is cut in its second");
	ok(shared[PAGE + 99] == 'b' && all_are(shared + PAGE + 100, PAGE - 100, 0),
	   "what is left of the page is zero");
	ok(is_bus_error(shared + 2 * PAGE, false) && is_bus_error(shared + 3 * PAGE + 5, true),
	   "the next ones are SIGBUS, to read and to write");
	ok(is_bus_error(copied + 3 * PAGE, false), "private copies are gone too");
	shared[PAGE + 200] = 'j';
	ok(ftruncate(fd, 3 * PAGE) == 0, "it grows again");
	ok(all_are(shared + PAGE + 100, 2 * PAGE - 100, 0), "by zeroes");
	ok(shared[PAGE + 99] == 'b', "after what it had");
	ok(touch(shared + 2 * PAGE, true) == 0, "the new pages can be written");
	ok(is_bus_error(shared + 3 * PAGE, false), "and the one behind them not");
	ok(ftruncate(fd, 10) == 0 && (shared[50] = 'j') && pwrite(fd, "z", 1, 100) == 1 &&
		   all_are(shared + 10, 90, 0) && shared[100] == 'z',
	   "write(2) beyond the end leaves zeroes before it, whatever a mapping wrote there");
	ok(ftruncate(fd, 0) == 0 && is_bus_error(shared, false), "an empty file has no page");
	munmap(shared, 4 * PAGE);
	munmap(copied, 4 * PAGE);
	close(fd);
}

static void holes_are_made_and_filled(void)
{
	int fd = make_file(6);
	long blocks = blocks_of(fd);
	char *shared = map_file(fd, 6, PROT_READ | PROT_WRITE, MAP_SHARED);
	char *copied = map_file(fd, 6, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	struct stat status;

	touch(copied + 2 * PAGE, true);
	touch(shared + 3 * PAGE, false);
	ok(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE + 100, 3 * PAGE) == 0,
	   "a hole of three pages, from the middle of one");
	ok(shared[PAGE + 99] == 'b' && all_are(shared + PAGE + 100, 3 * PAGE, 0) &&
		   shared[4 * PAGE + 100] == 'e',
	   "is zeroes in a mapping");
	ok(copied[2 * PAGE] == 'x' && copied[3 * PAGE] == 0, "but not where that has its own copy");
	ok(blocks_of(fd) <= blocks, "it takes no more room");
	fstat(fd, &status);
	ok(status.st_size == 6 * PAGE, "and the size is what it was");
	ok(touch(shared + 2 * PAGE, true) == 0 && shared[2 * PAGE] == 'x', "the hole is written");
	ok(fallocate(fd, FALLOC_FL_ZERO_RANGE, 10, PAGE) == 0 && shared[9] == 'a' &&
		   all_are(shared + 10, PAGE, 0),
	   "FALLOC_FL_ZERO_RANGE");
	ok(fallocate(fd, 0, 0, 8 * PAGE) == 0 && fstat(fd, &status) == 0 &&
		   status.st_size == 8 * PAGE && status.st_blocks >= 8 * PAGE / 512,
	   "allocating makes it longer, and gives it room");
	ok(shared[5 * PAGE] == 'f', "and leaves what is there");
	ok(fallocate(fd, FALLOC_FL_KEEP_SIZE, 8 * PAGE, 2 * PAGE) == 0 && fstat(fd, &status) == 0 &&
		   status.st_size == 8 * PAGE,
	   "FALLOC_FL_KEEP_SIZE does not make it longer");
	munmap(shared, 6 * PAGE);
	munmap(copied, 6 * PAGE);

	fails(fallocate(fd, 0, -1, PAGE), EINVAL, "a negative offset is EINVAL");
	fails(fallocate(fd, 0, 0, 0), EINVAL, "no length is EINVAL");
	fails(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, PAGE), EOPNOTSUPP,
	      "a hole that changes the size is EOPNOTSUPP");
	fails(fallocate(fd, 0x4000, 0, PAGE), EOPNOTSUPP, "an unknown mode is EOPNOTSUPP");
	fails(fallocate(fd, 0, LONG_MAX, PAGE), EFBIG, "beyond the largest file is EFBIG");
	close(fd);
	fd = open(FILE_PATH, O_RDONLY);
	fails(fallocate(fd, 0, 0, PAGE), EBADF, "a descriptor that cannot write is EBADF");
	close(fd);
}

static void holes_are_found(void)
{
	int fd = open(FILE_PATH, O_RDWR | O_CREAT | O_TRUNC, 0600);
	long blocks;
	char *map;

	ok(ftruncate(fd, 64 * PAGE) == 0 && pwrite(fd, "x", 1, 16 * PAGE + 5) == 1,
	   "a file that is a hole but for one page");
	ok(lseek(fd, 0, SEEK_DATA) == 16 * PAGE &&
		   lseek(fd, 16 * PAGE + 9, SEEK_DATA) == 16 * PAGE + 9,
	   "SEEK_DATA finds it");
	ok(lseek(fd, 0, SEEK_HOLE) == 0 && lseek(fd, 16 * PAGE, SEEK_HOLE) == 17 * PAGE,
	   "SEEK_HOLE what is around it");
	fails(lseek(fd, 17 * PAGE, SEEK_DATA), ENXIO, "behind it there is no data");
	fails(lseek(fd, 64 * PAGE, SEEK_HOLE), ENXIO, "and behind the end no hole");

	map = map_file(fd, 64, PROT_READ | PROT_WRITE, MAP_SHARED);
	map[20 * PAGE] = map[21 * PAGE] = map[22 * PAGE] = 'y';
	fsync(fd);
	blocks = blocks_of(fd);
	ok(madvise(map + 21 * PAGE, PAGE, MADV_REMOVE) == 0 && map[20 * PAGE] == 'y' &&
		   map[21 * PAGE] == 0 && map[22 * PAGE] == 'y',
	   "MADV_REMOVE makes a hole in the middle");
	ok(blocks_of(fd) <= blocks && lseek(fd, 20 * PAGE, SEEK_DATA) == 20 * PAGE, "of the file");
	munmap(map, 64 * PAGE);
	map = map_file(fd, 64, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	fails(madvise(map, PAGE, MADV_REMOVE), EACCES, "a private mapping is EACCES");
	munmap(map, 64 * PAGE);
	map = map_file(-1, 4, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
	map[PAGE] = 'z';
	ok(madvise(map, 4 * PAGE, MADV_REMOVE) == 0 && map[PAGE] == 0, "shared memory forgets");
	munmap(map, 4 * PAGE);
	map = map_file(-1, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
	fails(madvise(map, PAGE, MADV_REMOVE), EINVAL, "private memory is EINVAL");
	munmap(map, PAGE);
	close(fd);
}

static void memfds_are_files_without_a_name(void)
{
	int fd = memfd_create("hawser", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char *map, byte, path[64], link[64] = "";
	struct stat status;
	int again;

	ok(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC, "memfd_create(2)");
	ok(ftruncate(fd, 2 * PAGE) == 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
		   status.st_size == 2 * PAGE && status.st_nlink == 0,
	   "is a regular file with no name");
	map = map_file(fd, 2, PROT_READ | PROT_WRITE, MAP_SHARED);
	ok(map != MAP_FAILED && all_are(map, 2 * PAGE, 0), "of zeroes");
	map[PAGE] = 'm';
	ok(pread(fd, &byte, 1, PAGE) == 1 && byte == 'm', "a mapping writes it");

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ok(readlink(path, link, sizeof(link) - 1) > 0 &&
		   strcmp(link, "/memfd:hawser (deleted)") == 0,
	   "its name says what it is");
	again = open(path, O_RDONLY);
	fails(fcntl(again, F_ADD_SEALS, F_SEAL_GROW), EPERM,
	      "through a descriptor that cannot write it is not sealed");
	close(again);

	ok(fcntl(fd, F_GET_SEALS) == 0, "it has no seals");
	fails(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY,
	      "mapped, it is not sealed against writes");
	ok(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0, "but against being cut");
	fails(ftruncate(fd, PAGE), EPERM, "which is EPERM then");
	ok(ftruncate(fd, 3 * PAGE) == 0, "it can grow");
	ok(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0, "until it is sealed against that");
	fails(ftruncate(fd, 4 * PAGE), EPERM, "which is EPERM for ftruncate(2)");
	fails(pwrite(fd, "x", 1, 3 * PAGE), EPERM, "for write(2)");
	fails(fallocate(fd, 0, 0, 4 * PAGE), EPERM, "and for fallocate(2)");
	ok(pwrite(fd, "x", 1, 0) == 1 && map[0] == 'x', "what is there is still written");
	munmap(map, 2 * PAGE);
	ok(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0, "unmapped, it is sealed against writes");
	fails(pwrite(fd, "y", 1, 0), EPERM, "which are EPERM");
	fails(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE), EPERM,
	      "and so are holes");
	fails(map_file(fd, 1, PROT_READ | PROT_WRITE, MAP_SHARED), EPERM,
	      "and shared mappings that write");
	map = map_file(fd, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	ok(map != MAP_FAILED && map[0] == 'x' && (map[0] = 'p'), "private ones may");
	munmap(map, PAGE);
	map = map_file(fd, 1, PROT_READ, MAP_SHARED);
	ok(map != MAP_FAILED && map[0] == 'x', "shared ones may read");
	fails(mprotect(map, PAGE, PROT_READ | PROT_WRITE), EACCES, "and not be made to write");
	munmap(map, PAGE);
	ok(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL) == 0 &&
		   fcntl(fd, F_GET_SEALS) ==
			   (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE),
	   "the last seal is against seals");
	fails(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM, "which are EPERM");
	close(fd);

	fd = memfd_create("", 0);
	ok(fd >= 0 && fcntl(fd, F_GET_SEALS) == F_SEAL_SEAL,
	   "without MFD_ALLOW_SEALING it is sealed");
	fails(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM, "against seals");
	close(fd);
	fails(memfd_create("x", 0x4000), EINVAL, "an unknown flag is EINVAL");
	fails(memfd_create(NULL, 0), EFAULT, "no name is EFAULT");
	{
		char name[251];

		memset(name, 'n', sizeof(name) - 1);
		name[250] = '\0';
		fails(memfd_create(name, 0), EINVAL, "a name of 250 bytes is EINVAL");
		name[249] = '\0';
		fd = memfd_create(name, 0);
		ok(fd >= 0, "one of 249 is not");
		close(fd);
	}
}

/* Copies this program to where it can be executed; its end is its first argument. */
static void copy_program(int to)
{
	int from = open("/proc/self/exe", O_RDONLY);
	char page[PAGE];
	ssize_t got;

	while ((got = read(from, page, PAGE)) > 0) {
		if (write(to, page, (size_t)got) != got)
			ok(false, "the program is copied");
	}
	close(from);
}

/* The errno of executing it, or 0 if it ends as it should. */
static int run_program(const char *path, int fd)
{
	char *const arguments[] = { (char *)"program", (char *)"--end", NULL };
	char *const environment[] = { NULL };
	pid_t child = fork();
	int status;

	if (child == 0) {
		if (path)
			execve(path, arguments, environment);
		else
			syscall(SYS_execveat, fd, "", arguments, environment, AT_EMPTY_PATH);
		_exit(errno);
	}
	waitpid(child, &status, 0);
	return !WIFEXITED(status) ? -1 : WEXITSTATUS(status) == 200 ? 0 : WEXITSTATUS(status);
}

static void what_is_mapped_to_be_written_is_not_executed(void)
{
	int fd = open(PROGRAM, O_RDWR | O_CREAT | O_TRUNC, 0700);
	char *map, *half;

	copy_program(fd);
	map = map_file(fd, 2, PROT_READ, MAP_SHARED);
	ok(run_program(PROGRAM, -1) == ETXTBSY, "open for writing, a program is ETXTBSY");
	close(fd);
	ok(run_program(PROGRAM, -1) == ETXTBSY,
	   "and so it is as long as it may be written by a mapping");
	half = map + PAGE;
	munmap(map, PAGE);
	ok(run_program(PROGRAM, -1) == ETXTBSY, "or by a part of one");
	munmap(half, PAGE);
	ok(run_program(PROGRAM, -1) == 0, "then it runs");
	fd = open(PROGRAM, O_RDONLY);
	map = map_file(fd, 1, PROT_READ, MAP_SHARED);
	ok(run_program(PROGRAM, -1) == 0, "a mapping that can only read is no reason");
	munmap(map, PAGE);
	close(fd);
	unlink(PROGRAM);

	fd = memfd_create("program", 0);
	copy_program(fd);
	ok(run_program(NULL, fd) == 0, "a memfd runs, though its descriptor could write it");
	close(fd);
}

static void limits_are_kept(void)
{
	struct rlimit old, small = { .rlim_cur = 2 * PAGE, .rlim_max = RLIM_INFINITY };
	int fd = open(FILE_PATH, O_RDWR | O_CREAT | O_TRUNC, 0600);
	char bytes[PAGE] = { 0 };
	int status;
	pid_t child;

	getrlimit(RLIMIT_FSIZE, &old);
	small.rlim_max = old.rlim_max;
	child = fork();
	if (child == 0) {
		setrlimit(RLIMIT_FSIZE, &small);
		(void)!pwrite(fd, "x", 1, 2 * PAGE);
		_exit(1);
	}
	waitpid(child, &status, 0);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ, "beyond RLIMIT_FSIZE is SIGXFSZ");
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	ok(pwrite(fd, bytes, PAGE, 2 * PAGE - 10) == 10, "a write is cut short at the limit");
	fails(pwrite(fd, bytes, PAGE, 2 * PAGE), EFBIG,
	      "there, with the signal ignored, it is EFBIG");
	fails(ftruncate(fd, 2 * PAGE + 1), EFBIG, "and so is ftruncate(2)");
	fails(truncate(FILE_PATH, 2 * PAGE + 1), EFBIG, "and truncate(2)");
	fails(fallocate(fd, 0, PAGE, 2 * PAGE), EFBIG, "and fallocate(2)");
	ok(ftruncate(fd, 2 * PAGE) == 0, "up to the limit it grows");
	setrlimit(RLIMIT_FSIZE, &old);
	signal(SIGXFSZ, SIG_DFL);
	close(fd);
}

static void the_room_is_told(void)
{
	struct statfs fs;

	ok(statfs("/tmp", &fs) == 0 && fs.f_blocks > 0 && fs.f_bfree <= fs.f_blocks &&
		   fs.f_bavail <= fs.f_bfree && fs.f_bsize == PAGE,
	   "statfs(2) tells the size and what is free");
}

static void a_file_of_the_server_is_mapped(const char *path)
{
	int fd = open(path, O_RDWR);
	char *map, first, last;
	struct stat status;

	if (!ok(fd >= 0 && fstat(fd, &status) == 0, "%s is opened to be written", path))
		return;
	pread(fd, &first, 1, 0);
	pread(fd, &last, 1, status.st_size - 1);
	map = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ok(map[0] == first && map[status.st_size - 1] == last, "and mapped, whole");
	map[0] = first ^ 1;
	munmap(map, (size_t)status.st_size);
	close(fd);
	fd = open(path, O_RDONLY);
	ok(pread(fd, &last, 1, 0) == 1 && last == (first ^ 1), "what is written there stays here");
	close(fd);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = on_signal,
				    .sa_flags = SA_SIGINFO | SA_NODEFER };

	if (argc > 1 && strcmp(argv[1], "--end") == 0)
		return 200;
	tap_begin(argv);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	shared_mappings_are_the_file();
	private_mappings_keep_their_writes();
	truncation_is_seen_by_every_mapping();
	holes_are_made_and_filled();
	holes_are_found();
	memfds_are_files_without_a_name();
	what_is_mapped_to_be_written_is_not_executed();
	limits_are_kept();
	the_room_is_told();
	if (argc > 1)
		a_file_of_the_server_is_mapped(argv[1]);
	signal(SIGBUS, SIG_DFL);
	signal(SIGSEGV, SIG_DFL);
	unlink(FILE_PATH);
	return done();
}
