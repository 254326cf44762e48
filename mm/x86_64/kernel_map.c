/*
 * mm/x86_64/kernel_map.c - building the kernel's address space at boot, and mapping single pages
 * into it later.
 *
 * While this runs at boot, physical memory below 4 GiB is mapped one to one by the boot tables and
 * `physmap` is 0, so that phys_to_virt() works before and after the switch alike. Tables come from a
 * bump allocator over the largest piece of free RAM there; what it took is simply never given to the
 * frame allocator.
 *
 * Large pages are used wherever alignment allows. The direct map of the image's own text and
 * read-only data is read-only too, in 4 KiB pages: a stray write through it must not change code.
 */
#include "mm/x86_64/kernel_map.h"

#include "kernel/boot_info.h"
#include "kernel/lock.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/string.h"
#include "kernel/x86_64/cpu.h"
#include "kernel/x86_64/stack_guard.h"
#include "mm/frame.h"
#include "mm/layout.h"

#define LOW_RESERVED PAGE_SIZE /* the real-mode vectors; and physical 0 stays a bad pointer */
#define IDENTITY_END (4 * GIB)

extern char __image_start[], __text_end[], __rodata_end[], __image_end[];
extern char __boot_scratch_start[];

struct range {
	paddr_t start, end;
};

/* Sorted, disjoint, page-aligned. Each reserved range can split one. */
struct range_list {
	struct range range[2 * BOOT_MEMORY_MAX];
	unsigned count;
};

static struct range_list ram;
static struct range early;  /* what the bump allocator may still take */
static paddr_t early_first; /* and where it began */

uintptr_t physmap;
struct frame *frame_table;
paddr_t kernel_root;

static struct spinlock kernel_map_lock = SPINLOCK_INIT("kernel map", RANK_KMAP);
static uint64_t later_tables; /* made since boot; kernel_map_lock */

/* --- the memory map -------------------------------------------------------------------------- */

static void range_insert(struct range_list *list, struct range new)
{
	unsigned i = 0;

	while (i < list->count && list->range[i].end < new.start)
		i++;
	while (i < list->count && list->range[i].start <= new.end) {
		new.start = MIN(new.start, list->range[i].start);
		new.end = MAX(new.end, list->range[i].end);
		list->count--;
		memmove(&list->range[i], &list->range[i + 1],
			(list->count - i) * sizeof(struct range));
	}
	if (list->count == ARRAY_SIZE(list->range))
		return;
	memmove(&list->range[i + 1], &list->range[i], (list->count - i) * sizeof(struct range));
	list->range[i] = new;
	list->count++;
}

static void range_subtract(struct range_list *list, struct range hole)
{
	for (unsigned i = 0; i < list->count; i++) {
		struct range old = list->range[i];

		if (!(old.start < hole.end && hole.start < old.end))
			continue;
		list->count--;
		memmove(&list->range[i], &list->range[i + 1],
			(list->count - i) * sizeof(struct range));
		if (old.start < hole.start)
			range_insert(list, (struct range){ old.start, hole.start });
		if (hole.end < old.end)
			range_insert(list, (struct range){ hole.end, old.end });
		i = -1u; /* start over: the list has changed */
	}
}

static struct range page_inwards(paddr_t start, paddr_t end)
{
	return (struct range){ ALIGN_UP(start, PAGE_SIZE), ALIGN_DOWN(end, PAGE_SIZE) };
}

static struct range page_outwards(paddr_t start, paddr_t end)
{
	return (struct range){ ALIGN_DOWN(start, PAGE_SIZE), ALIGN_UP(end, PAGE_SIZE) };
}

/* RAM is what somebody calls RAM and nobody calls anything else. */
static void find_ram(uint64_t limit)
{
	paddr_t highest = MIN(limit, PHYSMAP_SIZE);

	for (unsigned i = 0; i < boot_info.memory_count; i++) {
		const struct boot_memory *m = &boot_info.memory[i];
		struct range r = page_inwards(m->start, MIN(m->end, highest));
		if (m->type == BOOT_RAM && r.start < r.end)
			range_insert(&ram, r);
	}
	for (unsigned i = 0; i < boot_info.memory_count; i++) {
		const struct boot_memory *m = &boot_info.memory[i];
		if (m->type != BOOT_RAM && m->start < m->end)
			range_subtract(&ram, page_outwards(m->start, MIN(m->end, PHYSMAP_SIZE)));
	}
	if (ram.count == 0)
		panic("the loader gave no memory map");
}

/* --- building tables ------------------------------------------------------------------------- */

static paddr_t early_page(void)
{
	paddr_t page = early.start;

	if (page == early.end)
		panic("not enough memory for page tables: %u MiB of RAM is too little",
		      (unsigned)((ram.range[ram.count - 1].end) / MIB));
	early.start += PAGE_SIZE;
	memset(phys_to_virt(page), 0, PAGE_SIZE);
	return page;
}

/* The largest hole-free piece of free RAM below 4 GiB. */
static void choose_early(void)
{
	struct range_list free = ram;

	range_subtract(&free, (struct range){ 0, LOW_RESERVED });
	range_subtract(&free, page_outwards(boot_info.kernel_start, boot_info.kernel_end));
	if (boot_info.initrd_end)
		range_subtract(&free, page_outwards(boot_info.initrd_start, boot_info.initrd_end));
	for (unsigned i = 0; i < free.count; i++) {
		struct range r = { free.range[i].start, MIN(free.range[i].end, IDENTITY_END) };
		if (r.start < r.end && r.end - r.start > early.end - early.start)
			early = r;
	}
	early_first = early.start;
}

/* Every bit as asked, where the processor can refuse to execute data. */
static uint64_t supported(uint64_t bits)
{
	return cpu_features.nx ? bits : bits & ~ENTRY_NX;
}

static entry_t *next_table(entry_t *entry)
{
	if (!(*entry & ENTRY_PRESENT))
		*entry = early_page() | ENTRY_PRESENT | ENTRY_WRITE;
	return phys_to_virt(*entry & ENTRY_ADDRESS);
}

/* Maps [address, address + length) to `to`, with the largest pages that fit. */
static void map_range(vaddr_t address, paddr_t to, uint64_t length, uint64_t bits)
{
	while (length > 0) {
		unsigned level = cpu_features.pdpe1gb ? 2 : 1;
		entry_t *table = phys_to_virt(kernel_root);

		while (level > 0 &&
		       (!IS_ALIGNED(address | to, level_span(level)) || length < level_span(level)))
			level--;
		for (unsigned l = LEVELS - 1; l > level; l--)
			table = next_table(&table[level_index(address, l)]);
		table[level_index(address, level)] = to | supported(bits) | ENTRY_PRESENT |
						     ENTRY_GLOBAL | (level ? ENTRY_LARGE : 0);
		address += level_span(level);
		to += level_span(level);
		length -= level_span(level);
	}
}

static void map_direct(paddr_t start, paddr_t end, uint64_t bits)
{
	if (start < end)
		map_range(PHYSMAP_BASE + start, start, end - start, bits | ENTRY_NX);
}

static void map_all_ram(void)
{
	paddr_t fixed_start = boot_info.kernel_start;
	paddr_t fixed_end = fixed_start + (uint64_t)(__rodata_end - __image_start);

	for (unsigned i = 0; i < ram.count; i++) {
		struct range r = ram.range[i];
		paddr_t lower = MAX(r.start, MIN(fixed_start, r.end));
		paddr_t upper = MIN(r.end, MAX(fixed_end, r.start));

		map_direct(r.start, lower, ENTRY_WRITE);
		map_direct(lower, upper, 0);
		map_direct(MAX(upper, lower), r.end, ENTRY_WRITE);
	}
}

/*
 * struct frame for every page of RAM, at its place in the FRAMES area; and for the rest of the
 * largest blocks at the edges, where the buddy allocator looks for neighbours.
 */
static void map_frame_table(void)
{
	const paddr_t block = PAGE_SIZE << FRAME_ORDER_MAX;

	for (unsigned i = 0; i < ram.count; i++) {
		paddr_t start = ALIGN_DOWN(ram.range[i].start, block);
		paddr_t end = ALIGN_UP(ram.range[i].end, block);
		vaddr_t first = FRAMES_BASE + (start >> PAGE_SHIFT) * sizeof(struct frame);
		vaddr_t last = FRAMES_BASE + (end >> PAGE_SHIFT) * sizeof(struct frame);

		first = ALIGN_DOWN(first, PAGE_SIZE);
		last = ALIGN_UP(last, PAGE_SIZE);
		for (vaddr_t at = first; at < last; at += PAGE_SIZE) {
			entry_t *table = phys_to_virt(kernel_root);
			for (unsigned l = LEVELS - 1; l > 0; l--)
				table = next_table(&table[level_index(at, l)]);
			if (!(table[level_index(at, 0)] & ENTRY_PRESENT))
				table[level_index(at, 0)] =
					early_page() | supported(ENTRY_PRESENT | ENTRY_WRITE |
								 ENTRY_GLOBAL | ENTRY_NX);
		}
	}
}

static void map_image(void)
{
	const struct {
		const char *start, *end;
		uint64_t bits;
	} part[] = {
		{ __image_start, __text_end, 0 },
		{ __text_end, __rodata_end, ENTRY_NX },
		{ __rodata_end, __image_end, ENTRY_NX | ENTRY_WRITE },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(part); i++)
		for (const char *at = part[i].start; at < part[i].end; at += PAGE_SIZE)
			if (!is_stack_guard((vaddr_t)at))
				map_range((vaddr_t)at, kernel_image_paddr(at), PAGE_SIZE,
					  part[i].bits);
}

static void give_free_ram(void)
{
	struct range_list free = ram;
	paddr_t scratch = boot_info.kernel_start + (uint64_t)(__boot_scratch_start - __image_start);

	range_subtract(&free, (struct range){ 0, LOW_RESERVED });
	range_subtract(&free, page_outwards(boot_info.kernel_start, scratch));
	if (boot_info.initrd_end)
		range_subtract(&free, page_outwards(boot_info.initrd_start, boot_info.initrd_end));
	if (early_first < early.start)
		range_subtract(&free, (struct range){ early_first, early.start });
	for (unsigned i = 0; i < free.count; i++)
		frame_add_range(free.range[i].start, free.range[i].end);
	for (const char *const *guard = __stack_guards_start; guard < __stack_guards_end; guard++)
		frame_add_range(kernel_image_paddr(*guard), kernel_image_paddr(*guard) + PAGE_SIZE);
}

paddr_t kernel_image_paddr(const void *pointer)
{
	const char *at = pointer;

	assert(at >= __image_start && at < __image_end);
	return boot_info.kernel_start + (uint64_t)(at - __image_start);
}

void kernel_map_init(uint64_t limit)
{
	uint64_t bytes = 0;

	find_ram(limit);
	choose_early();
	kernel_root = early_page();
	map_all_ram();
	map_frame_table();
	map_image();
	next_table((entry_t *)phys_to_virt(kernel_root) + level_index(KMAP_BASE, LEVELS - 1));

	write_cr3(kernel_root);
	physmap = PHYSMAP_BASE;
	frame_table = (struct frame *)FRAMES_BASE;
	give_free_ram();
	for (unsigned i = 0; i < ram.count; i++)
		bytes += ram.range[i].end - ram.range[i].start;
	log_info("memory: %lu KiB of RAM in %u ranges, kernel at 0x%lx slid to 0x%lx", bytes / KIB,
		 ram.count, boot_info.kernel_start, (vaddr_t)__image_start);
}

/* --- later --------------------------------------------------------------------------------------- */

/* The slot for a page of the KMAP area; makes tables if `create`. NULL if there is none. */
static entry_t *kernel_slot(vaddr_t address, bool create)
{
	entry_t *table = phys_to_virt(kernel_root);

	for (unsigned l = LEVELS - 1; l > 0; l--) {
		entry_t *entry = &table[level_index(address, l)];
		if (!(*entry & ENTRY_PRESENT)) {
			struct frame *frame;
			if (!create)
				return NULL;
			frame = frame_alloc(FRAME_PTABLE, 0, FRAME_ZERO);
			if (!frame)
				return NULL;
			later_tables++;
			*entry = frame_paddr(frame) | ENTRY_PRESENT | ENTRY_WRITE;
		} else if (*entry & ENTRY_LARGE) {
			return entry;
		}
		table = phys_to_virt(*entry & ENTRY_ADDRESS);
	}
	return &table[level_index(address, 0)];
}

int kernel_map_page(vaddr_t address, paddr_t page, unsigned flags)
{
	uint64_t bits = ENTRY_PRESENT | ENTRY_GLOBAL | ENTRY_NX;
	entry_t *slot;

	assert(address >= KMAP_BASE && address < KMAP_BASE + KMAP_SIZE);
	if (flags & KERNEL_MAP_WRITE)
		bits |= ENTRY_WRITE;
	if (flags & KERNEL_MAP_UNCACHED)
		bits |= ENTRY_PCD | ENTRY_PWT;
	spin_lock(&kernel_map_lock);
	slot = kernel_slot(address, true);
	if (slot) {
		assert(!(*slot & ENTRY_PRESENT));
		*slot = page | supported(bits);
	}
	spin_unlock(&kernel_map_lock);
	return slot ? 0 : -ENOMEM;
}

paddr_t kernel_unmap_page(vaddr_t address)
{
	entry_t *slot;
	uint64_t old;

	spin_lock(&kernel_map_lock);
	slot = kernel_slot(address, false);
	assert(slot && (*slot & ENTRY_PRESENT));
	old = atomic_exchange(slot, 0);
	spin_unlock(&kernel_map_lock);
	invlpg(address);
	assert(cpu_count == 1); /* only the boot CPU runs: there is nobody to shoot down */
	return old & ENTRY_ADDRESS;
}

uint64_t kernel_map_tables(void)
{
	uint64_t tables;

	spin_lock(&kernel_map_lock);
	tables = later_tables;
	spin_unlock(&kernel_map_lock);
	return tables;
}
