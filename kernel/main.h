/*
 * kernel/main.h - the kernel's beginning: rooms are set up in order, then the first program.
 */
#ifndef HAWSER_KERNEL_MAIN_H
#define HAWSER_KERNEL_MAIN_H

#include "kernel/base.h"

/* On the boot stack, interrupts off, boot_info and the command line set. Becomes the idle thread. */
__noreturn void kernel_main(void);

#endif
