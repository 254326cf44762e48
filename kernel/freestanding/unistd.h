/*
 * kernel/freestanding/unistd.h - <linux/shm.h> wants one, for a macro that the kernel does not use. What runs
 * on a host has its own.
 */
#if __has_include_next(<unistd.h>)
#include_next <unistd.h>
#endif
