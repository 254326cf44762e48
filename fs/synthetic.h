/*
 * fs/synthetic.h - files below /proc whose content is made up when they are opened.
 *
 * The rooms to the left know processes, so they register what /proc tells: a path and a function
 * that writes the text. Directories on the way are made. The function runs in the thread that opens the
 * file.
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
	const char *path; /* below /proc: "meminfo"; or below a numbered directory: "maps" */
	/*
	 * Writes the content, or of a link the path it leads to. 0, or a negative errno that open(2)
	 * or readlink(2) returns. `number` is that of the directory, or 0. Called with no lock held.
	 */
	int (*generate)(struct text *text, uint32_t number);
	/*
	 * A link that leads to a version and not through its name (/proc/self/exe). References of the
	 * caller's own; 0 or a negative errno.
	 */
	int (*follow)(uint32_t number, struct version **version, struct file_name **name);
	bool link; /* a symbolic link, not a regular file */
};

/*
 * Directories that are numbers, /proc/1, all with the same files. They are made when somebody looks for
 * them, and stay until they are removed.
 */
struct synthetic_numbers {
	const struct synthetic *files;
	size_t count;
	/*
	 * Somebody looks for that one, or wants to see all: calls synthetic_add_number() for what there is.
	 * No lock is held.
	 */
	void (*find)(uint32_t number);
	void (*find_all)(void);
};
void synthetic_register_numbers(const struct synthetic_numbers *numbers); /* once, at boot */
/* Makes the directory if it is not there. Without memory it is not. Takes root_lock. */
void synthetic_add_number(uint32_t number);
void synthetic_remove_number(uint32_t number);

/* For the walk and for listings: a name below /proc that nobody knows, and all of them. */
void synthetic_look_for(const char *name);
void synthetic_look_for_all(void);

/* Adds it; the caller's memory, for ever. After fs_init(). 0, -ENOMEM, -EEXIST. */
int synthetic_register(const struct synthetic *entry);

/* The text of a file or link, to be freed with text_free(). 0 or an errno. */
int synthetic_read(const struct inode *inode, struct text *out);

#endif
