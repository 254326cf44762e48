/*
 * fs/socket.c - sockets as files, and the calls that make, name, connect and set them.
 */
#include "fs/socket.h"
#include "fs/async.h"
#include "fs/file.h"
#include "fs/ops.h"
#include "fs/permission.h"
#include "fs/poll.h"
#include "fs/signal.h"
#include "fs/stat.h"
#include "kernel/clock.h"
#include "kernel/cred.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/syscall.h"
#include "mm/slab.h"
#include "mm/user.h"
#include <linux/stat.h>
#include <linux/time_types.h>

static const struct socket_family *const families[] = { &unix_family };

static _Atomic uint64_t last_number;

/* --- the file -------------------------------------------------------------------------------------- */

static int stat_socket(struct file *file, struct stat *out)
{
	const struct socket *socket = file->private;

	*out = (struct stat){
		.st_ino = socket->number,
		.st_mode = S_IFSOCK | S_IRWXU | S_IRWXG | S_IRWXO,
		.st_nlink = 1,
		.st_blksize = PAGE_SIZE,
	};
	return 0;
}

static int ioctl_socket(struct file *file, unsigned request, vaddr_t argument)
{
	struct socket *socket = file->private;
	int number, error;

	switch (request) {
	case FIOSETOWN:
	case SIOCSPGRP:
		error = get_user(&number, argument);
		return error != 0 ? error : async_set_owner_number(file, number);
	case FIOGETOWN:
	case SIOCGPGRP:
		return put_user(argument, async_owner_number(file));
	default:
		return socket->ops->ioctl(socket, request, argument);
	}
}

static unsigned poll_socket(struct file *file, struct poll_table *table)
{
	struct socket *socket = file->private;

	return socket->ops->poll(socket, table);
}

static void release_socket(struct file *file)
{
	struct socket *socket = file->private;

	socket->ops->release(socket);
}

static const struct file_ops socket_file_ops = {
	.read_span = socket_read,
	.write_span = socket_write,
	.stat = stat_socket,
	.ioctl = ioctl_socket,
	.poll = poll_socket,
	.async = ASYNC_EACH,
	.release = release_socket,
};

struct socket *socket_of(struct file *file)
{
	return file->ops == &socket_file_ops ? file->private : NULL;
}

int socket_get(int fd, struct file **file, struct socket **out)
{
	*file = fd_get(fd);
	if (*file == NULL)
		return -EBADF;
	*out = socket_of(*file);
	if (*out != NULL)
		return 0;
	int error = (atomic_load(&(*file)->flags) & O_PATH) != 0 ? -EBADF : -ENOTSOCK;
	file_put(*file);
	return error;
}

void socket_init(struct socket *socket, const struct socket_ops *ops, int domain, int type,
		 int protocol)
{
	socket->ops = ops;
	socket->domain = domain;
	socket->type = type;
	socket->protocol = protocol;
	socket->file = NULL;
	socket->number = atomic_fetch_add(&last_number, 1) + 1;
	atomic_init(&socket->options, 0);
	atomic_init(&socket->timestamps, 0);
	atomic_init(&socket->peek_offset, -1);
	atomic_init(&socket->receive_ns, NO_DEADLINE);
	atomic_init(&socket->send_ns, NO_DEADLINE);
}

uint64_t socket_deadline(const _Atomic uint64_t *timeout_ns)
{
	uint64_t wait_ns = atomic_load(timeout_ns), deadline_ns;

	if (wait_ns == NO_DEADLINE || __builtin_add_overflow(clock_ns(), wait_ns, &deadline_ns))
		return NO_DEADLINE;
	return deadline_ns;
}

/* Gives a socket its file. Uses it up in any case. NULL: file_create_error(). */
static struct file *make_file(struct socket *socket, int flags)
{
	uint32_t file_flags = O_RDWR | (uint32_t)(flags & SOCK_NONBLOCK);
	struct file *file = file_create(&socket_file_ops, file_flags);

	if (file == NULL) {
		socket->ops->release(socket);
		return NULL;
	}
	file->private = socket;
	socket->file = file;
	return file;
}

/* --- making ------------------------------------------------------------------------------------------ */

static int find_family(int domain, int type, const struct socket_family **out)
{
	if ((type & ~(SOCK_TYPE_MASK | SOCK_CLOEXEC | SOCK_NONBLOCK)) != 0)
		return -EINVAL;
	for (unsigned i = 0; i < ARRAY_SIZE(families); i++) {
		if (families[i]->domain == domain) {
			*out = families[i];
			return 0;
		}
	}
	return -EAFNOSUPPORT;
}

SYSCALL3(socket, int, domain, int, type, int, protocol)
{
	const struct socket_family *family;
	struct socket *socket;
	struct file *file;
	int error = find_family(domain, type, &family);

	if (error == 0)
		error = family->create(type & SOCK_TYPE_MASK, protocol, &socket);
	if (error != 0)
		return error;
	file = make_file(socket, type);
	if (file == NULL)
		return file_create_error();
	int fd = files_install(current->files, file, 0, (type & SOCK_CLOEXEC) != 0);
	file_put(file);
	return fd;
}

SYSCALL4(socketpair, int, domain, int, type, int, protocol, vaddr_t, to)
{
	const struct socket_family *family;
	struct socket *sockets[2];
	struct file *files[2] = { NULL, NULL };
	int64_t result = find_family(domain, type, &family);

	if (result == 0 && family->pair == NULL)
		result = -EOPNOTSUPP;
	for (unsigned i = 0; i < 2 && result == 0; i++) {
		result = family->create(type & SOCK_TYPE_MASK, protocol, &sockets[i]);
		if (result == 0)
			files[i] = make_file(sockets[i], type);
		if (result == 0 && files[i] == NULL)
			result = file_create_error();
	}
	if (result == 0)
		result = family->pair(sockets[0], sockets[1]);
	if (result == 0)
		result = fd_install_pair(files, to, (type & SOCK_CLOEXEC) != 0);
	for (unsigned i = 0; i < 2; i++) {
		if (files[i] != NULL)
			file_put(files[i]);
	}
	return result;
}

/* --- addresses ----------------------------------------------------------------------------------------- */

int address_from_user(vaddr_t user, int length, uint8_t *address)
{
	if (length < 0 || length > ADDRESS_MAX)
		return -EINVAL;
	return copy_from_user(address, user, (size_t)length);
}

int address_to_user(vaddr_t user, vaddr_t user_length, const uint8_t *address, size_t length)
{
	int room, error = get_user(&room, user_length);

	if (error == 0 && room < 0)
		error = -EINVAL;
	if (error == 0)
		error = copy_to_user(user, address, MIN((size_t)room, length));
	return error != 0 ? error : put_user(user_length, (int)length);
}

SYSCALL3(bind, int, fd, vaddr_t, user_address, int, length)
{
	uint8_t address[ADDRESS_MAX];
	struct socket *socket;
	struct file *file;
	int error = socket_get(fd, &file, &socket);

	if (error != 0)
		return error;
	error = address_from_user(user_address, length, address);
	if (error == 0)
		error = socket->ops->bind(socket, address, (size_t)length);
	file_put(file);
	return error;
}

SYSCALL3(connect, int, fd, vaddr_t, user_address, int, length)
{
	uint8_t address[ADDRESS_MAX];
	struct socket *socket;
	struct file *file;
	int error = socket_get(fd, &file, &socket);

	if (error != 0)
		return error;
	error = address_from_user(user_address, length, address);
	if (error == 0)
		error = socket->ops->connect(socket, address, (size_t)length,
					     (atomic_load(&file->flags) & O_NONBLOCK) == 0);
	file_put(file);
	return error;
}

SYSCALL2(listen, int, fd, int, backlog)
{
	struct socket *socket;
	struct file *file;
	int error = socket_get(fd, &file, &socket);

	if (error != 0)
		return error;
	/* Negative is as good as endless, as on Linux. */
	if ((unsigned)backlog > SOMAXCONN)
		backlog = SOMAXCONN;
	error = socket->ops->listen(socket, backlog);
	file_put(file);
	return error;
}

static int64_t accept(int fd, vaddr_t user_address, vaddr_t user_length, int flags)
{
	uint8_t address[ADDRESS_MAX];
	struct socket *socket, *new_socket;
	struct file *file, *new_file = NULL;
	size_t length = 0;
	int64_t result;

	if ((flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) != 0)
		return -EINVAL;
	result = socket_get(fd, &file, &socket);
	if (result != 0)
		return result;
	result = socket->ops->accept(socket, (atomic_load(&file->flags) & O_NONBLOCK) == 0,
				     &new_socket);
	file_put(file);
	if (result != 0)
		return result;
	new_file = make_file(new_socket, flags);
	if (new_file == NULL)
		return file_create_error();
	if (user_address != 0) {
		result = new_socket->ops->name(new_socket, true, address, &length);
		if (result == 0)
			result = address_to_user(user_address, user_length, address, length);
	}
	if (result == 0)
		result = files_install(current->files, new_file, 0, (flags & SOCK_CLOEXEC) != 0);
	file_put(new_file);
	return result;
}

SYSCALL3(accept, int, fd, vaddr_t, address, vaddr_t, length)
{
	return accept(fd, address, length, 0);
}

SYSCALL4(accept4, int, fd, vaddr_t, address, vaddr_t, length, int, flags)
{
	return accept(fd, address, length, flags);
}

static int64_t get_name(int fd, bool peer, vaddr_t user_address, vaddr_t user_length)
{
	uint8_t address[ADDRESS_MAX];
	struct socket *socket;
	struct file *file;
	size_t length = 0;
	int error = socket_get(fd, &file, &socket);

	if (error != 0)
		return error;
	error = socket->ops->name(socket, peer, address, &length);
	if (error == 0)
		error = address_to_user(user_address, user_length, address, length);
	file_put(file);
	return error;
}

SYSCALL3(getsockname, int, fd, vaddr_t, address, vaddr_t, length)
{
	return get_name(fd, false, address, length);
}

SYSCALL3(getpeername, int, fd, vaddr_t, address, vaddr_t, length)
{
	return get_name(fd, true, address, length);
}

SYSCALL2(shutdown, int, fd, int, how)
{
	struct socket *socket;
	struct file *file;
	int error = socket_get(fd, &file, &socket);

	if (error != 0)
		return error;
	error = how < SHUT_RD || how > SHUT_RDWR ? -EINVAL : socket->ops->shutdown(socket, how);
	file_put(file);
	return error;
}

/* --- options: socket(7) ------------------------------------------------------------------------------ */

/* On or off, and of no consequence within one machine. */
static bool is_kept(int option)
{
	switch (option) {
	case SO_DEBUG:
	case SO_REUSEADDR:
	case SO_DONTROUTE:
	case SO_BROADCAST:
	case SO_KEEPALIVE:
	case SO_OOBINLINE:
	case SO_REUSEPORT:
		return true;
	default:
		return false;
	}
}

/* SO_RCVTIMEO and SO_SNDTIMEO, whose two numbers mean the same where a long has 64 bits. */
static _Atomic uint64_t *timeout_of(struct socket *socket, int option)
{
	switch (option) {
	case SO_RCVTIMEO_OLD:
	case SO_RCVTIMEO_NEW:
		return &socket->receive_ns;
	case SO_SNDTIMEO_OLD:
	case SO_SNDTIMEO_NEW:
		return &socket->send_ns;
	default:
		return NULL;
	}
}

static int set_timeout(_Atomic uint64_t *timeout, const void *value, size_t length)
{
	struct __kernel_sock_timeval tv;
	uint64_t ns;

	if (length < sizeof(tv))
		return -EINVAL;
	memcpy(&tv, value, sizeof(tv));
	if (tv.tv_usec < 0 || tv.tv_usec >= (int64_t)(NSEC_PER_SEC / NSEC_PER_USEC))
		return -EDOM;
	if (tv.tv_sec < 0)
		ns = 0;
	else if ((tv.tv_sec == 0 && tv.tv_usec == 0) ||
		 __builtin_mul_overflow((uint64_t)tv.tv_sec, NSEC_PER_SEC, &ns) ||
		 __builtin_add_overflow(ns, (uint64_t)tv.tv_usec * NSEC_PER_USEC, &ns))
		ns = NO_DEADLINE;
	atomic_store(timeout, ns);
	return 0;
}

static void get_timeout(uint64_t ns, void *value, size_t *length)
{
	struct __kernel_sock_timeval tv = { 0 };

	if (ns != NO_DEADLINE) {
		tv.tv_sec = (int64_t)(ns / NSEC_PER_SEC);
		tv.tv_usec = (int64_t)(ns % NSEC_PER_SEC / NSEC_PER_USEC);
	}
	*length = MIN(*length, sizeof(tv));
	memcpy(value, &tv, *length);
}

/* Their two numbers mean the same here, too. */
static bool is_timestamp(int option)
{
	return option == SO_TIMESTAMP_OLD || option == SO_TIMESTAMPNS_OLD ||
	       option == SO_TIMESTAMP_NEW || option == SO_TIMESTAMPNS_NEW;
}

static int set_option(struct socket *socket, int option, const void *value, size_t length)
{
	_Atomic uint64_t *timeout = timeout_of(socket, option);
	int number;

	if (timeout != NULL)
		return set_timeout(timeout, value, length);
	if (length < sizeof(number))
		return -EINVAL;
	memcpy(&number, value, sizeof(number));
	if (is_timestamp(option)) {
		atomic_store(&socket->timestamps, number != 0 ? option : 0);
		return 0;
	}
	if (option == SO_PEEK_OFF) {
		atomic_store(&socket->peek_offset, number < 0 ? -1 : number);
		return 0;
	}
	if (!is_kept(option))
		return socket->ops->set_option(socket, option, value, length);
	if (number != 0)
		atomic_fetch_or(&socket->options, 1u << option);
	else
		atomic_fetch_and(&socket->options, ~(1u << option));
	return 0;
}

SYSCALL5(setsockopt, int, fd, int, level, int, option, vaddr_t, user_value, int, length)
{
	uint8_t value[ADDRESS_MAX] = { 0 };
	struct socket *socket;
	struct file *file;
	int error;

	if (length < 0)
		return -EINVAL;
	error = socket_get(fd, &file, &socket);
	if (error != 0)
		return error;
	if (level != SOL_SOCKET)
		error = -EOPNOTSUPP;
	else
		error = copy_from_user(value, user_value, MIN((size_t)length, sizeof(value)));
	if (error == 0)
		error = set_option(socket, option, value, MIN((size_t)length, sizeof(value)));
	file_put(file);
	return error;
}

static int get_option(struct socket *socket, int option, void *value, size_t *length)
{
	_Atomic uint64_t *timeout = timeout_of(socket, option);
	const struct linger none = { 0 };
	int number;

	if (timeout != NULL) {
		get_timeout(atomic_load(timeout), value, length);
		return 0;
	}
	switch (option) {
	case SO_TYPE:
		number = socket->type;
		break;
	case SO_DOMAIN:
		number = socket->domain;
		break;
	case SO_PROTOCOL:
		number = socket->protocol;
		break;
	case SO_RCVLOWAT:
	case SO_SNDLOWAT:
		number = 1;
		break;
	case SO_TIMESTAMP_OLD:
	case SO_TIMESTAMPNS_OLD:
	case SO_TIMESTAMP_NEW:
	case SO_TIMESTAMPNS_NEW:
		number = atomic_load(&socket->timestamps) == option;
		break;
	case SO_PEEK_OFF:
		number = atomic_load(&socket->peek_offset);
		break;
	case SO_LINGER:
		*length = MIN(*length, sizeof(none));
		memcpy(value, &none, *length);
		return 0;
	default:
		if (!is_kept(option))
			return socket->ops->get_option(socket, option, value, length);
		number = socket_has(socket, option);
		break;
	}
	*length = MIN(*length, sizeof(number));
	memcpy(value, &number, *length);
	return 0;
}

/* SO_PEERGROUPS: all of them, or -ERANGE, and how much room they need. */
static int get_groups(struct socket *socket, vaddr_t to, size_t *length)
{
	struct group_list *groups;
	size_t size;
	int error = socket->ops->get_groups(socket, &groups);

	if (error != 0)
		return error;
	size = groups != NULL ? groups->count * sizeof(groups->ids[0]) : 0;
	if (size > *length)
		error = -ERANGE;
	else if (size > 0)
		error = copy_to_user(to, groups->ids, size);
	*length = size;
	group_list_put(groups);
	return error;
}

SYSCALL5(getsockopt, int, fd, int, level, int, option, vaddr_t, user_value, vaddr_t, user_length)
{
	uint8_t value[ADDRESS_MAX] = { 0 };
	struct socket *socket;
	struct file *file;
	size_t size = 0;
	int length = 0, error = socket_get(fd, &file, &socket);

	if (error != 0)
		return error;
	error = level != SOL_SOCKET ? -EOPNOTSUPP : get_user(&length, user_length);
	if (error == 0 && length < 0)
		error = -EINVAL;
	if (error == 0 && option == SO_PEERGROUPS) {
		size = (size_t)length;
		error = get_groups(socket, user_value, &size);
	} else if (error == 0) {
		size = MIN((size_t)length, sizeof(value));
		error = get_option(socket, option, value, &size);
		if (error == 0)
			error = copy_to_user(user_value, value, size);
	}
	file_put(file);
	if (error == 0 || error == -ERANGE) {
		int told = put_user(user_length, (int)size);

		error = told != 0 ? told : error;
	}
	return error;
}

void socket_caller(struct ucred *out)
{
	const struct cred *cred = current_cred();

	*out = (struct ucred){ .pid = process_number(), .uid = cred->euid, .gid = cred->egid };
}

void socket_sender(struct ucred *out)
{
	const struct cred *cred = current_cred();

	*out = (struct ucred){ .pid = process_number(), .uid = cred->uid, .gid = cred->gid };
}
