/*
 * proc/signal_io.c - signals that tell of files: SIGIO and SIGURG, fcntl(2).
 */
#include "fs/signal.h"
#include "kernel/cred.h"
#include "kernel/string.h"
#include "proc/process.h"
#include "proc/signal.h"
#include <asm/poll.h>
#include <linux/fcntl.h>

static void describe(siginfo_t *info, const struct io_signal *io)
{
	memset(info, 0, sizeof(*info));
	info->si_signo = io->urgent ? SIGURG : io->signal != 0 ? io->signal : SIGIO;
	info->si_code = SI_KERNEL;
	if (io->urgent || io->signal == 0)
		return;
	info->si_code = io->code;
	info->si_fd = io->fd;
	switch (io->code) {
	case POLL_IN:
		info->si_band = POLLIN | POLLRDNORM;
		break;
	case POLL_OUT:
		info->si_band = POLLOUT | POLLWRNORM | POLLWRBAND;
		break;
	case POLL_ERR:
		info->si_band = POLLERR;
		break;
	case POLL_PRI:
		info->si_band = POLLPRI | POLLRDBAND;
		break;
	case POLL_HUP:
		info->si_band = POLLHUP | POLLERR;
		break;
	}
}

/* Whoever owns a file sends as himself. Family lock held. */
static bool may_tell(const struct process *process, const struct io_owner *owner)
{
	const struct cred *cred = process->cred;

	return owner->euid == ROOT_ID || owner->euid == cred->suid || owner->euid == cred->uid ||
	       owner->uid == cred->suid || owner->uid == cred->uid;
}

/* One that cannot be queued with what is known about it is SIGIO without. */
static void post(struct process *process, struct task *task, const struct io_signal *io)
{
	siginfo_t info;
	int error;

	if (process->zombie || !may_tell(process, &io->owner))
		return;
	describe(&info, io);
	error = task != NULL ? signal_post_task(task, &info) : signal_post(process, &info);
	if (error == -EAGAIN)
		process_post_signal(process, SIGIO);
}

void signal_io_post(const struct io_signal *io)
{
	struct process *process;
	struct task *task;

	mutex_lock(&family_lock);
	switch (io->owner.type) {
	case F_OWNER_TID:
		task = family_find_task(io->owner.number);
		if (task != NULL)
			post(task->thread.process, task, io);
		break;
	case F_OWNER_PID:
		process = family_find(io->owner.number);
		if (process != NULL)
			post(process, NULL, io);
		break;
	case F_OWNER_PGRP:
		for (process = family_next(NULL); process; process = family_next(process)) {
			if (process->pgid == io->owner.number)
				post(process, NULL, io);
		}
		break;
	}
	mutex_unlock(&family_lock);
}

bool signal_io_exists(const struct io_owner *owner)
{
	bool exists = false;

	mutex_lock(&family_lock);
	if (owner->type == F_OWNER_TID)
		exists = family_find_task(owner->number) != NULL;
	else if (owner->type == F_OWNER_PID)
		exists = family_find(owner->number) != NULL;
	else
		for (struct process *p = family_next(NULL); p && !exists; p = family_next(p))
			exists = p->pgid == owner->number;
	mutex_unlock(&family_lock);
	return exists;
}
