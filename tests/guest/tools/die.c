/*
 * Ends as it is told to: the system tests read the exit status, 128 + the signal's number.
 */
#include <asm/processor-flags.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile char *volatile nowhere = (volatile char *)8;

static void read_null(void)
{
	(void)*nowhere;
}

static void write_null(void)
{
	*nowhere = 1;
}

static void write_text(void)
{
	*(volatile char *)(uintptr_t)read_null = 1;
}

static void run_data(void)
{
	static char code[] = "\xc3";

	((void (*)(void))(uintptr_t)code)();
}

static void run_stack(void)
{
	volatile char code[] = "\xc3";

	((void (*)(void))(uintptr_t)code)();
}

static void run_null(void)
{
	((void (*)(void))(uintptr_t)nowhere)();
}

static void read_kernel(void)
{
	(void)*(volatile char *)UINT64_C(0xffffffff81000000);
}

static void read_not_canonical(void)
{
	(void)*(volatile char *)UINT64_C(0x800000000000);
}

static void jump_to_kernel(void)
{
	((void (*)(void))UINT64_C(0xffffffff81000000))();
}

static void divide(void)
{
	asm volatile("xor %%edx, %%edx; xor %%ecx, %%ecx; mov $1, %%eax; div %%ecx" ::
			     : "eax", "ecx", "edx");
}

static void illegal(void)
{
	asm volatile("ud2");
}

static void privileged(void)
{
	asm volatile("hlt");
}

static void port(void)
{
	asm volatile("outb %%al, $0x80" ::"a"(0));
}

static void breakpoint(void)
{
	asm volatile("int3");
}

/* TF is on when SYSCALL enters the kernel: the step is the program's, not the kernel's. */
static void step_over_call(void)
{
	asm volatile("lea -128(%%rsp), %%rsp\n\t"
		     "pushfq\n\t"
		     "orq %[step], (%%rsp)\n\t"
		     "popfq\n\t"
		     "syscall\n\t"
		     "nop"
		     :
		     : "a"(SYS_getpid), [step] "i"(X86_EFLAGS_TF)
		     : "rcx", "r11", "memory");
}

static void x87_exception(void)
{
	static const uint16_t unmasked = 0x0340;
	static const float zero;

	asm volatile("fldcw %0; fld1; fdivs %1; fwait" ::"m"(unmasked), "m"(zero));
}

static void jump_to_not_canonical(void)
{
	((void (*)(void))UINT64_C(0x800000000000))();
}

static void software_interrupt(void)
{
	asm volatile("int $0x31");
}

static void bad_selector(void)
{
	asm volatile("mov %0, %%ds" ::"r"(0x1234));
}

/* SYSRET to a frame whose RIP is not canonical would fault in the kernel. */
static void syscall_at_the_top(void)
{
	char *top = mmap((void *)UINT64_C(0x7ffffffff000), 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (top != MAP_FAILED)
		_exit(1);
	raise(SIGSEGV);
}

/* Eight hundred bytes at a time, so that the guard gap is met and not jumped over. */
static int overflow(int depth)
{
	volatile char frame[800];

	frame[0] = (char)depth;
	if (depth < 0)
		return 0;
	return overflow(depth + 1) + frame[0];
}

static void stack_overflow(void)
{
	exit(overflow(0));
}

static void beyond_the_file(void)
{
	int fd = open("/tmp/short", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char *page;

	if (fd < 0 || write(fd, "x", 1) != 1)
		_exit(1);
	page = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, fd, 0);
	if (page == MAP_FAILED)
		_exit(1);
	(void)*(volatile char *)(page + 4096);
}

static void touch_no_right(void)
{
	char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)*(volatile char *)page;
}

static void unaligned_sse(void)
{
	static char area[64] __attribute__((aligned(16)));

	asm volatile("movaps (%0), %%xmm0" ::"r"(area + 1) : "xmm0");
}

static void kill_self(void)
{
	kill(getpid(), SIGTERM);
	sleep(10);
}

static const struct way {
	const char *name;
	int signal;
	void (*die)(void);
} ways[] = {
	{ "read-null", SIGSEGV, read_null },
	{ "write-null", SIGSEGV, write_null },
	{ "write-text", SIGSEGV, write_text },
	{ "run-data", SIGSEGV, run_data },
	{ "run-stack", SIGSEGV, run_stack },
	{ "run-null", SIGSEGV, run_null },
	{ "read-kernel", SIGSEGV, read_kernel },
	{ "read-not-canonical", SIGSEGV, read_not_canonical },
	{ "jump-to-kernel", SIGSEGV, jump_to_kernel },
	{ "divide", SIGFPE, divide },
	{ "illegal", SIGILL, illegal },
	{ "privileged", SIGSEGV, privileged },
	{ "port", SIGSEGV, port },
	{ "breakpoint", SIGTRAP, breakpoint },
	{ "step-over-call", SIGTRAP, step_over_call },
	{ "x87-exception", SIGFPE, x87_exception },
	{ "jump-to-not-canonical", SIGSEGV, jump_to_not_canonical },
	{ "software-interrupt", SIGSEGV, software_interrupt },
	{ "bad-selector", SIGSEGV, bad_selector },
	{ "map-the-top", SIGSEGV, syscall_at_the_top },
	{ "stack-overflow", SIGSEGV, stack_overflow },
	{ "beyond-the-file", SIGBUS, beyond_the_file },
	{ "no-right", SIGSEGV, touch_no_right },
	{ "unaligned-sse", SIGSEGV, unaligned_sse },
	{ "abort", SIGABRT, abort },
	{ "kill", SIGTERM, kill_self },
};

/* Without an argument: prints every way and the signal that it ends with. */
int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (argc < 2)
			printf("%s %d\n", ways[i].name, ways[i].signal);
		else if (strcmp(argv[1], ways[i].name) == 0) {
			ways[i].die();
			return 1;
		}
	}
	return argc < 2 ? 0 : 2;
}
