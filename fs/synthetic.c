/*
 * fs/synthetic.c - files of /proc: text made at open, read like any other. See the header.
 */
#include "fs/synthetic.h"
#include "fs/inode.h"
#include "fs/mount.h"
#include "fs/ops.h"
#include "fs/path.h"
#include "fs/pathname.h"
#include "fs/permission.h"
#include "fs/root.h"
#include "kernel/cred.h"
#include "kernel/string.h"
#include "mm/slab.h"
#include "mm/user.h"

#define TEXT_FIRST 512 /* bytes; grows by doubling */

/* Room for `more` bytes and a NUL. */
static bool reserve(struct text *text, size_t more)
{
	size_t capacity = MAX(text->capacity, (size_t)TEXT_FIRST);
	char *data;

	if (text->failed)
		return false;
	while (capacity < text->length + more + 1)
		capacity *= 2;
	if (capacity == text->capacity)
		return true;
	data = kalloc(capacity);
	if (data == NULL) {
		text->failed = true;
		return false;
	}
	if (text->data != NULL)
		memcpy(data, text->data, text->length + 1);
	kfree(text->data);
	text->data = data;
	text->capacity = capacity;
	return true;
}

void text_append(struct text *text, const void *bytes, size_t length)
{
	if (!reserve(text, length))
		return;
	memcpy(text->data + text->length, bytes, length);
	text->length += length;
	text->data[text->length] = '\0';
}

void text_printf(struct text *text, const char *fmt, ...)
{
	va_list ap, again;
	int length;

	va_start(ap, fmt);
	va_copy(again, ap);
	length = vsnprintf(NULL, 0, fmt, ap);
	if (length > 0 && reserve(text, (size_t)length)) {
		(void)vsnprintf(text->data + text->length, (size_t)length + 1, fmt, again);
		text->length += (size_t)length;
	}
	va_end(again);
	va_end(ap);
}

void text_free(struct text *text)
{
	kfree(text->data);
	*text = (struct text){ 0 };
}

int synthetic_read(const struct inode *inode, struct text *out)
{
	int error;

	*out = (struct text){ 0 };
	error = inode->entries != NULL
			? inode->entries->generate(out, inode->number_of, inode->entry)
			: inode->synthetic->generate(out, inode->number_of);
	if (error == 0 && out->failed)
		error = -ENOMEM;
	if (error != 0)
		text_free(out);
	return error;
}

/* --- open files ----------------------------------------------------------------------------------- */

/* What the file said at one moment; whoever copies it to a user holds it. */
struct saying {
	_Atomic uint32_t refs;
	struct text text;
};

struct opened {
	struct spinlock lock;  /* RANK_DEVICE */
	struct saying *saying; /* held; lock */
	bool read;             /* from its beginning; lock */
};

static void saying_put(struct saying *saying)
{
	if (atomic_fetch_sub(&saying->refs, 1) > 1)
		return;
	text_free(&saying->text);
	kfree(saying);
}

static struct saying *saying_of(struct opened *opened)
{
	struct saying *saying;

	spin_lock(&opened->lock);
	saying = opened->saying;
	saying->refs++;
	spin_unlock(&opened->lock);
	return saying;
}

static int say(const struct inode *inode, struct saying **out)
{
	struct saying *saying = kzalloc(sizeof(*saying));
	int error = saying != NULL ? synthetic_read(inode, &saying->text) : -ENOMEM;

	if (error != 0) {
		kfree(saying);
		return error;
	}
	saying->refs = 1;
	*out = saying;
	return 0;
}

/* Who reads from the beginning once more wants to know what has changed. */
static int say_again(struct file *file, bool locked)
{
	struct opened *opened = file->private;
	struct saying *fresh, *old;
	bool again;
	int error;

	spin_lock(&opened->lock);
	again = opened->read;
	opened->read = true;
	spin_unlock(&opened->lock);
	if (!again)
		return 0;
	/* What is said is up to rooms whose locks come before the offset's. */
	if (locked)
		mutex_unlock(&file->offset_lock);
	error = say(file->inode, &fresh);
	if (locked)
		mutex_lock(&file->offset_lock);
	if (error != 0)
		return error;
	spin_lock(&opened->lock);
	old = opened->saying;
	opened->saying = fresh;
	spin_unlock(&opened->lock);
	saying_put(old);
	return 0;
}

static ssize_t read_text(struct file *file, vaddr_t to, size_t length, loff_t *offset)
{
	struct saying *saying;
	int error = 0;

	if (*offset == 0)
		error = say_again(file, offset == &file->offset);
	if (error != 0)
		return error;
	saying = saying_of(file->private);
	if (*offset < 0 || (uint64_t)*offset >= saying->text.length) {
		length = 0;
	} else {
		length = MIN(length, saying->text.length - (size_t)*offset);
		error = copy_to_user(to, saying->text.data + *offset, length);
	}
	saying_put(saying);
	if (error != 0)
		return error;
	*offset += (loff_t)length;
	return (ssize_t)length;
}

/* All at once, whatever the offset is. */
static ssize_t write_text(struct file *file, vaddr_t from, size_t length, loff_t *offset)
{
	const struct inode *inode = file->inode;
	bool locked = offset == &file->offset;
	char *bytes;
	int error;

	if (length > SYNTHETIC_WRITE_MAX)
		return -EINVAL;
	bytes = kalloc(length + 1);
	if (bytes == NULL)
		return -ENOMEM;
	error = copy_from_user(bytes, from, length);
	bytes[length] = '\0';
	/* What it does is up to rooms whose locks come before the offset's. */
	if (locked)
		mutex_unlock(&file->offset_lock);
	if (error == 0)
		error = inode->synthetic->write(inode->number_of, bytes, length);
	if (locked)
		mutex_lock(&file->offset_lock);
	kfree(bytes);
	if (error != 0)
		return error;
	*offset += (loff_t)length;
	return (ssize_t)length;
}

static loff_t seek_text(struct file *file, loff_t offset, int whence)
{
	struct saying *saying = saying_of(file->private);
	loff_t size = (loff_t)saying->text.length;

	saying_put(saying);
	return seek_in(file, offset, whence, size);
}

static void release_text(struct file *file)
{
	struct opened *opened = file->private;

	saying_put(opened->saying);
	kfree(opened);
}

static const struct file_ops text_ops = {
	.read = read_text,
	.write = write_text,
	.seek = seek_text,
	.stat = stat_inode_file,
	.release = release_text,
};

int synthetic_open(struct file *file, struct inode *inode)
{
	struct opened *opened;
	int error;

	if ((atomic_load(&file->flags) & O_ACCMODE) != O_RDONLY &&
	    (inode->entries != NULL || inode->synthetic->write == NULL))
		return -EACCES;
	opened = kzalloc(sizeof(*opened));
	if (opened == NULL)
		return -ENOMEM;
	error = say(inode, &opened->saying);
	if (error != 0) {
		kfree(opened);
		return error;
	}
	spin_init(&opened->lock, "synthetic", RANK_DEVICE);
	file->private = opened;
	file->ops = &text_ops;
	return 0;
}

/* --- names -------------------------------------------------------------------------------------------- */

static struct inode *create(const struct synthetic *entry, uint32_t number)
{
	uint32_t permissions = entry->permissions;
	bool directory = entry->entries != NULL || entry->numbers != NULL;
	uint32_t type = directory ? S_IFDIR : entry->link ? S_IFLNK : S_IFREG;
	struct inode *inode;

	if (permissions == 0 && entry->link)
		permissions = S_IRWXU | S_IRWXG | S_IRWXO;
	else if (permissions == 0)
		permissions = S_IRUSR | S_IRGRP | S_IROTH | (entry->write != NULL ? S_IWUSR : 0);
	inode = inode_create(type | permissions);
	if (inode == NULL)
		return NULL;
	inode->is_synthetic = true;
	inode->number_of = number;
	inode->entries = entry->entries;
	inode->numbers = entry->numbers;
	if (!directory)
		inode->synthetic = entry;
	return inode;
}

int synthetic_register(const struct synthetic *entry)
{
	struct inode *dir, *inode;
	char name[NAME_MAX + 1];
	int error;

	error = root_make_parents(proc_inode, entry->path, name, &dir);
	if (error != 0)
		return error;
	inode = create(entry, 0);
	if (inode == NULL) {
		error = -ENOMEM;
		goto out;
	}
	mutex_lock(&root_lock);
	error = inode_child(dir, name) != NULL ? -EEXIST : inode_link(dir, name, inode);
	mutex_unlock(&root_lock);
	inode_put(inode);
out:
	inode_put(dir);
	return error;
}

#define NUMBER_DIGITS 11 /* of a 32-bit number, with its NUL */

static void name_number(uint32_t number, char name[NUMBER_DIGITS])
{
	(void)snprintf(name, NUMBER_DIGITS, "%u", number);
}

/* --- directories of entries ----------------------------------------------------------------------------------- */

/* A decimal number without signs or leading zeroes. */
static bool parse_number(const char *name, uint32_t *out)
{
	uint32_t number = 0;

	if (name[0] == '\0' || (name[0] == '0' && name[1] != '\0'))
		return false;
	for (; *name != '\0'; name++) {
		if (*name < '0' || *name > '9' || __builtin_mul_overflow(number, 10u, &number) ||
		    __builtin_add_overflow(number, (uint32_t)(*name - '0'), &number))
			return false;
	}
	*out = number;
	return true;
}

/* Never that of an inode of the tree, and the same each time it is looked up. */
static uint64_t entry_inode_number(const struct inode *dir, uint32_t entry)
{
	return dir->number << 32 | entry;
}

int synthetic_entry(const struct inode *dir, const char *name, struct inode **out)
{
	const struct synthetic_entries *entries = dir->entries;
	struct inode *inode;
	uint32_t entry;
	int64_t next;

	if (!parse_number(name, &entry))
		return -ENOENT;
	next = entries->next(dir->number_of, entry);
	if (next != entry)
		return next < 0 ? (int)next : -ENOENT;
	inode = create(&entries->each, dir->number_of);
	if (inode == NULL)
		return -ENOMEM;
	inode->entries = entries;
	inode->entry = entry;
	inode_join(inode, dir->filesystem);
	inode->number = entry_inode_number(dir, entry);
	if (entries->permissions != NULL)
		inode->mode = (inode->mode & S_IFMT) | entries->permissions(dir->number_of, entry);
	*out = inode;
	return 0;
}

void synthetic_list_entries(const struct inode *dir, struct dirent_sink *sink, loff_t *offset)
{
	const struct synthetic_entries *entries = dir->entries;
	uint32_t mode = entries->each.link ? S_IFLNK : S_IFREG;
	int64_t entry;

	while (*offset - DOT_OFFSETS <= UINT32_MAX) {
		char name[NUMBER_DIGITS];

		entry = entries->next(dir->number_of, (uint32_t)(*offset - DOT_OFFSETS));
		if (entry < 0)
			break;
		name_number((uint32_t)entry, name);
		if (!dirent_emit(sink, entry_inode_number(dir, (uint32_t)entry),
				 (uint64_t)entry + DOT_OFFSETS + 1, mode, name))
			break;
		*offset = entry + DOT_OFFSETS + 1;
	}
}

/* --- numbered directories --------------------------------------------------------------------------------- */

void synthetic_register_numbers(const struct synthetic_numbers *numbers)
{
	proc_inode->numbers = numbers;
}

/* The directory of numbers below the numbered directory, or NULL; root_lock held. */
static struct inode *find_numbers(uint32_t parent)
{
	char text[NUMBER_DIGITS];
	struct inode *dir;
	struct name *name;

	if (parent == 0)
		return proc_inode;
	name_number(parent, text);
	dir = inode_child(proc_inode, text);
	if (dir == NULL)
		return NULL;
	TAILQ_FOREACH (name, &dir->order, in_order) {
		if (name->inode != NULL && name->inode->numbers != NULL)
			return name->inode;
	}
	return NULL;
}

/* Listings show numbers in their order, whoever was looked at first; behind all other names. */
#define NUMBER_COOKIE (UINT64_C(1) << 40)

static void put_in_order(struct inode *parent, const char *text, uint32_t number)
{
	struct name *name = name_find(parent, text);
	struct name *before = TAILQ_PREV(name, name_list, in_order);

	name->cookie = NUMBER_COOKIE + number;
	while (before != NULL && before->cookie > name->cookie)
		before = TAILQ_PREV(before, name_list, in_order);
	TAILQ_REMOVE(&parent->order, name, in_order);
	if (before != NULL)
		TAILQ_INSERT_AFTER(&parent->order, before, name, in_order);
	else
		TAILQ_INSERT_HEAD(&parent->order, name, in_order);
}

/* The directory with its files, as far as there is memory; root_lock held. */
static void make_numbered(struct inode *parent, uint32_t number)
{
	const struct synthetic_numbers *numbers = parent->numbers;
	struct inode *dir =
		inode_create(S_IFDIR | S_IRUSR | S_IXUSR | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH);
	char name[NUMBER_DIGITS];

	if (dir == NULL)
		return;
	dir->is_synthetic = true;
	dir->number_of = number | numbers->mark;
	name_number(number, name);
	/* Nothing of /proc has anything to sleep for when it is put. */
	if (inode_link(parent, name, dir) != 0) {
		inode_put(dir);
		return;
	}
	put_in_order(parent, name, number);
	for (size_t i = 0; i < numbers->count; i++) {
		struct inode *inode = create(&numbers->files[i], number | numbers->mark);
		int error;

		/* Without memory a file is missing; the next look finds no more of it. */
		if (inode == NULL)
			break;
		error = inode_link(dir, numbers->files[i].path, inode);
		inode_put(inode);
		if (error != 0)
			break;
	}
	inode_put(dir);
}

void synthetic_add_number(uint32_t parent, uint32_t number)
{
	char name[NUMBER_DIGITS];
	struct inode *dir;

	name_number(number, name);
	mutex_lock(&root_lock);
	dir = find_numbers(parent);
	if (dir != NULL && name_find(dir, name) == NULL)
		make_numbered(dir, number);
	mutex_unlock(&root_lock);
}

void synthetic_remove_number(uint32_t parent, uint32_t number)
{
	struct name_list freed = TAILQ_HEAD_INITIALIZER(freed);
	struct mount_list gone = TAILQ_HEAD_INITIALIZER(gone);
	char text[NUMBER_DIGITS];
	struct inode *dir;
	struct name *name;

	name_number(number, text);
	mutex_lock(&root_lock);
	dir = find_numbers(parent);
	name = dir != NULL ? name_find(dir, text) : NULL;
	if (name != NULL) {
		inode_purge(name->inode, &freed);
		name_remove(name, NULL, &freed);
	}
	TAILQ_FOREACH (name, &freed, in_order)
		mounts_uncover(name->inode, &gone);
	mutex_unlock(&root_lock);
	mounts_put(&gone);
	names_put(&freed);
}

void synthetic_owner(const struct inode *inode, uint32_t *uid, uint32_t *gid)
{
	*uid = *gid = ROOT_ID;
	if (inode->number_of != 0)
		proc_inode->numbers->owner(inode->number_of, uid, gid);
}

int synthetic_may(const struct inode *inode, unsigned wanted)
{
	struct inode as_seen = { .mode = inode->mode, .is_synthetic = true };

	synthetic_owner(inode, &as_seen.uid, &as_seen.gid);
	return inode_may(&as_seen, wanted);
}

void synthetic_look_for(const struct inode *dir, const char *name)
{
	uint32_t number = 0;

	if (parse_number(name, &number) && number != 0)
		dir->numbers->find(dir->number_of, number);
}

void synthetic_look_for_all(const struct inode *dir)
{
	dir->numbers->find_all(dir->number_of);
}
