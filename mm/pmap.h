/*
 * mm/pmap.h - the door to the hardware: page tables and TLB, and nothing about policy.
 *
 * mm/x86_64/pmap.c implements it for the processor, tests/host/fake_pmap.c for the host. A PTE is
 * empty, present, or a protnone PTE (a frame kept without any right). Counting frames is the
 * caller's business; SPECIAL marks PTEs whose frame is not counted (the zero page, devices).
 *
 * All functions that take a pmap and an address want pmap->lock held (a spinlock), except where
 * they say otherwise. Addresses are page-aligned and below USER_MAX.
 */
#ifndef HAWSER_MM_PMAP_H
#define HAWSER_MM_PMAP_H

#include "kernel/base.h"
#include "kernel/lock.h"
#include "mm/frame.h"

struct pmap {
	struct spinlock lock;            /* RANK_PMAP */
	struct frame *root;              /* the PML4 */
	uint64_t tables;                 /* page-table frames below the root; lock */
	LIST_HEAD(, frame) table_frames; /* these, by table_link; lock */
	vaddr_t walked;                  /* the block whose table of pages was come to last; lock */
	void *walked_table;              /* that table; lock */
	_Atomic uint64_t generation;     /* raised by every flush that others must see */
	_Atomic uint64_t cpus;           /* bit n: CPU n may hold entries of this pmap */
};

/* One decoded PTE. The flags lie as the processor has them, so that decoding is little more than a copy. */
struct pte {
	paddr_t address;
	uint64_t present : 1; /* a right is there */
	uint64_t writable : 1;
	uint64_t : 3;
	uint64_t accessed : 1, dirty : 1;
	uint64_t large : 1; /* one of the 512 pages of a large page; `address` is the page's own */
	uint64_t : 1;
	uint64_t special : 1;
	uint64_t protnone : 1; /* a frame is kept, no right */
	uint64_t : 52;
	uint64_t executable : 1; /* of what is present */
};
#define pte_empty(p) (!(p).present && !(p).protnone)

/* Rights for pmap_enter(). */
#define PTE_WRITE    0x1u
#define PTE_EXEC     0x2u
#define PTE_SPECIAL  0x4u
#define PTE_NONE     0x8u  /* protnone: keep the frame, give no right */
#define PTE_UNCACHED 0x10u /* devices: write-combining or uncached */

int pmap_create(struct pmap *pmap); /* no lock; -ENOMEM. Copies the kernel's PML4 slots. */
/* Frees the tables; the user half must hold no counted PTE, and no CPU may be using it. No lock. */
void pmap_destroy(struct pmap *pmap);

/*
 * Makes sure that the tables for `address` exist, so that pmap_enter() there cannot fail. Called
 * without the lock; takes it. -ENOMEM.
 */
int pmap_reserve(struct pmap *pmap, vaddr_t address);
int pmap_reserve_locked(struct pmap *pmap, vaddr_t address); /* the same, with the lock held */

/* One pmap_reserve() serves every address of an aligned block of so many bytes. */
#define PMAP_TABLE_SPAN (512 * PAGE_SIZE)

struct pte pmap_get(struct pmap *pmap, vaddr_t address); /* empty if there is no table */

/*
 * Installs a PTE where there is none, or changes one to the same frame. The table must exist.
 * Replacing a frame by another takes all rights away, and a flush, first: pmap_replace().
 */
void pmap_enter(struct pmap *pmap, vaddr_t address, paddr_t frame, unsigned rights);

/* Gives a protnone PTE, which no TLB knows any more, another frame, with rights. */
void pmap_replace(struct pmap *pmap, vaddr_t address, paddr_t frame, unsigned rights);

/* Takes the PTE away by atomic exchange and returns what it was, with A and D. No flush. */
struct pte pmap_clear(struct pmap *pmap, vaddr_t address);

/* Takes rights away (or moves between present and protnone); rights as for pmap_enter(). No flush. */
struct pte pmap_protect(struct pmap *pmap, vaddr_t address, unsigned rights);

/*
 * The first address in [start, end) whose PTE is not empty, or `end`. Skips whole absent tables,
 * so walking a sparse terabyte is cheap.
 */
vaddr_t pmap_next(struct pmap *pmap, vaddr_t start, vaddr_t end);

/* --- many pages at once: what batches are made of --- */

struct mapping {
	vaddr_t page;
	struct pte pte;
};
enum pmap_change {
	PMAP_LOOK,
	PMAP_CLEAR,     /* takes the PTE away, as pmap_clear() */
	PMAP_READ_ONLY, /* takes W away, and no other right */
};
/*
 * The PTEs of [*at, end) that are not empty, as they were before `change` was done to them: at most
 * `max`. Their number; *at moves behind the last. A large page is one mapping, and must lie in the range
 * whole. No flush.
 */
unsigned pmap_collect(struct pmap *pmap, vaddr_t *at, vaddr_t end, enum pmap_change change,
		      struct mapping *out, unsigned max);

/*
 * Enters each mapping, with its rights but W, where there is no PTE yet; makes the tables. How many, from
 * the first on, before memory ran out. Of counted pages only.
 */
unsigned pmap_enter_shared(struct pmap *pmap, const struct mapping *mappings, unsigned count);

/*
 * Enters frames[i] for the i-th page from `address` on, where there is a frame and no PTE; sets
 * frames[i] to NULL where it does not. How many were entered. All within one table, which must exist.
 */
unsigned pmap_enter_absent(struct pmap *pmap, vaddr_t address, struct frame **frames,
			   unsigned count, unsigned rights);

/* --- large pages, of PMAP_TABLE_SPAN bytes: `block` is so aligned --- */

/*
 * 0 if a large page can be entered at the block: its upper tables are there, and neither a page nor a
 * table is (-EEXIST). A frame for the table that demotion will need comes into *deposit, unless one
 * is there. -ENOMEM.
 */
int pmap_reserve_large(struct pmap *pmap, vaddr_t block, struct frame **deposit);
void pmap_enter_large(struct pmap *pmap, vaddr_t block, paddr_t frame, unsigned rights);
/* The large page that is there may be written. */
void pmap_allow_large(struct pmap *pmap, vaddr_t block);
/* Gives the block, which holds nothing, an empty table of pages: the deposit, whatever is in it. */
void pmap_put_table(struct pmap *pmap, vaddr_t block, struct frame *deposit);

/*
 * Frees the page tables that served [start, end) and hold nothing now, as far as all that they span
 * lies in [floor, ceiling), the free range around it. After the flush, with the space's lock held
 * exclusively (a fault may hold a reserved, still empty table). Takes the pmap's lock.
 */
void pmap_prune(struct pmap *pmap, vaddr_t start, vaddr_t end, vaddr_t floor, vaddr_t ceiling);

/*
 * Makes every CPU forget what it cached of [start, end). Returns when it is so. Called without a
 * spinlock held and with interrupts on; not under pmap->lock.
 */
void pmap_flush(struct pmap *pmap, vaddr_t start, vaddr_t end);

/* Loads it on this CPU (NULL: the kernel's own table). Interrupts off. */
void pmap_activate(struct pmap *pmap);

/* Counters of /proc/vmstat. */
struct pmap_stats {
	uint64_t flushes, flushes_avoided, shootdowns;
};
void pmap_get_stats(struct pmap_stats *out);

/* The page that every untouched anonymous page reads from. Never counted. */
extern paddr_t pmap_zero_page;

/* For copies without a mapping: fill and copy one frame by its physical address. */
void pmap_zero_frames(struct frame *frames, uint64_t count); /* that lie one after another */
void pmap_copy_frame(struct frame *to, paddr_t from);

#endif
