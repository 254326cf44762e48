/*
 * test_large.c - pages of 2 MiB: when there is one, and that nobody sees it but by what it saves.
 *
 * The machine of these tests is small, so that a region has large pages only if it was asked for them
 * (REGION_HUGEPAGE). The last test does random things to such a region and compares what a program
 * reads with a model of single pages.
 */
#include "fake_pmap.h"
#include "inject.h"
#include "world.h"

#include "kernel/string.h"
#include "mm/large.h"
#include <linux/mman.h>

#include <cmocka.h>
#include <stdlib.h>

#define BASE     UINT64_C(0x40000000)
#define BLOCK(n) (BASE + (n)*LARGE_SIZE)
#define RW       (PROT_READ | PROT_WRITE)

#define assert_reads(space, cpu, address, value)                                    \
	do {                                                                        \
		uint8_t byte_;                                                      \
		assert_int_equal(world_read((space), (cpu), (address), &byte_), 0); \
		assert_int_equal(byte_, (value));                                   \
	} while (0)

#define assert_writes(space, cpu, address, value) \
	assert_int_equal(world_write((space), (cpu), (address), (value)), 0)

static struct space *space;

static int begin(void **state)
{
	int error = world_begin(state);

	space = world_space();
	return error;
}

static void map_blocks(unsigned first, unsigned count, uint32_t flags)
{
	assert_int_equal(world_map(space, BLOCK(first), count * LARGE_PAGES, RW, flags, NULL, 0),
			 BLOCK(first));
}

/* What the first pages of a block are, as world_draw_pages() has it. */
static void assert_block(struct space *of, unsigned block, const char *pages)
{
	world_check();
	assert_string_equal(world_draw_pages(of, BLOCK(block), (unsigned)strlen(pages)), pages);
}

static void one_write_brings_a_whole_block_of_zeroes(void **state)
{
	(void)state;
	map_blocks(0, 2, REGION_HUGEPAGE);
	assert_writes(space, 0, BLOCK(0) + 5 * PAGE_SIZE, 7);
	assert_block(space, 0, "LLLLLLLL");
	assert_block(space, 1, "........");
	assert_int_equal(space->stats.anon_pages, LARGE_PAGES);
	assert_int_equal(space->stats.large_pages, 1);
	assert_reads(space, 1, BLOCK(0) + 5 * PAGE_SIZE, 7);
	assert_reads(space, 1, BLOCK(1) - 1, 0);
}

static void blocks_that_a_region_has_only_in_part_get_small_pages(void **state)
{
	(void)state;
	assert_int_equal(world_map(space, BLOCK(0) + PAGE_SIZE, 2 * LARGE_PAGES, RW,
				   REGION_HUGEPAGE, NULL, 0),
			 BLOCK(0) + PAGE_SIZE);
	assert_writes(space, 0, BLOCK(0) + PAGE_SIZE, 1);
	assert_writes(space, 0, BLOCK(1), 1);
	assert_writes(space, 0, BLOCK(2), 1);
	assert_block(space, 0, ".a..");
	assert_block(space, 1, "LLLL");
	assert_block(space, 2, "a...");
}

static void nobody_gets_one_who_refused_or_is_on_a_small_machine(void **state)
{
	(void)state;
	map_blocks(0, 1, 0);
	map_blocks(2, 1, REGION_NOHUGEPAGE);
	assert_writes(space, 0, BLOCK(0), 1);
	assert_writes(space, 0, BLOCK(2), 1);
	assert_block(space, 0, "a...");
	assert_block(space, 2, "a...");
}

static void a_block_with_a_page_in_it_stays_small(void **state)
{
	(void)state;
	map_blocks(0, 1, REGION_HUGEPAGE);
	assert_reads(space, 0, BLOCK(0), 0);
	assert_writes(space, 0, BLOCK(0) + PAGE_SIZE, 1);
	assert_block(space, 0, "za..");
}

static void small_pages_do_where_no_block_is_free(void **state)
{
	struct frame *blocks[64], *block;
	unsigned count = 0;

	(void)state;
	map_blocks(0, 1, REGION_HUGEPAGE);
	while ((block = frame_alloc(FRAME_KERNEL, LARGE_ORDER, 0)))
		blocks[count++] = block;
	assert_writes(space, 0, BLOCK(0), 1);
	assert_block(space, 0, "a...");
	while (count > 0)
		frame_put(blocks[--count]);
}

static void unmapping_a_part_keeps_the_rest(void **state)
{
	struct large_stats before, after;

	(void)state;
	map_blocks(0, 1, REGION_HUGEPAGE);
	assert_writes(space, 0, BLOCK(0), 1);
	assert_writes(space, 1, BLOCK(0) + 3 * PAGE_SIZE, 3);
	large_get_stats(&before);
	assert_int_equal(space_unmap(space, BLOCK(0) + PAGE_SIZE, 2 * PAGE_SIZE), 0);
	large_get_stats(&after);
	assert_int_equal(after.demoted, before.demoted + 1);
	assert_int_equal(after.present, before.present - 1);
	assert_block(space, 0, "a..aaaaa");
	assert_reads(space, 0, BLOCK(0), 1);
	assert_reads(space, 1, BLOCK(0) + 3 * PAGE_SIZE, 3);
	assert_int_equal(world_write(space, 0, BLOCK(0) + PAGE_SIZE, 1), -EFAULT);
	assert_int_equal(space->stats.anon_pages, LARGE_PAGES - 2);
}

static void unmapping_it_whole_gives_the_block_back(void **state)
{
	uint64_t blocks[FRAME_ORDER_MAX + 1], later[FRAME_ORDER_MAX + 1];

	(void)state;
	map_blocks(0, 3, REGION_HUGEPAGE);
	frame_buddy_info(blocks);
	for (unsigned i = 0; i < 3; i++)
		assert_writes(space, 0, BLOCK(i), 1);
	assert_int_equal(space_unmap(space, BLOCK(0), 3 * LARGE_SIZE), 0);
	frame_buddy_info(later);
	assert_int_equal(later[FRAME_ORDER_MAX], blocks[FRAME_ORDER_MAX]);
	assert_int_equal(space->stats.anon_pages, 0);
	world_check();
}

static void protecting_a_part_demotes(void **state)
{
	(void)state;
	map_blocks(0, 1, REGION_HUGEPAGE);
	assert_writes(space, 0, BLOCK(0) + PAGE_SIZE, 9);
	assert_int_equal(space_protect(space, BLOCK(0) + PAGE_SIZE, PAGE_SIZE, PROT_NONE), 0);
	assert_block(space, 0, "a-aaaaaa");
	assert_int_equal(world_write(space, 0, BLOCK(0) + PAGE_SIZE, 1), -EFAULT);
	assert_int_equal(space_protect(space, BLOCK(0), LARGE_SIZE, PROT_READ), 0);
	assert_int_equal(world_write(space, 0, BLOCK(0), 1), -EFAULT);
	assert_reads(space, 1, BLOCK(0) + PAGE_SIZE, 9);
	assert_int_equal(space_protect(space, BLOCK(0), LARGE_SIZE, RW), 0);
	assert_writes(space, 1, BLOCK(0), 1);
	world_check();
}

static void discarding_a_part_and_the_whole(void **state)
{
	(void)state;
	map_blocks(0, 2, REGION_HUGEPAGE);
	assert_writes(space, 0, BLOCK(0), 1);
	assert_writes(space, 0, BLOCK(1), 1);
	assert_int_equal(space_advise(space, BLOCK(0), PAGE_SIZE, MADV_DONTNEED), 0);
	assert_block(space, 0, ".aaa");
	assert_int_equal(space_advise(space, BLOCK(1), LARGE_SIZE, MADV_DONTNEED), 0);
	assert_block(space, 1, "....");
	assert_reads(space, 0, BLOCK(0), 0);
	/* Nothing is left of the second, not even a table. */
	assert_writes(space, 0, BLOCK(1), 1);
	assert_block(space, 1, "LLLL");
}

/* --- shared by fork ------------------------------------------------------------------------------- */

static struct space *fork_one_block(void)
{
	struct space *child;

	map_blocks(0, 1, REGION_HUGEPAGE);
	assert_writes(space, 0, BLOCK(0), 1);
	assert_writes(space, 0, BLOCK(1) - 1, 2);
	child = world_fork(space);
	assert_non_null(child);
	assert_block(space, 0, "LLLL");
	assert_block(child, 0, "LLLL");
	assert_int_equal(child->stats.anon_pages, LARGE_PAGES);
	assert_int_equal(child->stats.large_pages, 1);
	return child;
}

static void a_fork_shares_it_whole_until_somebody_writes(void **state)
{
	struct space *child = fork_one_block();

	(void)state;
	assert_reads(child, 1, BLOCK(0), 1);
	assert_writes(child, 1, BLOCK(0), 3);
	assert_block(space, 0, "LLLL");
	assert_block(child, 0, "aaaa");
	assert_reads(space, 0, BLOCK(0), 1);
	assert_reads(child, 1, BLOCK(0), 3);
	assert_reads(child, 1, BLOCK(1) - 1, 2);
	assert_writes(space, 0, BLOCK(1) - 1, 4);
	assert_block(space, 0, "aaaa");
	assert_reads(child, 1, BLOCK(1) - 1, 2);
	assert_reads(space, 1, BLOCK(0), 1);
	world_check();
}

static void the_last_who_has_it_keeps_it_large(void **state)
{
	struct space *child = fork_one_block();
	struct large_stats before, after;

	(void)state;
	large_get_stats(&before);
	world_drop(child);
	assert_writes(space, 0, BLOCK(0) + PAGE_SIZE, 4);
	assert_writes(space, 1, BLOCK(0), 5);
	large_get_stats(&after);
	assert_int_equal(after.demoted, before.demoted);
	assert_block(space, 0, "LLLL");
	assert_reads(space, 0, BLOCK(1) - 1, 2);
}

static void one_that_others_have_split_ends_as_single_pages(void **state)
{
	struct space *child = fork_one_block(), *third;

	(void)state;
	assert_writes(child, 1, BLOCK(0), 3);
	/* Of a block that is split already, too. */
	third = world_fork(space);
	assert_non_null(third);
	assert_block(third, 0, "LLLL");
	world_drop(space);
	assert_reads(third, 0, BLOCK(0), 1);
	assert_writes(third, 0, BLOCK(0) + PAGE_SIZE, 6);
	assert_block(third, 0, "aaaa");
	world_drop(third);
	assert_writes(child, 0, BLOCK(1) - 1, 7);
	assert_reads(child, 1, BLOCK(0), 3);
	world_check();
}

static void parts_of_a_shared_one_go_one_by_one(void **state)
{
	struct space *child = fork_one_block();

	(void)state;
	assert_int_equal(space_unmap(space, BLOCK(0) + PAGE_SIZE, PAGE_SIZE), 0);
	assert_block(space, 0, "a.aa");
	assert_block(child, 0, "LLLL");
	assert_int_equal(space_protect(child, BLOCK(0), LARGE_SIZE, PROT_READ), 0);
	assert_block(child, 0, "aaaa");
	assert_int_equal(space_unmap(child, BLOCK(0), LARGE_SIZE), 0);
	assert_reads(space, 1, BLOCK(1) - 1, 2);
	world_check();
}

static void every_allocation_of_a_fork_may_fail(void **state)
{
	struct space *child = NULL;

	(void)state;
	map_blocks(0, 2, REGION_HUGEPAGE);
	assert_writes(space, 0, BLOCK(0), 1);
	assert_writes(space, 1, BLOCK(1), 2);
	for (uint64_t n = 1; !child; n++) {
		inject_failure(n);
		child = world_fork(space);
		inject_failure(0);
		world_check();
		if (!child)
			assert_writes(space, 0, BLOCK(0), (uint8_t)n);
	}
	assert_block(space, 1, "LLLL");
	assert_reads(child, 0, BLOCK(1), 2);
	/* Forks that failed before they came to it have taken the right away, and no TLB has kept it. */
	assert_writes(space, 1, BLOCK(1), 3);
	assert_reads(child, 0, BLOCK(1), 2);
	world_check();
}

static void every_allocation_of_a_fault_may_fail(void **state)
{
	(void)state;
	map_blocks(0, 1, REGION_HUGEPAGE);
	for (uint64_t n = 1;; n++) {
		int error;

		inject_failure(n);
		error = world_write(space, 0, BLOCK(0), 1);
		inject_failure(0);
		world_check();
		if (error == 0)
			break;
		assert_int_equal(error, -ENOMEM);
		assert_int_equal(space->stats.anon_pages, 0);
	}
}

/* --- random programs ------------------------------------------------------------------------------ */

#define BLOCKS 5
#define PAGES  (BLOCKS * (unsigned)LARGE_PAGES)

/* Two spaces, the second of which begins as a fork of the first, and what must be in each. */
struct page_model {
	uint8_t byte;
	bool mapped, writable;
};
static struct page_model models[2][PAGES], *model;
static struct space *both[2];

static unsigned below(unsigned bound)
{
	return (unsigned)rand() % bound;
}

/* Ranges that begin and end at blocks as often as not. */
static void choose_range(unsigned *first, unsigned *count)
{
	unsigned grain = below(2) ? (unsigned)LARGE_PAGES : 1;

	*first = below(PAGES / grain) * grain;
	*count = (1 + below((PAGES - *first) / grain)) * grain;
}

static void do_something(void)
{
	unsigned first, count, what = below(12);
	vaddr_t start;

	choose_range(&first, &count);
	start = BASE + first * PAGE_SIZE;
	switch (what) {
	case 0:
		assert_int_equal(space_unmap(space, start, count * PAGE_SIZE), 0);
		for (unsigned i = first; i < first + count; i++)
			model[i].mapped = model[i].writable = false;
		break;
	case 1:
	case 2:
		assert_int_equal(
			world_map(space, start, count, RW, below(4) ? REGION_HUGEPAGE : 0, NULL, 0),
			start);
		memset(&model[first], 0, count * sizeof(*model));
		for (unsigned i = first; i < first + count; i++)
			model[i].mapped = model[i].writable = true;
		break;
	case 3: {
		bool writable = below(3), mapped = true;

		for (unsigned i = first; i < first + count; i++)
			mapped &= model[i].mapped;
		assert_int_equal(
			space_protect(space, start, count * PAGE_SIZE, writable ? RW : PROT_READ),
			mapped ? 0 : -ENOMEM);
		for (unsigned i = first; mapped && i < first + count; i++)
			model[i].writable = writable;
		break;
	}
	case 4:
		(void)space_advise(space, start, count * PAGE_SIZE, MADV_DONTNEED);
		for (unsigned i = first; i < first + count; i++)
			model[i].byte = 0;
		break;
	case 5: {
		unsigned other = space == both[0];
		struct space *child;

		/* In the place of the other one; or it fails, and what it has begun is mended by faults. */
		if (below(3) == 0)
			inject_failure(1 + below(6));
		child = world_fork(space);
		inject_failure(0);
		if (!child)
			break;
		if (both[other])
			world_drop(both[other]);
		both[other] = child;
		memcpy(models[other], model, sizeof(models[other]));
		break;
	}
	default:
		for (unsigned i = 0; i < 16; i++) {
			unsigned page = below(PAGES);
			uint8_t value = (uint8_t)(1 + below(255));
			int error = world_write(space, below(FAKE_CPUS), BASE + page * PAGE_SIZE,
						value);

			assert_int_equal(error, model[page].writable ? 0 : -EFAULT);
			if (!error)
				model[page].byte = value;
		}
	}
}

static void compare(void)
{
	for (unsigned i = 0; i < 64; i++) {
		unsigned page = below(PAGES);

		if (model[page].mapped)
			assert_reads(space, below(FAKE_CPUS), BASE + page * PAGE_SIZE,
				     model[page].byte);
	}
}

static void random_programs_see_no_difference(void **state)
{
	(void)state;
	srand(20);
	memset(models, 0, sizeof(models));
	both[0] = space;
	both[1] = NULL;
	for (unsigned i = 0; i < 1500; i++) {
		unsigned side = both[1] ? below(2) : 0;

		space = both[side];
		model = models[side];
		do_something();
		compare();
		if (i % 8 == 0)
			world_check();
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, world_end)
		TEST(one_write_brings_a_whole_block_of_zeroes),
		TEST(blocks_that_a_region_has_only_in_part_get_small_pages),
		TEST(nobody_gets_one_who_refused_or_is_on_a_small_machine),
		TEST(a_block_with_a_page_in_it_stays_small),
		TEST(small_pages_do_where_no_block_is_free),
		TEST(unmapping_a_part_keeps_the_rest),
		TEST(unmapping_it_whole_gives_the_block_back),
		TEST(protecting_a_part_demotes),
		TEST(discarding_a_part_and_the_whole),
		TEST(a_fork_shares_it_whole_until_somebody_writes),
		TEST(the_last_who_has_it_keeps_it_large),
		TEST(one_that_others_have_split_ends_as_single_pages),
		TEST(parts_of_a_shared_one_go_one_by_one),
		TEST(every_allocation_of_a_fork_may_fail),
		TEST(every_allocation_of_a_fault_may_fail),
		TEST(random_programs_see_no_difference),
	};

	world_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
