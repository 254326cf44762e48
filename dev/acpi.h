/*
 * dev/acpi.h - what the firmware's ACPI tables say: how to switch the machine off, and how to
 * restart it. There is no AML interpreter.
 */
#ifndef HAWSER_DEV_ACPI_H
#define HAWSER_DEV_ACPI_H

#include "kernel/base.h"

/* Reads the tables; logs what is missing or broken. Once, when firmware_map() works. */
void acpi_init(void);

/* Soft off (S5) by the fixed hardware. Returns if there is no way, or it had no effect at once. */
void acpi_power_off(void);
/* The reset register. Returns likewise. */
void acpi_reset(void);

/* The CMOS register that holds the century (FADT, CENTURY); 0 if there is none. */
uint8_t acpi_century_register(void);

#endif
