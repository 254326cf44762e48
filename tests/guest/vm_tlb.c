/*
 * TLBs are flushed when a right goes from a page that a processor may remember, and not otherwise.
 */
#include "tap.h"

#include <sys/mman.h>
#include <sys/wait.h>

#define PAGE   4096ul
#define ROUNDS 1000

static long flushes(void)
{
	return tap_proc_number("/proc/vmstat", "tlb_flushes");
}

static long avoided(void)
{
	return tap_proc_number("/proc/vmstat", "tlb_flushes_avoided");
}

/* Flushes that so many pairs of calls have led to. */
static long protect(char *page, int there)
{
	long before = flushes();

	for (int i = 0; i < ROUNDS; i++) {
		if (there)
			*(volatile char *)page = 1;
		mprotect(page, PAGE, PROT_READ);
		mprotect(page, PAGE, PROT_READ | PROT_WRITE);
	}
	return flushes() - before;
}

int main(int argc, char **argv)
{
	char *memory =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long count, before;

	(void)argc;
	tap_begin(argv);
	ok(memory != MAP_FAILED, "two pages");
	count = protect(memory, 1);
	if (on_hawser())
		ok(count >= ROUNDS && count < 2 * ROUNDS,
		   "a page that was written is flushed when it becomes read-only: %ld flushes",
		   count);
	ok(memory[0] == 1, "and keeps its content");
	count = protect(memory + PAGE, 0);
	if (on_hawser())
		ok(count < ROUNDS / 10, "a page that was never touched is not: %ld flushes", count);

	before = avoided();
	for (int i = 0; i < 20; i++) {
		int status = -1;
		pid_t child = fork();

		if (child == 0)
			_exit(0);
		if (waitpid(child, &status, 0) != child || status != 0)
			ok(0, "a child");
	}
	if (on_hawser())
		ok(avoided() - before >= 20,
		   "the end of a program that no processor runs: %ld avoided", avoided() - before);
	munmap(memory, 2 * PAGE);
	return done();
}
