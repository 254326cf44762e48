/*
 * boot/unpack/libc/assert.h - <assert.h> as xxhash.c includes it.
 */
#include "kernel/base.h"
