/*
 * test_space.c - the regions of a space: mapping, unmapping, protecting, the heap, gaps, limits.
 *
 * Layouts are drawn as world_draw() does: [wwww][rr]..[n].
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

#define assert_layout(space, drawing)                                          \
	do {                                                                   \
		world_check();                                                 \
		assert_string_equal(world_draw((space), BASE, 16), (drawing)); \
	} while (0)

/* A space with this layout at BASE, every page of it that may be written written. */
static struct space *laid_out(const char *pages)
{
	struct space *space = world_space();

	world_layout(space, BASE, pages);
	for (unsigned i = 0; pages[i]; i++)
		if (pages[i] == 'w')
			assert_int_equal(world_write(space, 0, PAGE(i), (uint8_t)(i + 1)), 0);
	world_check();
	return space;
}

static int unmap(struct space *space, unsigned first, unsigned pages)
{
	return space_unmap(space, PAGE(first), pages * PAGE_SIZE);
}

static int protect(struct space *space, unsigned first, unsigned pages, uint32_t prot)
{
	return space_protect(space, PAGE(first), pages * PAGE_SIZE, prot);
}

/* --- map -------------------------------------------------------------------------------------- */

static void neighbours_that_are_alike_become_one_region(void **state)
{
	struct space *space = laid_out("wwww..ww........");

	assert_layout(space, "[wwww]..[ww]........");
	assert_int_equal(world_map(space, PAGE(4), 2, RW, 0, NULL, 0), PAGE(4));
	assert_layout(space, "[wwwwwwww]........");
	assert_int_equal(space->region_count, 1);
}

static void neighbours_that_differ_stay_apart(void **state)
{
	struct space *space = laid_out("ww..............");

	world_map(space, PAGE(2), 2, PROT_READ, 0, NULL, 0);
	world_map(space, PAGE(4), 2, RW, REGION_NORESERVE, NULL, 0);
	world_map(space, PAGE(6), 2, RW, REGION_LOCKED, NULL, 0);
	assert_layout(space, "[ww][rr][ww][ww]........");
}

static void a_fixed_mapping_replaces_what_is_there(void **state)
{
	static const struct {
		unsigned first, pages;
		const char *after;
	} cases[] = {
		{ 2, 4, "..[rrrr]..[wwww]...." }, /* exactly */
		{ 2, 2, "..[rr][ww]..[wwww]...." },   { 4, 2, "..[ww][rr]..[wwww]...." },
		{ 3, 2, "..[w][rr][w]..[wwww]...." }, { 0, 3, "[rrr][www]..[wwww]...." },
		{ 5, 2, "..[www][rr].[wwww]...." },   { 4, 6, "..[ww][rrrrrr][ww]...." },
		{ 0, 16, "[rrrrrrrrrrrrrrrr]" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct space *space = laid_out("..wwww..wwww....");

		assert_int_equal(world_map(space, PAGE(cases[i].first), cases[i].pages, PROT_READ,
					   0, NULL, 0),
				 PAGE(cases[i].first));
		assert_layout(space, cases[i].after);
		world_end(NULL);
		world_begin(NULL);
	}
}

static void a_fixed_mapping_drops_the_old_pages(void **state)
{
	struct space *space = laid_out("wwww............");
	uint8_t byte;

	world_map(space, PAGE(1), 2, RW, 0, NULL, 0);
	assert_string_equal(world_draw_pages(space, BASE, 4), "a..a");
	assert_int_equal(world_read(space, 0, PAGE(1), &byte), 0);
	assert_int_equal(byte, 0);
	assert_int_equal(world_read(space, 0, PAGE(3), &byte), 0);
	assert_int_equal(byte, 4);
	assert_layout(space, "[wwww]............");
}

static void noreplace_refuses_to_replace(void **state)
{
	struct space *space = laid_out("..ww............");
	struct map_request request = {
		.address = PAGE(3),
		.length = 2 * PAGE_SIZE,
		.prot = PROT_READ,
		.max_prot = PROT_ALL,
		.fixed = true,
		.noreplace = true,
	};
	vaddr_t at;

	assert_int_equal(space_map(space, &request, &at), -EEXIST);
	assert_layout(space, "..[ww]............");
	request.address = PAGE(4);
	assert_int_equal(space_map(space, &request, &at), 0);
	assert_layout(space, "..[ww][rr]..........");
}

static void a_hint_is_taken_if_it_is_free(void **state)
{
	struct space *space = laid_out("..ww............");
	struct map_request request = {
		.address = PAGE(8) - 5, .length = PAGE_SIZE, .prot = PROT_READ, .max_prot = PROT_ALL
	};
	vaddr_t at;

	assert_int_equal(space_map(space, &request, &at), 0);
	assert_int_equal(at, PAGE(8));
	request.address = PAGE(3);
	assert_int_equal(space_map(space, &request, &at), 0);
	assert_int_equal(at, USER_MAX - PAGE_SIZE);
	request.address = UINT64_MAX;
	assert_int_equal(space_map(space, &request, &at), 0);
	assert_int_equal(at, USER_MAX - 2 * PAGE_SIZE);
	assert_layout(space, "..[ww]....[r].......");
}

static void the_highest_gap_that_fits_is_taken(void **state)
{
	struct space *space = world_space();

	/* |[r].[r]...[r]..........  top */
	space->mmap_top = PAGE(16);
	world_layout(space, BASE, "......r.r...r...");
	assert_int_equal(world_map(space, ANYWHERE, 3, RW, 0, NULL, 0), PAGE(13));
	assert_int_equal(world_map(space, ANYWHERE, 2, RW, 0, NULL, 0), PAGE(10));
	assert_int_equal(world_map(space, ANYWHERE, 2, RW, 0, NULL, 0), PAGE(4));
	assert_int_equal(world_map(space, ANYWHERE, 1, RW, 0, NULL, 0), PAGE(9));
	assert_int_equal(world_map(space, ANYWHERE, 1, RW, 0, NULL, 0), PAGE(7));
	assert_layout(space, "....[ww][r][w][r][www][r][www]");
}

static void above_the_top_is_used_when_nothing_else_is_left(void **state)
{
	struct space *space = world_space();

	space->mmap_top = USER_MIN + 2 * PAGE_SIZE;
	assert_int_equal(world_map(space, ANYWHERE, 2, RW, 0, NULL, 0), USER_MIN);
	assert_int_equal(world_map(space, ANYWHERE, 2, RW, 0, NULL, 0), USER_MAX - 2 * PAGE_SIZE);
	assert_int_equal(
		world_map(space, ANYWHERE, (USER_MAX - USER_MIN) / PAGE_SIZE, RW, 0, NULL, 0),
		-ENOMEM);
	world_check();
}

static void a_stack_keeps_its_guard_gap(void **state)
{
	const vaddr_t stack = UINT64_C(0x7ff000000000);
	struct space *space = world_space();

	space->mmap_top = stack + 4 * PAGE_SIZE;
	world_map(space, stack, 4, RW, REGION_GROWSDOWN, NULL, 0);
	assert_int_equal(world_map(space, ANYWHERE, 4, RW, 0, NULL, 0),
			 stack - STACK_GUARD_GAP - 4 * PAGE_SIZE);
	/* By address it goes; and what is in the gap has no gap of its own. */
	assert_int_equal(world_map(space, stack - 8 * PAGE_SIZE, 4, RW, 0, NULL, 0),
			 stack - 8 * PAGE_SIZE);
	world_check();
	assert_int_equal(world_map(space, ANYWHERE, 1, PROT_READ, 0, NULL, 0),
			 stack - 9 * PAGE_SIZE);
	world_check();
}

static void bad_requests_are_refused(void **state)
{
	struct space *space = world_space();
	struct world_file *file = world_file(PAGE_SIZE);
	const struct map_request good = {
		.address = BASE, .length = 1, .prot = PROT_READ, .max_prot = PROT_ALL, .fixed = true
	};
	struct map_request request;
	vaddr_t at;

#define REFUSED(error, ...)                                                 \
	do {                                                                \
		request = good;                                             \
		__VA_ARGS__;                                                \
		assert_int_equal(space_map(space, &request, &at), (error)); \
	} while (0)

	REFUSED(-EINVAL, request.length = 0);
	REFUSED(-ENOMEM, request.length = UINT64_MAX);
	REFUSED(-ENOMEM, request.length = USER_MAX);
	REFUSED(-EINVAL, request.address = BASE + 1);
	REFUSED(-EPERM, request.address = 0);
	REFUSED(-EPERM, request.address = USER_MIN - PAGE_SIZE);
	REFUSED(-ENOMEM, request.address = USER_MAX);
	REFUSED(-ENOMEM, request.address = UINT64_MAX - PAGE_MASK);
	REFUSED(-EINVAL, request.object = &file->object; request.offset = 17);
	REFUSED(-EOVERFLOW, request.object = &file->object;
		request.offset = UINT64_MAX - PAGE_MASK);
	REFUSED(-EACCES, request.max_prot = PROT_WRITE);
	REFUSED(-EINVAL, request.object = &file->object; request.flags = REGION_GROWSDOWN);
	REFUSED(-EINVAL, request.object = &file->object; request.flags = REGION_DEVICE);
#undef REFUSED
	assert_int_equal(space->region_count, 0);
	world_check();
}

static void file_regions_merge_where_their_offsets_do(void **state)
{
	struct space *space = world_space();
	struct world_file *file = world_file(16 * PAGE_SIZE), *other = world_file(16 * PAGE_SIZE);

	world_map(space, PAGE(0), 2, PROT_READ, 0, &file->object, 0);
	world_map(space, PAGE(2), 2, PROT_READ, 0, &file->object, 2 * PAGE_SIZE);
	world_map(space, PAGE(4), 2, PROT_READ, 0, &file->object, 6 * PAGE_SIZE);
	world_map(space, PAGE(6), 2, PROT_READ, 0, &other->object, 8 * PAGE_SIZE);
	world_map(space, PAGE(8), 2, PROT_READ, 0, NULL, 0);
	assert_layout(space, "[rrrr][rr][rr][rr]......");
	/* Cut and whole again. */
	assert_int_equal(protect(space, 1, 1, PROT_NONE), 0);
	assert_layout(space, "[r][n][rr][rr][rr][rr]......");
	assert_int_equal(protect(space, 1, 1, PROT_READ), 0);
	assert_layout(space, "[rrrr][rr][rr][rr]......");
}

/* --- unmap ------------------------------------------------------------------------------------ */

static void unmapping_takes_exactly_the_range(void **state)
{
	static const struct {
		unsigned first, pages;
		const char *after, *resident;
	} cases[] = {
		{ 2, 4, "........[ww][ww]..[ww]", "........aaaa..aa" }, /* one region, exactly */
		{ 2, 1, "...[www]..[ww][ww]..[ww]", "...aaa..aaaa..aa" },
		{ 5, 1, "..[www]...[ww][ww]..[ww]", "..aaa...aaaa..aa" },
		{ 3, 2, "..[w]..[w]..[ww][ww]..[ww]", "..a..a..aaaa..aa" },
		{ 0, 3, "...[www]..[ww][ww]..[ww]", "...aaa..aaaa..aa" },
		{ 9, 2, "..[wwww]..[w]..[w]..[ww]", "..aaaa..a..a..aa" },
		{ 4, 11, "..[ww]...........[w]", "..aa...........a" },
		{ 6, 2, "..[wwww]..[ww][ww]..[ww]", "..aaaa..aaaa..aa" }, /* a hole */
		{ 0, 16, "................", "................" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct space *space = laid_out("..wwww..ww....ww");

		/* Two that touch and differ. */
		world_map(space, PAGE(10), 2, RW, REGION_NORESERVE, NULL, 0);
		world_write(space, 0, PAGE(10), 1);
		world_write(space, 0, PAGE(11), 1);
		assert_int_equal(unmap(space, cases[i].first, cases[i].pages), 0);
		assert_layout(space, cases[i].after);
		assert_string_equal(world_draw_pages(space, BASE, 16), cases[i].resident);
		world_end(NULL);
		world_begin(NULL);
	}
}

static void unmapping_rounds_its_length_up(void **state)
{
	struct space *space = laid_out("wwww............");

	assert_int_equal(space_unmap(space, PAGE(0), PAGE_SIZE + 1), 0);
	assert_layout(space, "..[ww]............");
	assert_int_equal(space_unmap(space, PAGE(2) + 1, PAGE_SIZE), -EINVAL);
	assert_int_equal(space_unmap(space, PAGE(2), 0), -EINVAL);
	assert_int_equal(space_unmap(space, PAGE(2), UINT64_MAX), -EINVAL);
	assert_int_equal(space_unmap(space, USER_MAX, PAGE_SIZE), -EINVAL);
	assert_layout(space, "..[ww]............");
}

static void what_is_unmapped_cannot_be_reached_through_a_tlb(void **state)
{
	struct space *space = laid_out("wwww............");
	uint8_t byte;

	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(world_read(space, 1, PAGE(i), &byte), 0);
	assert_int_equal(unmap(space, 0, 4), 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(world_read(space, 0, PAGE(i), &byte), -EFAULT);
		assert_int_equal(world_read(space, 1, PAGE(i), &byte), -EFAULT);
	}
}

#define MANY 1000

static struct space *shrinking;
static unsigned left_after_the_first_step;

static void count_what_is_left(void)
{
	struct pmap *pmap = &shrinking->pmap;
	vaddr_t end = PAGE(MANY);

	spin_lock(&pmap->lock);
	for (vaddr_t at = BASE; (at = pmap_next(pmap, at, end)) < end; at += PAGE_SIZE)
		left_after_the_first_step++;
	spin_unlock(&pmap->lock);
}

/* Interrupts are off for one step: pages that hold no frame count like others. */
static void pages_are_unmapped_in_steps(void **state)
{
	uint8_t byte;

	shrinking = world_space();
	world_map(shrinking, BASE, MANY, PROT_READ, 0, NULL, 0);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(world_read(shrinking, 0, PAGE(i), &byte), 0);
	left_after_the_first_step = 0;
	fake_during_flush = count_what_is_left;
	assert_int_equal(unmap(shrinking, 0, MANY), 0);
	assert_in_range(left_after_the_first_step, MANY / 2, MANY - 1);
	world_check();
}

static void unmapping_frees_page_tables(void **state)
{
	struct space *space = world_space();
	uint64_t tables = space->pmap.tables;

	for (unsigned i = 0; i < 8; i++) {
		vaddr_t at = BASE + i * GIB;

		world_map(space, at, 4, RW, 0, NULL, 0);
		world_write(space, 0, at, 1);
	}
	assert_true(space->pmap.tables > tables + 8);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(space_unmap(space, BASE + i * GIB, 4 * PAGE_SIZE), 0);
	assert_int_equal(space->pmap.tables, tables);
}

static void the_gap_before_a_region_follows_what_is_unmapped(void **state)
{
	struct space *space = laid_out("wwwwrrrrwwwwrrrr");

	space->mmap_top = PAGE(16);
	world_map(space, USER_MIN, (BASE - USER_MIN) / PAGE_SIZE, PROT_NONE, 0, NULL, 0);
	assert_int_equal(unmap(space, 4, 4), 0);
	assert_int_equal(unmap(space, 13, 1), 0);
	assert_int_equal(world_map(space, ANYWHERE, 2, PROT_NONE, 0, NULL, 0), PAGE(6));
	assert_int_equal(world_map(space, ANYWHERE, 1, PROT_NONE, 0, NULL, 0), PAGE(13));
	assert_int_equal(world_map(space, ANYWHERE, 2, PROT_NONE, 0, NULL, 0), PAGE(4));
	assert_layout(space, "[wwww][nnnn][wwww][r][n][rr]");
}

/* --- protect ---------------------------------------------------------------------------------- */

static void protecting_splits_and_merges(void **state)
{
	struct space *space = laid_out("wwwwwwww........");

	assert_int_equal(protect(space, 2, 3, PROT_READ), 0);
	assert_layout(space, "[ww][rrr][www]........");
	assert_int_equal(protect(space, 5, 3, PROT_READ), 0);
	assert_layout(space, "[ww][rrrrrr]........");
	assert_int_equal(protect(space, 0, 1, PROT_NONE), 0);
	assert_layout(space, "[n][w][rrrrrr]........");
	assert_int_equal(protect(space, 1, 1, PROT_NONE), 0);
	assert_layout(space, "[nn][rrrrrr]........");
	assert_int_equal(protect(space, 0, 8, RW), 0);
	assert_layout(space, "[wwwwwwww]........");
	assert_int_equal(protect(space, 0, 8, RW), 0);
	assert_layout(space, "[wwwwwwww]........");
}

static void protecting_a_hole_changes_nothing(void **state)
{
	struct space *space = laid_out("ww.ww...........");

	assert_int_equal(protect(space, 0, 5, PROT_READ), -ENOMEM);
	assert_int_equal(protect(space, 2, 1, PROT_READ), -ENOMEM);
	assert_int_equal(protect(space, 4, 2, PROT_READ), -ENOMEM);
	assert_layout(space, "[ww].[ww]...........");
	assert_int_equal(space_protect(space, BASE + 1, PAGE_SIZE, PROT_READ), -EINVAL);
	assert_int_equal(space_protect(space, BASE, UINT64_MAX, PROT_READ), -ENOMEM);
	assert_int_equal(space_protect(space, BASE, 0, PROT_READ), 0);
}

static void protecting_beyond_max_prot_changes_nothing(void **state)
{
	struct space *space = laid_out("ww..............");
	struct map_request request = { .address = PAGE(2),
				       .length = PAGE_SIZE,
				       .prot = PROT_READ,
				       .max_prot = PROT_READ,
				       .fixed = true };
	vaddr_t at;

	assert_int_equal(space_map(space, &request, &at), 0);
	assert_int_equal(protect(space, 0, 3, PROT_READ | PROT_EXEC), -EACCES);
	assert_layout(space, "[ww][r].............");
}

static void contents_survive_every_protection(void **state)
{
	static const uint32_t prots[] = { PROT_READ, PROT_NONE, PROT_READ | PROT_EXEC, RW };
	struct space *space = laid_out("wwww............");
	uint8_t byte;

	for (unsigned i = 0; i < ARRAY_SIZE(prots); i++) {
		assert_int_equal(protect(space, 1, 2, prots[i]), 0);
		world_check();
		for (unsigned cpu = 0; cpu < 2; cpu++) {
			int expected = prots[i] == PROT_NONE ? -EFAULT : 0;

			assert_int_equal(world_read(space, cpu, PAGE(1), &byte), expected);
			if (!expected)
				assert_int_equal(byte, 2);
			expected = prots[i] & PROT_WRITE ? 0 : -EFAULT;
			assert_int_equal(world_write(space, cpu, PAGE(2), 3), expected);
			expected = prots[i] & PROT_EXEC ? 0 : -EFAULT;
			assert_int_equal(world_execute(space, cpu, PAGE(2)), expected);
		}
	}
	assert_layout(space, "[wwww]............");
}

static void a_page_without_rights_keeps_its_frame(void **state)
{
	struct space *space = laid_out("wwww............");

	assert_int_equal(protect(space, 0, 4, PROT_NONE), 0);
	assert_string_equal(world_draw_pages(space, BASE, 4), "----");
	assert_layout(space, "[nnnn]............");
	assert_int_equal(unmap(space, 1, 2), 0);
	assert_string_equal(world_draw_pages(space, BASE, 4), "-..-");
	assert_layout(space, "[n]..[n]............");
}

/* --- discard ---------------------------------------------------------------------------------- */

static void discarded_pages_are_zero_again(void **state)
{
	struct space *space = laid_out("wwww..ww........");
	uint8_t byte;

	assert_int_equal(space_advise(space, PAGE(1), 2 * PAGE_SIZE, MADV_DONTNEED), 0);
	assert_string_equal(world_draw_pages(space, BASE, 8), "a..a..aa");
	assert_int_equal(world_read(space, 1, PAGE(1), &byte), 0);
	assert_int_equal(byte, 0);
	/* A hole is told of, and what is not a hole is done. */
	assert_int_equal(space_advise(space, PAGE(3), 4 * PAGE_SIZE, MADV_DONTNEED), -ENOMEM);
	assert_string_equal(world_draw_pages(space, BASE, 8), "az.....a");
	assert_layout(space, "[wwww]..[ww]........");
	assert_int_equal(space_advise(space, PAGE(0) + 1, PAGE_SIZE, MADV_DONTNEED), -EINVAL);
	assert_int_equal(space_advise(space, PAGE(0), UINT64_MAX, MADV_DONTNEED), -EINVAL);
}

/* --- brk -------------------------------------------------------------------------------------- */

static void the_heap_is_one_region_however_often_it_grows(void **state)
{
	struct space *space = world_space();

	space_set_brk_start(space, BASE);
	assert_int_equal(space_brk(space, 0), BASE);
	for (unsigned i = 1; i < 1000; i++)
		assert_int_equal(space_brk(space, BASE + i * 1000), BASE + i * 1000);
	assert_int_equal(space->region_count, 1);
	world_check();
	assert_int_equal(space_brk(space, BASE), BASE);
	assert_int_equal(space->region_count, 0);
	world_check();
}

static void a_heap_that_shrinks_frees_its_pages(void **state)
{
	struct space *space = world_space();
	uint8_t byte;

	space_set_brk_start(space, BASE);
	assert_int_equal(space_brk(space, PAGE(4)), PAGE(4));
	assert_int_equal(world_write(space, 0, PAGE(3), 7), 0);
	assert_int_equal(space_brk(space, PAGE(2) + 1), PAGE(2) + 1);
	assert_layout(space, "[www].............");
	assert_int_equal(world_read(space, 0, PAGE(3), &byte), -EFAULT);
	assert_int_equal(space_brk(space, PAGE(4)), PAGE(4));
	assert_int_equal(world_read(space, 0, PAGE(3), &byte), 0);
	assert_int_equal(byte, 0);
}

static void a_heap_stops_before_what_is_mapped(void **state)
{
	struct space *space = laid_out("........r.......");

	space_set_brk_start(space, BASE);
	assert_int_equal(space_brk(space, PAGE(8)), PAGE(0));
	assert_int_equal(space_brk(space, PAGE(7)), PAGE(7));
	assert_int_equal(space_brk(space, PAGE(7) + 1), PAGE(7));
	assert_int_equal(space_brk(space, BASE - 1), PAGE(7));
	assert_int_equal(space_brk(space, UINT64_MAX), PAGE(7));
	assert_layout(space, "[wwwwwww].[r].......");
}

static void without_a_heap_brk_is_zero(void **state)
{
	struct space *space = world_space();

	assert_int_equal(space_brk(space, 0), 0);
	assert_int_equal(space_brk(space, BASE), 0);
	assert_int_equal(space->region_count, 0);
}

/* --- limits ----------------------------------------------------------------------------------- */

static void limits_are_kept_and_replacing_is_no_growth(void **state)
{
	struct space *space = laid_out("wwww............");

	space->limits.as = 6 * PAGE_SIZE;
	assert_int_equal(world_map(space, PAGE(8), 3, PROT_READ, 0, NULL, 0), -ENOMEM);
	assert_int_equal(world_map(space, PAGE(0), 6, PROT_READ, 0, NULL, 0), PAGE(0));
	assert_layout(space, "[rrrrrr]..........");
	space->limits.as = UINT64_MAX;

	space->limits.data = 4 * PAGE_SIZE;
	assert_int_equal(world_map(space, PAGE(8), 5, RW, 0, NULL, 0), -ENOMEM);
	assert_int_equal(world_map(space, PAGE(8), 4, RW, 0, NULL, 0), PAGE(8));
	assert_int_equal(protect(space, 0, 1, RW), -ENOMEM);
	space_set_brk_start(space, PAGE(14));
	assert_int_equal(space_brk(space, PAGE(15)), PAGE(14));
	assert_layout(space, "[rrrrrr]..[wwww]....");
}

static void there_is_a_largest_number_of_regions(void **state)
{
	struct space *space = world_space();
	int64_t result = 0;
	unsigned count = 0;

	/* Every other page, so that nothing merges. */
	while (result >= 0 && count <= SPACE_REGIONS_MAX) {
		result = world_map(space, BASE + 2 * count * PAGE_SIZE, 1, RW, 0, NULL, 0);
		count += result >= 0;
	}
	assert_int_equal(result, -ENOMEM);
	assert_int_equal(count, SPACE_REGIONS_MAX);
	assert_int_equal(space_unmap(space, BASE, PAGE_SIZE), 0);
	assert_int_equal(world_map(space, PAGE(0), 2, RW, 0, NULL, 0), PAGE(0));
	/* [www] would become three. */
	assert_int_equal(space_unmap(space, PAGE(1), PAGE_SIZE), -ENOMEM);
	assert_int_equal(protect(space, 1, 1, PROT_READ), -ENOMEM);
	world_check();
}

/* --- gaps ------------------------------------------------------------------------------------- */

/* The highest gap, by looking at every page from above. */
static vaddr_t find_slowly(const bool *used, unsigned window, unsigned pages)
{
	for (unsigned start = window - pages + 1; start-- > 0;) {
		unsigned i = 0;

		while (i < pages && !used[start + i])
			i++;
		if (i == pages)
			return USER_MIN + start * PAGE_SIZE;
	}
	return 0;
}

static void the_tree_finds_the_gap_that_a_search_finds(void **state)
{
	enum { WINDOW = 512 };
	bool used[WINDOW] = { false };
	struct space *space = world_space();

	srand(3);
	space->mmap_top = USER_MIN + WINDOW * PAGE_SIZE;
	for (unsigned step = 0; step < 4000; step++) {
		unsigned pages = 1 + (unsigned)rand() % 24;
		unsigned first = (unsigned)rand() % (WINDOW - pages);
		vaddr_t expected = find_slowly(used, WINDOW, pages), found;
		uint32_t prot = rand() % 2 ? PROT_READ : PROT_NONE;

		if (rand() % 5 < 2) {
			vaddr_t at = USER_MIN + first * PAGE_SIZE;

			assert_int_equal(space_unmap(space, at, pages * PAGE_SIZE), 0);
			memset(used + first, false, pages);
			continue;
		}
		if (expected == 0)
			continue; /* it would go above the top */
		found = (vaddr_t)world_map(space, ANYWHERE, pages, prot, 0, NULL, 0);
		assert_int_equal(found, expected);
		memset(used + (found - USER_MIN) / PAGE_SIZE, true, pages);
		if (step % 64 == 0)
			assert_true(space_check(space));
	}
	world_check();
}

/* --- what happens without memory -------------------------------------------------------------- */

struct operation {
	const char *name;
	int64_t (*run)(struct space *space);
};

static int64_t map_over_the_middle(struct space *space)
{
	return world_map(space, PAGE(1), 8, PROT_READ, 0, NULL, 0) < 0 ? -ENOMEM : 0;
}

static int64_t unmap_the_middle(struct space *space)
{
	return unmap(space, 1, 2);
}

static int64_t protect_the_middle(struct space *space)
{
	return protect(space, 1, 2, PROT_READ);
}

static int64_t grow_the_heap(struct space *space)
{
	return space_brk(space, PAGE(15)) == PAGE(15) ? 0 : -ENOMEM;
}

static int64_t write_a_page(struct space *space)
{
	return world_write(space, 0, BASE + GIB, 1);
}

/* Every allocation of an operation fails in turn: -ENOMEM, and nothing has changed. */
static void an_operation_that_fails_changes_nothing(void **state)
{
	static const struct operation operations[] = {
		{ "map", map_over_the_middle },    { "unmap", unmap_the_middle },
		{ "protect", protect_the_middle }, { "brk", grow_the_heap },
		{ "fault", write_a_page },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(operations); i++) {
		struct space *space = laid_out("wwww..wwww..n...");
		unsigned nth = 0;
		int64_t result;

		world_map(space, BASE + GIB, 1, RW, 0, NULL, 0);
		space_set_brk_start(space, PAGE(13));
		do {
			char regions[128], pages[128];
			struct frame_census before, after;

			snprintf(regions, sizeof(regions), "%s", world_draw(space, BASE, 16));
			snprintf(pages, sizeof(pages), "%s", world_draw_pages(space, BASE, 16));
			frame_census(&before);
			inject_failure(++nth);
			result = operations[i].run(space);
			inject_failure(0);
			if (result == 0)
				break;
			assert_int_equal(result, -ENOMEM);
			frame_census(&after);
			world_check();
			assert_string_equal(world_draw(space, BASE, 16), regions);
			assert_string_equal(world_draw_pages(space, BASE, 16), pages);
			/* A fault may have made page tables; they go when the region goes. */
			if (operations[i].run == write_a_page) {
				after.count[FRAME_FREE] += after.count[FRAME_PTABLE];
				before.count[FRAME_FREE] += before.count[FRAME_PTABLE];
				after.count[FRAME_PTABLE] = before.count[FRAME_PTABLE];
			}
			assert_memory_equal(&before, &after, sizeof(before));
		} while (nth < 100);
		assert_int_equal(result, 0);
		assert_true(nth > 1);
		world_check();
		world_end(NULL);
		world_begin(NULL);
	}
}

static void a_space_that_cannot_be_made_leaves_nothing(void **state)
{
	struct space *space = NULL;

	for (unsigned nth = 1; !space; nth++) {
		inject_failure(nth);
		space = space_create();
		inject_failure(0);
	}
	space_put(space);
}

#define test(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(neighbours_that_are_alike_become_one_region),
		test(neighbours_that_differ_stay_apart),
		test(a_fixed_mapping_replaces_what_is_there),
		test(a_fixed_mapping_drops_the_old_pages),
		test(noreplace_refuses_to_replace),
		test(a_hint_is_taken_if_it_is_free),
		test(the_highest_gap_that_fits_is_taken),
		test(above_the_top_is_used_when_nothing_else_is_left),
		test(a_stack_keeps_its_guard_gap),
		test(bad_requests_are_refused),
		test(file_regions_merge_where_their_offsets_do),
		test(unmapping_takes_exactly_the_range),
		test(unmapping_rounds_its_length_up),
		test(what_is_unmapped_cannot_be_reached_through_a_tlb),
		test(pages_are_unmapped_in_steps),
		test(unmapping_frees_page_tables),
		test(the_gap_before_a_region_follows_what_is_unmapped),
		test(protecting_splits_and_merges),
		test(protecting_a_hole_changes_nothing),
		test(protecting_beyond_max_prot_changes_nothing),
		test(contents_survive_every_protection),
		test(a_page_without_rights_keeps_its_frame),
		test(discarded_pages_are_zero_again),
		test(the_heap_is_one_region_however_often_it_grows),
		test(a_heap_that_shrinks_frees_its_pages),
		test(a_heap_stops_before_what_is_mapped),
		test(without_a_heap_brk_is_zero),
		test(limits_are_kept_and_replacing_is_no_growth),
		test(there_is_a_largest_number_of_regions),
		test(the_tree_finds_the_gap_that_a_search_finds),
		test(an_operation_that_fails_changes_nothing),
		test(a_space_that_cannot_be_made_leaves_nothing),
	};

	world_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
