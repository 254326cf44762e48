/*
 * test_fork.c - what parent and child have after a fork, and what each sees of the other.
 *
 * Drawings as in world.h. That counts of references are exact world_check() says, after each step.
 */
#include "fake_pmap.h"
#include "inject.h"
#include "world.h"

#include "kernel/string.h"
#include <linux/mman.h>

#include <cmocka.h>

#define BASE    UINT64_C(0x400000)
#define PAGE(n) (BASE + (n)*PAGE_SIZE)
#define RW      (PROT_READ | PROT_WRITE)

#define assert_layout(space, drawing)                                                            \
	do {                                                                                     \
		world_check();                                                                   \
		assert_string_equal(world_draw((space), BASE, count_pages(drawing)), (drawing)); \
	} while (0)

#define assert_pages(space, drawing)                                                              \
	do {                                                                                      \
		world_check();                                                                    \
		assert_string_equal(world_draw_pages((space), BASE, strlen(drawing)), (drawing)); \
	} while (0)

#define assert_reads(space, cpu, address, value)                                    \
	do {                                                                        \
		uint8_t byte_;                                                      \
		assert_int_equal(world_read((space), (cpu), (address), &byte_), 0); \
		assert_int_equal(byte_, (value));                                   \
	} while (0)

#define assert_writes(space, cpu, address, value) \
	assert_int_equal(world_write((space), (cpu), (address), (value)), 0)

static struct space *parent, *child;

/* Brackets are not pages. */
static unsigned count_pages(const char *drawing)
{
	unsigned pages = 0;

	for (; *drawing; drawing++)
		pages += *drawing != '[' && *drawing != ']';
	return pages;
}

static struct frame *frame_at(struct space *space, vaddr_t address)
{
	struct pte pte;

	spin_lock(&space->pmap.lock);
	pte = pmap_get(&space->pmap, address);
	spin_unlock(&space->pmap.lock);
	assert_false(pte_empty(pte));
	return frame_of(pte.address);
}

static void regions_are_the_same_and_so_is_the_rest(void **state)
{
	parent = world_space();
	space_set_brk_start(parent, PAGE(32));
	assert_int_equal(space_brk(parent, PAGE(34) + 5), PAGE(34) + 5);
	parent->limits.as = 1 << 30;
	world_layout(parent, BASE, "ww.rrxx..n");
	child = world_fork(parent);
	assert_layout(parent, "[ww].[rr][xx]..[n]");
	assert_layout(child, "[ww].[rr][xx]..[n]");
	assert_int_equal(child->brk, PAGE(34) + 5);
	assert_int_equal(child->limits.as, 1 << 30);
	assert_int_equal(child->stats.virtual_pages, parent->stats.virtual_pages);
	assert_int_equal(space_brk(child, PAGE(33)), PAGE(33));
	assert_int_equal(parent->brk, PAGE(34) + 5);
}

/* A locked region and its neighbour are one in the child, which has no locks. */
static void locks_are_not_inherited(void **state)
{
	parent = world_space();
	world_map(parent, PAGE(0), 2, RW, 0, NULL, 0);
	world_map(parent, PAGE(2), 2, RW, REGION_LOCKED, NULL, 0);
	child = world_fork(parent);
	assert_layout(parent, "[ww][ww]");
	assert_layout(child, "[wwww]");
}

static void private_pages_are_shared_until_they_are_written(void **state)
{
	struct frame *frame;

	parent = world_space();
	world_map(parent, BASE, 4, RW, 0, NULL, 0);
	assert_writes(parent, 0, PAGE(0), 1);
	assert_reads(parent, 0, PAGE(1), 0);
	assert_writes(parent, 0, PAGE(3), 3);
	frame = frame_at(parent, PAGE(0));

	child = world_fork(parent);
	assert_pages(parent, "az.a");
	assert_pages(child, "a..a"); /* the zero page is not counted, and comes by itself */
	assert_ptr_equal(frame_at(child, PAGE(0)), frame);
	assert_int_equal(frame->refs, 2);
	assert_int_equal(child->stats.anon_pages, 2);

	assert_writes(parent, 0, PAGE(0), 10);
	assert_reads(child, 1, PAGE(0), 1);
	assert_writes(child, 1, PAGE(0), 20); /* the last owner: no copy */
	assert_ptr_equal(frame_at(child, PAGE(0)), frame);
	assert_reads(parent, 0, PAGE(0), 10);
	assert_reads(child, 1, PAGE(1), 0);
	assert_writes(child, 1, PAGE(1), 21);
	assert_reads(parent, 0, PAGE(1), 0);
	assert_pages(parent, "az.a");
	assert_pages(child, "aa.a");
}

/* A second CPU has the parent's page writable in its TLB when the fork begins. */
static void no_cpu_writes_what_the_child_has(void **state)
{
	parent = world_space();
	world_map(parent, BASE, 1, RW, 0, NULL, 0);
	assert_writes(parent, 0, BASE, 1);
	assert_writes(parent, 1, BASE, 2);
	child = world_fork(parent);
	assert_writes(parent, 1, BASE, 3);
	assert_writes(parent, 0, BASE, 4);
	assert_reads(child, 0, BASE, 2);
	assert_reads(child, 1, BASE, 2);
	world_check();
}

static void pages_without_rights_are_kept_on_both_sides(void **state)
{
	parent = world_space();
	world_map(parent, BASE, 3, RW, 0, NULL, 0);
	assert_writes(parent, 0, PAGE(1), 7);
	assert_int_equal(space_protect(parent, BASE, 3 * PAGE_SIZE, PROT_NONE), 0);
	child = world_fork(parent);
	assert_pages(parent, ".-.");
	assert_pages(child, ".-.");
	assert_int_equal(space_protect(child, BASE, 3 * PAGE_SIZE, RW), 0);
	assert_writes(child, 0, PAGE(1) + 1, 8);
	assert_reads(child, 0, PAGE(1), 7);
	assert_int_equal(space_protect(parent, BASE, 3 * PAGE_SIZE, RW), 0);
	assert_reads(parent, 0, PAGE(1), 7);
	assert_reads(parent, 0, PAGE(1) + 1, 0);
	world_check();
}

static void a_file_s_own_pages_are_not_copied(void **state)
{
	struct world_file *file = world_file(8 * PAGE_SIZE);

	parent = world_space();
	world_map(parent, BASE, 4, RW, 0, &file->object, PAGE_SIZE);
	assert_reads(parent, 0, PAGE(0), world_file_byte(1));
	assert_reads(parent, 0, PAGE(2), world_file_byte(3));
	assert_writes(parent, 0, PAGE(2), 5);
	child = world_fork(parent);
	assert_pages(parent, "f.a.");
	assert_pages(child, "..a.");
	assert_reads(child, 0, PAGE(0), world_file_byte(1));
	assert_reads(child, 0, PAGE(2), 5);
	assert_writes(child, 0, PAGE(2), 6);
	assert_reads(parent, 0, PAGE(2), 5);
	assert_int_equal(file->fetches, 2);

	/* Truncation finds both, copies included. */
	object_resize(&file->object, 2 * PAGE_SIZE);
	assert_pages(parent, "f...");
	assert_pages(child, "f...");
}

static void shared_mappings_stay_shared(void **state)
{
	struct world_file *file = world_file(4 * PAGE_SIZE);
	struct object *memory = object_create_anonymous(2 * PAGE_SIZE);

	parent = world_space();
	world_map(parent, PAGE(0), 2, RW, REGION_SHARED, memory, 0);
	world_map(parent, PAGE(2), 2, RW, REGION_SHARED, &file->object, 0);
	object_put(memory);
	assert_writes(parent, 0, PAGE(0), 1);
	child = world_fork(parent);
	assert_layout(child, "[WW][WW]");
	assert_reads(child, 1, PAGE(0), 1);
	assert_writes(child, 1, PAGE(0), 2);
	assert_writes(child, 1, PAGE(1), 3);
	assert_reads(parent, 0, PAGE(0), 2);
	assert_reads(parent, 0, PAGE(1), 3);
	assert_writes(parent, 0, PAGE(3), 4);
	assert_reads(child, 1, PAGE(3), 4);
	world_drop(parent);
	assert_reads(child, 1, PAGE(0), 2);
	world_check();
}

static void three_generations_share_and_part(void **state)
{
	struct space *generation[4] = { world_space() };
	struct frame *frame;

	world_map(generation[0], BASE, 2, RW, 0, NULL, 0);
	assert_writes(generation[0], 0, PAGE(0), 1);
	assert_writes(generation[0], 0, PAGE(1), 1);
	frame = frame_at(generation[0], PAGE(0));
	for (unsigned i = 1; i < 4; i++) {
		generation[i] = world_fork(generation[i - 1]);
		assert_int_equal(frame->refs, i + 1);
		assert_writes(generation[i], 0, PAGE(1), 1 + i);
		world_check();
	}
	for (unsigned i = 0; i < 4; i++) {
		assert_reads(generation[i], 1, PAGE(0), 1);
		assert_reads(generation[i], 1, PAGE(1), 1 + i);
	}
	world_drop(generation[1]);
	assert_int_equal(frame->refs, 3);
	assert_writes(generation[3], 0, PAGE(0), 4);
	world_drop(generation[0]);
	assert_writes(generation[2], 0, PAGE(0), 3); /* the last one of the first page */
	assert_ptr_equal(frame_at(generation[2], PAGE(0)), frame);
	assert_reads(generation[3], 0, PAGE(0), 4);
	world_check();
}

/* More than a byte can count. */
static void three_hundred_children_of_one_parent(void **state)
{
	enum { CHILDREN = 300 };
	struct space *children[CHILDREN];

	parent = world_space();
	world_map(parent, BASE, 2, RW, 0, NULL, 0);
	assert_writes(parent, 0, PAGE(0), 1);
	for (unsigned i = 0; i < CHILDREN; i++)
		children[i] = world_fork(parent);
	assert_int_equal(frame_at(parent, PAGE(0))->refs, CHILDREN + 1);
	world_check();
	for (unsigned i = 0; i < CHILDREN; i += 3)
		assert_writes(children[i], 0, PAGE(0), i & 0xff);
	assert_reads(parent, 0, PAGE(0), 1);
	assert_reads(children[1], 0, PAGE(0), 1);
	for (unsigned i = 0; i < CHILDREN; i++)
		world_drop(children[i]);
	assert_int_equal(frame_at(parent, PAGE(0))->refs, 1);
	world_check();
}

/* Pages in several tables, and more of them than go in one batch. */
static void pages_far_apart_are_all_found(void **state)
{
	const vaddr_t far[] = { BASE, BASE + PMAP_TABLE_SPAN - PAGE_SIZE, BASE + PMAP_TABLE_SPAN,
				BASE + (UINT64_C(1) << 40) };

	parent = world_space();
	world_map(parent, BASE, (UINT64_C(1) << 41) / PAGE_SIZE, RW, 0, NULL, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(far); i++)
		assert_writes(parent, 0, far[i], 1 + i);
	for (unsigned i = 0; i < 200; i++)
		assert_writes(parent, 0, BASE + 4 * PMAP_TABLE_SPAN + i * PAGE_SIZE, i);
	child = world_fork(parent);
	assert_int_equal(child->stats.anon_pages, ARRAY_SIZE(far) + 200);
	for (unsigned i = 0; i < ARRAY_SIZE(far); i++)
		assert_reads(child, 0, far[i], 1 + i);
	for (unsigned i = 0; i < 200; i++)
		assert_reads(child, 0, BASE + 4 * PMAP_TABLE_SPAN + i * PAGE_SIZE, i);
	world_check();
}

static void a_fork_that_fails_leaves_the_parent_as_it_was(void **state)
{
	struct world_file *file = world_file(8 * PAGE_SIZE);
	unsigned failures = 0;

	parent = world_space();
	world_map(parent, PAGE(0), 4, RW, 0, NULL, 0);
	world_map(parent, PAGE(6), 4, RW, 0, &file->object, 0);
	world_map(parent, PAGE(12), 2, PROT_READ, 0, NULL, 0);
	world_map(parent, PAGE(1024), 2, RW, 0, NULL, 0);
	for (child = NULL; !child;) {
		uint8_t value = (uint8_t)(100 + failures);

		assert_writes(parent, 0, PAGE(0), value);
		assert_writes(parent, 1, PAGE(7), value);
		assert_writes(parent, 1, PAGE(1025), value);
		/* Allocations fail from the n-th on, so that the second try fails, too. */
		inject_failure(1 + failures);
		child = world_fork(parent);
		inject_failure(0);
		assert_layout(parent, "[wwww]..[wwww]..[rr]");
		assert_reads(parent, 0, PAGE(0), value);
		assert_reads(parent, 1, PAGE(1025), value);
		if (!child) {
			failures++;
			assert_int_equal(frame_at(parent, PAGE(0))->refs, 1);
			assert_writes(parent, 0, PAGE(0), 1);
			assert_writes(parent, 1, PAGE(0), 2);
		}
	}
	/* The space, its table, four regions, the tables below. */
	assert_true(failures > 8);
	world_check();
}

#define fork_test(function) cmocka_unit_test_setup_teardown(function, world_begin, world_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		fork_test(regions_are_the_same_and_so_is_the_rest),
		fork_test(locks_are_not_inherited),
		fork_test(private_pages_are_shared_until_they_are_written),
		fork_test(no_cpu_writes_what_the_child_has),
		fork_test(pages_without_rights_are_kept_on_both_sides),
		fork_test(a_file_s_own_pages_are_not_copied),
		fork_test(shared_mappings_stay_shared),
		fork_test(three_generations_share_and_part),
		fork_test(three_hundred_children_of_one_parent),
		fork_test(pages_far_apart_are_all_found),
		fork_test(a_fork_that_fails_leaves_the_parent_as_it_was),
	};

	world_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
