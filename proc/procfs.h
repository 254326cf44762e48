/*
 * proc/procfs.h - /proc: what busybox, glibc and the tests want to read there.
 */
#ifndef HAWSER_PROC_PROCFS_H
#define HAWSER_PROC_PROCFS_H

#include "kernel/base.h"

struct text;

/* Register the files about processes, and about the machine. Boot, after fs_init(). */
void procfs_init_processes(void);
void procfs_init_system(void);

/* /proc/mounts is each process's, too. */
int procfs_generate_mounts(struct text *text, uint32_t number);

#endif
