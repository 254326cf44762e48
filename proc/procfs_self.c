/*
 * proc/procfs_self.c - /proc/self: the process that reads.
 *
 * The formats are Linux's, byte for byte, where programs parse them (proc(5)); what Hawser does not
 * count is 0.
 */
#include "fs/path.h"
#include "fs/synthetic.h"
#include "kernel/clock.h"
#include "kernel/panic.h"
#include "kernel/string.h"
#include "mm/slab.h"
#include "mm/space.h"
#include "mm/user.h"
#include "proc/process.h"
#include "proc/procfs.h"
#include <asm/param.h>
#include <asm/signal.h>
#include <linux/mman.h>

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

static void describe_region(struct text *text, const struct space *space,
			    const struct region *region)
{
	const char *label = region_label(space, region);
	size_t before = text->length;

	text_printf(text, "%08lx-%08lx %c%c%c%c %08lx 00:%02x %lu ", region->start, region->end,
		    (region->prot & PROT_READ) ? 'r' : '-', (region->prot & PROT_WRITE) ? 'w' : '-',
		    (region->prot & PROT_EXEC) ? 'x' : '-',
		    (region->flags & REGION_SHARED) ? 's' : 'p',
		    region->object ? region->offset : 0, region->name ? 1 : 0,
		    region->name ? region->name->inode_number : 0);
	if (label) {
		size_t column = text->length - before;

		text_printf(text, "%*s%s",
			    column < MAPS_NAME_COLUMN ? (int)(MAPS_NAME_COLUMN - column) : 0, "",
			    label);
	}
	text_append(text, "\n", 1);
}

static int generate_maps(struct text *text)
{
	struct space *space = current->space;
	struct region *region;

	rw_read_lock(&space->lock);
	for (region = space_find_above(space, 0); region; region = space_next(region))
		describe_region(text, space, region);
	rw_read_unlock(&space->lock);
	return 0;
}

/* --- memory in use ---------------------------------------------------------------------------- */

/* A space in pages, as statm, status and stat want it. */
struct usage {
	uint64_t virtual, peak_virtual, anon, file, shared, peak_resident;
	uint64_t text, data; /* in executable regions; in private writable ones but stacks */
	uint64_t stack, faults, faults_io;
};

static uint64_t resident(const struct usage *usage)
{
	return usage->anon + usage->file + usage->shared;
}

static struct usage measure(struct space *space)
{
	struct usage usage;
	struct region *region;

	rw_read_lock(&space->lock);
	usage = (struct usage){
		.virtual = space->stats.virtual_pages,
		.peak_virtual = space->stats.peak_virtual,
		.anon = space->stats.anon_pages,
		.file = space->stats.file_pages,
		.shared = space->stats.shared_pages,
		.peak_resident = space->stats.peak_resident,
		.data = space->stats.data_pages,
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
	return usage;
}

static int generate_statm(struct text *text)
{
	struct usage usage = measure(current->space);

	text_printf(text, "%lu %lu %lu %lu 0 %lu 0\n", usage.virtual, resident(&usage),
		    usage.file + usage.shared, usage.text, usage.data + usage.stack);
	return 0;
}

/* --- the process ------------------------------------------------------------------------------ */

/* What the family lock guards, copied. */
struct identity {
	uint32_t pid, ppid, pgid, sid;
	char command[16];
	uint64_t start_ns;
};

static struct identity identify(struct process *process)
{
	struct identity identity;

	mutex_lock(&family_lock);
	identity = (struct identity){
		.pid = process->pid,
		.ppid = process->parent ? process->parent->pid : 0,
		.pgid = process->pgid,
		.sid = process->sid,
		.start_ns = process->start_ns,
	};
	strlcpy(identity.command, process->command, sizeof(identity.command));
	mutex_unlock(&family_lock);
	return identity;
}

/* Signals by what is done about them, as bit masks. */
struct signal_sets {
	uint64_t pending, blocked, ignored, caught;
};

static struct signal_sets signal_sets(struct process *process)
{
	struct signal_sets sets;

	spin_lock(&process->signal_lock);
	sets = (struct signal_sets){
		.pending = process->signal_pending,
		.blocked = process->signal_mask,
	};
	for (unsigned i = 0; i < NSIG_KERNEL; i++) {
		vaddr_t handler = process->actions[i].handler;

		if (handler == (vaddr_t)SIG_IGN)
			sets.ignored |= UINT64_C(1) << i;
		else if (handler != (vaddr_t)SIG_DFL)
			sets.caught |= UINT64_C(1) << i;
	}
	spin_unlock(&process->signal_lock);
	return sets;
}

static uint64_t to_kib(uint64_t pages)
{
	return pages * (PAGE_SIZE / KIB);
}

static int generate_status(struct text *text)
{
	struct process *process = current_process();
	struct identity identity = identify(process);
	struct signal_sets signals = signal_sets(process);
	struct usage usage = measure(current->space);

	text_printf(text,
		    "Name:\t%s\nState:\tR (running)\nTgid:\t%u\nNgid:\t0\nPid:\t%u\nPPid:\t%u\n"
		    "TracerPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t64\nGroups:\t \n",
		    identity.command, identity.pid, identity.pid, identity.ppid);
	text_printf(text,
		    "VmPeak:\t%8lu kB\nVmSize:\t%8lu kB\nVmLck:\t%8u kB\nVmPin:\t%8u kB\n"
		    "VmHWM:\t%8lu kB\nVmRSS:\t%8lu kB\nRssAnon:\t%8lu kB\nRssFile:\t%8lu kB\n"
		    "RssShmem:\t%8lu kB\nVmData:\t%8lu kB\nVmStk:\t%8lu kB\nVmExe:\t%8lu kB\n"
		    "VmLib:\t%8u kB\nVmSwap:\t%8u kB\nThreads:\t1\n",
		    to_kib(usage.peak_virtual), to_kib(usage.virtual), 0, 0,
		    to_kib(usage.peak_resident), to_kib(resident(&usage)), to_kib(usage.anon),
		    to_kib(usage.file), to_kib(usage.shared), to_kib(usage.data),
		    to_kib(usage.stack), to_kib(usage.text), 0, 0);
	text_printf(text,
		    "SigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\nSigIgn:\t%016lx\n"
		    "SigCgt:\t%016lx\n",
		    UINT64_C(0), signals.pending, signals.blocked, signals.ignored, signals.caught);
	return 0;
}

static uint64_t to_ticks(uint64_t ns)
{
	return ns / (NSEC_PER_SEC / HZ);
}

/* The fields of proc(5), in order; what is not known is 0. */
static int generate_stat(struct text *text)
{
	struct identity identity = identify(current_process());
	struct usage usage = measure(current->space);

	text_printf(text, "%u (%s) R %u %u %u 0 -1 0 %lu 0 %lu 0 %lu %lu 0 0 20 0 1 0 %lu %lu %lu",
		    identity.pid, identity.command, identity.ppid, identity.pgid, identity.sid,
		    usage.faults, usage.faults_io, to_ticks(current->user_ns),
		    to_ticks(current->system_ns), to_ticks(identity.start_ns),
		    usage.virtual * PAGE_SIZE, resident(&usage));
	text_printf(text, " %lu 0 0 %lu 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
		    UINT64_MAX, current->space->stack_top);
	return 0;
}

static int generate_comm(struct text *text)
{
	struct identity identity = identify(current_process());

	text_printf(text, "%s\n", identity.command);
	return 0;
}

/* Bytes of the process's own memory. */
static int copy_range(struct text *text, vaddr_t start, vaddr_t end)
{
	char piece[256];

	while (start < end) {
		size_t length = MIN(sizeof(piece), (size_t)(end - start));
		int error = copy_from_user(piece, start, length);

		if (error != 0)
			return error;
		text_append(text, piece, length);
		start += length;
	}
	return 0;
}

static int generate_cmdline(struct text *text)
{
	return copy_range(text, current->space->arg_start, current->space->arg_end);
}

static int generate_environ(struct text *text)
{
	return copy_range(text, current->space->env_start, current->space->env_end);
}

void procfs_init_self(void)
{
	static const struct synthetic files[] = {
		{ .path = "self/maps", .generate = generate_maps },
		{ .path = "self/statm", .generate = generate_statm },
		{ .path = "self/status", .generate = generate_status },
		{ .path = "self/stat", .generate = generate_stat },
		{ .path = "self/comm", .generate = generate_comm },
		{ .path = "self/cmdline", .generate = generate_cmdline },
		{ .path = "self/environ", .generate = generate_environ },
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (synthetic_register(&files[i]) != 0)
			panic("no memory for /proc/%s", files[i].path);
	}
}
