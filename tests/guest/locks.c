/*
 * Locks on files: flock(2), fcntl(2)'s on ranges with their owners, waiting, deadlock, and their end.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define FILE_NAME "/tmp/hawser-locks"

/* Linux's; musl hides them from _GNU_SOURCE programs of older kinds. */
#ifndef F_OFD_GETLK
#define F_OFD_GETLK  36
#define F_OFD_SETLK  37
#define F_OFD_SETLKW 38
#endif

static int set(int fd, int command, short type, off_t start, off_t length)
{
	struct flock lock = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = start,
		.l_len = length,
	};

	return fcntl(fd, command, &lock);
}

/* What is in the way of a write lock of that range for another process. */
static struct flock ask(off_t start, off_t length)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = start,
		.l_len = length,
	};
	int ends[2], status;

	fflush(stdout);
	if (pipe(ends) != 0)
		return lock;
	if (fork() == 0) {
		int fd = open(FILE_NAME, O_RDWR);

		fcntl(fd, F_GETLK, &lock);
		_exit(write(ends[1], &lock, sizeof(lock)) != sizeof(lock));
	}
	(void)!read(ends[0], &lock, sizeof(lock));
	wait(&status);
	close(ends[0]);
	close(ends[1]);
	return lock;
}

static bool is(struct flock lock, short type, off_t start, off_t length)
{
	return lock.l_type == type &&
	       (type == F_UNLCK || (lock.l_start == start && lock.l_len == length));
}

static void ranges(int fd)
{
	struct flock lock;

	ok(set(fd, F_SETLK, F_WRLCK, 100, 100) == 0, "a range is locked");
	lock = ask(0, 0);
	ok(is(lock, F_WRLCK, 100, 100) && lock.l_pid == getpid(),
	   "another sees it, and whose it is");
	ok(is(ask(0, 100), F_UNLCK, 0, 0) && is(ask(200, 0), F_UNLCK, 0, 0),
	   "and nothing beside it");
	ok(set(fd, F_SETLK, F_RDLCK, 120, 20) == 0 && is(ask(100, 20), F_WRLCK, 100, 20) &&
		   is(ask(120, 1), F_RDLCK, 120, 20) && is(ask(140, 0), F_WRLCK, 140, 60),
	   "its owner makes the middle of it a read lock: WWRRWWW");
	ok(set(fd, F_SETLK, F_WRLCK, 110, 40) == 0 && is(ask(0, 0), F_WRLCK, 100, 100),
	   "and one again: WWWWWWW");
	ok(set(fd, F_SETLK, F_UNLCK, 130, 40) == 0 && is(ask(0, 0), F_WRLCK, 100, 30) &&
		   is(ask(130, 40), F_UNLCK, 0, 0) && is(ask(130, 0), F_WRLCK, 170, 30),
	   "unlocks its middle: WWW..WW");
	ok(set(fd, F_SETLK, F_WRLCK, 200, 0) == 0 && is(ask(130, 0), F_WRLCK, 170, 0),
	   "locks on to the end of the file, however long it gets");
	ok(set(fd, F_SETLK, F_UNLCK, 0, 0) == 0 && is(ask(0, 0), F_UNLCK, 0, 0), "and unlocks all");
	lseek(fd, 50, SEEK_SET);
	lock = (struct flock){
		.l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_start = 10, .l_len = -5
	};
	ok(fcntl(fd, F_SETLK, &lock) == 0 && is(ask(0, 0), F_WRLCK, 55, 5),
	   "a range before an offset");
	set(fd, F_SETLK, F_UNLCK, 0, 0);
	lseek(fd, 0, SEEK_SET);
}

static void bad_arguments(int fd)
{
	struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };
	int reader = open(FILE_NAME, O_RDONLY);

	fails(set(fd, F_SETLK, F_WRLCK, -1, 1), EINVAL, "before the beginning is EINVAL");
	fails(set(fd, F_SETLK, F_WRLCK, 1, -2), EINVAL, "from either side");
	fails(set(fd, F_SETLK, 9, 0, 1), EINVAL, "so is an unknown type");
	fails(fcntl(fd, F_GETLK, &lock), EINVAL, "nobody asks for an unlock");
	fails(set(reader, F_SETLK, F_WRLCK, 0, 1), EBADF,
	      "a write lock needs a writable descriptor");
	ok(set(reader, F_SETLK, F_RDLCK, 0, 1) == 0, "a read lock a readable one");
	lock.l_type = F_WRLCK;
	lock.l_pid = 1;
	fails(fcntl(fd, F_OFD_SETLK, &lock), EINVAL, "an open file's lock has no process");
	fails(fcntl(fd, F_SETLK, (void *)8), EFAULT, "a bad address");
	close(reader);
	fails(flock(fd, 0), EINVAL, "flock(2) of nothing");
	fails(flock(-1, LOCK_SH), EBADF, "or nowhere");
}

/* A child that does something and tells what it came to. */
static int in_child(int (*act)(int fd))
{
	int status = 0;

	fflush(stdout);
	if (fork() == 0) {
		int fd = open(FILE_NAME, O_RDWR);

		errno = 0;
		_exit(act(fd) == 0 ? 0 : errno);
	}
	wait(&status);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int lock_byte(int fd)
{
	return set(fd, F_SETLK, F_WRLCK, 5, 1);
}

static int read_lock_byte(int fd)
{
	return set(fd, F_SETLK, F_RDLCK, 5, 1);
}

static int lock_byte_ofd(int fd)
{
	return set(fd, F_OFD_SETLK, F_WRLCK, 5, 1);
}

static void owners(int fd)
{
	int other, copy;

	set(fd, F_SETLK, F_RDLCK, 0, 10);
	ok(in_child(lock_byte) == EAGAIN && in_child(read_lock_byte) == 0,
	   "a read lock keeps writers out, and lets readers in");
	other = open(FILE_NAME, O_RDWR);
	ok(set(other, F_SETLK, F_WRLCK, 0, 10) == 0, "a process never stands in its own way");
	ok(in_child(read_lock_byte) == EAGAIN, "and that is a write lock now");
	close(other);
	ok(in_child(lock_byte) == 0, "closing any descriptor of the file drops all locks");

	ok(set(fd, F_OFD_SETLK, F_WRLCK, 0, 10) == 0, "a lock of an open file");
	copy = dup(fd);
	other = open(FILE_NAME, O_RDWR);
	fails(set(other, F_OFD_SETLK, F_WRLCK, 5, 1), EAGAIN, "stands in the way of another one");
	fails(set(other, F_SETLK, F_WRLCK, 5, 1), EAGAIN, "and of a process's");
	ok(ask(5, 1).l_pid == -1, "whose it is cannot be said");
	ok(in_child(lock_byte_ofd) == EAGAIN, "whoever opens it");
	close(other);
	ok(in_child(lock_byte) == EAGAIN, "closing another one does not drop it");
	close(copy);
	ok(in_child(lock_byte) == EAGAIN, "or closing a copy");
	set(fd, F_OFD_SETLK, F_UNLCK, 0, 0);
	ok(in_child(lock_byte) == 0, "unlocking does");
}

static void flocks(int fd)
{
	int other = open(FILE_NAME, O_RDONLY), copy = dup(fd), status;

	ok(flock(fd, LOCK_EX) == 0, "flock(2)");
	fails(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK, "keeps another open file out");
	ok(set(other, F_SETLK, F_RDLCK, 0, 0) == 0, "ranges do not mind it");
	ok(flock(copy, LOCK_SH) == 0 && flock(other, LOCK_SH | LOCK_NB) == 0,
	   "a copy of the descriptor changes it; two share it");
	fails(flock(fd, LOCK_EX | LOCK_NB), EWOULDBLOCK, "not alone, nobody gets it alone");
	ok(flock(other, LOCK_EX | LOCK_NB) == 0, "and who tried has lost it");
	flock(other, LOCK_UN);
	flock(fd, LOCK_EX);
	fflush(stdout);
	if (fork() == 0)
		_exit(0);
	wait(&status);
	close(copy);
	fails(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK, "a child's end does not drop it");
	flock(fd, LOCK_UN);
	ok(flock(other, LOCK_EX | LOCK_NB) == 0, "unlocking does");
	close(other);
	ok(flock(fd, LOCK_EX | LOCK_NB) == 0, "so does the last close");
	flock(fd, LOCK_UN);
}

static void nothing(int signal)
{
	(void)signal;
}

static void waiting(int fd)
{
	struct sigaction action = { .sa_handler = nothing };
	int ends[2], status = 0, mine, its;
	pid_t child;
	char byte;

	if (pipe(ends) != 0)
		ok(false, "a pipe");
	fflush(stdout);
	set(fd, F_SETLK, F_WRLCK, 0, 1);
	child = fork();
	if (child == 0) {
		int other = open(FILE_NAME, O_RDWR);

		set(other, F_SETLK, F_WRLCK, 1, 1);
		(void)!write(ends[1], "x", 1);
		_exit(set(other, F_SETLKW, F_WRLCK, 0, 1) == 0 ? 0 : errno);
	}
	(void)!read(ends[0], &byte, 1);
	/* Each has one byte and wants the other's: whoever comes second is told. */
	mine = set(fd, F_SETLKW, F_WRLCK, 1, 1) == 0 ? 0 : errno;
	set(fd, F_SETLK, F_UNLCK, 0, 1);
	waitpid(child, &status, 0);
	its = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	ok((mine == EDEADLK && its == 0) || (mine == 0 && its == EDEADLK),
	   "of two who would wait in a circle one gets EDEADLK, and the other its lock: %d %d",
	   mine, its);
	set(fd, F_SETLK, F_UNLCK, 0, 0);
	ok(is(ask(0, 0), F_UNLCK, 0, 0), "with its end the child's locks are gone");

	set(fd, F_SETLK, F_WRLCK, 0, 1);
	child = fork();
	if (child == 0) {
		int other = open(FILE_NAME, O_RDWR);

		(void)!write(ends[1], "x", 1);
		_exit(set(other, F_SETLKW, F_WRLCK, 0, 1) == 0 ? 0 : errno);
	}
	(void)!read(ends[0], &byte, 1);
	usleep(20000);
	set(fd, F_SETLK, F_UNLCK, 0, 1);
	waitpid(child, &status, 0);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "who waits gets what it waits for");

	/* A signal ends the wait. */
	child = fork();
	if (child == 0) {
		int other = open(FILE_NAME, O_RDWR);

		set(other, F_SETLK, F_WRLCK, 0, 0);
		flock(other, LOCK_EX);
		(void)!write(ends[1], "x", 1);
		pause();
		_exit(1);
	}
	(void)!read(ends[0], &byte, 1);
	sigaction(SIGALRM, &action, NULL);
	if (fork() == 0) {
		for (int i = 0; i < 40 && kill(getppid(), SIGALRM) == 0; i++)
			usleep(10000);
		_exit(0);
	}
	fails(set(fd, F_SETLKW, F_WRLCK, 0, 1), EINTR, "a signal ends the wait for a range");
	fails(flock(fd, LOCK_EX), EINTR, "and for the file");
	kill(child, SIGKILL);
	while (wait(&status) > 0 || errno == EINTR)
		;
	action.sa_handler = SIG_DFL;
	sigaction(SIGALRM, &action, NULL);
	ok(set(fd, F_SETLKW, F_WRLCK, 0, 1) == 0 && flock(fd, LOCK_EX) == 0,
	   "who is killed lets go of everything");
	set(fd, F_SETLK, F_UNLCK, 0, 0);
	flock(fd, LOCK_UN);
	close(ends[0]);
	close(ends[1]);
}

static void owners_of_signals(int fd)
{
	int ends[2];

	if (pipe(ends) != 0)
		return;
	ok(fcntl(ends[0], F_GETOWN) == 0 && fcntl(ends[0], F_SETOWN, getpid()) == 0 &&
		   fcntl(ends[0], F_GETOWN) == getpid(),
	   "F_SETOWN is remembered");
	ok(fcntl(fd, F_GETLEASE) == F_UNLCK, "there is no lease");
	close(ends[0]);
	close(ends[1]);
}

int main(int argc __attribute__((unused)), char **argv)
{
	int fd;

	tap_begin(argv);
	fd = open(FILE_NAME, O_RDWR | O_CREAT, 0644);
	ranges(fd);
	bad_arguments(fd);
	owners(fd);
	flocks(fd);
	waiting(fd);
	owners_of_signals(fd);
	unlink(FILE_NAME);
	close(fd);
	return done();
}
