/*
 * Signals that meet: SIGCONT and the stops cancel each other while they are pending and when they are
 * being taken, and what was meant for a thread that ends is taken by another.
 */
#define _GNU_SOURCE
#include "crew.h"

#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

/* --- while pending -------------------------------------------------------------------------------------- */

static const int stops[] = { SIGTSTP, SIGTTIN, SIGTTOU };

static int pending_in_child(void)
{
	block(SIGCONT, true);
	for (int i = 0; i < 3; i++)
		block(stops[i], true);
	for (int i = 0; i < 3; i++) {
		raise(stops[i]);
		want(is_pending(stops[i]));
	}
	raise(SIGCONT);
	want(is_pending(SIGCONT));
	for (int i = 0; i < 3; i++)
		want(!is_pending(stops[i]));
	for (int i = 0; i < 3; i++) {
		raise(SIGCONT);
		want(is_pending(SIGCONT));
		raise(stops[i]);
		want(!is_pending(SIGCONT) && is_pending(stops[i]));
	}
	/* Those that are a thread's own go with the process's. */
	syscall(SYS_tgkill, getpid(), tid_here(), SIGTSTP);
	kill(getpid(), SIGCONT);
	want(!is_pending(SIGTSTP));
	syscall(SYS_tgkill, getpid(), tid_here(), SIGCONT);
	kill(getpid(), SIGTSTP);
	want(!is_pending(SIGCONT) && is_pending(SIGTSTP));
	kill(getpid(), SIGCONT);
	return 0;
}

static void test_pending(void)
{
	ok(in_child(pending_in_child) == 0,
	   "SIGCONT takes back stops that are pending, and they it");
}

/* --- while they are taken ----------------------------------------------------------------------------------- */

static atomic_long *steps;

/* Many in a row, at whatever moment of the one before the next comes. */
static bool ends_running(pid_t child, int stop)
{
	long before;

	for (int i = 0; i < 60; i++) {
		kill(child, stop);
		if (i % 3 == 1)
			sched_yield();
		else if (i % 3 == 2)
			nap(1);
		kill(child, SIGCONT);
		if (i % 2)
			sched_yield();
	}
	before = *steps;
	return soon(*steps > before);
}

static bool ends_stopped(pid_t child, int stop)
{
	siginfo_t info;
	long before;

	for (int i = 0; i < 60; i++) {
		kill(child, SIGCONT);
		if (i % 3 == 1)
			sched_yield();
		else if (i % 3 == 2)
			nap(1);
		kill(child, stop);
		if (i % 2)
			sched_yield();
	}
	if (waitid(P_PID, (id_t)child, &info, WSTOPPED) != 0 || info.si_status != stop)
		return false;
	before = *steps;
	nap(5);
	return *steps == before;
}

static void *step(void *unused)
{
	for (;;) {
		++*steps;
		sched_yield();
	}
	return unused;
}

static void test_taken(int threads)
{
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		/* A group with a parent outside it: one that the terminal's stops may stop. */
		setpgid(0, 0);
		for (int i = 1; i < threads; i++)
			start(step, NULL);
		step(NULL);
	}
	setpgid(child, child);
	ok(ends_running(child, SIGSTOP) && ends_running(child, SIGTSTP),
	   "after SIGCONT it runs, with %d threads", threads);
	ok(ends_stopped(child, SIGSTOP), "after a stop it does not");
	ok(ends_running(child, SIGSTOP) && ends_stopped(child, SIGTSTP), "SIGTSTP alike");
	kill(child, SIGKILL);
	ok(waitpid(child, NULL, 0) == child, "SIGKILL ends it");
}

/* --- a thread that ends --------------------------------------------------------------------------------------- */

/* Long enough a list of locks for the end to take its time: the main thread sends meanwhile. */
#define LOCKS 2000
static struct entry {
	struct entry *next;
	unsigned long word;
} locks[LOCKS];
static struct {
	struct entry *next;
	long offset;
	struct entry *pending;
} head = { locks, offsetof(struct entry, word), NULL };

static atomic_int taken, ending, leave;

static void take(int signal)
{
	(void)signal;
	taken++;
}

static void *end_slowly(void *unused)
{
	block(SIGUSR1, false);
	syscall(SYS_set_robust_list, &head, sizeof(head));
	ending = 1;
	syscall(SYS_exit, 0);
	return unused;
}

static void *stay(void *unused)
{
	block(SIGUSR1, false);
	while (!leave)
		nap(1);
	return unused;
}

static int leave_in_child(void)
{
	struct timespec shortest = { 0, 20000 };
	int sent = 0;
	pthread_t thread;

	signal(SIGUSR1, take);
	block(SIGUSR1, true);
	for (int i = 0; i < LOCKS; i++)
		locks[i].next = i + 1 < LOCKS ? &locks[i + 1] : (struct entry *)&head;
	for (int round = 0; round < 20; round++) {
		leave = ending = 0;
		/* The one that ends is the older one, which is asked first. */
		start(end_slowly, NULL);
		thread = start(stay, NULL);
		for (int i = 0; i < 100000 && !ending; i++)
			nanosleep(&shortest, NULL);
		kill(getpid(), SIGUSR1);
		sent++;
		want(soon(taken == sent));
		leave = 1;
		pthread_join(thread, NULL);
	}
	return 0;
}

static void test_leave(void)
{
	ok(in_child(leave_in_child) == 0,
	   "what a thread leaves behind when it ends, another takes");
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	steps = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	test_pending();
	test_taken(1);
	test_taken(3);
	test_leave();
	return done();
}
