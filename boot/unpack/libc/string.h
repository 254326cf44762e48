/*
 * boot/unpack/libc/string.h - <string.h> as xxhash.c includes it.
 */
#include "kernel/string.h"
