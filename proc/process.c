/*
 * proc/process.c - the making of a process, and what it takes on when it runs a new program.
 *
 * A process is known to fs (descriptors, working directory), mm (space) and kernel (thread) only by
 * the pointers that its thread carries; here is where they are filled in for the first process, and in
 * clone.c for all others.
 */
#include "proc/process.h"

#include "fs/file.h"
#include "fs/path.h"
#include "fs/signal.h"
#include "fs/tty.h"
#include "fs/version.h"
#include "kernel/clock.h"
#include "kernel/string.h"
#include "kernel/trap.h"
#include "mm/slab.h"
#include "mm/space.h"
#include "proc/clocks.h"
#include "proc/cred.h"
#include "proc/ipc.h"
#include "proc/oom.h"
#include "proc/procfs.h"
#include "proc/signal.h"
#include "proc/user.h"

/* --- a process -------------------------------------------------------------------------------- */

struct process *process_alloc(void)
{
	struct process *process = kzalloc(sizeof(*process));

	if (!process)
		return NULL;
	process->refs = 1;
	TAILQ_INIT(&process->children);
	TAILQ_INIT(&process->tasks);
	waitq_init(&process->child_events, "children");
	waitq_init(&process->ended, "pidfd");
	waitq_init(&process->alone, "exec");
	waitq_init(&process->stop_wait, "stopped");
	signal_init_pending(&process->shared_pending);
	spin_init(&process->signal_lock, "signals", RANK_SIGNAL);
	mutex_init(&process->exec_lock, "exec", RANK_FAMILY);
	limits_init(&process->limits);
	timers_init(process);
	process->attributes.dumpable = true;
	strlcpy(process->command, "hawser", sizeof(process->command));
	process->start_ns = clock_ns();
	return process;
}

void process_get(struct process *process)
{
	atomic_fetch_add(&process->refs, 1);
}

void process_put(struct process *process)
{
	if (atomic_fetch_sub(&process->refs, 1) != 1)
		return;
	signal_forget_all(&process->shared_pending);
	if (process->user)
		user_remove(process->user, USER_PROCESS);
	if (process->handlers)
		handlers_put(process->handlers);
	cred_put(process->cred);
	kfree(process);
}

static int join_family(struct process *process, struct task *task)
{
	int error;

	mutex_lock(&family_lock);
	error = family_add(process, task, NULL);
	mutex_unlock(&family_lock);
	return error;
}

struct process *process_create_first(void (*entry)(void *arg), void *arg)
{
	struct process *process = process_alloc();
	struct files *files = files_create();
	struct fs_context *fs = fs_context_create();
	struct task *task = NULL;

	if (!process || !files || !fs)
		goto bad;
	process->handlers = handlers_create();
	task = task_create(process, entry, arg);
	if (!process->handlers || !task)
		goto bad;
	if (join_family(process, task) != 0)
		goto bad;
	task->thread.files = files;
	task->thread.fs = fs;
	first_process = process;
	thread_start(&task->thread);
	return process;
bad:
	if (task)
		task_discard(task);
	if (fs)
		fs_context_put(fs);
	if (files)
		files_put(files);
	/* The thread had a reference of its own. */
	if (process)
		process_put(process); /* NOLINT(clang-analyzer-unix.Malloc) */
	return NULL;
}

/* --- handlers --------------------------------------------------------------------------------- */

struct handlers *handlers_create(void)
{
	struct handlers *handlers = kzalloc(sizeof(*handlers));

	if (!handlers)
		return NULL;
	handlers->refs = 1;
	spin_init(&handlers->lock, "handlers", RANK_HANDLERS);
	return handlers;
}

struct handlers *handlers_copy(struct handlers *from)
{
	struct handlers *copy = handlers_create();

	if (!copy)
		return NULL;
	spin_lock(&from->lock);
	memcpy(copy->actions, from->actions, sizeof(copy->actions));
	spin_unlock(&from->lock);
	return copy;
}

void handlers_get(struct handlers *handlers)
{
	atomic_fetch_add(&handlers->refs, 1);
}

void handlers_put(struct handlers *handlers)
{
	if (atomic_fetch_sub(&handlers->refs, 1) == 1)
		kfree(handlers);
}

void handlers_reset(struct handlers *handlers)
{
	spin_lock(&handlers->lock);
	for (unsigned i = 0; i < NSIG_KERNEL; i++) {
		struct signal_action *action = &handlers->actions[i];

		*action = (struct signal_action){
			.handler = action->handler == (vaddr_t)SIG_IGN ? (vaddr_t)SIG_IGN
								       : (vaddr_t)SIG_DFL,
		};
	}
	spin_unlock(&handlers->lock);
}

/* --- a new program ---------------------------------------------------------------------------- */

int process_unshare_handlers(struct handlers **out)
{
	struct handlers *handlers = current_process()->handlers;

	*out = NULL;
	if (handlers->refs == 1)
		return 0;
	*out = handlers_copy(handlers);
	return *out ? 0 : -ENOMEM;
}

static void change_handlers(struct process *process, struct handlers *handlers)
{
	struct handlers *old;

	spin_lock(&process->signal_lock);
	old = process->handlers;
	process->handlers = handlers;
	spin_unlock(&process->signal_lock);
	handlers_put(old);
}

void process_new_image(struct version *exe, struct file_name *name,
		       const struct program_owner *owner, const char *command,
		       struct handlers *handlers)
{
	struct process *process = current_process();
	struct version *old_exe;
	struct file_name *old_name;

	mutex_lock(&family_lock);
	old_exe = process->exe;
	old_name = process->exe_name;
	process->exe = exe;
	process->exe_name = name;
	process->exe_owner = *owner;
	process->has_execed = true;
	process->exit_signal = SIGCHLD; /* whatever clone(2) said */
	strlcpy(process->command, command, sizeof(process->command));
	strlcpy(current->name, command, sizeof(current->name));
	mutex_unlock(&family_lock);

	if (handlers)
		change_handlers(process, handlers);
	handlers_reset(process->handlers);
	current_task()->alternate_stack = (struct alternate_stack){ 0 };
	timers_exec(process);
	task_release_parent();

	if (old_exe) {
		version_allow_write(old_exe);
		version_put(old_exe);
	}
	file_name_put(old_name);
}

/* --- for fs, which does not know processes ---------------------------------------------------- */

/* The terminal asks under its lock, so these take none. */
static uint32_t current_session(void)
{
	const struct process *self = current_process();

	return self && !self->has_no_terminal ? self->sid : 0;
}

static void give_up_terminal(void)
{
	current_process()->has_no_terminal = true;
}

static uint32_t current_group(void)
{
	return current_process() ? current_process()->pgid : 0;
}

static bool current_leads(void)
{
	return current_process() && current_process()->sid == current_process()->pid;
}

/* What tcsetpgrp(3) says about a group. */
static int check_group(uint32_t group)
{
	int error = -ESRCH;

	mutex_lock(&family_lock);
	for (const struct process *p = family_next(NULL); p; p = family_next((struct process *)p)) {
		if (p->pgid == group)
			error = p->sid == current_process()->sid ? 0 : -EPERM;
	}
	mutex_unlock(&family_lock);
	return error;
}

static void signal_one(uint32_t pid, int signal)
{
	struct process *process;

	mutex_lock(&family_lock);
	process = family_find(pid);
	if (process)
		process_post_signal(process, signal);
	mutex_unlock(&family_lock);
}

void process_signal_group(uint32_t group, int signal)
{
	mutex_lock(&family_lock);
	for (struct process *p = family_next(NULL); p; p = family_next(p)) {
		if (p->pgid == group)
			process_post_signal(p, signal);
	}
	mutex_unlock(&family_lock);
}

static int use_from_background(int signal)
{
	struct process *self = current_process();
	bool orphaned;

	if (signal_is_withheld(signal))
		return signal == SIGTTOU ? 0 : -EIO;
	mutex_lock(&family_lock);
	orphaned = signal_group_is_orphaned(self->pgid);
	mutex_unlock(&family_lock);
	if (orphaned)
		return -EIO;
	process_signal_group(self->pgid, signal);
	return -EINTR;
}

static void post_to_current(int signal)
{
	process_post_signal(current_process(), signal);
}

static uint32_t process_number_of_caller(void)
{
	const struct process *process = current_process();

	return process ? process->pid : 0;
}

void process_init(void)
{
	static const struct trap_hooks hooks = {
		.page_fault = space_fault_current,
		.user_exception = process_user_exception,
		.user_return = process_user_return,
	};
	static const struct signal_hooks signals = {
		.post_self = post_to_current,
		.begin_mask = signal_set_mask_for_wait,
		.end_mask = signal_end_mask_for_wait,
		.process_number = process_number_of_caller,
		.post_io = signal_io_post,
		.io_owner_exists = signal_io_exists,
	};
	static const struct tty_job_hooks job_hooks = {
		.session = current_session,
		.group = current_group,
		.give_up = give_up_terminal,
		.leads = current_leads,
		.check_group = check_group,
		.signal = process_signal_group,
		.signal_one = signal_one,
		.background = use_from_background,
	};

	family_init();
	trap_register_hooks(&hooks);
	tty_register_job_hooks(&job_hooks);
	signal_register_hooks(&signals);
	futex_init();
	cpu_timers_init();
	oom_init();
	sem_init();
	shm_init();
	msg_init();
	procfs_init_processes();
	procfs_init_system();
	procfs_init_sys();
	procfs_init_net();
	procfs_init_devices();
	procfs_init_cpuinfo();
}
