/*
 * fs/room.c - how much of the memory is for files. See fs/fill.h.
 */
#include "fs/fill.h"
#include "mm/frame.h"

#define RESERVE 16 /* one in so many frames is not for files */

uint64_t fill_reserve(void)
{
	return frame_total() / RESERVE;
}

bool fill_has_room_for(uint64_t frames)
{
	uint64_t wanted = fill_reserve() + frames;

	if (frame_free_count() >= wanted)
		return true;
	frame_reclaim(wanted);
	return frame_free_count() >= wanted;
}

bool fill_has_room(void)
{
	return fill_has_room_for(0);
}
