/*
 * proc/signal.c - how a signal gets from whoever posts it to what it does.
 *
 * Posting puts it into the process's queue (a standard signal once, a real-time one as often as it is
 * posted) and wakes the thread from interruptible sleeps; what is ignored is dropped at once. One whose
 * default is the end marks the process at once, which ends killable sleeps, too. The rest happens when
 * the thread is about to return to user mode (process_user_return()).
 *
 *	stopped <──────────────── running ────────────────> ended
 *	   │      SIGSTOP, …         ▲
 *	   └─────────────────────────┘ SIGCONT, when it is posted, whatever becomes of it
 */
#include "proc/signal.h"

#include "kernel/log.h"
#include "kernel/string.h"
#include "kernel/trap.h"
#include "kernel/x86_64/cpu.h"
#include "mm/slab.h"
#include <asm/unistd_64.h>

/* What an instruction causes is delivered before what others send. */
#define SYNCHRONOUS                                                                            \
	(SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGILL) | SIGNAL_BIT(SIGTRAP) | \
	 SIGNAL_BIT(SIGFPE) | SIGNAL_BIT(SIGSYS))

#define SYSCALL_LENGTH 2 /* bytes of the instruction */

struct queued_signal {
	TAILQ_ENTRY(queued_signal) link;
	siginfo_t info;
};

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

/* --- what is pending; signal lock held ----------------------------------------------------------- */

static vaddr_t handler_of(const struct process *process, int signal)
{
	return process->actions[signal - 1].handler;
}

static bool is_ignored(const struct process *process, int signal)
{
	vaddr_t handler = handler_of(process, signal);

	return handler == (vaddr_t)SIG_IGN ||
	       (handler == (vaddr_t)SIG_DFL && (SIGNAL_BIT(signal) & DEFAULT_IGNORE));
}

static bool is_fatal(const struct process *process, int signal)
{
	return handler_of(process, signal) == (vaddr_t)SIG_DFL &&
	       !(SIGNAL_BIT(signal) & (DEFAULT_IGNORE | DEFAULT_STOP));
}

/* Real-time signals queue, and each timer's (which has one at most); for want of memory it is pending without its details. */
static void enqueue(struct process *process, const siginfo_t *info)
{
	int signal = info->si_signo;
	struct queued_signal *queued;

	if (signal < SIGRTMIN && (process->signal_pending & SIGNAL_BIT(signal)) &&
	    info->si_code != SI_TIMER)
		return;
	process->signal_pending |= SIGNAL_BIT(signal);
	queued = kalloc(sizeof(*queued));
	if (!queued)
		return;
	queued->info = *info;
	TAILQ_INSERT_TAIL(&process->signal_queue, queued, link);
}

void signal_discard(struct process *process, uint64_t set)
{
	struct queued_signal *queued, *next;

	if (!(process->signal_pending & set))
		return;
	process->signal_pending &= ~set;
	for (queued = TAILQ_FIRST(&process->signal_queue); queued; queued = next) {
		next = TAILQ_NEXT(queued, link);
		if (SIGNAL_BIT(queued->info.si_signo) & set) {
			TAILQ_REMOVE(&process->signal_queue, queued, link);
			kfree(queued);
		}
	}
}

/* The number that comes first: an instruction's, then the lowest. */
static int first_of(uint64_t set)
{
	if (set & SYNCHRONOUS)
		set &= SYNCHRONOUS;
	return set ? __builtin_ctzl(set) + 1 : 0;
}

int signal_take(struct process *process, uint64_t set, siginfo_t *info)
{
	struct queued_signal *queued, *found = NULL;
	int signal = first_of(process->signal_pending & set);
	unsigned count = 0;

	if (signal == 0)
		return 0;
	TAILQ_FOREACH (queued, &process->signal_queue, link) {
		if (queued->info.si_signo == signal && count++ == 0)
			found = queued;
	}
	if (count <= 1)
		process->signal_pending &= ~SIGNAL_BIT(signal);
	memset(info, 0, sizeof(*info));
	info->si_signo = signal;
	if (found) {
		*info = found->info;
		TAILQ_REMOVE(&process->signal_queue, found, link);
		kfree(found);
	}
	return signal;
}

/* --- posting --------------------------------------------------------------------------------------- */

/* Stopping and continuing cancel each other while they are pending. Signal lock held. */
static void settle_stop(struct process *process, int signal)
{
	if (SIGNAL_BIT(signal) & DEFAULT_STOP)
		signal_discard(process, SIGNAL_BIT(SIGCONT));
	if (signal != SIGCONT && signal != SIGKILL)
		return;
	signal_discard(process, DEFAULT_STOP);
	if (process->stopped) {
		process->stopped = false;
		process->stop_report = 0;
		process->continue_report = signal == SIGCONT;
		waitq_wake_all(&process->stop_wait);
	}
}

/* Signal lock held: what has been queued reaches the thread, unless it is blocked. */
static void notify(struct process *process, int signal)
{
	uint64_t bit = SIGNAL_BIT(signal);

	if ((process->signal_mask & ~UNSTOPPABLE & bit) && !(process->signal_awaited & bit))
		return;
	if (is_fatal(process, signal) && !(process->signal_awaited & bit) &&
	    (signal == SIGKILL || !process->stopped)) {
		if (process->kill_signal == 0)
			process->kill_signal = signal;
		thread_kill(process->main_thread);
	} else {
		thread_signal(process->main_thread);
	}
}

void signal_post(struct process *process, const siginfo_t *info)
{
	int signal = info->si_signo;
	bool blocked;

	assert(signal > 0 && signal <= NSIG_KERNEL);
	spin_lock(&process->signal_lock);
	if (process->main_thread) {
		settle_stop(process, signal);
		blocked = process->signal_mask & SIGNAL_BIT(signal);
		if (blocked || !is_ignored(process, signal)) {
			enqueue(process, info);
			notify(process, signal);
		}
	}
	spin_unlock(&process->signal_lock);
}

void process_post_signal(struct process *process, int signal)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = signal;
	info.si_code = SI_KERNEL;
	signal_post(process, &info);
}

void process_forget_signals(struct process *process)
{
	spin_lock(&process->signal_lock);
	signal_discard(process, UINT64_MAX);
	spin_unlock(&process->signal_lock);
}

void signal_force(const siginfo_t *info, bool fatal)
{
	struct process *self = current_process();
	uint64_t bit = SIGNAL_BIT(info->si_signo);
	struct signal_action *action = &self->actions[info->si_signo - 1];

	spin_lock(&self->signal_lock);
	if (fatal || (self->signal_mask & bit) || action->handler == (vaddr_t)SIG_IGN)
		action->handler = (vaddr_t)SIG_DFL;
	self->signal_mask &= ~bit;
	signal_discard(self, bit); /* the same from elsewhere must not hide where this one was */
	enqueue(self, info);
	notify(self, info->si_signo);
	spin_unlock(&self->signal_lock);
}

/* --- masks -------------------------------------------------------------------------------------------- */

/* Signal lock held. */
static void set_mask(struct process *self, uint64_t mask)
{
	self->signal_mask = mask & ~UNSTOPPABLE;
	for (uint64_t ready = self->signal_pending & ~self->signal_mask; ready; ready &= ready - 1)
		notify(self, __builtin_ctzl(ready) + 1);
}

void signal_set_mask(uint64_t mask)
{
	struct process *self = current_process();

	spin_lock(&self->signal_lock);
	set_mask(self, mask);
	spin_unlock(&self->signal_lock);
}

void signal_set_mask_for_wait(uint64_t mask)
{
	struct process *self = current_process();

	spin_lock(&self->signal_lock);
	self->signal_saved_mask = self->signal_mask;
	self->signal_restores_mask = true;
	set_mask(self, mask);
	spin_unlock(&self->signal_lock);
}

void signal_end_mask_for_wait(void)
{
	struct process *self = current_process();

	spin_lock(&self->signal_lock);
	if (self->signal_restores_mask) {
		self->signal_restores_mask = false;
		set_mask(self, self->signal_saved_mask);
	}
	spin_unlock(&self->signal_lock);
}

bool signal_is_withheld(int signal)
{
	struct process *self = current_process();
	bool withheld;

	spin_lock(&self->signal_lock);
	withheld = (self->signal_mask & SIGNAL_BIT(signal)) ||
		   handler_of(self, signal) == (vaddr_t)SIG_IGN;
	spin_unlock(&self->signal_lock);
	return withheld;
}

/* --- stopping ------------------------------------------------------------------------------------------ */

bool signal_group_is_orphaned(uint32_t pgid)
{
	for (const struct process *p = family_next(NULL); p; p = family_next((struct process *)p)) {
		if (p->pgid == pgid && !p->zombie && p->parent && p->parent->pgid != pgid &&
		    p->parent->sid == p->sid)
			return false;
	}
	return true;
}

void signal_orphaned_group(uint32_t pgid)
{
	bool any_stopped = false;

	for (const struct process *p = family_next(NULL); p; p = family_next((struct process *)p))
		any_stopped = any_stopped || (p->pgid == pgid && p->stopped);
	if (!any_stopped || !signal_group_is_orphaned(pgid))
		return;
	for (struct process *p = family_next(NULL); p; p = family_next(p)) {
		if (p->pgid == pgid) {
			process_post_signal(p, SIGHUP);
			process_post_signal(p, SIGCONT);
		}
	}
}

/* The default action of `signal`: sleeps until SIGCONT or the end. Who has no parent has no waker. */
static void stop(int signal)
{
	struct process *self = current_process();
	bool stops;

	mutex_lock(&family_lock);
	stops = self->parent && (signal == SIGSTOP || !signal_group_is_orphaned(self->pgid));
	spin_lock(&self->signal_lock);
	/* It may have been called off since it was taken. */
	if (self->signal_pending & SIGNAL_BIT(SIGCONT))
		stops = false;
	if (stops) {
		self->stopped = true;
		self->stop_report = signal;
		self->continue_report = false;
	}
	spin_unlock(&self->signal_lock);
	if (stops)
		family_tell_parent(self, CLD_STOPPED, signal);
	mutex_unlock(&family_lock);
	if (!stops)
		return;
	if (wait_event_killable(&self->stop_wait, !self->stopped) == 0) {
		mutex_lock(&family_lock);
		family_tell_parent(self, CLD_CONTINUED, SIGCONT);
		mutex_unlock(&family_lock);
	}
}

/* --- delivery ------------------------------------------------------------------------------------------- */

/* signal(7): these are never restarted after a handler, whatever SA_RESTART says. */
static bool restarts_after_handler(const struct trapframe *tf)
{
	switch (tf->error) {
	case __NR_poll:
	case __NR_ppoll:
	case __NR_select:
	case __NR_pselect6:
	case __NR_nanosleep:
	case __NR_clock_nanosleep:
	case __NR_pause:
	case __NR_rt_sigsuspend:
	case __NR_rt_sigtimedwait:
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

/* The next signal that is neither blocked nor ignored; 0 clears the thread's flag. */
static int next(struct delivery *d)
{
	struct process *self = current_process();

	spin_lock(&self->signal_lock);
	do {
		d->signal = signal_take(self, ~self->signal_mask, &d->info);
	} while (d->signal != 0 && is_ignored(self, d->signal));
	if (d->signal == 0) {
		current->signal_pending = false;
	} else {
		d->action = self->actions[d->signal - 1];
		d->mask = self->signal_restores_mask ? self->signal_saved_mask : self->signal_mask;
	}
	spin_unlock(&self->signal_lock);
	if (d->signal != 0)
		timers_signal_taken(&d->info);
	return d->signal;
}

/* The handler is on its way: what is blocked while it runs, and what it does next time. */
static void enter_handler(const struct delivery *d)
{
	struct process *self = current_process();
	uint64_t blocked = d->action.mask;

	if (!(d->action.flags & SA_NODEFER))
		blocked |= SIGNAL_BIT(d->signal);
	spin_lock(&self->signal_lock);
	if (d->action.flags & SA_RESETHAND)
		self->actions[d->signal - 1].handler = (vaddr_t)SIG_DFL;
	self->signal_restores_mask = false;
	set_mask(self, self->signal_mask | blocked);
	spin_unlock(&self->signal_lock);
}

static void handle(struct trapframe *tf, const struct delivery *d)
{
	siginfo_t info;

	current->restart_deadline_ns = 0;
	if (was_interrupted(tf) && (d->action.flags & SA_RESTART) && restarts_after_handler(tf))
		restart_call(tf);
	if (signal_push_frame(tf, d)) {
		enter_handler(d);
		return;
	}
	memset(&info, 0, sizeof(info));
	info.si_signo = SIGSEGV;
	info.si_code = SI_KERNEL;
	signal_force(&info, d->signal == SIGSEGV);
}

static __noreturn void end(void)
{
	struct process *self = current_process();
	int signal;

	spin_lock(&self->signal_lock);
	signal = self->kill_signal;
	spin_unlock(&self->signal_lock);
	process_exit(PROCESS_KILLED(signal ? signal : SIGKILL));
}

void process_user_return(struct trapframe *tf)
{
	struct delivery d;

	for (;;) {
		if (current->kill_pending)
			end();
		if (next(&d) == 0)
			break;
		if (d.action.handler != (vaddr_t)SIG_DFL) {
			handle(tf, &d);
			return;
		}
		if (!(SIGNAL_BIT(d.signal) & DEFAULT_STOP))
			process_exit(PROCESS_KILLED(d.signal));
		stop(d.signal);
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
static bool is_handled(const struct process *process, int signal)
{
	vaddr_t handler = handler_of(process, signal);

	return handler != (vaddr_t)SIG_DFL && handler != (vaddr_t)SIG_IGN &&
	       !(process->signal_mask & SIGNAL_BIT(signal));
}

void process_user_exception(struct trapframe *tf, int signal, int code, vaddr_t address)
{
	struct process *process = current_process();
	const char *name = signal_name(signal);
	siginfo_t info;

	if (!is_handled(process, signal))
		log_notice("%s[%u]: %s at 0x%lx ip 0x%lx sp 0x%lx (%s)", process->command,
			   process->pid, name ? name : "signal", address, tf->rip, tf->rsp,
			   reason(signal, code));
	if (signal == SIGKILL)
		process_exit(PROCESS_KILLED(signal));
	memset(&info, 0, sizeof(info));
	info.si_signo = signal;
	info.si_code = code;
	info.si_addr = (void *)address;
	signal_force(&info, false);
}
