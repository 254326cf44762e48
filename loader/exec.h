/*
 * loader/exec.h - execve(2), and how the first program starts.
 *
 *	reserve    open and stream the image (and the interpreter it names), check every header,
 *	           build the new space and its stack, unshare what exec unshares
 *	─────────  the commit point: exec_commit() cannot fail
 *	release    switch spaces, close on exec, drop the old space and image
 */
#ifndef HAWSER_LOADER_EXEC_H
#define HAWSER_LOADER_EXEC_H

#include "kernel/base.h"
#include "loader/strings.h"

/* Linux's MAX_ARG_STRLEN: one argument or variable, with its NUL. */
#define EXEC_STRING_MAX (32 * PAGE_SIZE)

struct exec_request {
	int dirfd;
	const char *path;
	int flags;                 /* AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW */
	const char *program;       /* what AT_EXECFN, comm and a script's interpreter are told */
	struct strings argv, envp; /* may change; the caller frees them in the end */
};

/*
 * The bytes that a program's strings and their pointers may take: a quarter of RLIMIT_STACK, at
 * least 128 KiB, at most 6 MiB (execve(2), "Limits on size of arguments and environment").
 */
size_t exec_strings_limit(void);

/*
 * Replaces the current process's image. On success the thread's trapframe holds the new program's
 * first registers; the caller returns to user mode with them. On an error nothing has changed:
 * -E2BIG, -EACCES, -ENOENT, -ENOEXEC, -ELOOP, -ENOMEM, -EIO, -ETIMEDOUT, -EINTR, … execve(2). May
 * sleep long; killable.
 */
int exec_replace(struct exec_request *request);

/*
 * Body of process 1's thread: waits for the network, tries `init=` or the default list, saying what
 * it tried and where; retries for as long as it takes or obeys `panic=`.
 */
void exec_first(void *unused);

#endif
