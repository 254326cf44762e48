/*
 * kernel/load.h - load averages: how many threads wanted to run, of late.
 *
 * Linux's: every five seconds a count of those that run, wait for a processor, or sleep for something that
 * is sure to come (a block from the server), smoothed over 1, 5 and 15 minutes. Nothing ticks for it: who
 * switches threads, or asks, folds in the samples that have become due, with the count as it was
 * until then.
 */
#ifndef HAWSER_KERNEL_LOAD_H
#define HAWSER_KERNEL_LOAD_H

#include "kernel/base.h"

#define LOAD_AVERAGES 3
/* They are fixed-point numbers, with so many bits after the point; as sysinfo(2) has them, shifted. */
#define LOAD_SHIFT 11

struct load {
	uint64_t due_ns; /* when the next sample is to be taken */
	uint32_t active; /* since the last change */
	uint64_t averages[LOAD_AVERAGES];
};

/* Takes the samples that are due at `now`. Whoever owns it has it locked. */
void load_sample(struct load *load, uint64_t now);
static inline void load_fold(struct load *load, uint64_t now)
{
	if (now >= load->due_ns)
		load_sample(load, now);
}

#endif
