/*
 * tests/guest/crew.h - for tests with several threads or children: starting them, and waiting for what
 * they do.
 */
#ifndef HAWSER_TESTS_GUEST_CREW_H
#define HAWSER_TESTS_GUEST_CREW_H

#include "tap.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

static inline pid_t tid_here(void)
{
	return (pid_t)syscall(SYS_gettid);
}

static inline void nap(long ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

/* True once it is, within two seconds. */
#define soon(condition)                             \
	({                                          \
		bool good_ = false;                 \
		for (int i_ = 0; i_ < 2000; i_++) { \
			good_ = (condition);        \
			if (good_)                  \
				break;              \
			nap(1);                     \
		}                                   \
		good_;                              \
	})

/* Small stacks: sixty-four threads have to fit in a small machine. */
static inline pthread_t start(void *(*body)(void *), void *argument)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int error;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 32768);
	error = pthread_create(&thread, &attributes, body, argument);
	pthread_attr_destroy(&attributes);
	if (error != 0) {
		fprintf(stderr, "# pthread_create: %s\n", strerror(error));
		_exit(99);
	}
	return thread;
}

static inline void join_all(pthread_t *threads, int count)
{
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

/* Runs the body in a child; what it returns, or 1000 + the signal that ended it. */
static inline int in_child(int (*body)(void))
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		int result = body();

		fflush(stdout);
		_exit(result);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* In a child: a wrong answer ends it. */
#define want(condition)                                                                  \
	do {                                                                             \
		if (!(condition))                                                        \
			return printf("# line %d: %s\n", __LINE__, strerror(errno)), 99; \
	} while (0)

/* A child that only waits to be signalled. */
static inline pid_t sleeper(void)
{
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		for (;;)
			pause();
	}
	return child;
}

static inline void block(int signal, bool blocks)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	pthread_sigmask(blocks ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

static inline bool is_pending(int signal)
{
	sigset_t set;

	sigpending(&set);
	return sigismember(&set, signal);
}

#endif
