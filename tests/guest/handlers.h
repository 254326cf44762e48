/*
 * tests/guest/handlers.h - handlers that note what has come, and children that send it.
 */
#ifndef HAWSER_TESTS_GUEST_HANDLERS_H
#define HAWSER_TESTS_GUEST_HANDLERS_H

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* How many signals have come, and the last of them. */
static volatile int count, last;
static siginfo_t last_info;

static inline void note(int signal)
{
	count++;
	last = signal;
}

static inline void note_info(int signal, siginfo_t *info, void *context)
{
	(void)context;
	note(signal);
	last_info = *info;
}

static inline void set_handler(int signal, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	sigaction(signal, &action, NULL);
}

static inline void set_info_handler(int signal, void (*handler)(int, siginfo_t *, void *),
				    int flags)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO };

	sigaction(signal, &action, NULL);
}

static inline int status_of(pid_t child)
{
	int status = -1;

	return waitpid(child, &status, 0) == child ? status : -1;
}

/* A child that signals us after a while; it ends by itself. */
static inline pid_t signal_soon(int signal)
{
	pid_t parent = getpid(), child = fork();

	if (child == 0) {
		usleep(30000);
		kill(parent, signal);
		_exit(0);
	}
	return child;
}

#endif
