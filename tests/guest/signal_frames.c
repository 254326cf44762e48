/*
 * The frame that a handler is given: registers and the FPU's state come back, may be changed there, and
 * do no harm if they are spoiled.
 */
#define _GNU_SOURCE
#include "handlers.h"
#include "tap.h"

#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

/* --- registers ------------------------------------------------------------------------------------------ */

static void spoil(int signal)
{
	(void)signal;
	count++;
	asm volatile("pxor %%xmm0, %%xmm0\n\t pxor %%xmm7, %%xmm7\n\t pxor %%xmm15, %%xmm15\n\t"
		     "fninit\n\t xor %%rax, %%rax" ::
			     : "xmm0", "xmm7", "xmm15", "rax");
}

/* A handler that comes at any instruction leaves every register as it was. */
static void registers(void)
{
	double pattern = 1234.5, xmm7, xmm15;
	long double st0;
	pid_t child;
	uint64_t rounds = 0, a, b;

	set_handler(SIGUSR1, spoil, 0);
	count = 0;
	child = signal_soon(SIGUSR1);
	asm volatile("movsd %[p], %%xmm7\n\t movsd %[p], %%xmm15\n\t fld1\n\t"
		     "mov $0x1122334455667788, %%r12\n\t mov %%r12, %%rbx\n\t stc\n"
		     "1:\t inc %[rounds]\n\t"
		     "cmpl $0, %[count]\n\t je 1b\n\t"
		     "movsd %%xmm7, %[x7]\n\t movsd %%xmm15, %[x15]\n\t fstpt %[st]\n\t"
		     "mov %%r12, %[a]\n\t mov %%rbx, %[b]"
		     : [rounds] "+r"(rounds), [x7] "=m"(xmm7), [x15] "=m"(xmm15), [st] "=m"(st0),
		       [a] "=m"(a), [b] "=m"(b)
		     : [p] "m"(pattern), [count] "m"(count)
		     : "xmm7", "xmm15", "r12", "rbx", "cc", "memory");
	ok(count == 1 && xmm7 == pattern && xmm15 == pattern && st0 == 1.0L,
	   "FPU registers survive a handler");
	ok(a == 0x1122334455667788 && b == a, "and the others");
	status_of(child);
}

static void change_context(int signal, siginfo_t *info, void *argument)
{
	ucontext_t *context = argument;

	(void)signal;
	(void)info;
	count++;
	context->uc_mcontext.gregs[REG_RAX] = 77;
	/* Privileged flags and selectors are not a user's to choose. */
	context->uc_mcontext.gregs[REG_EFL] |= 0x3000; /* IOPL */
	context->uc_mcontext.gregs[REG_EFL] &= ~0x200; /* IF */
}

static void changed_contexts(void)
{
	uint64_t flags;
	long result;

	set_info_handler(SIGUSR1, change_context, 0);
	count = 0;
	asm volatile("syscall"
		     : "=a"(result)
		     : "0"(SYS_kill), "D"(getpid()), "S"(SIGUSR1)
		     : "rcx", "r11", "memory");
	asm volatile("pushfq\n\t pop %0" : "=r"(flags));
	ok(count == 1 && result == 77, "a handler may change what a call returns");
	ok((flags & 0x3200) == 0x200, "but not IOPL or IF");
}

/* --- the FPU's state in a frame: changed there, and moved to pages that nothing has touched yet ------------- */

/* <asm/sigcontext.h>, beside which libc's headers cannot be included. */
#define XSTATE_MAGIC1 0x46505853u

#define MOVED_SIZE    (16 * 1024)
#define XMM0_OFFSET   160 /* FXSAVE's layout: SDM 1, table 10-2 */

static char *moved_to, *moved_seen; /* one piece of memory, mapped twice */

static void move_fpu_state(int signal, siginfo_t *info, void *argument)
{
	ucontext_t *context = argument;
	char *fpu = (char *)context->uc_mcontext.fpregs;
	uint64_t value = 42;
	uint32_t size = 512, magic1;

	(void)signal;
	(void)info;
	memcpy(&magic1, fpu + 464, 4);
	if (magic1 == XSTATE_MAGIC1)
		memcpy(&size, fpu + 468, 4);
	/* Across the end of a page. */
	memcpy(moved_to + 4096 - 256, fpu, size);
	memcpy(moved_to + 4096 - 256 + XMM0_OFFSET, &value, sizeof(value));
	context->uc_mcontext.fpregs = (void *)(moved_seen + 4096 - 256);
	asm volatile("xorps %%xmm0, %%xmm0\n\txorps %%xmm1, %%xmm1" ::: "xmm0", "xmm1");
	count++;
}

static void moved_fpu_state(void)
{
	stack_t stack = { .ss_size = 64 * 1024 }, none = { .ss_flags = SS_DISABLE };
	uint64_t before = 7, first, second;
	long result;

	stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	moved_to =
		mmap(NULL, MOVED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	moved_seen = mremap(moved_to, 0, MOVED_SIZE, MREMAP_MAYMOVE);
	if (moved_to == MAP_FAILED || moved_seen == MAP_FAILED || sigaltstack(&stack, NULL) != 0) {
		ok(0, "memory for the FPU's state");
		return;
	}
	set_info_handler(SIGUSR1, move_fpu_state, SA_ONSTACK);
	count = 0;
	asm volatile("movq %3, %%xmm0\n\t"
		     "movq %3, %%xmm1\n\t"
		     "syscall\n\t"
		     "movq %%xmm0, %1\n\t"
		     "movq %%xmm1, %2"
		     : "=a"(result), "=&r"(first), "=&r"(second)
		     : "r"(before), "0"(SYS_kill), "D"(getpid()), "S"(SIGUSR1)
		     : "rcx", "r11", "memory", "xmm0", "xmm1");
	ok(count == 1 && result == 0 && first == 42, "a handler may change a vector register (%lu)",
	   first);
	ok(second == 7, "those that it has not changed come back (%lu)", second);
	sigaltstack(&none, NULL);
	munmap(stack.ss_sp, stack.ss_size);
	munmap(moved_to, MOVED_SIZE);
	munmap(moved_seen, MOVED_SIZE);
}

/* Each way of spoiling the frame ends a child by SIGSEGV, or does nothing; never more. */
static int how_to_spoil;

static void spoil_frame(int signal, siginfo_t *info, void *argument)
{
	ucontext_t *context = argument;
	char *fpu = (char *)context->uc_mcontext.fpregs;

	(void)signal;
	(void)info;
	switch (how_to_spoil) {
	case 0:
		context->uc_mcontext.gregs[REG_RIP] = (greg_t)0x8000000000000000;
		break;
	case 1:
		context->uc_mcontext.gregs[REG_RIP] = (greg_t)0xffffffff80000000;
		break;
	case 2:
		memset(fpu + 24, 0xff, 4); /* MXCSR: reserved bits */
		break;
	case 3:
		if (context->uc_flags & 1)           /* UC_FP_XSTATE */
			memset(fpu + 512, 0xff, 64); /* XSAVE's header */
		else
			memset(fpu + 24, 0xff, 4);
		break;
	case 4:
		context->uc_mcontext.fpregs = (void *)8;
		break;
	case 5:
		context->uc_mcontext.gregs[REG_RSP] = 8;
		break;
	}
}

static void spoiled_frames(void)
{
	for (how_to_spoil = 0; how_to_spoil < 6; how_to_spoil++) {
		pid_t child = fork();
		int status;

		if (child == 0) {
			set_info_handler(SIGUSR1, spoil_frame, 0);
			raise(SIGUSR1);
			_exit(0);
		}
		status = status_of(child);
		ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "a spoiled frame, %d (%#x)",
		   how_to_spoil, status);
	}
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	registers();
	changed_contexts();
	moved_fpu_state();
	spoiled_frames();
	signal(SIGUSR1, SIG_DFL);
	return done();
}
