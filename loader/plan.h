/*
 * loader/plan.h - what an executable file asks for, checked and made ready to be mapped.
 *
 * A format's parser (ELF, flat) turns hostile header bytes into an image plan: segments in
 * ascending order that can be mapped one after the other without any further check. Nothing here
 * knows memory or files, so that all of it is tested and fuzzed on the host.
 *
 *	address          file_end        end
 *	├────────────────┼───────────────┤        one segment, `address` page-aligned
 *	  bytes of the     zeroes (bss)
 *	  file at `offset`
 */
#ifndef HAWSER_LOADER_PLAN_H
#define HAWSER_LOADER_PLAN_H

#include "kernel/base.h"
#include "mm/layout.h"

struct image_segment {
	vaddr_t address;  /* page-aligned */
	vaddr_t file_end; /* after the last byte that comes from the file; `address` if none does */
	vaddr_t end;      /* after the last byte of memory; > address */
	uint64_t offset;  /* page-aligned: where in the file `address` is */
	uint32_t prot;    /* PROT_READ | PROT_WRITE | PROT_EXEC */
};

struct image_plan {
	struct image_segment *segments; /* the caller's memory */
	unsigned count, capacity;
	bool relocatable;   /* ET_DYN: addresses are relative to a base of the loader's choice */
	uint64_t alignment; /* of that base: a power of two, at least PAGE_SIZE */
	vaddr_t entry;
	uint64_t file_needed; /* bytes of the file, from its start, that the segments show */
	bool executable_stack;

	/* For the auxiliary vector; 0 where the format has no such thing. */
	vaddr_t phdr; /* where the program headers lie in memory */
	unsigned phnum;
	/* The file range of a dynamic program's interpreter name; length 0: it has none. */
	uint64_t interpreter_offset, interpreter_length;
};

/* An empty plan over `capacity` segments of the caller's. */
void plan_init(struct image_plan *plan, struct image_segment *segments, unsigned capacity);

/* What a file says of one segment, unchecked. */
struct plan_request {
	uint64_t address, memory_size, offset, file_size;
	uint32_t prot;
};

/*
 * Checks one segment against the address space and its predecessor and adds it. Segments must come
 * in ascending order and not overlap. Two may share a page only if both see the same page of the
 * file there, the first has no bss, and the second has every right of the first: then mapping the
 * second over the first loses nothing. An empty segment is skipped. 0 or -ENOEXEC.
 */
int plan_add(struct image_plan *plan, const struct plan_request *request);

/* At least one segment, and the entry in the memory of an executable one; 0 or -ENOEXEC. */
int plan_finish(struct image_plan *plan);

/* The span of memory, page-aligned; the plan has been finished. */
vaddr_t plan_start(const struct image_plan *plan);
vaddr_t plan_end(const struct image_plan *plan);

/*
 * What to add to every address of the plan to have it start at or below `wanted`; for a plan that is
 * not relocatable, 0. -ENOEXEC if the image cannot lie in the user half that way.
 */
int plan_bias(const struct image_plan *plan, vaddr_t wanted, uint64_t *bias);

#endif
