/*
 * unix.c - what processes cost that speak to each other, in instructions: tests/bench/rows.py.
 *
 * The rows are lmbench's: round trips, signals, context switches in a ring of processes, threads,
 * waiting for a hundred descriptors, and a shell.
 */
#define _GNU_SOURCE
#include "rows.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SHELL       "/tmp/bench-shell" /* in RAM: the wire is not what is measured */
#define DESCRIPTORS 100
#define RING_MAX    16

/* --- round trips: a byte there and back ----------------------------------------------------------------- */

static void echo(int in, int out)
{
	char byte;

	while (read(in, &byte, 1) == 1)
		if (write(out, &byte, 1) != 1)
			break;
	_exit(0);
}

static uint64_t bounce(int in, int out, unsigned count)
{
	uint64_t start;
	char byte = 'x';

	for (unsigned i = 0; i < 10; i++)
		need(write(out, &byte, 1) == 1 && read(in, &byte, 1) == 1, "round trip");
	start = now();
	for (unsigned i = 0; i < count; i++)
		need(write(out, &byte, 1) == 1 && read(in, &byte, 1) == 1, "round trip");
	return now() - start;
}

static uint64_t pipe_round_trip(unsigned count)
{
	int there[2], back[2];
	uint64_t took;
	pid_t child;

	need(pipe(there) == 0 && pipe(back) == 0, "pipe");
	child = fork();
	if (child == 0) {
		close(there[1]);
		close(back[0]);
		echo(there[0], back[1]);
	}
	close(there[0]);
	close(back[1]);
	took = bounce(back[0], there[1], count);
	close(there[1]);
	close(back[0]);
	waitpid(child, NULL, 0);
	return took;
}

static uint64_t unix_round_trip(unsigned count)
{
	int ends[2];
	uint64_t took;
	pid_t child;

	need(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
	child = fork();
	if (child == 0) {
		close(ends[0]);
		echo(ends[1], ends[1]);
	}
	close(ends[1]);
	took = bounce(ends[0], ends[0], count);
	close(ends[0]);
	waitpid(child, NULL, 0);
	return took;
}

/* A byte goes round: each process that it passes is a switch. */
static uint64_t ring(unsigned processes, unsigned count)
{
	int pipes[RING_MAX][2];
	pid_t children[RING_MAX];
	uint64_t took;

	for (unsigned i = 0; i < processes; i++)
		need(pipe(pipes[i]) == 0, "pipe");
	for (unsigned i = 1; i < processes; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			for (unsigned n = 0; n < processes; n++) {
				if (n != i)
					close(pipes[n][1]);
				if (n != i - 1)
					close(pipes[n][0]);
			}
			echo(pipes[i - 1][0], pipes[i][1]);
		}
	}
	for (unsigned n = 1; n < processes; n++)
		close(pipes[n][1]);
	for (unsigned n = 0; n + 1 < processes; n++)
		close(pipes[n][0]);
	took = bounce(pipes[processes - 1][0], pipes[0][1], count / processes);
	close(pipes[0][1]);
	for (unsigned i = 1; i < processes; i++)
		waitpid(children[i], NULL, 0);
	close(pipes[processes - 1][0]);
	return took;
}

static uint64_t switch_2(unsigned count)
{
	return ring(2, count);
}

static uint64_t switch_16(unsigned count)
{
	return ring(16, count);
}

/* --- signals, threads ------------------------------------------------------------------------------------ */

static void on_signal(int signal)
{
	(void)signal;
}

static uint64_t install_signal(unsigned count)
{
	struct sigaction action = { .sa_handler = on_signal };
	uint64_t start = now();

	for (unsigned i = 0; i < count; i++)
		sigaction(SIGUSR1, &action, NULL);
	return now() - start;
}

static uint64_t deliver_signal(unsigned count)
{
	pid_t self = getpid();
	uint64_t start;

	signal(SIGUSR1, on_signal);
	start = now();
	for (unsigned i = 0; i < count; i++)
		kill(self, SIGUSR1);
	return now() - start;
}

static void *nothing(void *arg)
{
	return arg;
}

static uint64_t create_thread(unsigned count)
{
	uint64_t start = now();

	for (unsigned i = 0; i < count; i++) {
		pthread_t thread;

		need(pthread_create(&thread, NULL, nothing, NULL) == 0, "pthread_create");
		pthread_join(thread, NULL);
	}
	return now() - start;
}

static uint64_t read_clock(unsigned count)
{
	struct timespec time;
	uint64_t start = now();

	for (unsigned i = 0; i < count; i++)
		clock_gettime(CLOCK_MONOTONIC, &time);
	return now() - start;
}

/* --- a hundred descriptors, of which the last is ready --------------------------------------------------- */

static int pipes[DESCRIPTORS][2];

static void open_descriptors(void)
{
	for (unsigned i = 0; i < DESCRIPTORS; i++)
		need(pipe(pipes[i]) == 0, "pipe");
	need(write(pipes[DESCRIPTORS - 1][1], "x", 1) == 1, "write");
}

static uint64_t select_100(unsigned count)
{
	uint64_t start = now();

	for (unsigned n = 0; n < count; n++) {
		fd_set set;

		FD_ZERO(&set);
		for (unsigned i = 0; i < DESCRIPTORS; i++)
			FD_SET(pipes[i][0], &set);
		need(select(pipes[DESCRIPTORS - 1][1] + 1, &set, NULL, NULL, NULL) == 1, "select");
	}
	return now() - start;
}

static uint64_t epoll_100(unsigned count)
{
	struct epoll_event event = { .events = EPOLLIN };
	int set = epoll_create1(0);
	uint64_t start;

	need(set >= 0, "epoll_create1");
	for (unsigned i = 0; i < DESCRIPTORS; i++)
		need(epoll_ctl(set, EPOLL_CTL_ADD, pipes[i][0], &event) == 0, "epoll_ctl");
	start = now();
	for (unsigned n = 0; n < count; n++)
		need(epoll_wait(set, &event, 1, -1) == 1, "epoll_wait");
	start = now() - start;
	close(set);
	return start;
}

static void copy_shell(void)
{
	need(system("cp /bin/busybox " SHELL) == 0, "cp");
}

static uint64_t start_shell(unsigned count)
{
	uint64_t start = now();

	for (unsigned i = 0; i < count; i++) {
		pid_t child = fork();

		if (child == 0) {
			execl(SHELL, "sh", "-c", "true", NULL);
			_exit(127);
		}
		waitpid(child, NULL, 0);
	}
	return now() - start;
}

int main(void)
{
	measure_row("pipe round trip", pipe_round_trip, 500);
	measure_row("AF_UNIX stream round trip", unix_round_trip, 500);
	measure_row("context switch, ring of 2 processes", switch_2, 1000);
	measure_row("context switch, ring of 16 processes", switch_16, 1600);
	measure_row("signal install", install_signal, 1000);
	measure_row("signal delivery", deliver_signal, 1000);
	measure_row("thread create and join", create_thread, 200);
	measure_row("clock_gettime", read_clock, 1000);
	open_descriptors();
	measure_row("select on 100 descriptors", select_100, 200);
	measure_row("epoll_wait on 100 descriptors", epoll_100, 500);
	copy_shell();
	measure_row("sh -c true", start_shell, 20);
	return 0;
}
