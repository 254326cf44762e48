/*
 * kernel/x86_64/cpu.c - bringing one processor into the state that the rest of the kernel expects.
 *
 * Segments mean little in long mode: the GDT holds the four flat ones that SYSCALL, SYSRET and the
 * gates load, and the TSS, which says where stacks begin. The control registers turn on whatever
 * the processor has that makes our own mistakes fault instead of succeed: WP, NX, SMEP, SMAP, UMIP.
 */
#include "kernel/x86_64/cpu.h"

#include "kernel/x86_64/fpu.h"
#include "kernel/x86_64/stack_guard.h"

struct cpu cpus[CPU_MAX];
uint32_t cpu_count;
struct cpu_features cpu_features;

_Static_assert(offsetof(struct cpu, self) == 0, "this_cpu() knows");
_Static_assert(offsetof(struct cpu, thread) == CPU_THREAD, "kernel/sched.h knows");
_Static_assert(offsetof(struct cpu, kernel_stack) == CPU_KERNEL_STACK, "entry.S knows");
_Static_assert(offsetof(struct cpu, user_sp) == CPU_USER_SP, "entry.S knows");
_Static_assert(offsetof(struct cpu_features, smap) == CPU_FEATURES_SMAP, "entry.S knows");
_Static_assert(offsetof(struct trapframe, r11) == TF_R11, "entry.S knows");
_Static_assert(offsetof(struct trapframe, rcx) == TF_RCX, "entry.S knows");
_Static_assert(offsetof(struct trapframe, vector) == TF_VECTOR, "entry.S knows");
_Static_assert(offsetof(struct trapframe, rip) == TF_RIP, "entry.S knows");
_Static_assert(offsetof(struct trapframe, cs) == TF_CS, "entry.S knows");
_Static_assert(offsetof(struct trapframe, rflags) == TF_RFLAGS, "entry.S knows");
_Static_assert(offsetof(struct trapframe, rsp) == TF_RSP, "entry.S knows");
_Static_assert(offsetof(struct trapframe, ss) == TF_SS, "entry.S knows");
_Static_assert(sizeof(struct trapframe) == TF_SIZE, "entry.S knows");

/* entry.S */
extern const char entry_vectors[];
void entry_syscall(void);

/* --- what it is ------------------------------------------------------------------------------- */

/* CPUID (SDM 2A, "CPUID"; AMD's volume 3 for 0x8000_0000 and above). */
#define CPUID_1_ECX_X2APIC       (1u << 21)
#define CPUID_1_ECX_TSC_DEADLINE (1u << 24)
#define CPUID_1_ECX_XSAVE        (1u << 26)
#define CPUID_1_ECX_RDRAND       (1u << 30)
#define CPUID_1_EDX_PGE          (1u << 13)
#define CPUID_1_EDX_PAT          (1u << 16)
#define CPUID_7_EBX_FSGSBASE     (1u << 0)
#define CPUID_7_EBX_SMEP         (1u << 7)
#define CPUID_7_EBX_RDSEED       (1u << 18)
#define CPUID_7_EBX_SMAP         (1u << 20)
#define CPUID_7_ECX_UMIP         (1u << 2)
#define CPUID_EXT_1_EDX_NX       (1u << 20)
#define CPUID_EXT_1_EDX_1GB      (1u << 26)
#define CPUID_EXT_7_EDX_TSC      (1u << 8)
#define CPUID_EXT_8_EBX_XERRPTR  (1u << 2)

/* A leaf beyond the last one answers like another one: all zero instead. */
static struct cpuid cpuid_or_zero(uint32_t leaf)
{
	uint32_t last = cpuid(leaf & 0x80000000u, 0).eax;

	return leaf <= last ? cpuid(leaf, 0) : (struct cpuid){ 0 };
}

static void read_names(struct cpu_features *f)
{
	struct cpuid id = cpuid(0, 0);
	uint32_t brand[12] = { 0 };
	const char *from = (const char *)brand;

	__builtin_memcpy(f->vendor, &id.ebx, 4);
	__builtin_memcpy(f->vendor + 4, &id.edx, 4);
	__builtin_memcpy(f->vendor + 8, &id.ecx, 4);
	for (uint32_t i = 0; i < 3; i++) {
		id = cpuid_or_zero(0x80000002u + i);
		__builtin_memcpy(brand + 4 * i, &id, sizeof(id));
	}
	while (from < (const char *)brand + sizeof(brand) && *from == ' ')
		from++; /* Intel pads on the left */
	for (size_t i = 0; from < (const char *)brand + sizeof(brand) && *from; i++)
		f->brand[i] = *from++;
}

static void read_features(struct cpu_features *f)
{
	struct cpuid one = cpuid(1, 0), seven = cpuid_or_zero(7);
	struct cpuid extended = cpuid_or_zero(0x80000001u);
	uint32_t sizes = cpuid_or_zero(0x80000008u).eax;

	read_names(f);
	f->stepping = one.eax & 0xf;
	f->family = one.eax >> 8 & 0xf;
	f->model = one.eax >> 4 & 0xf;
	if (f->family == 6 || f->family == 15)
		f->model |= (one.eax >> 16 & 0xf) << 4;
	if (f->family == 15)
		f->family += one.eax >> 20 & 0xff;
	f->physical_bits = sizes ? sizes & 0xff : 36;

	f->x2apic = one.ecx & CPUID_1_ECX_X2APIC;
	f->tsc_deadline = one.ecx & CPUID_1_ECX_TSC_DEADLINE;
	f->xsave = one.ecx & CPUID_1_ECX_XSAVE;
	f->rdrand = one.ecx & CPUID_1_ECX_RDRAND;
	f->global_pages = one.edx & CPUID_1_EDX_PGE;
	f->pat = one.edx & CPUID_1_EDX_PAT;
	f->fsgsbase = seven.ebx & CPUID_7_EBX_FSGSBASE;
	f->smep = seven.ebx & CPUID_7_EBX_SMEP;
	f->smap = seven.ebx & CPUID_7_EBX_SMAP;
	f->rdseed = seven.ebx & CPUID_7_EBX_RDSEED;
	f->umip = seven.ecx & CPUID_7_ECX_UMIP;
	f->nx = extended.edx & CPUID_EXT_1_EDX_NX;
	f->pdpe1gb = extended.edx & CPUID_EXT_1_EDX_1GB;
	f->tsc_invariant = cpuid_or_zero(0x80000007u).edx & CPUID_EXT_7_EDX_TSC;
	f->fxsave_leaks = __builtin_memcmp(f->vendor, "AuthenticAMD", 12) == 0 &&
			  !(cpuid_or_zero(0x80000008u).ebx & CPUID_EXT_8_EBX_XERRPTR);
}

/* --- segments --------------------------------------------------------------------------------- */

/* Descriptors with base 0 and limit 4 GiB, present and accessed (SDM 3A 3.4.5). */
#define SEGMENT_KERNEL_CODE UINT64_C(0x00af9b000000ffff)
#define SEGMENT_KERNEL_DATA UINT64_C(0x00cf93000000ffff)
#define SEGMENT_USER_DATA   UINT64_C(0x00cff3000000ffff)
#define SEGMENT_USER_CODE   UINT64_C(0x00affb000000ffff)
#define SEGMENT_TSS         UINT64_C(0x0000890000000000)

static GUARDED_STACK(nmi_stack, IST_STACK_SIZE);
static GUARDED_STACK(double_fault_stack, IST_STACK_SIZE);
static GUARDED_STACK(machine_check_stack, IST_STACK_SIZE);
static GUARDED_STACK(debug_stack, IST_STACK_SIZE);

static void load_segments(struct cpu *cpu)
{
	uint64_t tss = (uintptr_t)&cpu->tss, limit = sizeof(cpu->tss) - 1;
	uint64_t *gdt = cpu->gdt;
	struct descriptor_table table = { sizeof(cpu->gdt) - 1, (uintptr_t)gdt };

	gdt[GDT_KERNEL_CODE / 8] = SEGMENT_KERNEL_CODE;
	gdt[GDT_KERNEL_DATA / 8] = SEGMENT_KERNEL_DATA;
	gdt[GDT_USER_DATA / 8] = SEGMENT_USER_DATA;
	gdt[GDT_USER_CODE / 8] = SEGMENT_USER_CODE;
	gdt[GDT_TSS / 8] = SEGMENT_TSS | limit | (tss & 0xffffff) << 16 | (tss >> 24 & 0xff) << 56;
	gdt[GDT_TSS / 8 + 1] = tss >> 32;

	/* No I/O permission map: beyond the limit, every port is forbidden to user code. */
	cpu->tss.io_map_base = sizeof(cpu->tss);
	for (unsigned ist = IST_NONE + 1; ist < IST_COUNT; ist++) {
		struct cpu **top = (struct cpu **)(cpu->ist_stack[ist] + IST_STACK_SIZE) - 2;
		*top = cpu;
		cpu->tss.ist[ist - 1] = (uintptr_t)top;
	}

	load_gdt(&table);
	/* A far return is the way to load CS; the data segments are not used in long mode. */
	asm volatile("pushq %[code]\n\t"
		     "leaq 1f(%%rip), %%rax\n\t"
		     "pushq %%rax\n\t"
		     "lretq\n"
		     "1:\tmovl %[data], %%ss\n\t"
		     "movl %[none], %%ds\n\t"
		     "movl %[none], %%es\n\t"
		     "movl %[none], %%fs\n\t"
		     "movl %[none], %%gs\n\t"
		     "lldt %w[none]\n\t"
		     "ltr %w[tss]"
		     :
		     : [code] "i"(GDT_KERNEL_CODE), [data] "r"(GDT_KERNEL_DATA), [none] "r"(0),
		       [tss] "r"(GDT_TSS)
		     : "rax", "memory");
	wrmsr(MSR_FS_BASE, 0);
	wrmsr(MSR_GS_BASE, (uintptr_t)cpu);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
}

/* --- control registers -------------------------------------------------------------------------- */

/*
 * Memory types by PTE bits PCD and PWT: 0 write-back, 1 write-combining (write-through at reset, and
 * of no use), 2 uncached unless an MTRR says write-combining, 3 uncached; 4 to 7 as at reset.
 */
#define PAT_LAYOUT UINT64_C(0x0007040600070106)

void cpu_forbid_tsc(bool forbid)
{
	uint64_t cr4 = read_cr4();

	write_cr4(forbid ? cr4 | X86_CR4_TSD : cr4 & ~X86_CR4_TSD);
}

static void set_control_registers(const struct cpu_features *f)
{
	uint64_t cr0 = read_cr0(), cr4 = read_cr4();

	/* AM lets a user ask for alignment checks by AC, as on Linux. */
	cr0 &= ~(X86_CR0_EM | X86_CR0_TS | X86_CR0_NW | X86_CR0_CD);
	cr0 |= X86_CR0_WP | X86_CR0_NE | X86_CR0_MP | X86_CR0_AM;
	write_cr0(cr0);

	cr4 &= ~(X86_CR4_TSD | X86_CR4_PCE | X86_CR4_PCIDE | X86_CR4_PKE | X86_CR4_CET);
	cr4 |= X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_MCE | X86_CR4_DE;
	cr4 |= (f->global_pages ? X86_CR4_PGE : 0) | (f->smep ? X86_CR4_SMEP : 0) |
	       (f->smap ? X86_CR4_SMAP : 0) | (f->umip ? X86_CR4_UMIP : 0) |
	       (f->fsgsbase ? X86_CR4_FSGSBASE : 0) | (f->xsave ? X86_CR4_OSXSAVE : 0);
	write_cr4(cr4);

	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE | (f->nx ? EFER_NXE : 0));
	if (f->pat) {
		wrmsr(MSR_PAT, PAT_LAYOUT);
		write_cr3(read_cr3());
	}
	/* Whatever firmware or a boot loader was debugging. */
	write_dr7(DR7_CLEAR);
	write_dr6(DR6_CLEAR);
}

void cpu_init(uint32_t number)
{
	struct cpu *cpu = &cpus[number];

	assert(number < CPU_MAX);
	if (number == 0) {
		read_features(&cpu_features);
		cpu->ist_stack[IST_NMI] = nmi_stack.stack;
		cpu->ist_stack[IST_DOUBLE_FAULT] = double_fault_stack.stack;
		cpu->ist_stack[IST_MACHINE_CHECK] = machine_check_stack.stack;
		cpu->ist_stack[IST_DEBUG] = debug_stack.stack;
	}
	cpu->self = cpu;
	cpu->number = number;
	load_segments(cpu);
	set_control_registers(&cpu_features);
	fpu_init();
	cpu_count++;
}

void cpu_set_kernel_stack(vaddr_t top)
{
	struct cpu *cpu = this_cpu();

	cpu->kernel_stack = top;
	cpu->tss.rsp[0] = top;
}

/* --- the ways in -------------------------------------------------------------------------------- */

/* SDM 3A 6.14.1: a 64-bit interrupt gate. */
struct gate {
	uint16_t offset_low;
	uint16_t selector;
	uint8_t ist;
	uint8_t type;
	uint16_t offset_middle;
	uint32_t offset_high;
	uint32_t reserved;
};
_Static_assert(sizeof(struct gate) == 16, "the processor knows this layout");

#define GATE_INTERRUPT 0x8e /* present, for the kernel's own use, clears IF */
#define GATE_USER      0x60 /* may be used by an INT instruction in user mode */

/* Written by the boot CPU, the same for all. */
static struct gate idt[VECTORS];

static unsigned ist_of(unsigned vector)
{
	switch (vector) {
	case VECTOR_NMI:
		return IST_NMI;
	case VECTOR_DOUBLE_FAULT:
		return IST_DOUBLE_FAULT;
	case VECTOR_MACHINE_CHECK:
		return IST_MACHINE_CHECK;
	case VECTOR_DEBUG:
		return IST_DEBUG;
	default:
		return IST_NONE;
	}
}

static void fill_idt(void)
{
	for (unsigned vector = 0; vector < VECTORS; vector++) {
		uint64_t entry = (uintptr_t)entry_vectors + vector * VECTOR_STUB_SIZE;
		bool user = vector == VECTOR_BREAKPOINT || vector == VECTOR_OVERFLOW;

		idt[vector] = (struct gate){
			.offset_low = entry & 0xffff,
			.offset_middle = entry >> 16 & 0xffff,
			.offset_high = entry >> 32,
			.selector = GDT_KERNEL_CODE,
			.ist = ist_of(vector),
			.type = GATE_INTERRUPT | (user ? GATE_USER : 0),
		};
	}
}

/* All that user code could have set, and that the kernel does not want to find set. */
#define SYSCALL_CLEARS                                                                     \
	(X86_EFLAGS_TF | X86_EFLAGS_IF | X86_EFLAGS_DF | X86_EFLAGS_IOPL | X86_EFLAGS_NT | \
	 X86_EFLAGS_RF | X86_EFLAGS_AC | X86_EFLAGS_ID | X86_EFLAGS_CF | X86_EFLAGS_PF |   \
	 X86_EFLAGS_AF | X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_OF)

void cpu_load_vectors(void)
{
	struct descriptor_table table = { sizeof(idt) - 1, (uintptr_t)idt };

	if (this_cpu()->number == 0)
		fill_idt();
	load_idt(&table);

	wrmsr(MSR_STAR, (uint64_t)(GDT_USER_DATA - 8) << 48 | (uint64_t)GDT_KERNEL_CODE << 32);
	wrmsr(MSR_LSTAR, (uintptr_t)entry_syscall);
	wrmsr(MSR_SFMASK, SYSCALL_CLEARS);
	/* Without a 32-bit code segment CSTAR cannot be reached; SYSENTER can, and this makes it #GP. */
	wrmsr(MSR_CSTAR, 0);
	wrmsr(MSR_SYSENTER_CS, 0);
}

/* --- the user's FS and GS ------------------------------------------------------------------------- */

uint64_t cpu_user_fs_base(void)
{
	uint64_t base;

	if (!cpu_features.fsgsbase)
		return rdmsr(MSR_FS_BASE);
	asm volatile("rdfsbase %0" : "=r"(base));
	return base;
}

void cpu_set_user_fs_base(uint64_t base)
{
	if (cpu_features.fsgsbase)
		asm volatile("wrfsbase %0" ::"r"(base));
	else
		wrmsr(MSR_FS_BASE, base);
}

/* In the kernel the user's GS base is the one that SWAPGS will bring back. */
uint64_t cpu_user_gs_base(void)
{
	return rdmsr(MSR_KERNEL_GS_BASE);
}

void cpu_set_user_gs_base(uint64_t base)
{
	wrmsr(MSR_KERNEL_GS_BASE, base);
}

void cpu_triple_fault(void)
{
	const struct descriptor_table none = { 0, 0 };

	for (;;) {
		load_idt(&none);
		asm volatile("int3");
	}
}
