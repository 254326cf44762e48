/*
 * mm/space_access.c - writing into an address space from outside it, and reading.
 *
 * exec fills a space that no CPU has loaded; /proc reads those of others. A page is made writable by a fault
 * like any other, and the bytes go through the direct map while the pmap lock keeps the PTE as it is; if the
 * page went away between the two, it is faulted in again. What a device has there is told by that PTE alone.
 */
#include "kernel/string.h"
#include "kernel/trap.h"
#include "mm/space.h"

/* What is not counted and not the zero page is a device's, and may be no memory at all. */
static bool is_memory(struct pte pte)
{
	return !pte.special || pte.address == pmap_zero_page;
}

/* Within one page. NULL `from`: zeroes. -EAGAIN: the page is not there to be written; -EFAULT: it is no memory. */
static int write_present(struct space *space, vaddr_t to, const void *from, size_t length)
{
	struct pte pte;
	int error = 0;

	spin_lock(&space->pmap.lock);
	pte = pmap_get(&space->pmap, ALIGN_DOWN(to, PAGE_SIZE));
	if (!pte.present || !pte.writable) {
		error = -EAGAIN;
	} else if (!is_memory(pte)) {
		error = -EFAULT;
	} else {
		char *page = phys_to_virt(pte.address);

		if (from)
			memcpy(page + (to & PAGE_MASK), from, length);
		else
			memset(page + (to & PAGE_MASK), 0, length);
	}
	spin_unlock(&space->pmap.lock);
	return error;
}

static int space_fill(struct space *space, vaddr_t to, const char *from, size_t length)
{
	if (!user_range_ok(to, length))
		return -EFAULT;
	while (length > 0) {
		size_t part = MIN(length, (size_t)(PAGE_SIZE - (to & PAGE_MASK)));
		int error = write_present(space, to, from, part);

		while (error == -EAGAIN) {
			error = space_fault(space, to, FAULT_WRITE);
			if (error == 0)
				error = write_present(space, to, from, part);
		}
		if (error != 0)
			return error;
		to += part;
		length -= part;
		if (from)
			from += part;
	}
	return 0;
}

int space_write(struct space *space, vaddr_t to, const void *from, size_t length)
{
	return space_fill(space, to, from, length);
}

int space_zero(struct space *space, vaddr_t to, size_t length)
{
	return space_fill(space, to, NULL, length);
}

/* Within one page. As write_present(). */
static int read_present(struct space *space, vaddr_t from, void *to, size_t length)
{
	struct pte pte;
	int error = 0;

	spin_lock(&space->pmap.lock);
	pte = pmap_get(&space->pmap, ALIGN_DOWN(from, PAGE_SIZE));
	if (!pte.present)
		error = -EAGAIN;
	else if (!is_memory(pte))
		error = -EFAULT;
	else
		memcpy(to, (const char *)phys_to_virt(pte.address) + (from & PAGE_MASK), length);
	spin_unlock(&space->pmap.lock);
	return error;
}

int space_read(struct space *space, vaddr_t from, void *to, size_t length)
{
	char *out = to;

	if (!user_range_ok(from, length))
		return -EFAULT;
	while (length > 0) {
		size_t part = MIN(length, (size_t)(PAGE_SIZE - (from & PAGE_MASK)));
		int error = read_present(space, from, out, part);

		while (error == -EAGAIN) {
			error = space_fault(space, from, FAULT_READ);
			if (error == 0)
				error = read_present(space, from, out, part);
		}
		if (error != 0)
			return error;
		from += part;
		out += part;
		length -= part;
	}
	return 0;
}
