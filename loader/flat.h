/*
 * loader/flat.h - flat binaries: a program that is its own memory, behind a header of 32 bytes.
 *
 * For programs made without a linker. The whole file, header included, appears at `address`:
 *
 *	address     + text_size       + file_size       + memory_size
 *	├───────────┼─────────────────┼─────────────────┤
 *	  read, run   read, write        zeroes
 *
 * All numbers are little-endian. `address` is a multiple of the page size; so is text_size, unless
 * it equals file_size and memory_size (no data). The entry lies in the text. docs/exec.md has an
 * example.
 */
#ifndef HAWSER_LOADER_FLAT_H
#define HAWSER_LOADER_FLAT_H

#include "kernel/base.h"
#include "loader/plan.h"

#define FLAT_MAGIC    "\177BIN"
#define FLAT_SEGMENTS 2

struct flat_header {
	char magic[4];
	uint32_t text_size; /* bytes, with this header */
	uint64_t address;
	uint32_t file_size;   /* bytes of the file that are loaded, with this header */
	uint32_t memory_size; /* >= file_size */
	uint64_t entry;
};
_Static_assert(sizeof(struct flat_header) == 32, "the header that docs/exec.md describes");

bool flat_probe(const void *bytes, size_t length);

/* Checks the header and makes the plan over FLAT_SEGMENTS segments. 0 or -ENOEXEC. */
int flat_make_plan(const void *bytes, size_t length, struct image_segment *segments,
		   struct image_plan *plan);

#endif
