/*
 * mm/check.c - is an address space what docs/memory.md says it must be?
 *
 * Tests call space_check() after every operation. What it cannot see is whether reference counts are
 * exact, since that takes all spaces and objects at once: it asks for at least as many as it finds.
 */
#include "kernel/log.h"
#include "mm/large.h"
#include "mm/pages.h"
#include "mm/region.h"
#include <linux/mman.h>

/* Logs what is wrong, and where, and makes the calling function return false. */
#define REQUIRE(condition, address)                                                             \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			log_err("space check: at %#lx: not true: %s", (unsigned long)(address), \
				#condition);                                                    \
			return false;                                                           \
		}                                                                               \
	} while (0)

struct tally {
	uint64_t regions, pages, data_pages, locked_pages;
	uint64_t anon_pages, file_pages, shared_pages, large_pages;
};

static uint64_t largest_gap(const struct region *region)
{
	const struct region *left = RB_LEFT(region, link), *right = RB_RIGHT(region, link);
	uint64_t largest = region->gap_before;

	if (left)
		largest = MAX(largest, left->gap_largest);
	if (right)
		largest = MAX(largest, right->gap_largest);
	return largest;
}

static bool check_region(struct space *space, struct region *region, const struct region *previous)
{
	const struct region *listed;

	REQUIRE(IS_ALIGNED(region->start, PAGE_SIZE), region->start);
	REQUIRE(IS_ALIGNED(region->end, PAGE_SIZE), region->end);
	REQUIRE(region->start < region->end, region->start);
	REQUIRE(region->start >= USER_MIN && region->end <= USER_MAX, region->start);
	REQUIRE(!previous || previous->end <= region->start, region->start);
	REQUIRE(!previous || !region_continues(previous, region), region->start);
	REQUIRE(region->space == space, region->start);
	REQUIRE(!(region->prot & ~region->max_prot), region->start);
	REQUIRE(region->object || !region->offset, region->start);
	REQUIRE(!(region->flags & REGION_SHARED) || region->object, region->start);
	REQUIRE(!(region->flags & REGION_LOCKONFAULT) || (region->flags & REGION_LOCKED),
		region->start);
	REQUIRE(!(region->flags & REGION_WIPEONFORK) || !region->object, region->start);

	REQUIRE(region->gap_before == region_gap(space, region), region->start);
	REQUIRE(region->gap_largest == largest_gap(region), region->start);

	if (region->object) {
		mutex_lock(&region->object->lock);
		LIST_FOREACH (listed, &region->object->regions, object_link)
			if (listed == region)
				break;
		mutex_unlock(&region->object->lock);
		REQUIRE(listed == region, region->start);
	}
	return true;
}

static bool check_special(const struct region *region, struct pte pte, vaddr_t at)
{
	if (region->flags & REGION_DEVICE)
		return true;
	REQUIRE(!region->object, at);
	REQUIRE(pte.address == pmap_zero_page, at);
	REQUIRE(!pte.writable, at);
	return true;
}

/* One of the pages of a large page; each is looked at. */
static bool check_large(const struct region *region, struct pte pte, vaddr_t at,
			struct tally *tally)
{
	vaddr_t block = ALIGN_DOWN(at, LARGE_SIZE);
	uint64_t nth = (at - block) >> PAGE_SHIFT;
	const struct frame *head = frame_of(pte.address) - nth;

	REQUIRE(!region->object, at);
	REQUIRE(pte.present, at);
	REQUIRE(block >= region->start && block + LARGE_SIZE <= region->end, at);
	REQUIRE(head->kind == FRAME_ANON && head->refs > 0, at);
	REQUIRE(!pte.writable || (large_is_whole(head) && head->refs == 1), at);
	REQUIRE(nth == 0 || head[nth].kind == (large_is_whole(head) ? FRAME_TAIL : FRAME_ANON), at);
	REQUIRE(nth == 0 || (head[nth].refs == 0) == large_is_whole(head), at);
	tally->anon_pages++;
	tally->large_pages += nth == 0;
	return true;
}

/* One entry, against the region that it lies in and the frame that it names. */
static bool check_entry(const struct region *region, struct pte pte, vaddr_t at,
			struct tally *tally)
{
	const struct frame *frame;

	REQUIRE(!(pte.present && pte.protnone), at);
	REQUIRE(!pte.present || (region->prot & PROT_ALL), at);
	REQUIRE(!pte.writable || (pte.present && (region->prot & PROT_WRITE)), at);
	REQUIRE(!pte.executable || (pte.present && (region->prot & PROT_EXEC)), at);
	if (pte.special)
		return check_special(region, pte, at);
	if (pte.large)
		return check_large(region, pte, at, tally);

	frame = frame_of(pte.address);
	REQUIRE(frame->refs > 0, at);
	if (frame->kind == FRAME_ANON) {
		REQUIRE(!(region->flags & REGION_SHARED), at);
		REQUIRE(!pte.writable || frame->refs == 1, at);
		tally->anon_pages++;
	} else {
		REQUIRE(frame->kind == FRAME_OBJECT, at);
		REQUIRE(frame->object == region->object, at);
		REQUIRE(frame->index == region_index(region, at), at);
		REQUIRE(frame->refs > 1, at);
		REQUIRE(!pte.writable || (region->flags & REGION_SHARED), at);
		if (frame->flags & FRAME_SHARED_ANON)
			tally->shared_pages++;
		else
			tally->file_pages++;
	}
	return true;
}

/* The entries of [start, end): all of `region`, or of a gap where that is NULL. */
static bool check_entries(struct space *space, const struct region *region, vaddr_t start,
			  vaddr_t end, struct tally *tally)
{
	struct pmap *pmap = &space->pmap;
	bool good = true;

	for (vaddr_t at = start; good; at += PAGE_SIZE) {
		struct pte pte;

		spin_lock(&pmap->lock);
		at = pmap_next(pmap, at, end);
		pte = at < end ? pmap_get(pmap, at) : (struct pte){ .present = false };
		spin_unlock(&pmap->lock);
		if (at >= end)
			break;
		REQUIRE(region, at);
		good = check_entry(region, pte, at, tally);
	}
	return good;
}

static bool check_all(struct space *space, struct tally *tally)
{
	const struct region *previous = NULL;
	vaddr_t from = 0;

	for (struct region *r = space_find_above(space, 0); r; r = space_next(r)) {
		if (!check_region(space, r, previous) ||
		    !check_entries(space, NULL, from, r->start, tally) ||
		    !check_entries(space, r, r->start, r->end, tally))
			return false;
		tally->regions++;
		tally->pages += (r->end - r->start) >> PAGE_SHIFT;
		if (region_is_data(r->flags, r->prot))
			tally->data_pages += (r->end - r->start) >> PAGE_SHIFT;
		if (r->flags & REGION_LOCKED)
			tally->locked_pages += (r->end - r->start) >> PAGE_SHIFT;
		previous = r;
		from = r->end;
	}
	return check_entries(space, NULL, from, USER_MAX, tally);
}

static bool check_tally(const struct space *space, const struct tally *tally)
{
	uint64_t deposits = 0;
	const struct frame *deposit;

	LIST_FOREACH (deposit, &space->deposits, table_link) {
		REQUIRE(deposit->kind == FRAME_PTABLE && deposit->refs == 1, 0);
		deposits++;
	}
	REQUIRE(deposits == tally->large_pages, 0);
	REQUIRE(tally->regions == space->region_count, 0);
	REQUIRE(tally->pages == space->stats.virtual_pages, 0);
	REQUIRE(tally->data_pages == space->stats.data_pages, 0);
	REQUIRE(tally->locked_pages == space->stats.locked_pages, 0);
	REQUIRE(tally->anon_pages == space->stats.anon_pages, 0);
	REQUIRE(tally->file_pages == space->stats.file_pages, 0);
	REQUIRE(tally->shared_pages == space->stats.shared_pages, 0);
	REQUIRE(tally->large_pages == space->stats.large_pages, 0);
	return true;
}

bool space_check(struct space *space)
{
	struct tally tally = { .regions = 0 };
	bool good;

	rw_write_lock(&space->lock); /* no faults meanwhile */
	good = check_all(space, &tally) && check_tally(space, &tally);
	rw_write_unlock(&space->lock);
	return good;
}
