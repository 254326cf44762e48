/*
 * inject.c - failing allocations, and slab objects from malloc. See inject.h.
 */
#include "inject.h"

#include "fake_pmap.h"
#include "mm/frame.h"
#include "mm/slab.h"

#include <stdlib.h>

struct frame *__real_frame_alloc(enum frame_kind kind, unsigned order, unsigned flags);
void __real_frame_put(struct frame *frame);

static uint64_t fail_at, allocations;

void inject_failure(uint64_t nth)
{
	fail_at = nth;
	allocations = 0;
}

uint64_t inject_allocations(void)
{
	return allocations;
}

static bool fails(void)
{
	allocations++;
	return fail_at != 0 && allocations >= fail_at;
}

struct frame *__wrap_frame_alloc(enum frame_kind kind, unsigned order, unsigned flags)
{
	return fails() ? NULL : __real_frame_alloc(kind, order, flags);
}

void __wrap_frame_put(struct frame *frame)
{
	fake_assert_not_stale(frame);
	__real_frame_put(frame);
}

void *__wrap_slab_alloc(struct slab_cache *cache)
{
	return fails() ? NULL : malloc(cache->size);
}

void *__wrap_slab_zalloc(struct slab_cache *cache)
{
	return fails() ? NULL : calloc(1, cache->size);
}

void __wrap_slab_free(struct slab_cache *cache, void *object)
{
	(void)cache;
	free(object);
}
