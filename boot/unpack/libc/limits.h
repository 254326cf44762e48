/*
 * boot/unpack/libc/limits.h - what lz4.c uses of <limits.h>.
 */
#ifndef HAWSER_UNPACK_LIMITS_H
#define HAWSER_UNPACK_LIMITS_H

#define INT_MAX __INT_MAX__

#endif
