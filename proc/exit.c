/*
 * proc/exit.c - the end of a process, and of the machine with its first process.
 *
 *	release     descriptors first, since closing them may still write; the space; the image
 *	leave       children go to the first process, the parent is told; a zombie remains
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
#include "mm/space.h"
#include "mm/user.h"
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

/* CLONE_CHILD_CLEARTID: whoever shares the memory may wait for the word to become 0. */
static void clear_child_tid(void)
{
	const uint32_t nobody = 0;
	vaddr_t address = current->clear_child_tid;

	current->clear_child_tid = 0;
	if (address != 0 && current->space->refs > 1 && put_user(address, nobody) == 0)
		futex_wake_one(address);
}

static void release_resources(void)
{
	struct process *process = current_process();
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
		clear_child_tid();
	mutex_lock(&family_lock);
	space = thread->space;
	space_switch(NULL);
	mutex_unlock(&family_lock);
	process_release_parent(process);
	if (space)
		space_put(space);
	process_drop_image(process);
}

/* True if the parent does not want to know: wait(2), NOTES. */
static bool is_ignored_by_parent(const struct process *process)
{
	struct process *parent = process->parent;
	const struct signal_action *action = &parent->actions[SIGCHLD - 1];
	bool ignored;

	if (process->exit_signal != SIGCHLD)
		return false;
	spin_lock(&parent->signal_lock);
	ignored = action->handler == (vaddr_t)SIG_IGN || (action->flags & SA_NOCLDWAIT);
	spin_unlock(&parent->signal_lock);
	return ignored;
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

static void leave_family(int status)
{
	struct process *self = current_process();
	struct process *child;
	bool forgotten;

	timers_end(self);
	mutex_lock(&family_lock);
	self->exit_status = status;
	self->times = process_cpu_times(self);
	spin_lock(&self->signal_lock);
	self->main_thread = NULL;
	spin_unlock(&self->signal_lock);
	self->zombie = true;
	signal_orphaned_group(self->pgid);
	TAILQ_FOREACH (child, &self->children, sibling)
		signal_orphaned_group(child->pgid);
	family_orphan_children(self);

	forgotten = is_ignored_by_parent(self);
	family_tell_of_end(self);
	if (forgotten)
		family_remove(self);
	mutex_unlock(&family_lock);
	if (forgotten)
		process_put(self); /* the family's; the thread has its own */
}

void process_exit(int status)
{
	struct process *process = current_process();

	if (process == first_process)
		log_end(process, status);
	release_resources();
	if (process == first_process) {
		/* The machine is there for its first process: with it, it stops. */
		console_drain();
		machine_report_exit(shell_status(status));
		machine_power_off();
	}
	end_session(process);
	leave_family(status);
	thread_exit();
}

SYSCALL1(exit, int, code)
{
	process_exit(PROCESS_EXITED(code));
}

SYSCALL1(exit_group, int, code)
{
	process_exit(PROCESS_EXITED(code));
}
