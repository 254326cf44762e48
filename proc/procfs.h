/*
 * proc/procfs.h - /proc: what busybox, glibc and the tests want to read there.
 */
#ifndef HAWSER_PROC_PROCFS_H
#define HAWSER_PROC_PROCFS_H

#include "kernel/base.h"

/* Register the files about the calling process, and about the machine. Boot, after fs_init(). */
void procfs_init_self(void);
void procfs_init_system(void);

#endif
