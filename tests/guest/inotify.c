/*
 * inotify: what is told of files and directories, to whom, and when it ends.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char dir[64], path[128], other[128];
static int in;
static _Alignas(struct inotify_event) char buffer[8192];

/* The events that wait, as a line: "1:create a, 1:open a". */
static const char *events(void)
{
	static char line[2048];
	static const struct {
		uint32_t mask;
		const char *name;
	} names[] = {
		{ IN_MODIFY, "modify" },       { IN_ATTRIB, "attrib" },
		{ IN_CLOSE_WRITE, "written" }, { IN_CLOSE_NOWRITE, "close" },
		{ IN_OPEN, "open" },           { IN_MOVED_FROM, "from" },
		{ IN_MOVED_TO, "to" },         { IN_CREATE, "create" },
		{ IN_DELETE, "delete" },       { IN_DELETE_SELF, "gone" },
		{ IN_MOVE_SELF, "moved" },     { IN_IGNORED, "ignored" },
		{ IN_Q_OVERFLOW, "overflow" },
	};
	ssize_t length = read(in, buffer, sizeof(buffer));
	size_t at = 0;

	line[0] = '\0';
	for (char *p = buffer; p < buffer + (length > 0 ? length : 0);) {
		struct inotify_event *event = (struct inotify_event *)p;

		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			if (event->mask & names[i].mask)
				at += (size_t)snprintf(
					line + at, sizeof(line) - at, "%s%d:%s%s%s%s",
					at ? ", " : "", event->wd, names[i].name,
					event->mask & IN_ISDIR ? "/" : "", event->len ? " " : "",
					event->len ? event->name : "");
		}
		p += sizeof(*event) + event->len;
	}
	return line;
}

static void told(const char *expected, const char *name)
{
	const char *got = events();

	if (!ok(strcmp(got, expected) == 0, "%s", name))
		printf("# told: %s\n# not: %s\n", got, expected);
}

static void touch(const char *name)
{
	close(open(name, O_WRONLY | O_CREAT, 0600));
}

static void arguments(void)
{
	int fd = open("/tmp", O_RDONLY), instance;

	fails(inotify_init1(1), EINVAL, "unknown flags");
	instance = inotify_init1(IN_CLOEXEC);
	ok(instance >= 0 && fcntl(instance, F_GETFD) == FD_CLOEXEC, "an instance");
	fails(inotify_add_watch(instance, "/no such file", IN_CREATE), ENOENT, "no such file");
	fails(inotify_add_watch(instance, (char *)8, IN_CREATE), EFAULT, "a bad address");
	fails(inotify_add_watch(instance, "/tmp", 0), EINVAL, "nothing to be told");
	fails(inotify_add_watch(fd, "/tmp", IN_CREATE), EINVAL, "no instance");
	fails(inotify_add_watch(99, "/tmp", IN_CREATE), EBADF, "no file at all");
	fails(inotify_add_watch(instance, path, IN_OPEN | IN_ONLYDIR), ENOTDIR, "IN_ONLYDIR");
	fails(inotify_rm_watch(instance, 5), EINVAL, "no such watch");
	ok(inotify_add_watch(instance, dir, IN_CREATE) == 1 &&
		   inotify_add_watch(instance, dir, IN_DELETE) == 1,
	   "one watch for each file");
	fails(inotify_add_watch(instance, dir, IN_OPEN | IN_MASK_CREATE), EEXIST, "IN_MASK_CREATE");
	close(fd);
	close(instance);
}

static void names(void)
{
	ok(inotify_add_watch(in, dir,
			     IN_CREATE | IN_DELETE | IN_MOVE | IN_OPEN | IN_CLOSE | IN_MODIFY |
				     IN_ATTRIB) == 1,
	   "a directory");
	told("", "nothing has happened");
	touch(path);
	told("1:create a, 1:open a, 1:written a", "a file is made");
	close(open(path, O_RDONLY));
	told("1:open a, 1:close a", "and read");
	int fd = open(path, O_WRONLY);
	write(fd, "x", 1);
	write(fd, "y", 1);
	close(fd);
	told("1:open a, 1:modify a, 1:written a", "and written: two writes are one event");
	chmod(path, 0644);
	told("1:attrib a", "its mode changes");
	rename(path, other);
	told("1:from a, 1:to b", "its name");
	const struct inotify_event *first = (const struct inotify_event *)buffer;
	const struct inotify_event *second =
		(const struct inotify_event *)(buffer + sizeof(*first) + first->len);
	ok(first->cookie != 0 && first->cookie == second->cookie, "both with one cookie");
	unlink(other);
	told("1:delete b", "it is removed");
	mkdir(path, 0700);
	rmdir(path);
	told("1:create/ a, 1:delete/ a", "a directory comes and goes");
	symlink("x", path);
	unlink(path);
	told("1:create a, 1:delete a", "so does a link");
	mkfifo(path, 0600);
	unlink(path);
	told("1:create a, 1:delete a", "and a FIFO");
}

static void files(void)
{
	int waiting = 0;

	touch(path);
	inotify_rm_watch(in, 1);
	events();
	ok(inotify_add_watch(in, path, IN_ALL_EVENTS) == 2, "a file");
	touch(path);
	told("2:open, 2:written", "is told without its name");
	rename(path, other);
	told("2:moved", "it moves");
	ok(ioctl(in, FIONREAD, &waiting) == 0 && waiting == 0, "nothing waits");
	unlink(other);
	told("2:attrib, 2:gone, 2:ignored", "it is removed, and the watch ends");
	fails(inotify_rm_watch(in, 2), EINVAL, "there is no watch any more");

	touch(path);
	ok(inotify_add_watch(in, path, IN_OPEN | IN_ONESHOT) == 3, "one shot");
	touch(path);
	told("3:open, 3:ignored", "once");
	touch(path);
	told("", "and no more");
	ok(inotify_add_watch(in, path, IN_OPEN) == 4 &&
		   inotify_add_watch(in, path, IN_CLOSE | IN_MASK_ADD) == 4,
	   "IN_MASK_ADD");
	touch(path);
	told("4:open, 4:written", "has both");
	ok(inotify_rm_watch(in, 4) == 0, "removed");
	told("4:ignored", "is told, too");
}

static void waiting(void)
{
	struct pollfd entry = { .fd = in, .events = POLLIN };
	int status = -1;
	pid_t child;

	inotify_add_watch(in, dir, IN_CREATE);
	ok(poll(&entry, 1, 0) == 0, "poll: nothing");
	child = fork();
	if (child == 0) {
		usleep(3000);
		touch(other);
		_exit(0);
	}
	ok(poll(&entry, 1, 5000) == 1 && entry.revents == POLLIN, "another process is seen");
	waitpid(child, &status, 0);
	fails(read(in, buffer, 10), EINVAL, "no room for an event");
	told("5:create b", "which is not lost");
	fcntl(in, F_SETFL, 0);
	child = fork();
	if (child == 0) {
		read(in, buffer, sizeof(buffer));
		_exit(1);
	}
	usleep(3000);
	kill(child, SIGKILL);
	ok(waitpid(child, &status, 0) == child && WIFSIGNALED(status), "who waits can be killed");
	fcntl(in, F_SETFL, O_NONBLOCK);
	unlink(other);
}

/* More than is kept; and instances that are closed with all they have. */
static void many(void)
{
	long before = 0, after = 0;
	int last = 0;
	ssize_t length;

	for (int i = 0; i < 17000; i++) {
		snprintf(other, sizeof(other), "%s/%d", dir, i % 2);
		if (i % 2 == 0)
			symlink("x", other);
		else
			unlink(path);
		if (i % 2)
			symlink("x", path);
		else
			unlink(other);
	}
	while ((length = read(in, buffer, sizeof(buffer))) > 0) {
		for (char *p = buffer; p < buffer + length;) {
			struct inotify_event *event = (struct inotify_event *)p;
			last = event->mask;
			p += sizeof(*event) + event->len;
		}
	}
	ok(last == IN_Q_OVERFLOW, "too many events are an overflow");
	unlink(path);
	for (int round = 0; round < 3; round++) {
		before = after;
		for (int i = 0; i < 20; i++) {
			int instance = inotify_init1(0);

			inotify_add_watch(instance, dir, IN_ALL_EVENTS);
			touch(path);
			inotify_add_watch(instance, path, IN_ALL_EVENTS);
			unlink(path);
			close(instance);
		}
		after = tap_proc_number("/proc/census", "nr_free_frames");
	}
	ok(before == after, "nothing is left (%ld, %ld)", before, after);
}

static long limit_of(const char *name)
{
	char file[96];
	long limit = -1;

	snprintf(file, sizeof(file), "/proc/sys/fs/%s", name);
	FILE *stream = fopen(file, "r");
	if (stream == NULL || fscanf(stream, "%ld", &limit) != 1)
		limit = -1;
	if (stream != NULL)
		fclose(stream);
	return limit;
}

/* At least on this machine there are not so many in use yet. */
static void limits(void)
{
	long most = limit_of("inotify/max_user_instances"), count = 0;
	int instances[512], first = inotify_init1(0);

	ok(most > 0 && limit_of("inotify/max_user_watches") > 0 &&
		   limit_of("inotify/max_queued_events") > 0 && limit_of("pipe-max-size") >= 65536,
	   "/proc/sys/fs tells of limits");
	while (count < 512 && count <= most && (instances[count] = inotify_init1(0)) >= 0)
		count++;
	ok(most > 512 || (count < most && errno == EMFILE), "instances: %ld of %ld", count, most);
	while (count > 0)
		close(instances[--count]);
	close(first);
}

/* A file that is open is there, whether or not it has a name. */
static void removed_while_open(void)
{
	struct inotify_event event[2] = { 0 };
	int in = inotify_init1(IN_NONBLOCK), fd, watch;

	fd = open("/tmp/hawser-open", O_CREAT | O_RDWR, 0600);
	watch = inotify_add_watch(in, "/tmp/hawser-open", IN_DELETE_SELF | IN_ATTRIB);
	unlink("/tmp/hawser-open");
	ok(read(in, event, sizeof(event)) == sizeof(event[0]) && event[0].mask == IN_ATTRIB &&
		   event[0].wd == watch,
	   "a file that is open loses its name");
	fails(read(in, event, sizeof(event)), EAGAIN, "and is there");
	close(fd);
	ok(read(in, event, sizeof(event)) == 2 * sizeof(event[0]) &&
		   event[0].mask == IN_DELETE_SELF && event[1].mask == IN_IGNORED,
	   "until it is closed");
	close(in);
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	snprintf(dir, sizeof(dir), "/tmp/inotify.%d", getpid());
	snprintf(path, sizeof(path), "%s/a", dir);
	snprintf(other, sizeof(other), "%s/b", dir);
	mkdir(dir, 0700);
	touch(path);
	arguments();
	unlink(path);
	in = inotify_init1(IN_NONBLOCK);
	names();
	files();
	waiting();
	many();
	removed_while_open();
	limits();
	rmdir(dir);
	told("5:create a, 5:ignored", "the directory goes, and its watch");
	close(in);
	return done();
}
