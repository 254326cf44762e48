/*
 * mm/slab.c - many small objects in few frames.
 *
 * A cache serves objects of one size from *slabs*: blocks of frames that begin with a struct slab
 * and are cut into objects. Free objects of a slab form a list that runs through the objects
 * themselves.
 *
 *	cache ── partial ──> ┌slab┬─────┬─────┬─────┬─────┬──┐     some objects in use, some free
 *	      │              │    │in us│ *──────────> *  │  │
 *	      │              └────┴─────┴─────┴─────┴─────┴──┘
 *	      └─ empty ────> a slab without any object in use: kept for the next allocation until
 *	                     slab_drain() gives it back
 *
 * A full slab is on no list; the first object freed of it brings it back. To find the slab of an
 * object, each of the slab's frames names it (struct frame: cache, slab).
 */
#include "mm/slab.h"

#include "kernel/string.h"
#include "mm/frame.h"

#define SLAB_ORDER_MAX 3
#define SIZE_MIN       8
#define SIZE_MAX_SLAB  2048
#define ALIGN_MAX      64

struct slab {
	LIST_ENTRY(slab) link; /* cache lock; on `partial` or `empty`, unless full */
	void *free;            /* cache lock; the first free object, which points to the next */
	uint32_t in_use;       /* cache lock */
	uint32_t capacity;
} __aligned(ALIGN_MAX);

static struct spinlock registry_lock = SPINLOCK_INIT("slab caches", RANK_SLAB);
static struct slab_cache *registry; /* registry_lock */

/* kalloc()'s classes: at most a third of an object is wasted. */
#define CLASS(bytes)                                               \
	{                                                          \
		.name = "kalloc-" #bytes, .size = (bytes),         \
		.lock = SPINLOCK_INIT("kalloc-" #bytes, RANK_SLAB) \
	}
static struct slab_cache classes[] = {
	CLASS(16),  CLASS(32),  CLASS(48),  CLASS(64),  CLASS(96),   CLASS(128),  CLASS(192),
	CLASS(256), CLASS(384), CLASS(512), CLASS(768), CLASS(1024), CLASS(1536), CLASS(2048),
};

/* The smallest block of which at most an eighth is not objects. */
static unsigned slab_order(const struct slab_cache *cache, uint32_t *capacity)
{
	for (unsigned order = 0;; order++) {
		size_t bytes = PAGE_SIZE << order;

		*capacity = (uint32_t)((bytes - sizeof(struct slab)) / cache->size);
		if (*capacity * cache->size >= bytes - bytes / 8 || order == SLAB_ORDER_MAX)
			return order;
	}
}

/* A new slab, all of it free and on no list; NULL without memory. */
static struct slab *slab_create(struct slab_cache *cache)
{
	uint32_t capacity;
	unsigned order = slab_order(cache, &capacity);
	struct frame *frame = frame_alloc(FRAME_SLAB, order, 0);
	struct slab *slab;
	char *object;

	if (!frame)
		return NULL;
	slab = frame_data(frame);
	for (unsigned i = 0; i < 1u << order; i++) {
		frame[i].cache = cache;
		frame[i].slab = slab;
	}

	*slab = (struct slab){ .capacity = capacity };
	object = (char *)slab + sizeof(*slab) + capacity * cache->size;
	for (uint32_t i = 0; i < capacity; i++) {
		object -= cache->size;
		*(void **)object = slab->free;
		slab->free = object;
	}
	return slab;
}

static void slab_destroy(struct slab *slab)
{
	frame_put(frame_of(virt_to_phys(slab)));
}

static uint64_t cache_drain(struct slab_cache *cache)
{
	uint64_t freed = 0;
	struct slab *slab;

	for (;;) {
		spin_lock(&cache->lock);
		slab = LIST_FIRST(&cache->empty);
		if (slab) {
			LIST_REMOVE(slab, link);
			cache->slabs--;
		}
		spin_unlock(&cache->lock);
		if (!slab)
			return freed;
		freed += UINT64_C(1) << frame_of(virt_to_phys(slab))->order;
		slab_destroy(slab);
	}
}

void slab_cache_init(struct slab_cache *cache, const char *name, size_t size, size_t align)
{
	assert(size >= SIZE_MIN && size <= SIZE_MAX_SLAB);
	assert(align > 0 && align <= ALIGN_MAX && (align & (align - 1)) == 0);

	*cache = (struct slab_cache){ .name = name,
				      .size = ALIGN_UP(size, MAX(align, sizeof(void *))) };
	spin_init(&cache->lock, name, RANK_SLAB);
	spin_lock(&registry_lock);
	cache->next = registry;
	registry = cache;
	spin_unlock(&registry_lock);
}

void *slab_alloc(struct slab_cache *cache)
{
	struct slab *slab, *fresh = NULL;
	void *object = NULL;

	spin_lock(&cache->lock);
	if (LIST_EMPTY(&cache->partial) && LIST_EMPTY(&cache->empty)) {
		spin_unlock(&cache->lock);
		fresh = slab_create(cache);
		spin_lock(&cache->lock);
		if (fresh) {
			LIST_INSERT_HEAD(&cache->empty, fresh, link);
			cache->slabs++;
		}
	}
	slab = LIST_FIRST(&cache->partial);
	if (!slab) {
		slab = LIST_FIRST(&cache->empty);
		if (!slab)
			goto out;
		LIST_REMOVE(slab, link);
		LIST_INSERT_HEAD(&cache->partial, slab, link);
	}
	object = slab->free;
	slab->free = *(void **)object;
	slab->in_use++;
	cache->in_use++;
	if (slab->in_use == slab->capacity)
		LIST_REMOVE(slab, link);
out:
	spin_unlock(&cache->lock);
	return object;
}

void *slab_zalloc(struct slab_cache *cache)
{
	void *object = slab_alloc(cache);

	return object ? memset(object, 0, cache->size) : NULL;
}

void slab_free(struct slab_cache *cache, void *object)
{
	struct frame *frame;
	struct slab *slab;

	if (!object)
		return;
	frame = frame_of(virt_to_phys(object));
	slab = frame->slab;
	assert(frame->cache == cache);

	spin_lock(&cache->lock);
	assert(slab->in_use > 0);
	if (slab->in_use == slab->capacity)
		LIST_INSERT_HEAD(&cache->partial, slab, link);
	*(void **)object = slab->free;
	slab->free = object;
	slab->in_use--;
	cache->in_use--;
	if (slab->in_use == 0) {
		LIST_REMOVE(slab, link);
		LIST_INSERT_HEAD(&cache->empty, slab, link);
	}
	spin_unlock(&cache->lock);
}

/* kalloc()'s first, then the others, of which there are more and more, at the head. */
static struct slab_cache *cache_number(unsigned i)
{
	struct slab_cache *cache;
	unsigned others = 0;

	if (i < ARRAY_SIZE(classes))
		return &classes[i];
	i -= ARRAY_SIZE(classes);
	spin_lock(&registry_lock);
	for (cache = registry; cache; cache = cache->next)
		others++;
	cache = registry;
	spin_unlock(&registry_lock);
	if (i >= others)
		return NULL;
	while (i-- > 0)
		cache = cache->next;
	return cache;
}

bool slab_describe(unsigned i, struct slab_info *out)
{
	struct slab_cache *cache = cache_number(i);

	if (!cache)
		return false;
	*out = (struct slab_info){ .name = cache->name, .size = cache->size };
	out->pages_per_slab = 1u << slab_order(cache, &out->per_slab);
	spin_lock(&cache->lock);
	out->in_use = cache->in_use;
	out->slabs = cache->slabs;
	spin_unlock(&cache->lock);
	return true;
}

uint64_t slab_drain(void)
{
	struct slab_cache *cache;
	uint64_t freed = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(classes); i++)
		freed += cache_drain(&classes[i]);
	spin_lock(&registry_lock);
	cache = registry;
	spin_unlock(&registry_lock);
	for (; cache; cache = cache->next) /* only ever grows, at its head */
		freed += cache_drain(cache);
	return freed;
}

void *kalloc(size_t size)
{
	struct frame *frame;
	unsigned order = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(classes); i++)
		if (size <= classes[i].size)
			return slab_alloc(&classes[i]);

	if (size > PAGE_SIZE << FRAME_ORDER_MAX)
		return NULL;
	while (PAGE_SIZE << order < size)
		order++;
	frame = frame_alloc(FRAME_KERNEL, order, 0);
	return frame ? frame_data(frame) : NULL;
}

void *kzalloc(size_t size)
{
	void *pointer = kalloc(size);

	return pointer ? memset(pointer, 0, size) : NULL;
}

void kfree(void *pointer)
{
	struct frame *frame;

	if (!pointer)
		return;
	frame = frame_of(virt_to_phys(pointer));
	if (frame->kind == FRAME_KERNEL) {
		assert(IS_ALIGNED((uintptr_t)pointer, PAGE_SIZE));
		frame_put(frame);
	} else {
		assert(frame->kind == FRAME_SLAB || frame->kind == FRAME_TAIL);
		slab_free(frame->cache, pointer);
	}
}

char *kstrdup(const char *s)
{
	size_t size = strlen(s) + 1;
	char *copy = kalloc(size);

	return copy ? memcpy(copy, s, size) : NULL;
}
