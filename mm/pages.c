/*
 * mm/pages.c - taking pages, or rights to them, away.
 *
 * A frame may be given to someone else only when no processor can reach it any more, so that every
 * batch of PTEs goes through the same three steps:
 *
 *	clear the PTEs        under the pmap lock, a bounded number at a time
 *	flush the TLBs        no spinlock held, interrupts on: others must be able to answer
 *	drop the references   only now
 */
#include "mm/pages.h"

#include "kernel/sched.h"
#include <linux/mman.h>

#define BATCH 128 /* frames between two flushes; their pointers are on the stack */

struct batch {
	struct frame *frames[BATCH];
	unsigned count;
	vaddr_t start, end; /* what must be flushed */
};

void pages_count(struct space *space, const struct frame *frame, int64_t by)
{
	struct space_stats *stats = &space->stats;

	assert(spin_held(&space->pmap.lock));
	if (frame->kind == FRAME_ANON)
		stats->anon_pages += (uint64_t)by;
	else if (frame->flags & FRAME_SHARED_ANON)
		stats->shared_pages += (uint64_t)by;
	else
		stats->file_pages += (uint64_t)by;
	stats->peak_resident = MAX(stats->peak_resident,
				   stats->anon_pages + stats->file_pages + stats->shared_pages);
}

static void batch_touch(struct batch *batch, vaddr_t page)
{
	if (batch->start == batch->end)
		batch->start = page;
	batch->end = page + PAGE_SIZE;
}

static bool in_object(struct pte pte)
{
	return !pte.special && frame_of(pte.address)->kind == FRAME_OBJECT;
}

/*
 * Clears PTEs from `at` on, all or only those of pages in objects, until the batch is full or `end` is
 * reached; where it got to.
 */
static vaddr_t batch_clear(struct space *space, vaddr_t at, vaddr_t end, bool all,
			   struct batch *batch)
{
	struct pmap *pmap = &space->pmap;

	spin_lock(&pmap->lock);
	/* Those that hold no frame count too: interrupts are off. */
	for (unsigned i = 0; i < BATCH && (at = pmap_next(pmap, at, end)) < end; i++) {
		if (all || in_object(pmap_get(pmap, at))) {
			struct pte pte = pmap_clear(pmap, at);

			batch_touch(batch, at);
			if (!pte.special) {
				struct frame *frame = frame_of(pte.address);

				pages_count(space, frame, -1);
				batch->frames[batch->count++] = frame;
			}
		}
		at += PAGE_SIZE;
	}
	spin_unlock(&pmap->lock);
	return at;
}

static void unmap(struct space *space, vaddr_t start, vaddr_t end, bool all)
{
	for (vaddr_t at = start; at < end;) {
		struct batch batch = { .count = 0 };

		at = batch_clear(space, at, end, all, &batch);
		if (batch.start < batch.end)
			pmap_flush(&space->pmap, batch.start, batch.end);
		for (unsigned i = 0; i < batch.count; i++)
			frame_put(batch.frames[i]);
		if (sched_needs_resched())
			sched_yield();
	}
}

void pages_unmap(struct space *space, vaddr_t start, vaddr_t end)
{
	unmap(space, start, end, true);
}

void pages_unmap_object(struct space *space, vaddr_t start, vaddr_t end)
{
	unmap(space, start, end, false);
}

/* Takes rights from one PTE; true if a TLB may still have them. */
static bool protect(struct pmap *pmap, vaddr_t page, uint32_t prot)
{
	struct pte pte = pmap_get(pmap, page);
	unsigned rights = 0;

	if (pte.protnone)
		return false;
	if (pte.special) {
		pmap_clear(pmap, page); /* holds nothing: the next fault brings it back */
		return true;
	}
	if (!(prot & PROT_ALL))
		rights = PTE_NONE;
	if (pte.writable && (prot & PROT_WRITE))
		rights |= PTE_WRITE;
	if (pte.executable && (prot & PROT_EXEC))
		rights |= PTE_EXEC;
	if (!(rights & PTE_NONE) && pte.writable == !!(rights & PTE_WRITE) &&
	    pte.executable == !!(rights & PTE_EXEC))
		return false;
	pmap_protect(pmap, page, rights);
	return true;
}

void pages_protect(struct space *space, vaddr_t start, vaddr_t end, uint32_t prot)
{
	struct pmap *pmap = &space->pmap;
	vaddr_t at = start;

	while (at < end) {
		struct batch batch = { .count = 0 };

		spin_lock(&pmap->lock);
		while (batch.count < BATCH && (at = pmap_next(pmap, at, end)) < end) {
			if (protect(pmap, at, prot))
				batch_touch(&batch, at);
			batch.count++;
			at += PAGE_SIZE;
		}
		spin_unlock(&pmap->lock);
		if (batch.start < batch.end)
			pmap_flush(pmap, batch.start, batch.end);
		if (sched_needs_resched())
			sched_yield();
	}
}
