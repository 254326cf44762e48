/*
 * fs/pipe.h - pipes, pipe(7), and FIFOs, fifo(7): the ring, and what opens and closes its ends.
 */
#ifndef HAWSER_FS_PIPE_H
#define HAWSER_FS_PIPE_H

#include "kernel/base.h"
#include "kernel/lock.h"

struct file;
struct frame;
struct inode;
struct lock_set;
struct span_cursor;

#define PIPE_PAGES     16  /* pipe(7): 65,536 bytes at first */
#define PIPE_PAGES_MAX 256 /* F_SETPIPE_SZ: Linux's pipe-max-size, 1 MiB */

/* Where a packet is, in positions of the ring; its start may have been read. */
struct packet_place {
	uint64_t start, end;
};

/* Those that are in a pipe, oldest first. */
struct pipe_packets {
	unsigned first, count;
	struct packet_place places[PIPE_PAGES_MAX];
};

struct pipe {
	struct mutex lock;            /* RANK_STREAM */
	struct frame **pages;         /* of the ring; lock */
	unsigned page_count;          /* lock */
	uint64_t tail, head;          /* lock */
	struct pipe_packets *packets; /* NULL: none was ever written (O_DIRECT); lock */
	bool claimed;              /* splice(2) is moving bytes from the front: no reading; lock */
	uint32_t readers, writers; /* open ends; lock */
	uint64_t read_opens, write_opens; /* ends ever opened; lock */
	_Atomic unsigned ready; /* POLLIN … as of the last pipe_unlock(): polling takes no lock */
	_Atomic uint32_t refs;  /* open files; of a FIFO, root_lock to change */
	struct waitq readable, writable;
	uint64_t number, created_ns;    /* for fstat(2) */
	struct lock_set *_Atomic locks; /* of both ends; NULL: it was never locked (fs/locks.c) */
};

/* NULL: no memory. No end is open, refs is 0. (fs/pipe.c) */
struct pipe *pipe_create(void);
void pipe_free(struct pipe *pipe);

/* Lets go of the lock after a change, and says what the pipe is ready for now. (fs/pipe.c) */
void pipe_unlock(struct pipe *pipe);

/* The pipe that an open file is an end of, or NULL. (fs/pipe_file.c) */
struct pipe *pipe_of(struct file *file);

/* Opens a FIFO, as fifo(7) says; attaches to `file`, which holds its inode. -ENXIO, -EINTR, -ENOMEM. */
int fifo_open(struct file *file);
/* struct file_ops.reopen and .release. (fs/pipe_open.c) */
int pipe_reopen(struct file *old, struct file *file);
void pipe_release(struct file *file);
/* Gives `file` the operations of the ends that its access mode names. (fs/pipe_file.c) */
void pipe_set_ops(struct file *file);

/* What read(2) and write(2) on an end do; `wait`: not O_NONBLOCK; `packets`: O_DIRECT. (fs/pipe.c) */
ssize_t pipe_read(struct pipe *pipe, struct span_cursor *to, bool wait);
ssize_t pipe_write(struct pipe *pipe, struct span_cursor *from, bool wait, bool packets);

/* Waits for room for a byte. How much there is; -EPIPE with SIGPIPE, -EAGAIN, -EINTR. (fs/pipe.c) */
ssize_t pipe_wait_room(struct pipe *pipe, bool wait);

/*
 * For splice(2) and its kin. Copies up to `length` bytes from the front into kernel memory; they stay.
 * With `claim` nobody else reads until pipe_consume() says how many of them to take out. `wait`: for the
 * first byte. How many; 0 at the end, and then nothing is claimed; -EAGAIN, -EINTR. (fs/pipe.c)
 */
ssize_t pipe_peek(struct pipe *pipe, void *to, size_t length, bool wait, bool claim);
void pipe_consume(struct pipe *pipe, size_t count);

/* A ring of `count` pages, a power of two. -EBUSY, -ENOMEM. (fs/pipe.c) */
int pipe_resize(struct pipe *pipe, unsigned count);
/* fcntl(2): F_GETPIPE_SZ and F_SETPIPE_SZ. -EBADF, -EINVAL, -EBUSY, -EPERM, -ENOMEM. (fs/pipe_file.c) */
int64_t pipe_get_size(struct file *file);
int64_t pipe_set_size(struct file *file, uint64_t size);

#endif
