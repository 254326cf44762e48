/*
 * Sleeps are shorter than any tick, and a machine that does nothing takes no ticks.
 */
#define _GNU_SOURCE
#include "crew.h"

#include <stdint.h>

static int64_t now_us(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* The shortest of many, since others may run on this machine. */
static void test_short(long us)
{
	struct timespec time = { 0, us * 1000 };
	int64_t shortest = INT64_MAX, before, took;
	bool early = false;

	for (int i = 0; i < 50; i++) {
		before = now_us();
		nanosleep(&time, NULL);
		took = now_us() - before;
		early = early || took < us;
		if (took < shortest)
			shortest = took;
	}
	ok(!early && shortest < us + 800, "a sleep of %ld us takes %ld", us, (long)shortest);
}

/* Of all processors. */
static long timer_interrupts(void)
{
	FILE *file = fopen("/proc/interrupts", "r");
	char line[4096];
	long sum = -1;

	while (file && fgets(line, sizeof(line), file)) {
		char *at = strstr(line, "LOC:"), *end;

		if (!at)
			continue;
		for (at += 4, sum = 0;; at = end) {
			long count = strtol(at, &end, 10);

			if (end == at)
				break;
			sum += count;
		}
	}
	if (file)
		fclose(file);
	return sum;
}

/* At 100 ticks in a second, the least that Linux knows, there would be 40. */
static void test_idle(void)
{
	long before = timer_interrupts(), count;

	nap(400);
	count = timer_interrupts() - before;
	ok(before > 0 && count >= 0, "timer interrupts are counted");
	ok(count < 20 || !on_hawser(), "of which an idle machine has few: %ld in 400 ms", count);
}

/* What keeps a processor busy is measured by a tick. */
static void test_busy(void)
{
	long before = timer_interrupts(), count;
	int64_t end = now_us() + 200000;

	while (now_us() < end)
		;
	count = timer_interrupts() - before;
	ok(count >= 10 || !on_hawser(), "and a busy one has its ticks: %ld in 200 ms", count);
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	test_short(200);
	test_short(50);
	test_idle();
	test_busy();
	return done();
}
