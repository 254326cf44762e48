/*
 * Random calls of the whole table, from several processes at once, for as long as it is told: afterwards
 * the kernel is alive, and no frame is missing.
 *
 *	fuzz [CALLS [SEED [WORKERS]]]		as the first process of a machine that is nobody's
 *
 * The supervisor starts workers, each in a session and a directory of its own, and counts what they do in
 * memory that they share. A worker may do anything to itself: give its memory away, block its signals,
 * wait for ever, replace or end itself. One that ends is replaced; one that makes no progress is killed
 * first. What could end the machine, or take from the supervisor what it needs, is left out by argument
 * and not by call: pid 1, every process (-1), the way to /proc. At the end everybody is killed, every
 * file removed, and the census compared with that before, which was taken after a first short run.
 */
#define _GNU_SOURCE
#include "../fuzzing.h"
#include "fuzz_calls.h"

#include <linux/time_types.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#define CALLS_DEFAULT   200000
#define WORKERS_DEFAULT 4
#define WORKERS_MAX     16
#define WARM_UP         10000 /* calls before the first census */
#define LIFE            4000  /* calls of one worker */
#define STUCK_ROUNDS    20    /* looks without progress, then it is killed */
#define LOOK_NS         10000000
#define SLAB_SLACK      4 /* frames */
#define SHARED_AT       0x200000000000
#define SCRATCH         "/tmp/fuzz"
#define TABLE_END       470 /* numbers of calls are below this */
#define PAGE            4096
#define BUFFER_SIZE     (32 * 1024)
#define ARENA_SIZE      (1 << 20)
#define VECTORS         8
#define FILE_MAX        (256 * 1024)

static struct shared {
	_Atomic unsigned long calls;
	_Atomic unsigned long progress[WORKERS_MAX];
	_Atomic long last_call[WORKERS_MAX];
	_Atomic bool bad_space;
} * shared;

static unsigned char *buffer; /* BUFFER_SIZE bytes, then a page without any right */
static unsigned char *arena;
static unsigned total_weight;
static bool hawser;
static pid_t friends[2]; /* whom this worker may signal, besides itself */

/* --- arguments ---------------------------------------------------------------------------------------- */

static uint64_t any_pointer(void)
{
	switch (below(10)) {
	case 0:
		return any_edge();
	case 1:
		return (uintptr_t)buffer + BUFFER_SIZE - below(64);
	case 2:
		return (uintptr_t)arena + below(ARENA_SIZE);
	case 3:
		return (uintptr_t)buffer + PAGE * below(BUFFER_SIZE / PAGE) + PAGE - below(32);
	default:
		return (uintptr_t)buffer + 8 * below(BUFFER_SIZE / 16);
	}
}

/* Words that mean something to many calls: descriptors, small numbers, addresses, sizes. */
static uint64_t any_words(void)
{
	uint64_t *at = (uint64_t *)(buffer + 8 * below(64));

	if (below(8) == 0)
		return any_pointer();
	for (unsigned i = 0; i < 16; i++) {
		switch (below(6)) {
		case 0:
			at[i] = any_number();
			break;
		case 1:
			at[i] = any_pointer();
			break;
		case 2:
			at[i] = (3 + below(12)) | below(2) << 32;
			break;
		case 3:
			at[i] = below(16) | (below(64) << 32);
			break;
		default:
			at[i] = below(3);
		}
	}
	return (uintptr_t)at;
}

static uint64_t any_path(const char *const *from, size_t count)
{
	static char longest[PATH_MAX + 2];

	switch (below(24)) {
	case 0:
		memset(longest, 'n', NAME_MAX + below(2));
		longest[NAME_MAX + 1] = '\0';
		return (uintptr_t)longest;
	case 1:
		memset(longest, 'p', PATH_MAX + 1);
		return (uintptr_t)longest;
	case 2:
		return any_pointer();
	default:
		return (uintptr_t)from[below(count)];
	}
}

static uint64_t any_fd(void)
{
	static const int odd[] = { -1, -2, 1000, 1 << 20, INT_MAX, INT_MIN };

	return below(16) == 0 ? (uint64_t)PICK(odd) : 3 + below(below(4) ? 8 : 30);
}

static uint64_t any_length(void)
{
	switch (below(8)) {
	case 0:
		return 0;
	case 1:
		return any_number();
	case 2:
		return below(32);
	default:
		return below(BUFFER_SIZE / 2);
	}
}

static uint64_t any_open_flags(void)
{
	static const int some[] = { O_CREAT,   O_CREAT | O_TRUNC, O_TRUNC,    O_EXCL | O_CREAT,
				    O_APPEND,  O_DIRECTORY,       O_NOFOLLOW, O_PATH,
				    O_CLOEXEC, O_NONBLOCK,        O_TMPFILE,  O_DIRECT };
	uint64_t flags = below(3);

	for (unsigned n = below(4); n > 0; n--)
		flags |= PICK(some);
	return below(64) ? flags : flags ^ 1u << below(31);
}

static uint64_t any_vectors(void)
{
	struct iovec *vectors = (struct iovec *)(buffer + 16 * below(64));

	for (unsigned i = 0; i < VECTORS; i++)
		vectors[i] = (struct iovec){ (void *)any_pointer(), any_length() };
	return below(16) ? (uintptr_t)vectors : any_pointer();
}

/* At most a few milliseconds, or none, or nonsense. */
static uint64_t any_time(bool two)
{
	static const long odd[] = { UTIME_NOW, UTIME_OMIT, 0, 999999999, 1000000000, -1, LONG_MIN };
	struct __kernel_timespec *times = (void *)(buffer + 16 * below(64));

	if (below(12) == 0)
		return below(2) ? 0 : any_pointer();
	for (unsigned i = 0; i < 2; i++)
		times[i] =
			(struct __kernel_timespec){ two && below(3) == 0 ? (long long)any_number()
									 : 0,
						    below(8) ? (long)below(2000000) : PICK(odd) };
	return (uintptr_t)times;
}

static uint64_t any_socket_address(void)
{
	struct sockaddr_un *address = (void *)(buffer + 16 * below(64));

	memset(address, 0, sizeof(*address));
	address->sun_family = below(8) ? AF_UNIX : (sa_family_t)below(20);
	strcpy(address->sun_path + below(2), PICK(paths));
	return (uintptr_t)address;
}

/* Never pid 1, nor all there are. */
static uint64_t any_pid(void)
{
	switch (below(4)) {
	case 0:
		return (uint64_t)friends[below(2)];
	case 1:
		return 0;
	case 2:
		return 100000 + below(100000);
	default:
		return (uint64_t)syscall(SYS_getpid);
	}
}

static uint64_t argument(char kind)
{
	static const uint64_t advice[] = { MADV_NORMAL,
					   MADV_DONTNEED,
					   MADV_WILLNEED,
					   MADV_FREE,
					   MADV_DONTDUMP,
					   MADV_DONTFORK,
					   MADV_WIPEONFORK,
					   14,
					   15,
					   MADV_REMOVE,
					   21,
					   22,
					   999 };
	static const uint64_t map_flags[] = { 0x22,   0x21,   0x02,    0x01, 0x122,
					      0x4022, 0x8022, 0x20022, 0x03, 0x100022 };
	static const int signals[] = { 0,       SIGUSR1, SIGCHLD, SIGALRM, SIGWINCH,
				       SIGCONT, SIGTERM, 34,      64,      65,
				       -1,      SIGSEGV, SIGSTOP, SIGTSTP, SIGURG };

	switch (kind) {
	case 'f':
		return any_fd();
	case 'D':
		return below(3) ? (uint64_t)AT_FDCWD : any_fd();
	case 'p':
		return any_path(paths, sizeof(paths) / sizeof(paths[0]));
	case 'n':
		return below(2) ? any_path(paths, sizeof(paths) / sizeof(paths[0]))
				: any_path(places, sizeof(places) / sizeof(places[0]));
	case 'b':
		return any_pointer();
	case 'w':
		return any_words();
	case 'v':
		return any_vectors();
	case 'l':
		return any_length();
	case 'c':
		return below(16) ? below(VECTORS + 1) : any_number();
	case 'a':
		return (uintptr_t)arena + PAGE * below(ARENA_SIZE / PAGE) +
		       (below(16) ? 0 : below(PAGE));
	case 'A':
		return below(16) ? PAGE * below(ARENA_SIZE / PAGE / (1 + below(16))) + below(2)
				 : any_number();
	case 'i':
		return below(8) ? below(16) : any_number();
	case '1':
		return 1;
	case 's':
		return below(8) ? below(FILE_MAX) : any_number();
	case 't':
		return any_time(false);
	case 'T':
		return any_time(true);
	case 'o':
		return any_open_flags();
	case 'm':
		return below(8) ? 0700 | below(01000) |
					  PICK(((const int[]){ 0, 0, S_IFIFO, S_IFREG, S_IFSOCK }))
				: next();
	case 'r':
		return below(16) ? below(8) : any_number();
	case 'g':
		return PICK(map_flags) | (below(4) ? MAP_FIXED : 0);
	case 'G':
		return PICK(advice);
	case 'P':
		return any_pid();
	case 'S':
		return (uint64_t)PICK(signals);
	case 'z':
		return below(8) ? 8 : any_number();
	case 'k':
		return SIGCHLD | (below(3) ? 0 : any_number() & 0x2f00);
	case 'K':
		return any_socket_address();
	case 'F':
		return below(13) | (below(2) ? 128 : 0);
	case 'R':
		return below(17);
	case 'L':
		return any_words();
	case 'M':
		return below(1000);
	case '0':
		return 0;
	default:
		return below(2) ? any_pointer() : any_number();
	}
}

/* --- a worker ----------------------------------------------------------------------------------------- */

/* A child of a call does a little and ends; its parent reaps it some time, or the supervisor does. */
static void child_of_worker(void)
{
	state = next() ^ (uint64_t)syscall(SYS_getpid) * UINT64_C(0x9e3779b97f4a7c15);
	for (unsigned i = 0; i < 4; i++) {
		static volatile char *touched;

		touched = (volatile char *)buffer + below(BUFFER_SIZE);
		*touched = 1;
		syscall(SYS_close, any_fd());
	}
	syscall(SYS_exit_group, 0);
}

/* What the table's weights pick. */
static const struct known *any_known(void)
{
	unsigned at = (unsigned)below(total_weight);
	const struct known *call = known;

	while (at >= call->weight)
		at -= (call++)->weight;
	return call;
}

static void call_one(unsigned slot)
{
	uint64_t a[6] = { 0 };
	long number, result;

	if (below(32) == 0) {
		/* A number that nobody knows, or one that is known with arguments of no kind. */
		number = below(2) ? (long)(TABLE_END + below(UINT32_MAX)) : (long)any_number();
		if ((uint32_t)number < TABLE_END)
			number |= 0x1000;
	} else {
		const struct known *call = any_known();

		/* These end most lives. */
		while ((call->number == __NR_rt_sigreturn || call->number == __NR_exit ||
			call->number == __NR_exit_group || call->number == __NR_execve ||
			call->number == __NR_vhangup) &&
		       below(16) != 0)
			call = any_known();
		number = call->number;
		for (unsigned i = 0; call->arguments[i]; i++)
			a[i] = argument(call->arguments[i]);
	}
	atomic_store(&shared->last_call[slot], number);
	if (number == SYS_clone3) {
		struct clone_args {
			uint64_t flags, pidfd, child, parent, signal, stack, size, tls;
		} *request = (void *)a[0];

		if ((unsigned char *)request < buffer ||
		    (unsigned char *)request > buffer + BUFFER_SIZE - 1024)
			return;
		*request = (struct clone_args){ .flags = any_number() & 0x2f00 };
		request->signal = SIGCHLD;
		a[1] = 64;
	}
	result = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (result == 0 && (number == SYS_fork || number == SYS_clone || number == SYS_clone3))
		child_of_worker();
	if (result > 0 && (number == SYS_fork || number == SYS_clone || number == SYS_clone3))
		friends[1] = (pid_t)result;
}

static void on_alarm(int signal)
{
	(void)signal;
}

/* A call that waits is cut short by a timer, as long as the worker has not lost that. */
static void begin_life(unsigned slot, uint64_t seed)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval soon = { { 0, 2000 }, { 0, 2000 } };
	char directory[64];
	int *ends = (int *)buffer;

	state = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ slot;
	next();
	setsid();
	snprintf(directory, sizeof(directory), SCRATCH "/%u", slot);
	mkdir(directory, 0700);
	if (chdir(directory) != 0)
		_exit(1);
	friends[0] = friends[1] = getpid();
	for (int signal = 1; signal < 64; signal++)
		if (signal != SIGKILL && signal != SIGSTOP && signal != SIGSEGV &&
		    signal != SIGBUS && signal != SIGFPE && signal != SIGILL)
			sigaction(signal, &action, NULL);
	setrlimit(RLIMIT_NPROC, &(struct rlimit){ 64, 64 });
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 64, 64 });
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 1 << 20, 1 << 20 });
	buffer = mmap(NULL, BUFFER_SIZE + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	mprotect(buffer + BUFFER_SIZE, PAGE, PROT_NONE);
	arena = mmap(NULL, ARENA_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ends = (int *)buffer;
	syscall(SYS_pipe2, ends, O_NONBLOCK);
	socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
	open("a", O_RDWR | O_CREAT, 0600);
	open("b", O_RDWR | O_CREAT, 0600);
	setitimer(ITIMER_REAL, &soon, NULL);
}

static void worker(unsigned slot, uint64_t seed)
{
	begin_life(slot, seed);
	for (unsigned i = 0; i < LIFE; i++) {
		call_one(slot);
		atomic_fetch_add(&shared->calls, 1);
		atomic_fetch_add(&shared->progress[slot], 1);
	}
	if (hawser && tap_proc_number("/proc/census", "space_check") == 0)
		shared->bad_space = true;
	_exit(0);
}

/* --- the supervisor ----------------------------------------------------------------------------------- */

static struct slot {
	pid_t pid;
	unsigned long progress;
	unsigned rounds; /* without progress */
} slots[WORKERS_MAX];

static unsigned long started, killed;

static void start(unsigned slot, uint64_t seed)
{
	slots[slot] = (struct slot){ 0 };
	shared->progress[slot] = 0;
	slots[slot].pid = fork();
	if (slots[slot].pid == 0)
		worker(slot, seed);
	/* What the others do may leave no memory for one more: the next look tries again. */
	if (slots[slot].pid < 0)
		slots[slot].pid = 0;
	else
		started++;
}

/* The dead are buried, whoever they were; whose worker it was starts a new one. */
static void bury(void)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		for (unsigned i = 0; i < WORKERS_MAX; i++)
			if (slots[i].pid == pid)
				slots[i].pid = 0;
	}
}

static void look_after(unsigned slot)
{
	unsigned long progress = atomic_load(&shared->progress[slot]);

	if (progress != slots[slot].progress) {
		slots[slot].progress = progress;
		slots[slot].rounds = 0;
	} else if (++slots[slot].rounds == STUCK_ROUNDS) {
		kill(slots[slot].pid, SIGKILL);
		killed++;
	} else if (slots[slot].rounds == 100 * STUCK_ROUNDS) {
		printf("# worker %u does not die: its last call is %ld\n", slot,
		       (long)atomic_load(&shared->last_call[slot]));
	}
}

static void bury_everybody(void)
{
	int64_t patience = 3000;

	/* Sessions of workers, and what their children have made of themselves. */
	while (patience-- > 0) {
		kill(-1, SIGKILL);
		bury();
		if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
			return;
		nanosleep(&(struct timespec){ .tv_nsec = LOOK_NS }, NULL);
	}
	ok(false, "every process dies");
}

/* What System V's calls have made stays until it is removed. */
static void remove_ipc(void)
{
	struct shmid_ds segment;
	struct msqid_ds queue;
	struct semid_ds set;
	int i;

	for (i = shmctl(0, SHM_INFO, &segment); i >= 0; i--)
		shmctl(shmctl(i, SHM_STAT, &segment), IPC_RMID, NULL);
	for (i = msgctl(0, MSG_INFO, &queue); i >= 0; i--)
		msgctl(msgctl(i, MSG_STAT, &queue), IPC_RMID, NULL);
	for (i = semctl(0, 0, SEM_INFO, &set); i >= 0; i--)
		semctl(semctl(i, 0, SEM_STAT, &set), 0, IPC_RMID);
}

static void run(unsigned long calls, uint64_t seed, unsigned workers)
{
	pid_t remover;
	int status;

	atomic_store(&shared->calls, 0);
	mkdir(SCRATCH, 0777);
	while (atomic_load(&shared->calls) < calls) {
		for (unsigned i = 0; i < workers; i++) {
			if (slots[i].pid == 0)
				start(i, seed * 1000003 + started);
			else
				look_after(i);
		}
		nanosleep(&(struct timespec){ .tv_nsec = LOOK_NS }, NULL);
		bury();
	}
	bury_everybody();
	/* In a process of its own: the stack that this takes must not count. */
	remover = fork();
	if (remover == 0) {
		remove_ipc();
		_exit(!remove_all(SCRATCH));
	}
	ok(waitpid(remover, &status, 0) == remover && status == 0, "every file is removed");
}

/* Every line of the census, to be compared with. */
static void print_changes(const char *before, const char *after)
{
	for (const char *line = after; *line; line = strchr(line, '\n') + 1) {
		size_t length = (size_t)(strchr(line, '\n') - line);

		if (!memmem(before, strlen(before), line, length + 1))
			printf("# %.*s\n", (int)length, line);
	}
}

static void read_census(char *out, size_t size)
{
	int fd = open("/proc/census", O_RDONLY);
	size_t length = 0;
	ssize_t got;

	while (length + 1 < size && (got = read(fd, out + length, size - 1 - length)) > 0)
		length += (size_t)got;
	out[length] = '\0';
	close(fd);
}

static long line_of(const char *census, const char *name)
{
	const char *line = strstr(census, name);

	return line ? atol(line + strlen(name)) : -1;
}

static long change_of(const char *before, const char *after, const char *name)
{
	return line_of(after, name) - line_of(before, name);
}

/*
 * Every kind of frame is as often there as before, but for a few slabs: what is in use in them is the
 * same, and may lie in others; and for the tables that map kernel stacks, which are as many as the most
 * stacks at once have needed.
 */
static bool is_same_census(const char *before, const char *after)
{
	long slabs = change_of(before, after, "nr_kind_slab ");
	long tables = change_of(before, after, "nr_kernel_map_tables ");

	return -change_of(before, after, "nr_free_frames ") == slabs + tables &&
	       change_of(before, after, "nr_kind_ptable ") == tables && slabs <= SLAB_SLACK;
}

int main(int argc, char **argv)
{
	unsigned long calls = argc > 1 ? strtoul(argv[1], NULL, 0) : CALLS_DEFAULT;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	unsigned workers = argc > 3 ? (unsigned)atoi(argv[3]) : WORKERS_DEFAULT;
	static char census[2][16 * 1024];

	tap_begin(argv);
	hawser = on_hawser();
	if (getpid() != 1 || !hawser) {
		printf("# this is for a machine of its own\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		total_weight += known[i].weight;
	/* Far from all that a worker gives addresses and lengths of. */
	shared = mmap((void *)SHARED_AT, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(census, 1, sizeof(census)); /* our own memory does not grow in between */
	run(calls < WARM_UP ? calls : WARM_UP, seed + 1, workers);
	read_census(census[0], sizeof(census[0]));
	run(calls, seed, workers);
	read_census(census[1], sizeof(census[1]));
	ok(true, "%lu calls, seed %lu, by %lu processes, of which %lu had to be killed",
	   atomic_load(&shared->calls), (unsigned long)seed, started, killed);
	ok(!shared->bad_space, "no worker's address space was broken");
	if (!ok(is_same_census(census[0], census[1]),
		"the census is what it was: no frame is lost")) {
		printf("# before:\n");
		print_changes(census[1], census[0]);
		printf("# after:\n");
		print_changes(census[0], census[1]);
	}
	return done();
}
