/*
 * kernel/string.c - copying, filling, comparing and searching bytes.
 *
 * Blocks move by quadwords: `rep movsq` is what real processors and emulators alike are quick at,
 * and where instructions are counted (QEMU's -icount counts every iteration) a quadword costs what
 * a byte would. The odd bytes at the end are not a loop: one more load and store of full width,
 * overlapping what has been moved already, covers them.
 *
 *	memcpy of 21 bytes:	[0......7][8.....15]
 *				             [13....20]	the tail, read before anything is written
 *
 * The compiler may turn a loop that looks like memcpy() into a call of memcpy(), which would here
 * be a call of itself; compiler_barrier() inside a loop keeps it a loop.
 */
#include "kernel/string.h"

#define WORD sizeof(uint64_t)

/* Below this a plain loop beats the start-up cost of the string instructions. */
#define REP_MIN            64

#define compiler_barrier() asm volatile("" ::: "memory")

/* Unaligned, aliasing accesses of 2, 4 and 8 bytes. */
struct unaligned16 {
	uint16_t value;
} __attribute__((packed, may_alias));
struct unaligned32 {
	uint32_t value;
} __attribute__((packed, may_alias));
struct unaligned64 {
	uint64_t value;
} __attribute__((packed, may_alias));

static inline uint64_t load64(const void *p)
{
	return ((const struct unaligned64 *)p)->value;
}

static inline void store64(void *p, uint64_t value)
{
	((struct unaligned64 *)p)->value = value;
}

static inline uint32_t load32(const void *p)
{
	return ((const struct unaligned32 *)p)->value;
}

static inline void store32(void *p, uint32_t value)
{
	((struct unaligned32 *)p)->value = value;
}

static inline uint16_t load16(const void *p)
{
	return ((const struct unaligned16 *)p)->value;
}

static inline void store16(void *p, uint16_t value)
{
	((struct unaligned16 *)p)->value = value;
}

/* Fewer than eight bytes; everything is read before anything is written, so overlap is no harm. */
static inline void move_small(uint8_t *d, const uint8_t *s, size_t n)
{
	if (n >= 4) {
		uint32_t head = load32(s), tail = load32(s + n - 4);
		store32(d, head);
		store32(d + n - 4, tail);
	} else if (n >= 2) {
		uint16_t head = load16(s), tail = load16(s + n - 2);
		store16(d, head);
		store16(d + n - 2, tail);
	} else if (n == 1) {
		*d = *s;
	}
}

/* Eight bytes or more, ascending: right also for overlap with d below s. */
static inline void move_up(uint8_t *d, const uint8_t *s, size_t n)
{
	uint64_t tail = load64(s + n - WORD);
	uint8_t *tail_at = d + n - WORD;

	if (n >= REP_MIN) {
		size_t words = n / WORD;
		asm volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(words)::"memory");
	} else {
		for (; n >= WORD; n -= WORD, d += WORD, s += WORD) {
			store64(d, load64(s));
			compiler_barrier();
		}
	}
	store64(tail_at, tail);
}

/* Eight bytes or more, descending: for overlap with d above s. */
static inline void move_down(uint8_t *d, const uint8_t *s, size_t n)
{
	uint64_t head = load64(s);

	for (; n >= WORD; n -= WORD) {
		store64(d + n - WORD, load64(s + n - WORD));
		compiler_barrier();
	}
	store64(d, head);
}

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	if (n < WORD)
		move_small(dst, src, n);
	else
		move_up(dst, src, n);
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	if (n < WORD)
		move_small(dst, src, n);
	else if ((uintptr_t)dst - (uintptr_t)src >= n)
		move_up(dst, src, n);
	else
		move_down(dst, src, n);
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	uint8_t *d = dst;
	uint64_t fill = (uint8_t)c * UINT64_C(0x0101010101010101);

	if (n < WORD) {
		if (n >= 4) {
			store32(d, (uint32_t)fill);
			store32(d + n - 4, (uint32_t)fill);
		} else if (n >= 2) {
			store16(d, (uint16_t)fill);
			store16(d + n - 2, (uint16_t)fill);
		} else if (n == 1) {
			*d = (uint8_t)fill;
		}
		return dst;
	}
	store64(d + n - WORD, fill);
	if (n >= REP_MIN) {
		size_t words = n / WORD;
		asm volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(fill) : "memory");
	} else {
		for (; n >= WORD; n -= WORD, d += WORD) {
			store64(d, fill);
			compiler_barrier();
		}
	}
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *p = a, *q = b;

	for (; n >= WORD; n -= WORD, p += WORD, q += WORD) {
		uint64_t x = load64(p), y = load64(q);
		if (x != y) {
			/* Big-endian order is the order of the bytes in memory. */
			return __builtin_bswap64(x) < __builtin_bswap64(y) ? -1 : 1;
		}
	}
	for (; n > 0; n--, p++, q++) {
		if (*p != *q)
			return *p - *q;
	}
	return 0;
}

void *memchr(const void *s, int c, size_t n)
{
	const uint8_t *p = s;

	for (; n > 0; n--, p++) {
		if (*p == (uint8_t)c)
			return (void *)p;
	}
	return NULL;
}

size_t strlen(const char *s)
{
	const char *p = s;

	while (*p != '\0') {
		p++;
		compiler_barrier();
	}
	return (size_t)(p - s);
}

size_t strnlen(const char *s, size_t max)
{
	const char *end = memchr(s, '\0', max);
	return end != NULL ? (size_t)(end - s) : max;
}

int strcmp(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return (uint8_t)*a - (uint8_t)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n > 0; n--, a++, b++) {
		if (*a != *b)
			return (uint8_t)*a - (uint8_t)*b;
		if (*a == '\0')
			break;
	}
	return 0;
}

static inline int lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (uint8_t)c;
}

int strcasecmp(const char *a, const char *b)
{
	while (*a != '\0' && lower(*a) == lower(*b)) {
		a++;
		b++;
	}
	return lower(*a) - lower(*b);
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)s;
		if (*s == '\0')
			return NULL;
	}
}

char *strrchr(const char *s, int c)
{
	const char *last = NULL;

	for (;; s++) {
		if (*s == (char)c)
			last = s;
		if (*s == '\0')
			return (char *)last;
	}
}

size_t strlcpy(char *dst, const char *src, size_t size)
{
	size_t length = strlen(src);

	if (size > 0) {
		size_t n = MIN(length, size - 1);
		memcpy(dst, src, n);
		dst[n] = '\0';
	}
	return length;
}
