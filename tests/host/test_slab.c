/*
 * test_slab.c - the slab allocator and kalloc().
 */
#include "fake_pmap.h"
#include "kernel/string.h"
#include "mm/slab.h"

#include <cmocka.h>
#include <stdlib.h>

static uint64_t slab_frames(void)
{
	struct frame_census census;

	frame_census(&census);
	return census.count[FRAME_SLAB] + census.count[FRAME_KERNEL];
}

static struct slab_cache cache;

static int set_up(void **state)
{
	slab_cache_init(&cache, "test", 40, 64);
	return 0;
}

static void objects_are_aligned_and_apart(void **state)
{
	enum { COUNT = 500 };
	char *objects[COUNT];

	assert_int_equal(cache.size, 64);
	for (unsigned i = 0; i < COUNT; i++) {
		assert_non_null(objects[i] = slab_alloc(&cache));
		assert_true(IS_ALIGNED((uintptr_t)objects[i], 64));
		memset(objects[i], (int)i, cache.size);
	}
	assert_int_equal(cache.in_use, COUNT);
	for (unsigned i = 0; i < COUNT; i++) {
		for (unsigned j = 0; j < cache.size; j++)
			assert_int_equal((unsigned char)objects[i][j], i & 0xff);
		slab_free(&cache, objects[i]);
	}
	assert_int_equal(cache.in_use, 0);
	assert_true(slab_drain() > 0);
	assert_int_equal(slab_frames(), 0);
}

static void an_object_freed_of_a_full_slab_is_the_next_given_out(void **state)
{
	enum { COUNT = 2000 };
	void *objects[COUNT];

	for (unsigned i = 0; i < COUNT; i++)
		assert_non_null(objects[i] = slab_alloc(&cache));
	slab_free(&cache, objects[3]);
	assert_ptr_equal(slab_alloc(&cache), objects[3]);
	for (unsigned i = 0; i < COUNT; i++)
		slab_free(&cache, objects[i]);
	slab_drain();
	assert_int_equal(slab_frames(), 0);
}

static void a_zeroed_object_is_zero_after_use(void **state)
{
	static const char zeroes[64];
	void *object = slab_alloc(&cache);

	memset(object, 0xff, 64);
	slab_free(&cache, object);
	object = slab_zalloc(&cache);
	assert_memory_equal(object, zeroes, 64);
	slab_free(&cache, object);
	slab_free(&cache, NULL);
}

static void kalloc_serves_every_size_and_forgets_none(void **state)
{
	for (size_t size = 1; size < 3 * PAGE_SIZE; size += 37) {
		char *pointer = kalloc(size), *zeroed = kzalloc(size);

		assert_non_null(pointer);
		assert_true(IS_ALIGNED((uintptr_t)pointer, 16));
		memset(pointer, 0x55, size);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(zeroed[i], 0);
		kfree(zeroed);
		kfree(pointer);
	}
	assert_null(kalloc((PAGE_SIZE << FRAME_ORDER_MAX) + 1));
	assert_null(kalloc(SIZE_MAX));
	kfree(NULL);
	slab_drain();
	assert_int_equal(slab_frames(), 0);
}

static void a_copied_string_is_the_same(void **state)
{
	char *copy = kstrdup("the wire is the disk");

	assert_string_equal(copy, "the wire is the disk");
	kfree(copy);
}

static void without_memory_it_says_so(void **state)
{
	enum { BLOCKS = FAKE_RAM_SIZE / PAGE_SIZE };
	struct frame **frames = calloc(BLOCKS, sizeof(*frames));
	unsigned count = 0;

	slab_drain();
	while ((frames[count] = frame_alloc(FRAME_ANON, 0, 0)))
		count++;
	assert_null(slab_alloc(&cache));
	assert_null(slab_zalloc(&cache));
	assert_null(kalloc(100));
	assert_null(kalloc(10000));
	assert_null(kstrdup("x"));
	while (count > 0)
		frame_put(frames[--count]);
	free(frames);
}

static void random_sizes_keep_their_contents(void **state)
{
	enum { HELD = 300 };
	struct {
		unsigned char *data;
		size_t size;
	} held[HELD] = { 0 };

	srand(2);
	for (unsigned step = 0; step < 50000; step++) {
		unsigned i = (unsigned)rand() % HELD;

		if (held[i].data) {
			assert_int_equal(held[i].data[0], i & 0xff);
			assert_int_equal(held[i].data[held[i].size - 1], i & 0xff);
			kfree(held[i].data);
			held[i].data = NULL;
		} else {
			held[i].size = 1 + (size_t)rand() % (rand() % 8 ? 300 : 9000);
			held[i].data = kalloc(held[i].size);
			assert_non_null(held[i].data);
			memset(held[i].data, (int)(i & 0xff), held[i].size);
		}
	}
	for (unsigned i = 0; i < HELD; i++)
		kfree(held[i].data);
	slab_drain();
	assert_int_equal(slab_frames(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_are_aligned_and_apart),
		cmocka_unit_test(an_object_freed_of_a_full_slab_is_the_next_given_out),
		cmocka_unit_test(a_zeroed_object_is_zero_after_use),
		cmocka_unit_test(kalloc_serves_every_size_and_forgets_none),
		cmocka_unit_test(a_copied_string_is_the_same),
		cmocka_unit_test(without_memory_it_says_so),
		cmocka_unit_test(random_sizes_keep_their_contents),
	};

	fake_machine_init();
	return cmocka_run_group_tests(tests, set_up, NULL);
}
