/*
 * Takes the place of kernel/x86_64/cpu.h on the host: one CPU, whose data is an ordinary variable.
 */
#ifndef HAWSER_KERNEL_X86_64_CPU_H
#define HAWSER_KERNEL_X86_64_CPU_H

#include "kernel/base.h"

#define CPU_MAX 64

struct pmap;

struct cpu {
	uint32_t number;
	uint32_t irq_off_depth;
	uint32_t spin_count;
	struct pmap *pmap;
};

extern struct cpu cpus[CPU_MAX];
extern uint32_t cpu_count;

static inline struct cpu *this_cpu(void)
{
	return &cpus[0];
}

#endif
