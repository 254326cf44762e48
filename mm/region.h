/*
 * mm/region.h - the tree of regions and what keeps it in order; inside mm/ only.
 *
 * All of these want the space's lock, exclusively where they change something. Those that change a
 * region of an object take the object's lock, once for the whole change, so that truncation, which
 * has only that lock, sees every mapped page in exactly one region.
 */
#ifndef HAWSER_MM_REGION_H
#define HAWSER_MM_REGION_H

#include "mm/space.h"

struct region *region_alloc(void);       /* zeroed; NULL without memory */
void region_free(struct region *region); /* drops its object and name; no lock held */
void region_set_name(struct region *region, struct file_name *name); /* NULL: none */

/* Puts a filled-in region into the tree; [start, end) is free. Takes the region over. */
void region_insert(struct space *space, struct region *region);
/* Takes it out. It still holds its object and name. */
void region_remove(struct space *space, struct region *region);

/* Cuts at `at`, inside the region; `upper` becomes [at, end). */
void region_split(struct space *space, struct region *region, vaddr_t at, struct region *upper);
/* True if `upper` begins where `lower` ends and continues it in every respect. */
bool region_continues(const struct region *lower, const struct region *upper);
/* `lower` takes `upper` in, which leaves the tree as by region_remove(). They continue each other. */
void region_join(struct space *space, struct region *lower, struct region *upper);

void region_set_prot(struct space *space, struct region *region, uint32_t prot);
/* Any but those that say what is mapped: SHARED, DEVICE, GROWSDOWN. A device is never locked. */
void region_set_flags(struct space *space, struct region *region, uint32_t flags);
/* Grows a private anonymous region downwards into free space. */
void region_grow(struct space *space, struct region *region, vaddr_t start);
/* Grows any region upwards into free space. */
void region_extend(struct space *space, struct region *region, vaddr_t end);

/* The region before this one; before NULL: the last. NULL if there is none. */
struct region *region_before(struct space *space, struct region *region);
/* Where a mapping below must end: the start, or a guard gap below it where the region can grow. */
vaddr_t region_floor(const struct region *region);
/* Bytes free for mmap between this region and the one before it. */
uint64_t region_gap(struct space *space, struct region *region);
/* The address's page in the region's object. */
uint64_t region_index(const struct region *region, vaddr_t address);
/* True for what RLIMIT_DATA counts: private, writable, not a stack. */
bool region_is_data(uint32_t flags, uint32_t prot);

/* True if [start, start + length) is free and keeps the guard gaps. */
bool gap_is_free(struct space *space, vaddr_t start, uint64_t length);
/* The highest start of `length` free bytes below `ceiling`; 0 if there is none. O(log n). */
vaddr_t gap_find(struct space *space, uint64_t length, vaddr_t ceiling);

void region_init(void);

#endif
