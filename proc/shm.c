/*
 * proc/shm.c - System V shared memory: shmget(2), shmat(2), shmdt(2), shmctl(2).
 *
 * A segment is shared anonymous memory with a number; attaching maps it. It stays when nobody has it
 * attached, until it is removed; removed while it is attached, it stays for those, and goes when the
 * last of them ends, execs or detaches (shm_sweep()).
 */
#include "fs/path.h"
#include "kernel/cred.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/frame.h"
#include "mm/object.h"
#include "mm/slab.h"
#include "mm/space.h"
#include "mm/user.h"
#include "proc/ipc.h"
#include "proc/process.h"
#include <linux/mman.h>
#include <linux/shm.h>

#define SEGMENTS_MAX 4096
/* Of all memory, all segments together have at most: */
#define SHARE_OF_MEMORY 2

/* shmctl(2), in a segment's mode; no UAPI header has these. */
#define SHM_DEST   01000u /* removed, and attached still */
#define SHM_LOCKED 02000u

/* How /proc/PID/maps shows one. */
#define SEGMENT_NAME "/SYSV%08x (deleted)"

struct segment {
	struct ipc_object ipc;
	uint64_t size;
	struct object *object; /* held */
	uint32_t creator, last_user;
	uint64_t attached_s, detached_s;
};

static struct ipc_table segments; /* its lock guards the rest, too */
static uint64_t pages_promised;   /* of all segments */
static _Atomic uint32_t doomed;   /* removed and still attached */

void shm_init(void)
{
	ipc_table_init(&segments, "shared memory", SEGMENTS_MAX);
}

static struct segment *segment_of(struct ipc_object *object)
{
	return container_of(object, struct segment, ipc);
}

static uint64_t pages_of(uint64_t size)
{
	return ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE;
}

static bool is_attached(struct object *object)
{
	bool attached;

	mutex_lock(&object->lock);
	attached = !LIST_EMPTY(&object->regions);
	mutex_unlock(&object->lock);
	return attached;
}

/* How often it is mapped. */
static uint64_t attachments(struct object *object)
{
	const struct region *region;
	uint64_t count = 0;

	mutex_lock(&object->lock);
	LIST_FOREACH (region, &object->regions, object_link)
		count++;
	mutex_unlock(&object->lock);
	return count;
}

/* --- making and removing ------------------------------------------------------------------------------ */

static struct segment *make_segment(uint64_t size)
{
	struct segment *segment = kzalloc(sizeof(*segment));

	if (!segment)
		return NULL;
	segment->object = object_create_anonymous(ALIGN_UP(size, PAGE_SIZE));
	if (!segment->object) {
		kfree(segment);
		return NULL;
	}
	segment->size = size;
	segment->creator = current_process()->pid;
	return segment;
}

static void free_segment(struct segment *segment)
{
	object_put(segment->object);
	kfree(segment);
}

/* Table locked: it is nobody's any more, and the caller frees it when the table is not. */
static void take_out(struct segment *segment)
{
	ipc_remove(&segments, &segment->ipc);
	pages_promised -= pages_of(segment->size);
	if (segment->ipc.mode & SHM_DEST)
		doomed--;
}

/* One that is doomed and not attached any more, taken out. */
static struct segment *next_to_go(void)
{
	struct ipc_object *object;

	mutex_lock(&segments.lock);
	LIST_FOREACH (object, &segments.objects, link) {
		if ((object->mode & SHM_DEST) && !is_attached(segment_of(object)->object)) {
			take_out(segment_of(object));
			break;
		}
	}
	mutex_unlock(&segments.lock);
	return object ? segment_of(object) : NULL;
}

void shm_sweep(void)
{
	struct segment *segment;

	while (doomed > 0 && (segment = next_to_go()))
		free_segment(segment);
}

SYSCALL3(shmget, int, key, uint64_t, size, int, flags)
{
	uint64_t limit = frame_total() / SHARE_OF_MEMORY;
	struct segment *fresh = NULL;
	struct ipc_object *found;
	int64_t result;

	shm_sweep();
	if (flags & SHM_HUGETLB)
		return -ENOMEM; /* no pages are set aside */
	if (size > 0 && size <= limit * PAGE_SIZE)
		fresh = make_segment(size);
	mutex_lock(&segments.lock);
	result = ipc_look(&segments, key, flags, &found);
	if (result == 0 && found) {
		result = size > segment_of(found)->size ? -EINVAL : found->id;
	} else if (result == 0 && !fresh) {
		result = size == 0 ? -EINVAL : size > limit * PAGE_SIZE ? -ENOSPC : -ENOMEM;
	} else if (result == 0 && pages_promised + pages_of(size) > limit) {
		result = -ENOSPC;
	} else if (result == 0) {
		ipc_add(&segments, &fresh->ipc, key, flags);
		pages_promised += pages_of(size);
		result = fresh->ipc.id;
		fresh = NULL;
	}
	mutex_unlock(&segments.lock);
	if (fresh)
		free_segment(fresh);
	return result;
}

/* --- attaching ------------------------------------------------------------------------------------------- */

/* What of it is to be mapped, with a reference to its object. */
static int look_up(int id, uint32_t wanted, struct map_request *request)
{
	struct ipc_object *object;
	char name[sizeof(SEGMENT_NAME)];
	int error = 0;

	mutex_lock(&segments.lock);
	object = ipc_find(&segments, id);
	if (!object)
		error = -EINVAL;
	else if (!ipc_may(object, wanted))
		error = -EACCES;
	if (error == 0) {
		request->object = segment_of(object)->object;
		request->length = segment_of(object)->size;
		object_get(request->object);
		(void)snprintf(name, sizeof(name), SEGMENT_NAME, (uint32_t)object->key);
	}
	mutex_unlock(&segments.lock);
	if (error != 0)
		return error;
	request->name = file_name_create(name, (uint64_t)id);
	if (!request->name) {
		object_put(request->object);
		return -ENOMEM;
	}
	return 0;
}

/* The caller has attached it, or detached it. */
static void note_use(const struct object *object, bool attached)
{
	struct ipc_object *at;

	mutex_lock(&segments.lock);
	LIST_FOREACH (at, &segments.objects, link) {
		struct segment *segment = segment_of(at);

		if (segment->object != object)
			continue;
		segment->last_user = current_process()->pid;
		if (attached)
			segment->attached_s = ipc_now_s();
		else
			segment->detached_s = ipc_now_s();
	}
	mutex_unlock(&segments.lock);
}

static int place(struct map_request *request, vaddr_t address, int flags)
{
	if (address == 0)
		return flags & SHM_REMAP ? -EINVAL : 0;
	if (!IS_ALIGNED(address, PAGE_SIZE)) {
		if (!(flags & SHM_RND))
			return -EINVAL;
		address = ALIGN_DOWN(address, PAGE_SIZE);
	}
	request->address = address;
	request->fixed = true;
	request->noreplace = !(flags & SHM_REMAP);
	return 0;
}

SYSCALL3(shmat, int, id, vaddr_t, address, int, flags)
{
	bool reads = flags & SHM_RDONLY;
	uint32_t wanted = (reads ? 0444 : 0666) | (flags & SHM_EXEC ? 0111 : 0);
	struct map_request request = {
		.prot = PROT_READ | (reads ? 0 : PROT_WRITE) | (flags & SHM_EXEC ? PROT_EXEC : 0),
		.flags = REGION_SHARED,
	};
	vaddr_t where;
	int error;

	request.max_prot = request.prot | PROT_EXEC;
	error = place(&request, address, flags);
	if (error == 0)
		error = look_up(id, wanted, &request);
	if (error != 0)
		return error;
	error = space_map(current->space, &request, &where);
	if (error == 0)
		note_use(request.object, true);
	file_name_put(request.name);
	object_put(request.object);
	/* Removed in between, and already gone but for us: it goes with us. */
	return error == -EEXIST ? -EINVAL : error != 0 ? error : (int64_t)where;
}

/* The next piece of what was attached at `start`, from `from` on; its object in `*object`, held. */
static bool next_piece(vaddr_t start, vaddr_t from, struct object **object, vaddr_t *begin,
		       vaddr_t *end)
{
	struct space *space = current->space;
	const struct region *region;
	bool found = false;

	rw_read_lock(&space->lock);
	region = *object ? space_find_above(space, from) : space_find(space, from);
	while (region && *object &&
	       (region->object != *object || region->start - start != region->offset))
		region = space_next((struct region *)region);
	if (region && region->object && (region->flags & REGION_SHARED) &&
	    region->start - start == region->offset) {
		if (!*object) {
			*object = region->object;
			object_get(*object);
		}
		*begin = region->start;
		*end = region->end;
		found = true;
	}
	rw_read_unlock(&space->lock);
	return found;
}

static bool is_segment(const struct object *object)
{
	const struct ipc_object *at;
	bool found = false;

	mutex_lock(&segments.lock);
	LIST_FOREACH (at, &segments.objects, link)
		found = found || container_of(at, struct segment, ipc)->object == object;
	mutex_unlock(&segments.lock);
	return found;
}

SYSCALL1(shmdt, vaddr_t, address)
{
	struct object *object = NULL;
	vaddr_t begin, end = address;
	int error = 0;

	if (!IS_ALIGNED(address, PAGE_SIZE) ||
	    !next_piece(address, address, &object, &begin, &end) || begin != address ||
	    !is_segment(object))
		error = -EINVAL;
	if (error == 0)
		error = space_unmap(current->space, begin, end - begin);
	/* What has been made several regions since, or lies behind a hole. */
	while (error == 0 && next_piece(address, end, &object, &begin, &end))
		error = space_unmap(current->space, begin, end - begin);
	if (error == 0)
		note_use(object, false);
	if (object)
		object_put(object);
	shm_sweep();
	return error;
}

/* --- shmctl(2) ------------------------------------------------------------------------------------------- */

static struct shmid64_ds describe(struct segment *segment)
{
	struct shmid64_ds out;

	memset(&out, 0, sizeof(out));
	out.shm_perm = ipc_describe(&segment->ipc);
	out.shm_segsz = segment->size;
	out.shm_atime = (int64_t)segment->attached_s;
	out.shm_dtime = (int64_t)segment->detached_s;
	out.shm_ctime = (int64_t)segment->ipc.changed_s;
	out.shm_cpid = (int)segment->creator;
	out.shm_lpid = (int)segment->last_user;
	out.shm_nattch = attachments(segment->object);
	return out;
}

/* The highest index that …_STAT takes. */
static int64_t highest_index(void)
{
	return MAX((int64_t)segments.count - 1, INT64_C(0));
}

static int64_t tell_limits(vaddr_t to)
{
	uint64_t pages = frame_total() / SHARE_OF_MEMORY;
	struct shminfo64 info = {
		.shmmax = pages * PAGE_SIZE,
		.shmmin = 1,
		.shmmni = SEGMENTS_MAX,
		.shmseg = SEGMENTS_MAX,
		.shmall = pages,
	};

	return put_user(to, info) != 0 ? -EFAULT : highest_index();
}

static int64_t tell_usage(vaddr_t to)
{
	struct ipc_object *object;
	struct shm_info info;

	memset(&info, 0, sizeof(info));
	mutex_lock(&segments.lock);
	info.used_ids = (int)segments.count;
	info.shm_tot = pages_promised;
	LIST_FOREACH (object, &segments.objects, link)
		info.shm_rss += segment_of(object)->object->pages;
	mutex_unlock(&segments.lock);
	return put_user(to, info) != 0 ? -EFAULT : highest_index();
}

/* SHM_STAT and SHM_STAT_ANY take an index, and answer with the number. */
static int64_t tell(int id, int command, vaddr_t to)
{
	struct ipc_object *object;
	struct shmid64_ds out;
	int64_t result;

	mutex_lock(&segments.lock);
	result = ipc_stat(&segments, id, command == IPC_STAT, command == SHM_STAT_ANY, &object);
	if (result >= 0)
		out = describe(segment_of(object));
	mutex_unlock(&segments.lock);
	return result >= 0 && put_user(to, out) != 0 ? -EFAULT : result;
}

static int64_t change(int id, int command, const struct shmid64_ds *to)
{
	struct ipc_object *object;
	int64_t result = 0;

	mutex_lock(&segments.lock);
	object = ipc_find(&segments, id);
	if (!object) {
		result = -EINVAL;
	} else if (!ipc_owns(object) &&
		   !((command == SHM_LOCK || command == SHM_UNLOCK) && capable(CAP_IPC_LOCK))) {
		result = -EPERM;
	} else if (command == IPC_SET) {
		result = ipc_set(object, &to->shm_perm);
	} else if (command == SHM_LOCK || command == SHM_UNLOCK) {
		/* Nothing is ever swapped. */
		object->mode = command == SHM_LOCK ? object->mode | SHM_LOCKED
						   : object->mode & ~(uint32_t)SHM_LOCKED;
	} else if (!(object->mode & SHM_DEST)) {
		object->mode |= SHM_DEST;
		object->key = IPC_PRIVATE;
		doomed++;
	}
	mutex_unlock(&segments.lock);
	shm_sweep();
	return result;
}

SYSCALL3(shmctl, int, id, int, command, vaddr_t, buffer)
{
	struct shmid64_ds to;

	if (id < 0 || command < 0)
		return -EINVAL;
	switch (command) {
	case IPC_INFO:
		return tell_limits(buffer);
	case SHM_INFO:
		return tell_usage(buffer);
	case IPC_STAT:
	case SHM_STAT:
	case SHM_STAT_ANY:
		return tell(id, command, buffer);
	case IPC_SET:
		if (get_user(&to, buffer) != 0)
			return -EFAULT;
		return change(id, command, &to);
	case IPC_RMID:
	case SHM_LOCK:
	case SHM_UNLOCK:
		return change(id, command, NULL);
	default:
		return -EINVAL;
	}
}
