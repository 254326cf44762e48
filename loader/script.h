/*
 * loader/script.h - `#!` lines, as Linux's fs/binfmt_script.c reads them.
 *
 *	#! /bin/sh -e	→  interpreter "/bin/sh", argument "-e"
 *
 * One optional argument, which is the rest of the line with its inner blanks. Pure.
 */
#ifndef HAWSER_LOADER_SCRIPT_H
#define HAWSER_LOADER_SCRIPT_H

#include "kernel/base.h"

/* So much of a file is looked at (Linux's BINPRM_BUF_SIZE): the line may have 255 bytes. */
#define SCRIPT_LINE_SIZE 256
/* Interpreters of interpreters: the sixth script in a row is -ELOOP. */
#define SCRIPT_DEPTH_MAX 5

struct script_line {
	char interpreter[SCRIPT_LINE_SIZE];
	char argument[SCRIPT_LINE_SIZE];
	bool has_argument;
};

bool script_probe(const void *bytes, size_t length);

/* Reads the line at the start of the file. 0, or -ENOEXEC: no interpreter, or cut short. */
int script_parse(const void *bytes, size_t length, struct script_line *out);

#endif
