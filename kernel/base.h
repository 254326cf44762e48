/*
 * kernel/base.h - the words that every file speaks: integer types, page arithmetic, assert.
 *
 * Addresses come in three kinds, and the types keep them apart:
 *   paddr_t  a physical address; touched only through phys_to_virt() (mm/layout.h);
 *   vaddr_t  a virtual address held as a number; a *user* address is always a vaddr_t and
 *            never a C pointer, so that it cannot be dereferenced by accident;
 *   T *      a kernel pointer.
 */
#ifndef HAWSER_KERNEL_BASE_H
#define HAWSER_KERNEL_BASE_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <asm/errno.h>

typedef uint64_t paddr_t;
typedef uintptr_t vaddr_t;
typedef int64_t ssize_t;
typedef int64_t loff_t;

#define PAGE_SHIFT         12
#define PAGE_SIZE          (UINT64_C(1) << PAGE_SHIFT)
#define PAGE_MASK          (PAGE_SIZE - 1)

#define KIB                UINT64_C(1024)
#define MIB                (1024 * KIB)
#define GIB                (1024 * MIB)

#define ALIGN_DOWN(x, a)   ((x) & ~((typeof(x))(a)-1))
#define ALIGN_UP(x, a)     ALIGN_DOWN((x) + ((typeof(x))(a)-1), a)
#define IS_ALIGNED(x, a)   (((x) & ((typeof(x))(a)-1)) == 0)
#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))
#define ARRAY_SIZE(a)      (sizeof(a) / sizeof((a)[0]))

#define MIN(a, b)                                  \
	({                                         \
		typeof(a) min_a_ = (a);            \
		typeof(b) min_b_ = (b);            \
		min_a_ < min_b_ ? min_a_ : min_b_; \
	})
#define MAX(a, b)                                  \
	({                                         \
		typeof(a) max_a_ = (a);            \
		typeof(b) max_b_ = (b);            \
		max_a_ > max_b_ ? max_a_ : max_b_; \
	})

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define likely(x)                       __builtin_expect(!!(x), 1)
#define unlikely(x)                     __builtin_expect(!!(x), 0)

#define __packed                        __attribute__((packed))
#define __aligned(n)                    __attribute__((aligned(n)))
#define __noreturn                      __attribute__((noreturn))
#define __printf(f, a)                  __attribute__((format(printf, f, a)))
#define __must_check                    __attribute__((warn_unused_result))
#define __section(name)                 __attribute__((section(name)))

/*
 * For our own mistakes only, never for anything a user, a packet or a file can cause. Always
 * compiled in: a kernel that has lost its invariants must not go on.
 */
#define assert(cond)                                              \
	do {                                                      \
		if (unlikely(!(cond)))                            \
			assert_failed(#cond, __FILE__, __LINE__); \
	} while (0)

__noreturn void assert_failed(const char *condition, const char *file, int line);

#endif
