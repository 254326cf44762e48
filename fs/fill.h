/*
 * fs/fill.h - the inside of a version, and how its pages come off the wire.
 *
 * A *fill* is a running transfer that belongs to a version. One thread at a time, the *driver*,
 * supplies frames to it, waits for blocks, and puts full frames into the object; others that need
 * bytes wait until the prefix covers them or the driver leaves, and then one of them drives on. When
 * the last leaves, the fill is *parked*: its server waits for the next acknowledgement. At most
 * FILL_PARKED_MAX are, each for FILL_PARKED_NS at most; after that a later need starts from block 1.
 *
 *	                 first            supplied
 *	0                ▼                ▼
 *	├────────────────┼────────────────┼───────── pages of the file
 *	  compared with    in the hands
 *	  what is held,    of the transfer
 *	  then stored
 *
 * A transfer always begins at the file's beginning, because TFTP knows no other way. Where the
 * version holds a page already, the page that comes is compared with it and its frame used again.
 * A difference means that the server has another file now: -ESTALE inside this room, which is -EIO
 * for someone who needs the rest of the old one, and a new version for someone who opens the file.
 */
#ifndef HAWSER_FS_FILL_H
#define HAWSER_FS_FILL_H

#include "fs/origin.h"
#include "fs/version.h"
#include "kernel/sched.h"
#include <bsd/sys/queue.h>

struct fill;

struct version {
	struct object object;      /* its references are the version's */
	struct origin *origin;     /* held; fixed, NULL in what was made here */
	struct mutex writing;      /* RANK_WRITE; who writes or resizes it, user memory in hand */
	_Atomic bool local;        /* writable here, needs no wire; never goes back */
	_Atomic bool size_known;   /* object.size is the file's, not only what is held */
	_Atomic bool complete;     /* all of it is in frames, or holes */
	_Atomic uint64_t held;     /* bytes, whole pages unless complete; the driver's */
	_Atomic int32_t writers;   /* open for writing; below 0: executions that deny it */
	bool anonymous;            /* of memfd_create(2): may be written and executed; fixed */
	_Atomic bool was_mapped;   /* writable: there may be anything in the last page's rest */
	uint32_t seals;            /* F_SEAL_*; writing and object.lock to change, either to read */
	_Atomic uint64_t fresh_ns; /* it was what the server had at this time, or later */
	_Atomic uint64_t generation; /* of the stamp known before that; 0: none */

	struct thread *_Atomic driver;    /* changes under object.lock */
	struct fill *fill;                /* the driver's; NULL: no transfer */
	_Atomic uint32_t failures;        /* fills that failed; changes under object.lock */
	_Atomic int error;                /* of the last one that failed */
	struct waitq changed;             /* held, driver or failures changed */
	TAILQ_ENTRY(version) parked_link; /* parked.lock */
	bool parked;                      /* parked.lock */
	uint64_t parked_ns;               /* parked.lock */
};

/* Why something is looked up: how fresh the answer has to be. */
#define STAT_FRESH_NS NSEC_PER_SEC
enum freshness {
	FRESH_STAT, /* may be STAT_FRESH_NS old */
	FRESH_OPEN, /* asked after the call began, or by `fresh=` */
};

/* A version of a file on the server of which nothing is known yet; refs = 1; NULL: no memory. */
struct version *version_create_wire(struct origin *origin);
/* An empty or `size` bytes long file of zeroes, local; refs = 1; NULL: no memory. */
struct version *version_create_local(uint64_t size);

/* [0, end) present, or the error of the driver that failed. As version_require(). */
int fill_require(struct version *version, uint64_t end);

/*
 * Asks the server for the file and waits until its first page, or the whole of a smaller one, is
 * there, so that a name that merely answers is told from a file. As version_require(), and -EISDIR.
 */
int fill_probe(struct version *version);

/*
 * Streams what is held again and compares. 0 with `*out`: `version` itself if the server still has
 * it, else a new one whose equal beginning is copied and whose transfer goes on; a reference of the
 * caller's own either way. -ENOENT: the server has no such file any more; others as probe.
 */
int fill_revalidate(struct version *version, uint64_t began_ns, uint64_t generation,
		    struct version **out);

/* Ends a transfer that nobody drives; whatever is held stays. */
void fill_stop(struct version *version);
/* As version_settle(). */
void fill_settle(struct version *version);
/* The version is going away. */
void fill_discard(struct version *version);

/* Makes the object's page `index` from nothing. 0, -EEXIST (someone did), -ENOMEM. */
int version_add_page(struct version *version, uint64_t index, struct frame **out);

/* A frame for the page cache, after reclaim if need be; NULL: there is none. Sleeps. */
struct frame *fill_frame(unsigned flags);

/*
 * True if files may have more of the memory, after reclaim if need be: a part of it is left to
 * everything else, so that a full file system can be tidied up. Sleeps.
 */
bool fill_has_room(void);
bool fill_has_room_for(uint64_t frames);
/* How many pages have come from servers so far. */
uint64_t fill_pages(void);
/* Of all the memory, what is left to everything else: in frames. */
uint64_t fill_reserve(void);

#endif
