/*
 * fs/span.c - the user's buffers of one call. See the header.
 */
#include "fs/span.h"
#include "mm/slab.h"
#include "mm/user.h"

void span_window(struct span *span, vaddr_t address, size_t length)
{
	span->length = MIN(length, SPAN_MAX);
	span->local[0] = (struct iovec){ .iov_base = (void *)address, .iov_len = span->length };
	span->vectors = span->local;
	span->count = 1;
}

int span_single(struct span *span, vaddr_t address, size_t length)
{
	if (!user_range_ok(address, length))
		return -EFAULT;
	span_window(span, address, length);
	return 0;
}

int span_from_user(struct span *span, vaddr_t user, unsigned long count)
{
	int error;

	if (count > UIO_MAXIOV)
		return -EINVAL;
	span->vectors = span->local;
	span->count = (unsigned)count;
	span->length = 0;
	if (count > UIO_FASTIOV) {
		span->vectors = kalloc(count * sizeof(struct iovec));
		if (span->vectors == NULL)
			return -ENOMEM;
	}
	error = copy_from_user(span->vectors, user, count * sizeof(struct iovec));
	for (unsigned i = 0; i < span->count && error == 0; i++) {
		struct iovec *v = &span->vectors[i];
		if ((ssize_t)v->iov_len < 0)
			error = -EINVAL;
		else if (!user_range_ok((vaddr_t)v->iov_base, v->iov_len))
			error = -EFAULT;
		else
			v->iov_len = MIN((size_t)v->iov_len, SPAN_MAX - span->length);
		span->length += v->iov_len;
	}
	if (error != 0)
		span_free(span);
	return error;
}

void span_free(struct span *span)
{
	if (span->vectors != span->local)
		kfree(span->vectors);
}

struct span_cursor span_begin(const struct span *span)
{
	return (struct span_cursor){ .vector = span->vectors, .left = span->length };
}

/* The user's bytes at the cursor that lie together, up to `length`; none at the end. */
static size_t together(struct span_cursor *at, size_t length, vaddr_t *address)
{
	if (at->left == 0)
		return 0;
	while (at->within == at->vector->iov_len) {
		at->vector++;
		at->within = 0;
	}
	*address = (vaddr_t)at->vector->iov_base + at->within;
	return MIN(length, at->vector->iov_len - at->within);
}

static void advance(struct span_cursor *at, size_t length)
{
	at->within += length;
	at->left -= length;
}

size_t span_take_nofault(struct span_cursor *at, void *to, size_t length)
{
	size_t done = 0, part, copied;
	vaddr_t from;

	while (done < length && (part = together(at, length - done, &from)) > 0) {
		copied = copy_from_user_nofault((char *)to + done, from, part);
		advance(at, copied);
		done += copied;
		if (copied < part)
			break;
	}
	return done;
}

size_t span_give_nofault(struct span_cursor *at, const void *from, size_t length)
{
	size_t done = 0, part, copied;
	vaddr_t to;

	while (done < length && (part = together(at, length - done, &to)) > 0) {
		copied = copy_to_user_nofault(to, (const char *)from + done, part);
		advance(at, copied);
		done += copied;
		if (copied < part)
			break;
	}
	return done;
}

int span_take(struct span_cursor *at, void *to, size_t length)
{
	size_t done = 0, part;
	vaddr_t from;
	int error = 0;

	while (error == 0 && done < length && (part = together(at, length - done, &from)) > 0) {
		error = copy_from_user((char *)to + done, from, part);
		advance(at, part);
		done += part;
	}
	return error;
}

int span_give(struct span_cursor *at, const void *from, size_t length)
{
	size_t done = 0, part;
	vaddr_t to;
	int error = 0;

	while (error == 0 && done < length && (part = together(at, length - done, &to)) > 0) {
		error = copy_to_user(to, (const char *)from + done, part);
		advance(at, part);
		done += part;
	}
	return error;
}

int span_fault_in(const struct span_cursor *at, size_t length, bool write)
{
	struct span_cursor here = *at;
	size_t done = 0, part;
	vaddr_t address;
	int error = 0;

	while (error == 0 && done < length &&
	       (part = together(&here, length - done, &address)) > 0) {
		error = user_fault_in(address, part, write);
		advance(&here, part);
		done += part;
	}
	return error;
}
