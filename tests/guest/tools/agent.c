/*
 * Does what it is told on standard input, a line at a time, and answers each line with one of its own:
 * the system tests' hands inside of the machine. What fails is answered by "errno N".
 *
 *	version			which version of this program runs
 *	late			the CRC-32 of pages of this program that nothing else touches
 *	exec PATH ARGUMENT...	execve(2)
 *	fexec FD		fexecve(3)
 *	open PATH		the descriptor
 *	read FD [BYTES]		from where it is, to the end if BYTES is not given: how many and their CRC-32
 *	close FD
 *	sum PATH		open, read, close
 *	stat PATH		the size
 *	number PATH NAME	the number on the line of /proc/vmstat or /proc/census that NAME begins
 *	exit STATUS
 *
 * The tests make other versions of this program by changing `version_text` and `late_pages` in the
 * file, which is why nothing here may be a constant to the compiler.
 */
#define _GNU_SOURCE
#include "../tap.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <sys/stat.h>

#define PROMPT     "hawser-prompt> " /* as in tests/system/harness.py */
#define LATE_PAGES 64
#define WORDS      16

static const volatile char version_text[] = "HAWSER-AGENT 0000";
static const volatile unsigned char late_pages[LATE_PAGES * 4096] __attribute__((aligned(4096))) =
	"HAWSER-LATE-PAGES";

static uint32_t crc_table[256];
static unsigned char buffer[65536];

static void crc_init(void)
{
	for (uint32_t byte = 0; byte < 256; byte++) {
		uint32_t crc = byte;

		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
		crc_table[byte] = crc;
	}
}

/* zlib's crc32() */
static uint32_t crc_add(uint32_t crc, const volatile unsigned char *bytes, size_t length)
{
	crc = ~crc;
	for (size_t i = 0; i < length; i++)
		crc = crc >> 8 ^ crc_table[(crc ^ bytes[i]) & 255];
	return ~crc;
}

static void answer_errno(void)
{
	printf("errno %d\n", errno);
}

static void do_version(void)
{
	char text[sizeof(version_text)];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = version_text[i];
	printf("%s\n", text);
}

static void do_read(int fd, long bytes)
{
	uint32_t crc = 0;
	long done = 0;

	while (done < bytes) {
		long rest = bytes - done;
		ssize_t got = read(fd, buffer, rest < 65536 ? (size_t)rest : sizeof(buffer));

		if (got < 0) {
			printf("errno %d after %ld bytes\n", errno, done);
			return;
		}
		if (got == 0)
			break;
		crc = crc_add(crc, buffer, (size_t)got);
		done += got;
	}
	printf("%ld bytes %08x\n", done, crc);
}

static void do_sum(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0) {
		answer_errno();
		return;
	}
	do_read(fd, LONG_MAX);
	close(fd);
}

static void do_open(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		answer_errno();
	else
		printf("%d\n", fd);
}

static void do_stat(const char *path)
{
	struct stat status;

	if (stat(path, &status) != 0)
		answer_errno();
	else
		printf("%lld\n", (long long)status.st_size);
}

/* Comes back only if it fails. */
static void do_exec(char **words)
{
	execv(words[0], words);
	answer_errno();
}

static void do_fexec(int fd, char **words)
{
	extern char **environ;

	fexecve(fd, words, environ);
	answer_errno();
}

/* Without the heap, whose growth would be counted too. */
static void do_number(const char *path, const char *name)
{
	int fd = open(path, O_RDONLY);
	ssize_t got = fd < 0 ? -1 : read(fd, buffer, sizeof(buffer) - 1);
	char *line;

	if (got < 0) {
		answer_errno();
		return;
	}
	close(fd);
	buffer[got] = 0;
	line = strstr((char *)buffer, name);
	printf("%ld\n", line ? atol(line + strlen(name)) : -1);
}

static void obey(char **words, int count)
{
	const char *what = words[0];

	if (strcmp(what, "version") == 0)
		do_version();
	else if (strcmp(what, "late") == 0)
		printf("%08x\n", crc_add(0, late_pages, sizeof(late_pages)));
	else if (strcmp(what, "exec") == 0 && count > 1)
		do_exec(words + 1);
	else if (strcmp(what, "fexec") == 0 && count > 1)
		do_fexec(atoi(words[1]), words);
	else if (strcmp(what, "open") == 0 && count > 1)
		do_open(words[1]);
	else if (strcmp(what, "read") == 0 && count > 1)
		do_read(atoi(words[1]), count > 2 ? atol(words[2]) : LONG_MAX);
	else if (strcmp(what, "close") == 0 && count > 1)
		printf("%d\n", close(atoi(words[1])));
	else if (strcmp(what, "sum") == 0 && count > 1)
		do_sum(words[1]);
	else if (strcmp(what, "stat") == 0 && count > 1)
		do_stat(words[1]);
	else if (strcmp(what, "number") == 0 && count > 2)
		do_number(words[1], words[2]);
	else if (strcmp(what, "exit") == 0 && count > 1)
		exit(atoi(words[1]));
	else
		printf("not understood: %s\n", what);
}

int main(void)
{
	char line[TAP_LINE], *words[WORDS + 1];

	crc_init();
	/* All that it will ever use, so that it is the same in every census. */
	memset(buffer, 1, sizeof(buffer));
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (;;) {
		int count = 0;

		fputs(PROMPT, stdout);
		fflush(stdout);
		if (!fgets(line, sizeof(line), stdin))
			return 0;
		for (char *word = strtok(line, " \r\n"); word && count < WORDS;
		     word = strtok(NULL, " \r\n"))
			words[count++] = word;
		words[count] = NULL;
		if (count > 0)
			obey(words, count);
	}
}
