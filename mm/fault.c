/*
 * mm/fault.c - what an access to memory that is not there, or not writable yet, leads to.
 *
 * A fault is a loop of attempts. An attempt holds the space's lock shared, and the object's where
 * there is one; it finds the region, looks at the page-table entry, and either finishes or says
 * what is missing. What is missing is waited for with no lock held, and the next attempt starts
 * from the top, since anything may have changed meanwhile.
 *
 *	                       the region is
 *	PTE is        private anonymous    a private file     shared
 *	empty, read   zero page            object's page ─────────────┐ with those around it
 *	empty, write  zeroed frame         copy               object's page, made writable
 *	there, write  ONE RULE: a frame in no object with one reference
 *	              is made writable; any other is copied   made writable
 *	there, read   gets the rights that the region has and it lacks (or has them: spurious)
 *
 * A write to an empty 2 MiB block of private anonymous memory first tries for a large page (mm/large.c), and
 * one to a large page that others share has it demoted first.
 * Besides that, this is the only file that lets a page be written; others only take rights away.
 *
 * Installing a page happens under the pmap lock, after the entry was read again: other threads fault
 * at the same time. For an object's region it happens under the object's lock too, below its size,
 * so that truncation cannot be overtaken. Replacing a page goes
 *
 *	PTE ──> old          withdraw: keep the frame, take all rights; flush
 *	PTE --> old          copy; nobody can read the old page through a stale TLB from here on, and
 *	                     whoever faults meanwhile finds the frame and restores its read right
 *	PTE ──> new          only if the entry is still as we left it, otherwise from the top
 */
#include "kernel/sched.h"
#include "kernel/trap.h"
#include "mm/large.h"
#include "mm/pages.h"
#include "mm/region.h"
#include <linux/mman.h>

/* A read fault brings in what the object has of these pages: an aligned block within one table. */
#define AROUND_BYTES (16 * PAGE_SIZE)

enum outcome {
	DONE,
	NO_ACCESS, /* SIGSEGV */
	NO_PAGE,   /* beyond the object's end: SIGBUS */
	GROW,      /* the stack must grow first */
	DEMOTE,    /* a large page that others share must be demoted first */
	FETCH,     /* the object must get the page first */
	STARVED,   /* no memory */
};

struct fault {
	struct space *space;
	vaddr_t page;
	unsigned access;

	/* What one attempt or wait leaves for the next. */
	struct frame *spare;   /* to become a private page */
	struct object *object; /* of FETCH, held until it is done */
	uint64_t index;
	struct frame *held; /* what FETCH got: stays until it is installed */
	bool reclaimed;
};

/* --- rights ----------------------------------------------------------------------------------- */

/* As on x86: whatever may be written or executed may be read. */
static bool allowed(const struct region *region, unsigned access)
{
	if (access & FAULT_WRITE)
		return region->prot & PROT_WRITE;
	if (access & FAULT_EXEC)
		return region->prot & PROT_EXEC;
	return region->prot & PROT_ALL;
}

static bool satisfied(struct pte pte, unsigned access)
{
	return pte.present && (pte.writable || !(access & FAULT_WRITE)) &&
	       (pte.executable || !(access & FAULT_EXEC));
}

static unsigned rights(const struct region *region)
{
	return region->prot & PROT_EXEC ? PTE_EXEC : 0;
}

/* Gives an entry that is there what a read or an execution needs; pmap lock held. */
static void restore(struct fault *f, const struct region *region, struct pte pte)
{
	pmap_enter(&f->space->pmap, f->page, pte.address,
		   rights(region) | (pte.writable ? PTE_WRITE : 0) |
			   (pte.special ? PTE_SPECIAL : 0));
}

/* The one rule: private, in no object, and nobody else's. */
static bool reusable(struct pte pte)
{
	const struct frame *frame;

	if (pte_empty(pte) || pte.special)
		return false;
	frame = frame_of(pte.address);
	return frame->kind == FRAME_ANON &&
	       atomic_load_explicit(&frame->refs, memory_order_acquire) == 1;
}

/* --- private pages ---------------------------------------------------------------------------- */

static enum outcome read_anonymous(struct fault *f, const struct region *region)
{
	struct pmap *pmap = &f->space->pmap;
	struct pte pte;

	spin_lock(&pmap->lock);
	if (pmap_reserve_locked(pmap, f->page) < 0) {
		spin_unlock(&pmap->lock);
		return STARVED;
	}
	pte = pmap_get(pmap, f->page);
	if (pte_empty(pte))
		pmap_enter(pmap, f->page, pmap_zero_page, rights(region) | PTE_SPECIAL);
	else if (!satisfied(pte, f->access))
		restore(f, region, pte);
	spin_unlock(&pmap->lock);
	return DONE;
}

/*
 * The second half of replacing a page: puts the spare, a copy, in the place of what `was` there, unless
 * that has changed. The entry has no right, and no TLB knows it.
 */
static bool replace(struct fault *f, const struct region *region, struct pte was)
{
	struct pmap *pmap = &f->space->pmap;
	struct pte now;

	spin_lock(&pmap->lock);
	now = pmap_get(pmap, f->page);
	if (!now.protnone || now.address != was.address) {
		spin_unlock(&pmap->lock);
		return false;
	}
	if (!was.special)
		pages_count(f->space, frame_of(was.address), -1);
	pmap_replace(pmap, f->page, frame_paddr(f->spare), rights(region) | PTE_WRITE);
	pages_count(f->space, f->spare, 1);
	f->spare = NULL;
	spin_unlock(&pmap->lock);
	return true;
}

/* Replaces the page that is there by a copy; the pmap lock is held, and released. */
static bool copy_page(struct fault *f, const struct region *region, struct pte pte)
{
	struct pmap *pmap = &f->space->pmap;
	struct frame *old = pte.special ? NULL : frame_of(pte.address);
	bool replaced;

	pmap_protect(pmap, f->page, PTE_NONE);
	if (old)
		frame_get(old);
	spin_unlock(&pmap->lock);

	/* Even if it had no right: who withdrew it may not have flushed yet. */
	pmap_flush(pmap, f->page, f->page + PAGE_SIZE);
	if (old)
		pmap_copy_frame(f->spare, frame_paddr(old));
	else
		pmap_zero_frames(f->spare, 1);
	replaced = replace(f, region, pte);
	if (old && replaced)
		frame_put(old); /* the entry's */
	if (old)
		frame_put(old);
	return replaced;
}

/*
 * A page of this space's own, writable. Where the entry is empty its content comes from `origin`,
 * the object's page, or is zero.
 */
static enum outcome write_private(struct fault *f, const struct region *region,
				  const struct frame *origin)
{
	struct pmap *pmap = &f->space->pmap;
	bool filled = false; /* the spare is what an empty entry stands for */

	spin_lock(&pmap->lock);
	if (pmap_reserve_locked(pmap, f->page) < 0) {
		spin_unlock(&pmap->lock);
		return STARVED;
	}
	for (;; spin_lock(&pmap->lock)) {
		struct pte pte = pmap_get(pmap, f->page);

		if (satisfied(pte, f->access))
			break;
		if (unlikely(pte.large)) {
			bool allowed_now = large_allow(f->space, f->page);

			spin_unlock(&pmap->lock);
			return allowed_now ? DONE : DEMOTE;
		}
		if (reusable(pte)) {
			pmap_enter(pmap, f->page, pte.address, rights(region) | PTE_WRITE);
			break;
		}
		if (pte_empty(pte) && filled) {
			pmap_enter(pmap, f->page, frame_paddr(f->spare),
				   rights(region) | PTE_WRITE);
			pages_count(f->space, f->spare, 1);
			f->spare = NULL;
			break;
		}
		if (!f->spare)
			f->spare = frame_alloc(FRAME_ANON, 0, 0);
		if (!f->spare) {
			spin_unlock(&pmap->lock);
			return STARVED;
		}
		filled = pte_empty(pte);
		if (!filled) {
			if (copy_page(f, region, pte))
				return DONE;
			continue;
		}
		spin_unlock(&pmap->lock);
		if (origin)
			pmap_copy_frame(f->spare, frame_paddr(origin));
		else
			pmap_zero_frames(f->spare, 1);
	}
	spin_unlock(&pmap->lock);
	return DONE;
}

/* --- pages of objects: the object's lock is held ---------------------------------------------- */

/* Leaves word for provide() which page is missing. */
static enum outcome fetch(struct fault *f, struct object *object, uint64_t index)
{
	object_get(object);
	f->object = object;
	f->index = index;
	return FETCH;
}

/* The object's page `frame`, and on a read those around it that the object has. */
static void map_object(struct fault *f, const struct region *region, struct frame *frame,
		       bool write)
{
	struct pmap *pmap = &f->space->pmap;
	struct object *object = region->object;
	vaddr_t block = ALIGN_DOWN(f->page, AROUND_BYTES);
	vaddr_t start = write ? f->page : MAX(block, region->start);
	vaddr_t end = write ? f->page + PAGE_SIZE : MIN(block + AROUND_BYTES, region->end);
	uint64_t index = region_index(region, start);
	uint64_t pages = DIV_ROUND_UP(object->size, PAGE_SIZE) - index; /* the faulting one is */
	unsigned count = (unsigned)MIN((end - start) >> PAGE_SHIFT, pages);
	struct frame *frames[AROUND_BYTES / PAGE_SIZE];

	if (write)
		frames[0] = frame;
	else
		object_peek_run(object, index, count, frames);
	spin_lock(&pmap->lock);
	(void)pmap_enter_absent(pmap, start, frames, count,
				rights(region) | (write ? PTE_WRITE : 0));
	for (unsigned i = 0; i < count; i++) {
		if (!frames[i])
			continue;
		frame_get(frames[i]);
		pages_count(f->space, frames[i], 1);
	}
	spin_unlock(&pmap->lock);
}

static enum outcome fault_object(struct fault *f, const struct region *region)
{
	struct pmap *pmap = &f->space->pmap;
	struct object *object = region->object;
	uint64_t index = region_index(region, f->page);
	bool write = f->access & FAULT_WRITE;
	bool shared = region->flags & REGION_SHARED;
	struct frame *frame;
	struct pte pte;
	int error;

	if (index >= DIV_ROUND_UP(object->size, PAGE_SIZE))
		return NO_PAGE;
	frame = object_peek(object, index);

	spin_lock(&pmap->lock);
	error = pmap_reserve_locked(pmap, f->page);
	pte = pmap_get(pmap, f->page);
	spin_unlock(&pmap->lock);
	if (error)
		return STARVED;

	/* With the object locked, nobody but us makes an entry here or takes one away. */
	if (satisfied(pte, f->access))
		return DONE;
	if (pte_empty(pte) && !frame)
		return fetch(f, object, index);
	if (write && !shared)
		return write_private(f, region, frame);
	if (pte_empty(pte)) {
		map_object(f, region, frame, write);
	} else {
		pte.writable |= write;
		spin_lock(&pmap->lock);
		restore(f, region, pte);
		spin_unlock(&pmap->lock);
	}
	return DONE;
}

/* Device registers and memory: nothing is counted. */
static enum outcome fault_device(struct fault *f, const struct region *region)
{
	struct pmap *pmap = &f->space->pmap;
	struct object *object = region->object;
	paddr_t address;

	if (object->ops->device_page(object, region_index(region, f->page), &address) < 0)
		return NO_PAGE;
	spin_lock(&pmap->lock);
	if (pmap_reserve_locked(pmap, f->page) < 0) {
		spin_unlock(&pmap->lock);
		return STARVED;
	}
	pmap_enter(pmap, f->page, address,
		   PTE_SPECIAL | (object->ops->device_is_memory ? 0 : PTE_UNCACHED) |
			   rights(region) | (region->prot & PROT_WRITE ? PTE_WRITE : 0));
	spin_unlock(&pmap->lock);
	return DONE;
}

/* --- attempts --------------------------------------------------------------------------------- */

/* The stack that would reach down to the page if it grew, within its limit. Space lock held. */
static struct region *growing_stack(struct space *space, vaddr_t page)
{
	struct region *above = space_find_above(space, page);

	if (!above || !(above->flags & REGION_GROWSDOWN) || above->start <= page)
		return NULL;
	return page >= USER_MIN && above->end - page <= space->limits.stack ? above : NULL;
}

static enum outcome attempt(struct fault *f)
{
	struct region *region = space_find(f->space, f->page);
	enum outcome outcome;

	if (!region) {
		/* One that may not be accessed does not grow. */
		region = growing_stack(f->space, f->page);
		return region && allowed(region, f->access) ? GROW : NO_ACCESS;
	}
	if (!allowed(region, f->access))
		return NO_ACCESS;
	if (!region->object && !(f->access & FAULT_WRITE))
		return read_anonymous(f, region);
	if (!region->object) {
		if (large_is_wanted(region, f->page) && large_fault(f->space, region, f->page))
			return DONE;
		return write_private(f, region, NULL);
	}
	if (region->flags & REGION_DEVICE)
		return fault_device(f, region);

	mutex_lock(&region->object->lock);
	outcome = fault_object(f, region);
	mutex_unlock(&region->object->lock);
	return outcome;
}

/*
 * Growing changes a region, so it takes the lock exclusively. Below the stack a guard gap stays
 * free, except of what could not be accessed anyway.
 */
static int grow_stack(struct space *space, vaddr_t page)
{
	struct region *stack, *below;
	int error = 0;

	rw_write_lock(&space->lock);
	stack = growing_stack(space, page);
	if (!stack)
		goto out; /* someone else has grown it, or unmapped it: the next attempt sees */

	below = region_before(space, stack);
	if (below && below->end > page - MIN(page, (vaddr_t)STACK_GUARD_GAP) &&
	    (below->prot & PROT_ALL))
		error = -EFAULT;
	else if (space->limits.as != UINT64_MAX &&
		 space->stats.virtual_pages + ((stack->start - page) >> PAGE_SHIFT) >
			 space->limits.as >> PAGE_SHIFT)
		error = -EFAULT;
	else
		region_grow(space, stack, page);
out:
	rw_write_unlock(&space->lock);
	return error;
}

static void demote(struct fault *f)
{
	rw_write_lock(&f->space->lock);
	large_demote_range(f->space, f->page, f->page + PAGE_SIZE);
	rw_write_unlock(&f->space->lock);
}

static int fetch_page(struct fault *f)
{
	int error;

	atomic_fetch_add_explicit(&f->space->stats.faults_io, 1, memory_order_relaxed);
	current->faults_io++;
	if (f->held)
		frame_put(f->held);
	f->held = NULL;
	error = f->object->ops->get_page(f->object, f->index, &f->held);
	object_put(f->object);
	return error;
}

/* Waits for what the attempt found missing. 0: try again. */
static int provide(struct fault *f, enum outcome outcome)
{
	int error = 0;

	switch (outcome) {
	case NO_ACCESS:
		return -EFAULT;
	case NO_PAGE:
		return -EIO;
	case GROW:
		return grow_stack(f->space, f->page);
	case DEMOTE:
		demote(f);
		break;
	case FETCH:
		error = fetch_page(f);
		break;
	case STARVED:
		error = -ENOMEM;
		break;
	case DONE:
		break;
	}
	if (error == -ENOMEM && !f->reclaimed) {
		f->reclaimed = true;
		frame_reclaim(1);
		error = 0;
	}
	if (current->kill_pending)
		error = -EINTR;
	if (error == 0 || error == -ENOMEM || error == -EINTR)
		return error;
	return -EIO;
}

int space_fault(struct space *space, vaddr_t address, unsigned access)
{
	struct fault f = {
		.space = space,
		.page = ALIGN_DOWN(address, PAGE_SIZE),
		.access = access,
	};
	enum outcome outcome;
	int error = 0;

	might_sleep();
	if (address >= USER_MAX)
		return -EFAULT;
	atomic_fetch_add_explicit(&space->stats.faults, 1, memory_order_relaxed);
	current->faults++;
	do {
		rw_read_lock(&space->lock);
		outcome = attempt(&f);
		rw_read_unlock(&space->lock);
		if (outcome != DONE)
			error = provide(&f, outcome);
	} while (outcome != DONE && !error);

	if (f.spare)
		frame_put(f.spare);
	if (f.held)
		frame_put(f.held);
	return error;
}
