/*
 * The few words that libbsd's <bsd/sys/queue.h> and <bsd/sys/tree.h> expect from <sys/cdefs.h>,
 * which a freestanding build does not have.
 */
#ifndef HAWSER_FREESTANDING_CDEFS_H
#define HAWSER_FREESTANDING_CDEFS_H

#ifndef __unused
#define __unused __attribute__((unused))
#endif

#endif
