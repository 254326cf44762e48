/*
 * fs/origin.h - the served tree: which server, where on it, and whether it has changed.
 *
 * `root=tftp://HOST/PATH` names it; without HOST it is the server that booted the machine, without
 * `root=` that server's top directory. An *origin* is one file of the tree, named by its path below
 * the root. Versions and inodes that came from the wire hold one.
 *
 * The served root may have a file `.hawser/stamp`, which whoever changes the tree rewrites
 * afterwards. While its bytes are the same, the tree is the same. Each different stamp that was read
 * is a *generation*, counted from 1; a version remembers the generation that was known before its
 * transfer began, so a later reading of the same stamp proves that it is still what the server has.
 */
#ifndef HAWSER_FS_ORIGIN_H
#define HAWSER_FS_ORIGIN_H

#include "kernel/base.h"

struct tftp_transfer;

struct origin {
	_Atomic uint32_t refs;
	char path[]; /* below the served root; no leading slash */
};

struct origin *origin_create(const char *path); /* refs = 1; NULL: no memory */
void origin_get(struct origin *origin);
void origin_put(struct origin *origin); /* NULL is allowed */

/* Begins a transfer of the file; waits for the network. As tftp_open(). */
int origin_open(const struct origin *origin, struct tftp_transfer **out);

/*
 * The generation of the stamp, asked for no earlier than `began_ns`; 0 if the tree has none or it
 * could not be read. Callers who come while one asks share the next answer. 0 or -EINTR.
 */
int origin_generation(uint64_t began_ns, uint64_t *out);

/* How old an answer may be for open and execve: `fresh=SECONDS`, 0 by default. */
uint64_t origin_fresh_ns(void);

/* Reads `root=` and `fresh=`; boot, once. */
void origin_init(void);

#endif
