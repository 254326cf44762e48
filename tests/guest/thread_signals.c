/*
 * Signals where there are several threads: to one of them, to whichever does not block it, to the one
 * that waits for it; masks and other stacks of their own; queues and their limit; signalfd.
 */
#define _GNU_SOURCE
#include "crew.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif
#ifndef SA_UNSUPPORTED
#define SA_UNSUPPORTED 0x400
#endif
#ifndef SA_EXPOSE_TAGBITS
#define SA_EXPOSE_TAGBITS 0x800
#endif

/* --- who takes it --------------------------------------------------------------------------------------- */

static atomic_int taken_by, taken_count, taken_code, ready, leave;

static void take(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	taken_by = tid_here();
	taken_code = info->si_code;
	taken_count++;
}

static void handle(int signal, int flags)
{
	struct sigaction action = { .sa_sigaction = take, .sa_flags = SA_SIGINFO | flags };

	sigaction(signal, &action, NULL);
	taken_by = taken_count = 0;
}

/* Waits until it may leave, with that signal blocked or not. */
static void *stay(void *blocked)
{
	block(SIGUSR1, blocked != NULL);
	ready = tid_here();
	while (!leave)
		nap(1);
	return NULL;
}

static void test_directed(void)
{
	pthread_t thread;
	pid_t tid;

	handle(SIGUSR1, 0);
	ready = leave = 0;
	thread = start(stay, NULL);
	soon(ready != 0);
	tid = ready;
	ok(syscall(SYS_tgkill, getpid(), tid, SIGUSR1) == 0 && soon(taken_count == 1),
	   "a signal for one thread is taken");
	ok(taken_by == tid && taken_code == SI_TKILL, "by that thread");
	fails(syscall(SYS_tgkill, getpid() + 1, tid, SIGUSR1), ESRCH,
	      "not if it is another process's");
	ok(syscall(SYS_tkill, tid, SIGUSR1) == 0 && soon(taken_count == 2), "tkill finds it, too");

	block(SIGUSR1, true);
	syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1);
	nap(3);
	ok(taken_count == 2 && is_pending(SIGUSR1), "one that is blocked stays with its thread");
	block(SIGUSR1, false);
	ok(taken_count == 3 && taken_by == getpid(), "until that lets it through");
	leave = 1;
	pthread_join(thread, NULL);
	ok(soon(syscall(SYS_tgkill, getpid(), tid, 0) == -1 && errno == ESRCH),
	   "a thread that has ended is not found");
}

static void test_any(void)
{
	pthread_t deaf, open;
	pid_t tid;

	handle(SIGUSR1, 0);
	ready = leave = 0;
	deaf = start(stay, (void *)1);
	soon(ready != 0);
	ready = 0;
	block(SIGUSR1, true);
	open = start(stay, NULL);
	soon(ready != 0);
	tid = ready;
	kill(getpid(), SIGUSR1);
	ok(soon(taken_count == 1) && taken_by == tid,
	   "a signal for the process: by the thread that does not block it");
	leave = 1;
	pthread_join(open, NULL);
	pthread_join(deaf, NULL);
	kill(getpid(), SIGUSR1);
	ok(taken_count == 1 && is_pending(SIGUSR1), "if all do, it waits");

	leave = ready = 0;
	open = start(stay, NULL);
	ok(soon(taken_count == 2) && taken_by != getpid(), "for the first that does not");
	leave = 1;
	pthread_join(open, NULL);
	block(SIGUSR1, false);
}

static void *wait_for_signal(void *unused)
{
	struct timespec time = { 2, 0 };
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	ready = tid_here();
	return sigtimedwait(&set, &info, &time) == SIGUSR2 && info.si_pid == getpid() ? unused
										      : (void *)1;
}

static void test_sigwait(void)
{
	pthread_t thread;
	void *result;

	block(SIGUSR2, true);
	ready = 0;
	thread = start(wait_for_signal, NULL);
	soon(ready != 0);
	nap(2);
	kill(getpid(), SIGUSR2);
	pthread_join(thread, &result);
	ok(result == NULL, "a thread that waits for a signal gets the process's");
	ready = 0;
	thread = start(wait_for_signal, NULL);
	soon(ready != 0);
	nap(2);
	syscall(SYS_tgkill, getpid(), (pid_t)ready, SIGUSR2);
	pthread_join(thread, &result);
	ok(result == NULL, "and its own");
	block(SIGUSR2, false);
}

/* The one that was told of it blocks it before it gets there: another takes it. */
static void *close_and_open(void *unused)
{
	for (int i = 0; i < 300 && !leave; i++) {
		block(SIGUSR1, true);
		sched_yield();
		block(SIGUSR1, false);
	}
	return unused;
}

static void test_retarget(void)
{
	pthread_t threads[4];
	int sent = 0;

	handle(SIGUSR1, SA_RESTART);
	leave = 0;
	for (int i = 0; i < 4; i++)
		threads[i] = start(close_and_open, NULL);
	while (sent < 40) {
		int before = taken_count;

		kill(getpid(), SIGUSR1);
		sent++;
		if (!soon(taken_count > before))
			break;
	}
	leave = 1;
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ok(taken_count == sent && sent == 40, "none is lost while masks change");
}

/* The first of two signals keeps its thread busy and blocks the second, which another has to take. */
static atomic_int second_by, first_by, second_came;

static void take_first(int signal)
{
	(void)signal;
	first_by = tid_here();
	second_came = soon(second_by != 0);
}

static void take_second(int signal)
{
	(void)signal;
	second_by = tid_here();
}

static void *stay_for_two(void *unused)
{
	block(SIGUSR2, false);
	stay(NULL);
	return unused;
}

static void test_busy(void)
{
	struct sigaction first = { .sa_handler = take_first },
			 second = { .sa_handler = take_second };
	pthread_t threads[2];

	sigaddset(&first.sa_mask, SIGUSR2);
	sigaction(SIGUSR1, &first, NULL);
	sigaction(SIGUSR2, &second, NULL);
	block(SIGUSR1, true);
	block(SIGUSR2, true);
	leave = 0;
	for (int i = 0; i < 2; i++) {
		ready = 0;
		threads[i] = start(stay_for_two, NULL);
		soon(ready != 0);
	}
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR2);
	ok(soon(second_came) && first_by != second_by, "what a busy thread blocks, another takes");
	leave = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	block(SIGUSR1, false);
	block(SIGUSR2, false);
	signal(SIGUSR2, SIG_DFL);
}

/* --- faults, and stacks of their own ---------------------------------------------------------------------- */

static atomic_int faults;
static __thread sigjmp_buf *back;

static void on_fault(int signal)
{
	faults += signal == SIGSEGV;
	siglongjmp(*back, 1);
}

/* An overflow of the thread's own stack, handled on its other one. */
static int recurse(int depth)
{
	volatile char page[4096];

	page[0] = (char)depth;
	return depth > 100000 ? page[0] : recurse(depth + 1) + page[0];
}

static void *overflow(void *unused)
{
	static char stacks[2][16384] __attribute__((aligned(16)));
	static atomic_int next;
	stack_t stack = { .ss_size = 16384 }, found;
	sigjmp_buf here;

	stack.ss_sp = stacks[next++ % 2];
	if (sigaltstack(NULL, &found) != 0 || found.ss_flags != SS_DISABLE)
		return (void *)1;
	sigaltstack(&stack, NULL);
	back = &here;
	if (sigsetjmp(here, 1) == 0)
		return (void *)(long)(recurse(0) + 100);
	sigaltstack(NULL, &found);
	return found.ss_sp == stack.ss_sp ? unused : (void *)2;
}

static void test_faults(void)
{
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_ONSTACK };
	pthread_t threads[2];
	void *results[2];

	sigaction(SIGSEGV, &action, NULL);
	for (int i = 0; i < 2; i++)
		threads[i] = start(overflow, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], &results[i]);
	ok(results[0] == NULL && results[1] == NULL && faults == 2,
	   "each thread handles the end of its stack on another of its own");
	signal(SIGSEGV, SIG_DFL);
}

/* --- sigaction's newer flags, and a stack that disarms itself ------------------------------------------------ */

static stack_t stack_inside;

static void look_at_stack(int signal)
{
	(void)signal;
	sigaltstack(NULL, &stack_inside);
}

static void test_flags(void)
{
	/* As the kernel has it: a libc may keep flags of its own. */
	struct {
		void (*handler)(int);
		unsigned long flags;
		void (*restorer)(void);
		unsigned long mask;
	} action = { SIG_IGN, SA_UNSUPPORTED | SA_EXPOSE_TAGBITS | SA_RESTART, NULL, 0 }, found;
	static char memory[16384] __attribute__((aligned(16)));
	stack_t stack = { .ss_sp = memory,
			  .ss_size = sizeof(memory),
			  .ss_flags = (int)SS_AUTODISARM };
	stack_t after;
	struct sigaction onstack = { .sa_handler = look_at_stack, .sa_flags = SA_ONSTACK };

	syscall(SYS_rt_sigaction, SIGUSR2, &action, NULL, 8);
	syscall(SYS_rt_sigaction, SIGUSR2, NULL, &found, 8);
	ok(found.flags == (SA_EXPOSE_TAGBITS | SA_RESTART),
	   "a flag that is not supported is not there when it is read");

	sigaction(SIGUSR2, &onstack, NULL);
	ok(sigaltstack(&stack, NULL) == 0, "a stack may disarm itself");
	raise(SIGUSR2);
	ok(stack_inside.ss_flags == SS_DISABLE, "it is none while a handler runs there");
	sigaltstack(NULL, &after);
	ok(after.ss_sp == memory && after.ss_flags == (int)SS_AUTODISARM, "and is back afterwards");
	stack.ss_flags = SS_DISABLE;
	sigaltstack(&stack, NULL);
	signal(SIGUSR2, SIG_DFL);
}

/* --- queues ---------------------------------------------------------------------------------------------------- */

static int queue_child(void)
{
	struct rlimit limit = { 4, 4 };
	union sigval value = { .sival_int = 1 };
	siginfo_t info;
	sigset_t set;
	int queued = 0, taken = 0;
	struct timespec none = { 0, 0 };

	block(SIGRTMIN + 1, true);
	if (setrlimit(RLIMIT_SIGPENDING, &limit) != 0)
		return 1;
	while (queued < 20 && sigqueue(getpid(), SIGRTMIN + 1, value) == 0)
		queued++;
	if (queued == 20 || errno != EAGAIN)
		return 2;
	/* kill(2) always gets through, if only once. */
	if (kill(getpid(), SIGRTMIN + 1) != 0)
		return 3;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	while (sigtimedwait(&set, &info, &none) > 0)
		taken++;
	/* All processes of one user count together: others may have left us none. */
	return taken == queued || (queued == 0 && taken == 1) ? 0 : 4;
}

/* Who says that he is a timer is none: he has no more room than others, and a standard signal is there once. */
static int false_timer(void)
{
	struct rlimit limit = { 4, 4 };
	siginfo_t info;
	sigset_t set;
	int queued = 0;
	struct timespec none = { 0, 0 };

	block(SIGRTMIN + 1, true);
	block(SIGUSR1, true);
	memset(&info, 0, sizeof(info));
	info.si_code = SI_TIMER;
	((int *)&info)[8] = 1; /* Linux's si_sys_private */
	for (int i = 0; i < 2; i++)
		want(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &info) == 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	want(sigtimedwait(&set, NULL, &none) == SIGUSR1);
	want(sigtimedwait(&set, NULL, &none) == -1 && errno == EAGAIN);
	want(setrlimit(RLIMIT_SIGPENDING, &limit) == 0);
	while (queued < 20 && syscall(SYS_rt_sigqueueinfo, getpid(), SIGRTMIN + 1, &info) == 0)
		queued++;
	want(queued <= 4 && errno == EAGAIN);
	return 0;
}

/* Fills what a user may have queued, and stays until it is ended. */
static void fill_queue(uid_t user, int out)
{
	struct rlimit limit = { 4, 4 };
	union sigval value = { .sival_int = 1 };
	char queued = 0;

	block(SIGRTMIN + 1, true);
	if (setrlimit(RLIMIT_SIGPENDING, &limit) != 0 || setuid(user) != 0)
		_exit(1);
	while (queued < 20 && sigqueue(getpid(), SIGRTMIN + 1, value) == 0)
		queued++;
	if (write(out, &queued, 1) != 1)
		_exit(2);
	for (;;)
		pause();
}

/* How many the first, another of the same user and one of another can queue. */
static void test_users(void)
{
	static const uid_t users[] = { 1001, 1001, 1002 };
	char queued[3] = { -1, -1, -1 };
	pid_t children[3];
	int ends[2];

	if (pipe(ends) != 0)
		return;
	fflush(stdout);
	for (int i = 0; i < 3; i++) {
		children[i] = fork();
		if (children[i] == 0)
			fill_queue(users[i], ends[1]);
		if (read(ends[0], &queued[i], 1) != 1)
			break;
	}
	ok(queued[0] == 4 && queued[1] == 0, "all processes of a user share RLIMIT_SIGPENDING");
	ok(queued[2] == 4, "another user has his own");
	for (int i = 0; i < 3; i++) {
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
	}
	close(ends[0]);
	close(ends[1]);
}

static void test_queue(void)
{
	union sigval value = { .sival_int = 42 };
	siginfo_t info = { .si_code = SI_QUEUE };
	struct timespec none = { 0, 0 };
	pid_t child;
	sigset_t set;
	int status;

	block(SIGRTMIN + 2, true);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 2);
	info.si_value = value;
	ok(syscall(SYS_rt_tgsigqueueinfo, getpid(), tid_here(), SIGRTMIN + 2, &info) == 0,
	   "a value is queued for a thread");
	memset(&info, 0, sizeof(info));
	ok(sigtimedwait(&set, &info, &none) == SIGRTMIN + 2 && info.si_value.sival_int == 42,
	   "and arrives");
	info.si_code = SI_TKILL;
	fails(syscall(SYS_rt_tgsigqueueinfo, getpid() + 1, getpid() + 1, 0, &info), EPERM,
	      "nobody pretends to be tgkill to another");
	fflush(stdout);
	child = fork();
	if (child == 0)
		_exit(queue_child());
	ok(waitpid(child, &status, 0) == child && status == 0, "RLIMIT_SIGPENDING");
	ok(in_child(false_timer) == 0, "which nobody is above who only says that he is a timer");
}

/* --- signalfd ------------------------------------------------------------------------------------------------------ */

static void *send_later(void *unused)
{
	soon(ready != 0);
	nap(3);
	kill(getpid(), SIGUSR2);
	return unused;
}

static void test_signalfd(void)
{
	struct signalfd_siginfo found[4];
	union sigval value = { .sival_int = 7 };
	pthread_t thread;
	struct pollfd entry;
	sigset_t set;
	pid_t child;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGRTMIN + 3);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fails(signalfd(-1, &set, 1 << 30), EINVAL, "signalfd: flags");
	fails(signalfd(0, &set, 0), EINVAL, "signalfd: another file");
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	ok(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC, "signalfd");
	entry = (struct pollfd){ .fd = fd, .events = POLLIN };
	ok(poll(&entry, 1, 0) == 0, "nothing to be read");
	fails(read(fd, found, sizeof(found)), EAGAIN, "nor waited for");
	fails(read(fd, found, 8), EINVAL, "a buffer too small");
	kill(getpid(), SIGUSR2);
	sigqueue(getpid(), SIGRTMIN + 3, value);
	ok(poll(&entry, 1, 0) == 1 && entry.revents == POLLIN, "there is something");
	ok(read(fd, found, sizeof(found)) == 2 * sizeof(found[0]), "two signals at once");
	ok(found[0].ssi_signo == SIGUSR2 && found[0].ssi_code == SI_USER &&
		   (pid_t)found[0].ssi_pid == getpid(),
	   "kill(2)'s");
	ok((int)found[1].ssi_signo == SIGRTMIN + 3 && found[1].ssi_code == SI_QUEUE &&
		   found[1].ssi_int == 7,
	   "and sigqueue(3)'s");
	ok(!is_pending(SIGUSR2), "what has been read is not pending");

	fflush(stdout);
	child = fork();
	if (child == 0)
		_exit(9);
	ok(poll(&entry, 1, 2000) == 1, "a child's end can be waited for");
	ok(read(fd, found, sizeof(found)) == sizeof(found[0]) && found[0].ssi_signo == SIGCHLD &&
		   (pid_t)found[0].ssi_pid == child && found[0].ssi_status == 9 &&
		   found[0].ssi_code == CLD_EXITED,
	   "and read");
	waitpid(child, NULL, 0);

	fcntl(fd, F_SETFL, 0);
	ready = 0;
	thread = start(send_later, NULL);
	ready = 1;
	ok(read(fd, found, sizeof(found)) == sizeof(found[0]) && found[0].ssi_signo == SIGUSR2,
	   "read waits for one");
	pthread_join(thread, NULL);

	sigdelset(&set, SIGUSR2);
	ok(signalfd(fd, &set, 0) == fd, "its set can be changed");
	kill(getpid(), SIGUSR2);
	ok(poll(&entry, 1, 0) == 0, "to what is not pending");
	signal(SIGUSR2, SIG_IGN);
	signal(SIGUSR2, SIG_DFL);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	close(fd);
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	test_directed();
	test_any();
	test_sigwait();
	test_retarget();
	test_busy();
	test_faults();
	test_flags();
	test_queue();
	test_users();
	test_signalfd();
	return done();
}
