/*
 * madvise(2), mincore(2), msync(2), mlock(2) and their relatives: what they do to pages, what they
 * accept, and what they refuse.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <linux/mman.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PAGE 4096L
#define RW   (PROT_READ | PROT_WRITE)

static char *map(long pages, int prot, int flags)
{
	return mmap(NULL, (size_t)(pages * PAGE), prot, flags | MAP_ANONYMOUS, -1, 0);
}

/* Which of up to 16 pages are in memory: "x.x." */
static const char *present(char *area, int pages)
{
	static char drawing[17];
	unsigned char there[16];

	if (mincore(area, (size_t)pages * PAGE, there) != 0)
		return strerror(errno);
	for (int i = 0; i < pages; i++)
		drawing[i] = there[i] & 1 ? 'x' : '.';
	drawing[pages] = '\0';
	return drawing;
}

#define is_present(area, pages, drawing, name)                                             \
	({                                                                                 \
		const char *got_ = present(area, pages);                                   \
		ok(strcmp(got_, drawing) == 0, "%s (%s, wanted %s)", name, got_, drawing); \
	})

static long status_kib(const char *field)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[128];
	long value = -1;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, field, strlen(field)) == 0)
			value = atol(line + strlen(field) + 1);
	if (file)
		fclose(file);
	return value;
}

static int exit_of(pid_t child)
{
	int status = -1;

	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static char *file_of(int pages, int *fd)
{
	char page[PAGE];

	*fd = open("/tmp/hawser-advice", O_RDWR | O_CREAT | O_TRUNC, 0600);
	for (int i = 0; i < pages; i++) {
		memset(page, 'a' + i, PAGE);
		write(*fd, page, PAGE);
	}
	return mmap(NULL, (size_t)pages * PAGE, RW, MAP_PRIVATE, *fd, 0);
}

static void contents_are_dropped(void)
{
	char *area = map(8, RW, MAP_PRIVATE), *file;
	int fd;

	madvise(area, 8 * PAGE, MADV_NOHUGEPAGE);
	is_present(area, 8, "........", "untouched memory is not there");
	memset(area, 'a', 8 * PAGE);
	is_present(area, 8, "xxxxxxxx", "touched, it is");
	ok(madvise(area + 2 * PAGE, 3 * PAGE, MADV_DONTNEED) == 0, "MADV_DONTNEED");
	is_present(area, 8, "xx...xxx", "drops three pages");
	ok(area[2 * PAGE] == 0 && area[5 * PAGE - 1] == 0 && area[PAGE] == 'a' &&
		   area[5 * PAGE] == 'a',
	   "which are zero now, and no others");
	ok(madvise(area + 6 * PAGE, PAGE, MADV_FREE) == 0, "MADV_FREE");
	ok(area[6 * PAGE] == 0 || area[6 * PAGE] == 'a', "leaves zero, or what was there");
	area[6 * PAGE] = 'f';
	ok(area[6 * PAGE] == 'f', "and what is written then stays");
	mprotect(area, 2 * PAGE, PROT_NONE);
	ok(madvise(area, 2 * PAGE, MADV_DONTNEED) == 0, "memory without rights is dropped");
	mprotect(area, 2 * PAGE, RW);
	ok(area[0] == 0, "it is zero, too");

	munmap(area + PAGE, 2 * PAGE);
	memset(area + 3 * PAGE, 'b', 5 * PAGE);
	fails(madvise(area, 8 * PAGE, MADV_DONTNEED), ENOMEM, "a hole is ENOMEM");
	ok(area[4 * PAGE] == 0 && area[7 * PAGE] == 0, "and the rest is done");
	munmap(area, 8 * PAGE);

	file = file_of(2, &fd);
	file[0] = 'x';
	ok(madvise(file, PAGE, MADV_DONTNEED) == 0 && file[0] == 'a',
	   "a file's private page is the file's again");
	fails(madvise(file, PAGE, MADV_FREE), EINVAL, "MADV_FREE is for anonymous memory only");
	munmap(file, 2 * PAGE);
	close(fd);

	area = map(2, RW, MAP_SHARED);
	area[0] = 's';
	ok(madvise(area, 2 * PAGE, MADV_DONTNEED) == 0 && area[0] == 's',
	   "shared memory keeps what it has");
	munmap(area, 2 * PAGE);
}

/* MADV_REMOVE: whoever maps it, by whatever mapping, finds zeroes. */
static void holes_are_punched(void)
{
	char *area = map(4, RW, MAP_SHARED), *second, *file, byte = 1;
	int fd;

	memset(area, 's', 4 * PAGE);
	second = mremap(area, 0, 4 * PAGE, MREMAP_MAYMOVE);
	ok(madvise(area + PAGE, 2 * PAGE, MADV_REMOVE) == 0, "MADV_REMOVE");
	ok(area[PAGE] == 0 && second[2 * PAGE] == 0 && second[0] == 's' && area[3 * PAGE] == 's',
	   "makes a hole in shared memory");
	second[PAGE] = 't';
	ok(area[PAGE] == 't', "which is shared as before");
	mlock(area, PAGE);
	fails(madvise(area, PAGE, MADV_REMOVE), EINVAL, "locked memory is EINVAL");
	munmap(area, 4 * PAGE);
	munmap(second, 4 * PAGE);

	file = file_of(3, &fd);
	fails(madvise(file, PAGE, MADV_REMOVE), EACCES, "a private mapping is EACCES");
	munmap(file, 3 * PAGE);
	file = mmap(NULL, 3 * PAGE, RW, MAP_SHARED, fd, 0);
	if (madvise(file + PAGE, PAGE, MADV_REMOVE) == 0 || errno != EOPNOTSUPP)
		ok(pread(fd, &byte, 1, PAGE) == 1 && byte == 0 && file[PAGE] == 0 &&
			   file[2 * PAGE] == 'c',
		   "a file gets a hole");
	munmap(file, 3 * PAGE);
	close(fd);
	area = map(1, RW, MAP_PRIVATE);
	fails(madvise(area, PAGE, MADV_REMOVE), EINVAL, "private memory is EINVAL");
	munmap(area, PAGE);
}

static void pages_come_when_asked_for(void)
{
	char *area = map(8, RW, MAP_PRIVATE), *populated;

	madvise(area, 8 * PAGE, MADV_NOHUGEPAGE);
	if (madvise(area, 2 * PAGE, MADV_POPULATE_READ) != 0 && errno == EINVAL && !on_hawser()) {
		ok(true, "this Linux is too old for MADV_POPULATE_READ");
	} else {
		is_present(area, 8, "xx......", "MADV_POPULATE_READ");
		ok(madvise(area + 4 * PAGE, 2 * PAGE, MADV_POPULATE_WRITE) == 0,
		   "MADV_POPULATE_WRITE");
		is_present(area, 8, "xx..xx..", "brings pages in");
		mprotect(area + 6 * PAGE, PAGE, PROT_READ);
		mprotect(area + 7 * PAGE, PAGE, PROT_NONE);
		fails(madvise(area + 6 * PAGE, PAGE, MADV_POPULATE_WRITE), EINVAL,
		      "not where they may not be written");
		fails(madvise(area + 7 * PAGE, PAGE, MADV_POPULATE_READ), EINVAL, "nor read");
		munmap(area + 7 * PAGE, PAGE);
		fails(madvise(area, 8 * PAGE, MADV_POPULATE_READ), ENOMEM, "a hole is ENOMEM");
		is_present(area, 7, "xxxxxxx", "after the pages before it");
	}
	munmap(area, 8 * PAGE);
	populated = map(4, RW, MAP_PRIVATE | MAP_POPULATE);
	is_present(populated, 4, "xxxx", "MAP_POPULATE brings all in");
	munmap(populated, 4 * PAGE);
}

/* What a child finds. */
static void advice_for_fork(void)
{
	char *area = map(6, RW, MAP_PRIVATE), *shared = map(1, RW, MAP_SHARED);
	unsigned char there;
	pid_t child;

	memset(area, 'a', 6 * PAGE);
	ok(madvise(area + PAGE, PAGE, MADV_DONTFORK) == 0, "MADV_DONTFORK");
	ok(madvise(area + 3 * PAGE, PAGE, MADV_WIPEONFORK) == 0, "MADV_WIPEONFORK");
	child = fork();
	if (child == 0) {
		int bad = area[0] != 'a' || area[2 * PAGE] != 'a' || area[4 * PAGE] != 'a';

		bad |= (mincore(area + PAGE, PAGE, &there) == 0) << 1;
		bad |= (area[3 * PAGE] != 0) << 2;
		area[3 * PAGE] = 'c';
		child = fork();
		if (child == 0)
			_exit(area[3 * PAGE] != 0);
		_exit(bad | exit_of(child) << 3);
	}
	ok(exit_of(child) == 0, "a child lacks the one, and has the other empty; so has its child");
	ok(area[PAGE] == 'a' && area[3 * PAGE] == 'a', "the parent has both");
	ok(madvise(area, 6 * PAGE, MADV_DOFORK) == 0 &&
		   madvise(area, 6 * PAGE, MADV_KEEPONFORK) == 0,
	   "both are undone");
	child = fork();
	if (child == 0)
		_exit(area[PAGE] != 'a' || area[3 * PAGE] != 'a');
	ok(exit_of(child) == 0, "then the child has all");
	fails(madvise(shared, PAGE, MADV_WIPEONFORK), EINVAL, "shared memory is not wiped");
	munmap(area, 6 * PAGE);
	munmap(shared, PAGE);
}

static void hints_and_refusals(void)
{
	static const int hints[] = { MADV_NORMAL,   MADV_RANDOM,     MADV_SEQUENTIAL, MADV_WILLNEED,
				     MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTDUMP,   MADV_DODUMP,
				     MADV_COLD,     MADV_PAGEOUT };
	char *area = map(4, RW, MAP_PRIVATE);
	const uintptr_t kernel = (uintptr_t)1 << 63;

	munmap(area + 3 * PAGE, PAGE);
	memset(area, 'a', 3 * PAGE);
	for (size_t i = 0; i < sizeof(hints) / sizeof(*hints); i++) {
		ok(madvise(area, 3 * PAGE, hints[i]) == 0, "advice %d is taken", hints[i]);
		fails(madvise(area + 2 * PAGE, 2 * PAGE, hints[i]), ENOMEM, "with a hole: ENOMEM");
	}
	ok(area[0] == 'a' && area[2 * PAGE] == 'a', "and nothing is lost by them");
	fails(madvise(area + 1, PAGE, MADV_DONTNEED), EINVAL, "an odd address is EINVAL");
	fails(madvise(area, SIZE_MAX, MADV_DONTNEED), EINVAL, "a length that wraps is EINVAL");
	fails(madvise(area, PAGE, 12345), EINVAL, "unknown advice is EINVAL");
	fails(madvise(area, 0, 12345), EINVAL, "for nothing, too");
	ok(madvise(area, 0, MADV_DONTNEED) == 0, "known advice for nothing is fine");
	fails(madvise((void *)kernel, PAGE, MADV_DONTNEED), ENOMEM, "the kernel's is ENOMEM");
	munmap(area, 4 * PAGE);
}

static void mincore_tells(void)
{
	int fd;
	char *file = file_of(3, &fd), *area = map(4, RW, MAP_PRIVATE);
	unsigned char there[8];

	is_present(file, 3, "xxx", "a file that was just written is there");
	munmap(file, 3 * PAGE);
	close(fd);
	madvise(area, 4 * PAGE, MADV_NOHUGEPAGE);
	area[PAGE] = 1;
	mprotect(area + PAGE, PAGE, PROT_NONE);
	is_present(area, 4, ".x..", "a page without rights is there");
	ok(mincore(area, 1, there) == 0, "a length is rounded up");
	ok(mincore(area, 0, NULL) == 0, "nothing is in order");
	fails(mincore(area + 1, PAGE, there), EINVAL, "an odd address is EINVAL");
	fails(mincore(area, PAGE, (void *)((uintptr_t)1 << 63)), EFAULT, "a bad vector is EFAULT");
	fails(mincore(area, PAGE, (void *)8), EFAULT, "so is one that is not there");
	fails(mincore((void *)((uintptr_t)1 << 63), PAGE, there), ENOMEM, "the kernel's: ENOMEM");
	munmap(area + 2 * PAGE, PAGE);
	fails(mincore(area, 4 * PAGE, there), ENOMEM, "a hole is ENOMEM");
	munmap(area, 4 * PAGE);
}

static void msync_has_nothing_to_do(void)
{
	char *area = map(4, RW, MAP_SHARED);

	ok(msync(area, 4 * PAGE, MS_SYNC) == 0 && msync(area, 4 * PAGE, MS_ASYNC) == 0 &&
		   msync(area, 1, MS_INVALIDATE) == 0 && msync(area, 0, MS_SYNC) == 0,
	   "msync");
	fails(msync(area + 1, PAGE, MS_SYNC), EINVAL, "an odd address is EINVAL");
	fails(msync(area, PAGE, MS_SYNC | MS_ASYNC), EINVAL, "SYNC and ASYNC are EINVAL");
	fails(msync(area, PAGE, 64), EINVAL, "an unknown flag is EINVAL");
	munmap(area + PAGE, PAGE);
	fails(msync(area, 4 * PAGE, MS_SYNC), ENOMEM, "a hole is ENOMEM");
	fails(msync(area + 2 * PAGE, SIZE_MAX - 2 * PAGE, MS_SYNC), ENOMEM, "so is a wrap");
	mlock(area + 2 * PAGE, PAGE);
	fails(msync(area + 2 * PAGE, PAGE, MS_INVALIDATE), EBUSY, "what is locked is EBUSY");
	munmap(area, 4 * PAGE);
}

static void memory_is_locked(void)
{
	long before = status_kib("VmLck:");
	char *area = map(8, RW, MAP_PRIVATE), *more;
	pid_t child;

	madvise(area, 8 * PAGE, MADV_NOHUGEPAGE);
	ok(mlock(area + PAGE + 8, PAGE) == 0, "mlock, from the middle of a page to the next's");
	is_present(area, 8, ".xx.....", "brings two pages in");
	ok(status_kib("VmLck:") - before == 8, "VmLck counts them");
	ok(mlock(area + PAGE, 2 * PAGE) == 0 && status_kib("VmLck:") - before == 8,
	   "locks do not nest");
	fails(madvise(area, 8 * PAGE, MADV_DONTNEED), EINVAL, "they are not dropped");
	ok(syscall(SYS_mlock2, area + 4 * PAGE, 2 * PAGE, MLOCK_ONFAULT) == 0,
	   "MLOCK_ONFAULT locks");
	is_present(area, 8, ".xx.....", "and brings nothing in");
	ok(status_kib("VmLck:") - before == 16, "VmLck counts them, too");
	child = fork();
	if (child == 0)
		_exit(status_kib("VmLck:") != 0);
	ok(exit_of(child) == 0, "a child's memory is not locked");
	ok(munlock(area, 5 * PAGE) == 0 && status_kib("VmLck:") - before == 4, "munlock");
	munmap(area, 8 * PAGE);
	ok(status_kib("VmLck:") == before, "unmapping unlocks");

	area = map(4, RW, MAP_PRIVATE | MAP_LOCKED);
	is_present(area, 4, "xxxx", "MAP_LOCKED brings all in");
	more = mremap(area, 4 * PAGE, 6 * PAGE, MREMAP_MAYMOVE);
	is_present(more, 6, "xxxxxx", "and so does growing it");
	ok(status_kib("VmLck:") - before == 24, "it is locked");
	munmap(more, 6 * PAGE);

	area = map(4, RW, MAP_PRIVATE);
	munmap(area + 2 * PAGE, PAGE);
	fails(mlock(area, 4 * PAGE), ENOMEM, "a hole is ENOMEM");
	fails(munlock(area, 4 * PAGE), ENOMEM, "for munlock, too");
	munlock(area, 2 * PAGE);
	munlock(area + 3 * PAGE, PAGE);
	mprotect(area, PAGE, PROT_NONE);
	fails(mlock(area, PAGE), ENOMEM, "what cannot be accessed is ENOMEM");
	fails(syscall(SYS_mlock2, area, PAGE, 2), EINVAL, "an unknown flag is EINVAL");
	fails(syscall(SYS_mlock, area, -2 * PAGE), EINVAL, "a range that wraps is EINVAL");
	munmap(area, 4 * PAGE);
}

static int lock_everything(void)
{
	char *before = map(4, RW, MAP_PRIVATE), *after;

	madvise(before, 4 * PAGE, MADV_NOHUGEPAGE);
	if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
		return 1;
	if (strcmp(present(before, 4), "xxxx") != 0)
		return 2;
	after = map(4, RW, MAP_PRIVATE);
	if (strcmp(present(after, 4), "xxxx") != 0)
		return 3;
	if (status_kib("VmLck:") < 8 * PAGE / 1024)
		return 4;
	if (munlockall() != 0 || status_kib("VmLck:") != 0)
		return 5;
	after = map(4, RW, MAP_PRIVATE);
	madvise(after, 4 * PAGE, MADV_NOHUGEPAGE);
	if (strcmp(present(after, 4), "....") != 0)
		return 6;
	if (mlockall(MCL_FUTURE | MCL_ONFAULT) != 0)
		return 7;
	after = map(4, RW, MAP_PRIVATE);
	if (strcmp(present(after, 4), "....") != 0 || status_kib("VmLck:") < 4 * PAGE / 1024)
		return 8;
	return 0;
}

static void all_memory_is_locked(void)
{
	pid_t child = fork();

	if (child == 0)
		_exit(lock_everything());
	int code = exit_of(child);

	ok(code == 0, "mlockall locks what is there and what will be (%d)", code);
	fails(mlockall(0), EINVAL, "mlockall of nothing is EINVAL");
	fails(mlockall(MCL_ONFAULT), EINVAL, "and ONFAULT of nothing");
	fails(mlockall(64), EINVAL, "and what it does not know");
}

static void protection_keys_are_not_there(void)
{
	char *area = map(1, RW, MAP_PRIVATE);

	fails(syscall(SYS_pkey_mprotect, area, PAGE, PROT_READ, 99), EINVAL,
	      "a key that nobody has is EINVAL");
	ok(syscall(SYS_pkey_mprotect, area, PAGE, PROT_READ, -1) == 0, "no key is mprotect");
	fails(syscall(SYS_pkey_alloc, 1, 0), EINVAL, "pkey_alloc knows no flags");
	fails(syscall(SYS_pkey_free, 99), EINVAL, "nothing can be freed");
	munmap(area, PAGE);
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	contents_are_dropped();
	holes_are_punched();
	pages_come_when_asked_for();
	advice_for_fork();
	hints_and_refusals();
	mincore_tells();
	msync_has_nothing_to_do();
	memory_is_locked();
	all_memory_is_locked();
	protection_keys_are_not_there();
	unlink("/tmp/hawser-advice");
	return done();
}
