/*
 * fork, vfork, clone and what their children have; wait4 and waitid; groups and sessions; who becomes
 * an orphan's parent; memory that is private and memory that is shared, over three generations.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>

#define PAGE 4096

static int status_of(pid_t child)
{
	int status = -1;

	return waitpid(child, &status, 0) == child ? status : -1;
}

/* Runs a function in a child; the wait status. */
static int in_child(int (*function)(void *), void *argument)
{
	pid_t child = fork();

	if (child == 0)
		_exit(function(argument));
	return child > 0 ? status_of(child) : -1;
}

/* --- statuses --------------------------------------------------------------------------------- */

static int return_code(void *argument)
{
	return *(int *)argument;
}

static int die_of(void *argument)
{
	signal(*(int *)argument, SIG_DFL);
	kill(getpid(), *(int *)argument);
	return 99;
}

static int fault(void *argument)
{
	int *volatile nowhere = (int *)8;

	(void)argument;
	*(volatile int *)nowhere = 1;
	return 99;
}

static void statuses(void)
{
	int codes[] = { 0, 1, 255 }, signals[] = { SIGTERM, SIGKILL, SIGUSR1 };
	int status;

	for (int i = 0; i < 3; i++) {
		status = in_child(return_code, &codes[i]);
		ok(WIFEXITED(status) && WEXITSTATUS(status) == codes[i], "exit status %d",
		   codes[i]);
	}
	for (int i = 0; i < 3; i++) {
		status = in_child(die_of, &signals[i]);
		ok(WIFSIGNALED(status) && WTERMSIG(status) == signals[i], "ended by signal %d",
		   signals[i]);
	}
	status = in_child(fault, NULL);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV,
	   "a child's fault is the child's end");
}

static int who_am_i(void *argument)
{
	pid_t parent = *(pid_t *)argument;

	return getppid() == parent && getpid() != parent && getpid() == syscall(SYS_gettid) &&
			       getpgrp() == getpgid(parent) && getsid(0) == getsid(parent)
		       ? 0
		       : 1;
}

static void identities(void)
{
	pid_t self = getpid(), last = 0;
	bool up = true;

	ok(in_child(who_am_i, &self) == 0, "a child knows itself and its parent");
	for (int i = 0; i < 20; i++) {
		pid_t child = fork();

		if (child == 0)
			_exit(0);
		status_of(child);
		up = up && child != last;
		last = child;
	}
	ok(up, "a number is not used again at once");
	fails(kill(last, 0), ESRCH, "who was waited for is gone");
	fails(getpgid(last), ESRCH, "and has no group");
}

/* --- wait ------------------------------------------------------------------------------------- */

static void waiting(void)
{
	siginfo_t info;
	struct rusage usage;
	int status, ends[2];
	pid_t first, second;
	char byte;

	ok(pipe(ends) == 0, "a pipe");
	fails(waitpid(-1, &status, 0), ECHILD, "no children");
	fails(waitpid(getpid(), &status, 0), ECHILD, "oneself is no child");
	fails(waitid(P_ALL, 0, &info, WEXITED), ECHILD, "waitid without children");

	first = fork();
	if (first == 0) {
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) == 0 ? 7 : 8);
	}
	close(ends[0]);
	ok(waitpid(first, &status, WNOHANG) == 0, "WNOHANG: nothing yet");
	memset(&info, 1, sizeof(info));
	ok(waitid(P_PID, (id_t)first, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0,
	   "waitid: nothing yet");
	fails(waitid(P_PID, (id_t)first, &info, WNOHANG), EINVAL, "waitid for nothing");
	fails(waitpid(first, &status, 0x10000), EINVAL, "an unknown option");
	fails(waitpid(-getpgrp() - 12345, &status, 0), ECHILD, "nobody in such a group");
	second = fork();
	if (second == 0)
		_exit(9);
	ok(waitpid(-1, &status, 0) == second && WEXITSTATUS(status) == 9,
	   "any child: the first to end");
	close(ends[1]);
	ok(waitid(P_PID, (id_t)first, &info, WEXITED | WNOWAIT) == 0 && info.si_pid == first &&
		   info.si_signo == SIGCHLD && info.si_code == CLD_EXITED && info.si_status == 7,
	   "waitid with WNOWAIT tells");
	ok(kill(first, 0) == 0, "a zombie can be signalled");
	ok(wait4(0, &status, 0, &usage) == first && WEXITSTATUS(status) == 7 &&
		   usage.ru_utime.tv_sec < 10,
	   "and leaves it to the next: the same group");
	fails(wait4(first, &status, 0, NULL), ECHILD, "once");
	fails(syscall(SYS_wait4, -1, (int *)8, 0, NULL), ECHILD,
	      "a bad pointer is not looked at first");
}

static void ignored_children(void)
{
	int status;
	pid_t child;

	signal(SIGCHLD, SIG_IGN);
	child = fork();
	if (child == 0)
		_exit(3);
	fails(waitpid(child, &status, 0), ECHILD,
	      "who ignores SIGCHLD waits for the end, and no more");
	fails(kill(child, 0), ESRCH, "nothing is left");
	signal(SIGCHLD, SIG_DFL);
}

/* The grandchild writes its parent's number when it has changed. */
static void orphans(void)
{
	int ends[2];
	pid_t child, new_parent = -1;

	if (pipe(ends) != 0)
		return;
	child = fork();
	if (child == 0) {
		pid_t self = getpid();

		if (fork() == 0) {
			while (getppid() == self)
				sched_yield();
			new_parent = getppid();
			_exit(write(ends[1], &new_parent, sizeof(new_parent)) > 0 ? 0 : 1);
		}
		_exit(0);
	}
	close(ends[1]);
	status_of(child);
	if (read(ends[0], &new_parent, sizeof(new_parent)) != sizeof(new_parent))
		new_parent = -1;
	ok(new_parent > 0 && new_parent != child, "an orphan has a new parent: %d", new_parent);
	if (new_parent == getpid())
		wait(NULL);
	close(ends[0]);
}

/* --- groups and sessions ------------------------------------------------------------------------ */

static int new_session(void *argument)
{
	(void)argument;
	if (setsid() != getpid() || getpgrp() != getpid() || getsid(0) != getpid())
		return 1;
	if (setsid() != -1 || errno != EPERM)
		return 2;
	if (setpgid(0, 0) != -1 || errno != EPERM)
		return 3;
	return 0;
}

static int new_group(void *argument)
{
	pid_t parent_group = getpgrp();

	(void)argument;
	if (setpgid(0, 0) != 0 || getpgrp() != getpid())
		return 1;
	if (setpgid(0, parent_group) != 0 || getpgrp() != parent_group)
		return 2;
	if (setpgid(0, getpid() + 10000) != -1 || errno != EPERM)
		return 3;
	if (setpgid(getppid(), 0) != -1 || errno != ESRCH)
		return 4;
	return 0;
}

static void groups(void)
{
	int status;
	pid_t a, b;

	status = in_child(new_session, NULL);
	ok(status == 0, "a new session (%#x)", status);
	status = in_child(new_group, NULL);
	ok(status == 0, "a new group (%#x)", status);

	a = fork();
	if (a == 0) {
		for (;;)
			pause();
	}
	b = fork();
	if (b == 0) {
		for (;;)
			pause();
	}
	ok(setpgid(a, a) == 0 && setpgid(b, a) == 0 && getpgid(b) == a,
	   "a parent groups its children");
	ok(kill(-a, SIGTERM) == 0, "and signals them together");
	ok(waitpid(-a, &status, 0) > 0 && WTERMSIG(status) == SIGTERM &&
		   waitpid(-a, &status, 0) > 0 && WTERMSIG(status) == SIGTERM,
	   "both are ended, and waited for by group");
	fails(kill(-a, 0), ESRCH, "the group is gone");
}

/* --- memory ------------------------------------------------------------------------------------- */

static unsigned char *private_pages, *shared_pages;
#define PAGES 64

static bool all_are(const unsigned char *pages, unsigned char value)
{
	for (int i = 0; i < PAGES * PAGE; i += 64) {
		if (pages[i] != value)
			return false;
	}
	return true;
}

/* Each generation sees its parent's bytes, writes its own, and tells in shared memory. */
static int generation(void *argument)
{
	int depth = *(int *)argument, deeper = depth + 1;

	if (!all_are(private_pages, (unsigned char)(depth - 1)))
		return 1;
	memset(private_pages, depth, PAGES * PAGE);
	shared_pages[depth] = (unsigned char)depth;
	if (depth < 3 && in_child(generation, &deeper) != 0)
		return 2;
	return all_are(private_pages, (unsigned char)depth) ? 0 : 3;
}

static void memory(void)
{
	int one = 1, status;

	private_pages = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	shared_pages = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	status = in_child(generation, &one);
	ok(status == 0, "three generations see their own memory (%#x)", status);
	ok(all_are(private_pages, 0), "and the first one's is as it was");
	ok(shared_pages[1] == 1 && shared_pages[2] == 2 && shared_pages[3] == 3,
	   "shared memory is shared by all");
	munmap(private_pages, PAGES * PAGE);
	munmap(shared_pages, PAGE);
}

static int write_file_page(void *argument)
{
	strcpy(argument, "child");
	return 0;
}

static void file_mappings(void)
{
	char name[] = "/tmp/fork-XXXXXX", bytes[8] = { 0 };
	int fd = mkstemp(name);
	char *shared, *private;

	ok(fd >= 0 && write(fd, "parent", 7) == 7, "a file");
	unlink(name);
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ok(shared != MAP_FAILED && private != MAP_FAILED && strcmp(shared, "parent") == 0,
	   "mapped twice");
	ok(in_child(write_file_page, private) == 0 && strcmp(private, "parent") == 0,
	   "a child's private page is its own");
	ok(in_child(write_file_page, shared) == 0 && strcmp(shared, "child") == 0,
	   "its shared page is the file's");
	ok(pread(fd, bytes, 6, 0) == 6 && strcmp(bytes, "child") == 0, "and read(2) sees it");
	munmap(shared, PAGE);
	munmap(private, PAGE);
	close(fd);
}

static void many_children(void)
{
	enum { CHILDREN = 300 };
	static pid_t children[CHILDREN];
	struct sysinfo info;
	int count = 0, ended = 0, status, wanted, ends[2];
	char byte;

	sysinfo(&info);
	wanted = info.totalram * info.mem_unit >= 48u << 20 ? CHILDREN : 20;
	if (pipe(ends) != 0)
		return;
	for (; count < wanted; count++) {
		children[count] = fork();
		if (children[count] == 0) {
			close(ends[1]);
			_exit(read(ends[0], &byte, 1) == 0 ? count & 0x7f : 255);
		}
		if (children[count] < 0)
			break;
	}
	ok(count == wanted, "%d children at once", count);
	close(ends[0]);
	close(ends[1]);
	for (int i = 0; i < count; i++)
		ended += waitpid(children[i], &status, 0) == children[i] &&
			 WEXITSTATUS(status) == (i & 0x7f);
	ok(ended == count, "each ends with its own status");
}

/* --- descriptors ---------------------------------------------------------------------------------- */

static int close_and_seek(void *argument)
{
	int fd = *(int *)argument;

	lseek(fd, 5, SEEK_SET);
	close(fd);
	chdir("/dev");
	return 0;
}

static void descriptors(void)
{
	char before[256], after[256];
	int fd = open("/proc/self/exe", O_RDONLY);

	getcwd(before, sizeof(before));
	in_child(close_and_seek, &fd);
	ok(lseek(fd, 0, SEEK_CUR) == 5, "a child's descriptor is its own, the offset is shared");
	ok(getcwd(after, sizeof(after)) && strcmp(before, after) == 0,
	   "its working directory is its own");
	close(fd);
}

/* --- vfork and clone ------------------------------------------------------------------------------ */

static volatile int touched;

static void vforks(char **argv)
{
	pid_t child;
	int status;

	touched = 0;
	child = vfork();
	if (child == 0) {
		touched = 1;
		_exit(4);
	}
	ok(child > 0 && touched == 1, "a vfork child has its parent's memory, and goes first");
	status = status_of(child);
	ok(WEXITSTATUS(status) == 4, "and ends by itself");
	child = vfork();
	if (child == 0) {
		execl("/proc/self/exe", argv[0], "exit", "5", NULL);
		_exit(127);
	}
	status = status_of(child);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 5, "vfork and exec (%#x)", status);
}

static int write_shared(void *argument)
{
	*(volatile int *)argument = 6;
	return 6;
}

static void clones(void)
{
	static char stack[16384] __attribute__((aligned(16)));
	struct clone_args args = { .exit_signal = SIGCHLD };
	pid_t parent_tid = 0, child_tid = -1, child;
	int status;

	touched = 0;
	child = clone(write_shared, stack + sizeof(stack), CLONE_VM | SIGCHLD, (void *)&touched);
	status = status_of(child);
	ok(WEXITSTATUS(status) == 6 && touched == 6, "CLONE_VM shares memory");
	child = clone(write_shared, stack + sizeof(stack), SIGCHLD, (void *)&touched);
	touched = 1;
	status = status_of(child);
	ok(WEXITSTATUS(status) == 6 && touched == 1, "without it memory is copied");

	child = (pid_t)syscall(SYS_clone, CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, NULL,
			       &parent_tid, &child_tid, NULL);
	if (child == 0)
		_exit(child_tid == getpid() ? 0 : 1);
	ok(status_of(child) == 0 && parent_tid == child && child_tid == -1,
	   "both are told the child's number");

	child = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (child == 0)
		_exit(3);
	status = status_of(child);
	ok(WEXITSTATUS(status) == 3, "clone3 (%#x)", status);
	args.exit_signal = 0;
	child = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (child == 0)
		_exit(0);
	fails(waitpid(child, &status, 0), ECHILD, "a child without a signal is not waited for");
	ok(waitpid(child, &status, __WALL) == child, "but with __WALL");
	fails(syscall(SYS_clone3, &args, 8), EINVAL, "clone3 with half a structure");
	fails(syscall(SYS_clone3, (void *)8, sizeof(args)), EFAULT, "clone3 at a bad address");
	args.exit_signal = 65;
	fails(syscall(SYS_clone3, &args, sizeof(args)), EINVAL, "no such signal");
	fails(syscall(SYS_clone, CLONE_THREAD | SIGCHLD, NULL, NULL, NULL, NULL), EINVAL,
	      "CLONE_THREAD without CLONE_SIGHAND");
}

static void limits(void)
{
	struct rlimit limit = { .rlim_cur = 20, .rlim_max = 20 };
	pid_t child = fork();
	int status;

	if (child == 0) {
		int count = 0;

		setpgid(0, 0);
		setrlimit(RLIMIT_NPROC, &limit);
		/* Linux does not bound root. */
		if (!on_hawser() && setuid(65534) != 0)
			_exit(101);
		for (pid_t grandchild; count < 100 && (grandchild = fork()) >= 0; count++) {
			if (grandchild == 0) {
				for (;;)
					pause();
			}
		}
		status = errno == EAGAIN ? count : 102;
		signal(SIGTERM, SIG_IGN);
		kill(0, SIGTERM);
		_exit(status);
	}
	status = status_of(child);
	ok(WIFEXITED(status) && WEXITSTATUS(status) < 20 && WEXITSTATUS(status) > 0,
	   "RLIMIT_NPROC bounds a fork bomb, at %d", WEXITSTATUS(status));
}

/* So many free pages that a fork begins, and cannot end. Linux would end somebody instead. */
#define SCARCE_MOST  16
#define SCARCE_LEAST 6

static unsigned long free_pages(void)
{
	struct sysinfo info;

	return sysinfo(&info) == 0 ? info.freeram / PAGE : 0;
}

static int fork_without_memory(void *argument)
{
	size_t size = (size_t)1 << 30, used = 0;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int refused = 0, status;

	(void)argument;
	for (unsigned long scarce = SCARCE_MOST; scarce >= SCARCE_LEAST; scarce--) {
		pid_t child;

		while (free_pages() > scarce)
			memory[used++ * PAGE] = 'm';
		child = fork();
		if (child == 0)
			_exit(0);
		if (child > 0)
			waitpid(child, &status, 0);
		else if (errno == ENOMEM)
			refused++;
		else
			return 2;
	}
	for (size_t i = 0; i < used; i++) {
		if (memory[i * PAGE] != 'm')
			return 3;
		memory[i * PAGE] = 'n';
	}
	return refused > 0 ? 0 : 4;
}

static void out_of_memory(void)
{
	long before, after;
	int status;

	tap_proc_number("/proc/census", "nr_free_frames");
	before = tap_proc_number("/proc/census", "nr_free_frames");
	status = in_child(fork_without_memory, NULL);
	after = tap_proc_number("/proc/census", "nr_free_frames");
	ok(status == 0, "fork without memory is ENOMEM, and changes nothing (%#x)", status);
	ok(before == after, "and all memory is back: %ld, %ld before", after, before);
}

static void times_of_children(void)
{
	struct rusage usage;
	struct tms tms;
	pid_t child = fork();

	if (child == 0) {
		struct rusage own = { 0 };

		while (own.ru_utime.tv_usec + own.ru_stime.tv_usec < 30000)
			getrusage(RUSAGE_SELF, &own);
		_exit(0);
	}
	status_of(child);
	ok(getrusage(RUSAGE_CHILDREN, &usage) == 0 &&
		   (usage.ru_utime.tv_sec > 0 || usage.ru_stime.tv_sec > 0 ||
		    usage.ru_utime.tv_usec + usage.ru_stime.tv_usec >= 29000),
	   "a child's time is its parent's when it has been waited for");
	ok(times(&tms) != (clock_t)-1 && tms.tms_cutime + tms.tms_cstime >= 2, "and in times(2)");
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "exit") == 0)
		return atoi(argv[2]);
	tap_begin(argv);
	fflush(stdout);
	statuses();
	identities();
	waiting();
	ignored_children();
	orphans();
	groups();
	memory();
	file_mappings();
	many_children();
	descriptors();
	vforks(argv);
	clones();
	limits();
	times_of_children();
	if (on_hawser())
		out_of_memory();
	while (wait(NULL) > 0) /* orphans, if we are the first process */
		;
	return done();
}
