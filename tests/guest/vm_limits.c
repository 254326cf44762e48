/*
 * How far memory goes: the stack to its limit and not beyond, guard gaps below what grows, RLIMIT_AS
 * and RLIMIT_DATA, RLIMIT_MEMLOCK for whom it binds, other processes' limits, what mmap makes of hints
 * and flags.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <linux/mman.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PAGE 4096L
#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

/* The calls themselves: libc checks some arguments on its own. */
static char *map(void *at, size_t length, int prot, int flags)
{
	return (char *)syscall(SYS_mmap, at, length, prot, flags, -1, 0L);
}

static char *free_room(size_t length)
{
	char *area = map(NULL, length, PROT_NONE, ANON);

	munmap(area, length);
	return area;
}

static int exit_of(int (*function)(void))
{
	pid_t child = fork();
	int status = -1;

	if (child == 0)
		_exit(function());
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* --- accesses that may fail ------------------------------------------------------------------- */

static sigjmp_buf escape;
static char *volatile fault_address;

static void caught(int signal, siginfo_t *info, void *context)
{
	(void)context;
	fault_address = info->si_addr;
	siglongjmp(escape, signal);
}

static void catch_faults(void)
{
	static char stack[16384];
	const stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_sigaction = caught,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

	sigaltstack(&alternate, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

/* 0, or the signal. */
static int touch(char *at)
{
	int signal = sigsetjmp(escape, 1);

	if (signal == 0)
		*(volatile char *)at = 1;
	return signal;
}

/* --- the stack -------------------------------------------------------------------------------- */

static uintptr_t stack_end(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start, end = 0;
	char line[512];

	while (fgets(line, sizeof(line), maps))
		if (strstr(line, "[stack]"))
			sscanf(line, "%lx-%lx", &start, &end);
	fclose(maps);
	return end;
}

#define STACK_LIMIT (1 << 20)

/* Page by page, from the page of this frame down. */
static int stack_to_its_limit(void)
{
	const struct rlimit limit = { STACK_LIMIT, RLIM_INFINITY };
	uintptr_t end = stack_end();
	volatile char here = 0;
	char *page = (char *)((uintptr_t)&here & ~(uintptr_t)(PAGE - 1));
	uintptr_t depth;

	if (setrlimit(RLIMIT_STACK, &limit) != 0)
		return 1;
	catch_faults();
	while (touch(page) == 0)
		page -= PAGE;
	if (fault_address != page)
		return 2;
	depth = end - (uintptr_t)page;
	return depth > STACK_LIMIT && depth <= STACK_LIMIT + PAGE ? 0 : 3;
}

static int overrun(volatile long *depth)
{
	volatile char frame[PAGE];

	frame[0] = (char)++*depth;
	return *depth < 0 ? 0 : overrun(depth) + frame[0];
}

static int no_end(void)
{
	const struct rlimit limit = { STACK_LIMIT, RLIM_INFINITY };

	volatile long depth = 0;

	setrlimit(RLIMIT_STACK, &limit);
	signal(SIGSEGV, SIG_DFL);
	return overrun(&depth);
}

static void the_stack(void)
{
	ok(exit_of(stack_to_its_limit) == 0,
	   "the stack grows to its limit, and the next page is SIGSEGV");
	ok(exit_of(no_end) == 1000 + SIGSEGV, "recursion without end is the end");
}

static void what_grows_down(void)
{
	const long gap = 256; /* pages that stay free below */
	char *room = free_room(1024 * PAGE);
	char *area = map(room + 1000 * PAGE, 4 * PAGE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN);
	char *below, *hinted;

	catch_faults();
	ok(area == room + 1000 * PAGE, "a mapping that grows down");
	ok(touch(area - PAGE) == 0 && touch(area - 40 * PAGE) == 0,
	   "grows when it is touched below");
	ok(area[-20 * PAGE] == 0, "what is in between is zero");
	below = map(area - 400 * PAGE, PAGE, RW, ANON | MAP_FIXED);
	ok(touch(area - 140 * PAGE) == 0, "it grows towards another");
	ok(touch(below + gap * PAGE) == SIGSEGV, "but keeps a gap between them");
	mprotect(below, PAGE, PROT_NONE);
	ok(touch(below + gap * PAGE) == 0, "unless the other cannot be accessed");
	munmap(below, PAGE);
	hinted = map(area - 200 * PAGE, PAGE, RW, ANON);
	ok(hinted != MAP_FAILED && hinted != area - 200 * PAGE, "nothing is mapped into the gap");
	munmap(hinted, PAGE);
	munmap(room, 1024 * PAGE);
	fails(map(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN), EINVAL,
	      "shared memory does not grow down");
}

/* --- limits ----------------------------------------------------------------------------------- */

static size_t in_use(const char *field)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[128];
	size_t kib = 0;

	while (fgets(line, sizeof(line), file))
		if (strncmp(line, field, strlen(field)) == 0)
			kib = strtoul(line + strlen(field), NULL, 10);
	fclose(file);
	return kib << 10;
}

static int limit_of_all(void)
{
	struct rlimit limit = { in_use("VmSize:") + (2 << 20), RLIM_INFINITY };
	char *area, *top = (char *)syscall(SYS_brk, 0);

	if (setrlimit(RLIMIT_AS, &limit) != 0)
		return 1;
	if (map(NULL, 4 << 20, PROT_NONE, ANON) != MAP_FAILED || errno != ENOMEM)
		return 2;
	area = map(NULL, 1 << 20, RW, ANON);
	if (area == MAP_FAILED)
		return 3;
	if ((char *)syscall(SYS_brk, top + (4 << 20)) != top)
		return 4;
	/* What replaces is no more than there was. */
	if (map(area, 1 << 20, PROT_READ, ANON | MAP_FIXED) != area)
		return 5;
	munmap(area, 1 << 20);
	area = map(NULL, 3 << 19, RW, ANON);
	if (area == MAP_FAILED)
		return 6;
	if (map(NULL, 1 << 20, RW, ANON) != MAP_FAILED)
		return 7;
	return 0;
}

static int limit_of_data(void)
{
	struct rlimit limit = { in_use("VmData:") + (2 << 20), RLIM_INFINITY };
	char *area, *top = (char *)syscall(SYS_brk, 0);

	if (syscall(SYS_prlimit64, getpid(), RLIMIT_DATA, &limit, NULL) != 0)
		return 1;
	if (map(NULL, 4 << 20, RW, ANON) != MAP_FAILED || errno != ENOMEM)
		return 2;
	area = map(NULL, 4 << 20, PROT_READ, ANON);
	if (area == MAP_FAILED)
		return 3;
	if (mprotect(area, 4 << 20, RW) == 0 || errno != ENOMEM)
		return 4;
	if (mprotect(area, 1 << 20, RW) != 0)
		return 5;
	if ((char *)syscall(SYS_brk, top + (4 << 20)) != top)
		return 6;
	if (map(NULL, 4 << 20, RW, MAP_SHARED | MAP_ANONYMOUS) == MAP_FAILED)
		return 7;
	return 0;
}

static int limit_of_the_stack(void)
{
	const struct rlimit limit = { 64 << 10, RLIM_INFINITY };
	char *room = free_room(64 * PAGE);
	char *area = map(room + 60 * PAGE, 4 * PAGE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN);

	catch_faults();
	setrlimit(RLIMIT_STACK, &limit);
	if (touch(area - 12 * PAGE) != 0)
		return 1;
	return touch(area - 13 * PAGE) == SIGSEGV ? 0 : 2;
}

static void limits(void)
{
	int code = exit_of(limit_of_all);

	ok(code == 0, "RLIMIT_AS (%d)", code);
	code = exit_of(limit_of_data);
	ok(code == 0, "RLIMIT_DATA (%d)", code);
	code = exit_of(limit_of_the_stack);
	ok(code == 0, "RLIMIT_STACK, for whatever grows down (%d)", code);
}

/* --- mmap's arguments ------------------------------------------------------------------------- */

static void hints(void)
{
	char *room = free_room(16 * PAGE);

	ok(map(room + 8 * PAGE, PAGE, RW, ANON) == room + 8 * PAGE, "a hint is taken");
	ok(map(room + 4 * PAGE + 5, PAGE, RW, ANON) == room + 4 * PAGE, "rounded down");
	char *other = map(room + 8 * PAGE, PAGE, RW, ANON);

	ok(other != MAP_FAILED && other != room + 8 * PAGE, "unless it is in use");
	munmap(other, PAGE);
	other = map((void *)((uintptr_t)1 << 63), PAGE, RW, ANON);
	ok(other != MAP_FAILED, "one of the kernel's is no error");
	munmap(other, PAGE);
	other = map(NULL, 16 * PAGE, RW, ANON | MAP_32BIT);
	ok((uintptr_t)other + 16 * PAGE <= (uintptr_t)1 << 31, "MAP_32BIT is below 2 GiB");
	munmap(other, 16 * PAGE);
	munmap(room, 16 * PAGE);
}

static void flags(void)
{
	static const int taken[] = {
		MAP_NORESERVE, MAP_STACK,     MAP_POPULATE, MAP_LOCKED, MAP_POPULATE | MAP_NONBLOCK,
		MAP_DENYWRITE, MAP_EXECUTABLE
	};
	char *area;

	for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++) {
		area = map(NULL, 4 * PAGE, RW, ANON | taken[i]);
		ok(area != MAP_FAILED && area[3 * PAGE] == 0, "flag %#x is taken", taken[i]);
		munmap(area, 4 * PAGE);
	}
	area = free_room(4 * PAGE);
	ok(map(area, PAGE, RW, ANON | MAP_FIXED_NOREPLACE) == area, "MAP_FIXED_NOREPLACE maps");
	fails(map(area, PAGE, RW, ANON | MAP_FIXED_NOREPLACE), EEXIST, "once");
	munmap(area, PAGE);
	fails(map(NULL, PAGE, RW, MAP_ANONYMOUS), EINVAL, "neither shared nor private");
	fails(map(NULL, PAGE, RW, MAP_SHARED_VALIDATE | MAP_ANONYMOUS), EINVAL,
	      "validated, but no file");
	fails(map(NULL, 0, RW, ANON), EINVAL, "a length of 0");
	fails(map(NULL, SIZE_MAX, RW, ANON), ENOMEM, "a length that wraps");
	fails(map(NULL, (size_t)1 << 47, RW, ANON), ENOMEM, "a length of all there is");
	fails(map((void *)5, PAGE, RW, ANON | MAP_FIXED), EINVAL, "a fixed address that is odd");
	fails(map((void *)((uintptr_t)1 << 63), PAGE, RW, ANON | MAP_FIXED), ENOMEM,
	      "a fixed address of the kernel's");
	fails(map((void *)0x7fffffffe000, 2 * PAGE, RW, ANON | MAP_FIXED), ENOMEM,
	      "and one that reaches there");
	fails(syscall(SYS_mmap, NULL, PAGE, RW, ANON, -1, 1L), EINVAL, "an odd offset");
	if (on_hawser())
		fails(map(NULL, 2 << 20, RW, ANON | MAP_HUGETLB), ENOMEM,
		      "no huge pages are set aside");
	fails(map(NULL, PAGE, RW, ANON | MAP_HUGETLB | 12 << MAP_HUGE_SHIFT), EINVAL,
	      "huge pages of 4 KiB");
}

/* Of a user, who may lock eight pages, then none. The number of the first step that goes wrong. */
static int what_a_user_locks(void)
{
	struct rlimit limit = { 8 * PAGE, 8 * PAGE };
	char *area = map(NULL, 16 * PAGE, RW, ANON);

	if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || setgid(1000) != 0 || setuid(1000) != 0)
		return 1;
	if (mlock(area, 8 * PAGE) != 0)
		return 2;
	if (mlock(area, 9 * PAGE) != -1 || errno != ENOMEM)
		return 3;
	if (map(NULL, PAGE, RW, ANON | MAP_LOCKED) != MAP_FAILED || errno != EAGAIN)
		return 4;
	if (munlock(area, PAGE) != 0 || map(NULL, PAGE, RW, ANON | MAP_LOCKED) == MAP_FAILED)
		return 5;
	limit.rlim_cur = limit.rlim_max = 0;
	if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || munlockall() != 0)
		return 6;
	if (mlock(area, PAGE) != -1 || errno != EPERM)
		return 7;
	if (mlockall(MCL_FUTURE) != -1 || errno != EPERM)
		return 8;
	if (map(NULL, PAGE, RW, ANON | MAP_LOCKED) != MAP_FAILED || errno != EPERM)
		return 9;
	return 0;
}

static void locks(void)
{
	struct rlimit limit, old;
	char *area = map(NULL, 2 * PAGE, RW, ANON);

	getrlimit(RLIMIT_MEMLOCK, &old);
	limit = (struct rlimit){ PAGE, old.rlim_max };

	ok(exit_of(what_a_user_locks) == 0, "RLIMIT_MEMLOCK binds a user");
	ok(setrlimit(RLIMIT_MEMLOCK, &limit) == 0 && mlock(area, 2 * PAGE) == 0,
	   "but not who has CAP_IPC_LOCK");
	setrlimit(RLIMIT_MEMLOCK, &old);
	munmap(area, 2 * PAGE);
}

static void limits_of_others(void)
{
	const struct rlimit limit = { 77, 99 };
	struct rlimit before, after;
	int go[2];
	pid_t child;
	int status;
	char byte;

	ok(pipe(go) == 0, "a pipe");
	child = fork();
	if (child == 0) {
		struct rlimit mine;

		close(go[1]);
		(void)!read(go[0], &byte, 1);
		_exit(getrlimit(RLIMIT_NOFILE, &mine) == 0 && mine.rlim_cur == 77 &&
				      mine.rlim_max == 99
			      ? 0
			      : 1);
	}
	ok(prlimit(child, RLIMIT_NOFILE, &limit, &before) == 0 && before.rlim_cur > 77,
	   "a child's limit is set");
	ok(prlimit(child, RLIMIT_NOFILE, NULL, &after) == 0 && after.rlim_cur == 77 &&
		   after.rlim_max == 99,
	   "and seen");
	close(go[0]);
	close(go[1]);
	waitpid(child, &status, 0);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "by the child, too");
	fails(prlimit(child, RLIMIT_NOFILE, NULL, &after), ESRCH, "a child that is gone has none");
	fails(prlimit(0, 99, NULL, &after), EINVAL, "there is no such limit");
	child = fork();
	if (child == 0)
		_exit(setgid(1000) == 0 && setuid(1000) == 0 &&
				      prlimit(getppid(), RLIMIT_NOFILE, NULL, &after) == -1 &&
				      errno == EPERM
			      ? 0
			      : 1);
	waitpid(child, &status, 0);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a user does not see root's");
}

static void files(void)
{
	int fd = open("/tmp/hawser-limits", O_RDWR | O_CREAT | O_TRUNC, 0600), reader, ends[2];

	write(fd, "x", 1);
	reader = open("/tmp/hawser-limits", O_RDONLY);
	pipe(ends);
	fails(syscall(SYS_mmap, NULL, PAGE, RW, MAP_SHARED, reader, 0L), EACCES,
	      "what is open for reading is not mapped shared for writing");
	ok(syscall(SYS_mmap, NULL, PAGE, RW, MAP_PRIVATE, reader, 0L) != -1, "but privately");
	fails(syscall(SYS_mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE, ends[0], 0L), ENODEV,
	      "a pipe is not mapped");
	fails(syscall(SYS_mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE, 999, 0L), EBADF,
	      "no file is not");
	fails(syscall(SYS_mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, -PAGE), EOVERFLOW,
	      "an offset that overflows");
	fails(syscall(SYS_mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_GROWSDOWN, fd, 0L), EINVAL,
	      "a file does not grow down");
	fails(syscall(SYS_mmap, NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | 1 << 22, fd, 0L),
	      EOPNOTSUPP, "an unknown flag, where it is validated");
	close(fd);
	close(reader);
	close(ends[0]);
	close(ends[1]);
	unlink("/tmp/hawser-limits");
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	the_stack();
	what_grows_down();
	limits();
	locks();
	limits_of_others();
	hints();
	flags();
	files();
	return done();
}
