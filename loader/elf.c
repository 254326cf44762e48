/*
 * loader/elf.c - see loader/elf.h.
 *
 * Headers are copied out of the byte buffer before they are looked at: the buffer may have any
 * alignment, and what has been checked cannot change afterwards.
 */
#include "loader/elf.h"

#include "kernel/string.h"
#include <linux/elf.h>
#include <linux/limits.h>
#include <linux/mman.h>

bool elf_probe(const void *bytes, size_t length)
{
	return length >= SELFMAG && memcmp(bytes, ELFMAG, SELFMAG) == 0;
}

int elf_read_header(const void *bytes, size_t length, struct elf_file *out)
{
	Elf64_Ehdr header;
	size_t size;

	if (!elf_probe(bytes, length) || length < sizeof(header))
		return -ENOEXEC;
	memcpy(&header, bytes, sizeof(header));
	if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
	    header.e_ident[EI_VERSION] != EV_CURRENT || header.e_version != EV_CURRENT)
		return -ENOEXEC;
	if (header.e_machine != EM_X86_64)
		return -ENOEXEC;
	if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
		return -ENOEXEC;
	if (header.e_phentsize != sizeof(Elf64_Phdr))
		return -ENOEXEC;
	size = (size_t)header.e_phnum * sizeof(Elf64_Phdr);
	if (size == 0 || size > ELF_PHDRS_MAX)
		return -ENOEXEC;

	*out = (struct elf_file){
		.entry = header.e_entry,
		.phdrs_offset = header.e_phoff,
		.phdrs_size = size,
		.phnum = header.e_phnum,
		.relocatable = header.e_type == ET_DYN,
	};
	return 0;
}

static uint32_t rights(uint32_t flags)
{
	return ((flags & PF_R) ? PROT_READ : 0u) | ((flags & PF_W) ? PROT_WRITE : 0u) |
	       ((flags & PF_X) ? PROT_EXEC : 0u);
}

static int add_load(struct image_plan *plan, const struct elf_file *file, const Elf64_Phdr *phdr)
{
	struct plan_request request = {
		.address = phdr->p_vaddr,
		.memory_size = phdr->p_memsz,
		.offset = phdr->p_offset,
		.file_size = phdr->p_filesz,
		.prot = rights(phdr->p_flags),
	};
	int error = plan_add(plan, &request);

	if (error != 0)
		return error;

	/* As Linux: an alignment that is no power of two is ignored. */
	if (phdr->p_memsz > 0 && phdr->p_align > plan->alignment &&
	    (phdr->p_align & (phdr->p_align - 1)) == 0)
		plan->alignment = phdr->p_align;

	/* The program finds its own headers through AT_PHDR if this segment shows them. */
	if (plan->phdr == 0 && file->phdrs_offset >= phdr->p_offset &&
	    file->phdrs_offset - phdr->p_offset < phdr->p_filesz)
		plan->phdr = phdr->p_vaddr + (file->phdrs_offset - phdr->p_offset);
	return 0;
}

static int add_interpreter(struct image_plan *plan, const Elf64_Phdr *phdr)
{
	/* The first one counts; a second one is not looked at. */
	if (plan->interpreter_length > 0)
		return 0;
	/* Linux's bounds: at least one character and its NUL, at most a path. */
	if (phdr->p_filesz < 2 || phdr->p_filesz > PATH_MAX)
		return -ENOEXEC;
	if (phdr->p_offset > (uint64_t)INT64_MAX - PATH_MAX)
		return -EINVAL;
	plan->interpreter_offset = phdr->p_offset;
	plan->interpreter_length = phdr->p_filesz;
	return 0;
}

int elf_make_plan(const struct elf_file *file, const void *phdrs, struct image_segment *segments,
		  struct image_plan *plan)
{
	plan_init(plan, segments, file->phnum);
	plan->relocatable = file->relocatable;
	plan->entry = file->entry;
	plan->phnum = file->phnum;

	for (unsigned i = 0; i < file->phnum; i++) {
		Elf64_Phdr phdr;
		int error = 0;

		memcpy(&phdr, (const char *)phdrs + i * sizeof(phdr), sizeof(phdr));
		switch (phdr.p_type) {
		case PT_LOAD:
			error = add_load(plan, file, &phdr);
			break;
		case PT_INTERP:
			error = add_interpreter(plan, &phdr);
			break;
		case PT_GNU_STACK:
			plan->executable_stack = phdr.p_flags & PF_X;
			break;
		default:
			break;
		}
		if (error != 0)
			return error;
	}
	return plan_finish(plan);
}
