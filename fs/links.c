/*
 * fs/links.c - symbolic links from the server's list. See the header.
 */
#include "fs/links.h"
#include "fs/inode.h"
#include "fs/path.h"
#include "fs/pathname.h"
#include "fs/root.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "mm/slab.h"

#define LIST_PATH ".hawser/links"
#define LIST_MAX  (64 * KIB) /* bytes of the list; what is behind them is not read */
#define LINKS_MAX 4096

static struct {
	uint64_t generation;    /* of the list that was read last; root_lock */
	struct inode **entries; /* its links, held; root_lock */
	unsigned count;         /* root_lock */
} links;

/* The list's text, ended by a NUL, to be kfree()d. */
static int fetch(char **out)
{
	struct origin *origin = origin_create(LIST_PATH);
	struct version *version = origin != NULL ? version_create_wire(origin) : NULL;
	uint64_t size = 0;
	ssize_t length = 0;
	char *text = NULL;
	int error = version != NULL ? fill_probe(version) : -ENOMEM;

	if (error == 0)
		error = version_size(version, &size);
	if (error == 0) {
		size = MIN(size, (uint64_t)LIST_MAX);
		text = kalloc(size + 1);
		error = text != NULL ? 0 : -ENOMEM;
	}
	if (error == 0) {
		length = version_read(version, 0, text, size);
		error = length < 0 ? (int)length : 0;
	}
	if (error == 0) {
		text[length] = '\0';
		*out = text;
	} else {
		kfree(text);
	}
	if (version != NULL)
		version_put(version);
	origin_put(origin);
	return error;
}

/* --- the list's words ------------------------------------------------------------------------------ */

struct reader {
	char *cursor;
	bool line_begins;
};

/* The next word, ended by a NUL, and whether it is the first of its line; NULL at the end. */
static char *next_word(struct reader *r, bool *first)
{
	char *word;

	for (; *r->cursor == ' ' || *r->cursor == '\n'; r->cursor++)
		r->line_begins = r->line_begins || *r->cursor == '\n';
	word = r->cursor;
	if (*word == '\0')
		return NULL;
	*first = r->line_begins;
	while (*r->cursor != ' ' && *r->cursor != '\n' && *r->cursor != '\0')
		r->cursor++;
	r->line_begins = *r->cursor == '\n';
	if (*r->cursor != '\0')
		*r->cursor++ = '\0';
	return word;
}

/* How many words there are, and so no more links. */
static unsigned count_words(const char *text)
{
	unsigned count = 0;

	for (const char *c = text; *c != '\0'; c++)
		count += (*c != ' ' && *c != '\n') && (c[1] == ' ' || c[1] == '\n' || c[1] == '\0');
	return count;
}

/* A path that leads straight down. */
static bool is_plain(const char *path)
{
	struct component c;
	bool any = false;

	while (pathname_next(&path, &c)) {
		any = true;
		if (component_is_dot(&c) || component_is_dotdot(&c))
			return false;
	}
	return any;
}

/* --- the links in the tree -------------------------------------------------------------------------- */

/* A link without a name, or NULL: no memory. */
static struct inode *create(const char *target, uint64_t generation)
{
	struct inode *inode = inode_create(S_IFLNK | S_IRWXU | S_IRWXG | S_IRWXO);

	if (inode == NULL)
		return NULL;
	inode->listed = generation;
	inode->target = kstrdup(target);
	if (inode->target == NULL) {
		inode_put(inode);
		inode = NULL;
	}
	return inode;
}

bool links_has(const struct inode *inode)
{
	return inode != NULL && S_ISLNK(inode->mode) && !inode->is_synthetic && inode->listed != 0;
}

/*
 * `path` becomes a link to `target`, unless something has the name that does not come from the list, or
 * it was removed here. A reference to the link in `*out`, or NULL.
 */
static int enter(const char *path, const char *target, uint64_t generation, struct inode **out)
{
	struct name_list freed = TAILQ_HEAD_INITIALIZER(freed);
	struct inode *inode = create(target, generation);
	char name[NAME_MAX + 1];
	struct inode *dir;
	struct name *old;
	int error;

	*out = NULL;
	if (inode == NULL)
		return -ENOMEM;
	error = root_make_parents(root_inode, path, name, &dir);
	if (error != 0) {
		inode_put(inode);
		return error == -ENOMEM ? error : 0;
	}
	mutex_lock(&root_lock);
	old = name_find(dir, name);
	if (old != NULL && links_has(old->inode) && strcmp(old->inode->target, target) == 0) {
		old->inode->listed = generation;
		inode_get(old->inode);
		*out = old->inode;
	} else if (dir->wire && (old == NULL || links_has(old->inode))) {
		/* /dev, /proc and the like, which are not wire, are the machine's own. */
		if (old != NULL)
			name_remove(old, NULL, &freed);
		error = inode_link(dir, name, inode);
		if (error == 0) {
			inode_get(inode);
			*out = inode;
		}
	}
	mutex_unlock(&root_lock);
	names_put(&freed);
	inode_put(dir);
	inode_put(inode);
	return error == -ENOMEM ? error : 0;
}

/* Every link of the list into the tree; those that are there then in `entries`. */
static int enter_all(char *text, uint64_t generation, struct inode **entries, unsigned *count,
		     unsigned limit)
{
	struct reader reader = { .cursor = text, .line_begins = true };
	const char *target = NULL;
	int error = 0;
	bool first;
	char *word;

	while (error == 0 && *count < limit && (word = next_word(&reader, &first)) != NULL) {
		if (first) {
			target = word;
		} else if (is_plain(word)) {
			error = enter(word, target, generation, &entries[*count]);
			*count += entries[*count] != NULL;
		}
	}
	return error;
}

/* The links of the list before this one that it does not name any more. */
static void drop_old(struct inode **entries, unsigned count, uint64_t generation)
{
	struct name_list freed = TAILQ_HEAD_INITIALIZER(freed);

	if (entries == NULL)
		return;
	mutex_lock(&root_lock);
	for (unsigned i = 0; i < count; i++) {
		struct name *name, *next;

		for (name = TAILQ_FIRST(&entries[i]->names);
		     name != NULL && entries[i]->listed != generation; name = next) {
			next = TAILQ_NEXT(name, of_inode);
			name_remove(name, NULL, &freed);
		}
	}
	mutex_unlock(&root_lock);
	names_put(&freed);
	for (unsigned i = 0; i < count; i++)
		inode_put(entries[i]);
	kfree(entries);
}

int links_refresh(uint64_t since_ns)
{
	struct inode **entries, **old = NULL;
	unsigned count = 0, old_count = 0;
	uint64_t generation;
	char *text;
	int error = origin_generation(since_ns, &generation);

	if (error != 0)
		return error;
	mutex_lock(&root_lock);
	bool current_list = generation == 0 || generation == links.generation;
	mutex_unlock(&root_lock);
	if (current_list)
		return 0;

	error = fetch(&text);
	if (error == -EINTR)
		return error;
	if (error == -ENOENT) {
		text = kstrdup("");
		error = text != NULL ? 0 : -ENOMEM;
	}
	if (error != 0) {
		log_warn("%s: error %d; the links stay as they were", LIST_PATH, -error);
		return 0;
	}
	unsigned limit = MIN(count_words(text), (unsigned)LINKS_MAX);
	entries = kalloc(MAX(limit, 1u) * sizeof(struct inode *));
	error = entries != NULL ? enter_all(text, generation, entries, &count, limit) : -ENOMEM;
	kfree(text);
	if (error != 0)
		log_warn("%s: no memory for more links than %u", LIST_PATH, count);

	mutex_lock(&root_lock);
	/* Of two threads that read it at a time, the one with the newer list has the last word. */
	if (entries != NULL && generation > links.generation) {
		old = links.entries;
		old_count = links.count;
		links.entries = entries;
		links.count = count;
		links.generation = generation;
	} else {
		old = entries;
		old_count = count;
	}
	generation = links.generation;
	mutex_unlock(&root_lock);
	drop_old(old, old_count, generation);
	return 0;
}
