/*
 * proc/credentials.c - the system calls about users and groups: credentials(7).
 *
 * Each makes a copy, changes it, and puts it in the place of the old; on an error the copy goes.
 */
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/slab.h"
#include "mm/user.h"
#include "proc/cred.h"
#include "proc/process.h"
#include "proc/user.h"
#include <linux/limits.h>
#include <linux/securebits.h>

/* setresuid(2) and kin: this number stays as it is, and no user has it. */
#define ID_KEEP UINT32_MAX

SYSCALL0(getuid)
{
	return current_cred()->uid;
}

SYSCALL0(geteuid)
{
	return current_cred()->euid;
}

SYSCALL0(getgid)
{
	return current_cred()->gid;
}

SYSCALL0(getegid)
{
	return current_cred()->egid;
}

static int64_t put_three(const uint32_t ids[3], vaddr_t real, vaddr_t effective, vaddr_t saved)
{
	int error = put_user(real, ids[0]);

	if (error == 0)
		error = put_user(effective, ids[1]);
	if (error == 0)
		error = put_user(saved, ids[2]);
	return error;
}

SYSCALL3(getresuid, vaddr_t, real, vaddr_t, effective, vaddr_t, saved)
{
	const struct cred *cred = current_cred();
	const uint32_t ids[] = { cred->uid, cred->euid, cred->suid };

	return put_three(ids, real, effective, saved);
}

SYSCALL3(getresgid, vaddr_t, real, vaddr_t, effective, vaddr_t, saved)
{
	const struct cred *cred = current_cred();
	const uint32_t ids[] = { cred->gid, cred->egid, cred->sgid };

	return put_three(ids, real, effective, saved);
}

/* --- users ------------------------------------------------------------------------------------- */

/* What a file system does not ask root for: capabilities(7). */
#define FS_CAPABILITIES                                                                  \
	(CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_DAC_READ_SEARCH) | \
	 CAP_BIT(CAP_FOWNER) | CAP_BIT(CAP_FSETID) | CAP_BIT(CAP_LINUX_IMMUTABLE) |      \
	 CAP_BIT(CAP_MKNOD) | CAP_BIT(CAP_MAC_OVERRIDE))

static bool any_root(const struct cred *cred)
{
	return cred->uid == ROOT_ID || cred->euid == ROOT_ID || cred->suid == ROOT_ID;
}

/* capabilities(7), "Effect of user ID changes on capabilities". */
static void adjust_capabilities(struct cred *cred, const struct cred *old)
{
	if (cred->securebits & SECBIT_NO_SETUID_FIXUP)
		return;
	if (any_root(old) && !any_root(cred)) {
		if (!(cred->securebits & SECBIT_KEEP_CAPS))
			cred->permitted = cred->effective = 0;
		cred->ambient = 0;
	}
	if (old->euid == ROOT_ID && cred->euid != ROOT_ID)
		cred->effective = 0;
	if (old->euid != ROOT_ID && cred->euid == ROOT_ID)
		cred->effective = cred->permitted;
}

static int64_t commit_user(struct cred *cred)
{
	struct process *process = current_process();
	struct user *user = user_find(cred->uid), *before;

	if (!user) {
		cred_put(cred);
		return -EAGAIN;
	}
	cred->fsuid = cred->euid;
	adjust_capabilities(cred, current_cred());
	cred_commit(cred);
	spin_lock(&process->signal_lock);
	before = process->user;
	process->user = user;
	spin_unlock(&process->signal_lock);
	user_remove(before, USER_PROCESS);
	return 0;
}

/* True if one without privileges may become that one: it is one of the three already. */
static bool is_own_user(uint32_t id)
{
	const struct cred *cred = current_cred();

	return id == cred->uid || id == cred->euid || id == cred->suid;
}

static bool is_own_group(uint32_t id)
{
	const struct cred *cred = current_cred();

	return id == cred->gid || id == cred->egid || id == cred->sgid;
}

SYSCALL1(setuid, uint32_t, uid)
{
	const struct cred *old = current_cred();
	struct cred *cred;

	if (uid == ID_KEEP)
		return -EINVAL;
	if (!capable(CAP_SETUID) && uid != old->uid && uid != old->suid)
		return -EPERM;
	cred = cred_copy();
	if (!cred)
		return -ENOMEM;
	if (capable(CAP_SETUID))
		cred->uid = cred->suid = uid;
	cred->euid = uid;
	return commit_user(cred);
}

SYSCALL3(setresuid, uint32_t, real, uint32_t, effective, uint32_t, saved)
{
	const uint32_t ids[] = { real, effective, saved };
	struct cred *cred;

	for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
		if (ids[i] != ID_KEEP && !is_own_user(ids[i]) && !capable(CAP_SETUID))
			return -EPERM;
	}
	cred = cred_copy();
	if (!cred)
		return -ENOMEM;
	cred->uid = real != ID_KEEP ? real : cred->uid;
	cred->euid = effective != ID_KEEP ? effective : cred->euid;
	cred->suid = saved != ID_KEEP ? saved : cred->suid;
	return commit_user(cred);
}

SYSCALL2(setreuid, uint32_t, real, uint32_t, effective)
{
	const struct cred *old = current_cred();
	bool may = capable(CAP_SETUID);
	struct cred *cred;

	if (real != ID_KEEP && real != old->uid && real != old->euid && !may)
		return -EPERM;
	if (effective != ID_KEEP && !is_own_user(effective) && !may)
		return -EPERM;
	cred = cred_copy();
	if (!cred)
		return -ENOMEM;
	cred->uid = real != ID_KEEP ? real : cred->uid;
	cred->euid = effective != ID_KEEP ? effective : cred->euid;
	if (real != ID_KEEP || (effective != ID_KEEP && effective != old->uid))
		cred->suid = cred->euid;
	return commit_user(cred);
}

/* The result is the old number, whether it has been changed or not. */
SYSCALL1(setfsuid, uint32_t, uid)
{
	const struct cred *old = current_cred();
	uint32_t before = old->fsuid;
	struct cred *cred;
	bool fixed;

	if (uid == ID_KEEP || (!is_own_user(uid) && uid != before && !capable(CAP_SETUID)))
		return before;
	cred = cred_copy();
	if (!cred)
		return before;
	cred->fsuid = uid;
	fixed = cred->securebits & SECBIT_NO_SETUID_FIXUP;
	if (!fixed && before == ROOT_ID && uid != ROOT_ID)
		cred->effective &= ~FS_CAPABILITIES;
	if (!fixed && before != ROOT_ID && uid == ROOT_ID)
		cred->effective |= cred->permitted & FS_CAPABILITIES;
	cred_commit(cred);
	return before;
}

/* --- groups ------------------------------------------------------------------------------------ */

static int64_t commit_group(struct cred *cred)
{
	cred->fsgid = cred->egid;
	cred_commit(cred);
	return 0;
}

SYSCALL1(setgid, uint32_t, gid)
{
	const struct cred *old = current_cred();
	struct cred *cred;

	if (gid == ID_KEEP)
		return -EINVAL;
	if (!capable(CAP_SETGID) && gid != old->gid && gid != old->sgid)
		return -EPERM;
	cred = cred_copy();
	if (!cred)
		return -ENOMEM;
	if (capable(CAP_SETGID))
		cred->gid = cred->sgid = gid;
	cred->egid = gid;
	return commit_group(cred);
}

SYSCALL3(setresgid, uint32_t, real, uint32_t, effective, uint32_t, saved)
{
	const uint32_t ids[] = { real, effective, saved };
	struct cred *cred;

	for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
		if (ids[i] != ID_KEEP && !is_own_group(ids[i]) && !capable(CAP_SETGID))
			return -EPERM;
	}
	cred = cred_copy();
	if (!cred)
		return -ENOMEM;
	cred->gid = real != ID_KEEP ? real : cred->gid;
	cred->egid = effective != ID_KEEP ? effective : cred->egid;
	cred->sgid = saved != ID_KEEP ? saved : cred->sgid;
	return commit_group(cred);
}

SYSCALL2(setregid, uint32_t, real, uint32_t, effective)
{
	const struct cred *old = current_cred();
	bool may = capable(CAP_SETGID);
	struct cred *cred;

	if (real != ID_KEEP && real != old->gid && real != old->egid && !may)
		return -EPERM;
	if (effective != ID_KEEP && !is_own_group(effective) && !may)
		return -EPERM;
	cred = cred_copy();
	if (!cred)
		return -ENOMEM;
	cred->gid = real != ID_KEEP ? real : cred->gid;
	cred->egid = effective != ID_KEEP ? effective : cred->egid;
	if (real != ID_KEEP || (effective != ID_KEEP && effective != old->gid))
		cred->sgid = cred->egid;
	return commit_group(cred);
}

SYSCALL1(setfsgid, uint32_t, gid)
{
	uint32_t before = current_cred()->fsgid;
	struct cred *cred;

	if (gid == ID_KEEP || (!is_own_group(gid) && gid != before && !capable(CAP_SETGID)))
		return before;
	cred = cred_copy();
	if (!cred)
		return before;
	cred->fsgid = gid;
	cred_commit(cred);
	return before;
}

SYSCALL2(getgroups, int, size, vaddr_t, list)
{
	const struct group_list *groups = current_cred()->groups;
	uint32_t count = groups ? groups->count : 0;
	int error = 0;

	if (size < 0)
		return -EINVAL;
	if (size == 0 || count == 0)
		return count;
	if ((uint32_t)size < count)
		return -EINVAL;
	error = copy_to_user(list, groups->ids, count * sizeof(groups->ids[0]));
	return error != 0 ? error : (int64_t)count;
}

/* Insertion into place: lists are short, and mostly sorted. */
static void sort_groups(struct group_list *groups)
{
	for (uint32_t i = 1; i < groups->count; i++) {
		uint32_t id = groups->ids[i], at = i;

		for (; at > 0 && groups->ids[at - 1] > id; at--)
			groups->ids[at] = groups->ids[at - 1];
		groups->ids[at] = id;
	}
}

SYSCALL2(setgroups, int, size, vaddr_t, list)
{
	struct group_list *groups, *old;
	struct cred *cred;
	int error;

	if (!capable(CAP_SETGID))
		return -EPERM;
	if (size < 0 || size > NGROUPS_MAX)
		return -EINVAL;
	groups = kalloc(sizeof(*groups) + (size_t)size * sizeof(groups->ids[0]));
	cred = cred_copy();
	error = groups && cred
			? copy_from_user(groups->ids, list, (size_t)size * sizeof(groups->ids[0]))
			: -ENOMEM;
	if (error != 0) {
		kfree(groups);
		cred_put(cred);
		return error;
	}
	groups->refs = 1;
	groups->count = (uint32_t)size;
	sort_groups(groups);
	old = cred->groups;
	cred->groups = groups;
	if (old && atomic_fetch_sub(&old->refs, 1) == 1)
		kfree(old);
	cred_commit(cred);
	return 0;
}
