/*
 * mm/object.c - objects: the pages that several address spaces may share.
 *
 *	struct object ── radix ──> frames, one reference each
 *	     │
 *	     └── regions ──> [start, end) of a space, [start, end) of another …
 *
 * Growing, shrinking and holes are all that happens to a whole object. Pages that go must first be taken
 * out of every page table; they are found through the regions. Faults install a page only with the
 * object's lock held and below its size, so that none comes back behind truncation.
 */
#include "mm/object.h"

#include "kernel/string.h"
#include "mm/pages.h"
#include "mm/region.h"
#include "mm/slab.h"

void object_init(struct object *object, const struct object_ops *ops, uint64_t size)
{
	*object = (struct object){ .refs = 1, .ops = ops, .size = size };
	mutex_init(&object->lock, ops->name, RANK_OBJECT);
	LIST_INIT(&object->regions);
}

void object_get(struct object *object)
{
	uint32_t before = atomic_fetch_add_explicit(&object->refs, 1, memory_order_relaxed);

	assert(before > 0);
}

/* Empties the slots of [index, end); nothing maps their frames any more. Lock held. */
static void detach(struct object *object, uint64_t index, uint64_t end)
{
	struct frame *frame;

	while ((frame = radix_next(&object->frames, &index)) && index < end) {
		radix_remove(&object->frames, index);
		object->pages--;
		if (object->quota)
			atomic_fetch_sub(&object->quota->pages, 1);
		frame->object = NULL;
		frame_put(frame);
	}
}

void object_quota_put(struct object_quota *quota)
{
	if (quota && atomic_fetch_sub(&quota->refs, 1) == 1)
		quota->release(quota);
}

void object_put(struct object *object)
{
	struct object_quota *quota;
	uint32_t before = atomic_fetch_sub_explicit(&object->refs, 1, memory_order_acq_rel);

	assert(before > 0);
	if (before > 1)
		return;
	assert(LIST_EMPTY(&object->regions));
	mutex_lock(&object->lock);
	detach(object, 0, UINT64_MAX);
	mutex_unlock(&object->lock);
	quota = object->quota;
	object->ops->release(object);
	object_quota_put(quota);
}

struct frame *object_peek(struct object *object, uint64_t index)
{
	assert_locked(mutex_held(&object->lock));
	return radix_get(&object->frames, index);
}

void object_peek_run(struct object *object, uint64_t index, unsigned count, struct frame **out)
{
	assert_locked(mutex_held(&object->lock));
	radix_get_run(&object->frames, index, count, (void **)out);
}

struct frame *object_lookup(struct object *object, uint64_t index)
{
	struct frame *frame;

	mutex_lock(&object->lock);
	frame = object_peek(object, index);
	if (frame)
		frame_get(frame);
	mutex_unlock(&object->lock);
	return frame;
}

int object_insert(struct object *object, uint64_t index, struct frame *frame)
{
	int error;

	assert(frame->kind == FRAME_OBJECT && !frame->object);
	mutex_lock(&object->lock);
	error = radix_insert(&object->frames, index, frame);
	if (!error) {
		frame->object = object;
		frame->index = index;
		object->pages++;
		if (object->quota)
			atomic_fetch_add(&object->quota->pages, 1);
	}
	mutex_unlock(&object->lock);
	return error;
}

uint64_t object_missing(struct object *object, uint64_t first, uint64_t end)
{
	uint64_t missing = end - first;

	mutex_lock(&object->lock);
	while (radix_next(&object->frames, &first) && first < end) {
		missing--;
		first++;
	}
	mutex_unlock(&object->lock);
	return missing;
}

uint64_t object_find(struct object *object, uint64_t index, bool held)
{
	mutex_lock(&object->lock);
	if (held && !radix_next(&object->frames, &index))
		index = UINT64_MAX;
	while (!held && radix_get(&object->frames, index))
		index++;
	mutex_unlock(&object->lock);
	return index;
}

/* Takes the pages of [index, end) out of every page table: all, or those of the object. Lock held. */
static void unmap(struct object *object, uint64_t index, uint64_t end, bool copies)
{
	struct region *region;

	LIST_FOREACH (region, &object->regions, object_link) {
		uint64_t first = region->offset >> PAGE_SHIFT;
		uint64_t pages = (region->end - region->start) >> PAGE_SHIFT;
		uint64_t from = index > first ? MIN(index - first, pages) : 0;
		uint64_t to = end > first ? MIN(end - first, pages) : 0;
		vaddr_t start = region->start + (from << PAGE_SHIFT);

		if (from >= to)
			continue;
		if (copies)
			pages_unmap(region->space, start, region->start + (to << PAGE_SHIFT));
		else
			pages_unmap_object(region->space, start,
					   region->start + (to << PAGE_SHIFT));
	}
}

/* Zeroes what a page of the object's holds of [start, end), which lies within it. Lock held. */
static void zero_part(struct object *object, uint64_t start, uint64_t end)
{
	struct frame *frame = object_peek(object, start >> PAGE_SHIFT);

	if (frame)
		memset((char *)frame_data(frame) + (start & PAGE_MASK), 0, end - start);
}

void object_resize(struct object *object, uint64_t size)
{
	uint64_t keep = DIV_ROUND_UP(size, PAGE_SIZE);
	uint64_t smaller;

	mutex_lock(&object->lock);
	smaller = MIN(size, object->size);
	if (size < object->size) {
		object->size = size;
		unmap(object, keep, UINT64_MAX, true);
		detach(object, keep, UINT64_MAX);
	}
	if (!IS_ALIGNED(smaller, PAGE_SIZE))
		zero_part(object, smaller, ALIGN_UP(smaller, PAGE_SIZE));
	object->size = size;
	mutex_unlock(&object->lock);
}

void object_zero(struct object *object, uint64_t start, uint64_t end)
{
	mutex_lock(&object->lock);
	while (start < end) {
		uint64_t part = MIN(end, ALIGN_DOWN(start, PAGE_SIZE) + PAGE_SIZE);

		zero_part(object, start, part);
		start = part;
	}
	mutex_unlock(&object->lock);
}

void object_punch(struct object *object, uint64_t start, uint64_t end)
{
	uint64_t first = DIV_ROUND_UP(start, PAGE_SIZE), last = end >> PAGE_SHIFT;

	mutex_lock(&object->lock);
	if (first > last) {
		zero_part(object, start, end); /* within one page */
	} else {
		if (!IS_ALIGNED(start, PAGE_SIZE))
			zero_part(object, start, first << PAGE_SHIFT);
		if (!IS_ALIGNED(end, PAGE_SIZE))
			zero_part(object, last << PAGE_SHIFT, end);
		unmap(object, first, last, false);
		detach(object, first, last);
	}
	mutex_unlock(&object->lock);
}

void object_unclaim(struct object *object)
{
	mutex_lock(&object->lock);
	assert(object->writable > 0);
	object->writable--;
	mutex_unlock(&object->lock);
}

/* --- anonymous objects: zero-filled on demand ------------------------------------------------- */

static struct slab_cache anonymous_cache;

static int anonymous_get_page(struct object *object, uint64_t index, struct frame **out)
{
	struct frame *frame;
	int error;

	for (;;) {
		if (index >= DIV_ROUND_UP(object->size, PAGE_SIZE))
			return -EFAULT;
		*out = object_lookup(object, index);
		if (*out)
			return 0;
		frame = frame_alloc(FRAME_OBJECT, 0, FRAME_ZERO);
		if (!frame)
			return -ENOMEM;
		frame->flags = FRAME_SHARED_ANON;
		frame_get(frame); /* the caller's, beside the slot's */
		error = object_insert(object, index, frame);
		if (!error) {
			*out = frame;
			return 0;
		}
		frame_put(frame);
		frame_put(frame);
		if (error != -EEXIST)
			return error;
	}
}

static int anonymous_punch(struct object *object, uint64_t start, uint64_t end)
{
	object_punch(object, start, end);
	return 0;
}

static void anonymous_release(struct object *object)
{
	slab_free(&anonymous_cache, object);
}

static const struct object_ops anonymous_ops = {
	.name = "anonymous_object",
	.get_page = anonymous_get_page,
	.punch = anonymous_punch,
	.release = anonymous_release,
};

void object_cache_init(void)
{
	slab_cache_init(&anonymous_cache, anonymous_ops.name, sizeof(struct object),
			sizeof(void *));
}

struct object *object_create_anonymous(uint64_t size)
{
	struct object *object = slab_alloc(&anonymous_cache);

	if (object)
		object_init(object, &anonymous_ops, size);
	return object;
}
