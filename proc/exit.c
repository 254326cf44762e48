/*
 * proc/exit.c - the end of a process, and of the machine with its first process.
 *
 * Everything that the process held goes back before the machine is told to stop: descriptors first,
 * since closing them may still write, then the space, then the image that it ran.
 */
#include "dev/console.h"
#include "dev/machine.h"
#include "fs/file.h"
#include "fs/path.h"
#include "fs/version.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/syscall.h"
#include "mm/space.h"
#include "proc/process.h"
#include <linux/wait.h>

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

static void release_resources(void)
{
	struct process *process = current_process();
	struct thread *thread = current;
	struct space *space = thread->space;

	files_put(thread->files);
	thread->files = NULL;
	fs_context_put(thread->fs);
	thread->fs = NULL;
	if (space) {
		space_switch(NULL);
		space_put(space);
	}
	if (process->exe) {
		version_allow_write(process->exe);
		version_put(process->exe);
		file_name_put(process->exe_name);
		process->exe = NULL;
		process->exe_name = NULL;
	}
}

void process_exit(int status)
{
	struct process *process = current_process();

	mutex_lock(&family_lock);
	process->exiting = true;
	process->exit_status = status;
	mutex_unlock(&family_lock);
	log_end(process, status);
	release_resources();

	/* The machine runs its first process and nothing else: with it, it stops. */
	console_drain();
	machine_report_exit(shell_status(status));
	machine_power_off();
}

SYSCALL1(exit, int, code)
{
	process_exit(PROCESS_EXITED(code));
}

SYSCALL1(exit_group, int, code)
{
	process_exit(PROCESS_EXITED(code));
}

/* There are no children to wait for yet. */
SYSCALL4(wait4, int, pid, vaddr_t, status, int, options, vaddr_t, usage)
{
	if (options & ~(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL))
		return -EINVAL;
	/* Minus such a number is none. */
	return pid == INT32_MIN ? -ESRCH : -ECHILD;
}
