/*
 * loader/execve.c - execve(2) and execveat(2): the caller's strings, gathered from its memory.
 *
 * They are copied before anything else is looked at, in pieces that never cross a page, so that the
 * bytes after a string's end need not be mapped. What the caller may hand over is bounded by
 * exec_strings_limit(), and so is the kernel memory that holds it.
 */
#include "fs/path.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "loader/exec.h"
#include "mm/slab.h"
#include "mm/user.h"
#include <linux/fcntl.h>

/* Bytes copied at a time. */
#define PIECE 256

/* Takes `bytes` off the budget, or -E2BIG. */
static int spend(size_t *budget, size_t bytes)
{
	if (bytes > *budget)
		return -E2BIG;
	*budget -= bytes;
	return 0;
}

static int gather_string(struct strings *out, vaddr_t from, size_t *budget)
{
	size_t string_budget = EXEC_STRING_MAX;
	char piece[PIECE];
	bool ended = false;

	while (!ended) {
		size_t length = MIN((size_t)PIECE, (size_t)(PAGE_SIZE - (from & PAGE_MASK)));
		const char *nul;
		int error = copy_from_user(piece, from, length);

		if (error != 0)
			return error;
		nul = memchr(piece, '\0', length);
		if (nul) {
			ended = true;
			length = (size_t)(nul - piece) + 1;
		}
		error = spend(&string_budget, length);
		if (error == 0)
			error = spend(budget, length);
		if (error == 0)
			error = strings_append_bytes(out, piece, length);
		if (error != 0)
			return error;
		from += length;
	}
	return 0;
}

/* `array` is a NULL-terminated vector of user pointers; 0 counts as an empty one, as on Linux. */
static int gather(struct strings *out, vaddr_t array, size_t *budget)
{
	strings_init(out);
	if (array == 0)
		return 0;
	for (;; array += sizeof(uint64_t)) {
		uint64_t string;
		int error = get_user(&string, array);

		if (error == 0 && string == 0)
			return 0;
		if (error == 0)
			error = spend(budget, sizeof(string));
		if (error == 0)
			error = gather_string(out, string, budget);
		if (error != 0)
			return error;
	}
}

/* What the program is told that its name is: "/dev/fd/3" or "/dev/fd/3/name" for a descriptor. */
static int name_program(int dirfd, const char *path, char *out, size_t size)
{
	int length;

	if (dirfd == AT_FDCWD || path[0] == '/')
		length = snprintf(out, size, "%s", path);
	else
		length = snprintf(out, size, "/dev/fd/%d%s%s", dirfd, path[0] ? "/" : "", path);
	return (size_t)length < size ? 0 : -ENAMETOOLONG;
}

/* The two names: too long for a kernel stack. */
struct names {
	char path[PATH_MAX];
	char program[PATH_MAX];
};

static int64_t do_execveat(int dirfd, vaddr_t path, vaddr_t argv, vaddr_t envp, int flags)
{
	struct names *names = kalloc(sizeof(*names));
	struct exec_request request = { .dirfd = dirfd, .flags = flags };
	size_t budget = exec_strings_limit();
	int64_t result;

	if (!names)
		return -ENOMEM;
	request.path = names->path;
	request.program = names->program;

	result = copy_string_from_user(names->path, path, sizeof(names->path));
	if (result == 0 && !(flags & AT_EMPTY_PATH))
		result = -ENOENT;
	if (result >= 0)
		result = name_program(dirfd, names->path, names->program, sizeof(names->program));
	if (result == 0)
		result = spend(&budget, strlen(names->program) + 1);
	if (result == 0)
		result = gather(&request.argv, argv, &budget);
	if (result == 0)
		result = gather(&request.envp, envp, &budget);
	if (result == 0)
		result = exec_replace(&request);

	strings_free(&request.argv);
	strings_free(&request.envp);
	kfree(names);
	return result;
}

SYSCALL3(execve, vaddr_t, path, vaddr_t, argv, vaddr_t, envp)
{
	return do_execveat(AT_FDCWD, path, argv, envp, 0);
}

SYSCALL5(execveat, int, dirfd, vaddr_t, path, vaddr_t, argv, vaddr_t, envp, int, flags)
{
	if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	return do_execveat(dirfd, path, argv, envp, flags);
}
