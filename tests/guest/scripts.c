/*
 * `#!` scripts, run from files that the program writes itself: what the interpreter is told, and how
 * deep it goes.
 */
#include "tap.h"

#include <fcntl.h>
#include <sys/stat.h>

#define SCRIPT "/tmp/hawser-script"

static bool write_script(const char *path, const char *first_line)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	ssize_t length = (ssize_t)strlen(first_line);
	bool good = fd >= 0 && write(fd, first_line, strlen(first_line)) == length &&
		    write(fd, "\nsome text\n", 11) == 11;

	close(fd);
	return good && chmod(path, 0755) == 0;
}

/* Stage 1: run by the script with one argument that has blanks in it. */
static int second(int argc, char **argv)
{
	char line[512], self[256] = { 0 }, path[64] = SCRIPT;
	char *arguments[] = { "ignored", "end", NULL };

	ok(argc == 4, "four arguments: %d", argc);
	ok(strcmp(argv[1], "stage  1") == 0, "the rest of the line is one argument");
	ok(strcmp(argv[2], SCRIPT) == 0, "the script's name follows");
	ok(strcmp(argv[3], "an argument") == 0, "and what it was given");

	/* Four scripts above a fifth that runs this program: as deep as it goes. */
	ok(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0, "/proc/self/exe");
	snprintf(line, sizeof(line), "#!%s stage2", self);
	ok(write_script(SCRIPT "1", line), "the innermost script");
	for (int depth = 2; depth <= 6; depth++) {
		snprintf(line, sizeof(line), "#!" SCRIPT "%d", depth - 1);
		snprintf(path, sizeof(path), SCRIPT "%d", depth);
		ok(write_script(path, line), "%s", path);
	}
	execv(SCRIPT "6", arguments);
	ok(errno == ELOOP, "six scripts deep is ELOOP");
	return tap_exec(SCRIPT "5", arguments);
}

static int third(int argc, char **argv)
{
	ok(argc == 8, "eight arguments: %d", argc);
	for (int i = 2; i < 7 && i < argc; i++) {
		char name[64];

		snprintf(name, sizeof(name), SCRIPT "%d", i - 1);
		ok(strcmp(argv[i], name) == 0, "argument %d is %s", i, argv[i]);
		unlink(name);
	}
	unlink(SCRIPT "6");
	unlink(SCRIPT);
	ok(argc > 7 && strcmp(argv[7], "end") == 0, "and the last one the caller's");
	return done();
}

int main(int argc, char **argv)
{
	char *arguments[] = { "replaced", "an argument", NULL }, line[512], self[256] = { 0 };

	tap_begin(argv);
	if (argc > 1 && strcmp(argv[1], "stage  1") == 0)
		return second(argc, argv);
	if (argc > 1 && strcmp(argv[1], "stage2") == 0)
		return third(argc, argv);

	ok(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0, "/proc/self/exe");
	ok(write_script(SCRIPT, "#!/no/such/interpreter"), "a script");
	fails(execv(SCRIPT, arguments), ENOENT, "a missing interpreter is ENOENT");
	ok(write_script(SCRIPT, "#!/tmp"), "a script");
	fails(execv(SCRIPT, arguments), EACCES, "a directory as interpreter is EACCES");
	ok(write_script(SCRIPT, "#!"), "a script");
	fails(execv(SCRIPT, arguments), ENOEXEC, "no interpreter is ENOEXEC");
	ok(write_script(SCRIPT, "no script"), "a text");
	fails(execv(SCRIPT, arguments), ENOEXEC, "a text is ENOEXEC");
	fails(execv("/tmp", arguments), EACCES, "a directory is EACCES");
	fails(execv(SCRIPT "/x", arguments), ENOTDIR, "below a file is ENOTDIR");
	fails(execv("/tmp/hawser-none", arguments), ENOENT, "a missing file is ENOENT");
	fails(execv("", arguments), ENOENT, "an empty name is ENOENT");

	snprintf(line, sizeof(line), "#! %s \t stage  1 \t", self);
	ok(write_script(SCRIPT, line), "a script that runs this program");
	return tap_exec(SCRIPT, arguments);
}
