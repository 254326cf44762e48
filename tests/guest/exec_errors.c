/*
 * Every file of a directory that tests/system/malformed_elf.py has filled is refused by execve(2)
 * with the errno that its list names, and the caller lives: on Hawser with not a frame lost. On
 * Linux a child tries each one, since Linux kills the caller for some mistakes; the list says which.
 *
 *	exec_errors [DIRECTORY]		"malformed", beside the program
 */
#include "tap.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

extern char **environ;

/* What became of an attempt: an errno, or one of these. */
enum { DIES = -1, RUNS = -2 };

static int number_of(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} names[] = {
		{ "ENOEXEC", ENOEXEC }, { "ENOENT", ENOENT },   { "EACCES", EACCES },
		{ "ELOOP", ELOOP },     { "EINVAL", EINVAL },   { "EIO", EIO },
		{ "ENOMEM", ENOMEM },   { "ELIBBAD", ELIBBAD }, { "dies", DIES },
		{ "runs", RUNS },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i].name, name) == 0)
			return names[i].number;
	}
	printf("Bail out! the list has an unknown word: %s\n", name);
	exit(1);
}

static int try_here(const char *path)
{
	char *arguments[] = { (char *)path, NULL };

	execve(path, arguments, environ);
	return errno;
}

/* In a child, which tells its errno through a pipe that a successful exec closes. */
static int try_in_child(const char *path)
{
	int ends[2], error = 0, status;
	pid_t child;
	bool told;

	if (pipe2(ends, O_CLOEXEC) != 0 || (child = fork()) < 0)
		return errno;
	if (child == 0) {
		error = try_here(path);
		if (write(ends[1], &error, sizeof(error)) != sizeof(error))
			_exit(99);
		_exit(98);
	}
	close(ends[1]);
	told = read(ends[0], &error, sizeof(error)) == sizeof(error);
	close(ends[0]);
	waitpid(child, &status, 0);
	if (told)
		return error;
	/* A program that crashes has run; one that the loader killed has not. */
	return WIFSIGNALED(status) ? DIES : RUNS;
}

static void try_one(const char *directory, const char *name, const char *expected,
		    const char *on_linux)
{
	char path[512];
	int got, want;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (on_hawser()) {
		got = try_here(path);
		want = number_of(expected);
	} else {
		got = try_in_child(path);
		want = number_of(strcmp(on_linux, "same") == 0 ? expected : on_linux);
		if (want == RUNS && got == DIES)
			got = RUNS;
	}
	if (!ok(got == want, "%s: %s", name, expected))
		printf("# got %d (%s), not %d\n", got, got > 0 ? strerror(got) : "no errno", want);
}

static int try_all(const char *directory)
{
	char path[512], name[128], expected[32], on_linux[32];
	int count = 0;
	FILE *list;

	snprintf(path, sizeof(path), "%s/list", directory);
	list = fopen(path, "r");
	if (!ok(list != NULL, "%s can be read", path))
		return 0;
	while (fscanf(list, "%127s %31s %31s", name, expected, on_linux) == 3) {
		try_one(directory, name, expected, on_linux);
		count++;
	}
	fclose(list);
	return count;
}

int main(int argc, char **argv)
{
	char beside[512], *slash = strrchr(argv[0], '/');
	const char *directory = argc > 1 ? argv[1] : beside;
	long before, after;
	int count, fd;

	tap_begin(argv);
	snprintf(beside, sizeof(beside), "%.*smalformed", slash ? (int)(slash + 1 - argv[0]) : 0,
		 argv[0]);
	fd = open(argv[0], O_RDONLY | O_CLOEXEC);
	/* Once to have seen every name; then nothing new may stay. */
	count = try_all(directory);
	ok(count >= 40, "%d files were tried", count);
	ok(fcntl(fd, F_GETFD) == FD_CLOEXEC, "what an exec would close, one that fails does not");
	close(fd);
	if (on_hawser()) {
		before = tap_proc_number("/proc/census", "nr_free_frames");
		try_all(directory);
		after = tap_proc_number("/proc/census", "nr_free_frames");
		ok(before > 0 && before == after, "no frame is lost: %ld free before, %ld after",
		   before, after);
	}
	return done();
}
