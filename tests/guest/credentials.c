/*
 * Users, groups and capabilities: who one is, who one may become, and what is allowed to whom. Everything
 * runs as root, and in children that are somebody else.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define BASE  "/tmp/hawser-credentials"
#define ALICE 1000
#define BOB   1001
#define STAFF 50

/* Checks of a child: it ends with the number of the first that failed. */
static int checked;

#define check(condition)                \
	do {                            \
		checked++;              \
		if (!(condition))       \
			_exit(checked); \
	} while (0)

#define denied(expression, expected) \
	check((errno = 0, (long)(expression) == -1 && errno == (expected)))

/* Runs the checks in a child that is `uid` (0: root), of group `gid`. */
static void as(unsigned uid, unsigned gid, void (*checks)(void), const char *name)
{
	int status = -1;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		checked = 0;
		if (uid != 0 && (setgroups(0, NULL) != 0 || setgid(gid) != 0 || setuid(uid) != 0))
			_exit(100);
		checks();
		_exit(0);
	}
	waitpid(child, &status, 0);
	ok(status == 0, "%s%s", name, status == 0 ? "" : " (see the number of the check)");
	if (status != 0)
		printf("# status %#x: check %d\n", status, status >> 8);
}

static bool ids_are(unsigned real, unsigned effective, unsigned saved, unsigned of_files)
{
	uid_t r, e, s;

	return getresuid(&r, &e, &s) == 0 && r == real && e == effective && s == saved &&
	       (unsigned)setfsuid((uid_t)-1) == of_files;
}

/* The raw calls: a libc would have all threads make them. */
static void becoming_others(void)
{
	check(ids_are(0, 0, 0, 0));
	check(syscall(SYS_setresuid, -1, ALICE, -1) == 0 && ids_are(0, ALICE, 0, ALICE));
	denied(syscall(SYS_setuid, BOB), EPERM);
	check(syscall(SYS_setuid, 0) == 0 && ids_are(0, 0, 0, 0));
	check(syscall(SYS_setreuid, ALICE, BOB) == 0 && ids_are(ALICE, BOB, BOB, BOB));
	denied(syscall(SYS_setuid, 0), EPERM);
	check(syscall(SYS_setreuid, BOB, ALICE) == 0 && ids_are(BOB, ALICE, ALICE, ALICE));
	check(syscall(SYS_setresuid, ALICE, ALICE, BOB) == 0 && ids_are(ALICE, ALICE, BOB, ALICE));
	check(syscall(SYS_setuid, BOB) == 0 && ids_are(ALICE, BOB, BOB, BOB));
	denied(syscall(SYS_setresuid, 0, -1, -1), EPERM);
	check(setfsuid(ALICE) == BOB && (unsigned)setfsuid((uid_t)-1) == ALICE);
	check(setfsuid(0) == ALICE && (unsigned)setfsuid((uid_t)-1) == ALICE);
	denied(syscall(SYS_setuid, -1), EINVAL);
}

static void becoming_other_groups(void)
{
	gid_t r, e, s, list[3] = { 30, 10, 20 }, got[8];

	check(setgroups(3, list) == 0 && getgroups(0, NULL) == 3 && getgroups(8, got) == 3);
	check(got[0] == 10 && got[1] == 20 && got[2] == 30);
	denied(getgroups(2, got), EINVAL);
	check(setresgid(1, 2, 3) == 0 && getresgid(&r, &e, &s) == 0 && r == 1 && e == 2 && s == 3);
	check(setregid((gid_t)-1, 5) == 0 && getegid() == 5);
	check(setgid(7) == 0 && getgid() == 7 && getegid() == 7);
	check(setfsgid(9) == 7 && setfsgid((gid_t)-1) == 9);
	check(setuid(ALICE) == 0);
	denied(setgroups(0, NULL), EPERM);
	denied(setgid(8), EPERM);
	check(setgid(7) == 0);
}

static void root_gives_up_being_root(void)
{
	check(setuid(ALICE) == 0);
	denied(setuid(0), EPERM);
	denied(seteuid(0), EPERM);
}

static void reading_and_writing(void)
{
	check(close(open("public", O_RDONLY)) == 0);
	denied(open("public", O_WRONLY), EACCES);
	denied(open("public", O_RDONLY | O_TRUNC), EACCES);
	denied(open("secret", O_RDONLY), EACCES);
	denied(truncate("public", 0), EACCES);
	denied(access("public", W_OK), EACCES);
	check(access("public", R_OK) == 0 && access("secret", F_OK) == 0);
	check(close(open("alices", O_RDWR)) == 0);
	denied(open("hidden/file", O_RDONLY), EACCES);
	denied(access("hidden/file", F_OK), EACCES);
	denied(chdir("hidden"), EACCES);
	denied(open("new", O_WRONLY | O_CREAT, 0644), EACCES);
	denied(mkdir("new", 0755), EACCES);
	denied(unlink("public"), EACCES);
	denied(rename("public", "other"), EACCES);
	denied(symlink("x", "link"), EACCES);
	check(close(open("secret", O_PATH)) == 0);
	denied(execl("secret", "secret", NULL), EACCES);
}

static void groups_count(void)
{
	check(close(open("staffs", O_RDWR)) == 0);
	denied(open("notstaffs", O_RDONLY), EACCES);
	check(close(open("alices", O_RDONLY)) == 0);
	denied(open("alices", O_WRONLY), EACCES);
}

static void a_sticky_directory(void)
{
	struct stat status;

	check(close(open("shared/alices", O_WRONLY | O_CREAT | O_EXCL, 0640)) == 0);
	check(stat("shared/alices", &status) == 0 && status.st_uid == ALICE &&
	      status.st_gid == ALICE);
	denied(unlink("shared/roots"), EPERM);
	denied(rename("shared/roots", "shared/mine"), EPERM);
	denied(rename("shared/alices", "shared/roots"), EPERM);
	check(rename("shared/alices", "shared/mine") == 0 && unlink("shared/mine") == 0);
	denied(link("secret", "shared/link"), EPERM);
	check(mkdir("shared/dir", 0700) == 0 && rmdir("shared/dir") == 0);
}

static void a_directory_that_gives_its_group(void)
{
	struct stat status;

	check(close(open("team/file", O_WRONLY | O_CREAT, 0644)) == 0 &&
	      stat("team/file", &status) == 0 && status.st_gid == STAFF);
	check(mkdir("team/dir", 0755) == 0 && stat("team/dir", &status) == 0 &&
	      status.st_gid == STAFF && (status.st_mode & S_ISGID));
	check(unlink("team/file") == 0 && rmdir("team/dir") == 0);
}

static void changing_modes_and_owners(void)
{
	struct timespec ts[2] = { { 1, 0 }, { 1, 0 } };
	struct stat status;

	denied(chmod("public", 0777), EPERM);
	denied(chown("public", ALICE, -1), EPERM);
	denied(utimensat(AT_FDCWD, "public", ts, 0), EPERM);
	denied(utimensat(AT_FDCWD, "public", NULL, 0), EACCES);
	denied(open("public", O_RDONLY | O_NOATIME), EPERM);
	check(chmod("given", 02755) == 0 && stat("given", &status) == 0 &&
	      (status.st_mode & 07777) == 0755);
	check(chmod("alices", 06755) == 0 && stat("alices", &status) == 0 &&
	      (status.st_mode & 07777) == 06755);
	denied(chown("alices", BOB, -1), EPERM);
	denied(chown("alices", -1, STAFF), EPERM);
	check(chown("alices", ALICE, ALICE) == 0 && stat("alices", &status) == 0 &&
	      (status.st_mode & 07777) == 0755);
	check(utimensat(AT_FDCWD, "alices", ts, 0) == 0);
	check(chmod("alices", 0644) == 0);
}

static void writing_takes_set_user_id_away(void)
{
	int fd = open("suid", O_WRONLY);
	struct stat status;

	check(fd >= 0 && write(fd, "x", 1) == 1 && fstat(fd, &status) == 0);
	check((status.st_mode & 07777) == 0777);
}

static void the_real_user_is_asked_about(void)
{
	check(syscall(SYS_setresuid, ALICE, 0, 0) == 0);
	denied(access("secret", R_OK), EACCES);
	denied(faccessat(AT_FDCWD, "hidden/file", F_OK, 0), EACCES);
	check(close(open("secret", O_RDONLY)) == 0);
	check(syscall(SYS_faccessat2, AT_FDCWD, "secret", R_OK, AT_EACCESS) == 0);
}

static void what_root_may(void)
{
	check(close(open("alices", O_RDWR)) == 0);
	check(access("hidden/file", R_OK | W_OK) == 0);
	denied(access("secret", X_OK), EACCES);
	denied(execl("secret", "secret", NULL), EACCES);
}

static pid_t bobs;

static void signals(void)
{
	denied(kill(1, 0), EPERM);
	denied(kill(bobs, 0), EPERM);
	check(kill(getpid(), 0) == 0);
	denied(kill(bobs, SIGTERM), EPERM);
	denied(kill(bobs, 99), EINVAL);
	denied(syscall(SYS_tgkill, bobs, bobs, 0), EPERM);
}

static void signals_of_ones_own(void)
{
	check(kill(bobs, 0) == 0);
}

static void what_only_root_may(void)
{
	struct rlimit limit;

	denied(mknod("shared/null", S_IFCHR | 0666, 0x103), EPERM);
	denied(chroot("/"), EPERM);
	denied(syscall(SYS_reboot, 0xfee1dead, 672274793, RB_DISABLE_CAD, 0), EPERM);
	denied(clock_settime(CLOCK_REALTIME, &(struct timespec){ 0, 0 }), EPERM);
	check(getrlimit(RLIMIT_CORE, &limit) == 0);
	limit.rlim_cur = 0;
	limit.rlim_max = 4096;
	check(setrlimit(RLIMIT_CORE, &limit) == 0);
	limit.rlim_max = 8192;
	denied(setrlimit(RLIMIT_CORE, &limit), EPERM);
	denied(open("/dev/kmsg", O_WRONLY), EACCES);
}

static int capabilities(uint32_t effective[2], uint32_t permitted[2])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	int result = (int)syscall(SYS_capget, &header, data);

	for (int i = 0; i < 2; i++) {
		effective[i] = data[i].effective;
		permitted[i] = data[i].permitted;
	}
	return result;
}

static void capabilities_follow_the_user(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { .effective = 1 << CAP_CHOWN } };
	uint32_t effective[2], permitted[2];

	check(capabilities(effective, permitted) == 0 && (effective[0] & 1 << CAP_CHOWN) != 0);
	check(syscall(SYS_setresuid, -1, ALICE, -1) == 0);
	check(capabilities(effective, permitted) == 0 && effective[0] == 0 && permitted[0] != 0);
	check(syscall(SYS_setresuid, -1, 0, -1) == 0);
	check(capabilities(effective, permitted) == 0 && effective[0] == permitted[0]);
	denied(syscall(SYS_capset, &header, data), EPERM);
	data[0].permitted = 1 << CAP_CHOWN;
	check(syscall(SYS_capset, &header, data) == 0);
	denied(open("alices", O_WRONLY), EACCES);
	denied(setuid(ALICE), EPERM);
	check(chown("alices", ALICE, ALICE) == 0);
	header.version = 7;
	denied(syscall(SYS_capget, &header, data), EINVAL);
	check(header.version == _LINUX_CAPABILITY_VERSION_3);
}

static void kept_capabilities(void)
{
	uint32_t effective[2], permitted[2];

	check(prctl(PR_SET_KEEPCAPS, 1) == 0 && prctl(PR_GET_KEEPCAPS) == 1);
	check(prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) == 1 || prctl(PR_CAPBSET_READ, CAP_CHOWN) == 1);
	check(setuid(ALICE) == 0 && capabilities(effective, permitted) == 0);
	check(effective[0] == 0 && permitted[0] != 0);
	denied(prctl(PR_CAPBSET_READ, 99), EINVAL);
}

/* This program again, set-user-ID, says who it is. */
static void a_program_that_is_another(void)
{
	check(personality(ADDR_NO_RANDOMIZE) != -1);
	execl("other", "other", "who", NULL);
	_exit(99);
}

/* Who has started it shares its directories and umask, and does not change them. */
static void a_program_that_is_another_by_itself(void)
{
	char in[12], out[12], byte;
	int to[2], from[2], status = -1;
	pid_t child;

	check(pipe(to) == 0 && pipe(from) == 0);
	child = (pid_t)syscall(SYS_clone, CLONE_FS | SIGCHLD, NULL, NULL, NULL, NULL);
	if (child == 0) {
		snprintf(in, sizeof(in), "%d", to[0]);
		snprintf(out, sizeof(out), "%d", from[1]);
		execl("other", "other", "alone", in, out, NULL);
		_exit(99);
	}
	check(child > 0);
	check(read(from[0], &byte, 1) == 1);
	umask(0);
	check(write(to[1], "", 1) == 1);
	check(waitpid(child, &status, 0) == child && status == 0);
}

/* On Linux a program whose directories are shared stays its starter's instead. */
static int alone(char **argv)
{
	char byte;

	umask(0123);
	if (write(atoi(argv[3]), "", 1) != 1 || read(atoi(argv[2]), &byte, 1) != 1)
		return 1;
	return geteuid() == getuid() || umask(0) == 0123 ? 0 : 2;
}

/* It stays who started it. */
static void or_not(void)
{
	denied(prctl(PR_SET_NO_NEW_PRIVS, 2, 0, 0, 0), EINVAL);
	check(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
	check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	check(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	execl("other", "other", "who-not", NULL);
	_exit(99);
}

static int who(void)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	getresuid(&r, &e, &s);
	getresgid(&rg, &eg, &sg);
	if (personality(0xffffffff) & ADDR_NO_RANDOMIZE) /* which would tell where it all is */
		return 2;
	return r == ALICE && e == BOB && s == BOB && rg == ALICE && eg == STAFF && sg == STAFF ? 0
											       : 1;
}

/* Who may run it and not read it does not get at it by running it. */
static void a_program_that_is_not_to_be_read(void)
{
	denied(open("closed", O_RDONLY), EACCES);
	execl("closed", "closed", "unread", NULL);
	_exit(99);
}

static int unread(void)
{
	struct stat is;

	if (open("/proc/self/exe", O_RDONLY) != -1 || errno != EACCES)
		return 1;
	if (stat("/proc/self/exe", &is) != 0 || is.st_mode != (S_IFREG | 0711) || is.st_uid != BOB)
		return 2;
	return prctl(PR_GET_DUMPABLE) == 0 ? 0 : 3;
}

/* The limit is the user's. */
static void processes_of_a_user(void)
{
	struct rlimit limit = { 3, 3 };
	pid_t children[4];
	int started = 0, status;

	check(setrlimit(RLIMIT_NPROC, &limit) == 0);
	check(setgid(BOB + 5) == 0 && setuid(BOB + 5) == 0);
	while (started < 4 && (children[started] = fork()) > 0)
		started++;
	if (children[started] == 0) {
		pause();
		_exit(0);
	}
	check(started == 2 && errno == EAGAIN);
	while (started > 0)
		kill(children[--started], SIGKILL);
	while (wait(&status) > 0)
		;
}

/* What is in its memory, and where, is for who may look into the process. */
static void proc_denies(pid_t pid)
{
	static const char *const files[] = { "environ",      "maps",         "smaps",
					     "smaps_rollup", "auxv",         "io",
					     "personality",  "fd/0",         "cwd/.",
					     "root/proc",    "task/%d/maps", "task/%d/environ" };
	char path[64], name[32], link[8];

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		snprintf(name, sizeof(name), files[i], pid);
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
		denied(open(path, O_RDONLY), EACCES);
	}
	snprintf(path, sizeof(path), "/proc/%d/cwd", pid);
	denied(readlink(path, link, sizeof(link)), EACCES);
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	denied(readlink(path, link, sizeof(link)), EACCES);
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	check(close(open(path, O_RDONLY)) == 0);
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	check(close(open(path, O_RDONLY)) == 0);
}

/* The user's own process, which does not want it. */
static void proc_denies_who_is_not_dumpable(void)
{
	int status, ready[2];
	pid_t child;
	char byte;

	check(prctl(PR_SET_DUMPABLE, 1) == 0 && pipe(ready) == 0);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_DUMPABLE, 0);
		(void)!write(ready[1], "", 1);
		pause();
		_exit(0);
	}
	check(read(ready[0], &byte, 1) == 1);
	proc_denies(child);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
}

static void proc_tells(void)
{
	struct stat status;
	char path[64], line[128];
	FILE *file;

	check(stat("/proc/self", &status) == 0 && status.st_uid == ALICE);
	snprintf(path, sizeof(path), "/proc/%d", bobs);
	check(stat(path, &status) == 0 && status.st_uid == BOB);
	snprintf(path, sizeof(path), "/proc/%d/environ", bobs);
	denied(open(path, O_RDONLY), EACCES);
	snprintf(path, sizeof(path), "/proc/%d/fd", bobs);
	denied(open(path, O_RDONLY | O_DIRECTORY), EACCES);
	proc_denies(bobs);
	denied(syscall(SYS_get_robust_list, bobs, line, path), EPERM);
	proc_denies_who_is_not_dumpable();
	check(close(open("/proc/self/fd", O_RDONLY | O_DIRECTORY)) == 0);
	file = fopen("/proc/self/status", "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (strcmp(line, "Uid:\t1000\t1000\t1000\t1000\n") == 0)
			return;
	}
	check(false);
}

static void make(const char *name, mode_t mode, uid_t uid, gid_t gid)
{
	int fd = open(name, O_WRONLY | O_CREAT, 0600);

	if (fd < 0 || fchown(fd, uid, gid) != 0 || fchmod(fd, mode) != 0)
		ok(false, "%s is made", name);
	close(fd);
}

/* A copy of this program. */
static void copy_self(const char *name)
{
	char piece[4096];
	int from = open("/proc/self/exe", O_RDONLY), to = open(name, O_WRONLY | O_CREAT, 0755);
	ssize_t size;

	while ((size = read(from, piece, sizeof(piece))) > 0)
		(void)!write(to, piece, (size_t)size);
	close(from);
	close(to);
}

static void tear_down(void)
{
	static const char *const names[] = { "public", "secret",       "alices",      "given",
					     "staffs", "notstaffs",    "hidden/file", "suid",
					     "other",  "shared/roots", "closed" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(names[i]);
	rmdir("hidden");
	rmdir("shared");
	rmdir("team");
	chdir("/");
	rmdir(BASE);
}

int main(int argc, char **argv)
{
	int status;

	if (argc > 1 && strcmp(argv[1], "who") == 0)
		return who();
	if (argc > 3 && strcmp(argv[1], "alone") == 0)
		return alone(argv);
	if (argc > 1 && strcmp(argv[1], "unread") == 0)
		return unread();
	if (argc > 1 && strcmp(argv[1], "who-not") == 0)
		return geteuid() == ALICE && getegid() == ALICE ? 0 : 1;
	tap_begin(argv);
	umask(022);
	mkdir(BASE, 0755);
	if (chdir(BASE) != 0)
		ok(false, "a directory to work in");
	make("public", 0644, 0, 0);
	make("secret", 0600, 0, 0);
	make("alices", 0644, ALICE, ALICE);
	make("staffs", 0660, 0, STAFF);
	make("notstaffs", 0604, 0, STAFF);
	make("given", 0644, ALICE, STAFF);
	make("suid", 06777, BOB, BOB);
	mkdir("hidden", 0700);
	make("hidden/file", 0666, 0, 0);
	mkdir("shared", 0755);
	chmod("shared", 01777);
	make("shared/roots", 0644, 0, 0);
	mkdir("team", 0755);
	chown("team", 0, STAFF);
	chmod("team", 02777);

	as(0, 0, becoming_others, "root becomes others, and others only who they are");
	as(0, 0, becoming_other_groups, "groups, too");
	as(0, 0, root_gives_up_being_root, "setuid(2) by root is for good");
	as(ALICE, ALICE, reading_and_writing, "permissions hold for others");
	as(BOB, STAFF, groups_count, "and for groups");
	as(ALICE, ALICE, a_sticky_directory, "a sticky directory");
	as(ALICE, ALICE, a_directory_that_gives_its_group, "a set-group-ID directory");
	as(ALICE, ALICE, changing_modes_and_owners, "modes, owners and times are the owner's");
	as(ALICE, ALICE, writing_takes_set_user_id_away, "writing takes set-user-ID away");
	as(0, 0, the_real_user_is_asked_about, "access(2) is about the real user");
	as(0, 0, what_root_may, "root may read and write all, and execute what somebody may");
	bobs = fork();
	if (bobs == 0) {
		setgid(BOB);
		setuid(BOB);
		pause();
		_exit(0);
	}
	while (access("/proc", F_OK) == 0) {
		char path[64];
		struct stat is;

		snprintf(path, sizeof(path), "/proc/%d", bobs);
		if (stat(path, &is) != 0 || is.st_uid == BOB)
			break;
		usleep(1000);
	}
	as(ALICE, ALICE, signals, "nobody signals strangers");
	as(BOB, BOB, signals_of_ones_own, "but one's own");
	as(ALICE, ALICE, proc_tells, "/proc says whose a process is, and keeps its secrets");
	kill(bobs, SIGKILL);
	waitpid(bobs, &status, 0);
	as(ALICE, ALICE, what_only_root_may, "what only root may");
	as(0, 0, capabilities_follow_the_user, "capabilities follow the user");
	as(0, 0, kept_capabilities, "and can be kept");
	as(0, 0, processes_of_a_user, "RLIMIT_NPROC counts a user's processes");
	copy_self("other");
	chown("other", BOB, STAFF);
	chmod("other", 06755);
	as(ALICE, ALICE, a_program_that_is_another, "a set-user-ID program is its owner's");
	as(ALICE, ALICE, a_program_that_is_another_by_itself, "whom nobody else leads elsewhere");
	as(ALICE, ALICE, or_not, "but not with PR_SET_NO_NEW_PRIVS");
	copy_self("closed");
	chown("closed", BOB, STAFF);
	chmod("closed", 0711);
	as(ALICE, ALICE, a_program_that_is_not_to_be_read,
	   "a program that may be run and not be read");
	tear_down();
	return done();
}
