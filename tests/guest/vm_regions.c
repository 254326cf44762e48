/*
 * Regions as /proc/self/maps shows them: what munmap leaves of one and of several, how mprotect splits
 * and joins them, single pages freed inside large maps, the heap in many small steps, an address range
 * that is reserved and costs nothing.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <linux/mman.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>

#define PAGE 4096L
#define RW   (PROT_READ | PROT_WRITE)

static char *map(size_t length, int prot, int flags)
{
	return mmap(NULL, length, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

static char *map_at(char *at, long pages, int prot)
{
	return mmap(at, (size_t)(pages * PAGE), prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		    0);
}

/*
 * [at, at + pages) as /proc/self/maps has it, each region between brackets: "[rr][w]..n". At most 32
 * pages.
 */
static const char *draw(const char *at, int pages)
{
	static char drawing[128];
	uintptr_t base = (uintptr_t)at;
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512], right[33], *out = drawing;
	bool begins[34] = { false };

	memset(right, '.', sizeof(right));
	while (fgets(line, sizeof(line), maps)) {
		unsigned long start, end;
		char rights[5];

		if (sscanf(line, "%lx-%lx %4s", &start, &end, rights) != 3 || end <= base)
			continue;
		for (int i = 0; i < pages; i++) {
			uintptr_t page = base + (uintptr_t)(i * PAGE);

			if (page < start || page >= end)
				continue;
			right[i] = rights[1] == 'w' ? 'w' : rights[0] == 'r' ? 'r' : 'n';
			begins[i] = begins[i] || page == start;
			begins[i + 1] = begins[i + 1] || page + PAGE == end;
		}
	}
	fclose(maps);
	for (int i = 0; i < pages; i++) {
		if (begins[i] && i > 0)
			*out++ = '|';
		*out++ = right[i];
	}
	*out = '\0';
	return drawing;
}

#define looks(at, pages, drawing, name)                                                    \
	({                                                                                 \
		const char *got_ = draw(at, pages);                                        \
		ok(strcmp(got_, drawing) == 0, "%s: %s (wanted %s)", name, got_, drawing); \
	})

/* Each page gets a letter of its own. */
static void letter(char *area, long pages)
{
	for (long i = 0; i < pages; i++)
		area[i * PAGE] = (char)('a' + i);
}

static bool has_letters(const char *area, const char *letters)
{
	for (long i = 0; letters[i]; i++)
		if (letters[i] != '.' && area[i * PAGE] != letters[i])
			return false;
	return true;
}

/* Ten pages with a free page on either side, so that nothing else joins them. */
static char *fresh(void)
{
	char *area = map(12 * PAGE, PROT_NONE, 0);

	munmap(area, 12 * PAGE);
	map_at(area + PAGE, 10, RW);
	letter(area + PAGE, 10);
	return area + PAGE;
}

static void unmapping_one(void)
{
	static const struct {
		const char *name;
		int first, pages;
		const char *layout, *left;
	} cases[] = {
		{ "exactly", 0, 10, "..........", ".........." },
		{ "its front", 0, 3, "...|wwwwwww", "...defghij" },
		{ "its back", 7, 3, "wwwwwww|...", "abcdefg..." },
		{ "its middle", 4, 2, "wwww|..|wwww", "abcd..ghij" },
		{ "a page", 5, 1, "wwwww|.|wwww", "abcde.ghij" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *area = fresh();

		ok(munmap(area + cases[i].first * PAGE, (size_t)(cases[i].pages * PAGE)) == 0,
		   "unmapping %s", cases[i].name);
		looks(area, 10, cases[i].layout, cases[i].name);
		ok(has_letters(area, cases[i].left), "the rest keeps its bytes");
		munmap(area, 10 * PAGE);
	}
}

/*	[www][rrr]..[ww]  with the middle taken out, across all of them   */
static void unmapping_several(void)
{
	char *area = fresh();

	mprotect(area + 3 * PAGE, 3 * PAGE, PROT_READ);
	munmap(area + 6 * PAGE, 2 * PAGE);
	looks(area, 10, "www|rrr|..|ww", "two regions, a hole, a third");
	ok(munmap(area + 2 * PAGE, 7 * PAGE) == 0, "unmapping across all");
	looks(area, 10, "ww|.......|w", "leaves the ends");
	ok(has_letters(area, "ab.......j"), "with their bytes");
	ok(munmap(area - PAGE, 12 * PAGE) == 0, "unmapping more than there is");
	looks(area, 10, "..........", "leaves nothing");
	ok(munmap(area, 10 * PAGE) == 0, "nothing is unmapped once more");
}

static void splitting_and_joining(void)
{
	char *area = fresh();
	int fd = open("/dev/zero", O_RDONLY);

	ok(mprotect(area + 3 * PAGE, 4 * PAGE, PROT_READ) == 0, "the middle becomes read-only");
	looks(area, 10, "www|rrrr|www", "split in three");
	ok(mprotect(area + 5 * PAGE, PAGE, PROT_NONE) == 0, "a page of it loses all");
	looks(area, 10, "www|rr|n|r|www", "split in five");
	fails(read(fd, area + 3 * PAGE, 1), EFAULT, "what is read-only is not written");
	ok(mprotect(area + 5 * PAGE, PAGE, PROT_READ) == 0 && area[5 * PAGE] == 'f',
	   "it gets its right back, and has its byte");
	looks(area, 10, "www|rrrr|www", "joined");
	ok(mprotect(area, 10 * PAGE, RW) == 0, "all are written again");
	looks(area, 10, "wwwwwwwwww", "one region");
	ok(has_letters(area, "abcdefghij"), "nothing is lost");
	ok(mprotect(area, 10 * PAGE, PROT_NONE) == 0 && mprotect(area, 10 * PAGE, RW) == 0 &&
		   has_letters(area, "abcdefghij"),
	   "nor by having no right at all for a while");

	munmap(area + 6 * PAGE, PAGE);
	fails(mprotect(area + 4 * PAGE, 6 * PAGE, PROT_READ), ENOMEM, "a hole is ENOMEM");
	fails(syscall(SYS_mprotect, area + 1, PAGE, PROT_READ), EINVAL, "an odd address is EINVAL");
	fails(mprotect(area, PAGE, 0x40), EINVAL, "an unknown right is EINVAL");
	fails(mprotect(area, PAGE, PROT_READ | PROT_GROWSDOWN), EINVAL, "this does not grow down");
	fails(mprotect((void *)((uintptr_t)1 << 63), PAGE, PROT_READ), ENOMEM, "the kernel's");
	ok(mprotect(area, 0, PROT_READ) == 0, "nothing is in order");
	munmap(area, 10 * PAGE);
	close(fd);
}

static void mappings_join(void)
{
	char *area = fresh();

	munmap(area + 3 * PAGE, 4 * PAGE);
	map_at(area + 3 * PAGE, 2, PROT_READ);
	map_at(area + 5 * PAGE, 2, PROT_READ);
	looks(area, 10, "www|rrrr|www", "two that are alike are one");
	map_at(area + 4 * PAGE, 2, RW);
	ok(area[4 * PAGE] == 0 && area[5 * PAGE] == 0, "what replaces is empty");
	looks(area, 10, "www|r|ww|r|www", "and splits");
	munmap(area, 10 * PAGE);
}

/* As GCC's garbage collector does: large maps, of which it gives single pages back. */
static void single_pages_of_large_maps(void)
{
	enum { MAPS = 4, PAGES = 128 };
	char *maps[MAPS];
	bool same = true, gone = true;
	unsigned char there;

	for (int m = 0; m < MAPS; m++) {
		maps[m] = map(PAGES * PAGE, RW, 0);
		for (int i = 0; i < PAGES; i++)
			*(int *)(maps[m] + i * PAGE) = m * PAGES + i;
	}
	for (int i = 0; i < PAGES; i++)
		for (int m = 0; m < MAPS; m++)
			if ((i * 7 + m) % 3 == 0)
				munmap(maps[m] + i * PAGE, PAGE);
	for (int m = 0; m < MAPS; m++)
		for (int i = 0; i < PAGES; i++) {
			if ((i * 7 + m) % 3 == 0)
				gone = gone && mincore(maps[m] + i * PAGE, PAGE, &there) != 0;
			else
				same = same && *(int *)(maps[m] + i * PAGE) == m * PAGES + i;
		}
	ok(gone, "every third page of four maps is given back");
	ok(same, "and the others are as they were");
	for (int i = 0; i < PAGES; i += 3)
		same = same && map_at(maps[0] + i * PAGE, 1, RW) && maps[0][i * PAGE] == 0;
	ok(same, "new ones take their places");
	for (int m = 0; m < MAPS; m++)
		munmap(maps[m], PAGES * PAGE);
}

/* Regions that have a part of [start, end). */
static int regions_between(const char *start, const char *end)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	char line[512];
	int count = 0;

	while (fgets(line, sizeof(line), maps))
		count += sscanf(line, "%lx-%lx", &from, &to) == 2 && from < (uintptr_t)end &&
			 to > (uintptr_t)start;
	fclose(maps);
	return count;
}

static void the_heap_in_small_steps(void)
{
	const int steps = 50000;
	char *start = (char *)syscall(SYS_brk, 0), *top = start;
	bool good = true;

	for (int i = 1; i <= steps; i++) {
		good = good && (char *)syscall(SYS_brk, top + 16) == top + 16;
		top += 16;
		top[-1] = (char)i;
	}
	ok(good && top == start + 16L * steps, "50,000 steps of brk");
	ok(regions_between(start, top) == 1, "are one region");
	for (int i = 1; i <= steps; i++)
		good = good && start[16L * i - 1] == (char)i;
	ok(good, "which keeps every byte");
	for (int i = 0; i < 90; i++) {
		top -= 2 * PAGE;
		good = good && (char *)syscall(SYS_brk, top) == top;
	}
	ok(good && regions_between(start, top) == 1, "it shrinks in steps, too");
	ok((char *)syscall(SYS_brk, start) == start, "and back to where it was");
}

static long resident_pages(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long size = 0, resident = -1;

	if (fscanf(file, "%ld %ld", &size, &resident) != 2)
		resident = -1;
	fclose(file);
	return resident;
}

static void a_terabyte_costs_nothing(void)
{
	const size_t size = (size_t)1 << 40;
	struct sysinfo before, after;
	long resident = resident_pages();
	char *area;

	sysinfo(&before);
	area = map(size, PROT_NONE, MAP_NORESERVE);
	ok(area != MAP_FAILED, "1 TiB is reserved");
	sysinfo(&after);
	ok(resident_pages() - resident < 16, "none of it is resident");
	if (on_hawser())
		ok((before.freeram - after.freeram) * before.mem_unit < 64 * 1024,
		   "and it takes no memory");
	ok(mprotect(area + size / 2, 4 * PAGE, RW) == 0, "a piece in the middle is made use of");
	area[size / 2] = 'x';
	ok(area[size / 2] == 'x' && area[size / 2 + PAGE] == 0, "and written");
	ok(madvise(area, size, MADV_DONTNEED) == 0, "all of it is dropped");
	ok(area[size / 2] == 0, "the piece, too");
	ok(mprotect(area, size, PROT_READ) == 0 && area[size - 1] == 0, "all of it may be read");
	ok(munmap(area, size) == 0, "and it is given back");
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	unmapping_one();
	unmapping_several();
	splitting_and_joining();
	mappings_join();
	single_pages_of_large_maps();
	the_heap_in_small_steps();
	a_terabyte_costs_nothing();
	return done();
}
