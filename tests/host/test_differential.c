/*
 * test_differential.c - the same scripts, played to mm/ and to the Linux kernel that runs this test.
 *
 *	this process            a child
 *	mm/, a fake pmap  <──>  system calls      each step: the same operation on an arena of the same
 *	                                          addresses; then errnos, what a store or load met, regions
 *	                                          and bytes must be the same
 *
 * Regions are compared merged alike: as /proc/self/maps has them, with neighbours joined that it would
 * print as one. Linux keeps more of them apart, by what the kernel remembers and does not print.
 *
 * Where an operation fails, Hawser has changed nothing. Linux may have: it works region by region. So
 * what has failed here is done there by a child of the child, whose errno is all that is kept of it.
 */
#define _GNU_SOURCE
#include "world.h"

#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/user.h"
#include <linux/mman.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* In <sys/mman.h>, which cannot be had beside <linux/mman.h>. */
int memfd_create(const char *name, unsigned flags);

#define ARENA       UINT64_C(0x200000000000) /* free in any process, with sanitizers and without */
#define PAGES       48
#define PAGE(n)     (ARENA + (n)*PAGE_SIZE)
#define RW          (PROT_READ | PROT_WRITE)
#define FILE_PAGES  32
#define OBJECTS_MAX 1024
#define SCRIPTS     30
#define STEPS       400

enum kind {
	MAP, /* of nothing, of the file, or of shared memory of its own */
	UNMAP,
	PROTECT,
	REMAP,
	ADVISE,
	LOCK,
	SYNC,
	RESIDE,
	STORE,
	LOAD,
	TRUNCATE,
	FORK,
	SNAPSHOT, /* the bytes of every page that can be read */
	KINDS
};

struct operation {
	enum kind kind;
	bool try_only; /* Linux: in a child, for the errno */
	vaddr_t start, length;
	vaddr_t new, new_length; /* REMAP */
	uint32_t prot, flags;    /* MAP: MAP_*; REMAP: MREMAP_*; LOCK: 0, 1 locked, 2 on fault */
	int advice;
	bool of_file;
	uint64_t offset;
	uint8_t byte;
};

struct line {
	vaddr_t start, end;
	uint32_t prot;
	bool shared;
	uint64_t object; /* a number that stands for it; 0: private anonymous */
	uint64_t offset;
};

/* What an operation has led to. */
struct outcome {
	int error; /* 0 or -errno; of STORE and LOAD -SIGSEGV, -SIGBUS */
	uint8_t byte;
	unsigned lines;
	struct line line[2 * PAGES];
	bool begins[PAGES];   /* Linux: a region does at this page, before any are joined */
	uint8_t there[PAGES]; /* RESIDE */
	int16_t bytes[PAGES]; /* SNAPSHOT: -1: cannot be read */
};

/* Joins what continues each other, and leaves out what has grown beyond the arena. */
static void add_line(struct outcome *out, struct line line)
{
	struct line *last = out->lines ? &out->line[out->lines - 1] : NULL;

	line.end = MIN(line.end, PAGE(PAGES));
	if (last && last->end == line.start && last->prot == line.prot &&
	    last->shared == line.shared && last->object == line.object &&
	    (line.object == 0 || last->offset + (last->end - last->start) == line.offset)) {
		last->end = line.end;
		return;
	}
	assert_in_range(out->lines, 0, ARRAY_SIZE(out->line) - 1);
	out->line[out->lines++] = line;
}

/* --- Linux: all of this runs in the child ----------------------------------------------------- */

static int linux_file, from_test, to_test;
static sigjmp_buf escape;

static void caught(int signal)
{
	siglongjmp(escape, signal);
}

__attribute__((no_sanitize("address"))) static int touch(vaddr_t at, bool store, uint8_t *byte)
{
	volatile uint8_t *memory = (volatile uint8_t *)at;
	int signal = sigsetjmp(escape, 1);

	if (signal)
		return -signal;
	if (store)
		*memory = *byte;
	else
		*byte = *memory;
	return 0;
}

static int result_of(long result)
{
	return result == -1 ? -errno : 0;
}

static int linux_map(const struct operation *op)
{
	int fd = op->of_file ? linux_file : -1;
	uint32_t flags = op->flags | (op->of_file ? 0 : MAP_ANONYMOUS);

	return result_of(syscall(SYS_mmap, op->start, op->length, op->prot, flags, fd, op->offset));
}

static int linux_lock(const struct operation *op)
{
	if (op->flags == 0)
		return result_of(syscall(SYS_munlock, op->start, op->length));
	return result_of(
		syscall(SYS_mlock2, op->start, op->length, op->flags == 2 ? MLOCK_ONFAULT : 0));
}

static int linux_do(const struct operation *op, struct outcome *out)
{
	switch (op->kind) {
	case MAP:
		return linux_map(op);
	case UNMAP:
		return result_of(syscall(SYS_munmap, op->start, op->length));
	case PROTECT:
		return result_of(syscall(SYS_mprotect, op->start, op->length, op->prot));
	case REMAP:
		return result_of(syscall(SYS_mremap, op->start, op->length, op->new_length,
					 op->flags, op->new));
	case ADVISE:
		return result_of(syscall(SYS_madvise, op->start, op->length, op->advice));
	case LOCK:
		return linux_lock(op);
	case SYNC:
		return result_of(syscall(SYS_msync, op->start, op->length, op->flags));
	case RESIDE:
		return result_of(syscall(SYS_mincore, op->start, op->length, out->there));
	case STORE:
	case LOAD:
		out->byte = op->byte;
		return touch(op->start, op->kind == STORE, &out->byte);
	case TRUNCATE:
		return result_of(ftruncate(linux_file, (off_t)op->length));
	default:
		return 0;
	}
}

static void linux_lines(struct outcome *out)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char text[512];

	while (fgets(text, sizeof(text), maps)) {
		unsigned long start, end, offset, inode;
		char rights[5];

		if (sscanf(text, "%lx-%lx %4s %lx %*s %lu", &start, &end, rights, &offset,
			   &inode) != 5 ||
		    start < ARENA)
			continue;
		if (start >= PAGE(PAGES))
			break;
		out->begins[(start - ARENA) / PAGE_SIZE] = true;
		add_line(out, (struct line){
				      .start = start,
				      .end = end,
				      .prot = (rights[0] == 'r' ? PROT_READ : 0u) |
					      (rights[1] == 'w' ? PROT_WRITE : 0u) |
					      (rights[2] == 'x' ? PROT_EXEC : 0u),
				      .shared = rights[3] == 's',
				      .object = inode,
				      .offset = offset,
			      });
	}
	fclose(maps);
}

static void linux_snapshot(struct outcome *out)
{
	for (unsigned i = 0; i < PAGES; i++) {
		uint8_t byte;

		out->bytes[i] = touch(PAGE(i), false, &byte) ? -1 : byte;
	}
}

/* The child's child plays on; the one before waits, so that their memory stays shared. */
static void linux_fork(void)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		return;
	waitpid(child, &status, 0);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static int linux_try(const struct operation *op, struct outcome *out)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(-linux_do(op, out));
	waitpid(child, &status, 0);
	return -WEXITSTATUS(status);
}

static void linux_play(void)
{
	static char stack[1 << 16];
	const stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_handler = caught, .sa_flags = SA_ONSTACK | SA_NODEFER };
	struct operation op;

	sigaltstack(&alternate, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	while (read(from_test, &op, sizeof(op)) == sizeof(op)) {
		struct outcome out = { .lines = 0 };

		if (op.kind == FORK)
			linux_fork();
		else
			out.error = op.try_only ? linux_try(&op, &out) : linux_do(&op, &out);
		if (op.kind == SNAPSHOT)
			linux_snapshot(&out);
		linux_lines(&out);
		if (write(to_test, &out, sizeof(out)) != sizeof(out))
			_exit(1);
	}
	_exit(0);
}

/* --- Hawser ----------------------------------------------------------------------------------- */

syscall_fn sys_munmap, sys_mprotect, sys_mremap, sys_madvise, sys_mlock2, sys_munlock, sys_msync,
	sys_mincore;

static struct space *space;
static struct object *file;
static struct object *objects[OBJECTS_MAX]; /* numbered from 1; the file is 1 */
static unsigned object_count;

/* What mincore(2) tells stays in the test's own memory. */
int copy_to_user(vaddr_t to, const void *from, size_t length)
{
	memcpy((void *)to, from, length);
	return 0;
}

static uint64_t number_of(const struct object *object)
{
	for (unsigned i = 0; i < object_count; i++)
		if (objects[i] == object)
			return i + 1;
	return 0;
}

static struct object *new_object(uint64_t size)
{
	struct object *object = object_create_anonymous(size);

	assert_non_null(object);
	assert_in_range(object_count, 0, OBJECTS_MAX - 1);
	objects[object_count++] = object;
	return object;
}

static int hawser_map(const struct operation *op)
{
	bool shared = (op->flags & MAP_TYPE) == MAP_SHARED;
	struct map_request request = {
		.address = op->start,
		.length = op->length,
		.prot = op->prot,
		.max_prot = PROT_ALL,
		.flags =
			(shared ? REGION_SHARED : 0) | (op->flags & MAP_LOCKED ? REGION_LOCKED : 0),
		.offset = op->offset,
		.fixed = true,
		.noreplace = op->flags & MAP_FIXED_NOREPLACE,
		.populate = op->flags & MAP_POPULATE,
	};
	vaddr_t at;

	if (op->of_file)
		request.object = file;
	else if (shared && op->length)
		request.object = new_object(ALIGN_UP(op->length, PAGE_SIZE));
	return space_map(space, &request, &at);
}

static int hawser_touch(const struct operation *op, uint8_t *byte)
{
	int error;

	if (op->kind == STORE)
		error = world_write(space, (unsigned)(op->byte & 1), op->start, op->byte);
	else
		error = world_read(space, (unsigned)(op->byte & 1), op->start, byte);
	return error == -EFAULT ? -SIGSEGV : error == -EIO ? -SIGBUS : error;
}

static int hawser_lock(const struct operation *op)
{
	if (op->flags == 0)
		return (int)sys_munlock(op->start, op->length, 0, 0, 0, 0);
	return (int)sys_mlock2(op->start, op->length, op->flags == 2 ? MLOCK_ONFAULT : 0, 0, 0, 0);
}

static int hawser_do(const struct operation *op, struct outcome *out)
{
	int64_t result;

	current->space = space;
	switch (op->kind) {
	case MAP:
		return hawser_map(op);
	case UNMAP:
		return (int)sys_munmap(op->start, op->length, 0, 0, 0, 0);
	case PROTECT:
		return (int)sys_mprotect(op->start, op->length, op->prot, 0, 0, 0);
	case REMAP:
		result = sys_mremap(op->start, op->length, op->new_length, op->flags, op->new, 0);
		return result < 0 ? (int)result : 0;
	case ADVISE:
		return (int)sys_madvise(op->start, op->length, (uint64_t)op->advice, 0, 0, 0);
	case LOCK:
		return hawser_lock(op);
	case SYNC:
		return (int)sys_msync(op->start, op->length, op->flags, 0, 0, 0);
	case RESIDE:
		return (int)sys_mincore(op->start, op->length, (uintptr_t)out->there, 0, 0, 0);
	case STORE:
	case LOAD:
		out->byte = op->byte;
		return hawser_touch(op, &out->byte);
	case TRUNCATE:
		object_resize(file, op->length);
		return 0;
	case FORK:
		space = world_fork(space);
		assert_non_null(space);
		return 0;
	default:
		return 0;
	}
}

static void hawser_lines(struct outcome *out)
{
	rw_read_lock(&space->lock);
	for (struct region *r = space_find_above(space, ARENA); r && r->start < PAGE(PAGES);
	     r = space_next(r))
		add_line(out, (struct line){
				      .start = r->start,
				      .end = r->end,
				      .prot = r->prot,
				      .shared = r->flags & REGION_SHARED,
				      .object = number_of(r->object),
				      .offset = r->offset,
			      });
	rw_read_unlock(&space->lock);
}

static void hawser_snapshot(struct outcome *out)
{
	for (unsigned i = 0; i < PAGES; i++) {
		uint8_t byte;

		out->bytes[i] = world_read(space, 0, PAGE(i), &byte) ? -1 : byte;
	}
}

/* Does a region in the range have one of these flags? */
static bool any_flag(vaddr_t start, vaddr_t end, uint32_t flags)
{
	bool any = false;

	rw_read_lock(&space->lock);
	for (struct region *r = space_find_above(space, start); r && r->start < end;
	     r = space_next(r))
		any = any || (r->flags & flags);
	rw_read_unlock(&space->lock);
	return any;
}

/* --- scripts ---------------------------------------------------------------------------------- */

static unsigned below(unsigned bound)
{
	return (unsigned)rand() % bound;
}

/* Now and then an argument that is out of order. */
static uint64_t spoiled(uint64_t value)
{
	static const uint64_t bad[] = { 1, 0xfff, UINT64_MAX, UINT64_C(1) << 63, USER_MAX };

	switch (below(40)) {
	case 0:
		return value + 1 + below(4094);
	case 1:
		return bad[below(ARRAY_SIZE(bad))];
	case 2:
		return 0;
	default:
		return value;
	}
}

static const uint32_t prots[] = { PROT_NONE, PROT_READ, RW, RW, RW, PROT_READ | PROT_EXEC };

#define UNKNOWN_ADVICE 9999

static const int advices[] = {
	MADV_DONTNEED,   MADV_DONTNEED,      MADV_DONTNEED,       MADV_FREE,
	MADV_DONTFORK,   MADV_DOFORK,        MADV_DOFORK,         MADV_WIPEONFORK,
	MADV_KEEPONFORK, MADV_HUGEPAGE,      MADV_NOHUGEPAGE,     MADV_REMOVE,
	MADV_COLD,       MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_DONTNEED_LOCKED,
	UNKNOWN_ADVICE,
};
static bool known[ARRAY_SIZE(advices)]; /* to the Linux below: it may be old, or made without */

static unsigned any_known_advice(void)
{
	unsigned i;

	do
		i = below(ARRAY_SIZE(advices));
	while (!known[i]);
	return i;
}

static void invent_map(struct operation *op)
{
	static const uint32_t extras[] = { 0, 0, 0, MAP_POPULATE, MAP_LOCKED };

	op->prot = prots[below(ARRAY_SIZE(prots))];
	op->of_file = below(2);
	op->flags = (below(2) ? MAP_SHARED : MAP_PRIVATE) |
		    (below(5) ? MAP_FIXED : MAP_FIXED_NOREPLACE) |
		    extras[below(ARRAY_SIZE(extras))];
	op->offset = op->of_file ? below(FILE_PAGES) * PAGE_SIZE : 0;
}

static void invent_remap(struct operation *op)
{
	static const uint32_t ways[] = { 0,
					 0,
					 MREMAP_MAYMOVE | MREMAP_FIXED,
					 MREMAP_MAYMOVE | MREMAP_FIXED,
					 MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
					 MREMAP_FIXED };
	unsigned first = below(PAGES);

	op->flags = ways[below(ARRAY_SIZE(ways))];
	op->new = spoiled(PAGE(first));
	op->new_length = below(3) ? op->length : (1 + below(12)) * PAGE_SIZE;
	op->new_length = MIN(op->new_length, PAGE(PAGES) - MAX(op->start, PAGE(first)));
	op->new_length = spoiled(op->new_length);
	if (below(16) == 0)
		op->length = 0;
}

static bool is_mapped(unsigned page)
{
	bool mapped;

	rw_read_lock(&space->lock);
	mapped = space_find(space, PAGE(page));
	rw_read_unlock(&space->lock);
	return mapped;
}

/* Any range; mostly one that begins where something is, and often one without holes. */
static void invent_range(struct operation *op)
{
	unsigned first = below(PAGES), pages;

	for (unsigned i = 0; i < 6 && !is_mapped(first); i++)
		first = below(PAGES);
	pages = MIN(1 + below(12), PAGES - first);
	for (unsigned i = 1; i < pages && op->kind != MAP && below(8); i++)
		if (!is_mapped(first + i))
			pages = i;
	op->start = PAGE(first);
	op->length = pages * PAGE_SIZE;
}

static struct operation invent(void)
{
	static const enum kind often[] = { MAP,   MAP,   UNMAP,  PROTECT, PROTECT, REMAP,
					   REMAP, REMAP, ADVISE, ADVISE,  LOCK,    STORE,
					   STORE, STORE, LOAD,   LOAD,    SYNC,    RESIDE };
	struct operation op = {
		.kind = often[below(ARRAY_SIZE(often))],
		.byte = (uint8_t)(1 + below(255)),
	};

	invent_range(&op);
	if (below(64) == 0)
		op.kind = TRUNCATE;
	if (below(60) == 0)
		op.kind = FORK;
	if (op.kind == TRUNCATE) {
		op.length = below(FILE_PAGES + 1) * PAGE_SIZE;
		return op;
	}
	if (op.kind == STORE || op.kind == LOAD || op.kind == FORK || op.kind == RESIDE)
		return op;
	op.start = spoiled(op.start);
	op.length = spoiled(op.length);
	op.prot = prots[below(ARRAY_SIZE(prots))];
	op.advice = advices[any_known_advice()];
	if (op.kind == MAP)
		invent_map(&op);
	if (op.kind == REMAP)
		invent_remap(&op);
	if (op.kind == LOCK)
		op.flags = below(3);
	if (op.kind == SYNC)
		op.flags = below(8);
	return op;
}

/* --- what is not played ------------------------------------------------------------------------ */

/* True if a page of the range lies beyond the end of its object. */
static bool beyond_end(vaddr_t start, vaddr_t end)
{
	bool beyond = false;

	rw_read_lock(&space->lock);
	for (struct region *r = space_find_above(space, start); r && r->start < end;
	     r = space_next(r))
		if (r->object && r->offset + (MIN(r->end, end) - r->start) > r->object->size)
			beyond = true;
	rw_read_unlock(&space->lock);
	return beyond;
}

/*
 * Where the two differ on purpose, or Linux is as it is by accident, an operation is made another.
 * `begins` is where Linux keeps regions apart.
 */
static void adapt(struct operation *op, const bool *begins)
{
	vaddr_t end = op->start + op->length;
	bool inside = op->start >= ARENA && end <= PAGE(PAGES) && end >= op->start;

	/*
	 * Root may map the lowest pages there; nobody may here. The highest addresses are taken for errors
	 * there, and returned as what they would mean.
	 */
	if (op->kind == MAP && (op->start < USER_MIN || op->start > -PAGE_SIZE))
		op->start = USER_MAX;
	if (op->kind == REMAP && op->new < USER_MIN)
		op->new = USER_MAX;
	/* Far beyond the arena there is only what the child itself needs. */
	if ((op->kind == ADVISE || op->kind == UNMAP) && !inside && end >= op->start)
		op->length = MIN(op->length, PAGE_SIZE);
	/* Pages that cannot be had are an error after the fact. */
	if (op->kind == LOCK && op->flags == 1 && beyond_end(op->start, end))
		op->flags = 2;
	if (op->kind != REMAP || !inside)
		return;
	/* Linux unlocks more than has moved. */
	if (any_flag(op->start, end, REGION_LOCKED))
		op->flags &= ~(uint32_t)MREMAP_DONTUNMAP;
	/* What is one region here may be several there, and only one may move. */
	for (vaddr_t at = ALIGN_DOWN(op->start, PAGE_SIZE) + PAGE_SIZE; at < end; at += PAGE_SIZE)
		if (begins[(at - ARENA) / PAGE_SIZE])
			op->kind = LOAD;
}

/* Since Linux 6.17 several regions may move at once, if none is to become longer or shorter. */
static bool newer_linux_may(const struct operation *op, int error)
{
	return op->kind == REMAP && error == -EFAULT && (op->flags & MREMAP_FIXED) &&
	       ALIGN_UP(op->length, PAGE_SIZE) == ALIGN_UP(op->new_length, PAGE_SIZE);
}

/* Does a failure of this leave Linux as it was? Then it is done, not only tried. */
static bool fails_whole(const struct operation *op)
{
	return op->kind == ADVISE || op->kind == SYNC || op->kind == RESIDE || op->kind == STORE ||
	       op->kind == LOAD;
}

/* --- the match --------------------------------------------------------------------------------- */

static int to_linux, from_linux;

static const char *const names[] = {
	[MAP] = "mmap",          [UNMAP] = "munmap", [PROTECT] = "mprotect",   [REMAP] = "mremap",
	[ADVISE] = "madvise",    [LOCK] = "mlock",   [SYNC] = "msync",         [RESIDE] = "mincore",
	[STORE] = "store",       [LOAD] = "load",    [TRUNCATE] = "ftruncate", [FORK] = "fork",
	[SNAPSHOT] = "snapshot",
};

static void print_outcome(const char *who, const struct outcome *out)
{
	print_error("%s: %d, byte %#x\n", who, out->error, out->byte);
	for (unsigned i = 0; i < out->lines; i++)
		print_error("  [%lu, %lu) prot %u %s object %lu offset %#lx\n",
			    (out->line[i].start - ARENA) / PAGE_SIZE,
			    (out->line[i].end - ARENA) / PAGE_SIZE, out->line[i].prot,
			    out->line[i].shared ? "shared" : "private", out->line[i].object,
			    out->line[i].offset);
}

static bool same_lines(const struct outcome *a, const struct outcome *b)
{
	if (a->lines != b->lines)
		return false;
	for (unsigned i = 0; i < a->lines; i++) {
		const struct line *x = &a->line[i], *y = &b->line[i];

		if (x->start != y->start || x->end != y->end || x->prot != y->prot ||
		    x->shared != y->shared || !x->object != !y->object)
			return false;
		if (x->object && x->offset != y->offset)
			return false;
	}
	return true;
}

static bool same(const struct operation *op, const struct outcome *hawser,
		 const struct outcome *linux_)
{
	bool good = hawser->error == linux_->error && hawser->byte == linux_->byte &&
		    same_lines(hawser, linux_);

	/* Linux knows of pages that Hawser has let go of, and read ahead; not the other way. */
	for (unsigned i = 0; op->kind == RESIDE && !hawser->error && i < op->length / PAGE_SIZE;
	     i++)
		good = good && (!hawser->there[i] || (linux_->there[i] & 1));
	for (unsigned i = 0; op->kind == SNAPSHOT && i < PAGES; i++) {
		if (hawser->bytes[i] != linux_->bytes[i])
			print_error("page %u: %d here, %d on Linux\n", i, hawser->bytes[i],
				    linux_->bytes[i]);
		good = good && hawser->bytes[i] == linux_->bytes[i];
	}
	return good;
}

static void ask_linux(const struct operation *op, struct outcome *out)
{
	size_t got = 0;

	assert_int_equal(write(to_linux, op, sizeof(*op)), sizeof(*op));
	while (got < sizeof(*out)) {
		ssize_t part = read(from_linux, (char *)out + got, sizeof(*out) - got);

		assert_true(part > 0);
		got += (size_t)part;
	}
}

static void play(struct operation op, struct outcome *linux_, unsigned seed, unsigned step)
{
	struct outcome hawser = { .lines = 0 };

	adapt(&op, linux_->begins);
	hawser.error = hawser_do(&op, &hawser);
	/* Linux advises region by region: of one page nothing can be done half. */
	if (op.kind == ADVISE && hawser.error && hawser.error != -ENOMEM && op.length > PAGE_SIZE &&
	    op.advice != MADV_POPULATE_READ && op.advice != MADV_POPULATE_WRITE) {
		op.length = PAGE_SIZE;
		hawser.error = hawser_do(&op, &hawser);
	}
	op.try_only = hawser.error && !fails_whole(&op);
	if (op.try_only &&
	    (any_flag(ARENA, PAGE(PAGES), REGION_DONTFORK) || newer_linux_may(&op, hawser.error)))
		return; /* the child that tries would not have all of the arena */
	if (op.kind == SNAPSHOT)
		hawser_snapshot(&hawser);
	hawser_lines(&hawser);
	ask_linux(&op, linux_);
	if (same(&op, &hawser, linux_))
		return;
	print_error("seed %u, step %u: %s start %#lx length %#lx new %#lx new length %#lx prot %u "
		    "flags %#x advice %d offset %#lx%s\n",
		    seed, step, names[op.kind], op.start, op.length, op.new, op.new_length, op.prot,
		    op.flags, op.advice, op.offset, op.of_file ? " of the file" : "");
	print_outcome("here", &hawser);
	print_outcome("on Linux", linux_);
	fail();
}

static pid_t start_linux(void)
{
	int there[2], back[2];
	pid_t child;

	assert_int_equal(pipe(there), 0);
	assert_int_equal(pipe(back), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(there[1]);
		close(back[0]);
		from_test = there[0];
		to_test = back[1];
		linux_file = memfd_create("arena", 0);
		if (linux_file < 0 || ftruncate(linux_file, FILE_PAGES * PAGE_SIZE) != 0)
			_exit(1);
		linux_play();
	}
	close(there[0]);
	close(back[1]);
	to_linux = there[1];
	from_linux = back[0];
	return child;
}

static void play_script(unsigned seed, unsigned steps)
{
	struct outcome linux_ = { .lines = 0 };
	pid_t child = start_linux();
	int status;

	srand(seed);
	space = world_space();
	file = new_object(FILE_PAGES * PAGE_SIZE);
	for (unsigned step = 0; step < steps; step++) {
		struct operation op = invent();

		play(op, &linux_, seed, step);
		/* Linux frees when it likes to: what is there meanwhile is made to go. */
		if (op.kind == ADVISE && op.advice == MADV_FREE) {
			op.advice = MADV_DONTNEED;
			play(op, &linux_, seed, step);
		}
		if (step % 32 == 31)
			play((struct operation){ .kind = SNAPSHOT }, &linux_, seed, step);
		assert_true(space_check(space));
	}
	world_check();
	close(to_linux);
	close(from_linux);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void end_script(void)
{
	current->space = NULL;
	while (object_count > 0)
		object_put(objects[--object_count]);
	world_end(NULL);
	world_begin(NULL);
}

/* Linux may be older than an advice, or made without what it is about. */
static void ask_what_linux_knows(void)
{
	struct operation op = { .kind = ADVISE, .start = ARENA };
	pid_t child = start_linux();
	struct outcome out;
	int status;

	for (unsigned i = 0; i < ARRAY_SIZE(advices); i++) {
		op.advice = advices[i];
		ask_linux(&op, &out);
		known[i] = out.error == 0 || advices[i] == UNKNOWN_ADVICE;
	}
	close(to_linux);
	close(from_linux);
	assert_int_equal(waitpid(child, &status, 0), child);
}

static void scripts_lead_to_the_same(void **state)
{
	(void)state;
	ask_what_linux_knows();
	for (unsigned seed = 1; seed <= SCRIPTS; seed++) {
		play_script(seed, STEPS);
		end_script();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(scripts_lead_to_the_same, world_begin, world_end),
	};

	world_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
