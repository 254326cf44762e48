/*
 * proc/signal_calls.c - the system calls about signals: what to do about them, which to block, waiting
 * for them, sending them.
 */
#include "kernel/clock.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/x86_64/trapframe.h"
#include "mm/user.h"
#include "proc/cred.h"
#include "proc/signal.h"
#include <linux/time_types.h>

/* --- dispositions ----------------------------------------------------------------------------------- */

_Static_assert(sizeof(struct signal_action) == sizeof(struct sigaction),
	       "as rt_sigaction(2) passes it");

/* What Linux knows (since 5.11): a flag that is not there when it is read back is not supported. */
#define KNOWN_FLAGS                                                                        \
	(SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER | \
	 SA_RESETHAND | SA_EXPOSE_TAGBITS | SA_RESTORER)

/* What was there before goes to *old, if that is not NULL; its handler is returned. */
static vaddr_t set_action(struct handlers *handlers, int signal, const struct signal_action *to,
			  struct signal_action *old)
{
	struct signal_action *place = &handlers->actions[signal - 1];
	vaddr_t handler;

	spin_lock(&handlers->lock);
	handler = place->handler;
	if (old)
		*old = *place;
	*place = *to;
	spin_unlock(&handlers->lock);
	return handler;
}

/* What is ignored from now on is not pending any more (POSIX, 2.4.3): in one step, for whoever posts it. */
static void ignore(struct process *self, int signal, const struct signal_action *to,
		   struct signal_action *old)
{
	spin_lock(&self->signal_lock);
	(void)set_action(self->handlers, signal, to, old);
	signal_discard(self, SIGNAL_BIT(signal));
	spin_unlock(&self->signal_lock);
}

SYSCALL4(rt_sigaction, int, signal, vaddr_t, new, vaddr_t, old, size_t, set_size)
{
	struct process *self = current_process();
	struct signal_action to, before = { 0 }, *keep = old != 0 ? &before : NULL;

	if (set_size != sizeof(uint64_t) || signal < 1 || signal > NSIG_KERNEL)
		return -EINVAL;
	if (new == 0) {
		before = signal_action(self, signal);
		return old != 0 ? put_user(old, before) : 0;
	}
	if (get_user(&to, new) != 0)
		return -EFAULT;
	if (SIGNAL_BIT(signal) & UNSTOPPABLE)
		return -EINVAL;
	to.flags &= KNOWN_FLAGS;
	to.mask &= ~UNSTOPPABLE;
	if (signal_is_ignored(to.handler, signal))
		ignore(self, signal, &to, keep);
	else if (signal_is_ignored(set_action(self->handlers, signal, &to, keep), signal))
		posix_timers_heed(signal);
	return old != 0 ? put_user(old, before) : 0;
}

/* --- masks ------------------------------------------------------------------------------------------- */

SYSCALL4(rt_sigprocmask, int, how, vaddr_t, new, vaddr_t, old, size_t, set_size)
{
	uint64_t before = current_task()->signal_mask, set = 0;

	if (set_size != sizeof(uint64_t))
		return -EINVAL;
	if (new != 0) {
		if (get_user(&set, new) != 0)
			return -EFAULT;
		switch (how) {
		case SIG_BLOCK:
			signal_set_mask(before | set);
			break;
		case SIG_UNBLOCK:
			signal_set_mask(before & ~set);
			break;
		case SIG_SETMASK:
			signal_set_mask(set);
			break;
		default:
			return -EINVAL;
		}
	}
	return old != 0 ? put_user(old, before) : 0;
}

SYSCALL2(rt_sigpending, vaddr_t, set, size_t, set_size)
{
	struct process *self = current_process();
	uint64_t pending;

	/* As on Linux, a caller with a shorter set gets the beginning. */
	if (set_size > sizeof(pending))
		return -EINVAL;
	spin_lock(&self->signal_lock);
	pending = signal_pending_set() & current_task()->signal_mask;
	spin_unlock(&self->signal_lock);
	return copy_to_user(set, &pending, set_size);
}

/* --- another stack ----------------------------------------------------------------------------------- */

static int check_stack(const stack_t *stack)
{
	int mode = stack->ss_flags & ~(int)SS_AUTODISARM;

	if (mode != 0 && mode != SS_DISABLE && mode != SS_ONSTACK)
		return -EINVAL;
	if (mode != SS_DISABLE && stack->ss_size < MINSIGSTKSZ)
		return -ENOMEM;
	return 0;
}

static void set_stack(const stack_t *stack)
{
	struct alternate_stack *to = &current_task()->alternate_stack;

	*to = (struct alternate_stack){ .flags = stack->ss_flags & (int)SS_AUTODISARM };
	if ((stack->ss_flags & ~(int)SS_AUTODISARM) != SS_DISABLE) {
		to->base = (vaddr_t)stack->ss_sp;
		to->size = stack->ss_size;
	}
}

void signal_stack(stack_t *stack, vaddr_t sp)
{
	const struct alternate_stack *now = &current_task()->alternate_stack;

	__builtin_memset(stack, 0, sizeof(*stack)); /* with its padding */
	stack->ss_sp = (void *)now->base;
	stack->ss_size = now->size;
	stack->ss_flags = signal_stack_flags(sp) | now->flags;
}

/* At a handler's return; what makes no sense is left as it is, as on Linux. */
void signal_restore_stack(const stack_t *stack, vaddr_t sp)
{
	if (signal_stack_flags(sp) != SS_ONSTACK && check_stack(stack) == 0)
		set_stack(stack);
}

SYSCALL2(sigaltstack, vaddr_t, new, vaddr_t, old)
{
	vaddr_t sp = current->trapframe->rsp;
	stack_t to, from;
	int error;

	signal_stack(&from, sp);
	if (new != 0) {
		if (get_user(&to, new) != 0)
			return -EFAULT;
		if (signal_stack_flags(sp) == SS_ONSTACK)
			return -EPERM;
		error = check_stack(&to);
		if (error != 0)
			return error;
		set_stack(&to);
	}
	return old != 0 ? put_user(old, from) : 0;
}

/* --- waiting ------------------------------------------------------------------------------------------- */

SYSCALL0(pause)
{
	return sleep_until(NO_DEADLINE, WAIT_SIGNAL);
}

SYSCALL2(rt_sigsuspend, vaddr_t, from, size_t, set_size)
{
	uint64_t mask;

	if (set_size != sizeof(mask))
		return -EINVAL;
	if (get_user(&mask, from) != 0)
		return -EFAULT;
	signal_set_mask_for_wait(mask);
	return sleep_until(NO_DEADLINE, WAIT_SIGNAL);
}

/* Takes one of the set; if there is none, the thread is told of the next from now on. */
static int take_awaited(uint64_t set, siginfo_t *info)
{
	struct process *process = current_process();
	struct task *self = current_task();
	int signal;

	spin_lock(&process->signal_lock);
	signal = signal_take(set, info);
	self->awaited = signal != 0 ? 0 : set;
	/* What woke us was for us. */
	if (signal != 0 && !(signal_pending_set() & ~self->signal_mask))
		current->signal_pending = process->stop_signal != 0;
	spin_unlock(&process->signal_lock);
	if (signal != 0)
		timers_signal_taken(info);
	return signal;
}

static void end_awaiting(void)
{
	struct process *process = current_process();

	spin_lock(&process->signal_lock);
	current_task()->awaited = 0;
	spin_unlock(&process->signal_lock);
}

SYSCALL4(rt_sigtimedwait, vaddr_t, from, vaddr_t, to, vaddr_t, timeout, size_t, set_size)
{
	uint64_t set, deadline_ns = NO_DEADLINE;
	struct __kernel_timespec time;
	siginfo_t info;
	int signal, error;

	if (set_size != sizeof(set))
		return -EINVAL;
	if (get_user(&set, from) != 0 || (timeout != 0 && get_user(&time, timeout) != 0))
		return -EFAULT;
	set &= ~UNSTOPPABLE;
	if (timeout != 0) {
		if (time.tv_sec < 0 || time.tv_nsec < 0 || (uint64_t)time.tv_nsec >= NSEC_PER_SEC)
			return -EINVAL;
		deadline_ns =
			clock_ns() +
			MIN((uint64_t)time.tv_sec, NO_DEADLINE / NSEC_PER_SEC / 4) * NSEC_PER_SEC +
			(uint64_t)time.tv_nsec;
	}
	signal = take_awaited(set, &info);
	error = 0;
	if (signal == 0) {
		error = sleep_until(deadline_ns, WAIT_SIGNAL);
		signal = take_awaited(set, &info);
	}
	end_awaiting();
	if (signal == 0)
		return error != 0 ? error : -EAGAIN;
	return to != 0 && put_user(to, info) != 0 ? -EFAULT : signal;
}

/* --- sending ------------------------------------------------------------------------------------------- */

void signal_from_caller(siginfo_t *info, int signal, int code)
{
	__builtin_memset(info, 0, sizeof(*info));
	info->si_signo = signal;
	info->si_code = code;
	info->si_pid = (int)current_process()->pid;
	info->si_uid = current_cred()->uid;
}

/* Whom kill(2) means by a first argument that is not a process's number. */
static bool is_meant(const struct process *process, int pid)
{
	const struct process *self = current_process();

	if (pid == 0)
		return process->pgid == self->pgid;
	if (pid == -1)
		return process != self && process != first_process;
	return process->pgid == (uint32_t)-pid;
}

/* Family lock held. Zombies are there, and feel nothing. */
static int64_t kill_one(struct process *process, const siginfo_t *info)
{
	int signal = info->si_signo;

	if (signal < 0 || signal > NSIG_KERNEL)
		return -EINVAL;
	if (!cred_may_signal(process, signal))
		return -EPERM;
	if (signal != 0)
		(void)signal_post(process, info);
	return 0;
}

/* Of many, it is enough that one may be signalled. Family lock held. */
static int64_t kill_all(int pid, const siginfo_t *info)
{
	int64_t result = -ESRCH;

	for (struct process *p = family_next(NULL); p; p = family_next(p)) {
		int64_t one = is_meant(p, pid) ? kill_one(p, info) : -ESRCH;

		if (result != 0 && one != -ESRCH)
			result = one;
	}
	return result;
}

SYSCALL2(kill, int, pid, int, signal)
{
	struct process *process;
	siginfo_t info;
	int64_t result;

	if (pid == INT32_MIN)
		return -ESRCH;
	signal_from_caller(&info, signal, SI_USER);
	mutex_lock(&family_lock);
	if (pid > 0) {
		process = family_find((uint32_t)pid);
		result = process ? kill_one(process, &info) : -ESRCH;
	} else {
		result = kill_all(pid, &info);
	}
	mutex_unlock(&family_lock);
	return result;
}

bool signal_accept(siginfo_t *info, uint32_t pid)
{
	if (info->si_code == SI_TIMER)
		info->si_sys_private = 0;
	return (info->si_code < 0 && info->si_code != SI_TKILL) || pid == current_process()->pid;
}

static bool is_signal(int signal)
{
	return signal >= 0 && signal <= NSIG_KERNEL;
}

/* `pid` 0: of whatever process. A leader that has ended is still there while others of its threads are. */
static int64_t signal_thread(int pid, int tid, const siginfo_t *info)
{
	struct process *process;
	struct task *task;
	int64_t result = -ESRCH;

	if (pid < 0 || tid <= 0)
		return -EINVAL;
	mutex_lock(&family_lock);
	task = family_find_task((uint32_t)tid);
	process = task ? task->thread.process : family_find((uint32_t)tid);
	if (process && (pid == 0 || process->pid == (uint32_t)pid)) {
		result = is_signal(info->si_signo) ? 0 : -EINVAL;
		if (result == 0 && !cred_may_signal(process, info->si_signo))
			result = -EPERM;
		if (result == 0 && task && info->si_signo != 0)
			result = signal_post_task(task, info);
	}
	mutex_unlock(&family_lock);
	return result;
}

static int64_t signal_process(int pid, const siginfo_t *info)
{
	struct process *process;
	int64_t result = -ESRCH;

	mutex_lock(&family_lock);
	process = pid > 0 ? family_find((uint32_t)pid) : NULL;
	if (process) {
		result = is_signal(info->si_signo) ? 0 : -EINVAL;
		if (result == 0 && !cred_may_signal(process, info->si_signo))
			result = -EPERM;
		if (result == 0 && info->si_signo != 0)
			result = signal_post(process, info);
	}
	mutex_unlock(&family_lock);
	return result;
}

SYSCALL2(tkill, int, tid, int, signal)
{
	siginfo_t info;

	signal_from_caller(&info, signal, SI_TKILL);
	return signal_thread(0, tid, &info);
}

SYSCALL3(tgkill, int, pid, int, tid, int, signal)
{
	siginfo_t info;

	signal_from_caller(&info, signal, SI_TKILL);
	return pid <= 0 ? -EINVAL : signal_thread(pid, tid, &info);
}

SYSCALL3(rt_sigqueueinfo, int, pid, int, signal, vaddr_t, from)
{
	siginfo_t info;

	if (get_user(&info, from) != 0)
		return -EFAULT;
	info.si_signo = signal;
	return signal_accept(&info, (uint32_t)pid) ? signal_process(pid, &info) : -EPERM;
}

SYSCALL4(rt_tgsigqueueinfo, int, pid, int, tid, int, signal, vaddr_t, from)
{
	siginfo_t info;

	if (get_user(&info, from) != 0)
		return -EFAULT;
	info.si_signo = signal;
	if (pid <= 0 || tid <= 0)
		return -EINVAL;
	return signal_accept(&info, (uint32_t)pid) ? signal_thread(pid, tid, &info) : -EPERM;
}
