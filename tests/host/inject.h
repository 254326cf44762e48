/*
 * inject.h - what comes between mm/ and its allocators in tests.
 *
 * The linker sends mm/'s calls of frame_alloc(), frame_put(), slab_alloc() … here (--wrap). Slab
 * objects come from the host's malloc, so that the address sanitizer sees their every misuse and
 * leak; allocations can be made to fail; and a frame that loses a reference is checked against the
 * TLBs.
 */
#ifndef HAWSER_TESTS_INJECT_H
#define HAWSER_TESTS_INJECT_H

#include "kernel/base.h"

/* The n-th allocation from now on fails (1: the next), and those after it too; 0: none. */
void inject_failure(uint64_t nth);
/* Allocations since inject_failure(). */
uint64_t inject_allocations(void);

#endif
