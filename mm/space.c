/*
 * mm/space.c - the life of an address space: made, shared, loaded, torn down.
 *
 * What is done to it while it lives is in map.c, protect.c, brk.c and fault.c; its tree of regions
 * in region.c.
 */
#include "mm/space.h"

#include "kernel/sched.h"
#include "kernel/trap.h"
#include "mm/change.h"
#include "mm/slab.h"

static struct slab_cache space_cache;

struct space *space_create(void)
{
	struct space *space = slab_zalloc(&space_cache);

	if (!space)
		return NULL;
	if (pmap_create(&space->pmap) < 0) {
		slab_free(&space_cache, space);
		return NULL;
	}
	space->refs = 1;
	rw_init(&space->lock, "space", RANK_SPACE);
	RB_INIT(&space->regions);
	LIST_INIT(&space->deposits);
	space->mmap_top = space->stack_top = USER_MAX;
	space->limits = (struct space_limits){ UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX };
	return space;
}

void space_get(struct space *space)
{
	uint32_t before = atomic_fetch_add_explicit(&space->refs, 1, memory_order_relaxed);

	assert(before > 0);
}

void space_put(struct space *space)
{
	struct change change = CHANGE_NONE;
	uint32_t before = atomic_fetch_sub_explicit(&space->refs, 1, memory_order_acq_rel);

	assert(before > 0);
	if (before > 1)
		return;
	/* Nobody else can take the lock; truncation may still come along through an object. */
	rw_write_lock(&space->lock);
	change_remove(space, USER_MIN, USER_MAX, &change);
	rw_write_unlock(&space->lock);
	change_release(&change);
	assert(LIST_EMPTY(&space->deposits));
	pmap_destroy(&space->pmap);
	slab_free(&space_cache, space);
}

/*
 * The scheduler's switch. A kernel thread runs on the kernel's own table: were it to keep the one
 * before, a dying space would have to chase it from CPU to CPU.
 */
static void switch_space(struct thread *prev, struct thread *next)
{
	if (prev->space != next->space)
		pmap_activate(next->space ? &next->space->pmap : NULL);
}

void space_switch(struct space *space)
{
	irq_push_off();
	current->space = space;
	pmap_activate(space ? &space->pmap : NULL);
	irq_pop_off();
}

uint64_t space_tables(struct space *space)
{
	uint64_t tables;

	spin_lock(&space->pmap.lock);
	tables = space->pmap.tables;
	spin_unlock(&space->pmap.lock);
	return tables;
}

void space_init(void)
{
	slab_cache_init(&space_cache, "space", sizeof(struct space), sizeof(void *));
	region_init();
	radix_init();
	object_cache_init();
	sched_register_switch_space(switch_space);
}
