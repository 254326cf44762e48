/*
 * fs/mount_options.c - mount(2)'s options as text, there and back. See the header.
 */
#include "fs/mount_options.h"
#include "fs/path.h"
#include "fs/synthetic.h"
#include "kernel/cmdline.h"
#include "kernel/string.h"
#include "mm/frame.h"
#include "mm/slab.h"
#include <linux/kdev_t.h>

#define MODE_ALL         (S_IRWXU | S_IRWXG | S_IRWXO)
#define MODE_PERMISSIONS (S_ISUID | S_ISGID | S_ISVTX | MODE_ALL)

const struct mount_options mount_options_default = { .mode = S_ISVTX | MODE_ALL };

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

/* An octal mode of at most those bits. */
static int parse_mode(const char *value, uint32_t bits, uint32_t *mode)
{
	const char *end;
	uint64_t number;

	if (!parse_number(value, 8, &number, &end) || *end != '\0' ||
	    (number & ~(uint64_t)bits) != 0)
		return -EINVAL;
	*mode = (uint32_t)number;
	return 0;
}

static int parse_id(const char *value, uint32_t *id)
{
	const char *end;
	uint64_t number;

	if (!parse_number(value, 10, &number, &end) || *end != '\0' || number >= MOUNT_ID_NONE)
		return -EINVAL;
	*id = (uint32_t)number;
	return 0;
}

static int parse_tmpfs(const char *option, struct mount_options *options)
{
	const char *value;

	if (is_option(option, "size", &value))
		return parse_size(value, &options->limit) ? 0 : -EINVAL;
	if (is_option(option, "mode", &value))
		return parse_mode(value, MODE_PERMISSIONS, &options->mode);
	if (is_option(option, "uid", &value))
		return parse_id(value, &options->uid);
	if (is_option(option, "gid", &value))
		return parse_id(value, &options->gid);
	return -EINVAL;
}

static int parse_devpts(const char *option, struct mount_options *options)
{
	uint32_t unused;
	const char *value;

	if (is_option(option, "mode", &value))
		return parse_mode(value, MODE_ALL, &options->mode);
	if (is_option(option, "ptmxmode", &value))
		return parse_mode(value, MODE_ALL, &options->ptmx_mode);
	if (is_option(option, "uid", &value))
		return parse_id(value, &options->uid);
	if (is_option(option, "gid", &value))
		return parse_id(value, &options->gid);
	/* How many there may be is fixed, and the terminals are the same wherever they are mounted. */
	if (is_option(option, "max", &value))
		return parse_id(value, &unused);
	return strcmp(option, "newinstance") == 0 ? 0 : -EINVAL;
}

int mount_options_parse(char *data, const char *type, struct mount_options *options)
{
	bool tmpfs = strcmp(type, TMPFS) == 0, devpts = strcmp(type, DEVPTS) == 0;
	char *option = data;
	int error = 0;

	while (option != NULL && *option != '\0' && error == 0) {
		char *comma = (char *)strchr(option, ',');

		if (comma != NULL)
			*comma = '\0';
		/* What the other trees could be told (hidepid=) is as it is. */
		if (option[0] != '\0' && (tmpfs || devpts))
			error = tmpfs ? parse_tmpfs(option, options)
				      : parse_devpts(option, options);
		option = comma != NULL ? comma + 1 : NULL;
	}
	return error;
}

void mount_options_apply(struct filesystem *filesystem, const struct mount_options *options)
{
	struct inode *ptmx;

	filesystem->options = *options;
	atomic_store(&filesystem->flags, options->flags & MS_RDONLY);
	atomic_store(&filesystem->quota.limit, options->limit);
	if (strcmp(filesystem->type, DEVPTS) != 0)
		return;
	ptmx = inode_child(filesystem->root, "ptmx");
	if (ptmx != NULL)
		ptmx->mode = (ptmx->mode & S_IFMT) | options->ptmx_mode;
}

/* --- the table ------------------------------------------------------------------------------------------ */

static void put_flags(struct text *text, const struct mount *mount)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} names[] = {
		{ MS_NOSUID, "nosuid" },         { MS_NODEV, "nodev" },
		{ MS_NOEXEC, "noexec" },         { MS_NOATIME, "noatime" },
		{ MS_NODIRATIME, "nodiratime" }, { MS_RELATIME, "relatime" },
	};
	uint32_t flags = atomic_load(&mount->flags);

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if ((flags & names[i].flag) != 0)
			text_printf(text, ",%s", names[i].name);
	}
}

/* What of the file system's options is not as it is usually. */
static void put_options(struct text *text, const struct filesystem *filesystem)
{
	const struct mount_options *options = &filesystem->options;
	bool devpts = strcmp(filesystem->type, DEVPTS) == 0;
	uint64_t limit = atomic_load(&filesystem->quota.limit);

	if (!devpts && strcmp(filesystem->type, TMPFS) != 0)
		return;
	if (limit != 0)
		text_printf(text, ",size=%luk", limit * (PAGE_SIZE / KIB));
	if (devpts ? options->uid != MOUNT_ID_NONE : options->uid != 0)
		text_printf(text, ",uid=%u", options->uid);
	if (devpts ? options->gid != MOUNT_ID_NONE : options->gid != 0)
		text_printf(text, ",gid=%u", options->gid);
	if (devpts || options->mode != mount_options_default.mode)
		text_printf(text, ",mode=%03o", options->mode);
	if (devpts)
		text_printf(text, ",ptmxmode=%03o", options->ptmx_mode);
}

/* The first one's source is where the root comes from. */
static void put_source(struct text *text, const struct mount *mount)
{
	char root[256];

	if (strcmp(mount->filesystem->type, WIRE) == 0 && cmdline_value("root", root, sizeof(root)))
		text_printf(text, "%s", root);
	else
		text_printf(text, "%s", mount->source);
}

static const char *read_only(uint32_t flags)
{
	return (flags & MS_RDONLY) != 0 ? "ro" : "rw";
}

/* `within`: what of its file system it shows. */
static void describe(struct text *text, const struct mount *mount, const char *path,
		     const char *within)
{
	const struct filesystem *filesystem = mount->filesystem;

	if (within != NULL) {
		text_printf(text, "%u %u %u:%u %s %s %s", mount->id,
			    mount->parent != NULL ? mount->parent->id : mount->id,
			    MAJOR(filesystem->device), MINOR(filesystem->device), within, path,
			    read_only(atomic_load(&mount->flags)));
		put_flags(text, mount);
		text_printf(text, "%s - %s ",
			    (atomic_load(&mount->flags) & MS_UNBINDABLE) != 0 ? " unbindable" : "",
			    filesystem->type);
		put_source(text, mount);
		text_printf(text, " %s", read_only(atomic_load(&filesystem->flags)));
		put_options(text, filesystem);
		text_printf(text, "\n");
	} else {
		put_source(text, mount);
		text_printf(text, " %s %s %s", path, filesystem->type,
			    mount_has(mount, MS_RDONLY) ? "ro" : "rw");
		put_flags(text, mount);
		put_options(text, filesystem);
		text_printf(text, " 0 0\n");
	}
}

/* Blanks and the like would end a field: fstab(5). In place; the buffer has PATH_MAX bytes. */
static void escape(char *path)
{
	static const char special[] = " \t\n\\";
	char *from, *to;
	size_t length = strlen(path), more = 0;

	for (from = path; *from != '\0'; from++)
		more += strchr(special, *from) != NULL ? 3 : 0;
	if (more == 0 || length + more >= PATH_MAX)
		return;
	from = path + length;
	to = from + more;
	while (to > from) {
		char c = *from--;

		if (c == '\0' || strchr(special, c) == NULL) {
			*to-- = c;
			continue;
		}
		*to-- = (char)('0' + (c & 7));
		*to-- = (char)('0' + (c >> 3 & 7));
		*to-- = (char)('0' + (c >> 6 & 7));
		*to-- = '\\';
	}
}

void mounts_describe(struct text *text, bool info)
{
	char *path = kalloc(PATH_MAX), *within = kalloc(PATH_MAX);
	struct location root;

	if (path == NULL || within == NULL) {
		text->failed = true;
		goto out;
	}
	fs_context_root(&root);
	mutex_lock(&root_lock);
	for (struct mount *m = mount_next(NULL); m != NULL; m = mount_next(m)) {
		struct location at = { m, m->root };

		if (location_path_locked(&root, &at, path, PATH_MAX) != 0)
			continue;
		escape(path);
		if (info && inode_path_locked(m->root, within, PATH_MAX) != 0)
			(void)strlcpy(within, "/", PATH_MAX);
		if (info)
			escape(within);
		describe(text, m, path, info ? within : NULL);
	}
	mutex_unlock(&root_lock);
	location_put(&root);
out:
	kfree(path);
	kfree(within);
}
