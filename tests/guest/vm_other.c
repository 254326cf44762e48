/*
 * Another process's memory: process_vm_readv(2) and process_vm_writev(2). And calls about memory that
 * are answered with no.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#define PAGE 4096L
#define RW   (PROT_READ | PROT_WRITE)

static char *map(long pages, int prot, int flags)
{
	return mmap(NULL, (size_t)(pages * PAGE), prot, flags | MAP_ANONYMOUS, -1, 0);
}

static ssize_t get(pid_t pid, void *to, const void *from, size_t length)
{
	struct iovec local = { to, length }, remote = { (void *)from, length };

	return process_vm_readv(pid, &local, 1, &remote, 1, 0);
}

static ssize_t put(pid_t pid, const void *from, void *to, size_t length)
{
	struct iovec local = { (void *)from, length }, remote = { to, length };

	return process_vm_writev(pid, &local, 1, &remote, 1, 0);
}

/* The child lives until it is told that it may look, and says whether it found what it should. */
static void with_a_child(void)
{
	char *area = map(6, RW, MAP_PRIVATE), *buffer = map(6, RW, MAP_PRIVATE);
	struct iovec local[3], remote[3];
	int go[2], status = -1;
	pid_t child;
	char byte = 0;

	memset(area, 'a', 6 * PAGE);
	mprotect(area + 3 * PAGE, PAGE, PROT_READ);
	mprotect(area + 4 * PAGE, PAGE, PROT_NONE);
	munmap(area + 5 * PAGE, PAGE);
	pipe(go);
	child = fork();
	if (child == 0) {
		read(go[0], &byte, 1);
		_exit(area[0] == 'a' && area[10] == 'b' && area[PAGE + 1] == 'b' &&
				      area[PAGE + 2] == 'a' && area[3 * PAGE] == 'a'
			      ? 0
			      : 1);
	}
	area[0] = 'z';
	ok(get(child, buffer, area, 3 * PAGE) == 3 * PAGE && buffer[0] == 'a' &&
		   buffer[3 * PAGE - 1] == 'a',
	   "a child's memory is read, not ours");
	memset(buffer, 'b', 6 * PAGE);
	ok(put(child, buffer, area + 10, PAGE - 8) == PAGE - 8, "and written, across pages");
	ok(area[10] == 'a', "which is not ours");
	ok(get(child, buffer, area + 8, 4) == 4 && memcmp(buffer, "aabb", 4) == 0,
	   "it has what was written");

	local[0] = (struct iovec){ buffer, 1 };
	local[1] = (struct iovec){ buffer + 100, 0 };
	local[2] = (struct iovec){ buffer + 200, 5 };
	remote[0] = (struct iovec){ area + 9, 2 };
	remote[1] = (struct iovec){ area + PAGE, 4 };
	memset(buffer, 0, PAGE);
	ok(process_vm_readv(child, local, 3, remote, 2, 0) == 6 && buffer[0] == 'a' &&
		   memcmp(buffer + 200, "bbbaa", 5) == 0,
	   "several ranges, differently divided");

	ok(get(child, buffer, area + 3 * PAGE, PAGE) == PAGE, "what is read-only is read");
	fails(put(child, buffer, area + 3 * PAGE, 1), EFAULT, "but not written");
	fails(get(child, buffer, area + 4 * PAGE, 1), EFAULT, "what has no right is not read");
	fails(get(child, buffer, area + 5 * PAGE, 1), EFAULT, "nor what is not there");
	ok(get(child, buffer, area + 2 * PAGE, 3 * PAGE) == 2 * PAGE, "up to there, it is");
	fails(get(child, (void *)8, area, 1), EFAULT, "a bad place to put it");
	fails(get(child, buffer, (void *)((uintptr_t)1 << 63), 1), EFAULT, "the kernel's memory");

	fails(process_vm_readv(child, local, 1, remote, 1, 1), EINVAL, "a flag is EINVAL");
	fails(process_vm_readv(child, local, IOV_MAX + 1, remote, 1, 0), EINVAL, "too many ranges");
	fails(process_vm_readv(child, (void *)8, 1, remote, 1, 0), EFAULT,
	      "a list that is not there");
	remote[0].iov_len = SIZE_MAX;
	fails(process_vm_readv(child, local, 1, remote, 1, 0), EINVAL, "a length that is negative");
	ok(process_vm_readv(child, local, 0, remote, 0, 0) == 0, "nothing");
	fails(get(0x7ffffff0, buffer, area, 1), ESRCH, "no such process");
	ok(get(getpid(), buffer, area, 1) == 1 && buffer[0] == 'z', "one's own memory");

	write(go[1], &byte, 1);
	ok(waitpid(child, &status, 0) == child && status == 0, "the child has found it all");
	fails(get(child, buffer, area, 1), ESRCH, "and is gone");
	close(go[0]);
	close(go[1]);
	munmap(area, 5 * PAGE);
	munmap(buffer, 6 * PAGE);
}

/* Text that is mapped from a file, and copied to be written. */
static void a_private_copy(void)
{
	static const char text[] = "in the image";
	char buffer[sizeof(text)] = "";
	int go[2], status;
	char byte = 0;
	pid_t child;

	pipe(go);
	child = fork();
	if (child == 0) {
		read(go[0], &byte, 1);
		_exit(strcmp(text, "in the image"));
	}
	ok(get(child, buffer, text, sizeof(text)) == sizeof(text) && strcmp(buffer, text) == 0,
	   "what a child has of its image is read");
	fails(put(child, "x", (void *)text, 1), EFAULT, "its constants are not written");
	write(go[1], &byte, 1);
	ok(waitpid(child, &status, 0) == child && status == 0, "it has them still");
	close(go[0]);
	close(go[1]);
}

static void answered_with_no(void)
{
	if (on_hawser())
		fails(syscall(SYS_userfaultfd, 0), ENOSYS, "userfaultfd is not there");
}

#define LONG_SIZE (1L << 20)

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* As much as one call can be asked for, all of it from one MiB into another. */
static void a_long_copy(void)
{
	static struct iovec local[IOV_MAX], remote[IOV_MAX];
	char *area = map(2 * LONG_SIZE / PAGE, RW, MAP_PRIVATE);
	double begun;
	int status = 0;
	pid_t child;

	for (int i = 0; i < IOV_MAX; i++) {
		local[i] = (struct iovec){ area, LONG_SIZE };
		remote[i] = (struct iovec){ area + LONG_SIZE, LONG_SIZE };
	}
	child = fork();
	if (child == 0) {
		for (;;)
			process_vm_readv(getpid(), local, IOV_MAX, remote, IOV_MAX, 0);
	}
	begun = seconds();
	usleep(10000);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	ok(WIFSIGNALED(status) && seconds() - begun < 0.5,
	   "a long copy lets others run, and ends with its process");
	munmap(area, 2 * LONG_SIZE);
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	with_a_child();
	a_long_copy();
	a_private_copy();
	answered_with_no();
	return done();
}
