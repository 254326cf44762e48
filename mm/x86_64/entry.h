/*
 * mm/x86_64/entry.h - the bits of a page-table entry, shared by the user and kernel halves.
 *
 * SDM 3A 4.5 (4-level paging). Bits 9 to 11 and 52 to 58 are software's.
 */
#ifndef HAWSER_MM_X86_64_ENTRY_H
#define HAWSER_MM_X86_64_ENTRY_H

#include "kernel/base.h"

typedef _Atomic uint64_t entry_t;

#define ENTRY_PRESENT  (UINT64_C(1) << 0)
#define ENTRY_WRITE    (UINT64_C(1) << 1)
#define ENTRY_USER     (UINT64_C(1) << 2)
#define ENTRY_PWT      (UINT64_C(1) << 3)
#define ENTRY_PCD      (UINT64_C(1) << 4)
#define ENTRY_ACCESSED (UINT64_C(1) << 5)
#define ENTRY_DIRTY    (UINT64_C(1) << 6)
#define ENTRY_LARGE    (UINT64_C(1) << 7)
#define ENTRY_GLOBAL   (UINT64_C(1) << 8)
#define ENTRY_SPECIAL  (UINT64_C(1) << 9)  /* the frame is not counted */
#define ENTRY_PROTNONE (UINT64_C(1) << 10) /* not present, but keeps its frame */
#define ENTRY_NX       (UINT64_C(1) << 63)
#define ENTRY_ADDRESS  UINT64_C(0x000ffffffffff000)

#define TABLE_ENTRIES  512
#define LEVELS         4 /* level 3: PML4, level 0: the table of 4 KiB pages */

/* Bytes that one entry of a table at `level` stands for. */
static inline uint64_t level_span(unsigned level)
{
	return PAGE_SIZE << (9 * level);
}

static inline unsigned level_index(vaddr_t address, unsigned level)
{
	return address >> (PAGE_SHIFT + 9 * level) & (TABLE_ENTRIES - 1);
}

#endif
