/*
 * fs/fcntl.c - what is done to descriptors: close(2), dup(2), fcntl(2).
 */
#include "fs/async.h"
#include "fs/locks.h"
#include "fs/ops.h"
#include "fs/pipe.h"
#include "kernel/limits.h"
#include "kernel/sched.h"
#include "kernel/syscall.h"
#include "mm/user.h"
#include <linux/close_range.h>

/* fcntl(2), F_SETFL: these can be changed; the rest stays as it was opened. */
#define SETTABLE_FLAGS ((uint32_t)(O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME | FASYNC))

SYSCALL1(close, int, fd)
{
	struct file *file = files_remove(current->files, fd);

	if (file == NULL)
		return -EBADF;
	file_put(file);
	return 0;
}

static int64_t duplicate(int fd, int from, bool close_on_exec)
{
	struct file *file = fd_get(fd);
	int64_t result;

	if (file == NULL)
		return -EBADF;
	result = files_install(current->files, file, from, close_on_exec);
	file_put(file);
	return result;
}

static int64_t duplicate_to(int fd, int to, bool close_on_exec)
{
	struct file *file = fd_get(fd);
	int64_t result;

	if (file == NULL)
		return -EBADF;
	result = files_replace(current->files, to, file, close_on_exec);
	file_put(file);
	return result;
}

SYSCALL1(dup, int, fd)
{
	return duplicate(fd, 0, false);
}

SYSCALL2(dup2, int, fd, int, to)
{
	if (fd == to)
		return files_get_cloexec(current->files, fd) < 0 ? -EBADF : to;
	return duplicate_to(fd, to, false);
}

SYSCALL3(dup3, int, fd, int, to, int, flags)
{
	if (fd == to || (flags & ~O_CLOEXEC) != 0)
		return -EINVAL;
	return duplicate_to(fd, to, (flags & O_CLOEXEC) != 0);
}

static int64_t set_flags(struct file *file, int fd, uint32_t flags)
{
	uint32_t old = atomic_load(&file->flags);
	uint32_t new;
	int error;

	if (((old ^ flags) & FASYNC) != 0) {
		error = async_set(file, fd, (flags & FASYNC) != 0);
		if (error == -ENOTTY)
			flags ^= FASYNC; /* no signals are sent, and so it is not set */
		else if (error != 0)
			return error;
	}

	do {
		new = (old & ~SETTABLE_FLAGS) | (flags & SETTABLE_FLAGS);
	} while (!atomic_compare_exchange_weak(&file->flags, &old, new));
	return 0;
}

static int64_t set_owner(struct file *file, vaddr_t from)
{
	struct f_owner_ex owner;
	int error = copy_from_user(&owner, from, sizeof(owner));

	return error != 0 ? error : async_set_owner(file, &owner);
}

static int64_t get_owner(struct file *file, vaddr_t to)
{
	struct f_owner_ex owner;

	async_get_owner(file, &owner);
	return copy_to_user(to, &owner, sizeof(owner));
}

/* Of what is more than a path. */
static int64_t control_file(struct file *file, int fd, int command, uint64_t argument)
{
	switch (command) {
	case F_SETFL:
		/* It means packets, or that nothing is to be kept in memory. */
		if ((argument & O_DIRECT) != 0 && pipe_of(file) == NULL && !regular_is(file))
			return -EINVAL;
		return set_flags(file, fd, (uint32_t)argument);
	case F_GETPIPE_SZ:
		return pipe_get_size(file);
	case F_SETPIPE_SZ:
		return pipe_set_size(file, argument);
	case F_ADD_SEALS:
	case F_GET_SEALS:
		return file_seals(file, command, argument);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return locks_control(file, fd, command, argument);
	case F_GETOWN:
		return async_owner_number(file);
	case F_SETOWN:
		return async_set_owner_number(file, (int)argument);
	case F_GETSIG:
		return async_get_signal(file);
	case F_SETSIG:
		return async_set_signal(file, argument);
	case F_GETOWN_EX:
		return get_owner(file, argument);
	case F_SETOWN_EX:
		return set_owner(file, argument);
	case F_GETLEASE:
		return F_UNLCK; /* F_SETLEASE is EINVAL: nobody gets one */
	default:
		return -EINVAL;
	}
}

static int64_t control(struct file *file, int fd, int command, uint64_t argument)
{
	bool path_only = (atomic_load(&file->flags) & O_PATH) != 0;
	int result;

	switch (command) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		if (argument > INT32_MAX)
			return -EINVAL;
		result = files_install(current->files, file, (int)argument,
				       command == F_DUPFD_CLOEXEC);
		/* A start beyond the limit is a bad argument; a full table is not. */
		return result == -EMFILE && argument >= limit_get(RLIMIT_NOFILE) ? -EINVAL : result;
	case F_GETFD:
		result = files_get_cloexec(current->files, fd);
		return result > 0 ? FD_CLOEXEC : result;
	case F_SETFD:
		return files_set_cloexec(current->files, fd, (argument & FD_CLOEXEC) != 0);
	case F_GETFL:
		return atomic_load(&file->flags);
	default:
		return path_only ? -EBADF : control_file(file, fd, command, argument);
	}
}

SYSCALL3(fcntl, int, fd, int, command, uint64_t, argument)
{
	struct file *file = fd_get(fd);
	int64_t result;

	if (file == NULL)
		return -EBADF;
	result = control(file, fd, command, argument);
	file_put(file);
	return result;
}

/* close_range(2) without CLOSE_RANGE_UNSHARE, which needs a table of its own. */
SYSCALL3(close_range, unsigned, first, unsigned, last, unsigned, flags)
{
	if (first > last || (flags & ~(unsigned)CLOSE_RANGE_CLOEXEC) != 0)
		return -EINVAL;
	files_close_range(current->files, first, last, (flags & CLOSE_RANGE_CLOEXEC) != 0);
	return 0;
}
