/*
 * fs/locks.c - the locks of files. See the header.
 *
 * A set has one list for ranges (POSIX and OFD locks mind each other) and one for flock's. One owner's
 * ranges never overlap, and neighbours of one kind are one:
 *
 *	RRRRRRRRRR      a read lock
 *	...WWW....      a write lock by the same owner is set
 *	RRRWWWRRRR      three locks
 *
 * What setting a range may need, two locks, is acquired first. Who waits for a range stands in a list of
 * all who wait, in which a circle of owners is looked for before joining it: EDEADLK.
 */
#include "fs/locks.h"
#include "fs/inode.h"
#include "fs/mount.h"
#include "fs/ops.h"
#include "fs/pipe.h"
#include "fs/signal.h"
#include "fs/synthetic.h"
#include "fs/version.h"
#include "kernel/sched.h"
#include "kernel/syscall.h"
#include "mm/slab.h"
#include "mm/user.h"
#include <linux/kdev_t.h>

#define END_OF_FILE ((uint64_t)INT64_MAX) /* however long it gets */
/* Linux's MAX_DEADLK_ITERATIONS: longer chains of owners are not followed. */
#define CHAIN_MAX 10

struct lock {
	TAILQ_ENTRY(lock) link;
	uint64_t start, end; /* the first byte and the last one */
	bool write;
	bool posix;        /* the owner is a descriptor table, and not an open file */
	const void *owner; /* not held: its end takes its locks along */
	uint32_t pid;      /* of the process that set it; OFD: as -1 */
};

TAILQ_HEAD(lock_list, lock);

struct lock_set {
	struct lock_list ranges;   /* locks_lock */
	struct lock_list wholes;   /* flock's; locks_lock */
	struct waitq changed;      /* a lock has gone, or become smaller or weaker */
	const struct inode *inode; /* NULL: of a pipe or socket */
	LIST_ENTRY(lock_set) link; /* if there is any; locks_lock */
	bool listed;               /* locks_lock */
};

/* Who waits for a range. */
struct waiting {
	TAILQ_ENTRY(waiting) link;
	struct lock_set *set;
	const struct lock *wanted;
};

static struct mutex locks_lock = {
	/* every set, and: */
	.waiters = WAITQ_INIT(locks_lock.waiters, "file locks"),
	.rank = RANK_STREAM,
	.name = "file locks",
};
static TAILQ_HEAD(, waiting) waiters = TAILQ_HEAD_INITIALIZER(waiters); /* locks_lock */
/* Those that have a lock in them. */
static LIST_HEAD(, lock_set) sets = LIST_HEAD_INITIALIZER(sets); /* locks_lock */

/* Where a file's set is: both ends of a pipe have one, and what is nowhere has one for itself. */
static struct lock_set *_Atomic *slot_of(struct file *file)
{
	struct pipe *pipe = pipe_of(file);

	if (file->inode != NULL)
		return &file->inode->locks;
	return pipe != NULL ? &pipe->locks : &file->locks;
}

/* The file's set, made if it has none; NULL: no memory. Sets stay as long as what they belong to. */
static struct lock_set *set_of(struct file *file)
{
	struct lock_set *_Atomic *slot = slot_of(file);
	struct lock_set *set = atomic_load(slot), *none = NULL;

	if (set != NULL)
		return set;
	set = kzalloc(sizeof(*set));
	if (set == NULL)
		return NULL;
	TAILQ_INIT(&set->ranges);
	TAILQ_INIT(&set->wholes);
	waitq_init(&set->changed, "file lock");
	set->inode = file->inode;
	if (!atomic_compare_exchange_strong(slot, &none, set)) {
		kfree(set);
		set = none;
	}
	return set;
}

/* Locks have come or gone. locks_lock held. */
static void list_set(struct lock_set *set)
{
	bool any = !TAILQ_EMPTY(&set->ranges) || !TAILQ_EMPTY(&set->wholes);

	if (any == set->listed)
		return;
	set->listed = any;
	if (any)
		LIST_INSERT_HEAD(&sets, set, link);
	else
		LIST_REMOVE(set, link);
}

static void free_list(struct lock_list *list)
{
	struct lock *lock;

	while ((lock = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, lock, link);
		kfree(lock);
	}
}

void lock_set_free(struct lock_set *set)
{
	if (set == NULL)
		return;
	assert(TAILQ_EMPTY(&set->ranges) && TAILQ_EMPTY(&set->wholes));
	kfree(set);
}

static bool overlap(const struct lock *a, const struct lock *b)
{
	return a->start <= b->end && b->start <= a->end;
}

/* The first lock in the list that another owner's `wanted` has to wait for, or NULL. */
static struct lock *find_conflict(struct lock_list *list, const struct lock *wanted)
{
	struct lock *lock;

	TAILQ_FOREACH (lock, list, link) {
		if (lock->owner != wanted->owner && overlap(lock, wanted) &&
		    (lock->write || wanted->write))
			break;
	}
	return lock;
}

/* --- ranges ----------------------------------------------------------------------------------------- */

/* The owner of the lock that the owner waits for; NULL: it does not wait. */
static const void *waits_for(const void *owner)
{
	struct waiting *w;

	TAILQ_FOREACH (w, &waiters, link) {
		if (w->wanted->owner == owner) {
			const struct lock *conflict = find_conflict(&w->set->ranges, w->wanted);
			return conflict != NULL && conflict->posix ? conflict->owner : NULL;
		}
	}
	return NULL;
}

/* True if the holder waits, perhaps through others, for the one who wants. */
static bool would_deadlock(const struct lock *wanted, const struct lock *holder)
{
	const void *owner = holder->owner;

	for (unsigned i = 0; wanted->posix && holder->posix && i < CHAIN_MAX; i++) {
		owner = waits_for(owner);
		if (owner == NULL)
			return false;
		if (owner == wanted->owner)
			return true;
	}
	return false;
}

/*
 * Makes room for `lock` among its owner's ranges, with `spare` for the case that one is cut in two. An
 * equal neighbour becomes part of it, unless it is to unlock. True if `spare` was used.
 */
static bool carve(struct lock_set *set, struct lock *lock, struct lock *spare, bool unlock,
		  struct lock_list *freed)
{
	struct lock *old, *next;
	bool used = false;

	for (old = TAILQ_FIRST(&set->ranges); old != NULL; old = next) {
		next = TAILQ_NEXT(old, link);
		if (old->owner != lock->owner)
			continue;
		bool joins = !unlock && old->write == lock->write && old->start <= lock->end + 1 &&
			     lock->start <= old->end + 1;
		if (!joins && !overlap(old, lock))
			continue;
		if (joins) {
			lock->start = MIN(lock->start, old->start);
			lock->end = MAX(lock->end, old->end);
		} else if (old->start < lock->start && old->end > lock->end) {
			*spare = *old;
			spare->start = lock->end + 1;
			old->end = lock->start - 1;
			TAILQ_INSERT_AFTER(&set->ranges, old, spare, link);
			used = true;
			continue;
		} else if (old->start < lock->start) {
			old->end = lock->start - 1;
			continue;
		} else if (old->end > lock->end) {
			old->start = lock->end + 1;
			continue;
		}
		TAILQ_REMOVE(&set->ranges, old, link);
		TAILQ_INSERT_TAIL(freed, old, link);
	}
	return used;
}

/* One attempt; -EAGAIN: another's lock is in the way. locks_lock held. */
static int try_range(struct lock_set *set, struct lock **lock, struct lock **spare, bool unlock,
		     bool wait, struct lock_list *freed)
{
	struct lock *conflict = unlock ? NULL : find_conflict(&set->ranges, *lock);

	if (conflict != NULL)
		return wait && would_deadlock(*lock, conflict) ? -EDEADLK : -EAGAIN;
	if (carve(set, *lock, *spare, unlock, freed))
		*spare = NULL;
	if (!unlock) {
		TAILQ_INSERT_TAIL(&set->ranges, *lock, link);
		*lock = NULL;
	}
	return 0;
}

static bool has_conflict(struct lock_set *set, struct lock_list *list, const struct lock *wanted)
{
	mutex_lock(&locks_lock);
	bool conflict = find_conflict(list, wanted) != NULL;
	mutex_unlock(&locks_lock);
	return conflict;
}

/* Sets or takes away what `wanted` says. -EAGAIN, -EDEADLK, -ENOLCK, -EINTR. */
static int set_range(struct lock_set *set, const struct lock *wanted, bool unlock, bool wait)
{
	struct lock_list freed = TAILQ_HEAD_INITIALIZER(freed);
	struct lock *lock = kalloc(sizeof(*lock)), *spare = kalloc(sizeof(*spare));
	int error = lock != NULL && spare != NULL ? -EAGAIN : -ENOLCK;
	bool done = error == -ENOLCK;

	while (!done) {
		struct waiting waiting = { .set = set, .wanted = wanted };

		*lock = *wanted;
		mutex_lock(&locks_lock);
		error = try_range(set, &lock, &spare, unlock, wait, &freed);
		list_set(set);
		done = error != -EAGAIN || !wait;
		if (!done)
			TAILQ_INSERT_TAIL(&waiters, &waiting, link);
		mutex_unlock(&locks_lock);
		if (done)
			break;
		error = wait_event_signal(&set->changed, !has_conflict(set, &set->ranges, wanted));
		mutex_lock(&locks_lock);
		TAILQ_REMOVE(&waiters, &waiting, link);
		mutex_unlock(&locks_lock);
		done = error != 0;
	}
	free_list(&freed);
	kfree(lock);
	kfree(spare);
	if (error == 0)
		waitq_wake_all(&set->changed);
	return error;
}

/* --- fcntl(2) --------------------------------------------------------------------------------------- */

/* A user's range, in bytes from the beginning. */
static int get_range(struct file *file, const struct flock *user, struct lock *lock)
{
	int64_t start, end;
	uint64_t size = 0;
	int error = 0;

	if (user->l_whence == SEEK_CUR) {
		error = mutex_lock_killable(&file->offset_lock);
		if (error != 0)
			return error;
		size = (uint64_t)file->offset;
		mutex_unlock(&file->offset_lock);
	} else if (user->l_whence == SEEK_END) {
		if (file->version != NULL)
			error = version_size(file->version, &size);
	} else if (user->l_whence != SEEK_SET) {
		return -EINVAL;
	}
	if (error != 0)
		return error;
	if (__builtin_add_overflow((int64_t)size, user->l_start, &start))
		return -EOVERFLOW;
	if (start < 0)
		return -EINVAL;
	/* A negative length is what lies before; none is all that follows. */
	end = INT64_MAX;
	if (user->l_len > 0 && __builtin_add_overflow(start, user->l_len - 1, &end))
		return -EOVERFLOW;
	if (user->l_len < 0) {
		end = start - 1;
		start += user->l_len;
	}
	if (start < 0)
		return -EINVAL;
	lock->start = (uint64_t)start;
	lock->end = (uint64_t)end;
	return 0;
}

static int check_type(struct file *file, short type)
{
	uint32_t access = atomic_load(&file->flags) & O_ACCMODE;

	switch (type) {
	case F_RDLCK:
		return access == O_WRONLY || access == O_ACCMODE ? -EBADF : 0;
	case F_WRLCK:
		return access == O_RDONLY || access == O_ACCMODE ? -EBADF : 0;
	case F_UNLCK:
		return 0;
	default:
		return -EINVAL;
	}
}

/* F_GETLK: the lock that would be in the way, or F_UNLCK in the type. */
static int tell_conflict(struct lock_set *set, const struct lock *wanted, struct flock *user)
{
	struct lock *conflict;

	if (user->l_type != F_RDLCK && user->l_type != F_WRLCK)
		return -EINVAL;
	mutex_lock(&locks_lock);
	conflict = find_conflict(&set->ranges, wanted);
	if (conflict == NULL) {
		user->l_type = F_UNLCK;
	} else {
		user->l_type = conflict->write ? F_WRLCK : F_RDLCK;
		user->l_whence = SEEK_SET;
		user->l_start = (int64_t)conflict->start;
		user->l_len = conflict->end == END_OF_FILE
				      ? 0
				      : (int64_t)(conflict->end - conflict->start + 1);
		user->l_pid = conflict->posix ? (int)conflict->pid : -1;
	}
	mutex_unlock(&locks_lock);
	return 0;
}

int locks_control(struct file *file, int fd, int command, vaddr_t user_lock)
{
	bool posix = command == F_GETLK || command == F_SETLK || command == F_SETLKW;
	bool wait = command == F_SETLKW || command == F_OFD_SETLKW;
	struct lock wanted = { .posix = posix, .pid = process_number() };
	struct lock_set *set;
	struct flock user;
	int error = copy_from_user(&user, user_lock, sizeof(user));

	if (error != 0)
		return error;
	if (!posix && user.l_pid != 0)
		return -EINVAL;
	wanted.owner = posix ? (const void *)current->files : file;
	wanted.write = user.l_type == F_WRLCK;
	error = get_range(file, &user, &wanted);
	set = set_of(file);
	if (error == 0 && set == NULL)
		error = -ENOLCK;
	if (error != 0)
		return error;
	if (command == F_GETLK || command == F_OFD_GETLK) {
		error = tell_conflict(set, &wanted, &user);
		return error != 0 ? error : copy_to_user(user_lock, &user, sizeof(user));
	}
	error = check_type(file, user.l_type);
	if (error == 0)
		error = set_range(set, &wanted, user.l_type == F_UNLCK, wait);
	/* Closed by another thread meanwhile: nobody else would take the lock away. */
	if (error == 0 && posix && user.l_type != F_UNLCK) {
		struct file *now = files_lookup(current->files, fd);

		if (now != file)
			locks_descriptor_closed(current->files, file);
		if (now != NULL)
			file_put(now);
	}
	return error;
}

/* --- flock(2) ----------------------------------------------------------------------------------------- */

/* The open file's lock is taken away. locks_lock held. */
static bool drop_whole(struct lock_set *set, const void *owner, struct lock_list *freed)
{
	struct lock *lock;

	TAILQ_FOREACH (lock, &set->wholes, link) {
		if (lock->owner == owner)
			break;
	}
	if (lock == NULL)
		return false;
	TAILQ_REMOVE(&set->wholes, lock, link);
	TAILQ_INSERT_TAIL(freed, lock, link);
	return true;
}

/* As on Linux, who changes the kind of a lock has none while it waits for the other. */
static int set_whole(struct lock_set *set, struct lock *lock, bool unlock, bool wait)
{
	struct lock_list freed = TAILQ_HEAD_INITIALIZER(freed);
	bool dropped;
	int error;

	do {
		mutex_lock(&locks_lock);
		dropped = drop_whole(set, lock->owner, &freed);
		error = !unlock && find_conflict(&set->wholes, lock) != NULL ? -EAGAIN : 0;
		if (error == 0 && !unlock)
			TAILQ_INSERT_TAIL(&set->wholes, lock, link);
		list_set(set);
		mutex_unlock(&locks_lock);
		if (dropped)
			waitq_wake_all(&set->changed);
		if (error == 0 || !wait)
			break;
		error = wait_event_signal(&set->changed, !has_conflict(set, &set->wholes, lock));
	} while (error == 0);
	free_list(&freed);
	if (error != 0 || unlock)
		kfree(lock);
	return error;
}

SYSCALL2(flock, int, fd, int, operation)
{
	int kind = operation & ~LOCK_NB;
	struct lock_set *set;
	struct lock *lock;
	struct file *file;
	int error = -ENOLCK;

	if (kind != LOCK_SH && kind != LOCK_EX && kind != LOCK_UN)
		return -EINVAL;
	file = fd_get(fd);
	if (file == NULL)
		return -EBADF;
	if ((atomic_load(&file->flags) & O_PATH) != 0) {
		error = -EBADF;
		goto out;
	}
	set = set_of(file);
	lock = kzalloc(sizeof(*lock));
	if (set == NULL || lock == NULL) {
		kfree(lock);
		goto out;
	}
	lock->end = END_OF_FILE;
	lock->owner = file;
	lock->pid = process_number();
	lock->write = kind == LOCK_EX;
	error = set_whole(set, lock, kind == LOCK_UN, (operation & LOCK_NB) == 0);
out:
	file_put(file);
	return error;
}

/* --- the end ------------------------------------------------------------------------------------------- */

/* All of the owner's ranges go; true if there were any. locks_lock held. */
static bool drop_ranges(struct lock_set *set, const void *owner, struct lock_list *freed)
{
	const struct lock all = { .end = END_OF_FILE, .owner = owner };
	struct lock whole = all;

	(void)carve(set, &whole, NULL, true, freed);
	return !TAILQ_EMPTY(freed);
}

void locks_descriptor_closed(struct files *files, struct file *file)
{
	struct lock_list freed = TAILQ_HEAD_INITIALIZER(freed);
	struct lock_set *set = atomic_load(slot_of(file));
	bool any;

	if (set == NULL)
		return;
	mutex_lock(&locks_lock);
	any = drop_ranges(set, files, &freed);
	list_set(set);
	mutex_unlock(&locks_lock);
	if (any)
		waitq_wake_all(&set->changed);
	free_list(&freed);
}

void locks_file_closed(struct file *file)
{
	struct lock_list freed = TAILQ_HEAD_INITIALIZER(freed);
	struct lock_set *set = atomic_load(slot_of(file));
	bool any;

	if (set == NULL)
		return;
	mutex_lock(&locks_lock);
	any = drop_ranges(set, file, &freed);
	any = drop_whole(set, file, &freed) || any;
	list_set(set);
	mutex_unlock(&locks_lock);
	if (any)
		waitq_wake_all(&set->changed);
	free_list(&freed);
}

/* --- /proc/locks ---------------------------------------------------------------------------------------- */

/* "1: POSIX  ADVISORY  WRITE 123 00:02:45 0 EOF": proc(5). */
static void describe(struct text *text, unsigned number, const char *kind, int pid,
		     const struct lock *lock, const struct inode *inode)
{
	uint32_t device =
		inode != NULL && inode->filesystem != NULL ? inode->filesystem->device : 0;

	text_printf(text, "%u: %-6s ADVISORY  %s %d %02x:%02x:%lu %lu ", number, kind,
		    lock->write ? "WRITE" : "READ", pid, MAJOR(device), MINOR(device),
		    inode != NULL ? inode->number : 0, lock->start);
	if (lock->end == END_OF_FILE)
		text_printf(text, "EOF\n");
	else
		text_printf(text, "%lu\n", lock->end);
}

void locks_describe(struct text *text)
{
	const struct lock_set *set;
	const struct lock *lock;
	unsigned number = 0;

	mutex_lock(&locks_lock);
	LIST_FOREACH (set, &sets, link) {
		TAILQ_FOREACH (lock, &set->wholes, link)
			describe(text, ++number, "FLOCK", (int)lock->pid, lock, set->inode);
		TAILQ_FOREACH (lock, &set->ranges, link)
			describe(text, ++number, lock->posix ? "POSIX" : "OFDLCK",
				 lock->posix ? (int)lock->pid : -1, lock, set->inode);
	}
	mutex_unlock(&locks_lock);
}
