/*
 * boot/boot.h - the C half of the boot code; called by boot/head.S only.
 */
#ifndef HAWSER_BOOT_BOOT_H
#define HAWSER_BOOT_BOOT_H

#include "kernel/base.h"

struct boot_params;

/*
 * At physical addresses: maps the image high (slid by chance), applies its relocations, and returns
 * what is to be added to a physical address within it to get the high one.
 */
uint64_t boot_relocate(const struct boot_params *params, paddr_t base);

/* In the high mapping, on the boot stack, interrupts off. */
__noreturn void boot_main(const struct boot_params *params, uint64_t entry_tsc, paddr_t base);

#endif
