/*
 * fs/walk.c - path resolution, path_resolution(7), with a server behind the tree.
 *
 * The walk in RAM happens under root_lock and sends nothing. In a wire directory a component that
 * RAM does not know may be one on the server, and so may everything below it, so from there on the
 * components are only collected; the server is asked once, for the whole name. If it has a file
 * there, the directories on the way exist too.
 *
 * That the server has no such name is remembered for a second, and only stat(2) and its kin believe
 * it: a shell that looks along its PATH asks for the same names again and again.
 */
#include "fs/walk.h"
#include "fs/file.h"
#include "fs/inode.h"
#include "fs/links.h"
#include "fs/mount.h"
#include "fs/path.h"
#include "fs/pathname.h"
#include "fs/permission.h"
#include "fs/root.h"
#include "fs/stat.h"
#include "fs/synthetic.h"
#include "kernel/clock.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "mm/slab.h"
#include "mm/user.h"

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

int path_from_user(vaddr_t user, char **out)
{
	char *path = kalloc(PATH_MAX);
	ssize_t length;

	if (path == NULL)
		return -ENOMEM;
	length = copy_string_from_user(path, user, PATH_MAX);
	if (length < 0) {
		kfree(path);
		return (int)length;
	}
	*out = path;
	return 0;
}

void place_put(struct place *place)
{
	inode_put(place->inode);
	inode_put(place->dir);
	if (place->version != NULL)
		version_put(place->version);
	file_name_put(place->name);
	if (place->file != NULL)
		file_put(place->file);
	*place = (struct place){ 0 };
}

bool place_is_free(const struct place *place)
{
	return place->inode == NULL && place->dir != NULL && strchr(place->rest, '/') == NULL;
}

/* --- where a walk begins ---------------------------------------------------------------------------- */

/* The directory, or with an empty path anything, that a descriptor stands for. */
static int descriptor_inode(int dirfd, const char *path, struct inode **out)
{
	struct file *file = files_lookup(current->files, dirfd);
	int error = 0;

	if (file == NULL)
		return -EBADF;
	if (file->inode == NULL || (path[0] != '\0' && !S_ISDIR(file->inode->mode)))
		error = -ENOTDIR;
	if (error == 0) {
		*out = file->inode;
		inode_get(*out);
	}
	file_put(file);
	return error;
}

/* Where a path begins, and what it does not leave upwards, both with references. */
static int start_inode(int dirfd, const char *path, unsigned flags, struct inode **out,
		       struct inode **root)
{
	struct fs_context *fs = current->fs;
	bool absolute = path[0] == '/' && (flags & WALK_IN_ROOT) == 0;
	struct inode *cwd;
	int error = 0;

	if (absolute && (flags & WALK_BENEATH) != 0)
		return -EXDEV;
	if (fs != NULL)
		mutex_lock(&fs->lock);
	*root = fs != NULL ? fs->root : root_inode;
	cwd = fs != NULL && !absolute ? fs->cwd : *root;
	inode_get(*root);
	if (absolute || dirfd == AT_FDCWD) {
		*out = cwd;
		inode_get(*out);
	}
	if (fs != NULL)
		mutex_unlock(&fs->lock);
	if (!absolute && dirfd != AT_FDCWD)
		error = descriptor_inode(dirfd, path, out);
	if (error == 0 && (flags & (WALK_IN_ROOT | WALK_BENEATH)) != 0) {
		inode_put(*root);
		*root = *out;
		inode_get(*root);
	}
	if (error != 0)
		inode_put(*root);
	return error;
}

/* AT_EMPTY_PATH: the descriptor's own file, with the version that it holds. */
static int empty_path(int dirfd, struct place *out)
{
	struct file *file;
	int error = 0;

	if (dirfd == AT_FDCWD) {
		struct inode *root;

		error = start_inode(dirfd, "", 0, &out->inode, &root);
		if (error == 0)
			inode_put(root);
		return error;
	}
	file = files_lookup(current->files, dirfd);
	if (file == NULL)
		return -EBADF;
	if (file->inode == NULL) {
		error = -EACCES;
	} else {
		out->inode = file->inode;
		inode_get(out->inode);
		out->version = file->version;
		if (out->version != NULL)
			version_get(out->version);
		out->name = file->name;
		if (out->name != NULL)
			file_name_get(out->name);
	}
	file_put(file);
	return error;
}

/* --- the walk in RAM ----------------------------------------------------------------------------------- */

struct walker {
	struct inode *here;   /* the last inode reached; root_lock keeps it, or: */
	struct inode *root;   /* held: what the path does not leave upwards */
	struct inode *anchor; /* held: where the walk began, or was when the lock was dropped */
	char *path;           /* the buffer; the rest grows at its beginning */
	const char *cursor;   /* in `path`: what is still to be read */
	size_t rest;          /* bytes of the rest */
	uint64_t since_ns;    /* how old what the server says may be; 0: it is not asked */
	uint64_t cookie;      /* of the name by which `here` was reached, if it is no directory */
	unsigned flags, links;
	bool absent, dots;
};

/* Lets go of root_lock for a while without losing the way. */
static void pause(struct walker *w)
{
	struct inode *old = w->anchor;

	w->anchor = w->here;
	inode_get(w->anchor);
	mutex_unlock(&root_lock);
	inode_put(old);
}

static void resume(struct walker *w)
{
	mutex_lock(&root_lock);
}

/* An inode without a name that stands for a version. */
static int stand_for_version(struct place *out)
{
	struct inode *inode =
		inode_create(S_IFREG | S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH);

	if (inode == NULL)
		return -ENOMEM;
	inode->number = out->name->inode_number;
	inode->version = out->version;
	version_get(inode->version);
	out->inode = inode;
	out->image = true;
	return 0;
}

/* Or for an open file: it has the file's type, and whoever opens it opens that. */
static int stand_for_file(struct place *out)
{
	struct stat st = { 0 };
	int error = out->file->ops->stat != NULL ? out->file->ops->stat(out->file, &st) : 0;

	if (error != 0)
		return error;
	out->inode = inode_create(st.st_mode);
	return out->inode != NULL ? 0 : -ENOMEM;
}

/* Of a directory's only name, or of a file's first; 0: it has none. root_lock held. */
static uint64_t cookie_of(const struct inode *inode)
{
	const struct name *name = TAILQ_FIRST(&inode->names);

	return name != NULL ? name->cookie : 0;
}

/*
 * A link to a thing and not to a name. At the end of a path the place is that; on the way it has to be
 * a directory. root_lock is dropped meanwhile.
 */
static int follow_to_thing(struct walker *w, const struct synthetic *link, uint32_t number,
			   uint32_t entry, struct place *out)
{
	bool last = pathname_at_end(w->cursor);
	int error;

	if (++w->links > WALK_LINKS_MAX || (w->flags & (WALK_NO_LINKS | WALK_NO_THINGS)) != 0)
		return -ELOOP;
	if ((w->flags & (WALK_BENEATH | WALK_IN_ROOT)) != 0)
		return -EXDEV;
	pause(w);
	error = link->follow(number, entry, out);
	if (error == 0 && out->inode == NULL)
		error = out->file != NULL ? stand_for_file(out) : stand_for_version(out);
	if (error == 0 && !last) {
		if (S_ISDIR(out->inode->mode)) {
			inode_put(w->anchor);
			w->anchor = w->here = out->inode;
			out->inode = NULL;
		} else {
			error = -ENOTDIR;
		}
		place_put(out);
	}
	resume(w);
	if (error == 0 && last)
		out->cookie = cookie_of(out->inode);
	return error;
}

/* A name in a directory of entries, which the tree does not hold. root_lock is dropped meanwhile. */
static int step_to_entry(struct walker *w, const char *name, bool follow, struct place *out)
{
	struct inode *child;
	int error;

	pause(w);
	error = synthetic_entry(w->here, name, &child);
	if (error == 0 && S_ISLNK(child->mode) && follow) {
		const struct synthetic *link = child->synthetic;
		uint32_t number = child->number_of, entry = child->entry;

		inode_put(child);
		resume(w);
		return follow_to_thing(w, link, number, entry, out);
	}
	if (error == 0) {
		inode_put(w->anchor);
		w->anchor = w->here = child;
	}
	resume(w);
	return error;
}

/* A symbolic link: its target takes the place of what has been read. root_lock may be dropped. */
static int follow_text(struct walker *w, struct inode *link)
{
	struct text text = { 0 };
	const char *target = link->target;
	int error = 0;

	if (++w->links > WALK_LINKS_MAX || (w->flags & WALK_NO_LINKS) != 0)
		return -ELOOP;
	if (link->is_synthetic) {
		inode_get(link); /* it may go away with its process */
		pause(w);
		error = synthetic_read(link, &text);
		inode_put(link);
		resume(w);
		target = text.data != NULL ? text.data : "";
	}
	if (error == 0)
		error = pathname_splice(w->path, PATH_MAX, w->cursor, target);
	if (error == 0 && w->path[0] == '/' && (w->flags & WALK_BENEATH) != 0)
		error = -EXDEV;
	if (error == 0) {
		w->cursor = w->path;
		if (w->path[0] == '/')
			w->here = w->root;
	}
	text_free(&text);
	return error;
}

/* Whether the server's list of links decides what the name, or NULL, stands for. */
static bool may_be_listed(const struct inode *dir, const struct name *name)
{
	return name == NULL ? dir->wire : links_has(name->inode);
}

/* Once for a walk. A name that nobody knows does not need a list that is newer than the last stamp. */
static int refresh_links(struct walker *w, bool known)
{
	uint64_t since_ns = known ? w->since_ns : 1;
	int error;

	w->since_ns = 0;
	pause(w);
	error = links_refresh(since_ns);
	resume(w);
	return error;
}

/* A component below a directory that RAM knows. */
static int step(struct walker *w, const struct component *c, unsigned flags, struct place *out)
{
	bool last = pathname_at_end(w->cursor);
	bool follow = !last || *w->cursor == '/' || !(flags & WALK_NOFOLLOW);
	char name[NAME_MAX + 1];
	struct inode *child;
	struct name *found;
	int error;

	if (!S_ISDIR(w->here->mode))
		return -ENOTDIR;
	error = inode_may_search(w->here);
	if (error != 0)
		return error;
	if (w->dots) {
		if (component_is_dotdot(c) && w->here == w->root)
			return (flags & WALK_BENEATH) != 0 ? -EXDEV : 0;
		if (component_is_dotdot(c) && inode_parent(w->here) != NULL)
			w->here = inode_parent(w->here);
		return 0;
	}
	memcpy(name, c->start, c->length);
	name[c->length] = '\0';
	if (w->here->entries != NULL)
		return step_to_entry(w, name, follow, out);
	found = name_find(w->here, name);
	if (found == NULL && w->here->numbers != NULL) {
		pause(w);
		synthetic_look_for(w->here, name);
		resume(w);
		found = name_find(w->here, name);
	}
	if (w->since_ns != 0 && may_be_listed(w->here, found)) {
		error = refresh_links(w, found != NULL);
		if (error != 0)
			return error;
		found = name_find(w->here, name);
	}
	child = found != NULL ? found->inode : NULL;
	/* Nothing can be made there, either. */
	if (child == NULL && w->here->is_synthetic)
		return -ENOENT;
	if (child == NULL) {
		w->absent = found != NULL || !w->here->wire;
		if (w->absent && !last)
			return -ENOENT;
		w->rest = pathname_push(w->path, w->rest, c);
		return 0;
	}
	if (S_ISLNK(child->mode) && follow) {
		/* The link may go away with its process as soon as the lock is dropped. */
		if (child->is_synthetic && child->synthetic->follow != NULL)
			return follow_to_thing(w, child->synthetic, child->number_of, 0, out);
		return follow_text(w, child);
	}
	w->here = mount_top(child);
	w->cookie = found->cookie;
	return 0;
}

static int walk_since(int dirfd, char *path, unsigned flags, uint64_t since_ns, struct place *out)
{
	struct walker w = { .path = path, .cursor = path, .flags = flags, .since_ns = since_ns };
	const struct filesystem *first;
	struct component c;
	int error;

	*out = (struct place){ 0 };
	if (path[0] == '\0')
		return (flags & WALK_EMPTY) != 0 ? empty_path(dirfd, out) : -ENOENT;
	error = start_inode(dirfd, path, flags, &w.anchor, &w.root);
	if (error != 0)
		return error;

	w.here = w.anchor;
	first = w.anchor->filesystem;
	mutex_lock(&root_lock);
	while (error == 0 && out->inode == NULL && pathname_next(&w.cursor, &c)) {
		w.dots = component_is_dot(&c) || component_is_dotdot(&c);
		if (c.length > NAME_MAX)
			error = -ENAMETOOLONG;
		else if (w.rest == 0)
			error = step(&w, &c, flags, out);
		else if (component_is_dotdot(&c))
			w.rest = pathname_pop(path, w.rest);
		else if (!w.dots)
			w.rest = pathname_push(path, w.rest, &c);
		if (error == 0 && (flags & WALK_NO_XDEV) != 0 &&
		    (out->inode ?: w.here)->filesystem != first)
			error = -EXDEV;
	}
	out->slash = w.cursor > path && w.cursor[-1] == '/';
	out->dots = w.dots;
	if (error == 0 && w.rest == 0 && out->slash && !S_ISDIR((out->inode ?: w.here)->mode))
		error = -ENOTDIR;
	if (error == 0 && out->inode == NULL) {
		inode_get(w.here);
		if (w.rest == 0) {
			out->inode = w.here;
			out->cookie = S_ISDIR(w.here->mode) ? cookie_of(w.here) : w.cookie;
		} else {
			path[w.rest] = '\0';
			out->dir = w.here;
			out->rest = path;
			out->absent = w.absent;
		}
	}
	mutex_unlock(&root_lock);
	inode_put(w.anchor);
	inode_put(w.root);
	if (error != 0)
		place_put(out);
	return error;
}

int walk(int dirfd, char *path, unsigned flags, struct place *out)
{
	return walk_since(dirfd, path, flags, 0, out);
}

/* --- asking the server ------------------------------------------------------------------------------------ */

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
	place->cookie = child != NULL ? name->cookie : cookie_of(inode);
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
	place->cookie = cookie_of(place->inode);
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
	int error = walk_since(dirfd, path, flags, began_ns > window ? began_ns - window : 1, out);

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
