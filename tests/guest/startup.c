/*
 * What a program finds when it starts: arguments, environment, the auxiliary vector, registers.
 * It looks once as it was started, then execs itself twice to see what is passed and what differs.
 */
#include "tap.h"

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <sys/auxv.h>

extern char **environ;
extern char _end[], __ehdr_start[] __attribute__((weak));

static bool has_aux(unsigned long type)
{
	errno = 0;
	return getauxval(type) != 0 || errno != ENOENT;
}

static void look_at_auxv(void)
{
	const ElfW(Phdr) *phdr = (const ElfW(Phdr) *)getauxval(AT_PHDR);
	unsigned long loads = 0;

	ok(getauxval(AT_PAGESZ) == 4096, "AT_PAGESZ is 4096");
	ok(getauxval(AT_CLKTCK) == 100, "AT_CLKTCK is 100");
	ok(getauxval(AT_PHENT) == sizeof(*phdr), "AT_PHENT is the size of a program header");
	for (unsigned long i = 0; phdr && i < getauxval(AT_PHNUM); i++)
		loads += phdr[i].p_type == PT_LOAD;
	ok(loads > 0, "AT_PHDR leads to program headers with %lu PT_LOAD", loads);
	ok(getauxval(AT_ENTRY) != 0, "AT_ENTRY is there");
	ok(getauxval(AT_BASE) == 0, "AT_BASE is 0 without an interpreter");
	ok(getauxval(AT_SECURE) == 0, "AT_SECURE is 0");
	ok(has_aux(AT_UID) && getauxval(AT_UID) == getuid(), "AT_UID is the user");
	ok(has_aux(AT_EUID) && has_aux(AT_GID) && has_aux(AT_EGID), "the other ids are there");
	ok(has_aux(AT_HWCAP), "AT_HWCAP is there");
	ok(getauxval(AT_RANDOM) != 0, "AT_RANDOM is there");
	ok(getauxval(AT_PLATFORM) && strcmp((char *)getauxval(AT_PLATFORM), "x86_64") == 0,
	   "AT_PLATFORM is x86_64");
	ok(getauxval(AT_EXECFN) != 0, "AT_EXECFN is there");
	ok(getauxval(AT_SYSINFO_EHDR) != 0 && getauxval(AT_SYSINFO_EHDR) % 4096 == 0,
	   "AT_SYSINFO_EHDR is the vDSO's first page");
}

static void look_at_stack(char **argv)
{
	uintptr_t argc_at = (uintptr_t)(argv - 1);

	ok(argc_at % 16 == 0, "the stack pointer was 16-byte aligned");
	ok(environ == argv + *(long *)argc_at + 1, "the environment follows the arguments");
}

static const char *hex_of_random(void)
{
	static char text[33];
	const unsigned char *bytes = (const unsigned char *)getauxval(AT_RANDOM);

	for (int i = 0; i < 16; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	return text;
}

/* Stage 1: what stage 0 handed over. */
static int second(int argc, char **argv)
{
	char *first_random = argv[5];
	char self[256];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	ok(argc == 6, "six arguments arrive");
	ok(strcmp(argv[0], "a name of its own") == 0, "argv[0] is what the caller says");
	ok(strcmp(argv[2], "") == 0, "an empty argument stays one");
	ok(strcmp(argv[3], "with blanks\tand\nlines") == 0, "blanks stay");
	ok(strlen(argv[4]) == 100000 && argv[4][99999] == 'x', "a long argument crosses pages");
	ok(argv[6] == NULL, "argv ends with NULL");
	ok(strcmp(first_random, hex_of_random()) != 0, "AT_RANDOM differs from run to run");
	ok(getenv("STARTUP") && strcmp(getenv("STARTUP"), "yes") == 0, "the environment arrives");
	ok(length > 0 && strrchr((char *)getauxval(AT_EXECFN), '/') != NULL, "AT_EXECFN is a path");
	return done();
}

int main(int argc, char **argv)
{
	static char big[100001];
	char *arguments[] = {
		"a name of its own", "second", "", "with blanks\tand\nlines", big, NULL, NULL
	};

	tap_begin(argv);
	if (argc > 1 && strcmp(argv[1], "second") == 0)
		return second(argc, argv);

	ok(argc >= 1 && argv[0][0] != '\0', "argv[0] is there");
	ok(argv[argc] == NULL, "argv ends with NULL");
	look_at_auxv();
	look_at_stack(argv);

	memset(big, 'x', sizeof(big) - 1);
	setenv("STARTUP", "yes", 1);
	arguments[5] = (char *)hex_of_random();
	return tap_exec("/proc/self/exe", arguments);
}
