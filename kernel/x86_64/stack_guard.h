/*
 * kernel/x86_64/stack_guard.h - stacks that lie in the kernel's image, each above a page that is never mapped.
 *
 *	static GUARDED_STACK(reaper_stack, KSTACK_SIZE);
 *
 *	.bss   … │guard│ reaper_stack │ … │guard│ another │ …
 *
 * The linker gathers the guards' addresses in a table (boot/kernel.ld), and kernel_map_init() leaves
 * those pages out, so that a stack that overflows faults instead of writing over its neighbour.
 * Stacks that are allocated have their guards from mm/kmap.h.
 */
#ifndef HAWSER_KERNEL_X86_64_STACK_GUARD_H
#define HAWSER_KERNEL_X86_64_STACK_GUARD_H

#include "kernel/base.h"

/* `name`.guard and, above it, `name`.stack of `size` bytes. */
#define GUARDED_STACK(name, size)                                                               \
	struct {                                                                                \
		char guard[PAGE_SIZE];                                                          \
		char stack[size];                                                               \
	} name __aligned(PAGE_SIZE);                                                            \
	static const char *const name##_guard __attribute__((used, section(".stack_guards"))) = \
		name.guard

/* The first CPU's, in boot/head.S; it becomes that of its idle thread. */
extern char boot_stack[], boot_stack_top[];

/* The guards of all stacks in the image. */
extern const char *const __stack_guards_start[], *const __stack_guards_end[];

/* True if the page at `address`, in the image, is a guard. */
static inline bool is_stack_guard(vaddr_t address)
{
	for (const char *const *guard = __stack_guards_start; guard < __stack_guards_end; guard++)
		if (address - (vaddr_t)*guard < PAGE_SIZE)
			return true;
	return false;
}

#endif
