/*
 * proc/family.c - the process tree: numbers, groups, parents and children.
 *
 *	          family_add             exit                     wait(2)
 *	(alone) ─────────────> member ─────────> zombie, waits ─────────> (gone)
 *	                                         for its parent   family_remove
 *
 * A zombie is still found by its number, and keeps its group. Its children have become the first
 * process's; so a parent pointer always leads to a process that can wait.
 *
 * Numbers go up and begin anew at the end of their range, so that one that has become free is not
 * given out again soon: whoever still has it in hand would reach a stranger.
 */
#include "fs/synthetic.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "proc/cred.h"
#include "proc/signal.h"

/* Linux's defaults: pid_max, and where numbers begin anew. */
#define PID_MAX      32768
#define PID_RESERVED 300

#define PID_BUCKETS  256

struct mutex family_lock;
struct process *first_process;

static struct family {
	TAILQ_HEAD(, process) members; /* in order of birth */
	LIST_HEAD(, process) by_pid[PID_BUCKETS];
	uint32_t last_pid;
	uint32_t count;
	bool wrapped; /* numbers have been given out a second time */
} family;             /* family_lock */

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

struct process *family_next(struct process *process)
{
	assert(mutex_held(&family_lock));
	return process ? TAILQ_NEXT(process, all) : TAILQ_FIRST(&family.members);
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

	if (family_find(pid))
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

/* Processes of the user, zombies included. Where all are one user's, as mostly, nobody counts. */
static uint64_t count_of_user(uint32_t uid)
{
	const struct process *process;
	uint64_t count = 0;

	if (family.count < limit_get(RLIMIT_NPROC))
		return family.count;
	TAILQ_FOREACH (process, &family.members, all)
		count += process->cred->uid == uid;
	return count;
}

int family_add(struct process *process, struct process *parent)
{
	uint32_t pid;

	assert(mutex_held(&family_lock));
	/* Linux spares root; here it is what bounds a fork bomb. */
	if (parent && count_of_user(process->cred->uid) >= limit_get(RLIMIT_NPROC))
		return -EAGAIN;
	pid = choose_pid();
	if (pid == 0)
		return -EAGAIN;
	family.last_pid = pid;
	family.count++;
	process->pid = pid;
	process->pgid = parent ? parent->pgid : pid;
	process->sid = parent ? parent->sid : pid;
	process->parent = parent;
	if (parent)
		TAILQ_INSERT_TAIL(&parent->children, process, sibling);
	TAILQ_INSERT_TAIL(&family.members, process, all);
	LIST_INSERT_HEAD(&family.by_pid[pid % PID_BUCKETS], process, by_pid);
	return 0;
}

void family_tell_parent(struct process *child, int code, int status)
{
	struct process *parent = child->parent;
	bool ended = code == CLD_EXITED || code == CLD_KILLED;
	const struct signal_action *action = &parent->actions[SIGCHLD - 1];
	siginfo_t info;

	assert(mutex_held(&family_lock));
	memset(&info, 0, sizeof(info));
	info.si_signo = ended ? child->exit_signal : SIGCHLD;
	info.si_code = code;
	info.si_pid = (int)child->pid;
	info.si_status = status;
	/* The flag is one word, and whoever sets it now may as well have been too late. */
	if (info.si_signo != 0 && (ended || !(action->flags & SA_NOCLDSTOP)))
		signal_post(parent, &info);
	waitq_wake_all(&parent->child_events);
}

void family_tell_of_end(struct process *zombie)
{
	int signal = zombie->exit_status & 0x7f;

	family_tell_parent(zombie, signal ? CLD_KILLED : CLD_EXITED,
			   signal ? signal : zombie->exit_status >> 8);
}

void family_orphan_children(struct process *process)
{
	struct process *child;

	assert(mutex_held(&family_lock));
	while ((child = TAILQ_FIRST(&process->children))) {
		TAILQ_REMOVE(&process->children, child, sibling);
		TAILQ_INSERT_TAIL(&first_process->children, child, sibling);
		child->parent = first_process;
		child->exit_signal = SIGCHLD;
		if (child->zombie)
			family_tell_of_end(child);
	}
}

static void add_times(struct process_times *to, const struct process_times *from)
{
	to->user_ns += from->user_ns;
	to->system_ns += from->system_ns;
}

void family_remove(struct process *zombie)
{
	struct process *parent = zombie->parent;

	assert(mutex_held(&family_lock));
	assert(zombie->zombie && parent);
	add_times(&parent->children_times, &zombie->times);
	add_times(&parent->children_times, &zombie->children_times);
	TAILQ_REMOVE(&parent->children, zombie, sibling);
	TAILQ_REMOVE(&family.members, zombie, all);
	LIST_REMOVE(zombie, by_pid);
	family.count--;
	zombie->parent = NULL;
	synthetic_remove_number(zombie->pid);
}
