/*
 * The first bytes of a file that somebody wants to run: ELF, flat, script. Whatever they are, the
 * parsers end, and a plan that is accepted can be mapped: in order, inside the user half, with no
 * page claimed twice that could not be.
 */
#include "kernel/string.h"
#include "loader/elf.h"
#include "loader/flat.h"
#include "loader/script.h"

#include <linux/mman.h>
#include <stdlib.h>

#define MUST(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

static void check_plan(const struct image_plan *plan)
{
	bool entry_is_code = false;
	vaddr_t before = 0;

	MUST(plan->count > 0);
	for (unsigned i = 0; i < plan->count; i++) {
		const struct image_segment *segment = &plan->segments[i];

		MUST(IS_ALIGNED(segment->address, PAGE_SIZE) &&
		     IS_ALIGNED(segment->offset, PAGE_SIZE));
		MUST(segment->address <= segment->file_end && segment->file_end <= segment->end);
		MUST(segment->address < segment->end && segment->end <= USER_MAX);
		MUST(plan->relocatable || segment->address >= USER_MIN);
		MUST(segment->address >= before);
		MUST(segment->offset + (segment->file_end - segment->address) <= INT64_MAX);
		before = ALIGN_DOWN(segment->end - 1, PAGE_SIZE);
		if ((segment->prot & PROT_EXEC) && plan->entry >= segment->address &&
		    plan->entry < segment->end)
			entry_is_code = true;
	}
	MUST(entry_is_code);
	for (vaddr_t wanted = 0; wanted < USER_MAX; wanted += PIE_BASE / 2) {
		uint64_t bias;

		if (plan_bias(plan, wanted, &bias) != 0)
			continue;
		MUST(plan_start(plan) + bias >= USER_MIN);
		MUST(plan_end(plan) + bias <= USER_MAX);
	}
}

static void try_elf(const uint8_t *data, size_t size)
{
	struct image_segment *segments;
	struct image_plan plan;
	struct elf_file file;

	if (elf_read_header(data, size, &file) != 0)
		return;
	if (file.phdrs_offset > size || file.phdrs_size > size - file.phdrs_offset)
		return;
	segments = malloc(file.phnum * sizeof(*segments));
	MUST(segments);
	if (elf_make_plan(&file, data + file.phdrs_offset, segments, &plan) == 0)
		check_plan(&plan);
	free(segments);
}

static void try_flat(const uint8_t *data, size_t size)
{
	struct image_segment segments[FLAT_SEGMENTS];
	struct image_plan plan;

	if (flat_make_plan(data, size, segments, &plan) == 0)
		check_plan(&plan);
}

static void try_script(const uint8_t *data, size_t size)
{
	struct script_line line;

	if (script_parse(data, size, &line) != 0)
		return;
	MUST(line.interpreter[0] != '\0');
	MUST(strlen(line.interpreter) < SCRIPT_LINE_SIZE);
	MUST(strlen(line.argument) < SCRIPT_LINE_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_elf(data, size);
	try_flat(data, size);
	try_script(data, size);
	return 0;
}
