/*
 * loader/vdso/vdso.c - system calls that need no kernel: user code that the kernel brings along.
 *
 * A small shared object, linked by vdso.lds, contained in the kernel's image and mapped into every
 * program (loader/vdso.c there), which libc finds by AT_SYSINFO_EHDR (vdso(7)). Below its first page lies
 * the page that kernel/vvar.h describes. What cannot be told from there is asked for by system calls.
 */
#include "kernel/vvar.h"

#include <asm/errno.h>
#include <asm/unistd_64.h>
#include <linux/time.h>
#include <linux/time_types.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define likely(x)     __builtin_expect(!!(x), 1)
#define unlikely(x)   __builtin_expect(!!(x), 0)

#define NSEC_PER_SEC  UINT64_C(1000000000)
#define NSEC_PER_USEC UINT64_C(1000)

/* Its place is the linker script's. */
extern const struct vvar vvar __attribute__((visibility("hidden")));

struct getcpu_cache;

int __vdso_clock_gettime(int clock, struct __kernel_timespec *out);
int __vdso_clock_getres(int clock, struct __kernel_timespec *out);
int __vdso_gettimeofday(struct __kernel_old_timeval *out, struct timezone *zone);
long __vdso_time(long *out);
long __vdso_getcpu(unsigned *cpu, unsigned *node, struct getcpu_cache *unused);

static long call(long number, long a, long b, long c)
{
	long result;

	asm volatile("syscall"
		     : "=a"(result)
		     : "0"(number), "D"(a), "S"(b), "d"(c)
		     : "rcx", "r11", "memory");
	return result;
}

/* Not before anything that comes earlier in the program. */
static uint64_t read_tsc(void)
{
	uint32_t low, high;

	asm volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* Nanoseconds of wall or of monotonic time; false: ask the kernel. */
static inline bool read_clock(bool wall, uint64_t *ns)
{
	uint32_t sequence;

	do {
		uint64_t ticks;

		do {
			sequence = atomic_load_explicit(&vvar.sequence, memory_order_acquire);
			if (unlikely(sequence & VVAR_UNUSABLE))
				return false;
		} while (unlikely(sequence & VVAR_CHANGING));
		ticks = read_tsc() - vvar.base_tsc;
		*ns = (uint64_t)((unsigned __int128)ticks * vvar.ns_per_tick >> VVAR_SCALE_SHIFT);
		if (wall)
			*ns += vvar.wall_offset_ns;
		atomic_thread_fence(memory_order_acquire);
	} while (unlikely(sequence != atomic_load_explicit(&vvar.sequence, memory_order_relaxed)));
	return true;
}

/* Sets of clocks, by number. */
#define WALL (1u << CLOCK_REALTIME | 1u << CLOCK_REALTIME_COARSE | 1u << CLOCK_TAI)
#define MONOTONIC                                                                           \
	(1u << CLOCK_MONOTONIC | 1u << CLOCK_MONOTONIC_RAW | 1u << CLOCK_MONOTONIC_COARSE | \
	 1u << CLOCK_BOOTTIME)
#define CLOCKS_MAX 32

/* The set that it alone is; 0: none that is known here. */
static inline uint32_t set_of(int clock)
{
	return likely((unsigned)clock < CLOCKS_MAX) ? (1u << clock) & (WALL | MONOTONIC) : 0;
}

int __vdso_clock_gettime(int clock, struct __kernel_timespec *out)
{
	uint32_t set = set_of(clock);
	uint64_t ns;

	if (unlikely(set == 0) || unlikely(!read_clock(set & WALL, &ns)))
		return (int)call(__NR_clock_gettime, clock, (long)out, 0);
	out->tv_sec = (long long)(ns / NSEC_PER_SEC);
	out->tv_nsec = (long long)(ns % NSEC_PER_SEC);
	return 0;
}

int __vdso_clock_getres(int clock, struct __kernel_timespec *out)
{
	if (set_of(clock) == 0)
		return (int)call(__NR_clock_getres, clock, (long)out, 0);
	if (out) {
		out->tv_sec = 0;
		out->tv_nsec = 1;
	}
	return 0;
}

int __vdso_gettimeofday(struct __kernel_old_timeval *out, struct timezone *zone)
{
	uint64_t wall;

	if (!read_clock(true, &wall))
		return (int)call(__NR_gettimeofday, (long)out, (long)zone, 0);
	if (out) {
		out->tv_sec = (long)(wall / NSEC_PER_SEC);
		out->tv_usec = (long)(wall % NSEC_PER_SEC / NSEC_PER_USEC);
	}
	if (zone) {
		zone->tz_minuteswest = vvar.zone_minutes_west;
		zone->tz_dsttime = vvar.zone_dst;
	}
	return 0;
}

long __vdso_time(long *out)
{
	uint64_t wall;
	long seconds;

	if (!read_clock(true, &wall))
		return call(__NR_time, (long)out, 0, 0);
	seconds = (long)(wall / NSEC_PER_SEC);
	if (out)
		*out = seconds;
	return seconds;
}

long __vdso_getcpu(unsigned *cpu, unsigned *node, struct getcpu_cache *unused)
{
	(void)unused;
	if (vvar.cpus != 1)
		return call(__NR_getcpu, (long)cpu, (long)node, 0);
	if (cpu)
		*cpu = 0;
	if (node)
		*node = 0;
	return 0;
}

/* The names that programs may use directly. */
int clock_gettime(int clock, struct __kernel_timespec *out)
	__attribute__((weak, alias("__vdso_clock_gettime")));
int clock_getres(int clock, struct __kernel_timespec *out)
	__attribute__((weak, alias("__vdso_clock_getres")));
int gettimeofday(struct __kernel_old_timeval *out, struct timezone *zone)
	__attribute__((weak, alias("__vdso_gettimeofday")));
long time(long *out) __attribute__((weak, alias("__vdso_time")));
long getcpu(unsigned *cpu, unsigned *node, struct getcpu_cache *unused)
	__attribute__((weak, alias("__vdso_getcpu")));
