/*
 * proc/procfs_devices.c - /proc of the machine: which devices there are, and which kinds there are none of.
 */
#include "fs/synthetic.h"
#include "kernel/panic.h"
#include "proc/procfs.h"
#include <linux/major.h>

static int generate_devices(struct text *text, uint32_t number)
{
	text_printf(text,
		    "Character devices:\n%3d mem\n%3d ttyS\n%3d /dev/tty\n%3d /dev/console\n"
		    "%3d /dev/ptmx\n%3d fb\n%3d ptm\n%3d pts\n\nBlock devices:\n",
		    MEM_MAJOR, TTY_MAJOR, TTYAUX_MAJOR, TTYAUX_MAJOR, TTYAUX_MAJOR, FB_MAJOR,
		    UNIX98_PTY_MASTER_MAJOR, UNIX98_PTY_SLAVE_MAJOR);
	return 0;
}

/* How ps finds the name of a terminal: driver, name, major and minor numbers, kind. */
static int generate_tty_drivers(struct text *text, uint32_t number)
{
	static const struct {
		const char *driver, *name;
		int major;
		const char *minors, *kind;
	} drivers[] = {
		{ "/dev/tty", "/dev/tty", TTYAUX_MAJOR, "0", "system:/dev/tty" },
		{ "/dev/console", "/dev/console", TTYAUX_MAJOR, "1", "system:console" },
		{ "/dev/ptmx", "/dev/ptmx", TTYAUX_MAJOR, "2", "system" },
		{ "serial", "/dev/ttyS", TTY_MAJOR, "64", "serial" },
		{ "pty_slave", "/dev/pts", UNIX98_PTY_SLAVE_MAJOR, "0-1048575", "pty:slave" },
		{ "pty_master", "/dev/ptm", UNIX98_PTY_MASTER_MAJOR, "0-1048575", "pty:master" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		text_printf(text, "%-20s %-12s %3d %7s %s\n", drivers[i].driver, drivers[i].name,
			    drivers[i].major, drivers[i].minors, drivers[i].kind);
	return 0;
}

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

/* There are no disks, and no modules. */
static int generate_nothing(struct text *text, uint32_t number)
{
	return 0;
}

void procfs_init_devices(void)
{
	static const struct synthetic files[] = {
		{ .path = "devices", .generate = generate_devices },
		{ .path = "tty/drivers", .generate = generate_tty_drivers },
		{ .path = "partitions", .generate = generate_partitions },
		{ .path = "swaps", .generate = generate_swaps },
		{ .path = "diskstats", .generate = generate_nothing },
		{ .path = "modules", .generate = generate_nothing },
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (synthetic_register(&files[i]) != 0)
			panic("no memory for /proc/%s", files[i].path);
	}
}
