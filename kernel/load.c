/*
 * kernel/load.c - see kernel/load.h.
 */
#include "kernel/load.h"

#include "kernel/clock.h"

#define SAMPLE_NS (5 * NSEC_PER_SEC)
#define ONE       (UINT64_C(1) << LOAD_SHIFT)

/* e^(-5 s / 1, 5 and 15 min), as Linux rounds them. */
static const uint64_t decays[LOAD_AVERAGES] = { 1884, 2014, 2037 };

/* decay^n, by squaring. */
static uint64_t power(uint64_t decay, uint64_t n)
{
	uint64_t result = ONE;

	for (; n > 0; n >>= 1) {
		if (n & 1)
			result = (result * decay + ONE / 2) >> LOAD_SHIFT;
		decay = (decay * decay + ONE / 2) >> LOAD_SHIFT;
	}
	return result;
}

static uint64_t mix(uint64_t average, uint64_t decay, uint64_t active)
{
	uint64_t sum = average * decay + active * (ONE - decay);

	/* Towards more it is rounded up, or it would never get there. */
	if (active >= average)
		sum += ONE - 1;
	return sum >> LOAD_SHIFT;
}

void load_sample(struct load *load, uint64_t now)
{
	uint64_t samples = (now - load->due_ns) / SAMPLE_NS + 1;

	load->due_ns += samples * SAMPLE_NS;
	for (unsigned i = 0; i < LOAD_AVERAGES; i++)
		load->averages[i] =
			mix(load->averages[i], power(decays[i], samples), load->active * ONE);
}
