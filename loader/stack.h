/*
 * loader/stack.h - a program's first stack, byte for byte as Linux lays it out (psABI 3.4.1).
 *
 *	top ┌───────────────────────────────┐
 *	    │ 8 zero bytes                  │
 *	    │ name of the program           │ ◄ AT_EXECFN
 *	    │ environment strings           │
 *	    │ argument strings              │
 *	    │ "x86_64", 16 random bytes     │ ◄ AT_PLATFORM, AT_RANDOM
 *	    ├───────────────────────────────┤ 16-byte aligned from here on
 *	    │ auxv, ending with AT_NULL     │
 *	    │ envp, ending with NULL        │
 *	    │ argv, ending with NULL        │
 *	 sp │ argc                          │
 *	    └───────────────────────────────┘
 *
 * Pure: the bytes go where `write` puts them, a space that is not loaded yet or a test's array.
 */
#ifndef HAWSER_LOADER_STACK_H
#define HAWSER_LOADER_STACK_H

#include "kernel/base.h"
#include "loader/strings.h"

#define STACK_RANDOM_BYTES 16

/* What the auxiliary vector says, apart from the addresses that building finds (getauxval(3)). */
struct stack_aux {
	uint64_t hwcap, hwcap2; /* AT_HWCAP: CPUID.1:EDX */
	uint64_t phdr, phnum;   /* 0, 0 for a program without program headers */
	uint64_t base;          /* of the interpreter, 0 without one */
	uint64_t entry;
	uint32_t uid, euid, gid, egid;
	bool secure;  /* it has rights that whoever starts it has not */
	vaddr_t vdso; /* 0: there is none, and AT_SYSINFO_EHDR is left out */
	uint8_t random[STACK_RANDOM_BYTES];
};

struct stack_request {
	vaddr_t top; /* 16-byte aligned */
	const struct strings *argv, *envp;
	const char *program; /* as execve(2) was given it */
	struct stack_aux aux;
	/* Puts bytes at a user address of the new program; 0 or a negative errno. */
	int (*write)(void *context, vaddr_t to, const void *from, size_t length);
	void *context;
};

struct stack_layout {
	vaddr_t sp;
	vaddr_t arg_start, arg_end, env_start, env_end;
	vaddr_t aux_start, aux_end; /* with AT_NULL */
};

/* The bytes that stack_build() will write below `top`. */
size_t stack_size(const struct stack_request *request);

/* Writes the stack. 0, or the first error of `write`. */
int stack_build(const struct stack_request *request, struct stack_layout *out);

#endif
