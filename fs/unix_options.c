/*
 * fs/unix_options.c - what AF_UNIX sockets say of themselves, and what can be set: getsockopt(2), ioctl(2).
 */
#include "fs/unix.h"
#include "kernel/cred.h"
#include "kernel/string.h"
#include "mm/user.h"
#include <asm/ioctls.h>
#include <linux/sockios.h>

static int get_number(const struct unix_socket *us, int option, int *number)
{
	switch (option) {
	case SO_ACCEPTCONN:
		*number = us->state == UNIX_LISTENING;
		return 0;
	case SO_PASSCRED:
		*number = us->pass_credentials;
		return 0;
	case SO_SNDBUF:
		*number = (int)us->send_buffer;
		return 0;
	case SO_RCVBUF:
		*number = (int)us->receive_buffer;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

int unix_get_option(struct socket *socket, int option, void *value, size_t *length)
{
	struct unix_socket *us = unix_of(socket);
	struct ucred credentials;
	int number = 0, error = 0;

	mutex_lock(&unix_lock);
	credentials = us->other.credentials;
	if (option == SO_ERROR)
		number = -unix_take_error(us);
	else if (option != SO_PEERCRED)
		error = get_number(us, option, &number);
	mutex_unlock(&unix_lock);
	if (error != 0)
		return error;
	if (option == SO_PEERCRED) {
		*length = MIN(*length, sizeof(credentials));
		memcpy(value, &credentials, *length);
	} else {
		*length = MIN(*length, sizeof(number));
		memcpy(value, &number, *length);
	}
	return 0;
}

int unix_get_groups(struct socket *socket, struct group_list **out)
{
	struct unix_socket *us = unix_of(socket);
	bool known;

	mutex_lock(&unix_lock);
	known = us->other.credentials.pid != 0;
	*out = known ? group_list_get(us->other.groups) : NULL;
	mutex_unlock(&unix_lock);
	return known ? 0 : -ENODATA;
}

/* socket(7): the kernel doubles what it is told, for its own needs. */
static size_t buffer_size(int number)
{
	size_t size = (size_t)(number < 0 ? INT32_MAX : number);

	return MAX(MIN(size, (size_t)BUFFER_MAX / 2) * 2, (size_t)BUFFER_MIN);
}

int unix_set_option(struct socket *socket, int option, const void *value, size_t length)
{
	struct unix_socket *us = unix_of(socket);
	int number, error = 0;

	memcpy(&number, value, sizeof(number));
	mutex_lock(&unix_lock);
	switch (option) {
	case SO_PASSCRED:
		us->pass_credentials = number != 0;
		break;
	case SO_SNDBUF:
	case SO_SNDBUFFORCE:
		us->send_buffer = buffer_size(number);
		waitq_wake_all(&us->writable);
		break;
	case SO_RCVBUF:
	case SO_RCVBUFFORCE:
		us->receive_buffer = buffer_size(number);
		break;
	default:
		error = -ENOPROTOOPT;
		break;
	}
	mutex_unlock(&unix_lock);
	return error;
}

/* FIONREAD: of a stream all bytes, else those of the first message. */
static int readable_bytes(const struct unix_socket *us)
{
	const struct packet *packet;
	size_t bytes = 0;

	TAILQ_FOREACH (packet, &us->packets, link) {
		bytes += packet->length - packet->offset;
		if (us->socket.type == SOCK_DGRAM)
			break;
	}
	return (int)MIN(bytes, (size_t)INT32_MAX);
}

int unix_ioctl(struct socket *socket, unsigned request, vaddr_t argument)
{
	struct unix_socket *us = unix_of(socket);
	int number, error = 0;

	mutex_lock(&unix_lock);
	switch (request) {
	case FIONREAD:
		number = readable_bytes(us);
		error = us->state == UNIX_LISTENING ? -EINVAL : 0;
		break;
	case SIOCOUTQ:
		number = us->peer != NULL ? (int)us->peer->charge : 0;
		break;
	case SIOCATMARK:
		number = unix_at_mark(us);
		error = us->socket.type == SOCK_STREAM ? 0 : -ENOTTY;
		break;
	default:
		error = -ENOTTY;
		break;
	}
	mutex_unlock(&unix_lock);
	return error != 0 ? error : put_user(argument, number);
}
