/*
 * loader/strings.h - the argument and environment strings of a program about to start.
 *
 * A list of chunks that hold NUL-terminated strings one after another; a string may run from one
 * chunk into the next. Strings are added at the end, and for scripts taken off and put on in front.
 *
 *	chunk                    chunk
 *	[ls\0-l\0/usr/sha] ────► [re\0           ]
 *	      begin     end       begin  end
 */
#ifndef HAWSER_LOADER_STRINGS_H
#define HAWSER_LOADER_STRINGS_H

#include "kernel/base.h"

struct strings_chunk;

struct strings {
	struct strings_chunk *first, *last;
	size_t bytes; /* with every NUL */
	size_t count;
};

void strings_init(struct strings *strings);
void strings_free(struct strings *strings); /* empties it */

/* Adds a string at the end, or in front. 0 or -ENOMEM with nothing changed. */
int strings_append(struct strings *strings, const char *string);
int strings_prepend(struct strings *strings, const char *string);

/* Adds `length` bytes at the end; the string is finished when a NUL has been added. -ENOMEM. */
int strings_append_bytes(struct strings *strings, const char *bytes, size_t length);

/* Takes the first string off, if there is one. */
void strings_drop_first(struct strings *strings);

/* Walks the bytes in order; `position` starts as {0}. Returns the next run of bytes, 0 at the end. */
struct strings_position {
	struct strings_chunk *next;
	bool started;
};
size_t strings_next_run(const struct strings *strings, struct strings_position *position,
			const char **run);

#endif
