/*
 * mm/frame.c - who has which frame: a buddy allocator with a small cache of single frames per CPU.
 *
 * Memory is handed out in blocks of 2^order frames that begin at a multiple of their size. Two
 * blocks of one order that together make up a block of the next are buddies; their first frames'
 * numbers differ in one bit. When both are free they are merged, so that the free memory is always
 * the fewest, largest blocks:
 *
 *	order 2  |aaaaaaaaaaaaaaa|               |     one block of 4 in use, its buddy split:
 *	order 1                  |bbbbbbb|       |     2 in use,
 *	order 0                          |ccc|   |     1 in use and 1 free. Freeing c makes an order-1
 *	                                               block, freeing b as well an order-2 block.
 *
 * Of every block, free or in use, the first frame speaks and the others are FRAME_TAIL; splitting
 * and merging therefore touch two frames, however large the block.
 *
 *	state of a block's first frame     kind        refs   order
 *	in the buddy allocator             FREE        0      its order
 *	in a CPU's cache, or on its way    FREE        0      UNLISTED: no candidate for merging
 *	given out                          another     > 0    its order
 *
 * Nearly all traffic is single frames, and goes through the running CPU's cache, a stack that is
 * filled and emptied by half when it runs out or over. The most recently freed frame, which the
 * processor's caches still hold, is given out first.
 */
#include "mm/frame.h"

#include "kernel/lock.h"
#include "kernel/panic.h"
#include "kernel/x86_64/cpu.h"
#include "mm/pmap.h"

#define CACHE_SIZE  64
#define CACHE_ORDER 5
#define CACHE_BATCH (1u << CACHE_ORDER)
#define UNLISTED    UINT8_MAX /* in frame.order */

struct frame_cache {
	unsigned count;
	struct frame *frames[CACHE_SIZE];
	int64_t given[FRAME_KINDS]; /* given out here less taken back here, by kind */
};

/* Each by its own CPU with interrupts off; `given` is also read by frame_census(). */
static struct frame_cache caches[CPU_MAX];

static struct spinlock lock = SPINLOCK_INIT("frames", RANK_FRAMES);
static LIST_HEAD(, frame) free_blocks[FRAME_ORDER_MAX + 1]; /* lock */
static uint64_t free_count[FRAME_ORDER_MAX + 1];            /* lock: blocks on each list */
static _Atomic uint64_t listed;                             /* lock: frames in those blocks */
static _Atomic uint64_t total;                              /* lock: frames ever added */

static uint64_t block_frames(unsigned order)
{
	return UINT64_C(1) << order;
}

/* --- blocks: the frames lock is held ---------------------------------------------------------- */

static void list_add(struct frame *frame, unsigned order)
{
	frame->kind = FRAME_FREE;
	frame->order = (uint8_t)order;
	LIST_INSERT_HEAD(&free_blocks[order], frame, free_link);
	free_count[order]++;
	atomic_store_explicit(&listed, listed + block_frames(order), memory_order_relaxed);
}

static void list_remove(struct frame *frame)
{
	LIST_REMOVE(frame, free_link);
	free_count[frame->order]--;
	atomic_store_explicit(&listed, listed - block_frames(frame->order), memory_order_relaxed);
}

static void block_free(struct frame *frame, unsigned order)
{
	assert_locked(spin_held(&lock));
	while (order < FRAME_ORDER_MAX) {
		struct frame *buddy = &frame_table[frame_pfn(frame) ^ block_frames(order)];

		if (buddy->kind != FRAME_FREE || buddy->order != order)
			break;
		list_remove(buddy);
		if (buddy < frame) {
			frame->kind = FRAME_TAIL;
			frame = buddy;
		} else {
			buddy->kind = FRAME_TAIL;
		}
		order++;
	}
	list_add(frame, order);
}

static struct frame *block_alloc(unsigned order)
{
	struct frame *frame;
	unsigned from = order;

	assert_locked(spin_held(&lock));
	while (from <= FRAME_ORDER_MAX && LIST_EMPTY(&free_blocks[from]))
		from++;
	if (from > FRAME_ORDER_MAX)
		return NULL;

	frame = LIST_FIRST(&free_blocks[from]);
	list_remove(frame);
	while (from > order) {
		from--;
		list_add(frame + block_frames(from), from);
	}
	frame->order = UNLISTED;
	return frame;
}

/* --- the CPU's cache: interrupts are off ------------------------------------------------------ */

static void cache_drain(struct frame_cache *cache, unsigned keep)
{
	spin_lock(&lock);
	while (cache->count > keep)
		block_free(cache->frames[--cache->count], 0);
	spin_unlock(&lock);
}

/*
 * A whole block in one piece if there is one, which stays in few hands, or what there is. Each frame of
 * it is a block of its own from now on; they will be merged as they come back.
 */
static void cache_fill(struct frame_cache *cache)
{
	struct frame *block;

	spin_lock(&lock);
	block = block_alloc(CACHE_ORDER);
	for (unsigned i = 0; block && i < CACHE_BATCH; i++) {
		struct frame *frame = block + (CACHE_BATCH - 1 - i);

		frame->kind = FRAME_FREE;
		frame->order = UNLISTED;
		cache->frames[cache->count++] = frame;
	}
	while (cache->count < CACHE_BATCH) {
		struct frame *frame = block_alloc(0);

		if (!frame)
			break;
		cache->frames[cache->count++] = frame;
	}
	spin_unlock(&lock);
}

/* What the cache has no single frame for: another order, or it is empty. */
static __attribute__((noinline)) struct frame *take_slowly(struct frame_cache *cache,
							   unsigned order)
{
	struct frame *frame;

	if (order == 0) {
		cache_fill(cache);
		return cache->count > 0 ? cache->frames[--cache->count] : NULL;
	}
	spin_lock(&lock);
	frame = block_alloc(order);
	spin_unlock(&lock);
	if (!frame && cache->count > 0) {
		cache_drain(cache, 0);
		spin_lock(&lock);
		frame = block_alloc(order);
		spin_unlock(&lock);
	}
	return frame;
}

/* The last reference is gone. Out of line: most references that are dropped are not the last. */
static __attribute__((noinline)) void give_back(struct frame *frame)
{
	unsigned order = frame->order;
	struct frame_cache *cache;

	irq_push_off();
	cache = &caches[this_cpu()->number];
	cache->given[frame->kind] -= (int64_t)block_frames(order);
	frame->kind = FRAME_FREE;
	if (likely(order == 0)) {
		frame->order = UNLISTED; /* before others are freed: not theirs to merge with */
		if (cache->count == CACHE_SIZE)
			cache_drain(cache, CACHE_SIZE - CACHE_BATCH);
		cache->frames[cache->count++] = frame;
	} else {
		spin_lock(&lock);
		block_free(frame, order);
		spin_unlock(&lock);
	}
	irq_pop_off();
}

/* --- the public face -------------------------------------------------------------------------- */

void frame_add_range(paddr_t start, paddr_t end)
{
	uint64_t pfn = ALIGN_UP(start, PAGE_SIZE) >> PAGE_SHIFT;
	uint64_t last = end >> PAGE_SHIFT;

	while (pfn < last) {
		unsigned order = 0;

		while (order < FRAME_ORDER_MAX && IS_ALIGNED(pfn, block_frames(order + 1)) &&
		       pfn + block_frames(order + 1) <= last)
			order++;
		for (uint64_t i = 0; i < block_frames(order); i++) {
			assert(frame_table[pfn + i].kind == FRAME_RESERVED);
			frame_table[pfn + i].kind = FRAME_TAIL;
		}
		spin_lock(&lock);
		block_free(&frame_table[pfn], order);
		total += block_frames(order);
		spin_unlock(&lock);
		pfn += block_frames(order);
	}
}

struct frame *frame_alloc(enum frame_kind kind, unsigned order, unsigned flags)
{
	struct frame_cache *cache;
	struct frame *frame;

	assert(order <= FRAME_ORDER_MAX);
	assert(kind > FRAME_TAIL && kind < FRAME_KINDS);

	irq_push_off();
	cache = &caches[this_cpu()->number];
	if (likely(order == 0 && cache->count > 0))
		frame = cache->frames[--cache->count];
	else
		frame = take_slowly(cache, order);
	if (likely(frame)) {
		assert(frame->kind == FRAME_FREE && frame->refs == 0);
		frame->kind = (uint8_t)kind;
		frame->order = (uint8_t)order;
		frame->flags = 0;
		frame->object = NULL;
		frame->index = 0;
		atomic_store_explicit(&frame->refs, 1, memory_order_relaxed);
		cache->given[kind] += (int64_t)block_frames(order);
	}
	irq_pop_off();

	if (!frame) {
		if (flags & FRAME_NOFAIL_BOOT)
			panic("not enough memory to start: %llu KiB in all",
			      (unsigned long long)(total * PAGE_SIZE / KIB));
		return NULL;
	}
	if (flags & FRAME_ZERO)
		pmap_zero_frames(frame, block_frames(order));
	return frame;
}

void frame_get(struct frame *frame)
{
	uint32_t before = atomic_fetch_add_explicit(&frame->refs, 1, memory_order_relaxed);

	assert(before > 0 && before < UINT32_MAX);
}

void frame_put(struct frame *frame)
{
	uint32_t before = atomic_fetch_sub_explicit(&frame->refs, 1, memory_order_acq_rel);

	assert(before > 0);
	if (before == 1)
		give_back(frame);
}

void frame_split(struct frame *block)
{
	uint64_t frames = block_frames(block->order);
	uint32_t refs = block->refs;

	assert(refs > 0);
	for (uint64_t i = 0; i < frames; i++) {
		assert(i == 0 || block[i].kind == FRAME_TAIL);
		block[i].kind = block->kind;
		block[i].order = 0;
		block[i].flags = block->flags;
		block[i].object = NULL;
		block[i].index = 0;
		atomic_store_explicit(&block[i].refs, refs, memory_order_relaxed);
	}
}

void frame_census(struct frame_census *out)
{
	uint64_t in_use = 0;

	*out = (struct frame_census){ .total = total };
	for (unsigned kind = FRAME_TAIL + 1; kind < FRAME_KINDS; kind++) {
		int64_t count = 0;

		/* One CPU may give out what another takes back: only the sum means something. */
		for (unsigned cpu = 0; cpu < CPU_MAX; cpu++)
			count += caches[cpu].given[kind];
		out->count[kind] = (uint64_t)count;
		in_use += out->count[kind];
	}
	out->count[FRAME_FREE] = total - in_use;
}

uint64_t frame_free_count(void)
{
	uint64_t count = atomic_load_explicit(&listed, memory_order_relaxed);

	for (unsigned cpu = 0; cpu < cpu_count; cpu++)
		count += caches[cpu].count;
	return count;
}

uint64_t frame_total(void)
{
	return atomic_load_explicit(&total, memory_order_relaxed);
}

void frame_buddy_info(uint64_t counts[FRAME_ORDER_MAX + 1])
{
	spin_lock(&lock);
	for (unsigned order = 0; order <= FRAME_ORDER_MAX; order++)
		counts[order] = free_count[order];
	spin_unlock(&lock);
}
