/*
 * fs/permission.c - who may do what to which inode. See the header.
 */
#include "fs/permission.h"
#include "fs/inode.h"
#include "fs/mount.h"
#include "fs/synthetic.h"
#include "kernel/cred.h"
#include "mm/slab.h"

#define MODE_EXECUTE (S_IXUSR | S_IXGRP | S_IXOTH)

/* The three bits of a mode that are for the caller. */
static unsigned granted(const struct inode *inode, const struct cred *cred)
{
	uint32_t uid = inode->uid, gid = inode->gid;

	if (uid == cred->fsuid)
		return inode->mode >> 6 & 7;
	return cred_in_group(cred, gid) ? inode->mode >> 3 & 7 : inode->mode & 7;
}

/* Writing it changes the file system. */
static bool is_stored(const struct inode *inode)
{
	return S_ISREG(inode->mode) || S_ISDIR(inode->mode) || S_ISLNK(inode->mode);
}

int inode_may(const struct inode *inode, unsigned wanted)
{
	const struct cred *cred = current_cred();

	if ((wanted & MAY_WRITE) != 0 && is_stored(inode) && inode->filesystem != NULL &&
	    (atomic_load(&inode->filesystem->flags) & MS_RDONLY) != 0)
		return -EROFS;
	if ((granted(inode, cred) & wanted) == wanted)
		return 0;
	/* What nobody may execute, root may not, either. */
	if (cred_has(cred, CAP_DAC_OVERRIDE) &&
	    (S_ISDIR(inode->mode) || (wanted & MAY_EXECUTE) == 0 ||
	     (inode->mode & MODE_EXECUTE) != 0))
		return 0;
	if (cred_has(cred, CAP_DAC_READ_SEARCH) &&
	    (wanted == MAY_READ || (S_ISDIR(inode->mode) && (wanted & MAY_WRITE) == 0)))
		return 0;
	return -EACCES;
}

int location_may(const struct location *at, unsigned wanted)
{
	if ((wanted & MAY_WRITE) != 0 && is_stored(at->inode) && mount_has(at->mount, MS_RDONLY))
		return -EROFS;
	return at->inode->is_synthetic ? synthetic_may(at->inode, wanted)
				       : inode_may(at->inode, wanted);
}

/* Whose a directory of /proc/PID is, proc knows, and says when it is asked what is in it. */
int inode_may_search(const struct inode *dir)
{
	if (dir->is_synthetic && dir->number_of != 0)
		return 0;
	return inode_may(dir, MAY_EXECUTE);
}

int dir_may_make(const struct inode *dir)
{
	return inode_may(dir, MAY_WRITE | MAY_EXECUTE);
}

int name_may_go(const struct name *name)
{
	const struct cred *cred = current_cred();
	const struct inode *dir = name->dir;
	int error = dir_may_make(dir);

	if (error != 0)
		return error;
	if ((dir->mode & S_ISVTX) != 0 && dir->uid != cred->fsuid &&
	    name->inode->uid != cred->fsuid && !cred_has(cred, CAP_FOWNER))
		return -EPERM;
	return 0;
}

bool inode_is_mine(const struct inode *inode)
{
	return inode->uid == current_cred()->fsuid || capable(CAP_FOWNER);
}

int inode_may_link(const struct inode *inode)
{
	if (inode_is_mine(inode))
		return 0;
	if (!S_ISREG(inode->mode) || (inode->mode & S_ISUID) != 0 ||
	    (inode->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		return -EPERM;
	return inode_may(inode, MAY_READ | MAY_WRITE) != 0 ? -EPERM : 0;
}

void inode_set_owner(struct inode *inode, const struct inode *dir)
{
	const struct cred *cred = current_cred();

	inode->uid = cred->fsuid;
	inode->gid = cred->fsgid;
	if (dir == NULL || (dir->mode & S_ISGID) == 0)
		return;
	inode->gid = dir->gid;
	if (S_ISDIR(inode->mode))
		inode->mode |= S_ISGID;
	else if ((inode->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
		 !cred_in_group(cred, inode->gid) && !cred_has(cred, CAP_FSETID))
		inode->mode &= ~(uint32_t)S_ISGID;
}

void group_list_put(struct group_list *groups)
{
	if (groups != NULL && atomic_fetch_sub(&groups->refs, 1) == 1)
		kfree(groups);
}

void inode_drop_set_id(struct inode *inode)
{
	/* A look without the lock: hardly any file has them. */
	if ((inode->mode & (S_ISUID | S_ISGID)) == 0 || S_ISDIR(inode->mode))
		return;
	mutex_lock(&root_lock);
	inode->mode &= ~(uint32_t)S_ISUID;
	if ((inode->mode & S_IXGRP) != 0)
		inode->mode &= ~(uint32_t)S_ISGID;
	mutex_unlock(&root_lock);
}
