/*
 * mm/protect.c - changing the rights and the flags of a range.
 *
 *	space_protect(r--) on          [rw-rw-rw-rw-][r--r--]
 *	                                     ^--^
 *	cut                            [rw-rw][rw][-rw][r--r--]
 *	change                         [rw-rw][r-][-rw][r--r--]
 *	merge                          neighbours that are alike now become one region
 *
 * Rights are only ever taken from page-table entries here. What a region gained, its pages get back
 * one by one from faults, where the rule that decides about write permission is in one place.
 */
#include "mm/change.h"

#include "mm/pages.h"
#include <linux/mman.h>

/* Every page mapped and allowed to have these rights; RLIMIT_DATA as mmap counts it. */
static int check_protect(struct space *space, vaddr_t start, vaddr_t end, uint32_t prot)
{
	uint64_t data = space->stats.data_pages;
	struct region *region = space_find(space, start);
	vaddr_t at = start;

	while (at < end) {
		uint64_t pages;

		if (!region || region->start > at)
			return -ENOMEM;
		if (prot & ~region->max_prot)
			return -EACCES;
		pages = (MIN(region->end, end) - at) >> PAGE_SHIFT;
		if (region_is_data(region->flags, prot) &&
		    !region_is_data(region->flags, region->prot))
			data += pages;
		at = region->end;
		region = space_next(region);
	}
	if (data > space->stats.data_pages && space->limits.data != UINT64_MAX &&
	    data > space->limits.data >> PAGE_SHIFT)
		return -ENOMEM;
	return 0;
}

static int reserve_protect(struct space *space, vaddr_t start, vaddr_t end, uint32_t prot,
			   struct change *change)
{
	unsigned cuts = change_cuts(space, start, end);
	int error = check_protect(space, start, end, prot);

	if (error)
		return error;
	if (space->region_count + cuts > SPACE_REGIONS_MAX)
		return -ENOMEM;
	return change_reserve(change, cuts);
}

static void commit_protect(struct space *space, vaddr_t start, vaddr_t end, uint32_t prot,
			   struct change *change)
{
	change_cut(space, start, end, change);
	for (struct region *r = space_find(space, start); r && r->start < end; r = space_next(r))
		region_set_prot(space, r, prot);
	pages_protect(space, start, end, prot);
	change_merge(space, start, end, change);
}

int space_protect(struct space *space, vaddr_t start, uint64_t length, uint32_t prot)
{
	struct change change = CHANGE_NONE;
	vaddr_t end;
	int error;

	if (!IS_ALIGNED(start, PAGE_SIZE))
		return -EINVAL;
	if (length == 0)
		return 0;
	if (!user_range_ok(start, length))
		return -ENOMEM;
	end = ALIGN_UP(start + length, PAGE_SIZE);
	do {
		rw_write_lock(&space->lock);
		error = reserve_protect(space, start, end, prot, &change);
		if (!error)
			commit_protect(space, start, end, prot, &change);
		rw_write_unlock(&space->lock);
	} while (error && change_retry(&change));
	change_release(&change);
	return error;
}

/* --- flags ------------------------------------------------------------------------------------ */

static int reserve_flags(struct space *space, vaddr_t start, vaddr_t end,
			 const struct flag_change *flags, struct change *change)
{
	unsigned cuts = change_cuts(space, start, end);

	for (struct region *r = space_find_above(space, start); r && r->start < end;
	     r = space_next(r)) {
		int error = flags->check ? flags->check(r) : 0;

		if (error)
			return error;
	}
	if (space->region_count + cuts > SPACE_REGIONS_MAX)
		return -ENOMEM;
	return change_reserve(change, cuts);
}

static void commit_flags(struct space *space, vaddr_t start, vaddr_t end,
			 const struct flag_change *flags, struct change *change)
{
	change_cut(space, start, end, change);
	for (struct region *r = space_find_above(space, start); r && r->start < end;
	     r = space_next(r))
		region_set_flags(space, r, (r->flags & ~flags->clear) | flags->set);
	change_merge(space, start, end, change);
}

int change_flags(struct space *space, vaddr_t start, vaddr_t end, const struct flag_change *flags)
{
	struct change change = CHANGE_NONE;
	bool whole;
	int error;

	do {
		rw_write_lock(&space->lock);
		whole = change_all_mapped(space, start, end);
		error = whole || flags->holes ? 0 : -ENOMEM;
		if (!error && flags->limit)
			error = flags->limit(space, start, end);
		if (!error)
			error = reserve_flags(space, start, end, flags, &change);
		if (!error)
			commit_flags(space, start, end, flags, &change);
		rw_write_unlock(&space->lock);
	} while (error && change_retry(&change));
	change_release(&change);
	return error || whole ? error : -ENOMEM;
}
