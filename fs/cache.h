/*
 * fs/cache.h - how much of the memory the files of the server have.
 */
#ifndef HAWSER_FS_CACHE_H
#define HAWSER_FS_CACHE_H

#include "kernel/base.h"

struct cache_usage {
	uint64_t pages;   /* of files with an origin */
	uint64_t unused;  /* of those, what memory that runs short would be given */
	uint64_t fetched; /* that have come from the server so far, again or not */
};
void cache_get_usage(struct cache_usage *out);

#endif
