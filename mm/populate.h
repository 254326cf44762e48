/*
 * mm/populate.h - bringing pages in before they are touched; inside mm/ only.
 */
#ifndef HAWSER_MM_POPULATE_H
#define HAWSER_MM_POPULATE_H

#include "mm/space.h"

enum populate {
	POPULATE_OWN,   /* written where a region is private and writable, otherwise read */
	POPULATE_READ,  /* as a load would */
	POPULATE_WRITE, /* as a store would */
};

/*
 * Faults the pages of [start, end) in, one by one; those before an error stay. POPULATE_OWN passes by
 * devices, and memory that is locked as it is touched. -ENOENT: a hole; -EACCES: a region without
 * the right, or a device; otherwise as space_fault(). No lock held; sleeps.
 */
int populate(struct space *space, vaddr_t start, vaddr_t end, enum populate how);

#endif
