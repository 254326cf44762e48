/*
 * kernel/timespec.h - nanoseconds, and the structures in which programs speak of time.
 *
 * Times from outside saturate: who asks for more than UINT64_MAX nanoseconds, 584 years, gets that.
 */
#ifndef HAWSER_KERNEL_TIMESPEC_H
#define HAWSER_KERNEL_TIMESPEC_H

#include "kernel/base.h"
#include "kernel/clock.h"
#include <linux/time_types.h>

#define USEC_PER_SEC UINT64_C(1000000)

static inline struct __kernel_timespec timespec_of_ns(uint64_t ns)
{
	return (struct __kernel_timespec){
		.tv_sec = (int64_t)(ns / NSEC_PER_SEC),
		.tv_nsec = (int64_t)(ns % NSEC_PER_SEC),
	};
}

static inline struct __kernel_old_timeval timeval_of_ns(uint64_t ns)
{
	return (struct __kernel_old_timeval){
		.tv_sec = (int64_t)(ns / NSEC_PER_SEC),
		.tv_usec = (int64_t)(ns % NSEC_PER_SEC / NSEC_PER_USEC),
	};
}

static inline uint64_t time_saturated(uint64_t seconds, uint64_t ns)
{
	uint64_t result;

	if (__builtin_mul_overflow(seconds, NSEC_PER_SEC, &result) ||
	    __builtin_add_overflow(result, ns, &result))
		return UINT64_MAX;
	return result;
}

/* -EINVAL for a negative time, or one with a second or more in its nanoseconds. */
static inline int timespec_to_ns(const struct __kernel_timespec *time, uint64_t *ns)
{
	if (time->tv_sec < 0 || time->tv_nsec < 0 || (uint64_t)time->tv_nsec >= NSEC_PER_SEC)
		return -EINVAL;
	*ns = time_saturated((uint64_t)time->tv_sec, (uint64_t)time->tv_nsec);
	return 0;
}

static inline int timeval_to_ns(const struct __kernel_old_timeval *time, uint64_t *ns)
{
	if (time->tv_sec < 0 || time->tv_usec < 0 || (uint64_t)time->tv_usec >= USEC_PER_SEC)
		return -EINVAL;
	*ns = time_saturated((uint64_t)time->tv_sec, (uint64_t)time->tv_usec * NSEC_PER_USEC);
	return 0;
}

#endif
