/*
 * net/lwip-port/libc/stdlib.h - the one function of <stdlib.h> that lwIP's sources use.
 */
#ifndef HAWSER_LWIP_STDLIB_H
#define HAWSER_LWIP_STDLIB_H

/* C11 7.22.1.2, for the digits behind an interface's name. */
static inline int atoi(const char *s)
{
	int value = 0;
	for (; *s >= '0' && *s <= '9' && value < 100000000; s++)
		value = value * 10 + (*s - '0');
	return value;
}

#endif
