/*
 * proc/oom.h - who is ended when memory runs out; for /proc, and for process_init().
 */
#ifndef HAWSER_PROC_OOM_H
#define HAWSER_PROC_OOM_H

#include "proc/process.h"
#include <linux/oom.h>

/*
 * How much a process's end would bring, as Linux's /proc/PID/oom_score has it: 1000 for all of the memory,
 * and its oom_score_adj; 0: it is never ended. Family lock held.
 */
unsigned oom_score(const struct process *process);

/* Starts the thread that ends processes; the family is there. */
void oom_init(void);

#endif
