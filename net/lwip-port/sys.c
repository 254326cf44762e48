/*
 * net/lwip-port/sys.c - lwIP's clock, and its lock, which is net_lock.
 */
#include "lwip/sys.h"
#include "kernel/clock.h"
#include "lwip/opt.h"
#include "net/net.h"

/* Milliseconds; lwIP expects it to wrap. */
u32_t sys_now(void)
{
	return (u32_t)(clock_ns() / NSEC_PER_MSEC);
}

void lwip_assert_locked(void)
{
	assert(mutex_held(&net_lock));
}
