/*
 * vm.c - what memory and processes cost, in instructions: `make bench`, tests/bench/rows.py.
 *
 * Everything here works in memory that MADV_NOHUGEPAGE keeps to pages of 4 KiB, but for the row that
 * says otherwise. The file is in /tmp, which is RAM on both kernels.
 */
#define _GNU_SOURCE
#include "rows.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE      4096ul
#define PAGES     1024u /* of a measurement that is one operation for each page */
#define FILE_PATH "/tmp/bench-file"
#define EXEC_PATH "/tmp/bench-exec"
#define HUGE_SIZE (64ul << 20)

static int data_file;

static char *map(size_t size, int prot, int flags, int file)
{
	char *memory = mmap(NULL, size, prot, flags, file, 0);

	need(memory != MAP_FAILED, "mmap");
	madvise(memory, size, MADV_NOHUGEPAGE);
	return memory;
}

static char *map_anonymous(unsigned pages)
{
	return map(pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static uint64_t write_each(volatile char *memory, unsigned pages)
{
	uint64_t start = now();

	for (unsigned i = 0; i < pages; i++)
		memory[i * PAGE] = 1;
	return now() - start;
}

static uint64_t read_each(const volatile char *memory, unsigned pages)
{
	uint64_t start = now();

	for (unsigned i = 0; i < pages; i++)
		(void)memory[i * PAGE];
	return now() - start;
}

static void await(pid_t child)
{
	int status;

	need(child > 0 && waitpid(child, &status, 0) == child && status == 0, "a child");
}

/* --- faults ------------------------------------------------------------------------------------- */

static uint64_t anonymous_write(unsigned pages)
{
	char *memory = map_anonymous(pages);
	uint64_t took = write_each(memory, pages);

	munmap(memory, pages * PAGE);
	return took;
}

static uint64_t zero_page_read(unsigned pages)
{
	char *memory = map_anonymous(pages);
	uint64_t took = read_each(memory, pages);

	munmap(memory, pages * PAGE);
	return took;
}

/* After a fork, while the child lives or once it has ended. */
static uint64_t write_after_fork(unsigned pages, int child_lives)
{
	char *memory = map_anonymous(pages);
	uint64_t took;
	int ends[2];
	pid_t child;
	char byte;

	need(pipe(ends) == 0, "pipe");
	write_each(memory, pages);
	child = fork();
	if (child == 0) {
		close(ends[1]);
		_exit(child_lives ? (int)read(ends[0], &byte, 1) : 0);
	}
	if (!child_lives)
		await(child);
	took = write_each(memory, pages);
	close(ends[1]);
	if (child_lives)
		await(child);
	close(ends[0]);
	munmap(memory, pages * PAGE);
	return took;
}

static uint64_t cow_copy(unsigned pages)
{
	return write_after_fork(pages, 1);
}

static uint64_t cow_reuse(unsigned pages)
{
	return write_after_fork(pages, 0);
}

static uint64_t file_read(unsigned pages)
{
	char *memory = map(pages * PAGE, PROT_READ, MAP_PRIVATE, data_file);
	uint64_t took = read_each(memory, pages);

	munmap(memory, pages * PAGE);
	return took;
}

static uint64_t private_file_write(unsigned pages)
{
	char *memory = map(pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, data_file);
	uint64_t took = write_each(memory, pages);

	munmap(memory, pages * PAGE);
	return took;
}

static uint64_t shared_write(unsigned pages)
{
	char *memory = map(pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
	uint64_t took = write_each(memory, pages);

	munmap(memory, pages * PAGE);
	return took;
}

/* A large region as programs ask for it, with whatever pages the kernel has for it. */
static uint64_t large_write(unsigned pages)
{
	char *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	uint64_t took;

	need(memory != MAP_FAILED, "mmap");
	madvise(memory, pages * PAGE, MADV_HUGEPAGE);
	took = write_each(memory, pages);
	munmap(memory, pages * PAGE);
	return took;
}

/* --- mappings ----------------------------------------------------------------------------------- */

static uint64_t getppid_call(unsigned count)
{
	uint64_t start = now();

	for (unsigned i = 0; i < count; i++)
		syscall(SYS_getppid);
	return now() - start;
}

static uint64_t map_and_unmap(unsigned count, int touch)
{
	uint64_t start = now();

	for (unsigned i = 0; i < count; i++) {
		volatile char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (touch)
			*page = 1;
		munmap((void *)page, PAGE);
	}
	return now() - start;
}

static uint64_t map_unmap(unsigned count)
{
	return map_and_unmap(count, 0);
}

static uint64_t map_touch_unmap(unsigned count)
{
	return map_and_unmap(count, 1);
}

static uint64_t protect_pair(unsigned count)
{
	char *memory = map_anonymous(16);
	uint64_t start;

	write_each(memory, 16);
	start = now();
	for (unsigned i = 0; i < count; i++) {
		mprotect(memory + 8 * PAGE, PAGE, PROT_READ);
		mprotect(memory + 8 * PAGE, PAGE, PROT_READ | PROT_WRITE);
	}
	start = now() - start;
	munmap(memory, 16 * PAGE);
	return start;
}

static uint64_t unmap_touched(unsigned pages)
{
	char *memory = map_anonymous(pages);
	uint64_t start;

	write_each(memory, pages);
	start = now();
	munmap(memory, pages * PAGE);
	return now() - start;
}

/* With so many regions that no two of them can be merged. */
static void scale_regions(unsigned regions)
{
	char *memory = map(regions * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	char name[64];

	for (unsigned i = 0; i < regions; i += 2)
		need(mmap(memory + i * PAGE, PAGE, PROT_READ,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED,
		     "mmap");
	snprintf(name, sizeof(name), "mmap + touch + munmap among %u regions", regions);
	measure_row(name, map_touch_unmap, 100);
	munmap(memory, regions * PAGE);
}

/* --- processes ---------------------------------------------------------------------------------- */

static uint64_t fork_exit_wait(unsigned count)
{
	uint64_t start = now();

	for (unsigned i = 0; i < count; i++) {
		pid_t child = fork();

		if (child == 0)
			_exit(0);
		await(child);
	}
	return now() - start;
}

static uint64_t vfork_exit_wait(unsigned count)
{
	uint64_t start = now();

	for (unsigned i = 0; i < count; i++) {
		pid_t child = vfork();

		if (child == 0)
			_exit(0);
		await(child);
	}
	return now() - start;
}

static uint64_t fork_exec_exit_wait(unsigned count)
{
	uint64_t start = now();

	for (unsigned i = 0; i < count; i++) {
		pid_t child = fork();

		if (child == 0) {
			execl(EXEC_PATH, EXEC_PATH, "exit", NULL);
			_exit(1);
		}
		await(child);
	}
	return now() - start;
}

static uint64_t pipe_round_trip(unsigned count)
{
	int there[2], back[2];
	uint64_t took;
	pid_t child;
	char byte = 0;

	need(pipe(there) == 0 && pipe(back) == 0, "pipe");
	child = fork();
	if (child == 0) {
		close(there[1]);
		while (read(there[0], &byte, 1) == 1)
			need(write(back[1], &byte, 1) == 1, "write");
		_exit(0);
	}
	took = now();
	for (unsigned i = 0; i < count; i++)
		need(write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1, "a pipe");
	took = now() - took;
	close(there[1]);
	close(there[0]);
	close(back[0]);
	close(back[1]);
	await(child);
	return took;
}

/* Fork against resident pages. */
static void scale_fork(void)
{
	static const unsigned sizes[] = { 256, 1024, 4096, 16384 };
	uint64_t nothing = least(fork_exit_wait, 20), all = 0;
	char name[64];

	row("fork + exit + wait", nothing);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		char *memory = map_anonymous(sizes[i]);

		write_each(memory, sizes[i]);
		all = least(fork_exit_wait, 4);
		snprintf(name, sizeof(name), "fork + exit + wait with %u resident pages", sizes[i]);
		row(name, all);
		if (sizes[i] == sizes[3])
			row("fork, marginal per resident page", (all - nothing) / sizes[i]);
		munmap(memory, sizes[i] * PAGE);
	}
}

/* Fork of a heap in pages of 2 MiB, where the kernel has any for it. */
static void fork_large(void)
{
	char *memory =
		mmap(NULL, HUGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(memory != MAP_FAILED, "mmap");
	madvise(memory, HUGE_SIZE, MADV_HUGEPAGE);
	write_each(memory, HUGE_SIZE / PAGE);
	measure_row("fork + exit + wait with 64 MiB in large pages", fork_exit_wait, 4);
	munmap(memory, HUGE_SIZE);
}

/* --- the table ---------------------------------------------------------------------------------- */

static void copy_self(const char *path)
{
	int from = open("/proc/self/exe", O_RDONLY);
	int to = open(EXEC_PATH, O_CREAT | O_TRUNC | O_WRONLY, 0755);
	char block[4096];
	ssize_t length;

	if (from < 0) /* no /proc */
		from = open(path, O_RDONLY);
	need(from >= 0 && to >= 0, EXEC_PATH);
	while ((length = read(from, block, sizeof(block))) > 0)
		need(write(to, block, (size_t)length) == length, EXEC_PATH);
	close(from);
	close(to);
}

static void make_file(void)
{
	static char page[PAGE];

	data_file = open(FILE_PATH, O_CREAT | O_TRUNC | O_RDWR, 0644);
	need(data_file >= 0, FILE_PATH);
	memset(page, 'x', sizeof(page));
	for (unsigned i = 0; i < PAGES; i++)
		need(write(data_file, page, PAGE) == (ssize_t)PAGE, FILE_PATH);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return 0; /* what fork_exec_exit_wait() runs */
	make_file();
	copy_self(argv[0]);

	measure_row("getppid", getppid_call, 10000);
	measure_row("anonymous write fault", anonymous_write, PAGES);
	measure_row("zero-page read fault", zero_page_read, PAGES);
	measure_row("copy-on-write, copied", cow_copy, PAGES);
	measure_row("copy-on-write, sole owner", cow_reuse, PAGES);
	measure_row("file read fault, per page", file_read, PAGES);
	measure_row("private file write fault", private_file_write, PAGES);
	measure_row("shared anonymous write fault", shared_write, PAGES);
	measure_row("large region write, per page", large_write, HUGE_SIZE / PAGE);
	measure_row("mmap + munmap", map_unmap, 1000);
	measure_row("mmap + touch + munmap", map_touch_unmap, 1000);
	measure_row("mprotect split + merge", protect_pair, 1000);
	measure_row("munmap, per touched page", unmap_touched, PAGES);
	scale_fork();
	fork_large();
	measure_row("vfork + exit + wait", vfork_exit_wait, 50);
	measure_row("fork + exec + exit + wait", fork_exec_exit_wait, 20);
	measure_row("pipe round trip", pipe_round_trip, 1000);
	scale_regions(10);
	scale_regions(1000);
	scale_regions(50000);
	unlink(FILE_PATH);
	unlink(EXEC_PATH);
	return 0;
}
