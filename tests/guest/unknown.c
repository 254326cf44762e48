/*
 * System calls by number: those that nobody has are ENOSYS, and the registers that a call must keep
 * are kept.
 */
#include "tap.h"

#include <stdint.h>
#include <sys/syscall.h>

static long raw(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 asm("r10") = d;
	register long r8 asm("r8") = e;
	register long r9 asm("r9") = f;
	long result;

	asm volatile("syscall"
		     : "=a"(result)
		     : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
		     : "rcx", "r11", "memory");
	return result;
}

/* Every register that syscall(2) says is preserved, compared after a call. */
static bool registers_survive(long number)
{
	uint64_t after[12], mark = UINT64_C(0x1111111111111111);
	bool same = true;

	asm volatile("sub $128, %%rsp\n\t" /* the red zone */
		     "push %%rbp\n\t"
		     "push %[after]\n\t"
		     "mov %[mark], %%rbx\n\t"
		     "mov %%rbx, %%rbp\n\t mov %%rbx, %%r12\n\t mov %%rbx, %%r13\n\t"
		     "mov %%rbx, %%r14\n\t mov %%rbx, %%r15\n\t mov %%rbx, %%rdi\n\t"
		     "mov %%rbx, %%rsi\n\t mov %%rbx, %%rdx\n\t mov %%rbx, %%r8\n\t"
		     "mov %%rbx, %%r9\n\t mov %%rbx, %%r10\n\t"
		     "syscall\n\t"
		     "pop %%rcx\n\t"
		     "mov %%rbx, 0(%%rcx)\n\t mov %%rbp, 8(%%rcx)\n\t mov %%r12, 16(%%rcx)\n\t"
		     "mov %%r13, 24(%%rcx)\n\t mov %%r14, 32(%%rcx)\n\t mov %%r15, 40(%%rcx)\n\t"
		     "mov %%rdi, 48(%%rcx)\n\t mov %%rsi, 56(%%rcx)\n\t mov %%rdx, 64(%%rcx)\n\t"
		     "mov %%r8, 72(%%rcx)\n\t mov %%r9, 80(%%rcx)\n\t mov %%r10, 88(%%rcx)\n\t"
		     "pop %%rbp\n\t"
		     "add $128, %%rsp"
		     :
		     : "a"(number), [after] "c"(after), [mark] "d"(mark)
		     : "rbx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
		       "memory", "cc");
	for (int i = 0; i < 12; i++)
		same = same && after[i] == mark;
	return same;
}

int main(int argc, char **argv)
{
	/* Numbers that Linux has never given away, and none that is a number at all. */
	static const long numbers[] = { 350,
					400,
					423,
					600,
					1000,
					4096,
					0x40000000L,
					-1L,
					0x7fffffffffffffffL,
					0x100000000L + 2000 };

	(void)argc;
	tap_begin(argv);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		long result = raw(numbers[i], 1, 2, 3, 4, 5, 6);

		ok(result == -ENOSYS, "system call %ld is ENOSYS (%ld)", numbers[i], result);
	}
	ok(registers_survive(SYS_getpid), "a call keeps every register but RAX, RCX and R11");
	ok(registers_survive(1000), "so does one that does not exist");
	return done();
}
