/*
 * The log as programs see it: /dev/kmsg, a record at a time, waited for, polled, sought in, overrun; and syslog(2).
 * Others may log at the same time, so what is looked for are lines of ours.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/klog.h>
#include <sys/wait.h>
#include <time.h>

#define WAIT_MS 3000
#define RECORD  8192

enum {
	READ = 2,
	READ_ALL,
	READ_CLEAR,
	CLEAR,
	CONSOLE_OFF,
	CONSOLE_ON,
	CONSOLE_LEVEL,
	SIZE_UNREAD,
	SIZE_BUFFER
};

static char record[RECORD], buffer[1 << 18];
static char mark[64]; /* in lines of this run only */

static void say(const char *prefix, const char *text)
{
	char line[512];
	int fd = open("/dev/kmsg", O_WRONLY);

	snprintf(line, sizeof(line), "%s%s %s\n", prefix, mark, text);
	if (write(fd, line, strlen(line)) != (ssize_t)strlen(line))
		ok(false, "a line is written");
	close(fd);
}

/* The next record of ours; NULL: an error, or there is none. */
static const char *next(int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };

	while (poll(&entry, 1, WAIT_MS) == 1) {
		ssize_t size = read(fd, record, sizeof(record) - 1);

		if (size < 0 && errno == EPIPE)
			continue;
		if (size < 0)
			return NULL;
		record[size] = '\0';
		if (strstr(record, mark) != NULL)
			return record;
	}
	return NULL;
}

static bool is_next(int fd, const char *text)
{
	const char *line = next(fd);

	if (line != NULL && strstr(line, text) != NULL)
		return true;
	printf("# %s\n", line != NULL ? line : "nothing");
	return false;
}

static int unread(int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };

	return poll(&entry, 1, 0) == 1 ? entry.revents : 0;
}

static void records(int fd)
{
	unsigned priority = 0;
	unsigned long long first = 0, second = 0;

	say("<3>", "first");
	say("", "second");
	say("<30>", "third");
	ok(is_next(fd, "first") && sscanf(record, "%u,%llu,", &priority, &first) == 2 &&
		   priority == 11,
	   "a line has the priority that it was given, and is a user's (%u)", priority);
	ok(strchr(record, ';') != NULL && strncmp(strchr(record, ';') + 1, mark, strlen(mark)) == 0,
	   "its text is as written");
	ok(is_next(fd, "second") && sscanf(record, "%u,%llu,", &priority, &second) == 2 &&
		   priority == 12 && second > first,
	   "or that of a warning (%u)", priority);
	ok(is_next(fd, "third") && sscanf(record, "%u,", &priority) == 1 && priority == 30,
	   "or another facility's (%u)", priority);
	say("<6>", "a\tb\\c\001");
	ok(is_next(fd, "a\\x09b\\x5cc\\x01\n"), "bytes that are no text are numbers");
	static char many[1100];
	memset(many, 'x', sizeof(many));
	int out = open("/dev/kmsg", O_WRONLY);
	fails(write(out, many, sizeof(many)), EINVAL, "what is far too long is refused");
	close(out);
}

static void waiting(int fd)
{
	pid_t child;

	fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
	while (read(fd, record, sizeof(record)) > 0 || errno == EPIPE)
		;
	ok(errno == EAGAIN, "at the end there is nothing");
	fcntl(fd, F_SETFL, O_RDWR);
	child = fork();
	if (child == 0) {
		alarm(10);
		usleep(50000);
		say("<6>", "late");
		_exit(0);
	}
	ok(is_next(fd, "late"), "it is waited for, by poll(2)");
	waitpid(child, NULL, 0);
	child = fork();
	if (child == 0) {
		alarm(10);
		usleep(50000);
		say("<6>", "later");
		_exit(0);
	}
	ssize_t size;
	do {
		size = read(fd, record, sizeof(record) - 1);
		record[size > 0 ? size : 0] = '\0';
	} while (size > 0 && strstr(record, "later") == NULL);
	ok(size > 0, "and by read(2)");
	waitpid(child, NULL, 0);
	say("<6>", "small");
	ok((unread(fd) & POLLIN) != 0, "poll(2) sees it");
	fails(read(fd, record, 4), EINVAL, "a record is read as a whole");
	say("<6>", "next");
	ok(is_next(fd, "next"), "or passed over");
}

/* Who waits for a record keeps nobody from asking about the file that it waits at. */
static void asked_about(int fd)
{
	char path[64], text[256] = "";
	pid_t child = fork();

	if (child == 0) {
		lseek(fd, 0, SEEK_END);
		while (read(fd, record, sizeof(record)) > 0 || errno == EPIPE)
			;
		_exit(0);
	}
	usleep(20000);
	alarm(10);
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", child, fd);
	int info = open(path, O_RDONLY);
	ok(read(info, text, sizeof(text) - 1) > 0 && strstr(text, "pos:") != NULL,
	   "who waits can be asked about");
	close(info);
	ok(lseek(fd, 0, SEEK_END) == 0, "and the place be moved");
	alarm(0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void seeking(int fd)
{
	fails(lseek(fd, 1, SEEK_SET), ESPIPE, "not to some place");
	fails(lseek(fd, 0, SEEK_CUR), EINVAL, "nor from here");
	say("<6>", "skipped");
	ok(lseek(fd, 0, SEEK_END) == 0, "to the end");
	say("<6>", "behind");
	ok(is_next(fd, "behind"), "is behind all that there was");
	ok(lseek(fd, 0, SEEK_SET) == 0 && is_next(fd, "first"), "to the beginning");
	say("<6>", "before clearing");
	ok(klogctl(CLEAR, NULL, 0) == 0, "what there is now is called old");
	say("<6>", "after clearing");
	ok(lseek(fd, 0, SEEK_DATA) == 0 && is_next(fd, "after clearing"),
	   "SEEK_DATA passes it over");
}

static void all_at_once(void)
{
	int size;

	ok(klogctl(SIZE_BUFFER, NULL, 0) >= 4096, "the log has a size");
	size = klogctl(READ_ALL, buffer, sizeof(buffer) - 1);
	buffer[size > 0 ? size : 0] = '\0';
	ok(size > 0 && strstr(buffer, "after clearing\n") != NULL &&
		   strstr(buffer, "before clearing") == NULL,
	   "all is read that is not old");
	char *line = strstr(buffer, mark);
	while (line != NULL && line > buffer && line[-1] != '\n')
		line--;
	ok(line != NULL && strncmp(line, "<14>[", 5) == 0, "as lines with priority and time");
	say("<6>", "last");
	size = klogctl(READ_ALL, buffer, 24);
	ok(size >= 0 && size <= 24, "or as much of the end as there is room for (%d)", size);
	size = klogctl(READ_CLEAR, buffer, sizeof(buffer) - 1);
	buffer[size > 0 ? size : 0] = '\0';
	ok(size > 0 && strstr(buffer, "last\n") != NULL, "and called old at once");
	size = klogctl(READ_ALL, buffer, sizeof(buffer) - 1);
	buffer[size > 0 ? size : 0] = '\0';
	ok(size >= 0 && strstr(buffer, mark) == NULL, "then it is");
	fails(klogctl(READ_ALL, NULL, 10), EINVAL, "somewhere, please");
	fails(klogctl(READ_ALL, buffer, -1), EINVAL, "and of some size");
	fails(klogctl(CONSOLE_LEVEL, NULL, 9), EINVAL, "levels are one to eight");
	fails(klogctl(77, NULL, 0), EINVAL, "what else there is is not known");
}

static void one_after_the_other(void)
{
	int size, before;
	pid_t child;

	while ((before = klogctl(SIZE_UNREAD, NULL, 0)) > 0)
		klogctl(READ, buffer, sizeof(buffer));
	ok(before == 0, "all has been read");
	say("<6>", "unread");
	size = klogctl(SIZE_UNREAD, NULL, 0);
	ok(size > (int)strlen(mark), "something has not (%d bytes)", size);
	ok(klogctl(READ, buffer, 5) == 5 && memcmp(buffer, "<14>[", 5) == 0, "it is read in part");
	ok(klogctl(SIZE_UNREAD, NULL, 0) == size - 5, "and is fewer");
	size = klogctl(READ, buffer, sizeof(buffer) - 1);
	buffer[size > 0 ? size : 0] = '\0';
	ok(strstr(buffer, "unread\n") != NULL && buffer[0] != '<', "and the rest");
	child = fork();
	if (child == 0) {
		alarm(10);
		usleep(50000);
		say("<6>", "waited for");
		_exit(0);
	}
	size = klogctl(READ, buffer, sizeof(buffer) - 1);
	buffer[size > 0 ? size : 0] = '\0';
	ok(size > 0 && strstr(buffer, "waited for\n") != NULL, "what is to come is waited for");
	waitpid(child, NULL, 0);
}

static void overrun(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	int events;
	bool lost = false;

	lseek(fd, 0, SEEK_SET);
	read(fd, record, sizeof(record));
	/* The ring's size is that in bytes; a record has its header, too. */
	for (int i = 0; i < 3000; i++)
		say("<7>", "one of very many that take the place of what was there, so that it "
			   "cannot be read");
	events = unread(fd);
	ok((events & (POLLIN | POLLERR)) == (POLLIN | POLLERR), "poll(2) tells of an overrun (%x)",
	   events);
	lost = read(fd, record, sizeof(record)) == -1 && errno == EPIPE;
	ok(lost, "read(2) does, once");
	ok(read(fd, record, sizeof(record)) > 0, "and goes on with what there is");
	close(fd);
}

static void others(void)
{
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		if (setuid(1000) != 0)
			_exit(2);
		_exit(klogctl(CLEAR, NULL, 0) == -1 && errno == EPERM &&
				      klogctl(READ, buffer, 10) == -1 && errno == EPERM
			      ? 0
			      : 1);
	}
	waitpid(child, &status, 0);
	ok(status == 0, "only root takes from the log");
}

/* Linux takes ten lines in five seconds, if nothing else is said. */
static void limit(bool on)
{
	int fd = open("/proc/sys/kernel/printk_devkmsg", O_WRONLY);
	const char *text = on ? "ratelimit\n" : "on\n";

	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		printf("# lines may be left out\n");
	close(fd);
}

int main(int argc, char **argv)
{
	int fd;

	(void)argc;
	tap_begin(argv);
	signal(SIGPIPE, SIG_IGN);
	snprintf(mark, sizeof(mark), "kmsg-test-%d-%ld", getpid(), (long)time(NULL));
	fd = open("/dev/kmsg", O_RDWR);
	if (!ok(fd >= 0, "the log is open"))
		return done();
	lseek(fd, 0, SEEK_END);
	klogctl(CONSOLE_OFF, NULL, 0); /* not all of this on the screen */
	limit(false);
	records(fd);
	waiting(fd);
	asked_about(fd);
	seeking(fd);
	all_at_once();
	one_after_the_other();
	others();
	overrun();
	close(fd);
	limit(true);
	klogctl(CONSOLE_ON, NULL, 0);
	return done();
}
