/*
 * kernel/cmdline.c - reading the command line.
 *
 * The line is kept as given. A word is found and unquoted when somebody asks for it, following
 * Linux's next_arg(): a double quote anywhere holds blanks together; quotes around a whole word, or
 * around a whole value, are taken off; any other stays.
 *
 *	init="/bin/sh -x"	init=/bin/sh -x
 *	"init=/bin/sh -x"	init=/bin/sh -x
 *	a="b"c			a=b"c
 */
#include "kernel/cmdline.h"
#include "kernel/string.h"

/* Written once at boot, before there is anybody to read it. */
static char line[CMDLINE_MAX];

/* A word where it stands in the line: its unquoted parts. */
struct word {
	const char *name;
	size_t name_length;
	const char *value; /* NULL: there is no `=` */
	size_t value_length;
};

void cmdline_set(const char *text)
{
	strlcpy(line, text, sizeof(line));
}

const char *cmdline_get(void)
{
	return line;
}

static bool blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void split(const char *start, const char *end, struct word *out)
{
	const char *equals;

	if (end > start && *start == '"') {
		start++;
		if (end > start && end[-1] == '"')
			end--;
	}
	equals = memchr(start, '=', (size_t)(end - start));
	/* As in Linux, a word that begins with `=` is a name. */
	if (equals == NULL || equals == start) {
		*out = (struct word){ .name = start, .name_length = (size_t)(end - start) };
		return;
	}
	const char *value = equals + 1;
	if (value < end && *value == '"') {
		value++;
		if (end > value && end[-1] == '"')
			end--;
	}
	*out = (struct word){
		.name = start,
		.name_length = (size_t)(equals - start),
		.value = value,
		.value_length = (size_t)(end - value),
	};
}

/* The word after `*position`, which moves behind it; false at the end of the line. */
static bool next_word(const char **position, struct word *out)
{
	const char *p = *position;
	bool quoted = false;

	while (blank(*p))
		p++;
	const char *start = p;
	for (; *p != '\0' && (quoted || !blank(*p)); p++) {
		if (*p == '"')
			quoted = !quoted;
	}
	*position = p;
	if (p == start)
		return false;
	split(start, p, out);
	return true;
}

static bool same(const char *text, size_t length, const char *name)
{
	return strlen(name) == length && memcmp(text, name, length) == 0;
}

/* The last word with this name before `--`, with a value or without one as asked. */
static bool find(const char *name, bool with_value, struct word *out)
{
	const char *position = line;
	struct word word;
	bool found = false;

	while (next_word(&position, &word)) {
		if (word.value == NULL && same(word.name, word.name_length, "--"))
			break;
		if ((word.value != NULL) == with_value && same(word.name, word.name_length, name)) {
			*out = word;
			found = true;
		}
	}
	return found;
}

bool cmdline_value(const char *name, char *out, size_t size)
{
	struct word word;

	if (!find(name, true, &word) || word.value_length >= size)
		return false;
	memcpy(out, word.value, word.value_length);
	out[word.value_length] = '\0';
	return true;
}

bool cmdline_flag(const char *name)
{
	struct word word;

	return find(name, false, &word);
}

/* The value of a digit in any base up to 16, or 16. */
static unsigned digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A' + 10);
	return 16;
}

static unsigned suffix_shift(char c)
{
	switch (c) {
	case 'K':
	case 'k':
		return 10;
	case 'M':
	case 'm':
		return 20;
	case 'G':
	case 'g':
		return 30;
	default:
		return 0;
	}
}

/* Sign, 0x or 0, digits, suffix, end. False if it is anything else, or does not fit. */
static bool parse_number(const char *text, int64_t *out)
{
	bool negative = *text == '-';
	unsigned base = 10;
	int64_t value = 0;

	if (negative)
		text++;
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
	} else if (text[0] == '0') {
		base = 8;
	}
	if (digit_value(*text) >= base)
		return false;
	for (; digit_value(*text) < base; text++) {
		if (__builtin_mul_overflow(value, (int64_t)base, &value) ||
		    __builtin_add_overflow(value, (int64_t)digit_value(*text), &value))
			return false;
	}
	unsigned shift = suffix_shift(*text);
	if (shift != 0) {
		text++;
		if (__builtin_mul_overflow(value, INT64_C(1) << shift, &value))
			return false;
	}
	if (*text != '\0')
		return false;
	*out = negative ? -value : value;
	return true;
}

bool cmdline_number(const char *name, int64_t *out)
{
	/* The longest number that fits is one in octal, with sign and suffix. */
	char text[32];

	return cmdline_value(name, text, sizeof(text)) && parse_number(text, out);
}

bool cmdline_next(const char **position, char *out, size_t size)
{
	struct word word;

	while (next_word(position, &word)) {
		size_t length = word.name_length + (word.value != NULL ? 1 + word.value_length : 0);
		if (length >= size)
			continue;
		memcpy(out, word.name, word.name_length);
		if (word.value != NULL) {
			out[word.name_length] = '=';
			memcpy(out + word.name_length + 1, word.value, word.value_length);
		}
		out[length] = '\0';
		return true;
	}
	return false;
}
