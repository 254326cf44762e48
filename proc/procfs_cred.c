/*
 * proc/procfs_cred.c - what /proc/PID/status says of users, groups and capabilities.
 */
#include "fs/file.h"
#include "fs/path.h"
#include "fs/synthetic.h"
#include "kernel/string.h"
#include "proc/cred.h"
#include "proc/process.h"
#include "proc/procfs.h"

/* The process's credentials, with a reference; NULL: it is gone. Its descriptors' number, too. */
static struct cred *cred_of(uint32_t pid, uint32_t *descriptors)
{
	struct process *process;
	struct files *files = NULL;
	struct cred *cred = NULL;

	mutex_lock(&family_lock);
	process = family_find(pid);
	if (process) {
		cred = process->cred;
		cred_get(cred);
		files = process_files(process);
		if (files)
			files_get(files);
	}
	mutex_unlock(&family_lock);
	*descriptors = files ? files_size(files) : 0;
	if (files)
		files_put(files);
	return cred;
}

void procfs_describe_umask(struct text *text, uint32_t pid)
{
	const struct process *process;
	struct fs_context *fs = NULL;

	mutex_lock(&family_lock);
	process = family_find(pid);
	if (process)
		fs = process_fs(process);
	if (fs)
		fs_context_get(fs);
	mutex_unlock(&family_lock);
	if (!fs)
		return;
	text_printf(text, "Umask:\t%04o\n", fs->umask);
	fs_context_put(fs);
}

void procfs_describe_identity(struct text *text, uint32_t pid)
{
	uint32_t descriptors;
	struct cred *cred = cred_of(pid, &descriptors);

	if (!cred)
		return;
	text_printf(text, "Uid:\t%u\t%u\t%u\t%u\n", cred->uid, cred->euid, cred->suid, cred->fsuid);
	text_printf(text, "Gid:\t%u\t%u\t%u\t%u\n", cred->gid, cred->egid, cred->sgid, cred->fsgid);
	text_printf(text, "FDSize:\t%u\nGroups:\t", descriptors);
	for (uint32_t i = 0; cred->groups && i < cred->groups->count; i++)
		text_printf(text, "%u ", cred->groups->ids[i]);
	text_printf(text, " \n");
	cred_put(cred);
}

void procfs_describe_capabilities(struct text *text, uint32_t pid)
{
	uint32_t descriptors;
	struct cred *cred = cred_of(pid, &descriptors);

	if (!cred)
		return;
	text_printf(text,
		    "CapInh:\t%016lx\nCapPrm:\t%016lx\nCapEff:\t%016lx\nCapBnd:\t%016lx\n"
		    "CapAmb:\t%016lx\nNoNewPrivs:\t%d\nSeccomp:\t0\n",
		    cred->inheritable, cred->permitted, cred->effective, cred->bounding,
		    cred->ambient, cred->no_new_privileges);
	cred_put(cred);
}
