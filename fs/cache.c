/*
 * fs/cache.c - which version a file's name stands for: kept, checked, replaced, dropped.
 *
 * Files with an origin are on one list, least recently used first. Their versions stay when nobody
 * uses them, since the next execve may find them unchanged, until memory runs short: then whole
 * versions go that only their inode holds.
 *
 * What "unchanged" costs, from cheap to dear:
 *   1. an answer that is younger than the question (concurrent callers share one), or `fresh=`;
 *   2. the stamp: one packet pair, for every file of the tree at once;
 *   3. streaming what is held again and comparing it.
 * A stat(2) is content with an answer a second old, and compares sizes only.
 */
#include "fs/cache.h"
#include "fs/inode.h"
#include "fs/mount.h"
#include "kernel/clock.h"
#include "kernel/string.h"
#include "mm/frame.h"
#include "mm/reclaim.h"

#define SHRINK_BATCH 16

static TAILQ_HEAD(, inode) cached = TAILQ_HEAD_INITIALIZER(cached); /* root_lock */

struct inode *inode_create_wire(struct version *version)
{
	struct inode *inode =
		inode_create(S_IFREG | S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH);

	if (inode == NULL)
		return NULL;
	version_get(version);
	inode->version = version;
	origin_get(version->origin);
	inode->origin = version->origin;
	inode->checked_ns = clock_ns();
	mutex_lock(&root_lock);
	TAILQ_INSERT_TAIL(&cached, inode, cached);
	mutex_unlock(&root_lock);
	return inode;
}

/* Forgets the origin; root_lock held. The caller puts what is returned. */
static struct origin *cut_off(struct inode *inode)
{
	struct origin *origin = inode->origin;

	if (origin != NULL)
		TAILQ_REMOVE(&cached, inode, cached);
	inode->origin = NULL;
	return origin;
}

void inode_uncache(struct inode *inode)
{
	mutex_lock(&root_lock);
	struct origin *origin = cut_off(inode);
	mutex_unlock(&root_lock);
	origin_put(origin);
}

/* `version` becomes the file's if `expected` is; the tree's old reference goes. */
static bool replace(struct inode *inode, struct version *expected, struct version *version)
{
	mutex_lock(&root_lock);
	bool same = inode->origin != NULL && inode->version == expected;
	if (same) {
		version_get(version);
		inode->version = version;
		inode->checked_ns = clock_ns();
		inode->modified_ns = inode->changed_ns = clock_wall_ns();
	}
	mutex_unlock(&root_lock);
	if (same && expected != NULL)
		version_put(expected);
	return same;
}

void inode_adopt(struct inode *inode, struct version *version)
{
	struct version *old;

	do {
		mutex_lock(&root_lock);
		bool wire = inode->origin != NULL;
		old = inode->version;
		mutex_unlock(&root_lock);
		if (!wire)
			return;
	} while (!replace(inode, old, version));
}

/* --- freshness ------------------------------------------------------------------------------------- */

/* Asks the server anew, and keeps what it answers as a new version. */
static int fetch(struct origin *origin, struct version **out)
{
	struct version *version = version_create_wire(origin);
	int error;

	if (version == NULL)
		return -ENOMEM;
	error = fill_probe(version);
	if (error != 0)
		version_put(version);
	else
		*out = version;
	return error;
}

/*
 * For stat: a version of the same size is taken to be the same, from `*checked_ns` on. As
 * fill_revalidate().
 */
static int compare_size(struct version *version, uint64_t *checked_ns, struct version **out)
{
	struct version *answer;
	uint64_t old_size, new_size;
	uint64_t asked_ns = clock_ns();
	int error = fetch(version->origin, &answer);

	if (error != 0)
		return error;
	fill_stop(answer);
	error = version_size(version, &old_size);
	if (error == 0)
		error = version_size(answer, &new_size);
	if (error == 0 && old_size == new_size) {
		version_get(version);
		*out = version;
		*checked_ns = asked_ns;
		version_put(answer);
	} else {
		*out = answer;
		error = 0;
	}
	return error;
}

/* As inode_version(), of a version that is at hand. */
static int refresh(struct version *version, enum freshness freshness, uint64_t *checked_ns,
		   uint64_t began_ns, struct version **out)
{
	uint64_t window = freshness == FRESH_STAT ? STAT_FRESH_NS : 0;
	uint64_t answered = atomic_load(&version->fresh_ns);
	uint64_t generation;
	int error;

	if (freshness == FRESH_STAT)
		answered = MAX(answered, *checked_ns);
	window = MAX(window, origin_fresh_ns());
	if (answered >= began_ns || began_ns - answered < window)
		goto same;
	error = origin_generation(began_ns, &generation);
	if (error != 0)
		return error;
	if (generation != 0 && atomic_load(&version->generation) == generation) {
		atomic_store(&version->fresh_ns, began_ns);
		goto same;
	}
	if (freshness == FRESH_STAT)
		return compare_size(version, checked_ns, out);
	return fill_revalidate(version, began_ns, generation, out);
same:
	version_get(version);
	*out = version;
	return 0;
}

static void note_checked(struct inode *inode, uint64_t checked_ns)
{
	mutex_lock(&root_lock);
	inode->checked_ns = MAX(inode->checked_ns, checked_ns);
	mutex_unlock(&root_lock);
}

/* The server has the file no more: so has the tree, unless someone made it local meanwhile. */
static void forget(struct inode *inode, struct version *version)
{
	struct name_list freed = TAILQ_HEAD_INITIALIZER(freed);
	struct mount_list gone = TAILQ_HEAD_INITIALIZER(gone);

	mutex_lock(&root_lock);
	if (inode->origin != NULL && inode->version == version) {
		struct name *name;
		while ((name = TAILQ_FIRST(&inode->names)) != NULL)
			name_remove(name, NULL, &freed);
		mounts_uncover(inode, &gone);
	}
	mutex_unlock(&root_lock);
	mounts_put(&gone);
	names_put(&freed);
}

int inode_version(struct inode *inode, enum freshness freshness, uint64_t began_ns,
		  struct version **out)
{
	struct version *version, *answer;
	struct origin *origin;
	uint64_t checked_ns;
	int error;

	mutex_lock(&root_lock);
	version = inode->version;
	if (version != NULL)
		version_get(version);
	origin = inode->origin;
	checked_ns = inode->checked_ns;
	if (origin != NULL) {
		origin_get(origin);
		TAILQ_REMOVE(&cached, inode, cached);
		TAILQ_INSERT_TAIL(&cached, inode, cached);
	}
	mutex_unlock(&root_lock);
	if (origin == NULL) {
		*out = version;
		return 0;
	}

	error = version == NULL ? fetch(origin, &answer)
				: refresh(version, freshness, &checked_ns, began_ns, &answer);
	if (error == -ENOENT)
		forget(inode, version);
	if (error == 0) {
		if (answer != version)
			(void)replace(inode, version, answer);
		else
			note_checked(inode, checked_ns);
		*out = answer;
	}
	if (version != NULL)
		version_put(version);
	origin_put(origin);
	return error;
}

/* --- making local ------------------------------------------------------------------------------------ */

/* A local version with the same bytes; the original is complete. */
static int copy_version(struct version *version, struct version **out)
{
	struct version *copy;
	uint64_t size;
	int error = version_size(version, &size);

	if (error != 0)
		return error;
	copy = version_create_local(size);
	if (copy == NULL)
		return -ENOMEM;
	for (uint64_t i = 0; i < DIV_ROUND_UP(size, PAGE_SIZE) && error == 0; i++) {
		struct frame *from = object_lookup(&version->object, i);
		struct frame *to;

		assert(from != NULL);
		error = version_add_page(copy, i, &to);
		if (error == 0) {
			memcpy(frame_data(to), frame_data(from), PAGE_SIZE);
			frame_put(to);
		}
		frame_put(from);
	}
	if (error != 0)
		version_put(copy);
	else
		*out = copy;
	return error;
}

/* `local` takes the place of `version` in a file that is cut off from its origin. */
static bool localise(struct inode *inode, struct version *version, struct version *local)
{
	struct origin *origin = NULL;

	mutex_lock(&root_lock);
	bool same = inode->origin != NULL && inode->version == version;
	if (same) {
		origin = cut_off(inode);
		version_get(local);
		inode->version = local;
	}
	mutex_unlock(&root_lock);
	origin_put(origin);
	if (same && version != NULL)
		version_put(version);
	return same;
}

/*
 * If nobody but the inode and the caller, who has `mine` references, holds the version, it is made
 * local where it is.
 */
static bool localise_in_place(struct inode *inode, struct version *version, uint32_t mine)
{
	struct origin *origin = NULL;

	mutex_lock(&root_lock);
	bool alone = inode->origin != NULL && inode->version == version &&
		     atomic_load(&version->object.refs) == 1 + mine;
	if (alone) {
		origin = cut_off(inode);
		atomic_store(&version->local, true);
	}
	mutex_unlock(&root_lock);
	origin_put(origin);
	return alone;
}

/* One attempt; 0 also when someone else was quicker. `version`: what the file has, or NULL. */
static int make_local(struct inode *inode, struct version *version, bool truncate)
{
	struct version *local, *whole;
	int error;

	if (version != NULL && atomic_load(&version->writers) < 0)
		return -ETXTBSY;
	if (truncate) {
		local = version_create_local(0);
		if (local == NULL)
			return -ENOMEM;
		(void)localise(inode, version, local);
		version_put(local);
		return 0;
	}
	/* Any answer will do: open(2) has just asked. */
	error = inode_version(inode, FRESH_OPEN, 0, &whole);
	if (error != 0)
		return error;
	if (!atomic_load(&whole->local))
		error = fill_require(whole, UINT64_MAX);
	if (error == 0 && !atomic_load(&whole->local) &&
	    !localise_in_place(inode, whole, version == whole ? 2 : 1)) {
		error = copy_version(whole, &local);
		if (error == 0) {
			(void)localise(inode, whole, local);
			version_put(local);
		}
	}
	version_put(whole);
	return error;
}

int inode_writable(struct inode *inode, bool truncate, struct version **out)
{
	for (;;) {
		mutex_lock(&root_lock);
		bool local = inode->origin == NULL;
		struct version *version = inode->version;
		if (version != NULL)
			version_get(version);
		mutex_unlock(&root_lock);

		int error =
			local ? version_begin_write(version) : make_local(inode, version, truncate);
		if (error == 0 && local && truncate) {
			error = version_resize(version, 0);
			if (error != 0)
				version_end_write(version);
		}
		if (error == 0 && local) {
			*out = version;
			return 0;
		}
		if (version != NULL)
			version_put(version);
		if (error != 0)
			return error;
	}
}

/* --- dropping --------------------------------------------------------------------------------------------- */

/* Drops versions that only their inodes hold, oldest first, until `frames` are free. */
static uint64_t shrink(uint64_t frames)
{
	struct version *victims[SHRINK_BATCH];
	uint64_t freed = 0;
	unsigned count;

	do {
		struct inode *inode;

		count = 0;
		mutex_lock(&root_lock);
		TAILQ_FOREACH (inode, &cached, cached) {
			struct version *version = inode->version;

			if (version == NULL || atomic_load(&version->object.refs) != 1)
				continue;
			freed += DIV_ROUND_UP(atomic_load(&version->held), PAGE_SIZE);
			inode->version = NULL;
			victims[count++] = version;
			if (count == SHRINK_BATCH || freed >= frames)
				break;
		}
		mutex_unlock(&root_lock);
		for (unsigned i = 0; i < count; i++)
			version_put(victims[i]);
	} while (count == SHRINK_BATCH && freed < frames);
	return freed;
}

void cache_get_usage(struct cache_usage *out)
{
	const struct inode *inode;

	*out = (struct cache_usage){ .fetched = fill_pages() };
	mutex_lock(&root_lock);
	TAILQ_FOREACH (inode, &cached, cached) {
		struct version *version = inode->version;
		uint64_t pages;

		if (version == NULL)
			continue;
		pages = DIV_ROUND_UP(atomic_load(&version->held), PAGE_SIZE);
		out->pages += pages;
		if (atomic_load(&version->object.refs) == 1)
			out->unused += pages;
	}
	mutex_unlock(&root_lock);
}

void cache_init(void)
{
	reclaim_register(shrink);
}
