/*
 * test_object.c - objects: their radix of frames, truncation, and the end of them.
 */
#include "fake_pmap.h"
#include "inject.h"
#include "world.h"

#include "kernel/string.h"
#include <linux/mman.h>

#include <cmocka.h>
#include <stdlib.h>

#define BASE    UINT64_C(0x400000)
#define PAGE(n) (BASE + (n)*PAGE_SIZE)
#define RW      (PROT_READ | PROT_WRITE)

/* --- the radix -------------------------------------------------------------------------------- */

static const uint64_t far_indexes[] = { 0, 1, 63, 64, 4095, 4096, UINT64_C(1) << 40, UINT64_MAX };

static void the_radix_holds_any_index(void **state)
{
	struct radix radix = { 0 };
	uint64_t index = 0;
	char items[ARRAY_SIZE(far_indexes)];

	assert_null(radix_get(&radix, 0));
	assert_null(radix_next(&radix, &index));
	for (unsigned i = 0; i < ARRAY_SIZE(far_indexes); i++)
		assert_int_equal(radix_insert(&radix, far_indexes[i], &items[i]), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(far_indexes); i++) {
		assert_ptr_equal(radix_get(&radix, far_indexes[i]), &items[i]);
		assert_int_equal(radix_insert(&radix, far_indexes[i], items), -EEXIST);
		assert_ptr_equal(radix_next(&radix, &index), &items[i]);
		assert_int_equal(index, far_indexes[i]);
		index++;
	}
	assert_null(radix_get(&radix, 2));
	assert_null(radix_remove(&radix, 2));
	assert_null(radix_remove(&radix, UINT64_C(1) << 50));
	for (unsigned i = ARRAY_SIZE(far_indexes); i-- > 0;)
		assert_ptr_equal(radix_remove(&radix, far_indexes[i]), &items[i]);
	assert_null(radix.root);
	assert_int_equal(radix.height, 0);
}

static void a_radix_without_memory_stays_as_it_was(void **state)
{
	for (unsigned i = 1; i < ARRAY_SIZE(far_indexes); i++) {
		struct radix radix = { 0 };
		char item, first;
		int error;
		unsigned nth = 0;

		for (unsigned filled = 0; filled < 2; filled++) {
			if (filled)
				assert_int_equal(radix_insert(&radix, 0, &first), 0);
			do {
				unsigned height = radix.height;

				inject_failure(++nth);
				error = radix_insert(&radix, far_indexes[i], &item);
				inject_failure(0);
				if (error)
					assert_int_equal(radix.height, height);
			} while (error == -ENOMEM);
			assert_int_equal(error, 0);
			assert_ptr_equal(radix_remove(&radix, far_indexes[i]), &item);
			nth = 0;
		}
		assert_ptr_equal(radix_remove(&radix, 0), &first);
		assert_null(radix.root);
	}
}

static void the_radix_agrees_with_an_array(void **state)
{
	enum { INDEXES = 10000 };
	static void *model[INDEXES];
	struct radix radix = { 0 };

	srand(4);
	for (unsigned step = 0; step < 40000; step++) {
		uint64_t index = (uint64_t)rand() % (rand() % 4 ? 200 : INDEXES), next = index;
		void *item = &model[rand() % INDEXES];

		switch (rand() % 3) {
		case 0:
			assert_int_equal(radix_insert(&radix, index, item),
					 model[index] ? -EEXIST : 0);
			model[index] = model[index] ? model[index] : item;
			break;
		case 1:
			assert_ptr_equal(radix_remove(&radix, index), model[index]);
			model[index] = NULL;
			break;
		default:
			assert_ptr_equal(radix_get(&radix, index), model[index]);
			while (index < INDEXES && !model[index])
				index++;
			assert_ptr_equal(radix_next(&radix, &next),
					 index < INDEXES ? model[index] : NULL);
			if (index < INDEXES)
				assert_int_equal(next, index);
		}
	}
	for (uint64_t index = 0; radix_next(&radix, &index);)
		radix_remove(&radix, index);
	assert_null(radix.root);
}

/* --- objects ---------------------------------------------------------------------------------- */

static void a_slot_holds_one_frame_until_the_end(void **state)
{
	struct world_file *file = world_file(4 * PAGE_SIZE);
	struct frame *frame = frame_alloc(FRAME_OBJECT, 0, 0);
	struct frame *second = frame_alloc(FRAME_OBJECT, 0, 0);

	assert_null(object_lookup(&file->object, 2));
	assert_int_equal(object_insert(&file->object, 2, frame), 0);
	assert_int_equal(object_insert(&file->object, 2, second), -EEXIST);
	assert_int_equal(file->object.pages, 1);
	assert_ptr_equal(frame->object, &file->object);
	assert_int_equal(frame->index, 2);
	frame_put(second);
	assert_ptr_equal(object_lookup(&file->object, 2), frame);
	assert_int_equal(frame->refs, 2);
	frame_put(frame);
	world_check();
}

static void an_insertion_without_memory_leaves_the_frame(void **state)
{
	struct world_file *file = world_file(4 * PAGE_SIZE);
	struct frame *frame = frame_alloc(FRAME_OBJECT, 0, 0);

	inject_failure(1);
	assert_int_equal(object_insert(&file->object, 0, frame), -ENOMEM);
	inject_failure(0);
	assert_int_equal(frame->refs, 1);
	assert_null(frame->object);
	assert_int_equal(file->object.pages, 0);
	frame_put(frame);
}

/* A region keeps its file alive after everybody else has let go of it. */
static void a_region_holds_its_object(void **state)
{
	struct space *space = world_space();
	struct object *object = object_create_anonymous(PAGE_SIZE);
	uint8_t byte;

	world_map(space, BASE, 1, RW, REGION_SHARED, object, 0);
	object_put(object);
	assert_int_equal(world_write(space, 0, BASE, 1), 0);
	assert_int_equal(world_read(space, 1, BASE, &byte), 0);
	assert_int_equal(byte, 1);
	assert_int_equal(space_unmap(space, BASE, PAGE_SIZE), 0);
	world_check();
}

static void truncation_takes_pages_from_every_space(void **state)
{
	struct world_file *file = world_file(8 * PAGE_SIZE);
	struct space *whole = world_space(), *part = world_space();
	uint8_t byte;

	world_map(whole, BASE, 8, RW, 0, &file->object, 0);
	world_map(part, BASE, 4, PROT_READ, REGION_SHARED, &file->object, 3 * PAGE_SIZE);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(world_read(whole, 0, PAGE(i), &byte), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(world_read(part, 1, PAGE(i), &byte), 0);
	/* A private copy beyond the end goes too. */
	assert_int_equal(world_write(whole, 0, PAGE(6), 1), 0);
	assert_int_equal(world_write(whole, 0, PAGE(1), 2), 0);

	object_resize(&file->object, 4 * PAGE_SIZE + 100);
	world_check();
	assert_string_equal(world_draw_pages(whole, BASE, 8), "fafff...");
	assert_string_equal(world_draw_pages(part, BASE, 4), "ff..");
	assert_int_equal(file->object.pages, 5);
	assert_int_equal(world_read(whole, 0, PAGE(5), &byte), -EIO);
	assert_int_equal(world_read(part, 1, PAGE(2), &byte), -EIO);

	/* The rest of the last page is zero; what is before stays. */
	assert_int_equal(world_read(whole, 0, PAGE(4) + 99, &byte), 0);
	assert_int_equal(byte, world_file_byte(4));
	assert_int_equal(world_read(part, 0, PAGE(1) + 100, &byte), 0);
	assert_int_equal(byte, 0);

	object_resize(&file->object, 0);
	world_check();
	assert_string_equal(world_draw_pages(whole, BASE, 8), "........");
	object_resize(&file->object, PAGE_SIZE);
	assert_int_equal(world_read(whole, 0, PAGE(0), &byte), 0);
	assert_int_equal(file->object.pages, 1);
}

static void truncation_finds_the_parts_of_split_regions(void **state)
{
	struct world_file *file = world_file(8 * PAGE_SIZE);
	struct space *space = world_space();
	uint8_t byte;

	world_map(space, BASE, 8, PROT_READ, 0, &file->object, 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(world_read(space, 0, PAGE(i), &byte), 0);
	assert_int_equal(space_unmap(space, PAGE(2), PAGE_SIZE), 0);
	assert_int_equal(space_protect(space, PAGE(5), PAGE_SIZE, PROT_NONE), 0);
	assert_string_equal(world_draw(space, BASE, 8), "[rr].[rr][n][rr]");
	assert_string_equal(world_draw_pages(space, BASE, 8), "ff.ff-ff");
	object_resize(&file->object, PAGE_SIZE);
	world_check();
	assert_string_equal(world_draw_pages(space, BASE, 8), "f.......");
}

static void a_hole_is_made_in_every_mapping_but_not_in_copies(void **state)
{
	struct world_file *file = world_file(8 * PAGE_SIZE);
	struct space *private = world_space(), *shared = world_space();
	uint8_t byte;

	world_map(private, BASE, 8, RW, 0, &file->object, 0);
	world_map(shared, BASE, 4, PROT_READ, REGION_SHARED, &file->object, 3 * PAGE_SIZE);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(world_read(private, 0, PAGE(i), &byte), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(world_read(shared, 1, PAGE(i), &byte), 0);
	assert_int_equal(world_write(private, 0, PAGE(4), 1), 0);

	/*	[ffffafff]    private
	 *	   [ffff]     shared
	 *	   ^---^      from byte 100 of page 3 to byte 100 of page 6
	 */
	assert_int_equal(object_missing(&file->object, 0, 9), 1);
	object_punch(&file->object, 3 * PAGE_SIZE + 100, 6 * PAGE_SIZE + 100);
	world_check();
	assert_string_equal(world_draw_pages(private, BASE, 8), "ffffa.ff");
	assert_string_equal(world_draw_pages(shared, BASE, 4), "f..f");
	assert_int_equal(file->object.pages, 6);
	assert_int_equal(object_missing(&file->object, 0, 8), 2);
	assert_int_equal(object_missing(&file->object, 5, 6), 1);
	assert_int_equal(file->object.size, 8 * PAGE_SIZE);
	assert_int_equal(world_read(private, 0, PAGE(3) + 99, &byte), 0);
	assert_int_equal(byte, world_file_byte(3));
	assert_int_equal(world_read(private, 0, PAGE(3) + 100, &byte), 0);
	assert_int_equal(byte, 0);
	assert_int_equal(world_read(shared, 0, PAGE(3) + 99, &byte), 0);
	assert_int_equal(byte, 0);
	assert_int_equal(world_read(shared, 0, PAGE(3) + 100, &byte), 0);
	assert_int_equal(byte, world_file_byte(6));

	/* Within a page. */
	object_punch(&file->object, 10, 20);
	assert_int_equal(world_read(private, 0, BASE + 9, &byte), 0);
	assert_int_equal(byte, world_file_byte(0));
	assert_int_equal(world_read(private, 0, BASE + 19, &byte), 0);
	assert_int_equal(byte, 0);
	assert_int_equal(file->object.pages, 6);
}

/* Through every cut and join, an object knows how many regions may write it. */
static void regions_that_may_write_are_counted(void **state)
{
	struct world_file *file = world_file(8 * PAGE_SIZE);
	struct space *space = world_space(), *child;

	world_map(space, BASE, 8, RW, REGION_SHARED, &file->object, 0);
	world_map(space, PAGE(10), 8, RW, 0, &file->object, 0);
	assert_int_equal(file->object.writable, 1);
	assert_int_equal(space_protect(space, PAGE(2), PAGE_SIZE, PROT_READ), 0);
	assert_int_equal(file->object.writable, 3);
	assert_int_equal(space_fork(space, &child), 0);
	assert_int_equal(file->object.writable, 6);
	space_put(child);
	assert_int_equal(space_protect(space, PAGE(2), PAGE_SIZE, RW), 0);
	assert_int_equal(file->object.writable, 1);
	assert_int_equal(space_unmap(space, BASE, 8 * PAGE_SIZE), 0);
	assert_int_equal(file->object.writable, 0);
}

static void anonymous_objects_are_zero_and_bounded(void **state)
{
	struct object *object = object_create_anonymous(2 * PAGE_SIZE);
	struct frame *frame, *again;

	assert_int_equal(object->ops->get_page(object, 1, &frame), 0);
	assert_int_equal(object->ops->get_page(object, 1, &again), 0);
	assert_ptr_equal(frame, again);
	assert_int_equal(*(char *)frame_data(frame), 0);
	assert_int_equal(object->ops->get_page(object, 2, &again), -EFAULT);
	assert_int_equal(frame->refs, 3);
	frame_put(frame);
	frame_put(frame);
	object_put(object);
}

static void an_anonymous_page_without_memory_is_an_error(void **state)
{
	struct object *object = object_create_anonymous(2 * PAGE_SIZE);
	struct frame *frame;
	int error;
	unsigned nth = 0;

	do {
		inject_failure(++nth);
		error = object->ops->get_page(object, 0, &frame);
		inject_failure(0);
	} while (error == -ENOMEM);
	assert_int_equal(error, 0);
	assert_int_equal(nth, 3); /* the frame, the radix node */
	frame_put(frame);
	object_put(object);

	inject_failure(1);
	assert_null(object_create_anonymous(1));
	inject_failure(0);
}

#define test(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(the_radix_holds_any_index),
		test(a_radix_without_memory_stays_as_it_was),
		test(the_radix_agrees_with_an_array),
		test(a_slot_holds_one_frame_until_the_end),
		test(an_insertion_without_memory_leaves_the_frame),
		test(a_region_holds_its_object),
		test(truncation_takes_pages_from_every_space),
		test(truncation_finds_the_parts_of_split_regions),
		test(a_hole_is_made_in_every_mapping_but_not_in_copies),
		test(regions_that_may_write_are_counted),
		test(anonymous_objects_are_zero_and_bounded),
		test(an_anonymous_page_without_memory_is_an_error),
	};

	world_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
