/*
 * mm/x86_64/pmap.c - the user half of a page table, and the TLB.
 *
 * Each table's struct frame counts its entries that are not empty (in `flags`), so that pmap_prune()
 * knows an empty table without reading it. Leaf entries change only by atomic exchange or
 * compare-and-exchange, because the processor sets A and D in them on its own.
 *
 * The TLB. A pmap's generation is raised by every flush. A CPU remembers the generation up to which
 * its TLB is in step; if it comes back to the table it still has loaded (after a kernel thread, which
 * borrows whatever is loaded) and no flush happened meanwhile, nothing is done. A flush of a pmap that
 * is loaded nowhere only raises the generation: loading CR3 forgets all of the user half anyway.
 */
#include "mm/pmap.h"

#include "kernel/string.h"
#include "kernel/x86_64/cpu.h"
#include "mm/layout.h"
#include "mm/x86_64/entry.h"
#include "mm/x86_64/kernel_map.h"

#define USER_SLOTS   (TABLE_ENTRIES / 2) /* of the PML4 */
#define FLUSH_SINGLE 32                  /* pages; above that reloading CR3 is cheaper */

static const char zero_page[PAGE_SIZE] __aligned(4096);
paddr_t pmap_zero_page;

static struct {
	_Atomic uint64_t flushes, avoided;
} counters;

static uint16_t *table_used(const entry_t *table)
{
	return &frame_of(virt_to_phys(table))->flags;
}

/* The table at `level` on the way to `address`, or NULL. */
static entry_t *find_table(const struct pmap *pmap, vaddr_t address, unsigned level)
{
	entry_t *table = frame_data(pmap->root);

	assert(address < USER_MAX && spin_held(&pmap->lock));
	for (unsigned l = LEVELS - 1; l > level; l--) {
		uint64_t entry = table[level_index(address, l)];
		if (!(entry & ENTRY_PRESENT))
			return NULL;
		table = phys_to_virt(entry & ENTRY_ADDRESS);
	}
	return table;
}

static struct pte decode(uint64_t entry)
{
	struct pte pte = { 0 };

	if (!entry)
		return pte;
	pte.protnone = entry & ENTRY_PROTNONE;
	pte.present = entry & ENTRY_PRESENT;
	pte.address = (pte.protnone ? ~entry : entry) & ENTRY_ADDRESS;
	pte.writable = entry & ENTRY_WRITE;
	pte.executable = pte.present && !(entry & ENTRY_NX);
	pte.special = entry & ENTRY_SPECIAL;
	pte.accessed = entry & ENTRY_ACCESSED;
	pte.dirty = entry & ENTRY_DIRTY;
	return pte;
}

/* A PROT_NONE entry keeps its address inverted: nothing to speculate on (L1TF). */
static uint64_t encode(paddr_t frame, unsigned rights)
{
	uint64_t software = rights & PTE_SPECIAL ? ENTRY_SPECIAL : 0;
	uint64_t entry = frame | software | ENTRY_PRESENT | ENTRY_USER | ENTRY_ACCESSED;

	if (rights & PTE_NONE)
		return (~frame & ENTRY_ADDRESS) | software | ENTRY_PROTNONE;
	if (rights & PTE_WRITE)
		entry |= ENTRY_WRITE;
	if (!(rights & PTE_EXEC) && cpu_features.nx)
		entry |= ENTRY_NX;
	if (rights & PTE_UNCACHED)
		entry |= ENTRY_PCD | ENTRY_PWT;
	return entry;
}

int pmap_create(struct pmap *pmap)
{
	const uint64_t *kernel = phys_to_virt(kernel_root);
	uint64_t *root;

	pmap->root = frame_alloc(FRAME_PTABLE, 0, 0);
	if (!pmap->root)
		return -ENOMEM;
	pmap->root->flags = 0;
	root = frame_data(pmap->root);
	memset(root, 0, USER_SLOTS * sizeof(*root));
	memcpy(root + USER_SLOTS, kernel + USER_SLOTS, USER_SLOTS * sizeof(*root));
	spin_init(&pmap->lock, "pmap", RANK_PMAP);
	pmap->tables = 0;
	atomic_store(&pmap->generation, 1);
	atomic_store(&pmap->cpus, 0);
	if (!pmap_zero_page)
		pmap_zero_page = kernel_image_paddr(zero_page);
	return 0;
}

static void free_tables(entry_t *table, unsigned level, unsigned slots)
{
	for (unsigned i = 0; i < slots && *table_used(table); i++) {
		uint64_t entry = table[i];

		if (!entry)
			continue;
		(*table_used(table))--;
		if (level == 0) {
			assert(entry & ENTRY_SPECIAL);
			continue;
		}
		free_tables(phys_to_virt(entry & ENTRY_ADDRESS), level - 1, TABLE_ENTRIES);
		frame_put(frame_of(entry & ENTRY_ADDRESS));
	}
}

void pmap_destroy(struct pmap *pmap)
{
	irq_push_off();
	if (this_cpu()->pmap == pmap)
		pmap_activate(NULL);
	irq_pop_off();
	assert(atomic_load(&pmap->cpus) == 0);
	free_tables(frame_data(pmap->root), LEVELS - 1, USER_SLOTS);
	frame_put(pmap->root);
	pmap->root = NULL;
}

int pmap_reserve(struct pmap *pmap, vaddr_t address)
{
	entry_t *table, *born_in = NULL;
	unsigned born_level = 0;
	int error = 0;

	assert(address < USER_MAX);
	spin_lock(&pmap->lock);
	table = frame_data(pmap->root);
	for (unsigned l = LEVELS - 1; l > 0; l--) {
		entry_t *entry = &table[level_index(address, l)];

		if (!*entry) {
			struct frame *frame = frame_alloc(FRAME_PTABLE, 0, FRAME_ZERO);
			if (!frame) {
				error = -ENOMEM;
				break;
			}
			frame->flags = 0;
			*entry = frame_paddr(frame) | ENTRY_PRESENT | ENTRY_WRITE | ENTRY_USER;
			(*table_used(table))++;
			pmap->tables++;
			if (!born_in) {
				born_in = entry;
				born_level = l;
			}
		}
		table = phys_to_virt(*entry & ENTRY_ADDRESS);
	}
	if (error && born_in) {
		/* Half a path: take it away again. Nobody can have walked it, it leads nowhere. */
		entry_t *from = find_table(pmap, address, born_level);
		uint64_t entry = atomic_exchange(born_in, 0);

		(*table_used(from))--;
		for (unsigned l = born_level; l > 0 && entry; l--) {
			entry_t *next = phys_to_virt(entry & ENTRY_ADDRESS);
			uint64_t deeper = l > 1 ? next[level_index(address, l - 1)] : 0;
			frame_put(frame_of(entry & ENTRY_ADDRESS));
			pmap->tables--;
			entry = deeper;
		}
	}
	spin_unlock(&pmap->lock);
	return error;
}

struct pte pmap_get(struct pmap *pmap, vaddr_t address)
{
	entry_t *table = find_table(pmap, address, 0);

	return decode(table ? table[level_index(address, 0)] : 0);
}

void pmap_enter(struct pmap *pmap, vaddr_t address, paddr_t frame, unsigned rights)
{
	entry_t *table = find_table(pmap, address, 0);
	entry_t *slot;
	uint64_t old, new;

	assert(table);
	slot = &table[level_index(address, 0)];
	old = *slot;
	if (!old)
		(*table_used(table))++;
	do {
		assert(!old || decode(old).address == frame);
		new = encode(frame, rights) | (old & ENTRY_DIRTY);
	} while (!atomic_compare_exchange_weak(slot, &old, new));
}

struct pte pmap_clear(struct pmap *pmap, vaddr_t address)
{
	entry_t *table = find_table(pmap, address, 0);
	uint64_t old;

	if (!table)
		return decode(0);
	old = atomic_exchange(&table[level_index(address, 0)], 0);
	if (old)
		(*table_used(table))--;
	return decode(old);
}

struct pte pmap_protect(struct pmap *pmap, vaddr_t address, unsigned rights)
{
	entry_t *table = find_table(pmap, address, 0);
	entry_t *slot;
	uint64_t old, new;

	if (!table)
		return decode(0);
	slot = &table[level_index(address, 0)];
	old = *slot;
	do {
		struct pte pte = decode(old);
		if (!old)
			break;
		new = encode(pte.address, rights | (pte.special ? PTE_SPECIAL : 0)) |
		      (old & ENTRY_DIRTY);
	} while (!atomic_compare_exchange_weak(slot, &old, new));
	return decode(old);
}

vaddr_t pmap_next(struct pmap *pmap, vaddr_t start, vaddr_t end)
{
	while (start < end) {
		entry_t *table = frame_data(pmap->root);
		unsigned level = LEVELS - 1;

		/* Down as far as there are entries; an empty one is skipped with all it spans. */
		while (level > 0 && table[level_index(start, level)]) {
			table = phys_to_virt(table[level_index(start, level)] & ENTRY_ADDRESS);
			level--;
		}
		if (level == 0) {
			for (unsigned i = level_index(start, 0); i < TABLE_ENTRIES && start < end;
			     i++, start += PAGE_SIZE)
				if (table[i])
					return start;
			continue;
		}
		start = ALIGN_DOWN(start, level_span(level)) + level_span(level);
	}
	return end;
}

/* What pmap_prune() is about, and the tables that it has taken out. */
struct pruning {
	struct pmap *pmap;
	vaddr_t start, end, floor, ceiling;
	struct frame *gone; /* chained by `index` */
};

static void prune(struct pruning *p, entry_t *table, unsigned level, vaddr_t base)
{
	uint64_t span = level_span(level);
	unsigned first = p->start > base ? (unsigned)((p->start - base) / span) : 0;

	for (unsigned i = first; i < TABLE_ENTRIES && base + i * span < p->end; i++) {
		vaddr_t start = base + i * span;
		uint64_t entry = table[i];
		struct frame *frame;

		if (!entry)
			continue;
		frame = frame_of(entry & ENTRY_ADDRESS);
		if (level > 1)
			prune(p, frame_data(frame), level - 1, start);
		if (frame->flags || start < p->floor || span > p->ceiling - start)
			continue;
		table[i] = 0;
		(*table_used(table))--;
		p->pmap->tables--;
		frame->index = (uintptr_t)p->gone;
		p->gone = frame;
	}
}

void pmap_prune(struct pmap *pmap, vaddr_t start, vaddr_t end, vaddr_t floor, vaddr_t ceiling)
{
	struct pruning p = { pmap, start, end, floor, ceiling, NULL };

	assert(end <= USER_MAX);
	spin_lock(&pmap->lock);
	prune(&p, frame_data(pmap->root), LEVELS - 1, 0);
	spin_unlock(&pmap->lock);
	if (!p.gone)
		return;
	/* The processor caches the upper levels too; INVLPG of any page forgets them. */
	pmap_flush(pmap, start, start + PAGE_SIZE);
	while (p.gone) {
		struct frame *frame = p.gone;
		p.gone = (struct frame *)(uintptr_t)frame->index;
		frame->flags = 0;
		frame_put(frame);
	}
}

/* Forgets on this CPU; interrupts off. */
static void flush_local(vaddr_t start, vaddr_t end)
{
	if ((end - start) / PAGE_SIZE > FLUSH_SINGLE) {
		write_cr3(read_cr3());
		return;
	}
	for (; start < end; start += PAGE_SIZE)
		invlpg(start);
}

void pmap_flush(struct pmap *pmap, vaddr_t start, vaddr_t end)
{
	uint64_t generation, others;
	struct cpu *cpu;

	irq_push_off();
	cpu = this_cpu();
	generation = atomic_fetch_add(&pmap->generation, 1) + 1;
	others = atomic_load(&pmap->cpus) & ~(UINT64_C(1) << cpu->number);
	if (cpu->pmap == pmap) {
		flush_local(start, end);
		cpu->pmap_generation = generation;
		atomic_fetch_add_explicit(&counters.flushes, 1, memory_order_relaxed);
	} else {
		atomic_fetch_add_explicit(&counters.avoided, 1, memory_order_relaxed);
	}
	irq_pop_off();
	assert(others == 0); /* only the boot CPU runs: there is nobody to shoot down */
}

void pmap_activate(struct pmap *pmap)
{
	struct cpu *cpu = this_cpu();
	uint64_t bit = UINT64_C(1) << cpu->number;
	uint64_t generation;

	if (cpu->pmap == pmap &&
	    (!pmap || cpu->pmap_generation == atomic_load(&pmap->generation))) {
		atomic_fetch_add_explicit(&counters.avoided, 1, memory_order_relaxed);
		return;
	}
	if (!pmap) {
		write_cr3(kernel_root);
	} else {
		/* Into the mask first: a flush from now on either sees us or is seen by the load. */
		atomic_fetch_or(&pmap->cpus, bit);
		generation = atomic_load(&pmap->generation);
		write_cr3(frame_paddr(pmap->root));
		cpu->pmap_generation = generation;
	}
	if (cpu->pmap && cpu->pmap != pmap)
		atomic_fetch_and(&cpu->pmap->cpus, ~bit);
	cpu->pmap = pmap;
	atomic_fetch_add_explicit(&counters.flushes, 1, memory_order_relaxed);
}

void pmap_get_stats(struct pmap_stats *out)
{
	*out = (struct pmap_stats){
		.flushes = atomic_load(&counters.flushes),
		.flushes_avoided = atomic_load(&counters.avoided),
	};
}

void pmap_zero_frame(struct frame *frame)
{
	memset(frame_data(frame), 0, PAGE_SIZE);
}

void pmap_copy_frame(struct frame *to, paddr_t from)
{
	memcpy(frame_data(to), phys_to_virt(from), PAGE_SIZE);
}
