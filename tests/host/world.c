/*
 * world.c - see world.h.
 */
#include "world.h"

#include "fake_pmap.h"
#include "inject.h"
#include "kernel/string.h"
#include "kernel/trap.h"
#include <linux/mman.h>

#include <cmocka.h>
#include <stdlib.h>

#define SPACES_MAX 400
#define FILES_MAX  8

static struct space *spaces[SPACES_MAX];
static unsigned space_total;
static struct world_file *files[FILES_MAX];
static unsigned file_total;
static struct frame_census census_before;

unsigned world_files;

void world_init(void)
{
	fake_machine_init();
	space_init();
}

int world_begin(void **state)
{
	(void)state;
	frame_census(&census_before);
	return 0;
}

int world_end(void **state)
{
	struct frame_census after;

	(void)state;
	inject_failure(0);
	for (unsigned i = 0; i < space_total; i++)
		space_put(spaces[i]);
	for (unsigned i = 0; i < file_total; i++)
		object_put(&files[i]->object);
	space_total = file_total = 0;
	frame_census(&after);
	for (unsigned kind = 0; kind < FRAME_KINDS; kind++)
		assert_int_equal(after.count[kind], census_before.count[kind]);
	assert_int_equal(world_files, 0);
	return 0;
}

/* --- spaces ----------------------------------------------------------------------------------- */

static struct space *adopt(struct space *space)
{
	assert_in_range(space_total, 0, SPACES_MAX - 1);
	spaces[space_total++] = space;
	return space;
}

struct space *world_space(void)
{
	struct space *space = space_create();

	assert_non_null(space);
	return adopt(space);
}

struct space *world_fork(struct space *space)
{
	struct space *child;
	int error = space_fork(space, &child);

	if (error) {
		assert_int_equal(error, -ENOMEM);
		return NULL;
	}
	return adopt(child);
}

void world_drop(struct space *space)
{
	unsigned i = 0;

	while (i < space_total && spaces[i] != space)
		i++;
	assert_in_range(i, 0, space_total - 1);
	spaces[i] = spaces[--space_total];
	space_put(space);
}

static void count_object(struct object *object, uint32_t *refs)
{
	struct frame *frame;

	mutex_lock(&object->lock);
	for (uint64_t index = 0; (frame = radix_next(&object->frames, &index)); index++)
		refs[frame_pfn(frame)]++;
	mutex_unlock(&object->lock);
}

static void count_space(struct space *space, uint32_t *refs)
{
	spin_lock(&space->pmap.lock);
	for (vaddr_t at = 0; (at = pmap_next(&space->pmap, at, USER_MAX)) < USER_MAX;
	     at += PAGE_SIZE) {
		struct pte pte = pmap_get(&space->pmap, at);

		/* Of a large page only the first frame counts, unless it has been split. */
		if (!pte.special && !(pte.large && frame_of(pte.address)->kind == FRAME_TAIL))
			refs[pte.address >> PAGE_SHIFT]++;
	}
	spin_unlock(&space->pmap.lock);
}

void world_check(void)
{
	const uint64_t first = pmap_zero_page >> PAGE_SHIFT;
	const uint64_t last = first + (FAKE_RAM_SIZE >> PAGE_SHIFT);
	uint32_t *refs = calloc(last, sizeof(*refs));

	assert_non_null(refs);
	for (unsigned i = 0; i < space_total; i++) {
		assert_true(space_check(spaces[i]));
		count_space(spaces[i], refs);
	}
	for (unsigned i = 0; i < file_total; i++)
		count_object(&files[i]->object, refs);
	for (uint64_t pfn = first; pfn < last; pfn++) {
		const struct frame *frame = &frame_table[pfn];
		bool anonymous_object =
			frame->kind == FRAME_OBJECT && (frame->flags & FRAME_SHARED_ANON);

		if (frame->kind == FRAME_ANON || (frame->kind == FRAME_OBJECT && !anonymous_object))
			assert_int_equal(frame->refs, refs[pfn]);
		else if (anonymous_object) /* its slot is in no object that we know */
			assert_int_equal(frame->refs, refs[pfn] + 1);
		else if (frame->kind == FRAME_FREE || frame->kind == FRAME_TAIL)
			assert_int_equal(frame->refs, 0);
		else
			assert_int_equal(refs[pfn], 0);
	}
	free(refs);
}

static char letter(const struct region *region)
{
	bool shared = region->flags & REGION_SHARED;

	switch (region->prot) {
	case PROT_NONE:
		return shared ? 'N' : 'n';
	case PROT_READ:
		return shared ? 'R' : 'r';
	case PROT_READ | PROT_WRITE:
		return shared ? 'W' : 'w';
	case PROT_READ | PROT_EXEC:
		return shared ? 'X' : 'x';
	default:
		return shared ? 'O' : 'o';
	}
}

void world_layout(struct space *space, vaddr_t start, const char *pages)
{
	for (; *pages; pages++, start += PAGE_SIZE) {
		uint32_t prot = *pages == 'w'   ? PROT_READ | PROT_WRITE
				: *pages == 'r' ? PROT_READ
				: *pages == 'x' ? PROT_READ | PROT_EXEC
						: PROT_NONE;

		if (*pages != '.')
			assert_int_equal(world_map(space, start, 1, prot, 0, NULL, 0), start);
	}
}

static char drawing[4096];

const char *world_draw(struct space *space, vaddr_t start, unsigned pages)
{
	char *out = drawing;

	rw_read_lock(&space->lock);
	for (unsigned i = 0; i < pages; i++) {
		vaddr_t at = start + i * PAGE_SIZE;
		const struct region *region = space_find(space, at);

		if (region && region->start == at)
			*out++ = '[';
		*out++ = region ? letter(region) : '.';
		if (region && region->end == at + PAGE_SIZE)
			*out++ = ']';
	}
	rw_read_unlock(&space->lock);
	*out = '\0';
	return drawing;
}

const char *world_draw_pages(struct space *space, vaddr_t start, unsigned pages)
{
	char *out = drawing;

	spin_lock(&space->pmap.lock);
	for (unsigned i = 0; i < pages; i++) {
		struct pte pte = pmap_get(&space->pmap, start + i * PAGE_SIZE);

		if (pte_empty(pte))
			*out++ = '.';
		else if (pte.protnone)
			*out++ = '-';
		else if (pte.special)
			*out++ = 'z';
		else if (pte.large)
			*out++ = 'L';
		else
			*out++ = frame_of(pte.address)->kind == FRAME_ANON ? 'a' : 'f';
	}
	spin_unlock(&space->pmap.lock);
	*out = '\0';
	return drawing;
}

int64_t world_map(struct space *space, vaddr_t address, uint64_t pages, uint32_t prot,
		  uint32_t flags, struct object *object, uint64_t offset)
{
	const struct map_request request = {
		.address = address,
		.length = pages * PAGE_SIZE,
		.prot = prot,
		.max_prot = PROT_ALL,
		.flags = flags,
		.object = object,
		.offset = offset,
		.fixed = address != ANYWHERE,
	};
	vaddr_t start;
	int error = space_map(space, &request, &start);

	return error ? error : (int64_t)start;
}

/* --- a program -------------------------------------------------------------------------------- */

static int reach(struct space *space, unsigned cpu, vaddr_t address, unsigned access, uint8_t **out)
{
	paddr_t physical;

	while (!fake_access(&space->pmap, cpu, address, access, &physical)) {
		int error = space_fault(space, address, access | FAULT_USER);

		if (error)
			return error;
	}
	*out = phys_to_virt(physical);
	return 0;
}

int world_write(struct space *space, unsigned cpu, vaddr_t address, uint8_t value)
{
	uint8_t *byte;
	int error = reach(space, cpu, address, FAULT_WRITE, &byte);

	if (!error)
		*byte = value;
	return error;
}

int world_read(struct space *space, unsigned cpu, vaddr_t address, uint8_t *out)
{
	uint8_t *byte;
	int error = reach(space, cpu, address, FAULT_READ, &byte);

	if (!error)
		*out = *byte;
	return error;
}

int world_execute(struct space *space, unsigned cpu, vaddr_t address)
{
	uint8_t *byte;

	return reach(space, cpu, address, FAULT_EXEC, &byte);
}

/* --- files ------------------------------------------------------------------------------------ */

uint8_t world_file_byte(uint64_t index)
{
	return (uint8_t)(0x80 | index);
}

static struct world_file *file_of(struct object *object)
{
	return container_of(object, struct world_file, object);
}

static void others_run(struct world_file *file)
{
	void (*happens)(struct world_file *) = file->during_wait;

	file->during_wait = NULL;
	if (happens)
		happens(file);
}

static int file_get_page(struct object *object, uint64_t index, struct frame **out)
{
	struct world_file *file = file_of(object);
	int error = file->fetch_error;
	struct frame *frame;

	might_sleep();
	file->fetches++;
	others_run(file);
	file->fetch_error = 0;
	if (error)
		return error;
	if (index >= DIV_ROUND_UP(object->size, PAGE_SIZE))
		return -EFAULT;
	frame = object_lookup(object, index);
	if (frame) {
		*out = frame;
		return 0;
	}
	frame = frame_alloc(FRAME_OBJECT, 0, 0);
	if (!frame)
		return -ENOMEM;
	memset(frame_data(frame), world_file_byte(index), PAGE_SIZE);
	frame_get(frame);
	error = object_insert(object, index, frame);
	if (error) {
		frame_put(frame);
		frame_put(frame);
		return error;
	}
	*out = frame;
	return 0;
}

static void file_release(struct object *object)
{
	might_sleep();
	world_files--;
	free(file_of(object));
}

static const struct object_ops file_ops = {
	.name = "world file",
	.get_page = file_get_page,
	.release = file_release,
};

struct world_file *world_file(uint64_t size)
{
	struct world_file *file = calloc(1, sizeof(*file));

	assert_non_null(file);
	assert_in_range(file_total, 0, FILES_MAX - 1);
	object_init(&file->object, &file_ops, size);
	files[file_total++] = file;
	world_files++;
	return file;
}
