/*
 * loader/vdso.h - the kernel's code in user space: clocks without system calls (vdso(7)).
 */
#ifndef HAWSER_LOADER_VDSO_H
#define HAWSER_LOADER_VDSO_H

#include "mm/space.h"

/* Bytes that it takes, with its page of data. */
uint64_t vdso_size(void);
/*
 * Maps it at `at` in a space that nobody uses yet. What AT_SYSINFO_EHDR says in `*header`; 0 with `vdso=0`
 * on the command line. Errors of space_map().
 */
int vdso_map(struct space *space, vaddr_t at, vaddr_t *header);

/* Once, before the first program. */
void vdso_init(void);

#endif
