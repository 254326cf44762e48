/*
 * mm/reclaim.c - getting memory back when it runs short.
 *
 * An allocation that fails under a lock is given up, the locks are dropped, and this is called
 * before it is tried once more. There is no background reclaim and no swap: what can be had back is
 * cached files that nobody uses, and the slack of the kernel's own caches.
 */
#include "mm/reclaim.h"

#include "kernel/lock.h"
#include "mm/frame.h"
#include "mm/kmap.h"
#include "mm/slab.h"

static uint64_t (*shrink_cache)(uint64_t frames); /* set once, at start */

void reclaim_register(uint64_t (*shrink)(uint64_t frames))
{
	shrink_cache = shrink;
}

uint64_t frame_reclaim(uint64_t frames)
{
	uint64_t before = frame_free_count(), after;

	might_sleep();
	if (shrink_cache)
		shrink_cache(frames);
	kstack_drain();
	slab_drain(); /* last: what went before has freed objects */
	after = frame_free_count();
	return after > before ? after - before : 0;
}
