/*
 * Random operations on a pool of pipes, FIFOs, sockets, epoll files, event counters and terminals, in all
 * combinations that nobody thinks of. Nothing may hang or crash; and when all is closed, nothing is left.
 *
 *	descriptors_fuzz [OPERATIONS [SEED]]
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>

#define OPERATIONS_DEFAULT 6000
#define POOL               48
#define BUFFER             70000
#define NAMES              4
#define RIGHTS_MAX         5

static int pool[POOL];
static char buffer[BUFFER];
static uint64_t state;

static uint32_t below(uint32_t limit)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % limit;
}

static int any(void)
{
	return pool[below(POOL)];
}

/* Into the pool, in the place of another. */
static void keep(int fd)
{
	uint32_t slot = below(POOL);

	if (fd < 0)
		return;
	if (pool[slot] >= 0)
		close(pool[slot]);
	pool[slot] = fd;
}

static size_t any_length(void)
{
	switch (below(4)) {
	case 0:
		return below(4);
	case 1:
		return below(5000);
	case 2:
		return 4096 * below(17);
	default:
		return below(BUFFER);
	}
}

static struct sockaddr_un any_name(socklen_t *length)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	snprintf(un.sun_path + 1, 20, "fuzz%u", below(NAMES));
	*length = 2 + 7;
	return un;
}

static const char *any_fifo(void)
{
	static char path[64];

	snprintf(path, sizeof(path), "/tmp/fuzz.fifo%u", below(NAMES));
	return path;
}

static void make_something(void)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
	int two[2] = { -1, -1 }, type = types[below(3)] | SOCK_NONBLOCK;

	switch (below(9)) {
	case 0:
		if (pipe2(two, O_NONBLOCK | (below(2) ? O_DIRECT : 0)) == 0) {
			keep(two[0]);
			keep(two[1]);
		}
		break;
	case 1:
	case 2:
		if (socketpair(AF_UNIX, type, 0, two) == 0) {
			keep(two[0]);
			keep(two[1]);
		}
		break;
	case 3:
		keep(socket(AF_UNIX, type, 0));
		break;
	case 4:
		keep(epoll_create1(0));
		break;
	case 5:
		keep(eventfd(below(3), EFD_NONBLOCK | (below(2) ? EFD_SEMAPHORE : 0)));
		break;
	case 6:
		keep(open(any_fifo(), O_NONBLOCK | (below(3) == 0 ? O_RDWR
						    : below(2)    ? O_RDONLY
								  : O_WRONLY)));
		break;
	case 7:
		two[0] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
		ioctl(two[0], TIOCSPTLCK, &(int){ 0 });
		keep(ioctl(two[0], TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK));
		keep(two[0]);
		break;
	case 8:
		two[0] = inotify_init1(IN_NONBLOCK);
		inotify_add_watch(two[0], any_fifo(), IN_ALL_EVENTS);
		keep(two[0]);
		break;
	}
}

/* How files and sockets behave, or who is told of them; the signals are ignored. */
static void set_modes(void)
{
	static const int requests[] = { FIONREAD, SIOCATMARK, TIOCPKT, TCFLSH, TIOCSTI, TCXONC };
	int fd = any(), number = (int)below(300) - 1, flag = (int)below(2);
	struct termios modes;

	switch (below(8)) {
	case 0:
		setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &flag, sizeof(flag));
		break;
	case 1:
		setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &number, sizeof(number));
		break;
	case 2:
		setsockopt(fd, SOL_SOCKET, SO_TIMESTAMP, &flag, sizeof(flag));
		break;
	case 3:
		fcntl(fd, F_SETFL,
		      O_NONBLOCK | (below(2) ? O_DIRECT : 0) | (below(2) ? O_ASYNC : 0));
		break;
	case 4:
		fcntl(fd, F_SETOWN, below(2) ? getpid() : 0);
		break;
	case 5:
		fcntl(fd, F_SETSIG, below(2) ? SIGUSR1 : 0);
		break;
	case 6:
		ioctl(fd, (unsigned)requests[below(6)], &flag);
		break;
	case 7:
		if (tcgetattr(fd, &modes) == 0) {
			modes.c_lflag ^= below(2) ? ICANON : ECHO;
			modes.c_lflag ^= below(2) ? EXTPROC : TOSTOP;
			tcsetattr(fd, TCSANOW, &modes);
		}
		break;
	}
}

static void move_bytes(void)
{
	struct iovec parts[3] = { { buffer, any_length() / 3 },
				  { buffer + 30000, any_length() / 3 },
				  { buffer + 60000, below(1000) } };
	size_t length = any_length();
	int fd = any(), other = any();
	off_t offset = below(1000);

	switch (below(12)) {
	case 0:
		read(fd, buffer, length);
		break;
	case 1:
		write(fd, buffer, length);
		break;
	case 2:
		readv(fd, parts, (int)below(4));
		break;
	case 3:
		writev(fd, parts, (int)below(4));
		break;
	case 4:
		send(fd, buffer, length, MSG_DONTWAIT | (below(3) == 0 ? MSG_OOB : 0));
		break;
	case 5:
		recv(fd, buffer, length,
		     MSG_DONTWAIT | (below(3) == 0   ? MSG_PEEK
				     : below(3) == 0 ? MSG_WAITALL
				     : below(4) == 0 ? MSG_OOB
						     : 0));
		break;
	case 6:
		splice(fd, NULL, other, NULL, length, SPLICE_F_NONBLOCK);
		break;
	case 7:
		tee(fd, other, length, SPLICE_F_NONBLOCK);
		break;
	case 8:
		vmsplice(fd, parts, below(4), SPLICE_F_NONBLOCK);
		break;
	case 9:
		sendfile(fd, pool[0], &offset, length);
		break;
	case 10:
		splice(pool[0], &offset, fd, NULL, length, SPLICE_F_NONBLOCK);
		break;
	case 11:
		fcntl(fd, F_SETPIPE_SZ, (int)length * 2);
		break;
	}
}

static void send_descriptors(int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(RIGHTS_MAX * sizeof(int))] = { 0 };
	struct iovec vector = { buffer, 1 + below(2) * below(100) };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control };
	struct cmsghdr *header = (struct cmsghdr *)control;
	int count = 1 + (int)below(RIGHTS_MAX), fds[RIGHTS_MAX];

	for (int i = 0; i < count; i++) {
		do {
			fds[i] = any();
		} while (fds[i] < 0);
	}
	message.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
	memcpy(CMSG_DATA(header), fds, (size_t)count * sizeof(int));
	sendmsg(fd, &message, MSG_DONTWAIT | (below(4) == 0 ? MSG_OOB : 0));
}

static void receive_descriptors(int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(RIGHTS_MAX * sizeof(int))];
	struct iovec vector = { buffer, 1 + below(200) };
	struct msghdr message = { .msg_iov = &vector,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = below(sizeof(control) + 1) };

	if (recvmsg(fd, &message, MSG_DONTWAIT | (below(4) == 0 ? MSG_PEEK : 0)) < 0)
		return;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header;
	     header = CMSG_NXTHDR(&message, header)) {
		size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fds[RIGHTS_MAX];

		if (header->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(fds, CMSG_DATA(header), count * sizeof(int));
		for (size_t i = 0; i < count; i++)
			keep(fds[i]);
	}
}

static void name_and_connect(void)
{
	socklen_t length;
	struct sockaddr_un un = any_name(&length);
	int fd = any(), value = (int)below(100000);

	switch (below(8)) {
	case 0:
		bind(fd, (struct sockaddr *)&un, length);
		break;
	case 1:
		listen(fd, (int)below(4));
		break;
	case 2:
		connect(fd, (struct sockaddr *)&un, length);
		break;
	case 3:
		keep(accept4(fd, NULL, NULL, SOCK_NONBLOCK));
		break;
	case 4:
		shutdown(fd, (int)below(3));
		break;
	case 5:
		setsockopt(fd, SOL_SOCKET, below(2) ? SO_SNDBUF : SO_PASSCRED, &value,
			   sizeof(value));
		break;
	case 6:
		sendto(fd, buffer, below(1000), MSG_DONTWAIT, (struct sockaddr *)&un, length);
		break;
	case 7:
		length = sizeof(un);
		(void)(below(2) ? getpeername : getsockname)(fd, (struct sockaddr *)&un, &length);
		break;
	}
}

static void wait_for_something(void)
{
	static const uint32_t modes[] = { 0, EPOLLET, EPOLLONESHOT, EPOLLEXCLUSIVE };
	struct epoll_event event = { .events = below(2) ? EPOLLIN : EPOLLIN | EPOLLOUT };
	struct epoll_event got[8];
	struct pollfd entries[POOL];
	struct timeval none = { 0, 0 };
	fd_set in, out;
	int fd = any();

	event.events |= modes[below(4)];
	switch (below(6)) {
	case 0:
	case 1:
		epoll_ctl(fd, EPOLL_CTL_ADD, any(), &event);
		break;
	case 2:
		epoll_ctl(fd, below(2) ? EPOLL_CTL_DEL : EPOLL_CTL_MOD, any(), &event);
		break;
	case 3:
		epoll_wait(fd, got, 8, 0);
		break;
	case 4:
		for (int i = 0; i < POOL; i++)
			entries[i] = (struct pollfd){ pool[i], POLLIN | POLLOUT | POLLRDHUP, 0 };
		poll(entries, POOL, below(2) ? 0 : 1);
		break;
	case 5:
		FD_ZERO(&in);
		FD_ZERO(&out);
		for (int i = 0; i < POOL; i++) {
			if (pool[i] >= 0)
				FD_SET(pool[i], below(2) ? &in : &out);
		}
		select(FD_SETSIZE, &in, &out, NULL, &none);
		break;
	}
}

/* A child that shares all of it, does a little, and dies. */
static void child(int operations);

static void one_operation(void)
{
	switch (below(11)) {
	case 10:
		set_modes();
		break;
	case 0:
	case 1:
		make_something();
		break;
	case 2:
	case 3:
	case 4:
		move_bytes();
		break;
	case 5:
		send_descriptors(any());
		break;
	case 6:
		receive_descriptors(any());
		break;
	case 7:
		name_and_connect();
		break;
	case 8:
		wait_for_something();
		break;
	case 9:
		if (below(40) == 0)
			child(20);
		else if (below(2))
			keep(dup(any()));
		else
			keep(-1);
		break;
	}
}

static void child(int operations)
{
	pid_t pid = fork();

	if (pid == 0) {
		for (int i = 0; i < operations; i++)
			one_operation();
		kill(getpid(), SIGKILL);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static long round_of(int operations)
{
	int pair[2];

	pool[0] = open("/tmp/fuzz.file", O_RDWR | O_CREAT | O_TRUNC, 0600);
	write(pool[0], buffer, BUFFER);
	for (int i = 1; i < POOL; i++)
		pool[i] = eventfd(0, EFD_NONBLOCK);
	for (int i = 0; i < NAMES; i++) {
		snprintf(buffer, sizeof(buffer), "/tmp/fuzz.fifo%d", i);
		mkfifo(buffer, 0600);
	}
	for (int i = 0; i < operations; i++)
		one_operation();
	for (int i = 0; i < POOL; i++)
		close(pool[i]);
	for (int i = 0; i < NAMES; i++) {
		snprintf(buffer, sizeof(buffer), "/tmp/fuzz.fifo%d", i);
		unlink(buffer);
	}
	unlink("/tmp/fuzz.file");
	/* What only messages hold is looked for when a socket is closed. */
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	close(pair[0]);
	close(pair[1]);
	return tap_proc_number("/proc/census", "nr_free_frames");
}

int main(int argc, char **argv)
{
	int operations = argc > 1 ? atoi(argv[1]) : OPERATIONS_DEFAULT;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	long free_frames[4], early, late;
	int next;

	tap_begin(argv);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	next = dup(0);
	close(next);
	for (int round = 0; round < 4; round++) {
		state = seed; /* the same again: caches have found their size */
		free_frames[round] = round_of(operations / 4);
	}
	ok(true, "%d operations", operations);
	ok(dup(0) == next, "no descriptor is left");
	close(next);
	/* Where objects lie in their slabs is up to chance and time; what is lost is lost each time. */
	early = free_frames[1] > free_frames[0] ? free_frames[1] : free_frames[0];
	late = free_frames[3] > free_frames[2] ? free_frames[3] : free_frames[2];
	ok(late >= early || free_frames[3] >= free_frames[1],
	   "no memory is left (%ld, %ld, %ld, %ld)", free_frames[0], free_frames[1], free_frames[2],
	   free_frames[3]);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGIO, SIG_DFL);
	signal(SIGUSR1, SIG_DFL);
	return done();
}
