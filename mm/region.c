/*
 * mm/region.c - the regions of a space: a red-black tree by address that knows its gaps.
 *
 * Each region carries the free bytes before it (gap_before) and the largest such gap in its subtree
 * (gap_largest), so that the highest gap of a given size is found on one way down:
 *
 *	USER_MIN                                          mmap_top
 *	   |....[aaaa]......[bb][cccc]...........[ddd].......|
 *	     4        6      0           11           the gap above the last is not in the tree
 *
 *	                 [bb]  0 / 11
 *	                /            \
 *	      [aaaa]  4 / 4         [cccc]  …
 *
 * A region that grows down keeps a guard gap below it, which counts as used: mmap stays away from
 * it and the stack can grow until it meets something that was mapped there by address.
 *
 * Stack growth and splitting move bounds in place; the order in the tree never changes by it.
 */
#include "mm/region.h"

#include "mm/slab.h"
#include <linux/mman.h>

static struct slab_cache region_cache;
static const struct space_name_ops *name_ops; /* set once, before the first named region */

void region_init(void)
{
	slab_cache_init(&region_cache, "region", sizeof(struct region), sizeof(void *));
}

void space_register_name_ops(const struct space_name_ops *ops)
{
	name_ops = ops;
}

/* --- the tree --------------------------------------------------------------------------------- */

static int region_compare(const struct region *a, const struct region *b)
{
	return a->start < b->start ? -1 : a->start > b->start;
}

static void augment(struct region *region)
{
	const struct region *left = RB_LEFT(region, link), *right = RB_RIGHT(region, link);
	uint64_t largest = region->gap_before;

	if (left && left->gap_largest > largest)
		largest = left->gap_largest;
	if (right && right->gap_largest > largest)
		largest = right->gap_largest;
	region->gap_largest = largest;
}

#undef RB_AUGMENT
#define RB_AUGMENT(region) augment(region)
RB_GENERATE_STATIC(region_tree, region, link, region_compare)

static void augment_upwards(struct region *region)
{
	for (; region; region = RB_PARENT(region, link))
		augment(region);
}

struct region *space_next(struct region *region)
{
	return RB_NEXT(region_tree, NULL, region);
}

struct region *region_before(struct space *space, struct region *region)
{
	return region ? RB_PREV(region_tree, NULL, region) : RB_MAX(region_tree, &space->regions);
}

struct region *space_find_above(struct space *space, vaddr_t address)
{
	struct region *region = RB_ROOT(&space->regions), *found = NULL;

	assert_locked(rw_held(&space->lock));
	while (region) {
		if (address < region->end) {
			found = region;
			region = RB_LEFT(region, link);
		} else {
			region = RB_RIGHT(region, link);
		}
	}
	return found;
}

struct region *space_find(struct space *space, vaddr_t address)
{
	struct region *region = space_find_above(space, address);

	return region && region->start <= address ? region : NULL;
}

/* --- gaps ------------------------------------------------------------------------------------- */

vaddr_t region_floor(const struct region *region)
{
	if (!(region->flags & REGION_GROWSDOWN))
		return region->start;
	return region->start - MIN(region->start, (vaddr_t)STACK_GUARD_GAP);
}

uint64_t region_gap(struct space *space, struct region *region)
{
	const struct region *previous = region_before(space, region);
	vaddr_t from = previous ? previous->end : USER_MIN;
	vaddr_t to = region_floor(region);

	return to > from ? to - from : 0;
}

static void gap_update(struct space *space, struct region *region)
{
	if (!region)
		return;
	region->gap_before = region_gap(space, region);
	augment_upwards(region);
}

bool gap_is_free(struct space *space, vaddr_t start, uint64_t length)
{
	const struct region *above = space_find_above(space, start);

	return !above || start + length <= region_floor(above);
}

/* The last region of this subtree that begins below `ceiling` and has the gap before it. */
static struct region *last_with_gap(struct region *region, uint64_t length, vaddr_t ceiling)
{
	while (region && region->gap_largest >= length) {
		if (region->start < ceiling) {
			struct region *right =
				last_with_gap(RB_RIGHT(region, link), length, ceiling);

			if (right)
				return right;
			if (region->gap_before >= length)
				return region;
		}
		region = RB_LEFT(region, link);
	}
	return NULL;
}

vaddr_t gap_find(struct space *space, uint64_t length, vaddr_t ceiling)
{
	struct region *above = space_find_above(space, ceiling - 1);
	struct region *below = region_before(space, above);
	vaddr_t from = below ? below->end : USER_MIN;
	vaddr_t to = above ? MIN(region_floor(above), ceiling) : ceiling;
	struct region *region;

	/* The gap that the ceiling cuts, or that nothing bounds from above. */
	if (to > from && to - from >= length)
		return to - length;

	region = last_with_gap(RB_ROOT(&space->regions), length, from);
	return region ? region_floor(region) - length : 0;
}

/* --- changes ---------------------------------------------------------------------------------- */

struct region *region_alloc(void)
{
	return slab_zalloc(&region_cache);
}

void region_set_name(struct region *region, struct file_name *name)
{
	region->name = name;
	if (name)
		name_ops->get(name);
}

void region_free(struct region *region)
{
	if (region->object)
		object_put(region->object);
	if (region->name)
		name_ops->put(region->name);
	slab_free(&region_cache, region);
}

bool region_is_data(uint32_t flags, uint32_t prot)
{
	return (prot & PROT_WRITE) && !(flags & (REGION_SHARED | REGION_GROWSDOWN));
}

uint64_t region_index(const struct region *region, vaddr_t address)
{
	return (address - region->start + region->offset) >> PAGE_SHIFT;
}

/* Adds the region's pages to the space's counts, or takes them away. */
static void count(struct space *space, const struct region *region, int sign)
{
	uint64_t pages = (region->end - region->start) >> PAGE_SHIFT;
	uint64_t delta = sign < 0 ? -pages : pages;

	space->stats.virtual_pages += delta;
	if (region_is_data(region->flags, region->prot))
		space->stats.data_pages += delta;
	if (region->flags & REGION_LOCKED)
		space->stats.locked_pages += delta;
	space->stats.peak_virtual = MAX(space->stats.peak_virtual, space->stats.virtual_pages);
}

static void object_lock(const struct region *region)
{
	if (region->object)
		mutex_lock(&region->object->lock);
}

static void object_unlock(const struct region *region)
{
	if (region->object)
		mutex_unlock(&region->object->lock);
}

/* What an object counts of the regions that map it. */
static bool may_write_object(const struct region *region)
{
	return (region->flags & REGION_SHARED) && (region->max_prot & PROT_WRITE);
}

/* Into the tree, the object's list and the counts; the object's lock is held. */
static void link_in(struct space *space, struct region *region)
{
	struct region *same;

	region->space = space;
	region->gap_before = region->gap_largest = 0;
	same = RB_INSERT(region_tree, &space->regions, region);
	assert(!same);
	gap_update(space, region);
	gap_update(space, space_next(region));
	if (region->object) {
		LIST_INSERT_HEAD(&region->object->regions, region, object_link);
		region->object->writable += may_write_object(region);
	}
	space->region_count++;
	count(space, region, 1);
}

static void unlink(struct space *space, struct region *region)
{
	struct region *next = space_next(region);
	struct region *parent = RB_PARENT(region, link);

	count(space, region, -1);
	space->region_count--;
	if (region->object) {
		LIST_REMOVE(region, object_link);
		region->object->writable -= may_write_object(region);
	}
	RB_REMOVE(region_tree, &space->regions, region);
	augment_upwards(parent);
	gap_update(space, next);
}

void region_insert(struct space *space, struct region *region)
{
	assert_locked(rw_write_held(&space->lock));
	assert(region->start < region->end && region->end <= USER_MAX);
	object_lock(region);
	link_in(space, region);
	object_unlock(region);
}

void region_remove(struct space *space, struct region *region)
{
	assert_locked(rw_write_held(&space->lock));
	object_lock(region);
	unlink(space, region);
	object_unlock(region);
}

void region_split(struct space *space, struct region *region, vaddr_t at, struct region *upper)
{
	assert_locked(rw_write_held(&space->lock));
	assert(at > region->start && at < region->end && IS_ALIGNED(at, PAGE_SIZE));

	*upper = (struct region){
		.start = at,
		.end = region->end,
		.prot = region->prot,
		.max_prot = region->max_prot,
		.flags = region->flags,
		.object = region->object,
		.offset = region->object ? region->offset + (at - region->start) : 0,
	};
	if (upper->object)
		object_get(upper->object);
	region_set_name(upper, region->name);

	object_lock(region);
	count(space, region, -1);
	region->end = at;
	count(space, region, 1);
	link_in(space, upper);
	object_unlock(region);
}

bool region_continues(const struct region *lower, const struct region *upper)
{
	return lower->end == upper->start && lower->prot == upper->prot &&
	       lower->max_prot == upper->max_prot && lower->flags == upper->flags &&
	       lower->object == upper->object && lower->name == upper->name &&
	       (!lower->object || lower->offset + (lower->end - lower->start) == upper->offset);
}

void region_join(struct space *space, struct region *lower, struct region *upper)
{
	vaddr_t end = upper->end;

	assert_locked(rw_write_held(&space->lock));
	assert(region_continues(lower, upper));
	object_lock(lower);
	unlink(space, upper);
	count(space, lower, -1);
	lower->end = end;
	count(space, lower, 1);
	gap_update(space, space_next(lower));
	object_unlock(lower);
}

void region_set_prot(struct space *space, struct region *region, uint32_t prot)
{
	assert_locked(rw_write_held(&space->lock));
	count(space, region, -1);
	region->prot = prot;
	count(space, region, 1);
}

void region_set_flags(struct space *space, struct region *region, uint32_t flags)
{
	const uint32_t fixed = REGION_SHARED | REGION_DEVICE | REGION_GROWSDOWN;

	assert(rw_write_held(&space->lock));
	assert((region->flags & fixed) == (flags & fixed));
	if (flags & REGION_DEVICE)
		flags &= ~(REGION_LOCKED | REGION_LOCKONFAULT);
	count(space, region, -1);
	region->flags = flags;
	count(space, region, 1);
}

void region_extend(struct space *space, struct region *region, vaddr_t end)
{
	assert(rw_write_held(&space->lock));
	assert(end > region->end && end <= USER_MAX);
	object_lock(region);
	count(space, region, -1);
	region->end = end;
	count(space, region, 1);
	gap_update(space, space_next(region));
	object_unlock(region);
}

void region_grow(struct space *space, struct region *region, vaddr_t start)
{
	assert_locked(rw_write_held(&space->lock));
	assert(!region->object && start < region->start);
	count(space, region, -1);
	region->start = start;
	count(space, region, 1);
	gap_update(space, region);
}
