/*
 * mm/usage.c - counting what of a region is present. See the header.
 *
 * Who else has a page is what its frame's references say: each page table is one, an object's slot
 * another. Pins of the moment count like page tables; they are gone the next time somebody looks.
 */
#include "mm/usage.h"

#include "kernel/sched.h"
#include "mm/large.h"

#define BATCH 64 /* mappings between two looks at the scheduler; they are on the stack */

/* Page tables that have the frame. */
static uint64_t mappers(const struct frame *frame)
{
	uint32_t refs = atomic_load_explicit(&frame->refs, memory_order_relaxed);

	if (frame->kind == FRAME_OBJECT)
		refs--;
	return MAX(refs, 1u);
}

/* So many bytes of a mapping, which count by that frame. */
static void add(struct region_usage *usage, struct pte pte, const struct frame *frame,
		uint64_t bytes)
{
	bool anonymous = frame->kind == FRAME_ANON;
	/* What is in no file can only have been written: there is nowhere else to have it from. */
	bool dirty = pte.dirty || anonymous || (frame->flags & FRAME_SHARED_ANON);
	uint64_t others = mappers(frame);
	uint64_t share = bytes * USAGE_SHARE / others;

	usage->resident += bytes;
	if (pte.accessed)
		usage->referenced += bytes;
	if (others > 1)
		*(dirty ? &usage->shared_dirty : &usage->shared_clean) += bytes;
	else
		*(dirty ? &usage->private_dirty : &usage->private_clean) += bytes;
	usage->share += share;
	if (dirty)
		usage->share_dirty += share;
	if (anonymous) {
		usage->anonymous += bytes;
		usage->share_anon += share;
	} else if (frame->flags & FRAME_SHARED_ANON) {
		usage->share_shared += share;
	} else {
		usage->share_file += share;
	}
}

static void add_large(struct region_usage *usage, struct pte pte)
{
	const struct frame *head = frame_of(pte.address);

	usage->huge += LARGE_SIZE;
	if (large_is_whole(head)) {
		add(usage, pte, head, LARGE_SIZE);
		return;
	}
	for (uint64_t i = 0; i < LARGE_PAGES; i++)
		add(usage, pte, head + i, PAGE_SIZE);
}

void usage_add(struct region_usage *usage, struct space *space, const struct region *region)
{
	struct mapping mappings[BATCH];
	vaddr_t at = region->start;

	usage->size += region->end - region->start;
	while (at < region->end) {
		unsigned count;

		spin_lock(&space->pmap.lock);
		count = pmap_collect(&space->pmap, &at, region->end, PMAP_LOOK, mappings, BATCH);
		for (unsigned i = 0; i < count; i++) {
			if (mappings[i].pte.large)
				add_large(usage, mappings[i].pte);
			else if (!mappings[i].pte.special)
				add(usage, mappings[i].pte, frame_of(mappings[i].pte.address),
				    PAGE_SIZE);
		}
		spin_unlock(&space->pmap.lock);
		if (sched_needs_resched())
			sched_yield();
	}
}
