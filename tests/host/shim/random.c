/* Random numbers that are the same in every run: xorshift64* from a fixed seed. */
#include "kernel/random.h"

#include <string.h>

static uint64_t state = 0x9e3779b97f4a7c15u;

uint64_t random_u64(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1du;
}

uint64_t random_below(uint64_t bound)
{
	return random_u64() % bound;
}

void random_bytes(void *out, size_t length)
{
	for (size_t done = 0; done < length; done += sizeof(uint64_t)) {
		uint64_t value = random_u64();

		memcpy((char *)out + done, &value, MIN(sizeof(value), length - done));
	}
}
