/*
 * kernel/freestanding/unistd.h - <linux/shm.h> wants one, for a macro that nobody uses here.
 */
