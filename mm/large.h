/*
 * mm/large.h - pages of 2 MiB in private anonymous memory: inside mm/, but for the counters.
 *
 *	   region  [..................................................]
 *	   blocks     |               |               |            |
 *	   entries    |  one, large   |a.b.c......... |  empty     |
 *	                    │
 *	                    ▼
 *	   frames     [h t t t … t]  one block of 512: the head h counts for all, the others are FRAME_TAIL
 *
 * A write to an empty block of a large region takes one such block of frames if memory is plenty. Before
 * anything happens to a part of it, the page is *demoted*: a table that has been put by in the space when
 * the page was entered takes its place, with 512 entries for 512 frames that count one by one. Nothing of
 * that can fail, because nothing of it is allocated.
 *
 * Fork shares it whole: an entry of the child's, read-only as the parent's is from then on, with a table
 * put by in the child's space and a reference of the head's. Who writes first and is not alone demotes his
 * own entry, and copies a page. That *splits* the block: each of its frames gets the references that the
 * head has had. Entries of others stay large, and are a reference of each frame now:
 *
 *	   parent  |  one, large, read-only       |         large: one of the references of each frame
 *	   child   |  one, large, read-only       |  ──>    a.C.a.a. …   C: its copy of a page
 *	   frames  [h t t t … t]   h->refs == 2             [a a a a … a]   refs == 2, but for C's place
 *
 * A split block never becomes whole again; large_lock guards the change.
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

/*
 * Makes the read-only large page around `page` writable if nobody shares it. False: it must be demoted.
 * Space lock (shared) and pmap lock held.
 */
bool large_allow(struct space *space, vaddr_t page);

/*
 * Enters the parent's page, a large one that is read-only by now, into the child's space. -ENOMEM. Both
 * space locks held.
 */
int large_share(struct space *child, const struct mapping *page);

/* Demotes the large page of which `address` is the inside, not the start. Space lock: exclusive. */
void large_demote_at(struct space *space, vaddr_t address);
/* Demotes every large page of [start, end), and those that reach into it. Space lock: exclusive. */
void large_demote_range(struct space *space, vaddr_t start, vaddr_t end);

/* Drops the reference of a large entry that no TLB knows any more. */
void large_put(struct frame *head);
/* A large entry has been cleared: the table that was put by for it goes, too. Pmap lock held. */
void large_discount(struct space *space);

/* True if the frames of a large entry, which is there, count by their head. For checks. */
bool large_is_whole(const struct frame *head);

/* For /proc/vmstat and /proc/meminfo: since boot, and now. */
struct large_stats {
	uint64_t allocated; /* thp_fault_alloc */
	uint64_t fallbacks; /* thp_fault_fallback: wanted, and no block was free */
	uint64_t demoted;   /* thp_split_pmd */
	uint64_t present;   /* AnonHugePages, in large pages */
};
void large_get_stats(struct large_stats *out);

#endif
