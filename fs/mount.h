/*
 * fs/mount.h - file systems, and where they are mounted.
 *
 *	(mount 1, "mnt") ── covers ──> mount 2 ── root ──> the root of a tmpfs, or any directory or file (MS_BIND)
 *	        ▲                         │
 *	        └── parent, covered ──────┘
 *
 * One inode can be seen through several mounts, so where somebody is takes both: a *location*. Walks go from a
 * covered location to what is mounted on it, and up again the same way.
 *
 * A mount is in the tree of mounts, or has been taken out (MNT_DETACH) and lives on until nobody is in it. A file
 * system ends when it is mounted nowhere any more, and all of its inodes and versions have ended. A tmpfs is
 * new each time; /proc, /dev and their like are trees that there are once, however often they are mounted.
 *
 * All of it is protected by root_lock.
 */
#ifndef HAWSER_FS_MOUNT_H
#define HAWSER_FS_MOUNT_H

#include "fs/inode.h"
#include "kernel/base.h"
#include "mm/object.h"
#include <linux/mount.h>

struct place;
struct text;

#define MOUNT_ID_NONE UINT32_MAX

/* What of a mount can be chosen. */
struct mount_options {
	uint32_t flags;
	uint64_t limit;     /* pages; 0: none */
	uint32_t mode;      /* of the root; devpts: of the terminals */
	uint32_t uid, gid;  /* the same; MOUNT_ID_NONE: of who makes one */
	uint32_t ptmx_mode; /* devpts: of the node ptmx */
};

struct filesystem {
	const char *type;             /* fixed */
	uint32_t device;              /* st_dev; fixed */
	_Atomic uint32_t flags;       /* MS_RDONLY */
	struct object_quota quota;    /* its references are the file system's; tmpfs: size= */
	_Atomic uint32_t writers;     /* regular files that are open for writing */
	struct inode *root;           /* held while it is mounted; root_lock */
	uint32_t mounts;              /* root_lock */
	struct mount_options options; /* as it was mounted; root_lock */
};

struct mount {
	_Atomic uint32_t refs;         /* the tree's, and of who is in it */
	uint32_t id;                   /* fixed */
	struct filesystem *filesystem; /* held; fixed */
	struct inode *root;            /* held; fixed */
	char *source;                  /* fixed */
	_Atomic uint32_t flags;        /* MS_RDONLY, MS_NOSUID, MS_UNBINDABLE …: MOUNT_FLAGS */
	_Atomic uint32_t writers;      /* regular files that were opened for writing through it */
	_Atomic bool expiring;         /* MNT_EXPIRE: nobody has used it since */
	/* In the tree; root_lock. */
	bool attached;
	TAILQ_ENTRY(mount) link;
	LIST_ENTRY(mount) of_covered;
	struct mount *parent;  /* which is attached, too; NULL: the first one */
	struct inode *covered; /* held, seen through the parent */
	struct mount *copy;    /* while a tree is copied */
	uint64_t search;       /* the last one that has passed it (mount_is_found()), */
	bool found;            /* and what it has come to */
};

/* Where something is: an inode, seen through a mount. */
struct location {
	struct mount *mount; /* held; NULL: in no file system */
	struct inode *inode; /* held */
};

void filesystem_get(struct filesystem *filesystem);
void filesystem_put(struct filesystem *filesystem); /* NULL is allowed; any lock but spinlocks */

/* Makes a new inode, and a regular one's empty version, part of a file system. NULL: of none yet. */
void inode_join(struct inode *inode, struct filesystem *filesystem);
/* True if the inode is the root of its file system. */
bool inode_is_root(const struct inode *inode);

/* --- mounts: NULL is allowed --------------------------------------------------------------------- */

void mount_get(struct mount *mount);
void mount_put(struct mount *mount);   /* may sleep; not under root_lock */
void mount_leave(struct mount *mount); /* the same of who has only looked: it may still expire */
/* True if the mount, or its file system as a whole, has one of the flags. */
static inline bool mount_has(const struct mount *mount, uint32_t flags)
{
	return mount != NULL &&
	       ((atomic_load(&mount->flags) | atomic_load(&mount->filesystem->flags)) & flags) != 0;
}
uint32_t mount_number(const struct mount *mount); /* for mountinfo and statx(2); 0: NULL */
extern struct mount *root_mount; /* where "/" is to those who have not moved; root_lock */

/* --- locations ------------------------------------------------------------------------------------ */

void location_get(const struct location *location);
void location_put(const struct location *location); /* may sleep; not under root_lock */
static inline bool location_is(const struct location *a, const struct location *b)
{
	return a->mount == b->mount && a->inode == b->inode;
}
/* The root of a mount, that is not the first one, is a place of another mount as well. */
static inline bool location_is_mounted(const struct location *at)
{
	return at->mount != NULL && at->inode == at->mount->root;
}

/* root_lock held; neither counts references. To what is mounted there, if anything is; */
void location_descend(struct location *at);
/* and from the root of a mount to what it covers: false, if it is none, or covers nothing. */
bool location_ascend(struct location *at);
/*
 * Its absolute path as it is seen from `root`. -ENOENT: it has no name, or is not below; -ENAMETOOLONG. root_lock
 * held.
 */
int location_path_locked(const struct location *root, const struct location *at, char *out,
			 size_t size);
/* The same for the calling thread's root, whose lock it takes. */
int location_path(const struct location *at, char *out, size_t size);

/* Linux's fs.mount-max: so many may be in the tree; more are ENOSPC. */
#define MOUNTS_MAX 100000

/* --- the tree of mounts; root_lock held ----------------------------------------------------------------- */

/* Not in the tree yet, refs = 1; its flags and source are those of what it shows. NULL: no memory. */
struct mount *mount_create(struct filesystem *filesystem, struct inode *root, const char *source,
			   uint32_t flags);
/* True if so many more may be attached. */
bool mounts_have_room(uint32_t more);
/* Puts it on a location, which is not covered; NULL: it is the first one. The tree takes the reference over. */
void mount_attach(struct mount *mount, const struct location *on);
/* Takes it out; what is mounted in it comes along. The reference is the caller's. */
void mount_take(struct mount *mount, struct location *covered);
/* Takes it out with all that is mounted in it; to be put with mounts_put(). */
TAILQ_HEAD(mount_list, mount);
void mount_detach(struct mount *mount, struct mount_list *gone);
/* The same of all that is on an inode which has lost its names: nobody would come to it any more. */
void mounts_uncover(struct inode *inode, struct mount_list *gone);
void mounts_put(struct mount_list *gone); /* no lock */
/* True if somebody uses it; the caller and the tree have a reference each, and the caller one to its root. */
bool mount_is_busy(const struct mount *mount);
/* True if `mount` is `above`, or mounted somewhere in it. */
bool mount_is_below(const struct mount *mount, const struct mount *above);
/* The same for many of them, in one search: however deep they are in each other, each is passed once. */
uint64_t mount_search_begin(void);
bool mount_is_found(struct mount *mount, const struct mount *above, uint64_t search);
/* The mounts in the order in which they were attached; NULL begins, NULL ends. */
struct mount *mount_next(struct mount *mount);

/* --- kinds -------------------------------------------------------------------------------------------- */

/*
 * Boot: mounts a tree that there is once (`root`) on a directory of a file system that is mounted once, or at the
 * root with NULL. 0 or -ENOMEM.
 */
int mount_tree(const char *type, const char *source, struct inode *root, struct inode *on);
/* A new tmpfs, or the file system that there is once; held. NULL: no memory, or none of the type. */
struct filesystem *filesystem_create_tmpfs(const struct mount_options *options);
struct filesystem *filesystem_find(const char *type);
/* Where it is mounted, held; NULL: nowhere. No lock is held. */
struct mount *filesystem_mount(const struct filesystem *filesystem);

/* The table as the calling thread sees it from its root: /proc/mounts, mountinfo. (fs/mount_options.c) */
void mounts_describe(struct text *text, bool info);

#endif
