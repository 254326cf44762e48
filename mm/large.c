/*
 * mm/large.c - pages of 2 MiB in private anonymous memory. The picture is in mm/large.h.
 */
#include "mm/large.h"

#include "kernel/string.h"
#include "mm/pages.h"
#include <linux/mman.h>

/*
 * When memory is plenty. Unasked for (Linux's "always"), a large page may be taken while a quarter of
 * the machine is free, and only of a machine that has 256 MiB: a program that touches one page in each
 * block may cost no more than it can be spared. MADV_HUGEPAGE asks for it while a sixteenth is free.
 */
#define MACHINE_MIN    (256 * MIB / PAGE_SIZE)
#define FREE_SHARE     4
#define FREE_SHARE_ASK 16

static struct {
	_Atomic uint64_t allocated, fallbacks, demoted, present;
} counters;

static void add(_Atomic uint64_t *counter, uint64_t by)
{
	atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

void large_get_stats(struct large_stats *out)
{
	*out = (struct large_stats){ counters.allocated, counters.fallbacks, counters.demoted,
				     counters.present };
}

void large_count(struct space *space, int64_t by)
{
	assert_locked(spin_held(&space->pmap.lock));
	space->stats.anon_pages += (uint64_t)by * LARGE_PAGES;
	space->stats.large_pages += (uint64_t)by;
	space_count_peak(space);
	add(&counters.present, (uint64_t)by);
}

/* --- a new one ------------------------------------------------------------------------------------ */

static bool is_plenty(const struct region *region)
{
	uint64_t total = frame_total(), free = frame_free_count();

	if (region->flags & REGION_HUGEPAGE)
		return free >= total / FREE_SHARE_ASK + LARGE_PAGES;
	return total >= MACHINE_MIN && free >= total / FREE_SHARE;
}

bool large_is_wanted(const struct region *region, vaddr_t page)
{
	vaddr_t block = ALIGN_DOWN(page, LARGE_SIZE);
	const uint32_t never = REGION_SHARED | REGION_GROWSDOWN | REGION_DEVICE | REGION_NOHUGEPAGE;

	return !region->object && !region->space->never_large && !(region->flags & never) &&
	       (region->prot & PROT_WRITE) && block >= region->start &&
	       region->end - block >= LARGE_SIZE;
}

/* The head of a block of zeroes with its deposit, for a block that was empty a moment ago. */
static struct frame *make(struct space *space, const struct region *region, vaddr_t block)
{
	struct frame *deposit = NULL, *head = NULL;
	int error;

	if (!is_plenty(region))
		return NULL;
	spin_lock(&space->pmap.lock);
	error = pmap_reserve_large(&space->pmap, block, &deposit);
	spin_unlock(&space->pmap.lock);
	if (error == -EEXIST)
		return NULL;
	if (!error)
		head = frame_alloc(FRAME_ANON, LARGE_ORDER, FRAME_ZERO);
	if (head) {
		head->deposit = deposit;
		return head;
	}
	add(&counters.fallbacks, 1);
	if (deposit)
		frame_put(deposit);
	return NULL;
}

bool large_fault(struct space *space, const struct region *region, vaddr_t page)
{
	struct pmap *pmap = &space->pmap;
	vaddr_t block = ALIGN_DOWN(page, LARGE_SIZE);
	struct frame *head = make(space, region, block);
	bool entered = false;

	if (!head)
		return false;
	/* Meanwhile another thread may have come to the same block. */
	spin_lock(&pmap->lock);
	if (pmap_reserve_large(pmap, block, &head->deposit) == 0) {
		pmap_enter_large(pmap, block, frame_paddr(head),
				 PTE_WRITE | (region->prot & PROT_EXEC ? PTE_EXEC : 0));
		large_count(space, 1);
		entered = true;
	}
	spin_unlock(&pmap->lock);
	if (entered)
		add(&counters.allocated, 1);
	else
		large_free(head);
	return entered;
}

void large_free(struct frame *head)
{
	frame_put(head->deposit);
	frame_put(head);
}

/* --- demotion ------------------------------------------------------------------------------------- */

/*
 * The large entry goes, and every TLB forgets it, before small ones come: a processor must not see the
 * same address in both sizes. Who touches the page in between waits for the space's lock.
 */
static void demote(struct space *space, vaddr_t block)
{
	struct pmap *pmap = &space->pmap;
	struct mapping was;
	struct frame *head;
	vaddr_t at = block;
	unsigned rights;

	assert_locked(rw_write_held(&space->lock));
	spin_lock(&pmap->lock);
	(void)pmap_collect(pmap, &at, block + LARGE_SIZE, PMAP_CLEAR, &was, 1);
	spin_unlock(&pmap->lock);
	assert(was.pte.large);
	pmap_flush(pmap, block, block + LARGE_SIZE);

	head = frame_of(was.pte.address);
	rights = (was.pte.writable ? PTE_WRITE : 0) | (was.pte.executable ? PTE_EXEC : 0);
	spin_lock(&pmap->lock);
	pmap_put_table(pmap, block, head->deposit);
	frame_split(head);
	for (uint64_t i = 0; i < LARGE_PAGES; i++)
		pmap_enter(pmap, block + i * PAGE_SIZE, frame_paddr(head + i), rights);
	space->stats.large_pages--;
	spin_unlock(&pmap->lock);
	add(&counters.present, (uint64_t)-1);
	add(&counters.demoted, 1);
}

static bool is_large(struct space *space, vaddr_t address)
{
	bool large;

	spin_lock(&space->pmap.lock);
	large = pmap_get(&space->pmap, address).large;
	spin_unlock(&space->pmap.lock);
	return large;
}

void large_demote_at(struct space *space, vaddr_t address)
{
	if (space->stats.large_pages > 0 && !IS_ALIGNED(address, LARGE_SIZE) &&
	    is_large(space, ALIGN_DOWN(address, PAGE_SIZE)))
		demote(space, ALIGN_DOWN(address, LARGE_SIZE));
}

void large_demote_range(struct space *space, vaddr_t start, vaddr_t end)
{
	struct pmap *pmap = &space->pmap;
	vaddr_t at = ALIGN_DOWN(start, LARGE_SIZE);

	while (space->stats.large_pages > 0 && at < end) {
		spin_lock(&pmap->lock);
		at = pmap_next(pmap, at, end);
		spin_unlock(&pmap->lock);
		if (at < end && is_large(space, at))
			demote(space, ALIGN_DOWN(at, LARGE_SIZE));
		at = ALIGN_DOWN(at, LARGE_SIZE) + LARGE_SIZE;
	}
}
