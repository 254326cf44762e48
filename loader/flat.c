/*
 * loader/flat.c - see loader/flat.h.
 */
#include "loader/flat.h"

#include "kernel/string.h"
#include <linux/mman.h>

bool flat_probe(const void *bytes, size_t length)
{
	const char magic[] = FLAT_MAGIC;

	return length >= sizeof(magic) - 1 && memcmp(bytes, magic, sizeof(magic) - 1) == 0;
}

int flat_make_plan(const void *bytes, size_t length, struct image_segment *segments,
		   struct image_plan *plan)
{
	struct flat_header header;
	struct plan_request text, data;
	int error;

	if (!flat_probe(bytes, length) || length < sizeof(header))
		return -ENOEXEC;
	memcpy(&header, bytes, sizeof(header));
	if (!IS_ALIGNED(header.address, PAGE_SIZE))
		return -ENOEXEC;
	if (header.text_size < sizeof(header) || header.text_size > header.file_size ||
	    header.file_size > header.memory_size)
		return -ENOEXEC;

	text = (struct plan_request){
		.address = header.address,
		.memory_size = header.text_size,
		.file_size = header.text_size,
		.prot = PROT_READ | PROT_EXEC,
	};
	data = (struct plan_request){
		.address = header.address + header.text_size,
		.memory_size = header.memory_size - header.text_size,
		.offset = header.text_size,
		.file_size = header.file_size - header.text_size,
		.prot = PROT_READ | PROT_WRITE,
	};
	plan_init(plan, segments, FLAT_SEGMENTS);
	plan->entry = header.entry;
	error = plan_add(plan, &text);
	/* A page that holds text and data would need all three rights: plan_add() refuses it. */
	if (error == 0)
		error = plan_add(plan, &data);
	if (error == 0)
		error = plan_finish(plan);
	return error;
}
