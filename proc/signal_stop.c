/*
 * proc/signal_stop.c - stopping and continuing a process, all threads of it.
 *
 *	          a thread takes SIGSTOP, …        the last of them is on its way to user mode
 *	running ───────────────────────> stopping ──────────────────────> stopped: the parent is told
 *	   ▲                                │                                │
 *	   └────────────────────────────────┴────────────────────────────────┘
 *	     SIGCONT, when it is posted, whatever becomes of it; the first to go on tells the parent
 *
 * A thread stops where it has nothing in its hands: on its way to user mode. Who sleeps in a system call
 * is sent there, as by a signal, and the call is made again afterwards.
 */
#include "proc/signal.h"

#include "kernel/string.h"

void signal_settle_stop(struct process *process, int signal)
{
	struct task *task;

	if (SIGNAL_BIT(signal) & DEFAULT_STOP)
		signal_discard(process, SIGNAL_BIT(SIGCONT));
	if (signal != SIGCONT && signal != SIGKILL)
		return;
	signal_discard(process, DEFAULT_STOP);
	TAILQ_FOREACH (task, &process->tasks, sibling)
		task->stop_taken = false;
	if (process->stop_signal == 0)
		return;
	process->stop_signal = 0;
	process->stop_report = 0;
	if (process->stopped) {
		process->continue_report = signal == SIGCONT;
		process->tells_continued = signal == SIGCONT;
	}
	process->stopped = false;
	waitq_wake_all(&process->stop_wait);
}

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

/* All threads are asked to stop. Who has no parent has no waker. */
void signal_stop(int signal)
{
	struct process *process = current_process();
	struct task *self = current_task(), *task;
	bool allowed;

	mutex_lock(&family_lock);
	allowed =
		process->parent && (signal == SIGSTOP || !signal_group_is_orphaned(process->pgid));
	spin_lock(&process->signal_lock);
	/* SIGCONT may have called it off since it was taken. */
	if (allowed && self->stop_taken && process->stop_signal == 0 && !process->ending) {
		process->stop_signal = signal;
		process->continue_report = false;
		process->tells_continued = false;
		TAILQ_FOREACH (task, &process->tasks, sibling)
			thread_signal(&task->thread);
	}
	self->stop_taken = false;
	spin_unlock(&process->signal_lock);
	mutex_unlock(&family_lock);
}

void signal_check_stopped(struct process *process)
{
	const struct task *task;
	bool all = true;
	int signal;

	assert(mutex_held(&family_lock));
	spin_lock(&process->signal_lock);
	signal = process->stop_signal;
	TAILQ_FOREACH (task, &process->tasks, sibling)
		all = all && task->stopped;
	all = all && signal != 0 && !process->stopped;
	if (all) {
		process->stopped = true;
		process->stop_report = signal;
	}
	spin_unlock(&process->signal_lock);
	if (all)
		family_tell_parent(process, CLD_STOPPED, signal);
}

void signal_stay_stopped(void)
{
	struct process *process = current_process();
	struct task *self = current_task();
	bool tells;

	mutex_lock(&family_lock);
	spin_lock(&process->signal_lock);
	self->stopped = process->stop_signal != 0;
	spin_unlock(&process->signal_lock);
	signal_check_stopped(process);
	mutex_unlock(&family_lock);

	(void)wait_event_full(&process->stop_wait, process->stop_signal == 0, WAIT_STOPPED,
			      NO_DEADLINE);

	spin_lock(&process->signal_lock);
	self->stopped = false;
	tells = process->tells_continued && !process->ending;
	process->tells_continued = false;
	spin_unlock(&process->signal_lock);
	if (tells) {
		mutex_lock(&family_lock);
		family_tell_parent(process, CLD_CONTINUED, SIGCONT);
		mutex_unlock(&family_lock);
	}
}
