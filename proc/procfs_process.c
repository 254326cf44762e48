/*
 * proc/procfs_process.c - /proc/1, /proc/2 …: one directory for each process, and /proc/self, a link to
 * the reader's.
 *
 * What a file tells is gathered with references to the process and its space, under the locks that each
 * part asks for; a zombie has no space, and says 0. What there is to say is in the files beside this
 * one.
 */
#include "fs/path.h"
#include "fs/synthetic.h"
#include "fs/version.h"
#include "fs/walk.h"
#include "kernel/clock.h"
#include "kernel/panic.h"
#include "kernel/string.h"
#include "kernel/x86_64/cpu.h"
#include "mm/space.h"
#include "proc/cred.h"
#include "proc/process.h"
#include "proc/procfs.h"
#include "proc/procfs_subject.h"
#include <linux/stat.h>

/* --- whose -------------------------------------------------------------------------------------- */

static char state_of_task(const struct task *task)
{
	if (task->stopped)
		return 'T';
	if (task->thread.state != THREAD_SLEEPING)
		return 'R';
	return task->thread.blocked ? 'D' : 'S';
}

static char state_of(const struct process *process)
{
	const struct task *task = TAILQ_FIRST(&process->tasks);

	if (process->zombie || !task)
		return 'Z';
	return process->stopped ? 'T' : state_of_task(task);
}

static void copy_identity(struct process *process, struct subject *s)
{
	s->tid = s->pid = process->pid;
	s->ppid = process->parent ? process->parent->pid : 0;
	s->pgid = process->pgid;
	s->sid = process->sid;
	s->has_no_terminal = process->has_no_terminal;
	s->has_execed = process->has_execed;
	s->may_inspect = cred_may_inspect(process);
	s->exit_signal = process->exit_signal;
	s->exit_status = process->exit_status;
	s->counts = process_counts(process);
	s->children_counts = process->children_counts;
	spin_lock(&process->limits.lock);
	s->resident_limit = process->limits.limit[RLIMIT_RSS].rlim_cur;
	spin_unlock(&process->limits.lock);
	s->threads = process->task_count;
	strlcpy(s->command, process->command, sizeof(s->command));
	s->start_ns = process->start_ns;
	s->times = process_cpu_times(process);
	s->children_times = process->children_times;
	s->state = state_of(process);
}

/* Where one thread is asked about: its own. */
static void copy_task(const struct task *task, struct subject *s)
{
	s->tid = task->thread.tid;
	strlcpy(s->command, task->thread.name, sizeof(s->command));
	s->start_ns = task->start_ns;
	s->times = (struct process_times){ task->thread.user_ns, task->thread.system_ns };
	s->counts = (struct process_counts){
		.voluntary = task->thread.voluntary,
		.involuntary = task->thread.involuntary,
		.faults = task->thread.faults,
		.faults_io = task->thread.faults_io,
		.io = task->thread.io,
	};
	s->state = state_of_task(task);
}

/* A thread's, or those of a process's first one. */
static void copy_scheduling(struct thread *thread, struct subject *s)
{
	s->sched = sched_get_params(thread);
	s->cpu = thread->cpu ? thread->cpu->number : 0;
}

/* The process, or the thread's, with `*task` then; family lock held. */
static struct process *find(uint32_t number, struct task **task)
{
	*task = NULL;
	if (!(number & PROCFS_TASK))
		return family_find(number);
	*task = family_find_task(number & ~PROCFS_TASK);
	return *task ? (*task)->thread.process : NULL;
}

int subject_get(uint32_t number, struct subject *s)
{
	struct process *process;
	struct task *task;

	*s = (struct subject){ .process = NULL };
	sched_charge();
	mutex_lock(&family_lock);
	process = find(number, &task);
	if (process) {
		process_get(process);
		s->process = process;
		copy_identity(process, s);
		if (task)
			copy_task(task, s);
		else
			task = TAILQ_FIRST(&process->tasks);
		if (task)
			copy_scheduling(&task->thread, s);
		s->space = process_space(process);
	}
	mutex_unlock(&family_lock);
	return process ? 0 : -ESRCH;
}

void subject_put(struct subject *s)
{
	if (s->space)
		space_put(s->space);
	process_put(s->process);
}

int subject_inspect(uint32_t number, struct subject *s)
{
	int error = subject_get(number, s);

	if (error == 0 && s->space && !s->may_inspect) {
		subject_put(s);
		error = -EACCES;
	}
	return error;
}

int procfs_get_space(uint32_t pid, struct space **out)
{
	struct subject s;
	int error = subject_inspect(pid, &s);

	if (error != 0)
		return error;
	*out = s.space;
	process_put(s.process);
	return 0;
}

/* --- its name --------------------------------------------------------------------------------------- */

/* What a program calls itself or another of its threads: pthread_setname_np(3). */
static int write_comm(uint32_t number, const char *bytes, size_t length)
{
	struct process *process;
	struct task *task;
	char name[sizeof(task->thread.name)];
	int error = -ESRCH;

	length = MIN(length, sizeof(name) - 1);
	memcpy(name, bytes, length);
	name[length] = '\0';
	mutex_lock(&family_lock);
	process = find(number, &task);
	if (process && !task)
		task = family_find_task(number);
	if (process && task)
		error = process == current_process() ? 0 : -EINVAL;
	if (error == 0) {
		strlcpy(task->thread.name, name, sizeof(name));
		if (task->thread.tid == process->pid)
			strlcpy(process->command, name, sizeof(name));
	}
	mutex_unlock(&family_lock);
	return error;
}

static int generate_comm(struct text *text, uint32_t pid)
{
	struct subject s;
	int error = subject_get(pid, &s);

	if (error != 0)
		return error;
	subject_put(&s);
	text_printf(text, "%s\n", s.command);
	return 0;
}

/* --- links ------------------------------------------------------------------------------------- */

static int follow_exe(uint32_t pid, uint32_t unused, struct place *out)
{
	struct process *process;
	int error = -ENOENT;

	mutex_lock(&family_lock);
	process = family_find(pid);
	if (process && !cred_may_inspect(process)) {
		error = -EACCES;
	} else if (process && process->exe) {
		version_get(process->exe);
		file_name_get(process->exe_name);
		out->version = process->exe;
		out->name = process->exe_name;
		out->owner = process->exe_owner;
		error = 0;
	}
	mutex_unlock(&family_lock);
	return error;
}

static int generate_exe(struct text *text, uint32_t pid)
{
	struct place exe = { 0 };
	int error = follow_exe(pid, 0, &exe);

	if (error != 0)
		return error;
	text_append(text, exe.name->path, strlen(exe.name->path));
	place_put(&exe);
	return 0;
}

static int generate_self(struct text *text, uint32_t unused)
{
	if (!current_process())
		return -ENOENT;
	text_printf(text, "%u", current_process()->pid);
	return 0;
}

static int generate_thread_self(struct text *text, uint32_t unused)
{
	if (!current_process())
		return -ENOENT;
	text_printf(text, "%u/task/%u", current_process()->pid, current->tid);
	return 0;
}

/* --- the directories ------------------------------------------------------------------------------- */

/* The lock keeps the process from going, and with it the directory, before that is made. */
static void find_directory(uint32_t unused, uint32_t pid)
{
	mutex_lock(&family_lock);
	if (family_find(pid))
		synthetic_add_number(0, pid);
	mutex_unlock(&family_lock);
}

static void find_directories(uint32_t unused)
{
	mutex_lock(&family_lock);
	for (const struct process *p = family_next(NULL); p; p = family_next((struct process *)p))
		synthetic_add_number(0, p->pid);
	mutex_unlock(&family_lock);
}

/* The same with a process's threads, whose directories go with them (proc/exit.c). */
static void add_task(uint32_t pid, struct task *task)
{
	task->in_procfs = true;
	synthetic_add_number(pid, task->thread.tid);
}

static void find_task(uint32_t pid, uint32_t tid)
{
	struct task *task;

	mutex_lock(&family_lock);
	task = family_find_task(tid);
	if (task && task->thread.process->pid == pid)
		add_task(pid, task);
	mutex_unlock(&family_lock);
}

static void find_tasks(uint32_t pid)
{
	const struct process *process;
	struct task *task;

	mutex_lock(&family_lock);
	process = family_find(pid);
	if (process) {
		TAILQ_FOREACH (task, &process->tasks, sibling)
			add_task(pid, task);
	}
	mutex_unlock(&family_lock);
}

static void owner_of(uint32_t number, uint32_t *uid, uint32_t *gid)
{
	const struct process *process;
	struct task *task;

	mutex_lock(&family_lock);
	process = find(number, &task);
	if (process) {
		*uid = process->cred->euid;
		*gid = process->cred->egid;
	}
	mutex_unlock(&family_lock);
}

void procfs_init_processes(void)
{
	static const struct synthetic task_files[] = {
		{ .path = "maps", .generate = procfs_generate_maps },
		{ .path = "statm", .generate = procfs_generate_statm },
		{ .path = "status", .generate = procfs_generate_status },
		{ .path = "stat", .generate = procfs_generate_stat },
		{ .path = "comm", .generate = generate_comm, .write = write_comm },
		{ .path = "cmdline", .generate = procfs_generate_cmdline },
		{ .path = "environ", .generate = procfs_generate_environ, .permissions = S_IRUSR },
		{ .path = "auxv", .generate = procfs_generate_auxv, .permissions = S_IRUSR },
		{ .path = "io", .generate = procfs_generate_io, .permissions = S_IRUSR },
		{ .path = "wchan", .generate = procfs_generate_wchan },
	};
	static const struct synthetic_numbers tasks = {
		.files = task_files,
		.count = ARRAY_SIZE(task_files),
		.mark = PROCFS_TASK,
		.find = find_task,
		.find_all = find_tasks,
	};
	static const struct synthetic files[] = {
		{ .path = "task",
		  .numbers = &tasks,
		  .permissions = S_IRUSR | S_IXUSR | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH },
		{ .path = "maps", .generate = procfs_generate_maps },
		{ .path = "smaps", .generate = procfs_generate_smaps },
		{ .path = "smaps_rollup", .generate = procfs_generate_smaps_rollup },
		{ .path = "oom_score", .generate = procfs_generate_oom_score },
		{ .path = "oom_score_adj",
		  .generate = procfs_generate_oom_score_adj,
		  .write = procfs_write_oom_score_adj,
		  .permissions = S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH },
		{ .path = "statm", .generate = procfs_generate_statm },
		{ .path = "status", .generate = procfs_generate_status },
		{ .path = "stat", .generate = procfs_generate_stat },
		{ .path = "comm", .generate = generate_comm, .write = write_comm },
		{ .path = "io", .generate = procfs_generate_io, .permissions = S_IRUSR },
		{ .path = "personality",
		  .generate = procfs_generate_personality,
		  .permissions = S_IRUSR },
		{ .path = "limits", .generate = procfs_generate_limits },
		{ .path = "wchan", .generate = procfs_generate_wchan },
		{ .path = "loginuid", .generate = procfs_generate_loginuid },
		{ .path = "cmdline", .generate = procfs_generate_cmdline },
		{ .path = "environ", .generate = procfs_generate_environ, .permissions = S_IRUSR },
		{ .path = "auxv", .generate = procfs_generate_auxv, .permissions = S_IRUSR },
		{ .path = "mounts", .generate = procfs_generate_mounts },
		{ .path = "mountinfo", .generate = procfs_generate_mountinfo },
		{ .path = "exe", .generate = generate_exe, .follow = follow_exe, .link = true },
		{ .path = "cwd",
		  .generate = procfs_generate_cwd,
		  .follow = procfs_follow_cwd,
		  .link = true },
		{ .path = "root",
		  .generate = procfs_generate_root,
		  .follow = procfs_follow_root,
		  .link = true },
		{ .path = "fd", .entries = &procfs_fd, .permissions = S_IRUSR | S_IXUSR },
		{ .path = "fdinfo",
		  .entries = &procfs_fdinfo,
		  .permissions = S_IRUSR | S_IXUSR | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH },
	};
	static const struct synthetic_numbers numbers = {
		.files = files,
		.count = ARRAY_SIZE(files),
		.find = find_directory,
		.find_all = find_directories,
		.owner = owner_of,
	};
	static const struct synthetic links[] = {
		{ .path = "self", .generate = generate_self, .link = true },
		{ .path = "thread-self", .generate = generate_thread_self, .link = true },
	};

	synthetic_register_numbers(&numbers);
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		if (synthetic_register(&links[i]) != 0)
			panic("no memory for /proc/%s", links[i].path);
	}
}
