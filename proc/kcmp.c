/*
 * proc/kcmp.c - kcmp(2): whether two threads have the same thing, and in what order things sort that are not
 * the same. The order is that of their addresses, made into numbers that tell nothing of those.
 */
#include "fs/file.h"
#include "kernel/random.h"
#include "kernel/syscall.h"
#include "proc/cred.h"
#include "proc/process.h"
#include <linux/kcmp.h>

static uint64_t cookies[KCMP_TYPES][2]; /* cookie_lock; 0: not made yet. [1] is odd */
static struct spinlock cookie_lock = SPINLOCK_INIT("kcmp", RANK_SIGNAL);

/* One to one, for each type another way. */
static uint64_t disguise(const void *thing, int type)
{
	uint64_t *cookie = cookies[type], mixed;
	uint64_t fresh[2];

	random_bytes(fresh, sizeof(fresh));
	spin_lock(&cookie_lock);
	if (cookie[1] == 0) {
		cookie[0] = fresh[0];
		cookie[1] = fresh[1] | 1;
	}
	mixed = ((uintptr_t)thing ^ cookie[0]) * cookie[1];
	spin_unlock(&cookie_lock);
	return mixed;
}

/* 0: the same; 1, 2: less or greater. */
static int64_t compare(const void *a, const void *b, int type)
{
	uint64_t left = disguise(a, type), right = disguise(b, type);

	return left == right ? 0 : left < right ? 1 : 2;
}

/* What a thread has of that type; NULL: nothing. Family lock held, so that it stays what it is. */
static const void *thing_of(const struct thread *thread, int type)
{
	switch (type) {
	case KCMP_VM:
		return thread->space;
	case KCMP_FILES:
		return thread->files;
	case KCMP_FS:
		return thread->fs;
	case KCMP_SIGHAND:
		return thread->process->handlers;
	default:
		return NULL; /* KCMP_IO, KCMP_SYSVSEM: nobody has any */
	}
}

/* The descriptor tables of both, with references; one may be NULL. Family lock held. */
static void get_tables(struct thread *threads[2], struct files *tables[2])
{
	for (unsigned i = 0; i < 2; i++) {
		tables[i] = threads[i]->files;
		if (tables[i])
			files_get(tables[i]);
	}
}

/* No lock held; takes the references over. */
static int64_t compare_files(struct files *tables[2], const uint64_t fds[2])
{
	struct file *found[2] = { NULL };
	int64_t result = -EBADF;

	for (unsigned i = 0; i < 2; i++) {
		if (tables[i] && fds[i] <= INT32_MAX)
			found[i] = files_lookup(tables[i], (int)fds[i]);
	}
	if (found[0] && found[1])
		result = compare(found[0], found[1], KCMP_FILE);
	for (unsigned i = 0; i < 2; i++) {
		if (found[i])
			file_put(found[i]);
		if (tables[i])
			files_put(tables[i]);
	}
	return result;
}

SYSCALL5(kcmp, int, pid1, int, pid2, int, type, uint64_t, index1, uint64_t, index2)
{
	const uint64_t fds[] = { index1, index2 };
	struct files *tables[2] = { NULL };
	struct task *tasks[2];
	int64_t result = 0;

	mutex_lock(&family_lock);
	tasks[0] = family_find_task((uint32_t)pid1);
	tasks[1] = family_find_task((uint32_t)pid2);
	if (!tasks[0] || !tasks[1])
		result = -ESRCH;
	else if (!cred_may_inspect(tasks[0]->thread.process) ||
		 !cred_may_inspect(tasks[1]->thread.process))
		result = -EPERM;
	else if (type == KCMP_EPOLL_TFD)
		result = -EOPNOTSUPP; /* as where there is no epoll */
	else if (type < 0 || type >= KCMP_TYPES)
		result = -EINVAL;
	else if (type == KCMP_FILE)
		get_tables((struct thread *[]){ &tasks[0]->thread, &tasks[1]->thread }, tables);
	else
		result = compare(thing_of(&tasks[0]->thread, type),
				 thing_of(&tasks[1]->thread, type), type);
	mutex_unlock(&family_lock);
	return result == 0 && type == KCMP_FILE ? compare_files(tables, fds) : result;
}
