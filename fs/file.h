/*
 * fs/file.h - open files and descriptor tables.
 */
#ifndef HAWSER_FS_FILE_H
#define HAWSER_FS_FILE_H

#include "kernel/base.h"
#include "kernel/lock.h"
#include "mm/space.h"

struct inode;
struct mount;
struct version;
struct file;
struct file_async;
struct lock_set;
struct file_name;
struct stat;
struct dirent_sink;
struct text;
struct poll_table;
struct span;
struct span_cursor;

struct file_ops {
	/*
	 * Bytes moved, 0 at the end, or a negative errno; `*offset` advances. Called with the file's
	 * offset lock held where the file is seekable, and nothing else; may sleep.
	 */
	ssize_t (*read)(struct file *file, vaddr_t to, size_t length, loff_t *offset);
	ssize_t (*write)(struct file *file, vaddr_t from, size_t length, loff_t *offset);
	/*
	 * Instead of them, for streams and messages: all the caller's buffers at once, which the cursor goes
	 * along. No lock is held.
	 */
	ssize_t (*read_span)(struct file *file, struct span_cursor *to);
	ssize_t (*write_span)(struct file *file, struct span_cursor *from);
	/*
	 * Instead of write, at the end of the file as it is then: all buffers together. The same locks as
	 * for write.
	 */
	ssize_t (*append)(struct file *file, const struct span *span, loff_t *offset);
	loff_t (*seek)(struct file *file, loff_t offset, int whence); /* NULL: -ESPIPE */
	bool seeks_nowhere; /* lseek(2) is 0, though there are no offsets */
	int (*stat)(struct file *file, struct stat *out);
	int (*ioctl)(struct file *file, unsigned request, vaddr_t argument); /* NULL: -ENOTTY */
	int (*readdir)(struct file *file, struct dirent_sink *sink);         /* NULL: -ENOTDIR */
	int (*truncate)(struct file *file, uint64_t size);
	/* Completes `request` (object, name, max_prot) for mmap(2). NULL: -ENODEV. */
	int (*mmap)(struct file *file, struct map_request *request);
	/* POLLIN … now; watches what may change it if `table` is not NULL (fs/poll.h). NULL: always ready. */
	unsigned (*poll)(struct file *file, struct poll_table *table);
	void (*release)(struct file *file); /* the last reference is gone; may sleep */
	/*
	 * Of files without an inode, opened through /proc/PID/fd: `file`, which has its flags, becomes
	 * another open file of the same thing; sets its ops and private. NULL: -ENXIO.
	 */
	int (*reopen)(struct file *old, struct file *file);
	/* What /proc/PID/fd calls it, if it is no pipe or socket and has no inode: "[eventfd]". */
	const char *kind;
	/* Whether O_ASYNC does something; only where there is `poll`. */
	enum {
		ASYNC_NONE,
		ASYNC_EACH,  /* each time that a queue is woken, */
		ASYNC_EDGES, /* or of output only when there was no room before */
	} async;
	/* More lines for /proc/PID/fdinfo; NULL: none. */
	void (*describe)(struct file *file, struct text *text);
};

struct file {
	_Atomic uint32_t refs;
	const struct file_ops *ops;
	_Atomic uint32_t flags;   /* O_ACCMODE, O_APPEND, O_NONBLOCK … as fcntl(F_GETFL) shows */
	struct mutex offset_lock; /* RANK_OFFSET */
	loff_t offset;            /* offset_lock */
	struct inode *inode;      /* held, NULL for pipes and the like */
	struct mount *mount;      /* held: what it was found through; NULL: it is in none */
	struct version *version;  /* held: what an open regular file reads; NULL otherwise */
	struct file_name *name;   /* held, or NULL */
	void *private;            /* the ops' own */
	uint64_t opened;          /* of a FIFO: see fs/pipe.c; fixed */
	struct lock_set *_Atomic locks;   /* of what has no inode; NULL: it was never locked */
	struct file_async *_Atomic async; /* whom signals go to; NULL: nobody (fs/async.c) */
	/* The epoll sets that it is in (fs/epoll.c). */
	LIST_HEAD(, epoll_item) epoll_items; /* epoll_lock */
	_Atomic bool in_epoll;               /* has ever been in one */
};

/* Slots of the largest descriptor table: kalloc()'s largest piece. */
#define FILES_MAX (UINT32_C(1) << 18)

/* NULL: no memory, or too many are open for one without CAP_SYS_ADMIN. */
struct file *file_create(const struct file_ops *ops, uint32_t flags);
/* What to say if file_create() has just given NULL: -ENFILE or -ENOMEM. */
int file_create_error(void);
/* Open files of the machine, and how many there may be. */
uint64_t file_count(void);
uint64_t file_max(void);
void file_get(struct file *file);
/* The same of one that whoever holds it may just have let go of: false then. */
bool file_get_living(struct file *file);
void file_put(struct file *file); /* may sleep */

/* Kernel-internal open with the calling thread's context; as open(2). */
int file_open(const char *path, int flags, uint32_t mode, struct file **out);

/* A descriptor table; shared with CLONE_FILES. */
struct files;
struct files *files_create(void);              /* empty; NULL: no memory */
struct files *files_copy(struct files *from);  /* fork: same files, same descriptors */
void files_get(struct files *files);           /* CLONE_FILES */
void files_put(struct files *files);           /* may sleep */
bool files_shared(const struct files *files);  /* exec unshares a shared one */
void files_close_on_exec(struct files *files); /* after the commit; cannot fail */
uint32_t files_count(struct files *files);     /* every open descriptor is below it */

/* The open file of a descriptor with a reference, or NULL (EBADF). */
struct file *files_lookup(struct files *files, int fd);
/* The lowest open descriptor >= `from`, or -EBADF: for listings. */
int files_next(struct files *files, uint32_t from);
/* The slots of the table: FDSize of /proc/PID/status. */
uint32_t files_size(struct files *files);
/* The lowest free descriptor >= `from`; takes its own reference. -EMFILE, -ENOMEM, -EBADF. */
int files_install(struct files *files, struct file *file, int from, bool close_on_exec);

#endif
