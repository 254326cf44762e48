/*
 * mm/usage.c - counting what of a region is present. See the header.
 *
 * Who else has a page is what its frame's references say: each page table is one, an object's slot
 * another. Pins of the moment count like page tables; they are gone the next time somebody looks.
 */
#include "mm/usage.h"

#include "kernel/sched.h"

#define BATCH 128 /* pages between two looks at the scheduler */

/* Page tables that have the frame. */
static uint64_t mappers(const struct frame *frame)
{
	uint32_t refs = atomic_load_explicit(&frame->refs, memory_order_relaxed);

	if (frame->kind == FRAME_OBJECT)
		refs--;
	return MAX(refs, 1u);
}

static void add_page(struct region_usage *usage, struct pte pte)
{
	const struct frame *frame = frame_of(pte.address);
	bool anonymous = frame->kind == FRAME_ANON;
	/* What is in no file can only have been written: there is nowhere else to have it from. */
	bool dirty = pte.dirty || anonymous || (frame->flags & FRAME_SHARED_ANON);
	uint64_t others = mappers(frame);
	uint64_t share = PAGE_SIZE * USAGE_SHARE / others;

	usage->resident += PAGE_SIZE;
	if (pte.accessed)
		usage->referenced += PAGE_SIZE;
	if (others > 1)
		*(dirty ? &usage->shared_dirty : &usage->shared_clean) += PAGE_SIZE;
	else
		*(dirty ? &usage->private_dirty : &usage->private_clean) += PAGE_SIZE;
	usage->share += share;
	if (dirty)
		usage->share_dirty += share;
	if (anonymous) {
		usage->anonymous += PAGE_SIZE;
		usage->share_anon += share;
	} else if (frame->flags & FRAME_SHARED_ANON) {
		usage->share_shared += share;
	} else {
		usage->share_file += share;
	}
}

void usage_add(struct region_usage *usage, struct space *space, const struct region *region)
{
	struct pmap *pmap = &space->pmap;
	vaddr_t at = region->start;

	usage->size += region->end - region->start;
	while (at < region->end) {
		spin_lock(&pmap->lock);
		for (unsigned i = 0; i < BATCH; i++) {
			struct pte pte;

			at = pmap_next(pmap, at, region->end);
			if (at >= region->end)
				break;
			pte = pmap_get(pmap, at);
			if (!pte.special)
				add_page(usage, pte);
			at += PAGE_SIZE;
		}
		spin_unlock(&pmap->lock);
		if (sched_needs_resched())
			sched_yield();
	}
}
