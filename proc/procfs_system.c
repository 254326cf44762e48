/*
 * proc/procfs_system.c - /proc of the machine: memory, time, interrupts, processor, network.
 *
 * /proc/vmstat is where every frame is accounted for: nr_free_frames and one nr_kind_ line for each
 * kind add up to nr_total_frames. Per-CPU, slab and stack caches are drained before counting, so
 * that equal states give equal numbers. /proc/census is the same after everything has been dropped
 * that may be fetched again: reading it is how a test asks whether anything has leaked, and whether
 * its own address space keeps every invariant (space_check()).
 */
#include "fs/synthetic.h"
#include "kernel/clock.h"
#include "kernel/cmdline.h"
#include "kernel/irq.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/x86_64/cpu.h"
#include "mm/frame.h"
#include "mm/kmap.h"
#include "mm/large.h"
#include "mm/pmap.h"
#include "mm/slab.h"
#include "mm/space.h"
#include "proc/process.h"
#include "proc/procfs.h"
#include "proc/version.h"
#include <asm/param.h>
#include <linux/major.h>

/* --- memory ----------------------------------------------------------------------------------- */

static struct frame_census take_census(void)
{
	struct frame_census census;

	sched_reap();
	kstack_drain();
	slab_drain();
	frame_census(&census);
	return census;
}

static void describe_census(struct text *text, const struct frame_census *census)
{
	static const char *const kinds[FRAME_KINDS] = {
		[FRAME_ANON] = "anon",     [FRAME_OBJECT] = "object", [FRAME_PTABLE] = "ptable",
		[FRAME_SLAB] = "slab",     [FRAME_STACK] = "stack",   [FRAME_NET] = "net",
		[FRAME_KERNEL] = "kernel",
	};

	text_printf(text, "nr_free_frames %lu\nnr_total_frames %lu\n", census->count[FRAME_FREE],
		    census->total);
	for (unsigned kind = 0; kind < FRAME_KINDS; kind++) {
		if (kinds[kind])
			text_printf(text, "nr_kind_%s %lu\n", kinds[kind], census->count[kind]);
	}
}

static int generate_vmstat(struct text *text, uint32_t number)
{
	struct frame_census census = take_census();
	struct large_stats large;
	struct pmap_stats stats;

	describe_census(text, &census);
	large_get_stats(&large);
	text_printf(text,
		    "nr_anon_transparent_hugepages %lu\nthp_fault_alloc %lu\n"
		    "thp_fault_fallback %lu\nthp_split_pmd %lu\n",
		    large.present, large.allocated, large.fallbacks, large.demoted);
	pmap_get_stats(&stats);
	text_printf(text, "tlb_flushes %lu\ntlb_flushes_avoided %lu\ntlb_shootdowns %lu\n",
		    stats.flushes, stats.flushes_avoided, stats.shootdowns);
	return 0;
}

static int generate_census(struct text *text, uint32_t number)
{
	const struct space_stats *stats;
	struct frame_census census;

	frame_reclaim(UINT64_MAX);
	census = take_census();
	describe_census(text, &census);
	/* How many tables and pages of stack a program needs depends on where it happens to lie. */
	stats = &current->space->stats;
	text_printf(text, "nr_own_frames %lu\nspace_check %d\n",
		    space_tables(current->space) + stats->anon_pages + stats->large_pages,
		    space_check(current->space));
	return 0;
}

static uint64_t to_kib(uint64_t frames)
{
	return frames * (PAGE_SIZE / KIB);
}

static int generate_meminfo(struct text *text, uint32_t number)
{
	struct frame_census census;
	struct large_stats large;

	frame_census(&census);
	large_get_stats(&large);
	text_printf(text,
		    "MemTotal:       %8lu kB\nMemFree:        %8lu kB\nMemAvailable:   %8lu kB\n"
		    "Buffers:        %8u kB\nCached:         %8lu kB\nSwapCached:     %8u kB\n"
		    "AnonPages:      %8lu kB\nShmem:          %8u kB\nSlab:           %8lu kB\n"
		    "KernelStack:    %8lu kB\nPageTables:     %8lu kB\nSwapTotal:      %8u kB\n"
		    "SwapFree:       %8u kB\nAnonHugePages:  %8lu kB\n",
		    to_kib(census.total), to_kib(census.count[FRAME_FREE]),
		    to_kib(census.count[FRAME_FREE]), 0, to_kib(census.count[FRAME_OBJECT]), 0,
		    to_kib(census.count[FRAME_ANON]), 0, to_kib(census.count[FRAME_SLAB]),
		    to_kib(census.count[FRAME_STACK]), to_kib(census.count[FRAME_PTABLE]), 0, 0,
		    to_kib(large.present * LARGE_PAGES));
	return 0;
}

static int generate_buddyinfo(struct text *text, uint32_t number)
{
	uint64_t counts[FRAME_ORDER_MAX + 1];

	frame_buddy_info(counts);
	text_printf(text, "Node 0, zone   Normal ");
	for (unsigned order = 0; order <= FRAME_ORDER_MAX; order++)
		text_printf(text, "%6lu ", counts[order]);
	text_append(text, "\n", 1);
	return 0;
}

/* --- time and load ---------------------------------------------------------------------------- */

static void print_seconds(struct text *text, uint64_t ns, char after)
{
	text_printf(text, "%lu.%02lu%c", ns / NSEC_PER_SEC, ns % NSEC_PER_SEC * 100 / NSEC_PER_SEC,
		    after);
}

static int generate_uptime(struct text *text, uint32_t number)
{
	struct sched_stats stats;

	sched_get_stats(&stats);
	print_seconds(text, clock_ns(), ' ');
	print_seconds(text, stats.idle_ns, '\n');
	return 0;
}

/* The idle time is known; what is not idle counts as system time, except for the reader's own. */
static int generate_stat(struct text *text, uint32_t number)
{
	uint64_t tick_ns = NSEC_PER_SEC / HZ, now = clock_ns();
	uint64_t user = current->user_ns;
	struct sched_stats stats;
	uint64_t idle, system;

	sched_get_stats(&stats);
	idle = MIN(stats.idle_ns, now);
	system = now - idle - MIN(user, now - idle);
	for (int line = 0; line < 2; line++)
		text_printf(text, "cpu%s %lu 0 %lu %lu 0 0 0 0 0 0\n", line == 0 ? " " : "0",
			    user / tick_ns, system / tick_ns, idle / tick_ns);
	text_printf(text, "ctxt %lu\nbtime %lu\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n",
		    stats.switches, (clock_wall_ns() - now) / NSEC_PER_SEC);
	return 0;
}

/* Load averages are not kept. */
static int generate_loadavg(struct text *text, uint32_t number)
{
	struct sched_stats stats;

	sched_get_stats(&stats);
	text_printf(text, "0.00 0.00 0.00 1/%u %u\n", stats.threads, current_process()->pid);
	return 0;
}

/* --- the machine ------------------------------------------------------------------------------ */

static int generate_version(struct text *text, uint32_t number)
{
	text_printf(text, "%s version %s (Hawser) %s\n", UNAME_SYSTEM, UNAME_RELEASE,
		    UNAME_VERSION);
	return 0;
}

static int generate_cmdline(struct text *text, uint32_t number)
{
	text_printf(text, "%s\n", cmdline_get());
	return 0;
}

static int generate_filesystems(struct text *text, uint32_t number)
{
	text_printf(text, "nodev\ttftp\nnodev\ttmpfs\nnodev\tproc\nnodev\tdevtmpfs\n");
	return 0;
}

static int generate_mounts_link(struct text *text, uint32_t number)
{
	text_printf(text, "self/mounts");
	return 0;
}

static int generate_interrupts(struct text *text, uint32_t number)
{
	const char *name;
	uint64_t count;
	int line;

	text_printf(text, "           CPU0\n");
	for (unsigned i = 0; irq_describe(i, &name, &line, &count); i++) {
		if (line >= 0)
			text_printf(text, "%3d: %10lu  PIC  %s\n", line, count, name);
		else
			text_printf(text, "MSI: %10lu  MSI  %s\n", count, name);
	}
	return 0;
}

static int generate_cpuinfo(struct text *text, uint32_t number)
{
	for (uint32_t i = 0; i < cpu_count; i++)
		text_printf(text,
			    "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n"
			    "model name\t: %s\nstepping\t: %u\n\n",
			    i, cpu_features.vendor, cpu_features.family, cpu_features.model,
			    cpu_features.brand, cpu_features.stepping);
	return 0;
}

/* --- what is not there ---------------------------------------------------------------------------- */

static int generate_partitions(struct text *text, uint32_t number)
{
	text_printf(text, "major minor  #blocks  name\n\n");
	return 0;
}

static int generate_swaps(struct text *text, uint32_t number)
{
	text_printf(text, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
	return 0;
}

static int generate_devices(struct text *text, uint32_t number)
{
	text_printf(text,
		    "Character devices:\n%3d mem\n%3d /dev/tty\n%3d /dev/console\n\n"
		    "Block devices:\n",
		    MEM_MAJOR, TTYAUX_MAJOR, TTYAUX_MAJOR);
	return 0;
}

void procfs_init_system(void)
{
	static const struct synthetic files[] = {
		{ .path = "vmstat", .generate = generate_vmstat },
		{ .path = "census", .generate = generate_census },
		{ .path = "meminfo", .generate = generate_meminfo },
		{ .path = "buddyinfo", .generate = generate_buddyinfo },
		{ .path = "uptime", .generate = generate_uptime },
		{ .path = "stat", .generate = generate_stat },
		{ .path = "loadavg", .generate = generate_loadavg },
		{ .path = "version", .generate = generate_version },
		{ .path = "cmdline", .generate = generate_cmdline },
		{ .path = "filesystems", .generate = generate_filesystems },
		{ .path = "mounts", .generate = generate_mounts_link, .link = true },
		{ .path = "interrupts", .generate = generate_interrupts },
		{ .path = "cpuinfo", .generate = generate_cpuinfo },
		{ .path = "partitions", .generate = generate_partitions },
		{ .path = "swaps", .generate = generate_swaps },
		{ .path = "devices", .generate = generate_devices },
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (synthetic_register(&files[i]) != 0)
			panic("no memory for /proc/%s", files[i].path);
	}
}
