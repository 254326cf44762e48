/*
 * loader/plan.c - the checks that every executable format shares. See loader/plan.h.
 *
 * Linux finds most of these mistakes after its point of no return and kills the process; here
 * they are found before anything is built, and the caller of execve(2) lives to see ENOEXEC.
 */
#include "loader/plan.h"

#include <linux/mman.h>

#define FILE_OFFSET_MAX ((uint64_t)INT64_MAX)

void plan_init(struct image_plan *plan, struct image_segment *segments, unsigned capacity)
{
	*plan = (struct image_plan){
		.segments = segments,
		.capacity = capacity,
		.alignment = PAGE_SIZE,
	};
}

/* The next segment begins in the page where `before` ends: can mapping it there lose anything? */
static bool may_share_page(const struct image_segment *before, const struct image_segment *next)
{
	bool same_file_page = next->address - next->offset == before->address - before->offset;
	bool has_bss = before->end != before->file_end;
	bool loses_rights = before->prot & ~next->prot;

	return same_file_page && !has_bss && !loses_rights && next->file_end != next->address;
}

int plan_add(struct image_plan *plan, const struct plan_request *request)
{
	struct image_segment segment;
	const struct image_segment *before;
	uint64_t file_end_offset, in_page;

	if (request->file_size > request->memory_size)
		return -ENOEXEC;
	if (request->memory_size == 0)
		return 0;
	if (!user_range_ok(request->address, request->memory_size))
		return -ENOEXEC;
	if (!plan->relocatable && request->address < USER_MIN)
		return -ENOEXEC;
	if (__builtin_add_overflow(request->offset, request->file_size, &file_end_offset) ||
	    file_end_offset > FILE_OFFSET_MAX)
		return -ENOEXEC;
	if (plan->count == plan->capacity)
		return -ENOEXEC;

	in_page = request->address & PAGE_MASK;
	segment = (struct image_segment){
		.address = request->address - in_page,
		.end = request->address + request->memory_size,
		.prot = request->prot,
	};
	segment.file_end = segment.address;
	if (request->file_size > 0) {
		if ((request->offset & PAGE_MASK) != in_page)
			return -ENOEXEC;
		segment.offset = request->offset - in_page;
		segment.file_end = request->address + request->file_size;
		plan->file_needed = MAX(plan->file_needed, file_end_offset);
	}

	before = plan->count > 0 ? &plan->segments[plan->count - 1] : NULL;
	if (before) {
		if (request->address < before->end)
			return -ENOEXEC;
		if (segment.address < ALIGN_UP(before->end, PAGE_SIZE) &&
		    !may_share_page(before, &segment))
			return -ENOEXEC;
	}
	plan->segments[plan->count++] = segment;
	return 0;
}

int plan_finish(struct image_plan *plan)
{
	for (unsigned i = 0; i < plan->count; i++) {
		const struct image_segment *segment = &plan->segments[i];

		if ((segment->prot & PROT_EXEC) && plan->entry >= segment->address &&
		    plan->entry < segment->end)
			return 0;
	}
	return -ENOEXEC;
}

vaddr_t plan_start(const struct image_plan *plan)
{
	return plan->segments[0].address;
}

vaddr_t plan_end(const struct image_plan *plan)
{
	return ALIGN_UP(plan->segments[plan->count - 1].end, PAGE_SIZE);
}

int plan_bias(const struct image_plan *plan, vaddr_t wanted, uint64_t *bias)
{
	vaddr_t start = ALIGN_DOWN(plan_start(plan), plan->alignment);
	vaddr_t base = ALIGN_DOWN(wanted, plan->alignment);

	*bias = 0;
	if (!plan->relocatable)
		return 0;
	if (base < start || base - start < USER_MIN || !user_range_ok(base, plan_end(plan) - start))
		return -ENOEXEC;
	*bias = base - start;
	return 0;
}
