/*
 * AF_UNIX sockets: pairs, names, connections, messages, what goes with them, waiting and ends.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#define LARGE 300000

static char bytes[LARGE], back[LARGE + 100];
static char path[64];

static int status_of(pid_t child)
{
	int status = -1;

	return waitpid(child, &status, 0) == child ? status : -1;
}

static unsigned events(int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP };

	return poll(&entry, 1, 0) >= 0 ? (unsigned)entry.revents : ~0u;
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t length = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &length) == 0 ? value : -1;
}

/* "@name" is abstract. */
static struct sockaddr_un named(const char *text, socklen_t *length)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	strcpy(un.sun_path, text);
	*length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(text) + 1);
	if (text[0] == '@') {
		un.sun_path[0] = '\0';
		(*length)--;
	}
	return un;
}

static int bind_to(int fd, const char *text)
{
	socklen_t length;
	struct sockaddr_un un = named(text, &length);

	return bind(fd, (struct sockaddr *)&un, length);
}

static int connect_to(int fd, const char *text)
{
	socklen_t length;
	struct sockaddr_un un = named(text, &length);

	return connect(fd, (struct sockaddr *)&un, length);
}

static ssize_t send_to(int fd, const char *text, const char *data)
{
	socklen_t length;
	struct sockaddr_un un = named(text, &length);

	return sendto(fd, data, strlen(data), MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&un,
		      length);
}

static void making(void)
{
	struct stat about;
	int pair[2], fd;

	fails(socket(AF_UNIX, SOCK_STREAM, 5), EPROTONOSUPPORT, "an unknown protocol");
	fails(socket(AF_UNIX, 9, 0), ESOCKTNOSUPPORT, "an unknown type");
	fails(socket(AF_UNIX, SOCK_STREAM | 0x100, 0), EINVAL, "unknown flags");
	fails(socket(99, SOCK_STREAM, 0), EAFNOSUPPORT, "an unknown family");
	fails(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, 8), EFAULT, "nowhere to tell of it");
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ok(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC && (fcntl(fd, F_GETFL) & O_NONBLOCK),
	   "a socket with flags");
	ok(option(fd, SO_TYPE) == SOCK_DGRAM && option(fd, SO_DOMAIN) == AF_UNIX &&
		   option(fd, SO_PROTOCOL) == 0 && option(fd, SO_ERROR) == 0 &&
		   option(fd, SO_ACCEPTCONN) == 0,
	   "says what it is");
	ok(fstat(fd, &about) == 0 && S_ISSOCK(about.st_mode), "to fstat, too");
	fails(lseek(fd, 0, SEEK_SET), ESPIPE, "no seeking");
	fails(listen(fd, 1), EOPNOTSUPP, "datagrams have no listener");
	fails(accept(fd, NULL, NULL), EOPNOTSUPP, "and nothing to accept");
	close(fd);
	fails(listen(0, 1), ENOTSOCK, "a file is no socket");
	fails(listen(99, 1), EBADF, "and what is closed neither");
	ok(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "a pair");
	close(pair[0]);
	close(pair[1]);
}

static void streams(void)
{
	struct iovec vectors[2] = { { back, 3 }, { back + 10, 100 } };
	int pair[2], waiting, status;
	size_t got = 0;
	ssize_t part;
	pid_t child;

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	ok(write(pair[0], "hello ", 6) == 6 && send(pair[0], "world", 5, 0) == 5, "two writes");
	ok(ioctl(pair[1], FIONREAD, &waiting) == 0 && waiting == 11, "FIONREAD");
	ok(recv(pair[1], back, 100, MSG_PEEK) == 11 && recv(pair[1], back, 4, MSG_PEEK) == 4,
	   "a look at them");
	ok(readv(pair[1], vectors, 2) == 11 && memcmp(back, "hel", 3) == 0 &&
		   memcmp(back + 10, "lo world", 8) == 0,
	   "one read has both");
	fails(recv(pair[1], back, 1, MSG_DONTWAIT), EAGAIN, "no more");
	ok(events(pair[0]) == POLLOUT, "it can be written");
	fails(write(pair[0], (void *)8, 1), EFAULT, "from a bad address");
	write(pair[0], "x", 1);
	fails(read(pair[1], (void *)8, 1), EFAULT, "to a bad address");
	ok(read(pair[1], back, 5) == 1 && back[0] == 'x', "which loses nothing");
	ok(write(pair[0], "", 0) == 0, "nothing of nothing");
	while (recv(pair[1], back, 100, MSG_DONTWAIT) > 0)
		;

	/* More than the buffer, against a slower or faster child. */
	child = fork();
	if (child == 0) {
		close(pair[0]);
		while ((part = read(pair[1], back + got, 7777)) > 0)
			got += (size_t)part;
		_exit(got == LARGE && memcmp(back, bytes, LARGE) == 0 ? 0 : 1);
	}
	close(pair[1]);
	ok(write(pair[0], bytes, LARGE) == LARGE, "a large write waits for its reader");
	close(pair[0]);
	ok(status_of(child) == 0, "who gets it all");

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	child = fork();
	if (child == 0) {
		for (int i = 0; i < 10; i++) {
			write(pair[0], bytes + i * 100, 100);
			usleep(1000);
		}
		_exit(0);
	}
	ok(recv(pair[1], back, 1000, MSG_WAITALL) == 1000 && memcmp(back, bytes, 1000) == 0,
	   "MSG_WAITALL waits for all");
	status_of(child);

	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	got = 0;
	while ((part = write(pair[0], bytes, 10000)) > 0)
		got += (size_t)part;
	ok(part == -1 && errno == EAGAIN && got > 50000 && got < 1000000, "a full one (%zu)", got);
	ok(events(pair[0]) == 0, "cannot be written");
	child = fork();
	if (child == 0) {
		struct pollfd entry = { .fd = pair[0], .events = POLLOUT };
		_exit(poll(&entry, 1, 5000) == 1 && entry.revents == POLLOUT ? 0 : 1);
	}
	usleep(3000);
	while (got > 0 && (part = read(pair[1], back, LARGE)) > 0)
		got -= (size_t)part;
	ok(got == 0 && status_of(child) == 0, "until it is read");

	/* Untouched memory on both sides. */
	char *area = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ok(write(pair[0], bytes, 30000) == 30000 && read(pair[1], area + 100, 30000) == 30000 &&
		   memcmp(area + 100, bytes, 30000) == 0,
	   "to memory never touched");
	write(pair[0], bytes, 20000);
	ok(recv(pair[1], area + 40000, 20000, MSG_PEEK) == 20000 &&
		   memcmp(area + 40000, bytes, 20000) == 0,
	   "a look, too");
	munmap(area, 65536);

	close(pair[1]);
	signal(SIGPIPE, SIG_IGN);
	fails(write(pair[0], "x", 1), EPIPE, "a broken pipe");
	fails(read(pair[0], back, 1), ECONNRESET, "closed with bytes unread: a reset, once");
	ok(read(pair[0], back, 1) == 0, "and then the end");
	signal(SIGPIPE, SIG_DFL);
	close(pair[0]);
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	close(pair[1]);
	ok(events(pair[0]) == (POLLIN | POLLOUT | POLLRDHUP | POLLHUP), "poll sees the hang-up");
	fails(send(pair[0], "x", 1, MSG_NOSIGNAL), EPIPE, "MSG_NOSIGNAL");
	child = fork();
	if (child == 0) {
		write(pair[0], "x", 1);
		_exit(0);
	}
	status = status_of(child);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE, "and SIGPIPE without it");
	close(pair[0]);
}

static void ends(void)
{
	int pair[2];

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	write(pair[0], "last", 4);
	ok(shutdown(pair[0], SHUT_WR) == 0, "no more writing");
	ok(events(pair[1]) == (POLLIN | POLLOUT | POLLRDHUP), "the other one is told");
	ok(read(pair[1], back, 10) == 4 && read(pair[1], back, 10) == 0, "it gets the rest");
	fails(send(pair[0], "x", 1, MSG_NOSIGNAL), EPIPE, "no more is written");
	ok(write(pair[1], "back", 4) == 4 && read(pair[0], back, 10) == 4,
	   "the other way still goes");
	ok(shutdown(pair[0], SHUT_RD) == 0 && read(pair[0], back, 1) == 0, "no more reading");
	fails(send(pair[1], "x", 1, MSG_NOSIGNAL), EPIPE, "so no more writing there");
	ok(events(pair[1]) & POLLHUP, "that is a hang-up");
	fails(shutdown(pair[0], 3), EINVAL, "an unknown end");
	close(pair[0]);
	close(pair[1]);
}

static void connections(const char *name)
{
	struct sockaddr_un un;
	socklen_t length = sizeof(un);
	struct ucred who;
	int server = socket(AF_UNIX, SOCK_STREAM, 0), client, other, more[8], count = 0;
	pid_t child;

	fails(listen(server, 1), EINVAL, "%s: a listener needs a name", name);
	ok(bind_to(server, name) == 0, "bind");
	fails(bind_to(server, "@other"), EINVAL, "one name only");
	other = socket(AF_UNIX, SOCK_STREAM, 0);
	fails(bind_to(other, name), EADDRINUSE, "a name is one socket's");
	client = socket(AF_UNIX, SOCK_STREAM, 0);
	ok(events(client) == (POLLOUT | POLLHUP), "not connected yet");
	fails(connect_to(client, name), ECONNREFUSED, "nobody listens");
	fails(accept(server, NULL, NULL), EINVAL, "nor accepts");
	fails(write(client, "x", 1), ENOTCONN, "writing");
	fails(read(client, back, 1), EINVAL, "and reading need a connection");
	fails(getpeername(client, (struct sockaddr *)&un, &length), ENOTCONN, "a peer as well");
	ok(listen(server, 1) == 0 && option(server, SO_ACCEPTCONN) == 1, "listen");
	fcntl(server, F_SETFL, O_NONBLOCK);
	fails(accept(server, NULL, NULL), EAGAIN, "nobody has come");
	ok(events(server) == 0, "says poll");
	ok(connect_to(client, name) == 0, "connect");
	ok(events(server) == POLLIN, "somebody has");
	fails(connect_to(client, name), EISCONN, "twice");
	ok(write(client, "early", 5) == 5, "writing before it is accepted");
	close(other);
	length = sizeof(un);
	other = accept4(server, (struct sockaddr *)&un, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
	ok(other >= 0 && length == sizeof(sa_family_t) && fcntl(other, F_GETFD) == FD_CLOEXEC &&
		   (fcntl(other, F_GETFL) & O_NONBLOCK),
	   "accept4");
	ok(read(other, back, 100) == 5, "has what was written");
	length = sizeof(un);
	ok(getsockname(other, (struct sockaddr *)&un, &length) == 0 &&
		   length == offsetof(struct sockaddr_un, sun_path) + strlen(name) +
				     (name[0] == '@' ? 0 : 1) &&
		   memcmp(un.sun_path + 1, name + 1, strlen(name) - 1) == 0,
	   "it has the listener's name");
	length = sizeof(un);
	ok(getpeername(client, (struct sockaddr *)&un, &length) == 0 &&
		   memcmp(un.sun_path + 1, name + 1, strlen(name) - 1) == 0,
	   "and so has the client's peer");
	length = sizeof(who);
	ok(getsockopt(client, SOL_SOCKET, SO_PEERCRED, &who, &length) == 0 && who.pid == getpid() &&
		   who.uid == getuid() && length == sizeof(who),
	   "SO_PEERCRED");
	close(other);
	ok(read(client, back, 1) == 0, "closed");
	close(client);

	/* The list of those who wait is as long as was said, and one more. */
	for (int i = 0; i < 8; i++) {
		more[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect_to(more[i], name) == 0)
			count++;
		else if (errno != EAGAIN)
			count = -100;
	}
	ok(count == 2, "a backlog of one (%d)", count);
	child = fork();
	if (child == 0) {
		fcntl(more[7], F_SETFL, 0);
		_exit(connect_to(more[7], name) == 0 ? 0 : 1);
	}
	usleep(3000);
	fcntl(server, F_SETFL, 0);
	other = accept(server, NULL, NULL);
	ok(other >= 0 && status_of(child) == 0, "connect waits for room");
	close(other);
	close(server);
	fails(read(more[1], back, 1), ECONNRESET, "a listener that closes resets who waits");
	client = socket(AF_UNIX, SOCK_STREAM, 0);
	fails(connect_to(client, name), ECONNREFUSED, "and nobody listens any more");
	close(client);
	for (int i = 0; i < 8; i++)
		close(more[i]);
}

static void names(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	socklen_t length = sizeof(un);
	struct stat about;
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0), other = socket(AF_UNIX, SOCK_STREAM, 0);

	ok(stat(path, &about) == 0 && S_ISSOCK(about.st_mode), "the name stays in the directory");
	fails(open(path, O_RDWR), ENXIO, "and cannot be opened");
	fails(bind_to(fd, path), EADDRINUSE, "nor bound again");
	ok(unlink(path) == 0 && bind_to(fd, path) == 0, "until it is removed");
	fails(connect_to(other, path), EPROTOTYPE, "a stream is no datagram");
	unlink(path);
	fails(connect_to(other, path), ENOENT, "no such name");
	fails(connect_to(other, "/tmp"), ECONNREFUSED, "a name of something else");
	fails(connect_to(other, "@nobody has this"), ECONNREFUSED, "an abstract name");
	fails(bind_to(other, "/no such/directory"), ENOENT, "no such directory");
	close(fd);
	fails(bind(other, (struct sockaddr *)&un, 1), EINVAL, "half an address");
	un.sun_family = AF_INET;
	fails(bind(other, (struct sockaddr *)&un, sizeof(un)), EINVAL, "another family's");
	un.sun_family = AF_UNIX;
	ok(bind(other, (struct sockaddr *)&un, sizeof(sa_family_t)) == 0 &&
		   getsockname(other, (struct sockaddr *)&un, &length) == 0 &&
		   length == offsetof(struct sockaddr_un, sun_path) + 6 && un.sun_path[0] == '\0',
	   "a name by itself");
	close(other);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	memset(un.sun_path, 'x', sizeof(un.sun_path));
	memcpy(un.sun_path, "/tmp/", 5);
	ok(bind(fd, (struct sockaddr *)&un, sizeof(un)) == 0, "a path that fills its array");
	memset(back, 0, sizeof(back));
	memcpy(back, un.sun_path, sizeof(un.sun_path));
	length = 0;
	ok(getsockname(fd, (struct sockaddr *)&un, &length) == 0 && length == sizeof(un) + 1 &&
		   unlink(back) == 0,
	   "has one more byte than that");
	close(fd);
}

static void datagrams(void)
{
	struct sockaddr_un un;
	socklen_t length = sizeof(un);
	struct timeval soon = { 0, 2000 };
	int a = socket(AF_UNIX, SOCK_DGRAM, 0), b = socket(AF_UNIX, SOCK_DGRAM, 0), pair[2], count;
	int c = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	bind_to(a, "@a datagram socket");
	bind_to(b, "@b datagram socket");
	fails(send(a, "x", 1, 0), ENOTCONN, "a datagram needs an address");
	ok(send_to(a, "@b datagram socket", "one") == 3 &&
		   send_to(a, "@b datagram socket", "two two") == 7 &&
		   send_to(a, "@b datagram socket", "") == 0,
	   "three datagrams");
	ok(recvfrom(b, back, 100, 0, (struct sockaddr *)&un, &length) == 3 &&
		   memcmp(un.sun_path + 1, "a datagram socket", 17) == 0 && length == 2 + 18,
	   "come one by one, with their sender");
	ok(send_to(c, "@b datagram socket", "nameless") == 8, "one without a name");
	ok(recv(b, back, 3, MSG_PEEK | MSG_TRUNC) == 7 && recv(b, back, 3, 0) == 3,
	   "the rest of one is lost");
	ok(recv(b, back, 3, MSG_DONTWAIT) == 0, "an empty one is one");
	length = sizeof(un);
	ok(recvfrom(b, back, 100, 0, (struct sockaddr *)&un, &length) == 8 && length == 0,
	   "who has no name has no address");
	fails(recv(b, back, 3, MSG_DONTWAIT), EAGAIN, "and no more");
	setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	fails(recv(b, back, 3, 0), EAGAIN, "SO_RCVTIMEO");
	ok(connect_to(a, "@b datagram socket") == 0, "connect");
	fails(send(a, bytes, LARGE, 0), EMSGSIZE, "too large");
	for (count = 0; send(a, "x", 1, MSG_DONTWAIT) == 1; count++)
		;
	ok(errno == EAGAIN && count >= 10 && count < 100, "a receiver keeps some (%d)", count);
	ok(events(a) == 0, "and then there is no room");
	while (recv(b, back, 10, MSG_DONTWAIT) == 1)
		count--;
	ok(count == 0 && events(a) == POLLOUT, "until it reads");
	connect_to(b, "@a datagram socket");
	fails(connect_to(c, "@b datagram socket"), EPERM, "who is connected hears nobody else");
	fails(send_to(c, "@b datagram socket", "x"), EPERM, "nor is sent to");
	close(b);
	fails(send(a, "x", 1, 0), ECONNREFUSED, "the receiver is gone");
	fails(send(a, "x", 1, 0), ENOTCONN, "and forgotten");
	close(a);
	close(c);

	socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
	ok(write(pair[0], "a", 1) == 1 && write(pair[0], "bc", 2) == 2 &&
		   read(pair[1], back, 10) == 1 && read(pair[1], back, 10) == 2,
	   "a pair of datagrams");
	struct iovec vectors[2] = { { "one ", 4 }, { "message", 7 } };
	ok(writev(pair[0], vectors, 2) == 11 && read(pair[1], back, 100) == 11,
	   "writev sends one message");
	close(pair[0]);
	close(pair[1]);

	socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair);
	ok(write(pair[0], "abc", 3) == 3 && write(pair[0], "de", 2) == 2 &&
		   read(pair[1], back, 2) == 2 && read(pair[1], back, 10) == 2 && back[0] == 'd',
	   "sequenced packets");
	close(pair[0]);
	ok(read(pair[1], back, 1) == 0, "have an end");
	fails(send(pair[1], "x", 1, MSG_NOSIGNAL), EPIPE, "at both sides");
	close(pair[1]);
}

static void options(void)
{
	struct timeval limit = { 1, 500000 }, bad = { 0, 2000000 };
	struct linger linger;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), value = 20000, small = 1;
	socklen_t length = sizeof(limit);

	ok(option(fd, SO_SNDBUF) > 0 && option(fd, SO_RCVBUF) > 0, "buffers have a size");
	ok(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, 4) == 0 && option(fd, SO_SNDBUF) == 40000,
	   "which is doubled");
	ok(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, 4) == 0 && option(fd, SO_SNDBUF) > 1000,
	   "and never nothing");
	ok(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0 &&
		   getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bad, &length) == 0 && bad.tv_sec == 1 &&
		   bad.tv_usec == 500000,
	   "a timeout");
	bad.tv_usec = 2000000;
	fails(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bad, sizeof(bad)), EDOM, "a bad one");
	ok(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &small, 4) == 0 &&
		   option(fd, SO_REUSEADDR) == 1,
	   "SO_REUSEADDR");
	length = sizeof(linger);
	ok(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &length) == 0 && !linger.l_onoff,
	   "SO_LINGER");
	fails(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, 2), EINVAL, "half a number");
	fails(setsockopt(fd, SOL_SOCKET, 9999, &value, 4), ENOPROTOOPT, "an unknown option");
	fails(setsockopt(fd, 6, 1, &value, 4), EOPNOTSUPP, "an unknown level");
	fails(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, (void *)8), EFAULT, "a bad address");
	close(fd);
}

/* Messages of sendmmsg and recvmmsg, and edge-triggered polling. */
static void many(void)
{
	struct mmsghdr messages[4] = { 0 };
	struct iovec vectors[4];
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int pair[2], set = epoll_create1(0);
	bool right = true;

	socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
	epoll_ctl(set, EPOLL_CTL_ADD, pair[1], &event);
	for (int i = 0; i < 4; i++) {
		vectors[i] = (struct iovec){ bytes + 100 * i, (size_t)(10 + i) };
		messages[i].msg_hdr.msg_iov = &vectors[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	ok(sendmmsg(pair[0], messages, 4, 0) == 4 && messages[3].msg_len == 13, "sendmmsg");
	ok(epoll_wait(set, &event, 1, 0) == 1 && epoll_wait(set, &event, 1, 0) == 0,
	   "one edge for all that came before");
	for (int i = 0; i < 4; i++)
		vectors[i] = (struct iovec){ back + 100 * i, 100 };
	ok(recvmmsg(pair[1], messages, 3, 0, NULL) == 3, "recvmmsg of three");
	for (int i = 0; i < 3; i++)
		right = right && messages[i].msg_len == (unsigned)(10 + i) &&
			memcmp(back + 100 * i, bytes + 100 * i, messages[i].msg_len) == 0;
	ok(right, "in order");
	ok(recvmmsg(pair[1], messages, 3, MSG_WAITFORONE, NULL) == 1, "MSG_WAITFORONE");
	write(pair[0], "x", 1);
	ok(epoll_wait(set, &event, 1, 0) == 1 && epoll_wait(set, &event, 1, 0) == 0,
	   "another edge");
	close(pair[0]);
	close(pair[1]);
	close(set);
}

/* Who waits can be interrupted and killed. */
static void waiting(void)
{
	int pair[2], server = socket(AF_UNIX, SOCK_STREAM, 0), status, all = 0;
	pid_t children[3];

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	bind_to(server, "@waiting");
	listen(server, 0);
	for (int i = 0; i < 3; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			if (i == 0)
				read(pair[0], back, 1);
			while (i == 1)
				write(pair[1], bytes, LARGE);
			if (i == 2)
				accept(server, NULL, NULL);
			_exit(1);
		}
	}
	usleep(5000);
	for (int i = 0; i < 3; i++) {
		kill(children[i], SIGKILL);
		status = status_of(children[i]);
		all += WIFSIGNALED(status) || i == 0;
	}
	ok(all == 3, "who waits can be killed");
	close(server);
	close(pair[0]);
	close(pair[1]);
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	for (size_t i = 0; i < LARGE; i++)
		bytes[i] = (char)(i * 7 + i / 4096);
	snprintf(path, sizeof(path), "/tmp/socket.%d", getpid());
	making();
	streams();
	ends();
	connections(path);
	connections("@abstract");
	names();
	datagrams();
	options();
	many();
	waiting();
	return done();
}
