/*
 * proc/task.c - the threads of a process: made, counted, told to end, alone for exec.
 *
 *	task_create        family_add_task                    task_exit
 *	───────────> alone ───────────────> in process->tasks ─────────> gone; its stack is reaped
 *
 * A task is one piece of memory with the kernel's struct thread, which the scheduler's reaper frees.
 */
#include "kernel/clock.h"
#include "kernel/string.h"
#include "kernel/x86_64/cpu.h"
#include "mm/frame.h"
#include "mm/kmap.h"
#include "mm/slab.h"
#include "mm/space.h"
#include "proc/cred.h"
#include "proc/process.h"
#include <linux/prctl.h>

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

/* --- its life --------------------------------------------------------------------------------- */

/* Everything of a thread's that is not its process's; nobody stands on its stack. */
static void task_free(struct thread *thread)
{
	struct task *task = container_of(thread, struct task, thread);

	kstack_free(thread->stack_base);
	fpu_area_free(thread->fpu);
	signal_forget_all(&task->pending);
	kfree(task->registers);
	cred_put(thread->cred);
	process_put(thread->process);
	kfree(task);
}

struct task *task_create(struct process *process, void (*entry)(void *arg), void *arg)
{
	struct task *task = kzalloc(sizeof(*task));
	void *fpu = fpu_area_alloc();
	vaddr_t stack = kstack_alloc();

	if (!task || !fpu || stack == 0)
		goto bad;
	thread_init(&task->thread, process->command, stack, entry, arg, task_free);
	task->thread.fpu = fpu;
	process_get(process);
	task->thread.process = process;
	task->thread.limits = &process->limits;
	cred_inherit(process, &task->thread);
	task->thread.group = &process->usage;
	task->timer_slack_ns = task->default_slack_ns = TIMER_SLACK_DEFAULT_NS;
	task->memory_error_policy = PR_MCE_KILL_DEFAULT;
	task->start_ns = clock_ns();
	signal_init_pending(&task->pending);
	waitq_init(&task->vfork_wait, "vfork");
	return task;
bad:
	if (stack != 0)
		kstack_free(stack);
	if (fpu)
		fpu_area_free(fpu);
	kfree(task);
	return NULL;
}

void task_discard(struct task *task)
{
	task_free(&task->thread);
}

/* --- all of them together --------------------------------------------------------------------- */

struct process_times process_cpu_times(const struct process *process)
{
	struct process_times times = process->times;
	const struct task *task;

	assert(mutex_held(&family_lock));
	TAILQ_FOREACH (task, &process->tasks, sibling) {
		times.user_ns += task->thread.user_ns;
		times.system_ns += task->thread.system_ns;
	}
	return times;
}

struct process_counts process_counts(const struct process *process)
{
	struct process_counts counts = process->counts;
	const struct task *task;

	assert(mutex_held(&family_lock));
	counts.voluntary = process->usage.voluntary;
	counts.involuntary = process->usage.involuntary;
	TAILQ_FOREACH (task, &process->tasks, sibling) {
		counts.faults += task->thread.faults;
		counts.faults_io += task->thread.faults_io;
		process_add_io(&counts.io, &task->thread.io);
		if (task->thread.space)
			counts.peak_resident =
				MAX(counts.peak_resident, task->thread.space->stats.peak_resident);
	}
	return counts;
}

void process_add_times(struct process_times *to, const struct process_times *from)
{
	to->user_ns += from->user_ns;
	to->system_ns += from->system_ns;
}

void process_add_io(struct io_counts *to, const struct io_counts *from)
{
	to->read_bytes += from->read_bytes;
	to->written_bytes += from->written_bytes;
	to->reads += from->reads;
	to->writes += from->writes;
}

void process_add_counts(struct process_counts *to, const struct process_counts *from)
{
	to->voluntary += from->voluntary;
	to->involuntary += from->involuntary;
	to->faults += from->faults;
	to->faults_io += from->faults_io;
	to->peak_resident = MAX(to->peak_resident, from->peak_resident);
}

void process_note_peak(void)
{
	struct process_counts *counts = &current_process()->counts;

	assert(mutex_held(&family_lock));
	counts->peak_resident = MAX(counts->peak_resident, current->space->stats.peak_resident);
}

/* A thread that ends lets go of its space, under the family lock, before it leaves the list. */
struct space *process_space(const struct process *process)
{
	const struct task *task;

	assert(mutex_held(&family_lock));
	TAILQ_FOREACH (task, &process->tasks, sibling) {
		if (task->thread.space) {
			space_get(task->thread.space);
			return task->thread.space;
		}
	}
	return NULL;
}

/* The oldest thread that has not given up what it holds; NULL: there is none. */
static const struct thread *oldest(const struct process *process)
{
	const struct task *task;

	assert(mutex_held(&family_lock));
	TAILQ_FOREACH (task, &process->tasks, sibling) {
		if (task->thread.files)
			return &task->thread;
	}
	return NULL;
}

struct files *process_files(const struct process *process)
{
	const struct thread *thread = oldest(process);

	return thread ? thread->files : NULL;
}

struct fs_context *process_fs(const struct process *process)
{
	const struct thread *thread = oldest(process);

	return thread ? thread->fs : NULL;
}

void process_end(struct process *process, int status)
{
	struct task *task;

	assert(spin_held(&process->signal_lock));
	if (process->ending)
		return;
	process->ending = true;
	process->end_status = status;
	TAILQ_FOREACH (task, &process->tasks, sibling)
		thread_kill(&task->thread);
}

/* --- exec: the others end ----------------------------------------------------------------------- */

/* Tells all but the calling thread to end, unless somebody has told it. */
static int elect(struct process *process)
{
	struct task *self = current_task(), *task;
	int error = 0;

	spin_lock(&process->signal_lock);
	if (process->ending || process->execing) {
		error = -EINTR;
	} else if (process->task_count > 1) {
		process->execing = true;
		TAILQ_FOREACH (task, &process->tasks, sibling) {
			if (task != self)
				thread_kill(&task->thread);
		}
	}
	spin_unlock(&process->signal_lock);
	return error;
}

int process_end_siblings(void)
{
	struct process *process = current_process();
	int error = elect(process);

	if (error != 0)
		return error;
	error = wait_event_killable(&process->alone, process->task_count == 1);
	if (error != 0)
		return error;
	spin_lock(&process->signal_lock);
	process->execing = false;
	spin_unlock(&process->signal_lock);
	return 0;
}

void task_take_lead(void)
{
	uint32_t tid = current->tid;

	mutex_lock(&family_lock);
	if (tid != current_process()->pid)
		family_make_leader(current_task());
	mutex_unlock(&family_lock);
	futex_owner_ended(tid);
}

/* --- vfork(2) ------------------------------------------------------------------------------------ */

void task_release_parent(void)
{
	struct task *self = current_task();

	if (!self->vfork_parent)
		return;
	mutex_lock(&family_lock);
	/* The parent looks once more under this lock before it goes away. */
	if (self->vfork_parent) {
		self->vfork_parent->vfork_child = NULL;
		waitq_wake_all(&self->vfork_parent->vfork_wait);
		self->vfork_parent = NULL;
	}
	mutex_unlock(&family_lock);
}
