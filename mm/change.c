/*
 * mm/change.c - reserve, commit, release: the steps that map, unmap, protect and brk are made of.
 *
 *	[aaaaaaaaaaaaaaaa]   [bbbbbbbb]      unmapping the range below has two cuts
 *	       ^------------------^
 *	[aaaaa][aaaaaaaaa]   [bbb][bbbb]     change_cut(): every region is inside or outside
 *	[aaaaa]                   [bbbb]     change_remove(): what is inside goes, with its pages
 */
#include "mm/change.h"

#include "kernel/cred.h"
#include "mm/large.h"
#include "mm/pages.h"

/* True if `at` lies inside a region and not at its start. */
static bool cuts_region(struct space *space, vaddr_t at)
{
	const struct region *region = space_find(space, at);

	return region && region->start < at;
}

unsigned change_cuts(struct space *space, vaddr_t start, vaddr_t end)
{
	return (unsigned)cuts_region(space, start) + (unsigned)cuts_region(space, end);
}

int change_reserve(struct change *change, unsigned count)
{
	assert(count <= CHANGE_SPARES_MAX);
	while (change->spares < count) {
		struct region *region = region_alloc();

		if (!region) {
			change->starved = true;
			return -ENOMEM;
		}
		change->spare[change->spares++] = region;
	}
	return 0;
}

static bool exceeds(uint64_t pages, uint64_t limit)
{
	return limit != UINT64_MAX && pages > limit >> PAGE_SHIFT;
}

int change_check_limits(const struct space *space, uint32_t flags, uint32_t prot, uint64_t pages)
{
	if (exceeds(space->stats.virtual_pages + pages, space->limits.as))
		return -ENOMEM;
	if (region_is_data(flags, prot) &&
	    exceeds(space->stats.data_pages + pages, space->limits.data))
		return -ENOMEM;
	return 0;
}

uint64_t change_lock_limit(const struct space *space)
{
	return capable(CAP_IPC_LOCK) ? UINT64_MAX : space->limits.memlock;
}

int change_check_locked(const struct space *space, uint32_t flags, uint64_t pages)
{
	if ((flags & REGION_LOCKED) &&
	    exceeds(space->stats.locked_pages + pages, change_lock_limit(space)))
		return -EAGAIN;
	return 0;
}

uint64_t change_mapped_pages(struct space *space, vaddr_t start, vaddr_t end)
{
	uint64_t bytes = 0;

	for (struct region *r = space_find_above(space, start); r && r->start < end;
	     r = space_next(r))
		bytes += MIN(r->end, end) - MAX(r->start, start);
	return bytes >> PAGE_SHIFT;
}

bool change_any_mapped(struct space *space, vaddr_t start, vaddr_t end)
{
	const struct region *region = space_find_above(space, start);

	return region && region->start < end;
}

bool change_all_mapped(struct space *space, vaddr_t start, vaddr_t end)
{
	return change_mapped_pages(space, start, end) == (end - start) >> PAGE_SHIFT;
}

int change_reserve_unmap(struct space *space, vaddr_t start, vaddr_t end, struct change *change)
{
	unsigned cuts = change_cuts(space, start, end);

	if (space->region_count + cuts > SPACE_REGIONS_MAX)
		return -ENOMEM;
	return change_reserve(change, cuts);
}

vaddr_t change_find_room(struct space *space, vaddr_t hint, uint64_t length)
{
	vaddr_t start;

	if (hint != 0 && user_range_ok(hint, length)) {
		hint = MAX(ALIGN_UP(hint, PAGE_SIZE), (vaddr_t)USER_MIN);
		if (user_range_ok(hint, length) && gap_is_free(space, hint, length))
			return hint;
	}
	start = gap_find(space, length, space->mmap_top);
	return start != 0 ? start : gap_find(space, length, USER_MAX);
}

struct region *change_spare(struct change *change)
{
	assert(change->spares > 0);
	return change->spare[--change->spares];
}

void change_cut(struct space *space, vaddr_t start, vaddr_t end, struct change *change)
{
	const vaddr_t cuts[] = { start, end };

	for (unsigned i = 0; i < ARRAY_SIZE(cuts); i++) {
		if (!cuts_region(space, cuts[i]))
			continue;
		large_demote_at(space, cuts[i]); /* a large page is in one region */
		region_split(space, space_find(space, cuts[i]), cuts[i], change_spare(change));
	}
}

void change_remove(struct space *space, vaddr_t start, vaddr_t end, struct change *change)
{
	struct region *region = space_find_above(space, start);

	while (region && region->start < end) {
		struct region *next = space_next(region);

		assert(region->start >= start && region->end <= end);
		/* Pages are nowhere else: a sparse range is not searched. */
		pages_unmap(space, region->start, region->end);
		region_remove(space, region);
		LIST_INSERT_HEAD(&change->gone, region, object_link);
		region = next;
	}
}

void change_unmap(struct space *space, vaddr_t start, vaddr_t end, struct change *change)
{
	change_cut(space, start, end, change);
	change_remove(space, start, end, change);
	change_prune(space, start, end);
}

void change_prune(struct space *space, vaddr_t start, vaddr_t end)
{
	struct region *above = space_find_above(space, start);
	const struct region *below = region_before(space, above);

	pmap_prune(&space->pmap, start, end, below ? below->end : 0,
		   above ? above->start : USER_MAX);
}

void change_merge(struct space *space, vaddr_t start, vaddr_t end, struct change *change)
{
	struct region *region = space_find_above(space, start - 1);
	struct region *next;

	while (region && (next = space_next(region)) && next->start <= end) {
		if (region_continues(region, next)) {
			region_join(space, region, next);
			LIST_INSERT_HEAD(&change->gone, next, object_link);
		} else {
			region = next;
		}
	}
}

bool change_retry(struct change *change)
{
	if (!change->starved || change->retried)
		return false;
	change->starved = false;
	change->retried = true;
	frame_reclaim(1);
	return true;
}

void change_release(struct change *change)
{
	struct region *region;

	while (change->spares > 0)
		region_free(change_spare(change));
	while ((region = LIST_FIRST(&change->gone))) {
		LIST_REMOVE(region, object_link);
		region_free(region);
	}
}
