/*
 * dev/machine.c - switching off and restarting, by every means a PC has, the politest first.
 */
#include "dev/machine.h"

#include "dev/acpi.h"
#include "dev/console.h"
#include "kernel/clock.h"
#include "kernel/cmdline.h"
#include "kernel/panic.h"
#include "kernel/string.h"
#include "kernel/x86_64/regs.h"

/* The chip set's reset control register: choose a full reset, then do it. */
#define RESET_PORT   0xcf9
#define RESET_SYSTEM 0x02
#define RESET_NOW    0x04

/* The keyboard controller, whose output line 0 is the processor's reset. */
#define KEYBOARD_STATUS     0x64
#define KEYBOARD_COMMAND    0x64
#define KEYBOARD_INPUT_FULL 0x02
#define KEYBOARD_RESET      0xfe
#define KEYBOARD_TRIES      1000

/* How long each way gets to take effect. */
#define SETTLE_US 50000

static void power_off(void)
{
	console_flush();
	acpi_power_off();
	clock_delay_us(SETTLE_US);
}

static void reset_by_chipset(void)
{
	outb(RESET_PORT, RESET_SYSTEM);
	outb(RESET_PORT, RESET_SYSTEM | RESET_NOW);
}

static void reset_by_keyboard(void)
{
	for (unsigned i = 0; i < KEYBOARD_TRIES && (inb(KEYBOARD_STATUS) & KEYBOARD_INPUT_FULL);
	     i++)
		clock_delay_us(1);
	outb(KEYBOARD_COMMAND, KEYBOARD_RESET);
}

/* The triple fault that comes after these is machine_reboot()'s. */
static void reboot(void)
{
	static void (*const ways[])(void) = { acpi_reset, reset_by_chipset, reset_by_keyboard };

	console_flush();
	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		ways[i]();
		clock_delay_us(SETTLE_US);
	}
}

void machine_setup(void)
{
	static const struct machine_ops ops = { .power_off = power_off, .reboot = reboot };

	machine_register(&ops);
}

void machine_report_exit(int code)
{
	char text[16];
	int64_t port;

	if (!cmdline_number("exitport", &port) || port <= 0 || port > UINT16_MAX)
		return;
	int length = snprintf(text, sizeof(text), "%d\n", code);
	for (int i = 0; i < length; i++)
		outb((uint16_t)port, (uint8_t)text[i]);
}
