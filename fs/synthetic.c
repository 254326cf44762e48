/*
 * fs/synthetic.c - files of /proc: text made at open, read like any other. See the header.
 */
#include "fs/synthetic.h"
#include "fs/inode.h"
#include "fs/ops.h"
#include "fs/path.h"
#include "fs/pathname.h"
#include "fs/root.h"
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

int synthetic_read(const struct synthetic *entry, struct text *out)
{
	int error;

	*out = (struct text){ 0 };
	error = entry->generate(out);
	if (error == 0 && out->failed)
		error = -ENOMEM;
	if (error != 0)
		text_free(out);
	return error;
}

/* --- open files ----------------------------------------------------------------------------------- */

static ssize_t read_text(struct file *file, vaddr_t to, size_t length, loff_t *offset)
{
	struct text *text = file->private;
	int error;

	if (*offset < 0 || (uint64_t)*offset >= text->length)
		return 0;
	length = MIN(length, text->length - (size_t)*offset);
	error = copy_to_user(to, text->data + *offset, length);
	if (error != 0)
		return error;
	*offset += (loff_t)length;
	return (ssize_t)length;
}

static loff_t seek_text(struct file *file, loff_t offset, int whence)
{
	struct text *text = file->private;

	return seek_in(file, offset, whence, (loff_t)text->length);
}

static void release_text(struct file *file)
{
	struct text *text = file->private;

	text_free(text);
	kfree(text);
}

static const struct file_ops text_ops = {
	.read = read_text,
	.seek = seek_text,
	.stat = stat_inode_file,
	.release = release_text,
};

int synthetic_open(struct file *file, struct inode *inode)
{
	struct text *text;
	int error;

	if ((atomic_load(&file->flags) & O_ACCMODE) != O_RDONLY)
		return -EACCES;
	text = kzalloc(sizeof(*text));
	if (text == NULL)
		return -ENOMEM;
	error = synthetic_read(inode->synthetic, text);
	if (error != 0) {
		kfree(text);
		return error;
	}
	file->private = text;
	file->ops = &text_ops;
	return 0;
}

/* --- names -------------------------------------------------------------------------------------------- */

int synthetic_register(const struct synthetic *entry)
{
	struct inode *dir, *inode;
	char name[NAME_MAX + 1];
	int error;

	error = root_make_parents(proc_inode, entry->path, name, &dir);
	if (error != 0)
		return error;
	inode = inode_create(entry->link ? S_IFLNK | S_IRWXU | S_IRWXG | S_IRWXO
					 : S_IFREG | S_IRUSR | S_IRGRP | S_IROTH);
	if (inode == NULL) {
		error = -ENOMEM;
		goto out;
	}
	inode->is_synthetic = true;
	inode->synthetic = entry;
	mutex_lock(&root_lock);
	error = inode_child(dir, name) != NULL ? -EEXIST : inode_link(dir, name, inode);
	mutex_unlock(&root_lock);
	inode_put(inode);
out:
	inode_put(dir);
	return error;
}
