/*
 * fs/mount_options.c - mount(2)'s options as text, there and back. See the header.
 */
#include "fs/mount_options.h"
#include "fs/synthetic.h"
#include "kernel/string.h"
#include "mm/frame.h"

#define MODE_PERMISSIONS (S_ISUID | S_ISGID | S_ISVTX | S_IRWXU | S_IRWXG | S_IRWXO)

/* A number in the base; `*end` is what follows. False: there is none, or too large a one. */
static bool parse_number(const char *text, unsigned base, uint64_t *out, const char **end)
{
	uint64_t value = 0;
	const char *at = text;

	for (; *at >= '0' && *at < '0' + (char)base; at++) {
		if (__builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
			return false;
	}
	*out = value;
	*end = at;
	return at != text;
}

/* tmpfs(5): bytes, with k, m, g, or % of memory; in pages. */
static bool parse_size(const char *text, uint64_t *pages)
{
	struct frame_census census;
	uint64_t bytes, unit = 1;
	const char *end;

	if (!parse_number(text, 10, &bytes, &end))
		return false;
	if (*end == '%' && end[1] == '\0') {
		frame_census(&census);
		if (__builtin_mul_overflow(bytes, census.total, pages))
			return false;
		*pages = DIV_ROUND_UP(*pages, UINT64_C(100));
		return true;
	}
	if (*end == 'k' || *end == 'K')
		unit = KIB;
	else if (*end == 'm' || *end == 'M')
		unit = MIB;
	else if (*end == 'g' || *end == 'G')
		unit = GIB;
	if (unit != 1)
		end++;
	if (*end != '\0' || __builtin_mul_overflow(bytes, unit, &bytes) ||
	    bytes > UINT64_MAX - PAGE_SIZE)
		return false;
	*pages = DIV_ROUND_UP(bytes, PAGE_SIZE);
	return true;
}

/* True if `option` is "name=…", of which `*value` is what follows. */
static bool is_option(const char *option, const char *name, const char **value)
{
	size_t length = strlen(name);

	if (strncmp(option, name, length) != 0 || option[length] != '=')
		return false;
	*value = option + length + 1;
	return true;
}

static int parse_tmpfs(const char *option, struct mount_options *options)
{
	const char *value, *end;
	uint64_t number;

	if (is_option(option, "size", &value))
		return parse_size(value, &options->limit) ? 0 : -EINVAL;
	if (is_option(option, "mode", &value)) {
		if (!parse_number(value, 8, &number, &end) || *end != '\0' ||
		    number > MODE_PERMISSIONS)
			return -EINVAL;
		options->mode = (uint32_t)number;
		return 0;
	}
	if (is_option(option, "uid", &value) || is_option(option, "gid", &value)) {
		if (!parse_number(value, 10, &number, &end) || *end != '\0' || number >= UINT32_MAX)
			return -EINVAL;
		*(option[0] == 'u' ? &options->uid : &options->gid) = (uint32_t)number;
		return 0;
	}
	return -EINVAL;
}

int mount_options_parse(char *data, const char *type, struct mount_options *options)
{
	bool tmpfs = strcmp(type, TMPFS) == 0;
	char *option = data;
	int error = 0;

	while (option != NULL && *option != '\0' && error == 0) {
		char *comma = (char *)strchr(option, ',');

		if (comma != NULL)
			*comma = '\0';
		/* What the other trees could be told (gid=5 for terminals) is as they are. */
		if (tmpfs && option[0] != '\0')
			error = parse_tmpfs(option, options);
		option = comma != NULL ? comma + 1 : NULL;
	}
	return error;
}

/* Nothing keeps the time at which a file was read. */
void mount_options_describe(struct text *text, const struct filesystem *filesystem,
			    enum mount_show what)
{
	uint32_t flags = atomic_load(&filesystem->flags);
	uint64_t limit = atomic_load(&filesystem->quota.limit);

	text_printf(text, "%s", (flags & MS_RDONLY) != 0 ? "ro" : "rw");
	if ((what & MOUNT_SHOW_FLAGS) != 0)
		text_printf(text, "%s%s%s,noatime", (flags & MS_NOSUID) != 0 ? ",nosuid" : "",
			    (flags & MS_NODEV) != 0 ? ",nodev" : "",
			    (flags & MS_NOEXEC) != 0 ? ",noexec" : "");
	if ((what & MOUNT_SHOW_SUPER) != 0 && limit != 0)
		text_printf(text, ",size=%luk", limit * (PAGE_SIZE / KIB));
}
