#include "kernel/x86_64/cpu.h"
#include "kernel/lock.h"

struct cpu cpus[CPU_MAX];
uint32_t cpu_count = 1;

void irq_push_off(void)
{
	this_cpu()->irq_off_depth++;
}

void irq_pop_off(void)
{
	assert(this_cpu()->irq_off_depth > 0);
	this_cpu()->irq_off_depth--;
}
