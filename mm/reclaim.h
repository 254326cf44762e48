/*
 * mm/reclaim.h - getting memory back when it runs short: who is asked. See frame_reclaim().
 */
#ifndef HAWSER_MM_RECLAIM_H
#define HAWSER_MM_RECLAIM_H

#include "kernel/base.h"

/*
 * Registers who drops cached objects that nobody needs: told how many frames are wanted, it returns
 * how many it dropped. It is called in a thread, with no lock held, and may sleep. Once, at start.
 */
void reclaim_register(uint64_t (*shrink)(uint64_t frames));

#endif
