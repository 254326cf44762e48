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
 * the page, or copies it (mm/fault.c, the one rule). The zero page is not counted and not copied. A large
 * page is shared whole (mm/large.h).
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
#include "kernel/string.h"
#include "mm/change.h"
#include "mm/large.h"
#include "mm/pages.h"

#define BATCH 64 /* pages between two looks at the scheduler; their entries are on the stack */

struct fork {
	struct space *parent, *child;
	vaddr_t start, end; /* of what the parent's TLBs must forget; empty if start == end */
};

/* What has been writable a moment ago, and must be flushed whatever becomes of the child. */
static void note_written(struct fork *fork, const struct mapping *pages, unsigned count)
{
	unsigned first = 0, last = count;

	while (first < count && !pages[first].pte.writable)
		first++;
	if (first == count)
		return;
	while (!pages[last - 1].pte.writable)
		last--;
	if (fork->start == fork->end)
		fork->start = pages[first].page; /* they come in order */
	fork->end = pages[last - 1].page + (pages[last - 1].pte.large ? LARGE_SIZE : PAGE_SIZE);
}

/* Shares large pages, and leaves of the others those that are private: in no object. Their number; -ENOMEM. */
static int keep_private(struct fork *fork, struct mapping *pages, unsigned count)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < count; i++) {
		struct pte pte = pages[i].pte;

		if (unlikely(pte.special || pte.large)) {
			int error = pte.large ? large_share(fork->child, &pages[i]) : 0;

			if (error)
				return error;
			continue;
		}
		if (frame_of(pte.address)->kind != FRAME_ANON)
			continue;
		if (kept < i)
			pages[kept] = pages[i];
		kept++;
	}
	return (int)kept;
}

/* The child's entries, and the references that they are. -ENOMEM, with some of them made. */
static int give_pages(struct space *child, const struct mapping *pages, unsigned count)
{
	unsigned given;

	spin_lock(&child->pmap.lock);
	given = pmap_enter_shared(&child->pmap, pages, count);
	for (unsigned i = 0; i < given; i++)
		frame_get(frame_of(pages[i].pte.address));
	child->stats.anon_pages += given;
	space_count_peak(child);
	spin_unlock(&child->pmap.lock);
	return given == count ? 0 : -ENOMEM;
}

/*
 * Nobody faults on the parent's pages and none goes away: its lock is held, and the object's. So between
 * the parent's pmap lock and the child's they stay what they are.
 */
static int share_pages(struct fork *fork, const struct region *region)
{
	struct pmap *from = &fork->parent->pmap;
	int error = 0;

	for (vaddr_t at = region->start; at < region->end && !error;) {
		struct mapping pages[BATCH];
		unsigned count;

		spin_lock(&from->lock);
		count = pmap_collect(from, &at, region->end, PMAP_READ_ONLY, pages, BATCH);
		spin_unlock(&from->lock);
		note_written(fork, pages, count);
		error = keep_private(fork, pages, count);
		if (error > 0)
			error = give_pages(fork->child, pages, (unsigned)error);
		if (sched_needs_resched())
			sched_yield();
	}
	return error;
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
	to->code_start = from->code_start;
	to->code_end = from->code_end;
	to->data_start = from->data_start;
	to->data_end = from->data_end;
	to->stack_start = from->stack_start;
	memcpy(to->auxv, from->auxv, sizeof(to->auxv));
	to->arg_end = from->arg_end;
	to->env_start = from->env_start;
	to->env_end = from->env_end;
	to->limits = from->limits;
	to->never_large = from->never_large;
	to->membarrier_registered = from->membarrier_registered;
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
