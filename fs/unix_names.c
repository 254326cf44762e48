/*
 * fs/unix_names.c - names of AF_UNIX sockets: paths in the root, and *abstract* names, which are bytes.
 *
 * Binding to a path makes an inode of that kind, which stays when the socket is gone; who connects finds
 * the inode by the path and the socket by the inode. The tree has all bound sockets.
 */
#include "fs/inode.h"
#include "fs/mount.h"
#include "fs/names.h"
#include "fs/path.h"
#include "fs/permission.h"
#include "fs/unix.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "mm/slab.h"

#define PATH_AT offsetof(struct sockaddr_un, sun_path)

/* unix(7), autobind: so many hexadecimal digits. */
#define AUTOBIND_DIGITS 5
#define AUTOBIND_NAMES  (1u << (4 * AUTOBIND_DIGITS))

static RB_HEAD(bound_sockets, unix_socket) bound = RB_INITIALIZER(&bound); /* unix_lock */
static uint32_t last_autobound;                                            /* unix_lock */

/* Those in the root by inode; then the abstract ones by their bytes. */
static int compare_names(struct unix_socket *a, struct unix_socket *b)
{
	if (a->inode != b->inode)
		return a->inode < b->inode ? -1 : 1;
	if (a->inode != NULL)
		return 0;
	if (a->address->length != b->address->length)
		return a->address->length < b->address->length ? -1 : 1;
	return memcmp(&a->address->un, &b->address->un, a->address->length);
}

RB_GENERATE_STATIC(bound_sockets, unix_socket, by_name, compare_names)

void unix_address_put(struct unix_address *address)
{
	if (address != NULL && atomic_fetch_sub(&address->refs, 1) == 1)
		kfree(address);
}

void unix_tell_name(const struct unix_address *from, uint8_t *address, size_t *length)
{
	const __kernel_sa_family_t family = AF_UNIX;

	*length = from != NULL ? from->length : sizeof(family);
	memcpy(address, from != NULL ? (const void *)&from->un : &family, *length);
}

/* A name of `length` bytes, abstract or a path with its NUL. */
static int make_address(const uint8_t *address, size_t length, struct unix_address **out)
{
	struct unix_address *made;
	struct sockaddr_un un = { 0 };

	if (length < sizeof(un.sun_family) || length > sizeof(un))
		return -EINVAL;
	memcpy(&un, address, length);
	if (un.sun_family != AF_UNIX)
		return -EINVAL;
	if (length > PATH_AT && un.sun_path[0] != '\0') {
		size_t size = 0;
		while (size < length - PATH_AT && un.sun_path[size] != '\0')
			size++;
		/* It may fill the array, and is told with its NUL nevertheless. */
		length = PATH_AT + size + 1;
	}
	made = kzalloc(sizeof(*made) + 1);
	if (made == NULL)
		return -ENOMEM;
	atomic_init(&made->refs, 1);
	made->length = length;
	memcpy(&made->un, &un, MIN(length, sizeof(un)));
	*out = made;
	return 0;
}

static bool is_path(const struct unix_address *address)
{
	return address->length > PATH_AT && address->un.sun_path[0] != '\0';
}

/* The path in a buffer for walks, to be kfree()d; NULL: no memory. */
static char *path_of(const struct unix_address *address)
{
	char *path = kalloc(PATH_MAX);

	if (path != NULL) {
		size_t length = address->length - PATH_AT - 1;
		memcpy(path, address->un.sun_path, length);
		path[length] = '\0';
	}
	return path;
}

/* --- binding ------------------------------------------------------------------------------------------- */

/* A new inode for the path. -EADDRINUSE: there is something. */
static int make_inode(const struct unix_address *address, struct inode **out)
{
	uint32_t mode = S_IRWXU | S_IRWXG | S_IRWXO;
	char *path = path_of(address);
	int error = -ENOMEM;

	if (path == NULL)
		return -ENOMEM;
	if (current->fs != NULL) {
		mutex_lock(&current->fs->lock);
		mode &= ~current->fs->umask;
		mutex_unlock(&current->fs->lock);
	}
	*out = inode_create(S_IFSOCK | mode);
	if (*out != NULL) {
		(*out)->linkable = true;
		error = names_enter(AT_FDCWD, path, *out, NULL);
		if (error != 0) {
			inode_put(*out);
			*out = NULL;
		}
	}
	kfree(path);
	return error == -EEXIST ? -EADDRINUSE : error;
}

/* Takes over the address and the inode; unix_lock held. */
static int enter_name(struct unix_socket *us, struct unix_address *address, struct inode *inode)
{
	int error = 0;

	if (us->address != NULL)
		return -EINVAL;
	us->address = address;
	us->inode = inode;
	if (RB_INSERT(bound_sockets, &bound, us) != NULL) {
		us->address = NULL;
		us->inode = NULL;
		error = -EADDRINUSE;
	}
	return error;
}

int unix_autobind(struct unix_socket *us)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct unix_address *address;
	int error = make_address((const uint8_t *)&un, PATH_AT + 1 + AUTOBIND_DIGITS, &address);

	if (error != 0)
		return error;
	mutex_lock(&unix_lock);
	if (us->address != NULL) {
		mutex_unlock(&unix_lock);
		unix_address_put(address);
		return 0;
	}
	error = -EADDRINUSE;
	for (uint32_t i = 0; i < AUTOBIND_NAMES && error == -EADDRINUSE; i++) {
		last_autobound = (last_autobound + 1) % AUTOBIND_NAMES;
		snprintf(address->un.sun_path + 1, AUTOBIND_DIGITS + 1, "%05x", last_autobound);
		error = enter_name(us, address, NULL);
	}
	mutex_unlock(&unix_lock);
	if (error != 0)
		unix_address_put(address);
	return error == -EADDRINUSE ? -ENOSPC : error;
}

int unix_bind(struct socket *socket, const uint8_t *bytes, size_t length)
{
	struct unix_socket *us = unix_of(socket);
	struct unix_address *address;
	struct inode *inode = NULL;
	bool taken;
	int error = make_address(bytes, length, &address);

	if (error != 0)
		return error;
	mutex_lock(&unix_lock);
	taken = us->address != NULL;
	mutex_unlock(&unix_lock);
	if (address->length == PATH_AT) {
		unix_address_put(address);
		return taken ? -EINVAL : unix_autobind(us);
	}
	if (taken)
		error = -EINVAL;
	else if (is_path(address))
		error = make_inode(address, &inode);
	if (error == 0) {
		/* Two threads that bind one socket: the second one's inode stays without a socket. */
		mutex_lock(&unix_lock);
		error = enter_name(us, address, inode);
		mutex_unlock(&unix_lock);
	}
	if (error != 0) {
		inode_put(inode);
		unix_address_put(address);
	}
	return error;
}

struct inode *unix_unbind(struct unix_socket *us)
{
	struct inode *inode = us->inode;

	/* A connection has its listener's address, and is not in the tree. */
	if (us->address != NULL && RB_FIND(bound_sockets, &bound, us) == us)
		RB_REMOVE(bound_sockets, &bound, us);
	us->inode = NULL;
	return inode;
}

/* --- finding ------------------------------------------------------------------------------------------- */

static int find_inode(const struct unix_address *address, struct inode **out)
{
	char *path = path_of(address);
	struct place place;
	int error;

	if (path == NULL)
		return -ENOMEM;
	error = walk_find(AT_FDCWD, path, 0, FRESH_STAT, &place);
	if (error == 0 && !S_ISSOCK(place.inode->mode))
		error = -ECONNREFUSED;
	/* Who may write may connect: unix(7), "Pathname socket ownership and permissions". */
	if (error == 0)
		error = location_may(&(struct location){ place.mount, place.inode }, MAY_WRITE);
	if (error == 0) {
		inode_get(place.inode);
		*out = place.inode;
	}
	place_put(&place);
	kfree(path);
	return error;
}

int unix_find(const uint8_t *bytes, size_t length, int type, struct unix_socket **out)
{
	struct unix_socket key = { 0 }, *found = NULL;
	int error = make_address(bytes, length, &key.address);

	*out = NULL;
	if (error != 0)
		return error;
	if (key.address->length == PATH_AT)
		error = -EINVAL;
	else if (is_path(key.address))
		error = find_inode(key.address, &key.inode);
	if (error == 0) {
		mutex_lock(&unix_lock);
		found = RB_FIND(bound_sockets, &bound, &key);
		if (found == NULL)
			error = -ECONNREFUSED;
		else if (found->socket.type != type)
			error = -EPROTOTYPE;
		else
			unix_get(found);
		mutex_unlock(&unix_lock);
	}
	inode_put(key.inode);
	unix_address_put(key.address);
	if (error == 0)
		*out = found;
	return error;
}
