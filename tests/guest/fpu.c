/*
 * Vector and floating-point registers survive system calls, sleeping, and other threads of the
 * machine; a new program starts with the defaults.
 */
#include "tap.h"

#include <cpuid.h>
#include <fcntl.h>
#include <stdint.h>
#include <time.h>

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static bool has_avx(void)
{
	unsigned a, b, c, d, low, high;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_AVX))
		return false;
	asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (low & 6) == 6;
}

/* The registers' control words, as a program finds them. */
static void controls_are_the_defaults(void)
{
	uint32_t mxcsr;
	uint16_t control;

	asm volatile("stmxcsr %0" : "=m"(mxcsr));
	asm volatile("fnstcw %0" : "=m"(control));
	ok((mxcsr & ~0x3fu) == 0x1f80, "MXCSR is 0x%x", mxcsr);
	ok(control == 0x37f, "the x87 control word is 0x%x", control);
}

/* Sixteen different values through a system call and back. */
static bool sse_survives(long number, long a, long b)
{
	static uint64_t in[32] __attribute__((aligned(16))), out[32] __attribute__((aligned(16)));

	for (int i = 0; i < 32; i++)
		in[i] = UINT64_C(0x0123456789abcdef) * (uint64_t)(i + 1);
	asm volatile(
#define EACH(what)                                                                               \
	what(0) what(1) what(2) what(3) what(4) what(5) what(6) what(7) what(8) what(9) what(10) \
		what(11) what(12) what(13) what(14) what(15)
#define LOAD(n)  "movaps " #n "*16(%[in]), %%xmm" #n "\n\t"
#define STORE(n) "movaps %%xmm" #n ", " #n "*16(%[out])\n\t"
		EACH(LOAD) "syscall\n\t" EACH(STORE)
		: "+a"(number)
		: "D"(a), "S"(b), [in] "r"(in), [out] "r"(out)
		: "rcx", "r11", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
		  "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
	return memcmp(in, out, sizeof(in)) == 0;
}

static bool avx_survives(long number, long a, long b)
{
	static uint64_t in[8] __attribute__((aligned(32))), out[8] __attribute__((aligned(32)));

	for (int i = 0; i < 8; i++)
		in[i] = UINT64_C(0xfedcba9876543210) + (uint64_t)i;
	asm volatile("vmovaps (%[in]), %%ymm0\n\t vmovaps 32(%[in]), %%ymm15\n\t"
		     "syscall\n\t"
		     "vmovaps %%ymm0, (%[out])\n\t vmovaps %%ymm15, 32(%[out])\n\t vzeroupper"
		     : "+a"(number)
		     : "D"(a), "S"(b), [in] "r"(in), [out] "r"(out)
		     : "rcx", "r11", "memory", "xmm0", "xmm15");
	return memcmp(in, out, sizeof(in)) == 0;
}

/* Runs on while timers and packets interrupt; the registers are only ever this program's. */
static bool survives_interrupts(void)
{
	int64_t end = now() + 300000000;
	bool same = true;

	while (same && now() < end) {
		uint64_t in = 0x5555aaaa5555aaaa, out = 0;

		asm volatile("movq %[in], %%xmm7\n\t"
			     "mov $200000, %%ecx\n"
			     "1: dec %%ecx\n\t"
			     "jnz 1b\n\t"
			     "movq %%xmm7, %[out]"
			     : [out] "=r"(out)
			     : [in] "r"(in)
			     : "ecx", "xmm7");
		same = in == out;
	}
	return same;
}

int main(int argc, char **argv)
{
	struct timespec moment = { .tv_nsec = 10000000 };
	char *again[] = { argv[0], "again", NULL };
	uint32_t odd = 0x7f80;
	uint16_t odd_control = 0xf7f;
	volatile long double third = 1.0L;

	tap_begin(argv);
	controls_are_the_defaults();
	if (argc > 1)
		return done();

	ok(sse_survives(39 /* getpid */, 0, 0), "SSE registers survive getpid");
	ok(sse_survives(35 /* nanosleep */, (long)&moment, 0), "and 10 ms of sleep");
	ok(sse_survives(24 /* sched_yield */, 0, 0), "and yielding");
	if (has_avx())
		ok(avx_survives(35, (long)&moment, 0), "AVX registers survive sleep");
	ok(survives_interrupts(), "300 ms of interrupts");
	third /= 3;
	nanosleep(&moment, NULL);
	ok(third * 3 == 1.0L, "long double arithmetic");

	/* The next program must not see these. */
	asm volatile("ldmxcsr %0" ::"m"(odd));
	asm volatile("fldcw %0" ::"m"(odd_control));
	return tap_exec("/proc/self/exe", again);
}
