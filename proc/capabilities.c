/*
 * proc/capabilities.c - capget(2), capset(2), and prctl(2)'s part of capabilities(7).
 *
 * Root has all of them and others have none, unless root has given some away or kept some. Files have no
 * capabilities.
 */
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/user.h"
#include "proc/cred.h"
#include "proc/process.h"
#include <linux/prctl.h>
#include <linux/securebits.h>

/* How many words of 32 capabilities the version of the header has; 0: unknown. */
static unsigned words_of(uint32_t version)
{
	switch (version) {
	case _LINUX_CAPABILITY_VERSION_1:
		return _LINUX_CAPABILITY_U32S_1;
	case _LINUX_CAPABILITY_VERSION_2:
	case _LINUX_CAPABILITY_VERSION_3:
		return _LINUX_CAPABILITY_U32S_3;
	default:
		return 0;
	}
}

/* An unknown version is answered with the one to use. */
static int get_header(vaddr_t from, struct __user_cap_header_struct *header, unsigned *words)
{
	const uint32_t version = _LINUX_CAPABILITY_VERSION_3;
	int error = copy_from_user(header, from, sizeof(*header));

	if (error != 0)
		return error;
	*words = words_of(header->version);
	if (*words == 0) {
		error = put_user(from, version);
		return error != 0 ? error : -EINVAL;
	}
	return header->pid < 0 ? -EINVAL : 0;
}

SYSCALL2(capget, vaddr_t, header_at, vaddr_t, data_at)
{
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	struct __user_cap_header_struct header;
	uint64_t effective = 0, permitted = 0, inheritable = 0;
	const struct process *process;
	unsigned words = 0;
	int error = get_header(header_at, &header, &words);

	/* Who asks for the version gives no place for the data. */
	if (error != 0)
		return error == -EINVAL && data_at == 0 && words == 0 ? 0 : error;
	mutex_lock(&family_lock);
	process = header.pid != 0 ? family_find((uint32_t)header.pid) : current_process();
	if (process) {
		const struct cred *cred =
			process == current_process() ? current_cred() : process->cred;

		effective = cred->effective;
		permitted = cred->permitted;
		inheritable = cred->inheritable;
	}
	mutex_unlock(&family_lock);
	if (!process)
		return -ESRCH;
	for (unsigned i = 0; i < words; i++)
		data[i] = (struct __user_cap_data_struct){
			.effective = (uint32_t)(effective >> i * 32),
			.permitted = (uint32_t)(permitted >> i * 32),
			.inheritable = (uint32_t)(inheritable >> i * 32),
		};
	return copy_to_user(data_at, data, words * sizeof(data[0]));
}

SYSCALL2(capset, vaddr_t, header_at, vaddr_t, data_at)
{
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	struct __user_cap_header_struct header;
	uint64_t effective = 0, permitted = 0, inheritable = 0;
	const struct cred *old = current_cred();
	struct cred *cred;
	unsigned words;
	int error = get_header(header_at, &header, &words);

	if (error != 0)
		return error;
	if (header.pid != 0 && (uint32_t)header.pid != current_process()->pid)
		return -EPERM;
	error = copy_from_user(data, data_at, words * sizeof(data[0]));
	if (error != 0)
		return error;
	for (unsigned i = 0; i < words; i++) {
		effective |= (uint64_t)data[i].effective << i * 32;
		permitted |= (uint64_t)data[i].permitted << i * 32;
		inheritable |= (uint64_t)data[i].inheritable << i * 32;
	}
	effective &= CAP_ALL;
	permitted &= CAP_ALL;
	inheritable &= CAP_ALL;
	/* Nobody gets what is not permitted, and what is given away does not come back. */
	if ((permitted & ~old->permitted) != 0 || (effective & ~permitted) != 0)
		return -EPERM;
	if ((inheritable & ~(old->inheritable | old->bounding)) != 0 ||
	    (!capable(CAP_SETPCAP) && (inheritable & ~(old->inheritable | old->permitted)) != 0))
		return -EPERM;
	cred = cred_copy();
	if (!cred)
		return -ENOMEM;
	cred->effective = effective;
	cred->permitted = permitted;
	cred->inheritable = inheritable;
	cred->ambient &= permitted & inheritable;
	cred_commit(cred);
	return 0;
}

static int64_t drop_bounding(uint64_t cap)
{
	struct cred *cred;

	if (!capable(CAP_SETPCAP))
		return -EPERM;
	cred = cred_copy();
	if (!cred)
		return -ENOMEM;
	cred->bounding &= ~CAP_BIT(cap);
	cred_commit(cred);
	return 0;
}

static int64_t change_securebits(uint32_t bits)
{
	struct cred *cred = cred_copy();

	if (!cred)
		return -ENOMEM;
	cred->securebits = bits;
	cred_commit(cred);
	return 0;
}

static int64_t keep_capabilities(bool keep)
{
	uint32_t bits = current_cred()->securebits;

	if (bits & SECBIT_KEEP_CAPS_LOCKED)
		return -EPERM;
	return change_securebits(keep ? bits | SECBIT_KEEP_CAPS
				      : bits & ~(uint32_t)SECBIT_KEEP_CAPS);
}

/* What is locked stays, and so do locks, each beside its bit. */
static int64_t set_securebits(uint64_t bits)
{
	uint32_t old = current_cred()->securebits, locks = old & SECURE_ALL_LOCKS;

	if (((locks >> 1) & (old ^ bits)) != 0 || (locks & ~bits) != 0 ||
	    (bits & ~(uint64_t)(SECURE_ALL_LOCKS | SECURE_ALL_BITS)) != 0 || !capable(CAP_SETPCAP))
		return -EPERM;
	return change_securebits((uint32_t)bits);
}

/* prctl(2): the other arguments are to be 0, and there is no way back. */
static int64_t refuse_new_privileges(uint64_t argument, uint64_t argument2)
{
	struct cred *cred;

	if (argument != 1 || argument2 != 0)
		return -EINVAL;
	cred = cred_copy();
	if (!cred)
		return -ENOMEM;
	cred->no_new_privileges = true;
	cred_commit(cred);
	return 0;
}

static int64_t change_ambient(uint64_t operation, uint64_t cap)
{
	const struct cred *old = current_cred();
	struct cred *cred;

	if (operation == PR_CAP_AMBIENT_CLEAR_ALL ? cap != 0 : cap > CAP_LAST_CAP)
		return -EINVAL;
	if (operation == PR_CAP_AMBIENT_IS_SET)
		return (old->ambient & CAP_BIT(cap)) != 0;
	if (operation == PR_CAP_AMBIENT_RAISE &&
	    ((old->permitted & old->inheritable & CAP_BIT(cap)) == 0 ||
	     (old->securebits & SECBIT_NO_CAP_AMBIENT_RAISE)))
		return -EPERM;
	cred = cred_copy();
	if (!cred)
		return -ENOMEM;
	if (operation == PR_CAP_AMBIENT_RAISE)
		cred->ambient |= CAP_BIT(cap);
	else if (operation == PR_CAP_AMBIENT_LOWER)
		cred->ambient &= ~CAP_BIT(cap);
	else
		cred->ambient = 0;
	cred_commit(cred);
	return 0;
}

int64_t cred_prctl(int option, uint64_t argument, uint64_t argument2)
{
	switch (option) {
	case PR_CAPBSET_READ:
		return argument > CAP_LAST_CAP
			       ? -EINVAL
			       : (current_cred()->bounding & CAP_BIT(argument)) != 0;
	case PR_CAPBSET_DROP:
		return argument > CAP_LAST_CAP ? -EINVAL : drop_bounding(argument);
	case PR_GET_KEEPCAPS:
		return (current_cred()->securebits & SECBIT_KEEP_CAPS) != 0;
	case PR_SET_KEEPCAPS:
		return argument > 1 ? -EINVAL : keep_capabilities(argument != 0);
	case PR_SET_NO_NEW_PRIVS:
		return refuse_new_privileges(argument, argument2);
	case PR_GET_NO_NEW_PRIVS:
		return argument != 0 || argument2 != 0 ? -EINVAL
						       : current_cred()->no_new_privileges;
	case PR_GET_SECUREBITS:
		return current_cred()->securebits;
	case PR_SET_SECUREBITS:
		return set_securebits(argument);
	case PR_CAP_AMBIENT:
		return argument < PR_CAP_AMBIENT_IS_SET || argument > PR_CAP_AMBIENT_CLEAR_ALL
			       ? -EINVAL
			       : change_ambient(argument, argument2);
	default:
		return -EINVAL;
	}
}
