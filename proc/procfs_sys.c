/*
 * proc/procfs_sys.c - /proc/sys: what sysctl(8) and libraries read of the kernel's constants and limits.
 *
 * Most are numbers that another room decides by; the few that can be written are the machine's names.
 */
#include "fs/file.h"
#include "fs/inotify.h"
#include "fs/pipe.h"
#include "fs/synthetic.h"
#include "kernel/cmdline.h"
#include "kernel/cred.h"
#include "kernel/panic.h"
#include "kernel/random.h"
#include "kernel/string.h"
#include "mm/space.h"
#include "proc/hostname.h"
#include "proc/process.h"
#include "proc/procfs.h"
#include "proc/version.h"
#include <linux/limits.h>

/* Linux's DEFAULT_OVERFLOWUID; no UAPI header has it. */
#define OVERFLOW_ID 65534

/* --- names ------------------------------------------------------------------------------------- */

static int generate_hostname(struct text *text, uint32_t number)
{
	char name[HOSTNAME_SIZE];

	hostname_get(name);
	text_printf(text, "%s\n", name);
	return 0;
}

static int generate_domainname(struct text *text, uint32_t number)
{
	char name[HOSTNAME_SIZE];

	hostname_get_domain(name);
	text_printf(text, "%s\n", name);
	return 0;
}

/* Up to the end of the line. */
static size_t line_length(const char *bytes, size_t length)
{
	size_t at = 0;

	while (at < length && bytes[at] != '\n' && bytes[at] != '\0')
		at++;
	return at;
}

static int write_hostname(uint32_t number, const char *bytes, size_t length)
{
	return hostname_set(bytes, MIN(line_length(bytes, length), (size_t)__NEW_UTS_LEN));
}

static int write_domainname(uint32_t number, const char *bytes, size_t length)
{
	return hostname_set_domain(bytes, MIN(line_length(bytes, length), (size_t)__NEW_UTS_LEN));
}

static int generate_ostype(struct text *text, uint32_t number)
{
	text_printf(text, "%s\n", UNAME_SYSTEM);
	return 0;
}

static int generate_osrelease(struct text *text, uint32_t number)
{
	text_printf(text, "%s\n", UNAME_RELEASE);
	return 0;
}

static int generate_version(struct text *text, uint32_t number)
{
	text_printf(text, "%s\n", UNAME_VERSION);
	return 0;
}

/* --- numbers ----------------------------------------------------------------------------------- */

static int put_number(struct text *text, uint64_t value)
{
	text_printf(text, "%lu\n", value);
	return 0;
}

static int generate_pid_max(struct text *text, uint32_t number)
{
	return put_number(text, PID_MAX);
}

/* There are as many threads as there are numbers. */
static int generate_threads_max(struct text *text, uint32_t number)
{
	return put_number(text, PID_MAX);
}

static int generate_ngroups_max(struct text *text, uint32_t number)
{
	return put_number(text, NGROUPS_MAX);
}

static int generate_cap_last_cap(struct text *text, uint32_t number)
{
	return put_number(text, CAP_LAST_CAP);
}

/* What Linux calls users whom 16 bits cannot name; nothing here is asked for 16 bits. */
static int generate_overflow_id(struct text *text, uint32_t number)
{
	return put_number(text, OVERFLOW_ID);
}

static int generate_randomize(struct text *text, uint32_t number)
{
	return put_number(text, cmdline_flag("norandmaps") ? 0 : 2);
}

static int generate_max_map_count(struct text *text, uint32_t number)
{
	return put_number(text, SPACE_REGIONS_MAX);
}

/* Memory is never promised: it is there when it is touched, or somebody is killed for it. */
static int generate_overcommit(struct text *text, uint32_t number)
{
	return put_number(text, 1);
}

static int generate_nr_open(struct text *text, uint32_t number)
{
	return put_number(text, FILES_MAX);
}

static int generate_file_max(struct text *text, uint32_t number)
{
	return put_number(text, file_max());
}

static int generate_file_nr(struct text *text, uint32_t number)
{
	text_printf(text, "%lu\t0\t%lu\n", file_count(), file_max());
	return 0;
}

static int generate_inotify_events(struct text *text, uint32_t number)
{
	return put_number(text, INOTIFY_EVENTS_MAX);
}

static int generate_inotify_instances(struct text *text, uint32_t number)
{
	return put_number(text, INOTIFY_INSTANCES_MAX);
}

static int generate_inotify_watches(struct text *text, uint32_t number)
{
	return put_number(text, INOTIFY_WATCHES_MAX);
}

static int generate_pipe_size(struct text *text, uint32_t number)
{
	return put_number(text, PIPE_PAGES_MAX * PAGE_SIZE);
}

/* --- randomness -------------------------------------------------------------------------------- */

/* RFC 9562: version 4, random. */
static int put_uuid(struct text *text, const uint8_t bytes[16])
{
	for (unsigned i = 0; i < 16; i++) {
		uint8_t byte = bytes[i];

		if (i == 6)
			byte = (byte & 0x0f) | 0x40;
		if (i == 8)
			byte = (byte & 0x3f) | 0x80;
		text_printf(text, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", byte);
	}
	text_append(text, "\n", 1);
	return 0;
}

static int generate_uuid(struct text *text, uint32_t number)
{
	uint8_t bytes[16];

	random_bytes(bytes, sizeof(bytes));
	return put_uuid(text, bytes);
}

static uint8_t boot_id[16]; /* fixed at boot */

static int generate_boot_id(struct text *text, uint32_t number)
{
	return put_uuid(text, boot_id);
}

/* As on Linux since 5.18: what the generator's key is worth, once it is seeded. */
static int generate_entropy(struct text *text, uint32_t number)
{
	return put_number(text, 256);
}

void procfs_init_sys(void)
{
	static const struct synthetic files[] = {
		{ .path = "sys/kernel/hostname",
		  .generate = generate_hostname,
		  .write = write_hostname },
		{ .path = "sys/kernel/domainname",
		  .generate = generate_domainname,
		  .write = write_domainname },
		{ .path = "sys/kernel/ostype", .generate = generate_ostype },
		{ .path = "sys/kernel/osrelease", .generate = generate_osrelease },
		{ .path = "sys/kernel/version", .generate = generate_version },
		{ .path = "sys/kernel/pid_max", .generate = generate_pid_max },
		{ .path = "sys/kernel/threads-max", .generate = generate_threads_max },
		{ .path = "sys/kernel/ngroups_max", .generate = generate_ngroups_max },
		{ .path = "sys/kernel/cap_last_cap", .generate = generate_cap_last_cap },
		{ .path = "sys/kernel/overflowuid", .generate = generate_overflow_id },
		{ .path = "sys/kernel/overflowgid", .generate = generate_overflow_id },
		{ .path = "sys/kernel/randomize_va_space", .generate = generate_randomize },
		{ .path = "sys/kernel/random/boot_id", .generate = generate_boot_id },
		{ .path = "sys/kernel/random/uuid", .generate = generate_uuid },
		{ .path = "sys/kernel/random/entropy_avail", .generate = generate_entropy },
		{ .path = "sys/kernel/random/poolsize", .generate = generate_entropy },
		{ .path = "sys/vm/max_map_count", .generate = generate_max_map_count },
		{ .path = "sys/vm/overcommit_memory", .generate = generate_overcommit },
		{ .path = "sys/fs/file-max", .generate = generate_file_max },
		{ .path = "sys/fs/inotify/max_queued_events", .generate = generate_inotify_events },
		{ .path = "sys/fs/inotify/max_user_instances",
		  .generate = generate_inotify_instances },
		{ .path = "sys/fs/inotify/max_user_watches", .generate = generate_inotify_watches },
		{ .path = "sys/fs/pipe-max-size", .generate = generate_pipe_size },
		{ .path = "sys/fs/file-nr", .generate = generate_file_nr },
		{ .path = "sys/fs/nr_open", .generate = generate_nr_open },
	};

	random_bytes(boot_id, sizeof(boot_id));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (synthetic_register(&files[i]) != 0)
			panic("no memory for /proc/%s", files[i].path);
	}
}
