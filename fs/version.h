/*
 * fs/version.h - the immutable content of a file at one moment: an object in the page cache.
 *
 * An inode names a version. Files, regions and running images hold versions, not inodes, so that
 * what a program runs does not change under it when the server's file does. A version from the wire
 * (origin) knows a prefix [0, held) and fetches the rest when someone needs it; a local one (written
 * here) is complete.
 *
 *	0            held                       size
 *	├─────────────┼──────────────────────────┤
 *	  in frames     on the server: fetched by   (unknown until the end where the
 *	                version_require()            server gives no tsize)
 */
#ifndef HAWSER_FS_VERSION_H
#define HAWSER_FS_VERSION_H

#include "kernel/base.h"
#include "mm/object.h"
#include <linux/uio.h>

struct version; /* fs/version.c */

void version_get(struct version *version);
void version_put(struct version *version); /* may sleep */

/* What regions map. No reference taken. */
struct object *version_object(struct version *version);

/* Size in bytes; may have to stream to the end when the server gave none. 0 or as require. */
int version_size(struct version *version, uint64_t *out);

/* True if [0, MIN(end, size)) is present. */
bool version_holds(const struct version *version, uint64_t end);
/*
 * Makes [0, MIN(end, size)) present. Sleeps, killably. -EIO (also where the file has changed or gone
 * since its beginning was fetched), -ETIMEDOUT, -ENOMEM, -EINTR, and while nothing of it is held
 * -ENOENT, -EACCES, -EISDIR. Pages stay as long as the version is referenced.
 */
int version_require(struct version *version, uint64_t end);

/*
 * Reads into kernel memory. Bytes copied, short only at the end of the file, 0 beyond it; or an
 * error as version_require().
 */
ssize_t version_read(struct version *version, uint64_t offset, void *out, size_t length);

/*
 * Writes from user memory into a local version, growing it to `limit` at most; the caller is one of
 * its writers, one of whom writes at a time. Bytes written (short when memory, the user's, or the
 * room below the limit ran out after some), or -ENOSPC, -EFBIG, -EPERM (sealed), -EFAULT, -EINTR. The
 * user's memory is faulted in: no lock is held but an open file's offset lock.
 */
ssize_t version_write_user(struct version *version, uint64_t offset, vaddr_t from, size_t length,
			   uint64_t limit);
/*
 * As version_write_user(), of several buffers as one, at the end as it is at this moment (O_APPEND); where it was in
 * `*offset`.
 */
ssize_t version_append_user(struct version *version, const struct iovec *vectors, unsigned count,
			    uint64_t limit, uint64_t *offset);
/* As version_read(), into user memory; -EFAULT as well. */
ssize_t version_read_user(struct version *version, uint64_t offset, vaddr_t to, size_t length);
/*
 * lseek(2)'s SEEK_DATA and SEEK_HOLE: the first byte from `offset` on that is in a page which has been written
 * (or is the server's), or in none. -ENXIO: there is no such before the end; or as version_size().
 */
loff_t version_find_data(struct version *version, uint64_t offset);
loff_t version_find_hole(struct version *version, uint64_t offset);
/* Sets a local version's size. 0, -EFBIG, -EPERM (sealed), or -EINTR. */
int version_resize(struct version *version, uint64_t size);
/*
 * fallocate(2) on a local version; KEEP_SIZE, and PUNCH_HOLE or ZERO_RANGE. The file grows to
 * `limit` at most. 0, -EFBIG, -ENOSPC with nothing changed, -EPERM (sealed), -EINTR.
 */
int version_allocate(struct version *version, int mode, uint64_t offset, uint64_t length,
		     uint64_t limit);

/*
 * Before a shared mapping that may write is made: a claim (object_unclaim()) that keeps F_SEAL_WRITE away
 * until the mapping counts itself. -EPERM: sealed.
 */
int version_claim_mapping(struct version *version);
/* fcntl(2), F_ADD_SEALS: 0, -EPERM (sealed against it), -EBUSY (mapped writable), -EINTR. */
int version_seal(struct version *version, uint32_t seals);
uint32_t version_seals(struct version *version); /* F_SEAL_* */

/*
 * The image is loaded and no more of it is needed now: a transfer with 64 KiB or more to go is
 * stopped; a shorter rest is let run to its end.
 */
void version_settle(struct version *version);

/*
 * While executed, writing it is -ETXTBSY; while opened for writing, or mapped shared by who had opened it
 * for that, executing it is.
 */
int version_deny_write(struct version *version);
void version_allow_write(struct version *version);
int version_begin_write(struct version *version);
void version_end_write(struct version *version);

#endif
