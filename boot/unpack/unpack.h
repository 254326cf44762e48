/*
 * boot/unpack/unpack.h - the C half of what unpacks the kernel; called by boot/unpack/head.S only.
 */
#ifndef HAWSER_BOOT_UNPACK_UNPACK_H
#define HAWSER_BOOT_UNPACK_UNPACK_H

#include "kernel/base.h"

/* Puts the kernel where it is to run, for which there must be room. Does not return if it is damaged. */
void unpack(const char *payload, const char *payload_end, char *to, const char *to_end);

#endif
