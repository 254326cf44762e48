/*
 * proc/usage.h - CPU time as programs ask for it.
 */
#ifndef HAWSER_PROC_USAGE_H
#define HAWSER_PROC_USAGE_H

#include "proc/process.h"
#include <linux/resource.h>

/* A struct rusage that says only how much CPU time was used (proc/time.c). */
struct rusage usage_of_times(const struct process_times *times);

#endif
