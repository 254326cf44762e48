/*
 * kernel/syscall.h - how a system call is written and found.
 *
 *	SYSCALL3(read, int, fd, vaddr_t, buf, size_t, count)
 *	{
 *		...
 *		return n;	// or a negative errno
 *	}
 *
 * defines sys_read(), which takes six registers and narrows them to the types named, as Linux
 * does. User pointers are vaddr_t. kernel/syscall_table.c lists every call by name.
 */
#ifndef HAWSER_KERNEL_SYSCALL_H
#define HAWSER_KERNEL_SYSCALL_H

#include "kernel/base.h"

typedef int64_t syscall_fn(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

struct syscall {
	syscall_fn *fn;   /* NULL: ENOSYS */
	const char *name; /* "read"; NULL where Linux has no such number */
};
extern const struct syscall syscall_table[];
extern const unsigned syscall_count;

struct trapframe;
/*
 * Called by the SYSCALL entry with interrupts on; leaves the result in tf->rax. Returns ready for user
 * mode: interrupts off, and nothing pending (trap_return_user()). True: the rest of *tf is as it was.
 */
bool syscall_dispatch(struct trapframe *tf);

#define SYSCALL_REGS_                                                                       \
	uint64_t r1_ __attribute__((unused)), uint64_t r2_ __attribute__((unused)),         \
		uint64_t r3_ __attribute__((unused)), uint64_t r4_ __attribute__((unused)), \
		uint64_t r5_ __attribute__((unused)), uint64_t r6_ __attribute__((unused))
#define SYSCALL_HEAD_(name, params, call)  \
	static int64_t body_##name params; \
	int64_t sys_##name(SYSCALL_REGS_); \
	int64_t sys_##name(SYSCALL_REGS_)  \
	{                                  \
		return body_##name call;   \
	}                                  \
	static int64_t body_##name params

#define SYSCALL0(name)                 SYSCALL_HEAD_(name, (void), ())
#define SYSCALL1(name, t1, a1)         SYSCALL_HEAD_(name, (t1 a1), ((t1)r1_))
#define SYSCALL2(name, t1, a1, t2, a2) SYSCALL_HEAD_(name, (t1 a1, t2 a2), ((t1)r1_, (t2)r2_))
#define SYSCALL3(name, t1, a1, t2, a2, t3, a3) \
	SYSCALL_HEAD_(name, (t1 a1, t2 a2, t3 a3), ((t1)r1_, (t2)r2_, (t3)r3_))
#define SYSCALL4(name, t1, a1, t2, a2, t3, a3, t4, a4) \
	SYSCALL_HEAD_(name, (t1 a1, t2 a2, t3 a3, t4 a4), ((t1)r1_, (t2)r2_, (t3)r3_, (t4)r4_))
#define SYSCALL5(name, t1, a1, t2, a2, t3, a3, t4, a4, t5, a5)   \
	SYSCALL_HEAD_(name, (t1 a1, t2 a2, t3 a3, t4 a4, t5 a5), \
		      ((t1)r1_, (t2)r2_, (t3)r3_, (t4)r4_, (t5)r5_))
#define SYSCALL6(name, t1, a1, t2, a2, t3, a3, t4, a4, t5, a5, t6, a6)  \
	SYSCALL_HEAD_(name, (t1 a1, t2 a2, t3 a3, t4 a4, t5 a5, t6 a6), \
		      ((t1)r1_, (t2)r2_, (t3)r3_, (t4)r4_, (t5)r5_, (t6)r6_))

#endif
