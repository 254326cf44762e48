/*
 * The tree of mounts: what is seen in several places (MS_BIND, MS_REC), moved (MS_MOVE), read-only in one place and
 * not in another, let go of while it is used (MNT_DETACH) or unless it is (MNT_EXPIRE); other roots (chroot(2),
 * pivot_root(2)). On Linux in a name space of its own.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define BASE       "/tmp/hawser-binds"
#define NOFOLLOW   8 /* UMOUNT_NOFOLLOW */
#define ST_BIT_RO  1
#define MOUNT_ROOT 0x2000 /* STATX_ATTR_MOUNT_ROOT */

/* The line of mountinfo for the path, or NULL; valid until the next call. */
static const char *info_of(const char *path)
{
	static char line[1024];
	char word[256], mounted[256];
	FILE *file = fopen("/proc/self/mountinfo", "r");
	bool found = false;

	snprintf(word, sizeof(word), "%s", path);
	while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL)
		found = sscanf(line, "%*d %*d %*s %*s %255s", mounted) == 1 &&
			strcmp(mounted, word) == 0;
	if (file != NULL)
		fclose(file);
	return found ? line : NULL;
}

static bool says(const char *path, const char *part)
{
	const char *line = info_of(path);

	return line != NULL && strstr(line, part) != NULL;
}

static void make(const char *path, const char *content)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, content, strlen(content)) < 0)
		ok(false, "%s is made", path);
	close(fd);
}

static bool contains(const char *path, const char *content)
{
	char got[64] = "";
	int fd = open(path, O_RDONLY);
	ssize_t count = read(fd, got, sizeof(got) - 1);

	close(fd);
	return count == (ssize_t)strlen(content) && strcmp(got, content) == 0;
}

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

static bool same(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

/* True if a child that does it ends well. */
static bool in_child(bool (*body)(void))
{
	int status = -1;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0)
		_exit(body() ? 0 : 1);
	waitpid(child, &status, 0);
	return status == 0;
}

static void a_directory_twice(void)
{
	char here[128], path[128];
	int fd;

	mkdir("a", 0755);
	mkdir("a/sub", 0755);
	mkdir("b", 0755);
	make("a/file", "one");
	ok(mount(BASE "/a", BASE "/b", NULL, MS_BIND, NULL) == 0, "a directory is bound");
	ok(same("a", "b") && same("a/file", "b/file"), "it is the same in both places");
	make("b/new", "two");
	ok(contains("a/new", "two"), "what is made in one is in the other");
	ok(same("b/..", ".") && same("b/sub/../..", "."), "up from it is where it is bound");
	ok(chdir("b/sub") == 0 && getcwd(here, sizeof(here)) != NULL &&
		   strcmp(here, BASE "/b/sub") == 0 && chdir(BASE) == 0,
	   "paths know which of them: %s", here);
	fd = open("b/file", O_RDONLY);
	snprintf(here, sizeof(here), "/proc/self/fd/%d", fd);
	ssize_t length = readlink(here, path, sizeof(path) - 1);
	path[length > 0 ? length : 0] = '\0';
	ok(strcmp(path, BASE "/b/file") == 0, "and so do descriptors: %s", path);
	fails(umount2(BASE "/b", 0), EBUSY, "an open file keeps it busy");
	close(fd);
	ok(says(BASE "/b", " /a ") && says(BASE "/b", " - tmpfs base rw"),
	   "mountinfo tells what of what it is");
	fails(rename("b/new", "a/new2"), EXDEV, "nothing is renamed from one to the other");
	fails(link("b/new", "a/new2"), EXDEV, "or linked");
	fails(rmdir("b"), EBUSY, "its place is not removed");
	fails(rmdir("a/../b"), EBUSY, "by no name");
	ok(rename("b/new", "b/sub/new") == 0 && is_there("a/sub/new"),
	   "within one all is as usual");
	ok(umount2(BASE "/b", 0) == 0 && !is_there("b/file") && is_there("a/file"),
	   "it goes, and leaves the other");
	fails(umount2(BASE "/a", 0), EINVAL, "which is none");
}

static void a_file_twice(void)
{
	make("target", "mine");
	symlink(BASE "/target", "link");
	ok(mount(BASE "/a/file", BASE "/target", NULL, MS_BIND, NULL) == 0 &&
		   contains("target", "one"),
	   "a file is bound on another");
	fails(unlink("target"), EBUSY, "that one is not removed");
	fails(rename("target", "other"), EBUSY, "or renamed");
	fails(rename("a/file", "target"), EBUSY, "or replaced");
	fails(umount2(BASE "/link", NOFOLLOW), EINVAL, "UMOUNT_NOFOLLOW follows no link");
	ok(umount2(BASE "/link", 0) == 0 && contains("target", "mine"),
	   "otherwise one is followed");
	fails(mount(BASE "/a/file", BASE "/b", NULL, MS_BIND, NULL), ENOTDIR,
	      "no file on a directory");
	fails(mount(BASE "/a", BASE "/target", NULL, MS_BIND, NULL), ENOTDIR, "nor the other way");
	fails(mount(BASE "/none", BASE "/b", NULL, MS_BIND, NULL), ENOENT, "nothing that is not");
	unlink("link");
	unlink("target");
}

static void read_only_here(void)
{
	struct statfs fs;
	int fd = open("a/file", O_WRONLY);

	mount(BASE "/a", BASE "/b", NULL, MS_BIND, NULL);
	ok(mount(NULL, BASE "/b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NODEV, NULL) == 0,
	   "one of two places becomes read-only, whoever writes in the other");
	close(fd);
	fails(open("b/file", O_WRONLY), EROFS, "there nothing is written");
	fails(open("b/new", O_WRONLY | O_CREAT, 0644), EROFS, "or made");
	fails(open("b", O_WRONLY | O_TMPFILE, 0644), EROFS, "be it without a name");
	fails(mkdir("b/new", 0755), EROFS, "no directory");
	fails(unlink("b/file"), EROFS, "nothing is removed");
	fails(rename("b/file", "b/other"), EROFS, "or renamed");
	fails(chmod("b/file", 0600), EROFS, "or changed");
	fails(chown("b/file", 1, 1), EROFS, "in any way");
	fails(utimensat(AT_FDCWD, "b/file", NULL, 0), EROFS, "time included");
	fails(truncate("b/file", 0), EROFS, "or length");
	fails(access("b/file", W_OK), EROFS, "as access(2) says");
	fd = open("b/file", O_RDONLY);
	fails(fchmod(fd, 0600), EROFS, "not through a descriptor, either");
	close(fd);
	ok(says(BASE "/b", " ro,nodev") && says(BASE "/b", " base rw"), "mountinfo tells both");
	ok(statfs("b", &fs) == 0 && (fs.f_flags & ST_BIT_RO) != 0 && statfs("a", &fs) == 0 &&
		   (fs.f_flags & ST_BIT_RO) == 0,
	   "and so does statfs(2)");
	make("a/file", "three");
	ok(contains("b/file", "three"), "in the other one all is as before");
	mknod("a/null", S_IFCHR | 0666, 0x103);
	fails(open("b/null", O_RDWR), EACCES, "MS_NODEV is for one of them, too");
	ok(close(open("a/null", O_RDWR)) == 0, "and not for both");
	ok(mount(NULL, BASE "/b", NULL, MS_REMOUNT | MS_BIND, NULL) == 0 &&
		   chmod("b/file", 0644) == 0,
	   "it is undone");
	fd = open("b/file", O_WRONLY);
	fails(mount(NULL, BASE "/b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), EBUSY,
	      "not while a file is open for writing there");
	close(fd);
	umount2(BASE "/b", 0);
}

static void trees(void)
{
	mkdir("a/m", 0755);
	mount("inner", BASE "/a/m", "tmpfs", 0, NULL);
	make("a/m/deep", "d");
	mount(BASE "/a", BASE "/b", NULL, MS_BIND, NULL);
	ok(is_there("b/m") && !is_there("b/m/deep"),
	   "MS_BIND alone shows what is under other mounts");
	umount2(BASE "/b", 0);
	ok(mount(BASE "/a", BASE "/b", NULL, MS_BIND | MS_REC, NULL) == 0 &&
		   contains("b/m/deep", "d"),
	   "with MS_REC what is mounted there comes along");
	ok(same("b/m/..", "b") && same("b/m/../..", "."), "and up is up in the copy");
	fails(umount2(BASE "/b", 0), EBUSY, "which keeps it busy");
	umount2(BASE "/a/m", 0);
	ok(!is_there("a/m/deep") && contains("b/m/deep", "d"), "they go one by one");
	ok(umount2(BASE "/b", MNT_DETACH) == 0 && info_of(BASE "/b/m") == NULL,
	   "MNT_DETACH takes all with it");

	mount("inner", BASE "/a/m", "tmpfs", 0, NULL);
	ok(mount(NULL, BASE "/a/m", NULL, MS_UNBINDABLE, NULL) == 0 &&
		   says(BASE "/a/m", "unbindable"),
	   "one is made unbindable");
	fails(mount(BASE "/a/m", BASE "/b", NULL, MS_BIND, NULL), EINVAL, "and not bound");
	ok(mount(BASE "/a", BASE "/b", NULL, MS_BIND | MS_REC, NULL) == 0 &&
		   info_of(BASE "/b/m") == NULL,
	   "nor with others");
	umount2(BASE "/b", 0);
	ok(mount(NULL, BASE "/a/m", NULL, MS_PRIVATE, NULL) == 0, "it is made private again");
	fails(mount(NULL, BASE "/a/m", NULL, MS_PRIVATE | MS_SLAVE, NULL), EINVAL,
	      "not two things at a time");
	fails(mount(NULL, BASE "/a/sub", NULL, MS_PRIVATE, NULL), EINVAL, "nor what is no mount");
	umount2(BASE "/a/m", 0);
}

static void moving(void)
{
	int fd;

	mkdir("c", 0755);
	mount("inner", BASE "/b", "tmpfs", 0, NULL);
	mkdir("b/in", 0755);
	make("b/in/file", "moved");
	mount("deeper", BASE "/b/in", "tmpfs", 0, NULL);
	make("b/in/file", "along");
	fd = open("b", O_RDONLY | O_DIRECTORY);
	ok(mount(BASE "/b", BASE "/c", NULL, MS_MOVE, NULL) == 0 &&
		   contains("c/in/file", "along") && !is_there("b/in"),
	   "a mount moves, with what is mounted in it");
	ok(fchdir(fd) == 0 && same("..", BASE) && contains("in/file", "along"),
	   "and with who is there");
	chdir(BASE);
	close(fd);
	fails(mount(BASE "/c", BASE "/c/in", NULL, MS_MOVE, NULL), ELOOP, "not into itself");
	fails(mount(BASE "/a", BASE "/b", NULL, MS_MOVE, NULL), EINVAL, "only mounts move");
	umount2(BASE "/c/in", 0);
	ok(contains("c/in/file", "moved"), "what was hidden is there");
	umount2(BASE "/c", 0);
}

/* What is renamed out of what is bound does not lead out of it. */
static void no_way_out(void)
{
	int fd;

	mkdir("a/in", 0755);
	mkdir("a/in/side", 0755);
	mkdir("a/out", 0755);
	mount(BASE "/a/in", BASE "/b", NULL, MS_BIND, NULL);
	ok(chdir("b/side") == 0 && rename(BASE "/a/in/side", BASE "/a/out/side") == 0,
	   "where we are is moved out of what is bound");
	fails(open("..", O_PATH), ENOENT, "\"..\" is nowhere then");
	fails(open("../../out", O_PATH), ENOENT, "and leads nowhere");
	ok(close(open(".", O_PATH)) == 0, "but we are here");
	ok(rename(BASE "/a/out/side", BASE "/a/in/side") == 0 && same("..", BASE "/b"),
	   "until it is back");
	fd = open(BASE "/a/in/side", O_PATH);
	chdir(BASE);
	umount2(BASE "/b", 0);
	ok(rmdir("a/in/side") == 0, "a place is removed");
	mount("moving", BASE "/b", "tmpfs", 0, NULL);
	fchdir(fd);
	fails(mount("new", ".", "tmpfs", 0, NULL), ENOENT, "nothing is mounted there");
	fails(mount(BASE "/b", ".", NULL, MS_MOVE, NULL), ENOENT, "or moved to there");
	chdir(BASE);
	umount2(BASE "/b", 0);
	close(fd);
	rmdir("a/in");
	rmdir("a/out");
}

/* What has no place in the tree has none for mounts. */
static void in_no_mount(void)
{
	char path[32];
	int ends[2];

	pipe(ends);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
	fails(mount("new", path, "tmpfs", 0, NULL), ENOENT, "nothing is mounted on a pipe");
	fails(mount(BASE "/a/file", path, NULL, MS_BIND, NULL), ENOENT, "or bound to it");
	fails(mount(BASE, path, NULL, MS_MOVE, NULL), EINVAL, "or moved to it");
	fails(mount(path, BASE "/a/file", NULL, MS_BIND, NULL), EINVAL, "nor is it bound");
	fails(mount(NULL, path, NULL, MS_REMOUNT | MS_BIND, NULL), EINVAL, "or changed");
	fails(umount2(path, 0), EINVAL, "or let go of");
	close(ends[0]);
	close(ends[1]);
}

/* What there is once is not made read-only by showing it read-only elsewhere. */
static void read_only_there(void)
{
	int fd;

	ok(mount("proc", BASE "/b", "proc", MS_RDONLY, NULL) == 0, "a read-only /proc");
	fails(open("b/self/comm", O_WRONLY), EROFS, "is not written");
	fd = open("/proc/self/comm", O_WRONLY);
	ok(fd >= 0 && close(fd) == 0, "but the other is");
	umount2(BASE "/b", 0);
}

/* Without options terminals are as private as with those that are usual. */
static void plain_terminals(void)
{
	struct stat status = { .st_mode = 0777 };
	unsigned number = 0;
	char path[64];
	int fd;

	mount("devpts", BASE "/b", "devpts", 0, NULL);
	fd = open("b/ptmx", O_RDWR | O_NOCTTY);
	ioctl(fd, TIOCGPTN, &number);
	snprintf(path, sizeof(path), BASE "/b/%u", number);
	ok(stat(path, &status) == 0 && (status.st_mode & 01057) == 0,
	   "a terminal of a devpts without options is nobody else's: %o", status.st_mode);
	close(fd);
	umount2(BASE "/b", 0);
}

static int mounts_below(const char *path)
{
	char line[1024], mounted[256];
	FILE *file = fopen("/proc/self/mountinfo", "r");
	int count = 0;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		count += sscanf(line, "%*d %*d %*s %*s %255s", mounted) == 1 &&
			 strncmp(mounted, path, strlen(path)) == 0;
	if (file != NULL)
		fclose(file);
	return count;
}

/* One in another, and one over another, the outer ones younger than the inner ones: they go at once. */
static void deep(void)
{
	mkdir("b/in", 0755);
	for (int i = 0; i < 20; i++) {
		mount("deep", BASE "/b", "tmpfs", 0, NULL);
		mkdir("b/in", 0755);
		mount("over", BASE "/b/in", "tmpfs", 0, NULL);
		mount(BASE "/c", BASE "/b/in", NULL, MS_MOVE, NULL);
		mount(BASE "/b", BASE "/c", NULL, MS_MOVE, NULL);
	}
	mount("beside", BASE "/b", "tmpfs", 0, NULL);
	ok(mounts_below(BASE "/c") >= 40, "mounts are deep in each other");
	ok(umount2(BASE "/c", MNT_DETACH) == 0 && mounts_below(BASE "/c") == 0 &&
		   mounts_below(BASE "/b") == 1,
	   "they go at once, and no other");
	umount2(BASE "/b", 0);
	rmdir("b/in");
}

/* What was mounted on what there is no more goes with it. */
static void on_what_goes(void)
{
	char path[64];
	pid_t child;

	mount("proc", BASE "/b", "proc", 0, NULL);
	child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	snprintf(path, sizeof(path), BASE "/b/%d/fd", child);
	ok(mount("on", path, "tmpfs", 0, NULL) == 0,
	   "something is mounted in a process's directory");
	fails(umount2(BASE "/b", 0), EBUSY, "which keeps that busy");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	ok(umount2(BASE "/b", 0) == 0, "until the process has ended");
}

static void letting_go(void)
{
	char bytes[8] = "";
	int fd, watch;

	mount("lazy", BASE "/b", "tmpfs", 0, NULL);
	mkdir("b/dir", 0755);
	make("b/dir/file", "still");
	chdir("b/dir");
	ok(umount2(BASE "/b", MNT_DETACH) == 0, "MNT_DETACH of where we are");
	ok(contains("file", "still") && is_there("../dir"), "it stays as it was, for who is there");
	make("new", "more");
	ok(contains("new", "more"), "and goes on");
	ok(getcwd(bytes, sizeof(bytes)) == NULL || bytes[0] == '(' || bytes[0] == '\0',
	   "but has no place any more");
	fd = open("file", O_RDONLY);
	chdir(BASE);
	ok(read(fd, bytes, 5) == 5 && memcmp(bytes, "still", 5) == 0, "an open file keeps it");
	close(fd);
	ok(!is_there("b/dir"), "it is not where it was");

	mount("expiring", BASE "/b", "tmpfs", 0, NULL);
	fails(umount2(BASE "/b", MNT_EXPIRE | MNT_FORCE), EINVAL, "MNT_EXPIRE is gentle");
	fails(umount2(BASE "/b", MNT_EXPIRE), EAGAIN, "what is to expire is marked first");
	close(open("b", O_RDONLY));
	fails(umount2(BASE "/b", MNT_EXPIRE), EAGAIN, "using it unmarks it");
	fd = open("b", O_RDONLY);
	fails(umount2(BASE "/b", MNT_EXPIRE), EBUSY, "while it is used it is not even marked");
	close(fd);
	fails(umount2(BASE "/b", MNT_EXPIRE), EAGAIN, "then it is");
	ok(umount2(BASE "/b", MNT_EXPIRE) == 0, "and goes when nobody has used it");

	mount("watched", BASE "/b", "tmpfs", 0, NULL);
	make("b/file", "");
	fd = inotify_init1(IN_NONBLOCK);
	watch = inotify_add_watch(fd, "b/file", IN_DELETE_SELF);
	ok(umount2(BASE "/b", 0) == 0, "watching keeps nothing busy");
	struct inotify_event events[4] = { 0 };
	ssize_t size = read(fd, events, sizeof(events));
	ok(size == 2 * sizeof(events[0]) && events[0].mask == IN_UNMOUNT && events[0].wd == watch &&
		   events[1].mask == IN_IGNORED,
	   "who watches is told: %zd bytes", size);
	close(fd);
}

static void programs(void)
{
	void *map;
	int fd;

	mount(BASE "/a", BASE "/b", NULL, MS_BIND, NULL);
	mount(NULL, BASE "/b", NULL, MS_REMOUNT | MS_BIND | MS_NOEXEC | MS_NOSUID, NULL);
	chmod("a/file", 0755);
	fails(execl("b/file", "file", NULL), EACCES, "with MS_NOEXEC nothing is run");
	fails(execl("a/file", "file", NULL), ENOEXEC, "elsewhere it would be");
	fd = open("b/file", O_RDONLY);
	fails((map = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0)) == MAP_FAILED ? -1
												: 0,
	      EPERM, "nor mapped to be run");
	map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	fails(mprotect(map, 4096, PROT_READ | PROT_EXEC), EACCES, "nor made so afterwards");
	munmap(map, 4096);
	close(fd);
	umount2(BASE "/b", 0);
}

/* /proc and /dev, where another root wants them. */
static bool another_root(void)
{
	char here[64];
	int fd;

	if (chroot(BASE "/a") != 0 || chdir("/") != 0)
		return false;
	fd = open("/dev/null", O_RDWR);
	return fd >= 0 && write(fd, "x", 1) == 1 && is_there("/proc/self/stat") &&
	       readlink("/proc/self/fd/0", here, sizeof(here)) > 0 && info_of("/proc") != NULL &&
	       info_of("/dev") != NULL && info_of("/") == NULL && info_of(BASE "/a/proc") == NULL &&
	       chdir("..") == 0 && is_there("proc") && !is_there(BASE);
}

static void several_places(void)
{
	struct statfs fs;
	struct {
		uint32_t mask, blksize;
		uint64_t attributes, before_mount[16], mount;
		char rest[256];
	} x = { 0 };
	struct stat a, b;

	mkdir("a/proc", 0755);
	mkdir("a/dev", 0755);
	ok(mount("proc", BASE "/a/proc", "proc", 0, NULL) == 0 && is_there("a/proc/self/stat") &&
		   is_there("/proc/self/stat"),
	   "/proc is in two places");
	ok(mount("dev", BASE "/a/dev", "devtmpfs", 0, NULL) == 0 && is_there("a/dev/null"),
	   "and so is /dev");
	fails(mount("dev", BASE "/a/dev", "devtmpfs", 0, NULL), EBUSY, "but not twice in one");
	ok(in_child(another_root), "another root has them");
	mkdir("pts", 0755);
	ok(mount("devpts", BASE "/pts", "devpts", 0, "gid=5,mode=620,ptmxmode=666") == 0,
	   "terminals are mounted");
	ok(statfs("pts", &fs) == 0 && fs.f_type == 0x1cd1 &&
		   says(BASE "/pts", "gid=5,mode=620,ptmxmode=666"),
	   "as what they are, with their options");
	ok(stat("pts", &a) == 0 && stat("/dev", &b) == 0 && a.st_dev != b.st_dev, "another device");
	ok(stat("pts/ptmx", &a) == 0 && S_ISCHR(a.st_mode) && (a.st_mode & 0777) == 0666,
	   "with ptmx");
	int master = open("pts/ptmx", O_RDWR | O_NOCTTY), number = -1;
	char name[64];
	ok(master >= 0 && ioctl(master, 0x80045430 /* TIOCGPTN */, &number) == 0,
	   "which makes one");
	snprintf(name, sizeof(name), "pts/%d", number);
	ok(stat(name, &a) == 0 && S_ISCHR(a.st_mode) && a.st_gid == 5 && (a.st_mode & 0777) == 0620,
	   "whose name is there");
	ok(mount(NULL, BASE "/pts", NULL, MS_REMOUNT, "ptmxmode=600,gid=5,mode=620") == 0 &&
		   stat("pts/ptmx", &a) == 0 && (a.st_mode & 0777) == 0600,
	   "options change");
	mount(NULL, BASE "/pts", NULL, MS_REMOUNT, "ptmxmode=666,gid=5,mode=620");
	close(master);
	fails(mount("devpts", BASE "/b", "devpts", 0, "colour=blue"), EINVAL,
	      "those that there are");
	ok(syscall(SYS_statx, AT_FDCWD, "pts", 0, 0x1000 /* STATX_MNT_ID */, &x) == 0 &&
		   (x.attributes & MOUNT_ROOT) != 0,
	   "statx(2) tells that it is a mount");
	const char *line = info_of(BASE "/pts");
	ok(line != NULL && (uint64_t)atoi(line) == x.mount, "and which");
	umount2(BASE "/pts", 0);
	umount2(BASE "/a/dev", 0);
	umount2(BASE "/a/proc", 0);
}

static void a_strange_name(void)
{
	mkdir("a b\\", 0755);
	ok(mount("x y", BASE "/a b\\", "tmpfs", MS_NOATIME, NULL) == 0 &&
		   says(BASE "/a\\040b\\134", "noatime"),
	   "blanks are written as numbers");
	umount2(BASE "/a b\\", 0);
}

/* In a child, since its root changes: there and back. */
static bool pivot(void)
{
	if (mkdir("new", 0755) != 0 || mount("new", BASE "/new", "tmpfs", 0, NULL) != 0 ||
	    mkdir("new/old", 0755) != 0 || mkdir("new/proc", 0755) != 0)
		return false;
	if (syscall(SYS_pivot_root, BASE "/a", BASE "/a/sub") != -1 || errno != EINVAL)
		return false;
	if (syscall(SYS_pivot_root, BASE "/new", "/tmp") != -1 || errno != EBUSY)
		return false;
	if (chdir("new") != 0 || syscall(SYS_pivot_root, ".", "old") != 0 || chdir("/") != 0)
		return false;
	bool good = is_there("/old/proc/self") && !is_there(BASE) && info_of("/old") == NULL &&
		    mount("proc", "/proc", "proc", 0, NULL) == 0 && info_of("/old") != NULL &&
		    info_of("/") != NULL && umount2("/proc", 0) == 0;
	good = syscall(SYS_pivot_root, "/old", "/old" BASE "/new") == 0 && chdir("/") == 0 && good;
	return good && info_of(BASE "/new") != NULL && is_there(BASE "/new/old") &&
	       umount2(BASE "/new", 0) == 0 && rmdir(BASE "/new") == 0;
}

/* What switch_root(8) does. */
static bool switch_root(void)
{
	mkdir("new", 0755);
	if (mount("new", BASE "/new", "tmpfs", 0, NULL) != 0 || chdir("new") != 0)
		return false;
	make("mark", "");
	if (mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0 || chdir("/") != 0)
		return false;
	bool good = is_there("/mark") && !is_there("/tmp") && chdir("..") == 0 && is_there("mark");
	return good;
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	if (!on_hawser() &&
	    (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0))
		ok(false, "a name space of its own");
	mkdir(BASE, 0755);
	mount("base", BASE, "tmpfs", 0, NULL);
	chdir(BASE);
	a_directory_twice();
	a_file_twice();
	read_only_here();
	trees();
	moving();
	no_way_out();
	in_no_mount();
	read_only_there();
	plain_terminals();
	deep();
	on_what_goes();
	letting_go();
	programs();
	several_places();
	a_strange_name();
	ok(in_child(pivot), "pivot_root changes roots, and back");
	ok(in_child(switch_root), "a mount moves over the root, for who then goes there");
	/* It is over everybody's root, and everybody still is where he was. */
	ok(umount2("/..", MNT_DETACH) == 0, "\"..\" at the root leads to it");
	chdir("/");
	ok(umount2(BASE, 0) == 0, "nothing is left that would keep it busy");
	rmdir(BASE);
	return done();
}
