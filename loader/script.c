/*
 * loader/script.c - see loader/script.h.
 */
#include "loader/script.h"

#include "kernel/string.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The first byte of [from, end) that is no blank, or `end`. */
static const char *skip_blanks(const char *from, const char *end)
{
	while (from < end && is_blank(*from))
		from++;
	return from;
}

/* The first byte of [from, end) that ends a word, or `end`. */
static const char *word_end(const char *from, const char *end)
{
	while (from < end && !is_blank(*from) && *from != '\0')
		from++;
	return from;
}

static void copy_out(char *to, const char *from, const char *end)
{
	memcpy(to, from, (size_t)(end - from));
	to[end - from] = '\0';
}

bool script_probe(const void *bytes, size_t length)
{
	const char *text = bytes;

	return length >= 2 && text[0] == '#' && text[1] == '!';
}

int script_parse(const void *bytes, size_t length, struct script_line *out)
{
	char line[SCRIPT_LINE_SIZE] = { 0 };
	const char *buffer_end = line + SCRIPT_LINE_SIZE - 1;
	const char *end, *name, *name_end, *argument;

	if (!script_probe(bytes, length))
		return -ENOEXEC;
	/* A file shorter than the buffer is followed by NULs, as on Linux. */
	memcpy(line, bytes, MIN(length, (size_t)SCRIPT_LINE_SIZE));

	end = memchr(line, '\n', SCRIPT_LINE_SIZE);
	if (!end) {
		/* No end of line in sight: the name, at least, must not have been cut. */
		name = skip_blanks(line + 2, buffer_end);
		if (name == buffer_end || word_end(name, buffer_end) == buffer_end)
			return -ENOEXEC;
		end = buffer_end;
	}
	while (end > line + 2 && is_blank(end[-1]))
		end--;

	name = skip_blanks(line + 2, end);
	name_end = word_end(name, end);
	if (name == name_end)
		return -ENOEXEC;
	copy_out(out->interpreter, name, name_end);

	/* A NUL ends the line; blanks are followed by the argument. */
	argument = name_end;
	if (name_end < end && *name_end != '\0')
		argument = skip_blanks(name_end, end);
	end = argument + strnlen(argument, (size_t)(end - argument));
	out->has_argument = argument < end;
	copy_out(out->argument, argument, end);
	return 0;
}
