/*
 * boot/unpack/libc/stdlib.h - what xxhash.c includes; of it nothing is linked that allocates.
 */
#ifndef HAWSER_UNPACK_STDLIB_H
#define HAWSER_UNPACK_STDLIB_H

#include <stddef.h>

void *malloc(size_t size);
void free(void *pointer);

#endif
