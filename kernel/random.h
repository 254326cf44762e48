/*
 * kernel/random.h - random bytes from a ChaCha20 generator with fast key erasure.
 *
 * Seeded at boot from RDSEED or RDRAND where the CPU has them, otherwise from timing jitter; the
 * source is named in the log. Any context.
 */
#ifndef HAWSER_KERNEL_RANDOM_H
#define HAWSER_KERNEL_RANDOM_H

#include "kernel/base.h"

/*
 * Also sets the value that stack checks compare with: to be called from a function that never
 * returns, or that the compiler gives no check (no arrays, no addresses of locals taken).
 */
void random_init(void);
void random_bytes(void *out, size_t length);
uint64_t random_u64(void);
/* Uniform in [0, bound); bound > 0. */
uint64_t random_below(uint64_t bound);
/* Stirs in an event whose timing an outsider cannot know (interrupts, packets). Cheap. */
void random_stir(uint64_t value);

#endif
