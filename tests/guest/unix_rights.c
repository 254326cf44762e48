/*
 * Descriptors and credentials in messages: what arrives, what is cut, what is in flight when everybody
 * has gone, and circles of sockets that only their own messages hold.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#define MANY 250

static int status_of(pid_t child)
{
	int status = -1;

	return waitpid(child, &status, 0) == child ? status : -1;
}

/* One byte with `count` descriptors. */
static ssize_t send_fds(int socket, const int *fds, int count, int flags)
{
	static _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * (MANY + 10))];
	struct iovec byte = { "f", 1 };
	struct msghdr message = { .msg_iov = &byte, .msg_iovlen = 1 };
	struct cmsghdr *header = (struct cmsghdr *)control;

	if (count > 0) {
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
		memcpy(CMSG_DATA(header), fds, sizeof(int) * (size_t)count);
	}
	/* musl has no room for more than 250 of them. */
	return syscall(SYS_sendmsg, socket, &message, flags | MSG_NOSIGNAL);
}

/* What comes with the next bytes: how many descriptors, for which there is room. -1: no message. */
static int receive_fds(int socket, int *fds, int room, int flags, int *result)
{
	static _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * (MANY + 10))];
	char bytes[16];
	struct iovec vector = { bytes, sizeof(bytes) };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
	struct cmsghdr *header;
	int count = 0;

	message.msg_control = room > 0 ? control : NULL;
	message.msg_controllen = room > 0 ? CMSG_LEN(sizeof(int) * (size_t)room) : 0;
	if (recvmsg(socket, &message, flags) < 0)
		return -1;
	if (result)
		*result = message.msg_flags;
	for (header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(header), sizeof(int) * (size_t)count);
	}
	return count;
}

static int open_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static bool same_file(int a, int b)
{
	struct stat one, two;

	return fstat(a, &one) == 0 && fstat(b, &two) == 0 && one.st_ino == two.st_ino &&
	       one.st_dev == two.st_dev;
}

static void passing(int type, const char *name)
{
	int pair[2], ends[2], fds[4], result, before = open_descriptors();
	char byte;

	socketpair(AF_UNIX, type, 0, pair);
	pipe(ends);
	ok(send_fds(pair[0], ends, 2, 0) == 1, "%s: two descriptors go", name);
	close(ends[1]);
	ok(receive_fds(pair[1], fds, 4, 0, &result) == 2 && result == 0 &&
		   same_file(fds[0], ends[0]),
	   "and come");
	ok(write(fds[1], "x", 1) == 1 && read(ends[0], &byte, 1) == 1, "as the same open files");
	close(fds[0]);
	close(fds[1]);
	ok(read(ends[0], &byte, 1) == 0, "which end when they are closed");

	send_fds(pair[0], ends, 1, 0);
	ok(receive_fds(pair[1], fds, 4, MSG_CMSG_CLOEXEC, &result) == 1 &&
		   fcntl(fds[0], F_GETFD) == FD_CLOEXEC,
	   "MSG_CMSG_CLOEXEC");
	close(fds[0]);
	send_fds(pair[0], ends, 1, 0);
	ok(receive_fds(pair[1], fds, 4, MSG_PEEK, &result) == 1, "a look makes descriptors");
	close(fds[0]);
	ok(receive_fds(pair[1], fds, 4, 0, &result) == 1, "and leaves them there");
	close(fds[0]);

	fds[0] = fds[1] = fds[2] = ends[0];
	send_fds(pair[0], fds, 3, 0);
	ok(receive_fds(pair[1], fds, 1, 0, &result) == 1 && (result & MSG_CTRUNC),
	   "room for one of three");
	close(fds[0]);
	send_fds(pair[0], ends, 1, 0);
	ok(receive_fds(pair[1], fds, 0, 0, &result) == 0 && (result & MSG_CTRUNC), "and for none");
	send_fds(pair[0], ends, 1, 0);
	ok(read(pair[1], &byte, 1) == 1, "read(2) drops them");
	fds[0] = 999;
	fails(send_fds(pair[0], fds, 1, 0), EBADF, "a closed one does not go");

	/* What is in flight when both ends are closed is closed as well. */
	send_fds(pair[0], ends, 1, 0);
	close(pair[0]);
	close(pair[1]);
	close(ends[0]);
	ok(open_descriptors() == before, "nothing is left");
}

/* A stream's bytes stop at descriptors, so that these come with the bytes they were sent with. */
static void boundaries(void)
{
	char bytes[100];
	int pair[2], fd, result;

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	write(pair[0], "before", 6);
	fd = pair[0];
	send_fds(pair[0], &fd, 1, 0);
	write(pair[0], "after", 5);
	ok(receive_fds(pair[1], &fd, 1, 0, &result) == 1, "descriptors end a read");
	ok(read(pair[1], bytes, sizeof(bytes)) == 5, "what follows comes by itself");
	close(fd);
	close(pair[0]);
	close(pair[1]);
}

static void limits(void)
{
	struct rlimit old, low;
	int pair[2], fds[MANY + 10], result, count, zero = open("/dev/null", O_RDONLY);

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	for (int i = 0; i < MANY + 10; i++)
		fds[i] = zero;
	fails(send_fds(pair[0], fds, MANY + 4, 0), EINVAL, "254 are too many");
	ok(send_fds(pair[0], fds, MANY, 0) == 1, "250 are not");
	getrlimit(RLIMIT_NOFILE, &old);
	low = old;
	low.rlim_cur = (rlim_t)zero + 10;
	setrlimit(RLIMIT_NOFILE, &low);
	count = receive_fds(pair[1], fds, MANY, 0, &result);
	setrlimit(RLIMIT_NOFILE, &old);
	ok(count > 0 && count < 10 && (result & MSG_CTRUNC), "as many as there is room for (%d)",
	   count);
	for (int i = 0; i < count; i++)
		close(fds[i]);
	close(zero);
	close(pair[0]);
	close(pair[1]);
}

static void credentials(void)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct ucred))];
	char bytes[16];
	struct iovec vector = { bytes, sizeof(bytes) };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control };
	struct cmsghdr *header = (struct cmsghdr *)control;
	struct ucred who = { 0 };
	int pair[2], on = 1;
	pid_t child;

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	child = fork();
	if (child == 0) {
		write(pair[0], "child", 5);
		_exit(0);
	}
	status_of(child);
	write(pair[0], "parent", 6);
	message.msg_controllen = sizeof(control);
	ok(recvmsg(pair[1], &message, 0) == 5 && header->cmsg_type == SCM_CREDENTIALS,
	   "SO_PASSCRED tells who has sent what");
	memcpy(&who, CMSG_DATA(header), sizeof(who));
	ok(who.pid == child && who.uid == getuid() && who.gid == getgid(), "the child");
	message.msg_controllen = sizeof(control);
	ok(recvmsg(pair[1], &message, 0) == 6, "whose bytes are not mixed with others'");
	memcpy(&who, CMSG_DATA(header), sizeof(who));
	ok(who.pid == getpid(), "of ours");

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_CREDENTIALS;
	header->cmsg_len = CMSG_LEN(sizeof(who));
	who = (struct ucred){ getpid(), getuid(), getgid() };
	memcpy(CMSG_DATA(header), &who, sizeof(who));
	message.msg_controllen = sizeof(control);
	ok(sendmsg(pair[0], &message, 0) == sizeof(bytes), "SCM_CREDENTIALS");
	child = fork();
	if (child == 0) {
		const struct ucred claims[] = { { getpid(), 1000, 1000 },
						{ getppid(), 1000, 1000 },
						{ getpid(), 0, 1000 },
						{ getpid(), 1000, 0 } };

		if (setgroups(0, NULL) != 0 || setgid(1000) != 0 || setuid(1000) != 0)
			_exit(9);
		for (int i = 0; i < 4; i++) {
			ssize_t sent;

			memcpy(CMSG_DATA(header), &claims[i], sizeof(claims[i]));
			sent = sendmsg(pair[0], &message, MSG_DONTWAIT);
			if (i == 0 ? sent != sizeof(bytes) : sent != -1 || errno != EPERM)
				_exit(i + 1);
		}
		_exit(0);
	}
	ok(status_of(child) == 0, "a user says to be no other process and nobody else");
	header->cmsg_len = CMSG_LEN(4);
	fails(sendmsg(pair[0], &message, 0), EINVAL, "of a wrong size");
	header->cmsg_len = 4;
	fails(sendmsg(pair[0], &message, 0), EINVAL, "a header that is too short");
	header->cmsg_len = 1000;
	fails(sendmsg(pair[0], &message, 0), EINVAL, "one that is too long");
	close(pair[0]);
	close(pair[1]);
}

/* Two sockets in each other's messages, one in its own, and a listener with one in its connection. */
static void make_circles(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "\0circle" };
	int a[2], b[2], server, client;

	socketpair(AF_UNIX, SOCK_STREAM, 0, a);
	socketpair(AF_UNIX, SOCK_DGRAM, 0, b);
	send_fds(a[0], &b[1], 1, 0);
	send_fds(b[0], &a[1], 1, 0);
	send_fds(a[0], a, 2, 0);
	for (int i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
	}
	server = socket(AF_UNIX, SOCK_STREAM, 0);
	client = socket(AF_UNIX, SOCK_STREAM, 0);
	bind(server, (struct sockaddr *)&un, sizeof(un));
	listen(server, 5);
	connect(client, (struct sockaddr *)&un, sizeof(un));
	send_fds(client, &server, 1, 0);
	close(server);
	close(client);
}

/* A socket in a message in a message … as deep as it goes. */
static void make_chain(void)
{
	int inner[2], outer[2];

	socketpair(AF_UNIX, SOCK_STREAM, 0, inner);
	for (int i = 0; i < 100; i++) {
		socketpair(AF_UNIX, SOCK_STREAM, 0, outer);
		if (send_fds(outer[0], inner, 2, 0) != 1)
			break;
		close(inner[0]);
		close(inner[1]);
		inner[0] = outer[0];
		inner[1] = outer[1];
	}
	close(inner[0]);
	close(inner[1]);
}

static void garbage(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "\0circle" };
	long before = 0, after = 0;
	int server, tries = 0, pair[2], fd, held[2], result, bound = -1;

	for (int round = 0; round < 4; round++) {
		before = after;
		for (int i = 0; i < 10; i++) {
			make_circles();
			make_chain();
		}
		/* The next socket that is closed has them looked for. */
		socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
		close(pair[0]);
		close(pair[1]);
		after = tap_proc_number("/proc/census", "nr_free_frames");
	}
	ok(before == after, "circles leave no memory behind (%ld, %ld)", before, after);
	/* On Linux it happens a little later. */
	server = socket(AF_UNIX, SOCK_STREAM, 0);
	while (tries++ < 100 && (bound = bind(server, (struct sockaddr *)&un, sizeof(un))) != 0) {
		socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
		close(pair[0]);
		close(pair[1]);
		usleep(10000);
	}
	ok(bound == 0, "nor a name");
	close(server);

	/* What somebody can still receive is not garbage. */
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	socketpair(AF_UNIX, SOCK_STREAM, 0, held);
	write(held[0], "kept", 4);
	send_fds(pair[0], &held[1], 1, 0);
	close(held[1]);
	make_circles();
	ok(receive_fds(pair[1], &fd, 1, 0, &result) == 1, "a socket in flight");
	char bytes[8];
	ok(read(fd, bytes, 8) == 4 && memcmp(bytes, "kept", 4) == 0, "has kept its bytes");
	close(fd);
	close(held[0]);
	close(pair[0]);
	close(pair[1]);
}

/* Children that are killed while they pass descriptors around. */
static void killed(void)
{
	long before = 0, after = 0;

	for (int round = 0; round < 3; round++) {
		before = after;
		for (int i = 0; i < 6; i++) {
			int pair[2];
			pid_t sender, receiver;

			socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
			sender = fork();
			if (sender == 0) {
				for (;;)
					send_fds(pair[0], pair, 2, 0);
			}
			receiver = fork();
			if (receiver == 0) {
				int fds[2], result;
				for (;;) {
					if (receive_fds(pair[1], fds, 2, 0, &result) == 2) {
						close(fds[0]);
						close(fds[1]);
					}
				}
			}
			close(pair[0]);
			close(pair[1]);
			usleep(2000);
			kill(i % 2 ? sender : receiver, SIGKILL);
			usleep(500);
			kill(i % 2 ? receiver : sender, SIGKILL);
			status_of(sender);
			status_of(receiver);
		}
		int pair[2];
		socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
		close(pair[0]);
		close(pair[1]);
		after = tap_proc_number("/proc/census", "nr_free_frames");
	}
	ok(before == after, "nor do the killed (%ld, %ld)", before, after);
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	passing(SOCK_STREAM, "a stream");
	passing(SOCK_DGRAM, "datagrams");
	passing(SOCK_SEQPACKET, "packets");
	boundaries();
	limits();
	credentials();
	garbage();
	killed();
	return done();
}
