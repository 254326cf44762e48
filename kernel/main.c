/*
 * kernel/main.c - the order in which the rooms are set up, and the first program started.
 *
 * One of the two files that see every room (the other is kernel/syscall_table.c). What runs here is
 * the boot context, with interrupts off until every handler is in place; it becomes the first CPU's
 * idle thread. Nothing here waits for the network: the first process's own thread does that.
 */
#include "kernel/main.h"

#include "dev/acpi.h"
#include "dev/console.h"
#include "dev/machine.h"
#include "dev/rtc.h"
#include "fs/path.h"
#include "kernel/boot_info.h"
#include "kernel/clock.h"
#include "kernel/cmdline.h"
#include "kernel/irq.h"
#include "kernel/log.h"
#include "kernel/log_reader.h"
#include "kernel/panic.h"
#include "kernel/random.h"
#include "kernel/sched.h"
#include "kernel/trap.h"
#include "kernel/x86_64/apic.h"
#include "kernel/x86_64/cpu.h"
#include "loader/exec.h"
#include "loader/vdso.h"
#include "mm/kmap.h"
#include "mm/space.h"
#include "mm/x86_64/kernel_map.h"
#include "net/net.h"
#include "net/tftp.h"
#include "proc/process.h"

static uint64_t memory_limit(void)
{
	int64_t limit;

	return cmdline_number("mem", &limit) && limit > 0 ? (uint64_t)limit : UINT64_MAX;
}

/* The processor and the memory: from here on everything may be allocated and every fault is told. */
static void machine_init(void)
{
	void *apic;

	cpu_init(0);
	console_init();
	log_info("Hawser, booted by %s: %s", boot_info.loader, cmdline_get());
	kernel_map_init(memory_limit());
	trap_init();
	apic = mmio_map(apic_base(), PAGE_SIZE);
	if (!apic)
		panic("no memory to map the local APIC");
	irq_init(apic);
	clock_init();
	random_init();
	sched_init();
	log_reader_init();
	space_init();
}

static void devices_init(void)
{
	acpi_init();
	machine_setup();
	rtc_init();
	console_start();
}

void kernel_main(void)
{
	machine_init();
	devices_init();
	irq_enable();
	net_init();
	tftp_init();
	if (fs_init() < 0)
		panic("no memory for the root directory");
	process_init();
	vdso_init();
	if (!process_create_first(exec_first, NULL))
		panic("no memory for the first process");
	sched_idle();
}
