/*
 * mm/radix.c - a sparse array of pointers. The picture is in mm/radix.h.
 *
 * A node of height h covers 64^h indexes; its slots hold nodes of height h - 1, or items where h is
 * 1. The tree is never higher than its largest index asked for, and nodes that hold nothing are freed.
 */
#include "mm/radix.h"

#include "mm/slab.h"

#define SLOT_BITS  6
#define SLOTS      (1u << SLOT_BITS)
#define SLOT_MASK  (SLOTS - 1)
#define HEIGHT_MAX ((64 + SLOT_BITS - 1) / SLOT_BITS)

struct radix_node {
	void *slot[SLOTS];
	unsigned used; /* slots that are not NULL */
};

static struct slab_cache node_cache;

void radix_init(void)
{
	slab_cache_init(&node_cache, "radix_node", sizeof(struct radix_node), sizeof(void *));
}

static unsigned slot_of(uint64_t index, unsigned height)
{
	return (unsigned)(index >> (SLOT_BITS * (height - 1))) & SLOT_MASK;
}

/* True if a tree of this height has a place for the index. */
static bool covers(unsigned height, uint64_t index)
{
	return height >= HEIGHT_MAX || index >> (SLOT_BITS * height) == 0;
}

/* The node of height 1 that has the index, or NULL. */
static struct radix_node *find_node(const struct radix *radix, uint64_t index)
{
	struct radix_node *node = radix->root;

	if (!covers(radix->height, index))
		return NULL;
	for (unsigned height = radix->height; height > 1 && node; height--)
		node = node->slot[slot_of(index, height)];
	return node;
}

void *radix_get(const struct radix *radix, uint64_t index)
{
	const struct radix_node *node = find_node(radix, index);

	return node ? node->slot[index & SLOT_MASK] : NULL;
}

void radix_get_run(const struct radix *radix, uint64_t index, unsigned count, void **out)
{
	while (count > 0) {
		const struct radix_node *node = find_node(radix, index);
		unsigned slot = index & SLOT_MASK;
		unsigned here = MIN(count, SLOTS - slot);

		for (unsigned i = 0; i < here; i++)
			out[i] = node ? node->slot[slot + i] : NULL;
		out += here;
		index += here;
		count -= here;
	}
}

/* Frees the nodes on the way to `index` that hold nothing, and the height that is not needed. */
static void prune(struct radix *radix, uint64_t index)
{
	struct radix_node *path[HEIGHT_MAX + 1];
	struct radix_node *node = radix->root;
	unsigned height;

	for (height = radix->height; height > 0 && node; height--) {
		path[height] = node;
		if (height > 1)
			node = node->slot[slot_of(index, height)];
	}
	for (height++; height <= radix->height && path[height]->used == 0; height++) {
		slab_free(&node_cache, path[height]);
		if (height == radix->height) {
			*radix = (struct radix){ 0 };
			return;
		}
		path[height + 1]->slot[slot_of(index, height + 1)] = NULL;
		path[height + 1]->used--;
	}
	while (radix->height > 1 && radix->root->used == 1 && radix->root->slot[0]) {
		node = radix->root;
		radix->root = node->slot[0];
		radix->height--;
		slab_free(&node_cache, node);
	}
}

/* Makes the tree high enough for the index. -ENOMEM: perhaps higher than need be, and sound. */
static int grow(struct radix *radix, uint64_t index)
{
	struct radix_node *node;

	if (!radix->root) {
		unsigned height = 1;

		while (!covers(height, index))
			height++;
		radix->root = slab_zalloc(&node_cache);
		if (!radix->root)
			return -ENOMEM;
		radix->height = height;
	}
	while (!covers(radix->height, index)) {
		node = slab_zalloc(&node_cache);
		if (!node)
			return -ENOMEM;
		node->slot[0] = radix->root;
		node->used = 1;
		radix->root = node;
		radix->height++;
	}
	return 0;
}

int radix_insert(struct radix *radix, uint64_t index, void *item)
{
	struct radix_node *node;

	if (grow(radix, index) < 0)
		goto no_memory;
	node = radix->root;
	for (unsigned height = radix->height; height > 1; height--) {
		struct radix_node **below =
			(struct radix_node **)&node->slot[slot_of(index, height)];

		if (!*below) {
			*below = slab_zalloc(&node_cache);
			if (!*below)
				goto no_memory;
			node->used++;
		}
		node = *below;
	}
	if (node->slot[index & SLOT_MASK])
		return -EEXIST;
	node->slot[index & SLOT_MASK] = item;
	node->used++;
	return 0;

no_memory:
	if (radix->root)
		prune(radix, index);
	return -ENOMEM;
}

void *radix_remove(struct radix *radix, uint64_t index)
{
	struct radix_node *node = radix->root;
	void *item;

	if (!covers(radix->height, index))
		return NULL;
	for (unsigned height = radix->height; height > 1 && node; height--)
		node = node->slot[slot_of(index, height)];
	if (!node)
		return NULL;
	item = node->slot[index & SLOT_MASK];
	if (item) {
		node->slot[index & SLOT_MASK] = NULL;
		node->used--;
		prune(radix, index);
	}
	return item;
}

void *radix_next(const struct radix *radix, uint64_t *index)
{
	uint64_t at = *index;

	/* Down as far as there are nodes; over what a missing one would have covered. */
	while (radix->root && covers(radix->height, at)) {
		void *item = radix->root;
		unsigned height = radix->height;

		while (height > 0 && item)
			item = ((struct radix_node *)item)->slot[slot_of(at, height--)];
		if (item) {
			*index = at;
			return item;
		}
		at = ((at >> (SLOT_BITS * height)) + 1) << (SLOT_BITS * height);
		if (at == 0)
			break;
	}
	return NULL;
}
