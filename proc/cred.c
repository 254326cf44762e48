/*
 * proc/cred.c - credentials made, shared and replaced. See the header.
 */
#include "proc/cred.h"
#include "fs/permission.h"

#include "mm/slab.h"
#include "proc/process.h"
#include "proc/user.h"
#include <asm/signal.h>
#include <linux/securebits.h>
#include <linux/stat.h>

void cred_get(struct cred *cred)
{
	atomic_fetch_add(&cred->refs, 1);
}

void cred_put(struct cred *cred)
{
	if (!cred || atomic_fetch_sub(&cred->refs, 1) != 1)
		return;
	group_list_put(cred->groups);
	kfree(cred);
}

struct cred *cred_copy(void)
{
	const struct cred *from = current_cred();
	struct cred *copy = kalloc(sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = (struct cred){
		.refs = 1,
		.uid = from->uid,
		.euid = from->euid,
		.suid = from->suid,
		.fsuid = from->fsuid,
		.gid = from->gid,
		.egid = from->egid,
		.sgid = from->sgid,
		.fsgid = from->fsgid,
		.permitted = from->permitted,
		.effective = from->effective,
		.inheritable = from->inheritable,
		.ambient = from->ambient,
		.bounding = from->bounding,
		.securebits = from->securebits,
		.no_new_privileges = from->no_new_privileges,
		.groups = from->groups,
	};
	if (copy->groups)
		atomic_fetch_add(&copy->groups->refs, 1);
	return copy;
}

/* True if what could be looked into, or is told of a parent's end, is another's from now on: prctl(2). */
static bool is_another(const struct cred *old, const struct cred *new)
{
	return old->euid != new->euid || old->egid != new->egid || old->fsuid != new->fsuid ||
	       old->fsgid != new->fsgid || (new->permitted & ~old->permitted) != 0;
}

void cred_commit_locked(struct cred *cred)
{
	struct process *process = current_process();
	struct cred *mine, *seen;

	assert_locked(mutex_held(&family_lock));
	cred_get(cred); /* one for the thread, one for the process */
	mine = current->cred;
	seen = process->cred;
	if (is_another(mine ? mine : &root_cred, cred)) {
		process->attributes.dumpable = false;
		current_task()->death_signal = 0;
	}
	current->cred = cred;
	process->cred = cred;
	cred_put(mine);
	cred_put(seen);
}

void cred_commit(struct cred *cred)
{
	mutex_lock(&family_lock);
	cred_commit_locked(cred);
	mutex_unlock(&family_lock);
}

void cred_inherit(struct process *process, struct thread *thread)
{
	struct cred *cred = current->cred ? current->cred : &root_cred;

	cred_get(cred);
	thread->cred = cred;
	if (process->cred)
		return; /* another thread of a process that has them */
	cred_get(cred);
	process->cred = cred;
	if (!current_process()) {
		process->user = user_find(ROOT_ID);
		return;
	}
	/* Until it has been counted, another thread might let go of it: setuid(2). */
	spin_lock(&current_process()->signal_lock);
	process->user = current_process()->user;
	user_add(process->user, USER_PROCESS);
	spin_unlock(&current_process()->signal_lock);
}

/* capabilities(7), "Transformation of capabilities during execve()"; files have none of their own. */
static void transform(struct cred *cred, uint32_t old_uid, uint32_t old_euid, bool set_id)
{
	bool privileged = !(cred->securebits & SECBIT_NOROOT);
	bool root = privileged && (cred->uid == ROOT_ID || cred->euid == ROOT_ID);

	if (set_id || old_uid != old_euid)
		cred->ambient = 0;
	cred->permitted = cred->ambient;
	if (root)
		cred->permitted = cred->bounding | cred->inheritable;
	cred->effective = privileged && cred->euid == ROOT_ID ? cred->permitted : cred->ambient;
	cred->securebits &= ~(uint32_t)SECBIT_KEEP_CAPS;
}

static bool is_same(const struct cred *a, const struct cred *b)
{
	return a->euid == b->euid && a->suid == b->suid && a->fsuid == b->fsuid &&
	       a->egid == b->egid && a->sgid == b->sgid && a->fsgid == b->fsgid &&
	       a->permitted == b->permitted && a->effective == b->effective &&
	       a->ambient == b->ambient && a->securebits == b->securebits;
}

struct cred *cred_for_exec(uint32_t mode, uint32_t uid, uint32_t gid, bool *secure)
{
	struct cred *old = current->cred, *cred = cred_copy();
	bool plain;

	if (!cred)
		return NULL;
	plain = cred->no_new_privileges;
	if (!plain && (mode & S_ISUID))
		cred->euid = uid;
	/* Without execution for the group it would be mandatory locking, which is gone. */
	if (!plain && (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		cred->egid = gid;
	*secure = cred->euid != cred->uid || cred->egid != cred->gid;
	transform(cred, old->uid, old->euid, cred->euid != old->euid || cred->egid != old->egid);
	cred->suid = cred->fsuid = cred->euid;
	cred->sgid = cred->fsgid = cred->egid;
	if (is_same(cred, old)) {
		cred_put(cred);
		cred_get(old);
		return old;
	}
	return cred;
}

bool cred_may_inspect(const struct process *process)
{
	const struct cred *mine = current_cred(), *its = process->cred;

	if (process == current_process() || cred_has(mine, CAP_SYS_PTRACE))
		return true;
	return process->attributes.dumpable && mine->fsuid == its->uid &&
	       mine->fsuid == its->euid && mine->fsuid == its->suid && mine->fsgid == its->gid &&
	       mine->fsgid == its->egid && mine->fsgid == its->sgid &&
	       (its->permitted & ~mine->permitted) == 0;
}

bool cred_may_signal(const struct process *process, int signal)
{
	const struct cred *mine = current_cred(), *its = process->cred;

	if (process == current_process() || cred_has(mine, CAP_KILL))
		return true;
	if (mine->euid == its->uid || mine->euid == its->suid || mine->uid == its->uid ||
	    mine->uid == its->suid)
		return true;
	return signal == SIGCONT && process->sid == current_process()->sid;
}
