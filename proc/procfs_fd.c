/*
 * proc/procfs_fd.c - /proc/PID/fd, fdinfo, cwd and root: what a process holds of the file system.
 *
 * The links lead to the things themselves, whatever has become of their names: a file that has been
 * removed is opened again, and so is a pipe, which never had a name. That is how /dev/stdin and a shell's
 * process substitution (/dev/fd/63) work.
 */
#include "fs/file.h"
#include "fs/inode.h"
#include "fs/mount.h"
#include "fs/ops.h"
#include "fs/path.h"
#include "fs/stat.h"
#include "fs/synthetic.h"
#include "fs/walk.h"
#include "kernel/string.h"
#include "mm/slab.h"
#include "proc/cred.h"
#include "proc/process.h"
#include "proc/procfs.h"
#include <linux/fcntl.h>

/* The process's descriptors, with a reference. -ENOENT: it has none (any more); -EACCES: not to be looked into. */
static int files_of(uint32_t pid, struct files **out)
{
	struct process *process;
	struct files *files;
	int error = 0;

	mutex_lock(&family_lock);
	process = family_find(pid);
	files = process ? process_files(process) : NULL;
	if (process && !cred_may_inspect(process))
		error = -EACCES;
	else if (!files)
		error = -ENOENT;
	else
		files_get(files);
	mutex_unlock(&family_lock);
	*out = files;
	return error;
}

static int file_of(uint32_t pid, uint32_t fd, struct file **out)
{
	struct files *files;
	int error = files_of(pid, &files);

	if (error != 0)
		return error;
	*out = files_lookup(files, (int)fd);
	files_put(files);
	return *out ? 0 : -ENOENT;
}

static int64_t next_fd(uint32_t pid, uint32_t from)
{
	struct files *files;
	int64_t fd = files_of(pid, &files);

	if (fd == 0) {
		fd = files_next(files, from);
		if (fd < 0)
			fd = -ENOENT;
		files_put(files);
	}
	return fd;
}

/* The link of a descriptor may be read and written as the file may: proc(5). */
static uint32_t fd_permissions(uint32_t pid, uint32_t fd)
{
	uint32_t permissions = 0, access;
	struct file *file;

	if (file_of(pid, fd, &file) != 0)
		return 0;
	access = atomic_load(&file->flags) & (O_ACCMODE | O_PATH);
	if (access == O_RDONLY || access == O_RDWR)
		permissions |= S_IRUSR | S_IXUSR;
	if (access == O_WRONLY || access == O_RDWR)
		permissions |= S_IWUSR | S_IXUSR;
	file_put(file);
	return permissions;
}

/* --- what the links say ----------------------------------------------------------------------- */

/* A memfd's name says so from the beginning. */
static void describe_nameless(struct text *text, const char *path)
{
	size_t length = strlen(path), suffix = strlen(FILE_NAME_DELETED);
	bool says = length >= suffix && strcmp(path + length - suffix, FILE_NAME_DELETED) == 0;

	text_printf(text, "%s%s", path, says ? "" : FILE_NAME_DELETED);
}

/* A file that has no name (any more) is known by the one it was opened by. */
static int describe_inode(struct text *text, struct mount *mount, struct inode *inode,
			  const struct file_name *name)
{
	char *path = kalloc(PATH_MAX);
	int error;

	if (!path)
		return -ENOMEM;
	error = location_path(&(struct location){ mount, inode }, path, PATH_MAX);
	if (error == 0)
		text_append(text, path, strlen(path));
	else if (error == -ENOENT)
		describe_nameless(text, name ? name->path : "");
	kfree(path);
	return error == -ENOENT ? 0 : error;
}

static int describe_file(struct text *text, struct file *file)
{
	struct stat st = { 0 };
	int error = file->ops->stat ? file->ops->stat(file, &st) : 0;

	if (error != 0)
		return error;
	if (S_ISFIFO(st.st_mode))
		text_printf(text, "pipe:[%lu]", st.st_ino);
	else if (S_ISSOCK(st.st_mode))
		text_printf(text, "socket:[%lu]", st.st_ino);
	else
		text_printf(text, "anon_inode:%s", file->ops->kind ? file->ops->kind : "[file]");
	return 0;
}

static int generate_fd(struct text *text, uint32_t pid, uint32_t fd)
{
	struct file *file;
	int error = file_of(pid, fd, &file);

	if (error != 0)
		return error;
	error = file->inode ? describe_inode(text, file->mount, file->inode, file->name)
			    : describe_file(text, file);
	file_put(file);
	return error;
}

/* To the inode with the version that the descriptor reads, or to the file that has none. */
static int follow_fd(uint32_t pid, uint32_t fd, struct place *out)
{
	struct file *file;
	int error = file_of(pid, fd, &file);

	if (error != 0)
		return error;
	if (!file->inode) {
		out->file = file;
		return 0;
	}
	out->inode = file->inode;
	inode_get(out->inode);
	out->mount = file->mount;
	mount_get(out->mount);
	out->version = file->version;
	if (out->version)
		version_get(out->version);
	out->name = file->name;
	if (out->name)
		file_name_get(out->name);
	file_put(file);
	return 0;
}

const struct synthetic_entries procfs_fd = {
	.each = { .follow = follow_fd, .link = true },
	.generate = generate_fd,
	.next = next_fd,
	.permissions = fd_permissions,
};

/* --- fdinfo ------------------------------------------------------------------------------------ */

/* O_CLOEXEC is the descriptor's and not the file's, and shown among the flags. */
static int generate_fdinfo(struct text *text, uint32_t pid, uint32_t fd)
{
	struct stat st = { 0 };
	struct files *files;
	struct file *file;
	uint32_t flags = 0;
	loff_t offset;
	int error = files_of(pid, &files);

	if (error != 0)
		return error;
	file = files_lookup(files, (int)fd);
	if (files_get_cloexec(files, (int)fd) > 0)
		flags = O_CLOEXEC;
	files_put(files);
	if (!file)
		return -ENOENT;
	flags |= atomic_load(&file->flags);
	/* Who holds it may be waiting for the wire. */
	error = mutex_lock_killable(&file->offset_lock);
	if (error != 0) {
		file_put(file);
		return error;
	}
	offset = file->offset;
	mutex_unlock(&file->offset_lock);
	if (file->ops->stat)
		(void)file->ops->stat(file, &st);
	text_printf(text, "pos:\t%ld\nflags:\t0%o\nmnt_id:\t%u\nino:\t%lu\n", (long)offset, flags,
		    mount_number(file->mount), st.st_ino);
	if (file->ops->describe)
		file->ops->describe(file, text);
	file_put(file);
	return 0;
}

const struct synthetic_entries procfs_fdinfo = {
	.generate = generate_fdinfo,
	.next = next_fd,
};

/* --- cwd and root ---------------------------------------------------------------------------------- */

static int context_of(uint32_t pid, struct fs_context **out)
{
	struct process *process;
	struct fs_context *fs;
	int error = 0;

	mutex_lock(&family_lock);
	process = family_find(pid);
	fs = process ? process_fs(process) : NULL;
	if (process && !cred_may_inspect(process))
		error = -EACCES;
	else if (!fs)
		error = -ENOENT;
	else
		fs_context_get(fs);
	mutex_unlock(&family_lock);
	*out = fs;
	return error;
}

int procfs_follow_cwd(uint32_t pid, uint32_t unused, struct place *out)
{
	struct fs_context *fs;
	struct location at;
	int error = context_of(pid, &fs);

	if (error != 0)
		return error;
	fs_context_get_cwd(fs, &at);
	*out = (struct place){ .mount = at.mount, .inode = at.inode };
	fs_context_put(fs);
	return 0;
}

int procfs_follow_root(uint32_t pid, uint32_t unused, struct place *out)
{
	struct fs_context *fs;
	struct location at;
	int error = context_of(pid, &fs);

	if (error != 0)
		return error;
	fs_context_get_root(fs, &at);
	*out = (struct place){ .mount = at.mount, .inode = at.inode };
	fs_context_put(fs);
	return 0;
}

static int describe(struct text *text, int error, struct place *place)
{
	if (error == 0)
		error = describe_inode(text, place->mount, place->inode, NULL);
	place_put(place);
	return error;
}

int procfs_generate_cwd(struct text *text, uint32_t pid)
{
	struct place cwd = { 0 };
	int error = procfs_follow_cwd(pid, 0, &cwd);

	return describe(text, error, &cwd);
}

int procfs_generate_root(struct text *text, uint32_t pid)
{
	struct place root = { 0 };
	int error = procfs_follow_root(pid, 0, &root);

	return describe(text, error, &root);
}
