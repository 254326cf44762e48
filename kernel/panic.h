/*
 * kernel/panic.h - the end of the kernel, told as fully as it can be.
 *
 * Only for our own mistakes. Prints the message, registers, a symbolised backtrace and the tail
 * of the log to every console, then obeys `panic=SECONDS` (0: stop; >0: reboot after that time;
 * <0: reboot at once). Safe in any context; a second panic on the way says nothing, and stops or
 * reboots at once.
 */
#ifndef HAWSER_KERNEL_PANIC_H
#define HAWSER_KERNEL_PANIC_H

#include "kernel/base.h"

struct trapframe;

__noreturn void panic(const char *fmt, ...) __printf(1, 2);
__noreturn void panic_trap(const struct trapframe *tf, const char *fmt, ...) __printf(2, 3);

/* True once a panic has begun: the log and the consoles then take no locks. */
bool panic_active(void);

/* What the machine does at the end: registered by dev/acpi.c; both may fail and return. */
struct machine_ops {
	void (*power_off)(void);
	void (*reboot)(void);
};
void machine_register(const struct machine_ops *ops);

/* Power off / restart the machine; fall back to a triple fault or a halted CPU. */
__noreturn void machine_power_off(void);
__noreturn void machine_reboot(void);

/* The symbol that holds a kernel address, from the table linked into the image; NULL if none. */
const char *symbol_lookup(vaddr_t address, size_t *offset);

#endif
