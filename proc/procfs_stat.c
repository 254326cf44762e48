/*
 * proc/procfs_stat.c - /proc/PID/stat, statm and status: what ps and top ask for.
 *
 * The formats are Linux's, byte for byte, where programs parse them (proc(5)); what Hawser does not
 * count is 0.
 */
#include "fs/synthetic.h"
#include "fs/tty.h"
#include "kernel/clock.h"
#include "mm/space.h"
#include "proc/procfs.h"
#include "proc/procfs_subject.h"
#include "proc/signal.h"
#include <asm/param.h>
#include <linux/mman.h>

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

int procfs_generate_statm(struct text *text, uint32_t pid)
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

int procfs_generate_status(struct text *text, uint32_t pid)
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
int procfs_generate_stat(struct text *text, uint32_t pid)
{
	uint32_t terminal, foreground;
	struct usage usage;
	struct subject s;
	int error = subject_get(pid, &s);

	if (error != 0)
		return error;
	usage = measure(s.space);
	terminal = tty_session_device(s.has_no_terminal ? 0 : s.sid, &foreground);
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
