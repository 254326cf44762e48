/*
 * fs/io.h - reading and writing open files from within the kernel.
 */
#ifndef HAWSER_FS_IO_H
#define HAWSER_FS_IO_H

#include "kernel/base.h"
#include "kernel/sched.h"

struct file;

/* A call of the program's has read or written so much, or failed: /proc/PID/io. */
static inline void io_count_read(ssize_t result)
{
	current->io.reads++;
	if (result > 0)
		current->io.read_bytes += (uint64_t)result;
}

static inline void io_count_write(ssize_t result)
{
	current->io.writes++;
	if (result > 0)
		current->io.written_bytes += (uint64_t)result;
}

/*
 * As pread(2) and pwrite(2) with `offset`, which advances; as read(2) and write(2) where it is NULL, but
 * into and out of kernel memory. The file is open for it. May sleep.
 */
ssize_t file_read_kernel(struct file *file, void *to, size_t length, loff_t *offset);
ssize_t file_write_kernel(struct file *file, const void *from, size_t length, loff_t *offset);

#endif
