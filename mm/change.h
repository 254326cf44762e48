/*
 * mm/change.h - one change of an address space, in three steps; inside mm/ only.
 *
 *	struct change change = CHANGE_NONE;
 *	do {
 *		rw_write_lock(&space->lock);
 *		error = reserve(…, &change);     may fail, changes nothing
 *		if (error == 0)
 *			commit(…, &change);      cannot fail
 *		rw_write_unlock(&space->lock);
 *	} while (error == -ENOMEM && change_retry(&change));
 *	change_release(&change);                 may sleep
 *
 * Reserving takes the regions that splitting and inserting will need. Committing leaves the regions
 * that went away here; their objects and names are let go of only when the lock is dropped, since
 * the last reference to a file may have much to tidy up.
 */
#ifndef HAWSER_MM_CHANGE_H
#define HAWSER_MM_CHANGE_H

#include "mm/region.h"

/*
 * mremap(2) to a fixed address, growing smaller: two cuts there, the new region, two cuts around what
 * moves, and one behind the tail that goes.
 */
#define CHANGE_SPARES_MAX 6

struct change {
	struct region *spare[CHANGE_SPARES_MAX];
	unsigned spares;
	LIST_HEAD(, region) gone; /* by object_link, which no object's list uses any more */
	bool starved;             /* a region could not be had */
	bool retried;
};
#define CHANGE_NONE         \
	{                   \
		.spares = 0 \
	}

/* --- reserve: space lock held, exclusively ---------------------------------------------------- */

/* How many regions [start, end) cuts in two: 0, 1 or 2. */
unsigned change_cuts(struct space *space, vaddr_t start, vaddr_t end);
/* Has `count` spare regions from now on; -ENOMEM. */
int change_reserve(struct change *change, unsigned count);
/* 0 if the space may have so many more pages of that kind; -ENOMEM: RLIMIT_AS or RLIMIT_DATA. */
int change_check_limits(const struct space *space, uint32_t flags, uint32_t prot, uint64_t pages);
/* How many bytes the caller may lock: RLIMIT_MEMLOCK, which does not bind who has CAP_IPC_LOCK. */
uint64_t change_lock_limit(const struct space *space);
/* 0 if so many more pages with these flags may be locked, should they be; -EAGAIN: RLIMIT_MEMLOCK. */
int change_check_locked(const struct space *space, uint32_t flags, uint64_t pages);
/* Pages that are mapped in [start, end). */
uint64_t change_mapped_pages(struct space *space, vaddr_t start, vaddr_t end);
/* True if some are. */
bool change_any_mapped(struct space *space, vaddr_t start, vaddr_t end);
/* True if all are. */
bool change_all_mapped(struct space *space, vaddr_t start, vaddr_t end);
/* What unmapping [start, end) needs. -ENOMEM: memory, or too many regions. */
int change_reserve_unmap(struct space *space, vaddr_t start, vaddr_t end, struct change *change);
/* Where a mapping goes: the hint if that is free, or the highest gap; 0: there is no room. */
vaddr_t change_find_room(struct space *space, vaddr_t hint, uint64_t length);

/* --- commit: space lock held, exclusively ----------------------------------------------------- */

struct region *change_spare(struct change *change);
/* Makes [start, end) begin and end at the bounds of regions, with as many spares as it has cuts. */
void change_cut(struct space *space, vaddr_t start, vaddr_t end, struct change *change);
/* Takes every region and page of [start, end), which is cut, away. Returns after the TLB flush. */
void change_remove(struct space *space, vaddr_t start, vaddr_t end, struct change *change);
/* Unmaps [start, end), as change_reserve_unmap() has prepared it, with its page tables. */
void change_unmap(struct space *space, vaddr_t start, vaddr_t end, struct change *change);
/* Frees the page tables that only [start, end), which is free now, had use for. */
void change_prune(struct space *space, vaddr_t start, vaddr_t end);
/* Joins the regions that touch [start, end] where they continue each other. */
void change_merge(struct space *space, vaddr_t start, vaddr_t end, struct change *change);

/* --- the three steps for flags, with no lock held (mm/protect.c) ------------------------------- */

struct flag_change {
	uint32_t set, clear;                       /* REGION_* */
	int (*check)(const struct region *region); /* an error if this one must not be changed */
	int (*limit)(struct space *space, vaddr_t start, vaddr_t end);
	bool holes; /* what is mapped is changed, holes or not */
};
/* Of every region in [start, end), or none. -ENOMEM: a hole, memory; what `check`, `limit` return. */
int change_flags(struct space *space, vaddr_t start, vaddr_t end, const struct flag_change *flags);

/* --- release: no lock held -------------------------------------------------------------------- */

/* True, once, if memory was short: some was reclaimed, and it is worth trying again. */
bool change_retry(struct change *change);
void change_release(struct change *change);

#endif
