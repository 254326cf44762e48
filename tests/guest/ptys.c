/*
 * Pseudo-terminals, pty(7), and what sessions and groups mean to a terminal: controlling terminals,
 * foreground and background, keys that are signals, hanging up from both ends.
 */
#define _GNU_SOURCE /* ptsname_r */
#include "tap.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>

#define WAIT_MS 2000

static int open_master(char *name, size_t size)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);

	if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0 ||
	    ptsname_r(master, name, size) != 0)
		return -1;
	return master;
}

static int events_of(int fd, int wanted, int ms)
{
	struct pollfd entry = { .fd = fd, .events = (short)wanted };

	return poll(&entry, 1, ms) < 0 ? -1 : entry.revents;
}

static bool comes(int fd, const char *text)
{
	char got[256];
	size_t length = strlen(text), done = 0;

	while (done < length && (events_of(fd, POLLIN, WAIT_MS) & POLLIN)) {
		ssize_t count = read(fd, got + done, length - done);
		if (count <= 0)
			break;
		done += (size_t)count;
	}
	return done == length && memcmp(got, text, length) == 0;
}

/* --- names, locks, ends ------------------------------------------------------------------------------ */

static void they_are_made_and_named(void)
{
	char name[32], text[16];
	struct stat stat;
	struct winsize size;
	int locked = -1, count = -1, number = -1;
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
	int slave, peer;

	if (!ok(master >= 0 && grantpt(master) == 0, "one is made"))
		return;
	ok(ptsname_r(master, name, sizeof(name)) == 0 && strncmp(name, "/dev/pts/", 9) == 0,
	   "it has a name, %s", name);
	ok(lstat(name, &stat) == 0 && S_ISCHR(stat.st_mode) && major(stat.st_rdev) == 136 &&
		   minor(stat.st_rdev) == (unsigned)atoi(name + 9),
	   "of a device with its number");
	ok(ioctl(master, TIOCGPTN, &number) == 0 && number == atoi(name + 9),
	   "which TIOCGPTN says");
	ok(ioctl(master, TIOCGPTLCK, &locked) == 0 && locked == 1, "it is locked");
	fails(open(name, O_RDWR | O_NOCTTY), EIO, "so that nobody opens it");
	ok(unlockpt(master) == 0 && ioctl(master, TIOCGPTLCK, &locked) == 0 && locked == 0,
	   "and unlocked");
	fails(read(master, text, 1), EAGAIN, "nobody has written anything");
	ok(events_of(master, POLLIN | POLLOUT, 0) == POLLOUT, "nor hung up");
	slave = open(name, O_RDWR | O_NOCTTY);
	ok(slave >= 0 && isatty(slave), "its other end is a terminal");
	ok(ttyname_r(slave, text, sizeof(text)) == 0 && strcmp(text, name) == 0, "of that name");
	ok(ioctl(slave, TIOCGWINSZ, &size) == 0 && size.ws_row == 0 && size.ws_col == 0,
	   "of no size");
	ok(write(slave, "a\n", 2) == 2 && (events_of(master, POLLIN, WAIT_MS) & POLLIN) &&
		   ioctl(master, FIONREAD, &count) == 0 && count == 3 && comes(master, "a\r\n"),
	   "what is written comes out here");
	ok(write(master, "b\r", 2) == 2 && comes(slave, "b\n") && comes(master, "b\r\n"),
	   "what is typed is read there, and echoed");
	fails(read(master, text, 1), EAGAIN, "that was all");
	peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	ok(peer >= 0 && (fcntl(peer, F_GETFD) & FD_CLOEXEC) && write(peer, "c", 1) == 1 &&
		   comes(master, "c"),
	   "TIOCGPTPEER opens it without a name");
	close(peer);

	write(slave, "last", 4);
	close(slave);
	ok(events_of(master, POLLIN, WAIT_MS) == (POLLIN | POLLHUP), "it is closed there");
	ok(comes(master, "last"), "what was written before is read");
	fails(read(master, text, 1), EIO, "and then it is EIO");
	ok(events_of(master, POLLIN | POLLOUT, 0) & POLLHUP, "hung up");
	slave = open(name, O_RDWR | O_NOCTTY);
	ok(slave >= 0, "it is opened again");
	fails(read(master, text, 1), EAGAIN, "and goes on");
	ok(events_of(master, POLLIN | POLLOUT, 0) == POLLOUT, "not hung up");
	close(slave);
	close(master);
	fails(lstat(name, &stat), ENOENT, "without a master there is no name");
}

static void there_are_many(void)
{
	int masters[20];
	char name[32], last[32] = "";
	bool good = true;

	for (size_t i = 0; i < 20; i++) {
		masters[i] = open_master(name, sizeof(name));
		good = good && masters[i] >= 0 && strcmp(name, last) != 0;
		strcpy(last, name);
	}
	ok(good, "twenty at a time, each with a name of its own");
	for (size_t i = 0; i < 20; i++)
		close(masters[i]);
}

/* A full terminal neither loses nor blocks who does not wait. */
static void both_ways_fill_up(void)
{
	static char text[65536];
	struct termios raw;
	int master, slave;
	ssize_t count = 0, written = 0, taken = 0;

	if (!ok(openpty(&master, &slave, NULL, NULL, NULL) == 0, "openpty"))
		return;
	tcgetattr(slave, &raw);
	cfmakeraw(&raw);
	tcsetattr(slave, TCSANOW, &raw);
	fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK);
	fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK);
	memset(text, 'x', sizeof(text));
	while (events_of(slave, POLLOUT, 20) & POLLOUT) {
		while ((count = write(slave, text, sizeof(text))) > 0)
			written += count;
	}
	ok(count < 0 && errno == EAGAIN && written >= 4096, "so much and no more is written");
	while (events_of(master, POLLIN, 50) & POLLIN) {
		count = read(master, text, sizeof(text));
		taken += count > 0 ? count : 0;
	}
	ok(taken == written, "all of it is read");
	ok(events_of(slave, POLLOUT, WAIT_MS) & POLLOUT, "then there is room again");
	written = taken = 0;
	while (written < 1 << 20 && (count = write(master, text, sizeof(text))) > 0)
		written += count;
	ok(count < 0 && errno == EAGAIN && written >= 2048, "and the other way");
	while (events_of(slave, POLLIN, 50) & POLLIN) {
		count = read(slave, text, sizeof(text));
		taken += count > 0 ? count : 0;
	}
	ok(taken == written, "all of that, too");
	close(slave);
	close(master);
}

/* --- sessions --------------------------------------------------------------------------------------------- */

static int report[2]; /* from the children to the test */

static void say(char what)
{
	write(report[1], &what, 1);
}

static bool said(char what)
{
	char got = 0;

	if (!(events_of(report[0], POLLIN, WAIT_MS) & POLLIN))
		return false;
	return read(report[0], &got, 1) == 1 && got == what;
}

/* A child that leads a session with `name` for its terminal; the master is closed in it. */
static pid_t begin_session(int master, const char *name, void (*body)(int fd))
{
	pid_t child = fork();

	if (child != 0)
		return child;
	alarm(10);
	close(master);
	setsid();
	body(open(name, O_RDWR));
	_exit(0);
}

static int ended(pid_t child)
{
	int status = -1;

	waitpid(child, &status, 0);
	return status;
}

static void check_terminal(int fd)
{
	int other = open("/dev/tty", O_RDWR);
	pid_t self = getpid();

	say(other >= 0 && tcgetsid(fd) == self && tcgetpgrp(other) == self ? 'y' : 'n');
	say(tcsetpgrp(fd, 1) == -1 && errno == EPERM ? 'y' : 'n');
	say(tcsetpgrp(fd, 99999999) == -1 && errno == ESRCH ? 'y' : 'n');
	say(tcsetpgrp(fd, -1) == -1 && errno == EINVAL ? 'y' : 'n');
	say(ioctl(fd, TIOCSCTTY, 0) == 0 ? 'y' : 'n');
	signal(SIGHUP, SIG_IGN);
	say(ioctl(fd, TIOCNOTTY) == 0 && open("/dev/tty", O_RDWR) < 0 && errno == ENXIO ? 'y'
											: 'n');
	say(tcgetpgrp(fd) == -1 && errno == ENOTTY ? 'y' : 'n');
	say(ioctl(fd, TIOCSCTTY, 0) == 0 && tcgetpgrp(fd) == self ? 'y' : 'n');
}

static void a_session_gets_a_terminal(void)
{
	char name[32];
	int master = open_master(name, sizeof(name));
	pid_t child = begin_session(master, name, check_terminal);
	pid_t group = -1;

	ok(said('y'), "a leader's first terminal is its controlling terminal");
	ok(said('y'), "a group of another session is not put into the foreground");
	ok(said('y'), "nor one that does not exist");
	ok(said('y'), "nor a negative one");
	ok(said('y'), "TIOCSCTTY once more");
	ok(said('y'), "TIOCNOTTY gives it up");
	ok(said('y'), "and it is none of its any more");
	ok(said('y'), "TIOCSCTTY takes it back");
	ok(ended(child) == 0, "the session ends");
	ok(ioctl(master, TIOCGPGRP, &group) == 0 && group == 0,
	   "and leaves nobody in the foreground");
	fails(ioctl(master, TIOCGSID, &group), ENOTTY, "nor a session");
	close(master);
}

static void wait_for_keys(int fd)
{
	char c;

	say('r');
	while (read(fd, &c, 1) >= 0 || errno == EINTR)
		;
}

static volatile sig_atomic_t got_winch;

static void on_winch(int signal)
{
	(void)signal;
	got_winch++;
	say('w');
}

static void wait_for_size(int fd)
{
	struct sigaction action = { .sa_handler = on_winch };
	struct winsize size = { 0 };

	sigaction(SIGWINCH, &action, NULL);
	say('r');
	while (!got_winch)
		usleep(1000); /* it may have come already */
	say(ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col == 77 ? 'y' : 'n');
}

static int status_after(int master, const char *name, const char *key)
{
	pid_t child = begin_session(master, name, wait_for_keys);

	if (!said('r'))
		return -1;
	write(master, key, 1);
	return ended(child);
}

static void keys_are_signals(void)
{
	char name[32];
	int master = open_master(name, sizeof(name));
	struct winsize size = { .ws_row = 7, .ws_col = 77 };
	int status;
	pid_t child;

	status = status_after(master, name, "\003");
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT, "^C ends who is in the foreground");
	status = status_after(master, name, "\034");
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT, "so does ^\\");
	child = begin_session(master, name, wait_for_size);
	ok(said('r') && ioctl(master, TIOCSWINSZ, &size) == 0 && said('w') && said('y'),
	   "a new size is SIGWINCH");
	ended(child);
	child = begin_session(master, name, wait_for_keys);
	ok(said('r') && ioctl(master, TIOCSIG, SIGQUIT) == 0 && WTERMSIG(ended(child)) == SIGQUIT,
	   "TIOCSIG does without a key");
	fails(ioctl(master, TIOCSIG, SIGKILL), EINVAL, "but not without one that there is");
	close(master);
}

/* --- foreground and background ------------------------------------------------------------------------------ */

/* In a group of its own, stopped by what it does, or not. */
static int try_in_background(int fd, void (*body)(int fd), bool resume)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		setpgid(0, 0);
		body(fd);
		_exit(errno == EIO ? 5 : 1);
	}
	setpgid(child, child);
	if (waitpid(child, &status, WUNTRACED) != child)
		return -1;
	if (WIFSTOPPED(status) && resume) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	return status;
}

static void read_it(int fd)
{
	char c;

	if (read(fd, &c, 1) == 1)
		_exit(0);
}

static void write_it(int fd)
{
	if (write(fd, "w", 1) == 1)
		_exit(0);
}

static void set_it(int fd)
{
	struct termios t;

	if (tcgetattr(fd, &t) == 0 && tcsetattr(fd, TCSANOW, &t) == 0)
		_exit(0);
}

static void read_ignoring(int fd)
{
	signal(SIGTTIN, SIG_IGN);
	read_it(fd);
}

static void set_ignoring(int fd)
{
	signal(SIGTTOU, SIG_IGN);
	set_it(fd);
}

static void use_background(int fd)
{
	struct termios t;
	int status;

	status = try_in_background(fd, read_it, true);
	say(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTIN ? 'y' : 'n');
	status = try_in_background(fd, write_it, true);
	say(WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 'y' : 'n');
	status = try_in_background(fd, set_it, true);
	say(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU ? 'y' : 'n');
	status = try_in_background(fd, set_ignoring, true);
	say(WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 'y' : 'n');
	status = try_in_background(fd, read_ignoring, true);
	say(WIFEXITED(status) && WEXITSTATUS(status) == 5 ? 'y' : 'n');
	tcgetattr(fd, &t);
	t.c_lflag |= TOSTOP;
	tcsetattr(fd, TCSANOW, &t);
	status = try_in_background(fd, write_it, true);
	say(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU ? 'y' : 'n');
	t.c_lflag &= ~(tcflag_t)TOSTOP;
	tcsetattr(fd, TCSANOW, &t);
}

/* A group whose processes have their parents in other sessions: nobody could continue it. */
static void read_as_orphan(int fd)
{
	int alive[2];
	pid_t middle;
	char c;

	pipe(alive);
	middle = fork();
	if (middle == 0) {
		middle = getpid();
		if (fork() != 0)
			_exit(0);
		while (getppid() == middle)
			usleep(1000);
		setpgid(0, 0);
		say(read(fd, &c, 1) == -1 && errno == EIO ? 'y' : 'n');
		_exit(0);
	}
	waitpid(middle, NULL, 0);
	close(alive[1]);
	read(alive[0], &c, 1); /* until the orphan is gone */
}

static void suspend(int fd)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		setpgid(0, 0);
		signal(SIGTTOU, SIG_IGN);
		tcsetpgrp(fd, getpid());
		say('r');
		for (;;)
			pause();
	}
	setpgid(child, child);
	waitpid(child, &status, WUNTRACED);
	say(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP ? 'y' : 'n');
	kill(child, SIGCONT);
	say(waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status) ? 'y' : 'n');
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
}

static void the_background_is_stopped(void)
{
	char name[32];
	int master = open_master(name, sizeof(name));
	pid_t child = begin_session(master, name, use_background);

	ok(said('y'), "a read in the background is SIGTTIN");
	ok(said('y'), "a write is allowed");
	ok(said('y'), "setting attributes is SIGTTOU");
	ok(said('y'), "who ignores it may");
	ok(said('y'), "who ignores SIGTTIN reads EIO");
	ok(said('y'), "with TOSTOP a write is SIGTTOU");
	ended(child);
	child = begin_session(master, name, suspend);
	ok(said('r') && write(master, "\032", 1) == 1 && said('y'), "^Z stops the foreground");
	ok(said('y'), "SIGCONT lets it go on");
	ended(child);
	child = begin_session(master, name, read_as_orphan);
	ok(said('y'), "an orphaned group reads EIO");
	ended(child);
	close(master);
}

/* --- hanging up -------------------------------------------------------------------------------------------------- */

static void live_through_hangup(int fd)
{
	struct termios t;
	char c;

	signal(SIGHUP, SIG_IGN);
	say('r');
	/* Linux may notice first that the other end is gone, and then that it has hung up. */
	say(read(fd, &c, 1) <= 0 && read(fd, &c, 1) == 0 ? 'y' : 'n');
	say(write(fd, "x", 1) == -1 && errno == EIO ? 'y' : 'n');
	say(tcgetattr(fd, &t) == -1 && errno == EIO ? 'y' : 'n');
	say((events_of(fd, POLLIN | POLLOUT, 0) & (POLLHUP | POLLIN)) == (POLLHUP | POLLIN) ? 'y'
											    : 'n');
	say(open("/dev/tty", O_RDWR) == -1 && errno == ENXIO ? 'y' : 'n');
}

static void leave_somebody(int fd)
{
	pid_t leader = getpid();
	char c;

	if (fork() == 0) {
		signal(SIGHUP, SIG_IGN);
		say('b');
		while (getppid() == leader)
			usleep(1000);
		say(open("/dev/tty", O_RDWR) == -1 && errno == ENXIO ? 'y' : 'n');
		say(read(fd, &c, 1) == 1 && c == 'k' && write(fd, "x", 1) == 1 ? 'y' : 'n');
		_exit(0);
	}
	read(fd, &c, 1);
}

static void both_ends_hang_up(void)
{
	char name[32], text[8];
	int master = open_master(name, sizeof(name));
	pid_t child = begin_session(master, name, wait_for_keys);
	int status;

	said('r');
	close(master);
	status = ended(child);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGHUP,
	   "who leads the session gets SIGHUP when the master is closed");
	master = open_master(name, sizeof(name));
	child = begin_session(master, name, live_through_hangup);
	said('r');
	close(master);
	ok(said('y'), "who ignores it reads the end");
	ok(said('y'), "writes EIO");
	ok(said('y'), "asks for attributes and gets EIO");
	ok(said('y'), "and polls a hang-up");
	ok(said('y'), "/dev/tty is not there any more");
	ok(ended(child) == 0, "and lives");

	master = open_master(name, sizeof(name));
	child = begin_session(master, name, leave_somebody);
	said('b');
	write(master, "\r", 1);
	ended(child);
	ok(said('y'), "when the leader ends, the rest of its session has no controlling terminal");
	write(master, "k\r", 2);
	ok(said('y'), "but uses it on");
	while (read(master, text, sizeof(text)) > 0)
		;
	ok(errno == EIO, "until all are gone");
	close(master);
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	pipe(report);
	signal(SIGCHLD, SIG_DFL);
	they_are_made_and_named();
	there_are_many();
	both_ways_fill_up();
	a_session_gets_a_terminal();
	keys_are_signals();
	the_background_is_stopped();
	both_ends_hang_up();
	close(report[0]);
	close(report[1]);
	return done();
}
