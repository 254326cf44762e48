/*
 * mm/kmap.h - kernel virtual memory outside the direct map: stacks with guard pages, devices.
 */
#ifndef HAWSER_MM_KMAP_H
#define HAWSER_MM_KMAP_H

#include "kernel/base.h"

/*
 * A kernel stack of KSTACK_SIZE bytes between two unmapped pages; 0 if there is no memory.
 * Freed stacks are kept, mapped, on a small list and given out again; kstack_drain() frees them.
 */
vaddr_t kstack_alloc(void);
void kstack_free(vaddr_t base);
void kstack_drain(void);

/*
 * Maps device registers uncached and writable, never executable. The range need not be aligned.
 * NULL if there is no memory, or no such address. Mappings are kept for ever: devices do not go away.
 */
void *mmio_map(paddr_t address, size_t length);

/*
 * A read-only, cached view of firmware tables, RAM or not (ACPI). As mmio_map() otherwise.
 */
const void *firmware_map(paddr_t address, size_t length);

#endif
