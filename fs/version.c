/*
 * fs/version.c - the page cache: a file's content at one moment, as an object. See the header.
 *
 * Wire versions get their pages from fs/fill.c; local ones make them when they are written, and
 * have holes, which read as zeroes, where nobody has written.
 */
#include "fs/version.h"
#include "fs/fill.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "mm/frame.h"
#include "mm/slab.h"
#include "mm/user.h"
#include <linux/falloc.h>
#include <linux/fcntl.h>

/* The largest file: its pages' numbers and its size as loff_t are valid everywhere. */
#define VERSION_SIZE_MAX ((uint64_t)INT64_MAX - PAGE_MASK)

static int get_page(struct object *object, uint64_t index, struct frame **out);
static int punch(struct object *object, uint64_t start, uint64_t end);
static void release(struct object *object);

static const struct object_ops version_ops = {
	.name = "file",
	.get_page = get_page,
	.punch = punch,
	.release = release,
};

static struct version *create(struct origin *origin, uint64_t size)
{
	struct version *version = kzalloc(sizeof(*version));

	if (version == NULL)
		return NULL;
	object_init(&version->object, &version_ops, size);
	mutex_init(&version->writing, "writing", RANK_WRITE);
	waitq_init(&version->changed, "version");
	version->origin = origin;
	return version;
}

struct version *version_create_wire(struct origin *origin)
{
	struct version *version = create(origin, 0);

	if (version != NULL)
		origin_get(origin);
	return version;
}

struct version *version_create_local(uint64_t size)
{
	struct version *version = create(NULL, size);

	if (version == NULL)
		return NULL;
	atomic_store(&version->local, true);
	atomic_store(&version->size_known, true);
	atomic_store(&version->complete, true);
	return version;
}

static void release(struct object *object)
{
	struct version *version = container_of(object, struct version, object);

	fill_discard(version);
	origin_put(version->origin);
	kfree(version);
}

void version_get(struct version *version)
{
	object_get(&version->object);
}

void version_put(struct version *version)
{
	object_put(&version->object);
}

struct object *version_object(struct version *version)
{
	return &version->object;
}

static uint64_t current_size(struct version *version)
{
	mutex_lock(&version->object.lock);
	uint64_t size = version->object.size;
	mutex_unlock(&version->object.lock);
	return size;
}

int version_size(struct version *version, uint64_t *out)
{
	int error = 0;

	if (!atomic_load(&version->size_known))
		error = fill_require(version, UINT64_MAX);
	if (error == 0)
		*out = current_size(version);
	return error;
}

bool version_holds(const struct version *version, uint64_t end)
{
	return atomic_load(&version->local) || atomic_load(&version->complete) ||
	       atomic_load(&version->held) >= end;
}

int version_require(struct version *version, uint64_t end)
{
	if (atomic_load(&version->size_known))
		end = MIN(end, current_size(version));
	return fill_require(version, end);
}

static loff_t find(struct version *version, uint64_t offset, bool data)
{
	uint64_t size, page;
	int error = version_size(version, &size);

	if (error != 0)
		return error;
	if (offset >= size)
		return -ENXIO;
	/* All of what is on the server is data. */
	if (!atomic_load(&version->local))
		return (loff_t)(data ? offset : size);
	page = object_find(&version->object, offset >> PAGE_SHIFT, data);
	if (page >= DIV_ROUND_UP(size, PAGE_SIZE))
		return data ? -ENXIO : (loff_t)size;
	return (loff_t)MAX(offset, page << PAGE_SHIFT);
}

loff_t version_find_data(struct version *version, uint64_t offset)
{
	return find(version, offset, true);
}

loff_t version_find_hole(struct version *version, uint64_t offset)
{
	return find(version, offset, false);
}

void version_settle(struct version *version)
{
	fill_settle(version);
}

/* --- pages -------------------------------------------------------------------------------------- */

int version_add_page(struct version *version, uint64_t index, struct frame **out)
{
	const struct object_quota *quota = version->object.quota;
	struct frame *frame = NULL;
	int error;

	if (quota != NULL && quota->limit != 0 && quota->pages >= quota->limit)
		return -ENOSPC;
	if (fill_has_room())
		frame = fill_frame(FRAME_ZERO);
	if (frame == NULL)
		return -ENOMEM;
	frame_get(frame); /* one for the slot, one for the caller */
	error = object_insert(&version->object, index, frame);
	if (error != 0) {
		frame_put(frame);
		frame_put(frame);
		return error;
	}
	*out = frame;
	return 0;
}

/* The page for writing, or for a mapping: holes are filled. */
static int solid_page(struct version *version, uint64_t index, struct frame **out)
{
	int error;

	do {
		*out = object_lookup(&version->object, index);
		error = *out != NULL ? 0 : version_add_page(version, index, out);
	} while (error == -EEXIST);
	return error;
}

static int get_page(struct object *object, uint64_t index, struct frame **out)
{
	struct version *version = container_of(object, struct version, object);
	uint64_t offset;
	int error;

	if (__builtin_mul_overflow(index, PAGE_SIZE, &offset) || offset > VERSION_SIZE_MAX)
		return -EFAULT;
	error = version_require(version, offset + PAGE_SIZE);
	if (error == 0 && offset >= current_size(version))
		return -EFAULT;
	if (error == 0)
		error = solid_page(version, index, out);
	/* A full file system is no lack of memory: nobody is ended for it, but whoever fills the hole. */
	if (error == -ENOMEM && atomic_load(&version->local))
		error = -EIO;
	return error == 0 || error == -ENOMEM || error == -EINTR ? error : -EIO;
}

/* --- reading and writing -------------------------------------------------------------------------- */

/* Moves bytes between a page and someone's memory. 0 or an error. */
struct mover {
	int (*move)(const struct mover *mover, void *page, size_t done, size_t length);
	void *kernel;
	vaddr_t user;
};

static int to_kernel(const struct mover *mover, void *page, size_t done, size_t length)
{
	memcpy((char *)mover->kernel + done, page, length);
	return 0;
}

static int to_user(const struct mover *mover, void *page, size_t done, size_t length)
{
	return copy_to_user(mover->user + done, page, length);
}

/* Zeroes for holes. */
static const uint8_t zeroes[PAGE_SIZE] __aligned(64);

static ssize_t read_pages(struct version *version, uint64_t offset, size_t length,
			  const struct mover *mover)
{
	size_t done = 0;
	int error = 0;

	if (offset > VERSION_SIZE_MAX)
		return 0;
	length = MIN(length, VERSION_SIZE_MAX - offset);
	while (done < length) {
		uint64_t at = offset + done;
		size_t in_page = at & PAGE_MASK;
		uint64_t size;

		/* Page by page, so that what has come is not kept back by what has not. */
		error = version_require(version, ALIGN_DOWN(at, PAGE_SIZE) + PAGE_SIZE);
		size = current_size(version);
		if (error != 0 || at >= size)
			break;

		struct frame *frame = object_lookup(&version->object, at >> PAGE_SHIFT);
		const uint8_t *page = frame != NULL ? frame_data(frame) : zeroes;
		size_t part = MIN(PAGE_SIZE - in_page, length - done);

		part = MIN(part, size - at);
		error = mover->move(mover, (uint8_t *)page + in_page, done, part);
		if (frame != NULL)
			frame_put(frame);
		if (error != 0)
			break;
		done += part;
		if (sched_needs_resched())
			sched_yield();
	}
	return done > 0 ? (ssize_t)done : error;
}

ssize_t version_read(struct version *version, uint64_t offset, void *out, size_t length)
{
	struct mover mover = { .move = to_kernel, .kernel = out };
	ssize_t done = read_pages(version, offset, length, &mover);
	int error;

	/* The header promises short only at the end. */
	if (done >= 0 && (size_t)done < length) {
		error = version_require(version, MIN(offset, VERSION_SIZE_MAX) +
							 MIN(length, VERSION_SIZE_MAX));
		if (error != 0)
			return error;
	}
	return done;
}

ssize_t version_read_user(struct version *version, uint64_t offset, vaddr_t to, size_t length)
{
	struct mover mover = { .move = to_user, .user = to };

	return read_pages(version, offset, length, &mover);
}

/* Makes the file at least `size` bytes long. */
static void grow(struct version *version, uint64_t size)
{
	mutex_lock(&version->object.lock);
	if (version->object.size < size)
		version->object.size = size;
	mutex_unlock(&version->object.lock);
}

/* -EPERM if a seal forbids to write [offset, end); the caller is the one who writes. */
static int check_seals(struct version *version, uint64_t end)
{
	if (version->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -EPERM;
	return (version->seals & F_SEAL_GROW) && end > current_size(version) ? -EPERM : 0;
}

/* What a copy that failed half-way left behind the end must not show when the file grows. */
static void clear_beyond_end(struct version *version, struct frame *frame, uint64_t index)
{
	uint64_t size = current_size(version);
	uint64_t start = index << PAGE_SHIFT;
	size_t keep = size > start ? MIN(size - start, PAGE_SIZE) : 0;

	memset((uint8_t *)frame_data(frame) + keep, 0, PAGE_SIZE - keep);
}

/* Up to `limit`; the caller is the one who writes. */
static ssize_t write_pages(struct version *version, uint64_t offset, vaddr_t from, size_t length,
			   uint64_t limit)
{
	size_t done = 0;
	int error;

	assert(atomic_load(&version->local));
	limit = MIN(limit, VERSION_SIZE_MAX);
	if (offset >= limit)
		return -EFBIG;
	length = MIN(length, limit - offset);
	error = check_seals(version, offset + length);
	if (error != 0)
		return error;
	if (atomic_load(&version->was_mapped))
		object_resize(&version->object, current_size(version));
	while (done < length) {
		uint64_t at = offset + done;
		size_t in_page = at & PAGE_MASK;
		size_t part = MIN(PAGE_SIZE - in_page, length - done);
		struct frame *frame;

		error = solid_page(version, at >> PAGE_SHIFT, &frame);
		if (error == -ENOMEM)
			error = -ENOSPC;
		if (error != 0)
			break;
		error = copy_from_user((uint8_t *)frame_data(frame) + in_page, from + done, part);
		if (error != 0)
			clear_beyond_end(version, frame, at >> PAGE_SHIFT);
		frame_put(frame);
		if (error != 0)
			break;
		done += part;
		grow(version, offset + done);
		if (sched_needs_resched())
			sched_yield();
	}
	return done > 0 ? (ssize_t)done : error;
}

ssize_t version_write_user(struct version *version, uint64_t offset, vaddr_t from, size_t length,
			   uint64_t limit)
{
	ssize_t done = mutex_lock_killable(&version->writing);

	if (done != 0)
		return done;
	done = write_pages(version, offset, from, length, limit);
	mutex_unlock(&version->writing);
	return done;
}

ssize_t version_append_user(struct version *version, const struct iovec *vectors, unsigned count,
			    uint64_t limit, uint64_t *offset)
{
	ssize_t done = mutex_lock_killable(&version->writing), part = 0;

	if (done != 0)
		return done;
	*offset = current_size(version);
	for (unsigned i = 0; i < count; i++) {
		size_t length = vectors[i].iov_len;

		if (length > 0)
			part = write_pages(version, *offset + (uint64_t)done,
					   (vaddr_t)vectors[i].iov_base, length, limit);
		if (length > 0 && part > 0)
			done += part;
		if (part < (ssize_t)length)
			break;
	}
	mutex_unlock(&version->writing);
	return done > 0 ? done : part;
}

/* -EPERM if a seal forbids the size; the caller is the one who writes. */
static int check_resize(struct version *version, uint64_t size)
{
	uint64_t old = current_size(version);

	if (size < old && (version->seals & F_SEAL_SHRINK))
		return -EPERM;
	return size > old && (version->seals & F_SEAL_GROW) ? -EPERM : 0;
}

int version_resize(struct version *version, uint64_t size)
{
	int error;

	assert(atomic_load(&version->local));
	if (size > VERSION_SIZE_MAX)
		return -EFBIG;
	error = mutex_lock_killable(&version->writing);
	if (error != 0)
		return error;
	error = check_resize(version, size);
	if (error == 0)
		object_resize(&version->object, size);
	mutex_unlock(&version->writing);
	return error;
}

/* Fills the holes of [offset, end); the caller is the one who writes. */
static int fill_holes(struct version *version, uint64_t offset, uint64_t end)
{
	uint64_t first = offset >> PAGE_SHIFT, last = DIV_ROUND_UP(end, PAGE_SIZE);
	struct frame *frame;
	int error = 0;

	/* Asked first, so that a file system that is full is not filled for nothing. */
	if (!fill_has_room_for(object_missing(&version->object, first, last)))
		return -ENOSPC;
	for (uint64_t index = first; index < last && error == 0; index++) {
		error = current->kill_pending ? -EINTR : solid_page(version, index, &frame);
		if (error == 0)
			frame_put(frame);
		if (sched_needs_resched())
			sched_yield();
	}
	return error == -ENOMEM ? -ENOSPC : error;
}

static int allocate(struct version *version, int mode, uint64_t offset, uint64_t end,
		    uint64_t limit)
{
	bool grows = !(mode & FALLOC_FL_KEEP_SIZE) && end > current_size(version);
	bool writes = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
	int error = 0;

	if (grows && end > limit)
		return -EFBIG;
	/* As on Linux: room that is only set aside changes nothing that F_SEAL_WRITE protects. */
	if ((grows && (version->seals & F_SEAL_GROW)) ||
	    (writes && (version->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))))
		return -EPERM;
	if (!(mode & FALLOC_FL_PUNCH_HOLE))
		error = fill_holes(version, offset, end);
	if (error == 0 && (mode & FALLOC_FL_PUNCH_HOLE))
		object_punch(&version->object, offset, end);
	if (error == 0 && (mode & FALLOC_FL_ZERO_RANGE))
		object_zero(&version->object, offset, end);
	if (error == 0 && grows)
		object_resize(&version->object, end);
	return error;
}

int version_allocate(struct version *version, int mode, uint64_t offset, uint64_t length,
		     uint64_t limit)
{
	uint64_t end;
	int error;

	assert(atomic_load(&version->local));
	if (__builtin_add_overflow(offset, length, &end) || end > VERSION_SIZE_MAX)
		return -EFBIG;
	error = mutex_lock_killable(&version->writing);
	if (error != 0)
		return error;
	error = allocate(version, mode, offset, end, limit);
	mutex_unlock(&version->writing);
	return error;
}

/* What a mapping may write is local. */
static int punch(struct object *object, uint64_t start, uint64_t end)
{
	struct version *version = container_of(object, struct version, object);

	return version_allocate(version, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start,
				end - start, UINT64_MAX);
}

/* --- who writes and who runs ------------------------------------------------------------------------ */

/* Adds `step` unless the count has the other sign: writers above zero, executions below. */
static int claim(struct version *version, int32_t step)
{
	int32_t count = atomic_load(&version->writers);

	do {
		if (count != 0 && (count > 0) != (step > 0))
			return -ETXTBSY;
	} while (!atomic_compare_exchange_weak(&version->writers, &count, count + step));
	return 0;
}

static bool is_mapped_writable(struct version *version)
{
	mutex_lock(&version->object.lock);
	bool mapped = version->object.writable > 0;
	mutex_unlock(&version->object.lock);
	return mapped;
}

/* Nobody can map it writable any more once the claim is made: that takes an open file. */
int version_deny_write(struct version *version)
{
	int error = claim(version, -1);

	if (error == 0 && !version->anonymous && is_mapped_writable(version)) {
		version_allow_write(version);
		error = -ETXTBSY;
	}
	return error;
}

void version_allow_write(struct version *version)
{
	int32_t before = atomic_fetch_add(&version->writers, 1);

	assert(before < 0);
}

int version_begin_write(struct version *version)
{
	return claim(version, 1);
}

void version_end_write(struct version *version)
{
	int32_t before = atomic_fetch_sub(&version->writers, 1);

	assert(before > 0);
}

/* --- mappings that write, and seals ------------------------------------------------------------------ */

int version_claim_mapping(struct version *version)
{
	int error = 0;

	mutex_lock(&version->object.lock);
	if (version->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		error = -EPERM;
	else
		version->object.writable++;
	mutex_unlock(&version->object.lock);
	atomic_store(&version->was_mapped, true);
	return error;
}

int version_seal(struct version *version, uint32_t seals)
{
	int error = mutex_lock_killable(&version->writing);

	if (error != 0)
		return error;
	mutex_lock(&version->object.lock);
	if (version->seals & F_SEAL_SEAL)
		error = -EPERM;
	else if ((seals & F_SEAL_WRITE) && !(version->seals & F_SEAL_WRITE) &&
		 version->object.writable > 0)
		error = -EBUSY;
	else
		version->seals |= seals;
	mutex_unlock(&version->object.lock);
	mutex_unlock(&version->writing);
	return error;
}

uint32_t version_seals(struct version *version)
{
	mutex_lock(&version->object.lock);
	uint32_t seals = version->seals;
	mutex_unlock(&version->object.lock);
	return seals;
}
