/*
 * An allocator under stress: blocks of all sizes are made, grown, shrunk and freed in random order, and
 * every byte that is looked at must be what was written there. With musl's allocator; built with glibc's and
 * with jemalloc (-glibc, -jemalloc), which map, unmap and advise in their own ways.
 *
 * First one process does it, then two at once that have inherited the blocks of the first.
 */
#include "tap.h"

#include <stdint.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>

#ifdef JEMALLOC
#include <jemalloc/jemalloc.h>
#endif

#define SLOTS     1024
#define STEPS     20000
#define SIZE_BITS 20 /* the largest block is 2 MiB */
#define PAGE      4096
#define MIB       (1ul << 20)

struct block {
	unsigned char *bytes;
	size_t size;
	uint32_t seed;
};

static struct block blocks[SLOTS];
static size_t live, most, bad;
static uint64_t state;

/* xorshift64 */
static uint64_t draw(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* As many small ones as large ones, by orders of magnitude. */
static size_t draw_size(void)
{
	unsigned bits = (unsigned)(draw() % (SIZE_BITS + 1));

	return ((size_t)1 << bits) + draw() % ((size_t)1 << bits);
}

static unsigned char pattern(uint32_t seed, size_t at)
{
	return (unsigned char)(seed + at / 7 + at / PAGE);
}

/* Of a large block, the first bytes of each page; all bytes would be a test of the processor. */
static size_t next_byte(size_t at)
{
	return at < 64 || at % PAGE < 8 ? at + 1 : (at / PAGE + 1) * PAGE;
}

static void fill(struct block *block, size_t from)
{
	for (size_t at = 0; at < block->size; at = next_byte(at)) {
		if (at >= from)
			block->bytes[at] = pattern(block->seed, at);
	}
	block->bytes[block->size - 1] = (unsigned char)block->seed;
}

static void check(const struct block *block, size_t size)
{
	for (size_t at = 0; at < size; at = next_byte(at))
		bad += at != block->size - 1 && block->bytes[at] != pattern(block->seed, at);
	bad += size == block->size && block->bytes[size - 1] != (unsigned char)block->seed;
}

static void release(struct block *block)
{
	check(block, block->size);
	free(block->bytes);
	live -= block->size;
	*block = (struct block){ NULL, 0, 0 };
}

static void make(struct block *block)
{
	size_t size = draw_size();
	bool zeroed = draw() % 4 == 0;

	if (live + size > most)
		return;
	block->bytes = zeroed ? calloc(1, size) : malloc(size);
	if (!block->bytes) {
		bad++;
		return;
	}
	block->size = size;
	for (size_t at = 0; zeroed && at < size; at = next_byte(at))
		bad += block->bytes[at] != 0;
	block->seed = (uint32_t)draw();
	fill(block, 0);
	live += size;
}

static void resize(struct block *block)
{
	size_t size = draw_size(), kept = size < block->size ? size : block->size;
	unsigned char *moved;

	if (live - block->size + size > most)
		return;
	check(block, block->size);
	moved = realloc(block->bytes, size);
	if (!moved) {
		bad++;
		return;
	}
	/* What was the last byte is a byte like others now. */
	if (kept == block->size)
		moved[kept - 1] = pattern(block->seed, kept - 1);
	live += size - block->size;
	block->bytes = moved;
	block->size = size;
	for (size_t at = 0; at < kept; at = next_byte(at))
		bad += moved[at] != pattern(block->seed, at);
	fill(block, kept);
}

static void stress(uint64_t seed, long steps)
{
	state = seed;
	while (steps-- > 0) {
		struct block *block = &blocks[draw() % SLOTS];

		if (!block->bytes)
			make(block);
		else if (draw() % 3 == 0)
			resize(block);
		else
			release(block);
	}
}

static void release_all(void)
{
	for (int i = 0; i < SLOTS; i++) {
		if (blocks[i].bytes)
			release(&blocks[i]);
	}
}

static void give_back(void)
{
#ifdef JEMALLOC
	/* All unused pages of all arenas, at once. */
	ok(mallctl("arena.4096.purge", NULL, NULL, NULL, 0) == 0, "jemalloc purges");
#endif
}

int main(int argc, char **argv)
{
	struct sysinfo info;
	pid_t children[2];
	int status;

	(void)argc;
	tap_begin(argv);
	sysinfo(&info);
	most = info.totalram * info.mem_unit / 10;
	if (most > 8 * MIB)
		most = 8 * MIB;
	stress(1, STEPS);
	ok(bad == 0 && live > 0, "%d steps with up to %zu KiB: %zu bad bytes", STEPS, most / 1024,
	   bad);
	give_back();
	for (int i = 0; i < 2; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			stress((uint64_t)i + 2, STEPS / 4);
			release_all();
			_exit(bad == 0 && live == 0 ? 0 : 1);
		}
	}
	for (int i = 0; i < 2; i++) {
		waitpid(children[i], &status, 0);
		ok(status == 0, "one of two children goes on with what it has inherited (%#x)",
		   status);
	}
	stress(4, STEPS / 4);
	release_all();
	ok(bad == 0 && live == 0, "and the parent with its own");
	give_back();
	return done();
}
