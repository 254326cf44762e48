/*
 * world.h - address spaces, files and programs for the tests of mm/.
 */
#ifndef HAWSER_TESTS_WORLD_H
#define HAWSER_TESTS_WORLD_H

#include "mm/space.h"

/* Once in each program: the machine, then mm/. */
void world_init(void);

/* --- before and after a test: nothing may be left --------------------------------------------- */
int world_begin(void **state);
int world_end(void **state); /* drops what the test left to the world; fails if a frame was lost */

/* --- spaces ----------------------------------------------------------------------------------- */

struct space *world_space(void);
/* space_fork(); the child is the world's, too. NULL: it failed with -ENOMEM. */
struct space *world_fork(struct space *space);
/* Drops a space before the test ends. */
void world_drop(struct space *space);

/* The whole world in order? space_check() of each space, and every frame's references counted. */
void world_check(void);

/*
 * [start, start + pages) drawn: each region between brackets, a letter for each page, a dot for a
 * free page. w: read and write, r: read, x: read and execute, n: no right, o: other; capital: shared.
 *
 *	[wwww][rr]..[n]
 */
const char *world_draw(struct space *space, vaddr_t start, unsigned pages);

/*
 * As world_draw(), of resident pages: a private, f of an object, z the zero page, - protnone,
 * L of a large page.
 */
const char *world_draw_pages(struct space *space, vaddr_t start, unsigned pages);

/* Maps private anonymous memory at `start` as drawn: "wwww..rr" (without brackets). */
void world_layout(struct space *space, vaddr_t start, const char *pages);

/* mmap(2) as tests want it; the address, or a negative errno. */
#define ANYWHERE 0
int64_t world_map(struct space *space, vaddr_t address, uint64_t pages, uint32_t prot,
		  uint32_t flags, struct object *object, uint64_t offset);

/* --- a program -------------------------------------------------------------------------------- */

/* One byte through the TLB of a CPU, faulting as often as it takes. 0 or space_fault()'s error. */
int world_write(struct space *space, unsigned cpu, vaddr_t address, uint8_t value);
int world_read(struct space *space, unsigned cpu, vaddr_t address, uint8_t *out);
int world_execute(struct space *space, unsigned cpu, vaddr_t address);

/* --- files ------------------------------------------------------------------------------------ */

/* The byte that a world file has throughout its page `index`. */
uint8_t world_file_byte(uint64_t index);

struct world_file {
	struct object object;
	unsigned fetches; /* calls */
	int fetch_error;  /* what get_page returns instead, once; 0: nothing */
	void (*during_wait)(struct world_file *file); /* what happens while a fault waits, once */
};
/* A file of so many bytes, whose pages are fetched when they are asked for; its reference is ours. */
struct world_file *world_file(uint64_t size);
/* World files that are alive. */
extern unsigned world_files;

#endif
