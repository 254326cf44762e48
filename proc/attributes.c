/*
 * proc/attributes.c - what a child has of its parent's ways, and exec leaves: prctl(2), personality(2).
 */
#include "kernel/syscall.h"
#include "proc/process.h"
#include <linux/personality.h>

/* personality(2): a number that only asks. */
#define PERSONALITY_ASK 0xffffffffu

void process_inherit_attributes(struct task *child)
{
	const struct task *self = current_task();

	child->thread.process->attributes = current_process()->attributes;
	child->timer_slack_ns = child->default_slack_ns = self->timer_slack_ns;
	child->memory_error_policy = self->memory_error_policy;
	child->flushes_disks = self->flushes_disks;
	child->io_priority = self->io_priority;
	child->thread.no_tsc = self->thread.no_tsc;
	sched_inherit(&child->thread);
}

void process_exec_attributes(bool readable, bool secure)
{
	struct process_attributes *own = &current_process()->attributes;

	own->dumpable = readable && !secure;
	if (secure)
		own->personality &= ~(uint32_t)PER_CLEAR_ON_SETID;
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
