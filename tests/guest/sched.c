/*
 * Scheduling as programs see it: policies and their priorities, nice and what it does, processors, and
 * what a process says of itself (prctl, personality).
 */
#define _GNU_SOURCE
#include "tap.h"

#define sched_param kernel_sched_param /* libc has its own */
#include <linux/sched/types.h>
#undef sched_param
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>

#define RESET_ON_FORK 0x40000000 /* SCHED_RESET_ON_FORK of <linux/sched.h>, which libc's forbids */
#define NOBODY        4000000    /* no process has this number */

/* A child does it, and tells by its status. */
static int in_child(int (*what)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(what());
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* --- policies: in a child, since it may not be able to go back ----------------------------------------- */

static long set_policy(int policy, int priority)
{
	struct sched_param param = { .sched_priority = priority };

	return syscall(SYS_sched_setscheduler, 0, policy, &param);
}

static int use_policies(void)
{
	struct sched_param param;
	struct timespec slice;

	if (syscall(SYS_sched_getscheduler, 0) != SCHED_OTHER)
		return 1;
	if (set_policy(SCHED_BATCH, 0) != 0 || syscall(SYS_sched_getscheduler, 0) != SCHED_BATCH)
		return 2;
	if (set_policy(SCHED_FIFO, 7) != 0 || syscall(SYS_sched_getscheduler, 0) != SCHED_FIFO)
		return 3;
	if (syscall(SYS_sched_getparam, 0, &param) != 0 || param.sched_priority != 7)
		return 4;
	if (syscall(SYS_sched_rr_get_interval, 0, &slice) != 0 || slice.tv_nsec != 0)
		return 5;
	if (set_policy(SCHED_RR | RESET_ON_FORK, 3) != 0 ||
	    syscall(SYS_sched_getscheduler, 0) != (SCHED_RR | RESET_ON_FORK))
		return 6;
	if (syscall(SYS_sched_rr_get_interval, 0, &slice) != 0 || slice.tv_nsec == 0)
		return 7;
	param.sched_priority = 9;
	if (syscall(SYS_sched_setparam, 0, &param) != 0 ||
	    syscall(SYS_sched_getparam, 0, &param) != 0 || param.sched_priority != 9)
		return 8;
	param.sched_priority = 0;
	if (syscall(SYS_sched_setparam, 0, &param) != -1 || errno != EINVAL)
		return 9;
	return 0;
}

static int is_normal(void)
{
	return syscall(SYS_sched_getscheduler, 0) == SCHED_OTHER ? 0 : 1;
}

static int reset_on_fork(void)
{
	return set_policy(SCHED_RR | RESET_ON_FORK, 3) == 0 ? in_child(is_normal) : 2;
}

static int use_attributes(void)
{
	struct sched_attr attr = { .size = sizeof(attr), .sched_policy = SCHED_OTHER };

	attr.sched_nice = 5;
	if (syscall(SYS_sched_setattr, 0, &attr, 0) != 0 || getpriority(PRIO_PROCESS, 0) != 5)
		return 1;
	memset(&attr, 0, sizeof(attr));
	if (syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0) != 0 || attr.sched_nice != 5 ||
	    attr.sched_policy != SCHED_OTHER || attr.size < SCHED_ATTR_SIZE_VER0)
		return 2;
	attr.size = 10;
	if (syscall(SYS_sched_setattr, 0, &attr, 0) != -1 || errno != E2BIG)
		return 3;
	if (syscall(SYS_sched_getattr, 0, &attr, 10, 0) != -1 || errno != EINVAL)
		return 4;
	return 0;
}

static void policies(void)
{
	struct sched_param param = { 0 };
	int status;

	status = in_child(use_policies);
	ok(status == 0, "policies are set and told (%d)", status);
	ok(in_child(reset_on_fork) == 0, "SCHED_RESET_ON_FORK");
	status = in_child(use_attributes);
	ok(status == 0, "sched_setattr and sched_getattr (%d)", status);
	ok(sched_get_priority_max(SCHED_FIFO) == 99 && sched_get_priority_min(SCHED_RR) == 1 &&
		   sched_get_priority_max(SCHED_OTHER) == 0 &&
		   sched_get_priority_min(SCHED_IDLE) == 0,
	   "priorities go from where to where");
	fails(sched_get_priority_max(77), EINVAL, "of no policy");
	fails(set_policy(77, 0), EINVAL, "no such policy");
	fails(set_policy(256, 0), EINVAL, "nor one whose low byte is another's");
	fails(set_policy(SCHED_FIFO, 0), EINVAL, "a real-time policy has a priority");
	fails(set_policy(SCHED_FIFO, 100), EINVAL, "of at most 99");
	fails(set_policy(SCHED_OTHER, 1), EINVAL, "others have none");
	fails(syscall(SYS_sched_setscheduler, NOBODY, SCHED_OTHER, &param), ESRCH, "whose?");
	fails(syscall(SYS_sched_setscheduler, -1, SCHED_OTHER, &param), EINVAL, "no number");
	fails(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, NULL), EINVAL, "no parameters");
	fails(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, 8L), EFAULT, "none that is there");
	fails(syscall(SYS_sched_getscheduler, NOBODY), ESRCH, "getscheduler of nobody");
	ok(sched_yield() == 0, "sched_yield");
}

/* --- nice ------------------------------------------------------------------------------------------------ */

static int inherits(void)
{
	return getpriority(PRIO_PROCESS, 0) == 7 ? 0 : 1;
}

static int be_nice(void)
{
	if (setpriority(PRIO_PROCESS, 0, 7) != 0 || getpriority(PRIO_PROCESS, 0) != 7)
		return 1;
	if (in_child(inherits) != 0)
		return 2;
	errno = 0;
	if (nice(3) != 10 || getpriority(PRIO_PROCESS, getpid()) != 10)
		return 3;
	if (setpriority(PRIO_PROCESS, 0, 100) != 0 || getpriority(PRIO_PROCESS, 0) != 19)
		return 4;
	setpgid(0, 0);
	if (setpriority(PRIO_PGRP, 0, 12) != 0 || getpriority(PRIO_PGRP, getpid()) != 12)
		return 5;
	return 0;
}

/* Two that count on one processor, one of them nice. */
static void nice_has_an_effect(void)
{
	volatile unsigned long *counts =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned long before[2];
	pid_t children[2];
	cpu_set_t one;

	for (int i = 0; i < 2; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			CPU_ZERO(&one);
			CPU_SET(0, &one);
			sched_setaffinity(0, sizeof(one), &one);
			setpriority(PRIO_PROCESS, 0, i == 0 ? 0 : 19);
			for (;;)
				counts[i * 64]++;
		}
	}
	/* From when both run. */
	while (counts[0] == 0 || counts[64] == 0)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	before[0] = counts[0];
	before[1] = counts[64];
	nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL);
	for (int i = 0; i < 2; i++) {
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
	}
	ok(counts[0] - before[0] > 2 * (counts[64] - before[1]),
	   "who is nice gets less: %lu against %lu", counts[64] - before[1], counts[0] - before[0]);
	munmap((void *)counts, 4096);
}

static void niceness(void)
{
	int status = in_child(be_nice);

	ok(status == 0, "nice is set, inherited, limited (%d)", status);
	fails(getpriority(PRIO_PROCESS, NOBODY), ESRCH, "nobody's");
	fails(setpriority(77, 0, 1), EINVAL, "of what?");
	fails(getpriority(77, 0), EINVAL, "what?");
	nice_has_an_effect();
}

static void io_priorities(void)
{
	ok(syscall(SYS_ioprio_get, 1, 0) >= 0, "ioprio_get");
	ok(syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 6) == 0 &&
		   syscall(SYS_ioprio_get, 1, 0) == (2 << 13 | 6),
	   "ioprio_set");
	fails(syscall(SYS_ioprio_set, 1, 0, 5 << 13), EINVAL, "no such class");
	fails(syscall(SYS_ioprio_get, 9, 0), EINVAL, "whose?");
	syscall(SYS_ioprio_set, 1, 0, 0);
}

/* --- processors ------------------------------------------------------------------------------------------ */

static void processors(void)
{
	cpu_set_t set, none;
	unsigned cpu = 99, node = 99;
	long size = syscall(SYS_sched_getaffinity, 0, sizeof(set), &set);

	CPU_ZERO(&none);
	ok(size > 0 && size % 8 == 0, "the mask has %ld bytes", size);
	memset((char *)&set + size, 0, sizeof(set) - (size_t)size);
	ok(CPU_COUNT(&set) >= 1, "with a processor");
	ok(sched_setaffinity(0, sizeof(set), &set) == 0, "which may be asked for");
	fails(sched_setaffinity(0, sizeof(none), &none), EINVAL, "none is too few");
	fails(syscall(SYS_sched_getaffinity, 0, 3, &set), EINVAL, "a mask of three bytes");
	fails(syscall(SYS_sched_getaffinity, NOBODY, sizeof(set), &set), ESRCH, "nobody's");
	ok(syscall(SYS_getcpu, &cpu, &node, NULL) == 0 && cpu < 4096, "getcpu: %u", cpu);
}

/* --- what a process says of itself ------------------------------------------------------------------------ */

static int control(void)
{
	int value = 0;
	int *address = NULL;

	if (prctl(PR_GET_DUMPABLE) != 1 || prctl(PR_SET_DUMPABLE, 0) != 0 ||
	    prctl(PR_GET_DUMPABLE) != 0 || prctl(PR_SET_DUMPABLE, 1) != 0)
		return 1;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 2;
	if (prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0) != -1 || errno != EINVAL)
		return 3;
	if (prctl(PR_GET_KEEPCAPS) != 0 || prctl(PR_SET_KEEPCAPS, 1) != 0 ||
	    prctl(PR_GET_KEEPCAPS) != 1)
		return 4;
	if (prctl(PR_SET_TIMERSLACK, 1234) != 0 || prctl(PR_GET_TIMERSLACK) != 1234 ||
	    prctl(PR_SET_TIMERSLACK, 0) != 0 || prctl(PR_GET_TIMERSLACK) != 50000)
		return 5;
	if (prctl(PR_GET_TID_ADDRESS, &address) != 0)
		return 6;
	if (prctl(PR_GET_TSC, &value) != 0 || value != PR_TSC_ENABLE)
		return 7;
	if (prctl(9999) != -1 || errno != EINVAL)
		return 8;
	return 0;
}

static int with_personality(void)
{
	int old = personality(0xffffffff);
	struct utsname name;

	if (personality((unsigned long)old | ADDR_NO_RANDOMIZE) != old)
		return 1;
	if (personality(0xffffffff) != (old | ADDR_NO_RANDOMIZE))
		return 2;
	personality(PER_LINUX32 | UNAME26);
	if (uname(&name) != 0 || strncmp(name.release, "2.6.", 4) != 0 ||
	    strcmp(name.machine, "i686") != 0)
		return 3;
	personality((unsigned long)old);
	return uname(&name) == 0 && strcmp(name.machine, "x86_64") == 0 ? 0 : 4;
}

static void attributes(void)
{
	struct sysinfo info;
	int status = in_child(control);

	ok(status == 0, "prctl (%d)", status);
	ok(in_child(with_personality) == 0, "personality");
	ok(sysinfo(&info) == 0 && info.totalram > 0 && info.mem_unit > 0 && info.procs > 0,
	   "sysinfo");
}

/* --- a user, whom no limit allows more: the number of the first step that goes wrong -------------------- */

static bool refused(long result, int error)
{
	return result == -1 && errno == error;
}

static int what_a_user_may(void)
{
	const struct rlimit none = { 0, 0 };
	cpu_set_t all;

	CPU_ZERO(&all);
	CPU_SET(0, &all);
	if (setrlimit(RLIMIT_NICE, &none) != 0 || setrlimit(RLIMIT_RTPRIO, &none) != 0 ||
	    setgid(1000) != 0 || setuid(1000) != 0)
		return 1;
	if (setpriority(PRIO_PROCESS, 0, 5) != 0)
		return 2;
	if (!refused(setpriority(PRIO_PROCESS, 0, 4), EACCES))
		return 3;
	if (!refused(setpriority(PRIO_PROCESS, getppid(), 5), EPERM))
		return 4;
	if (!refused(set_policy(SCHED_FIFO, 1), EPERM))
		return 5;
	if (set_policy(SCHED_BATCH, 0) != 0 || set_policy(SCHED_OTHER, 0) != 0)
		return 6;
	if (!refused(sched_setaffinity(getppid(), sizeof(all), &all), EPERM))
		return 7;
	if (!refused(syscall(SYS_ioprio_set, 1, 0, 1 << 13), EPERM)) /* real time */
		return 8;
	if (!refused(syscall(SYS_ioprio_set, 1, getppid(), 2 << 13), EPERM))
		return 9;
	if (setpriority(PRIO_USER, 0, 6) != 0 || getpriority(PRIO_PROCESS, getppid()) == 6)
		return 10;
	return 0;
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	(void)setpriority(PRIO_PROCESS, 0, 0); /* whoever started us may have been nice */
	{
		int status = in_child(what_a_user_may);

		ok(status == 0, "a user may be nicer, and no more (%d)", status);
	}
	policies();
	niceness();
	io_priorities();
	processors();
	attributes();
	return done();
}
