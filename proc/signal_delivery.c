/*
 * proc/signal_delivery.c - what becomes of pending signals when a thread is about to return to user mode
 * (process_user_return()), and of what user code may not do (process_user_exception()).
 *
 * One handler is entered at a time: its frame's return brings the thread back here for the next.
 */
#include "kernel/log.h"
#include "kernel/string.h"
#include "kernel/trap.h"
#include "kernel/x86_64/cpu.h"
#include "proc/core.h"
#include "proc/signal.h"
#include <asm/unistd_64.h>
#include <linux/futex.h>

#define SYSCALL_LENGTH 2 /* bytes of the instruction */

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

/* --- delivery ------------------------------------------------------------------------------------------- */

/* Locks that libc takes without knowing of EINTR: made again after any handler. */
static bool restarts_always(const struct trapframe *tf)
{
	int command = (int)tf->rsi & FUTEX_CMD_MASK;

	return tf->error == __NR_futex && (command == FUTEX_LOCK_PI || command == FUTEX_LOCK_PI2 ||
					   command == FUTEX_WAIT_REQUEUE_PI);
}

/* signal(7): these are never restarted after a handler, whatever SA_RESTART says. */
static bool restarts_after_handler(const struct trapframe *tf)
{
	switch (tf->error) {
	case __NR_poll:
	case __NR_ppoll:
	case __NR_select:
	case __NR_pselect6:
	case __NR_epoll_wait:
	case __NR_epoll_pwait:
	case __NR_epoll_pwait2:
	case __NR_nanosleep:
	case __NR_clock_nanosleep:
	case __NR_pause:
	case __NR_rt_sigsuspend:
	case __NR_rt_sigtimedwait:
	case __NR_semop:
	case __NR_semtimedop:
	case __NR_msgsnd:
	case __NR_msgrcv:
		return false;
	case __NR_futex:
		return tf->r10 == 0; /* without a timeout */
	default:
		return true;
	}
}

/* True if a system call has been cut short by a signal and nothing has come of it yet. */
static bool was_interrupted(const struct trapframe *tf)
{
	return tf->vector == TRAP_SYSCALL && tf->error != TRAP_NO_SYSCALL &&
	       (int64_t)tf->rax == -EINTR;
}

static void restart_call(struct trapframe *tf)
{
	tf->rax = tf->error;
	tf->rip -= SYSCALL_LENGTH;
}

/* What is to be done about a signal that has been taken, this time; signal lock held. */
static struct signal_action use_action(struct handlers *handlers, int signal)
{
	struct signal_action *place = &handlers->actions[signal - 1], action;

	spin_lock(&handlers->lock);
	action = *place;
	if (action.handler != (vaddr_t)SIG_IGN && (action.flags & SA_RESETHAND))
		place->handler = (vaddr_t)SIG_DFL;
	spin_unlock(&handlers->lock);
	return action;
}

/* What is blocked while the handler runs. If nothing else is to be delivered, the thread is told so. */
static void begin_handler(struct task *self, struct delivery *d)
{
	uint64_t blocked = d->action.mask;

	if (!(d->action.flags & SA_NODEFER))
		blocked |= SIGNAL_BIT(d->signal);
	d->mask_before = self->signal_mask;
	d->mask = self->restores_mask ? self->saved_mask : self->signal_mask;
	self->restores_mask = false;
	current->signal_pending = current_process()->stop_signal != 0;
	signal_change_mask(self->signal_mask | blocked);
}

/* There is no room for its frame. */
static void undo_handler(struct task *self, const struct delivery *d)
{
	struct process *process = current_process();

	spin_lock(&process->signal_lock);
	self->saved_mask = d->mask;
	self->restores_mask = true;
	signal_change_mask(d->mask_before);
	spin_unlock(&process->signal_lock);
}

/* The next signal that is neither blocked nor ignored; 0 clears the thread's flag. */
static int next(struct delivery *d)
{
	struct process *process = current_process();
	struct task *self = current_task();

	spin_lock(&process->signal_lock);
	do {
		d->signal = signal_take(~self->signal_mask, &d->info);
		if (d->signal != 0)
			d->action = use_action(process->handlers, d->signal);
	} while (d->signal != 0 && (signal_is_ignored(d->action.handler, d->signal) ||
				    signal_spares(process, d->action.handler, &d->info)));
	if (d->signal == 0)
		current->signal_pending = process->stop_signal != 0;
	else if (d->action.handler != (vaddr_t)SIG_DFL)
		begin_handler(self, d);
	else
		self->stop_taken = true;
	spin_unlock(&process->signal_lock);
	if (d->signal != 0)
		timers_signal_taken(&d->info);
	return d->signal;
}

static void handle(struct trapframe *tf, const struct delivery *d)
{
	struct task *self = current_task();
	siginfo_t info;

	current->restart_deadline_ns = 0;
	if (was_interrupted(tf) &&
	    (restarts_always(tf) || ((d->action.flags & SA_RESTART) && restarts_after_handler(tf))))
		restart_call(tf);
	if (signal_push_frame(tf, d)) {
		if (self->alternate_stack.flags & SS_AUTODISARM)
			self->alternate_stack = (struct alternate_stack){ 0 };
		return;
	}
	undo_handler(self, d);
	memset(&info, 0, sizeof(info));
	info.si_signo = SIGSEGV;
	info.si_code = SI_KERNEL;
	signal_force(&info, d->signal == SIGSEGV);
}

/* The thread has been told to end: with all others, or for the one that execs. */
static __noreturn void end(void)
{
	struct process *process = current_process();
	int status;

	spin_lock(&process->signal_lock);
	status = process->end_status;
	spin_unlock(&process->signal_lock);
	task_exit(status);
}

/* The default action of a signal that neither stops nor is ignored. */
static __noreturn void end_by_signal(const struct trapframe *tf, const siginfo_t *info)
{
	int status = PROCESS_KILLED(info->si_signo);

	if (core_is_wanted(current_process(), info->si_signo) && core_dump(tf, info))
		status |= PROCESS_DUMPED;
	process_exit(status);
}

void process_user_return(struct trapframe *tf)
{
	struct process *process = current_process();
	struct delivery d;

	for (;;) {
		if (current->kill_pending)
			end();
		if (process->stop_signal != 0) {
			signal_stay_stopped();
			continue;
		}
		if (next(&d) == 0) {
			if (current->signal_pending)
				continue;
			break;
		}
		if (d.action.handler != (vaddr_t)SIG_DFL) {
			handle(tf, &d);
			return;
		}
		if (!(SIGNAL_BIT(d.signal) & DEFAULT_STOP))
			end_by_signal(tf, &d.info);
		signal_stop(d.signal);
	}
	/* No handler: nobody is to notice, but who waits for signals and nothing else. */
	if (was_interrupted(tf) && tf->error != __NR_rt_sigtimedwait)
		restart_call(tf);
	signal_end_mask_for_wait();
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

/* True if a handler will see it. */
static bool is_handled(struct process *process, int signal)
{
	vaddr_t handler = signal_action(process, signal).handler;

	return handler != (vaddr_t)SIG_DFL && handler != (vaddr_t)SIG_IGN &&
	       !(current_task()->signal_mask & SIGNAL_BIT(signal));
}

void process_user_exception(struct trapframe *tf, int signal, int code, vaddr_t address)
{
	struct process *process = current_process();
	const char *name = signal_name(signal);
	siginfo_t info;

	if (!is_handled(process, signal))
		log_notice("%s[%u]: %s at 0x%lx ip 0x%lx sp 0x%lx (%s)", current->name,
			   current->tid, name ? name : "signal", address, tf->rip, tf->rsp,
			   reason(signal, code));
	if (signal == SIGKILL)
		process_exit(PROCESS_KILLED(signal));
	memset(&info, 0, sizeof(info));
	info.si_signo = signal;
	info.si_code = code;
	info.si_addr = (void *)address;
	signal_force(&info, false);
}
