/*
 * kernel/ready.c - who waits for a processor. See the header.
 */
#include "kernel/ready.h"

#define WORD_BITS 64

void ready_init(struct ready *ready)
{
	for (unsigned level = 0; level < ARRAY_SIZE(ready->levels); level++)
		TAILQ_INIT(&ready->levels[level]);
}

void ready_add(struct ready *ready, struct thread *thread, bool first)
{
	struct thread_list *list = &ready->levels[thread->level];

	if (first)
		TAILQ_INSERT_HEAD(list, thread, run_link);
	else
		TAILQ_INSERT_TAIL(list, thread, run_link);
	ready->count++;
	if (unlikely(thread->level > 0)) {
		ready->realtime[thread->level / WORD_BITS] |= UINT64_C(1)
							      << thread->level % WORD_BITS;
		ready->realtime_count++;
	}
}

void ready_remove(struct ready *ready, struct thread *thread)
{
	struct thread_list *list = &ready->levels[thread->level];

	TAILQ_REMOVE(list, thread, run_link);
	ready->count--;
	if (likely(thread->level == 0))
		return;
	ready->realtime_count--;
	if (TAILQ_EMPTY(list))
		ready->realtime[thread->level / WORD_BITS] &=
			~(UINT64_C(1) << thread->level % WORD_BITS);
}

/* The highest level below `above` on which somebody waits; 0. */
static unsigned next_level(const struct ready *ready, unsigned above)
{
	for (unsigned word = ARRAY_SIZE(ready->realtime); word-- > 0;) {
		uint64_t bits = ready->realtime[word];

		if (above < word * WORD_BITS)
			continue;
		if (above < (word + 1) * WORD_BITS)
			bits &= (UINT64_C(1) << above % WORD_BITS) - 1;
		if (bits != 0)
			return word * WORD_BITS + WORD_BITS - 1 - (unsigned)__builtin_clzl(bits);
	}
	return 0;
}

unsigned ready_highest(const struct ready *ready)
{
	return next_level(ready, RT_PRIORITY_MAX + 1);
}

static struct thread *take_from(struct ready *ready, unsigned level, const struct thread *self)
{
	struct thread *thread;

	TAILQ_FOREACH (thread, &ready->levels[level], run_link) {
		if (thread == self ||
		    !atomic_load_explicit(&thread->on_cpu, memory_order_acquire)) {
			ready_remove(ready, thread);
			return thread;
		}
	}
	return NULL;
}

struct thread *ready_take(struct ready *ready, const struct thread *self, bool rest)
{
	struct thread *thread = NULL;

	if (likely(ready->realtime_count == 0))
		return take_from(ready, 0, self);
	if (rest)
		thread = take_from(ready, 0, self);
	for (unsigned level = ready_highest(ready); !thread && level > 0;
	     level = next_level(ready, level))
		thread = take_from(ready, level, self);
	return thread ? thread : take_from(ready, 0, self);
}
