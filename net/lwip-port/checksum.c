/*
 * net/lwip-port/checksum.c - the internet checksum's sum (RFC 1071), eight bytes at a time.
 *
 * The sum of 16-bit words does not care in which groups they are added as long as every carry is
 * added back. The halves of each 64-bit word go into two counters wide enough to lose no carry for
 * any packet, which needs neither the carry flag nor a branch.
 */
#include "net/lwip-port/arch/cc.h"

uint16_t lwip_checksum(const void *data, int length)
{
	const uint8_t *at = data;
	uint64_t low = 0, high = 0, word;

	for (; length >= (int)(4 * sizeof(word)); length -= 4 * sizeof(word)) {
		for (unsigned i = 0; i < 4; i++, at += sizeof(word)) {
			__builtin_memcpy(&word, at, sizeof(word));
			low += (uint32_t)word;
			high += word >> 32;
		}
	}
	for (; length >= (int)sizeof(uint16_t); length -= sizeof(uint16_t)) {
		uint16_t pair;
		__builtin_memcpy(&pair, at, sizeof(pair));
		low += pair;
		at += sizeof(pair);
	}
	/* An odd byte at the end counts as if a zero followed it. */
	if (length > 0)
		low += *at;

	low += high;
	while (low >> 16)
		low = (low & 0xffff) + (low >> 16);
	return low;
}
