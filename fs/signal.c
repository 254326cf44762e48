/*
 * fs/signal.c - the way from fs to signals. See the header.
 */
#include "fs/signal.h"

static const struct signal_hooks *_Atomic hooks; /* set once, before the first process */

void signal_register_hooks(const struct signal_hooks *new_hooks)
{
	atomic_store(&hooks, new_hooks);
}

uint32_t process_number(void)
{
	return atomic_load(&hooks)->process_number();
}

void signal_self(int signal)
{
	atomic_load(&hooks)->post_self(signal);
}

void signal_io(const struct io_signal *signal)
{
	atomic_load(&hooks)->post_io(signal);
}

bool signal_io_owner_exists(const struct io_owner *owner)
{
	return atomic_load(&hooks)->io_owner_exists(owner);
}

void signal_begin_mask(uint64_t mask)
{
	atomic_load(&hooks)->begin_mask(mask);
}

void signal_end_mask(void)
{
	atomic_load(&hooks)->end_mask();
}
