/*
 * mm/layout.h - where everything is in the 48-bit address space. The only place that says so.
 *
 *	0x0000_0000_0000 ┌──────────────────────┐
 *	                 │ never mapped         │ 64 KiB: NULL with a large offset still faults
 *	USER_MIN         ├──────────────────────┤
 *	  0x40_0000      │ fixed-address images │
 *	                 │ heap (brk) ↓         │ after the image, randomised gap
 *	                 │          …           │
 *	  ~0x5555_…      │ position-independent │ images and their heap
 *	                 │          …           │
 *	                 │ mmap area ↑ (grows   │ top-down from a guard gap below the stack
 *	                 │   towards low)       │
 *	                 │ stack ↑              │ grows down to RLIMIT_STACK
 *	USER_MAX         └──────────────────────┘ 0x7fff_ffff_f000
 *	                   (not canonical)
 *	0xffff_8000_…    ┌──────────────────────┐
 *	PHYSMAP_BASE     │ direct map of RAM    │ slots 256..319: 32 TiB
 *	FRAMES_BASE      │ struct frame array   │ slot 320, backed only where RAM is
 *	KMAP_BASE        │ stacks, MMIO         │ slot 321, with guard pages
 *	KERNEL_BASE      │ the kernel's image   │ slot 511, last 2 GiB, slid at boot
 *	                 └──────────────────────┘
 */
#ifndef HAWSER_MM_LAYOUT_H
#define HAWSER_MM_LAYOUT_H

#include "kernel/base.h"

#define USER_MIN        UINT64_C(0x10000)
#define USER_MAX        UINT64_C(0x7ffffffff000) /* exclusive; the last page stays free (SYSRET) */

#define PIE_BASE        UINT64_C(0x555555554000) /* as Linux's ELF_ET_DYN_BASE */
#define STACK_GUARD_GAP (256 * PAGE_SIZE)        /* below a growing stack, as Linux */
#define MMAP_MIN_GAP    (128 * MIB)              /* between stack top and mmap area, as Linux */

#define PHYSMAP_BASE    UINT64_C(0xffff800000000000)
#define PHYSMAP_SIZE    (UINT64_C(64) << 39)
#define FRAMES_BASE     UINT64_C(0xffffa00000000000)
#define FRAMES_SIZE     (UINT64_C(1) << 39)
#define KMAP_BASE       UINT64_C(0xffffa08000000000)
#define KMAP_SIZE       (UINT64_C(1) << 39)
#define KERNEL_BASE     UINT64_C(0xffffffff80000000)

/* Random bits, in pages; all zero with `norandmaps`. */
#define STACK_RANDOM_PAGES (UINT64_C(1) << 22)
#define MMAP_RANDOM_PAGES  (UINT64_C(1) << 28)
#define PIE_RANDOM_PAGES   (UINT64_C(1) << 28)
#define BRK_RANDOM_PAGES   (UINT64_C(1) << 13)

/* True if [start, start + length) lies in the user half; length may be 0. */
static inline bool user_range_ok(vaddr_t start, uint64_t length)
{
	return start <= USER_MAX && length <= USER_MAX - start;
}

#endif
