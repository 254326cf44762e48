/*
 * kernel/x86_64/fpu.h - for cpu_init() only; the rest of the FPU is in cpu.h.
 */
#ifndef HAWSER_KERNEL_X86_64_FPU_H
#define HAWSER_KERNEL_X86_64_FPU_H

/* Says which registers XSAVE handles, and puts the FPU into its initial state, on this CPU. */
void fpu_init(void);

#endif
