/*
 * test_model.c - random programs against a model in which every page stands for itself.
 *
 * The model knows of each page of a window whether it is mapped, its rights, and the byte at its
 * start. Operations are chosen at random from a seed and done to both; what a program sees through
 * its TLB must be what the model says, and after each operation space_check() must hold. Some
 * operations are made to fail for lack of memory: the model then stays as it is.
 */
#include "inject.h"
#include "world.h"

#include "kernel/string.h"
#include <linux/mman.h>

#include <cmocka.h>
#include <stdlib.h>

#define BASE       UINT64_C(0x400000)
#define PAGES      64
#define HEAP       (BASE + PAGES * PAGE_SIZE)
#define HEAP_PAGES 16
#define PAGE(n)    (BASE + (n)*PAGE_SIZE)
#define RW         (PROT_READ | PROT_WRITE)
#define FILE_PAGES 48

struct page {
	bool mapped, shared;
	uint32_t prot;
	int file_page; /* -1: anonymous */
	bool own;      /* has a content of its own: anonymous and written, or a private copy */
	uint8_t byte;  /* that content */
};

struct model {
	struct space *space;
	struct page page[PAGES + HEAP_PAGES]; /* the window, and the heap after it */
	unsigned heap;                        /* pages of it */
};

static struct model models[2];
static struct world_file *file;
static uint8_t file_bytes[FILE_PAGES];
static unsigned file_pages;

static unsigned below(unsigned bound)
{
	return (unsigned)rand() % bound;
}

/* What a read of the page must give: 0 and the byte, or the error. */
static int expected(const struct page *page, uint32_t right, uint8_t *byte)
{
	if (!page->mapped)
		return -EFAULT;
	if (right == PROT_READ ? !page->prot : !(page->prot & right))
		return -EFAULT;
	if (page->file_page >= (int)file_pages)
		return -EIO;
	*byte = page->own ? page->byte : page->file_page >= 0 ? file_bytes[page->file_page] : 0;
	return 0;
}

static const uint32_t prots[] = { PROT_NONE, PROT_READ, RW, RW, RW, PROT_READ | PROT_EXEC };

static bool runs_short(void)
{
	if (below(20) != 0)
		return false;
	inject_failure(1 + below(4));
	return true;
}

static void do_map(struct model *m)
{
	unsigned first = below(PAGES), pages = 1 + below(PAGES - first);
	uint32_t prot = prots[below(ARRAY_SIZE(prots))];
	bool of_file = below(2), shared = of_file && below(2);
	unsigned offset = below(FILE_PAGES / 2);
	bool short_of_memory;
	int64_t at;

	pages = MIN(pages, 1 + below(12));
	short_of_memory = runs_short();
	at = world_map(m->space, PAGE(first), pages, prot, shared ? REGION_SHARED : 0,
		       of_file ? &file->object : NULL, offset * PAGE_SIZE);
	inject_failure(0);
	if (at == -ENOMEM) {
		assert_true(short_of_memory);
		return;
	}
	assert_int_equal(at, PAGE(first));
	for (unsigned i = 0; i < pages; i++)
		m->page[first + i] = (struct page){
			.mapped = true,
			.shared = shared,
			.prot = prot,
			.file_page = of_file ? (int)(offset + i) : -1,
		};
}

static void do_unmap(struct model *m)
{
	unsigned first = below(PAGES), pages = MIN(1 + below(PAGES - first), 1 + below(12));
	bool short_of_memory = runs_short();
	int error = space_unmap(m->space, PAGE(first), pages * PAGE_SIZE);

	inject_failure(0);
	if (error) {
		assert_true(short_of_memory && error == -ENOMEM);
		return;
	}
	memset(&m->page[first], 0, pages * sizeof(struct page));
}

static void do_protect(struct model *m)
{
	unsigned first = below(PAGES), pages = MIN(1 + below(PAGES - first), 1 + below(12));
	uint32_t prot = prots[below(ARRAY_SIZE(prots))];
	bool short_of_memory = runs_short(), whole = true;
	int error = space_protect(m->space, PAGE(first), pages * PAGE_SIZE, prot);

	inject_failure(0);
	for (unsigned i = 0; i < pages; i++)
		whole = whole && m->page[first + i].mapped;
	if (error) {
		assert_int_equal(error, -ENOMEM);
		assert_true(!whole || short_of_memory);
		return;
	}
	assert_true(whole);
	for (unsigned i = 0; i < pages; i++)
		m->page[first + i].prot = prot;
}

static void do_discard(struct model *m)
{
	unsigned first = below(PAGES), pages = MIN(1 + below(PAGES - first), 1 + below(12));
	int error = space_advise(m->space, PAGE(first), pages * PAGE_SIZE, MADV_DONTNEED);
	bool whole = true;

	for (unsigned i = 0; i < pages; i++) {
		whole = whole && m->page[first + i].mapped;
		m->page[first + i].own = false;
	}
	assert_int_equal(error, whole ? 0 : -ENOMEM);
}

static void do_brk(struct model *m)
{
	unsigned pages = below(HEAP_PAGES + 1);
	bool short_of_memory = runs_short();
	vaddr_t now = space_brk(m->space, HEAP + pages * PAGE_SIZE);

	inject_failure(0);
	if (now != HEAP + pages * PAGE_SIZE) {
		assert_true(short_of_memory);
		assert_int_equal(now, HEAP + m->heap * PAGE_SIZE);
		return;
	}
	for (unsigned i = 0; i < HEAP_PAGES; i++) {
		struct page *page = &m->page[PAGES + i];

		if (i >= pages)
			*page = (struct page){ .mapped = false };
		else if (!page->mapped)
			*page = (struct page){ .mapped = true, .prot = RW, .file_page = -1 };
	}
	m->heap = pages;
}

static void do_read(struct model *m)
{
	unsigned i = below(PAGES + HEAP_PAGES);
	uint8_t want = 0, got = 0;
	int error = expected(&m->page[i], PROT_READ, &want);

	assert_int_equal(world_read(m->space, below(2), PAGE(i), &got), error);
	assert_int_equal(got, want);
}

static void do_write(struct model *m)
{
	unsigned i = below(PAGES + HEAP_PAGES);
	struct page *page = &m->page[i];
	uint8_t before, value = (uint8_t)below(256);
	int error = expected(page, PROT_WRITE, &before), got;
	bool short_of_memory = runs_short();

	got = world_write(m->space, below(2), PAGE(i), value);
	inject_failure(0);
	if (got == -ENOMEM && short_of_memory)
		return;
	assert_int_equal(got, error);
	if (error)
		return;
	if (page->shared) {
		file_bytes[page->file_page] = value;
	} else {
		page->own = true;
		page->byte = value;
	}
}

/* The file is cut, or grows by pages with its own bytes again. */
static void do_resize(struct model *m)
{
	unsigned pages = below(FILE_PAGES + 1);

	if (below(4) != 0)
		return;
	object_resize(&file->object, pages * PAGE_SIZE);
	for (unsigned i = pages; i < FILE_PAGES; i++)
		file_bytes[i] = world_file_byte(i);
	for (unsigned s = 0; s < ARRAY_SIZE(models); s++)
		for (unsigned i = 0; i < PAGES; i++)
			if (models[s].page[i].file_page >= (int)pages)
				models[s].page[i].own = false;
	file_pages = pages;
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
}

static void (*const operations[])(struct model *) = {
	do_map,  do_unmap, do_protect, do_discard, do_brk,   do_resize, do_fork,
	do_read, do_read,  do_read,    do_write,   do_write, do_write,
};

static void run(unsigned seed, unsigned steps)
{
	srand(seed);
	memset(models, 0, sizeof(models));
	file_pages = FILE_PAGES;
	file = world_file(FILE_PAGES * PAGE_SIZE);
	for (unsigned i = 0; i < FILE_PAGES; i++)
		file_bytes[i] = world_file_byte(i);
	for (unsigned s = 0; s < ARRAY_SIZE(models); s++) {
		models[s].space = world_space();
		space_set_brk_start(models[s].space, HEAP);
	}
	for (unsigned step = 0; step < steps; step++) {
		struct model *m = &models[below(ARRAY_SIZE(models))];

		operations[below(ARRAY_SIZE(operations))](m);
		if (!space_check(m->space))
			fail_msg("seed %u, step %u", seed, step);
		if (step % 256 == 0)
			world_check();
	}
	world_check();
}

static void random_programs_see_what_the_model_says(void **state)
{
	for (unsigned seed = 1; seed <= 10; seed++) {
		run(seed, 4000);
		world_end(NULL);
		world_begin(NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(random_programs_see_what_the_model_says,
						world_begin, world_end),
	};

	world_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
