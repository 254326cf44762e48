/*
 * mm/advice.c - madvise(2): contents dropped, pages brought in, flags for fork and large pages, hints.
 *
 *	advice             on what                      does
 *	DONTNEED           all but locked and devices   pages go; private ones are zero or the file's again
 *	DONTNEED_LOCKED    all but devices              the same
 *	FREE               private anonymous            the same, at once: there is nothing to wait for
 *	REMOVE             shared, writable             a hole is punched into the object
 *	POPULATE_READ …    all but devices              pages come, or an error says why not
 *	DONTFORK … HUGEPAGE                             a flag of the region is set or cleared
 *	NORMAL … PAGEOUT                                hints: there is no swap, no read-ahead, no core file
 *
 * A hole in the range is ENOMEM, after what is mapped has been done. Unlike Linux, which stops half
 * way, nothing is done if a region of the range must not be advised so.
 */
#include "mm/change.h"
#include "mm/pages.h"
#include "mm/populate.h"
#include <linux/mman.h>

/* --- what may be advised, region by region ---------------------------------------------------- */

static int not_device(const struct region *region)
{
	return region->flags & REGION_DEVICE ? -EINVAL : 0;
}

static int not_locked(const struct region *region)
{
	return region->flags & (REGION_DEVICE | REGION_LOCKED) ? -EINVAL : 0;
}

static int private_anonymous(const struct region *region)
{
	return region->object ? -EINVAL : 0;
}

static int private_unlocked(const struct region *region)
{
	return region->object ? -EINVAL : not_locked(region);
}

/* --- what is done ----------------------------------------------------------------------------- */

/* Space lock held. */
static int check_regions(struct space *space, vaddr_t start, vaddr_t end,
			 int (*check)(const struct region *region))
{
	for (struct region *r = space_find_above(space, start); r && r->start < end;
	     r = space_next(r)) {
		int error = check ? check(r) : 0;

		if (error)
			return error;
	}
	return 0;
}

static int hint(struct space *space, vaddr_t start, vaddr_t end,
		int (*check)(const struct region *region))
{
	int error;

	rw_read_lock(&space->lock);
	error = check_regions(space, start, end, check);
	if (!error && !change_all_mapped(space, start, end))
		error = -ENOMEM;
	rw_read_unlock(&space->lock);
	return error;
}

static int discard(struct space *space, vaddr_t start, vaddr_t end,
		   int (*check)(const struct region *region))
{
	int error;

	rw_write_lock(&space->lock);
	error = check_regions(space, start, end, check);
	if (!error) {
		for (struct region *r = space_find_above(space, start); r && r->start < end;
		     r = space_next(r))
			pages_unmap(space, MAX(r->start, start), MIN(r->end, end));
		if (!change_all_mapped(space, start, end))
			error = -ENOMEM;
	}
	rw_write_unlock(&space->lock);
	return error;
}

/* madvise(2), MADV_REMOVE: what is shared, and may be written. */
static int check_remove(const struct region *region)
{
	if (not_locked(region) != 0 || !region->object || !region->object->ops->punch)
		return -EINVAL;
	return (region->flags & REGION_SHARED) && (region->max_prot & PROT_WRITE) ? 0 : -EACCES;
}

/* The object of the first region above `*at`, with a reference, and which bytes of it are meant. */
static int find_remove(struct space *space, vaddr_t *at, vaddr_t end, struct object **object,
		       uint64_t bytes[2])
{
	const struct region *region;
	int error = -ENOENT;

	rw_read_lock(&space->lock);
	region = space_find_above(space, *at);
	if (region && region->start < end) {
		vaddr_t from = MAX(*at, region->start);

		*at = MIN(region->end, end);
		error = check_remove(region);
		if (!error) {
			object_get(region->object);
			*object = region->object;
			bytes[0] = region->offset + (from - region->start);
			bytes[1] = region->offset + (*at - region->start);
		}
	}
	rw_read_unlock(&space->lock);
	return error;
}

/* An object is written with no lock of the space held: other threads may map and unmap meanwhile. */
static int remove_range(struct space *space, vaddr_t start, vaddr_t end)
{
	struct object *object;
	uint64_t bytes[2];
	vaddr_t at = start;
	int error = hint(space, start, end, check_remove);

	if (error != 0 && error != -ENOMEM)
		return error;
	while (at < end) {
		int failed = find_remove(space, &at, end, &object, bytes);

		if (failed == -ENOENT)
			break;
		if (failed == 0) {
			failed = object->ops->punch(object, bytes[0], bytes[1]);
			object_put(object);
		}
		if (failed != 0)
			return failed;
	}
	return error;
}

static int populate_range(struct space *space, vaddr_t start, vaddr_t end, enum populate how)
{
	int error = populate(space, start, end, how);

	switch (error) {
	case -ENOENT:
		return -ENOMEM;
	case -EACCES:
		return -EINVAL;
	case -EIO:
		return -EFAULT;
	default:
		return error;
	}
}

static int set_flags(struct space *space, vaddr_t start, vaddr_t end, uint32_t set, uint32_t clear,
		     int (*check)(const struct region *region))
{
	const struct flag_change change = {
		.set = set,
		.clear = clear,
		.check = check,
		.holes = true,
	};

	return change_flags(space, start, end, &change);
}

static int advise(struct space *space, vaddr_t start, vaddr_t end, int advice)
{
	switch (advice) {
	case MADV_DONTNEED:
		return discard(space, start, end, not_locked);
	case MADV_DONTNEED_LOCKED:
		return discard(space, start, end, not_device);
	case MADV_REMOVE:
		return remove_range(space, start, end);
	case MADV_FREE:
		return discard(space, start, end, private_unlocked);
	case MADV_POPULATE_READ:
		return populate_range(space, start, end, POPULATE_READ);
	case MADV_POPULATE_WRITE:
		return populate_range(space, start, end, POPULATE_WRITE);
	case MADV_DONTFORK:
		return set_flags(space, start, end, REGION_DONTFORK, 0, NULL);
	case MADV_DOFORK:
		return set_flags(space, start, end, 0, REGION_DONTFORK, not_device);
	case MADV_WIPEONFORK:
		return set_flags(space, start, end, REGION_WIPEONFORK, 0, private_anonymous);
	case MADV_KEEPONFORK:
		return set_flags(space, start, end, 0, REGION_WIPEONFORK, NULL);
	case MADV_HUGEPAGE:
		return set_flags(space, start, end, REGION_HUGEPAGE, REGION_NOHUGEPAGE, NULL);
	case MADV_NOHUGEPAGE:
		return set_flags(space, start, end, REGION_NOHUGEPAGE, REGION_HUGEPAGE, NULL);
	case MADV_COLD:
	case MADV_PAGEOUT:
		return hint(space, start, end, not_locked);
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_MERGEABLE:
	case MADV_UNMERGEABLE:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
		return hint(space, start, end, NULL);
	default:
		return -EINVAL;
	}
}

/* Advice that nobody knows is EINVAL for an empty range, too. */
static bool is_known(int advice)
{
	return (advice >= MADV_NORMAL && advice <= MADV_DONTNEED) ||
	       (advice >= MADV_FREE && advice <= MADV_DONTNEED_LOCKED);
}

int space_advise(struct space *space, vaddr_t start, uint64_t length, int advice)
{
	uint64_t whole = ALIGN_UP(length, PAGE_SIZE);
	vaddr_t end;

	if (!is_known(advice) || !IS_ALIGNED(start, PAGE_SIZE) || (length > 0 && whole == 0))
		return -EINVAL;
	if (__builtin_add_overflow(start, whole, &end))
		return -EINVAL;
	if (whole == 0)
		return 0;
	/* Part of it cannot be mapped: such a length is a mistake, and what it reaches is left alone. */
	return end <= USER_MAX ? advise(space, start, end, advice) : -ENOMEM;
}
