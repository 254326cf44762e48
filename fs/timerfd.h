/*
 * fs/timerfd.h - timers as files.
 */
#ifndef HAWSER_FS_TIMERFD_H
#define HAWSER_FS_TIMERFD_H

/* Once, before the first program. */
void timerfd_init(void);

#endif
