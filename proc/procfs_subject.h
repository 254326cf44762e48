/*
 * proc/procfs_subject.h - whom a file of /proc/PID or /proc/PID/task/TID is about.
 */
#ifndef HAWSER_PROC_PROCFS_SUBJECT_H
#define HAWSER_PROC_PROCFS_SUBJECT_H

#include "proc/process.h"

struct space;

/* A process and its memory, with references to both. */
struct subject {
	struct process *process;
	struct space *space; /* NULL: it has none (any more) */

	/* What the family lock guards, copied. */
	uint32_t tid, pid, ppid, pgid, sid, threads;
	bool has_no_terminal, has_execed, may_inspect;
	int exit_signal, exit_status;
	char command[16];
	uint64_t start_ns;
	struct process_times times, children_times;
	struct process_counts counts, children_counts;
	struct sched_params sched;
	uint32_t cpu;
	uint64_t resident_limit; /* RLIMIT_RSS */
	char state;              /* as ps shows it */
};

/*
 * `number`: of a process, or of a thread, with PROCFS_TASK. -ESRCH, which is what Linux says of one that has
 * gone since its file was found. (proc/procfs_process.c)
 */
int subject_get(uint32_t number, struct subject *s);
/* The same of what is told only to who may look into the process; -EACCES to others, while it has memory. */
int subject_inspect(uint32_t number, struct subject *s);
void subject_put(struct subject *s); /* may sleep */

#endif
