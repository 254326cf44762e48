/*
 * proc/user.c - users that have processes, by number. See the header.
 */
#include "proc/user.h"

#include "kernel/cred.h"
#include "kernel/lock.h"
#include "mm/slab.h"

#define USER_BUCKETS 64

/* Taken under signal locks, and holding none of what they hold. */
static struct spinlock users_lock = SPINLOCK_INIT("users", RANK_HANDLERS);
static LIST_HEAD(, user) users[USER_BUCKETS]; /* users_lock; all but root */
static struct user root = { .uid = ROOT_ID, .uses = USER_PROCESS };

static struct user *lookup(uint32_t uid)
{
	struct user *user;

	LIST_FOREACH (user, &users[uid % USER_BUCKETS], link) {
		if (user->uid == uid) {
			user_add(user, USER_PROCESS);
			return user;
		}
	}
	return NULL;
}

struct user *user_find(uint32_t uid)
{
	struct user *user, *fresh;

	if (uid == ROOT_ID) {
		user_add(&root, USER_PROCESS);
		return &root;
	}
	fresh = kzalloc(sizeof(*fresh));
	spin_lock(&users_lock);
	user = lookup(uid);
	if (!user && fresh) {
		user = fresh;
		fresh = NULL;
		user->uid = uid;
		user->uses = USER_PROCESS;
		LIST_INSERT_HEAD(&users[uid % USER_BUCKETS], user, link);
	}
	spin_unlock(&users_lock);
	kfree(fresh);
	return user;
}

void user_remove(struct user *user, uint64_t unit)
{
	uint64_t uses = user->uses;
	bool last;

	while (uses > unit) {
		if (atomic_compare_exchange_weak(&user->uses, &uses, uses - unit))
			return;
	}
	/* Perhaps the last: nobody finds it while it goes. */
	spin_lock(&users_lock);
	last = atomic_fetch_sub(&user->uses, unit) == unit;
	if (last)
		LIST_REMOVE(user, link);
	spin_unlock(&users_lock);
	if (last)
		kfree(user);
}
