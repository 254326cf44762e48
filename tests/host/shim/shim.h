/*
 * shim.h - what tests may ask of the shim.
 */
#ifndef HAWSER_TESTS_SHIM_H
#define HAWSER_TESTS_SHIM_H

/*
 * From now on the test runs as thread 0 (as it begins) or 1: to do, in the middle of what one thread
 * does, what another might be doing. Each holds locks of its own.
 */
#define SHIM_THREADS 2
void shim_run_as(unsigned thread);
unsigned shim_running(void);

#endif
