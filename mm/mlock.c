/*
 * mm/mlock.c - mlock(2), munlock(2), mlockall(2), munlockall(2).
 *
 * There is no swap, so locking keeps nothing from going away that would go otherwise. What it does is
 * what a program can see: the pages are there when it returns, MADV_DONTNEED is refused, and
 * RLIMIT_MEMLOCK counts. Locked is a flag of regions; what fork(2) copies is not locked.
 */
#include "mm/change.h"
#include "mm/populate.h"
#include <linux/mman.h>

#define LOCK_FLAGS (REGION_LOCKED | REGION_LOCKONFAULT)

static uint64_t locked_pages(struct space *space, vaddr_t start, vaddr_t end)
{
	uint64_t bytes = 0;

	for (struct region *r = space_find_above(space, start); r && r->start < end;
	     r = space_next(r))
		if (r->flags & REGION_LOCKED)
			bytes += MIN(r->end, end) - MAX(r->start, start);
	return bytes >> PAGE_SHIFT;
}

static int check_limit(struct space *space, vaddr_t start, vaddr_t end)
{
	uint64_t more = ((end - start) >> PAGE_SHIFT) - locked_pages(space, start, end);

	return change_check_locked(space, REGION_LOCKED, more) ? -ENOMEM : 0;
}

/* Pages without any right could not be faulted in. */
static int check_accessible(const struct region *region)
{
	return region->prot & PROT_ALL ? 0 : -ENOMEM;
}

static bool may_lock(struct space *space)
{
	bool may;

	rw_read_lock(&space->lock);
	may = change_lock_limit(space) > 0;
	rw_read_unlock(&space->lock);
	return may;
}

/* What mlock(2) says when a page cannot be had. */
static int populate_error(int error)
{
	switch (error) {
	case 0:
	case -EINTR:
		return error;
	case -ENOMEM:
		return -EAGAIN;
	default:
		return -ENOMEM;
	}
}

int space_lock(struct space *space, vaddr_t start, uint64_t length, uint32_t lock)
{
	const struct flag_change change = {
		.set = lock,
		.clear = LOCK_FLAGS,
		.check = lock == REGION_LOCKED ? check_accessible : NULL,
		.limit = lock ? check_limit : NULL,
	};
	vaddr_t first = ALIGN_DOWN(start, PAGE_SIZE), end;
	int error;

	if (lock && !may_lock(space))
		return -EPERM;
	/* Lengths wrap to 0 as Linux's do. */
	length = ALIGN_UP(length + (start & PAGE_MASK), PAGE_SIZE);
	if (__builtin_add_overflow(first, length, &end))
		return -EINVAL;
	if (length == 0)
		return 0;
	if (!user_range_ok(first, length))
		return -ENOMEM;
	error = change_flags(space, first, end, &change);
	if (!error && lock)
		error = populate_error(populate(space, first, end, POPULATE_OWN));
	return error;
}

/* Each region is wholly inside: there is nothing to cut, and nothing that could fail. */
static void lock_regions(struct space *space, uint32_t lock, struct change *change)
{
	for (struct region *r = space_find_above(space, 0); r; r = space_next(r))
		region_set_flags(space, r, (r->flags & ~LOCK_FLAGS) | lock);
	change_merge(space, USER_MIN, USER_MAX, change);
}

/* What of all that is mapped can be had; the rest is no error. */
static void populate_all(struct space *space)
{
	vaddr_t at = 0;
	int error;

	do {
		struct region *region;
		vaddr_t end;

		rw_read_lock(&space->lock);
		region = space_find_above(space, at);
		at = region ? region->start : USER_MAX;
		end = region ? region->end : USER_MAX;
		rw_read_unlock(&space->lock);
		error = populate(space, at, end, POPULATE_OWN);
		at = end;
	} while (at < USER_MAX && error != -EINTR);
}

int space_lock_all(struct space *space, uint32_t flags)
{
	uint32_t lock =
		flags == 0 ? 0 : REGION_LOCKED | (flags & MCL_ONFAULT ? REGION_LOCKONFAULT : 0);
	bool current_too = flags == 0 || (flags & MCL_CURRENT);
	struct change change = CHANGE_NONE;
	uint64_t limit;
	int error = 0;

	rw_write_lock(&space->lock);
	limit = change_lock_limit(space);
	if (lock && limit == 0)
		error = -EPERM;
	else if (lock && current_too && limit != UINT64_MAX &&
		 space->stats.virtual_pages > limit >> PAGE_SHIFT)
		error = -ENOMEM;
	if (!error) {
		space->future_flags = flags & MCL_FUTURE ? lock : 0;
		if (current_too)
			lock_regions(space, lock, &change);
	}
	rw_write_unlock(&space->lock);
	change_release(&change);
	if (!error && (flags & MCL_CURRENT))
		populate_all(space);
	return error;
}
