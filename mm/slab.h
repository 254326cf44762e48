/*
 * mm/slab.h - kernel objects of one size each, and kalloc() for the sizes in between.
 *
 * Neither sleeps; both may be called in any context and return NULL when there is no memory.
 */
#ifndef HAWSER_MM_SLAB_H
#define HAWSER_MM_SLAB_H

#include "kernel/base.h"
#include "kernel/lock.h"

struct slab_cache {
	const char *name; /* without blanks: a field of /proc/slabinfo */
	size_t size;      /* of an object, rounded up to its alignment */
	struct spinlock lock;
	LIST_HEAD(, slab) partial; /* lock */
	LIST_HEAD(, slab) empty;   /* lock */
	uint64_t in_use, slabs;    /* objects in use; slabs: with and without such; lock */
	struct slab_cache *next;
};

/* size in 8..2048; align a power of two up to 64. The cache is the caller's static memory. */
void slab_cache_init(struct slab_cache *cache, const char *name, size_t size, size_t align);
void *slab_alloc(struct slab_cache *cache);             /* not zeroed */
void *slab_zalloc(struct slab_cache *cache);            /* zeroed */
void slab_free(struct slab_cache *cache, void *object); /* NULL is allowed */

/* malloc(3) for odd sizes: to 2 KiB from size-class caches, above that whole frames (to 4 MiB). */
void *kalloc(size_t size);
void *kzalloc(size_t size);
void kfree(void *pointer); /* NULL is allowed */
char *kstrdup(const char *s);

/* For /proc/slabinfo: cache number `i`; false after the last. */
struct slab_info {
	const char *name;
	size_t size;
	uint64_t in_use, slabs;
	uint32_t per_slab, pages_per_slab;
};
bool slab_describe(unsigned i, struct slab_info *out);

/* Gives empty slabs back to the frame allocator (census, reclaim). */
uint64_t slab_drain(void);

#endif
