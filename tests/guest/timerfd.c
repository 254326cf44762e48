/*
 * Timers that are files.
 */
#define _GNU_SOURCE
#include "tap.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

#define MS  INT64_C(1000000)
#define SEC INT64_C(1000000000)

static int64_t now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec * SEC + time.tv_nsec;
}

static struct timespec ts(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / SEC, .tv_nsec = ns % SEC };
}

static bool set(int fd, int flags, int64_t value, int64_t interval)
{
	struct itimerspec setting = { .it_value = ts(value), .it_interval = ts(interval) };

	return timerfd_settime(fd, flags, &setting, NULL) == 0;
}

static int64_t left(int fd)
{
	struct itimerspec setting;

	timerfd_gettime(fd, &setting);
	return setting.it_value.tv_sec * SEC + setting.it_value.tv_nsec;
}

static int64_t take(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? (int64_t)count : -1;
}

static void counting(clockid_t clock, const char *name)
{
	int64_t start = now(CLOCK_MONOTONIC);
	int fd = timerfd_create(clock, 0);

	ok(fd >= 0, "a timer on %s", name);
	ok(left(fd) == 0, "is not armed");
	ok(set(fd, 0, 10 * MS, 0) && left(fd) > 0 && left(fd) <= 10 * MS, "until it is set");
	ok(take(fd) == 1 && now(CLOCK_MONOTONIC) - start >= 10 * MS, "a read waits for it");
	ok(left(fd) == 0, "it comes once");
	ok(set(fd, TFD_TIMER_ABSTIME, now(clock) + 10 * MS, 0) && take(fd) == 1, "at a time");
	ok(set(fd, TFD_TIMER_ABSTIME, 1, 0) && take(fd) == 1, "at one that is past");
	set(fd, 0, 1 * MS, 1 * MS);
	nanosleep(&(struct timespec){ .tv_nsec = 30 * MS }, NULL);
	{
		int64_t count = take(fd);

		ok(count >= 20, "each millisecond, %lld in 30", (long long)count);
	}
	ok(take(fd) >= 1 && take(fd) >= 1, "and it goes on");
	set(fd, TFD_TIMER_ABSTIME, now(clock) - 15 * MS, 1 * MS);
	{
		int64_t count = take(fd);

		ok(count >= 10, "what has passed since a time counts (%lld)", (long long)count);
	}
	ok(close(fd) == 0, "it is closed");
}

static void without_waiting(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	struct pollfd entry = { .fd = fd, .events = POLLIN | POLLOUT };
	uint64_t count;
	struct stat status;
	fd_set ready;

	ok(fcntl(fd, F_GETFD) == FD_CLOEXEC && (fcntl(fd, F_GETFL) & O_NONBLOCK), "its flags");
	ok(fstat(fd, &status) == 0, "fstat");
	fails(read(fd, &count, sizeof(count)), EAGAIN, "nothing to be read, and nobody waits");
	ok(poll(&entry, 1, 0) == 0, "nor is it readable");
	set(fd, 0, 10 * MS, 0);
	ok(poll(&entry, 1, 20000) == 1 && entry.revents == POLLIN, "poll waits for it");
	ok(poll(&entry, 1, 0) == 1, "it stays readable");
	FD_ZERO(&ready);
	FD_SET(fd, &ready);
	ok(select(fd + 1, &ready, NULL, NULL, &(struct timeval){ 0 }) == 1, "for select, too");
	ok(take(fd) == 1 && poll(&entry, 1, 0) == 0, "until it is read");
	set(fd, 0, 1 * MS, 0);
	poll(&entry, 1, 20000);
	set(fd, 0, 0, 0);
	ok(poll(&entry, 1, 0) == 0, "setting it anew forgets");
	set(fd, 0, 1, 1);
	poll(&entry, 1, 20000);
	ok(take(fd) > 0, "an interval of a nanosecond does no harm");
	close(fd);
}

static void shared_by_fork(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, 0), status;
	pid_t child = fork();

	if (child == 0)
		_exit(take(fd) == 1 ? 0 : 1);
	set(fd, 0, 10 * MS, 0);
	waitpid(child, &status, 0);
	ok(status == 0, "a child reads what its parent sets");
	close(fd);
}

static void mistakes(void)
{
	struct itimerspec bad = { .it_value.tv_nsec = SEC };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	int other = open("/dev/null", O_RDONLY);
	uint64_t count = 1;

	fails(timerfd_create(99, 0), EINVAL, "no such clock");
	fails(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL, "not on CPU time");
	fails(timerfd_create(CLOCK_MONOTONIC, 0x10), EINVAL, "no such flag");
	fails(timerfd_settime(fd, 0, &bad, NULL), EINVAL, "too many nanoseconds");
	bad.it_value.tv_nsec = 1;
	fails(timerfd_settime(fd, 0x10, &bad, NULL), EINVAL, "settime's flags");
	fails(timerfd_settime(other, 0, &bad, NULL), EINVAL, "not a timer");
	fails(timerfd_settime(-1, 0, &bad, NULL), EBADF, "not even a file");
	fails(timerfd_gettime(other, &bad), EINVAL, "nothing to get");
	fails(read(fd, &count, 4), EINVAL, "eight bytes or none");
	fails(write(fd, &count, 8), EINVAL, "nobody writes to it");
	close(fd);
	close(other);
}

/* Only where the clock is nobody else's. */
static void clock_is_set(void)
{
	int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK), cancelled, relative;
	int64_t wall = now(CLOCK_REALTIME);
	struct timespec time;
	uint64_t count;

	cancelled = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
	relative = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
	set(fd, TFD_TIMER_ABSTIME, wall + 1000 * SEC, 0);
	set(cancelled, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, wall + 1000000 * SEC, 0);
	set(relative, 0, 1000 * SEC, 0);
	time = ts(wall + 2000 * SEC);
	ok(clock_settime(CLOCK_REALTIME, &time) == 0, "the clock is set");
	{
		struct pollfd entry = { .fd = fd, .events = POLLIN };

		ok(poll(&entry, 1, 20000) == 1 && take(fd) == 1, "its time has come");
	}
	fails(read(cancelled, &count, 8), ECANCELED, "who asked is told that the clock was set");
	fails(read(cancelled, &count, 8), EAGAIN, "once");
	ok(left(relative) > 900 * SEC, "a span of time stays what it is");
	time = ts(now(CLOCK_REALTIME) - 2000 * SEC);
	clock_settime(CLOCK_REALTIME, &time);
	close(fd);
	close(cancelled);
	close(relative);
}

/* A machine that waits does not tick: interrupts in a second of sleep. */
static long timer_interrupts(void)
{
	char line[512];
	FILE *file = fopen("/proc/interrupts", "r");
	long count = 0;

	while (file && fgets(line, sizeof(line), file)) {
		char *at = strstr(line, "LOC:");

		if (at)
			count += atol(at + 4);
	}
	if (file)
		fclose(file);
	return count;
}

static void no_tick(void)
{
	long before = timer_interrupts(), after;

	nanosleep(&(struct timespec){ .tv_nsec = 500 * MS }, NULL);
	after = timer_interrupts();
	ok(before > 0 && after - before < 50, "%ld timer interrupts in half a second of sleep",
	   after - before);
}

int main(int argc, char **argv)
{
	(void)argc;
	tap_begin(argv);
	counting(CLOCK_MONOTONIC, "CLOCK_MONOTONIC");
	counting(CLOCK_REALTIME, "CLOCK_REALTIME");
	counting(CLOCK_BOOTTIME, "CLOCK_BOOTTIME");
	without_waiting();
	shared_by_fork();
	mistakes();
	if (on_hawser()) {
		clock_is_set();
		no_tick();
	}
	return done();
}
