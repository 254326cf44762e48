/*
 * The state in which user code may enter the kernel: whatever it has put into the flags, RSP and GS,
 * a system call and an interrupt do what they always do, and give it back as it was.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <asm/hwcap2.h>
#include <asm/processor-flags.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>

#define KERNEL_HALF UINT64_C(0xffff888000000000)

/* A system call of three arguments with more flags set; which flags it came back with. */
static long with_flags(uint64_t flags, uint64_t *after, long number, const void *a, const void *b,
		       long c)
{
	long result;

	asm volatile("lea -128(%%rsp), %%rsp\n\t" /* below the red zone */
		     "pushfq\n\t"
		     "or %[flags], (%%rsp)\n\t"
		     "popfq\n\t"
		     "syscall\n\t"
		     "pushfq\n\t"
		     "mov (%%rsp), %[after]\n\t"
		     "andq %[cleared], (%%rsp)\n\t"
		     "popfq\n\t"
		     "lea 128(%%rsp), %%rsp"
		     : "=a"(result), [after] "=&r"(*after)
		     : "a"(number), "D"(a), "S"(b),
		       "d"(c), [flags] "r"(flags), [cleared] "r"(~flags)
		     : "rcx", "r11", "memory", "cc");
	return result;
}

static void flags_are_no_matter(void)
{
	static const struct {
		const char *name;
		uint64_t flag;
	} flags[] = {
		{ "DF", X86_EFLAGS_DF },
		{ "AC", X86_EFLAGS_AC },
		{ "NT", X86_EFLAGS_NT },
		{ "ID", X86_EFLAGS_ID },
	};
	struct utsname expected, got;
	uint64_t after;

	uname(&expected);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		memset(&got, 0, sizeof(got));
		ok(with_flags(flags[i].flag, &after, SYS_uname, &got, NULL, 0) == 0 &&
			   strcmp(got.release, expected.release) == 0,
		   "a call that copies, with %s set", flags[i].name);
		ok((after & flags[i].flag) != 0, "%s is still set", flags[i].name);
		ok(with_flags(flags[i].flag, &after, SYS_uname, (void *)KERNEL_HALF, NULL, 0) ==
			   -EFAULT,
		   "the kernel's memory is no user's, with %s set", flags[i].name);
	}
}

/* The kernel never uses the user's stack: a pointer to nowhere is as good as any. */
static void the_stack_is_no_matter(void)
{
	static const uint64_t pointers[] = { 0, 8, UINT64_C(0x800000000000), KERNEL_HALF,
					     UINT64_MAX };

	for (size_t i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++) {
		uint64_t after;
		long result;

		asm volatile("mov %%rsp, %%r12\n\t"
			     "mov %[pointer], %%rsp\n\t"
			     "syscall\n\t"
			     "mov %%rsp, %[after]\n\t"
			     "mov %%r12, %%rsp"
			     : "=a"(result), [after] "=&r"(after)
			     : "a"(SYS_getpid), [pointer] "r"(pointers[i])
			     : "rcx", "r11", "r12", "memory");
		ok(result == getpid() && after == pointers[i], "RSP %#lx comes through a call",
		   (unsigned long)pointers[i]);
	}
}

/* Runs for `ms`, through interrupts, without entering the kernel by itself more than it must. */
static void run_for(long ms)
{
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		for (volatile int i = 0; i < 100000; i++)
			;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < ms);
}

/*
 * A user's GS base in the kernel's half looks like the kernel's own: nobody may tell them apart by
 * looking. While this program runs alone there may be no interrupt, hence the sleep.
 */
static void the_gs_base_is_no_matter(void)
{
	uint64_t got = 0;

	if (!(getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE)) {
		ok(true, "a program cannot set GS to the kernel's half here");
		return;
	}
	asm volatile("wrgsbase %0" ::"r"(KERNEL_HALF));
	run_for(50);
	usleep(10000);
	asm volatile("rdgsbase %0" : "=r"(got));
	ok(got == KERNEL_HALF, "a GS base in the kernel's half comes through calls and interrupts");
	asm volatile("wrgsbase %0" ::"r"(UINT64_C(0)));
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	flags_are_no_matter();
	the_stack_is_no_matter();
	the_gs_base_is_no_matter();
	return done();
}
