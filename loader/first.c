/*
 * loader/first.c - how the first program starts, and what a machine without one says.
 *
 *	wait for the network ──► try each candidate ──► one runs
 *	                     ▲           │ none
 *	                     └── wait ◄──┘ 1, 2, 4 … 30 s, saying what failed and why
 *
 * With `init=` there is one candidate and no other; its value may hold arguments, and so may the words
 * after `--`. Otherwise they are Linux's, and then busybox as its own shell. `panic=N` bounds the
 * trying: with N > 0 the machine restarts N seconds after the first failure, with N < 0 at once.
 */
#include "dev/console.h"
#include "fs/file.h"
#include "fs/path.h"
#include "kernel/clock.h"
#include "kernel/cmdline.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/string.h"
#include "kernel/trap.h"
#include "kernel/x86_64/trapframe.h"
#include "loader/exec.h"
#include "mm/slab.h"
#include "net/net.h"
#include <asm/ioctls.h>
#include <linux/fcntl.h>

#define RETRY_FIRST_NS   (1 * NSEC_PER_SEC)
#define RETRY_LAST_NS    (30 * NSEC_PER_SEC)

#define ENVIRONMENT_HOME "HOME=/"
#define ENVIRONMENT_PATH "PATH=/sbin:/usr/sbin:/bin:/usr/bin"
#define TERM_DEFAULT     "linux"

/* What is tried without `init=`, in this order, each with its arguments. */
static const char *const candidates[][2] = {
	{ "/sbin/init", NULL }, { "/etc/init", NULL },    { "/bin/init", NULL },
	{ "/bin/sh", NULL },    { "/bin/busybox", "sh" },
};

/* --- what is to run --------------------------------------------------------------------------- */

/* Adds the blank-separated words of `text`, which is cut up; the first one in `*first`. */
static int append_words(struct strings *strings, char *text, const char **first)
{
	int error = 0;

	while (error == 0) {
		char *word = text + (*text == ' ' || *text == '\t');

		if (word != text) {
			text = word;
			continue;
		}
		while (*text != '\0' && *text != ' ' && *text != '\t')
			text++;
		if (text == word)
			break;
		if (*text != '\0')
			*text++ = '\0';
		if (strings->count == 0 && first)
			*first = word;
		error = strings_append(strings, word);
	}
	return error;
}

/* Adds the command line's words after `--`. */
static int append_rest_of_command_line(struct strings *strings, char *word, size_t size)
{
	const char *position = cmdline_get();
	bool after = false;
	int error = 0;

	while (error == 0 && cmdline_next(&position, word, size)) {
		if (after)
			error = strings_append(strings, word);
		else if (strcmp(word, "--") == 0)
			after = true;
	}
	return error;
}

static int make_environment(struct strings *environment, char *buffer, size_t size)
{
	const char name[] = "TERM=";
	int error;

	strlcpy(buffer, name, size);
	if (!cmdline_value("TERM", buffer + sizeof(name) - 1, size - (sizeof(name) - 1)))
		strlcpy(buffer + sizeof(name) - 1, TERM_DEFAULT, size - (sizeof(name) - 1));
	error = strings_append(environment, ENVIRONMENT_HOME);
	if (error == 0)
		error = strings_append(environment, buffer);
	if (error == 0)
		error = strings_append(environment, ENVIRONMENT_PATH);
	return error;
}

/* --- trying ----------------------------------------------------------------------------------- */

static const char *error_text(int error)
{
	switch (error) {
	case -ENOENT:
		return "not on the server";
	case -EACCES:
		return "may not be run";
	case -ENOEXEC:
		return "not an executable that Hawser knows";
	case -ETIMEDOUT:
		return "the server does not answer";
	case -EHOSTUNREACH:
		return "the server cannot be reached";
	case -ENODEV:
		return "no network card";
	case -EIO:
		return "the transfer failed";
	case -ELOOP:
		return "too many scripts or links";
	case -ELIBBAD:
		return "its interpreter is no program";
	case -ENOMEM:
		return "not enough memory";
	case -E2BIG:
		return "the arguments are too long";
	default:
		return "failed";
	}
}

/*
 * Tries one program: `path` with `argument`, or, if it is NULL, the words of `init=` in `line`. Comes
 * back with an error, or 0 and the registers of the new program.
 */
static int try_program(const char *path, const char *argument, char *line)
{
	struct exec_request request = { .dirfd = AT_FDCWD };
	char *buffer = kalloc(CMDLINE_MAX);
	int error = -ENOMEM;

	if (!buffer)
		goto out;
	request.path = path;
	if (path) {
		error = strings_append(&request.argv, path);
		if (error == 0 && argument)
			error = strings_append(&request.argv, argument);
	} else {
		error = append_words(&request.argv, line, &request.path);
	}
	if (error == 0)
		error = append_rest_of_command_line(&request.argv, buffer, CMDLINE_MAX);
	if (error == 0)
		error = make_environment(&request.envp, buffer, CMDLINE_MAX);
	if (error != 0)
		goto out;
	if (!request.path) {
		error = -ENOENT;
		goto out;
	}
	request.program = request.path;
	error = exec_replace(&request);
	if (error == 0)
		log_info("first program: %s", request.path);
	else
		log_warn("first program: %s: %s (error %d)", request.path, error_text(error),
			 -error);
out:
	strings_free(&request.argv);
	strings_free(&request.envp);
	kfree(buffer);
	return error;
}

/* Tries all there is to try; 0 once one has been loaded. */
static int try_all(char *line)
{
	int error = -ENOENT;

	if (cmdline_value("init", line, CMDLINE_MAX))
		return try_program(NULL, NULL, line);
	for (size_t i = 0; error != 0 && i < ARRAY_SIZE(candidates); i++)
		error = try_program(candidates[i][0], candidates[i][1], NULL);
	return error;
}

/* After a failed round: waits, or restarts the machine if `panic=` says that it is time. */
static void wait_or_restart(uint64_t first_failure_ns, uint64_t delay_ns)
{
	uint64_t now = clock_ns(), wake = now + delay_ns;
	int64_t patience;

	if (cmdline_number("panic", &patience) && patience != 0) {
		uint64_t end =
			patience < 0 ? now : first_failure_ns + (uint64_t)patience * NSEC_PER_SEC;

		if (now >= end) {
			log_err("no first program; restarting, as panic=%ld says", (long)patience);
			console_drain();
			machine_reboot();
		}
		wake = MIN(wake, end);
	}
	log_err("no first program (init=PROGRAM names one); trying again in %lu s",
		(unsigned long)DIV_ROUND_UP(wake - now, NSEC_PER_SEC));
	(void)sleep_until(wake, WAIT_UNINTERRUPTIBLE);
}

/*
 * Standard input, output and error; and, unlike on Linux, the controlling terminal, since the first
 * program is a shell or the one program of the machine more often than it is an init.
 */
static void open_console(void)
{
	struct file *console;
	int error = file_open("/dev/console", O_RDWR, 0, &console);

	if (error != 0)
		panic("/dev/console cannot be opened: error %d", -error);
	for (int fd = 0; fd < 3; fd++) {
		if (files_install(current->files, console, fd, false) != fd)
			panic("no memory for the first descriptors");
	}
	if (console->ops->ioctl(console, TIOCSCTTY, 0) != 0)
		log_warn("/dev/console does not become the controlling terminal");
	file_put(console);
}

void exec_first(void *unused)
{
	struct trapframe registers = { 0 };
	uint64_t delay_ns = RETRY_FIRST_NS, first_failure_ns = 0;
	char *line = kalloc(CMDLINE_MAX);
	int error;

	if (!line)
		panic("no memory for the first program's command line");
	current->trapframe = &registers;
	open_console();

	for (;;) {
		error = net_wait_configured();
		if (error == 0)
			error = try_all(line);
		else
			log_err("first program: %s (error %d)", error_text(error), -error);
		if (error == 0)
			break;
		if (first_failure_ns == 0)
			first_failure_ns = clock_ns();
		wait_or_restart(first_failure_ns, delay_ns);
		delay_ns = MIN(delay_ns * 2, RETRY_LAST_NS);
	}
	kfree(line);
	trap_enter_user(&registers);
}
