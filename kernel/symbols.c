/*
 * kernel/symbols.c - from an address in the kernel to the name of the function that holds it.
 *
 * The table is made after a first link by tools/mksymbols from the linker's own list, assembled,
 * and linked in, in section .symbols, which lies behind all code, so that no function moves. In the
 * first link there is no table: the symbol is weak.
 *
 *	symbol_table:   u32 count
 *	                { u32 offset; u32 name } × count     by offset, ascending
 *	                names, each with a NUL
 *
 * `offset` counts from __image_start, `name` from the first name: the table needs no relocation.
 */
#include "kernel/panic.h"

struct symbol {
	uint32_t offset;
	uint32_t name;
};

struct symbol_table {
	uint32_t count;
	struct symbol symbols[];
};

extern const struct symbol_table symbol_table __attribute__((weak));
extern const char __image_start[], __text_end[];

const char *symbol_lookup(vaddr_t address, size_t *offset)
{
	const struct symbol_table *table = &symbol_table;

	if (table == NULL || table->count == 0 || address < (vaddr_t)__image_start ||
	    address >= (vaddr_t)__text_end)
		return NULL;

	uint32_t wanted = (uint32_t)(address - (vaddr_t)__image_start);
	uint32_t low = 0, high = table->count;
	/* symbols[low - 1].offset <= wanted < symbols[high].offset, as far as those exist. */
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (table->symbols[middle].offset <= wanted)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return NULL;

	const struct symbol *found = &table->symbols[low - 1];
	*offset = wanted - found->offset;
	return (const char *)&table->symbols[table->count] + found->name;
}
