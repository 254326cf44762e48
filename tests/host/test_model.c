/*
 * test_model.c - random programs against a model in which every page stands for itself.
 *
 * The model knows of each page of a window, and of a heap behind it, whether it is mapped, its rights
 * and flags, what it is a page of, and the byte at its start. Operations are chosen at random from a
 * seed and done to both. Each must give the error that the model expects, or none; what a program sees
 * through its TLB must be what the model says; and after each operation space_check() must hold and
 * the regions must be the model's pages, joined wherever two continue each other.
 *
 * Some operations are made to fail for lack of memory: the model then stays as it is. Some spaces have
 * limits.
 */
#include "inject.h"
#include "world.h"

#include "kernel/string.h"
#include <linux/mman.h>

#include <cmocka.h>
#include <stdlib.h>

#define BASE       UINT64_C(0x400000)
#define PAGES      24
#define HEAP       (BASE + (PAGES + 4) * PAGE_SIZE) /* what is in between stays free */
#define HEAP_PAGES 6
#define ALL        (PAGES + HEAP_PAGES)
#define RANGE_MAX  8
#define RW         (PROT_READ | PROT_WRITE)
#define LOCKS      (REGION_LOCKED | REGION_LOCKONFAULT)

#define OBJECTS    2 /* a file, and shared memory */
#define FILE_PAGES 20

#define PROGRAMS   250
#define STEPS      4000

struct page {
	bool mapped, shared;
	uint32_t prot, flags;
	int object; /* -1: anonymous */
	int index;
	bool own;     /* has a content of its own: anonymous and written, or a private copy */
	uint8_t byte; /* that content */
};

struct model {
	struct space *space;
	struct page page[ALL];
	unsigned heap;   /* pages of it */
	uint32_t future; /* mlockall(MCL_FUTURE) */
};

static struct model models[2];
static struct object *objects[OBJECTS];
static uint8_t bytes[OBJECTS][FILE_PAGES];
static int object_pages[OBJECTS];
static struct space_limits limits; /* of all, in this run */

static unsigned below(unsigned bound)
{
	return (unsigned)rand() % bound;
}

static vaddr_t address(unsigned i)
{
	return i < PAGES ? BASE + i * PAGE_SIZE : HEAP + (i - PAGES) * PAGE_SIZE;
}

static uint8_t first_byte(int object, unsigned index)
{
	return object == 0 ? world_file_byte(index) : 0;
}

/* --- the model ---------------------------------------------------------------------------------- */

static bool beyond_end(const struct page *page)
{
	return page->object >= 0 && page->index >= object_pages[page->object];
}

static uint8_t content(const struct page *page)
{
	if (page->own)
		return page->byte;
	return page->object >= 0 ? bytes[page->object][page->index] : 0;
}

/* What an access to the page must give: 0 and the byte, or the error. */
static int expected(const struct page *page, uint32_t right, uint8_t *byte)
{
	if (!page->mapped)
		return -EFAULT;
	if (right == PROT_READ ? !page->prot : !(page->prot & right))
		return -EFAULT;
	if (beyond_end(page))
		return -EIO;
	*byte = content(page);
	return 0;
}

static bool is_data(bool shared, uint32_t prot)
{
	return !shared && (prot & PROT_WRITE);
}

static bool continues(const struct page *a, const struct page *b)
{
	return b->mapped && a->prot == b->prot && a->shared == b->shared && a->flags == b->flags &&
	       a->object == b->object && (a->object < 0 || a->index + 1 == b->index);
}

/* The page behind the region that this page is in. */
static unsigned run_end(const struct model *m, unsigned i)
{
	unsigned stop = i < PAGES ? PAGES : ALL;

	for (i++; i < stop && continues(&m->page[i - 1], &m->page[i]);)
		i++;
	return i;
}

static unsigned mapped_in(const struct model *m, unsigned first, unsigned pages)
{
	unsigned count = 0;

	for (unsigned i = first; i < first + pages; i++)
		count += m->page[i].mapped;
	return count;
}

static bool any_flag(const struct model *m, unsigned first, unsigned pages, uint32_t flag)
{
	for (unsigned i = first; i < first + pages; i++)
		if (m->page[i].mapped && (m->page[i].flags & flag))
			return true;
	return false;
}

static bool any_object(const struct model *m, unsigned first, unsigned pages)
{
	for (unsigned i = first; i < first + pages; i++)
		if (m->page[i].mapped && m->page[i].object >= 0)
			return true;
	return false;
}

static bool exceeds(unsigned pages, uint64_t limit)
{
	return limit != UINT64_MAX && pages > limit >> PAGE_SHIFT;
}

static bool data_exceeds(const struct model *m, unsigned more)
{
	for (unsigned i = 0; i < ALL; i++)
		more += m->page[i].mapped && is_data(m->page[i].shared, m->page[i].prot);
	return exceeds(more, limits.data);
}

/* RLIMIT_AS and RLIMIT_DATA. */
static int check_limits(const struct model *m, unsigned more, bool data)
{
	if (exceeds(mapped_in(m, 0, ALL) + more, limits.as))
		return -ENOMEM;
	return data && data_exceeds(m, more) ? -ENOMEM : 0;
}

static bool locks_exceed(const struct model *m, unsigned more)
{
	for (unsigned i = 0; i < ALL; i++)
		more += m->page[i].mapped && (m->page[i].flags & REGION_LOCKED);
	return exceeds(more, limits.memlock);
}

enum how { OWN, READ, WRITE };

/* Pages that are brought in before they are touched; the error of the first that cannot be. */
static int bring_in(struct model *m, unsigned first, unsigned pages, enum how how)
{
	for (unsigned i = first; i < first + pages; i++) {
		struct page *page = &m->page[i];
		bool write =
			how == WRITE || (how == OWN && !page->shared && (page->prot & PROT_WRITE));

		if (!page->mapped)
			return -ENOENT;
		if (how == OWN && (page->flags & REGION_LOCKONFAULT))
			continue;
		if (!page->prot || (how == WRITE && !(page->prot & PROT_WRITE)))
			return -EACCES;
		if (beyond_end(page))
			return -EIO;
		if (write && !page->shared && !page->own) {
			page->byte = content(page);
			page->own = true;
		}
	}
	return 0;
}

static void check_layout(const struct model *m)
{
	unsigned i = 0;

	rw_read_lock(&m->space->lock);
	for (struct region *r = space_find_above(m->space, 0); r; r = space_next(r)) {
		const struct page *page;
		unsigned end;

		while (i < ALL && !m->page[i].mapped)
			i++;
		assert_true(i < ALL);
		page = &m->page[i];
		end = run_end(m, i);
		assert_true(r->start == address(i) && r->end == address(end - 1) + PAGE_SIZE);
		assert_true(r->prot == page->prot &&
			    r->flags == (page->flags | (page->shared ? REGION_SHARED : 0)));
		assert_true(r->object == (page->object < 0 ? NULL : objects[page->object]));
		assert_true(!r->object || r->offset == (uint64_t)page->index * PAGE_SIZE);
		i = end;
	}
	while (i < ALL)
		assert_false(m->page[i++].mapped);
	rw_read_unlock(&m->space->lock);
}

/* --- arguments ---------------------------------------------------------------------------------- */

static const uint32_t prots[] = { PROT_NONE, PROT_READ, RW, RW, RW, PROT_READ | PROT_EXEC };

struct range {
	unsigned first, pages;
	vaddr_t start;
	uint64_t length;
};

/* Pages of the window; mostly what begins with something mapped, and often without holes. */
static struct range any_range(const struct model *m)
{
	struct range range = { .first = below(PAGES) };

	for (unsigned i = 0; i < 3 && !m->page[range.first].mapped; i++)
		range.first = below(PAGES);
	range.pages = MIN(1 + below(RANGE_MAX), PAGES - range.first);
	for (unsigned i = 1; i < range.pages && below(4); i++)
		if (!m->page[range.first + i].mapped)
			range.pages = i;
	range.start = address(range.first);
	range.length = range.pages * PAGE_SIZE;
	return range;
}

static bool runs_short(void)
{
	if (below(20) != 0)
		return false;
	inject_failure(1 + below(4));
	return true;
}

/* Ends what runs_short() began. True if the operation failed for lack of memory, changing nothing. */
static bool failed_short(bool short_of_memory, int64_t result)
{
	inject_failure(0);
	return short_of_memory && result == -ENOMEM;
}

/* --- mapping ------------------------------------------------------------------------------------ */

static void do_map(struct model *m)
{
	static const uint32_t some_flags[] = {
		0, 0, 0, 0, REGION_NORESERVE, REGION_LOCKED, REGION_HUGEPAGE
	};
	unsigned first = below(PAGES), pages = MIN(1 + below(RANGE_MAX), PAGES - first);
	int object = (int)below(OBJECTS + 2) - 2, offset = (int)below(FILE_PAGES - RANGE_MAX);
	struct map_request request = {
		.address = address(first),
		.length = pages * PAGE_SIZE,
		.prot = prots[below(ARRAY_SIZE(prots))],
		.max_prot = PROT_ALL,
		.flags = some_flags[below(ARRAY_SIZE(some_flags))],
		.object = object >= 0 ? objects[object] : NULL,
		.offset = object >= 0 ? (uint64_t)offset * PAGE_SIZE : 0,
		.fixed = true,
		.noreplace = below(5) == 0,
		.populate = below(8) == 0,
	};
	uint32_t flags = request.flags | m->future;
	bool shared = object >= 0 && below(2), short_of_memory = false;
	bool fills = request.populate || (flags & LOCKS) == REGION_LOCKED;
	unsigned replaced = mapped_in(m, first, pages);
	int want, error;
	vaddr_t at;

	request.flags |= shared ? REGION_SHARED : 0;
	if (request.noreplace && replaced)
		want = -EEXIST;
	else if ((flags & REGION_LOCKED) && locks_exceed(m, pages))
		want = -EAGAIN;
	else
		want = check_limits(m, pages - replaced, is_data(shared, request.prot));
	if (!fills)
		short_of_memory = runs_short();
	error = space_map(m->space, &request, &at);
	if (failed_short(short_of_memory, error))
		return;
	assert_int_equal(error, want);
	if (error)
		return;
	assert_int_equal(at, address(first));
	for (unsigned i = 0; i < pages; i++)
		m->page[first + i] = (struct page){
			.mapped = true,
			.shared = shared,
			.prot = request.prot,
			.flags = flags,
			.object = MAX(object, -1),
			.index = offset + (int)i,
		};
	if (fills)
		bring_in(m, first, pages, OWN);
}

static void do_unmap(struct model *m)
{
	struct range range = any_range(m);
	bool short_of_memory = runs_short();
	int error = space_unmap(m->space, range.start, range.length);

	if (failed_short(short_of_memory, error))
		return;
	assert_int_equal(error, 0);
	memset(&m->page[range.first], 0, range.pages * sizeof(struct page));
}

static void do_protect(struct model *m)
{
	struct range range = any_range(m);
	uint32_t prot = prots[below(ARRAY_SIZE(prots))];
	bool short_of_memory = runs_short();
	int error = space_protect(m->space, range.start, range.length, prot), want = 0;
	unsigned more = 0;

	if (failed_short(short_of_memory, error))
		return;
	for (unsigned i = range.first; i < range.first + range.pages; i++)
		more += is_data(m->page[i].shared, prot) &&
			!is_data(m->page[i].shared, m->page[i].prot);
	if (mapped_in(m, range.first, range.pages) < range.pages || (more && data_exceeds(m, more)))
		want = -ENOMEM;
	assert_int_equal(error, want);
	if (error)
		return;
	for (unsigned i = range.first; i < range.first + range.pages; i++)
		m->page[i].prot = prot;
}

static void do_brk(struct model *m)
{
	unsigned pages = below(HEAP_PAGES + 1), more = MAX(pages, m->heap) - m->heap;
	bool fills = (m->future & LOCKS) == REGION_LOCKED;
	bool short_of_memory = !fills && runs_short();
	vaddr_t now = space_brk(m->space, HEAP + pages * PAGE_SIZE);

	inject_failure(0);
	if (now != HEAP + pages * PAGE_SIZE) {
		assert_true(short_of_memory || check_limits(m, more, true) ||
			    (m->future && locks_exceed(m, more)));
		assert_int_equal(now, HEAP + m->heap * PAGE_SIZE);
		return;
	}
	for (unsigned i = m->heap; i < pages; i++)
		m->page[PAGES + i] = (struct page){
			.mapped = true,
			.prot = RW,
			.flags = m->future,
			.object = -1,
		};
	for (unsigned i = pages; i < m->heap; i++)
		m->page[PAGES + i] = (struct page){ .mapped = false };
	if (fills && pages > m->heap)
		bring_in(m, PAGES + m->heap, pages - m->heap, OWN);
	m->heap = pages;
}

/* --- moving ------------------------------------------------------------------------------------- */

struct remap {
	unsigned old, old_pages, new, new_pages;
	uint32_t flags;
	bool fixed, keep;
};

/* May the mapping at the old place become one of the new length? */
static int check_remap(const struct model *m, const struct remap *r)
{
	const struct page *page = &m->page[r->old];
	unsigned more = r->keep                       ? r->new_pages
			: r->new_pages > r->old_pages ? r->new_pages - r->old_pages
						      : 0;

	if (r->old_pages == 0 && !page->shared)
		return -EINVAL;
	if (r->old_pages == 0 && r->fixed && r->new == r->old)
		return -EFAULT;
	if (r->old + MIN(r->old_pages, r->new_pages) > run_end(m, r->old))
		return -EFAULT;
	if (more == 0)
		return 0;
	if (!r->keep && (page->flags & REGION_LOCKED) && locks_exceed(m, more))
		return -EAGAIN;
	return check_limits(m, more, is_data(page->shared, page->prot));
}

static int check_arguments(const struct remap *r)
{
	if (!r->fixed && !r->keep)
		return 0;
	if (!(r->flags & MREMAP_MAYMOVE) || (r->keep && r->old_pages != r->new_pages))
		return -EINVAL;
	return r->old + r->old_pages > r->new && r->new + r->new_pages > r->old ? -EINVAL : 0;
}

/* `to` gets the mapping of `r`: what it had, and more of the same. */
static void place(struct model *m, const struct remap *r, struct page *to)
{
	struct page moved[RANGE_MAX];

	for (unsigned i = 0; i < r->new_pages; i++) {
		moved[i] = m->page[r->old];
		moved[i].index += (int)i;
		moved[i].own = i < r->old_pages && m->page[r->old + i].own;
		moved[i].byte = i < r->old_pages ? m->page[r->old + i].byte : 0;
	}
	memcpy(to, moved, r->new_pages * sizeof(*to));
}

/* What has moved away from the window is looked at, and unmapped. */
static void check_outside(struct model *m, const struct page *moved, unsigned pages, vaddr_t at)
{
	for (unsigned i = 0; i < pages; i++) {
		uint8_t want = 0, got = 0;
		int error = expected(&moved[i], PROT_READ, &want);

		assert_int_equal(world_read(m->space, 0, at + i * PAGE_SIZE, &got), error);
		assert_int_equal(got, want);
	}
	assert_int_equal(space_unmap(m->space, at, pages * PAGE_SIZE), 0);
}

static void move(struct model *m, const struct remap *r, vaddr_t at)
{
	uint32_t flags = m->page[r->old].flags;
	bool inside = at >= BASE && at + r->new_pages * PAGE_SIZE <= address(PAGES - 1) + PAGE_SIZE;
	unsigned to = inside ? (unsigned)((at - BASE) / PAGE_SIZE) : 0;
	struct page moved[RANGE_MAX];

	place(m, r, moved);
	for (unsigned i = r->old; i < r->old + r->old_pages; i++) {
		m->page[i].own = false;
		m->page[i].flags &= ~LOCKS;
		if (!r->keep)
			m->page[i] = (struct page){ .mapped = false };
	}
	if (!inside) {
		check_outside(m, moved, r->new_pages, at);
		return;
	}
	assert_true(r->fixed ? to == r->new : mapped_in(m, to, r->new_pages) == 0);
	memcpy(&m->page[to], moved, r->new_pages * sizeof(struct page));
	if ((flags & LOCKS) == REGION_LOCKED && r->new_pages > r->old_pages)
		bring_in(m, to + r->old_pages, r->new_pages - r->old_pages, OWN);
}

static void remapped(struct model *m, const struct remap *r, vaddr_t at)
{
	unsigned more = r->new_pages - r->old_pages;

	if (at != address(r->old)) {
		move(m, r, at);
		return;
	}
	if (r->new_pages <= r->old_pages) {
		memset(&m->page[r->old + r->new_pages], 0,
		       (r->old_pages - r->new_pages) * sizeof(struct page));
		return;
	}
	assert_int_equal(mapped_in(m, r->old + r->old_pages, more), 0);
	place(m, r, &m->page[r->old]);
	if ((m->page[r->old].flags & LOCKS) == REGION_LOCKED)
		bring_in(m, r->old + r->old_pages, more, OWN);
}

static void do_remap(struct model *m)
{
	static const uint32_t ways[] = {
		0,
		MREMAP_MAYMOVE,
		MREMAP_MAYMOVE | MREMAP_FIXED,
		MREMAP_MAYMOVE | MREMAP_FIXED,
		MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
		MREMAP_FIXED,
	};
	struct range range = any_range(m);
	uint32_t flags = ways[below(ARRAY_SIZE(ways))];
	struct remap r = {
		.old = range.first,
		.old_pages = below(12) ? range.pages : 0,
		.new_pages = below(2) ? range.pages : 1 + below(RANGE_MAX),
		.flags = flags,
		.fixed = flags & MREMAP_FIXED,
		.keep = flags & MREMAP_DONTUNMAP,
	};
	struct remap_request request;
	bool fills, stays = !r.fixed && !r.keep, short_of_memory;
	int want, error;
	vaddr_t at;

	r.new = below(PAGES);
	r.new_pages = MIN(r.new_pages, PAGES - MAX(r.old, r.new));
	request = (struct remap_request){
		.old = address(r.old),
		.old_length = r.old_pages * PAGE_SIZE,
		.new_length = r.new_pages * PAGE_SIZE,
		.flags = flags,
		.new = address(r.new),
	};
	fills = (m->page[r.old].flags & LOCKS) == REGION_LOCKED && r.new_pages > r.old_pages;
	short_of_memory = !fills && runs_short();
	error = space_remap(m->space, &request, &at);
	if (failed_short(short_of_memory, error))
		return;

	want = check_arguments(&r);
	if (!want && !m->page[r.old].mapped)
		want = -EFAULT;
	if (!want && !(stays && r.new_pages <= r.old_pages))
		want = check_remap(m, &r);
	if (!want && stays && r.new_pages > r.old_pages && !(flags & MREMAP_MAYMOVE) &&
	    (r.old_pages == 0 || run_end(m, r.old) != r.old + r.old_pages ||
	     mapped_in(m, r.old + r.old_pages, r.new_pages - r.old_pages)))
		want = -ENOMEM;
	assert_int_equal(error, want);
	if (!error)
		remapped(m, &r, at);
}

/* --- advice and locks --------------------------------------------------------------------------- */

static int want_of_advice(struct model *m, const struct range *range, int advice)
{
	unsigned first = range->first, pages = range->pages;
	bool locked = any_flag(m, first, pages, REGION_LOCKED),
	     object = any_object(m, first, pages);

	switch (advice) {
	case MADV_DONTNEED:
	case MADV_COLD:
		return locked ? -EINVAL : 0;
	case MADV_FREE:
		return locked || object ? -EINVAL : 0;
	case MADV_WIPEONFORK:
		return object ? -EINVAL : 0;
	default:
		return 0;
	}
}

static void take_advice(struct page *page, int advice)
{
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_FREE:
		page->own = false;
		break;
	case MADV_DONTFORK:
		page->flags |= REGION_DONTFORK;
		break;
	case MADV_DOFORK:
		page->flags &= ~REGION_DONTFORK;
		break;
	case MADV_WIPEONFORK:
		page->flags |= REGION_WIPEONFORK;
		break;
	case MADV_KEEPONFORK:
		page->flags &= ~REGION_WIPEONFORK;
		break;
	case MADV_HUGEPAGE:
		page->flags = (page->flags & ~REGION_NOHUGEPAGE) | REGION_HUGEPAGE;
		break;
	case MADV_NOHUGEPAGE:
		page->flags = (page->flags & ~REGION_HUGEPAGE) | REGION_NOHUGEPAGE;
		break;
	default:
		break;
	}
}

static void do_advise(struct model *m)
{
	static const int advices[] = {
		MADV_DONTNEED,   MADV_DONTNEED, MADV_DONTNEED_LOCKED, MADV_FREE,
		MADV_DONTFORK,   MADV_DOFORK,   MADV_DOFORK,          MADV_WIPEONFORK,
		MADV_KEEPONFORK, MADV_HUGEPAGE, MADV_NOHUGEPAGE,      MADV_COLD,
	};
	struct range range = any_range(m);
	int advice = advices[below(ARRAY_SIZE(advices))];
	bool short_of_memory = runs_short();
	int error = space_advise(m->space, range.start, range.length, advice);
	int want = want_of_advice(m, &range, advice);

	/* ENOMEM is a hole, too: then it was done. */
	inject_failure(0);
	if (short_of_memory && error == -ENOMEM &&
	    mapped_in(m, range.first, range.pages) == range.pages)
		return;
	if (short_of_memory && error == -ENOMEM)
		assert_int_equal(space_advise(m->space, range.start, range.length, advice),
				 want ? want : -ENOMEM);
	else if (!want && mapped_in(m, range.first, range.pages) < range.pages)
		assert_int_equal(error, -ENOMEM);
	else
		assert_int_equal(error, want);
	for (unsigned i = range.first; !want && i < range.first + range.pages; i++)
		if (m->page[i].mapped)
			take_advice(&m->page[i], advice);
}

static void do_populate(struct model *m)
{
	struct range range = any_range(m);
	bool write = below(2);
	int error = space_advise(m->space, range.start, range.length,
				 write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
	int want = bring_in(m, range.first, range.pages, write ? WRITE : READ);

	assert_int_equal(error, want == -ENOENT   ? -ENOMEM
				: want == -EACCES ? -EINVAL
				: want == -EIO    ? -EFAULT
						  : 0);
}

static void do_lock(struct model *m)
{
	static const uint32_t ways[] = { 0, 0, REGION_LOCKED, LOCKS };
	struct range range = any_range(m);
	uint32_t lock = ways[below(ARRAY_SIZE(ways))];
	bool short_of_memory = lock != REGION_LOCKED && runs_short(), possible;
	int error = space_lock(m->space, range.start, range.length, lock);
	unsigned more = 0;

	if (failed_short(short_of_memory, error))
		return;
	possible = mapped_in(m, range.first, range.pages) == range.pages;
	for (unsigned i = range.first; i < range.first + range.pages; i++) {
		more += !(m->page[i].flags & REGION_LOCKED);
		possible = possible && (lock != REGION_LOCKED || m->page[i].prot);
	}
	if (!possible || (lock && locks_exceed(m, more))) {
		assert_int_equal(error, -ENOMEM);
		return;
	}
	for (unsigned i = range.first; i < range.first + range.pages; i++)
		m->page[i].flags = (m->page[i].flags & ~LOCKS) | lock;
	/* It is locked, though its page cannot be had. */
	assert_int_equal(error, lock && bring_in(m, range.first, range.pages, OWN) ? -ENOMEM : 0);
}

static void do_lock_all(struct model *m)
{
	static const uint32_t ways[] = { 0,
					 0,
					 MCL_CURRENT,
					 MCL_FUTURE,
					 MCL_CURRENT | MCL_FUTURE,
					 MCL_FUTURE | MCL_ONFAULT,
					 MCL_CURRENT | MCL_ONFAULT };
	uint32_t way = ways[below(ARRAY_SIZE(ways))];
	uint32_t lock = !way ? 0 : way & MCL_ONFAULT ? LOCKS : REGION_LOCKED;
	uint64_t all = mapped_in(m, 0, ALL) * PAGE_SIZE;
	int error;

	if (below(4) != 0)
		return;
	error = space_lock_all(m->space, way);
	if ((way & MCL_CURRENT) && all > limits.memlock) {
		assert_int_equal(error, -ENOMEM);
		return;
	}
	assert_int_equal(error, 0);
	m->future = way & MCL_FUTURE ? lock : 0;
	for (unsigned i = 0; i < ALL && (!way || (way & MCL_CURRENT)); i++)
		if (m->page[i].mapped)
			m->page[i].flags = (m->page[i].flags & ~LOCKS) | lock;
	for (unsigned i = 0, end; i < ALL && (way & MCL_CURRENT); i = end) {
		end = m->page[i].mapped ? run_end(m, i) : i + 1;
		bring_in(m, i, end - i, OWN);
	}
}

/* What a program has written is there; of the rest the model does not know. */
static void do_residence(struct model *m)
{
	struct range range = any_range(m);
	uint8_t there[RANGE_MAX];
	int64_t told = space_residence(m->space, range.start, range.pages, there);

	if (!m->page[range.first].mapped) {
		assert_int_equal(told, -ENOMEM);
		return;
	}
	assert_int_equal(told, MIN(range.pages, run_end(m, range.first) - range.first));
	for (unsigned i = 0; i < told; i++)
		assert_true(there[i] || !m->page[range.first + i].own);
}

/* --- accesses, objects, fork -------------------------------------------------------------------- */

static void do_read(struct model *m)
{
	unsigned i = below(ALL);
	uint8_t want = 0, got = 0;
	int error = expected(&m->page[i], PROT_READ, &want);

	assert_int_equal(world_read(m->space, below(2), address(i), &got), error);
	assert_int_equal(got, want);
}

static void do_write(struct model *m)
{
	unsigned i = below(ALL);
	struct page *page = &m->page[i];
	uint8_t before, value = (uint8_t)below(256);
	int error = expected(page, PROT_WRITE, &before), got;
	bool short_of_memory = runs_short();

	got = world_write(m->space, below(2), address(i), value);
	if (failed_short(short_of_memory, got))
		return;
	assert_int_equal(got, error);
	if (error)
		return;
	if (page->shared) {
		bytes[page->object][page->index] = value;
	} else {
		page->own = true;
		page->byte = value;
	}
}

/* An object is cut, or grows by pages as they were at first. */
static void do_resize(struct model *m)
{
	int object = (int)below(OBJECTS), pages = (int)below(FILE_PAGES + 1);

	(void)m;
	if (below(4) != 0)
		return;
	object_resize(objects[object], (uint64_t)pages * PAGE_SIZE);
	for (int i = pages; i < FILE_PAGES; i++)
		bytes[object][i] = first_byte(object, (unsigned)i);
	for (unsigned s = 0; s < ARRAY_SIZE(models); s++)
		for (unsigned i = 0; i < PAGES; i++)
			if (models[s].page[i].object == object && models[s].page[i].index >= pages)
				models[s].page[i].own = false;
	object_pages[object] = pages;
}

/* One model's program becomes a child of the other's. */
static void do_fork(struct model *m)
{
	struct model *other = &models[m == &models[0]];
	bool short_of_memory;
	struct space *child;

	if (below(8) != 0)
		return;
	short_of_memory = runs_short();
	child = world_fork(m->space);
	inject_failure(0);
	if (!child) {
		assert_true(short_of_memory);
		return;
	}
	world_drop(other->space);
	*other = *m;
	other->space = child;
	other->future = 0;
	for (unsigned i = 0; i < ALL; i++) {
		struct page *page = &other->page[i];

		page->flags &= ~LOCKS;
		if (page->flags & REGION_WIPEONFORK)
			page->own = false;
		if (page->flags & REGION_DONTFORK)
			*page = (struct page){ .mapped = false };
	}
}

/* --- programs ----------------------------------------------------------------------------------- */

static void (*const operations[])(struct model *) = {
	do_map,   do_map,    do_unmap,  do_protect, do_protect,  do_brk,       do_remap,
	do_remap, do_advise, do_advise, do_lock,    do_populate, do_residence, do_read,
	do_read,  do_write,  do_write,  do_write,   do_fork,     do_resize,    do_lock_all,
};

static void begin(unsigned seed)
{
	srand(seed);
	memset(models, 0, sizeof(models));
	limits = (struct space_limits){ UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX };
	if (seed % 3 == 0) {
		limits.as = (PAGES / 2 + below(PAGES / 2)) * PAGE_SIZE;
		limits.data = (PAGES / 4 + below(PAGES / 2)) * PAGE_SIZE;
		limits.memlock = (1 + below(PAGES / 2)) * PAGE_SIZE;
	}
	objects[0] = &world_file(FILE_PAGES * PAGE_SIZE)->object;
	objects[1] = object_create_anonymous(FILE_PAGES * PAGE_SIZE);
	for (int object = 0; object < OBJECTS; object++) {
		object_pages[object] = FILE_PAGES;
		for (unsigned i = 0; i < FILE_PAGES; i++)
			bytes[object][i] = first_byte(object, i);
	}
	for (unsigned s = 0; s < ARRAY_SIZE(models); s++) {
		struct space *space = models[s].space = world_space();

		space->limits = limits;
		space->mmap_top = address(PAGES - 1) + PAGE_SIZE;
		space_set_brk_start(space, HEAP);
	}
}

/* Which program, and which of its steps. */
static unsigned now_seed, now_step;

static void run(unsigned seed)
{
	begin(seed);
	now_seed = seed;
	for (now_step = 0; now_step < STEPS; now_step++) {
		struct model *m = &models[below(ARRAY_SIZE(models))];

		operations[below(ARRAY_SIZE(operations))](m);
		assert_true(space_check(m->space));
		check_layout(m);
		if (now_step % 1024 == 0)
			world_check();
	}
	world_check();
	object_put(objects[1]);
}

static int end(void **state)
{
	if (now_step < STEPS)
		print_error("seed %u, step %u\n", now_seed, now_step);
	return world_end(state);
}

static void random_programs_see_what_the_model_says(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= PROGRAMS; seed++) {
		run(seed);
		world_end(NULL);
		world_begin(NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(random_programs_see_what_the_model_says,
						world_begin, end),
	};

	world_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
