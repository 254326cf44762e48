/*
 * fake_pmap.h - a machine for mm/ on the host: an arena for RAM, page tables in it, and TLBs.
 *
 * The page tables are walked as a processor walks them, and what a walk finds is remembered in the
 * TLB of the CPU that made it until it is flushed, so that an access through fake_access() can go
 * to a page that is no longer mapped, as on hardware. The fake aborts the test when
 *   - a frame loses a reference while a TLB still leads to it through an entry that is gone;
 *   - an entry is given another frame while a TLB knows the old one;
 *   - a page-table frame is freed that a TLB may walk through;
 *   - pmap.h's rules about locks are broken.
 */
#ifndef HAWSER_TESTS_FAKE_PMAP_H
#define HAWSER_TESTS_FAKE_PMAP_H

#include "mm/pmap.h"

#define FAKE_RAM_SIZE (64 * MIB)
#define FAKE_CPUS     2

/* Makes the arena and hands its frames to the allocator. Once in each program. */
void fake_machine_init(void);

/*
 * CPU `cpu` accesses `address` (FAULT_* of kernel/trap.h): true and the physical address, or false if
 * it faults. Sets A and D.
 */
bool fake_access(struct pmap *pmap, unsigned cpu, vaddr_t address, unsigned access, paddr_t *out);

/* Aborts if a TLB leads to the frame through an entry that no longer does. */
void fake_assert_not_stale(const struct frame *frame);

/* Called once, in the middle of the next flush, when others may run: what another thread does. */
extern void (*fake_during_flush)(void);

#endif
