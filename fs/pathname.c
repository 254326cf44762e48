/*
 * fs/pathname.c - paths as strings. See the header.
 */
#include "fs/pathname.h"
#include "kernel/string.h"

bool pathname_next(const char **cursor, struct component *out)
{
	const char *s = *cursor;

	while (*s == '/')
		s++;
	out->start = s;
	while (*s != '\0' && *s != '/')
		s++;
	out->length = (size_t)(s - out->start);
	*cursor = s;
	return out->length > 0;
}

bool pathname_at_end(const char *cursor)
{
	while (*cursor == '/')
		cursor++;
	return *cursor == '\0';
}

int pathname_splice(char *path, size_t size, const char *cursor, const char *target)
{
	size_t target_length = strlen(target);
	size_t rest_length = strlen(cursor);

	if (target_length == 0)
		return -ENOENT;
	/* What follows is empty or begins with a slash, so nothing has to be put in between. */
	if (target_length + rest_length >= size)
		return -ENAMETOOLONG;
	memmove(path + target_length, cursor, rest_length + 1);
	memcpy(path, target, target_length);
	return 0;
}

size_t pathname_push(char *rest, size_t length, const struct component *c)
{
	size_t at = length;

	if (at > 0)
		rest[at++] = '/';
	memmove(rest + at, c->start, c->length);
	return at + c->length;
}

size_t pathname_pop(char *rest, size_t length)
{
	assert(length > 0);
	while (length > 0 && rest[length - 1] != '/')
		length--;
	return length > 0 ? length - 1 : 0;
}

int pathname_join(char *out, size_t size, const char *dir, const char *name)
{
	while (*dir == '/')
		dir++;
	size_t dir_length = strlen(dir);
	while (dir_length > 0 && dir[dir_length - 1] == '/')
		dir_length--;
	while (*name == '/')
		name++;
	size_t name_length = strlen(name);
	bool slash = dir_length > 0 && name_length > 0;

	if (dir_length + slash + name_length >= size)
		return -ENAMETOOLONG;
	memcpy(out, dir, dir_length);
	if (slash)
		out[dir_length] = '/';
	memcpy(out + dir_length + slash, name, name_length + 1);
	return 0;
}
