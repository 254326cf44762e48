/*
 * Signals: handlers and what they are given, masks, stacks, flags, what is interrupted and what goes
 * on, faults, stopping and continuing, and real-time queues. What a frame holds: signal_frames.c.
 */
#define _GNU_SOURCE
#include "handlers.h"
#include "tap.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

/* --- handlers ------------------------------------------------------------------------------------- */

static void handlers(void)
{
	set_handler(SIGUSR1, note, 0);
	count = 0;
	raise(SIGUSR1);
	ok(count == 1 && last == SIGUSR1, "a handler runs before raise() returns");
	set_info_handler(SIGUSR1, note_info, 0);
	kill(getpid(), SIGUSR1);
	ok(count == 2 && last_info.si_signo == SIGUSR1 && last_info.si_code == SI_USER &&
		   last_info.si_pid == getpid(),
	   "siginfo says who sent it");
	syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1);
	ok(last_info.si_code == SI_TKILL, "and how");

	set_handler(SIGUSR1, note, SA_RESETHAND);
	raise(SIGUSR1);
	signal(SIGUSR1, SIG_IGN);
	ok(count == 4, "SA_RESETHAND: once");
	struct sigaction old;
	set_handler(SIGUSR1, note, SA_RESETHAND);
	raise(SIGUSR1);
	sigaction(SIGUSR1, NULL, &old);
	ok(old.sa_handler == SIG_DFL, "and then the default");
}

static volatile int depth, deepest;

static void again(int signal)
{
	depth++;
	if (depth > deepest)
		deepest = depth;
	if (count++ < 3)
		raise(signal);
	depth--;
}

static void nesting(void)
{
	count = depth = deepest = 0;
	set_handler(SIGUSR1, again, 0);
	raise(SIGUSR1);
	ok(count == 4 && deepest == 1, "a signal is blocked while its handler runs");
	count = depth = deepest = 0;
	set_handler(SIGUSR1, again, SA_NODEFER);
	raise(SIGUSR1);
	ok(count == 4 && deepest == 4, "SA_NODEFER: it is not");
}

static sigset_t mask_inside;

static void look_at_mask(int signal)
{
	(void)signal;
	sigprocmask(SIG_BLOCK, NULL, &mask_inside);
}

static void masks(void)
{
	struct sigaction action = { .sa_handler = look_at_mask };
	sigset_t set, before, after;

	sigemptyset(&action.sa_mask);
	sigaddset(&action.sa_mask, SIGUSR2);
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	sigprocmask(SIG_BLOCK, NULL, &after);
	ok(sigismember(&mask_inside, SIGUSR1) && sigismember(&mask_inside, SIGUSR2) &&
		   !sigismember(&after, SIGUSR1) && !sigismember(&after, SIGUSR2),
	   "sa_mask and the signal are blocked inside, and not afterwards");

	set_handler(SIGUSR1, note, 0);
	set_handler(SIGUSR2, note, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	count = 0;
	sigprocmask(SIG_BLOCK, &set, &before);
	raise(SIGUSR2);
	raise(SIGUSR1);
	raise(SIGUSR1);
	sigpending(&after);
	ok(count == 0 && sigismember(&after, SIGUSR1) && sigismember(&after, SIGUSR2),
	   "blocked ones are pending");
	sigprocmask(SIG_SETMASK, &before, NULL);
	ok(count == 2, "each once when they are let through (%d)", count);

	sigprocmask(SIG_BLOCK, &set, &before);
	raise(SIGUSR1);
	count = 0;
	sigdelset(&set, SIGUSR1);
	fails(sigsuspend(&set), EINTR, "sigsuspend");
	sigprocmask(SIG_BLOCK, NULL, &after);
	ok(count == 1 && last == SIGUSR1 && sigismember(&after, SIGUSR1),
	   "lets it through, and blocks it again");
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/* --- what is interrupted ------------------------------------------------------------------------------ */

static void interruptions(void)
{
	struct timespec long_time = { .tv_sec = 5 }, left = { 0 };
	struct pollfd entry = { .events = POLLIN };
	sigset_t none, usr1, before;
	int ends[2], status;
	pid_t child, other;
	char byte;

	if (pipe(ends) != 0)
		return;
	entry.fd = ends[0];
	set_handler(SIGUSR1, note, 0);
	child = signal_soon(SIGUSR1);
	fails(read(ends[0], &byte, 1), EINTR, "read without SA_RESTART");
	status_of(child);
	child = signal_soon(SIGUSR1);
	fails(nanosleep(&long_time, &left), EINTR, "nanosleep");
	ok(left.tv_sec == 4, "with what was left");
	status_of(child);

	set_handler(SIGUSR1, note, SA_RESTART);
	count = 0;
	child = fork();
	if (child == 0) {
		usleep(20000);
		kill(getppid(), SIGUSR1);
		usleep(20000);
		_exit(write(ends[1], "x", 1) == 1 ? 0 : 1);
	}
	ok(read(ends[0], &byte, 1) == 1 && count == 1, "read with SA_RESTART goes on");
	status_of(child);
	child = signal_soon(SIGUSR1);
	fails(poll(&entry, 1, 5000), EINTR, "poll is interrupted all the same");
	status_of(child);
	child = signal_soon(SIGUSR1);
	fails(select(0, NULL, NULL, NULL, &(struct timeval){ .tv_sec = 5 }), EINTR, "and select");
	status_of(child);
	child = signal_soon(SIGUSR1);
	fails(pause(), EINTR, "and pause");
	status_of(child);

	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, &before);
	raise(SIGUSR1);
	count = 0;
	fails(ppoll(&entry, 1, &long_time, &none), EINTR, "ppoll with a mask of its own");
	ok(count == 1, "which lets the signal through");
	ok(pselect(0, NULL, NULL, NULL, &(struct timespec){ .tv_nsec = 1000 }, &none) == 0,
	   "pselect times out");
	sigprocmask(SIG_SETMASK, &before, &none);
	ok(sigismember(&none, SIGUSR1), "and the mask is back after either");

	/* Interrupted wait: SA_RESTART goes on to the end of the child that is waited for. */
	other = fork();
	if (other == 0) {
		usleep(80000);
		_exit(3);
	}
	child = signal_soon(SIGUSR1);
	ok(waitpid(other, &status, 0) == other && WEXITSTATUS(status) == 3, "waitpid goes on, too");
	status_of(child);
	close(ends[0]);
	close(ends[1]);
}

/* --- faults ------------------------------------------------------------------------------------------------ */

static sigjmp_buf escape;
static void *volatile fault_address;

static void escape_fault(int signal, siginfo_t *info, void *context)
{
	last = signal;
	last_info = *info;
	(void)context;
	siglongjmp(escape, 1);
}

static volatile char *page;

static void mend_fault(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	count++;
	fault_address = info->si_addr;
	mprotect((void *)page, 4096, PROT_READ | PROT_WRITE);
}

static void faults(void)
{
	volatile int zero = 0;

	set_info_handler(SIGSEGV, escape_fault, 0);
	set_info_handler(SIGFPE, escape_fault, 0);
	set_info_handler(SIGILL, escape_fault, 0);
	if (sigsetjmp(escape, 1) == 0)
		*(volatile int *)(*(char *volatile *)&(char *){ (char *)16 }) = 1;
	ok(last == SIGSEGV && last_info.si_code == SEGV_MAPERR && last_info.si_addr == (void *)16,
	   "SIGSEGV with its address");
	if (sigsetjmp(escape, 1) == 0)
		last = 12345 / zero;
	ok(last == SIGFPE && last_info.si_code == FPE_INTDIV, "SIGFPE");
	if (sigsetjmp(escape, 1) == 0)
		asm volatile("ud2");
	ok(last == SIGILL && last_info.si_code == ILL_ILLOPN, "SIGILL");

	page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	set_info_handler(SIGSEGV, mend_fault, 0);
	count = 0;
	page[100] = 5;
	ok(count == 1 && page[100] == 5 && fault_address == (void *)(page + 100),
	   "a handler mends the fault, and the instruction is done again");
	munmap((void *)page, 4096);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGFPE, SIG_DFL);
	signal(SIGILL, SIG_DFL);
}

static int blocked_fault(void)
{
	sigset_t set;

	sigfillset(&set);
	set_handler(SIGSEGV, note, 0);
	sigprocmask(SIG_BLOCK, &set, NULL);
	*(volatile int *)(*(char *volatile *)&(char *){ (char *)16 }) = 1;
	return 1;
}

static void fatal_faults(void)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(blocked_fault());
	status = status_of(child);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "a blocked fault is fatal (%#x)",
	   status);
	child = fork();
	if (child == 0) {
		signal(SIGSEGV, SIG_IGN);
		*(volatile int *)(*(char *volatile *)&(char *){ (char *)16 }) = 1;
		_exit(1);
	}
	status = status_of(child);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "an ignored one, too (%#x)", status);
}

/* --- another stack ------------------------------------------------------------------------------------------ */

static char other_stack[32768];
static volatile int was_on_other;
static stack_t stack_inside;

static void look_at_stack(int signal)
{
	char here;

	(void)signal;
	count++;
	was_on_other = &here >= other_stack && &here < other_stack + sizeof(other_stack);
	sigaltstack(NULL, &stack_inside);
}

static int overflow(int depth_now)
{
	volatile char block[4096];

	block[0] = (char)depth_now;
	return (depth_now < 0 ? 0 : overflow(depth_now + 1)) + block[0];
}

static void on_overflow(int signal)
{
	char here;

	(void)signal;
	_exit(&here >= other_stack && &here < other_stack + sizeof(other_stack) ? 11 : 12);
}

static void stacks(void)
{
	stack_t stack = { .ss_sp = other_stack, .ss_size = sizeof(other_stack) }, old;
	pid_t child;
	int status;

	ok(sigaltstack(NULL, &old) == 0 && old.ss_flags == SS_DISABLE, "no other stack");
	ok(sigaltstack(&stack, NULL) == 0, "another stack");
	set_handler(SIGUSR1, look_at_stack, SA_ONSTACK);
	raise(SIGUSR1);
	ok(was_on_other && stack_inside.ss_flags == SS_ONSTACK, "SA_ONSTACK");
	set_handler(SIGUSR1, look_at_stack, 0);
	raise(SIGUSR1);
	ok(!was_on_other && stack_inside.ss_flags == 0, "without it");
	stack.ss_size = 100;
	fails(sigaltstack(&stack, NULL), ENOMEM, "too small a stack");
	stack.ss_size = sizeof(other_stack);
	stack.ss_flags = 0x100;
	fails(sigaltstack(&stack, NULL), EINVAL, "unknown flags");
	child = fork();
	if (child == 0) {
		set_handler(SIGSEGV, on_overflow, SA_ONSTACK);
		_exit(overflow(0) & 1);
	}
	status = status_of(child);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 11,
	   "a stack overflow is handled there (%#x)", status);
	stack.ss_flags = SS_DISABLE;
	ok(sigaltstack(&stack, NULL) == 0 && sigaltstack(NULL, &old) == 0 &&
		   old.ss_flags == SS_DISABLE,
	   "and none again");
}

/* --- waiting for signals --------------------------------------------------------------------------------------- */

static void timed_waits(void)
{
	struct timespec moment = { .tv_nsec = 10000000 }, second = { .tv_sec = 5 };
	sigset_t set, before;
	siginfo_t info;
	pid_t child;
	union sigval value = { .sival_int = 0 };
	int got[3] = { 0 };

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, &before);
	fails(sigtimedwait(&set, &info, &moment), EAGAIN, "sigtimedwait in vain");
	child = signal_soon(SIGUSR1);
	ok(sigtimedwait(&set, &info, &second) == SIGUSR1 && info.si_pid == child &&
		   info.si_code == SI_USER,
	   "and with success");
	status_of(child);
	for (int i = 0; i < 3; i++) {
		value.sival_int = 10 + i;
		sigqueue(getpid(), SIGRTMIN, value);
	}
	for (int i = 0; i < 3; i++) {
		if (sigtimedwait(&set, &info, &moment) == SIGRTMIN && info.si_code == SI_QUEUE)
			got[i] = info.si_value.sival_int;
	}
	ok(got[0] == 10 && got[1] == 11 && got[2] == 12, "real-time signals queue, in order");
	fails(sigtimedwait(&set, &info, &moment), EAGAIN, "and are used up");
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/* --- children: SIGCHLD, stopping, continuing --------------------------------------------------------------------- */

static void children(void)
{
	siginfo_t info;
	pid_t child;
	int status;

	set_info_handler(SIGCHLD, note_info, SA_RESTART);
	count = 0;
	child = fork();
	if (child == 0)
		_exit(6);
	status_of(child);
	ok(count == 1 && last_info.si_pid == child && last_info.si_code == CLD_EXITED &&
		   last_info.si_status == 6,
	   "SIGCHLD says who and how");

	child = fork();
	if (child == 0) {
		for (;;)
			pause();
	}
	count = 0;
	kill(child, SIGSTOP);
	ok(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status) &&
		   WSTOPSIG(status) == SIGSTOP,
	   "a child is stopped");
	ok(count == 1 && last_info.si_code == CLD_STOPPED && last_info.si_status == SIGSTOP,
	   "SIGCHLD says so");
	ok(waitpid(child, &status, WUNTRACED | WNOHANG) == 0, "wait tells it once");
	kill(child, SIGTERM);
	usleep(20000);
	ok(waitpid(child, &status, WNOHANG) == 0, "SIGTERM waits while it is stopped");
	signal(SIGCHLD, SIG_DFL);
	kill(child, SIGCONT);
	status = status_of(child);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "until it is continued");

	set_info_handler(SIGCHLD, note_info, SA_RESTART | SA_NOCLDSTOP);
	count = 0;
	child = fork();
	if (child == 0) {
		for (;;)
			pause();
	}
	kill(child, SIGSTOP);
	ok(waitid(P_PID, (id_t)child, &info, WSTOPPED) == 0 && info.si_code == CLD_STOPPED &&
		   info.si_status == SIGSTOP,
	   "waitid for a stop");
	kill(child, SIGCONT);
	ok(waitid(P_PID, (id_t)child, &info, WCONTINUED) == 0 && info.si_code == CLD_CONTINUED &&
		   info.si_status == SIGCONT,
	   "and for going on");
	ok(count == 0, "SA_NOCLDSTOP: no SIGCHLD for either");
	kill(child, SIGSTOP);
	waitpid(child, &status, WUNTRACED);
	kill(child, SIGKILL);
	status = status_of(child);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "SIGKILL ends a stopped child");
	signal(SIGCHLD, SIG_DFL);
}

/* A sleep that is stopped and continued is as long as it was meant to be. */
static void stopped_sleep(void)
{
	struct timespec begin, end;
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct timespec time = { .tv_nsec = 300000000 };

		clock_gettime(CLOCK_MONOTONIC, &begin);
		if (nanosleep(&time, NULL) != 0)
			_exit(1);
		clock_gettime(CLOCK_MONOTONIC, &end);
		long ms = (end.tv_sec - begin.tv_sec) * 1000 +
			  (end.tv_nsec - begin.tv_nsec) / 1000000;
		_exit(ms >= 300 && ms < 460 ? 0 : 2);
	}
	usleep(100000);
	kill(child, SIGSTOP);
	usleep(100000);
	kill(child, SIGCONT);
	status = status_of(child);
	ok(status == 0, "a stop does not make a sleep longer (%#x)", status);
}

static void exec_keeps(char **argv)
{
	pid_t child;
	int status;
	sigset_t set;

	child = fork();
	if (child == 0) {
		signal(SIGUSR1, SIG_IGN);
		set_handler(SIGUSR2, note, 0);
		sigemptyset(&set);
		sigaddset(&set, SIGHUP);
		sigprocmask(SIG_BLOCK, &set, NULL);
		raise(SIGHUP);
		execl("/proc/self/exe", argv[0], "check", NULL);
		_exit(127);
	}
	status = status_of(child);
	ok(status == 0, "exec keeps what is ignored, blocked and pending (%#x)", status);
}

static int check_after_exec(void)
{
	struct sigaction one, two;
	sigset_t set, pending;

	sigaction(SIGUSR1, NULL, &one);
	sigaction(SIGUSR2, NULL, &two);
	sigprocmask(SIG_BLOCK, NULL, &set);
	sigpending(&pending);
	return one.sa_handler == SIG_IGN && two.sa_handler == SIG_DFL &&
			       sigismember(&set, SIGHUP) && sigismember(&pending, SIGHUP)
		       ? 0
		       : 1;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "check") == 0)
		return check_after_exec();
	tap_begin(argv);
	handlers();
	nesting();
	masks();
	interruptions();
	faults();
	fatal_faults();
	stacks();
	timed_waits();
	children();
	stopped_sleep();
	exec_keeps(argv);
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	return done();
}
