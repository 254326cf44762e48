/*
 * mm/residence.c - mincore(2): which pages are in memory; msync(2): which must leave it.
 *
 * A page is there if the page table has it, or the object that a fault would get it from. Nothing has
 * to be written anywhere: there is no disk behind a mapping, and what it shows is what read(2) shows.
 */
#include "kernel/string.h"
#include "mm/change.h"
#include <linux/mman.h>

/* The object's pages from the one at `at` on. Space lock held. */
static void mark_object(const struct region *region, vaddr_t at, uint64_t pages, uint8_t *out)
{
	uint64_t first = region_index(region, at), index = first;

	mutex_lock(&region->object->lock);
	while (radix_next(&region->object->frames, &index) && index < first + pages)
		out[index++ - first] = 1;
	mutex_unlock(&region->object->lock);
}

static void mark_present(struct space *space, vaddr_t at, uint64_t pages, uint8_t *out)
{
	vaddr_t end = at + pages * PAGE_SIZE;

	spin_lock(&space->pmap.lock);
	for (vaddr_t page = at; (page = pmap_next(&space->pmap, page, end)) < end;
	     page += PAGE_SIZE)
		out[(page - at) >> PAGE_SHIFT] = 1;
	spin_unlock(&space->pmap.lock);
}

int64_t space_residence(struct space *space, vaddr_t start, uint64_t pages, uint8_t *out)
{
	const struct region *region;

	rw_read_lock(&space->lock);
	region = space_find(space, start);
	if (region) {
		pages = MIN(pages, (region->end - start) >> PAGE_SHIFT);
		memset(out, region->flags & REGION_DEVICE ? 1 : 0, pages);
		if (region->object && !(region->flags & REGION_DEVICE))
			mark_object(region, start, pages, out);
		mark_present(space, start, pages, out);
	}
	rw_read_unlock(&space->lock);
	return region ? (int64_t)pages : -ENOMEM;
}

int space_sync(struct space *space, vaddr_t start, uint64_t length, int flags)
{
	vaddr_t end = start + length;
	int error = 0;

	rw_read_lock(&space->lock);
	for (struct region *r = space_find_above(space, start); r && r->start < end && !error;
	     r = space_next(r))
		if ((flags & MS_INVALIDATE) && (r->flags & REGION_LOCKED))
			error = -EBUSY;
	if (!error && !change_all_mapped(space, start, end))
		error = -ENOMEM;
	rw_read_unlock(&space->lock);
	return error;
}
