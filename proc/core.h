/*
 * proc/core.h - core files. Inside proc/ only.
 */
#ifndef HAWSER_PROC_CORE_H
#define HAWSER_PROC_CORE_H

#include "proc/process.h"
#include <asm-generic/siginfo.h>

/* True if the signal, ending the process by default, is to leave a core file. Any context. */
bool core_is_wanted(const struct process *process, int signal);
/*
 * The signal that ends the calling process, with the registers of its thread: true if there is a core file
 * now. Its other threads have ended then. May sleep.
 */
bool core_dump(const struct trapframe *tf, const siginfo_t *info);

#endif
