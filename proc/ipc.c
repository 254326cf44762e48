/*
 * proc/ipc.c - what System V's kinds of communication have in common. See the header.
 */
#include "proc/ipc.h"

#include "kernel/clock.h"
#include "kernel/cred.h"
#include "kernel/string.h"

#define MODE_BITS 0777u
#define NOBODY    UINT32_MAX /* a number that no user and no group has */

void ipc_table_init(struct ipc_table *table, const char *name, uint32_t limit)
{
	mutex_init(&table->lock, name, RANK_IPC);
	LIST_INIT(&table->objects);
	table->limit = limit;
}

uint64_t ipc_now_s(void)
{
	return clock_wall_ns() / NSEC_PER_SEC;
}

struct ipc_object *ipc_find(const struct ipc_table *table, int id)
{
	struct ipc_object *object;

	assert(mutex_held(&table->lock));
	LIST_FOREACH (object, &table->objects, link) {
		if (object->id == id)
			return object;
	}
	return NULL;
}

struct ipc_object *ipc_nth(const struct ipc_table *table, uint32_t n)
{
	struct ipc_object *object;

	LIST_FOREACH (object, &table->objects, link) {
		if (n-- == 0)
			return object;
	}
	return NULL;
}

static struct ipc_object *find_key(const struct ipc_table *table, int key)
{
	struct ipc_object *object;

	LIST_FOREACH (object, &table->objects, link) {
		if (object->key == key)
			return object;
	}
	return NULL;
}

int ipc_look(const struct ipc_table *table, int key, int flags, struct ipc_object **found)
{
	*found = key == IPC_PRIVATE ? NULL : find_key(table, key);
	if (*found && (flags & IPC_CREAT) && (flags & IPC_EXCL))
		return -EEXIST;
	if (*found)
		return ipc_may(*found, (uint32_t)flags) ? 0 : -EACCES;
	if (key != IPC_PRIVATE && !(flags & IPC_CREAT))
		return -ENOENT;
	return table->count >= table->limit ? -ENOSPC : 0;
}

void ipc_add(struct ipc_table *table, struct ipc_object *object, int key, int flags)
{
	const struct cred *cred = current_cred();

	do {
		object->id = table->next_id;
		table->next_id = object->id == INT32_MAX ? 0 : object->id + 1;
	} while (ipc_find(table, object->id));
	object->key = key;
	object->uid = object->cuid = cred->euid;
	object->gid = object->cgid = cred->egid;
	object->mode = (uint32_t)flags & MODE_BITS;
	object->changed_s = ipc_now_s();
	LIST_INSERT_HEAD(&table->objects, object, link);
	table->count++;
}

void ipc_remove(struct ipc_table *table, struct ipc_object *object)
{
	assert(mutex_held(&table->lock));
	LIST_REMOVE(object, link);
	table->count--;
}

bool ipc_may(const struct ipc_object *object, uint32_t wanted)
{
	const struct cred *cred = current_cred();
	uint32_t granted = object->mode;

	wanted = (wanted >> 6 | wanted >> 3 | wanted) & 07;
	if (cred->euid == object->uid || cred->euid == object->cuid)
		granted >>= 6;
	else if (cred->egid == object->gid || cred->egid == object->cgid ||
		 cred_in_group(cred, object->gid) || cred_in_group(cred, object->cgid))
		granted >>= 3;
	return (wanted & ~granted) == 0 || capable(CAP_IPC_OWNER);
}

int64_t ipc_stat(const struct ipc_table *table, int id, bool by_number, bool any,
		 struct ipc_object **found)
{
	*found = by_number ? ipc_find(table, id) : ipc_nth(table, (uint32_t)id);
	if (!*found)
		return -EINVAL;
	if (!any && !ipc_may(*found, 0444))
		return -EACCES;
	return by_number ? 0 : (*found)->id;
}

bool ipc_owns(const struct ipc_object *object)
{
	uint32_t euid = current_cred()->euid;

	return euid == object->uid || euid == object->cuid || capable(CAP_SYS_ADMIN);
}

struct ipc64_perm ipc_describe(const struct ipc_object *object)
{
	struct ipc64_perm perm;

	memset(&perm, 0, sizeof(perm));
	perm.key = object->key;
	perm.uid = object->uid;
	perm.gid = object->gid;
	perm.cuid = object->cuid;
	perm.cgid = object->cgid;
	perm.mode = object->mode;
	return perm;
}

int ipc_set(struct ipc_object *object, const struct ipc64_perm *to)
{
	if (to->uid == NOBODY || to->gid == NOBODY)
		return -EINVAL;
	object->uid = to->uid;
	object->gid = to->gid;
	object->mode = (object->mode & ~MODE_BITS) | (to->mode & MODE_BITS);
	object->changed_s = ipc_now_s();
	return 0;
}
