/*
 * fs/pathname.h - paths as strings: components, and the two ways in which a walk rewrites them.
 *
 * Nothing here knows inodes, locks or the wire; the host tests run this very file.
 *
 * A walk owns its path in a buffer of PATH_MAX bytes and eats it from the left. What it has eaten is
 * free space, and that is where the *rest* grows: the components, normalised, below the last
 * directory that is known in RAM, which only the server can tell about.
 *
 *	/usr//share/./x/../terminfo/v     path, as given
 *	share/terminfo/v                  rest, if RAM knows no more than /usr
 */
#ifndef HAWSER_FS_PATHNAME_H
#define HAWSER_FS_PATHNAME_H

#include "kernel/base.h"

struct component {
	const char *start; /* not terminated */
	size_t length;     /* > 0 */
};

/* The next component, with `*cursor` moved behind it; false when only slashes are left. */
bool pathname_next(const char **cursor, struct component *out);

/* True if nothing but slashes follows. */
bool pathname_at_end(const char *cursor);

static inline bool component_is_dot(const struct component *c)
{
	return c->length == 1 && c->start[0] == '.';
}
static inline bool component_is_dotdot(const struct component *c)
{
	return c->length == 2 && c->start[0] == '.' && c->start[1] == '.';
}

/*
 * A symbolic link: `target` takes the place of everything before `cursor`, which points into `path`.
 * -ENAMETOOLONG if the whole does not fit in `size` bytes, -ENOENT for an empty target.
 */
int pathname_splice(char *path, size_t size, const char *cursor, const char *target);

/*
 * Appends a component to the rest, which is `length` bytes long at the beginning of the walk's
 * buffer, without a NUL: the byte behind it may be the next to be read. `c` lies behind it in the
 * same buffer, for what has been eaten is never shorter than what is kept. Returns the new length.
 */
size_t pathname_push(char *rest, size_t length, const struct component *c);

/* Takes the last component away (`..`); `length` > 0. Returns the new length. */
size_t pathname_pop(char *rest, size_t length);

/* "dir/name" into `out`, with no doubled slash and no leading one. -ENAMETOOLONG. */
int pathname_join(char *out, size_t size, const char *dir, const char *name);

#endif
