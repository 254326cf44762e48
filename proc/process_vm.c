/*
 * proc/process_vm.c - process_vm_readv(2) and process_vm_writev(2): bytes of another process.
 *
 * Nothing of the other's memory is pinned or mapped here. A page's worth at a time goes through a
 * buffer of the kernel's: out of the one space as its own program would load it, into the other as its
 * own program would store it (mm/space_access.c, mm/user.h).
 */
#include "fs/span.h"
#include "kernel/sched.h"
#include "kernel/syscall.h"
#include "mm/frame.h"
#include "mm/space.h"
#include "mm/user.h"
#include "proc/cred.h"
#include "proc/process.h"
#include <linux/limits.h>
#include <linux/uio.h>

/* Where one side has got to in its list of ranges, which stays in user memory. */
struct cursor {
	vaddr_t list;
	uint64_t count; /* ranges that are left in it */
	vaddr_t at;
	size_t left; /* of the current range */
};

/* The next range that is not empty. 1; 0 at the end; -EFAULT. */
static int cursor_next(struct cursor *cursor)
{
	while (cursor->left == 0) {
		struct iovec range;

		if (cursor->count == 0)
			return 0;
		if (get_user(&range, cursor->list) != 0)
			return -EFAULT;
		cursor->list += sizeof(range);
		cursor->count--;
		cursor->at = (vaddr_t)range.iov_base;
		cursor->left = range.iov_len;
	}
	return 1;
}

/* Looks at the whole list in advance: how many bytes it has in `*total`. -EINVAL, -EFAULT. */
static int check_list(vaddr_t list, uint64_t count, size_t *total)
{
	*total = 0;
	if (count > UIO_MAXIOV)
		return -EINVAL;
	for (uint64_t i = 0; i < count; i++) {
		struct iovec range;

		if (get_user(&range, list + i * sizeof(range)) != 0)
			return -EFAULT;
		if ((ssize_t)range.iov_len < 0)
			return -EINVAL;
		*total += MIN(range.iov_len, SIZE_MAX - *total);
	}
	return 0;
}

static int copy(struct space *space, vaddr_t local, vaddr_t remote, void *buffer, size_t length,
		bool write)
{
	int error;

	if (write) {
		error = copy_from_user(buffer, local, length);
		return error ? error : space_write(space, remote, buffer, length);
	}
	error = space_read(space, remote, buffer, length);
	return error ? error : copy_to_user(local, buffer, length);
}

static ssize_t transfer(struct space *space, struct cursor *local, struct cursor *remote,
			bool write)
{
	struct frame *buffer = frame_alloc(FRAME_KERNEL, 0, 0);
	ssize_t done = 0;
	int error = buffer ? 0 : -ENOMEM;

	while (!error) {
		size_t part;

		if (sched_needs_resched())
			sched_yield();
		if (current->kill_pending)
			break;
		error = cursor_next(local);
		if (error > 0)
			error = cursor_next(remote);
		if (error <= 0)
			break;
		part = MIN(local->left, remote->left);
		part = MIN(part, (size_t)(PAGE_SIZE - (remote->at & PAGE_MASK)));
		part = MIN(part, SPAN_MAX - (size_t)done);
		if (part == 0)
			break;
		error = copy(space, local->at, remote->at, frame_data(buffer), part, write);
		if (error)
			break;
		local->at += part;
		local->left -= part;
		remote->at += part;
		remote->left -= part;
		done += (ssize_t)part;
	}
	if (buffer)
		frame_put(buffer);
	if (error == -EIO) /* beyond the end of what is mapped there */
		error = -EFAULT;
	return done > 0 ? done : error;
}

/* The space of a living process, with a reference; NULL: there is none, or it is not to be looked into. */
static struct space *find_space(uint32_t pid, bool *may)
{
	struct space *space = NULL;
	struct process *process;

	mutex_lock(&family_lock);
	process = family_find(pid);
	*may = !process || cred_may_inspect(process);
	if (process && *may)
		space = process_space(process);
	mutex_unlock(&family_lock);
	return space;
}

static ssize_t process_vm(uint32_t pid, struct cursor *local, struct cursor *remote, uint64_t flags,
			  bool write)
{
	size_t here, there;
	struct space *space;
	bool may;
	ssize_t result;

	if (flags != 0)
		return -EINVAL;
	result = check_list(local->list, local->count, &here);
	if (result != 0 || here == 0)
		return result;
	result = check_list(remote->list, remote->count, &there);
	if (result != 0 || there == 0)
		return result;
	space = find_space(pid, &may);
	if (!space)
		return may ? -ESRCH : -EPERM;
	result = transfer(space, local, remote, write);
	space_put(space);
	return result;
}

SYSCALL6(process_vm_readv, uint32_t, pid, vaddr_t, local, uint64_t, local_count, vaddr_t, remote,
	 uint64_t, remote_count, uint64_t, flags)
{
	struct cursor here = { .list = local, .count = local_count };
	struct cursor there = { .list = remote, .count = remote_count };

	return process_vm(pid, &here, &there, flags, false);
}

SYSCALL6(process_vm_writev, uint32_t, pid, vaddr_t, local, uint64_t, local_count, vaddr_t, remote,
	 uint64_t, remote_count, uint64_t, flags)
{
	struct cursor here = { .list = local, .count = local_count };
	struct cursor there = { .list = remote, .count = remote_count };

	return process_vm(pid, &here, &there, flags, true);
}
