/*
 * proc/procfs_small.c - files of /proc/PID that tell one thing: limits, mounts, and what others read out of habit.
 */
#include "fs/mount.h"
#include "fs/synthetic.h"
#include "kernel/string.h"
#include "proc/cred.h"
#include "proc/process.h"
#include "proc/procfs.h"

/* fs/proc/base.c of Linux has these names and units; scripts look for them. */
static const struct {
	const char *name, *unit;
} limit_names[RLIM_NLIMITS] = {
	[RLIMIT_CPU] = { "Max cpu time", "seconds" },
	[RLIMIT_FSIZE] = { "Max file size", "bytes" },
	[RLIMIT_DATA] = { "Max data size", "bytes" },
	[RLIMIT_STACK] = { "Max stack size", "bytes" },
	[RLIMIT_CORE] = { "Max core file size", "bytes" },
	[RLIMIT_RSS] = { "Max resident set", "bytes" },
	[RLIMIT_NPROC] = { "Max processes", "processes" },
	[RLIMIT_NOFILE] = { "Max open files", "files" },
	[RLIMIT_MEMLOCK] = { "Max locked memory", "bytes" },
	[RLIMIT_AS] = { "Max address space", "bytes" },
	[RLIMIT_LOCKS] = { "Max file locks", "locks" },
	[RLIMIT_SIGPENDING] = { "Max pending signals", "signals" },
	[RLIMIT_MSGQUEUE] = { "Max msgqueue size", "bytes" },
	[RLIMIT_NICE] = { "Max nice priority", "" },
	[RLIMIT_RTPRIO] = { "Max realtime priority", "" },
	[RLIMIT_RTTIME] = { "Max realtime timeout", "us" },
};

static void put_limit(struct text *text, uint64_t value)
{
	if (value == LIMIT_INFINITY)
		text_printf(text, "%-20s ", "unlimited");
	else
		text_printf(text, "%-20lu ", value);
}

int procfs_generate_limits(struct text *text, uint32_t pid)
{
	struct rlimit64 limits[RLIM_NLIMITS];
	struct process *process;

	mutex_lock(&family_lock);
	process = family_find(pid);
	if (process) {
		spin_lock(&process->limits.lock);
		memcpy(limits, process->limits.limit, sizeof(limits));
		spin_unlock(&process->limits.lock);
	}
	mutex_unlock(&family_lock);
	if (!process)
		return -ESRCH;
	text_printf(text, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit",
		    "Units");
	for (unsigned i = 0; i < RLIM_NLIMITS; i++) {
		text_printf(text, "%-25s ", limit_names[i].name);
		put_limit(text, limits[i].rlim_cur);
		put_limit(text, limits[i].rlim_max);
		text_printf(text, "%-10s\n", limit_names[i].unit);
	}
	return 0;
}

/* Not told: "0", as Linux says where the kernel has no symbols. */
int procfs_generate_wchan(struct text *text, uint32_t pid)
{
	text_append(text, "0", 1);
	return 0;
}

int procfs_generate_personality(struct text *text, uint32_t pid)
{
	const struct process *process;
	uint32_t personality = 0;
	int error = 0;

	mutex_lock(&family_lock);
	process = family_find(pid);
	if (!process)
		error = -ESRCH;
	else if (!cred_may_inspect(process))
		error = -EACCES;
	else
		personality = process->attributes.personality;
	mutex_unlock(&family_lock);
	text_printf(text, "%08x\n", personality);
	return error;
}

/* Nobody has set it: (uid_t)-1. */
int procfs_generate_loginuid(struct text *text, uint32_t pid)
{
	text_printf(text, "%u", UINT32_MAX);
	return 0;
}

int procfs_generate_mounts(struct text *text, uint32_t pid)
{
	mounts_describe(text, false);
	return 0;
}

int procfs_generate_mountinfo(struct text *text, uint32_t pid)
{
	mounts_describe(text, true);
	return 0;
}
