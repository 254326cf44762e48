/*
 * fs/find.c - finding what a path names on the server, where the walk in RAM does not know it.
 *
 * The server is asked once, for the whole name. If it has a file there, the directories on the way exist too.
 *
 * That the server has no such name is remembered for a second, and only stat(2) and its kin believe
 * it: a shell that looks along its PATH asks for the same names again and again.
 */
#include "fs/inode.h"
#include "fs/root.h"
#include "fs/stat.h"
#include "fs/walk.h"
#include "kernel/clock.h"
#include "kernel/string.h"
#include "mm/slab.h"

#define ABSENT_NS       NSEC_PER_SEC
#define ABSENT_COUNT    32
#define ABSENT_NAME_MAX 120 /* longer ones are not remembered */

static struct {
	struct mutex lock; /* RANK_INODE */
	struct {
		uint64_t ns; /* 0: empty */
		char path[ABSENT_NAME_MAX];
	} entries[ABSENT_COUNT]; /* lock */
	unsigned next;           /* the oldest; lock */
} absent = {
	.lock = {
		.waiters = WAITQ_INIT(absent.lock.waiters, "absent names"),
		.rank = RANK_INODE,
		.name = "absent names",
	},
};

static bool recently_absent(const char *path)
{
	uint64_t now = clock_ns();
	bool found = false;

	mutex_lock(&absent.lock);
	for (unsigned i = 0; i < ABSENT_COUNT && !found; i++)
		found = absent.entries[i].ns != 0 && now - absent.entries[i].ns < ABSENT_NS &&
			strcmp(absent.entries[i].path, path) == 0;
	mutex_unlock(&absent.lock);
	return found;
}

static void remember_absent(const char *path)
{
	if (strlen(path) >= ABSENT_NAME_MAX)
		return;
	mutex_lock(&absent.lock);
	absent.entries[absent.next].ns = clock_ns();
	(void)strlcpy(absent.entries[absent.next].path, path, ABSENT_NAME_MAX);
	absent.next = (absent.next + 1) % ABSENT_COUNT;
	mutex_unlock(&absent.lock);
}

/* Enters what the server answered for the place into the tree. */
static int enter(struct place *place, struct version *version)
{
	struct inode *dir, *inode, *child;
	char text[NAME_MAX + 1];
	struct name *name;
	int error = root_make_parents(place->dir, place->rest, text, &dir);

	if (error != 0)
		return error;
	inode = inode_create_wire(version);
	if (inode == NULL) {
		inode_put(dir);
		return -ENOMEM;
	}
	mutex_lock(&root_lock);
	name = name_find(dir, text);
	child = name != NULL ? name->inode : NULL;
	if (name == NULL) {
		error = inode_link(dir, text, inode);
	} else if (child == NULL) {
		error = -ENOENT; /* removed while we asked */
	} else {
		inode_get(child);
	}
	place->cookie = child != NULL ? name->cookie : inode_cookie(inode);
	mutex_unlock(&root_lock);
	if (error == 0 && child != NULL) {
		/* Someone else was quicker: ours is the newer answer, unless theirs is not from there. */
		inode_put(inode);
		inode = child;
		if (S_ISREG(inode->mode))
			inode_adopt(inode, version);
	}
	inode_put(dir);
	if (error != 0)
		inode_put(inode);
	else
		place->inode = inode;
	return error;
}

/* The place is a directory on the server, to all appearance. */
static int enter_directory(struct place *place)
{
	int error = root_make_directories(place->dir, place->rest, &place->inode);

	if (error != 0)
		return error;
	mutex_lock(&root_lock);
	place->cookie = inode_cookie(place->inode);
	mutex_unlock(&root_lock);
	return 0;
}

static int ask(struct place *place, enum freshness freshness)
{
	char *path = kalloc(PATH_MAX);
	struct origin *origin = NULL;
	struct version *version = NULL;
	char *whole;
	size_t length;
	int error;

	if (path == NULL)
		return -ENOMEM;
	error = inode_path(place->dir, path, PATH_MAX);
	if (error != 0)
		goto out;
	length = strlen(path);
	if (length + 1 + strlen(place->rest) >= PATH_MAX) {
		error = -ENAMETOOLONG;
		goto out;
	}
	path[length] = '/';
	memcpy(path + length + 1, place->rest, strlen(place->rest) + 1);
	for (whole = path; *whole == '/'; whole++)
		;
	error = -ENOENT;
	if (freshness == FRESH_STAT && recently_absent(whole))
		goto out;
	origin = origin_create(whole);
	error = -ENOMEM;
	if (origin == NULL)
		goto out;
	version = version_create_wire(origin);
	if (version == NULL)
		goto out;
	error = fill_probe(version);
	if (error == -ENAMETOOLONG)
		error = -ENOENT; /* the server cannot even be asked for it */
	if (error == -ENOENT)
		remember_absent(whole);
	/* Who only asks what it is gets an answer; who wants to read it does not. */
	if (error == -EISDIR && freshness == FRESH_STAT) {
		error = enter_directory(place);
		goto out;
	}
	if (error != 0)
		goto out;
	if (freshness == FRESH_STAT)
		fill_stop(version);
	error = enter(place, version);
out:
	if (version != NULL)
		version_put(version);
	origin_put(origin);
	kfree(path);
	return error;
}

/*
 * Gives a regular file's place its version. If the server has the file no more, the place is where
 * one could be made, and this is -ENOENT.
 */
static int find_version(struct place *place, char *path, enum freshness freshness,
			uint64_t began_ns)
{
	struct inode *inode = place->inode;
	struct inode *dir = NULL;
	struct name *name;
	int error;

	mutex_lock(&root_lock);
	name = inode_name(inode, place->cookie);
	if (name != NULL) {
		dir = name->dir;
		inode_get(dir);
		(void)strlcpy(path, name->text, PATH_MAX);
	}
	mutex_unlock(&root_lock);
	error = inode_version(inode, freshness, began_ns, &place->version);
	if (error == -ENOENT && dir != NULL) {
		inode_put(inode);
		place->inode = NULL;
		place->dir = dir;
		place->rest = path;
		place->absent = true;
	} else {
		inode_put(dir);
	}
	return error;
}

int walk_find(int dirfd, char *path, unsigned flags, enum freshness freshness, struct place *out)
{
	uint64_t began_ns = clock_ns();
	uint64_t window = MAX(freshness == FRESH_STAT ? STAT_FRESH_NS : 0, origin_fresh_ns());
	int error = walk(dirfd, path, flags, began_ns > window ? began_ns - window : 1, out);

	if (error != 0)
		return error;
	/* Behind a slash only a directory would do, and directories do not answer. */
	if (out->inode == NULL)
		error = out->absent || out->slash ? -ENOENT : ask(out, freshness);
	if (error == 0 && S_ISREG(out->inode->mode) && !out->inode->is_synthetic &&
	    out->version == NULL)
		error = find_version(out, path, freshness, began_ns);
	if (error != 0 && error != -ENOENT)
		place_put(out);
	return error;
}
