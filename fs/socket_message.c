/*
 * fs/socket_message.c - send(2), recv(2) and their kin: data, addresses and control messages between the
 * user's memory and a struct message.
 */
#include "fs/file.h"
#include "fs/io.h"
#include "fs/ops.h"
#include "fs/poll.h"
#include "fs/socket.h"
#include "kernel/clock.h"
#include "kernel/cred.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/slab.h"
#include "mm/user.h"
#include <linux/time_types.h>

/* More control data than this is ENOBUFS; Linux's optmem_max. */
#define CONTROL_MAX (20 * KIB)
/* sendmmsg(2), recvmmsg(2): the messages of one call. */
#define MESSAGES_MAX UIO_MAXIOV

void rights_put(struct rights *rights)
{
	if (rights == NULL)
		return;
	for (unsigned i = 0; i < rights->count; i++)
		file_put(rights->files[i]);
	kfree(rights);
}

static bool may_wait(const struct file *file, unsigned flags)
{
	return (flags & MSG_DONTWAIT) == 0 && file_may_wait(file);
}

/* --- as files: read(2), write(2) --------------------------------------------------------------------- */

ssize_t socket_read(struct file *file, struct span_cursor *to)
{
	struct socket *socket = file->private;
	struct message message = { .data = *to, .wait = may_wait(file, 0) };
	ssize_t result;

	if (to->left == 0 && socket->type == SOCK_STREAM)
		return 0;
	result = socket->ops->receive(socket, &message);
	rights_put(message.rights);
	return result;
}

ssize_t socket_write(struct file *file, struct span_cursor *from)
{
	struct socket *socket = file->private;
	struct message message = { .data = *from, .wait = may_wait(file, 0) };

	socket_sender(&message.credentials);
	return socket->ops->send(socket, &message);
}

/* --- control messages: cmsg(3) ------------------------------------------------------------------------ */

/* Files for the descriptors in `data`, added to the message's. */
static int take_rights(struct message *message, const uint8_t *data, size_t length)
{
	unsigned count = (unsigned)(length / sizeof(int));

	if (message->rights == NULL) {
		message->rights =
			kzalloc(sizeof(struct rights) + SCM_MAX_FD * sizeof(struct file *));
		if (message->rights == NULL)
			return -ENOMEM;
	}
	if (count > SCM_MAX_FD - message->rights->count)
		return -EINVAL;
	for (unsigned i = 0; i < count; i++) {
		struct file *file;
		int fd;

		memcpy(&fd, data + i * sizeof(int), sizeof(int));
		file = fd_get(fd);
		if (file == NULL)
			return -EBADF;
		message->rights->files[message->rights->count++] = file;
	}
	return 0;
}

/* unix(7): who one says to be is one's own process and one of one's ids, but for who may be anybody. */
static bool may_claim(const struct ucred *claim)
{
	const struct cred *mine = current_cred();
	struct ucred caller;

	socket_sender(&caller);
	return (claim->pid == caller.pid || capable(CAP_SYS_ADMIN)) &&
	       (claim->uid == mine->uid || claim->uid == mine->euid || claim->uid == mine->suid ||
		capable(CAP_SETUID)) &&
	       (claim->gid == mine->gid || claim->gid == mine->egid || claim->gid == mine->sgid ||
		capable(CAP_SETGID));
}

static int take_credentials(struct message *message, const uint8_t *data, size_t length)
{
	struct ucred claim;

	if (length != sizeof(claim))
		return -EINVAL;
	memcpy(&claim, data, length);
	if (!may_claim(&claim))
		return -EPERM;
	message->credentials = claim;
	return 0;
}

static int take_control(struct message *message, const uint8_t *control, size_t length)
{
	size_t at = 0;

	while (length - at >= sizeof(struct control_header)) {
		struct control_header header;
		const uint8_t *data = control + at + sizeof(header);
		size_t size;
		int error = 0;

		memcpy(&header, control + at, sizeof(header));
		if (header.length < sizeof(header) || header.length > length - at)
			return -EINVAL;
		size = header.length - sizeof(header);
		if (header.level == SOL_SOCKET && header.type == SCM_RIGHTS)
			error = take_rights(message, data, size);
		else if (header.level == SOL_SOCKET && header.type == SCM_CREDENTIALS)
			error = take_credentials(message, data, size);
		else if (header.level == SOL_SOCKET)
			error = -EINVAL;
		if (error != 0)
			return error;
		at += MIN(CONTROL_ALIGN(header.length), length - at);
	}
	/* An empty list of descriptors is none. */
	if (message->rights != NULL && message->rights->count == 0) {
		kfree(message->rights);
		message->rights = NULL;
	}
	return 0;
}

static int control_from_user(struct message *message, const struct user_message *user)
{
	uint8_t *control;
	int error;

	if (user->control_length == 0)
		return 0;
	if (user->control_length > CONTROL_MAX)
		return -ENOBUFS;
	control = kalloc(user->control_length);
	if (control == NULL)
		return -ENOMEM;
	error = copy_from_user(control, user->control, user->control_length);
	if (error == 0)
		error = take_control(message, control, user->control_length);
	kfree(control);
	return error;
}

/* Room for control messages in the user's memory, and what has been put there. */
struct control_room {
	vaddr_t at;
	size_t left, used;
	unsigned result; /* MSG_CTRUNC */
};

static int give_control(struct control_room *room, int type, const void *data, size_t length)
{
	struct control_header header = { .length = sizeof(header) + length,
					 .level = SOL_SOCKET,
					 .type = type };
	int error;

	if (room->left < header.length)
		room->result |= MSG_CTRUNC;
	if (room->left < sizeof(header))
		return 0;
	header.length = MIN(header.length, room->left);
	error = put_user(room->at, header);
	if (error == 0)
		error = copy_to_user(room->at + sizeof(header), data,
				     header.length - sizeof(header));
	if (error != 0)
		return error;
	length = MIN(CONTROL_ALIGN(header.length), room->left);
	room->at += length;
	room->left -= length;
	room->used += length;
	return 0;
}

/* When it came, as it was asked for: the message is called as the option. */
static int give_time(struct control_room *room, const struct message *message)
{
	bool exact = message->stamp == SO_TIMESTAMPNS_OLD || message->stamp == SO_TIMESTAMPNS_NEW;
	uint64_t part = message->time_ns % NSEC_PER_SEC;
	int64_t time[2] = { (int64_t)(message->time_ns / NSEC_PER_SEC),
			    (int64_t)(exact ? part : part / NSEC_PER_USEC) };

	return give_control(room, message->stamp, time, sizeof(time));
}

/* Descriptors for the files that have come, as many as there is room for. The others are dropped. */
static int give_rights(struct control_room *room, struct rights *rights, unsigned flags)
{
	int fds[SCM_MAX_FD];
	unsigned fit = 0, count = 0;
	int error;

	if (room->left >= sizeof(struct control_header))
		fit = (unsigned)MIN((room->left - sizeof(struct control_header)) / sizeof(int),
				    (size_t)rights->count);
	for (; count < fit; count++) {
		fds[count] = files_install(current->files, rights->files[count], 0,
					   (flags & MSG_CMSG_CLOEXEC) != 0);
		if (fds[count] < 0)
			break;
	}
	if (count < rights->count)
		room->result |= MSG_CTRUNC;
	if (count == 0)
		return 0;
	error = give_control(room, SCM_RIGHTS, fds, count * sizeof(int));
	for (unsigned i = 0; i < count && error != 0; i++) {
		struct file *file = files_remove(current->files, fds[i]);
		if (file != NULL)
			file_put(file);
	}
	return error;
}

/* --- sending ----------------------------------------------------------------------------------------- */

static int64_t send(int fd, struct message *message, unsigned flags)
{
	struct socket *socket;
	struct file *file;
	int64_t result = socket_get(fd, &file, &socket);

	if (result != 0)
		return result;
	message->flags = flags;
	message->wait = may_wait(file, flags);
	result = socket->ops->send(socket, message);
	file_put(file);
	return result;
}

SYSCALL6(sendto, int, fd, vaddr_t, buffer, size_t, length, unsigned, flags, vaddr_t, address, int,
	 address_length)
{
	struct message message = { 0 };
	struct span span;
	int64_t result = span_single(&span, buffer, length);

	if (result == 0 && address != 0) {
		result = address_from_user(address, address_length, message.address);
		message.address_length = (size_t)address_length;
	}
	if (result != 0)
		return result;
	message.data = span_begin(&span);
	socket_sender(&message.credentials);
	return send(fd, &message, flags);
}

static int64_t send_message(int fd, vaddr_t user_message, unsigned flags)
{
	struct message message = { 0 };
	struct user_message user;
	struct span span;
	int64_t result = get_user(&user, user_message);

	if (result == 0 && user.name_length < 0)
		result = -EINVAL;
	if (result == 0 && user.vector_count > UIO_MAXIOV)
		result = -EMSGSIZE;
	if (result == 0 && user.name != 0 && user.name_length > 0) {
		message.address_length = MIN((size_t)user.name_length, (size_t)ADDRESS_MAX);
		result = copy_from_user(message.address, user.name, message.address_length);
	}
	if (result == 0)
		result = span_from_user(&span, user.vectors, user.vector_count);
	if (result != 0)
		return result;
	message.data = span_begin(&span);
	socket_sender(&message.credentials);
	result = control_from_user(&message, &user);
	if (result == 0)
		result = send(fd, &message, flags);
	rights_put(message.rights);
	span_free(&span);
	return result;
}

SYSCALL3(sendmsg, int, fd, vaddr_t, message, unsigned, flags)
{
	return send_message(fd, message, flags);
}

static bool is_interrupted(void)
{
	return atomic_load(&current->signal_pending) || atomic_load(&current->kill_pending);
}

static vaddr_t length_of(vaddr_t vector)
{
	return vector + offsetof(struct user_message_vector, length);
}

SYSCALL4(sendmmsg, int, fd, vaddr_t, messages, unsigned, count, unsigned, flags)
{
	unsigned done = 0;
	int64_t result = 0;

	count = MIN(count, (unsigned)MESSAGES_MAX);
	while (done < count) {
		vaddr_t vector = messages + done * sizeof(struct user_message_vector);

		result = send_message(fd, vector, flags);
		if (result >= 0)
			result = put_user(length_of(vector), (uint32_t)result);
		if (result != 0)
			break;
		done++;
		if (is_interrupted())
			break;
	}
	return done > 0 ? (int64_t)done : result;
}

/* --- receiving --------------------------------------------------------------------------------------- */

static int64_t receive(int fd, struct message *message, unsigned flags)
{
	struct socket *socket;
	struct file *file;
	int64_t result = socket_get(fd, &file, &socket);

	if (result != 0)
		return result;
	message->flags = flags;
	message->wait = may_wait(file, flags);
	if ((flags & MSG_ERRQUEUE) != 0)
		result = -EAGAIN; /* there never is an error in it */
	else
		result = socket->ops->receive(socket, message);
	message->stamp = atomic_load(&socket->timestamps);
	file_put(file);
	return result;
}

SYSCALL6(recvfrom, int, fd, vaddr_t, buffer, size_t, length, unsigned, flags, vaddr_t, address,
	 vaddr_t, address_length)
{
	struct message message = { 0 };
	struct span span;
	int64_t result = span_single(&span, buffer, length);
	int error = 0;

	if (result != 0)
		return result;
	message.data = span_begin(&span);
	result = receive(fd, &message, flags);
	if (result >= 0 && address != 0)
		error = address_to_user(address, address_length, message.address,
					message.address_length);
	rights_put(message.rights);
	return error != 0 ? error : result;
}

/* Everything but the data goes to the user. */
static int give_rest(vaddr_t user_message, const struct user_message *user, struct message *message,
		     unsigned flags)
{
	struct control_room room = { .at = user->control, .left = user->control_length };
	int32_t name_length = (int32_t)message->address_length;
	int error = 0;

	if (user->name != 0) {
		size_t size = MIN((size_t)user->name_length, message->address_length);
		error = copy_to_user(user->name, message->address, size);
		if (error == 0)
			error = put_user(user_message + offsetof(struct user_message, name_length),
					 name_length);
	}
	if (error == 0 && message->stamp != 0 && message->time_ns != 0)
		error = give_time(&room, message);
	if (error == 0 && message->has_credentials)
		error = give_control(&room, SCM_CREDENTIALS, &message->credentials,
				     sizeof(message->credentials));
	if (error == 0 && message->rights != NULL)
		error = give_rights(&room, message->rights, flags);
	if (error == 0)
		error = put_user(user_message + offsetof(struct user_message, control_length),
				 (uint64_t)room.used);
	if (error != 0)
		return error;
	return put_user(user_message + offsetof(struct user_message, flags),
			message->result | room.result | (flags & MSG_CMSG_CLOEXEC));
}

static int64_t receive_message(int fd, vaddr_t user_message, unsigned flags)
{
	struct message message = { 0 };
	struct user_message user;
	struct span span;
	int64_t result = get_user(&user, user_message);

	if (result == 0 && user.name != 0 && user.name_length < 0)
		result = -EINVAL;
	if (result == 0 && user.vector_count > UIO_MAXIOV)
		result = -EMSGSIZE;
	if (result == 0)
		result = span_from_user(&span, user.vectors, user.vector_count);
	if (result != 0)
		return result;
	message.data = span_begin(&span);
	result = receive(fd, &message, flags);
	if (result >= 0) {
		int error = give_rest(user_message, &user, &message, flags);
		if (error != 0)
			result = error;
	}
	rights_put(message.rights);
	span_free(&span);
	return result;
}

SYSCALL3(recvmsg, int, fd, vaddr_t, message, unsigned, flags)
{
	return receive_message(fd, message, flags);
}

/* The time is looked at between messages only, as on Linux. */
SYSCALL5(recvmmsg, int, fd, vaddr_t, messages, unsigned, count, unsigned, flags, vaddr_t, timeout)
{
	uint64_t deadline_ns;
	unsigned done = 0;
	int64_t result = poll_deadline(timeout, &deadline_ns);

	if (result != 0)
		return result;
	count = MIN(count, (unsigned)MESSAGES_MAX);
	while (done < count) {
		vaddr_t vector = messages + done * sizeof(struct user_message_vector);

		result = receive_message(fd, vector, flags & ~(unsigned)MSG_WAITFORONE);
		if (result >= 0)
			result = put_user(length_of(vector), (uint32_t)result);
		if (result != 0)
			break;
		done++;
		if ((flags & MSG_WAITFORONE) != 0)
			flags |= MSG_DONTWAIT;
		if (is_interrupted() || clock_ns() >= deadline_ns)
			break;
	}
	return done > 0 ? (int64_t)done : result;
}
