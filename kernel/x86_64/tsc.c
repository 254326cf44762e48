/*
 * kernel/x86_64/tsc.c - calibrating the time-stamp counter and the local APIC's timer.
 *
 * The PIT (Intel 8254 data sheet) counts 1,193,182 times a second everywhere. Channel 2, whose gate
 * is under our control and whose output drives nothing but the speaker, counts down freely; it is
 * read together with the two counters at both ends of a window. A reading is good when nothing came
 * between its two looks at the TSC (an SMI, a hypervisor): of several the one with the
 * shortest look is taken, and the PIT's value belongs to its middle. One count of the PIT in 5 ms
 * is 0.017 %. Its 16 bits last for 55 ms: a window in which a virtual machine's host was busy for
 * longer than that is seen by the channel's output, which rises as the count passes zero, and is
 * measured again.
 */
#include "kernel/x86_64/tsc.h"

#include "kernel/x86_64/apic.h"
#include "kernel/x86_64/regs.h"

#define PIT_HZ                 UINT64_C(1193182)
#define PIT_CHANNEL_2          0x42
#define PIT_COMMAND            0x43
#define PIT_2_ONE_SHOT         0xb0 /* channel 2, both bytes, mode 0 */
#define PIT_2_LATCH            0x80
#define PIT_START              UINT16_MAX
#define PORT_B                 0x61 /* system control port B */
#define PORT_B_GATE_2          0x01
#define PORT_B_SPEAKER         0x02
#define PORT_B_OUTPUT_2        0x20

#define WINDOW_PIT_COUNTS      (PIT_HZ / 200) /* 5 ms */
#define WINDOWS_MAX            10             /* an output that is always high tells nothing */
#define READINGS               5
#define PAUSE_LOOPS            10000 /* between looks at the PIT: 3 to 30 µs, few port accesses */
#define LOOKS_MAX              20000 /* a PIT that stands still must not hang the machine */

#define CPUID_TSC              0x15 /* SDM 2A: ratio TSC / crystal, and the crystal */
#define CPUID_NOMINAL          0x16 /* SDM 2A: base frequency in MHz */
#define CPUID_HYPERVISOR       0x40000000
#define CPUID_HV_TIMING        0x40000010 /* VMware's and KVM's: TSC and bus in kHz */
#define CPUID_1_ECX_HYPERVISOR (1u << 31)
#define APIC_DIVISOR           4 /* apic_timer_init() */

struct reading {
	uint64_t tsc;
	uint32_t apic;
	uint16_t pit;
};

static struct reading read_once(bool apic, uint64_t *width)
{
	struct reading r = { 0 };
	uint64_t before = rdtsc();

	outb(PIT_COMMAND, PIT_2_LATCH);
	if (apic)
		r.apic = apic_timer_count();
	uint64_t after = rdtsc();
	r.pit = inb(PIT_CHANNEL_2);
	r.pit |= (uint16_t)inb(PIT_CHANNEL_2) << 8;
	*width = after - before;
	r.tsc = before + *width / 2;
	return r;
}

static struct reading read_well(bool apic)
{
	uint64_t best_width, width;
	struct reading best = read_once(apic, &best_width);

	for (unsigned i = 1; i < READINGS; i++) {
		struct reading r = read_once(apic, &width);
		if (width < best_width) {
			best = r;
			best_width = width;
		}
	}
	return best;
}

static void start_pit(void)
{
	outb(PORT_B, (inb(PORT_B) & ~PORT_B_SPEAKER) | PORT_B_GATE_2);
	outb(PIT_COMMAND, PIT_2_ONE_SHOT);
	outb(PIT_CHANNEL_2, PIT_START & 0xff);
	outb(PIT_CHANNEL_2, PIT_START >> 8);
}

static bool wait_for_window(uint16_t start)
{
	uint64_t width;

	for (unsigned look = 0; look < LOOKS_MAX; look++) {
		if ((uint16_t)(start - read_once(false, &width).pit) >= WINDOW_PIT_COUNTS)
			return true;
		for (unsigned i = 0; i < PAUSE_LOOPS; i++)
			asm volatile("");
	}
	return false;
}

/* False if the PIT stands still. */
static bool measure_once(bool need_apic, struct tsc_rates *out)
{
	struct reading start, end;
	uint64_t counts, width;

	start_pit();
	read_once(false, &width); /* the count is loaded by the PIT's next clock */
	if (need_apic)
		apic_timer_set_count(UINT32_MAX);
	start = read_well(need_apic);
	if (!wait_for_window(start.pit))
		return false;
	end = read_well(need_apic);
	if (need_apic)
		apic_timer_set_count(0);

	counts = (uint16_t)(start.pit - end.pit);
	out->tsc_hz = (end.tsc - start.tsc) * PIT_HZ / counts;
	out->apic_hz = need_apic ? (uint64_t)(start.apic - end.apic) * PIT_HZ / counts : 0;
	out->source = "measured";
	return true;
}

static bool measure(bool need_apic, struct tsc_rates *out)
{
	for (unsigned window = 0; window < WINDOWS_MAX; window++) {
		if (!measure_once(need_apic, out))
			return false;
		if (!(inb(PORT_B) & PORT_B_OUTPUT_2))
			break;
	}
	return true;
}

/* The leaf means this under VMware and KVM only. */
static bool hypervisor_tells(void)
{
	struct cpuid id;

	if (!(cpuid(1, 0).ecx & CPUID_1_ECX_HYPERVISOR))
		return false;
	id = cpuid(CPUID_HYPERVISOR, 0);
	return id.eax >= CPUID_HV_TIMING && (__builtin_memcmp(&id.ebx, "VMwareVMware", 12) == 0 ||
					     __builtin_memcmp(&id.ebx, "KVMKVMKVM\0\0\0", 12) == 0);
}

/* What is exact: a hypervisor's word, or a crystal that CPUID names. */
static bool ask(struct tsc_rates *out)
{
	struct cpuid id;

	if (hypervisor_tells()) {
		id = cpuid(CPUID_HV_TIMING, 0);
		if (id.eax && id.ebx) {
			out->tsc_hz = id.eax * UINT64_C(1000);
			out->apic_hz = id.ebx * UINT64_C(1000) / APIC_DIVISOR;
			out->source = "told by the hypervisor";
			return true;
		}
	}
	if (cpuid(0, 0).eax >= CPUID_TSC) {
		id = cpuid(CPUID_TSC, 0);
		if (id.eax && id.ebx && id.ecx) {
			out->tsc_hz = (uint64_t)id.ecx * id.ebx / id.eax;
			out->apic_hz = id.ecx / APIC_DIVISOR;
			out->source = "told by the processor";
			return true;
		}
	}
	return false;
}

/*
 * The frequency on the box, in whole MHz and up to 0.3 % beside the real one: for machines so new
 * that their PIT stands still. All of those have a timer in deadline mode.
 */
static bool take_nominal(struct tsc_rates *out)
{
	if (cpuid(0, 0).eax < CPUID_NOMINAL)
		return false;
	out->tsc_hz = (cpuid(CPUID_NOMINAL, 0).eax & 0xffff) * UINT64_C(1000000);
	out->apic_hz = 0;
	out->source = "nominal: there is nothing to measure it against";
	return out->tsc_hz != 0;
}

bool tsc_calibrate(bool need_apic, struct tsc_rates *out)
{
	return ask(out) || measure(need_apic, out) || (!need_apic && take_nominal(out));
}
