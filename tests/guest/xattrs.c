/*
 * Extended attributes, xattr(7), of files on a tmpfs: trusted.* and security.*, and whose they are.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#define BASE "/dev/shm/hawser-xattrs"

static char value[128];

static bool is(const char *path, const char *name, const char *text)
{
	ssize_t size = getxattr(path, name, value, sizeof(value));

	return size == (ssize_t)strlen(text) && memcmp(value, text, (size_t)size) == 0;
}

static void they_are_kept(int fd)
{
	fails(getxattr(BASE, "trusted.a", value, sizeof(value)), ENODATA, "a file has none");
	ok(listxattr(BASE, value, sizeof(value)) == 0, "and lists none");
	ok(setxattr(BASE, "trusted.a", "one", 3, 0) == 0 && is(BASE, "trusted.a", "one"),
	   "one is set");
	ok(fgetxattr(fd, "trusted.a", NULL, 0) == 3, "its size is told");
	fails(getxattr(BASE, "trusted.a", value, 2), ERANGE, "it is read as a whole");
	fails(setxattr(BASE, "trusted.a", "x", 1, XATTR_CREATE), EEXIST, "not made twice");
	fails(setxattr(BASE, "trusted.b", "x", 1, XATTR_REPLACE), ENODATA,
	      "nor replaced where there is none");
	ok(fsetxattr(fd, "trusted.a", "longer", 6, XATTR_REPLACE) == 0 &&
		   is(BASE, "trusted.a", "longer"),
	   "it is replaced");
	ok(setxattr(BASE, "trusted.empty", "", 0, 0) == 0 &&
		   getxattr(BASE, "trusted.empty", value, sizeof(value)) == 0,
	   "another has nothing in it");
	ok(setxattr(BASE, "security.hawser", "label", 5, 0) == 0 &&
		   is(BASE, "security.hawser", "label"),
	   "a label is set");
	ssize_t size = listxattr(BASE, value, sizeof(value));
	ok(size == 10 + 14 + 16 && memmem(value, (size_t)size, "trusted.a", 10) != NULL &&
		   memmem(value, (size_t)size, "security.hawser", 16) != NULL,
	   "all are listed (%zd)", size);
	fails(listxattr(BASE, value, 5), ERANGE, "if there is room");
	ok(listxattr(BASE, NULL, 0) == size, "how much is told");
	ok(removexattr(BASE, "trusted.empty") == 0, "one is removed");
	fails(removexattr(BASE, "trusted.empty"), ENODATA, "once");
}

static void bad_arguments(int fd)
{
	static char large[65537];

	fails(setxattr(BASE, "trusted.a", "x", 1, 4), EINVAL, "unknown flags");
	fails(setxattr(BASE, "trusted.a", large, sizeof(large), 0), E2BIG, "too large");
	fails(setxattr(BASE, "", "x", 1, 0), ERANGE, "without a name");
	memset(large, 'x', 300);
	large[300] = '\0';
	fails(getxattr(BASE, large, value, sizeof(value)), ERANGE, "of too long a name");
	fails(setxattr(BASE, "unknown.a", "x", 1, 0), EOPNOTSUPP, "of no known kind");
	fails(setxattr(BASE "/none", "trusted.a", "x", 1, 0), ENOTDIR, "of nothing");
	fails(fgetxattr(-1, "trusted.a", value, 1), EBADF, "of no file");
	fails(setxattr(BASE, "trusted.a", NULL, 5, 0), EFAULT, "from nowhere");
	(void)fd;
}

static void links_have_their_own(void)
{
	symlink(BASE, BASE "-link");
	ok(lsetxattr(BASE "-link", "trusted.link", "l", 1, 0) == 0 &&
		   lgetxattr(BASE "-link", "trusted.link", value, sizeof(value)) == 1,
	   "a link has its own");
	fails(getxattr(BASE "-link", "trusted.link", value, sizeof(value)), ENODATA,
	      "and what it leads to has not");
	ok(lremovexattr(BASE "-link", "trusted.link") == 0, "which is removed");
	unlink(BASE "-link");
	link(BASE, BASE "-name");
	ok(is(BASE "-name", "trusted.a", "longer"), "another name has the same");
	unlink(BASE "-name");
}

static void others(void)
{
	int status;
	pid_t child;

	chmod(BASE, 0666);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		if (setuid(1000) != 0)
			_exit(9);
		if (getxattr(BASE, "trusted.a", value, sizeof(value)) != -1 || errno != ENODATA)
			_exit(1);
		if (setxattr(BASE, "trusted.a", "x", 1, 0) != -1 || errno != EPERM)
			_exit(2);
		if (!is(BASE, "security.hawser", "label"))
			_exit(3);
		if (setxattr(BASE, "security.hawser", "x", 1, 0) != -1 || errno != EPERM)
			_exit(4);
		if (listxattr(BASE, value, sizeof(value)) != 16)
			_exit(5);
		_exit(0);
	}
	waitpid(child, &status, 0);
	ok(status == 0, "trusted ones are nobody else's, labels are seen (%x)", status);
}

/* They go with their files: more than memory holds, one after the other. */
static void they_go(void)
{
	static char large[65536];
	struct sysinfo info;
	bool good = true;

	sysinfo(&info);
	unsigned long rounds = info.totalram / sizeof(large) * info.mem_unit + 64;
	rounds = rounds < 4096 ? rounds : 4096;
	for (unsigned long i = 0; i < rounds && good; i++) {
		close(open(BASE "-many", O_CREAT | O_WRONLY, 0600));
		good = setxattr(BASE "-many", "trusted.large", large, sizeof(large), 0) == 0 &&
		       unlink(BASE "-many") == 0;
	}
	ok(good, "they go with their files");
}

int main(int argc, char **argv)
{
	int fd = open(BASE, O_CREAT | O_RDWR | O_TRUNC, 0644);

	(void)argc;
	tap_begin(argv);
	they_are_kept(fd);
	bad_arguments(fd);
	links_have_their_own();
	others();
	they_go();
	close(fd);
	unlink(BASE);
	return done();
}
