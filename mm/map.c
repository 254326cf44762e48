/*
 * mm/map.c - mapping, unmapping, and the heap, which is mapped and unmapped at its end.
 *
 *	space_map(fixed) over          [aaaaaaaa]...[bb][cccc]
 *	                                    ^-----------------^
 *	reserve   cuts: one            spare regions: one for a's cut, one for the new mapping
 *	commit    cut, remove          [aaaa]
 *	          insert               [aaaa][nnnnnnnnnnnnnnnn]
 *	          merge                where the new region continues a neighbour, or is continued
 */
#include "mm/change.h"

#include "kernel/sched.h"
#include "kernel/trap.h"
#include <linux/mman.h>

/* Pages that are mapped in [start, end). */
static uint64_t mapped_pages(struct space *space, vaddr_t start, vaddr_t end)
{
	uint64_t bytes = 0;

	for (struct region *r = space_find_above(space, start); r && r->start < end;
	     r = space_next(r))
		bytes += MIN(r->end, end) - MAX(r->start, start);
	return bytes >> PAGE_SHIFT;
}

static bool any_mapped(struct space *space, vaddr_t start, vaddr_t end)
{
	const struct region *region = space_find_above(space, start);

	return region && region->start < end;
}

static bool exceeds(uint64_t pages, uint64_t limit)
{
	return limit != UINT64_MAX && pages > limit >> PAGE_SHIFT;
}

/* Arguments that no state of the space could make right. */
static int check_request(const struct map_request *request, uint64_t *length)
{
	uint64_t end;

	if (__builtin_add_overflow(request->length, PAGE_MASK, length))
		return -ENOMEM;
	*length = ALIGN_DOWN(*length, PAGE_SIZE);
	if (*length == 0)
		return -EINVAL;
	if (*length > USER_MAX - USER_MIN)
		return -ENOMEM;
	if (!IS_ALIGNED(request->offset, PAGE_SIZE))
		return -EINVAL;
	if (__builtin_add_overflow(request->offset, *length, &end))
		return -EOVERFLOW;
	if (request->prot & ~request->max_prot)
		return -EACCES;
	if ((request->flags & REGION_GROWSDOWN) && request->object)
		return -EINVAL;
	/* A private copy of a device's page would be no device. */
	if ((request->flags & REGION_DEVICE) && !(request->flags & REGION_SHARED) &&
	    (request->max_prot & PROT_WRITE))
		return -EINVAL;
	if (request->fixed) {
		if (!IS_ALIGNED(request->address, PAGE_SIZE))
			return -EINVAL;
		if (!user_range_ok(request->address, *length))
			return -ENOMEM;
		if (request->address < USER_MIN)
			return -EPERM;
	}
	return 0;
}

/* Where it goes: the fixed address, the hint if that is free, or the highest gap. */
static int choose_address(struct space *space, const struct map_request *request, uint64_t length,
			  vaddr_t *out)
{
	vaddr_t hint = request->address;

	if (request->fixed) {
		*out = hint;
		if (request->noreplace && any_mapped(space, hint, hint + length))
			return -EEXIST;
		return 0;
	}
	if (hint != 0 && user_range_ok(hint, length)) {
		hint = MAX(ALIGN_UP(hint, PAGE_SIZE), (vaddr_t)USER_MIN);
		if (user_range_ok(hint, length) && gap_is_free(space, hint, length)) {
			*out = hint;
			return 0;
		}
	}
	*out = gap_find(space, length, space->mmap_top);
	if (*out == 0)
		*out = gap_find(space, length, USER_MAX);
	return *out != 0 ? 0 : -ENOMEM;
}

static int reserve_unmap(struct space *space, vaddr_t start, vaddr_t end, struct change *change)
{
	unsigned cuts = change_cuts(space, start, end);

	if (space->region_count + cuts > SPACE_REGIONS_MAX)
		return -ENOMEM;
	return change_reserve(change, cuts);
}

static void commit_unmap(struct space *space, vaddr_t start, vaddr_t end, struct change *change)
{
	change_cut(space, start, end, change);
	change_remove(space, start, end, change);
	change_prune(space, start, end);
}

static int reserve_map(struct space *space, const struct map_request *request, uint64_t length,
		       vaddr_t *out, struct change *change)
{
	uint64_t pages = length >> PAGE_SHIFT;
	uint64_t replaced;
	unsigned cuts;
	int error = choose_address(space, request, length, out);

	if (error)
		return error;
	replaced = mapped_pages(space, *out, *out + length);
	cuts = change_cuts(space, *out, *out + length);
	if (exceeds(space->stats.virtual_pages + pages - replaced, space->limits.as))
		return -ENOMEM;
	if (region_is_data(request->flags, request->prot) &&
	    exceeds(space->stats.data_pages + pages, space->limits.data))
		return -ENOMEM;
	if (space->region_count + cuts + 1 > SPACE_REGIONS_MAX)
		return -ENOMEM;
	return change_reserve(change, cuts + 1);
}

static void commit_map(struct space *space, const struct map_request *request, vaddr_t start,
		       vaddr_t end, struct change *change)
{
	struct region *region;

	if (any_mapped(space, start, end)) {
		change_cut(space, start, end, change);
		change_remove(space, start, end, change);
	}
	region = change_spare(change);
	*region = (struct region){
		.start = start,
		.end = end,
		.prot = request->prot,
		.max_prot = request->max_prot,
		.flags = request->flags,
		.object = request->object,
		.offset = request->object ? request->offset : 0,
	};
	if (region->object)
		object_get(region->object);
	region_set_name(region, request->name);
	region_insert(space, region);
	change_merge(space, start, end, change);
}

static void populate(struct space *space, const struct map_request *request, vaddr_t start,
		     uint64_t length)
{
	bool write = (request->prot & PROT_WRITE) && !(request->flags & REGION_SHARED);

	if (!(request->prot & PROT_ALL))
		return;
	for (vaddr_t page = start; page < start + length; page += PAGE_SIZE) {
		if (current->kill_pending ||
		    space_fault(space, page, write ? FAULT_WRITE : FAULT_READ) != 0)
			return;
		if (sched_needs_resched())
			sched_yield();
	}
}

int space_map(struct space *space, const struct map_request *request, vaddr_t *out)
{
	struct change change = CHANGE_NONE;
	uint64_t length;
	int error = check_request(request, &length);

	if (error)
		return error;
	do {
		rw_write_lock(&space->lock);
		error = reserve_map(space, request, length, out, &change);
		if (!error)
			commit_map(space, request, *out, *out + length, &change);
		rw_write_unlock(&space->lock);
	} while (error && change_retry(&change));
	change_release(&change);
	if (!error && request->populate)
		populate(space, request, *out, length);
	return error;
}

int space_unmap(struct space *space, vaddr_t start, uint64_t length)
{
	struct change change = CHANGE_NONE;
	vaddr_t end;
	int error;

	if (!IS_ALIGNED(start, PAGE_SIZE) || length == 0 || !user_range_ok(start, length))
		return -EINVAL;
	end = ALIGN_UP(start + length, PAGE_SIZE);
	do {
		rw_write_lock(&space->lock);
		error = reserve_unmap(space, start, end, &change);
		if (!error && any_mapped(space, start, end))
			commit_unmap(space, start, end, &change);
		rw_write_unlock(&space->lock);
	} while (error && change_retry(&change));
	change_release(&change);
	return error;
}

void space_set_brk_start(struct space *space, vaddr_t start)
{
	assert(IS_ALIGNED(start, PAGE_SIZE));
	rw_write_lock(&space->lock);
	space->brk_start = space->brk = start;
	rw_write_unlock(&space->lock);
}

/* Moves the end of the heap from `old` to `new`, both page-aligned; space lock held. */
static int move_brk(struct space *space, vaddr_t old, vaddr_t new, struct change *change)
{
	const struct map_request heap = {
		.address = old,
		.length = new - old,
		.prot = PROT_READ | PROT_WRITE,
		.max_prot = PROT_ALL,
		.fixed = true,
		.noreplace = true,
	};
	vaddr_t start;
	int error = 0;

	if (new < old) {
		error = reserve_unmap(space, new, old, change);
		if (!error)
			commit_unmap(space, new, old, change);
	} else if (new > old) {
		/* As on Linux, a page stays free between the heap and what follows. */
		if (!gap_is_free(space, old, heap.length + PAGE_SIZE))
			return -ENOMEM;
		error = reserve_map(space, &heap, heap.length, &start, change);
		if (!error)
			commit_map(space, &heap, old, new, change);
	}
	return error;
}

vaddr_t space_brk(struct space *space, vaddr_t wanted)
{
	struct change change = CHANGE_NONE;
	vaddr_t result;
	int error;

	do {
		error = -EINVAL;
		rw_write_lock(&space->lock);
		if (space->brk_start != 0 && wanted >= space->brk_start && wanted < USER_MAX)
			error = move_brk(space, ALIGN_UP(space->brk, PAGE_SIZE),
					 ALIGN_UP(wanted, PAGE_SIZE), &change);
		if (!error)
			space->brk = wanted;
		result = space->brk;
		rw_write_unlock(&space->lock);
	} while (error && change_retry(&change));
	change_release(&change);
	return result;
}
