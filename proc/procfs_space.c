/*
 * proc/procfs_space.c - /proc/PID: the address space, and what the program in it was started with.
 */
#include "fs/path.h"
#include "fs/synthetic.h"
#include "kernel/sched.h"
#include "mm/space.h"
#include "proc/procfs.h"
#include "proc/procfs_subject.h"
#include <linux/auxvec.h>
#include <linux/mman.h>

/* --- maps ------------------------------------------------------------------------------------- */

/* Linux pads the name of a mapping to this column (fs/proc/task_mmu.c, show_map_vma()). */
#define MAPS_NAME_COLUMN 73

static const char *region_label(const struct space *space, const struct region *region)
{
	if (region->name)
		return region->name->path;
	if (!region->object && region->start < space->brk && region->end > space->brk_start)
		return "[heap]";
	if (region->flags & REGION_STACK)
		return "[stack]";
	return NULL;
}

void procfs_print_region(struct text *text, const struct space *space, const struct region *region)
{
	const char *label = region_label(space, region);
	size_t before = text->length;

	text_printf(text, "%08lx-%08lx %c%c%c%c %08lx 00:%02x %lu ", region->start, region->end,
		    (region->prot & PROT_READ) ? 'r' : '-', (region->prot & PROT_WRITE) ? 'w' : '-',
		    (region->prot & PROT_EXEC) ? 'x' : '-',
		    (region->flags & REGION_SHARED) ? 's' : 'p',
		    region->object ? region->offset : 0,
		    region->name && region->name->inode_number != 0 ? 1 : 0,
		    region->name ? region->name->inode_number : 0);
	if (label) {
		size_t column = text->length - before;

		text_printf(text, "%*s%s",
			    column < MAPS_NAME_COLUMN ? (int)(MAPS_NAME_COLUMN - column) : 0, "",
			    label);
	}
	text_append(text, "\n", 1);
}

static void describe_space(struct text *text, struct space *space)
{
	struct region *region;

	rw_read_lock(&space->lock);
	for (region = space_find_above(space, 0); region; region = space_next(region)) {
		procfs_print_region(text, space, region);
		if (sched_needs_resched())
			sched_yield();
	}
	rw_read_unlock(&space->lock);
}

int procfs_generate_maps(struct text *text, uint32_t pid)
{
	struct subject s;
	int error = subject_inspect(pid, &s);

	if (error != 0)
		return error;
	if (s.space)
		describe_space(text, s.space);
	subject_put(&s);
	return 0;
}

/* --- what it was started with ------------------------------------------------------------------- */

/* Bytes of the process's memory; what is not there (any more) ends them. */
static void copy_range(struct text *text, struct space *space, vaddr_t start, vaddr_t end)
{
	char piece[256];

	while (start < end) {
		size_t length = MIN(sizeof(piece), (size_t)(end - start));

		if (space_read(space, start, piece, length) != 0)
			return;
		text_append(text, piece, length);
		start += length;
	}
}

int procfs_generate_cmdline(struct text *text, uint32_t pid)
{
	struct subject s;
	int error = subject_get(pid, &s);

	if (error != 0)
		return error;
	if (s.space)
		copy_range(text, s.space, s.space->arg_start, s.space->arg_end);
	subject_put(&s);
	return 0;
}

int procfs_generate_environ(struct text *text, uint32_t pid)
{
	struct subject s;
	int error = subject_inspect(pid, &s);

	if (error != 0)
		return error;
	if (s.space)
		copy_range(text, s.space, s.space->env_start, s.space->env_end);
	subject_put(&s);
	return 0;
}

/* As the kernel gave it, whatever the program has made of its stack since. */
int procfs_generate_auxv(struct text *text, uint32_t pid)
{
	struct subject s;
	size_t words = 0;
	int error = subject_inspect(pid, &s);

	if (error != 0)
		return error;
	if (s.space) {
		while (s.space->auxv[words] != AT_NULL)
			words += 2;
		text_append(text, s.space->auxv, (words + 2) * sizeof(s.space->auxv[0]));
	}
	subject_put(&s);
	return 0;
}
