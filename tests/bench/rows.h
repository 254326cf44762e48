/*
 * rows.h - for programs that measure a kernel from user mode, by instructions.
 *
 * Under QEMU's -icount the time-stamp counter advances by one for each instruction that the machine
 * executes, so a difference of two readings is what happened between them, the kernel's part
 * included, and repeats to a fraction of a percent. The same program runs on Hawser and on Linux;
 * each line `row NAME VALUE` that it prints becomes a row of the table (tests/bench/rows.py).
 */
#ifndef TESTS_BENCH_ROWS_H
#define TESTS_BENCH_ROWS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <x86intrin.h>

#define REPEATS 3 /* the least of them counts: a timer interrupt or two falls into the others */

static inline uint64_t now(void)
{
	return __rdtsc();
}

static inline void row(const char *name, uint64_t value)
{
	printf("row %s %llu\n", name, (unsigned long long)value);
	fflush(stdout);
}

/* What cannot be measured is no row. */
static inline void need(int condition, const char *what)
{
	if (condition)
		return;
	perror(what);
	exit(1);
}

/*
 * One row: `measure` returns the instructions that `count` operations took, of which the least of
 * REPEATS readings is divided by the count.
 */
static inline uint64_t least(uint64_t (*measure)(unsigned count), unsigned count)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < REPEATS; i++) {
		uint64_t took = measure(count);

		if (took < best)
			best = took;
	}
	return best / count;
}

static inline void measure_row(const char *name, uint64_t (*measure)(unsigned count),
			       unsigned count)
{
	row(name, least(measure, count));
}

#endif
