/*
 * The line discipline as programs see it: attributes, what is typed, what is shown, what is read. The
 * terminal is a pseudo-terminal, so that the test can be at both ends. The expectations are Linux's.
 */
#include "tap.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>

#define WAIT_MS  1000 /* for what must come; QUIET_MS for what must not */
#define QUIET_MS 20

static int master, slave;
static struct termios2 fresh;

static int set(const struct termios2 *termios)
{
	return ioctl(slave, TCSETSF2, termios);
}

static bool readable(int fd, int ms)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };

	return poll(&entry, 1, ms) == 1 && (entry.revents & POLLIN) != 0;
}

/* What can be read, once `length` bytes have come, or none of it has. */
static const char *get(int fd, size_t length)
{
	static char text[2][8192];
	char *out = text[fd == master];
	size_t done = 0;

	while (readable(fd, done < length ? WAIT_MS : QUIET_MS)) {
		ssize_t count = read(fd, out + done, sizeof(text[0]) - 1 - done);
		if (count <= 0)
			break;
		done += (size_t)count;
	}
	out[done] = '\0';
	return out;
}

static void type(const char *keys)
{
	if (write(master, keys, strlen(keys)) != (ssize_t)strlen(keys))
		printf("# the keys were not taken\n");
}

/* Control characters as a person can read them. */
static const char *shown(const char *text)
{
	static char out[2][512];
	static int turn;
	char *to = out[turn ^= 1];
	size_t at = 0;

	for (; *text != '\0' && at < sizeof(out[0]) - 5; text++) {
		if (*text >= ' ' && *text < 0x7f)
			to[at++] = *text;
		else
			at += (size_t)sprintf(to + at, "\\%03o", (unsigned char)*text);
	}
	to[at] = '\0';
	return to;
}

static void equal(const char *got, const char *wanted, const char *what)
{
	if (!ok(strcmp(got, wanted) == 0, "%s", what))
		printf("# got %s, not %s\n", got[0] ? shown(got) : "nothing",
		       wanted[0] ? shown(wanted) : "nothing");
}

/* --- a table: settings, keys, screen, line ----------------------------------------------------------- */

static const struct {
	const char *what;
	tcflag_t set, clear;   /* c_lflag */
	tcflag_t iset, iclear; /* c_iflag */
	tcflag_t oset, oclear; /* c_oflag */
	const char *keys, *screen, *line;
} cases[] = {
	{ "a line", 0, 0, 0, 0, 0, 0, "abc\r", "abc\r\n", "abc\n" },
	{ "without echo", 0, ECHO, 0, 0, 0, 0, "abc\r", "", "abc\n" },
	{ "but for the line's end", ECHONL, ECHO, 0, 0, 0, 0, "abc\r", "\r\n", "abc\n" },
	{ "a control character", 0, 0, 0, 0, 0, 0, "\001\r", "^A\r\n", "\001\n" },
	{ "as it is", 0, ECHOCTL, 0, 0, 0, 0, "\001\r", "\001\r\n", "\001\n" },
	{ "erasing", 0, 0, 0, 0, 0, 0, "ab\177c\r", "ab\b \bc\r\n", "ac\n" },
	{ "erasing a control character", 0, 0, 0, 0, 0, 0, "a\001\177c\r", "a^A\b \b\b \bc\r\n",
	  "ac\n" },
	{ "erasing a tab", 0, 0, 0, 0, 0, 0, "a\t\177c\r", "a\t\b\b\b\b\b\b\bc\r\n", "ac\n" },
	{ "erasing without ECHOE", 0, ECHOE, 0, 0, 0, 0, "ab\177c\r", "ab^?c\r\n", "ac\n" },
	{ "erasing on paper", ECHOPRT, 0, 0, 0, 0, 0, "abc\177\177d\r", "abc\\cb/d\r\n", "ad\n" },
	{ "erasing nothing", 0, 0, 0, 0, 0, 0, "\177\177a\r", "a\r\n", "a\n" },
	{ "erasing a word", 0, 0, 0, 0, 0, 0, "one two  \027x\r",
	  "one two  \b \b\b \b\b \b\b \b\b \bx\r\n", "one x\n" },
	{ "erasing the line", 0, 0, 0, 0, 0, 0, "abc\025d\r", "abc\b \b\b \b\b \bd\r\n", "d\n" },
	{ "with a new one", 0, ECHOKE, 0, 0, 0, 0, "abc\025d\r", "abc^U\r\nd\r\n", "d\n" },
	{ "without one", 0, ECHOK | ECHOKE, 0, 0, 0, 0, "abc\025d\r", "abc^Ud\r\n", "d\n" },
	{ "a character of two bytes", 0, 0, IUTF8, 0, 0, 0, "a\303\244\177b\r",
	  "a\303\244\b \bb\r\n", "ab\n" },
	{ "which are two without IUTF8", 0, 0, 0, IUTF8, 0, 0, "a\303\244\177b\r",
	  "a\303\244\b \bb\r\n", "a\303b\n" },
	{ "reprinting", 0, 0, 0, 0, 0, 0, "ab\022c\r", "ab^R\r\nabc\r\n", "abc\n" },
	{ "a literal key", 0, 0, 0, 0, 0, 0, "a\026\003b\r", "a^\b^Cb\r\n", "a\003b\n" },
	{ "which is none without IEXTEN", 0, IEXTEN | ISIG, 0, 0, 0, 0, "a\026\003b\r",
	  "a^V^Cb\r\n", "a\026\003b\n" },
	{ "an end of file within a line", 0, 0, 0, 0, 0, 0, "abc\004", "abc", "abc" },
	{ "a carriage return kept", 0, 0, 0, ICRNL, 0, 0, "ab\r\n", "ab^M\r\n", "ab\r\n" },
	{ "ignored", 0, 0, IGNCR, 0, 0, 0, "a\rb\n", "ab\r\n", "ab\n" },
	{ "a new line turned", 0, 0, INLCR, ICRNL, 0, 0, "a\nb\004", "a^Mb", "a\rb" },
	{ "seven bits", 0, 0, ISTRIP, IUTF8, 0, 0, "\341\342\r", "ab\r\n", "ab\n" },
	{ "lower case", 0, 0, IUCLC, 0, 0, 0, "ABc\r", "abc\r\n", "abc\n" },
	{ "upper case on the screen", 0, 0, 0, 0, OLCUC, 0, "abc\r", "ABC\r\n", "abc\n" },
	{ "a marked byte", 0, 0, PARMRK, IUTF8, 0, 0, "a\377b\r", "a\377b\r\n", "a\377\377b\n" },
	{ "tabs as blanks", 0, 0, 0, 0, XTABS, 0, "a\tb\r", "a       b\r\n", "a\tb\n" },
	{ "no carriage return", 0, 0, 0, 0, 0, ONLCR, "ab\r", "ab\n", "ab\n" },
	{ "no processing", 0, 0, 0, 0, 0, OPOST, "ab\r", "ab\n", "ab\n" },
	{ "raw", 0, ICANON, 0, ICRNL, 0, 0, "a\177\025\r", "a^?^U^M", "a\177\025\r" },
	{ "quite raw", 0, ICANON | ECHO | ISIG | IEXTEN, 0, ICRNL | IXON, 0, 0, "\003\021\026\004",
	  "", "\003\021\026\004" },
};

static void keys_screen_line(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct termios2 t = fresh;

		t.c_lflag = (t.c_lflag | cases[i].set) & ~cases[i].clear;
		t.c_iflag = (t.c_iflag | cases[i].iset) & ~cases[i].iclear;
		t.c_oflag = (t.c_oflag | cases[i].oset) & ~cases[i].oclear;
		set(&t);
		type(cases[i].keys);
		equal(get(slave, strlen(cases[i].line)), cases[i].line, cases[i].what);
		equal(get(master, strlen(cases[i].screen)), cases[i].screen, "its screen");
	}
	set(&fresh);
}

/* --- output ---------------------------------------------------------------------------------------------- */

static void what_is_written(tcflag_t output, const char *text, const char *screen, const char *what)
{
	struct termios2 t = fresh;

	t.c_oflag = output;
	set(&t);
	write(slave, text, strlen(text));
	equal(get(master, strlen(screen)), screen, what);
	set(&fresh);
}

static void output_is_processed(void)
{
	what_is_written(OPOST | ONLCR, "a\nb\r\n", "a\r\nb\r\r\n",
			"new lines become two characters");
	what_is_written(OPOST | OCRNL, "a\rb\n", "a\nb\n", "carriage returns become new lines");
	what_is_written(OPOST | ONOCR, "x\r\r\ra\r\rb\n", "x\ra\rb\n", "none in the first column");
	what_is_written(OPOST | XTABS, "\r1234567\tx\t\r", "\r1234567 x       \r",
			"tabs become blanks");
	what_is_written(0, "\ta\n", "\ta\n", "without OPOST nothing is changed");
}

/* --- canonical reads ---------------------------------------------------------------------------------------- */

static void reads_are_lines(void)
{
	char text[64];
	int count = -1;

	type("one\rtwo\rthr");
	get(master, 13);
	ok(ioctl(slave, FIONREAD, &count) == 0 && count == 8, "eight bytes can be read");
	ok(read(slave, text, sizeof(text)) == 4 && memcmp(text, "one\n", 4) == 0,
	   "one line a read");
	ok(read(slave, text, 2) == 2 && memcmp(text, "tw", 2) == 0, "or less");
	ok(read(slave, text, sizeof(text)) == 2 && memcmp(text, "o\n", 2) == 0,
	   "and then the rest");
	fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK);
	fails(read(slave, text, sizeof(text)), EAGAIN, "an unfinished line is nothing to read");
	type("ee\r\004");
	ok(readable(slave, WAIT_MS) && read(slave, text, sizeof(text)) == 6, "until it ends");
	ok(readable(slave, WAIT_MS) && read(slave, text, sizeof(text)) == 0, "an end of file");
	fails(read(slave, text, sizeof(text)), EAGAIN, "is read once");
	type("left over");
	get(master, 9);
	ioctl(slave, TCFLSH, TCIFLUSH);
	type("x\r");
	equal(get(slave, 2), "x\n", "TCFLSH forgets what was typed");
	get(master, 3);
	type("kept");
	get(master, 4);
	struct termios2 t = fresh;
	t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	ioctl(slave, TCSETS2, &t);
	equal(get(slave, 4), "kept", "leaving canonical mode gives out the unfinished line");
	set(&fresh);
	fcntl(slave, F_SETFL, O_RDWR);
}

/* --- VMIN and VTIME -------------------------------------------------------------------------------------------- */

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void be_raw(unsigned min, unsigned time)
{
	struct termios2 t = fresh;

	t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	t.c_cc[VMIN] = (cc_t)min;
	t.c_cc[VTIME] = (cc_t)time;
	set(&t);
}

static void reads_end_as_vmin_and_vtime_say(void)
{
	char text[64];
	long began;

	be_raw(0, 0);
	ok(read(slave, text, sizeof(text)) == 0, "0, 0: there is nothing");
	type("ab");
	ok(readable(slave, WAIT_MS) && read(slave, text, sizeof(text)) == 2, "or what there is");
	be_raw(3, 0);
	type("ab");
	ok(!readable(slave, QUIET_MS), "3, 0: two are not enough to be told");
	fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK);
	ok(read(slave, text, sizeof(text)) == 2, "but who does not wait gets them");
	fcntl(slave, F_SETFL, O_RDWR);
	type("abcd");
	ok(readable(slave, WAIT_MS) && read(slave, text, sizeof(text)) == 4, "four are");
	type("ab");
	ok(read(slave, text, 2) == 2, "a shorter read ends when it is full");
	be_raw(0, 1);
	began = now_ms();
	ok(read(slave, text, sizeof(text)) == 0 && now_ms() - began >= 90,
	   "0, 1: nothing, after a tenth of a second");
	type("a");
	ok(read(slave, text, sizeof(text)) == 1, "a byte at once");
	be_raw(3, 1);
	type("a");
	began = now_ms();
	ok(read(slave, text, sizeof(text)) == 1 && now_ms() - began >= 90,
	   "3, 1: what has come until a tenth of a second went by without more");
	type("abcd");
	ok(read(slave, text, sizeof(text)) == 4, "or enough");
	set(&fresh);
}

/* --- flow control ----------------------------------------------------------------------------------------------- */

static void output_stops_and_goes_on(void)
{
	struct termios2 t = fresh;
	struct pollfd entry = { .fd = slave, .events = POLLOUT };

	fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK);
	type("\023");
	for (int i = 0; i < WAIT_MS && poll(&entry, 1, 0) == 1; i++)
		poll(NULL, 0, 1);
	fails(write(slave, "x", 1), EAGAIN, "^S stops output");
	type("\021");
	ok(poll(&entry, 1, WAIT_MS) == 1 && write(slave, "x", 1) == 1, "^Q lets it go on");
	equal(get(master, 1), "x", "neither is shown");
	ok(ioctl(slave, TCXONC, TCOOFF) == 0, "a program stops it");
	fails(write(slave, "x", 1), EAGAIN, "so that it does not go");
	ok(ioctl(slave, TCXONC, TCOON) == 0 && write(slave, "y", 1) == 1, "and lets it go on");
	equal(get(master, 1), "y", "which is seen");
	ioctl(slave, TCXONC, TCIOFF);
	equal(get(master, 1), "\023", "or stops the other end");
	t.c_iflag |= IXANY;
	set(&t);
	type("\023");
	for (int i = 0; i < WAIT_MS && poll(&entry, 1, 0) == 1; i++)
		poll(NULL, 0, 1);
	type("a");
	ok(poll(&entry, 1, WAIT_MS) == 1 && write(slave, "z", 1) == 1, "IXANY: any key will do");
	get(master, 2);
	fails(ioctl(slave, TCXONC, 77), EINVAL, "no such action");
	fails(ioctl(slave, TCFLSH, 77), EINVAL, "nor such a queue");
	fcntl(slave, F_SETFL, O_RDWR);
	set(&fresh);
}

/* --- attributes --------------------------------------------------------------------------------------------------- */

static void attributes_are_kept(void)
{
	struct termios2 t = fresh, got;
	struct termios old;
	struct winsize size = { .ws_row = 33, .ws_col = 111 }, now = { 0 };
	int number = -1;

	ok((fresh.c_lflag & (ICANON | ECHO | ISIG | IEXTEN)) == (ICANON | ECHO | ISIG | IEXTEN),
	   "it is canonical, echoes and makes signals");
	ok((fresh.c_oflag & (OPOST | ONLCR)) == (OPOST | ONLCR) && (fresh.c_iflag & ICRNL),
	   "lines end as a person expects");
	ok(fresh.c_cc[VINTR] == 3 && fresh.c_cc[VEOF] == 4 && fresh.c_cc[VERASE] == 0x7f,
	   "^C, ^D and DEL");
	ok(fresh.c_ospeed == 38400 && fresh.c_ispeed == 38400, "38,400 baud, whatever that is");
	t.c_cflag = (t.c_cflag & ~(tcflag_t)CBAUD) | B9600;
	t.c_cc[VINTR] = 'x';
	ok(ioctl(slave, TCSETSW2, &t) == 0 && ioctl(slave, TCGETS2, &got) == 0 &&
		   got.c_ospeed == 9600 && got.c_cc[VINTR] == 'x',
	   "they are changed");
	ok(ioctl(slave, TCGETS, &old) == 0 && old.c_lflag == got.c_lflag &&
		   (old.c_cflag & CBAUD) == B9600,
	   "and read without speeds");
	t.c_cflag = (t.c_cflag & ~(tcflag_t)CBAUD) | BOTHER;
	t.c_ospeed = t.c_ispeed = 12345;
	ok(ioctl(slave, TCSETS2, &t) == 0 && ioctl(slave, TCGETS2, &got) == 0 &&
		   got.c_ospeed == 12345,
	   "with any speed");
	ok(ioctl(master, TCGETS2, &got) == 0 && got.c_cc[VINTR] == 'x',
	   "the other end sees the same");
	set(&fresh);
	ok(ioctl(slave, TIOCSWINSZ, &size) == 0 && ioctl(master, TIOCGWINSZ, &now) == 0 &&
		   now.ws_row == 33 && now.ws_col == 111,
	   "the window size is kept");
	ok(ioctl(slave, TIOCGETD, &number) == 0 && number == 0, "one line discipline");
	number = 99;
	fails(ioctl(slave, TIOCSETD, &number), EINVAL, "and no other");
	ok(ioctl(slave, TIOCEXCL) == 0 && ioctl(slave, TIOCGEXCL, &number) == 0 && number == 1 &&
		   ioctl(slave, TIOCNXCL) == 0 && ioctl(slave, TIOCGEXCL, &number) == 0 &&
		   number == 0,
	   "exclusive, and not");
	fails(ioctl(slave, TCSETS2, (void *)8), EFAULT, "attributes from nowhere");
	fails(ioctl(slave, 0x54ff, 0), ENOTTY, "an unknown request");
}

static void it_is_no_file(void)
{
	struct stat stat;
	int null = open("/dev/null", O_RDWR);

	ok(fstat(slave, &stat) == 0 && S_ISCHR(stat.st_mode), "it is a character device");
	fails(lseek(slave, 0, SEEK_SET), ESPIPE, "seeking it is ESPIPE");
	ok(isatty(slave) == 1 && isatty(master) == 1, "both ends are terminals");
	ok(isatty(null) == 0 && errno == ENOTTY, "/dev/null is none");
	ok(write(slave, "", 0) == 0, "nothing is written");
	close(null);
}

/* The console of the machine, as far as a test may touch it. */
static void the_console_is_one(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY);
	struct termios2 t, now;
	struct winsize size;

	if (!on_hawser()) {
		close(fd);
		return;
	}
	ok(isatty(fd) && ioctl(fd, TCGETS2, &t) == 0 && (t.c_cflag & CBAUD) == B115200,
	   "the console is a terminal");
	ok(ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0, "with a size");
	t.c_cc[VEOL] = 'q';
	ok(ioctl(fd, TCSETS2, &t) == 0 && ioctl(fd, TCGETS2, &now) == 0 && now.c_cc[VEOL] == 'q',
	   "and attributes");
	t.c_cc[VEOL] = 0;
	ioctl(fd, TCSETS2, &t);
	close(fd);
	fd = open("/dev/ttyS0", O_RDWR | O_NOCTTY);
	ok(ioctl(fd, TCGETS2, &now) == 0 && now.c_cc[VEOL] == 0, "so is its serial line");
	close(fd);
}

int main(int argc, char **argv)
{
	int unlocked = 0;
	char name[32];
	unsigned number;

	(void)argc;
	tap_begin(argv);
	master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	ioctl(master, TIOCSPTLCK, &unlocked);
	ioctl(master, TIOCGPTN, &number);
	sprintf(name, "/dev/pts/%u", number);
	slave = open(name, O_RDWR | O_NOCTTY);
	if (ok(slave >= 0 && ioctl(slave, TCGETS2, &fresh) == 0, "a terminal is opened")) {
		attributes_are_kept();
		keys_screen_line();
		output_is_processed();
		reads_are_lines();
		reads_end_as_vmin_and_vtime_say();
		output_stops_and_goes_on();
		it_is_no_file();
	}
	close(slave);
	close(master);
	the_console_is_one();
	return done();
}
