/*
 * kernel/x86_64/apic.c - the local APIC, by memory (xAPIC) or by MSR (x2APIC).
 *
 * x2APIC is used only where firmware has turned it on: going back would need a reset, and going
 * there gains nothing for one processor. Register offsets are xAPIC's; x2APIC has the same registers
 * at MSR 0x800 + offset / 16.
 */
#include "kernel/x86_64/apic.h"

#include "kernel/x86_64/cpu.h"

#define APIC_BASE_ENABLE   (UINT64_C(1) << 11)
#define APIC_BASE_X2APIC   (UINT64_C(1) << 10)
#define APIC_BASE_ADDRESS  UINT64_C(0x000ffffffffff000)

#define APIC_ID            0x020
#define APIC_VERSION       0x030
#define APIC_TASK_PRIORITY 0x080
#define APIC_EOI           0x0b0
#define APIC_SPURIOUS      0x0f0
#define APIC_IN_SERVICE    0x100 /* eight words */
#define APIC_ERRORS        0x280
#define APIC_LVT_TIMER     0x320
#define APIC_LVT_THERMAL   0x330
#define APIC_LVT_COUNTERS  0x340
#define APIC_LVT_LINT0     0x350
#define APIC_LVT_LINT1     0x360
#define APIC_LVT_ERROR     0x370
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE  0x3e0

#define SPURIOUS_ENABLE    (1u << 8)
#define LVT_MASKED         (1u << 16)
#define LVT_NMI            (4u << 8)
#define LVT_EXTINT         (7u << 8)
#define LVT_TIMER_DEADLINE (2u << 17)
#define LVT_LAST_THERMAL   5 /* the version register's "last LVT entry" from which each exists */
#define LVT_LAST_COUNTERS  4
#define TIMER_DIVIDE_BY_4  0x1
#define IN_SERVICE_MAX     VECTORS

/* Set by the boot CPU; every CPU sees its own APIC there. */
static volatile char *xapic;
static bool x2apic;

static uint32_t apic_read(unsigned offset)
{
	if (x2apic)
		return (uint32_t)rdmsr(MSR_X2APIC + offset / 16);
	return *(volatile uint32_t *)(xapic + offset);
}

static void apic_write(unsigned offset, uint32_t value)
{
	if (x2apic)
		wrmsr(MSR_X2APIC + offset / 16, value);
	else
		*(volatile uint32_t *)(xapic + offset) = value;
}

paddr_t apic_base(void)
{
	return rdmsr(MSR_APIC_BASE) & APIC_BASE_ADDRESS;
}

static bool anything_in_service(void)
{
	for (unsigned word = 0; word < VECTORS / 32; word++) {
		if (apic_read(APIC_IN_SERVICE + 16 * word))
			return true;
	}
	return false;
}

void apic_init(volatile void *registers)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);
	uint32_t last_lvt;

	x2apic = base & APIC_BASE_X2APIC;
	xapic = registers;
	if (!(base & APIC_BASE_ENABLE))
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE);

	apic_write(APIC_TASK_PRIORITY, 0);
	apic_write(APIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
	/* Who was here before may have left without finishing its interrupts, and would block ours. */
	for (unsigned i = 0; i < IN_SERVICE_MAX && anything_in_service(); i++)
		apic_end();

	last_lvt = apic_read(APIC_VERSION) >> 16 & 0xff;
	if (last_lvt >= LVT_LAST_THERMAL)
		apic_write(APIC_LVT_THERMAL, LVT_MASKED);
	if (last_lvt >= LVT_LAST_COUNTERS)
		apic_write(APIC_LVT_COUNTERS, LVT_MASKED);
	apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	/* The 8259 pair interrupts one processor only. */
	apic_write(APIC_LVT_LINT0, this_cpu()->number == 0 ? LVT_EXTINT : LVT_EXTINT | LVT_MASKED);
	apic_write(APIC_LVT_LINT1, LVT_NMI);
	apic_errors();
	apic_write(APIC_LVT_ERROR, VECTOR_APIC_ERROR);
	this_cpu()->apic_id = x2apic ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24;
}

void apic_end(void)
{
	apic_write(APIC_EOI, 0);
}

uint32_t apic_errors(void)
{
	apic_write(APIC_ERRORS, 0); /* latches what there is */
	return apic_read(APIC_ERRORS);
}

void apic_timer_init(bool deadline_mode)
{
	apic_write(APIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_4);
	apic_write(APIC_TIMER_INITIAL, 0);
	apic_write(APIC_LVT_TIMER,
		   deadline_mode ? LVT_TIMER_DEADLINE | VECTOR_TIMER : VECTOR_TIMER);
	/* The mode must have arrived before the first deadline does (SDM 3A 10.5.4.1). */
	asm volatile("mfence" ::: "memory");
}

void apic_timer_set_deadline(uint64_t tsc)
{
	wrmsr(MSR_TSC_DEADLINE, tsc);
}

void apic_timer_set_count(uint32_t count)
{
	apic_write(APIC_TIMER_INITIAL, count);
}

uint32_t apic_timer_count(void)
{
	return apic_read(APIC_TIMER_CURRENT);
}
