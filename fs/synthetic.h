/*
 * fs/synthetic.h - files below /proc whose content is made up when they are opened.
 *
 * The rooms to the left know processes, so they register what /proc tells: a path and a function
 * that writes the text. Directories on the way are made. What "self" means is up to the function,
 * which runs in the thread that opens the file.
 */
#ifndef HAWSER_FS_SYNTHETIC_H
#define HAWSER_FS_SYNTHETIC_H

#include "kernel/base.h"

struct version;
struct file_name;
struct inode;

/* Text that grows as it is written. Memory that cannot be had is noticed once, at the end. */
struct text {
	char *data;
	size_t length, capacity;
	bool failed;
};
void text_printf(struct text *text, const char *fmt, ...) __printf(2, 3);
void text_append(struct text *text, const void *bytes, size_t length);
void text_free(struct text *text);

struct synthetic {
	const char *path; /* below /proc: "meminfo", "self/maps" */
	/*
	 * Writes the content, or of a link the path it leads to. 0, or a negative errno that open(2)
	 * or readlink(2) returns. Called with no lock held.
	 */
	int (*generate)(struct text *text);
	/*
	 * A link that leads to a version and not through its name (/proc/self/exe). References of the
	 * caller's own; 0 or a negative errno.
	 */
	int (*follow)(struct version **version, struct file_name **name);
	bool link; /* a symbolic link, not a regular file */
};

/* Adds it; the caller's memory, for ever. After fs_init(). 0, -ENOMEM, -EEXIST. */
int synthetic_register(const struct synthetic *entry);

/* The text of a file or link, to be freed with text_free(). 0 or an errno. */
int synthetic_read(const struct synthetic *entry, struct text *out);

#endif
