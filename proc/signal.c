/*
 * proc/signal.c - signals as far as they go without handlers: default actions, masks, kill(2).
 *
 * Actions and masks are kept and returned as sigaction(2) and sigprocmask(2) have it, so that a
 * libc and a shell find what they set. A signal whose action is fatal marks the process and wakes
 * its thread; the thread ends itself on its way back to user mode (process_user_return()).
 */
#include "kernel/log.h"
#include "kernel/syscall.h"
#include "kernel/trap.h"
#include "mm/user.h"
#include "proc/process.h"
#include <asm-generic/siginfo.h>
#include <asm/signal.h>

#define SIGNAL_BIT(signal) (UINT64_C(1) << ((signal)-1))
/* What nobody can block, ignore or handle. */
#define UNSTOPPABLE (SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP))
/* Default actions (signal(7)): to be ignored, and to stop, which is not there yet. */
#define DEFAULT_IGNORE \
	(SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGURG) | SIGNAL_BIT(SIGWINCH) | SIGNAL_BIT(SIGCONT))
#define DEFAULT_STOP \
	(SIGNAL_BIT(SIGSTOP) | SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU))

const char *signal_name(int signal)
{
	static const char *const names[] = {
		[SIGHUP] = "SIGHUP",   [SIGINT] = "SIGINT",       [SIGQUIT] = "SIGQUIT",
		[SIGILL] = "SIGILL",   [SIGTRAP] = "SIGTRAP",     [SIGABRT] = "SIGABRT",
		[SIGBUS] = "SIGBUS",   [SIGFPE] = "SIGFPE",       [SIGKILL] = "SIGKILL",
		[SIGUSR1] = "SIGUSR1", [SIGSEGV] = "SIGSEGV",     [SIGUSR2] = "SIGUSR2",
		[SIGPIPE] = "SIGPIPE", [SIGALRM] = "SIGALRM",     [SIGTERM] = "SIGTERM",
		[SIGXCPU] = "SIGXCPU", [SIGXFSZ] = "SIGXFSZ",     [SIGVTALRM] = "SIGVTALRM",
		[SIGPROF] = "SIGPROF", [SIGIO] = "SIGIO",         [SIGPWR] = "SIGPWR",
		[SIGSYS] = "SIGSYS",   [SIGSTKFLT] = "SIGSTKFLT",
	};

	if (signal <= 0 || (size_t)signal >= ARRAY_SIZE(names))
		return NULL;
	return names[signal];
}

/* --- posting ---------------------------------------------------------------------------------- */

/* Signal lock held. */
static void act(struct process *process, int signal)
{
	vaddr_t handler = process->actions[signal - 1].handler;
	uint64_t bit = SIGNAL_BIT(signal);

	if (!process->main_thread || (bit & DEFAULT_STOP))
		return;
	if (handler == (vaddr_t)SIG_IGN || (handler == (vaddr_t)SIG_DFL && (bit & DEFAULT_IGNORE)))
		return;
	if (handler != (vaddr_t)SIG_DFL) {
		thread_signal(process->main_thread);
		return;
	}
	if (process->kill_signal == 0)
		process->kill_signal = signal;
	thread_kill(process->main_thread);
}

/* Signal lock held: what has been posted and is not blocked (any more). */
static void act_on_pending(struct process *process)
{
	uint64_t ready = process->signal_pending & ~process->signal_mask;

	process->signal_pending &= ~ready;
	for (int signal = 1; ready != 0; signal++, ready >>= 1) {
		if (ready & 1)
			act(process, signal);
	}
}

void process_post_signal(struct process *process, int signal)
{
	assert(signal > 0 && signal <= NSIG_KERNEL);
	spin_lock(&process->signal_lock);
	process->signal_pending |= SIGNAL_BIT(signal);
	act_on_pending(process);
	spin_unlock(&process->signal_lock);
}

void process_user_return(struct trapframe *tf)
{
	struct process *process = current_process();
	int signal;

	current->signal_pending = false;
	if (!current->kill_pending)
		return;
	spin_lock(&process->signal_lock);
	signal = process->kill_signal;
	spin_unlock(&process->signal_lock);
	process_exit(PROCESS_KILLED(signal ? signal : SIGKILL));
}

/* --- exceptions ------------------------------------------------------------------------------- */

static const char *reason(int signal, int code)
{
	switch (signal) {
	case SIGSEGV:
		return code == SEGV_MAPERR   ? "nothing is mapped there"
		       : code == SEGV_ACCERR ? "the mapping does not allow it"
					     : "general protection";
	case SIGBUS:
		return code == BUS_ADRALN ? "unaligned" : "the page could not be had";
	case SIGFPE:
		return code == FPE_INTDIV ? "division by zero" : "arithmetic";
	case SIGILL:
		return "illegal instruction";
	case SIGKILL:
		return "out of memory";
	case SIGTRAP:
		return "breakpoint or single step";
	default:
		return "exception";
	}
}

void process_user_exception(struct trapframe *tf, int signal, int code, vaddr_t address)
{
	struct process *process = current_process();
	const char *name = signal_name(signal);

	log_notice("%s[%u]: %s at 0x%lx ip 0x%lx sp 0x%lx (%s)", process->command, process->pid,
		   name ? name : "signal", address, tf->rip, tf->rsp, reason(signal, code));
	process_exit(PROCESS_KILLED(signal));
}

/* --- system calls ----------------------------------------------------------------------------- */

/* The kernel's struct sigaction, as rt_sigaction(2) passes it. */
struct user_sigaction {
	uint64_t handler;
	uint64_t flags;
	uint64_t restorer;
	uint64_t mask;
};
_Static_assert(sizeof(struct user_sigaction) == sizeof(struct sigaction), "the kernel's interface");

SYSCALL4(rt_sigaction, int, signal, vaddr_t, new, vaddr_t, old, size_t, set_size)
{
	struct process *process = current_process();
	struct user_sigaction to = { 0 }, from;
	struct signal_action *action;

	if (set_size != sizeof(uint64_t) || signal < 1 || signal > NSIG_KERNEL)
		return -EINVAL;
	if (new != 0) {
		if (get_user(&to, new) != 0)
			return -EFAULT;
		if (SIGNAL_BIT(signal) & UNSTOPPABLE)
			return -EINVAL;
	}
	action = &process->actions[signal - 1];
	spin_lock(&process->signal_lock);
	from = (struct user_sigaction){ action->handler, action->flags, action->restorer,
					action->mask };
	if (new != 0)
		*action = (struct signal_action){
			.handler = to.handler,
			.flags = to.flags,
			.restorer = to.restorer,
			.mask = to.mask & ~UNSTOPPABLE,
		};
	spin_unlock(&process->signal_lock);
	return old != 0 ? put_user(old, from) : 0;
}

SYSCALL4(rt_sigprocmask, int, how, vaddr_t, new, vaddr_t, old, size_t, set_size)
{
	struct process *process = current_process();
	uint64_t set = 0, before;
	int64_t result = 0;

	if (set_size != sizeof(uint64_t))
		return -EINVAL;
	if (new != 0 && get_user(&set, new) != 0)
		return -EFAULT;
	set &= ~UNSTOPPABLE;

	spin_lock(&process->signal_lock);
	before = process->signal_mask;
	if (new != 0) {
		switch (how) {
		case SIG_BLOCK:
			process->signal_mask |= set;
			break;
		case SIG_UNBLOCK:
			process->signal_mask &= ~set;
			break;
		case SIG_SETMASK:
			process->signal_mask = set;
			break;
		default:
			result = -EINVAL;
			break;
		}
		act_on_pending(process);
	}
	spin_unlock(&process->signal_lock);
	if (result == 0 && old != 0)
		result = put_user(old, before);
	return result;
}

SYSCALL2(rt_sigpending, vaddr_t, set, size_t, set_size)
{
	struct process *process = current_process();
	uint64_t pending;

	/* As on Linux, a caller with a shorter set gets the beginning. */
	if (set_size > sizeof(pending))
		return -EINVAL;
	spin_lock(&process->signal_lock);
	pending = process->signal_pending;
	spin_unlock(&process->signal_lock);
	return copy_to_user(set, &pending, set_size);
}

/* There is one process: it is the only one that can be meant. */
static int64_t signal_self(int signal)
{
	if (signal < 0 || signal > NSIG_KERNEL)
		return -EINVAL;
	if (signal > 0)
		process_post_signal(current_process(), signal);
	return 0;
}

SYSCALL2(kill, int, pid, int, signal)
{
	struct process *process = current_process();
	bool self;

	/* 0: its own group; -1: everybody, but never the first process or the caller. */
	self = pid == 0 || pid == (int)process->pid || (pid < -1 && -(int64_t)pid == process->pgid);
	return self ? signal_self(signal) : -ESRCH;
}

SYSCALL2(tkill, int, tid, int, signal)
{
	if (tid <= 0)
		return -EINVAL;
	return (uint32_t)tid == current->tid ? signal_self(signal) : -ESRCH;
}

SYSCALL3(tgkill, int, pid, int, tid, int, signal)
{
	if (pid <= 0 || tid <= 0)
		return -EINVAL;
	if ((uint32_t)pid != current_process()->pid || (uint32_t)tid != current->tid)
		return -ESRCH;
	return signal_self(signal);
}
