/*
 * kernel/random.c - random bytes: ChaCha20 with fast key erasure, and where its first key comes from.
 *
 * The generator is a key and a buffer of its output (D. J. Bernstein, "Fast-key-erasure random-number
 * generators"). To refill the buffer, ChaCha20 makes BUFFER_SIZE bytes; the first 32 replace the key,
 * the rest is given out, each byte erased as it goes. So nothing in memory tells what was given out
 * before.
 *
 * What random_stir() collects is mixed into the key at each refill: that cannot make the key weaker,
 * whoever chose the values.
 */
#include "kernel/random.h"
#include "kernel/chacha20.h"
#include "kernel/lock.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "kernel/x86_64/cpu.h"

#define BUFFER_BLOCKS 8
#define BUFFER_SIZE   (BUFFER_BLOCKS * CHACHA20_BLOCK_SIZE)
#define KEY_SIZE      (CHACHA20_KEY_WORDS * sizeof(uint32_t))
#define KEY_QUADS     (KEY_SIZE / sizeof(uint64_t))

/* The SDM (1, 7.3.17) finds ten failures in a row impossible in practice for RDRAND. */
#define HARDWARE_RETRIES 10

/* Timing samples at boot: half a bit in each fills a key. */
#define JITTER_SAMPLES 512

/* System control port B: a read goes out to the chip set, and takes as long as that takes. */
#define JITTER_PORT 0x61

static struct {
	struct spinlock lock;
	uint32_t key[CHACHA20_KEY_WORDS]; /* lock */
	uint8_t buffer[BUFFER_SIZE]; /* lock: the last `left` bytes are still to be given out */
	size_t left;                 /* lock */
} generator = {
	.lock = SPINLOCK_INIT("random", RANK_RANDOM),
};

/* Stirred without a lock; an update that is lost to another CPU's costs a sample, not a secret. */
static _Atomic uint64_t pool[KEY_QUADS];
static _Atomic uint32_t pool_turn;

/*
 * What the compiler's stack checks compare with. Its lowest byte is zero, so that a string that
 * overruns cannot both contain it and go on.
 */
extern uintptr_t __stack_chk_guard;
uintptr_t __stack_chk_guard = UINT64_C(0x5ac3e01f9d27b600);
#define GUARD_ZERO_BYTE UINT64_C(0xff)

static bool rdrand(uint64_t *out)
{
	bool ok;

	asm volatile("rdrand %0" : "=r"(*out), "=@ccc"(ok));
	return ok;
}

static bool rdseed(uint64_t *out)
{
	bool ok;

	asm volatile("rdseed %0" : "=r"(*out), "=@ccc"(ok));
	return ok;
}

static bool hardware_key(bool (*source)(uint64_t *out), uint64_t out[KEY_QUADS])
{
	for (unsigned i = 0; i < KEY_QUADS; i++) {
		unsigned tries = 0;
		while (!source(&out[i])) {
			if (++tries == HARDWARE_RETRIES)
				return false;
			cpu_relax();
		}
	}
	return true;
}

/* The lock held, or the only one running. */
static void mix_into_key(const uint64_t value[KEY_QUADS])
{
	uint32_t block[CHACHA20_BLOCK_WORDS];
	static const uint32_t nonce[CHACHA20_NONCE_WORDS];

	for (unsigned i = 0; i < KEY_QUADS; i++) {
		generator.key[2 * i] ^= (uint32_t)value[i];
		generator.key[2 * i + 1] ^= (uint32_t)(value[i] >> 32);
	}
	chacha20_block(block, generator.key, 0, nonce);
	memcpy(generator.key, block, KEY_SIZE);
}

static void mix_jitter(void)
{
	uint64_t sample[KEY_QUADS] = { 0 };

	for (unsigned i = 0; i < JITTER_SAMPLES; i++) {
		(void)inb(JITTER_PORT);
		uint64_t *slot = &sample[i % KEY_QUADS];
		*slot = (*slot << 7 | *slot >> 57) ^ rdtsc();
		if (i % 64 == 63)
			mix_into_key(sample);
	}
}

/* Sets the guard that its own return would be checked with: hence without such a check. */
__attribute__((no_stack_protector)) void random_init(void)
{
	uint64_t seed[KEY_QUADS];
	const char *source;

	if (cpu_features.rdseed && hardware_key(rdseed, seed)) {
		source = "RDSEED";
		mix_into_key(seed);
	} else if (cpu_features.rdrand && hardware_key(rdrand, seed)) {
		source = "RDRAND";
		mix_into_key(seed);
	} else {
		source = "timing jitter";
		mix_jitter();
	}
	__stack_chk_guard = random_u64() & ~GUARD_ZERO_BYTE;
	log_info("random: seeded from %s", source);
}

void random_stir(uint64_t value)
{
	unsigned i = pool_turn++ % KEY_QUADS;
	uint64_t old = atomic_load_explicit(&pool[i], memory_order_relaxed);

	atomic_store_explicit(&pool[i], (old << 19 | old >> 45) ^ value ^ rdtsc(),
			      memory_order_relaxed);
}

/* The lock held. */
static void refill(void)
{
	static const uint32_t nonce[CHACHA20_NONCE_WORDS];
	uint64_t stirred[KEY_QUADS];
	uint32_t block[CHACHA20_BLOCK_WORDS];

	for (unsigned i = 0; i < KEY_QUADS; i++)
		stirred[i] = atomic_load_explicit(&pool[i], memory_order_relaxed);
	mix_into_key(stirred);
	for (unsigned i = 0; i < BUFFER_BLOCKS; i++) {
		chacha20_block(block, generator.key, i, nonce);
		memcpy(generator.buffer + i * CHACHA20_BLOCK_SIZE, block, CHACHA20_BLOCK_SIZE);
	}
	memset(block, 0, sizeof(block));
	memcpy(generator.key, generator.buffer, KEY_SIZE);
	memset(generator.buffer, 0, KEY_SIZE);
	generator.left = BUFFER_SIZE - KEY_SIZE;
}

void random_bytes(void *out, size_t length)
{
	uint8_t *to = out;

	while (length > 0) {
		spin_lock(&generator.lock);
		if (generator.left == 0)
			refill();
		size_t n = MIN(length, generator.left);
		uint8_t *from = generator.buffer + BUFFER_SIZE - generator.left;
		memcpy(to, from, n);
		memset(from, 0, n);
		generator.left -= n;
		spin_unlock(&generator.lock);
		to += n;
		length -= n;
	}
}

uint64_t random_u64(void)
{
	uint64_t value;

	random_bytes(&value, sizeof(value));
	return value;
}

/* Values below 2^64 mod bound would make the low results likelier: they are drawn again. */
uint64_t random_below(uint64_t bound)
{
	uint64_t reject = -bound % bound, value;

	assert(bound > 0);
	do {
		value = random_u64();
	} while (value < reject);
	return value % bound;
}
