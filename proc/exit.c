/*
 * proc/exit.c - the end of a thread, of its process with the last one, and of the machine with its first
 * process.
 *
 *	release     a thread's share: descriptors first, since closing them may still write; its words in
 *	            memory, which others wait for; the space
 *	leave       it is not in its process any more; who is last goes on:
 *	end         the image; children go to the first process, the parent is told; a zombie remains
 *	thread_exit the thread is gone, and with it the stack that it stood on
 *
 * What a zombie still has is its struct process: its number, status and times. The first process's end
 * is the machine's.
 */
#include "dev/console.h"
#include "dev/machine.h"
#include "fs/file.h"
#include "fs/path.h"
#include "fs/tty.h"
#include "fs/version.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/syscall.h"
#include "mm/oom.h"
#include "mm/space.h"
#include "mm/user.h"
#include "proc/ipc.h"
#include "proc/signal.h"

/* What a shell reports of a wait(2) status. */
static int shell_status(int status)
{
	int signal = status & 0x7f;

	return signal ? 128 + signal : status >> 8 & 0xff;
}

static void log_end(const struct process *process, int status)
{
	int signal = status & 0x7f;

	if (!signal)
		log_info("%s[%u]: exited with status %d", process->command, process->pid,
			 status >> 8 & 0xff);
	else if (signal_name(signal))
		log_info("%s[%u]: ended by %s", process->command, process->pid,
			 signal_name(signal));
	else
		log_info("%s[%u]: ended by signal %d", process->command, process->pid, signal);
}

void process_drop_image(struct process *process)
{
	struct version *exe;
	struct file_name *name;

	mutex_lock(&family_lock);
	exe = process->exe;
	name = process->exe_name;
	process->exe = NULL;
	process->exe_name = NULL;
	mutex_unlock(&family_lock);
	if (!exe)
		return;
	version_allow_write(exe);
	version_put(exe);
	file_name_put(name);
}

static void release_resources(void)
{
	struct thread *thread = current;
	struct fs_context *fs;
	struct files *files;
	struct space *space;

	/* /proc takes references to them under this lock. */
	mutex_lock(&family_lock);
	files = thread->files;
	thread->files = NULL;
	fs = thread->fs;
	thread->fs = NULL;
	mutex_unlock(&family_lock);
	files_put(files);
	fs_context_put(fs);

	if (thread->space)
		task_leave_memory();
	mutex_lock(&family_lock);
	space = thread->space;
	if (space)
		process_note_peak();
	space_switch(NULL);
	mutex_unlock(&family_lock);
	task_release_parent();
	if (space)
		space_put(space);
	shm_sweep();
	oom_memory_returned();
}

static void tell_of_death(struct process *child)
{
	const struct task *task;
	siginfo_t info;

	TAILQ_FOREACH (task, &child->tasks, sibling) {
		if (task->death_signal != 0) {
			signal_from_caller(&info, task->death_signal, SI_USER);
			(void)signal_post(child, &info);
		}
	}
}

/*
 * The children of a thread that has left are those of another of its process's (wait(2), __WNOTHREAD), and
 * are told if they have asked for that (prctl(2), PR_SET_PDEATHSIG). Family lock held.
 */
static void hand_children_over(const struct process *process, uint32_t tid)
{
	const struct task *heir = TAILQ_FIRST(&process->tasks);
	struct process *child;

	TAILQ_FOREACH (child, &process->children, sibling) {
		if (child->parent_tid != tid)
			continue;
		if (heir)
			child->parent_tid = heir->thread.tid;
		tell_of_death(child);
	}
}

/* The calling thread leaves its process. True if it was the last one. */
static bool leave_process(int status)
{
	struct process *process = current_process();
	struct task *self = current_task();
	bool last;

	mutex_lock(&family_lock);
	sched_charge();
	family_forget_directory(self);
	spin_lock(&process->signal_lock);
	/* Unless all end together, the last one gives the status. */
	process->exit_status = process->ending ? process->end_status : status;
	family_remove_task(self);
	last = process->task_count == 0;
	signal_leave(self);
	spin_unlock(&process->signal_lock);
	hand_children_over(process, current->tid);
	if (!last)
		signal_check_stopped(process);
	waitq_wake_all(&process->alone);
	mutex_unlock(&family_lock);
	futex_owner_ended(current->tid);
	return last;
}

/* A session's terminal hangs up with its leader. */
static void end_session(const struct process *process)
{
	uint32_t group = process->sid == process->pid ? tty_end_session(process->sid) : 0;

	if (group != 0) {
		process_signal_group(group, SIGHUP);
		process_signal_group(group, SIGCONT);
	}
}

/* What keeps a group from being orphaned: a parent in another group of the same session. */
static bool connects(const struct process *parent, const struct process *child)
{
	return parent->pgid != child->pgid && parent->sid == child->sid;
}

static void leave_family(void)
{
	struct process *self = current_process();
	struct process *child;

	timers_end(self);
	mutex_lock(&family_lock);
	self->zombie = true;
	if (self->parent && connects(self->parent, self))
		signal_orphaned_group(self->pgid);
	TAILQ_FOREACH (child, &self->children, sibling) {
		if (connects(self, child))
			signal_orphaned_group(child->pgid);
	}
	family_orphan_children(self);
	/* It may take the family's reference; the thread has its own. */
	family_tell_of_end(self);
	mutex_unlock(&family_lock);
}

/* What there is of the calling process without threads; its status is set. */
static void end_process(struct process *process)
{
	if (process == first_process) {
		/* The machine is there for its first process: with it, it stops. */
		log_end(process, process->exit_status);
		console_drain();
		machine_report_exit(shell_status(process->exit_status));
		machine_power_off();
	}
	process_drop_image(process);
	sem_undo_all(process);
	end_session(process);
	leave_family();
}

void task_exit(int status)
{
	release_resources();
	if (leave_process(status))
		end_process(current_process());
	thread_exit();
}

void process_exit(int status)
{
	struct process *process = current_process();

	spin_lock(&process->signal_lock);
	/* Where exec ends all threads but one, it is that one that goes on. */
	if (!process->execing)
		process_end(process, status);
	spin_unlock(&process->signal_lock);
	task_exit(status);
}

SYSCALL1(exit, int, code)
{
	task_exit(PROCESS_EXITED(code));
}

SYSCALL1(exit_group, int, code)
{
	process_exit(PROCESS_EXITED(code));
}
