/*
 * test_remap.c - mremap(2), flags of regions and locked memory, drawn: before and after.
 */
#include "world.h"

#include "kernel/trap.h"
#include <linux/mman.h>

#include <cmocka.h>
#include <stdlib.h>

#define BASE    UINT64_C(0x400000)
#define PAGE(n) (BASE + (n)*PAGE_SIZE)
#define RW      (PROT_READ | PROT_WRITE)
#define FIXED   (MREMAP_MAYMOVE | MREMAP_FIXED)
#define WINDOW  16

static struct space *space;

static int begin(void **state)
{
	world_begin(state);
	space = world_space();
	return 0;
}

/* Regions, and the pages below them. */
#define assert_drawn(regions, pages)                                               \
	do {                                                                       \
		world_check();                                                     \
		assert_string_equal(world_draw(space, BASE, WINDOW), regions);     \
		assert_string_equal(world_draw_pages(space, BASE, WINDOW), pages); \
	} while (0)

static int64_t remap(unsigned old, unsigned pages, unsigned new_pages, uint32_t flags, vaddr_t new)
{
	const struct remap_request request = {
		.old = PAGE(old),
		.old_length = pages * PAGE_SIZE,
		.new_length = new_pages * PAGE_SIZE,
		.flags = flags,
		.new = new,
	};
	vaddr_t at;
	int error = space_remap(space, &request, &at);

	return error ? error : (int64_t)at;
}

/* 'a' is written, each page with its number; 'z' is read. */
static void touch(const char *pages)
{
	for (unsigned i = 0; pages[i]; i++) {
		uint8_t byte;

		if (pages[i] == 'a')
			assert_int_equal(world_write(space, 0, PAGE(i), (uint8_t)i), 0);
		if (pages[i] == 'z')
			assert_int_equal(world_read(space, 1, PAGE(i), &byte), 0);
	}
}

static void assert_byte(unsigned page, uint8_t want)
{
	uint8_t byte = 0;

	assert_int_equal(world_read(space, 1, PAGE(page), &byte), 0);
	assert_int_equal(byte, want);
}

/* --- mremap ----------------------------------------------------------------------------------- */

static void it_grows_where_nothing_follows(void **state)
{
	world_layout(space, BASE, "wwww....rr......");
	touch("a..a");
	assert_int_equal(remap(2, 2, 4, 0, 0), PAGE(2));
	assert_drawn("[wwwwww]..[rr]......", "a..a............");
	assert_int_equal(remap(0, 6, 8, 0, 0), BASE);
	assert_drawn("[wwwwwwww][rr]......", "a..a............");
	assert_int_equal(remap(0, 8, 9, 0, 0), -ENOMEM);
	assert_int_equal(remap(0, 4, 5, 0, 0), -ENOMEM); /* its own pages are in the way */
	assert_drawn("[wwwwwwww][rr]......", "a..a............");
}

static void it_grows_together_with_what_it_meets(void **state)
{
	world_layout(space, BASE, "ww..ww..........");
	assert_int_equal(remap(0, 2, 4, 0, 0), BASE);
	assert_drawn("[wwwwww]..........", "................");
}

static void it_shrinks_and_takes_what_follows(void **state)
{
	world_layout(space, BASE, "wwwwwwrr..ww....");
	touch("aaaaaaz...aa");
	assert_int_equal(remap(1, 4, 2, 0, 0), PAGE(1));
	assert_drawn("[www]..[w][rr]..[ww]....", "aaa..az...aa....");
	assert_int_equal(remap(1, 10, 1, 0, 0), PAGE(1));
	assert_drawn("[ww].........[w]....", "aa.........a....");
}

static void it_moves_with_its_pages(void **state)
{
	world_layout(space, BASE, "wwwwr...........");
	touch("a.za");
	assert_int_equal(remap(0, 4, 6, FIXED, PAGE(8)), PAGE(8));
	assert_drawn("....[r]...[wwwwww]..", "........a.za....");
	assert_byte(8, 0);
	assert_byte(11, 3);
}

static void it_moves_to_the_highest_gap(void **state)
{
	space->mmap_top = PAGE(WINDOW);
	world_layout(space, BASE, "wwwwrr....rr....");
	touch("aa");
	assert_int_equal(remap(0, 4, 5, 0, 0), -ENOMEM);
	assert_int_equal(remap(0, 4, 5, MREMAP_MAYMOVE, 0), BASE - 5 * PAGE_SIZE);
	assert_int_equal(remap(10, 2, 4, MREMAP_MAYMOVE, 0), PAGE(10));
	assert_drawn("....[rr]....[rrrr]..", "................");
}

/* Both cuts of both regions. */
static void it_replaces_what_is_there(void **state)
{
	world_layout(space, BASE, "wwwwww..rrrrrr..");
	touch("aaaaaa");
	assert_int_equal(remap(2, 2, 2, FIXED, PAGE(10)), PAGE(10));
	assert_drawn("[ww]..[ww]..[rr][ww][rr]..", "aa..aa....aa....");
	assert_byte(10, 2);
	assert_byte(11, 3);
}

static void it_moves_within_its_region(void **state)
{
	world_layout(space, BASE, "wwwwwwwwww......");
	touch("aaaaaaaaaa");
	assert_int_equal(remap(1, 2, 2, FIXED, PAGE(6)), PAGE(6));
	assert_drawn("[w]..[wwwwwww]......", "a..aaaaaaa......");
	assert_byte(6, 1);
	assert_byte(7, 2);
	assert_byte(8, 8);
	/* Back to where it was, and shorter: the second of the two is gone. */
	assert_int_equal(remap(6, 2, 1, FIXED, PAGE(1)), PAGE(1));
	assert_drawn("[ww].[www]..[ww]......", "aa.aaa..aa......");
	assert_byte(1, 1);
}

static void it_leaves_an_empty_place(void **state)
{
	world_layout(space, BASE, "wwww............");
	touch("aaaa");
	assert_int_equal(remap(1, 2, 2, FIXED | MREMAP_DONTUNMAP, PAGE(8)), PAGE(8));
	assert_drawn("[wwww]....[ww]......", "a..a....aa......");
	assert_byte(1, 0);
	assert_byte(8, 1);
}

/* What may be written is written at once, without a fault; what may not be is not. */
static void rights_move_and_none_is_gained(void **state)
{
	uint64_t faults;

	world_layout(space, BASE, "wwww............");
	touch("aaa");
	assert_int_equal(space_protect(space, PAGE(1), PAGE_SIZE, PROT_READ), 0);
	assert_int_equal(space_protect(space, PAGE(2), PAGE_SIZE, PROT_NONE), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(remap(i, 1, 1, FIXED, PAGE(8 + 2 * i)), PAGE(8 + 2 * i));
	assert_drawn("...[w]....[w].[r].[n]...", "........a.a.-...");
	faults = space->stats.faults;
	assert_int_equal(world_write(space, 0, PAGE(8), 1), 0);
	assert_int_equal(space->stats.faults, faults);
	assert_int_equal(world_write(space, 0, PAGE(10), 1), -EFAULT);
	assert_int_equal(world_write(space, 0, PAGE(12), 1), -EFAULT);
	assert_int_equal(space_protect(space, PAGE(12), PAGE_SIZE, RW), 0);
	assert_byte(12, 2);
}

static void a_page_shared_by_fork_moves_and_is_copied(void **state)
{
	struct space *child;
	uint8_t byte;

	world_layout(space, BASE, "ww..............");
	touch("aa");
	child = world_fork(space);
	assert_int_equal(remap(0, 2, 2, FIXED, PAGE(4)), PAGE(4));
	assert_drawn("....[ww]..........", "....aa..........");
	assert_int_equal(world_write(space, 0, PAGE(5), 7), 0);
	assert_int_equal(world_read(child, 0, PAGE(1), &byte), 0);
	assert_int_equal(byte, 1);
	world_check();
}

/* Truncation finds the pages where they are now. */
static void a_files_pages_move(void **state)
{
	struct world_file *file = world_file(8 * PAGE_SIZE);
	uint8_t byte;

	world_map(space, BASE, 4, RW, REGION_SHARED, &file->object, 2 * PAGE_SIZE);
	touch("aaaa");
	assert_int_equal(remap(1, 2, 5, FIXED, PAGE(8)), PAGE(8));
	assert_drawn("[W]..[W]....[WWWWW]...", "f..f....ff......");
	assert_byte(8, 1);
	object_resize(&file->object, 4 * PAGE_SIZE);
	assert_drawn("[W]..[W]....[WWWWW]...", "f.......f.......");
	assert_int_equal(world_read(space, 0, PAGE(9), &byte), -EIO);
}

static void shared_memory_is_mapped_twice(void **state)
{
	struct world_file *file = world_file(8 * PAGE_SIZE);

	world_map(space, BASE, 4, RW, REGION_SHARED, &file->object, 0);
	world_map(space, PAGE(5), 1, RW, 0, NULL, 0);
	touch("aaaa");
	assert_int_equal(remap(1, 0, 2, FIXED, PAGE(8)), PAGE(8));
	assert_drawn("[WWWW].[w]..[WW]......", "ffff............");
	assert_byte(8, 1);
	assert_int_equal(remap(5, 0, 2, FIXED, PAGE(10)), -EINVAL);
	assert_int_equal(remap(1, 0, 2, FIXED, PAGE(1)), -EFAULT);
	assert_int_equal(remap(1, 0, 2, 0, 0), -ENOMEM);
	assert_drawn("[WWWW].[w]..[WW]......", "ffff....ff......");
}

static void limits_hold(void **state)
{
	world_layout(space, BASE, "wwww............");
	space->limits.as = 6 * PAGE_SIZE;
	assert_int_equal(remap(0, 4, 7, 0, 0), -ENOMEM);
	assert_int_equal(remap(0, 4, 4, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0), -ENOMEM);
	assert_int_equal(remap(0, 4, 6, 0, 0), BASE);
	space->limits.as = UINT64_MAX;
	space->limits.data = 7 * PAGE_SIZE;
	assert_int_equal(remap(0, 6, 8, 0, 0), -ENOMEM);
	space->limits.data = UINT64_MAX;
	space->limits.memlock = 7 * PAGE_SIZE;
	assert_int_equal(space_lock(space, BASE, 6 * PAGE_SIZE, REGION_LOCKED), 0);
	assert_int_equal(remap(0, 6, 8, 0, 0), -EAGAIN);
	assert_int_equal(remap(0, 6, 7, 0, 0), BASE);
	assert_drawn("[wwwwwww].........", "aaaaaaa.........");
}

/* --- flags and locks -------------------------------------------------------------------------- */

static void flags_split_and_join(void **state)
{
	world_layout(space, BASE, "wwwwww..ww......");
	assert_int_equal(space_advise(space, PAGE(2), 2 * PAGE_SIZE, MADV_DONTFORK), 0);
	assert_drawn("[ww][ww][ww]..[ww]......", "................");
	assert_int_equal(space_advise(space, PAGE(4), 6 * PAGE_SIZE, MADV_DONTFORK), -ENOMEM);
	assert_drawn("[ww][wwww]..[ww]......", "................");
	assert_int_equal(space_advise(space, PAGE(0), 10 * PAGE_SIZE, MADV_DOFORK), -ENOMEM);
	assert_drawn("[wwwwww]..[ww]......", "................");
	assert_int_equal(space_advise(space, PAGE(1), PAGE_SIZE, MADV_HUGEPAGE), 0);
	assert_int_equal(space_advise(space, PAGE(2), PAGE_SIZE, MADV_NOHUGEPAGE), 0);
	assert_drawn("[w][w][w][www]..[ww]......", "................");
	assert_int_equal(space_advise(space, PAGE(1), 2 * PAGE_SIZE, MADV_HUGEPAGE), 0);
	assert_drawn("[w][ww][www]..[ww]......", "................");
}

static void a_child_gets_what_it_was_advised(void **state)
{
	struct space *child;
	uint8_t byte = 1;

	world_layout(space, BASE, "wwwwww..........");
	touch("aaaaaa");
	assert_int_equal(space_advise(space, PAGE(1), PAGE_SIZE, MADV_DONTFORK), 0);
	assert_int_equal(space_advise(space, PAGE(3), 2 * PAGE_SIZE, MADV_WIPEONFORK), 0);
	child = world_fork(space);
	world_check();
	assert_string_equal(world_draw(child, BASE, 8), "[w].[w][ww][w]..");
	assert_string_equal(world_draw_pages(child, BASE, 8), "a.a..a..");
	assert_int_equal(world_read(child, 0, PAGE(3), &byte), 0);
	assert_int_equal(byte, 0);
	assert_drawn("[w][w][w][ww][w]..........", "aaaaaa..........");
}

static void locked_memory_is_there(void **state)
{
	world_layout(space, BASE, "wwrr..ww........");
	assert_int_equal(space_lock(space, PAGE(1) + 5, 2 * PAGE_SIZE, REGION_LOCKED), 0);
	assert_drawn("[w][w][rr]..[ww]........", ".azz............");
	assert_int_equal(space->stats.locked_pages, 3);
	assert_int_equal(space_lock(space, PAGE(3), 3 * PAGE_SIZE, REGION_LOCKED), -ENOMEM);
	assert_int_equal(
		space_lock(space, PAGE(6), 2 * PAGE_SIZE, REGION_LOCKED | REGION_LOCKONFAULT), 0);
	assert_drawn("[w][w][rr]..[ww]........", ".azz............");
	assert_int_equal(space_advise(space, PAGE(0), 2 * PAGE_SIZE, MADV_DONTNEED), -EINVAL);
	assert_drawn("[w][w][rr]..[ww]........", ".azz............");
	assert_int_equal(space_advise(space, PAGE(0), 2 * PAGE_SIZE, MADV_DONTNEED_LOCKED), 0);
	assert_int_equal(space_lock(space, PAGE(0), 4 * PAGE_SIZE, 0), 0);
	assert_drawn("[ww][rr]..[ww]........", "..zz............");
	assert_int_equal(space->stats.locked_pages, 2);
}

static void what_is_locked_has_a_limit(void **state)
{
	world_layout(space, BASE, "wwwwwwww........");
	space->limits.memlock = 3 * PAGE_SIZE;
	assert_int_equal(space_lock(space, PAGE(0), 4 * PAGE_SIZE, REGION_LOCKED), -ENOMEM);
	assert_int_equal(space_lock(space, PAGE(0), 2 * PAGE_SIZE, REGION_LOCKED), 0);
	assert_int_equal(space_lock(space, PAGE(0), 3 * PAGE_SIZE, REGION_LOCKED), 0);
	assert_int_equal(space_lock(space, PAGE(1), 3 * PAGE_SIZE, REGION_LOCKED), -ENOMEM);
	assert_int_equal(world_map(space, PAGE(10), 1, RW, REGION_LOCKED, NULL, 0), -EAGAIN);
	assert_int_equal(space_lock_all(space, MCL_CURRENT), -ENOMEM);
	space->limits.memlock = 0;
	assert_int_equal(world_map(space, PAGE(10), 1, RW, REGION_LOCKED, NULL, 0), -EPERM);
	assert_int_equal(space_lock(space, PAGE(0), PAGE_SIZE, REGION_LOCKED), -EPERM);
	assert_int_equal(space_lock_all(space, MCL_FUTURE), -EPERM);
	assert_int_equal(space_lock(space, PAGE(0), 3 * PAGE_SIZE, 0), 0);
	assert_drawn("[wwwwwwww]........", "aaa.............");
}

static void what_is_yet_to_be_mapped_is_locked(void **state)
{
	world_layout(space, BASE, "ww..............");
	assert_int_equal(space_lock_all(space, MCL_FUTURE), 0);
	world_layout(space, PAGE(4), "ww");
	assert_drawn("[ww]..[ww]..........", "....aa..........");
	assert_int_equal(space_lock_all(space, MCL_CURRENT | MCL_ONFAULT), 0);
	world_layout(space, PAGE(8), "ww");
	assert_drawn("[ww]..[ww]..[ww]......", "....aa..........");
	assert_int_equal(space->stats.locked_pages, 4);
	assert_int_equal(space_lock_all(space, MCL_CURRENT), 0);
	assert_drawn("[ww]..[ww]..[ww]......", "aa..aa..aa......");
	assert_int_equal(space_lock_all(space, 0), 0);
	assert_int_equal(space->stats.locked_pages, 0);
}

static void what_is_there_is_told(void **state)
{
	struct world_file *file = world_file(8 * PAGE_SIZE);
	uint8_t there[WINDOW];

	world_layout(space, BASE, "wwww............");
	world_map(space, PAGE(4), 4, PROT_READ, 0, &file->object, 4 * PAGE_SIZE);
	touch("a.z..z");
	assert_int_equal(space_residence(space, PAGE(0), WINDOW, there), 4);
	assert_memory_equal(there, ((uint8_t[]){ 1, 0, 1, 0 }), 4);
	assert_int_equal(space_advise(space, PAGE(4), 4 * PAGE_SIZE, MADV_DONTNEED), 0);
	assert_drawn("[wwww][rrrr]........", "a.z.............");
	/* The page table has let go of it, and the file has not. */
	assert_int_equal(space_residence(space, PAGE(4), WINDOW, there), 4);
	assert_memory_equal(there, ((uint8_t[]){ 0, 1, 0, 0 }), 4);
	assert_int_equal(space_residence(space, PAGE(8), 1, there), -ENOMEM);
}

#define test(name) cmocka_unit_test_setup_teardown(name, begin, world_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(it_grows_where_nothing_follows),
		test(it_grows_together_with_what_it_meets),
		test(it_shrinks_and_takes_what_follows),
		test(it_moves_with_its_pages),
		test(it_moves_to_the_highest_gap),
		test(it_replaces_what_is_there),
		test(it_moves_within_its_region),
		test(it_leaves_an_empty_place),
		test(rights_move_and_none_is_gained),
		test(a_page_shared_by_fork_moves_and_is_copied),
		test(a_files_pages_move),
		test(shared_memory_is_mapped_twice),
		test(limits_hold),
		test(flags_split_and_join),
		test(a_child_gets_what_it_was_advised),
		test(locked_memory_is_there),
		test(what_is_locked_has_a_limit),
		test(what_is_yet_to_be_mapped_is_locked),
		test(what_is_there_is_told),
	};

	world_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
