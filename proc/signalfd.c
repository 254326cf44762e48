/*
 * proc/signalfd.c - signalfd(2): signals read from a descriptor.
 *
 * A signalfd is a set of signals. Who reads it takes those that are pending for himself, thread and
 * process, not those of whoever made it; so does who polls it. All of them wait in one queue, which is
 * woken when any signal is posted while there is a signalfd: a process's own might go away with it,
 * before an epoll set that watches it.
 */
#include "fs/file.h"
#include "fs/ops.h"
#include "fs/poll.h"
#include "fs/stat.h"
#include "fs/synthetic.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/slab.h"
#include "mm/user.h"
#include "proc/signal.h"
#include <asm/poll.h>
#include <linux/signalfd.h>

struct signalfd {
	_Atomic uint64_t set;
};

static _Atomic uint32_t signalfds; /* that are open */
static struct waitq news = WAITQ_INIT(news, "signalfd");

void signal_announce(void)
{
	if (signalfds > 0)
		waitq_wake_all(&news);
}

static int take_one(const struct signalfd *s, siginfo_t *info)
{
	struct process *process = current_process();
	int signal;

	spin_lock(&process->signal_lock);
	signal = signal_take(s->set, info);
	spin_unlock(&process->signal_lock);
	if (signal != 0)
		timers_signal_taken(info);
	return signal;
}

static bool is_ready(const struct signalfd *s)
{
	struct process *process = current_process();
	bool ready;

	spin_lock(&process->signal_lock);
	ready = signal_pending_set() & s->set;
	spin_unlock(&process->signal_lock);
	return ready;
}

/* Which fields of a siginfo mean something depends on who has sent it: sigaction(2). */
static struct signalfd_siginfo convert(const siginfo_t *info)
{
	struct signalfd_siginfo out;
	int signal = info->si_signo, code = info->si_code;

	memset(&out, 0, sizeof(out)); /* with its padding */
	out.ssi_signo = (uint32_t)signal;
	out.ssi_errno = info->si_errno;
	out.ssi_code = code;
	if (code == SI_TIMER) {
		out.ssi_tid = (uint32_t)info->si_tid;
		out.ssi_overrun = (uint32_t)info->si_overrun;
	} else if (signal == SIGCHLD && code > 0 && code < SI_KERNEL) {
		out.ssi_pid = (uint32_t)info->si_pid;
		out.ssi_uid = info->si_uid;
		out.ssi_status = info->si_status;
		out.ssi_utime = (uint64_t)info->si_utime;
		out.ssi_stime = (uint64_t)info->si_stime;
		return out;
	} else if ((signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE ||
		    signal == SIGTRAP) &&
		   code > 0 && code < SI_KERNEL) {
		out.ssi_addr = (uint64_t)info->si_addr;
		return out;
	} else if (signal == SIGIO && code > 0 && code < SI_KERNEL) {
		out.ssi_band = (uint32_t)info->si_band;
		out.ssi_fd = info->si_fd;
		return out;
	} else {
		out.ssi_pid = (uint32_t)info->si_pid;
		out.ssi_uid = info->si_uid;
	}
	if (code < 0) {
		out.ssi_int = info->si_int;
		out.ssi_ptr = (uint64_t)info->si_ptr;
	}
	return out;
}

/* As many as there are and fit; waits for the first only. */
static ssize_t read_signalfd(struct file *file, vaddr_t to, size_t length, loff_t *offset)
{
	const struct signalfd *s = file->private;
	size_t done = 0;
	siginfo_t info;
	int error = 0;

	if (length < sizeof(struct signalfd_siginfo))
		return -EINVAL;
	while (length - done >= sizeof(struct signalfd_siginfo)) {
		int signal = take_one(s, &info);

		if (signal == 0 && done == 0 && file_may_wait(file))
			error = wait_event_signal(&news, (signal = take_one(s, &info)) != 0);
		else if (signal == 0)
			error = -EAGAIN;
		if (signal != 0)
			error = put_user(to + done, convert(&info));
		if (error != 0)
			break;
		done += sizeof(struct signalfd_siginfo);
	}
	return done > 0 ? (ssize_t)done : error;
}

static unsigned poll_signalfd(struct file *file, struct poll_table *table)
{
	poll_wait(table, &news);
	return is_ready(file->private) ? POLLIN : 0;
}

static void describe_signalfd(struct file *file, struct text *text)
{
	const struct signalfd *s = file->private;

	text_printf(text, "sigmask:\t%016lx\n", atomic_load(&s->set));
}

static void release_signalfd(struct file *file)
{
	signalfds--;
	kfree(file->private);
}

static const struct file_ops signalfd_ops = {
	.seeks_nowhere = true,
	.read = read_signalfd,
	.stat = stat_anonymous,
	.poll = poll_signalfd,
	.release = release_signalfd,
	.kind = "[signalfd]",
	.describe = describe_signalfd,
};

static int64_t create(uint64_t set, int flags)
{
	struct signalfd *s = kzalloc(sizeof(*s));
	struct file *file;
	int fd;

	if (!s)
		return -ENOMEM;
	s->set = set;
	file = file_create(&signalfd_ops, O_RDWR | ((uint32_t)flags & O_NONBLOCK));
	if (!file) {
		kfree(s);
		return file_create_error();
	}
	file->private = s;
	signalfds++;
	fd = files_install(current->files, file, 0, flags & O_CLOEXEC);
	file_put(file);
	return fd;
}

static int64_t change(int fd, uint64_t set)
{
	struct file *file = fd_get(fd);
	struct signalfd *s;

	if (!file)
		return -EBADF;
	if (file->ops != &signalfd_ops) {
		file_put(file);
		return -EINVAL;
	}
	s = file->private;
	s->set = set;
	waitq_wake_all(&news);
	file_put(file);
	return fd;
}

static int64_t do_signalfd(int fd, vaddr_t from, size_t size, int flags)
{
	uint64_t set;

	if ((flags & ~(SFD_CLOEXEC | SFD_NONBLOCK)) || size != sizeof(set))
		return -EINVAL;
	if (get_user(&set, from) != 0)
		return -EFAULT;
	set &= ~UNSTOPPABLE;
	return fd == -1 ? create(set, flags) : change(fd, set);
}

SYSCALL3(signalfd, int, fd, vaddr_t, set, size_t, size)
{
	return do_signalfd(fd, set, size, 0);
}

SYSCALL4(signalfd4, int, fd, vaddr_t, set, size_t, size, int, flags)
{
	return do_signalfd(fd, set, size, flags);
}
