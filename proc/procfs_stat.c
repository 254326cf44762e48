/*
 * proc/procfs_stat.c - /proc/PID/stat, statm and status: what ps and top ask for.
 *
 * The formats are Linux's, byte for byte, where programs parse them (proc(5)); what Hawser does not
 * count is 0.
 */
#include "fs/synthetic.h"
#include "fs/tty.h"
#include "kernel/clock.h"
#include "kernel/x86_64/cpu.h"
#include "mm/space.h"
#include "proc/procfs.h"
#include "proc/procfs_subject.h"
#include "proc/signal.h"
#include <asm/param.h>
#include <linux/mman.h>
#include <linux/sched.h>

/* Linux's PF_FORKNOEXEC: proc(5) tells of it, and no UAPI header. */
#define FLAG_FORKED 0x40

/* --- memory in use ---------------------------------------------------------------------------- */

/* A space in pages, as statm, status and stat want it. */
struct usage {
	uint64_t virtual, peak_virtual, anon, file, shared, peak_resident;
	uint64_t text, data; /* in executable regions; in private writable ones but stacks */
	uint64_t program;    /* of `text`, the program's own, as far as it is mapped still */
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
		if ((region->prot & PROT_EXEC) && region->start >= space->code_start &&
		    region->start < space->code_end)
			usage.program += pages;
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
		    usage.file + usage.shared, usage.program, usage.data + usage.stack);
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
	case 'D':
		return "disk sleep";
	case 'T':
		return "stopped";
	default:
		return "zombie";
	}
}

/* A name may hold what would look like the end of the line. */
static void print_name(struct text *text, const char *name)
{
	text_printf(text, "Name:\t");
	for (; *name != '\0'; name++) {
		if (*name == '\n')
			text_printf(text, "\\n");
		else if (*name == '\\')
			text_printf(text, "\\\\");
		else
			text_append(text, name, 1);
	}
	text_printf(text, "\n");
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
		{ "VmExe", usage->program },
		{ "VmLib", usage->text - usage->program },
		{ "VmPTE", usage->tables },
		{ "VmSwap", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		text_printf(text, "%s:\t%8lu kB\n", lines[i].name, to_kib(lines[i].pages));
}

/* Which CPUs it may run on, in both of Linux's ways of saying so; memory is all in one place. */
static void print_allowed(struct text *text, uint64_t allowed)
{
	const char *comma = "";

	allowed &= cpu_count < 64 ? (UINT64_C(1) << cpu_count) - 1 : UINT64_MAX;
	text_printf(text, "Cpus_allowed:\t%lx\nCpus_allowed_list:\t", allowed);
	for (unsigned first = 0; first < 64; first++) {
		unsigned last = first;

		if (!(allowed >> first & 1))
			continue;
		while (last + 1 < 64 && (allowed >> (last + 1) & 1))
			last++;
		text_printf(text, last > first ? "%s%u-%u" : "%s%u", comma, first, last);
		comma = ",";
		first = last;
	}
	text_printf(text, "\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
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
	print_name(text, s.command);
	procfs_describe_umask(text, s.pid);
	text_printf(text,
		    "State:\t%c (%s)\nTgid:\t%u\nNgid:\t0\nPid:\t%u\nPPid:\t%u\n"
		    "TracerPid:\t0\n",
		    s.state, state_name(s.state), s.pid, s.tid, s.ppid);
	procfs_describe_identity(text, s.pid);
	text_printf(text, "NStgid:\t%u\nNSpid:\t%u\nNSpgid:\t%u\nNSsid:\t%u\n", s.pid, s.tid,
		    s.pgid, s.sid);
	if (has_memory)
		print_memory(text, &usage);
	text_printf(text, "Threads:\t%u\n", s.threads);
	text_printf(text,
		    "SigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\nSigIgn:\t%016lx\n"
		    "SigCgt:\t%016lx\n",
		    signals.pending, signals.shared, signals.blocked, signals.ignored,
		    signals.caught);
	procfs_describe_capabilities(text, s.pid);
	print_allowed(text, s.sched.cpus);
	text_printf(text, "voluntary_ctxt_switches:\t%lu\nnonvoluntary_ctxt_switches:\t%lu\n",
		    s.counts.voluntary, s.counts.involuntary);
	return 0;
}

static uint64_t to_ticks(uint64_t ns)
{
	return ns / (NSEC_PER_SEC / HZ);
}

static bool is_realtime(const struct sched_params *params)
{
	return params->policy == SCHED_FIFO || params->policy == SCHED_RR;
}

/* Linux's: 0 to 39 for nice -20 to 19; real-time policies are below. */
static int priority(const struct sched_params *params)
{
	return is_realtime(params) ? -1 - params->rt_priority : params->nice - NICE_MIN;
}

/* Addresses of the image are for those who may look into the process; others see 0. */
static const struct space *inspected(const struct subject *s)
{
	static const struct space nothing;

	return s->space && s->may_inspect ? s->space : &nothing;
}

/* Fields 1 to 22 of proc(5). */
static void print_task(struct text *text, const struct subject *s)
{
	const struct process_counts *counts = &s->counts, *children = &s->children_counts;
	uint32_t terminal, foreground;

	terminal = tty_session_device(s->has_no_terminal ? 0 : s->sid, &foreground);
	text_printf(text, "%u (%s) %c %u %u %u %u %d %u ", s->tid, s->command, s->state, s->ppid,
		    s->pgid, s->sid, terminal, terminal != 0 ? (int)foreground : -1,
		    s->has_execed ? 0 : FLAG_FORKED);
	text_printf(text, "%lu %lu %lu %lu ", counts->faults - counts->faults_io,
		    children->faults - children->faults_io, counts->faults_io, children->faults_io);
	text_printf(text, "%lu %lu %ld %ld %d %d %u 0 %lu ", to_ticks(s->times.user_ns),
		    to_ticks(s->times.system_ns), to_ticks(s->children_times.user_ns),
		    to_ticks(s->children_times.system_ns), priority(&s->sched),
		    is_realtime(&s->sched) ? 0 : s->sched.nice, s->threads, to_ticks(s->start_ns));
}

/* Fields 31 to 34: what fits into 31 bits. */
static void print_signals(struct text *text, const struct subject *s)
{
	struct signal_sets sets = signal_sets(s->process, s->tid);

	text_printf(text, "%lu %lu %lu %lu ", sets.pending & INT32_MAX, sets.blocked & INT32_MAX,
		    sets.ignored & INT32_MAX, sets.caught & INT32_MAX);
}

/* All fields of proc(5), in order; what is not known is 0. */
int procfs_generate_stat(struct text *text, uint32_t number)
{
	const struct space *space;
	struct usage usage;
	struct subject s;
	int error = subject_get(number, &s);

	if (error != 0)
		return error;
	usage = measure(s.space);
	space = inspected(&s);
	print_task(text, &s);
	text_printf(text, "%lu %lu %lu %lu %lu %lu 0 0 ", usage.virtual * PAGE_SIZE,
		    resident(&usage), s.resident_limit, space->code_start, space->code_end,
		    space->stack_start);
	print_signals(text, &s);
	text_printf(text, "%d 0 0 %d %u %u %u 0 0 0 ", s.state != 'R' && s.state != 'Z',
		    s.tid == s.pid ? s.exit_signal : -1, s.cpu, s.sched.rt_priority,
		    s.sched.policy);
	text_printf(text, "%lu %lu %lu %lu %lu %lu %lu %d\n", space->data_start, space->data_end,
		    space->brk_start, space->arg_start, space->arg_end, space->env_start,
		    space->env_end, s.may_inspect && s.state == 'Z' ? s.exit_status : 0);
	subject_put(&s);
	return 0;
}

/* Nothing here has a disk below it: what comes from the server, comes for all. */
int procfs_generate_io(struct text *text, uint32_t number)
{
	const struct io_counts *io;
	struct subject s;
	int error = subject_get(number, &s);

	if (error != 0)
		return error;
	io = &s.counts.io;
	if (s.may_inspect)
		text_printf(text,
			    "rchar: %lu\nwchar: %lu\nsyscr: %lu\nsyscw: %lu\nread_bytes: 0\n"
			    "write_bytes: 0\ncancelled_write_bytes: 0\n",
			    io->read_bytes, io->written_bytes, io->reads, io->writes);
	subject_put(&s);
	return s.may_inspect ? 0 : -EACCES;
}
