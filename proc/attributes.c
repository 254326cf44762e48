/*
 * proc/attributes.c - small things that a process says of itself: prctl(2) beyond names and deaths, and
 * personality(2). They are kept and told; what they change is said at each.
 */
#include "kernel/clock.h"
#include "kernel/syscall.h"
#include "mm/user.h"
#include "proc/process.h"
#include <linux/personality.h>
#include <linux/prctl.h>

/* personality(2): a number that only asks. */
#define PERSONALITY_ASK 0xffffffffu

static int64_t set_flag(bool *flag, uint64_t value)
{
	if (value > 1)
		return -EINVAL;
	*flag = value;
	return 0;
}

int64_t process_control(int option, uint64_t argument)
{
	struct process_attributes *own = &current_process()->attributes;
	struct task *task = current_task();

	switch (option) {
	case PR_GET_DUMPABLE:
		return own->dumpable;
	case PR_SET_DUMPABLE: /* there are no core files to be dumped */
		return set_flag(&own->dumpable, argument);
	case PR_GET_TIMERSLACK:
		return (int64_t)task->timer_slack_ns;
	case PR_SET_TIMERSLACK: /* timers are exact */
		task->timer_slack_ns = (int64_t)argument > 0 ? argument : TIMER_SLACK_DEFAULT_NS;
		return 0;
	case PR_GET_TID_ADDRESS:
		return put_user(argument, current->clear_child_tid);
	case PR_GET_SECCOMP:
	case PR_GET_TIMING:
		return 0;
	case PR_SET_TIMING:
		return argument == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
	case PR_GET_TSC:
		return put_user(argument, (int)PR_TSC_ENABLE);
	case PR_SET_TSC:
		return argument == PR_TSC_ENABLE ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

void process_inherit_attributes(struct task *child)
{
	child->thread.process->attributes = current_process()->attributes;
	child->timer_slack_ns = current_task()->timer_slack_ns;
	child->io_priority = current_task()->io_priority;
	sched_inherit(&child->thread);
}

void process_exec_attributes(struct process *process)
{
	process->attributes.dumpable = true;
}

/* ADDR_NO_RANDOMIZE is what exec obeys (loader/exec.c). */
SYSCALL1(personality, uint32_t, persona)
{
	struct process_attributes *own = &current_process()->attributes;
	uint32_t old = own->personality;

	if (persona != PERSONALITY_ASK)
		own->personality = persona;
	return old;
}
