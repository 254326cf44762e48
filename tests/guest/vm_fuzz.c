/*
 * Random calls of the memory family with random and boundary arguments, from a seed, by several
 * processes at once that fork and end meanwhile.
 *
 *	vm_fuzz [CALLS [SEED]]
 *
 * Nothing is asked of the answers. The kernel must live, and each process must find in a page that
 * nobody but itself writes what it wrote there. Addresses are those of an arena, of the kernel, or
 * nowhere; what would take away the program itself is left out.
 */
#define _GNU_SOURCE
#include "fuzzing.h"

#include <linux/mman.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define CALLS_DEFAULT 3000
#define SEED_DEFAULT  1
#define PROCESSES     3
#define PAGE          4096UL
#define ARENA_PAGES   1536UL /* 6 MiB: two blocks that may be large pages, and more */
#define FILE_PAGES    64UL
#define RW            (PROT_READ | PROT_WRITE)

static bool hawser;
static char *arena;
static int files[3], zero;
static pid_t family[PROCESSES];

/* --- arguments -------------------------------------------------------------------------------- */

static uint64_t any_address(void)
{
	static const uint64_t edges[] = { 0,
					  1,
					  PAGE,
					  0x7ffffffff000,
					  0x7fffffffe000,
					  0x800000000000,
					  0xffff800000000000,
					  0xffffffff80000000,
					  UINT64_MAX - 4095,
					  UINT64_MAX };

	switch (below(24)) {
	case 0:
		return PICK(edges);
	case 1:
		return (uintptr_t)arena + below(ARENA_PAGES * PAGE);
	case 2:
		return (uintptr_t)arena + 512 * PAGE * below(3); /* near where large pages begin */
	default:
		return (uintptr_t)arena + below(ARENA_PAGES) * PAGE;
	}
}

/* From there, within the arena; or so wrong that no call can take it. */
static uint64_t any_length(uint64_t address)
{
	uint64_t end = (uintptr_t)arena + ARENA_PAGES * PAGE;
	uint64_t length,
		room = address >= (uintptr_t)arena && address < end ? end - address : 16 * PAGE;

	switch (below(24)) {
	case 0:
		return 0;
	case 1: /* Linux goes as far as it can before it says no: over the program itself */
		return hawser || address > 3 * PAGE ? UINT64_MAX - below(3 * PAGE) : PAGE;
	case 2:
		return hawser ? (UINT64_C(1) << 63) + below(2) * PAGE : PAGE;
	case 3:
		return 1 + below(room);
	case 4:
		return room;
	case 5:
		return 512 * PAGE < room ? 512 * PAGE : room;
	default:
		length = 1 + below(below(4) ? 16 : 600) * PAGE;
		return length < room ? length : room;
	}
}

static int any_prot(void)
{
	static const int prots[] = { PROT_NONE, PROT_READ, RW, RW, RW, PROT_READ | PROT_EXEC,
				     PROT_WRITE };

	return below(64) ? PICK(prots) : (int)next();
}

static uint64_t any_flags(void)
{
	static const int flags[] = { MAP_POPULATE,  MAP_NORESERVE, MAP_LOCKED, MAP_STACK,
				     MAP_GROWSDOWN, MAP_NONBLOCK,  MAP_HUGETLB };
	uint64_t all = (below(3) ? MAP_PRIVATE : MAP_SHARED) | (below(2) ? MAP_ANONYMOUS : 0);

	if (below(4) == 0)
		all |= (uint64_t)PICK(flags);
	return all | (below(8) ? MAP_FIXED : below(2) ? MAP_FIXED_NOREPLACE : 0);
}

/* --- calls ------------------------------------------------------------------------------------ */

static void call_mmap(uint64_t at, uint64_t length)
{
	uint64_t flags = any_flags();
	bool inside = at >= (uintptr_t)arena && at < (uintptr_t)arena + ARENA_PAGES * PAGE;
	long got;

	/* Wherever else: what is mapped there is unmapped again. */
	if (!inside)
		flags &= ~(uint64_t)MAP_FIXED;
	got = syscall(SYS_mmap, at, length, any_prot(), flags, PICK(files),
		      below(16) ? below(FILE_PAGES) * PAGE : next());
	if (got != -1 && ((uint64_t)got < (uintptr_t)arena ||
			  (uint64_t)got >= (uintptr_t)arena + ARENA_PAGES * PAGE))
		syscall(SYS_munmap, got, length);
}

static void call_mremap(uint64_t at, uint64_t length)
{
	uint64_t end = (uintptr_t)arena + ARENA_PAGES * PAGE;
	uint64_t to = any_address(), new_length = below(2) ? length : any_length(to);
	uint64_t flags = below(32) ? below(8) : next();
	long got;

	/* What lies behind the arena is the program's. */
	if (to < end && new_length > end - to && new_length < end)
		new_length = end - to;
	/* Root may map the lowest pages on Linux, and from there on to where the program is. */
	if (!hawser && to < (uintptr_t)arena)
		to = (uintptr_t)arena;
	got = syscall(SYS_mremap, at, length, new_length, flags, to);

	if (got != -1 && ((uint64_t)got < (uintptr_t)arena ||
			  (uint64_t)got >= (uintptr_t)arena + ARENA_PAGES * PAGE))
		syscall(SYS_munmap, got, new_length);
}

static void call_process_vm(uint64_t at, uint64_t length)
{
	static char buffer[3 * PAGE];
	struct iovec local = { buffer, sizeof(buffer) }, remote = { (void *)at, length };

	syscall(below(2) ? SYS_process_vm_readv : SYS_process_vm_writev, PICK(family), &local, 1,
		below(16) ? &remote : (void *)any_address(), 1, below(16) ? 0 : 1);
}

static void call_mlockall(void)
{
	static const int some[] = { MCL_FUTURE, MCL_FUTURE | MCL_ONFAULT, MCL_ONFAULT, 0, 64 };

	syscall(SYS_mlockall, PICK(some));
	syscall(SYS_munlockall);
}

static void call_brk(void)
{
	static char *start;

	if (!start)
		start = (char *)syscall(SYS_brk, 0) + PAGE;
	syscall(SYS_brk, start + below(64) * 1000);
}

static void call_fork(void)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		for (int i = 0; i < 16; i++) {
			uint64_t at = any_address();

			syscall(SYS_munmap, at, any_length(at));
		}
		_exit(0);
	}
	if (child > 0)
		waitpid(child, &status, 0);
}

static sigjmp_buf escape;
static volatile bool touching;

static void caught(int signal)
{
	if (!touching)
		_exit(2);
	siglongjmp(escape, signal);
}

static void touch(bool store)
{
	volatile char *at = arena + below(ARENA_PAGES * PAGE);

	touching = true;
	if (sigsetjmp(escape, 1) == 0) {
		if (store)
			*at = (char)next();
		else
			(void)*at;
	}
	touching = false;
}

static void any_call(void)
{
	static unsigned char there[ARENA_PAGES];
	static const int advices[] = { MADV_NORMAL,         MADV_DONTNEED,        MADV_DONTNEED,
				       MADV_FREE,           MADV_REMOVE,          MADV_DONTFORK,
				       MADV_DOFORK,         MADV_WIPEONFORK,      MADV_KEEPONFORK,
				       MADV_HUGEPAGE,       MADV_HUGEPAGE,        MADV_NOHUGEPAGE,
				       MADV_COLD,           MADV_POPULATE_READ,   MADV_WILLNEED,
				       MADV_POPULATE_WRITE, MADV_DONTNEED_LOCKED, 999 };
	uint64_t at = any_address(), length = any_length(at);

	switch (below(24)) {
	case 0:
	case 1:
	case 2:
		call_mmap(at, length);
		break;
	case 3:
		syscall(SYS_munmap, at, length);
		break;
	case 4:
	case 5:
		syscall(SYS_mprotect, at, length, any_prot());
		break;
	case 6:
	case 7:
	case 8:
		call_mremap(at, length);
		break;
	case 9:
	case 10:
		syscall(SYS_madvise, at, length, PICK(advices));
		break;
	case 11:
		syscall(SYS_mincore, at, length, below(16) ? there : (void *)any_address());
		break;
	case 12:
		syscall(SYS_msync, at, length, below(8));
		break;
	case 13:
		syscall(SYS_mlock2, at, length, below(2));
		break;
	case 14:
		syscall(SYS_munlock, at, length);
		break;
	case 15:
		call_process_vm(at, length);
		break;
	case 16:
		call_brk();
		break;
	case 17:
		if (below(8) == 0)
			call_mlockall();
		else if (below(4) == 0)
			ftruncate(PICK(files),
				  (off_t)(below(FILE_PAGES + 1) * PAGE - below(2) * 77));
		break;
	case 18:
		if (below(8) == 0)
			call_fork();
		break;
	case 19:
		read(zero, (void *)at, length); /* a copy by the kernel */
		break;
	default:
		touch(below(2));
		break;
	}
}

/* --- processes -------------------------------------------------------------------------------- */

static int play(unsigned number, uint64_t seed, long calls)
{
	const struct sigaction action = { .sa_handler = caught, .sa_flags = SA_NODEFER };
	volatile uint64_t *own = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	state = (seed * 16 + number) * UINT64_C(0x9e3779b97f4a7c15) | 1;
	for (long i = 0; i < calls; i++) {
		own[number] = state;
		any_call();
		if ((i & 63) == 0)
			sched_yield();
		own[number + 8] = own[number];
	}
	return own[number] == own[number + 8] ? 0 : 1;
}

int main(int argc, char **argv)
{
	long calls = argc > 1 ? atol(argv[1]) : CALLS_DEFAULT;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : SEED_DEFAULT;
	bool good = true;
	int status;

	tap_begin(argv);
	hawser = on_hawser();
	/* One more page: mincore(2) may be told to put its answer at the very end. */
	arena = mmap(NULL, (ARENA_PAGES + 1) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	zero = open("/dev/zero", O_RDONLY);
	files[0] = open("/tmp/hawser-vm-fuzz", O_RDWR | O_CREAT | O_TRUNC, 0600);
	files[1] = open("/tmp/hawser-vm-fuzz", O_RDONLY);
	files[2] = memfd_create("fuzz", 0);
	ok(arena != MAP_FAILED && zero >= 0 && files[0] >= 0 && files[1] >= 0 && files[2] >= 0,
	   "seed %llu", (unsigned long long)seed);
	ftruncate(files[0], FILE_PAGES * PAGE);
	ftruncate(files[2], FILE_PAGES * PAGE);
	fflush(stdout);
	for (unsigned i = 0; i < PROCESSES; i++) {
		family[i] = fork();
		if (family[i] == 0) {
			family[i] = getpid();
			_exit(play(i, seed, calls));
		}
	}
	for (unsigned i = 0; i < PROCESSES; i++) {
		good = waitpid(family[i], &status, 0) == family[i] && status == 0 && good;
		if (status != 0)
			printf("# process %u: status %#x\n", i, status);
	}
	ok(good, "%d processes made %ld calls each, and have kept what is theirs", PROCESSES,
	   calls);
	unlink("/tmp/hawser-vm-fuzz");
	return done();
}
