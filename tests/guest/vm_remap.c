/*
 * mremap(2): longer and shorter in place, moved with their pages, to a fixed place, leaving the old
 * place empty, a second mapping of shared memory; what becomes of rights, and every way to be refused.
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

/* `pages` free pages with nothing mapped right behind them. */
static char *room(long pages)
{
	char *area = map(pages, PROT_NONE, MAP_PRIVATE);

	munmap(area, (size_t)(pages * PAGE));
	return area;
}

static char *map_at(char *at, long pages, int prot, int flags)
{
	return mmap(at, (size_t)(pages * PAGE), prot, flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

/* Each page gets a letter of its own. */
static void letter(char *area, long pages, char first)
{
	for (long i = 0; i < pages; i++)
		area[i * PAGE] = (char)(first + i);
}

static bool lettered(const char *area, long pages, char first)
{
	for (long i = 0; i < pages; i++)
		if (area[i * PAGE] != (char)(first + i))
			return false;
	return true;
}

static bool mapped(char *page)
{
	unsigned char there;

	return mincore(page, PAGE, &there) == 0;
}

/* Does a child that does this die of SIGSEGV (or SIGBUS)? */
static int signal_of_write(char *address)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		*(volatile char *)address = 1;
		_exit(0);
	}
	waitpid(child, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void *remap(void *old, long old_pages, long new_pages, int flags, void *new)
{
	return mremap(old, (size_t)(old_pages * PAGE), (size_t)(new_pages * PAGE), flags, new);
}

/*	[aaaa]....   ->  [aaaaaa]..  ->  [aa]......   */
static void in_place(void)
{
	char *area = map_at(room(8), 4, RW, MAP_PRIVATE);

	letter(area, 4, 'a');
	ok(remap(area, 4, 6, 0, NULL) == area, "a mapping grows in place");
	ok(lettered(area, 4, 'a') && area[4 * PAGE] == 0 && area[5 * PAGE] == 0,
	   "with zeroes behind what it had");
	ok(remap(area, 6, 2, 0, NULL) == area, "and shrinks");
	ok(lettered(area, 2, 'a') && !mapped(area + 2 * PAGE) && !mapped(area + 5 * PAGE),
	   "what is cut off is gone");
	ok(remap(area, 2, 2, 0, NULL) == area, "the same length changes nothing");
	ok(remap(area, 2, 3, 0, NULL) == area && area[2 * PAGE] == 0,
	   "what comes back after a cut is zero");
	munmap(area, 8 * PAGE);

	/*	[aaaaaa][rr]..[bb]   ->  [aa]............   */
	area = map_at(room(12), 6, RW, MAP_PRIVATE);
	map_at(area + 6 * PAGE, 2, PROT_READ, MAP_PRIVATE);
	map_at(area + 10 * PAGE, 2, RW, MAP_PRIVATE);
	ok(remap(area, 12, 2, 0, NULL) == area && mapped(area + PAGE) && !mapped(area + 2 * PAGE) &&
		   !mapped(area + 7 * PAGE) && !mapped(area + 11 * PAGE),
	   "shrinking takes whatever lies behind");
	munmap(area, 12 * PAGE);
}

/*	[aaaa][bb]   ->  ....[bb] … [aaaaaaaa]   */
static void moving(void)
{
	char *area = map_at(room(8), 4, RW, MAP_PRIVATE);
	char *next = map_at(area + 4 * PAGE, 2, PROT_READ, MAP_PRIVATE), *moved;

	letter(area, 4, 'a');
	fails(remap(area, 4, 8, 0, NULL), ENOMEM, "no room behind, not allowed to move: ENOMEM");
	ok(lettered(area, 4, 'a'), "and nothing has changed");
	moved = remap(area, 4, 8, MREMAP_MAYMOVE, NULL);
	ok(moved != MAP_FAILED && moved != area, "allowed to, it moves");
	ok(lettered(moved, 4, 'a') && moved[4 * PAGE] == 0 && moved[7 * PAGE] == 0,
	   "with what it had");
	ok(!mapped(area) && !mapped(area + 3 * PAGE) && mapped(next), "nothing stays where it was");
	memset(moved, 'z', 8 * PAGE);
	ok(moved[0] == 'z' && moved[8 * PAGE - 1] == 'z', "it is written there");
	munmap(next, 2 * PAGE);
	munmap(moved, 8 * PAGE);
}

/* From the middle of one mapping into the middle of another. */
static void to_a_fixed_place(void)
{
	char *from = map(8, RW, MAP_PRIVATE), *to = map(8, RW, MAP_PRIVATE);

	letter(from, 8, 'a');
	letter(to, 8, 'A');
	ok(remap(from + 2 * PAGE, 2, 2, MREMAP_MAYMOVE | MREMAP_FIXED, to + 3 * PAGE) ==
		   to + 3 * PAGE,
	   "two pages move over two others");
	ok(lettered(to, 3, 'A') && lettered(to + 3 * PAGE, 2, 'c') &&
		   lettered(to + 5 * PAGE, 3, 'F'),
	   "which they replace, and no others");
	ok(lettered(from, 2, 'a') && !mapped(from + 2 * PAGE) && !mapped(from + 3 * PAGE) &&
		   lettered(from + 4 * PAGE, 4, 'e'),
	   "leaving a hole");
	ok(remap(to, 8, 3, MREMAP_MAYMOVE | MREMAP_FIXED, from + 2 * PAGE) == from + 2 * PAGE,
	   "moving and shrinking at once");
	ok(lettered(from, 2, 'a') && lettered(from + 2 * PAGE, 3, 'A') &&
		   lettered(from + 5 * PAGE, 3, 'f') && !mapped(to) && !mapped(to + 7 * PAGE),
	   "takes the rest away");
	ok(remap(from, 2, 6, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to && lettered(to, 2, 'a') &&
		   to[2 * PAGE] == 0 && to[5 * PAGE] == 0,
	   "moving and growing at once");
	munmap(from, 8 * PAGE);
	munmap(to, 8 * PAGE);
}

static void rights_move_along(void)
{
	char *area = map(4, RW, MAP_PRIVATE), *moved;
	int fd = open("/dev/zero", O_RDONLY);

	letter(area, 4, 'a');
	mprotect(area, 4 * PAGE, PROT_READ);
	moved = remap(area, 4, 4, MREMAP_MAYMOVE | MREMAP_FIXED, room(4));
	ok(moved != MAP_FAILED && lettered(moved, 4, 'a'), "read-only memory moves");
	fails(read(fd, moved, 1), EFAULT, "and is read-only");
	mprotect(moved, 4 * PAGE, PROT_NONE);
	area = remap(moved, 4, 4, MREMAP_MAYMOVE | MREMAP_FIXED, room(4));
	ok(signal_of_write(area) == SIGSEGV, "memory without rights moves without them");
	ok(mprotect(area, 4 * PAGE, RW) == 0 && lettered(area, 4, 'a'), "and keeps its bytes");
	area[0] = 'x';
	ok(area[0] == 'x', "given the right, it is written");
	close(fd);
	munmap(area, 4 * PAGE);
}

/* What a child has is its own, wherever either of them moves it. */
static void forked_pages_move(void)
{
	char *area = map(4, RW, MAP_PRIVATE), *moved;
	int ends[2], status;
	pid_t child;
	char byte = 0;

	letter(area, 4, 'a');
	pipe(ends);
	child = fork();
	if (child == 0) {
		read(ends[0], &byte, 1);
		_exit(lettered(area, 4, 'a') ? 0 : 1);
	}
	moved = remap(area, 4, 8, MREMAP_MAYMOVE | MREMAP_FIXED, room(8));
	memset(moved, 'x', 8 * PAGE);
	write(ends[1], &byte, 1);
	ok(waitpid(child, &status, 0) == child && status == 0,
	   "a page shared by fork moves, and is copied when it is written");
	close(ends[0]);
	close(ends[1]);
	munmap(moved, 8 * PAGE);
}

static void leaving_the_old_place(void)
{
	char *area = map(4, RW, MAP_PRIVATE), *moved;

	letter(area, 4, 'a');
	moved = remap(area + PAGE, 2, 2, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	ok(moved != MAP_FAILED && lettered(moved, 2, 'b'), "MREMAP_DONTUNMAP moves the pages");
	ok(area[0] == 'a' && area[PAGE] == 0 && area[2 * PAGE] == 0 && area[3 * PAGE] == 'd',
	   "and leaves an empty mapping");
	area[PAGE] = 'y';
	ok(area[PAGE] == 'y' && moved[0] == 'b', "of its own");
	fails(remap(area, 2, 3, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL), EINVAL,
	      "it does not grow");
	munmap(area, 4 * PAGE);
	munmap(moved, 2 * PAGE);
}

static void shared_memory(void)
{
	char *area = map(4, RW, MAP_SHARED), *second, *moved;
	pid_t child;
	int status;

	letter(area, 4, 'a');
	second = mremap(area + PAGE, 0, 2 * PAGE, MREMAP_MAYMOVE, NULL);
	ok(second != MAP_FAILED && second != area, "an old length of 0 maps it a second time");
	ok(lettered(second, 2, 'b'), "with the same contents");
	second[0] = 'x';
	ok(area[PAGE] == 'x', "which both write");
	moved = remap(area, 4, 4, MREMAP_MAYMOVE | MREMAP_FIXED, room(4));
	moved[2 * PAGE] = 'y';
	ok(moved[0] == 'a' && second[PAGE] == 'y', "shared memory moves and is shared still");
	child = fork();
	if (child == 0) {
		moved[0] = 'z';
		_exit(0);
	}
	waitpid(child, &status, 0);
	ok(moved[0] == 'z', "with children, too");
	area = remap(moved, 4, 6, MREMAP_MAYMOVE, NULL);
	ok(area != MAP_FAILED && area[0] == 'z' && signal_of_write(area + 5 * PAGE) == SIGBUS,
	   "its end stays where it was");
	munmap(area, 6 * PAGE);
	munmap(second, 2 * PAGE);
	area = map(1, RW, MAP_PRIVATE);
	fails(mremap(area, 0, PAGE, MREMAP_MAYMOVE, NULL), EINVAL,
	      "private memory cannot be mapped twice");
	munmap(area, PAGE);
}

static void a_file(void)
{
	int fd = open("/tmp/hawser-remap", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char page[PAGE], *area, *moved;

	for (int i = 0; i < 4; i++) {
		memset(page, 'a' + i, PAGE);
		write(fd, page, PAGE);
	}
	area = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, PAGE);
	area[0] = 'x';
	moved = remap(area, 2, 3, MREMAP_MAYMOVE | MREMAP_FIXED, room(3));
	ok(moved != MAP_FAILED && moved[0] == 'x' && moved[1] == 'b' && moved[PAGE] == 'c',
	   "a file's private mapping moves with its changes");
	ok(moved[2 * PAGE] == 'd', "and grows into the rest of the file");
	area = remap(moved, 3, 4, MREMAP_MAYMOVE, NULL);
	ok(area != MAP_FAILED && signal_of_write(area + 3 * PAGE) == SIGBUS,
	   "beyond the file's end is SIGBUS");
	munmap(area, 4 * PAGE);
	close(fd);
	unlink("/tmp/hawser-remap");
}

static void refusals(void)
{
	char *area = map(8, RW, MAP_PRIVATE), *to = room(8);
	const int fixed = MREMAP_MAYMOVE | MREMAP_FIXED;
	const uintptr_t kernel = (uintptr_t)1 << 63;

	munmap(area + 4 * PAGE, PAGE);
	letter(area, 4, 'a');
	fails(mremap(area + 1, PAGE, PAGE, 0), EINVAL, "an odd address is EINVAL");
	fails(mremap(area, PAGE, 0, 0), EINVAL, "a new length of 0 is EINVAL");
	fails(syscall(SYS_mremap, area, PAGE, SIZE_MAX, 0), EINVAL, "one that wraps is EINVAL");
	fails(syscall(SYS_mremap, area, PAGE, kernel, MREMAP_MAYMOVE), EINVAL,
	      "one without end is EINVAL");
	fails(mremap(area, PAGE, PAGE, 64), EINVAL, "an unknown flag is EINVAL");
	fails(remap(area, 1, 1, MREMAP_FIXED, to), EINVAL, "FIXED without MAYMOVE is EINVAL");
	fails(remap(area, 1, 1, fixed, to + 1), EINVAL, "a new odd address is EINVAL");
	fails(remap(area, 1, 1, fixed, (char *)kernel), EINVAL, "a new address of the kernel's");
	fails(remap(area, 4, 4, fixed, area + PAGE), EINVAL, "a new place over the old one");
	fails(remap(area, 5, 6, MREMAP_MAYMOVE, NULL), EFAULT, "a range with a hole is EFAULT");
	fails(remap(area + 4 * PAGE, 1, 2, MREMAP_MAYMOVE, NULL), EFAULT, "nothing there: EFAULT");
	fails(remap((char *)kernel, 1, 2, MREMAP_MAYMOVE, NULL), EFAULT, "the kernel's: EFAULT");
	fails(mremap(area, PAGE, (size_t)1 << 46, 0), ENOMEM, "more than there is room for");
	ok(lettered(area, 4, 'a') && !mapped(area + 4 * PAGE) && !mapped(to),
	   "none of it has changed anything");
	munmap(area, 8 * PAGE);
}

static int beyond_the_limit(void)
{
	struct rlimit limit = { 64 << 20, 64 << 20 };
	char *area = map(256, RW, MAP_PRIVATE);

	setrlimit(RLIMIT_AS, &limit);
	if (mremap(area, 256 * PAGE, 128 << 20, MREMAP_MAYMOVE) != MAP_FAILED || errno != ENOMEM)
		return 1;
	return mremap(area, 256 * PAGE, 2 << 20, MREMAP_MAYMOVE) == MAP_FAILED ? 2 : 0;
}

/* A large mapping moves by its entries. */
static void much(void)
{
	const long pages = 1024;
	char *area = map(pages, RW, MAP_PRIVATE), *moved;
	bool same = true;

	for (long i = 0; i < pages; i += 3)
		*(long *)(area + i * PAGE) = i;
	moved = remap(area, pages, 64 * pages, MREMAP_MAYMOVE | MREMAP_FIXED,
		      room(64 * pages + 1) + PAGE);
	for (long i = 0; moved != MAP_FAILED && i < pages; i++)
		same = same && *(long *)(moved + i * PAGE) == (i % 3 == 0 ? i : 0);
	ok(moved != MAP_FAILED && same, "4 MiB, a third of them touched, become 256 MiB elsewhere");
	munmap(moved, (size_t)(64 * pages * PAGE));
}

int main(int argc, char **argv)
{
	pid_t child;
	int status = -1;

	(void)argc;
	tap_begin(argv);
	in_place();
	moving();
	to_a_fixed_place();
	rights_move_along();
	forked_pages_move();
	leaving_the_old_place();
	shared_memory();
	a_file();
	refusals();
	much();
	child = fork();
	if (child == 0)
		_exit(beyond_the_limit());
	ok(waitpid(child, &status, 0) == child && status == 0, "RLIMIT_AS limits growth");
	return done();
}
