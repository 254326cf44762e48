/*
 * proc/procfs_process.c - /proc/1, /proc/2 …: one directory for each process, and /proc/self, a link to
 * the reader's.
 *
 * What a file tells is gathered with references to the process and its space, under the locks that each
 * part asks for; a zombie has no space, and says 0.
 *
 * The formats are Linux's, byte for byte, where programs parse them (proc(5)); what Hawser does not
 * count is 0.
 */
#include "fs/path.h"
#include "fs/synthetic.h"
#include "fs/tty.h"
#include "fs/version.h"
#include "fs/walk.h"
#include "kernel/clock.h"
#include "kernel/panic.h"
#include "kernel/string.h"
#include "mm/space.h"
#include "proc/cred.h"
#include "proc/process.h"
#include "proc/procfs.h"
#include "proc/signal.h"
#include <asm/param.h>
#include <linux/mman.h>
#include <linux/stat.h>

/* --- whose -------------------------------------------------------------------------------------- */

/* A process and its memory, with references to both. */
struct subject {
	struct process *process;
	struct space *space; /* NULL: it has none (any more) */

	/* What the family lock guards, copied. */
	uint32_t tid, pid, ppid, pgid, sid, threads;
	char command[16];
	uint64_t start_ns;
	struct process_times times, children_times;
	char state; /* as ps shows it */
};

static char state_of_task(const struct task *task)
{
	if (task->stopped)
		return 'T';
	return task->thread.state == THREAD_SLEEPING ? 'S' : 'R';
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
	s->state = state_of_task(task);
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

/*
 * `number`: of a process, or of a thread, with PROCFS_TASK. -ESRCH, which is what Linux says of one that has
 * gone since its file was found.
 */
static int subject_get(uint32_t number, struct subject *s)
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
		s->space = process_space(process);
	}
	mutex_unlock(&family_lock);
	return process ? 0 : -ESRCH;
}

static void subject_put(struct subject *s)
{
	if (s->space)
		space_put(s->space);
	process_put(s->process);
}

int procfs_get_space(uint32_t pid, struct space **out)
{
	struct subject s;
	int error = subject_get(pid, &s);

	if (error != 0)
		return error;
	*out = s.space;
	process_put(s.process);
	return 0;
}

/* --- maps ------------------------------------------------------------------------------------- */

/* Linux pads the name of a mapping to this column (fs/proc/task_mmu.c, show_map_vma()). */
#define MAPS_NAME_COLUMN 73

static const char *region_label(const struct space *space, const struct region *region)
{
	if (region->name)
		return region->name->path;
	if (!region->object && region->start < space->brk && region->end > space->brk_start)
		return "[heap]";
	if (region->flags & REGION_STACK)
		return "[stack]";
	return NULL;
}

void procfs_print_region(struct text *text, const struct space *space, const struct region *region)
{
	const char *label = region_label(space, region);
	size_t before = text->length;

	text_printf(text, "%08lx-%08lx %c%c%c%c %08lx 00:%02x %lu ", region->start, region->end,
		    (region->prot & PROT_READ) ? 'r' : '-', (region->prot & PROT_WRITE) ? 'w' : '-',
		    (region->prot & PROT_EXEC) ? 'x' : '-',
		    (region->flags & REGION_SHARED) ? 's' : 'p',
		    region->object ? region->offset : 0,
		    region->name && region->name->inode_number != 0 ? 1 : 0,
		    region->name ? region->name->inode_number : 0);
	if (label) {
		size_t column = text->length - before;

		text_printf(text, "%*s%s",
			    column < MAPS_NAME_COLUMN ? (int)(MAPS_NAME_COLUMN - column) : 0, "",
			    label);
	}
	text_append(text, "\n", 1);
}

static void describe_space(struct text *text, struct space *space)
{
	struct region *region;

	rw_read_lock(&space->lock);
	for (region = space_find_above(space, 0); region; region = space_next(region))
		procfs_print_region(text, space, region);
	rw_read_unlock(&space->lock);
}

static int generate_maps(struct text *text, uint32_t pid)
{
	struct subject s;
	int error = subject_get(pid, &s);

	if (error != 0)
		return error;
	if (s.space)
		describe_space(text, s.space);
	subject_put(&s);
	return 0;
}

/* --- memory in use ---------------------------------------------------------------------------- */

/* A space in pages, as statm, status and stat want it. */
struct usage {
	uint64_t virtual, peak_virtual, anon, file, shared, peak_resident;
	uint64_t text, data; /* in executable regions; in private writable ones but stacks */
	uint64_t stack, locked, tables, faults, faults_io;
};

static uint64_t resident(const struct usage *usage)
{
	return usage->anon + usage->file + usage->shared;
}

static struct usage measure(struct space *space)
{
	struct usage usage = { 0 };
	struct region *region;

	if (!space)
		return usage;
	rw_read_lock(&space->lock);
	usage = (struct usage){
		.virtual = space->stats.virtual_pages,
		.peak_virtual = space->stats.peak_virtual,
		.anon = space->stats.anon_pages,
		.file = space->stats.file_pages,
		.shared = space->stats.shared_pages,
		.peak_resident = space->stats.peak_resident,
		.data = space->stats.data_pages,
		.locked = space->stats.locked_pages,
		.faults = space->stats.faults,
		.faults_io = space->stats.faults_io,
	};
	for (region = space_find_above(space, 0); region; region = space_next(region)) {
		uint64_t pages = (region->end - region->start) >> PAGE_SHIFT;

		if (region->prot & PROT_EXEC)
			usage.text += pages;
		if (region->flags & REGION_STACK)
			usage.stack += pages;
	}
	rw_read_unlock(&space->lock);
	usage.tables = space_tables(space);
	return usage;
}

static int generate_statm(struct text *text, uint32_t pid)
{
	struct subject s;
	struct usage usage;
	int error = subject_get(pid, &s);

	if (error != 0)
		return error;
	usage = measure(s.space);
	subject_put(&s);
	text_printf(text, "%lu %lu %lu %lu 0 %lu 0\n", usage.virtual, resident(&usage),
		    usage.file + usage.shared, usage.text, usage.data + usage.stack);
	return 0;
}

/* --- the process ------------------------------------------------------------------------------ */

/* Signals by what is done about them, as bit masks. */
struct signal_sets {
	uint64_t pending, shared, blocked, ignored, caught;
};

static const struct task *task_of(const struct process *process, uint32_t tid)
{
	const struct task *task;

	TAILQ_FOREACH (task, &process->tasks, sibling) {
		if (task->thread.tid == tid)
			return task;
	}
	return NULL;
}

static struct signal_sets signal_sets(struct process *process, uint32_t tid)
{
	struct signal_sets sets = { 0 };
	const struct task *task;

	spin_lock(&process->signal_lock);
	task = task_of(process, tid);
	sets.shared = process->shared_pending.set;
	if (task) {
		sets.pending = task->pending.set;
		sets.blocked = task->signal_mask;
	}
	for (int signal = 1; signal <= NSIG_KERNEL; signal++) {
		vaddr_t handler = signal_handler(process, signal);

		if (handler == (vaddr_t)SIG_IGN)
			sets.ignored |= SIGNAL_BIT(signal);
		else if (handler != (vaddr_t)SIG_DFL)
			sets.caught |= SIGNAL_BIT(signal);
	}
	spin_unlock(&process->signal_lock);
	return sets;
}

static uint64_t to_kib(uint64_t pages)
{
	return pages * (PAGE_SIZE / KIB);
}

static const char *state_name(char state)
{
	switch (state) {
	case 'R':
		return "running";
	case 'S':
		return "sleeping";
	case 'T':
		return "stopped";
	default:
		return "zombie";
	}
}

/* As Linux, a zombie has none of these lines. */
static void print_memory(struct text *text, const struct usage *usage)
{
	const struct {
		const char *name;
		uint64_t pages;
	} lines[] = {
		{ "VmPeak", usage->peak_virtual },
		{ "VmSize", usage->virtual },
		{ "VmLck", usage->locked },
		{ "VmPin", 0 },
		{ "VmHWM", usage->peak_resident },
		{ "VmRSS", resident(usage) },
		{ "RssAnon", usage->anon },
		{ "RssFile", usage->file },
		{ "RssShmem", usage->shared },
		{ "VmData", usage->data },
		{ "VmStk", usage->stack },
		{ "VmExe", usage->text },
		{ "VmLib", 0 },
		{ "VmPTE", usage->tables },
		{ "VmSwap", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		text_printf(text, "%s:\t%8lu kB\n", lines[i].name, to_kib(lines[i].pages));
}

static int generate_status(struct text *text, uint32_t pid)
{
	struct signal_sets signals;
	bool has_memory;
	struct usage usage;
	struct subject s;
	int error = subject_get(pid, &s);

	if (error != 0)
		return error;
	signals = signal_sets(s.process, s.tid);
	usage = measure(s.space);
	has_memory = s.space != NULL;
	subject_put(&s);
	text_printf(text,
		    "Name:\t%s\nState:\t%c (%s)\nTgid:\t%u\nNgid:\t0\nPid:\t%u\nPPid:\t%u\n"
		    "TracerPid:\t0\n",
		    s.command, s.state, state_name(s.state), s.pid, s.tid, s.ppid);
	procfs_describe_identity(text, s.pid);
	if (has_memory)
		print_memory(text, &usage);
	text_printf(text, "Threads:\t%u\n", s.threads);
	text_printf(text,
		    "SigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\nSigIgn:\t%016lx\n"
		    "SigCgt:\t%016lx\n",
		    signals.pending, signals.shared, signals.blocked, signals.ignored,
		    signals.caught);
	procfs_describe_capabilities(text, s.pid);
	return 0;
}

static uint64_t to_ticks(uint64_t ns)
{
	return ns / (NSEC_PER_SEC / HZ);
}

/* The fields of proc(5), in order; what is not known is 0. */
static int generate_stat(struct text *text, uint32_t pid)
{
	uint32_t terminal, foreground;
	struct usage usage;
	struct subject s;
	int error = subject_get(pid, &s);

	if (error != 0)
		return error;
	usage = measure(s.space);
	terminal = tty_session_device(s.sid, &foreground);
	text_printf(text,
		    "%u (%s) %c %u %u %u %u %d 0 %lu 0 %lu 0 %lu %lu %lu %lu 20 0 %u 0 %lu %lu %lu",
		    s.tid, s.command, s.state, s.ppid, s.pgid, s.sid, terminal,
		    terminal != 0 ? (int)foreground : -1, usage.faults, usage.faults_io,
		    to_ticks(s.times.user_ns), to_ticks(s.times.system_ns),
		    to_ticks(s.children_times.user_ns), to_ticks(s.children_times.system_ns),
		    s.threads, to_ticks(s.start_ns), usage.virtual * PAGE_SIZE, resident(&usage));
	text_printf(text, " %lu 0 0 %lu 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
		    UINT64_MAX, s.space ? s.space->stack_top : 0);
	subject_put(&s);
	return 0;
}

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

/* Bytes of the process's memory; what is not there (any more) ends them. */
static void copy_range(struct text *text, struct space *space, vaddr_t start, vaddr_t end)
{
	char piece[256];

	while (start < end) {
		size_t length = MIN(sizeof(piece), (size_t)(end - start));

		if (space_read(space, start, piece, length) != 0)
			return;
		text_append(text, piece, length);
		start += length;
	}
}

static int generate_cmdline(struct text *text, uint32_t pid)
{
	struct subject s;
	int error = subject_get(pid, &s);

	if (error != 0)
		return error;
	if (s.space)
		copy_range(text, s.space, s.space->arg_start, s.space->arg_end);
	subject_put(&s);
	return 0;
}

static int generate_environ(struct text *text, uint32_t pid)
{
	struct subject s;
	int error = subject_get(pid, &s);

	if (error != 0)
		return error;
	if (s.space)
		copy_range(text, s.space, s.space->env_start, s.space->env_end);
	subject_put(&s);
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
		{ .path = "maps", .generate = generate_maps },
		{ .path = "statm", .generate = generate_statm },
		{ .path = "status", .generate = generate_status },
		{ .path = "stat", .generate = generate_stat },
		{ .path = "comm", .generate = generate_comm, .write = write_comm },
		{ .path = "cmdline", .generate = generate_cmdline },
		{ .path = "environ", .generate = generate_environ, .permissions = S_IRUSR },
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
		{ .path = "maps", .generate = generate_maps },
		{ .path = "smaps", .generate = procfs_generate_smaps },
		{ .path = "smaps_rollup", .generate = procfs_generate_smaps_rollup },
		{ .path = "oom_score", .generate = procfs_generate_oom_score },
		{ .path = "oom_score_adj",
		  .generate = procfs_generate_oom_score_adj,
		  .write = procfs_write_oom_score_adj,
		  .permissions = S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH },
		{ .path = "statm", .generate = generate_statm },
		{ .path = "status", .generate = generate_status },
		{ .path = "stat", .generate = generate_stat },
		{ .path = "comm", .generate = generate_comm, .write = write_comm },
		{ .path = "limits", .generate = procfs_generate_limits },
		{ .path = "wchan", .generate = procfs_generate_wchan },
		{ .path = "loginuid", .generate = procfs_generate_loginuid },
		{ .path = "cmdline", .generate = generate_cmdline },
		{ .path = "environ", .generate = generate_environ, .permissions = S_IRUSR },
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
	static const struct synthetic self = {
		.path = "self",
		.generate = generate_self,
		.link = true,
	};

	synthetic_register_numbers(&numbers);
	if (synthetic_register(&self) != 0)
		panic("no memory for /proc/self");
}
