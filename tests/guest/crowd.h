/*
 * tests/guest/crowd.h - a process of many threads, of which half sleep and half run.
 */
#ifndef HAWSER_TESTS_GUEST_CROWD_H
#define HAWSER_TESTS_GUEST_CROWD_H

#include "crew.h"

#include <sched.h>
#include <stdatomic.h>

static atomic_int stage; /* how many have begun; or what a test says */
static int ends[2];      /* of a pipe */

static inline void *wait_for_ever(void *unused)
{
	char byte;

	stage++;
	/* Nobody writes: the other end is ours. */
	return read(ends[0], &byte, 1) == 1 ? unused : NULL;
}

static inline void *run_for_ever(void *unused)
{
	stage++;
	for (;;)
		sched_yield();
	return unused;
}

/* Half of them sleep, and half of them run. */
static inline int start_crowd(int count)
{
	want(pipe(ends) == 0);
	for (int i = 0; i < count; i++)
		start(i % 2 ? wait_for_ever : run_for_ever, NULL);
	want(soon(stage == count));
	return 0;
}

#endif
