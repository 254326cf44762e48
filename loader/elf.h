/*
 * loader/elf.h - ELF64 executables for x86-64: from hostile header bytes to an image plan.
 *
 * System V gABI chapters 4 and 5 and the x86-64 psABI; what Linux's fs/binfmt_elf.c accepts and a
 * program can rely on is accepted. Pure: tested and fuzzed on the host.
 */
#ifndef HAWSER_LOADER_ELF_H
#define HAWSER_LOADER_ELF_H

#include "kernel/base.h"
#include "loader/plan.h"

/* Linux's bound on the size of the program header table. */
#define ELF_PHDRS_MAX (64 * KIB)

/* What the file header says. */
struct elf_file {
	uint64_t entry;
	uint64_t phdrs_offset;
	size_t phdrs_size; /* bytes; 1 … ELF_PHDRS_MAX */
	unsigned phnum;
	bool relocatable; /* ET_DYN */
};

/* True if the bytes begin as an ELF file does. */
bool elf_probe(const void *bytes, size_t length);

/* Checks the file header at the start of the file. 0 or -ENOEXEC. */
int elf_read_header(const void *bytes, size_t length, struct elf_file *out);

/*
 * Checks the program headers (`file->phdrs_size` bytes, any alignment) and makes the plan, whose
 * segments are the caller's `segments`, at least file->phnum of them. 0, -ENOEXEC, or -EINVAL (where the
 * interpreter's name is).
 */
int elf_make_plan(const struct elf_file *file, const void *phdrs, struct image_segment *segments,
		  struct image_plan *plan);

#endif
