/*
 * fs/dev.c - /dev: null, zero, full, random, and the terminal's nodes; getrandom(2).
 *
 * Numbers are Linux's (Documentation/admin-guide/devices.txt): 1 is memory, 5 the terminals.
 */
#include "fs/dev.h"
#include "fs/inode.h"
#include "fs/ops.h"
#include "fs/root.h"
#include "fs/tty_core.h"
#include "kernel/clock.h"
#include "kernel/random.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/slab.h"
#include "mm/user.h"
#include <linux/kdev_t.h>
#include <linux/major.h>
#include <linux/random.h>

/* Random bytes are made in pieces of this size, on the stack. */
#define RANDOM_PIECE 256
/* Zeroes are made in pieces of this size, and others run in between. */
#define ZERO_PIECE (64 * KIB)

/* --- null, zero, full ----------------------------------------------------------------------------- */

static ssize_t read_nothing(struct file *file, vaddr_t to, size_t length, loff_t *offset)
{
	return 0;
}

static ssize_t write_nowhere(struct file *file, vaddr_t from, size_t length, loff_t *offset)
{
	return (ssize_t)length;
}

static ssize_t read_zeroes(struct file *file, vaddr_t to, size_t length, loff_t *offset)
{
	size_t done = 0;
	int error = 0;

	while (done < length && error == 0) {
		size_t part = MIN((size_t)ZERO_PIECE, length - done);

		error = zero_user(to + done, part);
		if (error == 0)
			done += part;
		if (sched_needs_resched())
			sched_yield();
		if (atomic_load(&current->signal_pending) || atomic_load(&current->kill_pending))
			break;
	}
	return done > 0 ? (ssize_t)done : error;
}

static ssize_t write_full(struct file *file, vaddr_t from, size_t length, loff_t *offset)
{
	return -ENOSPC;
}

/* As Linux: seeking is allowed and means nothing. */
static loff_t seek_nowhere(struct file *file, loff_t offset, int whence)
{
	file->offset = 0;
	return 0;
}

/* Private: anonymous memory, shared: anonymous too (fs/mmap.c makes the object). */
static int mmap_zeroes(struct file *file, struct map_request *request)
{
	request->object = NULL;
	request->name = NULL;
	return 0;
}

static const struct file_ops null_ops = {
	.read = read_nothing,
	.write = write_nowhere,
	.seek = seek_nowhere,
	.stat = stat_inode_file,
};

static const struct file_ops zero_ops = {
	.read = read_zeroes,
	.write = write_nowhere,
	.seek = seek_nowhere,
	.stat = stat_inode_file,
	.mmap = mmap_zeroes,
};

static const struct file_ops full_ops = {
	.read = read_zeroes,
	.write = write_full,
	.seek = seek_nowhere,
	.stat = stat_inode_file,
};

/* --- random --------------------------------------------------------------------------------------- */

static ssize_t random_to_user(vaddr_t to, size_t length)
{
	uint8_t piece[RANDOM_PIECE];
	size_t done = 0;
	int error = 0;

	while (done < length && error == 0) {
		size_t part = MIN(sizeof(piece), length - done);

		random_bytes(piece, part);
		error = copy_to_user(to + done, piece, part);
		if (error == 0)
			done += part;
		if (sched_needs_resched())
			sched_yield();
		if (atomic_load(&current->signal_pending) || atomic_load(&current->kill_pending))
			break;
	}
	memset(piece, 0, sizeof(piece));
	return done > 0 ? (ssize_t)done : error;
}

static ssize_t read_random(struct file *file, vaddr_t to, size_t length, loff_t *offset)
{
	return random_to_user(to, length);
}

/* What users write is stirred in, though it is not trusted to be random. */
static ssize_t write_random(struct file *file, vaddr_t from, size_t length, loff_t *offset)
{
	uint64_t piece[RANDOM_PIECE / sizeof(uint64_t)] = { 0 };
	size_t part = MIN(sizeof(piece), length);
	int error = copy_from_user(piece, from, part);

	if (error != 0)
		return error;
	for (size_t i = 0; i < ARRAY_SIZE(piece); i++)
		random_stir(piece[i]);
	return (ssize_t)part;
}

static const struct file_ops random_ops = {
	.read = read_random,
	.write = write_random,
	.seek = seek_nowhere,
	.stat = stat_inode_file,
};

/* The generator is seeded before the first program runs, so no flag makes a difference. */
SYSCALL3(getrandom, vaddr_t, to, size_t, length, unsigned, flags)
{
	if ((flags & ~(unsigned)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)) != 0 ||
	    (flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	return random_to_user(to, MIN(length, (size_t)INT32_MAX));
}

/* --- the nodes -------------------------------------------------------------------------------------------- */

static const struct device devices[] = {
	{ "null", MKDEV(MEM_MAJOR, 3), .ops = &null_ops },
	{ "zero", MKDEV(MEM_MAJOR, 5), .ops = &zero_ops },
	{ "full", MKDEV(MEM_MAJOR, 7), .ops = &full_ops },
	{ "random", MKDEV(MEM_MAJOR, 8), .ops = &random_ops },
	{ "urandom", MKDEV(MEM_MAJOR, 9), .ops = &random_ops },
	{ "kmsg", MKDEV(MEM_MAJOR, 11), kmsg_open,
	  .permissions = S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH },
	{ "tty", MKDEV(TTYAUX_MAJOR, 0), tty_open_controlling },
	{ "console", MKDEV(TTYAUX_MAJOR, 1), console_open, .permissions = S_IRUSR | S_IWUSR },
	{ "ptmx", MKDEV(TTYAUX_MAJOR, 2), pty_open_master },
	{ "ttyS0", MKDEV(TTY_MAJOR, 64), console_open, .permissions = S_IRUSR | S_IWUSR | S_IWGRP,
	  .offer = tty_offer }, /* 64: Linux's first serial line */
};

const struct device *dev_find(uint32_t number)
{
	const struct device *fb = framebuffer_device();

	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		if (devices[i].number == number)
			return &devices[i];
	}
	return fb != NULL && fb->number == number ? fb : NULL;
}

/* Descriptors as names, udev's way. */
static const struct {
	const char *name, *target;
} links[] = {
	{ "fd", "/proc/self/fd" },
	{ "stdin", "/proc/self/fd/0" },
	{ "stdout", "/proc/self/fd/1" },
	{ "stderr", "/proc/self/fd/2" },
};

int dev_init(void)
{
	int error = 0;

	for (size_t i = 0; i < ARRAY_SIZE(links) && error == 0; i++)
		error = root_add_link(dev_inode, links[i].name, links[i].target);

	for (size_t i = 0; i < ARRAY_SIZE(devices) && error == 0; i++)
		error = root_add_device(dev_inode, &devices[i]);
	framebuffer_init();
	if (error == 0 && framebuffer_device() != NULL)
		error = root_add_device(dev_inode, framebuffer_device());
	if (error != 0)
		return error;
	tty_jobs_init();
	error = pty_init();
	return error != 0 ? error : console_terminal_init();
}
