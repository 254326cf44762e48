/*
 * Bad pointers for every call that takes one: EFAULT, and nothing worse. And good ones that are
 * hard: unaligned, across pages, to memory that has never been touched, and read-only where the
 * kernel only reads.
 */
#include "tap.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/times.h>
#include <time.h>

#define PAGE 4096L

static const struct {
	const char *name;
	uintptr_t address;
} bad[] = {
	{ "a small number", 8 },
	{ "the last user page", 0x7ffffffff000 },
	{ "the end of the user half", 0x7fffffffffff },
	{ "not canonical", 0x800000000000 },
	{ "the kernel's direct map", 0xffff888000001000 },
	{ "the kernel's image", 0xffffffff81000000 },
	{ "all ones", UINTPTR_MAX },
};

/* One call with one bad pointer. */
static void try_call(const char *name, const char *what, long number, long a, long b, long c,
		     long d)
{
	fails(syscall(number, a, b, c, d), EFAULT, "%s: %s", name, what);
}

static void every_call(const char *what, long p, int file)
{
	static char buffer[64];

	try_call("read", what, SYS_read, file, p, 10, 0);
	try_call("write", what, SYS_write, file, p, 10, 0);
	try_call("pread64", what, SYS_pread64, file, p, 10, 0);
	try_call("open", what, SYS_open, p, O_RDONLY, 0, 0);
	try_call("stat", what, SYS_stat, p, (long)buffer, 0, 0);
	try_call("stat's result", what, SYS_stat, (long)"/", p, 0, 0);
	try_call("fstat", what, SYS_fstat, file, p, 0, 0);
	try_call("access", what, SYS_access, p, 0, 0, 0);
	try_call("chdir", what, SYS_chdir, p, 0, 0, 0);
	try_call("getcwd", what, SYS_getcwd, p, 100, 0, 0);
	try_call("mkdir", what, SYS_mkdir, p, 0700, 0, 0);
	try_call("unlink", what, SYS_unlink, p, 0, 0, 0);
	try_call("rename", what, SYS_rename, p, (long)"/tmp/x", 0, 0);
	try_call("readlink", what, SYS_readlink, (long)"/proc/self/exe", p, 100, 0);
	try_call("readv", what, SYS_readv, file, p, 1, 0);
	try_call("writev", what, SYS_writev, file, p, 1, 0);
	try_call("execve", what, SYS_execve, p, 0, 0, 0);
	try_call("execve's arguments", what, SYS_execve, (long)"/proc/self/exe", p, 0, 0);
	try_call("execve's environment", what, SYS_execve, (long)"/proc/self/exe", 0, p, 0);
	try_call("uname", what, SYS_uname, p, 0, 0, 0);
	try_call("sysinfo", what, SYS_sysinfo, p, 0, 0, 0);
	try_call("clock_gettime", what, SYS_clock_gettime, CLOCK_MONOTONIC, p, 0, 0);
	try_call("gettimeofday", what, SYS_gettimeofday, p, 0, 0, 0);
	try_call("nanosleep", what, SYS_nanosleep, p, 0, 0, 0);
	try_call("times", what, SYS_times, p, 0, 0, 0);
	try_call("getrusage", what, SYS_getrusage, RUSAGE_SELF, p, 0, 0);
	try_call("getrlimit", what, SYS_getrlimit, RLIMIT_STACK, p, 0, 0);
	try_call("prlimit64", what, SYS_prlimit64, 0, RLIMIT_STACK, p, 0);
	try_call("rt_sigaction", what, SYS_rt_sigaction, SIGUSR1, p, 0, 8);
	try_call("rt_sigaction's result", what, SYS_rt_sigaction, SIGUSR1, 0, p, 8);
	try_call("rt_sigprocmask", what, SYS_rt_sigprocmask, SIG_BLOCK, p, 0, 8);
	try_call("getresuid", what, SYS_getresuid, p, p, p, 0);
	try_call("arch_prctl", what, SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */, p, 0, 0);
	try_call("getrandom", what, SYS_getrandom, p, 10, 0, 0);
	try_call("getdents64", what, SYS_getdents64, file + 1, p, 1024, 0);
}

static void an_argument_vector_with_a_bad_string(void)
{
	char *page =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *arguments[] = { "good", (char *)8, NULL };
	char **at_the_end = (char **)(page + PAGE) - 1;
	char *unterminated = page + PAGE - 4;

	munmap(page + PAGE, PAGE);
	fails(syscall(SYS_execve, "/proc/self/exe", arguments, NULL), EFAULT,
	      "execve with a bad argument");
	*at_the_end = "good";
	fails(syscall(SYS_execve, "/proc/self/exe", at_the_end, NULL), EFAULT,
	      "execve with a vector that runs off its page");
	memcpy(unterminated, "abcd", 4);
	arguments[1] = unterminated;
	fails(syscall(SYS_execve, "/proc/self/exe", arguments, NULL), EFAULT,
	      "execve with a string that runs off its page");
	fails(open(unterminated, O_RDONLY), EFAULT, "open with such a name");
	munmap(page, PAGE);
}

/* What the kernel writes for a process goes where the process's own writes would go. */
static void the_kernels_writes_are_private_too(int file)
{
	int zero = open("/dev/zero", O_RDONLY);
	char *area = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	char *first =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *second = first + PAGE, byte = 0;

	pwrite(file, "f", 1, 0);
	ok(area[0] == 'f' && read(zero, area, 1) == 1 && area[0] == 0 &&
		   pread(file, &byte, 1, 0) == 1 && byte == 'f',
	   "read into a private file page leaves the file alone");
	ok(first[0] == 0 && second[0] == 0 && pread(file, first, 1, 0) == 1 && first[0] == 'f' &&
		   second[0] == 0,
	   "read into the page of zeroes leaves the others zero");
	munmap(area, PAGE);
	munmap(first, 2 * PAGE);
	close(zero);
}

static void hard_but_good(int file)
{
	char *area =
		mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static char filled[3 * PAGE];

	memset(filled, 'f', sizeof(filled));
	pwrite(file, filled, sizeof(filled), 0);
	ok(pread(file, area + PAGE - 7, PAGE + 14, 0) == PAGE + 14 && area[PAGE - 8] == 0 &&
		   area[PAGE - 7] == 'f' && area[2 * PAGE + 6] == 'f' && area[2 * PAGE + 7] == 0,
	   "read into three untouched pages");
	ok(pwrite(file, area + 3 * PAGE, 10, 0) == 10, "write from an untouched page");
	mprotect(area, PAGE, PROT_READ);
	fails(pread(file, area, 10, 0), EFAULT, "read into a read-only page");
	ok(pwrite(file, area, 10, 0) == 10, "write from a read-only page");
	munmap(area + 2 * PAGE, PAGE);
	ok(pread(file, area + PAGE, 3 * PAGE, 0) <= PAGE, "read into a hole stops at it");
	fails(syscall(SYS_read, file, 8, 0x7fffffffffffffffL), EFAULT, "a huge length");
	munmap(area, 4 * PAGE);
}

int main(int argc, char **argv)
{
	int file = open("/tmp/hawser-pointers", O_RDWR | O_CREAT | O_TRUNC, 0600);
	int directory = open("/", O_RDONLY | O_DIRECTORY);
	char zeroes[256] = { 0 };

	(void)argc;
	tap_begin(argv);
	ok(file >= 0 && directory == file + 1 && write(file, zeroes, 256) == 256, "set up");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		lseek(file, 0, SEEK_SET);
		every_call(bad[i].name, (long)bad[i].address, file);
	}
	an_argument_vector_with_a_bad_string();
	the_kernels_writes_are_private_too(file);
	hard_but_good(file);
	unlink("/tmp/hawser-pointers");
	return done();
}
