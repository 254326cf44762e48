/*
 * proc/procfs_memory.c - what /proc/PID tells of a process's memory beyond its size: smaps, region by
 * region and rolled up, and how it would fare when memory runs out.
 *
 * The formats are Linux's (fs/proc/task_mmu.c, show_smap()); what Hawser does not have is 0.
 */
#include "fs/synthetic.h"
#include "kernel/cred.h"
#include "kernel/string.h"
#include "mm/usage.h"
#include "proc/oom.h"
#include "proc/procfs.h"
#include <linux/mman.h>

/* --- smaps ------------------------------------------------------------------------------------ */

static void print_kib(struct text *text, const char *name, uint64_t bytes)
{
	int padding = (int)(sizeof("Private_Hugetlb") - strlen(name) - 1);

	text_printf(text, "%s:%*s%8lu kB\n", name, padding, "", bytes / KIB);
}

/* What one region, or all of them, have present. */
static void print_usage(struct text *text, const struct region_usage *usage, bool all)
{
	print_kib(text, "Rss", usage->resident);
	print_kib(text, "Pss", usage->share / USAGE_SHARE);
	print_kib(text, "Pss_Dirty", usage->share_dirty / USAGE_SHARE);
	if (all) {
		print_kib(text, "Pss_Anon", usage->share_anon / USAGE_SHARE);
		print_kib(text, "Pss_File", usage->share_file / USAGE_SHARE);
		print_kib(text, "Pss_Shmem", usage->share_shared / USAGE_SHARE);
	}
	print_kib(text, "Shared_Clean", usage->shared_clean);
	print_kib(text, "Shared_Dirty", usage->shared_dirty);
	print_kib(text, "Private_Clean", usage->private_clean);
	print_kib(text, "Private_Dirty", usage->private_dirty);
	print_kib(text, "Referenced", usage->referenced);
	print_kib(text, "Anonymous", usage->anonymous);
	print_kib(text, "LazyFree", 0);
	print_kib(text, "AnonHugePages", usage->huge);
	print_kib(text, "ShmemPmdMapped", 0);
	print_kib(text, "FilePmdMapped", 0);
	print_kib(text, "Shared_Hugetlb", 0);
	print_kib(text, "Private_Hugetlb", 0);
	print_kib(text, "Swap", 0);
	print_kib(text, "SwapPss", 0);
}

/* proc(5): two letters for each property. */
static void print_flags(struct text *text, const struct region *region)
{
	const struct {
		bool set;
		const char *letters;
	} flags[] = {
		{ region->prot & PROT_READ, "rd" },
		{ region->prot & PROT_WRITE, "wr" },
		{ region->prot & PROT_EXEC, "ex" },
		{ region->flags & REGION_SHARED, "sh" },
		{ region->max_prot & PROT_READ, "mr" },
		{ region->max_prot & PROT_WRITE, "mw" },
		{ region->max_prot & PROT_EXEC, "me" },
		{ region->flags & REGION_SHARED, "ms" },
		{ region->flags & REGION_GROWSDOWN, "gd" },
		{ region->flags & REGION_LOCKED, "lo" },
		{ region->flags & REGION_DEVICE, "io" },
		{ region->flags & REGION_DONTFORK, "dc" },
		{ region->flags & REGION_NORESERVE, "nr" },
		{ region->flags & REGION_WIPEONFORK, "wf" },
		{ region->flags & REGION_HUGEPAGE, "hg" },
		{ region->flags & REGION_NOHUGEPAGE, "nh" },
	};

	text_printf(text, "VmFlags:");
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (flags[i].set)
			text_printf(text, " %s", flags[i].letters);
	}
	text_append(text, " \n", 2);
}

static uint64_t locked(const struct region *region, const struct region_usage *usage)
{
	return region->flags & REGION_LOCKED ? usage->share / USAGE_SHARE : 0;
}

static void print_region(struct text *text, struct space *space, const struct region *region)
{
	struct region_usage usage = { 0 };

	usage_add(&usage, space, region);
	procfs_print_region(text, space, region);
	print_kib(text, "Size", usage.size);
	print_kib(text, "KernelPageSize", PAGE_SIZE);
	print_kib(text, "MMUPageSize", PAGE_SIZE);
	print_usage(text, &usage, false);
	print_kib(text, "Locked", locked(region, &usage));
	print_flags(text, region);
}

int procfs_generate_smaps(struct text *text, uint32_t pid)
{
	struct space *space;
	int error = procfs_get_space(pid, &space);

	if (error != 0 || !space)
		return error;
	rw_read_lock(&space->lock);
	for (struct region *r = space_find_above(space, 0); r; r = space_next(r))
		print_region(text, space, r);
	rw_read_unlock(&space->lock);
	space_put(space);
	return 0;
}

int procfs_generate_smaps_rollup(struct text *text, uint32_t pid)
{
	struct region_usage usage = { 0 };
	uint64_t locked_bytes = 0;
	vaddr_t start = 0, end = 0;
	struct space *space;
	int error = procfs_get_space(pid, &space);

	if (error != 0)
		return error;
	if (!space)
		return -ESRCH;
	rw_read_lock(&space->lock);
	for (struct region *r = space_find_above(space, 0); r; r = space_next(r)) {
		struct region_usage one = { 0 };

		usage_add(&usage, space, r);
		if (r->flags & REGION_LOCKED) {
			usage_add(&one, space, r);
			locked_bytes += locked(r, &one);
		}
		start = end == 0 ? r->start : start;
		end = r->end;
	}
	rw_read_unlock(&space->lock);
	space_put(space);
	text_printf(text, "%08lx-%08lx ---p 00000000 00:00 0%*s[rollup]\n", start, end, 32, "");
	print_usage(text, &usage, true);
	print_kib(text, "Locked", locked_bytes);
	return 0;
}

/* --- when memory runs out --------------------------------------------------------------------- */

int procfs_generate_oom_score(struct text *text, uint32_t pid)
{
	const struct process *process;
	unsigned score = 0;

	mutex_lock(&family_lock);
	process = family_find(pid);
	if (process)
		score = oom_score(process);
	mutex_unlock(&family_lock);
	text_printf(text, "%u\n", score);
	return process ? 0 : -ESRCH;
}

int procfs_generate_oom_score_adj(struct text *text, uint32_t pid)
{
	const struct process *process;
	int value = 0;

	mutex_lock(&family_lock);
	process = family_find(pid);
	if (process)
		value = process->oom_score_adj;
	mutex_unlock(&family_lock);
	text_printf(text, "%d\n", value);
	return process ? 0 : -ESRCH;
}

/* A number with nothing but a new line after it. */
static bool parse_adjustment(const char *bytes, size_t length, int *out)
{
	bool negative = length > 0 && bytes[0] == '-';
	size_t at = negative;
	int value = 0;

	if (length > 0 && bytes[length - 1] == '\n')
		length--;
	if (at >= length)
		return false;
	for (; at < length; at++) {
		if (bytes[at] < '0' || bytes[at] > '9' || value > OOM_SCORE_ADJ_MAX)
			return false;
		value = value * 10 + (bytes[at] - '0');
	}
	*out = negative ? -value : value;
	return *out >= OOM_SCORE_ADJ_MIN && *out <= OOM_SCORE_ADJ_MAX;
}

int procfs_write_oom_score_adj(uint32_t pid, const char *bytes, size_t length)
{
	struct process *process;
	int value, error;

	if (!parse_adjustment(bytes, length, &value))
		return -EINVAL;
	mutex_lock(&family_lock);
	process = family_find(pid);
	/* Only root makes itself less likely to be killed. */
	error = !process                                                       ? -ESRCH
		: value < process->oom_score_adj && !capable(CAP_SYS_RESOURCE) ? -EACCES
									       : 0;
	if (error == 0)
		process->oom_score_adj = value;
	mutex_unlock(&family_lock);
	return error;
}
