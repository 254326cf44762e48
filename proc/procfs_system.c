/*
 * proc/procfs_system.c - /proc of the machine: memory, time, interrupts, processor, network.
 *
 * /proc/vmstat begins as Linux's. Then every frame is accounted for: nr_free_frames and one nr_kind_ line for each
 * kind add up to nr_total_frames. Per-CPU, slab and stack caches are drained before counting, so
 * that equal states give equal numbers. /proc/census is the same after everything has been dropped
 * that may be fetched again: reading it is how a test asks whether anything has leaked, and whether
 * its own address space keeps every invariant (space_check()).
 */
#include "fs/cache.h"
#include "fs/locks.h"
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
#include "mm/oom.h"
#include "mm/pmap.h"
#include "mm/slab.h"
#include "mm/space.h"
#include "mm/x86_64/kernel_map.h"
#include "proc/process.h"
#include "proc/procfs.h"
#include "proc/version.h"
#include <asm/param.h>
#include <linux/stat.h>

/* --- memory ----------------------------------------------------------------------------------- */

static uint64_t to_kib(uint64_t frames)
{
	return frames * (PAGE_SIZE / KIB);
}

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
	struct cache_usage cache;
	struct large_stats large;
	struct pmap_stats stats;

	cache_get_usage(&cache);
	text_printf(text,
		    "nr_free_pages %lu\nnr_anon_pages %lu\nnr_file_pages %lu\n"
		    "nr_slab_unreclaimable %lu\nnr_kernel_stack %lu\nnr_page_table_pages %lu\n"
		    "pgpgin %lu\npgpgout 0\npswpin 0\npswpout 0\noom_kill %lu\n",
		    census.count[FRAME_FREE], census.count[FRAME_ANON], census.count[FRAME_OBJECT],
		    census.count[FRAME_SLAB], to_kib(census.count[FRAME_STACK]),
		    census.count[FRAME_PTABLE], to_kib(cache.fetched), oom_count());
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
	text_printf(text, "nr_own_frames %lu\nnr_kernel_map_tables %lu\nspace_check %d\n",
		    space_tables(current->space) + stats->anon_pages + stats->large_pages,
		    kernel_map_tables(), space_check(current->space));
	return 0;
}

static void print_kib(struct text *text, const char *name, uint64_t frames)
{
	/* Linux's column (fs/proc/meminfo.c). */
	int padding = (int)(sizeof("Inactive(anon)") - strlen(name));

	text_printf(text, "%s:%*s%8lu kB\n", name, MAX(padding, 0), "", to_kib(frames));
}

/*
 * What nobody has in use and can be fetched again is inactive file memory, and available; files that were
 * written here, and shared memory, are Shmem, as on Linux's tmpfs.
 */
static int generate_meminfo(struct text *text, uint32_t number)
{
	struct frame_census census;
	struct cache_usage cache;
	uint64_t free, anon, object, wire, shared;
	struct large_stats large;

	cache_get_usage(&cache);
	frame_census(&census);
	large_get_stats(&large);
	free = census.count[FRAME_FREE];
	anon = census.count[FRAME_ANON];
	object = census.count[FRAME_OBJECT];
	wire = MIN(cache.pages, object);
	shared = object - wire;
	print_kib(text, "MemTotal", census.total);
	print_kib(text, "MemFree", free);
	print_kib(text, "MemAvailable", free + MIN(cache.unused, object));
	print_kib(text, "Buffers", 0);
	print_kib(text, "Cached", object);
	print_kib(text, "SwapCached", 0);
	print_kib(text, "Active", anon + wire - MIN(cache.unused, wire));
	print_kib(text, "Inactive", shared + MIN(cache.unused, wire));
	print_kib(text, "Active(anon)", anon);
	print_kib(text, "Inactive(anon)", shared);
	print_kib(text, "Active(file)", wire - MIN(cache.unused, wire));
	print_kib(text, "Inactive(file)", MIN(cache.unused, wire));
	print_kib(text, "SwapTotal", 0);
	print_kib(text, "SwapFree", 0);
	print_kib(text, "Dirty", 0);
	print_kib(text, "Writeback", 0);
	print_kib(text, "AnonPages", anon);
	print_kib(text, "Shmem", shared);
	print_kib(text, "KReclaimable", 0);
	print_kib(text, "Slab", census.count[FRAME_SLAB]);
	print_kib(text, "SReclaimable", 0);
	print_kib(text, "SUnreclaim", census.count[FRAME_SLAB]);
	print_kib(text, "KernelStack", census.count[FRAME_STACK]);
	print_kib(text, "PageTables", census.count[FRAME_PTABLE]);
	print_kib(text, "AnonHugePages", large.present * LARGE_PAGES);
	print_kib(text, "CommitLimit", census.total);
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

/* All together, and each line of the 8259s that somebody uses. */
static void print_interrupt_counts(struct text *text)
{
	uint64_t lines[IRQ_LINES] = { 0 }, all = irq_timer_count(), count;
	const char *name;
	int line;

	for (unsigned i = 0; irq_describe(i, &name, &line, &count); i++) {
		all += count;
		if (line >= 0 && line < IRQ_LINES)
			lines[line] += count;
	}
	text_printf(text, "intr %lu", all);
	for (unsigned i = 0; i < IRQ_LINES; i++)
		text_printf(text, " %lu", lines[i]);
	text_printf(text, "\n");
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

/* Of all processors, and of each; there is one. */
static int generate_stat(struct text *text, uint32_t number)
{
	uint64_t tick_ns = NSEC_PER_SEC / HZ, now = clock_ns();
	struct family_stats family;
	struct sched_stats stats;

	sched_get_stats(&stats);
	mutex_lock(&family_lock);
	family = family_stats();
	mutex_unlock(&family_lock);
	for (int line = 0; line < 2; line++)
		text_printf(text, "cpu%s %lu %lu %lu %lu 0 0 0 0 0 0\n", line == 0 ? " " : "0",
			    stats.user_ns / tick_ns, stats.nice_ns / tick_ns,
			    stats.system_ns / tick_ns, stats.idle_ns / tick_ns);
	print_interrupt_counts(text);
	text_printf(text,
		    "ctxt %lu\nbtime %lu\nprocesses %lu\nprocs_running %u\nprocs_blocked %u\n",
		    stats.switches, (clock_wall_ns() - now) / NSEC_PER_SEC, family.forks,
		    stats.runnable, stats.blocked);
	return 0;
}

/* Two digits, rounded as Linux does. */
static int generate_loadavg(struct text *text, uint32_t number)
{
	const uint64_t one = UINT64_C(1) << LOAD_SHIFT;
	struct family_stats family;
	struct sched_stats stats;

	sched_get_stats(&stats);
	mutex_lock(&family_lock);
	family = family_stats();
	mutex_unlock(&family_lock);
	for (unsigned i = 0; i < LOAD_AVERAGES; i++) {
		uint64_t hundredths = stats.load[i] + one / 200;

		text_printf(text, "%lu.%02lu ", hundredths >> LOAD_SHIFT,
			    (hundredths % one) * 100 >> LOAD_SHIFT);
	}
	text_printf(text, "%u/%u %u\n", stats.runnable, stats.threads, family.last_pid);
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
	text_printf(text,
		    "nodev\ttftp\nnodev\ttmpfs\nnodev\tproc\nnodev\tdevtmpfs\nnodev\tdevpts\n");
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
	text_printf(text, "LOC: %10lu  Local timer interrupts\n", irq_timer_count());
	return 0;
}

static int generate_locks(struct text *text, uint32_t number)
{
	locks_describe(text);
	return 0;
}

/* --- kernel objects ----------------------------------------------------------------------------- */

/* Linux's version 2.1, with tunables that there are none of. */
static int generate_slabinfo(struct text *text, uint32_t number)
{
	struct slab_info info;

	text_printf(text, "slabinfo - version: 2.1\n"
			  "# name            <active_objs> <num_objs> <objsize> <objperslab> "
			  "<pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : "
			  "slabdata <active_slabs> <num_slabs> <sharedavail>\n");
	for (unsigned i = 0; slab_describe(i, &info); i++)
		text_printf(text,
			    "%-17s %6lu %6lu %6zu %4u %4u : tunables %4u %4u %4u : slabdata %6lu "
			    "%6lu %6u\n",
			    info.name, info.in_use, info.slabs * info.per_slab, info.size,
			    info.per_slab, info.pages_per_slab, 0, 0, 0, info.slabs, info.slabs, 0);
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
		{ .path = "locks", .generate = generate_locks },
		{ .path = "slabinfo", .generate = generate_slabinfo, .permissions = S_IRUSR },
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (synthetic_register(&files[i]) != 0)
			panic("no memory for /proc/%s", files[i].path);
	}
}
