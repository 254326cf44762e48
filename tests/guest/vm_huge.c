/*
 * Pages of 2 MiB: asked for, taken apart by whatever happens to a part of them, and never to be told
 * from small ones by what is read. Whether there are any is the kernel's to decide; on Hawser, with
 * memory to spare, its counters must say so.
 */
#include "tap.h"

#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>

#define PAGE   4096ul
#define HUGE   (2ul << 20)
#define BLOCKS 3ul

static long counter(const char *name)
{
	return tap_proc_number("/proc/vmstat", name);
}

/* `blocks` aligned blocks, asked for as the advice says. */
static unsigned char *map_blocks(unsigned long blocks, int advice)
{
	char *memory = mmap(NULL, (blocks + 1) * HUGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long start = ((unsigned long)memory + HUGE - 1) & ~(HUGE - 1);

	if (memory == MAP_FAILED)
		return NULL;
	/* What is left over on both sides goes. */
	if (start > (unsigned long)memory)
		munmap(memory, start - (unsigned long)memory);
	munmap((char *)start + blocks * HUGE, (unsigned long)memory + HUGE - start);
	(void)madvise((void *)start, blocks * HUGE, advice); /* a kernel may have none */
	return (unsigned char *)start;
}

static unsigned char expected(unsigned long page)
{
	return (unsigned char)(1 + page % 251);
}

static void fill(volatile unsigned char *memory, unsigned long pages)
{
	for (unsigned long i = 0; i < pages; i++)
		memory[i * PAGE + i % PAGE] = expected(i);
}

/* How many of the pages [from, to) do not hold what fill() put there. */
static unsigned long wrong(const volatile unsigned char *memory, unsigned long from,
			   unsigned long to)
{
	unsigned long count = 0;

	for (unsigned long i = from; i < to; i++)
		count += memory[i * PAGE + i % PAGE] != expected(i) ||
			 memory[i * PAGE + (i + 1) % PAGE] != 0;
	return count;
}

static void children_have_their_own(unsigned char *memory, unsigned long pages)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		int good = wrong(memory, 3, pages) == 0;

		memset(memory, 0xee, pages * PAGE);
		_exit(good && memory[pages * PAGE - 1] == 0xee ? 0 : 1);
	}
	ok(child > 0 && waitpid(child, &status, 0) == child && status == 0,
	   "a child reads what the parent wrote, and writes over it");
}

/* Who only looks takes nothing apart; nor does whoever is left alone, and writes. */
static void readers_share(unsigned char *memory, unsigned long pages, int plenty)
{
	long split = counter("thp_split_pmd");
	int status = -1;
	pid_t child = fork();

	if (child == 0)
		_exit(wrong(memory, 0, pages) == 0 ? 0 : 1);
	ok(child > 0 && waitpid(child, &status, 0) == child && status == 0, "a child reads it");
	fill(memory, pages);
	ok(wrong(memory, 0, pages) == 0, "and then the parent writes it");
	if (plenty)
		ok(counter("thp_split_pmd") == split, "which takes no block apart");
}

/* One page of each block is written by each of two; the others are one and the same to both. */
static void writers_get_single_pages(unsigned char *memory)
{
	const unsigned long per_block = HUGE / PAGE;
	int status = -1, ends[2];
	pid_t child;
	char byte = 0;

	if (pipe(ends) != 0)
		return;
	child = fork();
	if (child == 0) {
		close(ends[1]);
		for (unsigned long i = 0; i < BLOCKS; i++)
			memory[i * HUGE] = 0x55;
		/* Until the parent has written, too. */
		if (read(ends[0], &byte, 1) != 1)
			_exit(2);
		for (unsigned long i = 0; i < BLOCKS; i++)
			if (memory[i * HUGE] != 0x55 ||
			    wrong(memory, i * per_block + 1, (i + 1) * per_block) != 0)
				_exit(1);
		_exit(0);
	}
	close(ends[0]);
	for (unsigned long i = 0; i < BLOCKS; i++)
		memory[i * HUGE + PAGE + (i * per_block + 1) % PAGE] = 0x66;
	ok(write(ends[1], &byte, 1) == 1 && waitpid(child, &status, 0) == child && status == 0,
	   "a child does not see what the parent writes");
	close(ends[1]);
	ok(wrong(memory, 2, per_block) == 0 && memory[PAGE + 1] == 0x66 && memory[0] == expected(0),
	   "nor the parent what the child has written");
}

int main(int argc, char **argv)
{
	const unsigned long per_block = HUGE / PAGE, pages = BLOCKS * per_block;
	long before, allocated, split, present;
	struct sysinfo info;
	unsigned char *memory;
	int plenty;

	(void)argc;
	tap_begin(argv);
	sysinfo(&info);
	plenty = on_hawser() && info.totalram * info.mem_unit > 48ul << 20;

	/* The first child and the first census leave something behind in the kernel's caches. */
	memory = map_blocks(1, MADV_NOHUGEPAGE);
	fill(memory, 8);
	children_have_their_own(memory, 8);
	munmap(memory, HUGE);
	tap_free_frames();
	before = tap_free_frames();
	allocated = counter("thp_fault_alloc");
	split = counter("thp_split_pmd");
	present = counter("nr_anon_transparent_hugepages");

	memory = map_blocks(BLOCKS, MADV_HUGEPAGE);
	ok(memory != NULL, "three blocks");
	fill(memory, pages);
	ok(wrong(memory, 0, pages) == 0, "are written and read");
	if (plenty) {
		ok(counter("thp_fault_alloc") == allocated + (long)BLOCKS, "by one fault for each");
		ok(counter("nr_anon_transparent_hugepages") == present + (long)BLOCKS,
		   "and are there");
	}

	ok(munmap(memory + PAGE, PAGE) == 0 && wrong(memory, 0, 1) == 0 &&
		   wrong(memory, 2, per_block) == 0,
	   "one page is unmapped; its neighbours stay");
	ok(mprotect(memory + HUGE + PAGE, PAGE, PROT_NONE) == 0 &&
		   mprotect(memory + HUGE + PAGE, PAGE, PROT_READ) == 0 &&
		   wrong(memory, per_block, 2 * per_block) == 0,
	   "one page is protected; all keep their contents");
	memory[HUGE] = memory[HUGE + 2 * PAGE] = 9;
	ok(memory[HUGE] == 9 && memory[HUGE + 2 * PAGE] == 9, "and the others can be written");
	fill(memory + 2 * HUGE, 0);
	ok(madvise(memory + 2 * HUGE, HUGE / 2, MADV_DONTNEED) == 0 && memory[2 * HUGE] == 0 &&
		   memory[2 * HUGE + HUGE / 2 - 1] == 0 &&
		   wrong(memory, 2 * per_block + per_block / 2, pages) == 0,
	   "half a block is dropped; the other half stays");
	if (plenty)
		ok(counter("thp_split_pmd") == split + (long)BLOCKS, "each was taken apart once");
	ok(munmap(memory, BLOCKS * HUGE) == 0, "all go");

	memory = map_blocks(BLOCKS, MADV_HUGEPAGE);
	fill(memory, pages);
	readers_share(memory, pages, plenty);
	writers_get_single_pages(memory);
	munmap(memory, BLOCKS * HUGE);

	memory = map_blocks(BLOCKS, MADV_HUGEPAGE);
	fill(memory, pages);
	children_have_their_own(memory, pages);
	ok(wrong(memory, 0, pages) == 0, "the parent's pages are as they were");
	fill(memory, pages);
	ok(wrong(memory, 0, pages) == 0, "and can be written again");
	munmap(memory, BLOCKS * HUGE);

	allocated = counter("thp_fault_alloc");
	memory = map_blocks(BLOCKS, MADV_NOHUGEPAGE);
	fill(memory, pages);
	ok(wrong(memory, 0, pages) == 0, "who wants none");
	if (on_hawser())
		ok(counter("thp_fault_alloc") == allocated, "gets none");
	munmap(memory, BLOCKS * HUGE);

	if (on_hawser()) {
		long after = tap_free_frames();

		ok(after == before, "no frame is lost: %ld free before, %ld after", before, after);
		ok(counter("nr_anon_transparent_hugepages") == present, "and no block");
	}
	return done();
}
