/*
 * What threads do to their whole process: fork, exec, stop and go on. Each test runs in a child, so that a
 * process of many threads ends with each.
 */
#define _GNU_SOURCE
#include "crowd.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>

static char *self; /* argv[0] */

/* --- fork and exec ------------------------------------------------------------------------------------ */

static void *fork_here(void *unused)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(getpid() == tid_here() && getppid() != getpid() ? 3 : 1);
	return waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 3 ? unused : (void *)1;
}

static int fork_from_thread(void)
{
	void *result;
	int error = start_crowd(4);

	want(error == 0);
	want(pthread_join(start(fork_here, NULL), &result) == 0 && result == NULL);
	return 0;
}

/* __WNOTHREAD: a child of another thread is nobody's that we wait for; once that has ended, it is. */
static void *fork_only(void *unused)
{
	pid_t child = fork();

	if (child == 0)
		_exit(3);
	stage = child;
	soon(stage == 0);
	return unused;
}

static int wait_for_own(void)
{
	pthread_t thread = start(fork_only, NULL);
	pid_t child;
	int status;

	want(soon(stage > 0));
	child = stage;
	want(waitpid(child, &status, __WNOTHREAD) == -1 && errno == ECHILD);
	want(waitpid(child, &status, __WNOTHREAD | __WCLONE) == -1 && errno == ECHILD);
	stage = 0;
	pthread_join(thread, NULL);
	want(soon(waitpid(child, &status, __WNOTHREAD | WNOHANG) == child));
	return 0;
}

static void *exec_here(void *argument)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	/* Without its leader, /proc/self/exe leads nowhere on Linux. */
	execl(self, self, "alone", pid, NULL);
	return argument;
}

/* The child of exec: it has its process's number, and is alone. */
static int alone(const char *pid)
{
	if (getpid() != atoi(pid) || tid_here() != getpid())
		return 1;
	return syscall(SYS_tgkill, getpid(), getpid(), 0) == 0 ? 11 : 2;
}

static int exec_from_thread(void)
{
	int error = start_crowd(8);

	want(error == 0);
	start(exec_here, NULL);
	for (;;)
		pause();
}

/* Without a leader, and several at once: one of them wins. */
static int exec_race(void)
{
	int error = start_crowd(4);

	want(error == 0);
	for (int i = 0; i < 4; i++)
		start(exec_here, NULL);
	syscall(SYS_exit, 3);
	return 1;
}

static void *exec_nothing(void *unused)
{
	return execl("/nothing/here", "here", NULL) == -1 && errno == ENOENT ? unused : (void *)1;
}

static int failed_exec(void)
{
	void *result;
	int error = start_crowd(4), before;

	want(error == 0);
	want(pthread_join(start(exec_nothing, NULL), &result) == 0 && result == NULL);
	before = stage;
	start(run_for_ever, NULL);
	want(soon(stage == before + 1));
	return 0;
}

static void *vfork_here(void *unused)
{
	pid_t child = vfork();
	int status;

	if (child == 0) {
		execl("/proc/self/exe", self, "exit", NULL);
		_exit(127);
	}
	return waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 12 ? unused
										: (void *)1;
}

static int vfork_from_thread(void)
{
	void *result;
	int error = start_crowd(2);

	want(error == 0);
	want(pthread_join(start(vfork_here, NULL), &result) == 0 && result == NULL);
	return 0;
}

/* --- stopping ------------------------------------------------------------------------------------------ */

static atomic_long *ticks;

static void *tick(void *unused)
{
	for (;;) {
		(*ticks)++;
		sched_yield();
	}
	return unused;
}

static int stop_and_go(void)
{
	pid_t child;
	int status;
	long before;

	ticks = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	want(ticks != MAP_FAILED);
	child = fork();
	if (child == 0) {
		int error = start_crowd(2);

		for (int i = 0; i < 4 && error == 0; i++)
			start(tick, NULL);
		for (;;)
			pause();
	}
	want(soon(*ticks > 10));
	kill(child, SIGSTOP);
	want(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
	before = *ticks;
	nap(20);
	want(*ticks == before);
	want(waitpid(child, &status, WUNTRACED | WNOHANG) == 0);
	kill(child, SIGCONT);
	want(waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status));
	want(waitpid(child, &status, WCONTINUED | WNOHANG) == 0);
	want(soon(*ticks > before));
	kill(child, SIGSTOP);
	want(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
	kill(child, SIGKILL);
	want(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGKILL);
	return 0;
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc > 2 && strcmp(argv[1], "alone") == 0)
		return alone(argv[2]);
	if (argc > 1 && strcmp(argv[1], "exit") == 0)
		return 12;

	tap_begin(argv);
	ok(in_child(fork_from_thread) == 0, "fork by a thread makes a process of one");
	ok(in_child(wait_for_own) == 0, "__WNOTHREAD: a thread's own children");
	ok(in_child(vfork_from_thread) == 0, "vfork by a thread");
	ok(in_child(exec_from_thread) == 11,
	   "exec by a thread ends the others, and keeps the number");
	ok(in_child(exec_race) == 11, "of several that exec, one wins");
	ok(in_child(failed_exec) == 0, "a failed exec ends nobody");
	ok(in_child(stop_and_go) == 0, "all threads stop, are told of once, and go on");
	return done();
}
