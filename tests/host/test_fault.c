/*
 * test_fault.c - what accesses lead to: zero page, copies, files, stacks, races, errors.
 *
 * Resident pages are drawn as world_draw_pages() does: a private, f of an object, z the zero page,
 * - a frame without rights, . nothing.
 */
#include "fake_pmap.h"
#include "inject.h"
#include "shim.h"
#include "world.h"

#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/trap.h"
#include "mm/pages.h"
#include "mm/reclaim.h"
#include <linux/mman.h>

#include <cmocka.h>
#include <stdlib.h>

#define BASE    UINT64_C(0x400000)
#define PAGE(n) (BASE + (n)*PAGE_SIZE)
#define RW      (PROT_READ | PROT_WRITE)

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

static struct space *space, *other_space;

static uint64_t frames_of_kind(enum frame_kind kind)
{
	struct frame_census census;

	frame_census(&census);
	return census.count[kind];
}

static struct frame *frame_at(struct space *of, vaddr_t address)
{
	struct pte pte;

	spin_lock(&of->pmap.lock);
	pte = pmap_get(&of->pmap, address);
	spin_unlock(&of->pmap.lock);
	assert_false(pte_empty(pte));
	return frame_of(pte.address);
}

/* --- private anonymous memory ----------------------------------------------------------------- */

static void reading_untouched_memory_costs_no_frame(void **state)
{
	space = world_space();
	world_map(space, BASE, 4, RW, 0, NULL, 0);
	assert_reads(space, 0, PAGE(0), 0);
	assert_reads(space, 0, PAGE(3) + 4095, 0);
	assert_pages(space, "z..z");
	assert_int_equal(frames_of_kind(FRAME_ANON), 0);
	assert_int_equal(space->stats.anon_pages, 0);
}

static void writing_untouched_memory_gives_a_zeroed_page(void **state)
{
	space = world_space();
	world_map(space, BASE, 4, RW, 0, NULL, 0);
	assert_writes(space, 0, PAGE(1) + 5, 9);
	assert_pages(space, ".a..");
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		assert_reads(space, 0, PAGE(1) + i, i == 5 ? 9 : 0);
	assert_int_equal(space->stats.anon_pages, 1);
}

static void the_zero_page_gives_way_on_every_cpu(void **state)
{
	space = world_space();
	world_map(space, BASE, 1, RW, 0, NULL, 0);
	assert_reads(space, 0, BASE, 0);
	assert_reads(space, 1, BASE, 0);
	assert_writes(space, 0, BASE, 1);
	assert_reads(space, 1, BASE, 1);
	assert_pages(space, "a");
}

/* As fork does: both get the page, neither may write it. */
static void share_page(struct space *from, struct space *to, vaddr_t page)
{
	struct frame *frame = frame_at(from, page);

	assert_int_equal(pmap_reserve(&to->pmap, page), 0);
	spin_lock(&from->pmap.lock);
	pmap_protect(&from->pmap, page, 0);
	spin_unlock(&from->pmap.lock);
	pmap_flush(&from->pmap, page, page + PAGE_SIZE);
	spin_lock(&to->pmap.lock);
	frame_get(frame);
	pmap_enter(&to->pmap, page, frame_paddr(frame), 0);
	pages_count(to, frame, 1);
	spin_unlock(&to->pmap.lock);
}

static void a_shared_page_is_copied_and_the_last_owner_keeps_it(void **state)
{
	struct frame *frame;

	space = world_space();
	other_space = world_space();
	world_map(space, BASE, 1, RW, 0, NULL, 0);
	world_map(other_space, BASE, 1, RW, 0, NULL, 0);
	assert_writes(space, 0, BASE, 1);
	frame = frame_at(space, BASE);
	share_page(space, other_space, BASE);
	assert_int_equal(frame->refs, 2);

	assert_reads(other_space, 1, BASE, 1);
	assert_writes(other_space, 1, BASE, 2);
	assert_reads(space, 0, BASE, 1);
	assert_reads(other_space, 0, BASE, 2);
	assert_int_equal(frame->refs, 1);

	/* Nobody else has it now: no copy. */
	assert_writes(space, 0, BASE, 3);
	assert_ptr_equal(frame_at(space, BASE), frame);
	assert_reads(other_space, 0, BASE, 2);
	world_check();
}

static void a_page_is_written_again_after_its_rights_came_back(void **state)
{
	struct frame *frame;

	space = world_space();
	world_map(space, BASE, 1, RW, 0, NULL, 0);
	assert_writes(space, 0, BASE, 1);
	frame = frame_at(space, BASE);
	assert_int_equal(space_protect(space, BASE, PAGE_SIZE, PROT_NONE), 0);
	assert_pages(space, "-");
	assert_int_equal(world_write(space, 0, BASE, 2), -EFAULT);
	assert_int_equal(space_protect(space, BASE, PAGE_SIZE, RW), 0);
	assert_writes(space, 0, BASE, 2);
	assert_ptr_equal(frame_at(space, BASE), frame);
	world_check();
}

static void an_access_that_is_allowed_by_now_is_no_error(void **state)
{
	space = world_space();
	world_map(space, BASE, 1, RW, 0, NULL, 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(space_fault(space, BASE, FAULT_WRITE), 0);
	assert_int_equal(space_fault(space, BASE, FAULT_READ), 0);
	assert_pages(space, "a");
}

/* --- private files ---------------------------------------------------------------------------- */

static void a_file_is_read_through_its_pages(void **state)
{
	struct world_file *file = world_file(40 * PAGE_SIZE);

	space = world_space();
	world_map(space, BASE, 8, PROT_READ, 0, &file->object, 3 * PAGE_SIZE);
	assert_reads(space, 0, PAGE(2), world_file_byte(5));
	assert_int_equal(file->fetches, 1);
	assert_pages(space, "..f.....");
	assert_int_equal(space->stats.file_pages, 1);
	assert_int_equal(world_write(space, 0, PAGE(2), 1), -EFAULT);
}

/* [................|................|....] by sixteens; what the file has around a read comes along. */
static void a_read_brings_what_is_there_around_it(void **state)
{
	struct world_file *file = world_file(40 * PAGE_SIZE);

	space = world_space();
	other_space = world_space();
	world_map(other_space, BASE, 40, PROT_READ, 0, &file->object, 0);
	for (unsigned i = 0; i < 40; i++)
		if (i != 20)
			assert_reads(other_space, 0, PAGE(i), world_file_byte(i));

	world_map(space, PAGE(2), 32, PROT_READ, 0, &file->object, 2 * PAGE_SIZE);
	file->fetches = 0;
	assert_reads(space, 0, PAGE(5), world_file_byte(5));
	assert_pages(space, "..ffffffffffffff....................");
	assert_reads(space, 0, PAGE(30), world_file_byte(30));
	assert_pages(space, "..ffffffffffffffffff.fffffffffff....");
	assert_int_equal(file->fetches, 0);
	for (unsigned i = 2; i < 34; i++)
		assert_reads(space, 1, PAGE(i), world_file_byte(i));
	assert_int_equal(file->fetches, 1);
}

static void writing_a_private_file_copies(void **state)
{
	struct world_file *file = world_file(4 * PAGE_SIZE);

	space = world_space();
	other_space = world_space();
	world_map(space, BASE, 4, RW, 0, &file->object, 0);
	world_map(other_space, BASE, 4, PROT_READ, 0, &file->object, 0);

	assert_writes(space, 0, PAGE(0), 1);                 /* write first */
	assert_reads(space, 0, PAGE(1), world_file_byte(1)); /* read, then write */
	assert_reads(space, 1, PAGE(1), world_file_byte(1));
	assert_writes(space, 0, PAGE(1), 2);
	assert_pages(space, "aa..");
	assert_reads(space, 1, PAGE(0), 1);
	assert_reads(space, 1, PAGE(0) + 1, world_file_byte(0));
	assert_reads(space, 1, PAGE(1), 2);
	assert_reads(other_space, 0, PAGE(0), world_file_byte(0));
	assert_reads(other_space, 0, PAGE(1), world_file_byte(1));
	assert_int_equal(space->stats.anon_pages, 2);
	assert_int_equal(space->stats.file_pages, 0);

	/* The copy is this space's own: dropped, the file shows again. */
	assert_int_equal(space_advise(space, PAGE(0), PAGE_SIZE, MADV_DONTNEED), 0);
	assert_reads(space, 0, PAGE(0), world_file_byte(0));
	world_check();
}

static void beyond_the_end_of_a_file_is_a_bus_error(void **state)
{
	struct world_file *file = world_file(PAGE_SIZE + 1);
	uint8_t byte;

	space = world_space();
	world_map(space, BASE, 4, RW, 0, &file->object, 0);
	assert_reads(space, 0, PAGE(1), world_file_byte(1));
	assert_int_equal(world_read(space, 0, PAGE(2), &byte), -EIO);
	assert_int_equal(world_write(space, 0, PAGE(3), 1), -EIO);
	assert_pages(space, ".f..");
}

/* A page that is there all the same, as between a fill and a truncation. */
static void a_page_beyond_the_end_is_not_mapped(void **state)
{
	struct world_file *file = world_file(PAGE_SIZE);
	struct frame *frame = frame_alloc(FRAME_OBJECT, 0, FRAME_ZERO);
	uint8_t byte;

	assert_int_equal(object_insert(&file->object, 1, frame), 0);
	space = world_space();
	world_map(space, BASE, 2, RW, 0, &file->object, 0);
	assert_reads(space, 0, PAGE(0), world_file_byte(0));
	assert_int_equal(world_read(space, 0, PAGE(1), &byte), -EIO);
	assert_int_equal(world_write(space, 0, PAGE(1), 1), -EIO);
	assert_pages(space, "f.");
}

/* --- shared objects --------------------------------------------------------------------------- */

static void a_shared_file_is_written_for_all_who_map_it(void **state)
{
	struct world_file *file = world_file(4 * PAGE_SIZE);

	space = world_space();
	other_space = world_space();
	world_map(space, BASE, 4, RW, REGION_SHARED, &file->object, 0);
	world_map(other_space, BASE, 4, PROT_READ, REGION_SHARED, &file->object, 0);
	assert_reads(space, 0, PAGE(0), world_file_byte(0));
	assert_reads(other_space, 1, PAGE(0), world_file_byte(0));
	assert_writes(space, 0, PAGE(0), 1);
	assert_reads(other_space, 1, PAGE(0), 1);
	assert_writes(space, 0, PAGE(1), 2);
	assert_reads(other_space, 1, PAGE(1), 2);
	assert_pages(space, "ff..");
	world_check();
}

static void shared_anonymous_memory_is_one_for_all(void **state)
{
	struct object *object = object_create_anonymous(4 * PAGE_SIZE);
	uint8_t byte;

	space = world_space();
	other_space = world_space();
	world_map(space, BASE, 6, RW, REGION_SHARED, object, 0);
	world_map(other_space, PAGE(7), 2, RW, REGION_SHARED, object, PAGE_SIZE);
	object_put(object);
	assert_writes(space, 0, PAGE(1), 5);
	assert_reads(other_space, 1, PAGE(7), 5);
	assert_writes(other_space, 1, PAGE(8), 6);
	assert_reads(space, 0, PAGE(2), 6);
	assert_int_equal(world_read(space, 0, PAGE(4), &byte), -EIO);
	assert_pages(space, ".ff...");
	assert_int_equal(space->stats.shared_pages, 2);
}

/* --- devices ---------------------------------------------------------------------------------- */

static int device_page(struct object *object, uint64_t index, paddr_t *out)
{
	if (index > 0)
		return -EFAULT;
	*out = pmap_zero_page;
	return 0;
}

static void device_release(struct object *object)
{
}

static void device_pages_are_not_counted(void **state)
{
	static const struct object_ops ops = { .name = "device",
					       .device_page = device_page,
					       .release = device_release };
	static struct object device;
	uint8_t byte;

	object_init(&device, &ops, 2 * PAGE_SIZE);
	space = world_space();
	world_map(space, BASE, 2, RW, REGION_SHARED | REGION_DEVICE, &device, 0);
	object_put(&device);
	assert_writes(space, 0, BASE, 0);
	assert_int_equal(world_read(space, 0, PAGE(1), &byte), -EIO);
	assert_pages(space, "z.");
	assert_int_equal(space_protect(space, BASE, PAGE_SIZE, PROT_READ), 0);
	assert_int_equal(world_write(space, 0, BASE, 0), -EFAULT);
	assert_reads(space, 0, BASE, 0);
}

/* --- rights ----------------------------------------------------------------------------------- */

static void no_right_no_access(void **state)
{
	uint8_t byte;

	space = world_space();
	world_layout(space, BASE, "rnwx.");
	assert_int_equal(world_write(space, 0, PAGE(0), 1), -EFAULT);
	assert_int_equal(world_execute(space, 0, PAGE(0)), -EFAULT);
	assert_int_equal(world_read(space, 0, PAGE(1), &byte), -EFAULT);
	assert_int_equal(world_execute(space, 0, PAGE(2)), -EFAULT);
	assert_int_equal(world_execute(space, 0, PAGE(3)), 0);
	assert_int_equal(world_write(space, 0, PAGE(3), 1), -EFAULT);
	assert_int_equal(world_read(space, 0, PAGE(4), &byte), -EFAULT);
	assert_int_equal(space_fault(space, 0, FAULT_READ), -EFAULT);
	assert_int_equal(space_fault(space, USER_MAX, FAULT_READ), -EFAULT);
	assert_int_equal(space_fault(space, UINT64_MAX, FAULT_WRITE), -EFAULT);
	world_check();
}

/* --- stacks ----------------------------------------------------------------------------------- */

#define STACK UINT64_C(0x7ff000000000)

static void a_stack_grows_to_its_limit(void **state)
{
	const vaddr_t top = STACK + 4 * PAGE_SIZE;

	space = world_space();
	space->limits.stack = 64 * PAGE_SIZE;
	world_map(space, STACK, 4, RW, REGION_GROWSDOWN | REGION_STACK, NULL, 0);
	assert_writes(space, 0, STACK - 1, 1);
	assert_int_equal(space->stats.virtual_pages, 5);
	/* At once over many pages; those between are filled when they are touched. */
	assert_writes(space, 0, top - 64 * PAGE_SIZE, 2);
	assert_int_equal(space->stats.virtual_pages, 64);
	assert_int_equal(space->stats.anon_pages, 2);
	assert_writes(space, 0, top - 30 * PAGE_SIZE, 3);
	assert_int_equal(world_write(space, 0, top - 64 * PAGE_SIZE - 1, 4), -EFAULT);
	assert_int_equal(space->region_count, 1);
	world_check();
}

/* [w]......guard......[stack] */
static void a_stack_stops_a_guard_gap_above_what_is_mapped(void **state)
{
	const unsigned gap = STACK_GUARD_GAP / PAGE_SIZE;
	const vaddr_t below = STACK - (gap + 3) * PAGE_SIZE;

	space = world_space();
	world_map(space, STACK, 1, RW, REGION_GROWSDOWN, NULL, 0);
	world_map(space, below, 1, RW, 0, NULL, 0);
	assert_writes(space, 0, STACK - 2 * PAGE_SIZE, 1);
	assert_int_equal(world_write(space, 0, STACK - 3 * PAGE_SIZE, 1), -EFAULT);
	/* What nobody can access guards as well as nothing. */
	assert_int_equal(space_protect(space, below, PAGE_SIZE, PROT_NONE), 0);
	assert_writes(space, 0, STACK - 3 * PAGE_SIZE, 1);
	assert_writes(space, 0, below + PAGE_SIZE, 1);
	assert_int_equal(world_write(space, 0, below, 1), -EFAULT);
	world_check();
}

static void a_stack_grows_within_the_address_space_limit(void **state)
{
	space = world_space();
	world_map(space, STACK, 2, RW, REGION_GROWSDOWN, NULL, 0);
	space->limits.as = 3 * PAGE_SIZE;
	assert_writes(space, 0, STACK - PAGE_SIZE, 1);
	assert_int_equal(world_write(space, 0, STACK - 2 * PAGE_SIZE, 1), -EFAULT);
	world_check();
}

/* [n].[n]: were the upper one to grow, the two would have to be one. */
static void a_stack_that_may_not_be_accessed_does_not_grow(void **state)
{
	uint8_t byte;

	space = world_space();
	world_map(space, STACK - 2 * PAGE_SIZE, 1, PROT_NONE, REGION_GROWSDOWN, NULL, 0);
	world_map(space, STACK, 1, PROT_NONE, REGION_GROWSDOWN, NULL, 0);
	assert_int_equal(world_read(space, 0, STACK - PAGE_SIZE, &byte), -EFAULT);
	assert_int_equal(world_write(space, 0, STACK - PAGE_SIZE, 1), -EFAULT);
	assert_int_equal(space->stats.virtual_pages, 2);
	world_check();
}

/* --- what happens while a fault waits --------------------------------------------------------- */

static void unmap_it(struct world_file *file)
{
	assert_int_equal(space_unmap(space, BASE, 4 * PAGE_SIZE), 0);
}

static void replace_it(struct world_file *file)
{
	assert_int_equal(world_map(space, BASE, 4, RW, 0, NULL, 0), BASE);
}

static void replace_it_by_another_file(struct world_file *file)
{
	struct world_file *another = world_file(4 * PAGE_SIZE);

	assert_int_equal(world_map(space, BASE, 2, RW, 0, &another->object, 2 * PAGE_SIZE), BASE);
}

static void truncate_it(struct world_file *file)
{
	object_resize(&file->object, 0);
}

static void read_it_as_another_thread(struct world_file *file)
{
	shim_run_as(1);
	assert_reads(space, 1, BASE, world_file_byte(0));
	shim_run_as(0);
}

static void kill_it(struct world_file *file)
{
	current->kill_pending = true;
}

static int fault_while(void (*happens)(struct world_file *))
{
	struct world_file *file = world_file(4 * PAGE_SIZE);

	space = world_space();
	world_map(space, BASE, 4, RW, 0, &file->object, 0);
	file->during_wait = happens;
	return world_write(space, 0, BASE, 1);
}

static void whatever_changes_while_a_fault_waits_counts(void **state)
{
	static const struct {
		void (*happens)(struct world_file *);
		int error;
		const char *after;
	} cases[] = {
		{ unmap_it, -EFAULT, "...." },
		{ replace_it, 0, "a..." },
		{ replace_it_by_another_file, 0, "a..." },
		{ truncate_it, -EIO, "...." },
		{ read_it_as_another_thread, 0, "a..." },
		{ kill_it, -EINTR, "...." },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(fault_while(cases[i].happens), cases[i].error);
		current->kill_pending = false;
		assert_pages(space, cases[i].after);
		world_end(NULL);
		world_begin(NULL);
	}
}

static void a_failed_fill_fails_those_who_waited_and_no_one_after(void **state)
{
	static const struct {
		int fill, fault;
	} cases[] = {
		{ -EIO, -EIO },    { -ETIMEDOUT, -EIO }, { -EINTR, -EINTR },
		{ -EFAULT, -EIO }, { -ENOMEM, 0 }, /* tried again after reclaim */
	};
	struct world_file *file = world_file(PAGE_SIZE);
	uint8_t byte;

	space = world_space();
	world_map(space, BASE, 1, PROT_READ, 0, &file->object, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		file->fetch_error = cases[i].fill;
		assert_int_equal(world_read(space, 0, BASE, &byte), cases[i].fault);
	}
	assert_int_equal(byte, world_file_byte(0));
	assert_pages(space, "f");
}

/* --- what happens while a copy is made -------------------------------------------------------- */

static void read_in_between(void)
{
	shim_run_as(1);
	assert_reads(space, 1, BASE, 1);
	shim_run_as(0);
}

static void write_in_between(void)
{
	shim_run_as(1);
	assert_writes(space, 1, BASE + 1, 7);
	shim_run_as(0);
}

static void touch_the_zero_page_in_between(void)
{
	shim_run_as(1);
	assert_reads(space, 1, BASE, 0);
	shim_run_as(0);
}

/* Nobody sees zeroes where there was a 1, and no write is lost. */
static void a_copy_is_whole_whoever_comes_in_between(void **state)
{
	space = world_space();
	other_space = world_space();
	world_map(space, BASE, 1, RW, 0, NULL, 0);
	world_map(other_space, BASE, 1, RW, 0, NULL, 0);

	for (unsigned i = 0; i < 2; i++) {
		assert_writes(space, 0, BASE, 1);
		assert_int_equal(space_advise(other_space, BASE, PAGE_SIZE, MADV_DONTNEED), 0);
		share_page(space, other_space, BASE);
		assert_reads(space, 0, BASE, 1);
		fake_during_flush = i == 0 ? read_in_between : write_in_between;
		assert_writes(space, 0, BASE, 2);
		assert_null(fake_during_flush);
		assert_reads(space, 0, BASE, 2);
		assert_reads(space, 1, BASE + 1, i == 0 ? 0 : 7);
		assert_reads(other_space, 0, BASE, 1);
		world_check();
	}
}

static void the_zero_page_may_come_back_in_between(void **state)
{
	space = world_space();
	world_map(space, BASE, 1, RW, 0, NULL, 0);
	assert_reads(space, 0, BASE, 0);
	fake_during_flush = touch_the_zero_page_in_between;
	assert_writes(space, 0, BASE, 2);
	assert_null(fake_during_flush);
	assert_reads(space, 1, BASE, 2);
	assert_pages(space, "a");

	/* Or another thread may be the first to write. */
	assert_int_equal(space_advise(space, BASE, PAGE_SIZE, MADV_DONTNEED), 0);
	assert_reads(space, 0, BASE, 0);
	fake_during_flush = write_in_between;
	assert_writes(space, 0, BASE, 2);
	assert_null(fake_during_flush);
	assert_reads(space, 0, BASE, 2);
	assert_reads(space, 1, BASE + 1, 7);
	assert_pages(space, "a");
}

/* --- without memory --------------------------------------------------------------------------- */

static unsigned shrinks;

static uint64_t shrink(uint64_t frames)
{
	might_sleep();
	shrinks++;
	inject_failure(0);
	return frames;
}

static uint64_t shrink_in_vain(uint64_t frames)
{
	shrinks++;
	return 0;
}

static void memory_is_reclaimed_once_and_the_fault_goes_on(void **state)
{
	struct world_file *file = world_file(PAGE_SIZE);
	uint8_t byte;

	space = world_space();
	world_map(space, BASE, 2, RW, 0, NULL, 0);
	world_map(space, PAGE(4), 1, RW, 0, &file->object, 0);
	shrinks = 0;
	reclaim_register(shrink);
	inject_failure(1);
	assert_writes(space, 0, BASE, 1);
	inject_failure(1);
	assert_reads(space, 0, PAGE(4), world_file_byte(0));
	assert_int_equal(shrinks, 2);

	reclaim_register(shrink_in_vain);
	inject_failure(1);
	assert_int_equal(world_write(space, 0, PAGE(1), 1), -ENOMEM);
	inject_failure(0);
	assert_int_equal(shrinks, 3);
	assert_int_equal(world_read(space, 0, PAGE(1), &byte), 0);
	reclaim_register(NULL);
	world_check();
}

/* Each allocation of each kind of fault fails in turn; the retry succeeds. */
static void a_fault_that_failed_can_be_tried_again(void **state)
{
	for (unsigned kind = 0; kind < 4; kind++) {
		struct world_file *file = world_file(64 * PAGE_SIZE);
		unsigned nth = 0;
		int error;

		space = world_space();
		world_map(space, BASE, 64, RW, kind == 3 ? REGION_SHARED : 0,
			  kind > 0 ? &file->object : NULL, 0);
		do {
			uint8_t byte;

			inject_failure(++nth);
			error = kind == 1 ? world_read(space, 0, PAGE(63), &byte)
					  : world_write(space, 0, PAGE(63), 1);
			inject_failure(0);
			world_check();
		} while (error == -ENOMEM);
		assert_int_equal(error, 0);
		assert_true(nth > 1);
		world_end(NULL);
		world_begin(NULL);
	}
}

static void a_populated_mapping_is_resident(void **state)
{
	const struct map_request request = { .address = BASE,
					     .length = 4 * PAGE_SIZE,
					     .prot = RW,
					     .max_prot = PROT_ALL,
					     .fixed = true,
					     .populate = true };
	vaddr_t at;

	space = world_space();
	assert_int_equal(space_map(space, &request, &at), 0);
	assert_pages(space, "aaaa.");
}

#define test(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(reading_untouched_memory_costs_no_frame),
		test(writing_untouched_memory_gives_a_zeroed_page),
		test(the_zero_page_gives_way_on_every_cpu),
		test(a_shared_page_is_copied_and_the_last_owner_keeps_it),
		test(a_page_is_written_again_after_its_rights_came_back),
		test(an_access_that_is_allowed_by_now_is_no_error),
		test(a_file_is_read_through_its_pages),
		test(a_read_brings_what_is_there_around_it),
		test(writing_a_private_file_copies),
		test(beyond_the_end_of_a_file_is_a_bus_error),
		test(a_page_beyond_the_end_is_not_mapped),
		test(a_shared_file_is_written_for_all_who_map_it),
		test(shared_anonymous_memory_is_one_for_all),
		test(device_pages_are_not_counted),
		test(no_right_no_access),
		test(a_stack_grows_to_its_limit),
		test(a_stack_stops_a_guard_gap_above_what_is_mapped),
		test(a_stack_grows_within_the_address_space_limit),
		test(a_stack_that_may_not_be_accessed_does_not_grow),
		test(whatever_changes_while_a_fault_waits_counts),
		test(a_failed_fill_fails_those_who_waited_and_no_one_after),
		test(a_copy_is_whole_whoever_comes_in_between),
		test(the_zero_page_may_come_back_in_between),
		test(memory_is_reclaimed_once_and_the_fault_goes_on),
		test(a_fault_that_failed_can_be_tried_again),
		test(a_populated_mapping_is_resident),
	};

	world_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
