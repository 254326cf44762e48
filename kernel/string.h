/*
 * kernel/string.h - the part of <string.h> and <stdio.h> that the kernel has, with the
 * standard's names and meanings.
 */
#ifndef HAWSER_KERNEL_STRING_H
#define HAWSER_KERNEL_STRING_H

#include "kernel/base.h"

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
int strcasecmp(const char *a, const char *b);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);

/* BSD's strlcpy(3): always terminates; returns strlen(src). */
size_t strlcpy(char *dst, const char *src, size_t size);

/* C11 7.21.6: %d %i %u %x %X %o %c %s %p %%, with flags, width, precision and hh h l ll z j t. */
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap) __printf(3, 0);

#endif
