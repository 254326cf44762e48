/*
 * kernel/boot_info.h - what every way of booting fills in, and all that the kernel knows of it.
 */
#ifndef HAWSER_KERNEL_BOOT_INFO_H
#define HAWSER_KERNEL_BOOT_INFO_H

#include "kernel/base.h"

#define BOOT_MEMORY_MAX 128

/* One range of physical memory; unsorted ranges may overlap: the more restrictive type wins. */
struct boot_memory {
	paddr_t start;
	paddr_t end; /* exclusive */
	enum boot_memory_type { BOOT_RAM, BOOT_RESERVED, BOOT_ACPI } type;
};

struct boot_info {
	struct boot_memory memory[BOOT_MEMORY_MAX];
	unsigned memory_count;
	paddr_t kernel_start, kernel_end; /* the image with its BSS */
	paddr_t initrd_start, initrd_end; /* 0, 0 if none */
	paddr_t rsdp;                     /* 0: search the BIOS area */
	const char *loader; /* "iPXE", "QEMU", "GRUB", … from boot_params.type_of_loader */
	struct {
		paddr_t base;
		uint32_t width, height, pitch, bits_per_pixel;
	} framebuffer;      /* base 0 if none */
	uint64_t entry_tsc; /* TSC at the kernel's first instruction: time zero */
};

extern struct boot_info boot_info;

#endif
