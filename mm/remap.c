/*
 * mm/remap.c - mremap(2): a mapping becomes longer, shorter, or moves with its pages.
 *
 *	longer, room behind    [aaaa]....[bb]      ->  [aaaaaa]..[bb]
 *	shorter                [aaaaaaaa]          ->  [aaaa]
 *	longer, no room        [aaaa][bb]......    ->  ....[bb][aaaaaa]
 *	                        p.p.                            p.p...
 *
 * Moving is no copying: page-table entries are taken out here and put in there, with the rights that
 * they have. This is the one place besides faults where a writable entry is made, and none becomes
 * writable that was not. The frames' counts stay as they are.
 *
 * The new region is in the tree before the pages move and the old one after, and the object's lock is
 * held meanwhile, so that truncation finds each page in a region at any time.
 */
#include "kernel/sched.h"
#include "mm/change.h"
#include "mm/large.h"
#include "mm/populate.h"
#include <linux/mman.h>

#define BATCH 128 /* entries moved between two looks at the scheduler */

/* A request whose arguments are in order. */
struct remap {
	vaddr_t old, new; /* `new`: fixed, or a hint, and in the end where it is */
	uint64_t old_length, new_length;
	bool may_move, fixed, keep; /* MREMAP_MAYMOVE, _FIXED, _DONTUNMAP */
	uint64_t populate_from;     /* locked memory has grown: fault it in from this offset on */
};

/* Arguments that no state of the space could make right. Lengths wrap to 0 as Linux's do. */
static int check_request(const struct remap_request *request, struct remap *r)
{
	const uint32_t known = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;

	*r = (struct remap){
		.old = request->old,
		.new = request->new,
		.old_length = ALIGN_UP(request->old_length, PAGE_SIZE),
		.new_length = ALIGN_UP(request->new_length, PAGE_SIZE),
		.may_move = request->flags &MREMAP_MAYMOVE,
		.fixed = request->flags &MREMAP_FIXED,
		.keep = request->flags &MREMAP_DONTUNMAP,
	};
	if ((request->flags & ~known) || !IS_ALIGNED(r->old, PAGE_SIZE))
		return -EINVAL;
	if (r->new_length == 0 || r->new_length > USER_MAX)
		return -EINVAL;
	if (!r->fixed && !r->keep) {
		r->new = 0;
		return 0;
	}
	if (!r->may_move || !IS_ALIGNED(r->new, PAGE_SIZE) || r->new > USER_MAX - r->new_length)
		return -EINVAL;
	if (r->keep && r->old_length != r->new_length)
		return -EINVAL;
	if (r->old + r->old_length > r->new && r->new + r->new_length > r->old)
		return -EINVAL;
	return r->fixed && r->new < USER_MIN ? -EPERM : 0;
}

/* May what `region` holds at the old address become a mapping of the new length? */
static int check_source(const struct space *space, const struct region *region,
			const struct remap *r)
{
	uint64_t more = r->keep ? r->new_length : r->new_length - r->old_length;
	uint64_t end;
	int error;

	/* Length 0 means a second mapping of the same. Private memory has no second mapping. */
	if (r->old_length == 0 && !(region->flags & REGION_SHARED))
		return -EINVAL;
	if (r->keep && (region->flags & REGION_DEVICE))
		return -EINVAL;
	if (r->old_length == 0 && r->new == r->old)
		return -EFAULT; /* the second would take the place of the first */
	if (MIN(r->old_length, r->new_length) > region->end - r->old)
		return -EFAULT;
	if (r->new_length < r->old_length || more == 0)
		return 0;
	if (region->object &&
	    __builtin_add_overflow(region->offset + (r->old - region->start), r->new_length, &end))
		return -EINVAL;
	if (region->flags & REGION_DEVICE)
		return -EFAULT;
	error = r->keep ? 0 : change_check_locked(space, region->flags, more >> PAGE_SHIFT);
	if (error)
		return error;
	return change_check_limits(space, region->flags, region->prot, more >> PAGE_SHIFT);
}

/* --- in place --------------------------------------------------------------------------------- */

static int shrink(struct space *space, const struct remap *r, struct change *change)
{
	vaddr_t start = r->old + r->new_length, end = r->old + r->old_length;
	int error;

	if (end < start || end > USER_MAX)
		return -EINVAL;
	error = change_reserve_unmap(space, start, end, change);
	if (!error)
		change_unmap(space, start, end, change);
	return error;
}

/* True if the mapping reaches the end of its region, and there is nothing where it would grow. */
static bool can_extend(struct space *space, const struct region *region, const struct remap *r)
{
	vaddr_t end = r->old + r->new_length;

	return r->old_length == region->end - r->old && end <= USER_MAX &&
	       !change_any_mapped(space, region->end, end);
}

static void extend(struct space *space, struct region *region, const struct remap *r,
		   struct change *change)
{
	vaddr_t end = r->old + r->new_length;

	region_extend(space, region, end);
	change_merge(space, end, end, change);
}

/* --- moving ----------------------------------------------------------------------------------- */

/* Page tables for every page that will arrive. */
static int reserve_tables(struct space *space, const struct remap *r)
{
	struct pmap *pmap = &space->pmap;
	vaddr_t at = r->old, end = r->old + MIN(r->old_length, r->new_length);
	int error = 0;

	while (!error) {
		vaddr_t to;

		spin_lock(&pmap->lock);
		at = pmap_next(pmap, at, end);
		spin_unlock(&pmap->lock);
		if (at >= end)
			break;
		to = r->new + (at - r->old);
		error = pmap_reserve(pmap, to);
		at += ALIGN_DOWN(to, PMAP_TABLE_SPAN) + PMAP_TABLE_SPAN - to;
	}
	/* What is empty is in nobody's use: the space's lock is held exclusively. */
	if (error)
		pmap_prune(pmap, r->new, r->new + r->new_length, 0, USER_MAX);
	return error;
}

static int reserve_move(struct space *space, struct remap *r, struct change *change)
{
	vaddr_t old_end = r->old + r->old_length;
	unsigned spares = 1;
	int error;

	if (old_end < r->old || old_end > USER_MAX)
		return -EINVAL;
	if (!r->fixed)
		r->new = change_find_room(space, r->new, r->new_length);
	if (r->new == 0)
		return -ENOMEM;
	spares += change_cuts(space, r->new, r->new + r->new_length);
	if (r->old_length > 0)
		spares += change_cuts(space, r->old, old_end);
	if (r->new_length < r->old_length)
		spares += change_cuts(space, r->old + r->new_length, r->old + r->new_length) / 2;
	if (space->region_count + spares > SPACE_REGIONS_MAX)
		return -ENOMEM;
	error = change_reserve(change, spares);
	if (!error) {
		/* Pages move one by one, and into tables that are there. */
		large_demote_range(space, r->old, old_end);
		large_demote_range(space, r->new, r->new + r->new_length);
		error = reserve_tables(space, r);
		change->starved = error != 0;
	}
	return error;
}

static struct region *insert_new(struct space *space, const struct region *from,
				 const struct remap *r, struct change *change)
{
	struct region *region = change_spare(change);

	*region = (struct region){
		.start = r->new,
		.end = r->new + r->new_length,
		.prot = from->prot,
		.max_prot = from->max_prot,
		.flags = from->flags & ~REGION_STACK,
		.object = from->object,
		.offset = from->object ? from->offset + (r->old - from->start) : 0,
	};
	if (region->object)
		object_get(region->object);
	region_set_name(region, from->name);
	region_insert(space, region);
	return region;
}

/* Moves an entry; a device's holds nothing, and the next fault makes it anew. Pmap lock held. */
static void move_page(struct pmap *pmap, vaddr_t from, vaddr_t to, bool device)
{
	struct pte pte = pmap_clear(pmap, from);

	if (device)
		return;
	pmap_enter(pmap, to, pte.address,
		   (pte.writable ? PTE_WRITE : 0) | (pte.executable ? PTE_EXEC : 0) |
			   (pte.special ? PTE_SPECIAL : 0) | (pte.protnone ? PTE_NONE : 0));
}

static void move_pages(struct space *space, const struct region *region, vaddr_t from, vaddr_t to,
		       uint64_t length)
{
	struct pmap *pmap = &space->pmap;
	bool device = region->flags & REGION_DEVICE, moved = false;
	vaddr_t at = from, end = from + length;

	if (region->object)
		mutex_lock(&region->object->lock);
	while (at < end) {
		spin_lock(&pmap->lock);
		for (unsigned i = 0; i < BATCH && (at = pmap_next(pmap, at, end)) < end; i++) {
			move_page(pmap, at, to + (at - from), device);
			moved = true;
			at += PAGE_SIZE;
		}
		spin_unlock(&pmap->lock);
		if (sched_needs_resched())
			sched_yield();
	}
	if (moved)
		pmap_flush(pmap, from, end);
	if (region->object)
		mutex_unlock(&region->object->lock);
}

/* MREMAP_DONTUNMAP: the old range stays, empty. Its pages are locked where they are now. */
static void unlock_old(struct space *space, const struct remap *r)
{
	struct region *region = space_find(space, r->old);

	region_set_flags(space, region, region->flags & ~(REGION_LOCKED | REGION_LOCKONFAULT));
}

static void commit_move(struct space *space, const struct remap *r, struct change *change)
{
	uint64_t kept = MIN(r->old_length, r->new_length);
	vaddr_t new_end = r->new + r->new_length, old_end = r->old + r->old_length;
	const struct region *region;

	if (change_any_mapped(space, r->new, new_end)) {
		change_cut(space, r->new, new_end, change);
		change_remove(space, r->new, new_end, change);
	}
	if (r->old_length > 0)
		change_cut(space, r->old, old_end, change);
	region = insert_new(space, space_find(space, r->old), r, change);
	if (kept < r->old_length)
		change_unmap(space, r->old + kept, old_end, change);
	move_pages(space, region, r->old, r->new, kept);
	if (r->keep)
		unlock_old(space, r);
	else if (kept > 0)
		change_unmap(space, r->old, r->old + kept, change);
	change_merge(space, r->old, old_end, change);
	change_merge(space, r->new, new_end, change);
}

static int try_remap(struct space *space, struct remap *r, struct change *change)
{
	struct region *region = space_find(space, r->old);
	bool stays = !r->fixed && !r->keep, fills;
	int error;

	if (!region)
		return -EFAULT;
	if (stays && r->new_length <= r->old_length) {
		r->new = r->old;
		return r->new_length < r->old_length ? shrink(space, r, change) : 0;
	}
	error = check_source(space, region, r);
	if (error)
		return error;
	fills = (region->flags & REGION_LOCKED) && !(region->flags & REGION_LOCKONFAULT);
	if (stays && can_extend(space, region, r)) {
		extend(space, region, r, change);
		r->new = r->old;
	} else {
		if (!r->may_move)
			return -ENOMEM;
		error = reserve_move(space, r, change);
		if (error)
			return error;
		commit_move(space, r, change);
	}
	if (fills)
		r->populate_from = MIN(r->old_length, r->new_length);
	return 0;
}

int space_remap(struct space *space, const struct remap_request *request, vaddr_t *out)
{
	struct change change = CHANGE_NONE;
	struct remap wanted, r;
	int error = check_request(request, &wanted);

	if (error)
		return error;
	wanted.populate_from = wanted.new_length;
	do {
		r = wanted;
		rw_write_lock(&space->lock);
		error = try_remap(space, &r, &change);
		rw_write_unlock(&space->lock);
	} while (error && change_retry(&change));
	change_release(&change);
	if (error)
		return error;
	*out = r.new;
	/* As on Linux, what cannot be had now is no error: it comes when it is touched. */
	if (r.populate_from < r.new_length)
		populate(space, r.new + r.populate_from, r.new + r.new_length, POPULATE_OWN);
	return 0;
}
