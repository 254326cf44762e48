/*
 * Any bytes as a command line: every reader ends, stays within its buffer and agrees with the others.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cmdline.h"

#define NAME_MAX_LENGTH 32

static void check(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = malloc(size + 1);
	char word[CMDLINE_MAX], value[CMDLINE_MAX], name[NAME_MAX_LENGTH];
	const char *position;
	int64_t number;
	bool init = false;

	memcpy(line, data, size);
	line[size] = '\0';
	cmdline_set(line);
	check(strlen(cmdline_get()) < CMDLINE_MAX);

	position = cmdline_get();
	while (cmdline_next(&position, word, sizeof(word))) {
		check(position <= cmdline_get() + strlen(cmdline_get()));
		check(strlen(word) < sizeof(word));
		init |= strcmp(word, "--") == 0;
		const char *equals = strchr(word, '=');
		if (init || equals == NULL || equals == word || equals - word >= NAME_MAX_LENGTH)
			continue;
		memcpy(name, word, (size_t)(equals - word));
		name[equals - word] = '\0';
		/* A word that is there has a value, of which small buffers get nothing. */
		check(cmdline_value(name, value, sizeof(value)));
		check(!cmdline_value(name, value, strlen(value)) || value[0] == '\0');
		(void)cmdline_number(name, &number);
	}
	(void)cmdline_flag("quiet");
	(void)cmdline_number("mem", &number);
	free(line);
	return 0;
}
