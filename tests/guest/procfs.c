/*
 * /proc as programs read it: the machine's files, /proc/sys, /proc/net, a process's small files; the
 * machine's name; limits on descriptors; /dev.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <ctype.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

static char content[16384];

/* The whole file; "" if it cannot be read. */
static const char *contents(const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t size = 0, got;

	while (fd >= 0 && size < (ssize_t)sizeof(content) - 1 &&
	       (got = read(fd, content + size, sizeof(content) - 1 - (size_t)size)) > 0)
		size += got;
	content[size] = '\0';
	close(fd);
	return content;
}

static bool begins(const char *path, const char *start)
{
	return strncmp(contents(path), start, strlen(start)) == 0;
}

static bool has(const char *path, const char *part)
{
	return strstr(contents(path), part) != NULL;
}

static long number(const char *path)
{
	const char *text = contents(path);

	return isdigit((unsigned char)*text) ? atol(text) : -1;
}

static bool write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return good;
}

static void the_machine(void)
{
	struct utsname name;
	char line[512];

	uname(&name);
	snprintf(line, sizeof(line), "Linux version %s", name.release);
	ok(begins("/proc/version", line), "version is what uname(2) says");
	ok(has("/proc/filesystems", "nodev\ttmpfs\n") &&
		   has("/proc/filesystems", "nodev\tproc\n") &&
		   has("/proc/filesystems", "nodev\tdevtmpfs\n") &&
		   has("/proc/filesystems", "nodev\tdevpts\n"),
	   "filesystems");
	ok(begins("/proc/stat", "cpu  ") && has("/proc/stat", "\nbtime "), "stat");
	ok(strtod(contents("/proc/uptime"), NULL) > 0, "uptime");
	ok(has("/proc/cpuinfo", "processor\t: 0\n"), "cpuinfo");
	ok(has("/proc/interrupts", "CPU0"), "interrupts");
	ok(begins("/proc/partitions", "major minor  #blocks  name\n\n"), "partitions");
	ok(begins("/proc/swaps", "Filename\t"), "swaps");
	ok(begins("/proc/devices", "Character devices:\n  1 mem\n") &&
		   has("/proc/devices", "\n\nBlock devices:\n"),
	   "devices");
	ok(has("/proc/mounts", " / ") && has("/proc/mounts", " /proc proc "), "mounts");
	fails(open("/proc/nothing", O_WRONLY | O_CREAT, 0644), ENOENT, "and nothing is made here");
	fails(mkdir("/proc/nothing", 0755), ENOENT, "no directory either");
}

static void sys(void)
{
	struct utsname name;
	char line[512], first[64];

	uname(&name);
	snprintf(line, sizeof(line), "%s\n", name.nodename);
	ok(begins("/proc/sys/kernel/hostname", line), "sys/kernel/hostname");
	snprintf(line, sizeof(line), "%s\n", name.release);
	ok(begins("/proc/sys/kernel/osrelease", line), "osrelease");
	ok(begins("/proc/sys/kernel/ostype", "Linux\n"), "ostype");
	snprintf(line, sizeof(line), "%s\n", name.version);
	ok(begins("/proc/sys/kernel/version", line), "version");
	ok(number("/proc/sys/kernel/pid_max") >= 32768, "pid_max");
	ok(number("/proc/sys/kernel/threads-max") > 100, "threads-max");
	ok(number("/proc/sys/kernel/ngroups_max") == 65536, "ngroups_max");
	ok(number("/proc/sys/kernel/cap_last_cap") == 40, "cap_last_cap");
	ok(number("/proc/sys/kernel/overflowuid") == 65534, "overflowuid");
	ok(number("/proc/sys/vm/max_map_count") >= 65530, "max_map_count");
	ok(number("/proc/sys/vm/overcommit_memory") >= 0, "overcommit_memory");
	ok(number("/proc/sys/fs/file-max") >= 8192, "file-max");
	ok(number("/proc/sys/fs/nr_open") >= 1024, "nr_open");
	ok(number("/proc/sys/fs/file-nr") > 0, "file-nr counts");
	ok(number("/proc/sys/kernel/random/entropy_avail") > 0, "entropy_avail");
	snprintf(first, sizeof(first), "%s", contents("/proc/sys/kernel/random/uuid"));
	ok(strlen(first) == 37 && first[14] == '4' && first[8] == '-' && first[23] == '-' &&
		   strcmp(first, contents("/proc/sys/kernel/random/uuid")) != 0,
	   "uuid is another each time: %.36s", first);
	snprintf(first, sizeof(first), "%s", contents("/proc/sys/kernel/random/boot_id"));
	ok(strlen(first) == 37 && strcmp(first, contents("/proc/sys/kernel/random/boot_id")) == 0,
	   "boot_id is the same");
}

static void net(void)
{
	ok(begins("/proc/net/dev", "Inter-|   Receive"), "net/dev");
	ok(begins("/proc/net/route", "Iface\tDestination\tGateway"), "net/route");
	ok(begins("/proc/net/arp", "IP address       HW type"), "net/arp");
	ok(begins("/proc/net/tcp", "  sl  local_address rem_address "), "net/tcp");
	ok(has("/proc/net/udp", "local_address"), "net/udp");
	ok(access("/proc/net/if_inet6", R_OK) == 0 || !on_hawser(), "net/if_inet6");
}

static void a_process(void)
{
	char name[32] = "", path[64];
	struct rlimit limit = { 77, 1000 };
	int status;
	pid_t child;

	ok(begins("/proc/self/limits", "Limit                     Soft Limit           Hard Limit"),
	   "limits has a head");
	setrlimit(RLIMIT_NOFILE, &limit);
	ok(has("/proc/self/limits",
	       "Max open files            77                   1000                 files"),
	   "and tells a limit that was set");
	ok(has("/proc/self/limits",
	       "Max cpu time              unlimited            unlimited            seconds"),
	   "or not");
	ok(write_to("/proc/self/comm", "another name than before\n"), "comm is written");
	prctl(PR_GET_NAME, name);
	ok(strcmp(name, "another name th") == 0 && begins("/proc/self/comm", "another name th\n"),
	   "cut to its length, it is the thread's name");
	fflush(stdout);
	child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	snprintf(path, sizeof(path), "/proc/%d/comm", child);
	ok(!write_to(path, "x") && errno == EINVAL, "another process's is not");
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	ok(strlen(contents("/proc/self/wchan")) > 0, "wchan");
	ok(number("/proc/self/loginuid") >= 0 || !on_hawser(), "loginuid");
	ok(has("/proc/self/status", "\nUid:\t0\t0\t0\t0\n") &&
		   has("/proc/self/status", "\nCapEff:\t"),
	   "status tells users and capabilities");
}

/* In a name space of its own on Linux, so that the host keeps its name. */
static void the_name(void)
{
	struct utsname name;
	int status = -1;

	fflush(stdout);
	if (fork() == 0) {
		char before[65];

		if (!on_hawser() && unshare(CLONE_NEWUTS) != 0)
			_exit(1);
		uname(&name);
		snprintf(before, sizeof(before), "%s", name.nodename);
		if (sethostname("new-name", 8) != 0 || uname(&name) != 0 ||
		    strcmp(name.nodename, "new-name") != 0 ||
		    !begins("/proc/sys/kernel/hostname", "new-name\n"))
			_exit(2);
		if (!write_to("/proc/sys/kernel/hostname", "newer\n") || uname(&name) != 0 ||
		    strcmp(name.nodename, "newer") != 0)
			_exit(3);
		if (setdomainname("domain", 6) != 0 || uname(&name) != 0 ||
		    strcmp(name.domainname, "domain") != 0)
			_exit(4);
		if (sethostname("x", -1) != -1 || errno != EINVAL || sethostname("x", 65) != -1 ||
		    errno != EINVAL || sethostname((void *)8, 3) != -1 || errno != EFAULT)
			_exit(5);
		sethostname(before, strlen(before));
		if (setuid(1000) != 0 || sethostname("x", 1) != -1 || errno != EPERM ||
		    open("/proc/sys/kernel/hostname", O_WRONLY) != -1 || errno != EACCES)
			_exit(6);
		_exit(0);
	}
	wait(&status);
	ok(status == 0, "the machine's name can be changed by root, in two ways: %#x", status);
}

static void too_many_files(void)
{
	int fd = 0, last = -1;

	while ((fd = open("/dev/null", O_RDONLY)) >= 0)
		last = fd;
	ok(errno == EMFILE && last == 76, "RLIMIT_NOFILE ends in EMFILE");
	fails(dup(0), EMFILE, "for dup(2), too");
	fails(fcntl(0, F_DUPFD, 100), EINVAL, "a start above it is EINVAL");
	while (last > 2)
		close(last--);
}

static void devices(void)
{
	static const struct {
		const char *path;
		unsigned minor;
	} nodes[] = {
		{ "/dev/null", 3 },   { "/dev/zero", 5 },    { "/dev/full", 7 },
		{ "/dev/random", 8 }, { "/dev/urandom", 9 }, { "/dev/kmsg", 11 },
	};
	char bytes[64];
	struct stat status;
	int fd;

	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		ok(stat(nodes[i].path, &status) == 0 && S_ISCHR(status.st_mode) &&
			   status.st_rdev == makedev(1, nodes[i].minor),
		   "%s has Linux's number", nodes[i].path);
	fd = open("/dev/full", O_RDWR);
	fails(write(fd, "x", 1), ENOSPC, "/dev/full is full");
	ok(read(fd, bytes, 8) == 8 && bytes[0] == 0 && bytes[7] == 0, "and reads as zeroes");
	close(fd);
	ok(stat("/dev/shm", &status) == 0 && S_ISDIR(status.st_mode) &&
		   (status.st_mode & 07777) == 01777,
	   "/dev/shm is everybody's");
}

int main(int argc __attribute__((unused)), char **argv)
{
	struct rlimit before;

	tap_begin(argv);
	getrlimit(RLIMIT_NOFILE, &before);
	the_machine();
	sys();
	net();
	the_name();
	a_process();
	too_many_files();
	setrlimit(RLIMIT_NOFILE, &before);
	devices();
	return done();
}
