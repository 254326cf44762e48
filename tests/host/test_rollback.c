/*
 * test_rollback.c - every operation, with each of its allocations made to fail in turn.
 *
 * An operation that fails has changed nothing: regions, page-table entries, page tables, counts and
 * contents are what they were. The world of each attempt is built anew; the sweep ends with the first
 * attempt that has as much memory as it wants.
 *
 *	  0         8         16        24        32        40        48        56
 *	[wwwwwwww][rrrr]..[ffffff]..[SSSSSSSS]..[nnnn]..  heap, a stack        w anonymous, f a file's,
 *	 a.aa..aa  a       aff.      ff          --                            S shared, n no right
 */
#include "inject.h"
#include "world.h"

#include "kernel/string.h"
#include "kernel/trap.h"
#include <linux/mman.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define BASE    UINT64_C(0x400000)
#define PAGE(n) (BASE + (n)*PAGE_SIZE)
#define HEAP    PAGE(64)
#define FAR     UINT64_C(0x7000000000) /* no page table leads here */
#define RW      (PROT_READ | PROT_WRITE)
#define LARGE   UINT64_C(0x40000000) /* a block of 2 MiB */
/* Eight pages in two page tables. */
#define TWO_TABLES (FAR / 4 - 4 * PAGE_SIZE)
#define LOCKS      (REGION_LOCKED | REGION_LOCKONFAULT)

static struct space *space;
static struct world_file *file;

static void touch(unsigned first, const char *pages)
{
	for (unsigned i = 0; pages[i]; i++) {
		uint8_t byte;

		if (pages[i] == 'a')
			assert_int_equal(world_write(space, 0, PAGE(first + i), (uint8_t)i), 0);
		if (pages[i] == 'f' || pages[i] == 'z')
			assert_int_equal(world_read(space, 0, PAGE(first + i), &byte), 0);
	}
}

static void build(void)
{
	space = world_space();
	file = world_file(64 * PAGE_SIZE);
	space->mmap_top = FAR;
	world_layout(space, BASE, "wwwwwwwwwwww");
	touch(0, "a.aaz.aaa");
	assert_int_equal(space_protect(space, PAGE(8), 4 * PAGE_SIZE, PROT_READ), 0);
	world_map(space, PAGE(14), 6, RW, 0, &file->object, 0);
	touch(14, "aff.");
	world_map(space, PAGE(22), 8, RW, REGION_SHARED, &file->object, 32 * PAGE_SIZE);
	touch(22, "ff");
	world_layout(space, PAGE(32), "wwww");
	touch(32, "aa");
	assert_int_equal(space_protect(space, PAGE(32), 4 * PAGE_SIZE, PROT_NONE), 0);
	space_set_brk_start(space, HEAP);
	assert_int_equal(space_brk(space, HEAP + 4 * PAGE_SIZE), HEAP + 4 * PAGE_SIZE);
	world_map(space, FAR / 2, 1, RW, REGION_GROWSDOWN, NULL, 0);
	world_map(space, TWO_TABLES, 8, PROT_READ, 0, NULL, 0); /* and none has been touched */
}

/* --- the state -------------------------------------------------------------------------------- */

static char *append(char *out, const char *end, const char *format, ...)
{
	va_list ap;
	int length;

	va_start(ap, format);
	length = vsnprintf(out, (size_t)(end - out), format, ap);
	va_end(ap);
	assert_true(length < end - out);
	return out + length;
}

/* All that can be seen of the space without touching it. */
static void describe(char *out, const char *end, bool tables)
{
	const struct space_stats *stats = &space->stats;

	rw_read_lock(&space->lock);
	for (struct region *r = space_find_above(space, 0); r; r = space_next(r))
		out = append(out, end, "%lx-%lx %x %x %p %lx\n", r->start, r->end, r->prot,
			     r->flags, (void *)r->object, r->offset);
	rw_read_unlock(&space->lock);
	spin_lock(&space->pmap.lock);
	for (vaddr_t at = 0; (at = pmap_next(&space->pmap, at, USER_MAX)) < USER_MAX;
	     at += PAGE_SIZE) {
		struct pte pte = pmap_get(&space->pmap, at);

		out = append(out, end, "%lx: %lx %d%d%d%d%d\n", at, pte.address, pte.present,
			     pte.protnone, pte.writable, pte.executable, pte.special);
	}
	spin_unlock(&space->pmap.lock);
	append(out, end, "brk %lx future %x tables %lu pages %lu data %lu locked %lu regions %lu\n",
	       space->brk, space->future_flags, tables ? space->pmap.tables : 0,
	       stats->virtual_pages, stats->data_pages, stats->locked_pages, space->region_count);
}

/* --- the operations: 0, or what failed -------------------------------------------------------- */

static int map_over_three(void)
{
	return (int)MIN(world_map(space, PAGE(6), 20, RW, 0, &file->object, 0), 0);
}

static int map_anywhere(void)
{
	return (int)MIN(
		world_map(space, ANYWHERE, 4, RW, REGION_LOCKED | REGION_LOCKONFAULT, NULL, 0), 0);
}

static int unmap_a_middle(void)
{
	return space_unmap(space, PAGE(2), 3 * PAGE_SIZE);
}

static int unmap_across(void)
{
	return space_unmap(space, PAGE(7), 20 * PAGE_SIZE);
}

static int protect_a_middle(void)
{
	return space_protect(space, PAGE(2), 2 * PAGE_SIZE, PROT_READ);
}

static int protect_across(void)
{
	return space_protect(space, PAGE(6), 5 * PAGE_SIZE, PROT_NONE);
}

static int break_grows(void)
{
	return space_brk(space, HEAP + 9 * PAGE_SIZE) == HEAP + 9 * PAGE_SIZE ? 0 : -ENOMEM;
}

static int break_shrinks(void)
{
	return space_brk(space, HEAP + 1) == HEAP + 1 ? 0 : -ENOMEM;
}

static int remap(unsigned old, uint64_t pages, uint64_t new_pages, uint32_t flags, vaddr_t new)
{
	const struct remap_request request = {
		.old = PAGE(old),
		.old_length = pages * PAGE_SIZE,
		.new_length = new_pages * PAGE_SIZE,
		.flags = flags,
		.new = new,
	};
	vaddr_t at;

	return space_remap(space, &request, &at);
}

#define FIXED (MREMAP_MAYMOVE | MREMAP_FIXED)

static int remap_shorter(void)
{
	return remap(0, 8, 2, 0, 0);
}

static int remap_to_new_tables(void)
{
	return remap(1, 6, 600, MREMAP_MAYMOVE, 0);
}

static int remap_over_others(void)
{
	return remap(2, 3, 3, FIXED, PAGE(16));
}

static int remap_across_tables(void)
{
	return remap(0, 8, 8, FIXED, TWO_TABLES);
}

static int remap_shrinking_over_itself(void)
{
	return remap(0, 4, 2, FIXED, PAGE(5));
}

static int remap_a_file(void)
{
	return remap(15, 4, 12, FIXED, FAR);
}

static int remap_shared_twice(void)
{
	return remap(23, 0, 4, MREMAP_MAYMOVE, 0);
}

static int remap_and_keep(void)
{
	return remap(1, 4, 4, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
}

static int lock_a_middle(void)
{
	return space_lock(space, PAGE(2), 3 * PAGE_SIZE, LOCKS);
}

static int wipe_a_middle(void)
{
	return space_advise(space, PAGE(2), 2 * PAGE_SIZE, MADV_WIPEONFORK);
}

static int lock_all(void)
{
	return space_lock_all(space, MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
}

static int fault(vaddr_t at, unsigned access)
{
	return space_fault(space, at, access | FAULT_USER);
}

static int read_untouched(void)
{
	return fault(FAR / 2, FAULT_READ);
}

static int write_untouched(void)
{
	return fault(FAR / 2, FAULT_WRITE);
}

static int write_a_private_page_of_a_file(void)
{
	return fault(PAGE(15), FAULT_WRITE);
}

static int grow_the_stack(void)
{
	return fault(FAR / 2 - 300 * PAGE_SIZE, FAULT_WRITE);
}

/* What a failure may leave behind: a fault takes first what it would want again at the next try. */
enum leaves { NOTHING, TABLES, STACK };

static const struct {
	const char *name;
	int (*run)(void);
	enum leaves leaves;
} operations[] = {
	{ "mmap over three regions", map_over_three, NOTHING },
	{ "mmap anywhere", map_anywhere, NOTHING },
	{ "munmap in the middle", unmap_a_middle, NOTHING },
	{ "munmap across regions", unmap_across, NOTHING },
	{ "mprotect in the middle", protect_a_middle, NOTHING },
	{ "mprotect across regions", protect_across, NOTHING },
	{ "brk up", break_grows, NOTHING },
	{ "brk down", break_shrinks, NOTHING },
	{ "mremap, shorter", remap_shorter, NOTHING },
	{ "mremap to where no page table is", remap_to_new_tables, NOTHING },
	{ "mremap over others", remap_over_others, NOTHING },
	{ "mremap over others, to two new page tables", remap_across_tables, NOTHING },
	{ "mremap, shorter, within its region", remap_shrinking_over_itself, NOTHING },
	{ "mremap of a file", remap_a_file, NOTHING },
	{ "mremap of shared memory, a second time", remap_shared_twice, NOTHING },
	{ "mremap, keeping the old place", remap_and_keep, NOTHING },
	{ "mlock2 in the middle", lock_a_middle, NOTHING },
	{ "madvise for fork", wipe_a_middle, NOTHING },
	{ "mlockall", lock_all, NOTHING },
	{ "a read of untouched memory", read_untouched, NOTHING },
	{ "a write to untouched memory", write_untouched, TABLES },
	{ "a write to a file's private page", write_a_private_page_of_a_file, NOTHING },
	{ "a stack that grows", grow_the_stack, STACK },
};

#define ATTEMPTS_MAX 100

/* True if it went through with so many allocations and no more. */
static bool attempt(unsigned which, unsigned allocations)
{
	static char before[1 << 15], after[1 << 15];
	enum leaves leaves = operations[which].leaves;
	int error;

	build();
	describe(before, before + sizeof(before), leaves == NOTHING);
	inject_failure(allocations + 1);
	error = operations[which].run();
	inject_failure(0);
	describe(after, after + sizeof(after), leaves == NOTHING);
	if (error && (error != -ENOMEM || (leaves != STACK && strcmp(before, after) != 0)))
		fail_msg("%s, after %u allocations: %d\nbefore:\n%s\nafter:\n%s\n",
			 operations[which].name, allocations, error, before, after);
	world_check();
	world_end(NULL);
	world_begin(NULL);
	return error == 0;
}

static void a_failed_operation_has_changed_nothing(void **state)
{
	(void)state;
	for (unsigned which = 0; which < ARRAY_SIZE(operations); which++) {
		unsigned allocations = 0;

		while (!attempt(which, allocations))
			assert_in_range(++allocations, 1, ATTEMPTS_MAX);
	}
}

/* The parent's pages may have become read-only: what it writes, it still has alone. */
static void a_failed_fork_is_mended_by_faults(void **state)
{
	struct space *child = NULL;

	(void)state;
	for (unsigned allocations = 0; !child; allocations++) {
		build();
		world_map(space, LARGE, PMAP_TABLE_SPAN / PAGE_SIZE, RW, REGION_HUGEPAGE, NULL, 0);
		assert_int_equal(world_write(space, 0, LARGE, 98), 0);
		assert_int_equal(space->stats.large_pages, 1);
		inject_failure(allocations + 1);
		child = world_fork(space);
		inject_failure(0);
		world_check();
		if (!child) {
			assert_int_equal(world_write(space, 1, LARGE + PAGE_SIZE, 99), 0);
			assert_int_equal(space->stats.large_pages, 1);
		}
		for (unsigned i = 0; i < 8; i++) {
			uint8_t byte = 0;

			assert_int_equal(world_read(space, 0, PAGE(i), &byte), 0);
			assert_int_equal(byte, i == 1 || i == 4 || i == 5 ? 0 : i);
			assert_int_equal(world_write(space, 1, PAGE(i), 99), 0);
		}
		world_check();
		assert_in_range(allocations, 0, ATTEMPTS_MAX);
		world_end(NULL);
		world_begin(NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_failed_operation_has_changed_nothing, world_begin,
						world_end),
		cmocka_unit_test_setup_teardown(a_failed_fork_is_mended_by_faults, world_begin,
						world_end),
	};

	world_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
