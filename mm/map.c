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

#include "mm/populate.h"
#include <linux/mman.h>

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
		if (request->noreplace && change_any_mapped(space, hint, hint + length))
			return -EEXIST;
		return 0;
	}
	*out = request->ceiling ? gap_find(space, length, request->ceiling)
				: change_find_room(space, hint, length);
	return *out != 0 ? 0 : -ENOMEM;
}

/* What mlockall(MCL_FUTURE) has asked for comes on top. */
static uint32_t flags_of(const struct space *space, const struct map_request *request)
{
	return request->flags | (request->flags & REGION_DEVICE ? 0 : space->future_flags);
}

/* Locked memory is there from the beginning. */
static bool fills(uint32_t flags)
{
	return (flags & REGION_LOCKED) && !(flags & REGION_LOCKONFAULT);
}

static int reserve_map(struct space *space, const struct map_request *request, uint64_t length,
		       vaddr_t *out, struct change *change)
{
	uint32_t flags = flags_of(space, request);
	uint64_t pages = length >> PAGE_SHIFT;
	unsigned cuts;
	int error = choose_address(space, request, length, out);

	if (error)
		return error;
	if ((request->flags & REGION_LOCKED) && change_lock_limit(space) == 0)
		return -EPERM;
	error = change_check_locked(space, flags, pages);
	if (error)
		return error;
	pages -= change_mapped_pages(space, *out, *out + length);
	error = change_check_limits(space, flags, request->prot, pages);
	if (error)
		return error;
	cuts = change_cuts(space, *out, *out + length);
	if (space->region_count + cuts + 1 > SPACE_REGIONS_MAX)
		return -ENOMEM;
	return change_reserve(change, cuts + 1);
}

static void commit_map(struct space *space, const struct map_request *request, vaddr_t start,
		       vaddr_t end, struct change *change)
{
	struct region *region;

	if (change_any_mapped(space, start, end)) {
		change_cut(space, start, end, change);
		change_remove(space, start, end, change);
	}
	region = change_spare(change);
	*region = (struct region){
		.start = start,
		.end = end,
		.prot = request->prot,
		.max_prot = request->max_prot,
		.flags = flags_of(space, request),
		.object = request->object,
		.offset = request->object ? request->offset : 0,
	};
	if (region->object)
		object_get(region->object);
	region_set_name(region, request->name);
	region_insert(space, region);
	change_merge(space, start, end, change);
}

int space_map(struct space *space, const struct map_request *request, vaddr_t *out)
{
	struct change change = CHANGE_NONE;
	bool fill = request->populate;
	uint64_t length;
	int error = check_request(request, &length);

	if (error)
		return error;
	do {
		rw_write_lock(&space->lock);
		error = reserve_map(space, request, length, out, &change);
		if (!error)
			commit_map(space, request, *out, *out + length, &change);
		fill |= fills(flags_of(space, request));
		rw_write_unlock(&space->lock);
	} while (error && change_retry(&change));
	change_release(&change);
	if (!error && fill)
		populate(space, *out, *out + length, POPULATE_OWN); /* errors ignored: mmap(2) */
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
		error = change_reserve_unmap(space, start, end, &change);
		if (!error && change_any_mapped(space, start, end))
			change_unmap(space, start, end, &change);
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
		error = change_reserve_unmap(space, new, old, change);
		if (!error)
			change_unmap(space, new, old, change);
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
	vaddr_t result, old;
	bool fill;
	int error;

	do {
		error = -EINVAL;
		rw_write_lock(&space->lock);
		old = ALIGN_UP(space->brk, PAGE_SIZE);
		fill = fills(space->future_flags);
		if (space->brk_start != 0 && wanted >= space->brk_start && wanted < USER_MAX)
			error = move_brk(space, old, ALIGN_UP(wanted, PAGE_SIZE), &change);
		if (!error)
			space->brk = wanted;
		result = space->brk;
		rw_write_unlock(&space->lock);
	} while (error && change_retry(&change));
	change_release(&change);
	if (!error && fill && result > old)
		populate(space, old, ALIGN_UP(result, PAGE_SIZE), POPULATE_OWN);
	return result;
}
