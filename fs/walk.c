/*
 * fs/walk.c - path resolution, path_resolution(7), with a server behind the tree.
 *
 * The walk in RAM happens under root_lock and sends nothing. In a wire directory a component that
 * RAM does not know may be one on the server, and so may everything below it, so from there on the
 * components are only collected, for fs/find.c to ask the server.
 */
#include "fs/walk.h"
#include "fs/file.h"
#include "fs/inode.h"
#include "fs/links.h"
#include "fs/mount.h"
#include "fs/path.h"
#include "fs/pathname.h"
#include "fs/permission.h"
#include "fs/stat.h"
#include "fs/synthetic.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "mm/slab.h"
#include "mm/user.h"

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
	mount_put(place->mount);
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

bool place_is_mounted(const struct place *place)
{
	return place->mount != NULL && place->inode == place->mount->root;
}

const struct mount *place_above(const struct place *place)
{
	return place_is_mounted(place) ? place->mount->parent : place->mount;
}

/* --- where a walk begins ---------------------------------------------------------------------------- */

/* The directory, or with an empty path anything, that a descriptor stands for. */
static int descriptor_location(int dirfd, const char *path, struct location *out)
{
	struct file *file = files_lookup(current->files, dirfd);
	int error = 0;

	if (file == NULL)
		return -EBADF;
	if (file->inode == NULL || (path[0] != '\0' && !S_ISDIR(file->inode->mode)))
		error = -ENOTDIR;
	if (error == 0) {
		*out = (struct location){ file->mount, file->inode };
		location_get(out);
	}
	file_put(file);
	return error;
}

/* Where a path begins, and what it does not leave upwards, both with references. */
static int find_start(int dirfd, const char *path, unsigned flags, struct location *out,
		      struct location *root)
{
	bool absolute = path[0] == '/' && (flags & WALK_IN_ROOT) == 0;
	int error = 0;

	if (absolute && (flags & WALK_BENEATH) != 0)
		return -EXDEV;
	fs_context_root(root);
	if (!absolute && dirfd != AT_FDCWD) {
		error = descriptor_location(dirfd, path, out);
	} else if (!absolute && current->fs != NULL) {
		fs_context_get_cwd(current->fs, out);
	} else {
		*out = *root;
		location_get(out);
	}
	if (error == 0 && (flags & (WALK_IN_ROOT | WALK_BENEATH)) != 0) {
		location_put(root);
		*root = *out;
		location_get(root);
	}
	if (error != 0)
		location_put(root);
	return error;
}

/* AT_EMPTY_PATH: the descriptor's own file, with the version that it holds. */
static int empty_path(int dirfd, struct place *out)
{
	struct file *file;
	int error = 0;

	if (dirfd == AT_FDCWD) {
		struct location at, root;

		error = find_start(dirfd, "", 0, &at, &root);
		if (error == 0) {
			location_put(&root);
			out->mount = at.mount;
			out->inode = at.inode;
		}
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
		out->mount = file->mount;
		mount_get(out->mount);
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
	struct location here;   /* the last one reached; root_lock keeps it, or: */
	struct location root;   /* held: what the path does not leave upwards */
	struct location anchor; /* held: where the walk began, or was when the lock was dropped */
	char *path;             /* the buffer; the rest grows at its beginning */
	const char *cursor;     /* in `path`: what is still to be read */
	size_t rest;            /* bytes of the rest */
	uint64_t since_ns;      /* how old what the server says may be; 0: it is not asked */
	uint64_t cookie;        /* of the name by which `here` was reached, if it is no directory */
	unsigned flags, links;
	bool absent, dots;
};

/* Lets go of root_lock for a while without losing the way. */
static void pause(struct walker *w)
{
	struct location old = w->anchor;

	w->anchor = w->here;
	location_get(&w->anchor);
	mutex_unlock(&root_lock);
	location_put(&old);
}

static void resume(struct walker *w)
{
	mutex_lock(&root_lock);
}

/* An inode without a name that stands for a version. */
static int stand_for_version(struct place *out)
{
	struct inode *inode = inode_create(out->owner.mode);

	if (inode == NULL)
		return -ENOMEM;
	inode->uid = out->owner.uid;
	inode->gid = out->owner.gid;
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
			location_put(&w->anchor);
			w->anchor = w->here = (struct location){ out->mount, out->inode };
			out->inode = NULL;
			out->mount = NULL;
		} else {
			error = -ENOTDIR;
		}
		place_put(out);
	}
	resume(w);
	if (error == 0 && last)
		out->cookie = inode_cookie(out->inode);
	return error;
}

/* A name in a directory of entries, which the tree does not hold. root_lock is dropped meanwhile. */
static int step_to_entry(struct walker *w, const char *name, bool follow, struct place *out)
{
	struct inode *child;
	int error;

	pause(w);
	error = synthetic_entry(w->here.inode, name, &child);
	if (error == 0 && S_ISLNK(child->mode) && follow) {
		const struct synthetic *link = child->synthetic;
		uint32_t number = child->number_of, entry = child->entry;

		inode_put(child);
		resume(w);
		return follow_to_thing(w, link, number, entry, out);
	}
	if (error == 0) {
		inode_put(w->anchor.inode);
		w->anchor.inode = w->here.inode = child;
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

/* "..", which does not lead out of the root; from what is mounted somewhere it leads to where that is. */
static int step_up(struct walker *w, unsigned flags)
{
	struct location up = w->here;

	do {
		if (location_is(&up, &w->root) && (flags & WALK_BENEATH) != 0)
			return -EXDEV;
		if (location_is(&up, &w->root)) {
			location_descend(&w->here);
			return 0;
		}
	} while (location_ascend(&up));
	if (inode_parent(up.inode) != NULL && !location_is_mounted(&up))
		up.inode = inode_parent(up.inode);
	/* What has been renamed out of what a mount shows is no way out of that. */
	if (up.mount != NULL && !inode_is_root(up.mount->root) &&
	    !inode_is_above(up.mount->root, up.inode))
		return -ENOENT;
	location_descend(&up);
	w->here = up;
	return 0;
}

/* A component below a directory that RAM knows. */
static int step(struct walker *w, const struct component *c, unsigned flags, struct place *out)
{
	bool last = pathname_at_end(w->cursor);
	bool follow = !last || *w->cursor == '/' || !(flags & WALK_NOFOLLOW);
	char name[NAME_MAX + 1];
	struct inode *here = w->here.inode, *child;
	struct name *found;
	int error;

	if (!S_ISDIR(here->mode))
		return -ENOTDIR;
	error = inode_may_search(here);
	if (error != 0)
		return error;
	if (w->dots)
		return component_is_dotdot(c) ? step_up(w, flags) : 0;
	memcpy(name, c->start, c->length);
	name[c->length] = '\0';
	if (here->entries != NULL)
		return step_to_entry(w, name, follow, out);
	found = name_find(here, name);
	if (found == NULL && here->numbers != NULL) {
		pause(w);
		synthetic_look_for(here, name);
		resume(w);
		found = name_find(here, name);
	}
	if (w->since_ns != 0 && may_be_listed(here, found)) {
		error = refresh_links(w, found != NULL);
		if (error != 0)
			return error;
		found = name_find(here, name);
	}
	child = found != NULL ? found->inode : NULL;
	/* Nothing can be made there, either. */
	if (child == NULL && here->is_synthetic)
		return -ENOENT;
	if (child == NULL) {
		w->absent = found != NULL || !here->wire;
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
	w->here.inode = child;
	location_descend(&w->here);
	w->cookie = found->cookie;
	return 0;
}

int walk(int dirfd, char *path, unsigned flags, uint64_t since_ns, struct place *out)
{
	struct walker w = { .path = path, .cursor = path, .flags = flags, .since_ns = since_ns };
	const struct mount *first;
	struct component c;
	int error;

	*out = (struct place){ 0 };
	if (path[0] == '\0')
		return (flags & WALK_EMPTY) != 0 ? empty_path(dirfd, out) : -ENOENT;
	error = find_start(dirfd, path, flags, &w.anchor, &w.root);
	if (error != 0)
		return error;

	w.here = w.anchor;
	first = w.anchor.mount;
	mutex_lock(&root_lock);
	while (error == 0 && out->inode == NULL && pathname_next(&w.cursor, &c)) {
		out->dotdot = component_is_dotdot(&c);
		w.dots = component_is_dot(&c) || out->dotdot;
		if (c.length > NAME_MAX)
			error = -ENAMETOOLONG;
		else if (w.rest == 0)
			error = step(&w, &c, flags, out);
		else if (component_is_dotdot(&c))
			w.rest = pathname_pop(path, w.rest);
		else if (!w.dots)
			w.rest = pathname_push(path, w.rest, &c);
		if (error == 0 && (flags & WALK_NO_XDEV) != 0 &&
		    (out->inode != NULL ? out->mount : w.here.mount) != first)
			error = -EXDEV;
	}
	out->slash = w.cursor > path && w.cursor[-1] == '/';
	out->dots = w.dots;
	if (error == 0 && w.rest == 0 && out->slash && !S_ISDIR((out->inode ?: w.here.inode)->mode))
		error = -ENOTDIR;
	if (error == 0 && out->inode == NULL) {
		location_get(&w.here);
		out->mount = w.here.mount;
		if (w.rest == 0) {
			out->inode = w.here.inode;
			out->cookie =
				S_ISDIR(out->inode->mode) ? inode_cookie(out->inode) : w.cookie;
		} else {
			path[w.rest] = '\0';
			out->dir = w.here.inode;
			out->rest = path;
			out->absent = w.absent;
		}
	}
	mutex_unlock(&root_lock);
	location_put(&w.anchor);
	location_put(&w.root);
	if (error != 0)
		place_put(out);
	return error;
}
