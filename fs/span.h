/*
 * fs/span.h - the user's buffers of one call: one, or a vector of them, readv(2).
 *
 * A span is checked when it is made and does not change; a cursor goes along it as bytes are copied. A
 * copy of a cursor is a place to come back to.
 */
#ifndef HAWSER_FS_SPAN_H
#define HAWSER_FS_SPAN_H

#include "kernel/base.h"
#include <linux/uio.h>

/* The most that one call moves; Linux's MAX_RW_COUNT, read(2). */
#define SPAN_MAX ((size_t)INT32_MAX & ~PAGE_MASK)

struct span {
	struct iovec *vectors; /* `local` or kalloc()ed */
	unsigned count;
	size_t length; /* of all */
	struct iovec local[UIO_FASTIOV];
};

struct span_cursor {
	const struct iovec *vector;
	size_t within; /* of that vector */
	size_t left;   /* bytes behind it in all */
};

/* -EFAULT: not in the user's half. Longer than SPAN_MAX, it is cut. */
int span_single(struct span *span, vaddr_t address, size_t length);
/* Memory of the kernel's that user_window_open() has opened. */
void span_window(struct span *span, vaddr_t address, size_t length);
/*
 * From an array of struct iovec. Lengths that are negative are EINVAL, so are too many vectors; the
 * sum is cut. -EFAULT, -ENOMEM. To be span_free()d.
 */
int span_from_user(struct span *span, vaddr_t user, unsigned long count);
void span_free(struct span *span);

struct span_cursor span_begin(const struct span *span);

/*
 * Copy up to `length` bytes out of the user's memory (take) or into it (give), and go on by what has
 * been copied, which is returned: less where a page is missing. As copy_from_user_nofault().
 */
size_t span_take_nofault(struct span_cursor *at, void *to, size_t length);
size_t span_give_nofault(struct span_cursor *at, const void *from, size_t length);
/* The same, faulting pages in. 0, or -EFAULT or -EINTR, with the cursor anywhere. */
int span_take(struct span_cursor *at, void *to, size_t length);
int span_give(struct span_cursor *at, const void *from, size_t length);
/* Brings the pages of the next `length` bytes. 0, -EFAULT, -EINTR. */
int span_fault_in(const struct span_cursor *at, size_t length, bool write);

#endif
