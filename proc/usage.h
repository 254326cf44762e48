/*
 * proc/usage.h - what has been used, as programs ask for it.
 */
#ifndef HAWSER_PROC_USAGE_H
#define HAWSER_PROC_USAGE_H

#include "proc/process.h"
#include <linux/resource.h>

/* There are no disks, and messages are not counted, on Linux either (proc/time.c). */
struct rusage usage_of(const struct process_times *times, const struct process_counts *counts);

#endif
