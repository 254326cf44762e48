/*
 * /proc as ps and top read it: each field of /proc/PID/stat of a process whose state is known, status, io,
 * auxv, locks, the order of listings, and that a file that is read once more says what is so now. And what keeps
 * a group with a stopped process from being orphaned.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/un.h>
#include <sys/wait.h>

#define FIELDS 52

static char text[65536];

static const char *contents(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = read(fd, text, sizeof(text) - 1);

	text[length > 0 ? length : 0] = '\0';
	close(fd);
	return text;
}

/* Fields 4 … 52 of proc(5), and the state. */
static char stat_of(pid_t pid, long long *fields)
{
	char path[64], *at;
	int number = 3;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	contents(path);
	at = strrchr(text, ')') + 2;
	for (char *word = strtok(at + 2, " "); word && number < FIELDS; word = strtok(NULL, " "))
		fields[++number] = (long long)strtoull(word, NULL, 10);
	return number == FIELDS ? *at : '?';
}

static long status_of(pid_t pid, const char *name, int base)
{
	char path[64], *at;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	contents(path);
	at = strstr(text, name);
	return at ? strtol(at + strlen(name) + 1, NULL, base) : -1;
}

static void handler(int signal)
{
	(void)signal;
}

static void of_itself(char **argv)
{
	long long f[FIELDS + 1], later[FIELDS + 1];
	struct rusage usage;
	int local;

	signal(SIGUSR1, handler);
	signal(SIGUSR2, SIG_IGN);
	ok(stat_of(getpid(), f) == 'R', "who reads, runs");
	ok(f[4] == getppid() && f[5] == getpgrp() && f[6] == getsid(0),
	   "parent, group and session");
	getrusage(RUSAGE_SELF, &usage);
	ok(f[10] > 0 && f[10] <= usage.ru_minflt && f[12] <= usage.ru_majflt, "page faults");
	ok(f[18] == 20 + f[19] && f[19] == getpriority(PRIO_PROCESS, 0), "priority and niceness");
	ok(f[20] == 1 && f[21] == 0, "threads");
	ok(f[23] > 100000 && f[23] > f[24] * 4096, "sizes");
	ok(f[26] <= (long long)(uintptr_t)of_itself && f[27] > (long long)(uintptr_t)of_itself,
	   "code");
	ok(f[28] > (long long)(uintptr_t)&local && f[28] <= (long long)(uintptr_t)argv, "stack");
	ok((f[33] >> (SIGUSR2 - 1) & 1) && (f[34] >> (SIGUSR1 - 1) & 1),
	   "signals ignored and caught");
	ok(f[38] == SIGCHLD && f[40] == 0 && f[41] == SCHED_OTHER, "exit signal and policy");
	ok(f[48] == (long long)(uintptr_t)argv[0] && f[49] > f[48] && f[50] >= f[49] &&
		   f[51] > f[50],
	   "arguments and environment");
	ok(f[45] < f[46] && f[46] <= f[47] + 4096, "data and heap");
	for (volatile unsigned i = 0; i < 60000000; i++)
		;
	stat_of(getpid(), later);
	ok(later[14] + later[15] > f[14] + f[15] && later[22] == f[22],
	   "time grows, the start does not");
	ok(status_of(getpid(), "Umask:", 8) == 022 && status_of(getpid(), "Threads:", 10) == 1 &&
		   status_of(getpid(), "NSpid:", 10) == getpid(),
	   "status");
	ok(strstr(contents("/proc/self/status"), "\nCpus_allowed:\t") &&
		   status_of(getpid(), "Mems_allowed_list:", 10) == 0,
	   "where it may run");
	ok(status_of(getpid(), "voluntary_ctxt_switches:", 10) >= 0, "switches");
	ok(strtoul(contents("/proc/self/personality"), NULL, 16) ==
		   (unsigned)personality(0xffffffff),
	   "personality");
}

static pid_t forked(void (*body)(void))
{
	pid_t child = fork();

	if (child == 0) {
		body();
		_exit(3);
	}
	return child;
}

static void sleeps(void)
{
	pause();
}

static void stops(void)
{
	raise(SIGSTOP);
}

static void ends(void)
{
}

static char wait_for_state(pid_t pid, char wanted, long long *fields)
{
	char state = '?';

	for (int i = 0; i < 2000 && state != wanted; i++) {
		state = stat_of(pid, fields);
		usleep(1000);
	}
	return state;
}

static void of_others(void)
{
	pid_t asleep = forked(sleeps), stopped = forked(stops), zombie = forked(ends);
	long long f[FIELDS + 1];

	setpriority(PRIO_PROCESS, (id_t)asleep, 5);
	ok(wait_for_state(asleep, 'S', f) == 'S' && f[35] != 0, "a sleeper");
	ok(f[18] == 25 && f[19] == 5 && (f[9] & 0x40), "is nice, and has only been forked");
	ok(wait_for_state(stopped, 'T', f) == 'T', "a stopped process");
	ok(wait_for_state(zombie, 'Z', f) == 'Z' && f[23] == 0 && f[24] == 0 && f[52] == 3 << 8,
	   "a zombie has no memory, and an exit status");
	kill(asleep, SIGKILL);
	kill(stopped, SIGKILL);
	while (wait(NULL) > 0)
		;
}

/* /proc/self/io before and after: reading it is a read, too. */
static void io(void)
{
	unsigned long long before[4], after[4];
	const char *format = "rchar: %llu\nwchar: %llu\nsyscr: %llu\nsyscw: %llu\n";
	char buffer[100];
	int ends_[2];
	ssize_t first, got;

	if (pipe(ends_) != 0)
		return;
	contents("/proc/self/io");
	sscanf(text, format, &before[0], &before[1], &before[2], &before[3]);
	first = (ssize_t)strlen(text);
	got = write(ends_[1], buffer, 100);
	got += write(ends_[1], buffer, 11);
	got += read(ends_[0], buffer, 100);
	contents("/proc/self/io");
	sscanf(text, format, &after[0], &after[1], &after[2], &after[3]);
	ok(got == 211 && after[1] - before[1] == 111 && after[3] - before[3] == 2,
	   "what is written");
	ok(after[0] - before[0] == 100 + (unsigned long long)first && after[2] - before[2] == 2,
	   "and what is read, is counted");
	close(ends_[0]);
	close(ends_[1]);
}

static void again(void)
{
	char first[32] = { 0 }, second[32] = { 0 };
	int fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);

	prctl(PR_SET_NAME, "before");
	ok(pread(fd, first, 31, 0) > 0, "a file of /proc is read");
	prctl(PR_SET_NAME, "after");
	ok(read(fd, second, 31) == 6 && strcmp(second, "after\n") == 0,
	   "from its beginning, again");
	prctl(PR_SET_NAME, "procfs_stat");
	ok(lseek(fd, 0, SEEK_SET) == 0 && read(fd, second, 31) == 12 &&
		   strcmp(second, "procfs_stat\n") == 0,
	   "and once more after a seek");
	ok(read(fd, second, 31) == 0, "to its end");
	close(fd);
}

static void the_rest(void)
{
	int previous = 0, count = 0, sorted = 1, fd;
	unsigned long words[128];
	struct dirent *entry;
	struct sysinfo info;
	double load = -1;
	struct stat st;
	ssize_t length;
	char link[64] = { 0 }, wanted[128];
	DIR *dir = opendir("/proc");

	while (dir && (entry = readdir(dir)) != NULL) {
		int number = atoi(entry->d_name);

		if (number == 0)
			continue;
		sorted &= number > previous;
		previous = number;
		count++;
	}
	closedir(dir);
	ok(count > 0 && sorted, "processes are listed by their numbers");

	fd = open("/proc/self/auxv", O_RDONLY | O_CLOEXEC);
	length = read(fd, words, sizeof(words));
	close(fd);
	count = 0;
	for (int i = 0; i < length / 16; i++)
		count += words[2 * i] == AT_ENTRY && words[2 * i + 1] == getauxval(AT_ENTRY);
	ok(count == 1 && words[length / 8 - 2] == AT_NULL, "the auxiliary vector");

	snprintf(wanted, sizeof(wanted), "%d/task/%d", getpid(), getpid());
	ok(readlink("/proc/thread-self", link, sizeof(link) - 1) > 0 && strcmp(link, wanted) == 0,
	   "thread-self");
	sysinfo(&info);
	sscanf(contents("/proc/loadavg"), "%lf", &load);
	ok(load >= 0 && load - (double)info.loads[0] / 65536 < 0.02 &&
		   (double)info.loads[0] / 65536 - load < 0.02,
	   "the load average is sysinfo(2)'s");

	fd = open("/tmp/hawser-lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	fstat(fd, &st);
	ok(flock(fd, LOCK_EX) == 0 &&
		   fcntl(fd, F_SETLK,
			 &(struct flock){ .l_type = F_RDLCK, .l_start = 5, .l_len = 10 }) == 0,
	   "two locks");
	contents("/proc/locks");
	snprintf(wanted, sizeof(wanted), "FLOCK  ADVISORY  WRITE %d ", getpid());
	ok(strstr(text, wanted) != NULL, "are told of: one of all");
	snprintf(wanted, sizeof(wanted), "POSIX  ADVISORY  READ %d ", getpid());
	ok(strstr(text, wanted) != NULL, "and one of a range");
	snprintf(wanted, sizeof(wanted), ":%lu 5 14\n", (unsigned long)st.st_ino);
	ok(strstr(text, wanted) != NULL, "with its bounds");
	close(fd);
	ok(strstr(contents("/proc/locks"), wanted) == NULL, "and gone with the file");
	unlink("/tmp/hawser-lock");
}

static void sockets(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "\0hawser-proc" };
	socklen_t length = offsetof(struct sockaddr_un, sun_path) + sizeof("hawser-proc");
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), pair[2];
	char wanted[64];
	struct stat st;

	fstat(s, &st);
	ok(bind(s, (struct sockaddr *)&name, length) == 0 && listen(s, 1) == 0 &&
		   socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) == 0,
	   "three sockets");
	contents("/proc/net/unix");
	ok(strncmp(text, "Num       RefCount Protocol Flags    Type St Inode Path\n", 56) == 0,
	   "are in a list with a head");
	snprintf(wanted, sizeof(wanted), " 00010000 0001 01 %5lu @hawser-proc\n",
		 (unsigned long)st.st_ino);
	ok(strstr(text, wanted) != NULL, "one listens, and has a name");
	fstat(pair[0], &st);
	snprintf(wanted, sizeof(wanted), " 00000000 0002 03 %5lu\n", (unsigned long)st.st_ino);
	ok(strstr(text, wanted) != NULL, "one is connected");
	close(s);
	close(pair[0]);
	close(pair[1]);
	ok(strstr(contents("/proc/net/unix"), "@hawser-proc") == NULL, "closed, it is gone");
}

/* A child leads a group with a stopped process and ends another one of the group: nobody is orphaned. */
static void of_one_group(void)
{
	int status = 0;
	pid_t leader = fork();

	if (leader == 0) {
		pid_t stopped, other;

		setpgid(0, 0);
		stopped = forked(stops);
		waitpid(stopped, NULL, WUNTRACED);
		other = forked(ends);
		waitpid(other, NULL, 0);
		/* SIGHUP would have come by now. */
		kill(stopped, SIGKILL);
		waitpid(stopped, &status, 0);
		_exit(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 7 : 8);
	}
	waitpid(leader, &status, 0);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 7,
	   "the end of a member orphans no group that its parent is in");
}

int main(int argc __attribute__((unused)), char **argv)
{
	tap_begin(argv);
	umask(022);
	of_itself(argv);
	of_others();
	io();
	again();
	the_rest();
	sockets();
	of_one_group();
	return done();
}
