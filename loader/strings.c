/*
 * loader/strings.c - see loader/strings.h.
 */
#include "loader/strings.h"

#include "kernel/string.h"
#include "mm/slab.h"

struct strings_chunk {
	struct strings_chunk *next;
	uint32_t begin, end; /* the bytes in use */
	uint32_t capacity;
	char bytes[];
};

/* A chunk of the usual size is one frame. */
#define CHUNK_CAPACITY (PAGE_SIZE - sizeof(struct strings_chunk))

static struct strings_chunk *chunk_create(size_t capacity)
{
	struct strings_chunk *chunk = kalloc(sizeof(*chunk) + capacity);

	if (chunk)
		*chunk = (struct strings_chunk){ .capacity = (uint32_t)capacity };
	return chunk;
}

static size_t count_nuls(const char *bytes, size_t length)
{
	size_t count = 0;

	for (size_t i = 0; i < length; i++)
		count += bytes[i] == '\0';
	return count;
}

void strings_init(struct strings *strings)
{
	*strings = (struct strings){ 0 };
}

void strings_free(struct strings *strings)
{
	struct strings_chunk *chunk, *next;

	for (chunk = strings->first; chunk; chunk = next) {
		next = chunk->next;
		kfree(chunk);
	}
	strings_init(strings);
}

int strings_append_bytes(struct strings *strings, const char *bytes, size_t length)
{
	while (length > 0) {
		struct strings_chunk *chunk = strings->last;
		size_t part;

		if (!chunk || chunk->end == chunk->capacity) {
			chunk = chunk_create(CHUNK_CAPACITY);
			if (!chunk)
				return -ENOMEM;
			if (strings->last)
				strings->last->next = chunk;
			else
				strings->first = chunk;
			strings->last = chunk;
		}
		part = MIN(length, (size_t)(chunk->capacity - chunk->end));
		memcpy(chunk->bytes + chunk->end, bytes, part);
		chunk->end += (uint32_t)part;
		strings->bytes += part;
		strings->count += count_nuls(bytes, part);
		bytes += part;
		length -= part;
	}
	return 0;
}

int strings_append(struct strings *strings, const char *string)
{
	return strings_append_bytes(strings, string, strlen(string) + 1);
}

int strings_prepend(struct strings *strings, const char *string)
{
	size_t length = strlen(string) + 1;
	struct strings_chunk *chunk = chunk_create(length);

	if (!chunk)
		return -ENOMEM;
	memcpy(chunk->bytes, string, length);
	chunk->end = (uint32_t)length;
	chunk->next = strings->first;
	strings->first = chunk;
	if (!strings->last)
		strings->last = chunk;
	strings->bytes += length;
	strings->count++;
	return 0;
}

void strings_drop_first(struct strings *strings)
{
	bool found = false;

	while (strings->first && !found) {
		struct strings_chunk *chunk = strings->first;
		const char *from = chunk->bytes + chunk->begin;
		size_t length = chunk->end - chunk->begin;
		size_t part = strnlen(from, length);

		found = part < length;
		if (found)
			part++;
		chunk->begin += (uint32_t)part;
		strings->bytes -= part;
		if (chunk->begin < chunk->end)
			break;
		strings->first = chunk->next;
		if (!strings->first)
			strings->last = NULL;
		kfree(chunk);
	}
	strings->count -= found;
}

size_t strings_next_run(const struct strings *strings, struct strings_position *position,
			const char **run)
{
	struct strings_chunk *chunk = position->started ? position->next : strings->first;

	position->started = true;
	if (!chunk)
		return 0;
	position->next = chunk->next;
	*run = chunk->bytes + chunk->begin;
	return chunk->end - chunk->begin;
}
