/*
 * Memory as a program sees it: anonymous mappings, parts of them unmapped and protected, brk, the
 * stack, files mapped privately.
 */
#include "tap.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define PAGE 4096L

static char *map(long pages, int prot)
{
	return mmap(NULL, (size_t)(pages * PAGE), prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Whether an address is mapped, asked without touching it: write(2) to a device reads it. */
static bool readable(const void *address)
{
	static int ends[2];
	char byte;

	if (ends[1] == 0 && pipe(ends) != 0) {
		int fd = open("/tmp/hawser-probe", O_RDWR | O_CREAT, 0600);

		ends[0] = ends[1] = fd;
	}
	if (write(ends[1], address, 1) != 1)
		return false;
	if (ends[0] != ends[1] && read(ends[0], &byte, 1) != 1)
		return false;
	return true;
}

static bool all_are(const char *memory, long length, char value)
{
	for (long i = 0; i < length; i++) {
		if (memory[i] != value)
			return false;
	}
	return true;
}

static void anonymous_memory_is_zero_and_keeps(void)
{
	char *area = map(64, PROT_READ | PROT_WRITE);

	ok(area != MAP_FAILED && ((uintptr_t)area & (PAGE - 1)) == 0, "64 pages");
	ok(all_are(area, 64 * PAGE, 0), "are zero when read");
	memset(area, 'a', 64 * PAGE);
	ok(all_are(area, 64 * PAGE, 'a'), "keep what is written");
	ok(munmap(area, 64 * PAGE) == 0, "are unmapped");
	ok(!readable(area), "and gone");
	area = map(64, PROT_READ | PROT_WRITE);
	ok(all_are(area, 64 * PAGE, 0), "new ones are zero again");
	munmap(area, 64 * PAGE);
}

/*	[aaaaaaaa]  ->  [aa]..[aa].a   */
static void parts_are_unmapped(void)
{
	char *area = map(8, PROT_READ | PROT_WRITE);

	for (int i = 0; i < 8; i++)
		memset(area + i * PAGE, 'a' + i, PAGE);
	ok(munmap(area + 2 * PAGE, 2 * PAGE) == 0, "two pages in the middle");
	ok(munmap(area + 6 * PAGE, PAGE) == 0, "one near the end");
	ok(readable(area + PAGE) && !readable(area + 2 * PAGE) && !readable(area + 3 * PAGE) &&
		   readable(area + 4 * PAGE) && !readable(area + 6 * PAGE) &&
		   readable(area + 7 * PAGE),
	   "exactly those are gone");
	ok(area[PAGE] == 'b' && area[4 * PAGE] == 'e' && area[7 * PAGE] == 'h',
	   "the others keep their bytes");
	ok(munmap(area, 8 * PAGE) == 0, "a range with holes is unmapped");
	ok(munmap(area, 8 * PAGE) == 0, "and so is nothing");
	fails(munmap(area + 1, PAGE), EINVAL, "an unaligned address is EINVAL");
	fails(munmap(area, 0), EINVAL, "a length of 0 is EINVAL");
}

static void rights_are_changed(void)
{
	char *area = map(4, PROT_READ | PROT_WRITE);
	int fd = open("/dev/zero", O_RDONLY);

	memset(area, 'a', 4 * PAGE);
	ok(mprotect(area + PAGE, PAGE, PROT_READ) == 0, "one page becomes read-only");
	ok(area[PAGE] == 'a', "it is still read");
	fails(read(fd, area + PAGE, 1), EFAULT, "and not written");
	ok(read(fd, area + 2 * PAGE, 1) == 1, "its neighbour is");
	ok(mprotect(area + PAGE, PAGE, PROT_NONE) == 0 && !readable(area + PAGE),
	   "without any right it is not read");
	ok(mprotect(area, 4 * PAGE, PROT_READ | PROT_WRITE) == 0 && area[PAGE] == 'a',
	   "with its rights back it has its bytes");
	munmap(area + 2 * PAGE, PAGE);
	fails(mprotect(area, 4 * PAGE, PROT_READ), ENOMEM, "a hole is ENOMEM");
	close(fd);
	munmap(area, 4 * PAGE);
}

static void fixed_mappings_replace(void)
{
	char *area = map(4, PROT_READ | PROT_WRITE), *got;

	memset(area, 'a', 4 * PAGE);
	got = mmap(area + PAGE, PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ok(got == area + PAGE && got[0] == 0 && area[0] == 'a' && area[2 * PAGE] == 'a',
	   "MAP_FIXED replaces one page");
	fails(mmap(area, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
	      EEXIST, "MAP_FIXED_NOREPLACE does not");
	fails(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL,
	      "a length of 0 is EINVAL");
	fails(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL,
	      "neither shared nor private is EINVAL");
	fails(mmap(NULL, (size_t)1 << 47, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM,
	      "more than there is room for is ENOMEM");
	fails(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 99, 0), EBADF, "a bad descriptor is EBADF");
	munmap(area, 4 * PAGE);
}

static void much_may_be_mapped_and_little_touched(void)
{
	char *area = map(1L << 20, PROT_READ | PROT_WRITE); /* 4 GiB */

	ok(area != MAP_FAILED, "4 GiB are mapped");
	if (area == MAP_FAILED)
		return;
	area[0] = area[1L << 31] = area[(1L << 32) - 1] = 'x';
	ok(area[0] == 'x' && area[1L << 31] == 'x' && area[PAGE] == 0, "and three pages used");
	ok(munmap(area, 1UL << 32) == 0, "and unmapped");
}

static void a_file_is_mapped_privately(void)
{
	int fd = open("/tmp/hawser-map", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char *area, byte = 0;

	ok(write(fd, "abcdef", 6) == 6, "a file of six bytes");
	area = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ok(area != MAP_FAILED && memcmp(area, "abcdef", 6) == 0 && area[6] == 0 &&
		   area[PAGE - 1] == 0,
	   "is mapped, with zeroes behind it");
	area[0] = 'X';
	ok(pread(fd, &byte, 1, 0) == 1 && byte == 'a', "a write stays private");
	ok(close(fd) == 0 && area[1] == 'b', "the mapping outlives the descriptor");
	munmap(area, PAGE);
	fd = open("/tmp/hawser-map", O_RDONLY);
	fails(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 1), EINVAL, "an odd offset is EINVAL");
	close(fd);
	unlink("/tmp/hawser-map");
}

static void the_break_moves(void)
{
	char *start = (char *)syscall(SYS_brk, 0), *end = start + 100 * PAGE;

	ok((char *)syscall(SYS_brk, end) == end, "brk grows");
	ok(all_are(start, 100 * PAGE, 0), "the new memory is zero");
	memset(start, 'b', 100 * PAGE);
	ok((char *)syscall(SYS_brk, start + 10) == start + 10, "brk shrinks, unaligned");
	ok(!readable(start + 2 * PAGE), "what is above is gone");
	ok((char *)syscall(SYS_brk, end) == end && start[0] == 'b' && start[2 * PAGE] == 0,
	   "grown again, it is zero");
	ok((char *)syscall(SYS_brk, start) == start, "brk returns to its start");
	ok((char *)syscall(SYS_brk, 8) == start, "a break below it is refused");
	ok((char *)syscall(SYS_brk, -1L) == start, "and one beyond everything");
	for (int i = 1; i <= 1000; i++)
		syscall(SYS_brk, start + i * PAGE);
	memset(start, 'c', 1000 * PAGE);
	ok(all_are(start, 1000 * PAGE, 'c'), "a thousand small steps");
	syscall(SYS_brk, start);
}

/* Each call uses a page, touched from its far end. */
static int deep(int depth)
{
	volatile char frame[PAGE];

	frame[0] = (char)depth;
	return depth == 0 ? 0 : deep(depth - 1) + (frame[0] == (char)depth);
}

/* Below everything touched so far, then between: what is resident has no high-water mark. */
static int far_and_then_near(void)
{
	volatile char frame[7 << 20];

	frame[0] = 1;
	for (size_t i = sizeof(frame) / 2; i < sizeof(frame); i += PAGE)
		frame[i] = 2;
	return frame[0] + frame[sizeof(frame) / 2] + frame[sizeof(frame) / 4];
}

static void the_stack_grows(void)
{
	struct rlimit limit;

	ok(far_and_then_near() == 3, "by 7 MiB at once, and then in the middle");
	ok(deep(100) == 100, "to 400 KiB");
	ok(deep(1500) == 1500, "to 6 MiB");
	ok(deep(10) == 10, "and a little, afterwards");
	ok(getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur >= 8 << 20,
	   "its limit is 8 MiB or more");
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	anonymous_memory_is_zero_and_keeps();
	parts_are_unmapped();
	rights_are_changed();
	fixed_mappings_replace();
	much_may_be_mapped_and_little_touched();
	a_file_is_mapped_privately();
	the_break_moves();
	the_stack_grows();
	return done();
}
