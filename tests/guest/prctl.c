/*
 * prctl(2), option by option, and membarrier(2). Each part runs in a child, since some of it is for ever.
 */
#define _GNU_SOURCE
#include "crew.h"

#include <linux/capability.h>
#include <linux/membarrier.h>
#include <linux/securebits.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#define USER 1000

static bool refuses(long result, int error)
{
	return result == -1 && errno == error;
}

/* Raw, with every argument: libc's has some of its own. */
static long control(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	return syscall(SYS_prctl, option, a, b, c, d);
}

static bool has(int which, unsigned cap)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) != 0)
		return false;
	return ((which == 'e' ? data[cap / 32].effective : data[cap / 32].permitted) >> cap % 32) &
	       1;
}

/* --- kept and told ------------------------------------------------------------------------------------------- */

static int memory_errors(void)
{
	want(control(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_DEFAULT);
	want(control(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0) == 0);
	want(control(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_EARLY);
	want(control(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE, 0, 0) == 0);
	want(control(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_LATE);
	want(control(PR_MCE_KILL, PR_MCE_KILL_CLEAR, 0, 0, 0) == 0);
	want(control(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_DEFAULT);
	want(refuses(control(PR_MCE_KILL, PR_MCE_KILL_SET, 9, 0, 0), EINVAL));
	want(refuses(control(PR_MCE_KILL, PR_MCE_KILL_CLEAR, 1, 0, 0), EINVAL));
	want(refuses(control(PR_MCE_KILL, 5, 0, 0, 0), EINVAL));
	want(refuses(control(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE, 1, 0), EINVAL));
	want(refuses(control(PR_MCE_KILL_GET, 1, 0, 0, 0), EINVAL));
	return 0;
}

static int flusher(void)
{
	/* A container's root may not have it. */
	if (!has('e', CAP_SYS_RESOURCE)) {
		want(refuses(control(PR_SET_IO_FLUSHER, 1, 0, 0, 0), EPERM));
		return 0;
	}
	want(control(PR_GET_IO_FLUSHER, 0, 0, 0, 0) == 0);
	want(control(PR_SET_IO_FLUSHER, 1, 0, 0, 0) == 0);
	want(control(PR_GET_IO_FLUSHER, 0, 0, 0, 0) == 1);
	want(control(PR_SET_IO_FLUSHER, 0, 0, 0, 0) == 0);
	want(refuses(control(PR_SET_IO_FLUSHER, 2, 0, 0, 0), EINVAL));
	want(refuses(control(PR_GET_IO_FLUSHER, 0, 0, 0, 1), EINVAL));
	want(setuid(USER) == 0);
	want(refuses(control(PR_SET_IO_FLUSHER, 1, 0, 0, 0), EPERM));
	want(refuses(control(PR_GET_IO_FLUSHER, 0, 0, 0, 0), EPERM));
	return 0;
}

static int slack_of_child(void)
{
	want(prctl(PR_GET_TIMERSLACK) == 1234);
	want(prctl(PR_SET_TIMERSLACK, 99) == 0 && prctl(PR_GET_TIMERSLACK) == 99);
	/* Back to what it was born with. */
	want(prctl(PR_SET_TIMERSLACK, 0) == 0 && prctl(PR_GET_TIMERSLACK) == 1234);
	return 0;
}

static int slack(void)
{
	want(prctl(PR_SET_TIMERSLACK, 1234) == 0);
	return in_child(slack_of_child);
}

static int speculation(void)
{
	want(control(PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, 0, 0, 0) >= 0);
	want(control(PR_GET_SPECULATION_CTRL, PR_SPEC_INDIRECT_BRANCH, 0, 0, 0) >= 0);
	want(refuses(control(PR_GET_SPECULATION_CTRL, 99, 0, 0, 0), ENODEV));
	want(refuses(control(PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, 1, 0, 0), EINVAL));
	want(refuses(control(PR_SET_SPECULATION_CTRL, 99, PR_SPEC_ENABLE, 0, 0), ENODEV));
	want(refuses(control(PR_SET_SPECULATION_CTRL, PR_SPEC_INDIRECT_BRANCH, 99, 0, 0), ERANGE));
	want(refuses(control(PR_SET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, 0, 1, 0), EINVAL));
	return 0;
}

static int timing(void)
{
	want(control(PR_GET_TIMING, 0, 0, 0, 0) == PR_TIMING_STATISTICAL);
	want(control(PR_SET_TIMING, PR_TIMING_STATISTICAL, 0, 0, 0) == 0);
	want(refuses(control(PR_SET_TIMING, PR_TIMING_TIMESTAMP, 0, 0, 0), EINVAL));
	return 0;
}

/* What other processors have. */
static int elsewhere(void)
{
	static const int options[] = {
		PR_SET_UNALIGN, PR_GET_UNALIGN, PR_SET_FPEMU,  PR_GET_FPEMU,   PR_SET_FPEXC,
		PR_GET_FPEXC,   PR_SET_ENDIAN,  PR_GET_ENDIAN, PR_SET_FP_MODE, PR_GET_FP_MODE,
		PR_SVE_SET_VL,  PR_SVE_GET_VL,  9999
	};

	for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		want(refuses(control(options[i], 0, 0, 0, 0), EINVAL));
	return 0;
}

/* --- with an effect --------------------------------------------------------------------------------------------- */

static int tsc(void)
{
	int value = 0;

	want(prctl(PR_GET_TSC, &value) == 0 && value == PR_TSC_ENABLE);
	want(refuses(prctl(PR_SET_TSC, 9), EINVAL));
	__builtin_ia32_rdtsc();
	want(prctl(PR_SET_TSC, PR_TSC_SIGSEGV) == 0);
	want(prctl(PR_GET_TSC, &value) == 0 && value == PR_TSC_SIGSEGV);
	want(prctl(PR_SET_TSC, PR_TSC_ENABLE) == 0);
	__builtin_ia32_rdtsc();
	prctl(PR_SET_TSC, PR_TSC_SIGSEGV);
	/* Others run in between, and may use it. */
	syscall(SYS_nanosleep, &(struct timespec){ 0, 2000000 }, NULL);
	__builtin_ia32_rdtsc();
	return 1;
}

static int tsc_of_child(void)
{
	prctl(PR_SET_TSC, PR_TSC_SIGSEGV);
	if (fork() == 0) {
		__builtin_ia32_rdtsc();
		_exit(1);
	}
	int status;

	wait(&status);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 99;
}

/* How many pages one write brings. */
static int brought(void)
{
	const size_t size = 4 << 20, page = 4096;
	unsigned char vector[1024];
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int count = 0;

	madvise(memory, size, MADV_HUGEPAGE);
	memory[size / 2] = 1;
	mincore(memory, size, vector);
	for (size_t i = 0; i < size / page; i++)
		count += vector[i] & 1;
	munmap(memory, size);
	return count;
}

static int small_pages_only(void)
{
	want(control(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1);
	want(brought() < 256);
	return 0;
}

static int large_pages(void)
{
	want(control(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 0);
	want(control(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);
	want(small_pages_only() == 0 && in_child(small_pages_only) == 0);
	want(control(PR_SET_THP_DISABLE, 0, 0, 0, 0) == 0);
	want(control(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 0);
	want(refuses(control(PR_GET_THP_DISABLE, 1, 0, 0, 0), EINVAL));
	want(refuses(control(PR_SET_THP_DISABLE, 1, 0, 0, 1), EINVAL));
	return 0;
}

/* Who has another's rights than before may not be looked into, nor is told of its parent's end. */
static int dumpable(void)
{
	int value = -1;

	want(prctl(PR_GET_DUMPABLE) == 1);
	want(refuses(prctl(PR_SET_DUMPABLE, 2), EINVAL));
	want(prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0);
	want(setuid(USER) == 0);
	want(prctl(PR_GET_DUMPABLE) == 0);
	want(prctl(PR_GET_PDEATHSIG, &value) == 0 && value == 0);
	want(prctl(PR_SET_DUMPABLE, 1) == 0 && prctl(PR_GET_DUMPABLE) == 1);
	return 0;
}

static char *self; /* argv[0] */

/* Nor may the program of somebody who has another's rights: 0, or 2 where root has set suid_dumpable. */
static int dumpable_program(void)
{
	want(setresuid(USER, 0, 0) == 0);
	execl(self, self, "dumpable", NULL);
	return 99;
}

/* Another of the same user looks. */
static int inspection(void)
{
	char byte;
	struct iovec {
		void *base;
		size_t length;
	} to = { &byte, 1 }, from = { &byte, 1 };
	pid_t child;
	long found;

	want(setgid(USER) == 0 && setuid(USER) == 0);
	prctl(PR_SET_DUMPABLE, 1);
	child = sleeper();
	found = syscall(SYS_process_vm_readv, child, &to, 1, &from, 1, 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	want(found == 1);
	prctl(PR_SET_DUMPABLE, 0);
	child = sleeper();
	prctl(PR_SET_DUMPABLE, 1);
	want(refuses(syscall(SYS_process_vm_readv, child, &to, 1, &from, 1, 0), EPERM));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return 0;
}

/* --- capabilities ---------------------------------------------------------------------------------------------- */

static int securebits(void)
{
	const unsigned long all = SECURE_ALL_BITS | SECURE_ALL_LOCKS;

	want(prctl(PR_GET_SECUREBITS) == 0);
	want(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) == 0);
	want(prctl(PR_GET_SECUREBITS) == SECBIT_NO_SETUID_FIXUP);
	want(refuses(prctl(PR_SET_SECUREBITS, 0x10000), EPERM));
	/* A user that keeps what root had. */
	want(setresuid(USER, USER, USER) == 0 && has('e', CAP_CHOWN) && has('p', CAP_CHOWN));
	want(prctl(PR_SET_SECUREBITS, all & ~(unsigned long)SECURE_ALL_BITS) == 0);
	want(refuses(prctl(PR_SET_SECUREBITS, 0), EPERM));
	want(refuses(prctl(PR_SET_SECUREBITS, all), EPERM));
	want(refuses(prctl(PR_SET_KEEPCAPS, 1), EPERM));
	return 0;
}

static int kept(void)
{
	want(prctl(PR_SET_KEEPCAPS, 1) == 0 && prctl(PR_GET_SECUREBITS) == SECBIT_KEEP_CAPS);
	want(refuses(prctl(PR_SET_KEEPCAPS, 2), EINVAL));
	want(setresuid(USER, USER, USER) == 0 && !has('e', CAP_CHOWN) && has('p', CAP_CHOWN));
	want(refuses(prctl(PR_SET_SECUREBITS, 0), EPERM));
	return 0;
}

static int ambient(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	want(refuses(control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0), EPERM));
	syscall(SYS_capget, &header, data);
	data[0].inheritable |= 1u << CAP_CHOWN;
	want(syscall(SYS_capset, &header, data) == 0);
	want(control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0) == 0);
	want(control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0) == 1);
	want(refuses(control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 1, 0), EINVAL));
	want(refuses(control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 1, 0, 0), EINVAL));
	want(control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0);
	want(control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0) == 0);
	want(prctl(PR_SET_SECUREBITS, SECBIT_NO_CAP_AMBIENT_RAISE) == 0);
	want(refuses(control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0), EPERM));
	return 0;
}

static int bounding(void)
{
	want(prctl(PR_CAPBSET_READ, CAP_CHOWN) == 1);
	want(prctl(PR_CAPBSET_DROP, CAP_CHOWN) == 0 && prctl(PR_CAPBSET_READ, CAP_CHOWN) == 0);
	want(refuses(prctl(PR_CAPBSET_READ, 64), EINVAL));
	want(refuses(prctl(PR_CAPBSET_DROP, 64), EINVAL));
	want(setuid(USER) == 0);
	want(refuses(prctl(PR_CAPBSET_DROP, CAP_FOWNER), EPERM));
	return 0;
}

/* --- membarrier ---------------------------------------------------------------------------------------------------- */

static long barrier(int command, unsigned flags)
{
	return syscall(SYS_membarrier, command, flags, 0);
}

static int registered(void)
{
	want(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0) == 0);
	return 0;
}

static int barriers(void)
{
	long commands = barrier(MEMBARRIER_CMD_QUERY, 0);

	want(commands > 0 && commands & MEMBARRIER_CMD_GLOBAL &&
	     commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	want(barrier(MEMBARRIER_CMD_GLOBAL, 0) == 0);
	want(barrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0) == 0);
	want(refuses(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0), EPERM));
	want(refuses(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0), EPERM));
	want(barrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0) == 0);
	want(registered() == 0 && in_child(registered) == 0);
	want(refuses(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0), EPERM));
	want(barrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0) == 0);
	want(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0) == 0);
	want(barrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0) == 0);
	want(refuses(barrier(MEMBARRIER_CMD_QUERY, 4), EINVAL));
	want(refuses(barrier(1 << 30, 0), EINVAL));
	return 0;
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc > 1)
		return prctl(PR_GET_DUMPABLE);
	tap_begin(argv);
	ok(in_child(memory_errors) == 0, "PR_MCE_KILL");
	ok(in_child(flusher) == 0, "PR_SET_IO_FLUSHER");
	ok(in_child(slack) == 0, "PR_SET_TIMERSLACK: its default is the parent's");
	ok(in_child(speculation) == 0, "PR_GET_SPECULATION_CTRL");
	ok(in_child(timing) == 0, "PR_SET_TIMING");
	ok(in_child(elsewhere) == 0, "what other processors have");
	ok(in_child(tsc) == 1000 + SIGSEGV, "PR_SET_TSC: no clock");
	ok(in_child(tsc_of_child) == SIGSEGV, "nor for its children");
	__builtin_ia32_rdtsc();
	ok(in_child(large_pages) == 0, "PR_SET_THP_DISABLE");
	ok(in_child(dumpable) == 0, "PR_SET_DUMPABLE, PR_SET_PDEATHSIG: gone with another user");
	ok((in_child(dumpable_program) & ~2) == 0, "and not there for a program with two users");
	ok(in_child(inspection) == 0, "what is not dumpable is not looked into");
	ok(in_child(securebits) == 0, "PR_SET_SECUREBITS");
	ok(in_child(kept) == 0, "PR_SET_KEEPCAPS");
	ok(in_child(ambient) == 0, "PR_CAP_AMBIENT");
	ok(in_child(bounding) == 0, "PR_CAPBSET_DROP");
	ok(in_child(barriers) == 0, "membarrier");
	return done();
}
