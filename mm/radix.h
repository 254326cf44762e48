/*
 * mm/radix.h - a sparse array of pointers, indexed by 64-bit numbers.
 *
 * The pages of an object: 64 slots a node, as high as its largest index asks for, nodes only where
 * something is. The caller's lock protects it.
 *
 *	height 0: empty        1: indexes 0..63       2: 0..4095           …  11: all
 */
#ifndef HAWSER_MM_RADIX_H
#define HAWSER_MM_RADIX_H

#include "kernel/base.h"

struct radix_node;

/* All zero is an empty one. */
struct radix {
	struct radix_node *root;
	unsigned height;
};

void *radix_get(const struct radix *radix, uint64_t index); /* NULL: empty */

/* The items at index, index + 1 …, NULL where there is none. */
void radix_get_run(const struct radix *radix, uint64_t index, unsigned count, void **out);

/* Fills the empty slot. -EEXIST, or -ENOMEM with nothing changed. */
int radix_insert(struct radix *radix, uint64_t index, void *item);

/* Empties the slot and frees the nodes that are empty then; what it held, or NULL. */
void *radix_remove(struct radix *radix, uint64_t index);

/* The first item at or after `*index`, whose index it stores there; NULL if there is none. */
void *radix_next(const struct radix *radix, uint64_t *index);

/* Once, before the first insertion. */
void radix_init(void);

#endif
