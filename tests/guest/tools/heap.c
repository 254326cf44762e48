/*
 * heap GIB: grows the heap by so many GiB, writes every page of it, reads them all back, and gives the
 * heap back. Status 0 if all is as it must be; for machines with more memory than that.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096ul

/* musl's brk() and sbrk() refuse; the kernel's returns the break that holds now. */
static char *set_break(char *wanted)
{
	return (char *)syscall(SYS_brk, wanted);
}

static void must(int condition, const char *what)
{
	printf("%s: %s\n", condition ? "ok" : "NOT TRUE", what);
	fflush(stdout);
	if (!condition)
		exit(1);
}

int main(int argc, char **argv)
{
	uint64_t pages = (argc > 1 ? strtoull(argv[1], NULL, 0) : 1) << 30 >> 12, wrong = 0;
	char *start = set_break(NULL);

	must(set_break(start + pages * PAGE) == start + pages * PAGE, "the heap grows");
	for (uint64_t i = 0; i < pages; i++)
		*(uint64_t *)(start + i * PAGE + i % 500 * 8) = ~i;
	for (uint64_t i = 0; i < pages; i++)
		wrong += *(uint64_t *)(start + i * PAGE + i % 500 * 8) != ~i;
	must(wrong == 0, "every page holds what was written");
	must(set_break(start) == start, "the heap shrinks");
	must(set_break(start + pages * PAGE) == start + pages * PAGE, "and grows again");
	must(start[pages * PAGE - 1] == 0 && start[0] == 0, "to zeroes");
	return 0;
}
