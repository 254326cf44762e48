/*
 * proc/signal.c - how a signal gets from whoever posts it to the thread that takes it.
 *
 * Posting puts it into a queue, the thread's or the process's (a standard signal once, a real-time one as
 * often as it is posted), and wakes a thread that does not block it from interruptible sleeps; what is
 * ignored is dropped at once. One whose default is the end marks the whole process at once, which ends
 * killable sleeps, too. The rest happens when the thread is about to return to user mode
 * (proc/signal_delivery.c).
 *
 * A thread that has been told of the process's signal and cannot take it after all, because it blocks it
 * now, or ends, tells another (retarget()).
 */
#include "proc/signal.h"

#include "kernel/string.h"
#include "mm/slab.h"
#include "proc/core.h"
#include "proc/user.h"

/* What an instruction causes is delivered before what others send. */
#define SYNCHRONOUS                                                                            \
	(SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGILL) | SIGNAL_BIT(SIGTRAP) | \
	 SIGNAL_BIT(SIGFPE) | SIGNAL_BIT(SIGSYS))

/* --- what is done about them ------------------------------------------------------------------------ */

struct signal_action signal_action(struct process *process, int signal)
{
	struct signal_action action;

	spin_lock(&process->signal_lock);
	spin_lock(&process->handlers->lock);
	action = process->handlers->actions[signal - 1];
	spin_unlock(&process->handlers->lock);
	spin_unlock(&process->signal_lock);
	return action;
}

bool signal_spares(const struct process *process, vaddr_t handler, const siginfo_t *info)
{
	bool sent = info->si_code <= 0 && !signal_is_of_timer(info);

	return process == first_process && handler == (vaddr_t)SIG_DFL && sent &&
	       (uint32_t)info->si_pid != process->pid;
}

static bool is_fatal(vaddr_t handler, int signal)
{
	return !(SIGNAL_BIT(signal) & (DEFAULT_IGNORE | DEFAULT_STOP)) &&
	       handler == (vaddr_t)SIG_DFL;
}

/* --- what is pending; signal lock held ----------------------------------------------------------- */

void signal_init_pending(struct pending_signals *pending)
{
	pending->set = 0;
	TAILQ_INIT(&pending->queue);
	pending->first_used = false;
}

static void drop(struct pending_signals *pending, struct queued_signal *queued)
{
	TAILQ_REMOVE(&pending->queue, queued, link);
	user_remove(queued->user, USER_SIGNAL);
	if (queued == &pending->first)
		pending->first_used = false;
	else
		kfree(queued);
}

static struct queued_signal *allocate(struct pending_signals *pending)
{
	if (pending->first_used)
		return kalloc(sizeof(struct queued_signal));
	pending->first_used = true;
	return &pending->first;
}

/* True if somebody relies on each being queued: what sigqueue(3) and timers send. */
static bool must_queue(const siginfo_t *info)
{
	return info->si_signo >= SIGRTMIN && info->si_code != SI_USER && info->si_code != SI_KERNEL;
}

/* Standard signals are there once; one that cannot be queued is pending without its details. -EAGAIN. */
static int enqueue(const struct process *process, struct pending_signals *pending,
		   const siginfo_t *info)
{
	int signal = info->si_signo;
	struct queued_signal *queued = NULL;

	/* A timer has one at most, which is not to be mistaken for another's, and counts as a timer. */
	if (signal < SIGRTMIN && (pending->set & SIGNAL_BIT(signal)) && !signal_is_of_timer(info))
		return 0;
	/* The limit is one word, and whoever changes it now may as well have been too late. */
	if (signal < SIGRTMIN || signal_is_of_timer(info) ||
	    user_signals(process->user) < process->limits.limit[RLIMIT_SIGPENDING].rlim_cur)
		queued = allocate(pending);
	if (!queued && must_queue(info))
		return -EAGAIN;
	pending->set |= SIGNAL_BIT(signal);
	if (queued) {
		queued->user = process->user;
		user_add(queued->user, USER_SIGNAL);
		queued->info = *info;
		TAILQ_INSERT_TAIL(&pending->queue, queued, link);
	}
	return 0;
}

static void discard(struct pending_signals *pending, uint64_t set)
{
	struct queued_signal *queued, *next;

	if (!(pending->set & set))
		return;
	pending->set &= ~set;
	for (queued = TAILQ_FIRST(&pending->queue); queued; queued = next) {
		next = TAILQ_NEXT(queued, link);
		if (SIGNAL_BIT(queued->info.si_signo) & set)
			drop(pending, queued);
	}
}

void signal_discard(struct process *process, uint64_t set)
{
	struct task *task;

	discard(&process->shared_pending, set);
	TAILQ_FOREACH (task, &process->tasks, sibling)
		discard(&task->pending, set);
}

static bool holds_timer(const struct pending_signals *pending, int id)
{
	const struct queued_signal *queued;

	TAILQ_FOREACH (queued, &pending->queue, link) {
		if (signal_is_of_timer(&queued->info) && queued->info.si_tid == id)
			return true;
	}
	return false;
}

bool signal_timer_is_pending(struct process *process, int id)
{
	const struct task *task;
	bool found;

	spin_lock(&process->signal_lock);
	found = holds_timer(&process->shared_pending, id);
	TAILQ_FOREACH (task, &process->tasks, sibling)
		found = found || holds_timer(&task->pending, id);
	spin_unlock(&process->signal_lock);
	return found;
}

void signal_forget_all(struct pending_signals *pending)
{
	discard(pending, UINT64_MAX);
}

uint64_t signal_pending_set(void)
{
	return current_task()->pending.set | current_process()->shared_pending.set;
}

/* The number that comes first: an instruction's, then the lowest. */
static int first_of(uint64_t set)
{
	if (set & SYNCHRONOUS)
		set &= SYNCHRONOUS;
	return set ? __builtin_ctzl(set) + 1 : 0;
}

static int take(struct pending_signals *pending, uint64_t set, siginfo_t *info)
{
	struct queued_signal *queued, *found = NULL;
	int signal = first_of(pending->set & set);
	unsigned count = 0;

	TAILQ_FOREACH (queued, &pending->queue, link) {
		if (queued->info.si_signo == signal && count++ == 0)
			found = queued;
		else if (count > 1)
			break;
	}
	if (count <= 1)
		pending->set &= ~SIGNAL_BIT(signal);
	if (found) {
		*info = found->info;
		drop(pending, found);
	} else {
		memset(info, 0, sizeof(*info));
		info->si_signo = signal;
	}
	return signal;
}

int signal_take(uint64_t set, siginfo_t *info)
{
	struct pending_signals *own = &current_task()->pending;
	struct pending_signals *shared = &current_process()->shared_pending;

	if (own->set & set)
		return take(own, set, info);
	return shared->set & set ? take(shared, set, info) : 0;
}

/* --- who is told; signal lock held ------------------------------------------------------------------ */

/* True if the thread can take it now. */
static bool wants(const struct task *task, int signal)
{
	uint64_t bit = SIGNAL_BIT(signal);

	if (task->thread.kill_pending)
		return false;
	if (signal == SIGKILL)
		return true;
	return !task->stopped && (!(task->signal_mask & bit) || (task->awaited & bit));
}

/* The leader, unless it blocks it; then the oldest that does not. */
static struct task *choose(const struct process *process, int signal)
{
	struct task *task;

	TAILQ_FOREACH (task, &process->tasks, sibling) {
		if (wants(task, signal))
			return task;
	}
	return NULL;
}

/* What has been queued reaches that thread, or all if it is their end. NULL: it stays pending. */
static void tell(struct process *process, struct task *task, int signal, vaddr_t handler)
{
	if (!task)
		return;
	/* Who leaves a core file has to get there, as with a handler. */
	if (!(task->awaited & SIGNAL_BIT(signal)) && is_fatal(handler, signal) &&
	    !core_is_wanted(process, signal))
		process_end(process, PROCESS_KILLED(signal));
	else
		thread_signal(&task->thread);
}

static void notify(struct process *process, struct task *task, int signal)
{
	tell(process, task, signal, signal_handler(process, signal));
}

/* What `task` might have been told of, and does not take (any more), is for others. */
static void retarget(struct process *process, const struct task *task, uint64_t set)
{
	for (set &= process->shared_pending.set; set; set &= set - 1) {
		int signal = __builtin_ctzl(set) + 1;
		struct task *other = choose(process, signal);

		if (other != task)
			notify(process, other, signal);
	}
}

void signal_leave(struct task *task)
{
	retarget(task->thread.process, task, ~task->signal_mask);
}

/* --- posting --------------------------------------------------------------------------------------- */

/* Blocked ones are kept, since what is done about them may change until then. */
static bool is_dropped(const struct task *task, const siginfo_t *info, vaddr_t handler)
{
	return !(task->signal_mask & SIGNAL_BIT(info->si_signo)) &&
	       (signal_is_ignored(handler, info->si_signo) ||
		signal_spares(task->thread.process, handler, info));
}

/* Signal lock held; `task`: NULL for the process. */
static int post_locked(struct process *process, struct task *task, const siginfo_t *info)
{
	int signal = info->si_signo, error;
	const struct task *asked = task ? task : TAILQ_FIRST(&process->tasks);
	vaddr_t handler;

	if (!asked)
		return 0;
	if (SIGNAL_BIT(signal) & (DEFAULT_STOP | SIGNAL_BIT(SIGCONT) | SIGNAL_BIT(SIGKILL)))
		signal_settle_stop(process, signal);
	handler = signal_handler(process, signal);
	if (is_dropped(asked, info, handler))
		return 0;
	error = enqueue(process, task ? &task->pending : &process->shared_pending, info);
	if (error != 0)
		return error;
	if (!task)
		task = choose(process, signal);
	else if (!wants(task, signal))
		task = NULL;
	tell(process, task, signal, handler);
	return 0;
}

static int post(struct process *process, struct task *task, const siginfo_t *info)
{
	int error;

	assert(info->si_signo > 0 && info->si_signo <= NSIG_KERNEL);
	spin_lock(&process->signal_lock);
	error = post_locked(process, task, info);
	spin_unlock(&process->signal_lock);
	signal_announce();
	return error;
}

int signal_post(struct process *process, const siginfo_t *info)
{
	return post(process, NULL, info);
}

int signal_post_task(struct task *task, const siginfo_t *info)
{
	return post(task->thread.process, task, info);
}

int signal_post_tid(struct process *process, uint32_t tid, const siginfo_t *info)
{
	struct task *task;
	int error = 0;

	spin_lock(&process->signal_lock);
	TAILQ_FOREACH (task, &process->tasks, sibling) {
		if (task->thread.tid == tid) {
			error = post_locked(process, task, info);
			break;
		}
	}
	spin_unlock(&process->signal_lock);
	signal_announce();
	return error;
}

void process_post_signal(struct process *process, int signal)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = signal;
	info.si_code = SI_KERNEL;
	(void)signal_post(process, &info);
}

/* Handlers lock taken: a signal that cannot be handled ends the process. */
static void set_default(struct process *process, int signal, bool always)
{
	struct signal_action *action = &process->handlers->actions[signal - 1];

	spin_lock(&process->handlers->lock);
	if (always || action->handler == (vaddr_t)SIG_IGN)
		action->handler = (vaddr_t)SIG_DFL;
	spin_unlock(&process->handlers->lock);
}

void signal_force(const siginfo_t *info, bool fatal)
{
	struct process *process = current_process();
	struct task *self = current_task();
	uint64_t bit = SIGNAL_BIT(info->si_signo);

	spin_lock(&process->signal_lock);
	set_default(process, info->si_signo, fatal || (self->signal_mask & bit));
	self->signal_mask &= ~bit;
	discard(&self->pending, bit); /* one from elsewhere must not hide where this one was */
	(void)enqueue(process, &self->pending, info);
	notify(process, self, info->si_signo);
	spin_unlock(&process->signal_lock);
}

/* --- masks -------------------------------------------------------------------------------------------- */

void signal_change_mask(uint64_t mask)
{
	struct process *process = current_process();
	struct task *self = current_task();
	uint64_t before = self->signal_mask, ready;

	self->signal_mask = mask & ~UNSTOPPABLE;
	if (likely(signal_pending_set() == 0))
		return;
	for (ready = signal_pending_set() & ~self->signal_mask; ready; ready &= ready - 1)
		notify(process, self, __builtin_ctzl(ready) + 1);
	retarget(process, self, self->signal_mask & ~before);
}

void signal_set_mask(uint64_t mask)
{
	struct process *process = current_process();

	spin_lock(&process->signal_lock);
	signal_change_mask(mask);
	spin_unlock(&process->signal_lock);
}

void signal_set_mask_for_wait(uint64_t mask)
{
	struct process *process = current_process();
	struct task *self = current_task();

	spin_lock(&process->signal_lock);
	self->saved_mask = self->signal_mask;
	self->restores_mask = true;
	signal_change_mask(mask);
	spin_unlock(&process->signal_lock);
}

void signal_end_mask_for_wait(void)
{
	struct process *process = current_process();
	struct task *self = current_task();

	/* Only we set it. */
	if (!self->restores_mask)
		return;
	spin_lock(&process->signal_lock);
	self->restores_mask = false;
	signal_change_mask(self->saved_mask);
	spin_unlock(&process->signal_lock);
}

bool signal_is_withheld(int signal)
{
	struct process *process = current_process();
	bool withheld;

	spin_lock(&process->signal_lock);
	withheld = (current_task()->signal_mask & SIGNAL_BIT(signal)) ||
		   signal_handler(process, signal) == (vaddr_t)SIG_IGN;
	spin_unlock(&process->signal_lock);
	return withheld;
}
