/*
 * mm/fork.c - a second address space that is like the first, and shares what it can.
 *
 *	parent  [wwwwww][rr]  [SS]        regions: all, and their objects with them
 *	         a.az..  f     f          pages
 *
 *	child   [wwwwww][rr]  [SS]
 *	         a.a...                   only private pages; the rest comes back by faults
 *
 * A private page is from now on in two page tables, its frame counted twice, and neither may write
 * it: the parent's right is taken away here, and a fault gives it back to whoever is the last to have
 * the page, or copies it (mm/fault.c, the one rule). The zero page is not counted and not copied.
 *
 * The parent's TLBs are flushed once, at the end, before its lock is released: until then other
 * threads of the parent may still write through a stale entry, which is why the child does not run
 * before. If memory runs out half way the child is destroyed; the parent's pages that have become
 * read-only have one owner again, and faults find that out.
 *
 * An object's lock is held while a region's pages are copied, as truncation has only that lock: it
 * comes before, and the pages are gone from the parent, or after, and finds both regions.
 */
#include "kernel/sched.h"
#include "mm/change.h"
#include "mm/pages.h"

#define BATCH 64 /* pages between two looks at the scheduler; their entries are on the stack */

/* A page on its way to the child. */
struct passenger {
	vaddr_t page;
	struct frame *frame; /* with the reference that the child's entry will be */
	unsigned rights;
};

struct fork {
	struct space *parent, *child;
	vaddr_t start, end; /* of what the parent's TLBs must forget; empty if start == end */
};

static void must_flush(struct fork *fork, vaddr_t page)
{
	if (fork->start == fork->end)
		fork->start = page;
	fork->start = MIN(fork->start, page);
	fork->end = MAX(fork->end, page + PAGE_SIZE);
}

/* Private pages: those that are in no object. */
static bool is_private(struct pte pte)
{
	return !pte.special && frame_of(pte.address)->kind == FRAME_ANON;
}

/* Takes W from the parent's entry and a reference for the child's. Pmap lock held. */
static struct passenger share_page(struct fork *fork, vaddr_t page, struct pte pte)
{
	struct passenger p = {
		.page = page,
		.frame = frame_of(pte.address),
		.rights = (pte.executable ? PTE_EXEC : 0) | (pte.protnone ? PTE_NONE : 0),
	};

	frame_get(p.frame);
	if (pte.writable) {
		pmap_protect(&fork->parent->pmap, page, p.rights);
		must_flush(fork, page);
	}
	return p;
}

/*
 * Shares the private pages of [at, end), which lie within one page table of the child that is there,
 * but not more than a batch. Where it got to.
 */
static vaddr_t share_batch(struct fork *fork, vaddr_t at, vaddr_t end)
{
	struct pmap *from = &fork->parent->pmap, *to = &fork->child->pmap;
	struct passenger passengers[BATCH];
	unsigned count = 0;

	spin_lock(&from->lock);
	while (count < BATCH && (at = pmap_next(from, at, end)) < end) {
		struct pte pte = pmap_get(from, at);

		if (is_private(pte))
			passengers[count++] = share_page(fork, at, pte);
		at += PAGE_SIZE;
	}
	spin_unlock(&from->lock);

	spin_lock(&to->lock);
	for (unsigned i = 0; i < count; i++) {
		const struct passenger *p = &passengers[i];

		pmap_enter(to, p->page, frame_paddr(p->frame), p->rights);
		pages_count(fork->child, p->frame, 1);
	}
	spin_unlock(&to->lock);
	return at;
}

/* The first private page of [at, end), or `end`. */
static vaddr_t next_private(struct pmap *pmap, vaddr_t at, vaddr_t end)
{
	spin_lock(&pmap->lock);
	while ((at = pmap_next(pmap, at, end)) < end && !is_private(pmap_get(pmap, at)))
		at += PAGE_SIZE;
	spin_unlock(&pmap->lock);
	return at;
}

static int share_pages(struct fork *fork, const struct region *region)
{
	struct pmap *pmap = &fork->parent->pmap;
	vaddr_t at = region->start;

	while ((at = next_private(pmap, at, region->end)) < region->end) {
		vaddr_t stop = MIN(ALIGN_DOWN(at, PMAP_TABLE_SPAN) + PMAP_TABLE_SPAN, region->end);
		int error = pmap_reserve(&fork->child->pmap, at);

		if (error)
			return error;
		while (at < stop) {
			at = share_batch(fork, at, stop);
			if (sched_needs_resched())
				sched_yield();
		}
	}
	return 0;
}

/* The region, and its pages if they can be private. Locks of memory are not inherited: mlock(2). */
static int copy_region(struct fork *fork, const struct region *region)
{
	struct region *copy;
	int error;

	if (region->flags & REGION_DONTFORK)
		return 0;
	copy = region_alloc();
	if (!copy)
		return -ENOMEM;
	*copy = (struct region){
		.start = region->start,
		.end = region->end,
		.prot = region->prot,
		.max_prot = region->max_prot,
		.flags = region->flags & ~(REGION_LOCKED | REGION_LOCKONFAULT),
		.object = region->object,
		.offset = region->offset,
	};
	if (copy->object)
		object_get(copy->object);
	region_set_name(copy, region->name);
	region_insert(fork->child, copy);

	if (region->flags & (REGION_SHARED | REGION_DEVICE | REGION_WIPEONFORK))
		return 0;
	if (region->object)
		mutex_lock(&region->object->lock);
	error = share_pages(fork, region);
	if (region->object)
		mutex_unlock(&region->object->lock);
	return error;
}

static void copy_properties(const struct space *from, struct space *to)
{
	to->brk_start = from->brk_start;
	to->brk = from->brk;
	to->mmap_top = from->mmap_top;
	to->stack_top = from->stack_top;
	to->arg_start = from->arg_start;
	to->arg_end = from->arg_end;
	to->env_start = from->env_start;
	to->env_end = from->env_end;
	to->limits = from->limits;
}

/* Two locks of one rank: the lower address first. Nobody else knows the child. */
static void lock_both(struct fork *fork)
{
	rw_write_lock(&MIN(fork->parent, fork->child)->lock);
	rw_write_lock(&MAX(fork->parent, fork->child)->lock);
}

static int fill_child(struct fork *fork, struct change *change)
{
	struct region *region;
	int error = 0;

	lock_both(fork);
	copy_properties(fork->parent, fork->child);
	for (region = space_find_above(fork->parent, 0); region && !error;
	     region = space_next(region))
		error = copy_region(fork, region);
	/* Regions that only a lock told apart are alike now. */
	if (!error)
		change_merge(fork->child, USER_MIN, USER_MAX, change);
	if (fork->start < fork->end)
		pmap_flush(&fork->parent->pmap, fork->start, fork->end);
	rw_write_unlock(&fork->child->lock);
	rw_write_unlock(&fork->parent->lock);
	return error;
}

static int try_fork(struct space *parent, struct space **out)
{
	struct fork fork = { .parent = parent, .child = space_create() };
	struct change change = CHANGE_NONE;
	int error;

	if (!fork.child)
		return -ENOMEM;
	error = fill_child(&fork, &change);
	change_release(&change);
	if (error)
		space_put(fork.child);
	else
		*out = fork.child;
	return error;
}

int space_fork(struct space *space, struct space **out)
{
	int error;

	might_sleep();
	error = try_fork(space, out);
	if (error == -ENOMEM) {
		frame_reclaim(1);
		error = try_fork(space, out);
	}
	return error;
}
