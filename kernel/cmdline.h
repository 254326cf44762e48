/*
 * kernel/cmdline.h - the kernel's command line, with Linux's names and quoting.
 *
 * Words are separated by blanks; double quotes hold blanks together (`init="/bin/sh -x"`, as
 * Linux's next_arg() reads them). Of several words with one name the last one counts, except
 * where a caller walks them with cmdline_next(). Everything after a word `--` belongs to init.
 */
#ifndef HAWSER_KERNEL_CMDLINE_H
#define HAWSER_KERNEL_CMDLINE_H

#include "kernel/base.h"

#define CMDLINE_MAX 2048

/* Sets the line; longer ones are cut at CMDLINE_MAX - 1. Once, at boot. */
void cmdline_set(const char *line);
const char *cmdline_get(void); /* whole, as given (/proc/cmdline) */

/* Copies the value of `name=value`, unquoted. False if absent or too long for `out`. */
bool cmdline_value(const char *name, char *out, size_t size);
/* True if the bare word `name` is there. */
bool cmdline_flag(const char *name);
/* A decimal, 0x-hexadecimal or 0-octal number, with a K, M or G suffix. False if absent or bad. */
bool cmdline_number(const char *name, int64_t *out);

/*
 * The next word of `*position` into `out`, unquoted; false at the end. A word that does not fit is
 * skipped. For `console=` (many) and for init's arguments after `--`.
 */
bool cmdline_next(const char **position, char *out, size_t size);

#endif
