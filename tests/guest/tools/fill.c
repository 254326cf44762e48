/*
 * Fills the file system until there is no room, in each of the ways that there are: says ENOSPC, or SIGBUS
 * in a mapping, and changes nothing; and when the files are gone, all is as it was. For small machines.
 */
#define _GNU_SOURCE
#include "../tap.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#define FULL "/tmp/full"
#define PAGE 4096L
#define HUGE (1L << 40)

static sigjmp_buf escape;

static void on_bus_error(int signal)
{
	siglongjmp(escape, signal);
}

static long available(void)
{
	struct statfs fs;

	return statfs("/tmp", &fs) == 0 ? (long)fs.f_bavail : -1;
}

/* Pages that could be stored into a mapping of an empty file. */
static long store_until_full(int fd)
{
	volatile long stored = 0;
	volatile char *map;

	if (ftruncate(fd, HUGE) != 0)
		return -1;
	map = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -1;
	if (sigsetjmp(escape, 1) == 0) {
		for (;; stored++)
			map[stored * PAGE] = 1;
	}
	ok(map[(stored - 1) * PAGE] == 1, "what was stored before is there");
	munmap((void *)map, HUGE);
	return stored;
}

static long write_until_full(int fd)
{
	static char block[16 * PAGE];
	long written = 0;
	ssize_t got;

	while ((got = write(fd, block, sizeof(block))) > 0)
		written += got;
	ok(got == -1 && errno == ENOSPC, "write(2) says ENOSPC");
	return written / PAGE;
}

static void fill_in_every_way(void)
{
	long room, stored, written;
	struct stat status;
	int fd;

	room = available();
	ok(room > 0, "there is room for %ld pages", room);

	fd = open(FULL, O_RDWR | O_CREAT | O_TRUNC, 0600);
	fails(fallocate(fd, 0, 0, HUGE), ENOSPC, "fallocate(2) of more than there is says ENOSPC");
	ok(fstat(fd, &status) == 0 && status.st_size == 0 && status.st_blocks == 0,
	   "and changes nothing");
	written = write_until_full(fd);
	ok(written > room * 3 / 4, "after %ld pages", written);
	fails(open("/tmp/another", O_WRONLY | O_CREAT, 0600), ENOSPC, "no file can be made then");
	fails(fallocate(fd, FALLOC_FL_KEEP_SIZE, 4 * written * PAGE, PAGE), ENOSPC,
	      "and none be given room");
	ok(pwrite(fd, "x", 1, 0) == 1, "what there is can be written");
	ok(available() == 0, "statfs(2) says that nothing is left");
	ok(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 64 * PAGE) == 0 &&
		   pwrite(fd, "x", 1, 0) == 1,
	   "a hole makes room");
	ok(ftruncate(fd, 0) == 0, "cut, the file has none of it");
	stored = store_until_full(fd);
	ok(stored > room * 3 / 4, "SIGBUS after %ld pages are stored into a mapping", stored);
	close(fd);
	unlink(FULL);
}

int main(int argc, char **argv)
{
	long before;

	(void)argc;
	tap_begin(argv);
	signal(SIGBUS, on_bus_error);
	fill_in_every_way();
	tap_proc_number("/proc/census", "nr_free_frames"); /* with all that asking takes */
	before = tap_proc_number("/proc/census", "nr_free_frames");
	fill_in_every_way();
	ok(tap_proc_number("/proc/census", "nr_free_frames") == before,
	   "and again: every frame that was free is free");
	return done();
}
