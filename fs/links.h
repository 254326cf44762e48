/*
 * fs/links.h - the served tree's symbolic links, which TFTP cannot tell from files.
 *
 * A TFTP server follows the links in its tree, so a program with three hundred names would come over
 * the wire three hundred times. The file `.hawser/links` names them instead, each line a target and the
 * links that lead to it, below the root:
 *
 *	/bin/busybox bin/cat bin/ls usr/bin/vi
 *	/bin/bash usr/bin/bash
 *
 * They become symbolic links in RAM, wherever nothing else has the name. Only a tree with a stamp is
 * asked for the list, once for each generation (fs/origin.h).
 */
#ifndef HAWSER_FS_LINKS_H
#define HAWSER_FS_LINKS_H

#include "kernel/base.h"

struct inode;

/* True of an inode, or NULL, that is a link from a list. root_lock is held. */
bool links_has(const struct inode *inode);

/*
 * Makes the links those of the stamp's generation, which was asked for no earlier than `since_ns`.
 * What goes wrong with the list is logged, and the links stay as they are. Sleeps; takes root_lock.
 * 0 or -EINTR.
 */
int links_refresh(uint64_t since_ns);

#endif
