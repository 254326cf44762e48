/*
 * kernel/vvar.h - what the kernel shows every program on a page of its own, so that clocks can be read
 * without a system call. Written by kernel/clock.c, read by loader/vdso/vdso.c: both are compiled with it.
 *
 * `sequence` is different after the rest has changed.
 */
#ifndef HAWSER_KERNEL_VVAR_H
#define HAWSER_KERNEL_VVAR_H

#include <stdint.h>

#define VVAR_SCALE_SHIFT 32

/* Of `sequence`; what is above them counts. */
#define VVAR_CHANGING 1u /* the rest is not to be read now */
#define VVAR_UNUSABLE 2u /* the clocks are to be asked for by system calls */
#define VVAR_STEP     4u

struct vvar {
	_Atomic uint32_t sequence;
	uint32_t cpus;        /* that run; with one there is no doubt which one this is */
	uint64_t base_tsc;    /* when monotonic time was 0 */
	uint64_t ns_per_tick; /* << VVAR_SCALE_SHIFT */
	uint64_t wall_offset_ns;
	int32_t zone_minutes_west, zone_dst;
};

#endif
