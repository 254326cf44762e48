/*
 * proc/robust.c - what a thread leaves in memory when it ends: set_tid_address(2), set_robust_list(2).
 *
 * A thread may name a word that becomes 0 at its end, and a list of the locks that it holds. Those get
 * FUTEX_OWNER_DIED and one of their waiters is woken, which then sees to what the lock protects. The list
 * is the program's: it may be cut, endless, or lead anywhere, so it is followed only so far, and what
 * cannot be read or written ends it.
 */
#include "kernel/syscall.h"
#include "mm/space.h"
#include "mm/user.h"
#include "proc/cred.h"
#include "proc/futex.h"

/* In a list's pointers: FUTEX_LOCK_PI's kind, whose waiters are roused by the end itself. */
#define ENTRY_IS_LOCK 1u

/* Other processes may write the word as often as they like. */
#define TRIES_MAX 1000

/* `pending`: the thread was about to take or to give the lock. -EFAULT. */
static int bury(vaddr_t address, bool is_lock, bool pending)
{
	uint32_t word, seen;

	if (!IS_ALIGNED(address, sizeof(word)) || get_user(&word, address) != 0)
		return -EFAULT;
	/* It had unlocked, and had not yet woken anybody. */
	if (pending && !is_lock && word == 0)
		futex_wake_one(address);
	for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
		if ((word & FUTEX_TID_MASK) != current->tid)
			return 0;
		seen = word;
		if (!user_exchange_nofault(address, &seen,
					   (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED)) {
			if (user_fault_in(address, sizeof(word), true) != 0)
				return -EFAULT;
		} else if (seen == word) {
			if (!is_lock && (word & FUTEX_WAITERS))
				futex_wake_one(address);
			return 0;
		} else {
			word = seen;
		}
	}
	return 0;
}

static vaddr_t without_mark(vaddr_t entry)
{
	return entry & ~(vaddr_t)ENTRY_IS_LOCK;
}

static void follow(vaddr_t at)
{
	struct robust_list_head head;
	vaddr_t entry, next, pending;
	int error;

	if (get_user(&head, at) != 0)
		return;
	entry = (vaddr_t)head.list.next;
	pending = (vaddr_t)head.list_op_pending;
	for (unsigned count = 0; count < ROBUST_LIST_LIMIT && without_mark(entry) != at; count++) {
		/* Once it is buried, the lock's memory may be somebody else's. */
		if (get_user(&next, without_mark(entry)) != 0)
			break;
		error = without_mark(entry) == without_mark(pending)
				? 0
				: bury(without_mark(entry) + (vaddr_t)head.futex_offset,
				       entry & ENTRY_IS_LOCK, false);
		if (error != 0)
			break;
		entry = next;
		if (sched_needs_resched())
			sched_yield();
	}
	if (without_mark(pending) != 0)
		(void)bury(without_mark(pending) + (vaddr_t)head.futex_offset,
			   pending & ENTRY_IS_LOCK, true);
}

void task_leave_memory(void)
{
	const uint32_t nobody = 0;
	vaddr_t list = current->robust_list, word = current->clear_child_tid;

	current->robust_list = 0;
	current->clear_child_tid = 0;
	if (list != 0)
		follow(list);
	/* Only whoever shares the memory can wait for it. */
	if (word != 0 && current->space->refs > 1 && put_user(word, nobody) == 0)
		futex_wake_one(word);
}

SYSCALL1(set_tid_address, vaddr_t, address)
{
	current->clear_child_tid = address;
	return current->tid;
}

SYSCALL2(set_robust_list, vaddr_t, head, size_t, length)
{
	if (length != sizeof(struct robust_list_head))
		return -EINVAL;
	current->robust_list = head;
	return 0;
}

SYSCALL3(get_robust_list, int, tid, vaddr_t, head, vaddr_t, length)
{
	const size_t size = sizeof(struct robust_list_head);
	const struct task *task;
	vaddr_t list = 0;
	int error = -ESRCH;

	mutex_lock(&family_lock);
	task = tid == 0 ? current_task() : family_find_task((uint32_t)tid);
	if (task && !cred_may_inspect(task->thread.process)) {
		error = -EPERM;
	} else if (task) {
		list = task->thread.robust_list;
		error = 0;
	}
	mutex_unlock(&family_lock);
	if (error == 0)
		error = put_user(length, size);
	return error != 0 ? error : put_user(head, list);
}
