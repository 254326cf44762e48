/*
 * proc/ipc.h - what System V's shared memory, semaphores and message queues have in common (sysvipc(7)):
 * numbers, keys, owners, rights. Inside proc/ only.
 *
 * They stay until somebody removes them, whoever has made them: so there is a limit to each kind.
 */
#ifndef HAWSER_PROC_IPC_H
#define HAWSER_PROC_IPC_H

#include "kernel/base.h"
#include "kernel/lock.h"
#include <bsd/sys/queue.h>
#include <linux/ipc.h>

/* The first member of each kind's structure. */
struct ipc_object {
	LIST_ENTRY(ipc_object) link; /* the table's lock, as all of it */
	int id, key;
	uint32_t uid, gid, cuid, cgid; /* owner and creator */
	uint32_t mode;
	uint64_t changed_s; /* when, by the wall clock */
};

struct ipc_table {
	struct mutex lock; /* RANK_IPC */
	LIST_HEAD(, ipc_object) objects;
	uint32_t count, limit; /* lock */
	int next_id;           /* lock */
};

void ipc_table_init(struct ipc_table *table, const char *name, uint32_t limit);

/* All of these: the table's lock held. */

/* By number; NULL: there is none. */
struct ipc_object *ipc_find(const struct ipc_table *table, int id);
/* As the *ctl calls' …_STAT have it: the n-th, from 0; NULL. */
struct ipc_object *ipc_nth(const struct ipc_table *table, uint32_t n);
/*
 * Whom a *ctl call asks about: by number (…_STAT of IPC), or else the `id`-th, and if `any`, whatever his rights.
 * What the call then returns: 0, or the number. -EINVAL, -EACCES.
 */
int64_t ipc_stat(const struct ipc_table *table, int id, bool by_number, bool any,
		 struct ipc_object **found);
/*
 * What a *get call's key and flags mean: `*found`, or NULL if one is to be made. -EEXIST, -ENOENT, -EACCES,
 * -ENOSPC.
 */
int ipc_look(const struct ipc_table *table, int key, int flags, struct ipc_object **found);
/* A fresh one, the caller's, with a number of its own. */
void ipc_add(struct ipc_table *table, struct ipc_object *object, int key, int flags);
void ipc_remove(struct ipc_table *table, struct ipc_object *object);

/* The caller may do what `wanted` says, as a mode has it (0444 reading, 0222 writing). */
bool ipc_may(const struct ipc_object *object, uint32_t wanted);
/* The caller may change and remove it. */
bool ipc_owns(const struct ipc_object *object);
/* As programs see it, and what IPC_SET takes of that (-EINVAL: nobody is that). */
struct ipc64_perm ipc_describe(const struct ipc_object *object);
int ipc_set(struct ipc_object *object, const struct ipc64_perm *to);

uint64_t ipc_now_s(void);

/* The process has no thread any more: its SEM_UNDO is done. No lock held. (proc/sem.c) */
struct process;
void sem_undo_all(struct process *process);
/* Once, before the first process. */
void sem_init(void);
void shm_init(void);
void msg_init(void);

#endif
