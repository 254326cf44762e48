/*
 * Threads as POSIX has them, on top of clone(2) and futex(2): made and joined, with memory of their own,
 * ended together, stopped together; fork and exec by one of them. Each test runs in a child, so that a
 * process of many threads ends with each.
 */
#define _GNU_SOURCE
#include "crowd.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define THREADS 64

/* --- many ---------------------------------------------------------------------------------------- */

static __thread int own = 7;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long counter;
static pid_t tids[THREADS];

static void *count(void *argument)
{
	int number = (int)(long)argument;

	own += number;
	tids[number] = tid_here();
	for (int i = 0; i < 50; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		pthread_mutex_unlock(&mutex);
		if (i % 10 == 0)
			sched_yield();
	}
	return own == 7 + number && getpid() != tids[number] ? argument : (void *)-1;
}

static int sixty_four(void)
{
	pthread_t threads[THREADS];
	void *result;

	for (long i = 0; i < THREADS; i++)
		threads[i] = start(count, (void *)i);
	for (long i = 0; i < THREADS; i++) {
		want(pthread_join(threads[i], &result) == 0);
		want(result == (void *)i);
	}
	want(counter == THREADS * 50);
	want(own == 7);
	for (int i = 0; i < THREADS; i++) {
		for (int j = 0; j < i; j++)
			want(tids[i] != tids[j]);
	}
	return 0;
}

static void *nothing(void *argument)
{
	return argument;
}

static int create_and_join(void)
{
	for (long i = 0; i < 1000; i++) {
		void *result;
		pthread_t thread = start(nothing, (void *)i);

		want(pthread_join(thread, &result) == 0 && result == (void *)i);
	}
	return 0;
}

/* --- what they share ------------------------------------------------------------------------------- */

static void *change_everything(void *result)
{
	int fd = open("/dev/null", O_RDONLY);

	if (dup2(fd, 77) != 77 || chdir("/dev") != 0 || close(ends[0]) != 0)
		return (void *)1;
	umask(0123);
	signal(SIGUSR1, SIG_IGN);
	return result;
}

static int shared(void)
{
	char cwd[32];
	struct sigaction action;
	void *result;

	want(pipe(ends) == 0);
	want(pthread_join(start(change_everything, NULL), &result) == 0 && result == NULL);
	want(fcntl(77, F_GETFD) == 0);
	want(fcntl(ends[0], F_GETFD) == -1);
	want(strcmp(getcwd(cwd, sizeof(cwd)), "/dev") == 0);
	want(umask(0) == 0123);
	want(sigaction(SIGUSR1, NULL, &action) == 0 && action.sa_handler == SIG_IGN);
	return 0;
}

static int cpu_times(void)
{
	struct timespec process, thread;
	void *result;

	pthread_join(start(count, NULL), &result);
	want(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &thread) == 0);
	want(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &process) == 0);
	want(process.tv_sec > thread.tv_sec ||
	     (process.tv_sec == thread.tv_sec && process.tv_nsec > thread.tv_nsec));
	return 0;
}

/* --- ends ------------------------------------------------------------------------------------------ */

static int exit_group(void)
{
	int error = start_crowd(8);

	return error != 0 ? error : 5;
}

static void *exit_here(void *unused)
{
	exit(6);
	return unused;
}

static int exit_by_another(void)
{
	int error = start_crowd(8);

	if (error != 0)
		return error;
	start(exit_here, NULL);
	for (;;)
		pause();
}

static int killed(void)
{
	int error = start_crowd(8);

	if (error != 0)
		return error;
	kill(getpid(), SIGKILL);
	return 1;
}

static int killed_by_default(void)
{
	int error = start_crowd(8);

	if (error != 0)
		return error;
	kill(getpid(), SIGTERM);
	for (;;)
		pause();
}

static void *fault(void *address)
{
	*(volatile int *)address = 1;
	return NULL;
}

static int fault_of_one(void)
{
	int error = start_crowd(4);

	if (error != 0)
		return error;
	start(fault, (void *)8);
	for (;;)
		pause();
}

static int recurse(int depth)
{
	volatile char page[4096];

	page[0] = (char)depth;
	return depth > 100000 ? page[0] : recurse(depth + 1) + page[0];
}

static void *overflow(void *depth)
{
	return (void *)(long)recurse((int)(long)depth);
}

static int stack_guard(void)
{
	start(overflow, NULL);
	return pause();
}

/* The leader is gone, but its number is still the process's. */
static void *outlive(void *status)
{
	nap(20);
	if (syscall(SYS_tgkill, getpid(), getpid(), 0) != 0 || kill(getpid(), 0) != 0)
		exit(1);
	exit(getpid() == tid_here() ? 2 : (int)(long)status);
	return NULL;
}

static int leader_first(void)
{
	start(outlive, (void *)9);
	syscall(SYS_exit, 3);
	return 1;
}

/* The last thread to go gives the status (since Linux 5.18). */
static void *linger(void *status)
{
	nap(20);
	syscall(SYS_exit, (int)(long)status);
	return NULL;
}

static int status_of_last(void)
{
	start(linger, (void *)8);
	syscall(SYS_exit, 4);
	return 1;
}

/* --- what one does to the other's memory and descriptors --------------------------------------------- */

#define AREA (1 << 16)

static char *area;
static atomic_int done_racing, copied, refused;

/* Has the kernel copy to and from memory that may be going away. */
static void *copy(void *unused)
{
	int zero = open("/dev/zero", O_RDONLY);

	while (!done_racing) {
		ssize_t got = read(zero, area, AREA);

		copied += got > 0;
		refused += got < 0 && errno == EFAULT;
		if (got < 0 && errno != EFAULT)
			return (void *)1;
		if (write(ends[1], area + AREA / 2, 16) < 0 && errno != EFAULT && errno != EAGAIN)
			return (void *)2;
		sched_yield();
	}
	close(zero);
	return unused;
}

static int unmap_under_copy(void)
{
	pthread_t threads[2];
	void *result;

	area = mmap(NULL, AREA, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	want(area != MAP_FAILED && pipe(ends) == 0);
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 2; i++)
		threads[i] = start(copy, NULL);
	for (int i = 0; i < 200 || (i < 20000 && (copied == 0 || refused == 0)); i++) {
		mmap(area, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		     -1, 0);
		sched_yield();
		munmap(area + AREA / 4, AREA / 4);
		mprotect(area, 8192, PROT_READ);
		sched_yield();
		munmap(area, AREA);
		sched_yield();
	}
	done_racing = 1;
	for (int i = 0; i < 2; i++)
		want(pthread_join(threads[i], &result) == 0 && result == NULL);
	want(copied > 0 && refused > 0);
	return 0;
}

static void *use_descriptor(void *unused)
{
	char byte;

	while (!done_racing) {
		if (read(50, &byte, 1) < 0 && errno != EBADF && errno != EAGAIN)
			return (void *)1;
		sched_yield();
	}
	return unused;
}

/* A read that waits goes on with the file that it began with. */
static void *read_closed(void *unused)
{
	char byte = 0;

	stage = 1;
	return read(ends[0], &byte, 1) == 1 && byte == 'x' ? unused : (void *)1;
}

static int close_under_use(void)
{
	pthread_t thread, user;
	void *result;

	want(pipe(ends) == 0);
	user = start(use_descriptor, NULL);
	for (int i = 0; i < 200; i++) {
		int fd = open(i % 2 ? "/dev/zero" : "/dev/null", O_RDONLY);

		want(dup2(fd, 50) == 50);
		close(fd);
		sched_yield();
		close(50);
	}
	done_racing = 1;
	want(pthread_join(user, &result) == 0 && result == NULL);
	thread = start(read_closed, NULL);
	want(soon(stage == 1));
	nap(2);
	close(ends[0]);
	want(write(ends[1], "x", 1) == 1);
	want(pthread_join(thread, &result) == 0 && result == NULL);
	return 0;
}

/* --- /proc/PID/task ------------------------------------------------------------------------------------- */

static atomic_int named;

static void *have_a_name(void *name)
{
	prctl(PR_SET_NAME, name);
	named = tid_here();
	while (named != 0)
		nap(1);
	return NULL;
}

static long field_of(const char *path, const char *name)
{
	FILE *file = fopen(path, "r");
	char line[256];
	long value = -1;

	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, name, strlen(name)) == 0)
			value = atol(line + strlen(name));
	}
	if (file)
		fclose(file);
	return value;
}

static int count_tasks(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	int count = 0;

	while (dir && (entry = readdir(dir)))
		count += entry->d_name[0] != '.' && entry->d_type == DT_DIR;
	if (dir)
		closedir(dir);
	return count;
}

static bool comm_is(const char *path, const char *name)
{
	char line[32] = "";
	FILE *file = fopen(path, "r");

	if (!file)
		return false;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	return strcmp(line, name) == 0;
}

static int tasks_in_proc(void)
{
	pthread_t thread = start(have_a_name, "walter");
	char path[64], status[80];
	FILE *file;
	int fields = 0, pid = 0;

	want(soon(named != 0));
	want(count_tasks() == 2);
	snprintf(status, sizeof(status), "/proc/self/task/%d/status", named);
	want(field_of("/proc/self/status", "Threads:") == 2);
	want(field_of(status, "Pid:") == named);
	want(field_of(status, "Tgid:") == getpid());
	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", named);
	want(comm_is(path, "walter\n"));
	file = fopen(path, "w");
	want(file && fputs("sixteen characters", file) >= 0 && fclose(file) == 0);
	want(comm_is(path, "sixteen charact\n"));
	want(!comm_is("/proc/self/comm", "sixteen charact\n"));
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", named);
	file = fopen(path, "r");
	want(file && (fields = fscanf(file, "%d (sixteen charact) %*c %*d", &pid)) == 1);
	fclose(file);
	want(pid == named);
	want(open("/proc/self/task/999999/stat", O_RDONLY) == -1 && errno == ENOENT);
	named = 0;
	pthread_join(thread, NULL);
	want(soon(count_tasks() == 1));
	want(access(path, F_OK) == -1 && errno == ENOENT);
	return 0;
}

/* --- clone(2) itself ------------------------------------------------------------------------------------- */

static void test_clone(void)
{
	fails(syscall(SYS_clone, CLONE_THREAD, NULL, NULL, NULL, 0), EINVAL,
	      "a thread has to share handlers");
	fails(syscall(SYS_clone, CLONE_THREAD | CLONE_SIGHAND, NULL, NULL, NULL, 0), EINVAL,
	      "who shares handlers has to share memory");
	fails(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, NULL, NULL, NULL, 0), EINVAL,
	      "also in another process");
}

static char child_stack[65536] __attribute__((aligned(16)));

static int handlers_child(void *status)
{
	signal(SIGUSR2, SIG_IGN);
	return (int)(long)status;
}

/* CLONE_SIGHAND without CLONE_THREAD: two processes with one table of handlers. */
static int shared_handlers(void)
{
	struct sigaction action;
	int status;
	pid_t child = clone(handlers_child, child_stack + sizeof(child_stack),
			    CLONE_VM | CLONE_SIGHAND | SIGCHLD, (void *)3);

	want(child > 0 && waitpid(child, &status, 0) == child);
	want(WEXITSTATUS(status) == 3);
	want(sigaction(SIGUSR2, NULL, &action) == 0 && action.sa_handler == SIG_IGN);
	return 0;
}

static int census_keeps(long before)
{
	for (int i = 0; i < 200; i++) {
		if (tap_proc_number("/proc/census", "nr_free_frames") == before)
			return 1;
		nap(5);
	}
	printf("# %ld frames before, %ld after\n", before,
	       tap_proc_number("/proc/census", "nr_free_frames"));
	return 0;
}

static void test_census(void)
{
	long before;

	/* The first round finds the size of caches, and reading takes a buffer. */
	in_child(create_and_join);
	tap_proc_number("/proc/census", "nr_free_frames");
	before = tap_proc_number("/proc/census", "nr_free_frames");
	ok(in_child(create_and_join) == 0, "a thousand threads, one after the other");
	if (before >= 0)
		ok(census_keeps(before), "they have taken no frame with them");
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	ok(in_child(sixty_four) == 0, "64 threads, a mutex, memory of their own, their numbers");
	test_census();
	ok(in_child(shared) == 0, "descriptors, directory, umask and handlers are shared");
	ok(in_child(cpu_times) == 0, "a process's time is that of all its threads");
	ok(in_child(exit_group) == 5, "with main(), all threads end");
	ok(in_child(exit_by_another) == 6, "exit(3) by another thread ends them, too");
	ok(in_child(killed) == 1000 + SIGKILL, "SIGKILL ends them");
	ok(in_child(killed_by_default) == 1000 + SIGTERM, "and so does what nobody handles");
	ok(in_child(fault_of_one) == 1000 + SIGSEGV, "and the fault of one of them");
	ok(in_child(stack_guard) == 1000 + SIGSEGV, "a thread's stack ends in a guard page");
	ok(in_child(leader_first) == 9,
	   "a process outlives its first thread, and keeps its number");
	ok(in_child(status_of_last) == 8, "the last thread to end gives the status");
	ok(in_child(unmap_under_copy) == 0, "memory may go away while the kernel copies: EFAULT");
	ok(in_child(close_under_use) == 0, "descriptors may be closed while they are used");
	ok(in_child(tasks_in_proc) == 0, "/proc/PID/task tells of each thread");
	test_clone();
	ok(in_child(shared_handlers) == 0, "processes may share handlers");
	return done();
}
