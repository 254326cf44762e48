/*
 * dev/machine.h - the machine as a whole: its end, and what is told to whoever watches it.
 */
#ifndef HAWSER_DEV_MACHINE_H
#define HAWSER_DEV_MACHINE_H

#include "kernel/base.h"

/* Registers what machine_power_off() and machine_reboot() do. After acpi_init(). */
void machine_setup(void);

/*
 * Writes the first process's exit code, as a shell reports it (128 + signal), as a decimal number
 * and a newline to the I/O port that `exitport=` names; without one, nothing. Before power-off.
 */
void machine_report_exit(int code);

#endif
