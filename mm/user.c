/*
 * mm/user.c - user copies: ranges are checked here, pages by the fault path.
 *
 * A range in the user half is all that is asked for before the copy: whether pages are there, and
 * may be written, only the page table and the regions can say, at the moment of the access. The
 * instructions that access are in mm/x86_64/user_copy.S, and kernel/trap.c knows them.
 */
#include "mm/user.h"

#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/x86_64/cpu.h"

/* mm/x86_64/user_copy.S */
size_t user_copy(void *to, const void *from, size_t length);
size_t user_zero(void *to, size_t length);
ssize_t user_copy_string(char *to, const char *from, size_t size);
bool user_touch(const void *at);
bool user_touch_write(void *at);
bool user_exchange(uint32_t *at, uint32_t *seen, uint32_t wanted);
bool user_fxsave(void *to);
bool user_xsave(void *to, uint64_t components);

/*
 * Why a faulting access has failed: a thread that is being killed waits for no page, and there may be no
 * memory for one.
 */
static int failure(void)
{
	bool starved = current->starved;

	current->starved = false;
	return current->kill_pending ? -EINTR : starved ? -ENOMEM : -EFAULT;
}

void user_window_open(void *memory, size_t length)
{
	assert(current->window == 0);
	current->window = (vaddr_t)memory;
	current->window_length = length;
}

void user_window_close(void)
{
	current->window = 0;
}

/* The range is not the user's: NULL, or the thread's window. */
static void *in_window(vaddr_t start, size_t length)
{
	const struct thread *self = current;

	if (likely(self->window == 0) || start < self->window ||
	    start - self->window > self->window_length ||
	    length > self->window_length - (start - self->window))
		return NULL;
	return (void *)start;
}

int copy_from_user(void *to, vaddr_t from, size_t length)
{
	if (unlikely(!user_range_ok(from, length))) {
		if (in_window(from, length) == NULL)
			return -EFAULT;
		memcpy(to, (const void *)from, length);
		return 0;
	}
	return likely(user_copy(to, (const void *)from, length) == 0) ? 0 : failure();
}

int copy_to_user(vaddr_t to, const void *from, size_t length)
{
	if (unlikely(!user_range_ok(to, length))) {
		if (in_window(to, length) == NULL)
			return -EFAULT;
		memcpy((void *)to, from, length);
		return 0;
	}
	return likely(user_copy((void *)to, from, length) == 0) ? 0 : failure();
}

int zero_user(vaddr_t to, size_t length)
{
	if (unlikely(!user_range_ok(to, length))) {
		if (in_window(to, length) == NULL)
			return -EFAULT;
		memset((void *)to, 0, length);
		return 0;
	}
	return likely(user_zero((void *)to, length) == 0) ? 0 : failure();
}

ssize_t copy_string_from_user(char *to, vaddr_t from, size_t size)
{
	size_t room;
	ssize_t length;

	if (!user_range_ok(from, 0))
		return -EFAULT;
	room = MIN(size, USER_MAX - from);
	length = user_copy_string(to, (const char *)from, room);
	if (length < 0)
		return failure();
	if ((size_t)length < room)
		return length;
	return room < size ? -EFAULT : -ENAMETOOLONG;
}

size_t copy_from_user_nofault(void *to, vaddr_t from, size_t length)
{
	size_t left;

	if (unlikely(!user_range_ok(from, length)))
		return copy_from_user(to, from, length) == 0 ? length : 0;
	current->nofault++;
	left = user_copy(to, (const void *)from, length);
	current->nofault--;
	return length - left;
}

size_t copy_to_user_nofault(vaddr_t to, const void *from, size_t length)
{
	size_t left;

	if (unlikely(!user_range_ok(to, length)))
		return copy_to_user(to, from, length) == 0 ? length : 0;
	current->nofault++;
	left = user_copy((void *)to, from, length);
	current->nofault--;
	return length - left;
}

bool user_exchange_nofault(vaddr_t address, uint32_t *seen, uint32_t wanted)
{
	bool done;

	if (!user_range_ok(address, sizeof(uint32_t)))
		return false;
	current->nofault++;
	done = user_exchange((uint32_t *)address, seen, wanted);
	current->nofault--;
	return done;
}

int save_fpu_to_user(vaddr_t to)
{
	bool done;

	if (!user_range_ok(to, fpu_area_size()))
		return -EFAULT;
	if (cpu_features.xsave)
		done = user_xsave((void *)to, cpu_features.xsave_mask);
	else
		done = user_fxsave((void *)to);
	return done ? 0 : failure();
}

int user_fault_in(vaddr_t start, size_t length, bool write)
{
	vaddr_t end = start + length;

	if (unlikely(!user_range_ok(start, length)))
		return in_window(start, length) != NULL ? 0 : -EFAULT;
	for (vaddr_t at = start; at < end; at = ALIGN_DOWN(at, PAGE_SIZE) + PAGE_SIZE) {
		if (!(write ? user_touch_write((void *)at) : user_touch((const void *)at)))
			return failure();
	}
	return 0;
}
