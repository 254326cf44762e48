/*
 * mm/object.h - what a region can map: a sequence of pages that several address spaces may share.
 *
 * An object is a size, a radix of frames, and operations. Kinds: a file's version (the page
 * cache), shared anonymous memory, a device. A frame is in at most one object, which holds one
 * reference to it. References to the object keep it alive: regions, files, inodes.
 *
 * A slot of the radix is empty, or holds a frame. Pages get in by object_insert(), under the
 * object's lock, and leave by object_resize() (truncation), by object_punch() or with the object.
 */
#ifndef HAWSER_MM_OBJECT_H
#define HAWSER_MM_OBJECT_H

#include "kernel/base.h"
#include "kernel/lock.h"
#include "mm/frame.h"
#include "mm/radix.h"

struct object;
struct region;

/* In frame.flags of an object's frames. */
#define FRAME_SHARED_ANON 0x1u /* of object_create_anonymous(): RssShmem, not RssFile */

struct object_ops {
	const char *name;
	/*
	 * Makes page `index` present: returns it in `*out` with a reference of the caller's own.
	 * No lock is held. May sleep for the wire, killably. -EFAULT beyond the end, -EIO (fill failed),
	 * -ENOMEM, -EINTR. NULL for devices.
	 */
	int (*get_page)(struct object *object, uint64_t index, struct frame **out);
	/*
	 * madvise(2) MADV_REMOVE on [start, end), in bytes: as object_punch(), by whoever may write it.
	 * No lock held; may sleep. NULL: it cannot be done. -EPERM, -EINTR.
	 */
	int (*punch)(struct object *object, uint64_t start, uint64_t end);
	/* The last reference is gone: frees what surrounds the object. Its pages are already freed. */
	void (*release)(struct object *object);
	/* Devices only: the physical address of page `index`; the mapping is SPECIAL, not counted. */
	int (*device_page)(struct object *object, uint64_t index, paddr_t *out);
	bool device_is_memory; /* its pages are RAM, and are cached as such */
};

/* Several objects' common room; each holds it. */
struct object_quota {
	_Atomic uint32_t refs;
	void (*release)(struct object_quota *quota); /* the last reference is gone */
	_Atomic uint64_t pages;                      /* frames held by all of them */
	_Atomic uint64_t limit;                      /* of those; 0: none. Who inserts minds it */
};

struct object {
	_Atomic uint32_t refs;
	const struct object_ops *ops;
	struct mutex lock;           /* RANK_OBJECT */
	uint64_t size;               /* bytes; lock */
	struct radix frames;         /* by page index; lock */
	uint64_t pages;              /* frames held; lock */
	struct object_quota *quota;  /* held; NULL: none. Set before the first frame */
	uint64_t writable;           /* shared regions that may be writable, and claims; lock */
	LIST_HEAD(, region) regions; /* those that map it, and their bounds; lock */
};

/* NULL is allowed. */
void object_quota_put(struct object_quota *quota);

/* All memory the caller's (usually embedded); refs = 1. */
void object_init(struct object *object, const struct object_ops *ops, uint64_t size);
void object_get(struct object *object);
/* Drops a reference; the last one frees the pages, then calls ops->release. May sleep. */
void object_put(struct object *object);

/* The frame at `index` with a reference for the caller, or NULL. Takes the object's lock. */
struct frame *object_lookup(struct object *object, uint64_t index);
/* As above, with the lock held by the caller and no reference taken. */
struct frame *object_peek(struct object *object, uint64_t index);
/* Those at index, index + 1 …; NULL where there is none. */
void object_peek_run(struct object *object, uint64_t index, unsigned count, struct frame **out);

/*
 * Puts `frame` (kind FRAME_OBJECT, in no object) into the empty slot `index`, taking over the
 * caller's reference. -ENOMEM (radix node), -EEXIST: the caller keeps its reference. Takes the lock.
 */
int object_insert(struct object *object, uint64_t index, struct frame *frame);

/*
 * Sets the size. Shrinking detaches every page wholly beyond it, and takes the mappings of those pages
 * away in every space that maps them, private copies too. Either way the rest of a last partial page,
 * where a mapping may have written, is zeroed. Takes the lock and the pmap locks of those spaces; may
 * sleep.
 */
void object_resize(struct object *object, uint64_t size);

/*
 * Makes [start, end), in bytes, a hole: pages wholly in it are detached and unmapped, parts of pages
 * zeroed. Private copies stay. Locks as above.
 */
void object_punch(struct object *object, uint64_t start, uint64_t end);

/* Makes the bytes [start, end) zero in every page that is there. Takes the lock. */
void object_zero(struct object *object, uint64_t start, uint64_t end);

/* How many pages of [first, end) the object does not hold. Takes the lock. */
uint64_t object_missing(struct object *object, uint64_t first, uint64_t end);

/* The first index from `index` on that the object holds, or does not; UINT64_MAX: none. Takes the lock. */
uint64_t object_find(struct object *object, uint64_t index, bool held);

/* Takes back what whoever is about to map it has added to `writable`. Takes the lock. */
void object_unclaim(struct object *object);

/* Once, before the first object_create_anonymous(). */
void object_cache_init(void);

/* Zero-filled memory for MAP_SHARED|MAP_ANONYMOUS and RAM files' holes; refs = 1 or NULL. */
struct object *object_create_anonymous(uint64_t size);

#endif
