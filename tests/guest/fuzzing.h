/*
 * tests/guest/fuzzing.h - for tests that do things at random: numbers that repeat by their seed, numbers that
 * are likely to go wrong, and the way to be rid of whatever files have been made.
 */
#ifndef HAWSER_TESTS_GUEST_FUZZING_H
#define HAWSER_TESTS_GUEST_FUZZING_H

#include "tap.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define LISTING_SIZE (32 * 1024)

static uint64_t state; /* not 0 */

static inline uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static inline uint64_t below(uint64_t limit)
{
	return next() % limit;
}

#define PICK(array) ((array)[below(sizeof(array) / sizeof((array)[0]))])

static inline uint64_t any_number(void)
{
	switch (below(7)) {
	case 0:
		return 0;
	case 1:
		return below(300);
	case 2:
		return -below(300);
	case 3:
		return UINT64_C(1) << below(64);
	case 4:
		return (UINT64_C(1) << below(64)) - 1;
	case 5:
		return below(UINT32_MAX);
	default:
		return next();
	}
}

/* Addresses at the ends of what there is. */
static inline uint64_t any_edge(void)
{
	static const uint64_t edges[] = {
		0,
		1,
		4096 - 1,
		0x7ffffffff000 - 1,
		0x7ffffffff000,
		0x7fffffffffff,
		0x800000000000,
		0xffff800000000000,
		0xffffffff80000000,
		UINT64_MAX - 7,
		UINT64_MAX,
	};

	return PICK(edges);
}

/* Whatever the names are: directories' contents before the directories, and what is mounted there. */
static inline bool remove_all(const char *directory)
{
	static char listing[LISTING_SIZE];
	char name[PATH_MAX];
	long size;
	int fd;

	chmod(directory, 0700);
	for (;;) {
		bool any = false;

		fd = open(directory, O_RDONLY | O_DIRECTORY);
		if (fd < 0)
			return unlink(directory) == 0;
		while (!any && (size = syscall(SYS_getdents64, fd, listing, sizeof(listing))) > 0) {
			for (long at = 0; at < size && !any;
			     at += *(unsigned short *)(listing + at + 16)) {
				const char *entry = listing + at + 19;

				if (strcmp(entry, ".") == 0 || strcmp(entry, "..") == 0)
					continue;
				snprintf(name, sizeof(name), "%s/%s", directory, entry);
				any = true;
			}
		}
		close(fd);
		if (!any)
			return rmdir(directory) == 0;
		if (unlink(name) != 0 && umount(name) != 0 && !remove_all(name))
			return false;
	}
}

#endif
