/*
 * kernel/x86_64/fpu.c - the floating-point and vector registers of user threads.
 *
 * Saved and restored eagerly, at every switch between threads that have an area: lazy switching
 * leaked registers to speculation (CVE-2018-3665) and saves nothing, since every libc uses SSE. The
 * layout is the processor's: 512 bytes of FXSAVE, then XSAVE's header, then the components that XCR0
 * enables. XSAVEOPT leaves out what has not changed since the same area was restored; that is
 * why an area that was changed in memory must be restored before it is saved again.
 */
#include "kernel/x86_64/fpu.h"

#include "kernel/x86_64/cpu.h"

/* XCR0 (SDM 1, 13.3). MPX is dead, PKRU needs CR4.PKE, AMX has 8 KiB of state: left off. */
#define XSTATE_X87    (UINT64_C(1) << 0)
#define XSTATE_SSE    (UINT64_C(1) << 1)
#define XSTATE_AVX    (UINT64_C(1) << 2)
#define XSTATE_AVX512 (UINT64_C(7) << 5) /* opmask, ZMM_Hi256, Hi16_ZMM: all or none */

/* The head of the area: FXSAVE's (SDM 1, table 10-2). */
struct fxsave {
	uint16_t fcw, fsw;
	uint8_t ftw, reserved1;
	uint16_t fop;
	uint64_t fip, fdp;
	uint32_t mxcsr, mxcsr_mask;
	uint8_t registers[16 * (8 + 16)];
	uint8_t reserved2[96];
};
_Static_assert(sizeof(struct fxsave) == 512, "the processor knows this layout");

/* After it (SDM 1, 13.4.2). */
struct xsave_header {
	uint64_t xstate_bv, xcomp_bv;
	uint64_t reserved[6];
};

/* Both: as much of an area as XRSTOR reads where XSTATE_BV is zero. */
struct fpu_head {
	struct fxsave fxsave;
	struct xsave_header header;
} __aligned(64);
_Static_assert(offsetof(struct fpu_head, header) == XSAVE_HEADER &&
		       sizeof(struct xsave_header) == XSAVE_HEADER_SIZE,
	       "mm/x86_64/user_copy.S knows");

/* What MXCSR_MASK means when it is zero (SDM 1, 11.6.6). */
#define MXCSR_MASK_DEFAULT 0xffbf

#define FCW_INITIAL        0x037f /* psABI 3.4.1: all exceptions masked, 64-bit mantissa */
#define MXCSR_INITIAL      0x1f80 /* all exceptions masked, round to nearest */

/* A fresh program's state. */
static const struct fpu_head initial = {
	.fxsave = { .fcw = FCW_INITIAL, .mxcsr = MXCSR_INITIAL },
};

/* The bits of MXCSR that may be set; fpu_init(). */
static uint32_t mxcsr_mask;

static uint32_t find_mxcsr_mask(void)
{
	struct fxsave head __aligned(16);

	asm volatile("fxsave64 %0" : "=m"(head));
	return head.mxcsr_mask ? head.mxcsr_mask : MXCSR_MASK_DEFAULT;
}

void fpu_init(void)
{
	struct cpu_features *f = &cpu_features;
	uint32_t mxcsr = MXCSR_INITIAL;

	if (f->xsave) {
		struct cpuid states = cpuid(0xd, 0);
		uint64_t supported = (uint64_t)states.edx << 32 | states.eax;
		uint64_t mask = XSTATE_X87 | XSTATE_SSE | (supported & XSTATE_AVX);

		if ((mask & XSTATE_AVX) && (supported & XSTATE_AVX512) == XSTATE_AVX512)
			mask |= XSTATE_AVX512;
		xsetbv(0, mask);
		f->xsave_mask = mask;
		f->xsave_size = cpuid(0xd, 0).ebx; /* for what XCR0 enables now */
		f->xsaveopt = cpuid(0xd, 1).eax & 1;
	}
	asm volatile("fninit; ldmxcsr %0" ::"m"(mxcsr));
	mxcsr_mask = find_mxcsr_mask();
}

size_t fpu_area_size(void)
{
	return cpu_features.xsave ? cpu_features.xsave_size : sizeof(struct fxsave);
}

/*
 * XSTATE_BV, in the header, stays zero: XRSTOR then gives every component its initial state. MXCSR
 * is always loaded from the area; the rest of the head is for FXRSTOR.
 */
void fpu_area_init(void *area)
{
	assert(IS_ALIGNED((uintptr_t)area, 64));
	__builtin_memset(area, 0, fpu_area_size());
	*(struct fxsave *)area = initial.fxsave;
}

void fpu_save(void *area)
{
	uint32_t low = (uint32_t)cpu_features.xsave_mask;
	uint32_t high = (uint32_t)(cpu_features.xsave_mask >> 32);

	if (cpu_features.xsaveopt)
		asm volatile("xsaveopt64 (%0)" ::"r"(area), "a"(low), "d"(high) : "memory");
	else if (cpu_features.xsave)
		asm volatile("xsave64 (%0)" ::"r"(area), "a"(low), "d"(high) : "memory");
	else
		asm volatile("fxsave64 (%0)" ::"r"(area) : "memory");
}

void fpu_save_whole(void *area)
{
	uint32_t low = (uint32_t)cpu_features.xsave_mask;
	uint32_t high = (uint32_t)(cpu_features.xsave_mask >> 32);

	if (cpu_features.xsave)
		asm volatile("xsave64 (%0)" ::"r"(area), "a"(low), "d"(high) : "memory");
	else
		asm volatile("fxsave64 (%0)" ::"r"(area) : "memory");
}

/* XRSTOR faults on reserved bits (SDM 1, 13.8): of MXCSR, and anywhere in the header. */
bool fpu_area_check(const void *area)
{
	const struct fxsave *head = area;
	const struct xsave_header *header = (const void *)(head + 1);

	if (head->mxcsr & ~mxcsr_mask)
		return false;
	if (!cpu_features.xsave)
		return true;
	if ((header->xstate_bv & ~cpu_features.xsave_mask) || header->xcomp_bv)
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(header->reserved); i++) {
		if (header->reserved[i])
			return false;
	}
	return true;
}

void fpu_area_legacy_only(void *area)
{
	struct fxsave *head = area;
	struct xsave_header *header = (void *)(head + 1);

	if (cpu_features.xsave)
		*header = (struct xsave_header){ .xstate_bv = XSTATE_X87 | XSTATE_SSE };
}

void fpu_restore(const void *area)
{
	static const uint32_t zero;
	uint32_t low = (uint32_t)cpu_features.xsave_mask;
	uint32_t high = (uint32_t)(cpu_features.xsave_mask >> 32);

	/*
	 * Such a processor restores FIP, FDP and FOP only when an x87 exception is pending, and would
	 * show the next thread the last one's: overwrite them by an x87 load of our own.
	 */
	if (cpu_features.fxsave_leaks)
		asm volatile("fnclex; emms; fildl %0" ::"m"(zero));
	if (cpu_features.xsave)
		asm volatile("xrstor64 (%0)" ::"r"(area), "a"(low), "d"(high) : "memory");
	else
		asm volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
}

void fpu_reset(void)
{
	fpu_restore(&initial);
}

/* --- exceptions ----------------------------------------------------------------------------------- */

uint32_t fpu_exceptions(bool simd)
{
	uint16_t fsw, fcw;
	uint32_t mxcsr;

	if (simd) {
		asm volatile("stmxcsr %0" : "=m"(mxcsr));
		return mxcsr & ~(mxcsr >> 7) & FPU_EXCEPTIONS;
	}
	asm volatile("fnstsw %0; fnstcw %1" : "=m"(fsw), "=m"(fcw));
	return fsw & ~fcw & FPU_EXCEPTIONS;
}
