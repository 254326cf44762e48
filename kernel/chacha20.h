/*
 * kernel/chacha20.h - the ChaCha20 block function of RFC 8439 2.3.
 *
 * Written out here, instead of taken from libsodium, because that library offers it only as a part
 * of encrypting a stream, behind headers that expect a libc; the block function is all that a
 * generator needs, and the RFC's own test vector proves it.
 */
#ifndef HAWSER_KERNEL_CHACHA20_H
#define HAWSER_KERNEL_CHACHA20_H

#include "kernel/base.h"

#define CHACHA20_KEY_WORDS   8
#define CHACHA20_NONCE_WORDS 3
#define CHACHA20_BLOCK_WORDS 16
#define CHACHA20_BLOCK_SIZE  (CHACHA20_BLOCK_WORDS * sizeof(uint32_t))

static inline uint32_t chacha20_rotate(uint32_t x, unsigned n)
{
	return x << n | x >> (32 - n);
}

/* RFC 8439 2.1 */
static inline void chacha20_quarter(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
	*a += *b;
	*d = chacha20_rotate(*d ^ *a, 16);
	*c += *d;
	*b = chacha20_rotate(*b ^ *c, 12);
	*a += *b;
	*d = chacha20_rotate(*d ^ *a, 8);
	*c += *d;
	*b = chacha20_rotate(*b ^ *c, 7);
}

/* RFC 8439 2.3: words are in host order, which is the RFC's little-endian order here. */
static inline void chacha20_block(uint32_t out[CHACHA20_BLOCK_WORDS],
				  const uint32_t key[CHACHA20_KEY_WORDS], uint32_t counter,
				  const uint32_t nonce[CHACHA20_NONCE_WORDS])
{
	/* "expand 32-byte k" */
	const uint32_t start[CHACHA20_BLOCK_WORDS] = {
		0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, key[0], key[1],
		key[2],     key[3],     key[4],     key[5],     key[6], key[7],
		counter,    nonce[0],   nonce[1],   nonce[2],
	};
	uint32_t x[CHACHA20_BLOCK_WORDS];

	for (unsigned i = 0; i < CHACHA20_BLOCK_WORDS; i++)
		x[i] = start[i];
	for (unsigned round = 0; round < 20; round += 2) {
		for (unsigned i = 0; i < 4; i++)
			chacha20_quarter(&x[i], &x[4 + i], &x[8 + i], &x[12 + i]);
		for (unsigned i = 0; i < 4; i++)
			chacha20_quarter(&x[i], &x[4 + (i + 1) % 4], &x[8 + (i + 2) % 4],
					 &x[12 + (i + 3) % 4]);
	}
	for (unsigned i = 0; i < CHACHA20_BLOCK_WORDS; i++)
		out[i] = x[i] + start[i];
}

#endif
