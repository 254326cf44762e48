/*
 * mm/pages.c - taking pages, or rights to them, away.
 *
 * A frame may be given to someone else only when no processor can reach it any more, so that every
 * batch of PTEs goes through the same three steps:
 *
 *	clear the PTEs        under the pmap lock, a bounded number at a time
 *	flush the TLBs        no spinlock held, interrupts on: others must be able to answer
 *	drop the references   only now
 *
 * A large page is taken away whole. Where only a part of it is meant it is demoted first, to 512 pages
 * that are counted one by one, on the table of pages that was put by for it (mm/large.c).
 */
#include "mm/pages.h"

#include "kernel/sched.h"
#include "mm/large.h"
#include <linux/mman.h>

#define BATCH 64 /* mappings between two flushes; they are on the stack */

static uint64_t mapping_span(const struct mapping *mapping)
{
	return mapping->pte.large ? LARGE_SIZE : PAGE_SIZE;
}

static void flush_mappings(struct pmap *pmap, const struct mapping *mappings, unsigned count)
{
	const struct mapping *last = &mappings[count - 1];

	pmap_flush(pmap, mappings[0].page, last->page + mapping_span(last));
}

/* The reference of an entry that no TLB knows any more. */
static void drop(struct pte pte)
{
	if (pte.large)
		large_put(frame_of(pte.address));
	else if (!pte.special)
		frame_put(frame_of(pte.address));
}

/* What is gone is no longer resident; pmap lock held. */
static void discount(struct space *space, const struct mapping *gone, unsigned count)
{
	uint64_t anon = 0;

	for (unsigned i = 0; i < count; i++) {
		struct pte pte = gone[i].pte;
		const struct frame *frame;

		if (pte.special)
			continue;
		frame = frame_of(pte.address);
		if (pte.large)
			large_discount(space);
		else if (frame->kind == FRAME_ANON)
			anon++;
		else
			pages_count(space, frame, -1);
	}
	space->stats.anon_pages -= anon;
}

/* Of what was looked at, clears the PTEs of pages in objects; how many there were. */
static unsigned clear_objects(struct pmap *pmap, struct mapping *pages, unsigned count)
{
	unsigned cleared = 0;

	for (unsigned i = 0; i < count; i++) {
		struct pte pte = pages[i].pte;

		if (pte.special || pte.large || frame_of(pte.address)->kind != FRAME_OBJECT)
			continue;
		pmap_clear(pmap, pages[i].page);
		pages[cleared++] = pages[i];
	}
	return cleared;
}

static void unmap(struct space *space, vaddr_t start, vaddr_t end, bool all)
{
	large_demote_at(space, start);
	large_demote_at(space, end);
	for (vaddr_t at = start; at < end;) {
		struct mapping gone[BATCH];
		unsigned count;

		spin_lock(&space->pmap.lock);
		count = pmap_collect(&space->pmap, &at, end, all ? PMAP_CLEAR : PMAP_LOOK, gone,
				     BATCH);
		if (!all)
			count = clear_objects(&space->pmap, gone, count);
		discount(space, gone, count);
		spin_unlock(&space->pmap.lock);
		if (count > 0)
			flush_mappings(&space->pmap, gone, count);
		for (unsigned i = 0; i < count; i++)
			drop(gone[i].pte);
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
static bool protect(struct pmap *pmap, const struct mapping *mapping, uint32_t prot)
{
	struct pte pte = mapping->pte;
	unsigned rights = 0;

	if (pte.protnone)
		return false;
	if (pte.special) {
		pmap_clear(pmap, mapping->page); /* holds nothing: a fault brings it back */
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
	pmap_protect(pmap, mapping->page, rights);
	return true;
}

void pages_protect(struct space *space, vaddr_t start, vaddr_t end, uint32_t prot)
{
	struct pmap *pmap = &space->pmap;

	large_demote_range(space, start, end);
	for (vaddr_t at = start; at < end;) {
		struct mapping pages[BATCH];
		unsigned count, changed = 0;

		spin_lock(&pmap->lock);
		count = pmap_collect(pmap, &at, end, PMAP_LOOK, pages, BATCH);
		for (unsigned i = 0; i < count; i++)
			if (protect(pmap, &pages[i], prot))
				pages[changed++] = pages[i];
		spin_unlock(&pmap->lock);
		if (changed > 0)
			flush_mappings(pmap, pages, changed);
		if (sched_needs_resched())
			sched_yield();
	}
}
