/*
 * fake_pmap.c - mm/pmap.h on the host. See fake_pmap.h.
 */
#include "fake_pmap.h"

#include "kernel/string.h"
#include "kernel/trap.h"
#include "kernel/x86_64/cpu.h"
#include "mm/kmap.h"

#include <stdlib.h>
#include <sys/mman.h>

#define RAM_BASE    (16 * MIB) /* so that a physical address is never a valid index or pointer */
#define RAM_END     (RAM_BASE + FAKE_RAM_SIZE)

#define LEVELS      4
#define INDEX_BITS  9
#define ENTRIES     (1u << INDEX_BITS)
#define TLB_ENTRIES 64

/* Not the hardware's bits, lest somebody count on them. */
#define E_PRESENT  0x001u
#define E_NONE     0x002u
#define E_WRITE    0x004u
#define E_EXEC     0x008u
#define E_SPECIAL  0x010u
#define E_ACCESSED 0x020u
#define E_DIRTY    0x040u
#define E_TABLE    0x080u
#define E_LARGE    0x100u /* at level 1 */
#define E_ADDRESS  (~(uint64_t)PAGE_MASK)

struct tlb_entry {
	const struct pmap *pmap; /* NULL: empty */
	vaddr_t page;
	uint64_t entry;
};

static struct tlb_entry tlb[FAKE_CPUS][TLB_ENTRIES];

void (*fake_during_flush)(void);

struct frame *frame_table;
uintptr_t physmap;
paddr_t pmap_zero_page = RAM_BASE;

/* --- RAM -------------------------------------------------------------------------------------- */

void pmap_zero_frames(struct frame *frames, uint64_t count)
{
	memset(frame_data(frames), 0, count * PAGE_SIZE);
}

void pmap_copy_frame(struct frame *to, paddr_t from)
{
	assert(this_cpu()->spin_count == 0);
	memcpy(frame_data(to), phys_to_virt(from), PAGE_SIZE);
}

void kstack_drain(void)
{
}

void fake_machine_init(void)
{
	const size_t block = PAGE_SIZE << FRAME_ORDER_MAX;
	void *memory = mmap(NULL, FAKE_RAM_SIZE + block, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert(memory != MAP_FAILED && !physmap);
	physmap = ALIGN_UP((uintptr_t)memory, block) - RAM_BASE;
	frame_table = calloc(RAM_END >> PAGE_SHIFT, sizeof(*frame_table));
	assert(frame_table);
	/* The first page is the zero page; the range begins at an odd place. */
	frame_add_range(RAM_BASE + PAGE_SIZE, RAM_END);
}

/* --- the TLBs --------------------------------------------------------------------------------- */

static struct tlb_entry *tlb_slot(unsigned cpu, const struct pmap *pmap, vaddr_t page)
{
	return &tlb[cpu][((page >> PAGE_SHIFT) ^ ((uintptr_t)pmap >> 4)) % TLB_ENTRIES];
}

static void tlb_forget(const struct pmap *pmap, vaddr_t start, vaddr_t end)
{
	for (unsigned cpu = 0; cpu < FAKE_CPUS; cpu++)
		for (unsigned i = 0; i < TLB_ENTRIES; i++)
			if (tlb[cpu][i].pmap == pmap && tlb[cpu][i].page >= start &&
			    tlb[cpu][i].page < end)
				tlb[cpu][i].pmap = NULL;
}

/* Does any TLB hold a translation of this page? */
static bool tlb_knows(const struct pmap *pmap, vaddr_t page)
{
	for (unsigned cpu = 0; cpu < FAKE_CPUS; cpu++) {
		const struct tlb_entry *slot = tlb_slot(cpu, pmap, page);

		if (slot->pmap == pmap && slot->page == page)
			return true;
	}
	return false;
}

/* --- the tables ------------------------------------------------------------------------------- */

static unsigned index_of(vaddr_t address, unsigned level)
{
	return (unsigned)(address >> (PAGE_SHIFT + INDEX_BITS * level)) & (ENTRIES - 1);
}

static uint64_t span_of(unsigned level)
{
	return PAGE_SIZE << (INDEX_BITS * level);
}

static struct frame *table_frame(uint64_t entry)
{
	assert(entry & E_TABLE);
	return frame_of(entry & E_ADDRESS);
}

/* A table's frame counts its used entries in `flags`. */
static void set_entry(struct frame *table, unsigned index, uint64_t value)
{
	uint64_t *entry = (uint64_t *)frame_data(table) + index;

	table->flags += (uint16_t)((value != 0) - (*entry != 0));
	*entry = value;
}

static struct frame *find_table(const struct pmap *pmap, vaddr_t address)
{
	struct frame *table = pmap->root;

	for (unsigned level = LEVELS - 1; level > 0; level--) {
		uint64_t entry = ((uint64_t *)frame_data(table))[index_of(address, level)];

		if (!entry || (entry & E_LARGE))
			return NULL;
		table = table_frame(entry);
	}
	return table;
}

/* The table of level 1 that serves the address, or NULL. */
static struct frame *find_directory(const struct pmap *pmap, vaddr_t address)
{
	struct frame *table = pmap->root;

	for (unsigned level = LEVELS - 1; level > 1; level--) {
		uint64_t entry = ((uint64_t *)frame_data(table))[index_of(address, level)];

		if (!entry)
			return NULL;
		table = table_frame(entry);
	}
	return table;
}

/* The entry at level 1 of a large page, or NULL. */
static uint64_t *find_large(const struct pmap *pmap, vaddr_t address)
{
	struct frame *table = find_directory(pmap, address);
	uint64_t *entry = table ? (uint64_t *)frame_data(table) + index_of(address, 1) : NULL;

	return entry && (*entry & E_LARGE) ? entry : NULL;
}

static vaddr_t offset_in_large(vaddr_t address)
{
	return address & (PMAP_TABLE_SPAN - 1) & ~(vaddr_t)PAGE_MASK;
}

/* What the processor finds for a page, of either size. */
static uint64_t find_translation(const struct pmap *pmap, vaddr_t page)
{
	struct frame *table = find_table(pmap, page);
	const uint64_t *large = find_large(pmap, page);

	if (large)
		return *large + offset_in_large(page);
	return table ? ((uint64_t *)frame_data(table))[index_of(page, 0)] : 0;
}

static uint64_t *find_entry(const struct pmap *pmap, vaddr_t address)
{
	struct frame *table = find_table(pmap, address);

	assert(!find_large(pmap, address)); /* demoted before one of its pages is meant */
	return table ? (uint64_t *)frame_data(table) + index_of(address, 0) : NULL;
}

static void check_arguments(struct pmap *pmap, vaddr_t address)
{
	assert(spin_held(&pmap->lock));
	assert(IS_ALIGNED(address, PAGE_SIZE) && address < USER_MAX);
}

static struct pte decode(uint64_t entry)
{
	return (struct pte){
		.address = entry & E_ADDRESS,
		.present = !!(entry & E_PRESENT),
		.protnone = !!(entry & E_NONE),
		.writable = !!(entry & E_WRITE),
		.executable = !!(entry & E_EXEC),
		.special = !!(entry & E_SPECIAL),
		.accessed = !!(entry & E_ACCESSED),
		.dirty = !!(entry & E_DIRTY),
		.large = !!(entry & E_LARGE),
	};
}

static uint64_t encode(paddr_t frame, unsigned rights)
{
	uint64_t entry = frame | (rights & PTE_SPECIAL ? E_SPECIAL : 0);

	if (rights & PTE_NONE)
		return entry | E_NONE;
	return entry | E_PRESENT | (rights & PTE_WRITE ? E_WRITE : 0) |
	       (rights & PTE_EXEC ? E_EXEC : 0);
}

int pmap_create(struct pmap *pmap)
{
	*pmap = (struct pmap){ .generation = 0 };
	pmap->root = frame_alloc(FRAME_PTABLE, 0, FRAME_ZERO);
	if (!pmap->root)
		return -ENOMEM;
	spin_init(&pmap->lock, "pmap", RANK_PMAP);
	return 0;
}

static void free_tables(struct frame *table, unsigned level)
{
	const uint64_t *entries = frame_data(table);

	for (unsigned i = 0; i < ENTRIES; i++) {
		assert(!(entries[i] & E_LARGE));
		if (level > 0 && entries[i])
			free_tables(table_frame(entries[i]), level - 1);
		else
			assert(!entries[i] || (entries[i] & E_SPECIAL));
	}
	frame_put(table);
}

void pmap_destroy(struct pmap *pmap)
{
	tlb_forget(pmap, 0, UINT64_MAX);
	free_tables(pmap->root, LEVELS - 1);
	pmap->root = NULL;
}

/* Makes the tables on the way to `address` down to the one of `lowest`. */
static int make_tables(struct pmap *pmap, vaddr_t address, unsigned lowest)
{
	struct frame *table = pmap->root;

	for (unsigned level = LEVELS - 1; level > lowest; level--) {
		uint64_t entry = ((uint64_t *)frame_data(table))[index_of(address, level)];

		if (entry & E_LARGE)
			return 0;
		if (!entry) {
			struct frame *below = frame_alloc(FRAME_PTABLE, 0, FRAME_ZERO);

			if (!below)
				return -ENOMEM;
			entry = frame_paddr(below) | E_TABLE;
			set_entry(table, index_of(address, level), entry);
			pmap->tables++;
		}
		table = table_frame(entry);
	}
	return 0;
}

static void prune_all(struct pmap *pmap, vaddr_t start, vaddr_t end, vaddr_t floor,
		      vaddr_t ceiling);

int pmap_reserve_locked(struct pmap *pmap, vaddr_t address)
{
	int error;

	check_arguments(pmap, address);
	error = make_tables(pmap, address, 0);
	if (error)
		prune_all(pmap, address, address + PAGE_SIZE, 0, UINT64_MAX);
	return error;
}

int pmap_reserve(struct pmap *pmap, vaddr_t address)
{
	int error;

	assert(!spin_held(&pmap->lock));
	spin_lock(&pmap->lock);
	error = pmap_reserve_locked(pmap, address);
	spin_unlock(&pmap->lock);
	return error;
}

struct pte pmap_get(struct pmap *pmap, vaddr_t address)
{
	check_arguments(pmap, address);
	return decode(find_translation(pmap, address));
}

void pmap_enter(struct pmap *pmap, vaddr_t address, paddr_t frame, unsigned rights)
{
	struct frame *table;
	uint64_t old;

	check_arguments(pmap, address);
	assert(IS_ALIGNED(frame, PAGE_SIZE));
	table = find_table(pmap, address);
	assert(table);
	old = ((uint64_t *)frame_data(table))[index_of(address, 0)];
	assert(!old || (old & E_ADDRESS) == frame);
	assert(old || !tlb_knows(pmap, address));
	set_entry(table, index_of(address, 0),
		  encode(frame, rights) | (old & (E_ACCESSED | E_DIRTY)));
}

void pmap_replace(struct pmap *pmap, vaddr_t address, paddr_t frame, unsigned rights)
{
	check_arguments(pmap, address);
	assert(decode(*find_entry(pmap, address)).protnone && !tlb_knows(pmap, address));
	*find_entry(pmap, address) = encode(frame, rights);
}

struct pte pmap_clear(struct pmap *pmap, vaddr_t address)
{
	struct frame *table;
	uint64_t old;

	check_arguments(pmap, address);
	table = find_table(pmap, address);
	if (!table)
		return decode(0);
	old = ((uint64_t *)frame_data(table))[index_of(address, 0)];
	set_entry(table, index_of(address, 0), 0);
	return decode(old);
}

struct pte pmap_protect(struct pmap *pmap, vaddr_t address, unsigned rights)
{
	uint64_t *entry, old;

	check_arguments(pmap, address);
	entry = find_entry(pmap, address);
	if (!entry || !*entry)
		return decode(0);
	old = *entry;
	assert(!(rights & PTE_WRITE) || (old & E_WRITE)); /* only takes away */
	*entry = encode(old & E_ADDRESS, rights) | (old & (E_SPECIAL | E_ACCESSED | E_DIRTY));
	return decode(old);
}

vaddr_t pmap_next(struct pmap *pmap, vaddr_t start, vaddr_t end)
{
	assert(spin_held(&pmap->lock));
	while (start < end) {
		struct frame *table = pmap->root;
		unsigned level = LEVELS - 1;
		uint64_t entry;

		for (;; level--) {
			entry = ((uint64_t *)frame_data(table))[index_of(start, level)];
			if (!entry || level == 0 || (entry & E_LARGE))
				break;
			table = table_frame(entry);
		}
		if (entry)
			return start;
		start = ALIGN_DOWN(start, span_of(level)) + span_of(level);
	}
	return end;
}

struct pruning {
	struct pmap *pmap;
	vaddr_t start, end, floor, ceiling;
};

static void prune(const struct pruning *p, struct frame *table, unsigned level, vaddr_t base)
{
	const uint64_t *entries = frame_data(table);

	for (unsigned i = 0; i < ENTRIES; i++) {
		vaddr_t start = base + i * span_of(level), end = start + span_of(level);
		struct frame *below;

		if (!entries[i] || (entries[i] & E_LARGE) || end <= p->start || start >= p->end)
			continue;
		below = table_frame(entries[i]);
		if (level > 1)
			prune(p, below, level - 1, start);
		if (below->flags == 0 && start >= p->floor && end <= p->ceiling) {
			for (vaddr_t page = start; level == 1 && page < end; page += PAGE_SIZE)
				assert(!tlb_knows(p->pmap, page));
			set_entry(table, i, 0);
			p->pmap->tables--;
			frame_put(below);
		}
	}
}

static void prune_all(struct pmap *pmap, vaddr_t start, vaddr_t end, vaddr_t floor, vaddr_t ceiling)
{
	const struct pruning p = { pmap, start, end, floor, ceiling };

	prune(&p, pmap->root, LEVELS - 1, 0);
}

void pmap_prune(struct pmap *pmap, vaddr_t start, vaddr_t end, vaddr_t floor, vaddr_t ceiling)
{
	assert(floor <= start && start < end && end <= ceiling);
	spin_lock(&pmap->lock);
	prune_all(pmap, start, end, floor, ceiling);
	spin_unlock(&pmap->lock);
}

unsigned pmap_collect(struct pmap *pmap, vaddr_t *at, vaddr_t end, enum pmap_change change,
		      struct mapping *out, unsigned max)
{
	unsigned count = 0;

	while (count < max && (*at = pmap_next(pmap, *at, end)) < end) {
		struct pte pte = pmap_get(pmap, *at);
		vaddr_t page = *at;

		out[count++] = (struct mapping){ page, pte };
		*at += pte.large ? PMAP_TABLE_SPAN : PAGE_SIZE;
		if (pte.large) {
			assert(IS_ALIGNED(page, PMAP_TABLE_SPAN) && *at <= end);
			if (change == PMAP_CLEAR)
				set_entry(find_directory(pmap, page), index_of(page, 1), 0);
			else if (change == PMAP_READ_ONLY)
				*find_large(pmap, page) &= ~(uint64_t)E_WRITE;
		} else if (change == PMAP_CLEAR) {
			pmap_clear(pmap, page);
		} else if (change == PMAP_READ_ONLY) {
			*find_entry(pmap, page) &= ~(uint64_t)E_WRITE;
		}
	}
	return count;
}

unsigned pmap_enter_shared(struct pmap *pmap, const struct mapping *mappings, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct mapping *m = &mappings[i];

		assert(!m->pte.special && !m->pte.large && pte_empty(pmap_get(pmap, m->page)));
		if (pmap_reserve_locked(pmap, m->page) < 0)
			return i;
		pmap_enter(pmap, m->page, m->pte.address,
			   (m->pte.executable ? PTE_EXEC : 0) | (m->pte.protnone ? PTE_NONE : 0));
	}
	return count;
}

unsigned pmap_enter_absent(struct pmap *pmap, vaddr_t address, struct frame **frames,
			   unsigned count, unsigned rights)
{
	unsigned entered = 0;

	assert(index_of(address, 0) + count <= ENTRIES);
	for (unsigned i = 0; i < count; i++, address += PAGE_SIZE) {
		if (!frames[i] || !pte_empty(pmap_get(pmap, address))) {
			frames[i] = NULL;
			continue;
		}
		pmap_enter(pmap, address, frame_paddr(frames[i]), rights);
		entered++;
	}
	return entered;
}

int pmap_reserve_large(struct pmap *pmap, vaddr_t block, struct frame **deposit)
{
	check_arguments(pmap, block);
	assert(IS_ALIGNED(block, PMAP_TABLE_SPAN));
	if (make_tables(pmap, block, 1) < 0) {
		prune_all(pmap, block, block + PAGE_SIZE, 0, UINT64_MAX);
		return -ENOMEM;
	}
	if (((uint64_t *)frame_data(find_directory(pmap, block)))[index_of(block, 1)])
		return -EEXIST;
	if (!*deposit)
		*deposit = frame_alloc(FRAME_PTABLE, 0, 0);
	return *deposit ? 0 : -ENOMEM;
}

/* No TLB may know one of the block's pages, in either size. */
static void check_forgotten(const struct pmap *pmap, vaddr_t block)
{
	for (vaddr_t page = block; page < block + PMAP_TABLE_SPAN; page += PAGE_SIZE)
		assert(!tlb_knows(pmap, page));
}

void pmap_enter_large(struct pmap *pmap, vaddr_t block, paddr_t frame, unsigned rights)
{
	struct frame *directory = find_directory(pmap, block);

	check_arguments(pmap, block);
	assert(IS_ALIGNED(frame, PMAP_TABLE_SPAN));
	assert(!((uint64_t *)frame_data(directory))[index_of(block, 1)]);
	check_forgotten(pmap, block);
	set_entry(directory, index_of(block, 1), encode(frame, rights) | E_LARGE);
}

void pmap_allow_large(struct pmap *pmap, vaddr_t block)
{
	uint64_t *entry = find_large(pmap, block);

	check_arguments(pmap, block);
	assert(entry && (*entry & E_PRESENT));
	*entry |= E_WRITE;
}

void pmap_put_table(struct pmap *pmap, vaddr_t block, struct frame *deposit)
{
	struct frame *directory = find_directory(pmap, block);

	check_arguments(pmap, block);
	assert(!((uint64_t *)frame_data(directory))[index_of(block, 1)]);
	assert(deposit->kind == FRAME_PTABLE && deposit->refs == 1 && deposit->flags == 0);
	check_forgotten(pmap, block);
	memset(frame_data(deposit), 0, PAGE_SIZE);
	set_entry(directory, index_of(block, 1), frame_paddr(deposit) | E_TABLE);
	pmap->tables++;
}

void pmap_flush(struct pmap *pmap, vaddr_t start, vaddr_t end)
{
	void (*happens)(void) = fake_during_flush;

	might_sleep(); /* no spinlock held, interrupts on */
	assert(start < end);
	tlb_forget(pmap, start, end);
	pmap->generation++;
	if (happens) {
		fake_during_flush = NULL;
		happens();
	}
}

void pmap_activate(struct pmap *pmap)
{
	assert(this_cpu()->irq_off_depth > 0);
	this_cpu()->pmap = pmap;
}

/* --- the processor ---------------------------------------------------------------------------- */

static bool permits(uint64_t entry, unsigned access)
{
	return (entry & E_PRESENT) && ((entry & E_WRITE) || !(access & FAULT_WRITE)) &&
	       ((entry & E_EXEC) || !(access & FAULT_EXEC));
}

bool fake_access(struct pmap *pmap, unsigned cpu, vaddr_t address, unsigned access, paddr_t *out)
{
	vaddr_t page = ALIGN_DOWN(address, PAGE_SIZE);
	struct tlb_entry *slot = tlb_slot(cpu, pmap, page);
	bool hit = slot->pmap == pmap && slot->page == page;

	/* A remembered translation without the right makes the processor walk again. */
	if (!hit || !permits(slot->entry, access)) {
		uint64_t *large = find_large(pmap, page);
		uint64_t *entry = large ? large : find_entry(pmap, page);

		slot->pmap = hit ? NULL : slot->pmap;
		if (!entry || !permits(*entry, access))
			return false;
		*entry |= E_ACCESSED | (access & FAULT_WRITE ? E_DIRTY : 0);
		*slot = (struct tlb_entry){ pmap, page, find_translation(pmap, page) };
	}
	*out = (slot->entry & E_ADDRESS) + (address - page);
	return true;
}

void fake_assert_not_stale(const struct frame *frame)
{
	paddr_t address = frame_paddr(frame);

	for (unsigned cpu = 0; cpu < FAKE_CPUS; cpu++) {
		for (unsigned i = 0; i < TLB_ENTRIES; i++) {
			const struct tlb_entry *slot = &tlb[cpu][i];
			uint64_t entry;

			/* A block goes with all its frames. */
			if (!slot->pmap ||
			    (slot->entry & E_ADDRESS) - address >= PAGE_SIZE << frame->order)
				continue;
			entry = find_translation(slot->pmap, slot->page);
			assert((entry & E_PRESENT) &&
			       (entry & E_ADDRESS) == (slot->entry & E_ADDRESS));
			assert((entry & E_WRITE) || !(slot->entry & E_WRITE));
		}
	}
}
