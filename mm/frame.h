/*
 * mm/frame.h - physical memory, one struct for each 4 KiB of RAM.
 *
 * A frame is free (refs == 0, kind FRAME_FREE, in the buddy allocator or a per-CPU cache) or it is
 * counted: refs is the number of counted PTEs, plus one if an object's slot holds it, plus pins.
 * The kernel's own frames (page tables, slabs, stacks …) have refs == 1. Blocks of 2^order frames,
 * free or not, are named by their first frame; the others are FRAME_TAIL with refs == 0.
 */
#ifndef HAWSER_MM_FRAME_H
#define HAWSER_MM_FRAME_H

#include "kernel/base.h"
#include "mm/layout.h"
#include <bsd/sys/queue.h>

struct object;

enum frame_kind {
	FRAME_RESERVED, /* not ours to give: the kernel's image, firmware, holes; never counted */
	FRAME_FREE,
	FRAME_TAIL,
	FRAME_ANON,   /* private user memory: only page tables hold it */
	FRAME_OBJECT, /* in an object: page cache, shared anonymous */
	FRAME_PTABLE,
	FRAME_SLAB,
	FRAME_STACK,
	FRAME_NET,    /* packet buffers and rings */
	FRAME_KERNEL, /* anything else of the kernel's */
	FRAME_KINDS
};

struct frame {
	_Atomic uint32_t refs;
	uint8_t kind;   /* enum frame_kind; set by the allocator */
	uint8_t order;  /* of the block, in its first frame */
	uint16_t flags; /* owner's; 0 when given out */
	union {
		LIST_ENTRY(frame) free_link; /* FRAME_FREE: frames lock */
		LIST_ENTRY(frame)
		table_link; /* FRAME_PTABLE: pmap lock; in use, or put by: mm/large.h */
		struct {    /* FRAME_OBJECT: object lock */
			struct object *object;
			uint64_t index;
		};
		struct { /* FRAME_SLAB: slab lock */
			struct slab_cache *cache;
			void *slab;
		};
	};
};

#define FRAME_ORDER_MAX 10 /* 4 MiB */

extern struct frame *frame_table; /* indexed by page frame number */

/* frame_alloc() flags */
#define FRAME_ZERO        0x1u
#define FRAME_NOFAIL_BOOT 0x2u /* panics instead of failing; only before the first program */

/*
 * Hands the allocator the frames of [start, end), which must have been FRAME_RESERVED. Page-aligned
 * inwards. frame_table must have entries for the whole of every block of order FRAME_ORDER_MAX that
 * the range touches: merging looks at neighbours. Boot, and tests.
 */
void frame_add_range(paddr_t start, paddr_t end);

/* A block of 2^order frames with refs == 1, or NULL. Never sleeps; any context. */
struct frame *frame_alloc(enum frame_kind kind, unsigned order, unsigned flags);

/* Takes another reference; refs must be > 0. */
void frame_get(struct frame *frame);
/* Drops one; the last one frees the block. */
void frame_put(struct frame *frame);

/* Makes a block 2^order single frames of the same kind, with as many references each as it has had. */
void frame_split(struct frame *block);

static inline uint64_t frame_pfn(const struct frame *frame)
{
	return (uint64_t)(frame - frame_table);
}
static inline paddr_t frame_paddr(const struct frame *frame)
{
	return frame_pfn(frame) << PAGE_SHIFT;
}
/* The frame of an address that is known to be RAM. */
static inline struct frame *frame_of(paddr_t address)
{
	return &frame_table[address >> PAGE_SHIFT];
}
/* Where physical address 0 would be: the direct map; on the host, the test's arena. Set at boot. */
extern uintptr_t physmap;

static inline void *phys_to_virt(paddr_t address)
{
	return (void *)(physmap + address);
}
/* Of a pointer into the direct map only. */
static inline paddr_t virt_to_phys(const void *pointer)
{
	return (uintptr_t)pointer - physmap;
}
static inline void *frame_data(const struct frame *frame)
{
	return phys_to_virt(frame_paddr(frame));
}

struct frame_census {
	uint64_t total; /* frames ever added */
	uint64_t count
		[FRAME_KINDS]; /* by kind; blocks count all their frames under the head's kind */
};
/* Frames in per-CPU caches count as free. Exact only while nothing else allocates. */
void frame_census(struct frame_census *out);
uint64_t frame_free_count(void); /* cheap, approximate under concurrency */
uint64_t frame_total(void);      /* frames ever added */

/* Free blocks by order, for /proc/buddyinfo. */
void frame_buddy_info(uint64_t counts[FRAME_ORDER_MAX + 1]);

/*
 * Called (no lock held, in a thread) when an allocation failed, to free about `frames` frames: asks
 * the page cache, then empties the slab's and the stacks' caches. The number freed. (mm/reclaim.c)
 */
uint64_t frame_reclaim(uint64_t frames);

#endif
