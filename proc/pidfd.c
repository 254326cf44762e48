/*
 * proc/pidfd.c - pidfd_open(2) and what can be done with it: a process that one holds in one's hand.
 *
 * A number may become another process's; a pidfd stays the one it was opened for. It is readable when that
 * has ended, and hung up when it has been waited for.
 */
#include "proc/pidfd.h"

#include "fs/file.h"
#include "fs/ops.h"
#include "fs/poll.h"
#include "fs/stat.h"
#include "fs/synthetic.h"
#include "kernel/syscall.h"
#include "mm/user.h"
#include "proc/cred.h"
#include "proc/signal.h"
#include <asm/poll.h>
#include <linux/pidfd.h>

/* Family lock held: it has not been waited for. */
static bool is_known(const struct process *process)
{
	return family_find(process->pid) == process;
}

static unsigned poll_pidfd(struct file *file, struct poll_table *table)
{
	struct process *process = file->private;
	unsigned events = 0;

	poll_wait(table, &process->ended);
	mutex_lock(&family_lock);
	if (!is_known(process))
		events = POLLIN | POLLRDNORM | POLLHUP;
	else if (process->zombie)
		events = POLLIN | POLLRDNORM;
	mutex_unlock(&family_lock);
	return events;
}

static void describe_pidfd(struct file *file, struct text *text)
{
	const struct process *process = file->private;
	int pid;

	mutex_lock(&family_lock);
	pid = is_known(process) ? (int)process->pid : -1;
	mutex_unlock(&family_lock);
	text_printf(text, "Pid:\t%d\nNSpid:\t%d\n", pid, pid);
}

static void release_pidfd(struct file *file)
{
	process_put(file->private);
}

static const struct file_ops pidfd_ops = {
	.stat = stat_anonymous,
	.poll = poll_pidfd,
	.release = release_pidfd,
	.kind = "[pidfd]",
	.describe = describe_pidfd,
};

int pidfd_install(struct process *process, uint32_t flags)
{
	struct file *file = file_create(&pidfd_ops, O_RDWR | flags);
	int fd;

	if (!file)
		return file_create_error();
	process_get(process);
	file->private = process;
	fd = files_install(current->files, file, 0, true);
	file_put(file);
	return fd;
}

int pidfd_process(int fd, struct process **out, bool *nonblocking)
{
	struct file *file = fd_get(fd);

	if (!file)
		return -EBADF;
	if (file->ops != &pidfd_ops) {
		file_put(file);
		return -EBADF;
	}
	*out = file->private;
	process_get(*out);
	*nonblocking = atomic_load(&file->flags) & O_NONBLOCK;
	file_put(file);
	return 0;
}

SYSCALL2(pidfd_open, int, pid, uint32_t, flags)
{
	struct process *process;
	int64_t result = -ESRCH;

	if ((flags & ~(uint32_t)PIDFD_NONBLOCK) || pid <= 0)
		return -EINVAL;
	mutex_lock(&family_lock);
	process = family_find((uint32_t)pid);
	if (process)
		process_get(process);
	else if (family_find_task((uint32_t)pid))
		result = -EINVAL; /* not the leader of its process */
	mutex_unlock(&family_lock);
	if (!process)
		return result;
	result = pidfd_install(process, flags);
	process_put(process);
	return result;
}

SYSCALL4(pidfd_send_signal, int, fd, int, signal, vaddr_t, from, uint32_t, flags)
{
	struct process *process;
	siginfo_t info;
	bool unused;
	int error;

	if (flags != 0)
		return -EINVAL;
	error = pidfd_process(fd, &process, &unused);
	if (error != 0)
		return error;
	if (from == 0) {
		signal_from_caller(&info, signal, SI_USER);
	} else {
		error = get_user(&info, from) != 0 ? -EFAULT : 0;
		if (error == 0 && info.si_signo != signal)
			error = -EINVAL;
		else if (error == 0 && !signal_accept(&info, process->pid))
			error = -EPERM;
	}
	if (error == 0 && (signal < 0 || signal > NSIG_KERNEL))
		error = -EINVAL;
	if (error == 0) {
		mutex_lock(&family_lock);
		if (!is_known(process))
			error = -ESRCH;
		else if (!cred_may_signal(process, signal))
			error = -EPERM;
		else if (signal != 0)
			error = signal_post(process, &info);
		mutex_unlock(&family_lock);
	}
	process_put(process);
	return error;
}

/* Another process's descriptor, as one of ours. */
SYSCALL3(pidfd_getfd, int, fd, int, theirs, uint32_t, flags)
{
	struct files *files;
	struct process *process;
	struct file *file = NULL;
	bool unused, may;
	int result;

	if (flags != 0)
		return -EINVAL;
	result = pidfd_process(fd, &process, &unused);
	if (result != 0)
		return result;
	mutex_lock(&family_lock);
	may = cred_may_inspect(process);
	files = may ? process_files(process) : NULL;
	if (files)
		files_get(files);
	mutex_unlock(&family_lock);
	process_put(process);
	if (!files)
		return may ? -ESRCH : -EPERM;
	file = files_lookup(files, theirs);
	files_put(files);
	if (!file)
		return -EBADF;
	result = files_install(current->files, file, 0, true);
	file_put(file);
	return result;
}
