/*
 * mm/pages.h - what happens to the pages of a range, whatever regions it has; inside mm/ only.
 */
#ifndef HAWSER_MM_PAGES_H
#define HAWSER_MM_PAGES_H

#include "mm/space.h"

/*
 * Takes away every PTE of [start, end) and, after the TLB flush, the references that they held.
 * No spinlock held; may sleep. The caller's lock (the space's or an object's) keeps faults from
 * bringing pages back.
 */
void pages_unmap(struct space *space, vaddr_t start, vaddr_t end);

/* As pages_unmap(), but pages that are in no object stay: copies that a private region has made. */
void pages_unmap_object(struct space *space, vaddr_t start, vaddr_t end);

/*
 * Takes from every PTE of [start, end) the rights that `prot` lacks, and flushes. It never grants
 * any: faults do. Space lock held, exclusively.
 */
void pages_protect(struct space *space, vaddr_t start, vaddr_t end, uint32_t prot);

/* After a count of resident pages was raised; pmap lock held. */
static inline void space_count_peak(struct space *space)
{
	struct space_stats *stats = &space->stats;
	uint64_t resident = stats->anon_pages + stats->file_pages + stats->shared_pages;

	if (resident > stats->peak_resident)
		stats->peak_resident = resident;
}

/* Adds `by` to the count of resident pages that `frame` belongs to; pmap lock held. */
static inline void pages_count(struct space *space, const struct frame *frame, int64_t by)
{
	struct space_stats *stats = &space->stats;

	assert_locked(spin_held(&space->pmap.lock));
	if (frame->kind == FRAME_ANON)
		stats->anon_pages += (uint64_t)by;
	else if (frame->flags & FRAME_SHARED_ANON)
		stats->shared_pages += (uint64_t)by;
	else
		stats->file_pages += (uint64_t)by;
	if (by > 0)
		space_count_peak(space);
}

#endif
