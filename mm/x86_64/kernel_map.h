/*
 * mm/x86_64/kernel_map.h - the kernel's half of every page table.
 *
 * Its PML4 slots are filled once, at boot, and never change, so that a new address space copies
 * them once and sees every later kernel mapping.
 */
#ifndef HAWSER_MM_X86_64_KERNEL_MAP_H
#define HAWSER_MM_X86_64_KERNEL_MAP_H

#include "kernel/base.h"
#include "mm/x86_64/entry.h"

/*
 * Builds the kernel's page table from boot_info.memory and loads it: direct map, frame table, the
 * image with W^X. Then hands all free RAM to the frame allocator. Boot CPU, once, interrupts off;
 * the identity map of the boot tables is gone afterwards. `limit` is `mem=` in bytes, or UINT64_MAX.
 */
void kernel_map_init(uint64_t limit);

/* The PML4 that holds only the kernel's half. */
extern paddr_t kernel_root;

/* The physical address of something in the kernel's image. */
paddr_t kernel_image_paddr(const void *pointer);

#define KERNEL_MAP_WRITE    0x1u
#define KERNEL_MAP_UNCACHED 0x2u

/* Maps one page in the KMAP area, never executable. -ENOMEM. Any context. */
int kernel_map_page(vaddr_t address, paddr_t page, unsigned flags);
/* Unmaps it and returns what it mapped. Every CPU that runs, which is the caller's, forgets it. */
paddr_t kernel_unmap_page(vaddr_t address);
/*
 * Page-table frames made for that area since boot. They stay: there are as many as the most kernel stacks
 * that there ever were at once have needed.
 */
uint64_t kernel_map_tables(void);

#endif
