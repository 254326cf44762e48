/*
 * AF_UNIX sockets: urgent bytes (MSG_OOB), peeking further and further (SO_PEEK_OFF), groups of the peer
 * (SO_PEERGROUPS), times of messages (SO_TIMESTAMP), and who a message says that its sender is.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#define WAIT_MS 2000
#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif
#define STAMP    29 /* SO_TIMESTAMP, SO_TIMESTAMPNS: as Linux numbers them */
#define STAMP_NS 35

static int one = 1;

static int at_mark(int fd)
{
	int at = -1;

	return ioctl(fd, SIOCATMARK, &at) == 0 ? at : -1;
}

static bool reads(int fd, const char *text, int flags)
{
	char got[64] = "";
	ssize_t size = recv(fd, got, sizeof(got) - 1, flags | MSG_DONTWAIT);

	if (size == (ssize_t)strlen(text) && memcmp(got, text, (size_t)size) == 0)
		return true;
	printf("# read %zd: %s\n", size, size > 0 ? got : strerror(errno));
	return false;
}

static int events(int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN | POLLPRI };

	return poll(&entry, 1, 0) < 0 ? -1 : entry.revents;
}

static void urgent_bytes(void)
{
	char byte = 0;
	int pair[2];

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	fails(recv(pair[0], &byte, 1, MSG_OOB), EINVAL, "nothing is urgent");
	fails(send(pair[1], "", 0, MSG_OOB), EOPNOTSUPP, "nor is nothing sent so");
	ok(send(pair[1], "hello", 5, MSG_OOB) == 5, "the last byte of a message is");
	ok(events(pair[0]) == (POLLIN | POLLPRI), "poll(2) tells");
	ok(at_mark(pair[0]) == 0, "it is not the next");
	ok(recv(pair[0], &byte, 1, MSG_OOB | MSG_PEEK) == 1 && byte == 'o',
	   "it is seen before the others");
	ok(recv(pair[0], &byte, 1, MSG_OOB) == 1 && byte == 'o', "and read");
	fails(recv(pair[0], &byte, 1, MSG_OOB), EINVAL, "once");
	ok(events(pair[0]) == POLLIN, "then it is not told any more");
	ok(reads(pair[0], "hell", 0), "the others are read without it");
	send(pair[1], "ab", 2, MSG_OOB);
	send(pair[1], "cd", 2, 0);
	ok(reads(pair[0], "a", 0), "a read ends before it");
	ok(at_mark(pair[0]) == 1, "there is the mark");
	ok(reads(pair[0], "cd", 0), "who reads on has missed it");
	fails(recv(pair[0], &byte, 1, MSG_OOB), EINVAL, "for good");
	send(pair[1], "x", 1, MSG_OOB);
	send(pair[1], "y", 1, MSG_OOB);
	ok(recv(pair[0], &byte, 1, MSG_OOB) == 1 && byte == 'y', "the last of several is urgent");
	ok(reads(pair[0], "x", 0), "the others are bytes like any");
	fails(recv(pair[0], &byte, 1, MSG_DONTWAIT), EAGAIN, "a mark is nothing to be read");

	setsockopt(pair[0], SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one));
	send(pair[1], "inline", 6, MSG_OOB);
	fails(recv(pair[0], &byte, 1, MSG_OOB), EINVAL, "with SO_OOBINLINE it is not read apart");
	ok(reads(pair[0], "inlin", 0), "but a read ends before it, too");
	ok(at_mark(pair[0]) == 1 && reads(pair[0], "e", 0), "and then it is read");
	close(pair[0]);
	close(pair[1]);
	socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
	fails(send(pair[1], "x", 1, MSG_OOB), EOPNOTSUPP, "datagrams have none");
	fails(recv(pair[0], &byte, 1, MSG_OOB | MSG_DONTWAIT), EOPNOTSUPP, "and read none");
	close(pair[0]);
	close(pair[1]);
}

static void urgent_is_a_signal(void)
{
	struct timespec limit = { WAIT_MS / 1000, 0 };
	int pair[2];
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGURG);
	sigprocmask(SIG_BLOCK, &set, NULL);
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	fcntl(pair[0], F_SETOWN, getpid());
	signal(SIGURG, SIG_DFL);
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigaction(SIGURG, &action, NULL);
	send(pair[1], "u", 1, MSG_OOB);
	ok(sigtimedwait(&set, NULL, &limit) == SIGURG, "the owner of a socket is told by SIGURG");
	send(pair[1], "n", 1, 0);
	limit = (struct timespec){ 0, 20000000 };
	fails(sigtimedwait(&set, NULL, &limit), EAGAIN, "of nothing else");
	close(pair[0]);
	close(pair[1]);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void ignore(int number)
{
	(void)number;
}

/* What waits is interrupted after so long. */
static void ring_after(int ms)
{
	struct sigaction action = { .sa_handler = ignore };
	struct itimerval timer = { .it_value = { 0, ms * 1000 } };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

/* Sends one urgent byte with a descriptor. */
static ssize_t send_urgent_right(int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec data = { "!", 1 };
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	*header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
				    .cmsg_level = SOL_SOCKET,
				    .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	return sendmsg(fd, &message, MSG_OOB);
}

static void urgent_and_rights(void)
{
	int pair[2];
	char byte;

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	ok(send_urgent_right(pair[1]) == 1 && send(pair[1], "a", 1, 0) == 1 &&
		   reads(pair[0], "a", 0),
	   "an urgent byte with a descriptor is passed over as others are");
	ok(send_urgent_right(pair[1]) == 1 && recv(pair[0], &byte, 1, MSG_OOB) == 1 &&
		   send(pair[1], "b", 1, 0) == 1 && reads(pair[0], "b", 0),
	   "and so is its mark");
	ok(send_urgent_right(pair[1]) == 1 && close(pair[0]) == 0, "or it is never read");
	close(pair[1]);
}

/* Who waits at what cannot be read does wait, and neither forever. */
static void waiting_at_marks(void)
{
	char got[8];
	int pair[2];

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	send(pair[1], "abcd", 4, MSG_OOB);
	ring_after(100);
	ok(recv(pair[0], got, sizeof(got), MSG_WAITALL) == 3, "MSG_WAITALL ends at a mark");
	ring_after(100);
	fails(recv(pair[0], got, sizeof(got), MSG_PEEK), EINTR,
	      "peeking where only an urgent byte is waits");
	ring_after(100);
	fails(recv(pair[0], got, sizeof(got), 0), EINTR, "and so does reading");
	ring_after(0);
	close(pair[0]);
	close(pair[1]);
}

/* Marks take room, which is there again when they have been passed. */
static void marks_and_room(void)
{
	char byte = 0;
	int pair[2];
	pid_t child;

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	for (int i = 0; i < 20000 && send(pair[1], "m", 1, MSG_OOB | MSG_DONTWAIT) == 1; i++)
		recv(pair[0], &byte, 1, MSG_OOB);
	child = fork();
	if (child == 0) {
		send(pair[1], "x", 1, 0);
		_exit(0);
	}
	usleep(20000);
	ring_after(900);
	ok(recv(pair[0], &byte, 1, 0) == 1 && byte == 'x',
	   "who waits for the room that marks take gets it when they go");
	ring_after(0);
	close(pair[0]);
	close(pair[1]);
	waitpid(child, NULL, 0);
}

/* A peek behind all that is there waits for more. */
static void peeking_behind_the_end(int type, const char *name)
{
	int pair[2], offset = 4;
	char got[8];
	pid_t child;

	socketpair(AF_UNIX, type, 0, pair);
	send(pair[1], "abc", 3, 0);
	setsockopt(pair[0], SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset));
	ring_after(100);
	fails(recv(pair[0], got, sizeof(got), MSG_PEEK), EINTR, "%s: a peek behind the end waits",
	      name);
	ring_after(0);
	child = fork();
	if (child == 0) {
		usleep(20000);
		send(pair[1], "def", 3, 0);
		_exit(0);
	}
	ok(recv(pair[0], got, sizeof(got), MSG_PEEK) == 2 && memcmp(got, "ef", 2) == 0,
	   "until there is something");
	waitpid(child, NULL, 0);
	close(pair[0]);
	close(pair[1]);
}

static void peeking_on(int type, const char *name)
{
	int pair[2], offset = 0;
	socklen_t size = sizeof(offset);
	char got[8];

	socketpair(AF_UNIX, type, 0, pair);
	ok(getsockopt(pair[0], SOL_SOCKET, SO_PEEK_OFF, &offset, &size) == 0 && offset == -1,
	   "%s: one peeks at the front", name);
	send(pair[1], "abcd", 4, 0);
	send(pair[1], "efgh", 4, 0);
	offset = 0;
	setsockopt(pair[0], SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset));
	ok(recv(pair[0], got, 2, MSG_PEEK) == 2 && memcmp(got, "ab", 2) == 0 &&
		   recv(pair[0], got, 2, MSG_PEEK) == 2 && memcmp(got, "cd", 2) == 0,
	   "or goes on with each peek");
	ok(recv(pair[0], got, 2, MSG_PEEK) == 2 && memcmp(got, "ef", 2) == 0,
	   "to the next message");
	ok(getsockopt(pair[0], SOL_SOCKET, SO_PEEK_OFF, &offset, &size) == 0 && offset == 6,
	   "and knows how far");
	ok(recv(pair[0], got, 4, 0) == 4 && memcmp(got, "abcd", 4) == 0,
	   "reading begins at the front");
	ok(getsockopt(pair[0], SOL_SOCKET, SO_PEEK_OFF, &offset, &size) == 0 && offset == 2,
	   "which brings it nearer");
	ok(recv(pair[0], got, 2, MSG_PEEK) == 2 && memcmp(got, "gh", 2) == 0,
	   "the next peek is there");
	close(pair[0]);
	close(pair[1]);
}

static void times(int option, long unit)
{
	union {
		char bytes[CMSG_SPACE(2 * sizeof(long))];
		struct cmsghdr header;
	} control;
	char byte;
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	struct timespec before, after;
	long told[2] = { 0, 0 };
	int pair[2], set = 0;
	socklen_t size = sizeof(set);

	socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
	ok(setsockopt(pair[0], SOL_SOCKET, option, &one, sizeof(one)) == 0 &&
		   getsockopt(pair[0], SOL_SOCKET, option, &set, &size) == 0 && set == 1,
	   "times are asked for");
	clock_gettime(CLOCK_REALTIME, &before);
	send(pair[1], "x", 1, 0);
	clock_gettime(CLOCK_REALTIME, &after);
	usleep(20000);
	ok(recvmsg(pair[0], &message, 0) == 1 && message.msg_controllen > 0 &&
		   control.header.cmsg_level == SOL_SOCKET && control.header.cmsg_type == option,
	   "a message comes with its own");
	memcpy(told, CMSG_DATA(&control.header), sizeof(told));
	int64_t ns = told[0] * INT64_C(1000000000) + told[1] * unit;
	ok(ns >= before.tv_sec * INT64_C(1000000000) + before.tv_nsec - 10000000 &&
		   ns <= after.tv_sec * INT64_C(1000000000) + after.tv_nsec,
	   "which is when it was sent");
	close(pair[0]);
	close(pair[1]);
}

static void groups_of_the_peer(void)
{
	gid_t groups[] = { 11, 22, 33 }, got[40] = { 0 };
	socklen_t size = sizeof(got);
	int pair[2], status;
	pid_t child = fork();

	if (child == 0) {
		setgroups(3, groups);
		socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
		setgroups(0, NULL);
		if (getsockopt(pair[0], SOL_SOCKET, SO_PEERGROUPS, got, &size) != 0 ||
		    size != sizeof(groups) || memcmp(got, groups, sizeof(groups)) != 0)
			_exit(1);
		size = 4;
		if (getsockopt(pair[0], SOL_SOCKET, SO_PEERGROUPS, got, &size) != -1 ||
		    errno != ERANGE || size != sizeof(groups))
			_exit(2);
		_exit(0);
	}
	waitpid(child, &status, 0);
	ok(status == 0, "SO_PEERGROUPS are the peer's, as of when he connected");
	pair[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	size = sizeof(got);
	fails(getsockopt(pair[0], SOL_SOCKET, SO_PEERGROUPS, got, &size), ENODATA,
	      "who has no peer has none");
	close(pair[0]);
}

static void the_real_sender(void)
{
	struct ucred who = { 0 };
	union {
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr header;
	} control;
	char byte;
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int pair[2], status;
	pid_t child;

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
	child = fork();
	if (child == 0) {
		setresgid(7, 8, 8);
		setresuid(5, 6, 6);
		_exit(write(pair[1], "x", 1) == 1 ? 0 : 1);
	}
	ok(recvmsg(pair[0], &message, 0) == 1 && control.header.cmsg_type == SCM_CREDENTIALS,
	   "a message says who has sent it");
	memcpy(&who, CMSG_DATA(&control.header), sizeof(who));
	ok(who.pid == child && who.uid == 5 && who.gid == 7, "by the real ids (%u, %u)", who.uid,
	   who.gid);
	waitpid(child, &status, 0);
	close(pair[0]);
	close(pair[1]);
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	urgent_bytes();
	urgent_is_a_signal();
	urgent_and_rights();
	waiting_at_marks();
	marks_and_room();
	peeking_behind_the_end(SOCK_STREAM, "streams");
	peeking_behind_the_end(SOCK_DGRAM, "datagrams");
	peeking_on(SOCK_STREAM, "streams");
	peeking_on(SOCK_DGRAM, "datagrams");
	times(STAMP, 1000);
	times(STAMP_NS, 1);
	groups_of_the_peer();
	the_real_sender();
	return done();
}
