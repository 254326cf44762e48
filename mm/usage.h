/*
 * mm/usage.h - what of a region is present, and with how many it is shared: /proc/PID/smaps.
 */
#ifndef HAWSER_MM_USAGE_H
#define HAWSER_MM_USAGE_H

#include "mm/space.h"

/* In bytes. What is present is shared if another page table has it too, and dirty if it was written. */
struct region_usage {
	uint64_t size, resident;
	uint64_t shared_clean, shared_dirty, private_clean, private_dirty;
	uint64_t referenced, anonymous, huge; /* of those that are present */
	/* Each page divided by how many have it; in 1/USAGE_SHARE of a byte, so that the sum is exact. */
	uint64_t share, share_dirty, share_anon, share_file, share_shared;
};
#define USAGE_SHARE 4096

/* Adds what the region has. The space's lock is held; takes the pmap's, and may yield. */
void usage_add(struct region_usage *usage, struct space *space, const struct region *region);

#endif
