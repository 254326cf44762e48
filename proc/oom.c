/*
 * proc/oom.c - who is ended when memory has run out: the process with the largest score.
 *
 * A score is the memory that the process has present, in pages, and so much for its oom_score_adj
 * (proc(5)): 1000 of that are all of the memory. The first process is never ended, nor who shares its
 * memory, nor who has the smallest adjustment. All who share the victim's memory end with it.
 */
#include "proc/oom.h"

#include "kernel/clock.h"
#include "kernel/log.h"
#include "mm/frame.h"
#include "mm/oom.h"
#include "mm/space.h"
#include <asm/signal.h>

/* So long nobody else is ended, while one that is to end has not. */
#define PATIENCE_NS (5 * NSEC_PER_SEC)

static uint64_t last_ns; /* when one was ended; the oom thread only */

/* What its threads run in; no reference, the family lock keeps it. NULL: it has none any more. */
static struct space *space_of(const struct process *process)
{
	const struct task *task;

	TAILQ_FOREACH (task, &process->tasks, sibling) {
		if (task->thread.space)
			return task->thread.space;
	}
	return NULL;
}

/* It has been told to, and its memory is not all given back. */
static bool is_ending(struct process *process)
{
	bool ending;

	spin_lock(&process->signal_lock);
	ending = process->ending && !process->zombie;
	spin_unlock(&process->signal_lock);
	return ending;
}

static uint64_t resident_pages(struct space *space)
{
	uint64_t pages;

	spin_lock(&space->pmap.lock);
	pages = space->stats.anon_pages + space->stats.file_pages + space->stats.shared_pages +
		space->pmap.tables;
	spin_unlock(&space->pmap.lock);
	return pages;
}

static bool is_exempt(const struct process *process)
{
	const struct space *space = space_of(process);

	return !space || process == first_process || space == space_of(first_process) ||
	       process->oom_score_adj == OOM_SCORE_ADJ_MIN;
}

/* In pages; 0: not to be ended. Family lock held. */
static uint64_t badness(const struct process *process)
{
	int64_t points;

	if (is_exempt(process))
		return 0;
	points = (int64_t)resident_pages(space_of(process)) +
		 process->oom_score_adj * (int64_t)(frame_total() / OOM_SCORE_ADJ_MAX);
	return points > 0 ? (uint64_t)points : 1;
}

unsigned oom_score(const struct process *process)
{
	assert(mutex_held(&family_lock));
	return (unsigned)(badness(process) * OOM_SCORE_ADJ_MAX / frame_total());
}

/* The one with the most points, of equals the youngest; or NULL. */
static struct process *find_victim(bool *is_waited_for)
{
	struct process *victim = NULL;
	uint64_t most = 1;

	for (struct process *p = family_next(NULL); p; p = family_next(p)) {
		uint64_t points;

		if (is_ending(p)) {
			*is_waited_for = true;
			continue;
		}
		points = badness(p);
		if (points >= most) {
			victim = p;
			most = points;
		}
	}
	return victim;
}

static void end(struct process *victim)
{
	struct space *space = space_of(victim);

	log_err("out of memory: killed %s[%u], %lu kB", victim->command, victim->pid,
		resident_pages(space) * (PAGE_SIZE / KIB));
	for (struct process *p = family_next(NULL); p; p = family_next(p)) {
		if (space_of(p) == space)
			process_post_signal(p, SIGKILL);
	}
}

static enum oom_pick pick(void)
{
	bool is_waited_for = false;
	struct process *victim;
	enum oom_pick result = OOM_PICKED;

	mutex_lock(&family_lock);
	victim = find_victim(&is_waited_for);
	if (is_waited_for && clock_ns() - last_ns < PATIENCE_NS) {
		result = OOM_WAITED;
	} else if (victim) {
		end(victim);
		last_ns = clock_ns();
	} else {
		log_err("out of memory: there is nobody to kill");
		result = OOM_NOBODY;
	}
	mutex_unlock(&family_lock);
	return result;
}

void oom_init(void)
{
	oom_start(pick);
}
