/*
 * fs/io.h - reading and writing open files from within the kernel.
 */
#ifndef HAWSER_FS_IO_H
#define HAWSER_FS_IO_H

#include "kernel/base.h"

struct file;

/*
 * As pread(2) and pwrite(2) with `offset`, which advances; as read(2) and write(2) where it is NULL, but
 * into and out of kernel memory. The file is open for it. May sleep.
 */
ssize_t file_read_kernel(struct file *file, void *to, size_t length, loff_t *offset);
ssize_t file_write_kernel(struct file *file, const void *from, size_t length, loff_t *offset);

#endif
