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
#include "kernel/x86_64/cpu.h"
#include "mm/frame.h"
#include "mm/kmap.h"
#include "mm/slab.h"
#include "mm/space.h"
#include "proc/cred.h"
#include "proc/procfs.h"
#include "proc/signal.h"

/* --- what a thread needs ---------------------------------------------------------------------- */

/* FPU areas are 64-byte aligned, and of a size that only the processor knows. */
void *fpu_area_alloc(void)
{
	unsigned order = 0;
	struct frame *block;

	while ((PAGE_SIZE << order) < fpu_area_size())
		order++;
	block = frame_alloc(FRAME_KERNEL, order, 0);
	if (!block)
		return NULL;
	fpu_area_init(frame_data(block));
	return frame_data(block);
}

void fpu_area_free(void *area)
{
	frame_put(frame_of(virt_to_phys(area)));
}

/* Everything of a thread's that is not its process's; nobody stands on its stack. */
static void thread_free(struct thread *thread)
{
	kstack_free(thread->stack_base);
	fpu_area_free(thread->fpu);
	cred_put(thread->cred);
	process_put(thread->process);
	kfree(thread);
}

struct thread *process_create_thread(struct process *process, void (*entry)(void *arg), void *arg)
{
	struct thread *thread = kzalloc(sizeof(*thread));
	void *fpu = fpu_area_alloc();
	vaddr_t stack = kstack_alloc();

	if (!thread || !fpu || stack == 0)
		goto bad;
	thread_init(thread, process->command, stack, entry, arg, thread_free);
	thread->tid = process->pid;
	thread->fpu = fpu;
	process_get(process);
	thread->process = process;
	thread->limits = &process->limits;
	cred_inherit(process, thread);
	return thread;
bad:
	if (stack != 0)
		kstack_free(stack);
	if (fpu)
		fpu_area_free(fpu);
	kfree(thread);
	return NULL;
}

void process_discard_thread(struct thread *thread)
{
	thread_free(thread);
}

/* --- a process -------------------------------------------------------------------------------- */

struct process *process_alloc(void)
{
	struct process *process = kzalloc(sizeof(*process));

	if (!process)
		return NULL;
	process->refs = 1;
	TAILQ_INIT(&process->children);
	waitq_init(&process->child_events, "children");
	waitq_init(&process->vfork_parent, "vfork");
	waitq_init(&process->stop_wait, "stopped");
	TAILQ_INIT(&process->signal_queue);
	spin_init(&process->signal_lock, "signals", RANK_SIGNAL);
	mutex_init(&process->exec_lock, "exec", RANK_FAMILY);
	limits_init(&process->limits);
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
	process_forget_signals(process);
	cred_put(process->cred);
	kfree(process);
}

static int join_family(struct process *process)
{
	int error;

	mutex_lock(&family_lock);
	error = family_add(process, NULL);
	mutex_unlock(&family_lock);
	return error;
}

struct process *process_create_first(void (*entry)(void *arg), void *arg)
{
	struct process *process = process_alloc();
	struct files *files = files_create();
	struct fs_context *fs = fs_context_create();
	struct thread *thread = NULL;

	if (!process || !files || !fs)
		goto bad;
	thread = process_create_thread(process, entry, arg);
	if (!thread)
		goto bad;
	if (join_family(process) != 0)
		goto bad;
	thread->tid = process->pid;
	thread->files = files;
	thread->fs = fs;
	process->main_thread = thread;
	first_process = process;
	thread_start(thread);
	return process;
bad:
	if (thread)
		process_discard_thread(thread);
	if (fs)
		fs_context_put(fs);
	if (files)
		files_put(files);
	/* The thread had a reference of its own. */
	if (process)
		process_put(process); /* NOLINT(clang-analyzer-unix.Malloc) */
	return NULL;
}

/* --- a new program ---------------------------------------------------------------------------- */

void process_forget_handlers(struct process *process)
{
	spin_lock(&process->signal_lock);
	for (unsigned i = 0; i < NSIG_KERNEL; i++) {
		struct signal_action *action = &process->actions[i];

		*action = (struct signal_action){
			.handler = action->handler == (vaddr_t)SIG_IGN ? (vaddr_t)SIG_IGN
								       : (vaddr_t)SIG_DFL,
		};
	}
	spin_unlock(&process->signal_lock);
}

void process_new_image(struct version *exe, struct file_name *name, const char *command)
{
	struct process *process = current_process();
	struct version *old_exe;
	struct file_name *old_name;

	mutex_lock(&family_lock);
	old_exe = process->exe;
	old_name = process->exe_name;
	process->exe = exe;
	process->exe_name = name;
	process->has_execed = true;
	strlcpy(process->command, command, sizeof(process->command));
	strlcpy(current->name, command, sizeof(current->name));
	mutex_unlock(&family_lock);

	process_forget_handlers(process);
	process->alternate_stack = (struct alternate_stack){ 0 };
	process_release_parent(process);
	current->clear_child_tid = 0;
	current->robust_list = 0;

	if (old_exe) {
		version_allow_write(old_exe);
		version_put(old_exe);
	}
	file_name_put(old_name);
}

void process_release_parent(struct process *process)
{
	process->parent_may_go_on = true;
	waitq_wake_all(&process->vfork_parent);
}

/* --- for fs, which does not know processes ---------------------------------------------------- */

/* The terminal asks under its lock, so these take none. */
static uint32_t current_session(void)
{
	return current_process() ? current_process()->sid : 0;
}

static uint32_t current_group(void)
{
	return current_process() ? current_process()->pgid : 0;
}

static bool current_leads(void)
{
	return current_process() && current_process()->sid == current_process()->pid;
}

static bool session_has_group(uint32_t group)
{
	bool has;

	mutex_lock(&family_lock);
	has = family_has_group(group, current_process()->sid);
	mutex_unlock(&family_lock);
	return has;
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
	};
	static const struct tty_job_hooks job_hooks = {
		.session = current_session,
		.group = current_group,
		.leads = current_leads,
		.has_group = session_has_group,
		.signal = process_signal_group,
		.background = use_from_background,
	};

	family_init();
	trap_register_hooks(&hooks);
	tty_register_job_hooks(&job_hooks);
	signal_register_hooks(&signals);
	futex_init();
	procfs_init_processes();
	procfs_init_system();
}
