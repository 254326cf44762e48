/*
 * mm/syscalls.c - the calls on the calling thread's space, from their arguments to mm/space.h.
 *
 * mmap(2) knows descriptors and is in fs/.
 */
#include "kernel/sched.h"
#include "kernel/syscall.h"
#include "mm/space.h"
#include "mm/user.h"
#include <linux/mman.h>

SYSCALL2(munmap, vaddr_t, start, size_t, length)
{
	return space_unmap(current->space, start, length);
}

SYSCALL1(brk, vaddr_t, wanted)
{
	return (int64_t)space_brk(current->space, wanted);
}

/*
 * PROT_GROWSDOWN: the change reaches down to the start of the stack that `*start` is in. Nothing grows
 * up: PROT_GROWSUP finds no region either.
 */
static int extend_down(struct space *space, uint64_t grows, vaddr_t *start, size_t *length)
{
	struct region *region;
	int error = 0;

	rw_read_lock(&space->lock);
	region = space_find_above(space, *start);
	if (!region || region->start >= *start + *length) {
		error = -ENOMEM;
	} else if (grows != PROT_GROWSDOWN || !(region->flags & REGION_GROWSDOWN)) {
		error = -EINVAL;
	} else {
		*length += *start - region->start;
		*start = region->start;
	}
	rw_read_unlock(&space->lock);
	return error;
}

static int protect(vaddr_t start, size_t length, uint64_t prot)
{
	struct space *space = current->space;
	uint64_t grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
	int error;

	if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || !IS_ALIGNED(start, PAGE_SIZE))
		return -EINVAL;
	if (length == 0)
		return 0;
	if (!user_range_ok(start, length))
		return -ENOMEM;
	if (prot & ~(grows | PROT_ALL | PROT_SEM))
		return -EINVAL;
	if (grows) {
		error = extend_down(space, grows, &start, &length);
		if (error)
			return error;
	}
	return space_protect(space, start, length, prot & PROT_ALL);
}

SYSCALL3(mprotect, vaddr_t, start, size_t, length, uint64_t, prot)
{
	return protect(start, length, prot);
}

/* --- protection keys: as on a processor that has none ------------------------------------------ */

SYSCALL4(pkey_mprotect, vaddr_t, start, size_t, length, uint64_t, prot, int, key)
{
	return key == -1 ? protect(start, length, prot) : -EINVAL;
}

SYSCALL2(pkey_alloc, uint64_t, flags, uint64_t, rights)
{
	return flags || (rights & ~(uint64_t)PKEY_ACCESS_MASK) ? -EINVAL : -ENOSPC;
}

SYSCALL1(pkey_free, int, key)
{
	return -EINVAL;
}

/* --- ------------------------------------------------------------------------------------------- */

SYSCALL5(mremap, vaddr_t, old, size_t, old_length, size_t, new_length, uint64_t, flags, vaddr_t,
	 new)
{
	const struct remap_request request = {
		.old = old,
		.old_length = old_length,
		.new_length = new_length,
		.flags = (uint32_t)flags,
		.new = new,
	};
	vaddr_t address;
	int error = flags > UINT32_MAX ? -EINVAL : space_remap(current->space, &request, &address);

	return error ? error : (int64_t)address;
}

SYSCALL3(madvise, vaddr_t, start, size_t, length, int, advice)
{
	return space_advise(current->space, start, length, advice);
}

SYSCALL2(mlock, vaddr_t, start, size_t, length)
{
	return space_lock(current->space, start, length, REGION_LOCKED);
}

SYSCALL3(mlock2, vaddr_t, start, size_t, length, uint32_t, flags)
{
	if (flags & ~(uint32_t)MLOCK_ONFAULT)
		return -EINVAL;
	return space_lock(current->space, start, length,
			  REGION_LOCKED | (flags & MLOCK_ONFAULT ? REGION_LOCKONFAULT : 0));
}

SYSCALL2(munlock, vaddr_t, start, size_t, length)
{
	return space_lock(current->space, start, length, 0);
}

SYSCALL1(mlockall, uint32_t, flags)
{
	const uint32_t known = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;

	if (flags == 0 || (flags & ~known) || flags == MCL_ONFAULT)
		return -EINVAL;
	return space_lock_all(current->space, flags);
}

SYSCALL0(munlockall)
{
	return space_lock_all(current->space, 0);
}

#define RESIDENCE_BATCH 512 /* pages told of at a time: they are on the stack */

SYSCALL3(mincore, vaddr_t, start, size_t, length, vaddr_t, out)
{
	uint64_t pages = DIV_ROUND_UP(length, PAGE_SIZE);
	uint8_t batch[RESIDENCE_BATCH];

	if (!IS_ALIGNED(start, PAGE_SIZE))
		return -EINVAL;
	if (!user_range_ok(start, length))
		return -ENOMEM;
	if (!user_range_ok(out, pages))
		return -EFAULT;
	while (pages > 0) {
		int64_t told = space_residence(current->space, start,
					       MIN(pages, (uint64_t)RESIDENCE_BATCH), batch);
		int error = told < 0 ? (int)told : copy_to_user(out, batch, (size_t)told);

		if (error)
			return error;
		start += (uint64_t)told * PAGE_SIZE;
		out += (uint64_t)told;
		pages -= (uint64_t)told;
	}
	return 0;
}

SYSCALL3(msync, vaddr_t, start, size_t, length, int, flags)
{
	if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC))
		return -EINVAL;
	if (!IS_ALIGNED(start, PAGE_SIZE) || ((flags & MS_ASYNC) && (flags & MS_SYNC)))
		return -EINVAL;
	length = ALIGN_UP(length, PAGE_SIZE); /* wraps to 0 as Linux's does */
	if (start + length < start)
		return -ENOMEM;
	return length > 0 ? space_sync(current->space, start, length, flags) : 0;
}
