/*
 * proc/prctl.c - prctl(2): what a thread says of itself and of how it wants to be treated.
 *
 * Options of other processors are EINVAL, as on Linux. What there is nothing to be done about (memory
 * errors that the hardware reports, disks to be flushed, mitigations that are not there) is kept and told.
 * Credentials have their options in proc/capabilities.c.
 */
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/x86_64/cpu.h"
#include "mm/space.h"
#include "mm/user.h"
#include "proc/cred.h"
#include "proc/process.h"
#include <linux/prctl.h>

/* --- names, and the ends of others ------------------------------------------------------------------ */

static int64_t set_name(vaddr_t from)
{
	struct process *process = current_process();
	char name[sizeof(process->command)] = { 0 };
	ssize_t length = copy_string_from_user(name, from, sizeof(name));

	/* A longer name is cut, not refused. */
	if (length < 0 && length != -ENAMETOOLONG)
		return length;
	name[sizeof(name) - 1] = '\0';
	mutex_lock(&family_lock);
	if (current->tid == process->pid)
		strlcpy(process->command, name, sizeof(process->command));
	strlcpy(current->name, name, sizeof(current->name));
	mutex_unlock(&family_lock);
	return 0;
}

static int64_t get_name(vaddr_t to)
{
	char name[sizeof(current->name)] = { 0 };

	mutex_lock(&family_lock);
	strlcpy(name, current->name, sizeof(name));
	mutex_unlock(&family_lock);
	return copy_to_user(to, name, sizeof(name));
}

static int64_t set_death_signal(uint64_t signal)
{
	if (signal > NSIG_KERNEL)
		return -EINVAL;
	mutex_lock(&family_lock);
	current_task()->death_signal = (int)signal;
	mutex_unlock(&family_lock);
	return 0;
}

static int64_t set_subreaper(bool is_one)
{
	mutex_lock(&family_lock);
	current_process()->is_subreaper = is_one;
	mutex_unlock(&family_lock);
	return 0;
}

/* --- what is allowed ----------------------------------------------------------------------------------- */

static int64_t set_dumpable(uint64_t value)
{
	if (value > 1)
		return -EINVAL;
	current_process()->attributes.dumpable = value;
	return 0;
}

/* Without it, RDTSC is a SIGSEGV; so is the vDSO's clock_gettime then. */
static int64_t set_tsc(uint64_t value)
{
	if (value != PR_TSC_ENABLE && value != PR_TSC_SIGSEGV)
		return -EINVAL;
	irq_push_off();
	current->no_tsc = value == PR_TSC_SIGSEGV;
	cpu_forbid_tsc(current->no_tsc);
	irq_pop_off();
	return 0;
}

static int64_t set_timer_slack(uint64_t ns)
{
	struct task *task = current_task();

	task->timer_slack_ns = ns != 0 ? ns : task->default_slack_ns; /* timers are exact */
	return 0;
}

static int64_t forbid_large_pages(bool forbid)
{
	struct space *space = current->space;

	rw_write_lock(&space->lock);
	space->never_large = forbid;
	rw_write_unlock(&space->lock);
	return 0;
}

/* --- what is kept and told ------------------------------------------------------------------------------- */

static int64_t set_memory_error_policy(uint64_t operation, uint64_t policy)
{
	switch (operation) {
	case PR_MCE_KILL_CLEAR:
		if (policy != 0)
			return -EINVAL;
		policy = PR_MCE_KILL_DEFAULT;
		break;
	case PR_MCE_KILL_SET:
		if (policy > PR_MCE_KILL_DEFAULT)
			return -EINVAL;
		break;
	default:
		return -EINVAL;
	}
	current_task()->memory_error_policy = (uint8_t)policy;
	return 0;
}

static int64_t flush_disks(int option, uint64_t value)
{
	struct task *task = current_task();

	if (!capable(CAP_SYS_RESOURCE))
		return -EPERM;
	if (option == PR_GET_IO_FLUSHER)
		return value != 0 ? -EINVAL : task->flushes_disks;
	if (value > 1)
		return -EINVAL;
	task->flushes_disks = value != 0;
	return 0;
}

/* As of a processor that needs them and a kernel that has none: Linux with mitigations=off. */
static int64_t get_speculation(uint64_t which)
{
	switch (which) {
	case PR_SPEC_STORE_BYPASS:
	case PR_SPEC_INDIRECT_BRANCH:
		return PR_SPEC_ENABLE;
	case PR_SPEC_L1D_FLUSH:
		return PR_SPEC_FORCE_DISABLE;
	default:
		return -ENODEV;
	}
}

static int64_t set_speculation(uint64_t which, uint64_t how)
{
	switch (which) {
	case PR_SPEC_STORE_BYPASS:
		return -ENXIO;
	case PR_SPEC_INDIRECT_BRANCH:
		if (how == PR_SPEC_ENABLE)
			return 0;
		return how == PR_SPEC_DISABLE || how == PR_SPEC_FORCE_DISABLE ? -EPERM : -ERANGE;
	case PR_SPEC_L1D_FLUSH:
		return -EPERM;
	default:
		return -ENODEV;
	}
}

/* --- the system call --------------------------------------------------------------------------------------- */

/* Of these, what is not used has to be 0. */
struct arguments {
	uint64_t a, b, c, d; /* the second to the fifth */
};

static bool none_from(const struct arguments *args, unsigned from)
{
	const uint64_t list[] = { args->a, args->b, args->c, args->d };
	uint64_t any = 0;

	for (unsigned i = from; i < ARRAY_SIZE(list); i++)
		any |= list[i];
	return any == 0;
}

/* Those that look at arguments which they do not use; -EINVAL: it is none of them, either. */
static int64_t strict_option(int option, const struct arguments *args)
{
	switch (option) {
	case PR_MCE_KILL:
		return none_from(args, 2) ? set_memory_error_policy(args->a, args->b) : -EINVAL;
	case PR_MCE_KILL_GET:
		return none_from(args, 0) ? current_task()->memory_error_policy : -EINVAL;
	case PR_GET_THP_DISABLE:
		return none_from(args, 0) ? current->space->never_large : -EINVAL;
	case PR_SET_THP_DISABLE:
		return none_from(args, 1) ? forbid_large_pages(args->a != 0) : -EINVAL;
	case PR_GET_SPECULATION_CTRL:
		return none_from(args, 1) ? get_speculation(args->a) : -EINVAL;
	case PR_SET_SPECULATION_CTRL:
		return none_from(args, 2) ? set_speculation(args->a, args->b) : -EINVAL;
	case PR_SET_IO_FLUSHER:
	case PR_GET_IO_FLUSHER:
		if (!none_from(args, 1) && capable(CAP_SYS_RESOURCE))
			return -EINVAL;
		return flush_disks(option, args->a);
	default:
		return -EINVAL;
	}
}

SYSCALL5(prctl, int, option, uint64_t, argument, uint64_t, third, uint64_t, fourth, uint64_t, fifth)
{
	const struct arguments args = { argument, third, fourth, fifth };

	switch (option) {
	case PR_SET_PDEATHSIG:
		return set_death_signal(argument);
	case PR_GET_PDEATHSIG:
		return put_user(argument, current_task()->death_signal);
	case PR_SET_CHILD_SUBREAPER:
		return set_subreaper(argument != 0);
	case PR_GET_CHILD_SUBREAPER:
		return put_user(argument, (int)current_process()->is_subreaper);
	case PR_SET_NAME:
		return set_name(argument);
	case PR_GET_NAME:
		return get_name(argument);
	case PR_GET_NO_NEW_PRIVS:
	case PR_SET_NO_NEW_PRIVS:
		return cred_prctl(option, argument, third | fourth | fifth);
	case PR_CAP_AMBIENT:
		return (fourth | fifth) != 0 ? -EINVAL : cred_prctl(option, argument, third);
	case PR_GET_KEEPCAPS:
	case PR_SET_KEEPCAPS:
	case PR_GET_SECUREBITS:
	case PR_SET_SECUREBITS:
	case PR_CAPBSET_READ:
	case PR_CAPBSET_DROP:
		return cred_prctl(option, argument, third);
	case PR_GET_DUMPABLE:
		return current_process()->attributes.dumpable;
	case PR_SET_DUMPABLE:
		return set_dumpable(argument);
	case PR_GET_TIMERSLACK:
		return (int64_t)current_task()->timer_slack_ns;
	case PR_SET_TIMERSLACK:
		return set_timer_slack(argument);
	case PR_GET_TID_ADDRESS:
		return put_user(argument, current->clear_child_tid);
	case PR_GET_SECCOMP:
	case PR_GET_TIMING:
		return 0;
	case PR_SET_TIMING:
		return argument == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
	case PR_GET_TSC:
		return put_user(argument, current->no_tsc ? PR_TSC_SIGSEGV : PR_TSC_ENABLE);
	case PR_SET_TSC:
		return set_tsc(argument);
	default:
		return strict_option(option, &args);
	}
}
