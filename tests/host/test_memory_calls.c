/*
 * test_memory_calls.c - the calls of mm/syscalls.c as a program makes them.
 */
#include "world.h"

#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/user.h"
#include <linux/mman.h>

#include <cmocka.h>
#include <stdlib.h>

#define BASE    UINT64_C(0x400000)
#define PAGE(n) (BASE + (n)*PAGE_SIZE)
#define RW      (PROT_READ | PROT_WRITE)

syscall_fn sys_munmap, sys_mprotect, sys_brk, sys_madvise;

static struct space *space;

/* What mincore(2) tells stays in the test's own memory. */
int copy_to_user(vaddr_t to, const void *from, size_t length)
{
	memcpy((void *)to, from, length);
	return 0;
}

static int64_t munmap_(vaddr_t start, uint64_t length)
{
	return sys_munmap(start, length, 0, 0, 0, 0);
}

static int64_t mprotect_(vaddr_t start, uint64_t length, uint64_t prot)
{
	return sys_mprotect(start, length, prot, 0, 0, 0);
}

static int64_t madvise_(vaddr_t start, uint64_t length, int advice)
{
	return sys_madvise(start, length, (uint64_t)advice, 0, 0, 0);
}

#define assert_layout(drawing)                                              \
	do {                                                                \
		world_check();                                              \
		assert_string_equal(world_draw(space, BASE, 8), (drawing)); \
	} while (0)

static int begin(void **state)
{
	world_begin(state);
	space = world_space();
	current->space = space;
	return 0;
}

static int end(void **state)
{
	current->space = NULL;
	return world_end(state);
}

static void munmap_takes_any_range_of_pages(void **state)
{
	world_layout(space, BASE, "ww.ww.rr");
	assert_int_equal(munmap_(PAGE(1), 4 * PAGE_SIZE - 1), 0);
	assert_layout("[w].....[rr]");
	assert_int_equal(munmap_(PAGE(1), PAGE_SIZE), 0); /* nothing there */
	assert_int_equal(munmap_(PAGE(0) + 1, PAGE_SIZE), -EINVAL);
	assert_int_equal(munmap_(PAGE(0), 0), -EINVAL);
	assert_int_equal(munmap_(PAGE(0), UINT64_MAX), -EINVAL);
	assert_int_equal(munmap_(UINT64_MAX - PAGE_MASK, PAGE_SIZE), -EINVAL);
	assert_layout("[w].....[rr]");
}

static void mprotect_checks_its_arguments(void **state)
{
	world_layout(space, BASE, "ww......");
	assert_int_equal(mprotect_(PAGE(0), PAGE_SIZE, 0x100), -EINVAL);
	assert_int_equal(mprotect_(PAGE(0), 0, 0x100), 0);
	assert_int_equal(mprotect_(PAGE(0), PAGE_SIZE, RW | UINT64_C(1) << 40), -EINVAL);
	assert_int_equal(mprotect_(PAGE(0) + 1, PAGE_SIZE, RW), -EINVAL);
	assert_int_equal(mprotect_(PAGE(1), 2 * PAGE_SIZE, PROT_READ), -ENOMEM);
	assert_int_equal(mprotect_(PAGE(0), UINT64_MAX, PROT_READ), -ENOMEM);
	assert_int_equal(mprotect_(PAGE(5), 0, PROT_READ), 0);
	assert_layout("[ww]......");
	assert_int_equal(mprotect_(PAGE(1), 1, PROT_READ | PROT_SEM), 0);
	assert_layout("[w][r]......");
}

static void mprotect_growsdown_reaches_the_start_of_a_stack(void **state)
{
	world_map(space, PAGE(2), 4, RW, REGION_GROWSDOWN, NULL, 0);
	world_map(space, PAGE(7), 1, RW, 0, NULL, 0);
	assert_int_equal(mprotect_(PAGE(4), PAGE_SIZE, PROT_READ | PROT_GROWSDOWN), 0);
	assert_layout("..[rrr][w].[w]");
	assert_int_equal(mprotect_(PAGE(7), PAGE_SIZE, PROT_READ | PROT_GROWSDOWN), -EINVAL);
	assert_int_equal(mprotect_(PAGE(9), PAGE_SIZE, PROT_READ | PROT_GROWSDOWN), -ENOMEM);
	assert_int_equal(mprotect_(PAGE(4), UINT64_MAX, PROT_READ | PROT_GROWSDOWN), -ENOMEM);
}

static void brk_answers_with_the_break(void **state)
{
	space_set_brk_start(space, BASE);
	assert_int_equal(sys_brk(0, 0, 0, 0, 0, 0), BASE);
	assert_int_equal(sys_brk(PAGE(2) + 1, 0, 0, 0, 0, 0), PAGE(2) + 1);
	assert_layout("[www].....");
	assert_int_equal(sys_brk(UINT64_MAX, 0, 0, 0, 0, 0), PAGE(2) + 1);
}

static void madvise_drops_what_it_is_told_to(void **state)
{
	uint8_t byte;

	world_layout(space, BASE, "wwww....");
	for (unsigned i = 0; i < 4; i++)
		world_write(space, 0, PAGE(i), 1);
	assert_int_equal(madvise_(PAGE(0), PAGE_SIZE, MADV_DONTNEED), 0);
	assert_int_equal(madvise_(PAGE(2), 1, MADV_FREE), 0);
	assert_string_equal(world_draw_pages(space, BASE, 4), ".a.a");
	assert_int_equal(world_read(space, 0, PAGE(0), &byte), 0);
	assert_int_equal(byte, 0);
}

static void madvise_free_is_for_private_memory_only(void **state)
{
	struct world_file *file = world_file(PAGE_SIZE);

	world_map(space, BASE, 1, RW, 0, &file->object, 0);
	world_map(space, PAGE(1), 1, RW, 0, NULL, 0);
	world_write(space, 0, PAGE(1), 1);
	assert_int_equal(madvise_(PAGE(0), 2 * PAGE_SIZE, MADV_FREE), -EINVAL);
	assert_string_equal(world_draw_pages(space, BASE, 2), ".a");
}

static void hints_are_accepted_where_memory_is(void **state)
{
	static const int hints[] = { MADV_NORMAL,   MADV_RANDOM,     MADV_SEQUENTIAL, MADV_WILLNEED,
				     MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTDUMP };

	world_layout(space, BASE, "wwrr.w..");
	for (unsigned i = 0; i < ARRAY_SIZE(hints); i++) {
		assert_int_equal(madvise_(PAGE(0), 4 * PAGE_SIZE, hints[i]), 0);
		assert_int_equal(madvise_(PAGE(1), PAGE_SIZE, hints[i]), 0);
		assert_int_equal(madvise_(PAGE(1), 4 * PAGE_SIZE, hints[i]), -ENOMEM);
		assert_int_equal(madvise_(PAGE(4), PAGE_SIZE, hints[i]), -ENOMEM);
		assert_int_equal(madvise_(PAGE(4), 0, hints[i]), 0);
		assert_int_equal(madvise_(PAGE(0) + 1, PAGE_SIZE, hints[i]), -EINVAL);
		assert_int_equal(madvise_(PAGE(0), UINT64_MAX, hints[i]), -EINVAL);
	}
	assert_int_equal(madvise_(PAGE(0), PAGE_SIZE, 12345), -EINVAL);
	assert_layout("[ww][rr].[w]..");
}

#define test(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(munmap_takes_any_range_of_pages),
		test(mprotect_checks_its_arguments),
		test(mprotect_growsdown_reaches_the_start_of_a_stack),
		test(brk_answers_with_the_break),
		test(madvise_drops_what_it_is_told_to),
		test(madvise_free_is_for_private_memory_only),
		test(hints_are_accepted_where_memory_is),
	};

	world_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
