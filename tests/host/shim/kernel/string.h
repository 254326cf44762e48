/*
 * Takes the place of kernel/string.h on the host: the host's libc has the same functions, except
 * for strlcpy(), which string.c adds.
 */
#ifndef HAWSER_KERNEL_STRING_H
#define HAWSER_KERNEL_STRING_H

#include "kernel/base.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

size_t strlcpy(char *dst, const char *src, size_t size);

#endif
