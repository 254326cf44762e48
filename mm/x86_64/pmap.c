/*
 * mm/x86_64/pmap.c - the user half of a page table.
 *
 * Each table's struct frame counts its entries that are not empty (in `flags`), so that pmap_prune()
 * knows an empty table without reading it, and is on the pmap's list, so that tearing all down needs no
 * walk. Leaf entries change only by atomic exchange or compare-and-exchange, because the processor sets
 * A and D in them on its own; it sets nothing in an empty one.
 *
 * Most accesses are to the block of PMAP_TABLE_SPAN bytes that the one before was in. So a pmap
 * remembers the last table of pages that a walk has come to (`walked`), until tables are pruned.
 *
 * A 2 MiB page is an entry of level 1 with ENTRY_LARGE. The table that would be needed to have its 512
 * pages mapped one by one is put by when it is entered: the first frame's struct names it.
 */
#include "mm/pmap.h"

#include "kernel/string.h"
#include "kernel/x86_64/cpu.h"
#include "mm/layout.h"
#include "mm/x86_64/entry.h"
#include "mm/x86_64/kernel_map.h"

#define USER_SLOTS (TABLE_ENTRIES / 2) /* of the PML4 */
#define NOT_WALKED UINT64_C(1)         /* in pmap.walked: no block begins there */

static const char zero_page[PAGE_SIZE] __aligned(4096);
paddr_t pmap_zero_page;
static uint64_t entry_nx; /* ENTRY_NX if the processor has it; set with the first pmap */

static uint16_t *table_used(const entry_t *table)
{
	return &frame_of(virt_to_phys(table))->flags;
}

static entry_t *table_of(uint64_t entry)
{
	return phys_to_virt(entry & ENTRY_ADDRESS);
}

/* --- entries ------------------------------------------------------------------------------------ */

/* What decode() copies: struct pte has these flags where the processor has them. */
#define DECODED                                                                       \
	(ENTRY_PRESENT | ENTRY_WRITE | ENTRY_ACCESSED | ENTRY_DIRTY | ENTRY_SPECIAL | \
	 ENTRY_PROTNONE)

union decoded {
	struct pte pte;
	struct {
		paddr_t address;
		uint64_t flags;
	};
};
_Static_assert(sizeof(struct pte) == 16, "an address and one word of flags");

/* A PROT_NONE entry keeps its address inverted: nothing to speculate on (L1TF). */
static inline uint64_t entry_address(uint64_t entry)
{
	return (entry & ENTRY_PROTNONE ? ~entry : entry) & ENTRY_ADDRESS;
}

static inline struct pte decode(uint64_t entry)
{
	union decoded d = { .address = entry_address(entry), .flags = entry & DECODED };

	if ((entry & (ENTRY_PRESENT | ENTRY_NX)) == ENTRY_PRESENT)
		d.flags |= ENTRY_NX; /* `executable` lies there, the other way round */
	return d.pte;
}

static inline uint64_t encode(paddr_t frame, unsigned rights)
{
	uint64_t entry = frame | ENTRY_PRESENT | ENTRY_USER | ENTRY_ACCESSED;

	if (unlikely(rights & (PTE_NONE | PTE_SPECIAL | PTE_UNCACHED))) {
		uint64_t software = rights & PTE_SPECIAL ? ENTRY_SPECIAL : 0;

		if (rights & PTE_NONE)
			return (~frame & ENTRY_ADDRESS) | software | ENTRY_PROTNONE;
		if (rights & PTE_UNCACHED)
			entry |= ENTRY_PCD | ENTRY_PWT;
		entry |= software;
	}
	if (rights & PTE_WRITE)
		entry |= ENTRY_WRITE;
	if (!(rights & PTE_EXEC))
		entry |= entry_nx;
	return entry;
}

static bool is_large(uint64_t entry, unsigned level)
{
	return level == 1 && (entry & ENTRY_LARGE);
}

/* --- walking ------------------------------------------------------------------------------------ */

/*
 * The entry that says what is at `address`, and its level: 0, or 1 for a large page or where there is
 * no table, or higher. Lock held.
 */
static entry_t *walk(struct pmap *pmap, vaddr_t address, unsigned *level)
{
	entry_t *table = frame_data(pmap->root);
	unsigned l = LEVELS - 1;

	for (;;) {
		entry_t *slot = &table[level_index(address, l)];

		if (l == 0 || !*slot || is_large(*slot, l)) {
			*level = l;
			return slot;
		}
		table = table_of(*slot);
		if (--l == 0) {
			pmap->walked = ALIGN_DOWN(address, PMAP_TABLE_SPAN);
			pmap->walked_table = table;
		}
	}
}

/* The table of pages that serves `address`, or NULL. Lock held. */
static inline entry_t *find_table(struct pmap *pmap, vaddr_t address)
{
	unsigned level;
	entry_t *slot;

	assert(address < USER_MAX);
	assert_locked(spin_held(&pmap->lock));
	if (likely(ALIGN_DOWN(address, PMAP_TABLE_SPAN) == pmap->walked))
		return pmap->walked_table;
	slot = walk(pmap, address, &level);
	return level == 0 ? slot - level_index(address, 0) : NULL;
}

/* The entry of the large page that covers `address`, or NULL. Lock held. */
static entry_t *find_large(struct pmap *pmap, vaddr_t address)
{
	unsigned level;
	entry_t *slot = walk(pmap, address, &level);

	return is_large(*slot, level) ? slot : NULL;
}

/* The first page of [start, end) whose entry in this table, or below it, is not empty; or `end`. */
static vaddr_t next_below(entry_t *table, unsigned level, vaddr_t start, vaddr_t end)
{
	uint64_t span = level_span(level);

	for (unsigned i = level_index(start, level); i < TABLE_ENTRIES && start < end; i++) {
		vaddr_t above = ALIGN_DOWN(start, span) + span;

		if (table[i]) {
			vaddr_t stop = MIN(above, end), found;

			if (level == 0 || is_large(table[i], level))
				return start;
			if (*table_used(table_of(table[i])) > 0) {
				found = next_below(table_of(table[i]), level - 1, start, stop);
				if (found < stop)
					return found;
			}
		}
		start = above;
	}
	return end;
}

vaddr_t pmap_next(struct pmap *pmap, vaddr_t start, vaddr_t end)
{
	if (start < end && ALIGN_DOWN(start, PMAP_TABLE_SPAN) == pmap->walked) {
		/* Mostly the very next page, or one near it. */
		vaddr_t stop = MIN(pmap->walked + PMAP_TABLE_SPAN, end);
		vaddr_t found = next_below(pmap->walked_table, 0, start, stop);

		if (found < stop)
			return found;
		start = stop;
	}
	return start < end ? next_below(frame_data(pmap->root), LEVELS - 1, start, end) : end;
}

/* --- tables --------------------------------------------------------------------------------------- */

int pmap_create(struct pmap *pmap)
{
	const uint64_t *kernel = phys_to_virt(kernel_root);
	uint64_t *root;

	pmap->root = frame_alloc(FRAME_PTABLE, 0, 0);
	if (!pmap->root)
		return -ENOMEM;
	root = frame_data(pmap->root);
	memset(root, 0, USER_SLOTS * sizeof(*root));
	memcpy(root + USER_SLOTS, kernel + USER_SLOTS, USER_SLOTS * sizeof(*root));
	spin_init(&pmap->lock, "pmap", RANK_PMAP);
	pmap->tables = 0;
	LIST_INIT(&pmap->table_frames);
	pmap->walked = NOT_WALKED;
	atomic_store(&pmap->generation, 1);
	atomic_store(&pmap->cpus, 0);
	if (!pmap_zero_page)
		pmap_zero_page = kernel_image_paddr(zero_page);
	entry_nx = cpu_features.nx ? ENTRY_NX : 0;
	return 0;
}

void pmap_destroy(struct pmap *pmap)
{
	struct frame *table;

	irq_push_off();
	if (this_cpu()->pmap == pmap)
		pmap_activate(NULL);
	irq_pop_off();
	assert(atomic_load(&pmap->cpus) == 0);
	while ((table = LIST_FIRST(&pmap->table_frames))) {
		LIST_REMOVE(table, table_link);
		frame_put(table);
	}
	frame_put(pmap->root);
	pmap->root = NULL;
}

static void link_table(struct pmap *pmap, entry_t *slot, struct frame *frame)
{
	assert(!*slot);
	LIST_INSERT_HEAD(&pmap->table_frames, frame, table_link);
	pmap->tables++;
	*slot = frame_paddr(frame) | ENTRY_PRESENT | ENTRY_WRITE | ENTRY_USER;
}

static void count_entry(entry_t *slot)
{
	(*table_used((entry_t *)ALIGN_DOWN((uintptr_t)slot, PAGE_SIZE)))++;
}

static void discount_entry(entry_t *slot)
{
	(*table_used((entry_t *)ALIGN_DOWN((uintptr_t)slot, PAGE_SIZE)))--;
}

/* Makes the tables on the way to `address` down to the one of `level`, all or none. Lock held. */
static int make_tables(struct pmap *pmap, vaddr_t address, unsigned level)
{
	struct frame *frames[LEVELS];
	unsigned at, first;
	entry_t *slot = walk(pmap, address, &first);

	if (is_large(*slot, first))
		return 0;
	for (at = first; at > level; at--) {
		frames[at] = frame_alloc(FRAME_PTABLE, 0, FRAME_ZERO);
		if (!frames[at]) {
			while (++at <= first)
				frame_put(frames[at]);
			return -ENOMEM;
		}
	}
	for (at = first; at > level; at--) {
		link_table(pmap, slot, frames[at]);
		count_entry(slot);
		slot = (entry_t *)frame_data(frames[at]) + level_index(address, at - 1);
	}
	return 0;
}

int pmap_reserve_locked(struct pmap *pmap, vaddr_t address)
{
	return find_table(pmap, address) ? 0 : make_tables(pmap, address, 0);
}

int pmap_reserve(struct pmap *pmap, vaddr_t address)
{
	int error;

	spin_lock(&pmap->lock);
	error = pmap_reserve_locked(pmap, address);
	spin_unlock(&pmap->lock);
	return error;
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

		if (!entry || is_large(entry, level))
			continue;
		frame = frame_of(entry & ENTRY_ADDRESS);
		if (level > 1)
			prune(p, frame_data(frame), level - 1, start);
		if (frame->flags || start < p->floor || span > p->ceiling - start)
			continue;
		table[i] = 0;
		(*table_used(table))--;
		LIST_REMOVE(frame, table_link);
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
	if (p.gone)
		pmap->walked = NOT_WALKED;
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

/* --- single pages --------------------------------------------------------------------------------- */

/* Of a large page, its first. */
static struct pte decode_large(uint64_t entry)
{
	struct pte pte = decode(entry & ~ENTRY_LARGE);

	pte.large = true;
	return pte;
}

struct pte pmap_get(struct pmap *pmap, vaddr_t address)
{
	entry_t *table = find_table(pmap, address);
	entry_t *large;
	struct pte pte;

	if (likely(table))
		return decode(table[level_index(address, 0)]);
	large = find_large(pmap, address);
	if (!large)
		return decode(0);
	pte = decode_large(*large);
	pte.address += address & (PMAP_TABLE_SPAN - PAGE_SIZE);
	return pte;
}

void pmap_enter(struct pmap *pmap, vaddr_t address, paddr_t frame, unsigned rights)
{
	entry_t *table = find_table(pmap, address);
	uint64_t old, new = encode(frame, rights);
	entry_t *slot;

	assert(table);
	slot = &table[level_index(address, 0)];
	old = *slot;
	if (!old) {
		(*table_used(table))++;
		atomic_store_explicit(slot, new, memory_order_release);
		return;
	}
	do {
		assert(entry_address(old) == frame);
	} while (!atomic_compare_exchange_weak(slot, &old, new | (old & ENTRY_DIRTY)));
}

void pmap_replace(struct pmap *pmap, vaddr_t address, paddr_t frame, unsigned rights)
{
	entry_t *slot = &find_table(pmap, address)[level_index(address, 0)];

	assert(*slot & ENTRY_PROTNONE); /* so the processor does not touch it either */
	atomic_store_explicit(slot, encode(frame, rights), memory_order_release);
}

struct pte pmap_clear(struct pmap *pmap, vaddr_t address)
{
	entry_t *table = find_table(pmap, address);
	uint64_t old;

	if (!table) {
		assert(!find_large(pmap, address)); /* demoted before one of its pages goes */
		return decode(0);
	}
	old = atomic_exchange(&table[level_index(address, 0)], 0);
	if (old)
		(*table_used(table))--;
	return decode(old);
}

struct pte pmap_protect(struct pmap *pmap, vaddr_t address, unsigned rights)
{
	entry_t *table = find_table(pmap, address);
	entry_t *slot;
	uint64_t old, new;

	if (!table) {
		assert(!find_large(pmap, address));
		return decode(0);
	}
	slot = &table[level_index(address, 0)];
	old = *slot;
	do {
		if (!old)
			break;
		new = encode(entry_address(old), rights) | (old & (ENTRY_DIRTY | ENTRY_SPECIAL));
	} while (!atomic_compare_exchange_weak(slot, &old, new));
	return decode(old);
}

/* --- many pages ----------------------------------------------------------------------------------- */

unsigned pmap_enter_absent(struct pmap *pmap, vaddr_t address, struct frame **frames,
			   unsigned count, unsigned rights)
{
	entry_t *table = find_table(pmap, address);
	entry_t *slot = &table[level_index(address, 0)];
	uint64_t bits = encode(0, rights);
	unsigned entered = 0;

	assert(table && level_index(address, 0) + count <= TABLE_ENTRIES);
	for (unsigned i = 0; i < count; i++, slot++) {
		if (!frames[i] || *slot) {
			frames[i] = NULL;
			continue;
		}
		atomic_store_explicit(slot, frame_paddr(frames[i]) | bits, memory_order_release);
		entered++;
	}
	*table_used(table) += (uint16_t)entered;
	return entered;
}

unsigned pmap_enter_shared(struct pmap *pmap, const struct mapping *mappings, unsigned count)
{
	unsigned i = 0;

	while (i < count) {
		vaddr_t block = ALIGN_DOWN(mappings[i].page, PMAP_TABLE_SPAN);
		entry_t *table = find_table(pmap, block);
		unsigned first = i;

		if (unlikely(!table)) {
			if (make_tables(pmap, block, 0) < 0)
				return i;
			table = find_table(pmap, block);
		}
		for (; i < count && mappings[i].page - block < PMAP_TABLE_SPAN; i++) {
			struct pte pte = mappings[i].pte;
			entry_t *slot = &table[level_index(mappings[i].page, 0)];

			assert(!*slot);
			atomic_store_explicit(
				slot,
				encode(pte.address, (pte.executable ? PTE_EXEC : 0) |
							    (pte.protnone ? PTE_NONE : 0)),
				memory_order_relaxed);
		}
		*table_used(table) += (uint16_t)(i - first);
	}
	return count;
}

/* What pmap_collect() is asked to do, to one entry that is not empty; what it was before. */
static inline uint64_t change_entry(entry_t *slot, uint64_t entry, enum pmap_change change)
{
	if (change == PMAP_CLEAR)
		return atomic_exchange(slot, 0);
	if (change == PMAP_READ_ONLY && (entry & ENTRY_WRITE))
		atomic_fetch_and(slot, ~ENTRY_WRITE);
	return entry;
}

/* As pmap_collect(), within one table of pages; compiled for each change on its own. */
static inline __attribute__((always_inline)) unsigned collect_table(entry_t *table, vaddr_t *at,
								    vaddr_t end,
								    enum pmap_change change,
								    struct mapping *out,
								    unsigned max)
{
	entry_t *slot = &table[level_index(*at, 0)];
	unsigned count = 0;
	vaddr_t page = *at;

	for (; page < end && count < max; page += PAGE_SIZE, slot++) {
		uint64_t entry = atomic_load_explicit(slot, memory_order_relaxed);

		if (!entry)
			continue;
		out[count].page = page;
		out[count].pte = decode(change_entry(slot, entry, change));
		count++;
	}
	if (change == PMAP_CLEAR)
		*table_used(table) -= (uint16_t)count;
	*at = page;
	return count;
}

/* As pmap_collect(), of the large pages that follow each other from *at on, where there is one. */
static unsigned collect_large(struct pmap *pmap, vaddr_t *at, vaddr_t end, enum pmap_change change,
			      struct mapping *out, unsigned max)
{
	entry_t *slot = find_large(pmap, *at);
	unsigned room = TABLE_ENTRIES - level_index(*at, 1), count = 0;

	max = MIN(max, room);
	do {
		assert(IS_ALIGNED(*at, PMAP_TABLE_SPAN) && end - *at >= PMAP_TABLE_SPAN);
		out[count].page = *at;
		out[count].pte = decode_large(change_entry(slot, *slot, change));
		if (change == PMAP_CLEAR)
			discount_entry(slot);
		*at += PMAP_TABLE_SPAN;
		count++;
		slot++;
	} while (count < max && *at < end && is_large(*slot, 1));
	return count;
}

unsigned pmap_collect(struct pmap *pmap, vaddr_t *at, vaddr_t end, enum pmap_change change,
		      struct mapping *out, unsigned max)
{
	unsigned count = 0;

	while (count < max && (*at = pmap_next(pmap, *at, end)) < end) {
		entry_t *table = find_table(pmap, *at);
		vaddr_t stop = MIN(ALIGN_DOWN(*at, PMAP_TABLE_SPAN) + PMAP_TABLE_SPAN, end);

		if (table && change == PMAP_CLEAR)
			count += collect_table(table, at, stop, PMAP_CLEAR, out + count,
					       max - count);
		else if (table && change == PMAP_READ_ONLY)
			count += collect_table(table, at, stop, PMAP_READ_ONLY, out + count,
					       max - count);
		else if (table)
			count +=
				collect_table(table, at, stop, PMAP_LOOK, out + count, max - count);
		else
			count += collect_large(pmap, at, end, change, out + count, max - count);
	}
	return count;
}

/* --- large pages ---------------------------------------------------------------------------------- */

int pmap_reserve_large(struct pmap *pmap, vaddr_t block, struct frame **deposit)
{
	unsigned level;
	entry_t *slot;

	assert(IS_ALIGNED(block, PMAP_TABLE_SPAN));
	if (find_table(pmap, block))
		return -EEXIST;
	if (make_tables(pmap, block, 1) < 0)
		return -ENOMEM;
	slot = walk(pmap, block, &level);
	if (level != 1 || *slot)
		return -EEXIST;
	if (!*deposit)
		*deposit = frame_alloc(FRAME_PTABLE, 0, 0);
	return *deposit ? 0 : -ENOMEM;
}

void pmap_enter_large(struct pmap *pmap, vaddr_t block, paddr_t frame, unsigned rights)
{
	unsigned level;
	entry_t *slot = walk(pmap, block, &level);

	assert(level == 1 && !*slot && IS_ALIGNED(frame, PMAP_TABLE_SPAN));
	count_entry(slot);
	*slot = encode(frame, rights) | ENTRY_LARGE;
}

void pmap_allow_large(struct pmap *pmap, vaddr_t block)
{
	entry_t *slot = find_large(pmap, block);

	assert(slot && (*slot & ENTRY_PRESENT));
	atomic_fetch_or(slot, ENTRY_WRITE);
}

void pmap_put_table(struct pmap *pmap, vaddr_t block, struct frame *deposit)
{
	unsigned level;
	entry_t *slot = walk(pmap, block, &level);

	assert(level == 1);
	pmap_zero_frames(deposit, 1);
	link_table(pmap, slot, deposit);
	count_entry(slot);
}
