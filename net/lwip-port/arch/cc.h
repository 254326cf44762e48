/*
 * net/lwip-port/arch/cc.h - what lwIP asks of the compiler and of us.
 */
#ifndef HAWSER_LWIP_CC_H
#define HAWSER_LWIP_CC_H

#include "kernel/base.h"
#include "kernel/log.h"
#include "kernel/random.h"

/* What of the standard library there is not; ssize_t is <kernel/base.h>'s. */
#define LWIP_NO_INTTYPES_H            1
#define LWIP_NO_LIMITS_H              1
#define LWIP_NO_UNISTD_H              1
#define LWIP_NO_CTYPE_H               1
#define SSIZE_MAX                     INT64_MAX

#define X8_F                          "02x"
#define U16_F                         "u"
#define S16_F                         "d"
#define X16_F                         "x"
#define U32_F                         "u"
#define S32_F                         "d"
#define X32_F                         "x"
#define SZT_F                         "zu"

#define LWIP_PLATFORM_DIAG(message)   log_debug message
#define LWIP_PLATFORM_ASSERT(message) assert_failed(message, __FILE__, __LINE__)

#define LWIP_RAND()                   ((u32_t)random_u64())

/* Inlined where the size is known, although the build is freestanding. */
#define MEMCPY(dst, src, len)  __builtin_memcpy(dst, src, len)
#define SMEMCPY(dst, src, len) __builtin_memcpy(dst, src, len)
#define MEMMOVE(dst, src, len) __builtin_memmove(dst, src, len)

/* The sum of RFC 1071, not complemented. */
uint16_t lwip_checksum(const void *data, int length);
#define LWIP_CHKSUM lwip_checksum

#endif
