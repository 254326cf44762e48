/*
 * fs/fill.c - how a version's pages come off the wire. See the header.
 *
 * Roles, not locks, protect a running fill: whoever is `driver` owns version->fill and is alone in
 * raising `held`. The role changes hands under the object's lock, which is never held while waiting
 * for the wire.
 */
#include "fs/fill.h"
#include "kernel/clock.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "mm/frame.h"
#include "mm/slab.h"
#include "net/tftp.h"

/* The largest window, in pages, begun anywhere in one. */
#define FILL_WINDOW      (DIV_ROUND_UP(TFTP_REACH_MAX, PAGE_SIZE) + 1)
#define FILL_AHEAD       64 /* pages in the transfer's hands when memory is there */
#define FILL_BATCH       16 /* pages that are harvested at a time */
#define FILL_PARKED_MAX  4  /* of TFTP_TRANSFERS_MAX */
#define FILL_PARKED_NS   NSEC_PER_SEC
#define FILL_SETTLE_REST (64 * KIB) /* less than this is not worth an abort */

_Static_assert(FILL_WINDOW + FILL_BATCH <= FILL_AHEAD, "a window is supplied after each harvest");
_Static_assert(FILL_AHEAD <= TFTP_SUPPLY_MAX, "the transfer takes what we supply");

struct fill {
	struct tftp_transfer *transfer;
	uint64_t first, supplied;         /* pages [first, supplied) are the transfer's */
	bool done;                        /* the last page has been taken */
	struct frame *frames[FILL_AHEAD]; /* page i in slot i % FILL_AHEAD */
};

static struct {
	struct spinlock lock;           /* RANK_DEVICE */
	TAILQ_HEAD(, version) versions; /* oldest first; lock */
	unsigned count;                 /* lock */
} parked = {
	.lock = SPINLOCK_INIT("parked fills", RANK_DEVICE),
	.versions = TAILQ_HEAD_INITIALIZER(parked.versions),
};

/* --- a transfer and its frames --------------------------------------------------------------- */

static void fill_close(struct version *version)
{
	struct fill *fill = version->fill;

	version->fill = NULL;
	tftp_close(fill->transfer);
	for (; fill->first < fill->supplied; fill->first++)
		frame_put(fill->frames[fill->first % FILL_AHEAD]);
	kfree(fill);
}

/* The size that this transfer announced, or UINT64_MAX. */
static uint64_t announced_size(const struct fill *fill)
{
	int64_t size = tftp_size(fill->transfer);

	return size >= 0 ? (uint64_t)size : UINT64_MAX;
}

static void set_size(struct version *version, uint64_t size)
{
	mutex_lock(&version->object.lock);
	version->object.size = size;
	mutex_unlock(&version->object.lock);
	atomic_store(&version->size_known, true);
}

static uint64_t get_size(struct version *version)
{
	mutex_lock(&version->object.lock);
	uint64_t size = version->object.size;
	mutex_unlock(&version->object.lock);
	return size;
}

/* Starts a transfer; the driver. `fresh_ns` is when, for who can use it. */
static int fill_open(struct version *version, uint64_t *opened_ns, uint64_t *generation)
{
	struct fill *fill = kzalloc(sizeof(*fill));
	int error;

	if (fill == NULL)
		return -ENOMEM;
	/* Asked for once in the machine's life: the stamp must be older than what it vouches for. */
	error = origin_generation(1, generation);
	if (error != 0)
		goto fail;
	*opened_ns = clock_ns();
	error = origin_open(version->origin, &fill->transfer);
	if (error != 0)
		goto fail;
	version->fill = fill;
	return 0;
fail:
	kfree(fill);
	return error;
}

struct frame *fill_frame(unsigned flags)
{
	struct frame *frame = frame_alloc(FRAME_OBJECT, 0, flags);

	if (frame == NULL && frame_reclaim(FILL_WINDOW) > 0)
		frame = frame_alloc(FRAME_OBJECT, 0, flags);
	return frame;
}

static int supply(struct fill *fill, struct frame *frame)
{
	int error = tftp_supply(fill->transfer, frame_data(frame));

	if (error == 0)
		fill->frames[fill->supplied++ % FILL_AHEAD] = frame;
	return error;
}

/*
 * As many frames as are useful, and at first no more than it takes: whoever reads a line of a large
 * file should not fetch all of it. Beyond `goal` there is room for one window and no more, so that
 * this is the most that comes too much. -ENOMEM if they are too few for a window.
 */
static int supply_ahead(struct fill *fill, uint64_t goal)
{
	uint64_t goal_pages = goal / PAGE_SIZE + 1;
	uint64_t left = goal_pages > fill->first ? goal_pages - fill->first : 0;
	uint64_t useful = FILL_WINDOW + (left < fill->first ? left : fill->first);
	uint64_t ahead = MIN((uint64_t)FILL_AHEAD, useful);
	uint64_t pages =
		MAX(DIV_ROUND_UP(MIN(announced_size(fill), UINT64_MAX - PAGE_SIZE), PAGE_SIZE),
		    UINT64_C(1));
	uint64_t wanted = MIN(pages, fill->first + ahead);

	while (fill->supplied < wanted) {
		bool needed = fill->supplied < MIN(pages, fill->first + FILL_WINDOW);
		struct frame *frame = NULL;
		int error = -ENOMEM;

		/* What is needed may eat into the reserve, when nothing can be had back. */
		if (fill_has_room() || needed)
			frame = fill_frame(0);
		if (frame != NULL) {
			error = supply(fill, frame);
			if (error != 0)
				frame_put(frame);
		}
		if (error != 0)
			return needed ? error : 0;
	}
	return 0;
}

/* --- pages that have come -------------------------------------------------------------------- */

static _Atomic uint64_t pages_taken;

uint64_t fill_pages(void)
{
	return pages_taken;
}

/*
 * Takes over the page `first`: compares it with the one that is held, or puts it into the object.
 * The frame is the transfer's no more. -ESTALE leaves it where it is, to be stored elsewhere.
 */
static int take_page(struct version *version, struct fill *fill)
{
	uint64_t index = fill->first;
	struct frame *frame = fill->frames[index % FILL_AHEAD];
	struct frame *old;
	bool same;
	int error;

	pages_taken++;
	if (index >= DIV_ROUND_UP(atomic_load(&version->held), PAGE_SIZE)) {
		if (atomic_load(&version->complete))
			return -ESTALE;
		error = object_insert(&version->object, index, frame);
		if (error == -ENOMEM && frame_reclaim(FILL_BATCH) > 0)
			error = object_insert(&version->object, index, frame);
		if (error != 0)
			return error;
		fill->first++;
		return 0;
	}
	old = object_lookup(&version->object, index);
	assert(old != NULL);
	same = memcmp(frame_data(old), frame_data(frame), PAGE_SIZE) == 0;
	frame_put(old);
	if (!same)
		return -ESTALE;
	fill->first++;
	frame_put(frame);
	return 0;
}

/* The last block has come: the size is certain. */
static int finish(struct version *version, uint64_t received)
{
	if (atomic_load(&version->size_known) && get_size(version) != received)
		return -ESTALE;
	set_size(version, received);
	atomic_store(&version->held, received);
	atomic_store(&version->complete, true);
	return 0;
}

/*
 * What the transfer has received of [0, goal) in full pages, or everything if it has come to its end.
 * What is beyond the goal is left to the next turn, if there is one: whoever compares a prefix does
 * not make it longer.
 */
static int harvest(struct version *version, uint64_t goal)
{
	struct fill *fill = version->fill;
	bool complete = tftp_complete(fill->transfer);
	uint64_t received = tftp_received(fill->transfer);
	uint64_t end =
		complete ? DIV_ROUND_UP(received, PAGE_SIZE)
			 : MIN(received / PAGE_SIZE, goal / PAGE_SIZE + (goal % PAGE_SIZE != 0));
	size_t tail = received % PAGE_SIZE;
	int error = 0;

	if (complete && tail != 0 && end > fill->first) {
		char *last = frame_data(fill->frames[(end - 1) % FILL_AHEAD]);
		memset(last + tail, 0, PAGE_SIZE - tail);
	}
	while (fill->first < end && error == 0)
		error = take_page(version, fill);
	if (!atomic_load(&version->complete)) {
		uint64_t held =
			MAX(atomic_load(&version->held), MIN(fill->first * PAGE_SIZE, received));
		if (!atomic_load(&version->size_known)) {
			mutex_lock(&version->object.lock);
			version->object.size = held;
			mutex_unlock(&version->object.lock);
		}
		atomic_store(&version->held, ALIGN_DOWN(held, PAGE_SIZE));
	}
	if (complete && error == 0) {
		fill->done = true;
		error = finish(version, received);
	}
	waitq_wake_all(&version->changed);
	return error;
}

/*
 * One turn of driving: supplies, waits until something of [0, goal) beyond `first` has come, takes
 * it. -ESTALE: not the file that is held.
 */
static int turn(struct version *version, uint64_t goal)
{
	struct fill *fill = version->fill;
	uint64_t until = ALIGN_UP(MIN(goal, (fill->first + FILL_BATCH) * PAGE_SIZE), PAGE_SIZE);
	uint64_t size = announced_size(fill);
	int error, wait_error;

	error = supply_ahead(fill, goal);
	if (error != 0)
		return error;
	/* The end takes one block more than its last byte, if that block was a full one. */
	if (size != UINT64_MAX && until >= size)
		until = size + 1;
	wait_error = tftp_wait(fill->transfer, until);
	/* An announced size and then nothing is how a server speaks of a directory. */
	if (wait_error == -ENODATA)
		return size != UINT64_MAX && size > 0 ? -EISDIR : -EIO;
	error = harvest(version, goal);
	return error != 0 ? error : wait_error;
}

/* Makes the sizes agree. -ESTALE if they do not. */
static int agree_on_size(struct version *version)
{
	uint64_t size = announced_size(version->fill);

	if (size == UINT64_MAX)
		return 0;
	if (atomic_load(&version->size_known))
		return get_size(version) == size ? 0 : -ESTALE;
	if (size < atomic_load(&version->held))
		return -ESTALE;
	set_size(version, size);
	return 0;
}

/* --- the driver's role ------------------------------------------------------------------------ */

static void unpark(struct version *version)
{
	spin_lock(&parked.lock);
	if (version->parked) {
		TAILQ_REMOVE(&parked.versions, version, parked_link);
		parked.count--;
		version->parked = false;
	}
	spin_unlock(&parked.lock);
}

static bool try_drive(struct version *version)
{
	mutex_lock(&version->object.lock);
	bool mine = version->driver == NULL;
	if (mine)
		atomic_store(&version->driver, current);
	mutex_unlock(&version->object.lock);
	if (!mine)
		return false;

	unpark(version);
	if (version->fill != NULL && clock_ns() - version->parked_ns > FILL_PARKED_NS)
		fill_close(version);
	return true;
}

/* Takes the oldest parked version off the list, with a reference; NULL if not too many are. */
static struct version *parked_surplus(void)
{
	struct version *version = NULL;

	spin_lock(&parked.lock);
	if (parked.count > FILL_PARKED_MAX) {
		version = TAILQ_FIRST(&parked.versions);
		TAILQ_REMOVE(&parked.versions, version, parked_link);
		parked.count--;
		version->parked = false;
		/* One that is being freed waits for this lock in fill_discard(): leave it to that. */
		uint32_t refs = atomic_load(&version->object.refs);
		while (refs > 0 &&
		       !atomic_compare_exchange_weak(&version->object.refs, &refs, refs + 1))
			;
		if (refs == 0)
			version = NULL;
	}
	spin_unlock(&parked.lock);
	return version;
}

/*
 * Parks what is left of the fill and leaves the role, in one: who finds the version on the list can
 * take the role.
 */
static void hand_over(struct version *version)
{
	mutex_lock(&version->object.lock);
	if (version->fill != NULL) {
		spin_lock(&parked.lock);
		TAILQ_INSERT_TAIL(&parked.versions, version, parked_link);
		parked.count++;
		version->parked = true;
		version->parked_ns = clock_ns();
		spin_unlock(&parked.lock);
	}
	atomic_store(&version->driver, NULL);
	mutex_unlock(&version->object.lock);
	waitq_wake_all(&version->changed);
}

/* Leaves the role. An error other than -EINTR ends the transfer and fails those who wait. */
static void stop_driving(struct version *version, int error)
{
	struct version *surplus;
	bool failed = error != 0 && error != -EINTR;

	if (version->fill != NULL && (failed || atomic_load(&version->complete)))
		fill_close(version);
	if (failed) {
		atomic_store(&version->error, error);
		atomic_fetch_add(&version->failures, 1);
	}
	hand_over(version);

	surplus = parked_surplus();
	if (surplus != NULL) {
		fill_stop(surplus);
		version_put(surplus);
	}
}

/* Waits for the driver to leave and becomes it. 0 or -EINTR. */
static int drive(struct version *version)
{
	int error = 0;

	while (error == 0 && !try_drive(version))
		error = wait_event_killable(&version->changed,
					    atomic_load(&version->driver) == NULL);
	return error;
}

/* --- what others want --------------------------------------------------------------------------- */

static bool present(struct version *version, uint64_t end)
{
	return atomic_load(&version->complete) || atomic_load(&version->held) >= end;
}

/* Streams until [0, end) is held; the driver. */
static int stream(struct version *version, uint64_t end)
{
	uint64_t opened_ns, generation;
	int error;

	if (present(version, end))
		return 0;
	if (version->fill == NULL) {
		uint64_t held = atomic_load(&version->held);

		error = fill_open(version, &opened_ns, &generation);
		if (error == 0)
			error = agree_on_size(version);
		if (error != 0)
			return error;
		if (held == 0) {
			atomic_store(&version->generation, generation);
			atomic_store(&version->fresh_ns, opened_ns);
		}
		/* What is held comes over the wire again: make that worth it. */
		end = MAX(end, 2 * held);
	}
	for (error = 0; error == 0 && !present(version, end);)
		error = turn(version, end);
	return error;
}

/*
 * Whether the server has another file now, or none, or none that is to be had, where a beginning is
 * held: who reads on has a file, so this is no error about a name.
 */
static bool is_lost(struct version *version, int error)
{
	bool refused = error == -ENOENT || error == -EACCES || error == -EISDIR;

	return error == -ESTALE || (refused && atomic_load(&version->held) > 0);
}

int fill_require(struct version *version, uint64_t end)
{
	for (;;) {
		uint32_t failures = atomic_load(&version->failures);
		int error;

		if (present(version, end))
			return 0;
		if (try_drive(version)) {
			error = stream(version, end);
			if (is_lost(version, error)) {
				log_err("%s: changed on the server; the old rest is gone",
					version->origin->path);
				error = -EIO;
			}
			stop_driving(version, error);
			return error;
		}
		error = wait_event_killable(&version->changed,
					    present(version, end) ||
						    atomic_load(&version->driver) == NULL ||
						    atomic_load(&version->failures) != failures);
		if (error != 0)
			return error;
		if (atomic_load(&version->failures) != failures)
			return atomic_load(&version->error);
	}
}

int fill_probe(struct version *version)
{
	return fill_require(version, 1);
}

/*
 * A new version from the driver's fill, which it takes along: the pages below `first` were equal and
 * are copied.
 */
static int fork_version(struct version *version, uint64_t opened_ns, uint64_t generation,
			struct version **out)
{
	struct fill *fill = version->fill;
	uint64_t held =
		ALIGN_DOWN(MIN(fill->first * PAGE_SIZE, tftp_received(fill->transfer)), PAGE_SIZE);
	struct version *fork = version_create_wire(version->origin);
	int error = 0;

	if (fork == NULL)
		return -ENOMEM;
	for (uint64_t i = 0; i < fill->first && error == 0; i++) {
		struct frame *old = object_lookup(&version->object, i);
		struct frame *copy = fill_frame(0);

		assert(old != NULL);
		error = -ENOMEM;
		if (copy != NULL) {
			memcpy(frame_data(copy), frame_data(old), PAGE_SIZE);
			error = object_insert(&fork->object, i, copy);
			if (error != 0)
				frame_put(copy);
		}
		frame_put(old);
	}
	if (error != 0) {
		version_put(fork);
		return error;
	}
	atomic_store(&fork->driver, current);
	atomic_store(&fork->held, held);
	atomic_store(&fork->fresh_ns, opened_ns);
	atomic_store(&fork->generation, generation);
	fork->object.size = held;
	fork->fill = fill;
	version->fill = NULL;
	/* The page that differed is waiting to be taken, at the next need. */
	error = agree_on_size(fork);
	stop_driving(fork, error);
	if (error != 0)
		version_put(fork);
	else
		*out = fork;
	return error;
}

/* Streams and compares what is held, or the first page of what is not; the driver. */
static int compare(struct version *version, uint64_t *opened_ns, uint64_t *generation)
{
	uint64_t held = atomic_load(&version->held);
	uint64_t pages = MAX(DIV_ROUND_UP(held, PAGE_SIZE), UINT64_C(1));
	int error;

	if (version->fill != NULL)
		fill_close(version);
	error = fill_open(version, opened_ns, generation);
	if (error == 0)
		error = agree_on_size(version);
	while (error == 0 && !version->fill->done &&
	       (atomic_load(&version->complete) || version->fill->first < pages))
		error = turn(version,
			     atomic_load(&version->complete) ? UINT64_MAX : pages * PAGE_SIZE);
	return error;
}

int fill_revalidate(struct version *version, uint64_t began_ns, uint64_t generation,
		    struct version **out)
{
	uint64_t opened_ns, known;
	int error = drive(version);

	if (error != 0)
		return error;
	if (atomic_load(&version->fresh_ns) >= began_ns) {
		/* Another caller's answer, asked for after this call began. */
		stop_driving(version, 0);
		version_get(version);
		*out = version;
		return 0;
	}
	error = compare(version, &opened_ns, &known);
	if (error == 0) {
		atomic_store(&version->generation, generation);
		atomic_store(&version->fresh_ns, opened_ns);
		version_get(version);
		*out = version;
	} else if (error == -ESTALE) {
		error = fork_version(version, opened_ns, generation, out);
	}
	/*
	 * Who waits for the rest of this version may still get it, so the failure is ours alone; but
	 * not from what may be another file's transfer.
	 */
	if (error != 0 && version->fill != NULL)
		fill_close(version);
	stop_driving(version, 0);
	return error;
}

void fill_stop(struct version *version)
{
	if (!try_drive(version))
		return;
	if (version->fill != NULL)
		fill_close(version);
	hand_over(version);
}

void fill_settle(struct version *version)
{
	int error = 0;

	if (atomic_load(&version->complete) || !try_drive(version))
		return;
	if (version->fill != NULL) {
		uint64_t size = announced_size(version->fill);

		if (size == UINT64_MAX ||
		    size - tftp_received(version->fill->transfer) >= FILL_SETTLE_REST)
			fill_close(version);
		while (version->fill != NULL && error == 0 && !atomic_load(&version->complete))
			error = turn(version, UINT64_MAX);
		if (error != 0)
			fill_close(version);
	}
	stop_driving(version, 0);
}

void fill_discard(struct version *version)
{
	unpark(version);
	if (version->fill != NULL)
		fill_close(version);
}
