/* Two threads, which take turns when a test says so and never have to wait. */
#include "kernel/sched.h"
#include "kernel/cred.h"
#include "shim.h"

static struct thread threads[SHIM_THREADS] = {
	{ .name = "test", .tid = 1, .state = THREAD_RUNNING },
	{ .name = "other", .tid = 2, .state = THREAD_RUNNING },
};
static unsigned running;

struct cred root_cred; /* of both: no capability, so that limits bind */

void shim_run_as(unsigned thread)
{
	assert(thread < SHIM_THREADS);
	running = thread;
}

unsigned shim_running(void)
{
	return running;
}

struct thread *current_thread(void)
{
	return &threads[running];
}

bool sched_needs_resched(void)
{
	return false;
}

void sched_yield(void)
{
	might_sleep();
}

void sched_register_switch_space(void (*switch_space)(struct thread *prev, struct thread *next))
{
	(void)switch_space;
}
