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
struct place;
struct dirent_sink;

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
	 * A link that does not lead through its text but to the very thing: an inode, a version
	 * (/proc/self/exe) or an open file (/proc/self/fd/0), with references of the caller's own in
	 * `out`, which is empty. `entry` as below. 0 or a negative errno. No lock is held.
	 */
	int (*follow)(uint32_t number, uint32_t entry, struct place *out);
	/*
	 * What write(2) gives it, at most SYNTHETIC_WRITE_MAX bytes and a NUL. 0 or a negative errno.
	 * NULL: it cannot be opened for writing. Called with no lock held.
	 */
	int (*write)(uint32_t number, const char *bytes, size_t length);
	/* It is a directory of such. */
	const struct synthetic_entries *entries;
	/* It is a directory of numbered directories. */
	const struct synthetic_numbers *numbers;
	bool link;            /* a symbolic link, not a regular file */
	uint32_t permissions; /* 0: what is usual, 0444 or 0777 */
};

#define SYNTHETIC_WRITE_MAX 4096

/* A directory whose names are numbers that are asked for and never kept (/proc/1/fd). */
struct synthetic_entries {
	struct synthetic each; /* what the names stand for; generate and path are not used */
	/* As synthetic.generate, of the entry. */
	int (*generate)(struct text *text, uint32_t number, uint32_t entry);
	/* The first entry that is not below `from`; a negative errno if there is none. No lock is held. */
	int64_t (*next)(uint32_t number, uint32_t from);
	/* Permissions of that one; NULL: those of `each`. */
	uint32_t (*permissions)(uint32_t number, uint32_t entry);
};

/*
 * Directories that are numbers, /proc/1 and /proc/1/task/2, all with the same files. They are made when
 * somebody looks for them, and stay until they are removed. `parent` is the number of the directory
 * that theirs is in; 0: /proc itself.
 */
struct synthetic_numbers {
	const struct synthetic *files;
	size_t count;
	uint32_t mark; /* a bit that is set in the number that their files are told */
	/*
	 * Somebody looks for that one, or wants to see all: calls synthetic_add_number() for what there is.
	 * No lock is held.
	 */
	void (*find)(uint32_t parent, uint32_t number);
	void (*find_all)(uint32_t parent);
	/* Whose the files are, by the number that they are made with; of the top. No lock is held. */
	void (*owner)(uint32_t number, uint32_t *uid, uint32_t *gid);
};
void synthetic_register_numbers(const struct synthetic_numbers *numbers); /* once, at boot */
/* Makes the directory if it is not there. Without memory it is not. Takes root_lock. */
void synthetic_add_number(uint32_t parent, uint32_t number);
void synthetic_remove_number(uint32_t parent, uint32_t number);

/* For the walk and for listings: a name in a directory of numbers that nobody knows, and all of them. */
void synthetic_look_for(const struct inode *dir, const char *name);
void synthetic_look_for_all(const struct inode *dir);

/* The inode of an entry, with a reference; -ENOENT, -ENOMEM. No lock is held. */
int synthetic_entry(const struct inode *dir, const char *name, struct inode **out);
/* Lists the entries from `*offset` on, a file offset as fs/directory.c has it. */
void synthetic_list_entries(const struct inode *dir, struct dirent_sink *sink, loff_t *offset);

/* The present owner of a file of /proc. No lock is held. */
void synthetic_owner(const struct inode *inode, uint32_t *uid, uint32_t *gid);
/* As inode_may(), of a file of /proc. No lock is held. */
int synthetic_may(const struct inode *inode, unsigned wanted);

/* Adds it; the caller's memory, for ever. After fs_init(). 0, -ENOMEM, -EEXIST. */
int synthetic_register(const struct synthetic *entry);

/* The text of a file or link, to be freed with text_free(). 0 or an errno. */
int synthetic_read(const struct inode *inode, struct text *out);

#endif
