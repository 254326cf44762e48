/* The log of a test goes to standard error. */
#include "kernel/log.h"

#include <stdio.h>

void log_vprintf(enum log_level level, const char *fmt, va_list ap)
{
	fprintf(stderr, "<%d> ", level);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

void log_printf(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vprintf(level, fmt, ap);
	va_end(ap);
}
