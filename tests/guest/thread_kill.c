/*
 * Processes of many threads, killed at random moments, in whatever they were doing: waiting in futexes,
 * pipes and for children, mapping memory, making threads, forking, executing. On Hawser every frame comes
 * back.
 *
 *	thread_kill [SEED [ROUNDS]]
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define THREADS 6
#define WARM_UP 10

static char *self;
static uint32_t state;

/* xorshift: the same on every machine. */
static uint32_t next_random(uint32_t *from)
{
	*from ^= *from << 13;
	*from ^= *from >> 17;
	*from ^= *from << 5;
	return *from;
}

static void nap_us(long us)
{
	struct timespec time = { 0, us * 1000 };

	nanosleep(&time, NULL);
}

/* --- what a thread may be doing ------------------------------------------------------------------------- */

static uint32_t word;
static int ends[2];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *nothing(void *argument)
{
	return argument;
}

static void wait_in_futex(void)
{
	syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void read_pipe(void)
{
	char byte;

	if (read(ends[0], &byte, 1) != 1)
		sched_yield();
}

static void fill_pipe(void)
{
	static char bytes[20000];

	if (write(ends[1], bytes, sizeof(bytes)) < 0)
		sched_yield();
}

static void map_memory(void)
{
	char *memory =
		mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return;
	memset(memory, 1, 1 << 16);
	munmap(memory + 4096, 8192);
	munmap(memory, 1 << 16);
}

static void make_thread(void)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 16384);
	if (pthread_create(&thread, &attributes, nothing, NULL) == 0)
		pthread_join(thread, NULL);
	pthread_attr_destroy(&attributes);
}

static void fork_and_wait(void)
{
	pid_t child = fork();

	if (child == 0) {
		nap_us(200);
		_exit(0);
	}
	if (child > 0)
		waitpid(child, NULL, 0);
}

static void vfork_and_exec(void)
{
	pid_t child = vfork();

	if (child == 0) {
		execl(self, self, "exit", NULL);
		_exit(127);
	}
	if (child > 0)
		waitpid(child, NULL, 0);
}

static void open_and_poll(void)
{
	struct pollfd entry = { .events = POLLIN };
	int fd = open("/dev/zero", O_RDONLY);

	entry.fd = ends[0];
	poll(&entry, 1, 1);
	close(fd);
}

static void lock_and_nap(void)
{
	pthread_mutex_lock(&mutex);
	nap_us(100);
	pthread_mutex_unlock(&mutex);
}

static void yield(void)
{
	sched_yield();
}

/* A lock whose owner the kernel knows, and may see end. */
static void lock_for_owner(void)
{
	static uint32_t owned;

	if (syscall(SYS_futex, &owned, FUTEX_LOCK_PI, 0, NULL, NULL, 0) != 0)
		return;
	nap_us(100);
	syscall(SYS_futex, &owned, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
}

static void requeue(void)
{
	static uint32_t other;

	syscall(SYS_futex, &word, FUTEX_REQUEUE, 1, 2, &other, 0);
	syscall(SYS_futex, &other, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void wait_for_signals(void)
{
	struct timespec time = { 0, 500000 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1);
	sigtimedwait(&set, NULL, &time);
}

static void exec_away(void)
{
	nap_us(3000);
	execl(self, self, "sleep", NULL);
}

static void (*const deeds[])(void) = {
	wait_in_futex,  read_pipe,     fill_pipe,        map_memory,   make_thread,
	fork_and_wait,  open_and_poll, vfork_and_exec,   lock_and_nap, yield,
	lock_for_owner, requeue,       wait_for_signals, exec_away,
};
#define DEEDS (sizeof(deeds) / sizeof(deeds[0]))

static void *act(void *seed)
{
	uint32_t own = (uint32_t)(uintptr_t)seed;

	for (;;)
		deeds[next_random(&own) % DEEDS]();
	return NULL;
}

static void live(uint32_t seed)
{
	pthread_attr_t attributes;
	pthread_t thread;

	if (pipe(ends) != 0)
		_exit(1);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 32768);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&thread, &attributes, act,
			       (void *)(uintptr_t)(next_random(&seed) | 1));
	act((void *)(uintptr_t)(next_random(&seed) | 1));
}

/* --- and its end -------------------------------------------------------------------------------------------- */

/* True if the child has ended, by a signal or as it wished, and nobody of its group is left. */
static bool kill_one(void)
{
	uint32_t seed = next_random(&state);
	pid_t child;
	int status = 0;
	bool good;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		setpgid(0, 0);
		live(seed);
		_exit(1);
	}
	setpgid(child, child);
	nap_us(next_random(&state) % 5000);
	switch (next_random(&state) % 4) {
	case 0:
		kill(child, SIGSTOP);
		nap_us(next_random(&state) % 1000);
		break;
	case 1:
		kill(child, SIGTERM);
		break;
	default:
		break;
	}
	kill(child, SIGKILL);
	good = waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
	       (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM);
	if (!good)
		printf("# status %#x\n", status);
	/* Those that it had made are ours now. */
	kill(-child, SIGKILL);
	while (waitpid(-child, NULL, 0) > 0)
		;
	return good && kill(-child, 0) == -1 && errno == ESRCH;
}

static long free_frames(void)
{
	return tap_proc_number("/proc/census", "nr_free_frames");
}

static bool comes_back(long before)
{
	for (int i = 0; i < 100; i++) {
		if (free_frames() == before)
			return true;
		nap_us(5000);
	}
	printf("# %ld frames before, %ld after\n", before, free_frames());
	return false;
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[2]) : 60;
	long before;
	int good = 0;

	self = argv[0];
	if (argc > 1 && strcmp(argv[1], "exit") == 0)
		return 0;
	if (argc > 1 && strcmp(argv[1], "sleep") == 0)
		return pause();
	tap_begin(argv);
	state = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 0) | 1 : 20061;
	printf("# seed %u\n", state);
	ok(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0, "orphans come to us");
	for (int i = 0; i < WARM_UP; i++)
		kill_one();
	free_frames();
	before = free_frames();
	for (int i = 0; i < rounds; i++)
		good += kill_one();
	ok(good == rounds, "processes of many threads, killed at any moment, are gone (%d of %d)",
	   good, rounds);
	if (before >= 0)
		ok(comes_back(before), "and have left no frame behind");
	prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
	return done();
}
