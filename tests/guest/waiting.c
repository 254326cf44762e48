/*
 * What waiting for a child tells: each of waitid(2)'s options alone and together, SIGCHLD's details, and
 * what the child has used (getrusage(2)).
 */
#define _GNU_SOURCE
#include "crew.h"

#include <sched.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define PAGE         4096
#define TOUCHED      400                             /* pages */
#define RESIDENT_KIB (TOUCHED * PAGE / 1024 * 3 / 4) /* Linux counts roughly */
#define BURNT_MS     30
#define NAPS         6

static char *self;

static void burn(long ms)
{
	struct timespec now;

	do
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	while (now.tv_sec * 1000 + now.tv_nsec / 1000000 < ms);
}

static void touch(int pages)
{
	volatile char *memory = mmap(NULL, (size_t)pages * PAGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	madvise((void *)memory, (size_t)pages * PAGE, MADV_NOHUGEPAGE);
	for (int i = 0; i < pages; i++)
		memory[(size_t)i * PAGE] = 1;
	munmap((void *)memory, (size_t)pages * PAGE);
}

static long raw_waitid(int type, pid_t id, siginfo_t *info, int options, struct rusage *usage)
{
	return syscall(SYS_waitid, type, id, info, options, usage);
}

/* --- options -------------------------------------------------------------------------------------------- */

/* What is found at once, as CLD_*; 0: nothing yet; -1: an error. */
static int glance(pid_t child, int options)
{
	siginfo_t info = { .si_pid = -1 };

	if (waitid(P_PID, (id_t)child, &info, options | WNOHANG) != 0)
		return -1;
	return info.si_pid == 0 ? 0 : info.si_code;
}

static void test_alone(void)
{
	pid_t child = sleeper();
	siginfo_t info;

	kill(child, SIGSTOP);
	ok(waitid(P_PID, (id_t)child, &info, WSTOPPED | WNOWAIT) == 0 && info.si_pid == child,
	   "WSTOPPED: a stop");
	ok(glance(child, WEXITED) == 0 && glance(child, WCONTINUED) == 0 &&
		   glance(child, WEXITED | WCONTINUED) == 0,
	   "which neither WEXITED nor WCONTINUED tells");
	ok(glance(child, WEXITED | WSTOPPED | WCONTINUED) == CLD_STOPPED, "all three do");
	ok(glance(child, WEXITED | WSTOPPED | WCONTINUED) == 0, "once");
	kill(child, SIGCONT);
	ok(waitid(P_PID, (id_t)child, &info, WCONTINUED | WNOWAIT) == 0 &&
		   info.si_code == CLD_CONTINUED && info.si_status == SIGCONT,
	   "WCONTINUED: it goes on");
	ok(glance(child, WEXITED | WSTOPPED) == 0 && glance(child, WCONTINUED) == CLD_CONTINUED,
	   "which the others do not tell");
	kill(child, SIGKILL);
	ok(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0 && info.si_code == CLD_KILLED,
	   "WEXITED: its end");
	errno = 0;
	ok(glance(child, WSTOPPED | WCONTINUED) == -1 && errno == ECHILD,
	   "who waits for a stop of what has ended waits for nobody");
	fails(waitid(P_PID, (id_t)child, &info, WSTOPPED), ECHILD, "and does not sleep");
	ok(glance(child, WEXITED) == CLD_KILLED, "it is there still");
	errno = 0;
	ok(glance(child, WEXITED) == -1 && errno == ECHILD, "once");
}

static void test_groups(void)
{
	pid_t near = sleeper(), far = sleeper();
	siginfo_t info;

	setpgid(far, far);
	kill(near, SIGKILL);
	kill(far, SIGKILL);
	ok(waitid(P_PGID, (id_t)far, &info, WEXITED) == 0 && info.si_pid == far,
	   "P_PGID: a child's group");
	ok(waitid(P_PGID, 0, &info, WEXITED) == 0 && info.si_pid == near, "0: one's own");
	fails(raw_waitid(P_PGID, -1, &info, WEXITED, NULL), EINVAL, "a negative one");
	fails(raw_waitid(P_PID, 0, &info, WEXITED, NULL), EINVAL, "no process");
}

/* The kernel writes so much of a siginfo_t and no more. */
static void test_length(void)
{
	const size_t length = offsetof(siginfo_t, si_status) + sizeof(int);
	unsigned char bytes[sizeof(siginfo_t)];
	pid_t child = sleeper();
	bool kept = true;

	memset(bytes, 0x55, sizeof(bytes));
	kill(child, SIGKILL);
	raw_waitid(P_PID, child, (siginfo_t *)bytes, WEXITED, NULL);
	for (size_t i = length; i < sizeof(bytes); i++)
		kept = kept && bytes[i] == 0x55;
	ok(kept && ((siginfo_t *)bytes)->si_pid == child &&
		   ((siginfo_t *)bytes)->si_uid == getuid(),
	   "waitid tells who it was, and writes what it has to");
}

/* --- SIGCHLD ---------------------------------------------------------------------------------------------- */

static bool told(siginfo_t *info, pid_t child, int code, int status)
{
	struct timespec time = { 2, 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	memset(info, 0, sizeof(*info));
	return sigtimedwait(&set, info, &time) == SIGCHLD && info->si_pid == child &&
	       info->si_uid == getuid() && info->si_code == code && info->si_status == status;
}

static void test_details(void)
{
	siginfo_t info;
	pid_t child;

	block(SIGCHLD, true);
	child = sleeper();
	kill(child, SIGSTOP);
	ok(told(&info, child, CLD_STOPPED, SIGSTOP), "SIGCHLD: a stop, and by which signal");
	kill(child, SIGCONT);
	ok(told(&info, child, CLD_CONTINUED, SIGCONT), "that it goes on");
	kill(child, SIGTERM);
	ok(told(&info, child, CLD_KILLED, SIGTERM), "what has ended it");
	waitpid(child, NULL, 0);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		burn(BURNT_MS);
		_exit(7);
	}
	ok(told(&info, child, CLD_EXITED, 7), "or its status");
	ok(info.si_utime + info.si_stime >= BURNT_MS / 10 - 1 &&
		   info.si_utime + info.si_stime < 100,
	   "and how much time it has used, in hundredths of a second: %ld + %ld",
	   (long)info.si_utime, (long)info.si_stime);
	waitpid(child, NULL, 0);
	block(SIGCHLD, false);
}

/* --- what it has used --------------------------------------------------------------------------------------- */

static bool is_enough(const struct rusage *usage)
{
	long ms = usage->ru_utime.tv_sec * 1000 + usage->ru_utime.tv_usec / 1000 +
		  usage->ru_stime.tv_sec * 1000 + usage->ru_stime.tv_usec / 1000;

	return ms >= BURNT_MS - 1 && usage->ru_minflt >= TOUCHED && usage->ru_nvcsw >= NAPS &&
	       usage->ru_maxrss >= RESIDENT_KIB;
}

static void use(void)
{
	touch(TOUCHED);
	burn(BURNT_MS);
	for (int i = 0; i < NAPS; i++)
		nap(4); /* so long that it is not over before it begins, where a host stops the machine */
}

static pid_t user(bool stops)
{
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		use();
		if (stops)
			raise(SIGSTOP);
		_exit(0);
	}
	return child;
}

static void test_usage(void)
{
	struct rusage usage, before, after;
	siginfo_t info;
	pid_t child;

	getrusage(RUSAGE_CHILDREN, &before);
	child = user(false);
	memset(&usage, 0, sizeof(usage));
	ok(wait4(child, NULL, 0, &usage) == child && is_enough(&usage),
	   "wait4: time, faults, switches and memory of the child");
	getrusage(RUSAGE_CHILDREN, &after);
	ok(after.ru_minflt - before.ru_minflt >= TOUCHED &&
		   after.ru_nvcsw - before.ru_nvcsw >= NAPS && after.ru_maxrss >= RESIDENT_KIB,
	   "which RUSAGE_CHILDREN counts from then on");
	ok(after.ru_inblock == 0 || !on_hawser(), "no disk has been read");

	child = user(true);
	memset(&usage, 0, sizeof(usage));
	ok(raw_waitid(P_PID, child, &info, WSTOPPED, &usage) == 0 && is_enough(&usage),
	   "waitid: of one that has stopped");
	kill(child, SIGKILL);
	memset(&usage, 0, sizeof(usage));
	ok(raw_waitid(P_PID, child, &info, WEXITED | WNOWAIT, &usage) == 0 && is_enough(&usage),
	   "of one that has ended");
	getrusage(RUSAGE_CHILDREN, &before);
	ok(raw_waitid(P_PID, child, NULL, WEXITED, NULL) == 0, "details need not be asked for");
	getrusage(RUSAGE_CHILDREN, &after);
	ok(after.ru_minflt - before.ru_minflt >= TOUCHED, "WNOWAIT does not count it");
}

/* The new program has nothing; what was before it counts. */
static void test_exec(void)
{
	char *arguments[] = { self, "end", NULL };
	struct rusage usage = { 0 };
	int status = -1;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		use();
		execv("/proc/self/exe", arguments);
		_exit(9);
	}
	ok(wait4(child, &status, 0, &usage) == child && status == 0 && is_enough(&usage),
	   "all of it is kept through exec");
}

static struct rusage of_thread;

static void *use_in_thread(void *unused)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	use();
	getrusage(RUSAGE_THREAD, &of_thread);
	of_thread.ru_minflt -= usage.ru_minflt;
	of_thread.ru_nvcsw -= usage.ru_nvcsw;
	return unused;
}

static void test_thread(void)
{
	struct rusage before, after, self_before, self_after;
	pthread_t thread;

	getrusage(RUSAGE_THREAD, &before);
	getrusage(RUSAGE_SELF, &self_before);
	thread = start(use_in_thread, NULL);
	pthread_join(thread, NULL);
	getrusage(RUSAGE_THREAD, &after);
	getrusage(RUSAGE_SELF, &self_after);
	ok(of_thread.ru_minflt >= TOUCHED && of_thread.ru_nvcsw >= NAPS &&
		   of_thread.ru_maxrss >= self_before.ru_maxrss &&
		   of_thread.ru_maxrss <= self_after.ru_maxrss,
	   "RUSAGE_THREAD: what one thread has used");
	ok(after.ru_minflt - before.ru_minflt < TOUCHED, "and not another");
	ok(self_after.ru_minflt - self_before.ru_minflt >= TOUCHED &&
		   self_after.ru_nvcsw - self_before.ru_nvcsw >= NAPS,
	   "RUSAGE_SELF: all, those that have ended, too");
	fails(getrusage(99, &after), EINVAL, "nobody else");
}

/* Two that run on one processor. */
static void test_involuntary(void)
{
	struct rusage usage = { 0 };
	cpu_set_t one;
	pid_t children[2];
	long count = 0;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	fflush(stdout);
	for (int i = 0; i < 2; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			sched_setaffinity(0, sizeof(one), &one);
			burn(80);
			_exit(0);
		}
	}
	for (int i = 0; i < 2; i++) {
		wait4(children[i], NULL, 0, &usage);
		count += usage.ru_nivcsw;
	}
	ok(count > 0, "switches that nobody wanted: %ld", count);
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc > 1)
		return 0;
	tap_begin(argv);
	test_alone();
	test_groups();
	test_length();
	test_details();
	test_usage();
	test_exec();
	test_thread();
	test_involuntary();
	return done();
}
