/*
 * proc/procfs_cpuinfo.c - /proc/cpuinfo: what the processors are, with the names that Linux has for what they
 * can do.
 */
#include "fs/synthetic.h"
#include "kernel/clock.h"
#include "kernel/panic.h"
#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/regs.h"
#include "proc/procfs.h"

#define WORD_BITS 32

enum { EAX, EBX, ECX, EDX };

/* A word of CPUID, bit by bit; what Linux does not show has no name. Intel's SDM and AMD's APM, CPUID. */
static const struct {
	uint32_t leaf;
	int word;
	const char *names[WORD_BITS];
} words[] = {
	{ 1, EDX, { "fpu",  "vme",   "de",   "pse",     "tsc",  "msr", "pae",  "mce",
		    "cx8",  "apic",  NULL,   "sep",     "mtrr", "pge", "mca",  "cmov",
		    "pat",  "pse36", "pn",   "clflush", NULL,   "dts", "acpi", "mmx",
		    "fxsr", "sse",   "sse2", "ss",      "ht",   "tm",  "ia64", "pbe" } },
	{ 0x80000001,
	  EDX,
	  { [11] = "syscall",
	    [20] = "nx",
	    [22] = "mmxext",
	    [25] = "fxsr_opt",
	    [26] = "pdpe1gb",
	    [27] = "rdtscp",
	    [29] = "lm",
	    [30] = "3dnowext",
	    [31] = "3dnow" } },
	{ 1, ECX, { "pni",    "pclmulqdq", "dtes64", "monitor", "ds_cpl",
		    "vmx",    "smx",       "est",    "tm2",     "ssse3",
		    "cid",    "sdbg",      "fma",    "cx16",    "xtpr",
		    "pdcm",   NULL,        "pcid",   "dca",     "sse4_1",
		    "sse4_2", "x2apic",    "movbe",  "popcnt",  "tsc_deadline_timer",
		    "aes",    "xsave",     NULL,     "avx",     "f16c",
		    "rdrand", "hypervisor" } },
	{ 0x80000001,
	  ECX,
	  { "lahf_lm", "cmp_legacy", "svm", "extapic", "cr8_legacy", "abm", "sse4a", "misalignsse",
	    "3dnowprefetch" } },
	{ 7,
	  EBX,
	  { [0] = "fsgsbase",
	    [3] = "bmi1",
	    [5] = "avx2",
	    [7] = "smep",
	    [8] = "bmi2",
	    [9] = "erms",
	    [10] = "invpcid",
	    [16] = "avx512f",
	    [17] = "avx512dq",
	    [18] = "rdseed",
	    [19] = "adx",
	    [20] = "smap",
	    [23] = "clflushopt",
	    [24] = "clwb",
	    [28] = "avx512cd",
	    [29] = "sha_ni",
	    [30] = "avx512bw",
	    [31] = "avx512vl" } },
	{ 7, ECX, { [2] = "umip", [9] = "vaes", [10] = "vpclmulqdq", [22] = "rdpid" } },
};

static uint32_t word_of(uint32_t leaf, int word)
{
	uint32_t last = cpuid(leaf & 0x80000000, 0).eax;
	struct cpuid result;

	if (leaf > last)
		return 0;
	result = cpuid(leaf, 0);
	return word == EBX ? result.ebx : word == ECX ? result.ecx : result.edx;
}

static void print_flags(struct text *text)
{
	text_printf(text, "flags\t\t:");
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		uint32_t set = word_of(words[i].leaf, words[i].word);

		for (unsigned bit = 0; bit < WORD_BITS; bit++) {
			if ((set >> bit & 1) && words[i].names[bit])
				text_printf(text, " %s", words[i].names[bit]);
		}
	}
	text_printf(text, "\n");
}

static int generate_cpuinfo(struct text *text, uint32_t number)
{
	uint64_t khz = clock_tsc_khz();

	for (uint32_t i = 0; i < cpu_count; i++) {
		text_printf(text,
			    "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n"
			    "model name\t: %s\nstepping\t: %u\ncpu MHz\t\t: %lu.%03lu\n",
			    i, cpu_features.vendor, cpu_features.family, cpu_features.model,
			    cpu_features.brand, cpu_features.stepping, khz / 1000, khz % 1000);
		text_printf(text,
			    "fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\n",
			    cpuid(0, 0).eax);
		print_flags(text);
		text_printf(text,
			    "clflush size\t: %u\naddress sizes\t: %u bits physical, 48 bits "
			    "virtual\n\n",
			    (cpuid(1, 0).ebx >> 8 & 0xff) * 8, cpu_features.physical_bits);
	}
	return 0;
}

void procfs_init_cpuinfo(void)
{
	static const struct synthetic file = { .path = "cpuinfo", .generate = generate_cpuinfo };

	if (synthetic_register(&file) != 0)
		panic("no memory for /proc/cpuinfo");
}
