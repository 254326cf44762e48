/*
 * proc/system.c - the machine as a whole, seen from a program: its name, memory, log, and end.
 */
#include "dev/console.h"
#include "dev/machine.h"
#include "fs/cache.h"
#include "kernel/clock.h"
#include "kernel/cred.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/frame.h"
#include "mm/slab.h"
#include "mm/user.h"
#include "proc/hostname.h"
#include "proc/process.h"
#include "proc/version.h"
#include <linux/personality.h>
#include <linux/reboot.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>

SYSCALL1(uname, vaddr_t, out)
{
	const uint32_t persona = current_process()->attributes.personality;
	struct new_utsname name = {
		.sysname = UNAME_SYSTEM,
		.release = UNAME_RELEASE,
		.version = UNAME_VERSION,
		.machine = UNAME_MACHINE,
	};

	if (persona & UNAME26)
		(void)snprintf(name.release, sizeof(name.release), UNAME_RELEASE_26,
			       UNAME_RELEASE_26_MINOR);
	if ((persona & PER_MASK) == PER_LINUX32)
		strlcpy(name.machine, UNAME_MACHINE_32, sizeof(name.machine));
	hostname_get(name.nodename);
	hostname_get_domain(name.domainname);
	return put_user(out, name);
}

SYSCALL1(sysinfo, vaddr_t, out)
{
	struct frame_census census;
	struct cache_usage cache;
	struct sched_stats stats;
	struct sysinfo info;

	cache_get_usage(&cache);
	frame_census(&census);
	sched_get_stats(&stats);
	memset(&info, 0, sizeof(info)); /* with its padding */
	info.uptime = (long)(clock_ns() / NSEC_PER_SEC);
	info.mem_unit = 1;
	info.totalram = census.total * PAGE_SIZE;
	info.sharedram =
		(census.count[FRAME_OBJECT] - MIN(cache.pages, census.count[FRAME_OBJECT])) *
		PAGE_SIZE;
	info.freeram = census.count[FRAME_FREE] * PAGE_SIZE;
	info.procs = (uint16_t)stats.threads;
	for (unsigned i = 0; i < ARRAY_SIZE(info.loads); i++)
		info.loads[i] = stats.load[i] << (SI_LOAD_SHIFT - LOAD_SHIFT);
	return put_user(out, info);
}

SYSCALL4(reboot, uint32_t, magic, uint32_t, magic2, uint32_t, command, vaddr_t, argument)
{
	if (magic != LINUX_REBOOT_MAGIC1 ||
	    (magic2 != LINUX_REBOOT_MAGIC2 && magic2 != LINUX_REBOOT_MAGIC2A &&
	     magic2 != LINUX_REBOOT_MAGIC2B && magic2 != LINUX_REBOOT_MAGIC2C))
		return -EINVAL;
	if (!capable(CAP_SYS_BOOT))
		return -EPERM;
	switch (command) {
	case LINUX_REBOOT_CMD_RESTART:
		log_notice("%s asks for a restart", current->name);
		console_drain();
		machine_reboot();
	case LINUX_REBOOT_CMD_POWER_OFF:
	case LINUX_REBOOT_CMD_HALT:
		log_notice("%s asks for power-off", current->name);
		console_drain();
		machine_report_exit(0);
		machine_power_off();
	case LINUX_REBOOT_CMD_CAD_ON:
	case LINUX_REBOOT_CMD_CAD_OFF:
		return 0; /* no Ctrl-Alt-Del to turn on or off: init asks at its start */
	default:
		return -EINVAL;
	}
}
