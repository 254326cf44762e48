/*
 * mm/large.h - pages of 2 MiB in private anonymous memory: inside mm/, but for the counters.
 *
 *	   region  [..................................................]
 *	   blocks     |               |               |            |
 *	   entries    |  one, large   |a.b.c......... |  empty     |
 *	                    │
 *	                    ▼
 *	   frames     [h t t t … t]  one block of 512: the head h counts for all (refs == 1), the others
 *	                             are FRAME_TAIL; h->deposit is a page table, empty
 *
 * A write to an empty block of a large region takes one such block of frames if memory is plenty. It has
 * exactly one entry, and is never shared: before fork, and before anything happens to a part of it, it
 * is *demoted*: the deposited table takes its place, with 512 entries for 512 frames that count one by
 * one. Nothing of that can fail, because nothing of it is allocated.
 */
#ifndef HAWSER_MM_LARGE_H
#define HAWSER_MM_LARGE_H

#include "mm/space.h"

#define LARGE_SIZE  PMAP_TABLE_SPAN
#define LARGE_ORDER 9
#define LARGE_PAGES (UINT64_C(1) << LARGE_ORDER)

/*
 * True if the block around `page` lies in the region and may be one large page, memory permitting.
 * Space lock held.
 */
bool large_is_wanted(const struct region *region, vaddr_t page);

/*
 * Gives the block around `page`, wanted and empty, a large page of zeroes. False if it is not empty
 * after all, or memory cannot be had: small pages will do. Space lock held (shared).
 */
bool large_fault(struct space *space, const struct region *region, vaddr_t page);

/* Demotes the large page of which `address` is the inside, not the start. Space lock: exclusive. */
void large_demote_at(struct space *space, vaddr_t address);
/* Demotes every large page of [start, end), and those that reach into it. Space lock: exclusive. */
void large_demote_range(struct space *space, vaddr_t start, vaddr_t end);

/* Frees a large page that no entry and no TLB names, and its deposit. */
void large_free(struct frame *head);

/* Adds to the count of resident large pages; pmap lock held. */
void large_count(struct space *space, int64_t by);

/* For /proc/vmstat and /proc/meminfo: since boot, and now. */
struct large_stats {
	uint64_t allocated; /* thp_fault_alloc */
	uint64_t fallbacks; /* thp_fault_fallback: wanted, and no block was free */
	uint64_t demoted;   /* thp_split_pmd */
	uint64_t present;   /* AnonHugePages, in large pages */
};
void large_get_stats(struct large_stats *out);

#endif
