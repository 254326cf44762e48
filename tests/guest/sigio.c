/*
 * Signals that tell that a file is ready: O_ASYNC, FIOASYNC, F_SETOWN, F_SETOWN_EX, F_SETSIG; of pipes, sockets,
 * terminals and inotify.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define WAIT_S 2
#ifndef F_GETOWNER_UIDS
#define F_GETOWNER_UIDS 17
#endif

static sigset_t waited;
static siginfo_t info;

/* The signal that comes, 0: none within the time. */
static int comes(long ms)
{
	struct timespec limit = { ms / 1000, ms % 1000 * 1000000 };

	memset(&info, 0, sizeof(info));
	int signal = sigtimedwait(&waited, &info, &limit);
	return signal < 0 ? 0 : signal;
}

static void forget(void)
{
	while (comes(20) != 0)
		;
}

static int async(int fd, int owner)
{
	return fcntl(fd, F_SETOWN, owner) == 0 ? fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC)
					       : -1;
}

static void of_pipes(void)
{
	int ends[2], on = 0;
	char c;

	pipe(ends);
	ok(fcntl(ends[0], F_GETOWN) == 0 && fcntl(ends[0], F_GETSIG) == 0, "nobody owns a pipe");
	ok(async(ends[0], getpid()) == 0 && fcntl(ends[0], F_GETOWN) == getpid() &&
		   (fcntl(ends[0], F_GETFL) & O_ASYNC) != 0,
	   "then somebody does");
	write(ends[1], "x", 1);
	ok(comes(WAIT_S * 1000) == SIGIO, "who is told what is written");
	forget();
	write(ends[1], "x", 1);
	ok(comes(WAIT_S * 1000) == SIGIO, "each time, whatever has not been read");
	forget();
	ok(ioctl(ends[0], FIOASYNC, &on) == 0 && (fcntl(ends[0], F_GETFL) & O_ASYNC) == 0,
	   "FIOASYNC ends it");
	write(ends[1], "x", 1);
	ok(comes(50) == 0, "nothing comes any more");
	ok(fcntl(ends[0], F_SETSIG, SIGRTMIN) == 0 && fcntl(ends[0], F_GETSIG) == SIGRTMIN,
	   "another signal");
	on = 1;
	ok(ioctl(ends[0], FIOASYNC, &on) == 0, "by FIOASYNC");
	write(ends[1], "x", 1);
	ok(comes(WAIT_S * 1000) == SIGRTMIN && info.si_fd == ends[0] && info.si_code == POLL_IN &&
		   (info.si_band & (POLLIN | POLLRDNORM)) == (POLLIN | POLLRDNORM),
	   "says of which file and why");
	forget();
	fails(fcntl(ends[0], F_SETSIG, 65), EINVAL, "signals have numbers up to 64");
	fails(fcntl(ends[0], F_SETOWN, 99999999), ESRCH, "owners are somebody");
	fails(fcntl(ends[0], F_SETOWN, -99999999), ESRCH, "or some group");
	close(ends[1]);
	ok(comes(WAIT_S * 1000) == SIGRTMIN, "the other end's closing is told");
	close(ends[0]);

	pipe(ends);
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	static char many[1 << 17];
	while (write(ends[1], many, sizeof(many)) > 0)
		;
	async(ends[1], getpid());
	fcntl(ends[1], F_SETSIG, SIGRTMIN);
	while (read(ends[0], many, sizeof(many)) == sizeof(many))
		;
	ok(comes(WAIT_S * 1000) == SIGRTMIN && info.si_code == POLL_OUT && info.si_fd == ends[1],
	   "and that there is room");
	(void)c;
	close(ends[0]);
	close(ends[1]);
	forget();
}

static void of_sockets(void)
{
	int pair[2], owner = 0;

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	owner = getpid();
	ok(ioctl(pair[0], FIOSETOWN, &owner) == 0 && fcntl(pair[0], F_GETOWN) == getpid(),
	   "FIOSETOWN");
	owner = 0;
	ok(ioctl(pair[0], SIOCGPGRP, &owner) == 0 && owner == getpid(), "SIOCGPGRP");
	fcntl(pair[0], F_SETFL, O_ASYNC);
	write(pair[1], "x", 1);
	ok(comes(WAIT_S * 1000) == SIGIO, "a socket tells");
	forget();
	close(pair[1]);
	ok(comes(WAIT_S * 1000) == SIGIO, "and that it has hung up");
	close(pair[0]);
	forget();
}

static void of_terminals(void)
{
	int master, slave;

	openpty(&master, &slave, NULL, NULL, NULL);
	ok(async(slave, getpid()) == 0, "a terminal");
	write(master, "line\n", 5);
	ok(comes(WAIT_S * 1000) == SIGIO, "tells of lines");
	close(slave);
	close(master);
	forget();
}

static void of_names(void)
{
	int fd = inotify_init1(0);

	inotify_add_watch(fd, "/tmp", IN_CREATE);
	ok(async(fd, getpid()) == 0, "inotify");
	close(open("/tmp/hawser-sigio", O_CREAT | O_WRONLY, 0600));
	ok(comes(WAIT_S * 1000) == SIGIO, "tells of events");
	unlink("/tmp/hawser-sigio");
	close(fd);
	forget();
}

static void of_the_rest(void)
{
	int fd = open("/dev/null", O_RDWR), on = 1;

	ok(fcntl(fd, F_SETFL, O_ASYNC) == 0 && (fcntl(fd, F_GETFL) & O_ASYNC) == 0,
	   "others do not have the flag");
	fails(ioctl(fd, FIOASYNC, &on), ENOTTY, "but FIOASYNC is nothing for them");
	close(fd);
}

static void of_owners(void)
{
	struct f_owner_ex owner = { F_OWNER_TID, (int)syscall(SYS_gettid) }, got = { 0 };
	int ends[2], status, ready[2];
	pid_t child;
	char c;

	pipe(ends);
	pipe(ready);
	ok(fcntl(ends[0], F_SETOWN_EX, &owner) == 0 && fcntl(ends[0], F_GETOWN_EX, &got) == 0 &&
		   got.type == F_OWNER_TID && got.pid == owner.pid,
	   "a thread is an owner");
	fcntl(ends[0], F_SETFL, O_ASYNC);
	write(ends[1], "x", 1);
	ok(comes(WAIT_S * 1000) == SIGIO, "and is told");
	forget();
	owner.type = 7;
	fails(fcntl(ends[0], F_SETOWN_EX, &owner), EINVAL, "there are three kinds");
	child = fork();
	if (child == 0) {
		setpgid(0, 0);
		write(ready[1], "r", 1);
		_exit(comes(WAIT_S * 1000) == SIGIO ? 0 : 1);
	}
	read(ready[0], &c, 1);
	ok(fcntl(ends[0], F_SETOWN, -child) == 0 && fcntl(ends[0], F_GETOWN) == -child,
	   "a group is an owner");
	fails(comes(0) == 0 ? -1 : 0, EAGAIN, "nothing has come");
	write(ends[1], "x", 1);
	ok(waitpid(child, &status, 0) == child && status == 0, "all of it are told");
	ok(comes(20) == 0, "and nobody else");

	child = fork();
	if (child == 0) {
		if (setuid(1000) != 0 || fcntl(ends[0], F_SETOWN, getppid()) != 0)
			_exit(1);
		_exit(0);
	}
	waitpid(child, &status, 0);
	write(ends[1], "x", 1);
	ok(status == 0 && comes(50) == 0, "who is nobody makes a file tell nobody else");
	close(ends[0]);
	close(ends[1]);
	close(ready[0]);
	close(ready[1]);
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	sigemptyset(&waited);
	sigaddset(&waited, SIGIO);
	sigaddset(&waited, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &waited, NULL);
	of_pipes();
	of_sockets();
	of_terminals();
	of_names();
	of_the_rest();
	of_owners();
	sigprocmask(SIG_UNBLOCK, &waited, NULL);
	return done();
}
