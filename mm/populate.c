/*
 * mm/populate.c - bringing pages in before they are touched: MAP_POPULATE, mlock(2), MADV_POPULATE_*.
 *
 * Pages come by the same faults that would bring them later, with no lock held in between: what was
 * learned about a region holds for one step, and if it has changed since, the fault says so.
 */
#include "mm/populate.h"

#include "kernel/sched.h"
#include "kernel/trap.h"
#include <linux/mman.h>

/* A run of pages that want the same access. */
struct step {
	vaddr_t end;
	unsigned access;
	bool skip;
};

/* POPULATE_OWN: COW is broken in advance, and nothing is dirtied that others see. */
static unsigned own_access(const struct region *region)
{
	bool private = !(region->flags & REGION_SHARED);

	return private && (region->prot & PROT_WRITE) ? FAULT_WRITE : FAULT_READ;
}

static int plan_step(struct space *space, vaddr_t at, enum populate how, struct step *step)
{
	const struct region *region;
	int error = 0;

	rw_read_lock(&space->lock);
	region = space_find(space, at);
	if (!region) {
		error = -ENOENT;
	} else {
		bool device = region->flags & REGION_DEVICE;
		uint32_t needed = how == POPULATE_WRITE ? PROT_WRITE : PROT_ALL;

		step->end = region->end;
		step->access = how == POPULATE_OWN     ? own_access(region)
			       : how == POPULATE_WRITE ? FAULT_WRITE
						       : FAULT_READ;
		step->skip =
			how == POPULATE_OWN && (device || (region->flags & REGION_LOCKONFAULT));
		if (!step->skip && (device || !(region->prot & needed)))
			error = -EACCES;
	}
	rw_read_unlock(&space->lock);
	return error;
}

int populate(struct space *space, vaddr_t start, vaddr_t end, enum populate how)
{
	vaddr_t at = start;

	while (at < end) {
		struct step step;
		int error = plan_step(space, at, how, &step);

		if (error)
			return error;
		step.end = MIN(step.end, end);
		if (step.skip)
			at = step.end;
		for (; at < step.end; at += PAGE_SIZE) {
			error = current->kill_pending ? -EINTR
						      : space_fault(space, at, step.access);
			if (error)
				return error;
			if (sched_needs_resched())
				sched_yield();
		}
	}
	return 0;
}
