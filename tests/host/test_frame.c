/*
 * test_frame.c - the buddy allocator.
 */
#include "fake_pmap.h"
#include "kernel/string.h"

#include <cmocka.h>
#include <stdlib.h>

#define RAM_FRAMES (FAKE_RAM_SIZE / PAGE_SIZE - 1) /* less the zero page */

static uint64_t frames_on_lists(void)
{
	uint64_t counts[FRAME_ORDER_MAX + 1], frames = 0;

	frame_buddy_info(counts);
	for (unsigned order = 0; order <= FRAME_ORDER_MAX; order++)
		frames += counts[order] << order;
	return frames;
}

static void assert_all_free(void)
{
	struct frame_census census;

	frame_census(&census);
	assert_int_equal(census.total, RAM_FRAMES);
	assert_int_equal(census.count[FRAME_FREE], RAM_FRAMES);
}

static void every_frame_that_was_added_is_free(void **state)
{
	assert_all_free();
	assert_int_equal(frame_free_count(), RAM_FRAMES);
	assert_int_equal(frames_on_lists(), RAM_FRAMES);
}

static void a_block_is_aligned_and_its_others_are_tails(void **state)
{
	for (unsigned order = 0; order <= FRAME_ORDER_MAX; order++) {
		struct frame *block = frame_alloc(FRAME_KERNEL, order, 0);

		assert_non_null(block);
		assert_true(IS_ALIGNED(frame_pfn(block), UINT64_C(1) << order));
		assert_int_equal(block->refs, 1);
		assert_int_equal(block->kind, FRAME_KERNEL);
		for (unsigned i = 1; i < 1u << order; i++) {
			assert_int_equal(block[i].kind, FRAME_TAIL);
			assert_int_equal(block[i].refs, 0);
		}
		frame_put(block);
	}
	assert_all_free();
}

static void the_last_reference_frees(void **state)
{
	struct frame *frame = frame_alloc(FRAME_ANON, 0, 0);

	frame_get(frame);
	frame_put(frame);
	assert_int_equal(frame->kind, FRAME_ANON);
	assert_int_equal(frame_free_count(), RAM_FRAMES - 1);
	frame_put(frame);
	assert_int_equal(frame->refs, 0);
	assert_all_free();
}

static void the_census_counts_blocks_under_their_kind(void **state)
{
	struct frame *net = frame_alloc(FRAME_NET, 3, 0), *anon = frame_alloc(FRAME_ANON, 0, 0);
	struct frame_census census;

	frame_census(&census);
	assert_int_equal(census.count[FRAME_NET], 8);
	assert_int_equal(census.count[FRAME_ANON], 1);
	assert_int_equal(census.count[FRAME_FREE], RAM_FRAMES - 9);
	frame_put(net);
	frame_put(anon);
	assert_all_free();
}

static void zeroed_frames_are_zero(void **state)
{
	static const char zeroes[4 * PAGE_SIZE];
	struct frame *block = frame_alloc(FRAME_KERNEL, 2, 0);

	memset(frame_data(block), 0xaa, sizeof(zeroes));
	frame_put(block);
	block = frame_alloc(FRAME_KERNEL, 2, FRAME_ZERO);
	assert_memory_equal(frame_data(block), zeroes, sizeof(zeroes));
	frame_put(block);
}

/* All of memory by single frames; then it comes back together in the largest blocks. */
static void memory_can_be_used_up_and_merges_again(void **state)
{
	struct frame **frames = calloc(RAM_FRAMES, sizeof(*frames));
	struct frame *frame;
	uint64_t before[FRAME_ORDER_MAX + 1], after[FRAME_ORDER_MAX + 1];

	/* A block of the largest order drains the CPU's cache, if need be. */
	while ((frame = frame_alloc(FRAME_KERNEL, FRAME_ORDER_MAX, 0)))
		frames[frame_pfn(frame) % RAM_FRAMES] = frame;
	for (uint64_t i = 0; i < RAM_FRAMES; i++)
		if (frames[i])
			frame_put(frames[i]);
	frame_buddy_info(before);

	for (uint64_t i = 0; i < RAM_FRAMES; i++)
		assert_non_null(frames[i] = frame_alloc(FRAME_ANON, 0, 0));
	assert_null(frame_alloc(FRAME_ANON, 0, 0));
	assert_int_equal(frame_free_count(), 0);
	/* Even ones first, so that nothing merges until the odd ones follow. */
	for (unsigned odd = 0; odd < 2; odd++)
		for (uint64_t i = 0; i < RAM_FRAMES; i++)
			if (frame_pfn(frames[i]) % 2 == odd)
				frame_put(frames[i]);
	free(frames);
	assert_all_free();

	while ((frame = frame_alloc(FRAME_KERNEL, FRAME_ORDER_MAX, 0)))
		frame->flags = 1;
	for (struct frame *f = frame_table; f < frame_table + (80 * MIB >> PAGE_SHIFT); f++)
		if (f->kind == FRAME_KERNEL)
			frame_put(f);
	frame_buddy_info(after);
	assert_memory_equal(before, after, sizeof(before));
	assert_all_free();
}

/* Buddies meet in the CPU's cache, in every order. */
static void frames_come_back_in_any_order(void **state)
{
	struct frame **frames = calloc(RAM_FRAMES, sizeof(*frames));

	srand(5);
	for (uint64_t i = 0; i < RAM_FRAMES; i++)
		assert_non_null(frames[i] = frame_alloc(FRAME_ANON, 0, 0));
	for (uint64_t left = RAM_FRAMES; left > 0; left--) {
		/* Near the last one, so that buddies are often in the cache together. */
		uint64_t i = left - 1 - (uint64_t)rand() % MIN(left, 100);

		frame_put(frames[i]);
		frames[i] = frames[left - 1];
	}
	free(frames);
	assert_all_free();
	for (uint64_t i = 0; i < RAM_FRAMES; i++)
		assert_non_null(frame_alloc(FRAME_ANON, 0, 0));
	assert_null(frame_alloc(FRAME_ANON, 0, 0));
	for (struct frame *f = frame_table; f < frame_table + (80 * MIB >> PAGE_SHIFT); f++)
		if (f->kind == FRAME_ANON)
			frame_put(f);
	assert_all_free();
}

static void random_blocks_never_overlap(void **state)
{
	enum { HELD = 1000 };
	static struct frame *held[HELD];

	srand(1);
	for (unsigned step = 0; step < 100000; step++) {
		struct frame **slot = &held[rand() % HELD];
		unsigned order = rand() % 8 ? 0 : (unsigned)(rand() % 8);

		if (*slot) {
			/* What was written when it was handed out is still there, to the last byte. */
			char *data = frame_data(*slot);
			size_t size = PAGE_SIZE << (*slot)->order;

			assert_int_equal((unsigned char)data[0], (slot - held) & 0xff);
			assert_int_equal((unsigned char)data[size - 1], (slot - held) & 0xff);
			frame_put(*slot);
			*slot = NULL;
			continue;
		}
		*slot = frame_alloc(FRAME_KERNEL, order, 0);
		if (*slot)
			memset(frame_data(*slot), (int)((slot - held) & 0xff), PAGE_SIZE << order);
	}
	for (unsigned i = 0; i < HELD; i++)
		if (held[i])
			frame_put(held[i]);
	assert_all_free();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_frame_that_was_added_is_free),
		cmocka_unit_test(a_block_is_aligned_and_its_others_are_tails),
		cmocka_unit_test(the_last_reference_frees),
		cmocka_unit_test(the_census_counts_blocks_under_their_kind),
		cmocka_unit_test(zeroed_frames_are_zero),
		cmocka_unit_test(memory_can_be_used_up_and_merges_again),
		cmocka_unit_test(frames_come_back_in_any_order),
		cmocka_unit_test(random_blocks_never_overlap),
	};

	fake_machine_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
