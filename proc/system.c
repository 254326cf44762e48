/*
 * proc/system.c - the machine as a whole, seen from a program: its name, memory, log, and end.
 */
#include "dev/console.h"
#include "dev/machine.h"
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
#include <linux/reboot.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>

SYSCALL1(uname, vaddr_t, out)
{
	struct new_utsname name = {
		.sysname = UNAME_SYSTEM,
		.release = UNAME_RELEASE,
		.version = UNAME_VERSION,
		.machine = UNAME_MACHINE,
	};

	hostname_get(name.nodename);
	hostname_get_domain(name.domainname);
	return put_user(out, name);
}

SYSCALL1(sysinfo, vaddr_t, out)
{
	struct frame_census census;
	struct sched_stats stats;
	struct sysinfo info;

	frame_census(&census);
	sched_get_stats(&stats);
	memset(&info, 0, sizeof(info)); /* with its padding */
	info.uptime = (long)(clock_ns() / NSEC_PER_SEC);
	info.mem_unit = 1;
	info.totalram = census.total * PAGE_SIZE;
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

/* --- the log: syslog(2), which is klogctl(3) to programs such as dmesg --------------------------- */

/* syslog(2); no UAPI header has these. */
enum {
	SYSLOG_CLOSE,
	SYSLOG_OPEN,
	SYSLOG_READ,
	SYSLOG_READ_ALL,
	SYSLOG_READ_CLEAR,
	SYSLOG_CLEAR,
	SYSLOG_CONSOLE_OFF,
	SYSLOG_CONSOLE_ON,
	SYSLOG_CONSOLE_LEVEL,
	SYSLOG_SIZE_UNREAD,
	SYSLOG_SIZE_BUFFER,
};

#define SYSLOG_BUFFER_SIZE (128 * KIB)
#define SYSLOG_LINE_MAX    (LOG_LINE_MAX + 32) /* with level and time */

static size_t format_record(const struct log_record *record, char *out, size_t size)
{
	uint64_t microseconds = record->time_ns / NSEC_PER_USEC;
	int length = snprintf(out, size, "<%d>[%5lu.%06lu] %.*s\n", (int)record->level,
			      microseconds / 1000000, microseconds % 1000000, (int)record->length,
			      record->text);

	return MIN((size_t)length, size - 1);
}

/* Copies the newest records that fit, oldest first. */
static int64_t read_all(vaddr_t to, size_t size)
{
	struct log_record *record = kalloc(sizeof(*record));
	char line[SYSLOG_LINE_MAX];
	uint64_t sequence = 0, total = 0;
	size_t copied = 0;
	int error = 0;

	if (!record)
		return -ENOMEM;
	while (log_read(&sequence, record))
		total += format_record(record, line, sizeof(line));
	sequence = 0;
	while (error == 0 && log_read(&sequence, record)) {
		size_t length = format_record(record, line, sizeof(line));

		/* Skip the oldest until the rest fits; lines that came since then are left out. */
		if (total > size) {
			total -= MIN(total, length);
			continue;
		}
		if (length > size - copied)
			break;
		error = copy_to_user(to + copied, line, length);
		copied += length;
	}
	kfree(record);
	return error != 0 ? error : (int64_t)copied;
}

SYSCALL3(syslog, int, type, vaddr_t, buffer, int, length)
{
	switch (type) {
	case SYSLOG_CLOSE:
	case SYSLOG_OPEN:
		return 0;
	case SYSLOG_READ_ALL:
		return buffer == 0 || length < 0 ? -EINVAL : read_all(buffer, (size_t)length);
	case SYSLOG_CONSOLE_OFF:
		log_set_console_level(LOG_ALERT);
		return 0;
	case SYSLOG_CONSOLE_ON:
		log_set_console_level(LOG_DEBUG);
		return 0;
	case SYSLOG_CONSOLE_LEVEL:
		if (length < 1 || length > 8)
			return -EINVAL;
		log_set_console_level(length);
		return 0;
	case SYSLOG_SIZE_BUFFER:
		return SYSLOG_BUFFER_SIZE;
	default:
		return -EINVAL;
	}
}
