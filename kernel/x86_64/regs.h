/*
 * kernel/x86_64/regs.h - the processor's instructions that C has no words for, one function each.
 *
 * Numbers of model-specific registers and bits of control registers come from
 * <asm/processor-flags.h> where it has them, otherwise from the SDM (volume 4, and 3A chapter 2).
 */
#ifndef HAWSER_KERNEL_X86_64_REGS_H
#define HAWSER_KERNEL_X86_64_REGS_H

#include "kernel/base.h"
#include <asm/processor-flags.h>

#define MSR_APIC_BASE      0x0000001b
#define MSR_SYSENTER_CS    0x00000174
#define MSR_MCG_CAP        0x00000179
#define MSR_PAT            0x00000277
#define MSR_MC0_STATUS     0x00000401 /* + 4 for each bank */
#define MSR_MC0_ADDR       0x00000402
#define MSR_TSC_DEADLINE   0x000006e0
#define MSR_X2APIC         0x00000800 /* + register offset / 16 */
#define MSR_EFER           0xc0000080
#define MSR_STAR           0xc0000081
#define MSR_LSTAR          0xc0000082
#define MSR_CSTAR          0xc0000083
#define MSR_SFMASK         0xc0000084
#define MSR_FS_BASE        0xc0000100
#define MSR_GS_BASE        0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102

#define MCG_CAP_BANKS      0xffu /* how many */
#define MC_STATUS_VALID    (UINT64_C(1) << 63)
#define MC_STATUS_ADDRESS  (UINT64_C(1) << 58) /* the address register holds one */

#define EFER_SCE           (1u << 0)
#define EFER_LME           (1u << 8)
#define EFER_LMA           (1u << 10)
#define EFER_NXE           (1u << 11)

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;
	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	asm volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
		     : "memory");
}

#define DEFINE_CONTROL_REGISTER(n)                                          \
	static inline uint64_t read_cr##n(void)                             \
	{                                                                   \
		uint64_t value;                                             \
		asm volatile("mov %%cr" #n ", %0" : "=r"(value)::"memory"); \
		return value;                                               \
	}                                                                   \
	static inline void write_cr##n(uint64_t value)                      \
	{                                                                   \
		asm volatile("mov %0, %%cr" #n ::"r"(value) : "memory");    \
	}
DEFINE_CONTROL_REGISTER(0)
DEFINE_CONTROL_REGISTER(2)
DEFINE_CONTROL_REGISTER(3)
DEFINE_CONTROL_REGISTER(4)

#define DEFINE_DEBUG_REGISTER(n)                                  \
	static inline uint64_t read_dr##n(void)                   \
	{                                                         \
		uint64_t value;                                   \
		asm volatile("mov %%dr" #n ", %0" : "=r"(value)); \
		return value;                                     \
	}                                                         \
	static inline void write_dr##n(uint64_t value)            \
	{                                                         \
		asm volatile("mov %0, %%dr" #n ::"r"(value));     \
	}
DEFINE_DEBUG_REGISTER(6)
DEFINE_DEBUG_REGISTER(7)

/* Of DR6 (SDM 3B 17.2.3), and what DR6 and DR7 hold when nothing is set. */
#define DR6_BREAKPOINTS 0xfu
#define DR6_STEP        (1u << 14)
#define DR6_CLEAR       UINT64_C(0xffff0ff0)
#define DR7_CLEAR       UINT64_C(0x400)

/* An extended control register: XCR0 says which registers XSAVE knows. */
static inline void xsetbv(uint32_t index, uint64_t value)
{
	asm volatile("xsetbv" ::"c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

/* LGDT and LIDT. */
struct descriptor_table {
	uint16_t limit;
	uint64_t base;
} __packed;

static inline void load_gdt(const struct descriptor_table *table)
{
	asm volatile("lgdt %0" ::"m"(*table) : "memory");
}

static inline void load_idt(const struct descriptor_table *table)
{
	asm volatile("lidt %0" ::"m"(*table) : "memory");
}

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid r;
	asm volatile("cpuid"
		     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
		     : "a"(leaf), "c"(subleaf));
	return r;
}

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;
	asm volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static inline void cpu_relax(void)
{
	asm volatile("pause" ::: "memory");
}

static inline void irq_disable(void)
{
	asm volatile("cli" ::: "memory");
}

static inline void irq_enable(void)
{
	asm volatile("sti" ::: "memory");
}

static inline uint64_t read_flags(void)
{
	uint64_t flags;
	asm volatile("pushfq; pop %0" : "=r"(flags)::"memory");
	return flags;
}

static inline bool irq_enabled(void)
{
	return read_flags() & X86_EFLAGS_IF;
}

/* Enables interrupts and halts, atomically: an interrupt between the two still wakes it. */
static inline void cpu_halt_until_interrupt(void)
{
	asm volatile("sti; hlt" ::: "memory");
}

static inline void invlpg(vaddr_t address)
{
	asm volatile("invlpg (%0)" ::"r"(address) : "memory");
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;
	asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t value;
	asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t value;
	asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void outb(uint16_t port, uint8_t value)
{
	asm volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t value)
{
	asm volatile("outw %0, %1" ::"a"(value), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t value)
{
	asm volatile("outl %0, %1" ::"a"(value), "Nd"(port));
}

#endif
