/*
 * What programs that stand between a terminal and its user need, tty_ioctl(4): packet mode, editing at the other
 * end (EXTPROC), terminals that are given up or taken away, keys that a program presses.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>

#define WAIT_MS   2000
#define STATUS_OK 7

static int master, slave;

static void begin(void)
{
	if (openpty(&master, &slave, NULL, NULL, NULL) != 0) {
		perror("openpty");
		exit(1);
	}
	fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK);
}

static void end(void)
{
	close(slave);
	close(master);
}

static int events(int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN | POLLPRI | POLLOUT };

	return poll(&entry, 1, 0) < 0 ? -1 : entry.revents;
}

/* What the master reads now is exactly that. */
static bool reads(const void *bytes, size_t length)
{
	struct pollfd entry = { .fd = master, .events = POLLIN };
	char got[256];
	ssize_t count;

	poll(&entry, 1, WAIT_MS);
	count = read(master, got, sizeof(got));
	if (count == (ssize_t)length && memcmp(got, bytes, length) == 0)
		return true;
	printf("# read %zd:", count);
	for (ssize_t i = 0; i < count; i++)
		printf(" %02x", (unsigned char)got[i]);
	printf("\n");
	return false;
}

static bool tells(int what)
{
	unsigned char byte = (unsigned char)what;

	return reads(&byte, 1);
}

static void set(tcflag_t input_on, tcflag_t input_off, tcflag_t local_on, tcflag_t local_off)
{
	struct termios t;

	tcgetattr(slave, &t);
	t.c_iflag = (t.c_iflag | input_on) & ~input_off;
	t.c_lflag = (t.c_lflag | local_on) & ~local_off;
	tcsetattr(slave, TCSANOW, &t);
}

static void data_come_in_packets(void)
{
	int on = 1, off = 0, value = -1;
	char got[8];

	begin();
	ok(ioctl(master, TIOCGPKT, &value) == 0 && value == 0, "packet mode is off");
	ok(ioctl(master, TIOCPKT, &on) == 0 && ioctl(master, TIOCGPKT, &value) == 0 && value == 1,
	   "TIOCPKT turns it on");
	fails(ioctl(slave, TIOCPKT, &on), ENOTTY, "not at the program's end");
	write(slave, "abc", 3);
	ok(events(master) == (POLLIN | POLLOUT), "data are no event of priority");
	ok(reads("\0abc", 4), "they follow a zero");
	write(slave, "abcdef", 6);
	ok(read(master, got, 4) == 4 && memcmp(got, "\0abc", 4) == 0,
	   "as many as there is room for");
	ok(reads("\0def", 4), "and the rest follows another");
	fails(read(master, got, sizeof(got)), EAGAIN, "no data, no zero");
	ok(ioctl(master, TIOCPKT, &off) == 0 && write(slave, "x", 1) == 1 && reads("x", 1),
	   "off again they come as they are");
	end();
}

static void what_happens_is_told(void)
{
	int on = 1;

	begin();
	ioctl(master, TIOCPKT, &on);
	tcflush(slave, TCIFLUSH);
	ok(events(master) == (POLLIN | POLLPRI | POLLOUT), "an event of priority");
	ok(tells(TIOCPKT_FLUSHREAD), "input was flushed");
	ok(events(master) == POLLOUT, "it is told once");
	tcflush(slave, TCOFLUSH);
	ok(tells(TIOCPKT_FLUSHWRITE), "output was flushed");
	tcflush(slave, TCIOFLUSH);
	ok(tells(TIOCPKT_FLUSHREAD | TIOCPKT_FLUSHWRITE), "both were");
	tcflow(slave, TCOOFF);
	ok(tells(TIOCPKT_STOP), "output was stopped");
	tcflow(slave, TCOON);
	ok(tells(TIOCPKT_START), "and started");
	tcflow(slave, TCOOFF);
	tcflow(slave, TCOON);
	ok(tells(TIOCPKT_START), "of stop and start the last is told");
	write(master, "\023", 1);
	ok(tells(TIOCPKT_STOP), "^S stops it, too");
	write(master, "\021", 1);
	ok(tells(TIOCPKT_START), "^Q starts it");
	set(0, IXON, 0, 0);
	ok(tells(TIOCPKT_NOSTOP), "the keys do not stop it any more");
	set(IXON, 0, 0, 0);
	ok(tells(TIOCPKT_DOSTOP), "and do again");
	write(master, "\003", 1);
	ok(tells(TIOCPKT_FLUSHREAD | TIOCPKT_FLUSHWRITE), "^C drops what was under way");
	ok(reads("\0^C", 3), "and is echoed");
	write(slave, "ab", 2);
	tcflow(slave, TCOOFF);
	ok(tells(TIOCPKT_STOP) && reads("\0ab", 3), "what happens comes before the data");
	end();
}

static void the_other_end_edits(void)
{
	int on = 1;
	char got[16];

	begin();
	ioctl(master, TIOCPKT, &on);
	set(0, 0, EXTPROC, 0);
	ok(tells(TIOCPKT_IOCTL), "with EXTPROC new settings are told");
	write(master, "a\177\003", 3);
	ok(read(slave, got, sizeof(got)) == 3 && memcmp(got, "a\177\003", 3) == 0,
	   "keys are read as they are");
	fails(read(master, got, sizeof(got)), EAGAIN, "and not echoed");
	write(master, "\004", 1);
	ok(read(slave, got, sizeof(got)) == 0, "^D alone ends the input");
	set(0, 0, 0, EXTPROC);
	ok(tells(TIOCPKT_IOCTL), "its end is told, too");
	end();
}

/* Runs `body` in a child that leads a session with the terminal. */
static bool in_session(void (*body)(void))
{
	pid_t child;
	int status;

	begin();
	child = fork();
	if (child == 0) {
		alarm(10);
		setsid();
		ioctl(slave, TIOCSCTTY, 0);
		signal(SIGHUP, SIG_IGN);
		body();
		_exit(STATUS_OK);
	}
	waitpid(child, &status, 0);
	end();
	if (!WIFEXITED(status))
		printf("# status %x\n", status);
	return WIFEXITED(status) && WEXITSTATUS(status) == STATUS_OK;
}

static void check(bool good, const char *what)
{
	if (good)
		return;
	printf("# %s: %s\n", what, strerror(errno));
	_exit(1);
}

static bool child_is_fine(pid_t child)
{
	int status;

	return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Field 7 of proc(5)'s stat. */
static int terminal_in_proc(void)
{
	FILE *file = fopen("/proc/self/stat", "r");
	int terminal = -1;

	if (file == NULL || fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %d", &terminal) != 1)
		terminal = -1;
	fclose(file);
	return terminal;
}

static void give_it_up_alone(void)
{
	pid_t child = fork(), grandchild;
	int fd;

	if (child == 0) {
		check(terminal_in_proc() > 0, "it has a terminal");
		check(ioctl(slave, TIOCNOTTY) == 0, "it gives it up");
		check(open("/dev/tty", O_RDWR) < 0 && errno == ENXIO, "and has none");
		check(terminal_in_proc() == 0, "/proc says so");
		check(tcgetpgrp(slave) < 0 && errno == ENOTTY, "it is not asked for its groups");
		check(ioctl(slave, TIOCNOTTY) < 0 && errno == ENOTTY, "nor given up twice");
		grandchild = fork();
		if (grandchild == 0)
			_exit(open("/dev/tty", O_RDWR) < 0 && errno == ENXIO ? 0 : 1);
		check(child_is_fine(grandchild), "nor have its children");
		_exit(0);
	}
	check(child_is_fine(child), "the child");
	fd = open("/dev/tty", O_RDWR);
	check(fd >= 0 && tcgetpgrp(fd) == getpgrp(), "the leader keeps it");
	close(fd);
}

static volatile sig_atomic_t got_hup;

static void on_hup(int signal)
{
	(void)signal;
	got_hup++;
}

static void it_is_taken_away(void)
{
	struct sigaction action = { .sa_handler = on_hup };
	char byte;

	sigaction(SIGHUP, &action, NULL);
	check(syscall(SYS_vhangup) == 0, "vhangup");
	check(got_hup == 1, "the leader is told");
	check(read(slave, &byte, 1) == 0, "its files are at their end");
	check(write(slave, "x", 1) < 0 && errno == EIO, "and take nothing");
	check(open("/dev/tty", O_RDWR) < 0 && errno == ENXIO, "it controls nobody any more");
	check(syscall(SYS_vhangup) == 0, "nothing to hang up is fine");
	check(setresuid(1, 1, 1) == 0 && syscall(SYS_vhangup) < 0 && errno == EPERM,
	      "others may not");
}

static void keys_are_pressed(void)
{
	char line[16];

	for (const char *key = "hi\n"; *key != '\0'; key++)
		check(ioctl(slave, TIOCSTI, key) == 0, "TIOCSTI");
	check(read(slave, line, sizeof(line)) == 3 && memcmp(line, "hi\n", 3) == 0, "a line");
	check(read(master, line, sizeof(line)) == 4 && memcmp(line, "hi\r\n", 4) == 0, "its echo");
	check(ioctl(slave, TIOCSTI, NULL) < 0 && errno == EFAULT, "a key is somewhere");
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	data_come_in_packets();
	what_happens_is_told();
	the_other_end_edits();
	ok(in_session(give_it_up_alone),
	   "TIOCNOTTY by who does not lead gives up the own terminal only");
	ok(in_session(it_is_taken_away), "vhangup takes the terminal away from its session");
	ok(in_session(keys_are_pressed), "TIOCSTI presses keys");
	return done();
}
