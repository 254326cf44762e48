/*
 * proc/cred.h - credentials made, shared and replaced.
 */
#ifndef HAWSER_PROC_CRED_H
#define HAWSER_PROC_CRED_H

#include "kernel/cred.h"

struct process;
struct thread;

void cred_get(struct cred *cred);
void cred_put(struct cred *cred); /* NULL is allowed */
/* A copy of the calling thread's, to be changed and then given to cred_commit(). NULL: no memory. */
struct cred *cred_copy(void);
/* The calling thread's from now on, and what others see of its process. Takes the reference over. */
void cred_commit(struct cred *cred);
void cred_commit_locked(struct cred *cred); /* family lock held */

/* A child's thread and process, alone still, get the caller's. */
void cred_inherit(struct process *process, struct thread *thread);

/*
 * What exec makes of the caller's: `mode`, `uid` and `gid` are the program's, set-user-ID and set-group-ID
 * count unless PR_SET_NO_NEW_PRIVS was. `*secure`: the program has more rights than who starts it (AT_SECURE). NULL: no
 * memory.
 */
struct cred *cred_for_exec(uint32_t mode, uint32_t uid, uint32_t gid, bool *secure);

/*
 * True if the caller may look into the process (ptrace(2), "Ptrace access mode checking"). Family lock
 * held.
 */
bool cred_may_inspect(const struct process *process);
/* True if the caller may send it the signal (kill(2)). Family lock held. */
bool cred_may_signal(const struct process *process, int signal);

/* prctl(2)'s options about credentials; -EINVAL: it is none of them. (proc/capabilities.c) */
int64_t cred_prctl(int option, uint64_t argument, uint64_t argument2);

#endif
