/*
 * The family: processes held by descriptors (pidfd_open(2)), orphans and who gets them, children that are
 * told of their parent's end, and all the ways to wait.
 */
#define _GNU_SOURCE
#include "crew.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif

static int pidfd_open_(pid_t pid, unsigned flags)
{
	return (int)syscall(SYS_pidfd_open, pid, flags);
}

static long pidfd_send(int fd, int signal, siginfo_t *info)
{
	return syscall(SYS_pidfd_send_signal, fd, signal, info, 0);
}

/* --- pidfds --------------------------------------------------------------------------------------------- */

static void test_pidfd(void)
{
	pid_t child = sleeper();
	struct pollfd entry;
	siginfo_t info;
	int fd;

	fails(pidfd_open_(child, 1), EINVAL, "pidfd_open: flags");
	fails(pidfd_open_(0, 0), EINVAL, "pidfd_open: no number");
	fails(pidfd_open_(32767, 0), ESRCH, "pidfd_open: nobody");
	fd = pidfd_open_(child, 0);
	ok(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC, "pidfd_open");
	entry = (struct pollfd){ .fd = fd, .events = POLLIN };
	ok(poll(&entry, 1, 0) == 0, "not readable while the process lives");
	ok(pidfd_send(fd, 0, NULL) == 0, "it can be signalled");
	fails(pidfd_send(fd, 99, NULL), EINVAL, "with signals that there are");
	fails(pidfd_send(0, 0, NULL), EBADF, "only through a pidfd");
	memset(&info, 0, sizeof(info));
	info.si_signo = SIGUSR1;
	info.si_code = SI_USER;
	fails(pidfd_send(fd, SIGUSR1, &info), EPERM, "not in kill's name");
	ok(waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0,
	   "waitid by pidfd: not yet");
	ok(pidfd_send(fd, SIGTERM, NULL) == 0 && poll(&entry, 1, 2000) == 1 &&
		   entry.revents == POLLIN,
	   "its end makes it readable");
	ok(waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOWAIT) == 0 && info.si_pid == child &&
		   info.si_code == CLD_KILLED && info.si_status == SIGTERM,
	   "waitid by pidfd");
	ok(pidfd_send(fd, SIGTERM, NULL) == 0, "a zombie feels nothing");
	ok(waitpid(child, NULL, 0) == child, "WNOWAIT has left it");
	fails(pidfd_send(fd, SIGTERM, NULL), ESRCH, "then it is nobody's");
	fails(waitid(P_PIDFD, (id_t)fd, &info, WEXITED), ECHILD, "and not to be waited for");
	fails(waitid(P_PIDFD, 0, &info, WEXITED), EBADF, "nor is a terminal");
	close(fd);

	child = sleeper();
	fd = pidfd_open_(child, O_NONBLOCK);
	fails(waitid(P_PIDFD, (id_t)fd, &info, WEXITED), EAGAIN, "a pidfd that does not wait");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(fd);
}

static void test_clone_pidfd(void)
{
	struct clone_args args = { .flags = CLONE_PIDFD, .exit_signal = SIGCHLD };
	siginfo_t info;
	int fd = -1;
	long child;

	args.pidfd = (uintptr_t)&fd;
	fflush(stdout);
	child = syscall(SYS_clone3, &args, sizeof(args));
	if (child == 0)
		_exit(3);
	ok(child > 0 && fd >= 0, "clone3 gives a pidfd");
	ok(waitid(P_PIDFD, (id_t)fd, &info, WEXITED) == 0 && info.si_status == 3, "of its child");
	close(fd);
	args.pidfd = 16;
	fails(syscall(SYS_clone3, &args, sizeof(args)), EFAULT, "or nothing at all");
	ok(fcntl(fd, F_GETFD) == -1, "not even a descriptor");
}

static void test_getfd(void)
{
	int ends[2], fd, theirs;
	char byte = 0;
	pid_t child;

	ok(pipe(ends) == 0, "a pipe");
	child = sleeper();
	fd = pidfd_open_(child, 0);
	close(ends[0]);
	theirs = (int)syscall(SYS_pidfd_getfd, fd, ends[0], 0);
	ok(theirs >= 0 && write(ends[1], "x", 1) == 1 && read(theirs, &byte, 1) == 1 && byte == 'x',
	   "another process's descriptor");
	fails(syscall(SYS_pidfd_getfd, fd, 999, 0), EBADF, "that it does not have");
	close(theirs);
	close(ends[1]);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	fails(syscall(SYS_pidfd_getfd, fd, 0, 0), ESRCH, "of a process that is gone");
	close(fd);
}

/* --- what two have in common -------------------------------------------------------------------------------- */

#define KCMP_FILE    0 /* <linux/kcmp.h> */
#define KCMP_VM      1
#define KCMP_FILES   2
#define KCMP_FS      3
#define KCMP_SIGHAND 4
#define KCMP_IO      5
#define KCMP_SYSVSEM 6

static long compare(pid_t other, int type, unsigned long a, unsigned long b)
{
	return syscall(SYS_kcmp, getpid(), other, type, a, b);
}

static int compared_by_user(void)
{
	want(setgid(1000) == 0 && setuid(1000) == 0);
	want(compare(getppid(), KCMP_VM, 0, 0) == -1 && errno == EPERM);
	return 0;
}

static void test_compare(void)
{
	pid_t child = sleeper(), shares;
	int copy = dup(1), again = open("/dev/null", O_RDONLY), other = open("/dev/null", O_RDONLY);

	ok(compare(getpid(), KCMP_FILE, 1, (unsigned long)copy) == 0, "kcmp: the same file");
	ok(compare(child, KCMP_FILE, 1, 1) == 0, "a child's, too");
	ok(compare(getpid(), KCMP_FILE, (unsigned long)again, (unsigned long)other) +
			   compare(getpid(), KCMP_FILE, (unsigned long)other,
				   (unsigned long)again) ==
		   3,
	   "two others have an order");
	ok(compare(child, KCMP_VM, 0, 0) > 0 && compare(child, KCMP_FILES, 0, 0) > 0 &&
		   compare(child, KCMP_FS, 0, 0) > 0 && compare(child, KCMP_SIGHAND, 0, 0) > 0,
	   "a child has its own of all");
	ok(compare(child, KCMP_IO, 0, 0) == 0 && compare(child, KCMP_SYSVSEM, 0, 0) == 0,
	   "but what neither has");
	shares = (pid_t)syscall(SYS_clone, CLONE_FILES | CLONE_FS | SIGCHLD, NULL, NULL, NULL, 0);
	if (shares == 0) {
		for (;;)
			pause();
	}
	ok(compare(shares, KCMP_FILES, 0, 0) == 0 && compare(shares, KCMP_FS, 0, 0) == 0 &&
		   compare(shares, KCMP_VM, 0, 0) > 0,
	   "unless it was made to share it");
	fails(compare(child, KCMP_FILE, 1, 999), EBADF, "no such descriptor");
	fails(compare(child, 99, 0, 0), EINVAL, "no such thing");
	fails(compare(4000000, KCMP_VM, 0, 0), ESRCH, "nobody");
	ok(in_child(compared_by_user) == 0, "others' are not compared");
	kill(child, SIGKILL);
	kill(shares, SIGKILL);
	waitpid(child, NULL, 0);
	waitpid(shares, NULL, 0);
	close(copy);
	close(again);
	close(other);
}

/* --- orphans ------------------------------------------------------------------------------------------------ */

/* A child whose own child outlives it, and says who its parent is then. */
static pid_t parent_of_orphan(bool own_reaper)
{
	int ends[2], status;
	pid_t child, found = 0;

	if (pipe(ends) != 0)
		return -1;
	fflush(stdout);
	child = fork();
	if (child == 0) {
		pid_t self = getpid();

		if (own_reaper)
			prctl(PR_SET_CHILD_SUBREAPER, 1);
		if (fork() == 0) {
			pid_t middle = getpid();

			if (fork() != 0)
				_exit(0);
			while (getppid() == middle)
				nap(1);
			found = getppid() == self ? -2 : getppid();
			if (write(ends[1], &found, sizeof(found)) != sizeof(found))
				_exit(1);
			_exit(0);
		}
		/* Our own child, and, if we have asked for it, the orphan. */
		while (wait(NULL) > 0)
			;
		_exit(0);
	}
	close(ends[1]);
	if (read(ends[0], &found, sizeof(found)) != sizeof(found))
		found = -1;
	close(ends[0]);
	waitpid(child, &status, 0);
	return found;
}

static void test_orphans(void)
{
	int value = -1;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	ok(prctl(PR_GET_CHILD_SUBREAPER, &value) == 0 && value == 1, "a subreaper");
	ok(parent_of_orphan(false) == getpid(), "gets its descendants' orphans");
	ok(wait(NULL) > 0, "and can wait for them");
	ok(parent_of_orphan(true) == -2, "the nearest one does");
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	fails(wait(NULL), ECHILD, "nobody is left");
}

static void *fork_in_thread(void *shared)
{
	_Atomic pid_t *child = shared;

	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGUSR1);
		*child = getpid();
		for (;;)
			pause();
	}
	while (*child == 0)
		nap(1);
	return NULL;
}

/* It is the end of the thread that has made it. */
static void test_death_signal(void)
{
	_Atomic pid_t *child =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_t thread;
	int value = -1, status;

	fails(prctl(PR_SET_PDEATHSIG, 99), EINVAL, "PR_SET_PDEATHSIG: no such signal");
	ok(prctl(PR_SET_PDEATHSIG, SIGUSR2) == 0 && prctl(PR_GET_PDEATHSIG, &value) == 0 &&
		   value == SIGUSR2,
	   "it can be asked for");
	prctl(PR_SET_PDEATHSIG, 0);
	fflush(stdout);
	pthread_create(&thread, NULL, fork_in_thread, (void *)child);
	pthread_join(thread, NULL);
	ok(waitpid(*child, &status, 0) == *child && WIFSIGNALED(status) &&
		   WTERMSIG(status) == SIGUSR1,
	   "a child is told of its parent's end");
	munmap((void *)child, 4096);
}

/* --- waiting ---------------------------------------------------------------------------------------------------- */

static void test_wait_options(void)
{
	struct rusage usage;
	siginfo_t info;
	pid_t child;
	int status;

	fflush(stdout);
	/* A child that gives no signal at its end. */
	child = (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, 0);
	if (child == 0)
		_exit(4);
	nap(5);
	fails(waitpid(child, &status, 0), ECHILD, "a child that gives no signal is a clone's");
	ok(waitpid(child, &status, __WCLONE) == child && WEXITSTATUS(status) == 4, "__WCLONE");
	child = (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, 0);
	if (child == 0)
		_exit(4);
	ok(wait4(child, &status, __WALL, &usage) == child && WEXITSTATUS(status) == 4, "__WALL");
	fails(waitid(P_ALL, 0, &info, WNOHANG), EINVAL, "waitid: for nothing");
	fails(waitid(9, 0, &info, WEXITED), EINVAL, "waitid: for whom");
	fails(waitid(P_ALL, 0, &info, WEXITED), ECHILD, "waitid: nobody");

	child = sleeper();
	kill(child, SIGSTOP);
	ok(waitid(P_PID, (id_t)child, &info, WSTOPPED | WNOWAIT) == 0 &&
		   info.si_code == CLD_STOPPED && info.si_status == SIGSTOP,
	   "a stop, looked at");
	ok(waitid(P_PID, (id_t)child, &info, WSTOPPED) == 0 && info.si_pid == child, "and taken");
	kill(child, SIGCONT);
	ok(waitid(P_PID, (id_t)child, &info, WCONTINUED) == 0 && info.si_code == CLD_CONTINUED,
	   "it continues");
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	ok(WIFSIGNALED(status) && !WCOREDUMP(status), "no core file is claimed");
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	test_pidfd();
	test_clone_pidfd();
	test_getfd();
	test_compare();
	test_orphans();
	test_death_signal();
	test_wait_options();
	return done();
}
