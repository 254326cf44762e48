/*
 * Memory that runs out, on a machine that is small enough for it: who is ended, who is not, and that nothing
 * is lost by it. What it prints is TAP; the names of those that the kernel ends are in its log.
 *
 *	oom [hog]		hog: takes all there is, and nothing else
 */
#define _GNU_SOURCE
#include "../tap.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define PAGE   4096L
#define MIB    (1L << 20)
#define TABLE  (2 * MIB) /* what one page table serves */
#define ROUNDS 20

static void adjust(const char *value)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY);

	if (fd < 0 || write(fd, value, strlen(value)) != (ssize_t)strlen(value))
		ok(false, "oom_score_adj is written");
	close(fd);
}

static long number_of(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY);
	ssize_t got = read(fd, text, sizeof(text) - 1);

	close(fd);
	return got > 0 ? atol(text) : -1;
}

static char *reserve(long bytes)
{
	return mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

/* Takes all there is, and then some. */
static void hog(void)
{
	char *memory = reserve(1L << 40);

	for (long i = 0;; i++)
		memory[i * PAGE] = 1;
}

static bool is_killed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static int wait_for(pid_t child)
{
	int status = -1;

	waitpid(child, &status, 0);
	return status;
}

static void a_hog_is_ended(void)
{
	pid_t child = fork();

	if (child == 0)
		hog();
	ok(is_killed(wait_for(child)), "a child that takes all memory is killed; its parent lives");
}

/* Of a hog and one that asks to be the first, that one goes first; and one that asks not to be stays. */
static void adjustments_are_heeded(void)
{
	pid_t first, never, child;
	int ready[2], status;
	char byte;

	if (pipe(ready) != 0)
		ok(false, "a pipe");
	first = fork();
	if (first == 0) {
		adjust("1000");
		(void)!write(ready[1], "x", 1);
		for (;;)
			pause();
	}
	never = fork();
	if (never == 0) {
		char *memory = reserve(4 * MIB);

		adjust("-1000\n");
		memset(memory, 1, 4 * MIB);
		(void)!write(ready[1], "x", 1);
		for (;;)
			pause();
	}
	ok(read(ready[0], &byte, 1) == 1 && read(ready[0], &byte, 1) == 1, "two children adjust");
	child = fork();
	if (child == 0)
		hog();
	ok(is_killed(wait_for(first)), "the one that asks for it goes, small as it is");
	ok(is_killed(wait_for(child)), "then the hog");
	ok(waitpid(never, &status, WNOHANG) == 0, "not the one that is never to go");
	kill(never, SIGTERM);
	wait_for(never);
	close(ready[0]);
	close(ready[1]);
}

static void scores_are_told(void)
{
	char path[64], *memory = reserve(4 * MIB);
	long before;
	pid_t child = fork();

	if (child == 0) {
		before = number_of("/proc/self/oom_score");
		memset(memory, 1, 4 * MIB);
		if (number_of("/proc/self/oom_score") <= before)
			_exit(1);
		adjust("500");
		if (number_of("/proc/self/oom_score") <= before + 400)
			_exit(2);
		if (number_of("/proc/self/oom_score_adj") != 500)
			_exit(3);
		child = fork();
		if (child == 0)
			_exit(number_of("/proc/self/oom_score_adj") == 500 ? 0 : 1);
		if (wait_for(child) != 0)
			_exit(4);
		adjust("-1000");
		_exit(number_of("/proc/self/oom_score") == 0 ? 0 : 5);
	}
	ok(wait_for(child) == 0,
	   "a score grows with memory and adjustment, which children inherit");
	snprintf(path, sizeof(path), "/proc/%d/oom_score", getpid());
	ok(number_of(path) == 0, "the first process has none");
	munmap(memory, 4 * MIB);
}

/*
 * One page in each table, so that a child needs as many tables as there are pages, until there are fewer
 * left: fork runs out on its way.
 */
static int fork_without_memory(void)
{
	char *memory = reserve(4096 * TABLE);
	long tables = 0;
	pid_t child;

	while (tap_proc_number("/proc/vmstat", "nr_free_frames") > tables / 2 + 64) {
		for (int i = 0; i < 8; i++, tables++)
			memory[tables * TABLE] = (char)tables;
	}
	for (int attempt = 0; attempt < 3; attempt++) {
		child = fork();
		if (child == 0)
			_exit(0);
		if (child > 0)
			return 1;
		if (errno != ENOMEM)
			return 2;
	}
	for (long i = 0; i < tables; i++) {
		if (memory[i * TABLE] != (char)i)
			return 3;
		memory[i * TABLE]++;
	}
	munmap(memory, (size_t)(tables / 2 * TABLE));
	child = fork();
	if (child == 0)
		_exit(memory[(tables - 1) * TABLE] == (char)tables ? 0 : 1);
	return child < 0 ? 4 : wait_for(child) == 0 ? 0 : 5;
}

static void a_fork_without_memory_harms_nobody(void)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(fork_without_memory());
	status = wait_for(child);
	ok(status == 0,
	   "a fork that runs out of memory is ENOMEM, with all as it was, and works when there is "
	   "some "
	   "(status %#x)",
	   status);
}

/* Whoever is forked forks two more, and all of them take memory. */
static void bomb(int depth)
{
	while (depth-- > 0) {
		fork();
		fork();
	}
	hog();
}

static void a_bomb_of_hogs_goes_off(void)
{
	pid_t child = fork();
	int ended = 0;

	if (child == 0)
		bomb(3);
	/* What loses its parent is ours. */
	while (wait(NULL) > 0)
		ended++;
	ok(ended >= 1 && errno == ECHILD, "a bomb of hogs goes off: %d are gone, and we are here",
	   ended);
}

/* Nobody is there to be ended but us, who may not be. */
static void a_call_without_memory_says_so(void)
{
	char *memory = reserve(1L << 40);
	int fd = open("/dev/zero", O_RDONLY);
	long at = 0, got;

	while ((got = read(fd, memory + at, 64 * MIB)) > 0)
		at += got;
	ok(at > 4 * MIB && got == -1 && errno == ENOMEM,
	   "read(2) into %ld kB of memory is ENOMEM in the end", at / 1024);
	munmap(memory, 1L << 40);
	close(fd);
}

static void all_of_it(void)
{
	a_hog_is_ended();
	a_call_without_memory_says_so();
	adjustments_are_heeded();
	scores_are_told();
	a_fork_without_memory_harms_nobody();
	a_bomb_of_hogs_goes_off();
}

int main(int argc, char **argv)
{
	long before;

	if (argc > 1 && strcmp(argv[1], "hog") == 0)
		hog();
	tap_begin(argv);
	all_of_it();
	tap_proc_number("/proc/census", "nr_free_frames");
	before = tap_proc_number("/proc/census", "nr_free_frames");
	all_of_it();
	for (int i = 0; i < ROUNDS; i++)
		a_hog_is_ended();
	ok(tap_proc_number("/proc/census", "nr_free_frames") == before,
	   "every frame is free again");
	return done();
}
