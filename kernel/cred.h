/*
 * kernel/cred.h - who a thread is: users, groups and capabilities, where every room can ask.
 *
 * Credentials are never changed, only replaced by others (proc/cred.c), so a thread reads its own without
 * a lock, and many share them.
 */
#ifndef HAWSER_KERNEL_CRED_H
#define HAWSER_KERNEL_CRED_H

#include "kernel/base.h"
#include "kernel/sched.h"
#include <linux/capability.h>

#define ROOT_ID 0u

/* Supplementary groups, sorted. */
struct group_list {
	_Atomic uint32_t refs;
	uint32_t count;
	uint32_t ids[];
};

static inline struct group_list *group_list_get(struct group_list *groups)
{
	if (groups != NULL)
		atomic_fetch_add(&groups->refs, 1);
	return groups;
}

struct cred {
	_Atomic uint32_t refs;
	uint32_t uid, euid, suid, fsuid; /* real, effective, saved, of the file system */
	uint32_t gid, egid, sgid, fsgid;
	uint64_t permitted, effective, inheritable, ambient, bounding; /* bit n: CAP_… n */
	uint32_t securebits;       /* SECBIT_*: capabilities(7) */
	bool no_new_privileges;    /* PR_SET_NO_NEW_PRIVS: exec gives none */
	struct group_list *groups; /* held; NULL: none */
};

#define CAP_BIT(cap) (UINT64_C(1) << (cap))
#define CAP_ALL      (CAP_BIT(CAP_LAST_CAP + 1) - 1)

/* The first process's, and the kernel's own: may all. Never freed. */
extern struct cred root_cred;

static inline const struct cred *current_cred(void)
{
	const struct cred *cred = current->cred;

	return cred != NULL ? cred : &root_cred;
}

static inline bool cred_has(const struct cred *cred, unsigned cap)
{
	return (cred->effective & CAP_BIT(cap)) != 0;
}

/* True if the calling thread has the capability (CAP_…): what root has, and others have not. */
static inline bool capable(unsigned cap)
{
	return cred_has(current_cred(), cap);
}

/* True if the group is the file system group or a supplementary one. */
bool cred_in_group(const struct cred *cred, uint32_t gid);

#endif
