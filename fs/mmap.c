/*
 * fs/mmap.c - mmap(2): from a descriptor and flags to what mm/space.h maps.
 */
#include "fs/file.h"
#include "fs/mount.h"
#include "fs/ops.h"
#include "kernel/sched.h"
#include "kernel/syscall.h"
#include "mm/space.h"
#include <linux/mman.h>

/* What MAP_SHARED_VALIDATE does not refuse. */
#define KNOWN_FLAGS                                                                              \
	(MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_DENYWRITE | MAP_EXECUTABLE | \
	 MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | MAP_32BIT |      \
	 MAP_FIXED_NOREPLACE)

/* MAP_32BIT: for code whose pointers have 31 bits. */
#define LOW_CEILING (UINT64_C(1) << 31)

static uint32_t region_flags(uint32_t flags)
{
	uint32_t type = flags & MAP_TYPE;

	return (type != MAP_PRIVATE ? REGION_SHARED : 0) |
	       ((flags & MAP_GROWSDOWN) != 0 ? REGION_GROWSDOWN : 0) |
	       ((flags & MAP_LOCKED) != 0 ? REGION_LOCKED : 0) |
	       ((flags & MAP_NORESERVE) != 0 ? REGION_NORESERVE : 0);
}

/* There are sizes of huge pages, but none are set aside, and files have none. */
static int refuse_huge(uint32_t flags)
{
	uint32_t size = flags & ((uint32_t)MAP_HUGE_MASK << MAP_HUGE_SHIFT);

	if ((flags & MAP_ANONYMOUS) == 0)
		return -EINVAL;
	return size == 0 || size == MAP_HUGE_2MB || size == MAP_HUGE_1GB ? -ENOMEM : -EINVAL;
}

static int check_flags(uint32_t flags)
{
	switch (flags & MAP_TYPE) {
	case MAP_SHARED:
	case MAP_PRIVATE:
		break;
	case MAP_SHARED_VALIDATE:
		if ((flags & MAP_ANONYMOUS) != 0)
			return -EINVAL;
		if ((flags & ~(uint32_t)KNOWN_FLAGS) != 0)
			return -EOPNOTSUPP;
		break;
	default:
		return -EINVAL;
	}
	return (flags & MAP_HUGETLB) != 0 ? refuse_huge(flags) : 0;
}

static int64_t map(struct map_request *request)
{
	vaddr_t address;
	int error = space_map(current->space, request, &address);

	return error != 0 ? error : (int64_t)address;
}

static int64_t map_anonymous(struct map_request *request)
{
	int64_t result;

	request->offset = 0;
	if ((request->flags & REGION_SHARED) == 0)
		return map(request);
	if (request->length > USER_MAX)
		return -ENOMEM;
	request->object = object_create_anonymous(ALIGN_UP(request->length, PAGE_SIZE));
	if (request->object == NULL)
		return -ENOMEM;
	result = map(request);
	object_put(request->object); /* the region has its own */
	return result;
}

/* mmap(2), EACCES: every mapping is read, and a shared one that is written needs O_RDWR. */
static int check_access(const struct file *file, const struct map_request *request)
{
	uint32_t flags = atomic_load(&file->flags);

	if ((flags & O_PATH) != 0)
		return -EBADF;
	if ((flags & O_ACCMODE) == O_WRONLY || (flags & O_ACCMODE) == O_ACCMODE)
		return -EACCES;
	if ((request->flags & REGION_SHARED) != 0 && (request->prot & PROT_WRITE) != 0 &&
	    (flags & O_ACCMODE) != O_RDWR)
		return -EACCES;
	return 0;
}

static int64_t map_file(struct map_request *request, int fd)
{
	struct file *file = fd_get(fd);
	uint64_t end;
	int64_t result;

	if (file == NULL)
		return -EBADF;
	result = -EOVERFLOW;
	if (__builtin_add_overflow(request->offset, request->length, &end) || end > INT64_MAX)
		goto out;
	result = check_access(file, request);
	if (result != 0)
		goto out;
	result = -ENODEV;
	if (file->ops->mmap == NULL)
		goto out;
	result = -EPERM;
	if (mount_has(file->mount, MS_NOEXEC)) {
		if ((request->prot & PROT_EXEC) != 0)
			goto out;
		request->max_prot &= ~(uint32_t)PROT_EXEC;
	}
	request->name = file->name;
	result = file->ops->mmap(file, request);
	if (result == 0 && request->object == NULL)
		result = map_anonymous(request);
	else if (result == 0)
		result = map(request);
	if (request->claimed)
		object_unclaim(request->object);
out:
	file_put(file);
	return result;
}

SYSCALL6(mmap, vaddr_t, address, size_t, length, uint32_t, prot, uint32_t, flags, int, fd, uint64_t,
	 offset)
{
	struct map_request request = {
		.address = address,
		.length = length,
		.prot = prot & PROT_ALL,
		.max_prot = PROT_ALL,
		.flags = region_flags(flags),
		.offset = offset,
		.fixed = (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0,
		.noreplace = (flags & MAP_FIXED_NOREPLACE) != 0,
		.ceiling = (flags & MAP_32BIT) != 0 ? LOW_CEILING : 0,
		.populate = (flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE,
	};
	int error = check_flags(flags);

	if (error != 0)
		return error;
	if (length == 0 || !IS_ALIGNED(offset, PAGE_SIZE))
		return -EINVAL;
	if (!request.fixed)
		request.address = ALIGN_DOWN(address, PAGE_SIZE);
	return (flags & MAP_ANONYMOUS) != 0 ? map_anonymous(&request) : map_file(&request, fd);
}
