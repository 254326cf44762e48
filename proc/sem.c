/*
 * proc/sem.c - System V semaphores: semget(2), semop(2), semtimedop(2), semctl(2).
 *
 * The operations of one call are tried one after the other; if one would have to wait, those before it are
 * taken back, and the caller sleeps until something has changed in the set. What SEM_UNDO has done is added
 * up for each process and set, and taken back when the process ends.
 */
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "kernel/timespec.h"
#include "mm/slab.h"
#include "mm/user.h"
#include "proc/ipc.h"
#include "proc/process.h"
#include <linux/sem.h>

/* Sets; semaphores of a set, and of all sets; operations of a call; the highest value. */
#define SETS_MAX       1024
#define SET_SIZE_MAX   4096
#define SEMAPHORES_MAX 32000
#define OPERATIONS_MAX 500
#define VALUE_MAX      32767

struct semaphore {
	int32_t value;
	uint32_t pid; /* whose operation was the last */
};

struct sem_set {
	struct ipc_object ipc; /* the table's lock, as all of it */
	uint32_t refs;         /* the table's, and those of who sleeps */
	bool removed;
	uint64_t used_s; /* the last semop(2) */
	LIST_HEAD(, sem_sleeper) sleepers;
	LIST_HEAD(, sem_undo) undos;
	struct waitq changed;
	uint32_t count;
	struct semaphore semaphores[];
};

/* Who waits, on its stack: for which semaphore, to be 0 or to be more. */
struct sem_sleeper {
	LIST_ENTRY(sem_sleeper) link;
	uint32_t number;
	bool for_zero;
};

/* What a process's end adds to the semaphores of a set. */
struct sem_undo {
	LIST_ENTRY(sem_undo) in_set, in_process;
	struct sem_set *set;
	struct process *process;
	int32_t add[];
};

static struct ipc_table sets;    /* its lock guards the rest, too */
static uint32_t semaphores_made; /* of all sets */

void sem_init(void)
{
	ipc_table_init(&sets, "semaphores", SETS_MAX);
}

static struct sem_set *find_set(int id)
{
	struct ipc_object *object = ipc_find(&sets, id);

	return object ? container_of(object, struct sem_set, ipc) : NULL;
}

static void drop(struct sem_set *set)
{
	if (--set->refs == 0)
		kfree(set);
}

static void changed(struct sem_set *set)
{
	waitq_wake_all(&set->changed);
}

/* --- making and removing --------------------------------------------------------------------------- */

SYSCALL3(semget, int, key, int, count, int, flags)
{
	struct ipc_object *found;
	struct sem_set *fresh = NULL;
	int64_t result;

	if (count < 0 || count > SET_SIZE_MAX)
		return -EINVAL;
	if (count > 0) {
		fresh = kzalloc(sizeof(*fresh) + (size_t)count * sizeof(struct semaphore));
		if (!fresh)
			return -ENOMEM;
		fresh->refs = 1;
		fresh->count = (uint32_t)count;
		waitq_init(&fresh->changed, "semaphores");
	}
	mutex_lock(&sets.lock);
	result = ipc_look(&sets, key, flags, &found);
	if (result == 0 && found) {
		result = (uint32_t)count > container_of(found, struct sem_set, ipc)->count
				 ? -EINVAL
				 : found->id;
	} else if (result == 0 && !fresh) {
		result = -EINVAL;
	} else if (result == 0 && semaphores_made + fresh->count > SEMAPHORES_MAX) {
		result = -ENOSPC;
	} else if (result == 0) {
		ipc_add(&sets, &fresh->ipc, key, flags);
		semaphores_made += fresh->count;
		result = fresh->ipc.id;
		fresh = NULL;
	}
	mutex_unlock(&sets.lock);
	kfree(fresh);
	return result;
}

static void forget_undo(struct sem_undo *undo)
{
	LIST_REMOVE(undo, in_set);
	LIST_REMOVE(undo, in_process);
	kfree(undo);
}

static void remove_set(struct sem_set *set)
{
	struct sem_undo *undo, *next;

	LIST_FOREACH_SAFE (undo, &set->undos, in_set, next)
		forget_undo(undo);
	ipc_remove(&sets, &set->ipc);
	semaphores_made -= set->count;
	set->removed = true;
	changed(set);
	drop(set);
}

/* --- undoing --------------------------------------------------------------------------------------- */

/* The calling process's for that set; made if need be. NULL: no memory. Table locked. */
static struct sem_undo *undo_for(struct sem_set *set)
{
	struct process *self = current_process();
	struct sem_undo *undo;

	LIST_FOREACH (undo, &self->undos, in_process) {
		if (undo->set == set)
			return undo;
	}
	undo = kzalloc(sizeof(*undo) + set->count * sizeof(undo->add[0]));
	if (!undo)
		return NULL;
	undo->set = set;
	undo->process = self;
	LIST_INSERT_HEAD(&set->undos, undo, in_set);
	LIST_INSERT_HEAD(&self->undos, undo, in_process);
	return undo;
}

void sem_undo_all(struct process *process)
{
	struct sem_undo *undo, *next;

	if (LIST_EMPTY(&process->undos))
		return;
	mutex_lock(&sets.lock);
	LIST_FOREACH_SAFE (undo, &process->undos, in_process, next) {
		struct sem_set *set = undo->set;

		for (uint32_t i = 0; i < set->count; i++) {
			struct semaphore *semaphore = &set->semaphores[i];

			if (undo->add[i] == 0)
				continue;
			semaphore->value = MIN(MAX(semaphore->value + undo->add[i], 0), VALUE_MAX);
			semaphore->pid = process->pid;
		}
		changed(set);
		forget_undo(undo);
	}
	mutex_unlock(&sets.lock);
}

/* What a semaphore was set to is not undone. */
static void forget_adjustment(struct sem_set *set, uint32_t number)
{
	struct sem_undo *undo;

	LIST_FOREACH (undo, &set->undos, in_set)
		undo->add[number] = 0;
}

/* --- semop(2) ------------------------------------------------------------------------------------------ */

struct attempt {
	struct sembuf operations[OPERATIONS_MAX];
	uint32_t count;
	struct sem_set *set;
	struct sem_undo *undo; /* NULL: nothing is to be undone */
	struct sem_sleeper sleeper;
	bool sleeps; /* it is among the set's sleepers */
};

static bool alters(const struct attempt *a)
{
	for (uint32_t i = 0; i < a->count; i++) {
		if (a->operations[i].sem_op != 0)
			return true;
	}
	return false;
}

static bool undoes(const struct attempt *a)
{
	for (uint32_t i = 0; i < a->count; i++) {
		if ((a->operations[i].sem_flg & SEM_UNDO) && a->operations[i].sem_op != 0)
			return true;
	}
	return false;
}

/* 0, -EAGAIN (it would have to wait), -ERANGE. */
static int apply(struct attempt *a, const struct sembuf *op)
{
	struct semaphore *semaphore = &a->set->semaphores[op->sem_num];
	int32_t value = semaphore->value + op->sem_op;

	if (op->sem_op == 0)
		return semaphore->value == 0 ? 0 : -EAGAIN;
	if (value < 0)
		return -EAGAIN;
	if (value > VALUE_MAX)
		return -ERANGE;
	if (op->sem_flg & SEM_UNDO) {
		int32_t add = a->undo->add[op->sem_num] - op->sem_op;

		if (add > VALUE_MAX || add < -VALUE_MAX - 1)
			return -ERANGE;
		a->undo->add[op->sem_num] = add;
	}
	semaphore->value = value;
	return 0;
}

static void take_back(struct attempt *a, const struct sembuf *op)
{
	if (op->sem_flg & SEM_UNDO)
		a->undo->add[op->sem_num] += op->sem_op;
	a->set->semaphores[op->sem_num].value -= op->sem_op;
}

/* All of them or none. 1: the caller has to sleep. */
static int apply_all(struct attempt *a)
{
	uint32_t done = 0;
	int error = 0;

	while (done < a->count && error == 0) {
		error = apply(a, &a->operations[done]);
		done += error == 0;
	}
	if (error == 0) {
		for (uint32_t i = 0; i < a->count; i++)
			a->set->semaphores[a->operations[i].sem_num].pid = current_process()->pid;
		a->set->used_s = ipc_now_s();
		if (alters(a))
			changed(a->set);
		return 0;
	}
	a->sleeper.number = a->operations[done].sem_num;
	a->sleeper.for_zero = a->operations[done].sem_op == 0;
	if (error == -EAGAIN && !(a->operations[done].sem_flg & IPC_NOWAIT))
		error = 1;
	while (done-- > 0) {
		if (a->operations[done].sem_op != 0)
			take_back(a, &a->operations[done]);
	}
	return error;
}

/* Once more, with the table locked. */
static int try_again(struct attempt *a)
{
	int result;

	mutex_lock(&sets.lock);
	result = a->set->removed ? -EIDRM : apply_all(a);
	if (result == 1 && !a->sleeps)
		LIST_INSERT_HEAD(&a->set->sleepers, &a->sleeper, link);
	else if (result != 1 && a->sleeps)
		LIST_REMOVE(&a->sleeper, link);
	a->sleeps = result == 1;
	mutex_unlock(&sets.lock);
	return result;
}

/* The set with a reference, and what is to be undone. */
static int begin(int id, struct attempt *a)
{
	struct sem_set *set;
	int error = 0;

	mutex_lock(&sets.lock);
	set = find_set(id);
	if (!set)
		error = -EINVAL;
	for (uint32_t i = 0; error == 0 && i < a->count; i++) {
		if (a->operations[i].sem_num >= set->count)
			error = -EFBIG;
	}
	if (error == 0 && !ipc_may(&set->ipc, alters(a) ? 0222 : 0444))
		error = -EACCES;
	if (error == 0 && undoes(a)) {
		a->undo = undo_for(set);
		error = a->undo ? 0 : -ENOMEM;
	}
	if (error == 0) {
		set->refs++;
		a->set = set;
	}
	mutex_unlock(&sets.lock);
	return error;
}

static void end(struct attempt *a)
{
	mutex_lock(&sets.lock);
	if (a->sleeps)
		LIST_REMOVE(&a->sleeper, link);
	drop(a->set);
	mutex_unlock(&sets.lock);
}

static int64_t operate(int id, vaddr_t from, uint64_t count, uint64_t deadline_ns)
{
	struct attempt *a;
	int result = 0, error;

	if (count == 0 || id < 0)
		return -EINVAL;
	if (count > OPERATIONS_MAX)
		return -E2BIG;
	a = kzalloc(sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->count = (uint32_t)count;
	error = copy_from_user(a->operations, from, count * sizeof(a->operations[0]));
	if (error == 0)
		error = begin(id, a);
	if (error == 0) {
		error = wait_event_full(&a->set->changed, (result = try_again(a)) != 1, WAIT_SIGNAL,
					deadline_ns);
		if (error == 0)
			error = result;
		else if (error == -ETIMEDOUT)
			error = -EAGAIN;
		else if (deadline_ns != NO_DEADLINE)
			sleep_cut_short(deadline_ns);
		end(a);
	}
	kfree(a);
	return error;
}

SYSCALL3(semop, int, id, vaddr_t, from, uint64_t, count)
{
	return operate(id, from, count, NO_DEADLINE);
}

SYSCALL4(semtimedop, int, id, vaddr_t, from, uint64_t, count, vaddr_t, timeout)
{
	struct __kernel_timespec time;
	uint64_t ns, deadline_ns = NO_DEADLINE;

	if (timeout != 0) {
		if (get_user(&time, timeout) != 0)
			return -EFAULT;
		if (timespec_to_ns(&time, &ns) != 0)
			return -EINVAL;
		deadline_ns = sleep_deadline(ns);
	}
	return operate(id, from, count, deadline_ns);
}

/* --- semctl(2) ----------------------------------------------------------------------------------------- */

static int64_t tell_limits(int command, vaddr_t to)
{
	struct seminfo info = {
		.semmni = SETS_MAX,
		.semmns = SEMAPHORES_MAX,
		.semmsl = SET_SIZE_MAX,
		.semopm = OPERATIONS_MAX,
		.semvmx = VALUE_MAX,
		.semaem = VALUE_MAX,
		.semmap = SEMAPHORES_MAX,
		.semmnu = SEMAPHORES_MAX,
		.semume = OPERATIONS_MAX,
	};

	mutex_lock(&sets.lock);
	if (command == SEM_INFO) {
		info.semusz = (int)sets.count;
		info.semaem = (int)semaphores_made;
	}
	mutex_unlock(&sets.lock);
	return put_user(to, info) != 0 ? -EFAULT : MAX((int64_t)sets.count - 1, INT64_C(0));
}

static int64_t tell(int id, int command, vaddr_t to)
{
	struct ipc_object *object;
	struct semid64_ds out;
	int64_t result;

	memset(&out, 0, sizeof(out));
	mutex_lock(&sets.lock);
	result = ipc_stat(&sets, id, command == IPC_STAT, command == SEM_STAT_ANY, &object);
	if (result >= 0) {
		const struct sem_set *set = container_of(object, struct sem_set, ipc);

		out.sem_perm = ipc_describe(object);
		out.sem_otime = (int64_t)set->used_s;
		out.sem_ctime = (int64_t)object->changed_s;
		out.sem_nsems = set->count;
	}
	mutex_unlock(&sets.lock);
	return result >= 0 && put_user(to, out) != 0 ? -EFAULT : result;
}

static uint32_t count_sleepers(const struct sem_set *set, uint32_t number, bool for_zero)
{
	const struct sem_sleeper *sleeper;
	uint32_t count = 0;

	LIST_FOREACH (sleeper, &set->sleepers, link)
		count += sleeper->number == number && sleeper->for_zero == for_zero;
	return count;
}

/* What is asked of one semaphore, or set. Table locked. */
static int64_t with_one(struct sem_set *set, uint32_t number, int command, int value)
{
	struct semaphore *semaphore;

	if (number >= set->count)
		return -EINVAL;
	semaphore = &set->semaphores[number];
	if (!ipc_may(&set->ipc, command == SETVAL ? 0222 : 0444))
		return -EACCES;
	switch (command) {
	case GETVAL:
		return semaphore->value;
	case GETPID:
		return semaphore->pid;
	case GETNCNT:
		return count_sleepers(set, number, false);
	case GETZCNT:
		return count_sleepers(set, number, true);
	default:
		break;
	}
	if (value < 0 || value > VALUE_MAX)
		return -ERANGE;
	semaphore->value = value;
	semaphore->pid = current_process()->pid;
	set->ipc.changed_s = ipc_now_s();
	forget_adjustment(set, number);
	changed(set);
	return 0;
}

static int64_t one(int id, int number, int command, int value)
{
	struct sem_set *set;
	int64_t result = -EINVAL;

	mutex_lock(&sets.lock);
	set = find_set(id);
	if (set && number >= 0)
		result = with_one(set, (uint32_t)number, command, value);
	mutex_unlock(&sets.lock);
	return result;
}

/* All values out of the set or into it, through a copy. */
static int64_t exchange_all(struct sem_set *set, uint16_t *values, bool sets_them)
{
	if (!ipc_may(&set->ipc, sets_them ? 0222 : 0444))
		return -EACCES;
	for (uint32_t i = 0; i < set->count; i++) {
		if (sets_them && values[i] > VALUE_MAX)
			return -ERANGE;
	}
	for (uint32_t i = 0; i < set->count; i++) {
		if (sets_them) {
			set->semaphores[i].value = values[i];
			set->semaphores[i].pid = current_process()->pid;
			forget_adjustment(set, i);
		} else {
			values[i] = (uint16_t)set->semaphores[i].value;
		}
	}
	if (sets_them) {
		set->ipc.changed_s = ipc_now_s();
		changed(set);
	}
	return 0;
}

static int64_t all(int id, int command, vaddr_t at)
{
	uint16_t *values;
	struct sem_set *set;
	uint32_t count = 0;
	int64_t result = -EINVAL;

	mutex_lock(&sets.lock);
	set = find_set(id);
	if (set)
		count = set->count;
	mutex_unlock(&sets.lock);
	if (count == 0)
		return -EINVAL;
	values = kalloc(count * sizeof(values[0]));
	if (!values)
		return -ENOMEM;
	if (command == SETALL && copy_from_user(values, at, count * sizeof(values[0])) != 0) {
		kfree(values);
		return -EFAULT;
	}
	mutex_lock(&sets.lock);
	set = find_set(id);
	if (set && set->count == count)
		result = exchange_all(set, values, command == SETALL);
	mutex_unlock(&sets.lock);
	if (result == 0 && command == GETALL)
		result = copy_to_user(at, values, count * sizeof(values[0]));
	kfree(values);
	return result;
}

static int64_t change(int id, const struct semid64_ds *to)
{
	struct sem_set *set;
	int64_t result = 0;

	mutex_lock(&sets.lock);
	set = find_set(id);
	if (!set)
		result = -EINVAL;
	else if (!ipc_owns(&set->ipc))
		result = -EPERM;
	else if (to)
		result = ipc_set(&set->ipc, &to->sem_perm);
	else
		remove_set(set);
	mutex_unlock(&sets.lock);
	return result;
}

SYSCALL4(semctl, int, id, int, number, int, command, uint64_t, argument)
{
	struct semid64_ds to;

	if (id < 0)
		return -EINVAL;
	switch (command) {
	case IPC_INFO:
	case SEM_INFO:
		return tell_limits(command, argument);
	case IPC_STAT:
	case SEM_STAT:
	case SEM_STAT_ANY:
		return tell(id, command, argument);
	case GETVAL:
	case GETPID:
	case GETNCNT:
	case GETZCNT:
	case SETVAL:
		return one(id, number, command, (int)argument);
	case GETALL:
	case SETALL:
		return all(id, command, argument);
	case IPC_SET:
		if (get_user(&to, argument) != 0)
			return -EFAULT;
		return change(id, &to);
	case IPC_RMID:
		return change(id, NULL);
	default:
		return -EINVAL;
	}
}
