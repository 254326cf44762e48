/*
 * fs/inode.h - the root: a tree of inodes in RAM, some of whose files have an origin on the server.
 *
 *	/ (wire) ─┬─ bin (wire) ──── busybox   file, origin bin/busybox, version …
 *	          ├─ dev ─────────── null      device
 *	          ├─ etc (wire) ─┬── motd      file without an origin: written here
 *	          │              └── hosts     whiteout: deleted here, whatever the server has
 *	          └─ proc ────────── meminfo   synthetic
 *
 * A directory is *wire* if names that RAM does not know are asked of the server. A name that it
 * answers becomes an inode, and so do the directories on the way. Names are only ever in RAM. A
 * directory has one name; other inodes may have several (link(2)), or none (any more), and stay as long
 * as somebody has them open.
 *
 * One lock, root_lock, protects the tree and what inodes say of themselves. It is held for look-ups
 * and changes in RAM, never while the wire or a user's memory is waited for.
 */
#ifndef HAWSER_FS_INODE_H
#define HAWSER_FS_INODE_H

#include "fs/fill.h"
#include "fs/version.h"
#include "kernel/base.h"
#include "kernel/lock.h"
#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <linux/limits.h>
#include <linux/stat.h>

struct file;
struct file_ops;
struct filesystem;
struct lock_set;
struct location;
struct mount;
struct pipe;
struct stat;
struct synthetic;
struct synthetic_entries;

extern struct mutex root_lock; /* RANK_INODE */

/* What opens a device: `file` is new, with flags; it gets `ops`, or open() sets them and what they need. */
struct device {
	const char *name;
	uint32_t number; /* MKDEV of <linux/kdev_t.h> */
	int (*open)(struct file *file);
	const struct file_ops *ops;       /* NULL: open() */
	uint32_t permissions;             /* 0: all may read and write */
	void (*offer)(struct file *file); /* it was opened without O_NOCTTY; NULL: nothing */
};

/*
 * A name in a directory. Without an inode it is a whiteout: the name is known not to exist, whatever the
 * server has. Never changed once it is in a directory, but for its inode; root_lock.
 */
struct name {
	struct inode *dir;   /* held; NULL: it is in none */
	struct inode *inode; /* held; NULL: a whiteout */
	RB_ENTRY(name) by_text;
	TAILQ_ENTRY(name) in_order;
	TAILQ_ENTRY(name) of_inode;
	uint64_t cookie; /* never used again; grows along the directory's order */
	char text[];
};

TAILQ_HEAD(name_list, name);

struct inode {
	_Atomic uint32_t refs;
	uint64_t number;                               /* fixed */
	uint32_t mode;                                 /* type: fixed; permissions: root_lock */
	uint32_t uid, gid;                             /* root_lock */
	uint32_t links;                                /* how many names; root_lock */
	struct name_list names;                        /* oldest first; root_lock */
	uint64_t created_ns;                           /* wall time; fixed */
	uint64_t accessed_ns, modified_ns, changed_ns; /* wall time; root_lock */
	union {
		struct {                                  /* S_IFDIR */
			RB_HEAD(name_tree, name) by_text; /* root_lock */
			struct name_list order;           /* oldest first; root_lock */
			uint32_t directories;             /* among the children; root_lock */
			bool wire;                        /* fixed */
		};
		struct {                           /* S_IFREG */
			struct version *version;   /* held, or NULL; root_lock */
			struct origin *origin;     /* held; NULL: local; root_lock */
			uint64_t checked_ns;       /* a stat answer's time; root_lock */
			TAILQ_ENTRY(inode) cached; /* if origin; root_lock */
		};
		struct {                 /* S_IFLNK */
			char *target;    /* fixed */
			uint64_t listed; /* from the server's list of this generation (fs/links.h);
					  * 0: not from it; root_lock */
		};
		struct pipe *pipe; /* S_IFIFO that is open; root_lock */
		struct {           /* S_IFCHR, S_IFBLK */
			uint32_t device_number;
			const struct device *device; /* NULL: none that is known; fixed */
		};
		const struct synthetic *synthetic; /* files of /proc; fixed */
	};
	LIST_HEAD(, mount) covers;          /* what is mounted on it (fs/mount.h); root_lock */
	LIST_HEAD(, inotify_watch) watches; /* root_lock */
	LIST_HEAD(, xattr) attributes;      /* xattr(7); root_lock */
	_Atomic uint32_t opens;             /* open files of it */
	struct lock_set *_Atomic locks;     /* NULL: it was never locked (fs/locks.c) */
	struct filesystem *filesystem;      /* held; set once, with its first name or before */
	bool linkable;      /* it has no name yet, and may get one: O_TMPFILE; root_lock */
	bool is_synthetic;  /* it and all around it is made up: /proc; fixed */
	uint32_t number_of; /* the numbered directory that a file of /proc is in, or 0; fixed */
	/* Of a directory like /proc/1/fd: its names; of what is in it: what it is one of; fixed. */
	const struct synthetic_entries *entries;
	/* Of a directory like /proc and /proc/1/task: the numbered directories that are made in it; fixed. */
	const struct synthetic_numbers *numbers;
	uint32_t entry; /* which one; fixed */
};

/* refs = 1, no name, no content; NULL: no memory. The times are now. */
struct inode *inode_create(uint32_t mode);
void inode_get(struct inode *inode);
void inode_put(struct inode *inode); /* NULL is allowed; may sleep; not under root_lock */

/* --- the tree; root_lock held ------------------------------------------------------------------ */

/* The name in the directory, whiteouts included, or NULL. */
struct name *name_find(struct inode *dir, const char *text);
/* The first name behind `cookie` in the directory's order, or NULL. */
struct name *name_after(struct inode *dir, uint64_t cookie);
/* What the name stands for, no reference; NULL: there is none, or a whiteout. */
struct inode *inode_child(struct inode *dir, const char *text);
/* The inode's name with that cookie, or NULL: it has lost it. */
struct name *inode_name(const struct inode *inode, uint64_t cookie);
/* That of a directory's only name, or of a file's first; 0: it has none. */
uint64_t inode_cookie(const struct inode *inode);
/* The directory above a directory in its file system; NULL: that one's root, or removed. */
struct inode *inode_parent(const struct inode *dir);
/* False if it has been removed: nothing can be made in it. */
bool inode_is_attached(const struct inode *dir);

/* A name in no directory; `inode` may be NULL. Takes a reference. NULL: no memory. Any lock or none. */
struct name *name_create(const char *text, struct inode *inode);
void name_free(struct name *name); /* one that is in no directory and has no inode */

/*
 * Enters it in `dir`, in the place of a whiteout if one is there; no other name may have its text. Takes
 * a reference to `dir`. Cannot fail.
 */
void name_enter(struct inode *dir, struct name *name);
/*
 * Takes it out, and `whiteout`, or NULL, takes its place. What is let go of is put on `freed`, for
 * names_put(), which takes no lock.
 */
void name_remove(struct name *name, struct name *whiteout, struct name_list *freed);
void names_put(struct name_list *freed);
/* From now on `a` stands for what `b` did, and the other way around. Both are in directories. */
void names_exchange(struct name *a, struct name *b);

/*
 * Gives the inode a name in `dir`, in the place of a whiteout if one is there. Takes references. -ENOMEM;
 * -ENOENT if `dir` has been removed. No other child may have the name.
 */
int inode_link(struct inode *dir, const char *text, struct inode *inode);
/* True if nothing but whiteouts is in it. */
bool inode_is_empty(struct inode *dir);
/* Takes all names out of a directory that is being removed. */
void inode_purge(struct inode *dir, struct name_list *freed);
/* A file's time of modification is now. Takes the lock itself. */
void inode_touch(struct inode *inode);

/* True if `dir` is the inode or lies above it. */
bool inode_is_above(const struct inode *dir, const struct inode *inode);

/* --- --------------------------------------------------------------------------------------------- */

/*
 * Its path in its file system, wherever that is mounted; -ENAMETOOLONG, or -ENOENT if it has no name any more. Takes
 * root_lock; the second one has it held.
 */
int inode_path(struct inode *inode, char *out, size_t size);
int inode_path_locked(const struct inode *inode, char *out, size_t size);

/* Fills in struct stat (fs/stat.h); the size of a regular file is that of `version`. */
int inode_stat(struct inode *inode, struct version *version, struct stat *out);

/*
 * The version to use of a regular file, with a reference, as fresh as asked for: a local one as it
 * is; one from the wire if an unchanged stamp vouches for it, or after its bytes have been compared
 * with the server's; else a new one. -ENOENT: the server has it no more, and the name is gone.
 * Otherwise as version_require(). (fs/cache.c)
 */
int inode_version(struct inode *inode, enum freshness freshness, uint64_t began_ns,
		  struct version **out);

/*
 * The version that writers and new readers share from now on, with a reference and a claim to write
 * (version_end_write()). A file with an origin is fetched whole and becomes local; with `truncate`
 * nothing is fetched and it is emptied. -ETXTBSY, -ENOMEM, and errors of the wire. (fs/cache.c)
 */
int inode_writable(struct inode *inode, bool truncate, struct version **out);

/*
 * A new regular file from the wire, whose content is `version`, as create; NULL: no memory. Takes
 * references of its own.
 */
struct inode *inode_create_wire(struct version *version);
/*
 * What the server has just said of a file known in RAM: `version` becomes the file's, unless it has
 * become local. (fs/cache.c)
 */
void inode_adopt(struct inode *inode, struct version *version);
/* An inode with an origin is being freed. (fs/cache.c) */
void inode_uncache(struct inode *inode);
/* Starts the reclaim of cached versions; boot. (fs/cache.c) */
void cache_init(void);

/* Makes the root directory. 0 or -ENOMEM. */
int inode_init(void);
extern struct inode *root_inode; /* fixed at boot */

#endif
