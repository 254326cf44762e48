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

/* A mapping that replaces the middle of a region: two cuts and itself. */
#define CHANGE_SPARES_MAX 3

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

/* --- commit: space lock held, exclusively ----------------------------------------------------- */

struct region *change_spare(struct change *change);
/* Makes [start, end) begin and end at the bounds of regions, with as many spares as it has cuts. */
void change_cut(struct space *space, vaddr_t start, vaddr_t end, struct change *change);
/* Takes every region and page of [start, end), which is cut, away. Returns after the TLB flush. */
void change_remove(struct space *space, vaddr_t start, vaddr_t end, struct change *change);
/* Frees the page tables that only [start, end), which is free now, had use for. */
void change_prune(struct space *space, vaddr_t start, vaddr_t end);
/* Joins the regions that touch [start, end] where they continue each other. */
void change_merge(struct space *space, vaddr_t start, vaddr_t end, struct change *change);

/* --- release: no lock held -------------------------------------------------------------------- */

/* True, once, if memory was short: some was reclaimed, and it is worth trying again. */
bool change_retry(struct change *change);
void change_release(struct change *change);

#endif
