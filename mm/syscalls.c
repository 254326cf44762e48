/*
 * mm/syscalls.c - munmap(2), mprotect(2), brk(2) and madvise(2) on the calling thread's space.
 *
 * mmap(2) knows descriptors and is in fs/.
 */
#include "kernel/sched.h"
#include "kernel/syscall.h"
#include "mm/space.h"
#include <linux/mman.h>

SYSCALL2(munmap, vaddr_t, start, size_t, length)
{
	return space_unmap(current->space, start, length);
}

SYSCALL1(brk, vaddr_t, wanted)
{
	return (int64_t)space_brk(current->space, wanted);
}

/* PROT_GROWSDOWN: the change reaches down to the start of the stack that `*start` is in. */
static int extend_down(struct space *space, vaddr_t *start, size_t *length)
{
	struct region *region;
	int error = 0;

	rw_read_lock(&space->lock);
	region = space_find_above(space, *start);
	if (!region || region->start >= *start + *length) {
		error = -ENOMEM;
	} else if (!(region->flags & REGION_GROWSDOWN)) {
		error = -EINVAL;
	} else {
		*length += *start - region->start;
		*start = region->start;
	}
	rw_read_unlock(&space->lock);
	return error;
}

SYSCALL3(mprotect, vaddr_t, start, size_t, length, uint64_t, prot)
{
	struct space *space = current->space;
	int error;

	if (prot & ~(uint64_t)(PROT_ALL | PROT_SEM | PROT_GROWSDOWN))
		return -EINVAL;
	if (!IS_ALIGNED(start, PAGE_SIZE))
		return -EINVAL;
	if ((prot & PROT_GROWSDOWN) && length > 0) {
		if (!user_range_ok(start, length))
			return -ENOMEM;
		error = extend_down(space, &start, &length);
		if (error)
			return error;
	}
	return space_protect(space, start, length, prot & PROT_ALL);
}

/* 0 if every page of the range is mapped, otherwise -ENOMEM. */
static int check_mapped(struct space *space, vaddr_t start, vaddr_t end)
{
	struct region *region;
	vaddr_t at = start;

	rw_read_lock(&space->lock);
	region = space_find(space, start);
	for (; region && region->start <= at && at < end; region = space_next(region))
		at = region->end;
	rw_read_unlock(&space->lock);
	return at >= end ? 0 : -ENOMEM;
}

/* 0 if the range has nothing but private anonymous memory (or holes), otherwise -EINVAL. */
static int check_anonymous(struct space *space, vaddr_t start, vaddr_t end)
{
	int error = 0;

	rw_read_lock(&space->lock);
	for (struct region *r = space_find_above(space, start); r && r->start < end;
	     r = space_next(r))
		if (r->object)
			error = -EINVAL;
	rw_read_unlock(&space->lock);
	return error;
}

SYSCALL3(madvise, vaddr_t, start, size_t, length, int, advice)
{
	struct space *space = current->space;
	vaddr_t end;
	int error;

	if (!IS_ALIGNED(start, PAGE_SIZE) || !user_range_ok(start, length))
		return -EINVAL;
	end = ALIGN_UP(start + length, PAGE_SIZE);

	switch (advice) {
	case MADV_FREE:
		error = check_anonymous(space, start, end);
		return error ? error : space_discard(space, start, length);
	case MADV_DONTNEED:
		return space_discard(space, start, length);
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_MERGEABLE:
	case MADV_UNMERGEABLE:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
		/* Hints. There is no swap, no read-ahead to steer and no core file. */
		return length > 0 ? check_mapped(space, start, end) : 0;
	default:
		return -EINVAL;
	}
}
