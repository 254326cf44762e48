/*
 * What a process asks about itself and sets: numbers, limits, names, signals' dispositions, futexes
 * without anybody to wait for, and /proc.
 */
#include "tap.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>

static void numbers(void)
{
	gid_t groups[8];
	int count;

	ok(getpid() > 0 && getpid() == syscall(SYS_gettid), "pid and tid");
	ok(getpgrp() == getpgid(0) && getpgid(getpid()) == getpgrp(), "process group");
	ok(getsid(0) == getsid(getpid()) && getsid(0) >= 0, "session");
	fails(getpgid(999999), ESRCH, "no such process");
	count = getgroups(8, groups);
	ok(count >= 0 && count <= 8, "%d groups", count);
	fails(wait4(-1, NULL, WNOHANG, NULL), ECHILD, "there is no child");
	fails(wait4(-1, NULL, 0x10, NULL), EINVAL, "nor such an option of wait4");
	fails(wait4(INT32_MIN, NULL, WNOHANG, NULL), ESRCH, "nor a group of this number");
	fails(kill(999999, 0), ESRCH, "nobody to signal");
	fails(kill(999999, 65), ESRCH, "whatever the signal");
	fails(kill(getpid(), 65), EINVAL, "no such signal");
	ok(kill(getpid(), 0) == 0, "signal 0 asks only");
	fails(setpgid(0, -1), EINVAL, "a negative group");
	fails(setpgid(-1, 0), EINVAL, "a negative process, which is its group");
	fails(setpgid(999999, 0), ESRCH, "no process to move");
}

static void limits(void)
{
	struct rlimit limit, lower;

	ok(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= 256, "RLIMIT_NOFILE");
	lower = limit;
	lower.rlim_cur = 100;
	ok(setrlimit(RLIMIT_NOFILE, &lower) == 0 && getrlimit(RLIMIT_NOFILE, &lower) == 0 &&
		   lower.rlim_cur == 100,
	   "it is lowered");
	fails(dup2(1, 100), EBADF, "and obeyed");
	setrlimit(RLIMIT_NOFILE, &limit);
	fails(getrlimit(999, &limit), EINVAL, "no such limit");
	fails(syscall(SYS_setrlimit, 999, NULL), EFAULT, "a bad address comes first");
	limit.rlim_cur = 10;
	limit.rlim_max = 5;
	fails(setrlimit(RLIMIT_CORE, &limit), EINVAL, "soft above hard");
}

static bool all_zero(const char *from, const char *end)
{
	while (from < end && *from == 0)
		from++;
	return from == end;
}

static void names(void)
{
	char name[16] = { 0 };
	struct utsname uts;
	struct sysinfo info;

	ok(prctl(PR_SET_NAME, "a-very-long-name-indeed") == 0 && prctl(PR_GET_NAME, name) == 0 &&
		   strcmp(name, "a-very-long-nam") == 0,
	   "a name is cut at 15 bytes");
	ok(uname(&uts) == 0 && strcmp(uts.sysname, "Linux") == 0 &&
		   strcmp(uts.machine, "x86_64") == 0,
	   "uname: %s %s", uts.release, uts.version);
	memset(&info, 0xaa, sizeof(info));
	ok(sysinfo(&info) == 0 && info.totalram > 0 && info.freeram <= info.totalram, "sysinfo");
	ok(all_zero((char *)(&info.procs + 1), (char *)&info.totalhigh),
	   "its padding holds nothing of the kernel's");
}

static void handler(int signal)
{
	(void)signal;
}

static void dispositions(void)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART }, old;
	sigset_t set, before;

	ok(sigaction(SIGUSR1, &action, NULL) == 0 && sigaction(SIGUSR1, NULL, &old) == 0 &&
		   old.sa_handler == handler && (old.sa_flags & SA_RESTART),
	   "a handler is kept");
	action.sa_handler = SIG_IGN;
	ok(sigaction(SIGUSR1, &action, NULL) == 0 && kill(getpid(), SIGUSR1) == 0,
	   "an ignored signal does nothing");
	fails(sigaction(SIGKILL, &action, NULL), EINVAL, "SIGKILL has no handler");
	fails(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4), EINVAL, "a wrong set size");
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGKILL);
	ok(sigprocmask(SIG_BLOCK, &set, &before) == 0 && kill(getpid(), SIGUSR2) == 0,
	   "a blocked signal waits");
	ok(sigpending(&set) == 0 && sigismember(&set, SIGUSR2) == 1, "it is pending");
	memset(&set, 0xaa, sizeof(set));
	ok(syscall(SYS_rt_sigpending, &set, 4) == 0 && sigismember(&set, SIGUSR2) == 1 &&
		   ((unsigned char *)&set)[4] == 0xaa,
	   "a short set gets the beginning");
	fails(syscall(SYS_rt_sigpending, &set, 16), EINVAL, "there is no more than 64");
	sigprocmask(SIG_SETMASK, NULL, &set);
	ok(sigismember(&set, SIGKILL) == 0, "SIGKILL cannot be blocked");
	action.sa_handler = SIG_IGN;
	ok(sigaction(SIGUSR2, &action, NULL) == 0 && sigprocmask(SIG_SETMASK, &before, NULL) == 0,
	   "and goes away when it is ignored");
	ok(kill(getpid(), SIGCHLD) == 0 && kill(getpid(), SIGWINCH) == 0,
	   "some are ignored by default");
}

static void futexes(void)
{
	struct timespec moment = { .tv_nsec = 20000000 };
	uint32_t word = 5;

	ok(syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 0, "nobody to wake");
	fails(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 4, NULL, NULL, 0), EAGAIN,
	      "another value is EAGAIN");
	fails(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 5, &moment, NULL, 0), ETIMEDOUT,
	      "20 ms are ETIMEDOUT");
	fails(syscall(SYS_futex, (char *)&word + 1, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), EINVAL,
	      "an odd address is EINVAL");
	fails(syscall(SYS_futex, (void *)4096, FUTEX_WAIT_PRIVATE, 5, NULL, NULL, 0), EFAULT,
	      "a bad address is EFAULT");
	fails(syscall(SYS_futex, (char *)&word + 1, FUTEX_CMD_MASK, 5, NULL, NULL, 0), ENOSYS,
	      "an unknown operation is ENOSYS, whatever the address");
	fails(syscall(SYS_futex, &word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0),
	      ENOSYS, "waking has no clock");
	fails(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 4, NULL, NULL, 0), EINVAL,
	      "waiting for no bit is EINVAL");
	ok(sched_yield() == 0, "sched_yield");
}

static bool contains(const char *path, const char *text)
{
	static char content[16384];
	FILE *file = fopen(path, "r");
	size_t length;

	if (!file)
		return false;
	length = fread(content, 1, sizeof(content) - 1, file);
	content[length] = '\0';
	fclose(file);
	return strstr(content, text) != NULL;
}

/* Without malloc(), which moves the break itself. */
static int count_in_maps(const char *text)
{
	static char maps[16384];
	int file = open("/proc/self/maps", O_RDONLY), count = 0;
	size_t length = 0;
	ssize_t got;

	while ((got = read(file, maps + length, sizeof(maps) - 1 - length)) > 0)
		length += (size_t)got;
	close(file);
	maps[length] = '\0';
	for (const char *at = maps; (at = strstr(at, text)) != NULL; at++)
		count++;
	return count;
}

/* However often it moves, it is one mapping. */
static void the_heap_is_one_mapping(void)
{
	char *start = (char *)syscall(SYS_brk, 0);
	int lines = 0;

	/* The libc may have a guard page in it, which is another. */
	for (int i = 1; i <= 100; i++) {
		syscall(SYS_brk, start + i * 4096L);
		start[i * 4096L - 1] = 'h';
		if (i == 1)
			lines = count_in_maps("[heap]");
	}
	ok(lines > 0 && count_in_maps("[heap]") == lines,
	   "a hundred steps of brk are one line of /proc/self/maps");
	syscall(SYS_brk, start);
}

static void proc_files(char **argv)
{
	char expected[64], link[256] = { 0 };
	const char *slash = strrchr(argv[0], '/');

	prctl(PR_SET_NAME, "renamed");
	ok(contains("/proc/self/maps", "[stack]") && contains("/proc/self/maps", "r-xp"),
	   "/proc/self/maps");
	ok(contains("/proc/self/comm", "renamed\n"), "/proc/self/comm");
	snprintf(expected, sizeof(expected), "Pid:\t%d\n", (int)getpid());
	ok(contains("/proc/self/status", expected) && contains("/proc/self/status", "VmRSS:"),
	   "/proc/self/status");
	snprintf(expected, sizeof(expected), "%d (renamed) R ", (int)getpid());
	ok(contains("/proc/self/stat", expected), "/proc/self/stat");
	ok(contains("/proc/self/cmdline", argv[0]), "/proc/self/cmdline");
	ok(readlink("/proc/self/exe", link, sizeof(link) - 1) > 0 &&
		   strstr(link, slash ? slash + 1 : argv[0]),
	   "/proc/self/exe is %s", link);
	ok(contains("/proc/meminfo", "MemTotal:") && contains("/proc/meminfo", "MemAvailable:"),
	   "/proc/meminfo");
	ok(contains("/proc/version", "Linux version "), "/proc/version");
	ok(contains("/proc/uptime", "."), "/proc/uptime");
	ok(contains("/proc/buddyinfo", "Node 0"), "/proc/buddyinfo");
	ok(contains("/proc/cpuinfo", "model name"), "/proc/cpuinfo");
	ok(contains("/proc/stat", "btime "), "/proc/stat");
	ok(contains("/proc/interrupts", "CPU0"), "/proc/interrupts");
	ok(contains("/proc/net/dev", "Inter-|"), "/proc/net/dev");
	ok(contains("/proc/cmdline", "\n"), "/proc/cmdline");
	ok(contains("/proc/mounts", " / "), "/proc/mounts");
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	numbers();
	limits();
	names();
	dispositions();
	futexes();
	the_heap_is_one_mapping();
	proc_files(argv);
	return done();
}
