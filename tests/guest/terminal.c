/*
 * The terminal as a shell uses it: attributes, size, canonical mode and back. On Linux a
 * pseudo-terminal stands in for the console.
 */
#include "tap.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

static int open_terminal(void)
{
	int master;

	if (on_hawser())
		return open("/dev/console", O_RDWR);
	master = posix_openpt(O_RDWR | O_NOCTTY);
	if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0)
		return -1;
	return open(ptsname(master), O_RDWR | O_NOCTTY);
}

static void attributes_are_kept(int fd)
{
	struct termios before, raw, now;

	ok(isatty(fd) == 1, "it is a terminal");
	ok(tcgetattr(fd, &before) == 0, "its attributes are read");
	ok((before.c_lflag & (ICANON | ECHO | ISIG)) == (ICANON | ECHO | ISIG),
	   "it is canonical, echoes and makes signals");
	ok((before.c_oflag & (OPOST | ONLCR)) == (OPOST | ONLCR) && (before.c_iflag & ICRNL),
	   "lines end as a person expects");
	ok(before.c_cc[VINTR] == 3 && before.c_cc[VEOF] == 4 && before.c_cc[VERASE] == 0x7f,
	   "^C, ^D and DEL");
	raw = before;
	raw.c_lflag &= ~(unsigned)(ICANON | ECHO);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	ok(tcsetattr(fd, TCSANOW, &raw) == 0 && tcgetattr(fd, &now) == 0 &&
		   now.c_lflag == raw.c_lflag && now.c_cc[VMIN] == 0,
	   "they are changed");
	ok(tcsetattr(fd, TCSADRAIN, &before) == 0 && tcgetattr(fd, &now) == 0 &&
		   now.c_lflag == before.c_lflag,
	   "and back");
}

static void sizes_are_kept(int fd)
{
	struct winsize size = { .ws_row = 33, .ws_col = 111 }, got = { 0 };

	ok(ioctl(fd, TIOCSWINSZ, &size) == 0 && ioctl(fd, TIOCGWINSZ, &got) == 0 &&
		   got.ws_row == 33 && got.ws_col == 111,
	   "the window size is kept");
}

static void it_is_no_file(int fd)
{
	struct stat stat;
	int null = open("/dev/null", O_RDWR);

	ok(fstat(fd, &stat) == 0 && S_ISCHR(stat.st_mode), "it is a character device");
	fails(lseek(fd, 0, SEEK_SET), ESPIPE, "seeking it is ESPIPE");
	ok(isatty(null) == 0 && errno == ENOTTY, "/dev/null is no terminal");
	ok(write(fd, "", 0) == 0, "nothing is written");
	close(null);
}

int main(int argc, char **argv)
{
	int fd;

	(void)argc;
	tap_begin(argv);
	fd = open_terminal();
	if (ok(fd >= 0, "a terminal is opened")) {
		attributes_are_kept(fd);
		sizes_are_kept(fd);
		it_is_no_file(fd);
	}
	close(fd);
	return done();
}
