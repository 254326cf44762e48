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

/* --- references ------------------------------------------------------------------------------------- */

/* Held while a block is split, and by who must know whether it is; see mm/large.h. */
static struct spinlock large_lock = SPINLOCK_INIT("large", RANK_LARGE);

bool large_is_whole(const struct frame *head)
{
	return head->order == LARGE_ORDER;
}

/* What has been split stays so. */
static void get(struct frame *head)
{
	bool whole;

	spin_lock(&large_lock);
	whole = large_is_whole(head);
	if (whole)
		frame_get(head);
	spin_unlock(&large_lock);
	for (uint64_t i = 0; !whole && i < LARGE_PAGES; i++)
		frame_get(head + i);
}

void large_put(struct frame *head)
{
	bool whole;

	spin_lock(&large_lock);
	whole = large_is_whole(head);
	if (whole)
		frame_put(head);
	spin_unlock(&large_lock);
	for (uint64_t i = 0; !whole && i < LARGE_PAGES; i++)
		frame_put(head + i);
}

static void split(struct frame *head)
{
	spin_lock(&large_lock);
	if (large_is_whole(head))
		frame_split(head);
	spin_unlock(&large_lock);
}

static bool is_alone(const struct frame *head)
{
	bool alone;

	spin_lock(&large_lock);
	alone = large_is_whole(head) && head->refs == 1;
	spin_unlock(&large_lock);
	return alone;
}

/* --- entries, each with a table that is put by; pmap lock held ------------------------------------------- */

static void enter(struct space *space, vaddr_t block, const struct frame *head, unsigned rights,
		  struct frame *deposit)
{
	pmap_enter_large(&space->pmap, block, frame_paddr(head), rights);
	LIST_INSERT_HEAD(&space->deposits, deposit, table_link);
	space->stats.anon_pages += LARGE_PAGES;
	space->stats.large_pages++;
	space_count_peak(space);
	add(&counters.present, 1);
}

/* Of an entry that is no more; the table that was put by for it. */
static struct frame *withdraw(struct space *space)
{
	struct frame *deposit = LIST_FIRST(&space->deposits);

	assert_locked(spin_held(&space->pmap.lock));
	LIST_REMOVE(deposit, table_link);
	space->stats.large_pages--;
	add(&counters.present, (uint64_t)-1);
	return deposit;
}

void large_discount(struct space *space)
{
	space->stats.anon_pages -= LARGE_PAGES;
	frame_put(withdraw(space));
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

/* The head of a block of zeroes and a table to put by, for a block that was empty a moment ago. */
static struct frame *make(struct space *space, const struct region *region, vaddr_t block,
			  struct frame **deposit)
{
	struct frame *head = NULL;
	int error;

	if (!is_plenty(region))
		return NULL;
	spin_lock(&space->pmap.lock);
	error = pmap_reserve_large(&space->pmap, block, deposit);
	spin_unlock(&space->pmap.lock);
	if (error == -EEXIST)
		return NULL;
	if (!error)
		head = frame_alloc(FRAME_ANON, LARGE_ORDER, FRAME_ZERO);
	if (head)
		return head;
	add(&counters.fallbacks, 1);
	if (*deposit)
		frame_put(*deposit);
	return NULL;
}

bool large_fault(struct space *space, const struct region *region, vaddr_t page)
{
	struct pmap *pmap = &space->pmap;
	vaddr_t block = ALIGN_DOWN(page, LARGE_SIZE);
	struct frame *deposit = NULL, *head = make(space, region, block, &deposit);
	bool entered = false;

	if (!head)
		return false;
	/* Meanwhile another thread may have come to the same block. */
	spin_lock(&pmap->lock);
	if (pmap_reserve_large(pmap, block, &deposit) == 0) {
		enter(space, block, head, PTE_WRITE | (region->prot & PROT_EXEC ? PTE_EXEC : 0),
		      deposit);
		entered = true;
	}
	spin_unlock(&pmap->lock);
	if (entered) {
		add(&counters.allocated, 1);
	} else {
		frame_put(head);
		frame_put(deposit);
	}
	return entered;
}

/* --- shared ones ---------------------------------------------------------------------------------- */

int large_share(struct space *child, const struct mapping *page)
{
	struct frame *head = frame_of(page->pte.address), *deposit = NULL;
	int error;

	spin_lock(&child->pmap.lock);
	error = pmap_reserve_large(&child->pmap, page->page, &deposit);
	if (!error) {
		get(head);
		enter(child, page->page, head, page->pte.executable ? PTE_EXEC : 0, deposit);
	}
	spin_unlock(&child->pmap.lock);
	assert(error != -EEXIST);
	return error;
}

bool large_allow(struct space *space, vaddr_t page)
{
	vaddr_t block = ALIGN_DOWN(page, LARGE_SIZE);

	if (!is_alone(frame_of(pmap_get(&space->pmap, block).address)))
		return false;
	pmap_allow_large(&space->pmap, block);
	return true;
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
	split(head);
	spin_lock(&pmap->lock);
	pmap_put_table(pmap, block, withdraw(space));
	for (uint64_t i = 0; i < LARGE_PAGES; i++)
		pmap_enter(pmap, block + i * PAGE_SIZE, frame_paddr(head + i), rights);
	spin_unlock(&pmap->lock);
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
