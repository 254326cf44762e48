/*
 * mm/space.h - an address space: regions in a tree, a page table, and what may be done to them.
 *
 *	struct space ── regions (red-black tree by start, augmented with the largest gap)
 *	     │              │
 *	     │              └─ struct region [start, end) prot flags object+offset
 *	     └─ struct pmap  the page table (mm/pmap.h)
 *
 * Private anonymous memory has no object: its pages live only in the page table, counted by
 * frame.refs. Errors are those of the manual pages of mmap(2), munmap(2), mprotect(2), brk(2).
 * Every operation reserves, commits, releases: on an error nothing has changed.
 */
#ifndef HAWSER_MM_SPACE_H
#define HAWSER_MM_SPACE_H

#include "kernel/base.h"
#include "kernel/lock.h"
#include "mm/object.h"
#include "mm/pmap.h"
#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

/* Region rights: PROT_READ, PROT_WRITE, PROT_EXEC of <linux/mman.h>. */
#define PROT_ALL 0x7u

/* Region flags. Neighbours that differ in one are not merged. */
#define REGION_SHARED      0x001u /* MAP_SHARED: writes go to the object */
#define REGION_GROWSDOWN   0x002u /* a stack */
#define REGION_DEVICE      0x004u
#define REGION_LOCKED      0x008u /* mlock(2): counted in space_stats.locked_pages */
#define REGION_NORESERVE   0x010u
#define REGION_STACK       0x020u /* the first thread's, named [stack] */
#define REGION_HUGEPAGE    0x040u /* madvise(2): 2 MiB pages wanted */
#define REGION_NOHUGEPAGE  0x080u /* madvise(2): never 2 MiB pages; never with the one above */
#define REGION_DONTFORK    0x100u /* madvise(2): a child does not get it */
#define REGION_WIPEONFORK  0x200u /* madvise(2): a child gets it empty; private anonymous only */
#define REGION_LOCKONFAULT 0x400u /* with REGION_LOCKED: pages come when they are touched */

struct region {
	/* start, end and offset change only with the space's lock and the object's lock held. */
	vaddr_t start, end; /* [start, end), page-aligned */
	uint32_t prot, max_prot;
	uint32_t flags;
	struct object *object;  /* NULL: private anonymous; holds a reference */
	uint64_t offset;        /* bytes into the object of `start` */
	struct file_name *name; /* as /proc/self/maps prints it; counted; see space_name_ops */

	RB_ENTRY(region) link; /* everything above and below: the space's lock */
	uint64_t gap_before;   /* bytes that mmap may use between the predecessor and this region */
	uint64_t gap_largest;  /* the largest gap_before in this subtree */
	struct space *space;
	LIST_ENTRY(region) object_link; /* object->lock */
};

/* Counters for /proc/self/statm and status, in pages; updated under the pmap lock. */
struct space_stats {
	uint64_t virtual_pages; /* in regions; space lock */
	uint64_t data_pages; /* in private writable regions but stacks (RLIMIT_DATA); space lock */
	uint64_t locked_pages; /* in locked regions (RLIMIT_MEMLOCK, VmLck); space lock */
	uint64_t anon_pages, file_pages, shared_pages; /* present */
	uint64_t large_pages;                          /* of 2 MiB, counted in anon_pages too */
	_Atomic uint64_t faults, faults_io;            /* all; those that waited for an object */
	uint64_t peak_virtual, peak_resident;
};

/* Words of an auxiliary vector: room for its types and values, and the two zeroes at its end. */
#define SPACE_AUX_WORDS 48

struct space {
	_Atomic uint32_t refs;
	struct rwlock lock;
	RB_HEAD(region_tree, region) regions; /* lock */
	uint64_t region_count;                /* lock */
	struct pmap pmap;
	LIST_HEAD(, frame) deposits; /* by table_link: a table for each large page; pmap lock */
	vaddr_t brk_start, brk;      /* lock; brk need not be aligned */
	vaddr_t mmap_top;            /* mappings go below this; fixed at exec */
	vaddr_t stack_top;           /* fixed at exec */
	/* For /proc; fixed at exec. */
	vaddr_t arg_start, arg_end, env_start, env_end;
	vaddr_t code_start, code_end, data_start, data_end, stack_start;
	uint64_t auxv[SPACE_AUX_WORDS]; /* the auxiliary vector */

	struct space_limits { /* bytes; UINT64_MAX: none. Copied from RLIMIT_* */
		uint64_t as, data, stack, memlock;
	} limits; /* lock */
	uint32_t
		future_flags; /* lock; mlockall(MCL_FUTURE): REGION_* of what is yet to be mapped */
	bool never_large;     /* lock; PR_SET_THP_DISABLE: no 2 MiB pages */
	_Atomic uint32_t membarrier_registered; /* MEMBARRIER_CMD_*, as bits */
	struct space_stats stats;
};

/* Linux's vm.max_map_count. */
#define SPACE_REGIONS_MAX 65530

struct space *space_create(void); /* empty, refs = 1; NULL without memory */
/*
 * fork(2): a copy in `*out`, refs = 1, whose private pages are shared until one side writes them; shared
 * mappings stay shared. -ENOMEM, with nothing changed that a fault would not mend. May sleep.
 * (mm/fork.c)
 */
int space_fork(struct space *space, struct space **out);
void space_get(struct space *space);
void space_put(struct space *space); /* the last one tears it down; may sleep */

/*
 * Makes it the current thread's and loads it (exec, thread start). NULL: the kernel's own. The
 * caller's reference becomes the thread's; that to the space before it becomes the caller's.
 */
void space_switch(struct space *space);

/* What is to be mapped. */
struct map_request {
	vaddr_t address; /* hint, or fixed */
	uint64_t length; /* bytes, > 0; rounded up to pages */
	uint32_t prot, max_prot;
	uint32_t flags;        /* REGION_* */
	struct object *object; /* NULL: anonymous; the request takes its own reference */
	uint64_t offset;       /* page-aligned */
	struct file_name *name;
	vaddr_t ceiling; /* where it must end, if it is not fixed; 0: anywhere */
	bool fixed;      /* MAP_FIXED: replaces what is there */
	bool noreplace;  /* with fixed: -EEXIST instead */
	bool claimed;    /* the caller has a claim on the object, for object_unclaim() afterwards */
	bool populate;   /* MAP_POPULATE: fault it in, errors ignored */
};
/*
 * Maps; the address in `*out`. -EINVAL, -ENOMEM (no room, RLIMIT_AS/DATA, too many regions),
 * -EEXIST, -EPERM (fixed, below USER_MIN; locked, RLIMIT_MEMLOCK is 0), -EAGAIN (RLIMIT_MEMLOCK),
 * -EOVERFLOW (offset). A neighbour that matches is merged. Locked memory is populated, too.
 */
int space_map(struct space *space, const struct map_request *request, vaddr_t *out);
/* Every page of the range that is mapped is unmapped; holes are no error. -EINVAL, -ENOMEM. */
int space_unmap(struct space *space, vaddr_t start, uint64_t length);
/* Whole range mapped and allowed, or -ENOMEM / -EACCES with nothing changed. */
int space_protect(struct space *space, vaddr_t start, uint64_t length, uint32_t prot);
/* Sets where brk starts: exec, once; page-aligned. */
void space_set_brk_start(struct space *space, vaddr_t start);
/* brk(2) as the kernel has it: returns the new break, or the old one if it could not be had. */
vaddr_t space_brk(struct space *space, vaddr_t wanted);
/*
 * mremap(2) with MREMAP_* flags: resizes in place, or moves pages with the rights that they have.
 * The address in `*out`. -EINVAL, -EFAULT (not one region), -ENOMEM, -EAGAIN (RLIMIT_MEMLOCK).
 * (mm/remap.c)
 */
struct remap_request {
	vaddr_t old;
	uint64_t old_length, new_length;
	uint32_t flags;
	vaddr_t new; /* with MREMAP_FIXED; with MREMAP_DONTUNMAP a hint */
};
int space_remap(struct space *space, const struct remap_request *request, vaddr_t *out);

/* madvise(2) with MADV_* advice, its errors. (mm/advice.c) */
int space_advise(struct space *space, vaddr_t start, uint64_t length, int advice);

/*
 * mlock2(2) and munlock(2): `lock` is 0 to unlock, or REGION_LOCKED with or without
 * REGION_LOCKONFAULT; then the pages are faulted in. -EPERM, -ENOMEM (a hole, RLIMIT_MEMLOCK, a page
 * that cannot be had), -EINVAL, -EAGAIN, -EINTR. (mm/mlock.c)
 */
int space_lock(struct space *space, vaddr_t start, uint64_t length, uint32_t lock);

/* mlockall(2) with MCL_* flags that are in order; 0: munlockall(2). -EPERM, -ENOMEM. */
int space_lock_all(struct space *space, uint32_t flags);

/*
 * mincore(2) for at most `pages` pages from `start`: a byte for each, 1 if it is there. How many it
 * has told of, or -ENOMEM at a hole. (mm/residence.c)
 */
int64_t space_residence(struct space *space, vaddr_t start, uint64_t pages, uint8_t *out);
/* msync(2) with MS_* flags that are in order. -ENOMEM (a hole), -EBUSY. (mm/residence.c) */
int space_sync(struct space *space, vaddr_t start, uint64_t length, int flags);

/* The region that holds `address`, or NULL. Space lock held. */
struct region *space_find(struct space *space, vaddr_t address);
/* The first region that ends above `address`, or NULL. Space lock held. */
struct region *space_find_above(struct space *space, vaddr_t address);
struct region *space_next(struct region *region);

/*
 * The fault path. 0: retry the access; -EFAULT: no region or no right; -EIO: SIGBUS (beyond the
 * object's end, or its fill failed); -ENOMEM; -EINTR. Sleeps; no lock held. `access` is FAULT_*
 * of kernel/trap.h.
 */
int space_fault(struct space *space, vaddr_t address, unsigned access);
/*
 * Copies into a space that need not be the current one, as its program could with its own stores:
 * faults pages in and breaks COW, then copies through the direct map. 0, or an error of
 * space_fault() with some bytes copied. Sleeps; no lock held. (mm/space_access.c)
 */
int space_write(struct space *space, vaddr_t to, const void *from, size_t length);
/* The other way: reads, faulting pages in, as its program could with its own loads. */
int space_read(struct space *space, vaddr_t from, void *to, size_t length);
/* As above with zeroes; `from` is not needed. */
int space_zero(struct space *space, vaddr_t to, size_t length);

/*
 * Registered with kernel/trap.h: space_fault() on the current thread's space. Without memory it waits for
 * somebody to be ended (mm/oom.c).
 */
int space_fault_current(vaddr_t address, unsigned access);

/* Page-table pages below the root, VmPTE of /proc/PID/status. Takes the pmap's lock. */
uint64_t space_tables(struct space *space);

/* Verifies every invariant of docs/memory.md; logs and returns false at the first broken one. */
bool space_check(struct space *space);

/* Region names are counted by whoever makes them (fs): registered once. */
struct space_name_ops {
	void (*get)(struct file_name *name);
	void (*put)(struct file_name *name);
};
void space_register_name_ops(const struct space_name_ops *ops);

/* Once, after the slab works. */
void space_init(void);

#endif
