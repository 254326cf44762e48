/*
 * proc/family.c - the process tree: numbers, groups, parents and children.
 *
 *	          family_add             exit                     wait(2)
 *	(alone) ─────────────> member ─────────> zombie, waits ─────────> (gone)
 *	                                         for its parent   family_remove
 *
 * A zombie is still found by its number, and keeps its group. Its children have become those of an
 * ancestor that has asked for them, or the first process's; so a parent pointer always leads to a process that can wait.
 *
 * Numbers go up and begin anew at the end of their range, so that one that has become free is not
 * given out again soon: whoever still has it in hand would reach a stranger.
 */
#include "fs/synthetic.h"
#include "kernel/clock.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "proc/cred.h"
#include "proc/signal.h"
#include <asm/param.h>

#define PID_RESERVED 300

#define PID_BUCKETS  256

struct mutex family_lock;
struct process *first_process;

static struct family {
	TAILQ_HEAD(, process) members; /* in order of birth */
	LIST_HEAD(, process) by_pid[PID_BUCKETS];
	LIST_HEAD(, task) by_tid[PID_BUCKETS]; /* leaders, too, as long as they live */
	uint32_t last_pid;
	uint64_t forks; /* threads that there have been */
	uint32_t count; /* of processes, and of threads beyond each one's last */
	bool wrapped;   /* numbers have been given out a second time */
} family;               /* family_lock */

void family_init(void)
{
	mutex_init(&family_lock, "family", RANK_FAMILY);
	TAILQ_INIT(&family.members);
}

struct process *family_find(uint32_t pid)
{
	struct process *process;

	assert(mutex_held(&family_lock));
	LIST_FOREACH (process, &family.by_pid[pid % PID_BUCKETS], by_pid) {
		if (process->pid == pid)
			return process;
	}
	return NULL;
}

struct task *family_find_task(uint32_t tid)
{
	struct task *task;

	assert(mutex_held(&family_lock));
	LIST_FOREACH (task, &family.by_tid[tid % PID_BUCKETS], by_tid) {
		if (task->thread.tid == tid)
			return task;
	}
	return NULL;
}

struct process *family_next(struct process *process)
{
	assert(mutex_held(&family_lock));
	return process ? TAILQ_NEXT(process, all) : TAILQ_FIRST(&family.members);
}

struct family_stats family_stats(void)
{
	assert(mutex_held(&family_lock));
	return (struct family_stats){ family.last_pid, family.forks };
}

bool family_has_group(uint32_t pgid, uint32_t sid)
{
	const struct process *process;

	assert(mutex_held(&family_lock));
	TAILQ_FOREACH (process, &family.members, all) {
		if (process->pgid == pgid && process->sid == sid && !process->zombie)
			return true;
	}
	return false;
}

/* A group or a session may outlive the process whose number it has. */
static bool is_taken(uint32_t pid)
{
	const struct process *process;

	if (family_find(pid) || family_find_task(pid))
		return true;
	if (!family.wrapped)
		return false;
	TAILQ_FOREACH (process, &family.members, all) {
		if (process->pgid == pid || process->sid == pid)
			return true;
	}
	return false;
}

/* 0: there is none. */
static uint32_t choose_pid(void)
{
	uint32_t pid = family.last_pid;

	for (uint32_t tries = 0; tries < PID_MAX; tries++) {
		if (++pid == PID_MAX) {
			pid = PID_RESERVED;
			family.wrapped = true;
		}
		if (!is_taken(pid))
			return pid;
	}
	return 0;
}

/* Threads of the user, and zombies. Where all are one user's, as mostly, nobody counts. */
static uint64_t count_of_user(uint32_t uid)
{
	const struct process *process;
	uint64_t count = 0;

	if (family.count < limit_get(RLIMIT_NPROC))
		return family.count;
	TAILQ_FOREACH (process, &family.members, all) {
		if (process->cred->uid == uid)
			count += MAX(process->task_count, 1u);
	}
	return count;
}

/* A number for one more thread of the user. Linux spares root; here it is what bounds a fork bomb. */
static int count_one_more(uint32_t uid, uint32_t *number)
{
	if (count_of_user(uid) >= limit_get(RLIMIT_NPROC))
		return -EAGAIN;
	*number = choose_pid();
	if (*number == 0)
		return -EAGAIN;
	family.last_pid = *number;
	family.count++;
	family.forks++;
	return 0;
}

static void add_task(struct process *process, struct task *task, uint32_t tid)
{
	task->thread.tid = tid;
	LIST_INSERT_HEAD(&family.by_tid[tid % PID_BUCKETS], task, by_tid);
	TAILQ_INSERT_TAIL(&process->tasks, task, sibling);
	process->task_count++;
}

int family_add(struct process *process, struct task *task, struct process *parent)
{
	uint32_t pid;
	int error;

	assert(mutex_held(&family_lock));
	error = count_one_more(process->cred->uid, &pid);
	if (error != 0)
		return error;
	process->pid = pid;
	process->pgid = parent ? parent->pgid : pid;
	process->sid = parent ? parent->sid : pid;
	process->parent = parent;
	process->parent_pid = parent ? parent->pid : 0;
	if (parent)
		TAILQ_INSERT_TAIL(&parent->children, process, sibling);
	TAILQ_INSERT_TAIL(&family.members, process, all);
	LIST_INSERT_HEAD(&family.by_pid[pid % PID_BUCKETS], process, by_pid);
	/* Whoever finds it from now on may signal it. */
	spin_lock(&process->signal_lock);
	add_task(process, task, pid);
	spin_unlock(&process->signal_lock);
	return 0;
}

int family_add_task(struct task *task)
{
	struct process *process = task->thread.process;
	uint32_t tid;
	int error;

	assert(mutex_held(&family_lock));
	error = count_one_more(process->cred->uid, &tid);
	if (error != 0)
		return error;
	spin_lock(&process->signal_lock);
	/* Whoever ends all threads, or stops them, has not seen this one. */
	if (current->kill_pending) {
		error = -EINTR;
		family.count--;
	} else {
		add_task(process, task, tid);
		task->thread.signal_pending = process->stop_signal != 0;
	}
	spin_unlock(&process->signal_lock);
	return error;
}

void family_forget_directory(struct task *task)
{
	assert(mutex_held(&family_lock));
	if (task->in_procfs)
		synthetic_remove_number(task->thread.process->pid, task->thread.tid);
	task->in_procfs = false;
}

void family_remove_task(struct task *task)
{
	struct process *process = task->thread.process;

	assert(mutex_held(&family_lock) && spin_held(&process->signal_lock));
	LIST_REMOVE(task, by_tid);
	TAILQ_REMOVE(&process->tasks, task, sibling);
	if (--process->task_count > 0)
		family.count--;
	process->times.user_ns += task->thread.user_ns;
	process->times.system_ns += task->thread.system_ns;
	process->counts.faults += task->thread.faults;
	process->counts.faults_io += task->thread.faults_io;
	process_add_io(&process->counts.io, &task->thread.io);
}

void family_make_leader(struct task *task)
{
	struct process *process = task->thread.process;
	struct process *child;

	assert(mutex_held(&family_lock) && process->task_count == 1);
	family_forget_directory(task);
	LIST_REMOVE(task, by_tid);
	task->thread.tid = process->pid;
	LIST_INSERT_HEAD(&family.by_tid[process->pid % PID_BUCKETS], task, by_tid);
	TAILQ_FOREACH (child, &process->children, sibling)
		child->parent_tid = process->pid;
}

void family_tell_parent(struct process *child, int code, int status)
{
	struct process *parent = child->parent;
	bool ended = code == CLD_EXITED || code == CLD_KILLED || code == CLD_DUMPED;
	struct process_times times;
	siginfo_t info;

	assert(mutex_held(&family_lock));
	memset(&info, 0, sizeof(info));
	info.si_signo = ended ? child->exit_signal : SIGCHLD;
	info.si_code = code;
	info.si_pid = (int)child->pid;
	info.si_uid = child->cred->uid;
	info.si_status = status;
	times = process_cpu_times(child);
	info.si_utime = (__kernel_clock_t)(times.user_ns / (NSEC_PER_SEC / HZ));
	info.si_stime = (__kernel_clock_t)(times.system_ns / (NSEC_PER_SEC / HZ));
	if (info.si_signo != 0 && (ended || !(signal_action(parent, SIGCHLD).flags & SA_NOCLDSTOP)))
		(void)signal_post(parent, &info);
	waitq_wake_all(&parent->child_events);
}

/* True if the parent does not want to know: wait(2), NOTES. */
static bool is_ignored_by_parent(const struct process *process)
{
	struct signal_action action;

	if (process->exit_signal != SIGCHLD)
		return false;
	action = signal_action(process->parent, SIGCHLD);
	return action.handler == (vaddr_t)SIG_IGN || (action.flags & SA_NOCLDWAIT);
}

void family_tell_of_end(struct process *zombie)
{
	int signal = zombie->exit_status & 0x7f;
	bool forgotten = is_ignored_by_parent(zombie);

	family_tell_parent(zombie,
			   !signal                                ? CLD_EXITED
			   : zombie->exit_status & PROCESS_DUMPED ? CLD_DUMPED
								  : CLD_KILLED,
			   signal ? signal : zombie->exit_status >> 8);
	waitq_wake_all(&zombie->ended);
	if (forgotten) {
		family_remove(zombie);
		process_put(zombie);
	}
}

/* Who is there for the children of a process that ends. */
static struct process *reaper_for(const struct process *process)
{
	struct process *ancestor = process->parent;

	while (ancestor && !(ancestor->is_subreaper && ancestor->task_count > 0))
		ancestor = ancestor->parent;
	return ancestor ? ancestor : first_process;
}

void family_orphan_children(struct process *process)
{
	struct process *reaper = reaper_for(process), *child;

	assert(mutex_held(&family_lock));
	while ((child = TAILQ_FIRST(&process->children))) {
		TAILQ_REMOVE(&process->children, child, sibling);
		TAILQ_INSERT_TAIL(&reaper->children, child, sibling);
		child->parent = reaper;
		child->parent_pid = reaper->pid;
		child->parent_tid = TAILQ_FIRST(&reaper->tasks)->thread.tid;
		child->exit_signal = SIGCHLD;
		if (child->zombie)
			family_tell_of_end(child);
	}
}

void family_remove(struct process *zombie)
{
	struct process *parent = zombie->parent;
	const struct process_counts counts = process_counts(zombie);

	assert(mutex_held(&family_lock));
	assert(zombie->zombie && zombie->task_count == 0 && parent);
	process_add_times(&parent->children_times, &zombie->times);
	process_add_times(&parent->children_times, &zombie->children_times);
	process_add_counts(&parent->children_counts, &counts);
	process_add_counts(&parent->children_counts, &zombie->children_counts);
	TAILQ_REMOVE(&parent->children, zombie, sibling);
	TAILQ_REMOVE(&family.members, zombie, all);
	LIST_REMOVE(zombie, by_pid);
	family.count--;
	zombie->parent = NULL;
	synthetic_remove_number(0, zombie->pid);
	waitq_wake_all(&zombie->ended);
}
